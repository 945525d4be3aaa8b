"""Read, interpolate and check a manifest file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from autonoma_ci.config.parsers import explain_invalid_id, find_variable_error, quote_name
from autonoma_ci.config.settings import NO_GROUPS
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import UTF_16_BOMS, NotRegularFileError, escapes_via_symlink, os_error_reason, read_head
from autonoma_ci.manifest.interpolation import find_selected_environment
from autonoma_ci.manifest.keys import ENTRY_KEYS, expand_short_forms, explain_unknown_key
from autonoma_ci.manifest.schema import MAX_MATRIX_COMBINATIONS, MAX_RETRIES, Folder, Manifest, Tag, Test
from autonoma_ci.yaml_subset import parser
from autonoma_ci.yaml_subset.document import Document, KeyPath, LimitExceededError, YamlValue, explain_non_string

if TYPE_CHECKING:
    from datetime import date

    from autonoma_ci.manifest.interpolation import Interpolator

# Messages for the keys that allow a few words only.
_LITERAL_MESSAGES = {
    "version": "unsupported manifest version. Write `version: 1`.",
    "run_on_latest": "invalid value of 'run_on_latest'. Use true or false.",
    "default": "invalid value of 'default'. Use true or false.",
}
# The value of a key that has an own form.
_VALUE_FORMS = {
    "retries": f"a whole number from 0 to {MAX_RETRIES}",
    "run_timeout": "a duration such as 10m",
}
# Keys whose errors do not name them.
_KEYS_IN_MESSAGES = frozenset({*_VALUE_FORMS, "until"})
_MAPPING_FORMS = {
    "when": "`when: { changed: [PATTERN] }`",
    "quarantine": "`quarantine: { until: YYYY-MM-DD, reason: TEXT }`",
    "groups": "`groups: { NAME: { default: false } }`",
    "environments": "`environments: { NAME: { variables: { … } } }`",
}
# The settings of one name, by the key at the top of the manifest.
_SETTINGS_FORMS = {"groups": "`{ default: false }`", "environments": "`{ variables: { … } }`"}
# Keys whose value is an id.
_ID_KEYS = frozenset({"id", "application_version_id", "application_id", "version_id"})
# The types of pydantic's errors for a value that is no mapping.
_MAPPING_ERRORS = frozenset({"dict_type", "model_type", "model_attributes_type"})
# Declared groups for which similar names are searched. The search in 2,000 names needs up to 0.1 s.
_MAX_COMPARED_GROUPS = 10
_LIST_ADVICE = "Begin each entry with `- `."
_EMPTY_ADVICE = "Start with `tests:` and a list of ids below it."


def load_manifest(path: str, directory: str, interpolation: Interpolator, today: date) -> Manifest:
    """Read a manifest and replace its `${...}`.

    Args:
        path: The path of the file.
        directory: The directory that the path is relative to.
        interpolation: Replaces `${...}`, and names the environment.
        today: The current date in UTC, which limits quarantines.

    Raises:
        InputError: The manifest can't be read or is invalid. It contains every error with its position.
    """
    # An annotation of the line needs slashes, also on Windows.
    file = sanitize_line(FilePath(path).as_posix(), 200)
    document = parser.parse_yaml(read_manifest_text(path, directory, file), file)
    if document.errors and document.tree is None:
        raise InputError(document.errors)
    if not isinstance(document.tree, dict):
        state = {type(None): "is empty", list: "is a list"}.get(type(document.tree), "is a string")
        raise InputError([Diagnostic(f"the manifest {state}. {_EMPTY_ADVICE}", file, 1, 1)])
    has_tests = "tests" in document.tree
    document.tree = expand_short_forms(document.tree)
    manifest = None
    with suppress(LimitExceededError):
        interpolated = interpolation.apply(document)
        manifest = _validate(document, interpolated.texts, today)
        if manifest:
            _set_group_values(manifest, interpolated.groups)
            _set_literal_values(manifest, interpolated.texts)
            manifest.select_environment(find_selected_environment(document.tree, interpolation.environment))
            manifest.set_value_sources(
                interpolated.environment_texts, interpolated.fact_values, interpolated.build_facts
            )
            manifest.set_location(file, document.find_position(("tests",))[0] if has_tests else 1)
            _check_group_names(document, manifest)
            _check_unused_groups(document, manifest)
            _check_default_environments(document, manifest)
            _check_variables(document, manifest)
            if manifest.application_versions and manifest.run_on_latest == "true":
                document.add_error(
                    ("run_on_latest",), "'run_on_latest' and 'application_versions' exclude each other. Remove one."
                )
    if document.errors or not manifest:
        document.errors.sort(key=lambda problem: (problem.line, problem.column))
        raise InputError(document.errors)
    return manifest


def read_manifest_text(path: str, directory: str, file: str) -> str:
    """Read the text of a manifest.

    Args:
        path: The path of the file.
        directory: The directory that the path is relative to.
        file: The file's name in errors.

    Raises:
        InputError: The file can't be read.
    """  # noqa: DOC501 - a function builds the raised error

    def build_error(text: str) -> InputError:
        return InputError([Diagnostic(text, file)])

    full_path = FilePath(directory, path)
    if escapes_via_symlink(path, directory):
        raise build_error("symbolic link leads outside of the working directory. Use the path of the file itself.")
    try:
        data = read_head(full_path, parser.MAX_YAML_BYTES + 1)
    except FileNotFoundError:
        raise build_error(f"the file is missing. {_suggest_path(path, full_path)}") from None
    except IsADirectoryError:
        raise build_error("the path is a directory. Use the path of a YAML file.") from None
    except NotRegularFileError:
        raise build_error("the path is not a regular file. Use the path of a YAML file.") from None
    except (OSError, ValueError) as error:
        raise build_error(f"the file could not be read ({os_error_reason(error)}). Use a readable YAML file.") from None
    if len(data) > parser.MAX_YAML_BYTES:
        raise build_error("the file is larger than 4 MiB. Split it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data.startswith(UTF_16_BOMS):
            raise build_error("the file is UTF-16. Save it as UTF-8.") from None
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InputError([Diagnostic("the file is not UTF-8. Save it as UTF-8.", file, line, column)]) from None


def _suggest_path(path: str, full_path: FilePath) -> str:
    """Return a remedy for a manifest that does not exist."""
    if "://" in path:
        return "Use the path of a file in the checkout, not a URL."
    with suppress(OSError, ValueError):
        from autonoma_ci.config.suggestions import find_closest_match

        names = [entry.name for entry in full_path.parent.iterdir() if entry.suffix in {".yml", ".yaml"}]
        if suggestion := find_closest_match(full_path.name, names, 0.75):
            return f"Did you mean '{sanitize_line((FilePath(path).parent / suggestion).as_posix(), 200)}'?"
    return "Check the path, which is relative to the working directory."


def _validate(document: Document, texts: dict[KeyPath, str], today: date) -> Manifest | None:
    try:
        return Manifest.model_validate(document.tree, context={"today": today})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=True):
            path: KeyPath = tuple(detail["loc"])
            document.add_error(
                path, _format_validation_error(document, path, detail, texts.get(path) or texts.get(path[:-1]))
            )
        return None


def _set_group_values(manifest: Manifest, values: dict[KeyPath, str]) -> None:
    """Store the values of groups in the manifest, by path."""
    entries: dict[str, list[Test] | list[Folder] | list[Tag]]
    entries = {"tests": manifest.tests, "folders": manifest.folders, "tags": manifest.tags}
    for kind, index in {path[:2] for path in values}:
        entry = entries[str(kind)][int(index)]
        shown_groups = enumerate(entry.groups)
        manifest.set_group_values(
            entry, [values.get((kind, index, "groups", group_index), group) for group_index, group in shown_groups]
        )


def _set_literal_values(manifest: Manifest, texts: dict[KeyPath, str]) -> None:
    """Store which matrix values the manifest states literally.

    Args:
        manifest: The manifest.
        texts: Each text with a `$` before interpolation, by path.
    """
    for index, test in enumerate(manifest.tests):
        if test.matrix:
            literal = (
                (axis, position)
                for axis, values in test.matrix.items()
                for position in range(len(values))
                if ("tests", index, "matrix", axis, position) not in texts
            )
            manifest.set_literal_values(test, frozenset(literal))


def _check_group_names(document: Document, manifest: Manifest) -> None:
    """Add an error for each group with the reserved name.

    With this name, the option `groups` selects nothing.
    """
    for kind, entries in (("tests", manifest.tests), ("folders", manifest.folders), ("tags", manifest.tags)):
        for index, (_, groups) in enumerate(manifest.with_group_values(entries)):
            for group_index, group in enumerate(groups):
                if group == NO_GROUPS:
                    reason = f"invalid group name: '{NO_GROUPS}', which selects nothing. Use another name."
                    document.add_error((kind, index, "groups", group_index), reason)

    if NO_GROUPS in manifest.groups:
        reason = f"invalid group name: '{NO_GROUPS}', which selects nothing. Use another name."
        document.add_error(("groups", NO_GROUPS), reason)


def _check_unused_groups(document: Document, manifest: Manifest) -> None:
    """Add an error for each declared group that looks like a misspelled one.

    Without an entry, a declared group has no effect. So this is no error of its own.
    """
    if not manifest.groups:
        return
    used = {group for _, groups in manifest.with_group_values(manifest.entries) for group in groups}
    # Groups without interpolation, because a suggestion must not show a value.
    undeclared = {group for entry in manifest.entries for group in entry.groups} - manifest.groups.keys()
    if not undeclared or not (unused := manifest.groups.keys() - used):
        return
    from autonoma_ci.config.suggestions import find_closest_match

    for name in sorted(unused)[:_MAX_COMPARED_GROUPS]:
        if suggestion := find_closest_match(name, undeclared):
            message = f"no entry is in the group {quote_name(name)}. Did you mean {quote_name(suggestion)}?"
            document.add_error(("groups", name), message)


def _check_default_environments(document: Document, manifest: Manifest) -> None:
    """Add an error for each further environment that is the default one."""
    defaults = [name for name, environment in manifest.environments.items() if environment.default == "true"]
    for name in defaults[1:]:
        first = f"{quote_name(defaults[0])} on line {document.find_position(('environments', defaults[0]))[0]}"
        message = f"second default environment: {quote_name(name)}, after {first}. Keep one `default: true`."
        document.add_error(("environments", name), message)


def _get_value(root: YamlValue, path: KeyPath) -> YamlValue:
    for key in path:
        if isinstance(root, dict):
            root = root.get(str(key))
        elif isinstance(root, list) and isinstance(key, int) and key < len(root):
            root = root[key]
    return root


def _format_validation_error(document: Document, path: KeyPath, detail: Any, text: str | None) -> str:
    """Return the message for a validation error of pydantic.

    The message of pydantic itself can repeat a value.

    Args:
        document: The document.
        path: The path of the error. It is not empty, because the root of the document is a mapping.
        detail: The error as pydantic describes it.
        text: The value before interpolation, or None if it has no `${...}`.
    """
    key, kind, value = str(path[-1]), detail["type"], _get_value(document.tree, path)
    if kind == "extra_forbidden":
        return explain_unknown_key(path[:-1], key)
    if kind == "missing":
        return f"missing key: '{key}'. Add it."
    if kind == "literal_error":
        return _LITERAL_MESSAGES[key]
    if kind == "value_error":
        return _format_value_error(key, str(detail["ctx"]["error"]), text)
    if kind == "string_pattern_mismatch":
        if text is not None:
            return f"invalid id: the value of '{sanitize_line(text, 60)}'. Use letters, digits, - and _."
        return explain_invalid_id(str(value))
    return _format_type_error(path, key, kind, value)


def _format_value_error(key: str, reason: str, text: str | None) -> str:
    """Return the message for the error of a validator of the schema.

    Args:
        key: The last part of the error's path.
        reason: The error.
        text: The value before interpolation, or None if it has no `${...}`.
    """
    if text is not None and key in _VALUE_FORMS:
        return f"'{key}': invalid value of '{sanitize_line(text, 60)}'. Use {_VALUE_FORMS[key]}."
    if reason.startswith(("has ", "is ")):
        return f"'{key}' {reason}"
    # The message of a pattern or of a name is complete.
    return f"'{key}': {reason}" if key in _KEYS_IN_MESSAGES else reason


def _format_type_error(path: KeyPath, key: str, kind: str, value: YamlValue) -> str:
    """Return the message for a value of a wrong type."""
    if key == "[key]":
        return f"the name {quote_name(str(path[-2]))} is empty or too long. Use a short name."
    subject = quote_name(key) if isinstance(path[-1], str) else "the entry"
    if value is None and key in _ID_KEYS:
        return f"{subject} has no value. Add an id."
    if kind in {"string_type", "string_too_short", "string_too_long"}:
        return (
            f"{subject} {explain_non_string(value)}"
            if not isinstance(value, str)
            else f"{subject} is empty or too long. Use a short string."
        )
    if kind == "too_short":
        return f"{subject} is empty. List at least one value."
    if kind in _MAPPING_ERRORS and (form := _find_mapping_form(path, key)):
        return f"{subject} must be a mapping. Write {form}."
    if kind == "list_type":
        return f"{subject} must be a list. {_suggest_list_form(key, value)}"
    if value is None:
        return f"{subject} is empty. Write an id, or remove it."
    return f"{subject} must be a mapping. Write `key: value` lines below it."


def _find_mapping_form(path: KeyPath, key: str) -> str | None:
    """Return the form of a value that must be a mapping, or None without an own form."""
    if len(path) == 2 and path[0] in _SETTINGS_FORMS:
        return _SETTINGS_FORMS[str(path[0])]
    return _MAPPING_FORMS.get(key)


def _suggest_list_form(key: str, value: YamlValue) -> str:
    if isinstance(value, str) and value.startswith("-"):
        return "Write a space after each '-'."
    if isinstance(value, str) and key not in ENTRY_KEYS:
        return 'Write several values as [A, B], or one with white space or a comma as ["A B"].'
    if isinstance(value, dict) and "id" not in value and key in ENTRY_KEYS:
        fields = ("application_id: ID", "version_id: ID") if key == "application_versions" else ("id: ID", "name: TEXT")
        return f"Write each entry as `- {fields[0]}` and `{fields[1]}`."
    return _LIST_ADVICE


def _check_variables(document: Document, manifest: Manifest) -> None:
    checked: set[tuple[str, str]] = set()
    _check_variables_at(document, ("defaults", "variables"), manifest.defaults.variables, checked)
    for name, environment in manifest.environments.items():
        _check_variables_at(document, ("environments", name, "variables"), environment.variables, checked)
    for index, test in enumerate(manifest.tests):
        _check_variables_at(document, ("tests", index, "variables"), test.variables, checked)
        for name, values in test.matrix.items():
            path = ("tests", index, "matrix", name)
            for value in values:
                _check_variables_at(document, path[:-1], {name: value}, checked)
            if name in test.variables:
                document.add_error(path, f"{quote_name(name)} is in both variables and matrix. Remove one.")
        if count_combinations(test) > MAX_MATRIX_COMBINATIONS:
            document.add_error(
                ("tests", index, "matrix"), f"more than {MAX_MATRIX_COMBINATIONS:,} combinations. Split the matrix."
            )


def count_combinations(test: Test) -> int:
    """Return the number of runs of a test's matrix."""
    count = 1
    for values in test.matrix.values():
        count *= len(values)
    return count


def _check_variables_at(
    document: Document, path: KeyPath, variables: dict[str, str], checked: set[tuple[str, str]]
) -> None:
    # `checked` skips values that many aliases share.
    for name, value in variables.items():
        if (name, value) in checked:
            continue
        if (reason := find_variable_error(name, value)) is not None:
            document.add_error((*path, name), f"{quote_name(name)}: {reason}")
        else:
            checked.add((name, value))
