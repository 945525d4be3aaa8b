"""Every public name says what it is: one sentence, then units and errors where there are any.

What is public has no underscore before its name, or before that of its class. A module, a class, a function and a
method have a docstring whose first paragraph is one line and a whole sentence; a table and a number have a comment
above them or behind. Who raises an error, in its own lines or by those that it calls in its module, says "raise" or
"raises" and names it, or else its class does. A parameter or a field that is a fraction, or whose name is a limit or
a size, has its unit in its name, or in the docstring of its function, its class or its module. The module of a CI
system names its source, and so does each that reads or writes what others have made: the API, the formats of reports,
and the channels of CI systems.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import pytest

from autonoma_ci.ci.detect import ROWS, Row
from tests.support.house import MODULES, name_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNIT = re.compile(r"\b(?:seconds?|bytes|[KM]i?B|characters|percent|pixels|runs|clock's time|ISO 8601|parts?)\b")
_SIZE = re.compile(r"(?:^|_)(?:limit|size|length|largest|longest)$")
_ERROR = re.compile(r"[A-Z]\w*Error|Cancelled|Finished")


class Name(NamedTuple):
    """A public function or class, with its docstring and that of what it is in: a class, or the module."""

    node: ast.FunctionDef | ast.ClassDef
    text: str
    around: str


def public(path: Path) -> Iterator[Name]:
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node) or ""
            yield Name(node, text, ast.get_docstring(tree_of(path)) or "")
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and (inner.name == "__init__" or inner.name[0] != "_"):
                    yield Name(inner, ast.get_docstring(inner) or "", text)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_public_name_has_a_sentence(path: Path) -> None:
    texts = {name.node.name: name.text for name in public(path) if name.node.name != "__init__"}
    texts["the module"] = ast.get_docstring(tree_of(path)) or ""
    firsts = {name: text.partition("\n\n")[0] for name, text in texts.items()}
    assert {name: first for name, first in firsts.items() if "\n" in first or first[-1:] not in {".", ":"}} == {}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_table_and_number_has_a_comment(path: Path) -> None:
    lines = ["", *path.read_text("utf-8").splitlines()]
    silent, told = [], 0
    for node in tree_of(path).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            # What follows without a gap belongs to the same comment.
            above = lines[node.lineno - 1].startswith("#") or told == node.lineno - 1
            told = (node.end_lineno or 0) if above or " # " in lines[node.lineno] else 0
            value = ast.unparse(node.value)
            needed = value[0].isdigit() or value.startswith(("(", "[", "{", "frozenset(", "tuple("))
            if not told and ast.unparse(target)[0] not in "_(" and needed:
                silent.append(ast.unparse(target))
    assert silent == []


@cache
def returned() -> dict[str, str]:
    """Return the error that each function makes for its caller to raise."""
    nodes = [node for path in MODULES for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]
    return {node.name: text for node in nodes if node.returns and _ERROR.fullmatch(text := ast.unparse(node.returns))}


def raised(node: ast.AST, known: dict[str, list[ast.FunctionDef]], seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the errors that leave these lines, also by way of functions of the same module."""
    found: set[str] = set()
    rest = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Try):
        caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
        inside = set().union(*(raised(ast.Module([line], []), known, seen) for line in node.body))
        found |= {name for name in inside if name not in caught and "Exception" not in caught}
        rest = [*node.handlers, *node.orelse, *node.finalbody]
    elif isinstance(node, ast.Raise) and node.exc:
        name = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc).rpartition(".")[2]
        found |= {returned().get(name, name)}
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func).removeprefix("self.")
        called = known.get(name, []) if name not in seen else []
        found |= set().union(*(raised(body, known, seen | {name}) for body in called))
    rest = [part for part in rest if not isinstance(part, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
    found |= set().union(*(raised(part, known, seen) for part in rest))
    return {name for name in found if _ERROR.fullmatch(name)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_whoever_raises_an_error_says_which(path: Path) -> None:
    known: dict[str, list[ast.FunctionDef]] = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            known.setdefault(node.name, []).append(node)
    silent = {}
    for name in public(path):
        if isinstance(name.node, ast.FunctionDef):
            said = [text for text in (name.text, name.around) if re.search(r"\b[Rr]ais(?:e|es|ing)\b", text)]
            silent[name.node.name] = {error for error in raised(name.node, known) if error not in " ".join(said)}
    assert {name: errors for name, errors in silent.items() if errors} == {}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_time_and_size_has_its_unit(path: Path) -> None:
    silent = []
    for node, text, around in public(path):
        if isinstance(node, ast.FunctionDef):
            pairs = [(each.arg, each.annotation) for each in (*node.args.args, *node.args.kwonlyargs)]
            pairs += [(node.name, node.returns)]
        else:
            pairs = [
                (ast.unparse(line.target), line.annotation) for line in node.body if isinstance(line, ast.AnnAssign)
            ]
        for name, annotation in pairs:
            kind = ast.unparse(annotation) if annotation else ""
            measured = kind in {"float", "float | None"} or (kind in {"int", "int | None"} and _SIZE.search(name))
            if measured and not _UNIT.search(" ".join((name.replace("_", " "), text, around))):
                silent.append(f"{node.name}: {name}")
    assert silent == []


@pytest.mark.parametrize("row", ROWS[:-2], ids=lambda row: row.name)
def test_every_ci_system_names_its_source(row: Row) -> None:
    assert "Source: " in (import_module(f"autonoma_ci.ci.{row.module}").__doc__ or "")


# What is ours alone: how a text is cut.
_OURS = {"api/__init__", "api/texts"}
# By what the names of modules end in that speak to a CI system, or read what it says.
_CHANNELS = ("agent", "commands", "comments", "event", "file", "files", "folds", "insights", "log", "messages", "notes")
_FORMATS = {
    "report/junit",
    "report/outputs",
    "report/timeline",
    "ci/discussion",
    "ci/program_variables",
    "ci/properties",
}


def made_by_others(name: str) -> bool:
    room, _, module = name.removesuffix(".py").partition("/")
    of_channel = room == "ci" and "_" in module and module.rpartition("_")[2] in _CHANNELS
    return (room == "api" or of_channel or f"{room}/{module}" in _FORMATS) and f"{room}/{module}" not in _OURS


SPEAKING = [path for path in MODULES if made_by_others(name_of(path))]


def test_those_that_speak_with_others_are_found() -> None:
    names = {name_of(path).removesuffix(".py") for path in SPEAKING}
    assert names >= _FORMATS | {"api/answers", "ci/github_event", "ci/variable_file", "ci/teamcity_messages"}
    assert {name.rpartition("_")[2] for name in names if name.startswith("ci/")} >= {*_CHANNELS}


@pytest.mark.parametrize("path", SPEAKING, ids=name_of)
def test_whoever_speaks_with_others_names_the_source(path: Path) -> None:
    _, found, source = (ast.get_docstring(tree_of(path)) or "").partition("Source: ")
    assert found
    assert len(source.split()) >= 3
