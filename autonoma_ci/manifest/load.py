"""From a path to a Manifest: read the file, replace `${...}`, check it, and tell every problem with its place."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from autonoma_ci.errors import InputError, Problem
from autonoma_ci.files import AT_ONCE
from autonoma_ci.manifest import tree
from autonoma_ci.manifest.document import Document, Path, TooMuchError, Tree, not_text
from autonoma_ci.manifest.schema import COMBINATIONS_LIMIT, ApplicationVersion, Defaults, Folder, Manifest, Tag, Test
from autonoma_ci.paths import leads_out
from autonoma_ci.settings import closest
from autonoma_ci.text import one_line
from autonoma_ci.values import bad_variable, shown, why_no_id

if TYPE_CHECKING:
    from autonoma_ci.manifest.interpolate import Interpolation

# What is said of the keys that take one of a few words.
_WORDS = {
    "version": "this version of autonoma-ci reads version 1: write `version: 1`",
    "run_on_latest": "'run_on_latest' is neither true nor false",
}
_KEYS = [name for model in (Manifest, Defaults, Test, ApplicationVersion) for name in model.model_fields]


def load(path: str, folder: str, interpolation: Interpolation) -> Manifest:
    """Return the manifest at `path`, relative to `folder`; raise InputError with every problem in it."""
    # An annotation on the line needs slashes, also on Windows.
    file = one_line(FilePath(path).as_posix(), 200)
    document = tree.parse(read_text(path, folder, file), file)
    if document.problems and document.tree is None:
        raise InputError(document.problems)
    if not isinstance(document.tree, dict):
        what = "is empty" if document.tree is None else "is not a mapping"
        raise InputError([Problem(f"the manifest {what}: start with `tests:` and a list of ids", file, 1, 1)])
    manifest = None
    with suppress(TooMuchError):
        written = interpolation.apply(document)
        manifest = _check(document, written.texts)
        if manifest:
            _name_groups(manifest, written.groups)
            manifest.name_sources(written.parts, written.facts)
            _check_variables(document, manifest)
            if manifest.application_versions and manifest.run_on_latest == "true":
                document.problem(
                    ("run_on_latest",), "'run_on_latest' and application_versions exclude each other: keep one"
                )
    if document.problems or not manifest:
        document.problems.sort(key=lambda problem: (problem.line, problem.column))
        raise InputError(document.problems)
    return manifest


def read_text(path: str, folder: str, file: str) -> str:
    """Return the text of a manifest; raise InputError, which names it as `file`, if it can't be read."""

    def wrong(text: str) -> InputError:
        return InputError([Problem(text, file)])

    place = FilePath(folder, path)
    if leads_out(path, folder):
        raise wrong("leads out of the working directory through a symbolic link: give the file's own path")
    try:
        descriptor = os.open(place, os.O_RDONLY | AT_ONCE)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise wrong("is not a regular file: give the path of a YAML file")
            data = stream.read(tree.SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise wrong("there is no such file: check the path; it is relative to the working directory") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise wrong(f"can't be read ({reason}): give the path of a readable YAML file") from None
    if len(data) > tree.SIZE_LIMIT:
        raise wrong("is larger than 4 MiB: split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong("is not UTF-8 text: save it as UTF-8") from None


def _check(document: Document, written: dict[Path, str]) -> Manifest | None:
    try:
        return Manifest.model_validate(document.tree)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=True):
            path: Path = tuple(detail["loc"])
            document.problem(path, _explain(document, path, detail, written.get(path) or written.get(path[:-1])))
        return None


def _name_groups(manifest: Manifest, values: dict[Path, str]) -> None:
    """Give the entries the values of their groups, by path."""
    entries: dict[str, list[Test] | list[Folder] | list[Tag]]
    entries = {"tests": manifest.tests, "folders": manifest.folders, "tags": manifest.tags}
    for kind, index in {path[:2] for path in values}:
        entry = entries[str(kind)][int(index)]
        shown = enumerate(entry.groups)
        entry.name_groups([values.get((kind, index, "groups", place), group) for place, group in shown])


def _at(root: Tree, path: Path) -> Tree:
    for step in path:
        if isinstance(root, dict):
            root = root.get(str(step))
        elif isinstance(root, list) and isinstance(step, int) and step < len(root):
            root = root[step]
    return root


def _explain(document: Document, path: Path, detail: Any, written: str | None) -> str:
    """Say what is wrong in the field's words; pydantic's own message may repeat a value."""
    key, kind, value = str(path[-1]) if path else "", detail["type"], _at(document.tree, path)
    if kind == "extra_forbidden":
        near = closest(key, _KEYS)
        return f"unknown key {shown(key)}: " + (f"did you mean '{near}'?" if near else "remove it")
    if kind == "missing":
        return f"'{key}' is missing: add it"
    if kind == "literal_error":
        return _WORDS[key]
    if kind == "string_pattern_mismatch":
        if written is not None:
            return f"what '{one_line(written, 60)}' gives is not an id: ids are letters, digits, - and _"
        return why_no_id(value) if isinstance(value, str) else "this is not an id"
    where = f"'{one_line(key, 60)}'" if path and isinstance(path[-1], str) else "this entry"
    if kind in {"string_type", "string_too_short", "string_too_long"}:
        return f"{where} {not_text(value)}" if not isinstance(value, str) else f"{where} is empty or too long"
    if kind in {"list_type", "too_short"}:
        return f"{where} must be a list with at least one entry"
    return f"{where} must be a mapping"


def _check_variables(document: Document, manifest: Manifest) -> None:
    good: set[tuple[str, str]] = set()
    _names(document, ("defaults", "variables"), manifest.defaults.variables, good)
    for index, test in enumerate(manifest.tests):
        _names(document, ("tests", index, "variables"), test.variables, good)
        for name, values in test.matrix.items():
            path = ("tests", index, "matrix", name)
            for value in values:
                _names(document, path[:-1], {name: value}, good)
            if name in test.variables:
                document.problem(path, f"{shown(name)} is in both variables and matrix: keep one")
        if combinations(test) > COMBINATIONS_LIMIT:
            document.problem(("tests", index, "matrix"), f"more than {COMBINATIONS_LIMIT:,} combinations: split it")


def combinations(test: Test) -> int:
    """Return how many runs a test's matrix asks for."""
    count = 1
    for values in test.matrix.values():
        count *= len(values)
    return count


def _names(document: Document, path: Path, variables: dict[str, str], good: set[tuple[str, str]]) -> None:
    # What many aliases stand for is looked at once.
    for name, value in variables.items():
        if (name, value) in good:
            continue
        if why := bad_variable(name, value):
            document.problem((*path, name), f"{shown(name)}: {why}")
        else:
            good.add((name, value))
