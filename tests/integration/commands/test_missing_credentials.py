"""Errors about missing and invalid credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.unit.app.test_credentials import get_credential_error

if TYPE_CHECKING:
    from pathlib import Path

ID_VARIABLE, SECRET_VARIABLE = "AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET"


@pytest.mark.parametrize("argv", [("run", "--test-ids", "a"), ("list",), ("init", "--all")])
def test_commands_share_error_text(argv: tuple[str, ...], tmp_path: Path) -> None:
    """All commands have the same error for missing credentials."""
    for environ in ({}, {ID_VARIABLE: "an-id"}, {ID_VARIABLE: "one-text", SECRET_VARIABLE: "one-text"}):
        result = invoke(tmp_path, *argv, environ=environ)
        assert (result.code, result.errors) == (2, [get_credential_error(environ, "cli")])


def test_skip_ignores_equal_credentials(tmp_path: Path) -> None:
    """The option `on-missing-credentials` covers missing credentials only."""
    environ = {ID_VARIABLE: "one-text", SECRET_VARIABLE: "one-text", "AUTONOMA_TEST_IDS": "a"}
    assert invoke(tmp_path, "--on-missing-credentials", "skip", environ=environ).code == 2


@pytest.mark.parametrize(
    ("system", "text", "code"),
    [
        ("gitlab", "$NAME", 0), ("gitlab", "$(NAME)", 2), ("gitlab", "${{ secrets.NAME }}", 2), ("gitlab", "%NAME%", 2),
        ("azure", "$(NAME)", 0), ("azure", "$NAME", 2), ("azure", "{{ NAME }}", 2),
        ("github", "$(NAME)", 2), ("github", "$NAME", 2), ("github", "", 0),
    ],
)  # fmt: skip
def test_skip_ignores_foreign_reference(system: str, text: str, code: int, tmp_path: Path) -> None:
    """A typing error would make every build green."""
    environ = {
        "AUTONOMA_CI": system,
        ID_VARIABLE: text,
        SECRET_VARIABLE: text,
        "AUTONOMA_ON_MISSING_CREDENTIALS": "skip",
    }
    result = invoke(tmp_path, "--test-ids", "a", environ=environ)
    assert result.code == code, result.output
    if code:
        assert "such as " in result.err
        assert ": the variable is not set, or the syntax is of another CI system" in result.err


def test_reference_like_credential_is_hidden(tmp_path: Path) -> None:
    """No output shows a credential that looks like a reference to a variable."""
    environ = {**CREDENTIALS, SECRET_VARIABLE: "$HUNTER2X"}
    result = invoke(tmp_path, "--groups", "$HUNTER2X", environ=environ)
    assert (result.code, "HUNTER2X" in result.output) == (2, False)


def test_groups_none_needs_no_credentials(tmp_path: Path) -> None:
    """Nothing is sent, so the step is skipped as after missing credentials."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, groups: [smoke]}]\n", "utf-8")
    for environ in ({}, CREDENTIALS):
        result = invoke(tmp_path, "--test-ids", "b", "--groups", "none", "--results-dir", "out", environ=environ)
        assert (result.code, result.err) == (0, "")
        assert "Skipped, nothing was started: --groups is 'none'." in result.out
        assert '"conclusion": "skipped"' in (tmp_path / "out" / "results.json").read_text("utf-8")


def test_groups_none_reports_other_errors(tmp_path: Path) -> None:
    """The step of another branch would fail because of it."""
    result = invoke(tmp_path, "--test-ids", "a/b", "--groups", "none", environ=CREDENTIALS)
    assert (result.code, len(result.errors)) == (2, 1)


OTHER_SECRET = "sentinel-of-the-other-account"


def test_secret_id_authenticates_requests(tmp_path: Path) -> None:
    """The header has the value of the secret id as client secret."""
    with Sandbox(client_id="an-id-of-ours", client_secret=OTHER_SECRET) as sandbox:
        environ = {ID_VARIABLE: "an-id-of-ours", "AUTONOMA_SECRET_ID": OTHER_SECRET, "AUTONOMA_API_URL": sandbox.url}
        result = invoke(tmp_path, "--test-ids", "a", environ=environ)
        assert (result.code, sandbox.count_starts("a")) == (0, 1)
    assert OTHER_SECRET not in result.output


def test_unused_secret_id_is_hidden(tmp_path: Path) -> None:
    """No label, title or error shows a secret id that is not in use."""
    environ = {**CREDENTIALS, "AUTONOMA_SECRET_ID": OTHER_SECRET, "AUTONOMA_RESULTS_DIR": "out"}
    argv = ("--dry-run", "--test-ids", f"Pay {OTHER_SECRET} = a", "--summary-title", f"Title {OTHER_SECRET}")
    result = invoke(tmp_path, *argv, environ=environ)
    assert result.code == 0, result.output
    files = "".join(path.read_text("utf-8") for path in (tmp_path / "out").iterdir() if path.is_file())
    assert OTHER_SECRET not in result.output + files
    assert "Pay ***" in result.out
    id_result = invoke(tmp_path, "--test-ids", f"{OTHER_SECRET}/", environ=environ)
    assert (id_result.code, OTHER_SECRET in id_result.output) == (2, False)
    bad_command = invoke(tmp_path, "list", "--nonsense", OTHER_SECRET, environ=environ)
    assert (bad_command.code, OTHER_SECRET in bad_command.output) == (2, False)


