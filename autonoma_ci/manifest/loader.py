"""From a path to a Manifest: read the file, replace `${...}`, check it, and tell every problem with its place."""

from __future__ import annotations

import codecs
import os
import stat
from contextlib import suppress
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from autonoma_ci.config.parsers import id_error, quote_name, variable_error
from autonoma_ci.config.settings import NO_GROUPS, closest_match
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import O_NONBLOCK
from autonoma_ci.fs.paths import escapes_via_symlink
from autonoma_ci.manifest.keys import ENTRY_KEYS, expand_short_forms, explain_unknown_key
from autonoma_ci.manifest.schema import MAX_MATRIX_COMBINATIONS, Folder, Manifest, Tag, Test
from autonoma_ci.yaml_subset import parser
from autonoma_ci.yaml_subset.document import Document, KeyPath, LimitExceededError, Tree, type_error_message

if TYPE_CHECKING:
    from autonoma_ci.manifest.interpolation import Interpolator

# What is said of the keys that take one of a few words.
_LITERAL_MESSAGES = {
    "version": "this version of autonoma-ci reads version 1: write `version: 1`",
    "run_on_latest": "'run_on_latest': use true or false",
}
# What a text editor writes at the beginning of UTF-16.
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Keys whose value is an id.
_IDS = frozenset({"id", "application_version_id", "application_id", "version_id"})
_BEGIN = "begin each entry with `- `"
_START = "start with `tests:` and a list of ids below it"


def load_manifest(path: str, folder: str, interpolation: Interpolator) -> Manifest:
    """Return the manifest at `path`, relative to `folder`; raise InputError with every problem in it."""
    # An annotation on the line needs slashes, also on Windows.
    file = sanitize_line(FilePath(path).as_posix(), 200)
    document = parser.parse_yaml(read_manifest_text(path, folder, file), file)
    if document.errors and document.tree is None:
        raise InputError(document.errors)
    if not isinstance(document.tree, dict):
        what = {type(None): "is empty", list: "is a list"}.get(type(document.tree), "is a text")
        raise InputError([Diagnostic(f"the manifest {what}: {_START}", file, 1, 1)])
    has_tests = "tests" in document.tree
    document.tree = expand_short_forms(document.tree)
    manifest = None
    with suppress(LimitExceededError):
        written = interpolation.apply(document)
        manifest = _check(document, written.texts)
        if manifest:
            _name_groups(manifest, written.groups)
            manifest.name_sources(written.parts, written.facts)
            manifest.name_place(file, document.position(("tests",))[0] if has_tests else 1)
            _check_group_names(document, manifest)
            _check_variables(document, manifest)
            if manifest.application_versions and manifest.run_on_latest == "true":
                document.add_error(
                    ("run_on_latest",), "'run_on_latest' and application_versions exclude each other: keep one"
                )
    if document.errors or not manifest:
        document.errors.sort(key=lambda problem: (problem.line, problem.column))
        raise InputError(document.errors)
    return manifest


