"""Tests of short forms and unknown keys of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.manifest.keys import ENTRY_KEYS, expand_short_forms, explain_unknown_key

if TYPE_CHECKING:
    from autonoma_ci.yaml_subset.document import KeyPath, YamlValue

TOP: KeyPath = ()
TEST: KeyPath = ("tests", 0)
FOLDER: KeyPath = ("folders", 3)
DEFAULTS: KeyPath = ("defaults",)
WHEN: KeyPath = ("tests", 0, "when")
QUARANTINE: KeyPath = ("tags", 0, "quarantine")
GROUP: KeyPath = ("groups", "nightly")
ENVIRONMENT: KeyPath = ("environments", "staging")
VERSION: KeyPath = ("application_versions", 1)
VARIABLES_PLACE = "under `defaults`, in one of `environments` or in an entry of `tests`"
ENTRY_KEY_LIST = "owner, quarantine, retries, run_timeout"
IGNORE_ADVICE = "or the prefix 'x-' for an ignored key."


@pytest.mark.parametrize("tree", ["a text", None, ["a", "b"], []])
def test_other_tree_is_unchanged(tree: YamlValue) -> None:
    """A manifest that is no mapping is an error of the loader."""
    assert expand_short_forms(tree) == tree


@pytest.mark.parametrize("kind", ["tests", "folders", "tags", "application_versions"])
def test_entry_of_any_kind_is_expanded(kind: str) -> None:
    """Single groups become lists in the entries of each list."""
    tree: YamlValue = {kind: ["id-1", {"id": "id-2", "groups": "smoke", "x-note": "for readers"}]}
    assert expand_short_forms(tree) == {kind: ["id-1", {"id": "id-2", "groups": ["smoke"]}]}


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"x-all": {"a": "b"}, "tests": ["a"]}, {"tests": ["a"]}),
        ({"x": "1", "X-all": "2"}, {"x": "1", "X-all": "2"}),
        ({"tests": None, "folders": None, "tags": None, "application_versions": None, "defaults": None}, {}),
        ({"version": None, "run_on_latest": None}, {"version": None, "run_on_latest": None}),
        ({"tests": [{"id": "a", "groups": None, "variables": None, "matrix": None}]}, {"tests": [{"id": "a"}]}),
        ({"tests": [{"id": None, "name": None}]}, {"tests": [{"id": None, "name": None}]}),
        ({"defaults": {"x-a": "b", "variables": None, "zebra": "c"}}, {"defaults": {"zebra": "c"}}),
        ({"defaults": "text"}, {"defaults": "text"}),
        ({"tests": "text", "tags": {"id": "a"}}, {"tests": "text", "tags": {"id": "a"}}),
        ({"tests": [None, ["a"], "b"]}, {"tests": [None, ["a"], "b"]}),
        ({"environments": None, "always": None, "groups": None}, {}),
        (
            {"environments": {"a": None, "x-b": {"x-c": "d", "default": "true"}}},
            {"environments": {"a": {}, "x-b": {"default": "true"}}},
        ),
        (
            {"groups": {"a": None, "x-b": {"x-c": "d"}}, "always": {"x-a": "b"}},
            {"groups": {"a": {}, "x-b": {}}, "always": {"x-a": "b"}},
        ),
        (
            {"tests": [{"when": {"x-a": "b"}, "quarantine": {"x-a": "b", "issue": None}}]},
            {"tests": [{"when": {}, "quarantine": {"issue": None}}]},
        ),
        ({"tests": [{"when": None, "quarantine": "true"}]}, {"tests": [{"when": None, "quarantine": "true"}]}),
    ],
)
def test_unused_keys_are_removed(tree: YamlValue, expected: YamlValue) -> None:
    """Ignored keys and collections without content are removed, and nothing else."""
    assert expand_short_forms(tree) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("smoke", ["smoke"]),
        ("-1", ["-1"]),
        ("${NAME:-a b}", ["${NAME:-a b}"]),
        (["smoke"], ["smoke"]),
        ({"a": "b"}, {"a": "b"}),
        ("a b", "a b"),
        ("a, b", "a, b"),
        ("a,b", "a,b"),
        ("-smoke", "-smoke"),
        ("-", "-"),
        ("", ""),
        ("${A} ${B}", "${A} ${B}"),
    ],
)
def test_single_value_becomes_list(value: YamlValue, expected: YamlValue) -> None:
    """A text that may mean several values stays text, in each list."""
    entry: YamlValue = {"id": "a", "groups": value, "when": {"changed": value}, "matrix": {"A": value, "B": ["c"]}}
    expanded = {"id": "a", "groups": expected, "when": {"changed": expected}, "matrix": {"A": expected, "B": ["c"]}}
    assert expand_short_forms({"tests": [entry], "always": value}) == {"tests": [expanded], "always": expected}


@pytest.mark.parametrize("matrix", ["A", ["A"]])
def test_matrix_of_other_type_is_unchanged(matrix: YamlValue) -> None:
    """A matrix that is no mapping is an error of the loader."""
    assert expand_short_forms({"tests": [{"matrix": matrix}]}) == {"tests": [{"matrix": matrix}]}


def test_given_tree_is_not_changed() -> None:
    """An alias can repeat a part of the tree, so no part is changed in place."""
    entry: YamlValue = {"id": "a", "groups": "smoke", "x-a": "b"}
    expand_short_forms({"tests": [entry], "x-b": "c", "defaults": {"x-d": "e"}})
    assert entry == {"id": "a", "groups": "smoke", "x-a": "b"}


@pytest.mark.parametrize(
    ("path", "key", "suggestion"),
    [
        (TOP, "tets", "tests"),
        (TOP, "test", "tests"),
        (TOP, "Test-IDs", "tests"),
        (TOP, "runOnLatest", "run_on_latest"),
        (TOP, "run on latest", "run_on_latest"),
        (TOP, "default", "defaults"),
        (TOP, "app_versions", "application_versions"),
        (TOP, "latest", "run_on_latest"),
        (TEST, "nmae", "name"),
        (TEST, "uuid", "id"),
        (TEST, "title", "name"),
        (TEST, "with", "variables"),
        (TEST, "strategy", "matrix"),
        (TEST, "labels", "groups"),
        (TEST, "applicationVersionID", "application_version_id"),
        (TEST, "test", "id"),
        (FOLDER, "Folder", "id"),
        (("tags", 0), "tag", "id"),
        (DEFAULTS, "env", "variables"),
        (DEFAULTS, "retry", "retries"),
        (DEFAULTS, "timeout", "run_timeout"),
        (TEST, "timeout", "run_timeout"),
        (TEST, "owners", "owner"),
        (TEST, "team", "owner"),
        (TEST, "muted", "quarantine"),
        (FOLDER, "flaky", "quarantine"),
        (TOP, "environment", "environments"),
        (TOP, "envs", "environments"),
        (WHEN, "paths", "changed"),
        (WHEN, "changes", "changed"),
        (QUARANTINE, "expires", "until"),
        (QUARANTINE, "why", "reason"),
        (QUARANTINE, "ticket", "issue"),
        (ENVIRONMENT, "env", "variables"),
        (ENVIRONMENT, "wait_for", "wait_for_url"),
        (ENVIRONMENT, "wait-for-url", "wait_for_url"),
        (GROUP, "defualt", "default"),
        (DEFAULTS, "app-version-id", "application_version_id"),
        (VERSION, "application-id", "application_id"),
        (VERSION, "versionId", "version_id"),
        (VERSION, "application_version", "application_id"),
    ],
)
def test_similar_key_is_suggested(path: KeyPath, key: str, suggestion: str) -> None:
    """A typing error or the word of another tool leads to a key that is valid at this place."""
    assert explain_unknown_key(path, key) == f"unknown key: '{key}'. Did you mean '{suggestion}'?"


@pytest.mark.parametrize(
    ("path", "key", "remedy"),
    [
        (TOP, "variables", f"Put this key {VARIABLES_PLACE}"),
        (TOP, "id", "Put this key in an entry of `tests`, `folders` or `tags`"),
        (TOP, "matrix", "Put this key in an entry of `tests`"),
        (TEST, "version_id", "Put this key in an entry of `application_versions`"),
        (FOLDER, "variables", f"Put this key {VARIABLES_PLACE}"),
        (TEST, "run_on_latest", "Put this key at the top of the manifest"),
        (DEFAULTS, "groups", "Put this key in an entry of `tests`, `folders` or `tags`"),
        (VERSION, "name", "Put this key in an entry of `tests`, `folders` or `tags`"),
        (TOP, "when", "Put this key in an entry of `tests`, `folders` or `tags`"),
        (TOP, "quarantine", "Put this key in an entry of `tests`, `folders` or `tags`"),
        (DEFAULTS, "quarantine", "Put this key in an entry of `tests`, `folders` or `tags`"),
        (TOP, "retries", "Put this key under `defaults` or in an entry"),
        (TEST, "changed", "Put this key under `when` in an entry"),
        (TEST, "until", "Put this key under `quarantine` in an entry"),
        (TEST, "wait_for_url", "Put this key in one of `environments`"),
        (WHEN, "always", "Put this key at the top of the manifest"),
        (ENVIRONMENT, "matrix", "Put this key in an entry of `tests`"),
    ],
)
def test_misplaced_key_has_its_place(path: KeyPath, key: str, remedy: str) -> None:
    """A key that is valid elsewhere has its place in the message."""
    assert explain_unknown_key(path, key) == f"misplaced key: '{key}'. {remedy}."


@pytest.mark.parametrize(
    ("path", "key", "suggestion"),
    [
        (TOP, "matrx", "Did you mean 'matrix'? Put this key in an entry of `tests`"),
        (
            TOP,
            "varables",
            f"Did you mean 'variables'? Put this key {VARIABLES_PLACE}",
        ),
        (FOLDER, "verson", "Did you mean 'version'? Put this key at the top of the manifest"),
        (
            TOP,
            "env",
            f"Did you mean 'variables'? Put this key {VARIABLES_PLACE}",
        ),
        (FOLDER, "strategy", "Did you mean 'matrix'? Put this key in an entry of `tests`"),
        (TEST, "Defaults", "Did you mean 'defaults'? Put this key at the top of the manifest"),
        (DEFAULTS, "default", "Did you mean 'defaults'? Put this key at the top of the manifest"),
        (TEST, "paths", "Did you mean 'changed'? Put this key under `when` in an entry"),
        (TOP, "flaky", "Did you mean 'quarantine'? Put this key in an entry of `tests`, `folders` or `tags`"),
        (TEST, "skip", "Use `quarantine`, or a group with `default: false`"),
        (TEST, "environment", "Use `environments` at the top of the manifest, and `variables` here"),
        (FOLDER, "depends_on", "Runs have no order. Use groups in several steps"),
        (TEST, "if", "Use `when: { changed: [PATTERN] }`, or a condition of the step"),
        (DEFAULTS, "environment", "Write `default: true` in one of `environments`"),
    ],
)
def test_misspelled_key_has_its_place(path: KeyPath, key: str, suggestion: str) -> None:
    """A synonym or a typing error of a misplaced key leads to the key."""
    assert explain_unknown_key(path, key) == f"unknown key: '{key}'. {suggestion}."


@pytest.mark.parametrize(
    ("key", "option"),
    [("timeout", "timeout"), ("results_dir", "results-dir"), ("resultsDir", "results-dir"), ("fail fast", "fail-fast")],
)
def test_option_is_no_key(key: str, option: str) -> None:
    """An option of the step does not belong into the manifest."""
    assert explain_unknown_key(TOP, key) == (f"unknown key: '{key}'. Set the option {option} of the step instead.")


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (
            TOP,
            (
                "always, application_versions, defaults, environments, folders, groups, run_on_latest, tags, tests, "
                "version"
            ),
        ),
        (
            TEST,
            f"application_version_id, groups, id, matrix, name, {ENTRY_KEY_LIST}, variables, when",
        ),
        (FOLDER, f"groups, id, name, {ENTRY_KEY_LIST}, when"),
        (DEFAULTS, "application_version_id, retries, run_timeout, variables"),
        (VERSION, "application_id, version_id"),
        (WHEN, "changed"),
        (QUARANTINE, "issue, reason, until"),
        (GROUP, "default"),
        (ENVIRONMENT, "default, variables, wait_for_url"),
    ],
)
@pytest.mark.parametrize("key", ["zebra", ""])
def test_other_key_lists_valid_ones(path: KeyPath, keys: str, key: str) -> None:
    """A key that resembles no other one leads to the list of keys."""
    assert explain_unknown_key(path, key) == f"unknown key: '{key}'. Use {keys}, {IGNORE_ADVICE}"


@pytest.mark.parametrize(
    ("key", "expected_key"),
    [
        ("a\x1b[31m\nb", "a\ufffd[31m b"),
        ("\u202eabc\u200b", "abc"),
        ("z" * 100_000, "z" * 59 + "…"),
        ("::error::x", "::error::x"),
    ],
    ids=["controls", "invisible", "long", "command"],
)
def test_key_is_shown_on_one_line(key: str, expected_key: str) -> None:
    """A key is text from outside, so the message has it short and without controls."""
    assert explain_unknown_key(TEST, key).startswith(f"unknown key: '{expected_key}'. Use ")


@pytest.mark.parametrize("kind", ENTRY_KEYS)
def test_suggested_key_is_valid_in_entry(kind: str) -> None:
    """The singular of a list leads to a key that the entries of the list have."""
    message = explain_unknown_key((kind, 0), kind.removesuffix("s"))
    assert message.partition("Did you mean '")[2].removesuffix("'?") in ENTRY_KEYS[kind]
