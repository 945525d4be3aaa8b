"""Errors and success messages show no credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import invoke

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "sEcr3tValue42Qx9Lm7Tr5Vb3Nz1Kp8Wd6"
CREDENTIALS = {"AUTONOMA_CLIENT_ID": "client-id-of-the-test", "AUTONOMA_CLIENT_SECRET": SECRET}
MISPLACED_CREDENTIALS: dict[str, tuple[list[str], dict[str, str]]] = {
    "list, URL": (["list"], {"AUTONOMA_API_URL": SECRET}),
    "list, http": (["list"], {"AUTONOMA_API_URL": f"http://x.test/{SECRET}"}),
    "list, host": (["list"], {"AUTONOMA_API_URL": f"https://{SECRET}.invalid"}),
    "list, flag": (["list", "--api-url", SECRET], {}),
    "init, URL": (["init", "--all", "--output", "x.yml"], {"AUTONOMA_API_URL": SECRET}),
    "init, path": (["init", "--all", "--output", f"{SECRET}/x"], {}),
    "report, path": (["report", SECRET], {}),
    "report, allow-env": (["report", "results.json", "--allow-env", f"{SECRET}!"], {}),
    "report, URL": (["report", "results.json"], {"AUTONOMA_API_URL": SECRET}),
    "validate, path": (["validate", SECRET], {}),
    "validate, allow-env": (["validate", "--allow-env", f"{SECRET}!"], {}),
    "validate, id": (["validate", "other.yml"], {}),
    "sandbox, port": (["sandbox", "--port", SECRET], {}),
}

# These messages leave out the value, because redaction does not recognize a part of a credential.
MISPLACED_MESSAGE = "holds a credential. Check which value is in which option."
MESSAGES_WITHOUT_VALUE = {
    **dict.fromkeys(
        ("list, URL", "list, http", "init, URL", "report, URL"), f"Error: AUTONOMA_API_URL {MISPLACED_MESSAGE}"
    ),
    "list, flag": f"Error: --api-url {MISPLACED_MESSAGE}",
    "report, allow-env": f"Error: --allow-env {MISPLACED_MESSAGE}",
}


def assert_hidden(output: str) -> None:
    """Fail if a line holds the secret, except commands that mask it."""
    lines = [line for line in output.splitlines() if not line.startswith("::add-mask::")]
    assert SECRET[:12].lower() not in "\n".join(lines).lower(), output


@pytest.mark.slow
@pytest.mark.parametrize("name", MISPLACED_CREDENTIALS)
def test_error_hides_misplaced_credential(name: str, tmp_path: Path) -> None:
    """A credential in the wrong option is hidden."""
    argv, environ = MISPLACED_CREDENTIALS[name]
    (tmp_path / "autonoma.yml").write_text("tests: [a]", "utf-8")
    (tmp_path / "other.yml").write_text(f"tests: ['{SECRET}!']", "utf-8")
    (tmp_path / "results.json").write_text("{}", "utf-8")
    result = invoke(tmp_path, *argv, environ=CREDENTIALS | environ)
    if name in MESSAGES_WITHOUT_VALUE:
        assert (result.code, result.err.splitlines()) == (2, [MESSAGES_WITHOUT_VALUE[name]])
    else:
        assert (result.code != 0, "***" in result.output) == (True, True), result.output
    assert_hidden(result.output)


@pytest.mark.parametrize("name", ["AUTONOMA_CLIENT_ID", "INPUT_CLIENT-SECRET", "INPUT_GITHUB_TOKEN"])
def test_error_hides_every_credential_option(name: str, tmp_path: Path) -> None:
    """The value of each credential option is hidden, in each spelling and without its white space."""
    result = invoke(tmp_path, "report", SECRET, environ={name: f" {SECRET}\n"})
    assert "***" in result.err
    assert_hidden(result.output)


@pytest.mark.parametrize(
    "flags", [["--client-secret", SECRET], [f"--client-secret={SECRET}"]], ids=["two arguments", "one argument"]
)
def test_error_hides_flag_credential(flags: list[str], tmp_path: Path) -> None:
    """A credential on the command line is hidden."""
    result = invoke(tmp_path, "list", *flags, "--api-url", SECRET, environ={"AUTONOMA_CLIENT_ID": "client-id"})
    assert result.err == f"Error: --api-url {MISPLACED_MESSAGE}\n"
    assert_hidden(result.output)


def test_success_message_hides_credential(tmp_path: Path) -> None:
    """A credential in a path is hidden in the last line of a command."""
    (tmp_path / f"{SECRET}.yml").write_text("tests: [a]", "utf-8")
    result = invoke(tmp_path, "validate", f"{SECRET}.yml", environ=CREDENTIALS)
    assert (result.code, "***" in result.out) == (0, True)
    assert_hidden(result.output)
    with Sandbox(pace=0) as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_RESULTS_DIR": "r", "AUTONOMA_TEST_IDS": "a"}
        assert invoke(tmp_path, "run", environ=environ).code == 0
        result = invoke(tmp_path, "report", "r/results.json", "--output", f"{SECRET}.html", environ=environ)
        assert (result.code, "Wrote ***" in result.out) == (0, True)
        assert_hidden(result.output)
        result = invoke(tmp_path, "init", "--all", "--output", f"{SECRET}2.yml", environ=environ)
        assert (result.code, "Wrote ***" in result.out) == (0, True), result.output
        assert_hidden(result.output)
