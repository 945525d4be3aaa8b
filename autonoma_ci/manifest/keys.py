"""The keys of a manifest: what may be left out, shortened or ignored, and what an unknown key was meant to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.parsers import quote_name
from autonoma_ci.config.settings import closest_match
from autonoma_ci.manifest.schema import (
    ENTRY_COLLECTIONS,
    GROUP_NAME_RE,
    ApplicationVersion,
    Defaults,
    Folder,
    Manifest,
    Tag,
    Test,
)

if TYPE_CHECKING:
    from autonoma_ci.yaml_subset.document import KeyPath, Tree

# Keys of entries and of their lists, by the key of the list.
ENTRY_KEYS = {
    "tests": frozenset(Test.model_fields),
    "folders": frozenset(Folder.model_fields),
    "tags": frozenset(Tag.model_fields),
    "application_versions": frozenset(ApplicationVersion.model_fields),
}
# A slip of the finger in a word of four letters leaves three quarters of it alike.
_LEAST = 0.7
# Words that other tools use.
_SYNONYMS = {
    **dict.fromkeys(("test", "test_ids"), "tests"),
    **dict.fromkeys(("folder", "folder_ids"), "folders"),
    **dict.fromkeys(("tag", "tag_ids"), "tags"),
    **dict.fromkeys(("group", "labels"), "groups"),
    **dict.fromkeys(("title", "label"), "name"),
    **dict.fromkeys(("test_id", "folder_id", "tag_id", "uuid", "key"), "id"),
    **dict.fromkeys(("env", "environment", "vars", "variable", "params", "parameters", "with"), "variables"),
    **dict.fromkeys(("strategy",), "matrix"),
    **dict.fromkeys(("default",), "defaults"),
    **dict.fromkeys(("app_version_id",), "application_version_id"),
    **dict.fromkeys(("app_versions", "versions"), "application_versions"),
    **dict.fromkeys(("latest",), "run_on_latest"),
}
# Where a key belongs that stands elsewhere.
_TOP = ("tests", "folders", "tags", "version", "application_versions", "run_on_latest", "defaults")
_HOMES = {
    **dict.fromkeys(_TOP, "at the top of the manifest"),
    "variables": "under `defaults` or in an entry of `tests`",
    "application_version_id": "under `defaults` or in an entry of `tests`",
    "matrix": "in an entry of `tests`",
    **dict.fromkeys(("groups", "name", "id"), "in an entry of `tests`, `folders` or `tags`"),
    **dict.fromkeys(("application_id", "version_id"), "in an entry of `application_versions`"),
}
_WORD = re.compile(GROUP_NAME_RE)
_OPTION_NAMES = frozenset(option.name for option in OPTIONS)


def expand_short_forms(tree: Tree) -> Tree:
    """Return the tree of a manifest in its long form.

    Without keys that begin with `x-` and collections with nothing below, and with a list in place of a single group or
    a single value of a matrix.
    """
    if not isinstance(tree, dict):
        return tree
    found = _without_unused(tree)
    for kind in ENTRY_KEYS:
        if isinstance(entries := found.get(kind), list):
            found[kind] = [_complete_entry(entry) for entry in entries]
    if isinstance(found.get("defaults"), dict):
        found["defaults"] = _without_unused(cast("dict[str, Tree]", found["defaults"]))
    return found


def _without_unused(mapping: dict[str, Tree]) -> dict[str, Tree]:
    return {
        key: value
        for key, value in mapping.items()
        if not key.startswith("x-") and not (value is None and key in ENTRY_COLLECTIONS)
    }


def _complete_entry(entry: Tree) -> Tree:
    if not isinstance(entry, dict):
        return entry
    found = _without_unused(entry)
    if "groups" in found:
        found["groups"] = _as_list(found["groups"])
    if isinstance(matrix := found.get("matrix"), dict):
        found["matrix"] = {name: _as_list(value) for name, value in matrix.items()}
    return found


def _as_list(value: Tree) -> Tree:
    """Return the list of a single word. Any other text was meant as several values more often than as one."""
    return [value] if isinstance(value, str) and _WORD.fullmatch(value) else value


def explain_unknown_key(path: KeyPath, key: str) -> str:
    """Return what to write in place of a key that is not known at this path."""
    allowed = _keys_at(path)
    spelled = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).replace("-", "_").replace(" ", "_").lower()
    if path and path[0] == f"{spelled}s":
        # Such as `- test: ID` below `tests`.
        return f"unknown key {quote_name(key)}: did you mean 'id'?"
    meant = next((name for name in (spelled, _SYNONYMS.get(spelled, "")) if name in allowed), "")
    if meant := meant or closest_match(spelled, sorted(allowed), _LEAST):
        return f"unknown key {quote_name(key)}: did you mean '{meant}'?"
    home = next((name for name in (spelled, _SYNONYMS.get(spelled, "")) if name in _HOMES), "")
    option = spelled.replace("_", "-")
    if home:
        what = "it" if home == key else f"'{home}'"
        return f"the key {quote_name(key)} is not allowed here: put {what} {_HOMES[home]}"
    if option in _OPTION_NAMES:
        return f"{quote_name(key)} is an option of the step, not a key of the manifest: give the option {option}"
    if home := closest_match(spelled, list(_HOMES), _LEAST):
        return f"unknown key {quote_name(key)}: did you mean '{home}'? Put it {_HOMES[home]}"
    listed = ", ".join(sorted(allowed))
    return f"unknown key {quote_name(key)}: use {listed}, or begin it with 'x-' to have it ignored"


def _keys_at(path: KeyPath) -> frozenset[str]:
    """Return the keys that the mapping at this path may have."""
    if path and path[0] == "defaults":
        return frozenset(Defaults.model_fields)
    return ENTRY_KEYS[str(path[0])] if path else frozenset(Manifest.model_fields)
