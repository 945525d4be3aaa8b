"""The option allow-env limits which environment variables a manifest reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.detection import all_secret_variables
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.manifest import interpolation
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.manifest_reader import collect_errors, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

REFUSALS = (
    "is an option of this step. Use another variable.",
    "contains a credential of this job. Use another variable.",
)
TEXT = "tests: [{{id: a, variables: {{V: '${{{0}}}'}}}}]"


def read_variable(name: str, *allowed_names: str) -> str:
    """Return the value of a variable that reads this name."""
    return read_manifest(TEXT.format(name), {name: "sentinel"}, allowed=allowed_names).tests[0].variables["V"]


@pytest.mark.parametrize("pattern", ["PREVIEW_URL", "PREVIEW_*", "*", "P?EVIEW_URL", "[A-Z]REVIEW_URL", "[!a]*_URL"])
def test_listed_name_is_read(pattern: str) -> None:
    """An entry is a name or a shell pattern, and one that matches is enough."""
    assert read_variable("PREVIEW_URL", "OTHER", pattern) == "sentinel"


@pytest.mark.parametrize("pattern", ["PREVIEW", "PREVIEW_UR", "PREVIEW_URL2", "preview_url", "PREVIEW_?", "none"])
def test_unlisted_name_is_rejected(pattern: str) -> None:
    """The error shows the line to add, also where the name has a default or is not set."""
    expected = "1:29: ${PREVIEW_URL} is not in allow-env. To allow it, add `allow-env: PREVIEW_URL` to the step."
    for text, environ in (("PREVIEW_URL", {"PREVIEW_URL": "sentinel"}), ("PREVIEW_URL:-x", {}), ("PREVIEW_URL:?x", {})):
        assert collect_errors(TEXT.format(text), environ, allowed=(pattern,)) == [expected]


def test_ci_values_need_no_permission() -> None:
    """`${ci.…}` reads no environment variable by its name."""
    assert read_manifest("tests: [{id: a, variables: {V: '${ci.branch:-main}'}}]", allowed=("none",)).tests[
        0
    ].variables == {"V": "main"}


def test_secret_needs_its_full_name() -> None:
    """A pattern that matches a secret's name does not allow it."""
    assert read_variable("TEST_USER_PASSWORD", "TEST_USER_PASSWORD") == "sentinel"
    for pattern in (
        "*",
        "TEST_*",
        "TEST_USER_PASSWOR?",
        "[T]EST_USER_PASSWORD",
        "TEST_USER",
        "test_user_password",
    ):
        (problem,) = collect_errors(
            TEXT.format("TEST_USER_PASSWORD"), {"TEST_USER_PASSWORD": "sentinel"}, allowed=(pattern,)
        )
        assert problem == (
            "1:29: ${TEST_USER_PASSWORD} looks like a secret. To allow it, "
            "add `allow-env: TEST_USER_PASSWORD` to the step."
        )


def test_names_ignore_case_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, PREVIEW_URL and preview_url are one variable."""
    import re

    monkeypatch.setattr(interpolation, "_NAME_FLAGS", re.IGNORECASE)
    assert read_variable("PREVIEW_URL", "preview_*") == "sentinel"
    assert read_variable("DB_PASSWORD", "db_password") == "sentinel"
    assert collect_errors(TEXT.format("DB_PASSWORD"), {"DB_PASSWORD": "x"}, allowed=("db_*",))


OPTION_NAMES = sorted(
    {name.replace("-", "_") for option in OPTIONS for name in (*option.github_input_names, option.env_var)}
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [*OPTION_NAMES, "AUTONOMA_ANYTHING", "INPUT_", "AUTONOMA_RUN_URL", "INPUT_WHO_TO_GREET"]
)
@pytest.mark.parametrize("key", ["name: '{0}'", "groups: ['{0}']", "variables: {{V: '{0}'}}", "matrix: {{V: ['{0}']}}"])
def test_options_are_never_read(name: str, key: str) -> None:
    """`AUTONOMA_VARIABLES` holds all values. No key and no entry of allow-env lets a manifest read it."""
    for spelling in (name, name.lower(), name.title()):
        for allowed_names in (None, (spelling,), ("*",)):
            text = f"tests: [{{id: a, {key.format(f'${{{spelling}:-x}}')}}}]"
            (problem,) = collect_errors(text, {spelling: "V=sentinel"}, allowed=allowed_names)
            assert problem.endswith(REFUSALS)
            assert "sentinel" not in problem


def test_options_are_rejected_in_ids() -> None:
    """Logs show ids, and a list of variables can have the form of an id."""
    for text in (
        "tests: ['${AUTONOMA_VARIABLES}']",
        "application_versions: [{application_id: '${INPUT_VARIABLES}', version_id: a}]",
    ):
        (problem,) = collect_errors(text, {"AUTONOMA_VARIABLES": "x", "INPUT_VARIABLES": "x"}, allowed=("*",))
        assert problem.endswith(REFUSALS)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({token.replace("*", "X") for token in all_secret_variables()}))
def test_ci_tokens_are_never_read(name: str) -> None:
    """The full name in allow-env does not allow the system's own token."""
    for allowed_names in ((name,), ("*",), (name.lower(),)):
        (problem,) = collect_errors(TEXT.format(name), {name: "sentinel"}, allowed=allowed_names)
        assert problem.endswith("contains a credential of this job. Use another variable.")