def read_manifest_text(path: str, folder: str, file: str) -> str:
    """Return the text of a manifest; raise InputError, which names it as `file`, if it can't be read."""

    def wrong(text: str) -> InputError:
        return InputError([Diagnostic(text, file)])

    place = FilePath(folder, path)
    if escapes_via_symlink(path, folder):
        raise wrong("leads out of the working directory through a symbolic link: give the file's own path")
    try:
        descriptor = os.open(place, os.O_RDONLY | O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise wrong("is not a regular file: give the path of a YAML file")
            data = stream.read(parser.MAX_YAML_BYTES + 1)
    except FileNotFoundError:
        raise wrong(f"there is no such file: {_cure_missing(path, place)}") from None
    except IsADirectoryError:
        raise wrong("is a folder: give the path of a YAML file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise wrong(f"can't be read ({reason}): give the path of a readable YAML file") from None
    if len(data) > parser.MAX_YAML_BYTES:
        raise wrong("is larger than 4 MiB: split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data.startswith(_BOMS):
            raise wrong("is UTF-16 text: save it as UTF-8") from None
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InputError([Diagnostic("the file is not UTF-8 text: save it as UTF-8", file, line, column)]) from None


def _cure_missing(path: str, place: FilePath) -> str:
    """Return what to do about a manifest that is not there."""
    if "://" in path:
        return "a manifest is a file of the checkout, not a URL"
    with suppress(OSError, ValueError):
        names = [entry.name for entry in place.parent.iterdir() if entry.suffix in {".yml", ".yaml"}]
        if near := closest_match(place.name, names, 0.75):
            return f"did you mean {sanitize_line((FilePath(path).parent / near).as_posix(), 200)}?"
    return "check the path; it is relative to the working directory"


def _check(document: Document, written: dict[KeyPath, str]) -> Manifest | None:
    try:
        return Manifest.model_validate(document.tree)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=True):
            path: KeyPath = tuple(detail["loc"])
            document.add_error(
                path, _validation_message(document, path, detail, written.get(path) or written.get(path[:-1]))
            )
        return None


def _name_groups(manifest: Manifest, values: dict[KeyPath, str]) -> None:
    """Give the entries the values of their groups, by path."""
    entries: dict[str, list[Test] | list[Folder] | list[Tag]]
    entries = {"tests": manifest.tests, "folders": manifest.folders, "tags": manifest.tags}
    for kind, index in {path[:2] for path in values}:
        entry = entries[str(kind)][int(index)]
        shown = enumerate(entry.groups)
        manifest.name_groups(entry, [values.get((kind, index, "groups", place), group) for place, group in shown])


def _check_group_names(document: Document, manifest: Manifest) -> None:
    """Report each group that has the name with which the option `groups` selects nothing."""
    for kind, entries in (("tests", manifest.tests), ("folders", manifest.folders), ("tags", manifest.tags)):
        for index, (_, groups) in enumerate(manifest.with_group_values(entries)):
            for place, group in enumerate(groups):
                if group == NO_GROUPS:
                    why = f"a group can't be named '{NO_GROUPS}', which selects nothing: give it another name"
                    document.add_error((kind, index, "groups", place), why)


def _value_at(root: Tree, path: KeyPath) -> Tree:
    for step in path:
        if isinstance(root, dict):
            root = root.get(str(step))
        elif isinstance(root, list) and isinstance(step, int) and step < len(root):
            root = root[step]
    return root


def _validation_message(document: Document, path: KeyPath, detail: Any, written: str | None) -> str:
    """Say what is wrong in the field's words; pydantic's own message may repeat a value."""
    key, kind, value = str(path[-1]) if path else "", detail["type"], _value_at(document.tree, path)
    if kind == "extra_forbidden":
        return explain_unknown_key(path[:-1], key)
    if kind == "missing":
        return f"'{key}' is missing: add it"
    if kind == "literal_error":
        return _LITERAL_MESSAGES[key]
    if kind == "string_pattern_mismatch":
        if written is not None:
            return f"what '{sanitize_line(written, 60)}' gives is not an id: ids are letters, digits, - and _"
        return id_error(value) if isinstance(value, str) else "this is not an id"
    return _explain_type(path, key, kind, value)


def _explain_type(path: KeyPath, key: str, kind: str, value: Tree) -> str:
    """Say what form of value is expected."""
    where = f"'{sanitize_line(key, 60)}'" if path and isinstance(path[-1], str) else "this entry"
    if value is None and key in _IDS:
        return f"{where} has no value: give an id"
    if kind in {"string_type", "string_too_short", "string_too_long"}:
        return f"{where} {type_error_message(value)}" if not isinstance(value, str) else f"{where} is empty or too long"
    if kind == "too_short":
        return f"{where} is empty: list at least one value"
    if kind == "list_type":
        return f"{where} must be a list: {_cure_list(key, value)}"
    if value is None:
        return f"{where} is empty: write an id, or remove it"
    return f"{where} must be a mapping: write `key: value` lines below it"


def _cure_list(key: str, value: Tree) -> str:
    if isinstance(value, str) and value.startswith("-"):
        return "write a space after each '-'"
    if isinstance(value, str) and key not in ENTRY_KEYS:
        return 'write several values as [A, B], or one with white space or a comma as ["A B"]'
    if isinstance(value, dict) and "id" not in value and key in ENTRY_KEYS:
        fields = ("application_id: ID", "version_id: ID") if key == "application_versions" else ("id: ID", "name: TEXT")
        return f"write each entry as `- {fields[0]}` and `{fields[1]}`"
    return _BEGIN


def _check_variables(document: Document, manifest: Manifest) -> None:
    good: set[tuple[str, str]] = set()
    _check_variables_at(document, ("defaults", "variables"), manifest.defaults.variables, good)
    for index, test in enumerate(manifest.tests):
        _check_variables_at(document, ("tests", index, "variables"), test.variables, good)
        for name, values in test.matrix.items():
            path = ("tests", index, "matrix", name)
            for value in values:
                _check_variables_at(document, path[:-1], {name: value}, good)
            if name in test.variables:
                document.add_error(path, f"{quote_name(name)} is in both variables and matrix: keep one")
        if expand_matrix(test) > MAX_MATRIX_COMBINATIONS:
            document.add_error(
                ("tests", index, "matrix"), f"more than {MAX_MATRIX_COMBINATIONS:,} combinations: split it"
            )


def expand_matrix(test: Test) -> int:
    """Return how many runs a test's matrix asks for."""
    count = 1
    for values in test.matrix.values():
        count *= len(values)
    return count


def _check_variables_at(
    document: Document, path: KeyPath, variables: dict[str, str], good: set[tuple[str, str]]
) -> None:
    # What many aliases stand for is looked at once.
    for name, value in variables.items():
        if (name, value) in good:
            continue
        if why := variable_error(name, value):
            document.add_error((*path, name), f"{quote_name(name)}: {why}")
        else:
            good.add((name, value))