@pytest.mark.parametrize("name", ["AUTONOMA_SECRET_ID", "COPY"])
def test_manifest_cannot_read_secret_id(name: str, tmp_path: Path) -> None:
    """The manifest can read it by no name, also not by another variable of the same value."""
    text = f"tests: [{{id: a, variables: {{A: '${{{name}}}'}}}}]\n"
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    environ = {**CREDENTIALS, "AUTONOMA_SECRET_ID": OTHER_SECRET, "COPY": OTHER_SECRET, "AUTONOMA_ALLOW_ENV": name}
    result = invoke(tmp_path, "--dry-run", environ=environ)
    assert (result.code, OTHER_SECRET in result.output) == (2, False)
    assert f"${{{name}}} contains a credential of this job" in result.err


@pytest.mark.parametrize("name", ["AUTONOMA_CLIENT_SECRET", "AUTONOMA_SECRET_ID"])
@pytest.mark.parametrize("secret", ["Zx9qW8 eR7tY6uI5oP4", "Zx9qW8\u00e9R7tY6uI5oP4", "'Zx9qW8eR7tY6uI5oP4'"])
@pytest.mark.parametrize("option", ["--test-ids", "--timeout", "--groups"])
def test_invalid_secret_elsewhere_is_hidden(name: str, secret: str, option: str, tmp_path: Path) -> None:
    """An invalid or quoted credential is hidden in other options, too."""
    text = secret.strip("'")
    environ = {ID_VARIABLE: "an-id-of-ours", name: secret, "AUTONOMA_DRY_RUN": "true"}
    result = invoke(tmp_path, option, text, environ=environ)
    assert result.code == 2
    assert text[:6] not in result.output
    assert text[-8:] not in result.output


@pytest.mark.parametrize("option", ["--test-ids", "--groups", "--allow-env", "--api-url", "--wait-for-url"])
@pytest.mark.parametrize("text", ["{}", "L = {} z", "https://u:{}@autonoma.app/test/x"])
def test_split_secret_part_is_hidden(option: str, text: str, tmp_path: Path) -> None:
    """A comma, `#` or `?` splits the text of an option and the secret in it."""
    secret = "aB3$k'L9\"q#Z,x=P7;w&R?2uV"
    environ = {ID_VARIABLE: "an-id-of-ours", "AUTONOMA_CLIENT_SECRET": secret, "AUTONOMA_DRY_RUN": "true"}
    result = invoke(tmp_path, option, text.format(secret), environ=environ)
    assert result.code == 2
    assert f"{option} holds a credential. Check which value is in which option." in result.err
    assert not [part for part in ("aB3$k", "L9", "x=P7", "w&R") if part in result.output]


@pytest.mark.parametrize("text", ["{}", "L = {} z", "x {} y"])
def test_base64_secret_without_padding_is_hidden(text: str, tmp_path: Path) -> None:
    """The `=` at its end is read as the separator of a label."""
    secret = "q8/Zk3+Vt0LmNs7YhPw2DxEuRgCb4JfA=="
    environ = {ID_VARIABLE: "an-id-of-ours", "AUTONOMA_CLIENT_SECRET": secret}
    result = invoke(tmp_path, "--dry-run", "--test-ids", text.format(secret), environ=environ)
    assert secret[:8] not in result.output


def test_quoted_secret_is_explained(tmp_path: Path) -> None:
    """Shells and env files leave quotes in place, and the API only returns 401."""
    environ = {**CREDENTIALS, "AUTONOMA_CLIENT_SECRET": '"a-secret-in-quotes"', "AUTONOMA_DRY_RUN": "true"}
    result = invoke(tmp_path, "--test-ids", "a", environ=environ)
    message = "AUTONOMA_CLIENT_SECRET: quotes around the value are sent as written. Remove them."
    assert f"Warning: {message}" in result.out


@pytest.mark.parametrize("system", [{"TF_BUILD": "True"}, {"GITHUB_ACTIONS": "true"}])
def test_multiline_secret_is_no_command(system: dict[str, str], tmp_path: Path) -> None:
    """A line break in a mask must not begin a new line of the log."""
    multiline_secret = f"{OTHER_SECRET}\n##vso[task.complete result=Succeeded]done\n::error::done"
    environ = {**CREDENTIALS, **system, "AUTONOMA_SECRET_ID": multiline_secret, "AUTONOMA_DRY_RUN": "true"}
    result = invoke(tmp_path, "--test-ids", "a", environ=environ)
    assert result.code == 0
    assert not [line for line in result.output.splitlines() if line.startswith(("##vso[task.complete", "::error"))]
