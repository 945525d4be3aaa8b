"""Environment variables with secret names need their full name in allow-env."""

from __future__ import annotations

import pytest

from autonoma_ci.manifest.secret_names import is_secret_name
from tests.support.environment_names import HARMLESS_NAMES, SECRET_NAMES
from tests.support.manifest_reader import collect_errors, read_single_test

KEYS = {
    "variables": "tests: [{{id: a, variables: {{V: '{0}'}}}}]",
    "defaults": "defaults: {{variables: {{V: '{0}'}}}}\ntests: [a]",
    "matrix": "tests: [{{id: a, matrix: {{V: ['{0}', x]}}}}]",
    "name": "tests: [{{id: a, name: 'Pays {0}'}}]",
    "groups": "folders: [{{id: a, groups: ['{0}']}}]",
    "id": "tags: ['{0}']",
    "version id": "defaults: {{application_version_id: '{0}'}}\ntests: [a]",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_name_is_rejected_in_values(name: str) -> None:
    """The error shows the line to add and hides the value."""
    for text in (f"${{{name}}}", f"https://x.example/?q=${{{name}:-none}}", f"${{{name}:?why}}"):
        (problem,) = collect_errors(KEYS["variables"].format(text), {name: "sentinel"})
        assert f"add `allow-env: {name}` to the step" in problem or "credential of this job" in problem
        assert "sentinel" not in problem


@pytest.mark.parametrize("key", KEYS)
def test_secret_name_is_rejected_in_keys(key: str) -> None:
    """Keys that are shown and keys that are sent have the same rule."""
    (problem,) = collect_errors(KEYS[key].format("${DB_PASSWORD}"), {"DB_PASSWORD": "sentinel"})
    assert "${DB_PASSWORD} looks like a secret" in problem
    assert "`allow-env: DB_PASSWORD`" in problem
    (problem,) = collect_errors(KEYS[key].format("${DB_PASSWORD:-x}"))
    assert "${DB_PASSWORD} looks like a secret" in problem


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_harmless_name_is_read(name: str) -> None:
    """The rules reject no common name."""
    assert read_single_test(KEYS["variables"].format(f"${{{name}}}"), {name: "x"}).variables == {"V": "x"}


def test_names_are_classified() -> None:
    """All names of the first list are likely secrets, and none of the second."""
    assert [name for name in SECRET_NAMES if not is_secret_name(name)] == []
    assert [name for name in HARMLESS_NAMES if is_secret_name(name)] == []


def test_name_lists_are_long_enough() -> None:
    """Rules for kinds of names need many examples."""
    assert (len(set(SECRET_NAMES)) >= 150, len(set(HARMLESS_NAMES)) >= 60) == (True, True)
