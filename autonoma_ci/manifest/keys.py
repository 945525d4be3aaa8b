"""Expand short forms of manifest values, drop unused keys, and explain unknown keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.parsers import quote_name
from autonoma_ci.manifest.schema import (
    ENTRY_COLLECTIONS,
    GROUP_NAME_PATTERN,
    ApplicationVersion,
    Defaults,
    EntryQuarantine,
    Environment,
    Folder,
    GroupSettings,
    Manifest,
    Tag,
    Test,
    When,
)

if TYPE_CHECKING:
    from autonoma_ci.yaml_subset.document import KeyPath, YamlValue

# Keys of entries and of their lists, by the key of the list.
ENTRY_KEYS = {
    "tests": frozenset(Test.model_fields),
    "folders": frozenset(Folder.model_fields),
    "tags": frozenset(Tag.model_fields),
    "application_versions": frozenset(ApplicationVersion.model_fields),
}
# Keys of the mappings in an entry, by their key in the entry.
_KEYS_IN_ENTRY = {"when": frozenset(When.model_fields), "quarantine": frozenset(EntryQuarantine.model_fields)}
# Keys of the settings of a name, by the key at the top of the manifest.
_SETTINGS_KEYS = {
    "groups": frozenset(GroupSettings.model_fields),
    "environments": frozenset(Environment.model_fields),
}
# A similarity ratio. With one wrong letter, a word of four letters has a ratio of 0.75.
_MIN_SIMILARITY = 0.7
# Words of other tools, with the keys of the manifest.
_SYNONYMS = {
    **dict.fromkeys(("test", "test_ids"), "tests"),
    **dict.fromkeys(("folder", "folder_ids"), "folders"),
    **dict.fromkeys(("tag", "tag_ids"), "tags"),
    **dict.fromkeys(("group", "labels"), "groups"),
    **dict.fromkeys(("title", "label"), "name"),
    **dict.fromkeys(("test_id", "folder_id", "tag_id", "uuid", "key"), "id"),
    **dict.fromkeys(("env", "vars", "variable", "params", "parameters", "with"), "variables"),
    **dict.fromkeys(("strategy",), "matrix"),
    **dict.fromkeys(("default",), "defaults"),
    **dict.fromkeys(("app_version_id",), "application_version_id"),
    **dict.fromkeys(("app_versions", "versions"), "application_versions"),
    **dict.fromkeys(("latest",), "run_on_latest"),
    **dict.fromkeys(("envs", "stages", "targets"), "environments"),
    **dict.fromkeys(("owners", "team", "maintainer", "assignee", "contact", "responsible"), "owner"),
    **dict.fromkeys(("retry", "retry_count", "max_retries", "attempts"), "retries"),
    **dict.fromkeys(("timeout", "timeout_minutes", "max_duration"), "run_timeout"),
    **dict.fromkeys(("flaky", "muted", "mute", "known_failure", "xfail", "allow_failure"), "quarantine"),
    **dict.fromkeys(("paths", "files", "changes", "changed_files", "patterns"), "changed"),
    **dict.fromkeys(("deadline", "expires", "expiry", "end", "date"), "until"),
    **dict.fromkeys(("why", "because"), "reason"),
    **dict.fromkeys(("link", "ticket", "bug", "jira"), "issue"),
    **dict.fromkeys(("wait_for", "health_check"), "wait_for_url"),
}
# Where each key belongs, for a message about a misplaced key.
_TOP_LEVEL_KEYS = (
    *("tests", "folders", "tags", "version", "application_versions", "run_on_latest", "defaults", "environments"),
    "always",
)
_ANY_ENTRY = "in an entry of `tests`, `folders` or `tags`"
_LOCATIONS = {
    **dict.fromkeys(_TOP_LEVEL_KEYS, "at the top of the manifest"),
    "variables": "under `defaults`, in one of `environments` or in an entry of `tests`",
    "application_version_id": "under `defaults` or in an entry of `tests`",
    "matrix": "in an entry of `tests`",
    **dict.fromkeys(("groups", "name", "id", "owner", "when", "quarantine"), _ANY_ENTRY),
    **dict.fromkeys(("retries", "run_timeout"), "under `defaults` or in an entry"),
    "changed": "under `when` in an entry",
    **dict.fromkeys(("until", "reason", "issue"), "under `quarantine` in an entry"),
    "wait_for_url": "in one of `environments`",
    **dict.fromkeys(("application_id", "version_id"), "in an entry of `application_versions`"),
}
# Remedies for keys of other tools without a key here.
_IN_ENTRY_REMEDIES = {
    **dict.fromkeys(
        ("environment", "environments"), "Use `environments` at the top of the manifest, and `variables` here"
    ),
    **dict.fromkeys(
        ("skip", "skipped", "disabled", "enabled", "ignore"), "Use `quarantine`, or a group with `default: false`"
    ),
    **dict.fromkeys(
        ("depends", "depends_on", "needs", "after", "before"), "Runs have no order. Use groups in several steps"
    ),
    **dict.fromkeys(("if", "rules"), "Use `when: { changed: [PATTERN] }`, or a condition of the step"),
}
_OTHER_REMEDIES = {("defaults", "environment"): "Write `default: true` in one of `environments`"}
_SINGLE_VALUE_RE = re.compile(GROUP_NAME_PATTERN)
_OPTION_NAMES = frozenset(option.name for option in OPTIONS)


def expand_short_forms(tree: YamlValue) -> YamlValue:
    """Return the tree of a manifest in its long form.

    Keys that begin with `x-` and collections without content are removed. A single word becomes a list where a list is
    expected.
    """
    if not isinstance(tree, dict):
        return tree
    result = _remove_unused(tree)
    for kind in ENTRY_KEYS:
        if isinstance(entries := result.get(kind), list):
            result[kind] = [_expand_entry(entry) for entry in entries]
    if "always" in result:
        result["always"] = _wrap_in_list(result["always"])
    for kind in _SETTINGS_KEYS:
        if isinstance(settings := result.get(kind), dict):
            result[kind] = {name: _expand_settings(value) for name, value in settings.items()}
    if isinstance(result.get("defaults"), dict):
        result["defaults"] = _remove_unused(cast("dict[str, YamlValue]", result["defaults"]))
    return result


def _remove_unused(mapping: dict[str, YamlValue]) -> dict[str, YamlValue]:
    return {
        key: value
        for key, value in mapping.items()
        if not key.startswith("x-") and not (value is None and key in ENTRY_COLLECTIONS)
    }


def _expand_settings(value: YamlValue) -> YamlValue:
    """Return the settings of a group or of an environment in their long form."""
    if value is None:
        return {}
    return _remove_unused(value) if isinstance(value, dict) else value


def _expand_entry(entry: YamlValue) -> YamlValue:
    if not isinstance(entry, dict):
        return entry
    result = _remove_unused(entry)
    if "groups" in result:
        result["groups"] = _wrap_in_list(result["groups"])
    if isinstance(matrix := result.get("matrix"), dict):
        result["matrix"] = {name: _wrap_in_list(value) for name, value in matrix.items()}
    if isinstance(when := result.get("when"), dict):
        when = result["when"] = _remove_unused(when)
        if "changed" in when:
            when["changed"] = _wrap_in_list(when["changed"])
    if isinstance(quarantine := result.get("quarantine"), dict):
        result["quarantine"] = _remove_unused(quarantine)
    return result


def _wrap_in_list(value: YamlValue) -> YamlValue:
    """Return a single word as a list.

    Another string stays a string and is an error later, because it often means several values.
    """
    return [value] if isinstance(value, str) and _SINGLE_VALUE_RE.fullmatch(value) else value


def explain_unknown_key(path: KeyPath, key: str) -> str:
    """Return the message for an unknown key at this path."""
    from autonoma_ci.config.suggestions import find_closest_match

    allowed = _get_allowed_keys(path)
    normalized = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).replace("-", "_").replace(" ", "_").lower()
    if path and path[0] == f"{normalized}s" and "id" in allowed:
        # An example is `- test: ID` below `tests`.
        return f"unknown key: {quote_name(key)}. Did you mean 'id'?"
    if remedy := _find_remedy(path, normalized):
        return f"unknown key: {quote_name(key)}. {remedy}."
    spellings = (normalized, _SYNONYMS.get(normalized, normalized))
    suggestion = next((name for name in spellings if name in allowed), None)
    if suggestion := suggestion or find_closest_match(normalized, sorted(allowed), _MIN_SIMILARITY):
        return f"unknown key: {quote_name(key)}. Did you mean '{suggestion}'?"
    option = normalized.replace("_", "-")
    known_key = next((name for name in spellings if name in _LOCATIONS), None)
    if known_key == key:
        return f"misplaced key: {quote_name(key)}. Put this key {_LOCATIONS[known_key]}."
    # At the top of the manifest, a key with the name of an option is more likely this option than a synonym.
    if option in _OPTION_NAMES and (not known_key or (known_key != normalized and not path)):
        return f"unknown key: {quote_name(key)}. Set the option {option} of the step instead."
    if known_key := known_key or find_closest_match(normalized, list(_LOCATIONS), _MIN_SIMILARITY):
        return f"unknown key: {quote_name(key)}. Did you mean '{known_key}'? Put this key {_LOCATIONS[known_key]}."
    key_list = ", ".join(sorted(allowed))
    return f"unknown key: {quote_name(key)}. Use {key_list}, or the prefix 'x-' for an ignored key."


def _find_remedy(path: KeyPath, normalized: str) -> str | None:
    """Return the remedy for a key of another tool, or None without one."""
    if len(path) == 2 and path[0] in {"tests", "folders", "tags"}:
        return _IN_ENTRY_REMEDIES.get(normalized)
    return _OTHER_REMEDIES.get((str(path[0]), normalized)) if path else None


def _get_allowed_keys(path: KeyPath) -> frozenset[str]:
    """Return the keys that the mapping at this path may have."""
    if not path:
        return frozenset(Manifest.model_fields)
    if path[0] == "defaults":
        return frozenset(Defaults.model_fields)
    if path[0] in _SETTINGS_KEYS:
        return _SETTINGS_KEYS[str(path[0])]
    return _KEYS_IN_ENTRY[str(path[2])] if len(path) > 2 else ENTRY_KEYS[str(path[0])]
