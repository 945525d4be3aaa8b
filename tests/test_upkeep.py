"""Nothing in the house goes in a circle, can change behind one's back, or is there for nobody."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from enum import Enum
from graphlib import TopologicalSorter
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from autonoma_ci.ci.detect import ROWS
from autonoma_ci.cli import COMMANDS
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.plan import Plan
from autonoma_ci.settings import Settings
from tests.support.house import MODULES, PACKAGE, ROOT, dotted, imports, imports_when_run, name_of, room_of, tree_of

if TYPE_CHECKING:
    from pathlib import Path

TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if "node_modules" not in path.parts]
SAYS_NOTHING = re.compile(r"(?:^|_)(?:util|helper|common|manager|misc|stuff)s?(?:_|$)")
ROOMS = sorted({room_of(path) for path in MODULES if path.parent != PACKAGE})
# One module of a command, or of a CI system, is imported by its name in a table.
BY_TABLE = {f"autonoma_ci.ci.{row.module}" for row in ROWS} | {f"autonoma_ci.commands.{name}" for name in COMMANDS}


def classes_of(path: Path) -> list[type]:
    module = import_module(dotted(path))
    return [thing for thing in vars(module).values() if isinstance(thing, type) and thing.__module__ == module.__name__]


def test_no_import_leads_back_to_where_it_began() -> None:
    graph = {dotted(path): imports_when_run(path) for path in MODULES}
    # The mapping form of `variables` is YAML, and is read where YAML is read, once it is needed.
    graph["autonoma_ci.values"].remove("autonoma_ci.manifest.inline")
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


# What the settings of Hypothesis come to in a process of its own.
EXAMPLES = """
import tests.conftest
from hypothesis import HealthCheck, settings
now = settings()
print(now.deadline, now.derandomize, now.max_examples, HealthCheck.too_slow in now.suppress_health_check)
"""


@pytest.mark.parametrize(
    "environ", [{}, {"CI": "true"}, {"GITHUB_ACTIONS": "true", "CI": "1"}], ids=["none", "CI", "GitHub"]
)
def test_examples_have_no_deadline_and_no_profile_of_ci(environ: dict[str, str]) -> None:
    env = {"PYTHONPATH": str(ROOT), **environ}
    ran = subprocess.run(
        [sys.executable, "-c", EXAMPLES], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["None", "False", "100", "True"]


@pytest.mark.parametrize("name", ["context", "steps", "model", "exchange"])
def test_what_flows_through_the_house_is_frozen(name: str) -> None:
    values = classes_of(PACKAGE / f"{name}.py")
    assert values
    assert all(issubclass(value, tuple | Enum) for value in values)


def test_what_is_read_and_planned_is_frozen() -> None:
    assert issubclass(Settings, tuple)
    assert issubclass(Plan, tuple)
    models = [each for path in MODULES for each in classes_of(path) if issubclass(each, BaseModel)]
    assert Manifest in models
    assert [model for model in models if not model.model_config.get("frozen")] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_its_tests_in_a_folder_of_the_same_name(room: str) -> None:
    own = [path for path in TESTS if path.parent.name == room and path.name.startswith("test_")]
    assert any(name.startswith(f"autonoma_ci.{room}") for path in own for name in imports(path))


def test_every_module_is_reached_by_a_test() -> None:
    """Tests import a module itself, or what in its own room imports it, or it has its name in a table."""
    graph = {dotted(path): imports_when_run(path) for path in MODULES}
    found = {name for path in TESTS for name in imports(path)} & set(graph) | BY_TABLE
    todo = list(found)
    while todo:
        name = todo.pop()
        room = name.split(".")[:2]
        new = {other for other in graph[name] if other.split(".")[:2] == room} - found
        found |= new
        todo += new
    packages = {dotted(path) for path in MODULES if path.name == "__init__.py"}
    assert set(graph) - packages - found == set()


def handed_over(node: ast.AST) -> bool:
    """Say whether a decorator with arguments takes the function: pydantic calls its validators itself."""
    return any(isinstance(decorator, ast.Call) for decorator in getattr(node, "decorator_list", ()))


def inherited(path: Path, name: str) -> bool:
    """Say whether a class replaces what the library that it derives from calls by this name."""
    bases = {base for each in classes_of(path) if name in vars(each) for base in each.__mro__[1:]}
    return any(hasattr(base, name) for base in bases)


def words_of(path: Path) -> set[str]:
    """Return every name that a file uses, rather than defines."""
    loaded = [node for node in ast.walk(tree_of(path)) if isinstance(getattr(node, "ctx", None), ast.Load)]
    taken = {name.rpartition(".")[2] for name in imports(path)}
    return taken | {getattr(node, "id", "") or getattr(node, "attr", "") for node in loaded}


def defined(path: Path) -> set[str]:
    """Return the names of functions, classes, methods, fields and constants, but for those that Python calls."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not handed_over(node):
            found.add(node.name)
        if isinstance(node, ast.Module) or (isinstance(node, ast.ClassDef) and "NamedTuple" in ast.unparse(node)):
            targets = [part for line in node.body if isinstance(line, ast.Assign) for part in line.targets]
            targets += [line.target for line in node.body if isinstance(line, ast.AnnAssign)]
            found |= {name.id for part in targets for name in ast.walk(part) if isinstance(name, ast.Name)}
    return {name for name in found if not name.startswith("__")}


def test_no_name_says_nothing() -> None:
    names = {part.removesuffix(".py") for path in (*MODULES, *TESTS) for part in path.relative_to(ROOT).parts}
    for path in MODULES:
        names |= {name for name in defined(path) if not inherited(path, name)}
    apart = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names}
    assert sorted(name for name in apart if SAYS_NOTHING.search(name)) == []


USED = set().union(*map(words_of, [*MODULES, ROOT / "entrypoint.py"])) | set(
    re.findall(r"\w+", (PACKAGE / "report" / "report.html").read_text("utf-8"))
)
# The sandbox is the tests' own server too.
USED_BY_TESTS = set().union(*map(words_of, TESTS))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_there_that_nobody_uses_or_only_a_test(path: Path) -> None:
    used = USED | (USED_BY_TESTS if room_of(path) == "sandbox" else set())
    assert sorted(name for name in defined(path) - used if not inherited(path, name)) == []