@pytest.mark.parametrize(
    "text",
    [
        "tests: ['${DB_PASSWORD}']",
        "tags: [{id: '${DB_PASSWORD}'}]",
        "tests: [{id: a, application_version_id: '${DB_PASSWORD}'}]",
        "defaults: {application_version_id: '${DB_PASSWORD}'}",
        "application_versions: [{application_id: a, version_id: '${DB_PASSWORD}'}]",
    ],
)
def test_allowed_secret_is_rejected_in_ids(text: str) -> None:
    """Logs show ids, and the author of a fork's manifest can read them."""
    (problem,) = collect_errors(text, {"DB_PASSWORD": "sentinel"}, allowed=("DB_PASSWORD",))
    assert "${DB_PASSWORD} looks like a secret, but ids are shown in logs. Use another variable." in problem
    (problem,) = collect_errors(text.replace("DB_PASSWORD", "PLAIN"), {"PLAIN": "ghp_sentinel"}, allowed=("PLAIN",))
    assert "${PLAIN} contains a token, but ids are shown in logs. Use another variable." in problem


ENVIRON = {**CREDENTIALS, "PREVIEW_URL": "https://x.example", "DB_PASSWORD": "sentinel-1", "BRANCH": "main"}
MANIFEST = "tests: [{id: a, variables: {U: '${PREVIEW_URL}', P: '${DB_PASSWORD}'}}]"


@pytest.mark.parametrize("command", [("validate",), ("run", "--dry-run")], ids=["validate", "run"])
@pytest.mark.parametrize("spelling", ["--allow-env", "AUTONOMA_ALLOW_ENV", "INPUT_ALLOW-ENV", "INPUT_ALLOW_ENV"])
def test_allow_env_works_in_every_spelling(command: tuple[str, ...], spelling: str, tmp_path: Path) -> None:
    """`run` and `validate` have the same rules."""
    (tmp_path / "autonoma.yml").write_text(MANIFEST, "utf-8")

    def invoke_with_names(text: str) -> tuple[int, str]:
        flags = (spelling, text) if spelling.startswith("--") and text else ()
        option_environ = {} if spelling.startswith("--") else {spelling: text}
        result = invoke(tmp_path, *command, *flags, environ=ENVIRON | option_environ)
        assert "sentinel" not in result.output
        return result.code, result.err

    assert invoke_with_names("PREVIEW_*, DB_PASSWORD") == (0, "")
    assert invoke_with_names("PREVIEW_URL\nDB_PASSWORD\n")[0] == 0
    code, errors = invoke_with_names("")
    assert (code, errors.count("allow-env: DB_PASSWORD"), errors.count("allow-env:")) == (2, 1, 1)
    code, errors = invoke_with_names("BRANCH")
    assert (code, errors.count("allow-env: DB_PASSWORD"), errors.count("allow-env: PREVIEW_URL")) == (2, 1, 1)


@pytest.mark.parametrize("command", [("validate",), ("run", "--dry-run")], ids=["validate", "run"])
def test_value_with_credential_is_rejected(command: tuple[str, ...], tmp_path: Path) -> None:
    """A copy of the client secret under another name is still the client secret."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, name: '${COPY}'}]", "utf-8")
    copied_environ = {"COPY": f"x={CREDENTIALS['AUTONOMA_CLIENT_SECRET']}", "AUTONOMA_ALLOW_ENV": "COPY"}
    result = invoke(tmp_path, *command, environ=CREDENTIALS | copied_environ)
    assert result.code == 2
    assert "${COPY} contains a credential of this job" in result.err
    assert CREDENTIALS["AUTONOMA_CLIENT_SECRET"] not in result.output


def test_short_credential_is_not_searched(tmp_path: Path) -> None:
    """The sandbox accepts any credentials, such as the text sandbox."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, variables: {U: '${URL}'}}]", "utf-8")
    environ = {"AUTONOMA_CLIENT_ID": "sandbox", "AUTONOMA_CLIENT_SECRET": "sandbox", "URL": "https://sandbox.example"}
    assert invoke(tmp_path, "--dry-run", environ=environ).code == 0


@pytest.mark.parametrize(
    "text", ["$BRANCH", "${BRANCH}", "BRANCH=sentinel", "A B", "env.A", "A-B", "A;B", "[A", "[]", "A]", "ä"]
)
@pytest.mark.parametrize("command", [("validate",), ("run", "--dry-run")], ids=["validate", "run"])
def test_malformed_entry_is_rejected(command: tuple[str, ...], text: str, tmp_path: Path) -> None:
    """A malformed entry would allow fewer or more names than intended."""
    (tmp_path / "autonoma.yml").write_text("tests: [a]", "utf-8")
    result = invoke(tmp_path, *command, "--allow-env", f"BRANCH, {text}", environ=CREDENTIALS)
    assert result.code == 2
    shown_text = text.replace("=sentinel", "=…")
    assert result.err == f"Error: --allow-env: invalid name or pattern: '{shown_text}'. Write BASE_URL or PREVIEW_*.\n"
    assert "sentinel" not in result.output


def test_list_without_names_is_rejected(tmp_path: Path) -> None:
    """An empty list could mean all names or none."""
    (tmp_path / "autonoma.yml").write_text("tests: [a]", "utf-8")
    result = invoke(tmp_path, "--dry-run", "--allow-env", " ,\n,", environ=CREDENTIALS)
    assert (result.code, result.errors) == (2, ["--allow-env: missing name. Write BASE_URL or PREVIEW_*."])
