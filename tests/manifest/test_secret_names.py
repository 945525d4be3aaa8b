"""Names of secrets: a manifest reads none of them unless `allow-env` lists its full name."""

from __future__ import annotations

import pytest

from tests.manifest.environment_names import HARMLESS, SECRETS
from tests.manifest.reading import one_test, problems

KEYS = {
    "variables": "tests: [{{id: a, variables: {{V: '{0}'}}}}]",
    "defaults": "defaults: {{variables: {{V: '{0}'}}}}\ntests: [a]",
    "matrix": "tests: [{{id: a, matrix: {{V: ['{0}', x]}}}}]",
    "name": "tests: [{{id: a, name: 'Pays {0}'}}]",
    "groups": "folders: [{{id: a, groups: ['{0}']}}]",
    "id": "tags: ['{0}']",
    "version id": "defaults: {{application_version_id: '{0}'}}\ntests: [a]",
}


@pytest.mark.parametrize("name", SECRETS)
def test_secret_name_is_refused_in_variables(name: str) -> None:
    """The error shows the line that lets the manifest read it, and not the value."""
    for text in (f"${{{name}}}", f"https://x.example/?q=${{{name}:-none}}", f"${{{name}:?why}}"):
        (problem,) = problems(KEYS["variables"].format(text), {name: "sentinel"})
        assert f"add `allow-env: {name}` to the step" in problem or "credential of this job" in problem
        assert "sentinel" not in problem


@pytest.mark.parametrize("key", KEYS)
def test_secret_name_is_refused_in_every_key(key: str) -> None:
    """A shown key and a key that is sent have the same rule."""
    (problem,) = problems(KEYS[key].format("${DB_PASSWORD}"), {"DB_PASSWORD": "sentinel"})
    assert "${DB_PASSWORD} looks like a secret" in problem
    assert "`allow-env: DB_PASSWORD`" in problem
    (unset,) = problems(KEYS[key].format("${DB_PASSWORD:-x}"))
    assert "${DB_PASSWORD} looks like a secret" in unset


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_name_is_read(name: str) -> None:
    """The rules refuse no name that a manifest usually reads."""
    assert one_test(KEYS["variables"].format(f"${{{name}}}"), {name: "x"}).variables == {"V": "x"}


def test_lists_of_names_are_long_enough() -> None:
    """The rules stand for kinds of names, which takes many examples."""
    assert (len(set(SECRETS)) >= 150, len(set(HARMLESS)) >= 60) == (True, True)
