"""Redaction of credentials in the errors of all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import invoke

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "sEcr3tValue42Qx9Lm7Tr5Vb3Nz1Kp8Wd6"
CREDENTIALS = {"AUTONOMA_CLIENT_ID": "client-id-of-the-test", "AUTONOMA_CLIENT_SECRET": SECRET}
MISTAKES: dict[str, tuple[list[str], dict[str, str]]] = {
    "list, URL": (["list"], {"AUTONOMA_API_URL": SECRET}),
    "list, http": (["list"], {"AUTONOMA_API_URL": f"http://x.test/{SECRET}"}),
    "list, host": (["list"], {"AUTONOMA_API_URL": f"https://{SECRET}.invalid"}),
    "list, flag": (["list", "--api-url", SECRET], {}),
    "init, URL": (["init", "--all", "--output", "x.yml"], {"AUTONOMA_API_URL": SECRET}),
    "init, path": (["init", "--all", "--output", f"{SECRET}/x"], {}),
    "report, record": (["report", SECRET], {}),
    "report, allow-env": (["report", "results.json", "--allow-env", f"{SECRET}!"], {}),
    "report, URL": (["report", "results.json"], {"AUTONOMA_API_URL": SECRET}),
    "validate, path": (["validate", SECRET], {}),
    "validate, allow-env": (["validate", "--allow-env", f"{SECRET}!"], {}),
    "validate, id": (["validate", "other.yml"], {}),
    "sandbox, port": (["sandbox", "--port", SECRET], {}),
}


# Such a text is never quoted, because redaction does not recognize a part of a credential.
MIXED_UP = "holds a credential: check which value is in which option"
NOT_QUOTED = {
    **dict.fromkeys(("list, URL", "list, http", "init, URL", "report, URL"), f"Error: AUTONOMA_API_URL {MIXED_UP}"),
    "list, flag": f"Error: --api-url {MIXED_UP}",
    "report, allow-env": f"Error: --allow-env {MIXED_UP}",
}


def assert_hidden(printed: str) -> None:
    """Fail if a line other than a mask holds the secret."""
    lines = [line for line in printed.splitlines() if not line.startswith("::add-mask::")]
    assert SECRET[:12].lower() not in "\n".join(lines).lower(), printed


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_error_hides_misplaced_credential(name: str, tmp_path: Path) -> None:
    """A credential in the wrong option is hidden, too."""
    argv, environ = MISTAKES[name]
    (tmp_path / "autonoma.yml").write_text("tests: [a]", "utf-8")
    (tmp_path / "other.yml").write_text(f"tests: ['{SECRET}!']", "utf-8")
    (tmp_path / "results.json").write_text("{}", "utf-8")
    ended = invoke(tmp_path, *argv, environ=CREDENTIALS | environ)
    if name in NOT_QUOTED:
        assert (ended.code, ended.err.splitlines()) == (2, [NOT_QUOTED[name]])
    else:
        assert (ended.code != 0, "***" in ended.output) == (True, True), ended.output
    assert_hidden(ended.output)


@pytest.mark.parametrize("name", ["AUTONOMA_CLIENT_ID", "INPUT_CLIENT-SECRET", "INPUT_GITHUB_TOKEN"])
def test_error_hides_every_credential_option(name: str, tmp_path: Path) -> None:
    """Each credential option counts, in each spelling and with white space around it."""
    ended = invoke(tmp_path, "report", SECRET, environ={name: f" {SECRET}\n"})
    assert "***" in ended.err
    assert_hidden(ended.output)


@pytest.mark.parametrize("flags", [["--client-secret", SECRET], [f"--client-secret={SECRET}"]], ids=["two", "one"])
def test_error_hides_flag_credential(flags: list[str], tmp_path: Path) -> None:
    """The command line can hold credentials, too."""
    ended = invoke(tmp_path, "list", *flags, "--api-url", SECRET, environ={"AUTONOMA_CLIENT_ID": "client-id"})
    assert ended.err == f"Error: --api-url {MIXED_UP}\n"
    assert_hidden(ended.output)


def test_last_line_hides_credential(tmp_path: Path) -> None:
    """Paths are repeated after a success, too."""
    (tmp_path / f"{SECRET}.yml").write_text("tests: [a]", "utf-8")
    ended = invoke(tmp_path, "validate", f"{SECRET}.yml", environ=CREDENTIALS)
    assert (ended.code, "***" in ended.out) == (0, True)
    assert_hidden(ended.output)
    with Sandbox(pace=0) as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_RESULTS_DIR": "r", "AUTONOMA_TEST_IDS": "a"}
        assert invoke(tmp_path, "run", environ=environ).code == 0
        ended = invoke(tmp_path, "report", "r/results.json", "--output", f"{SECRET}.html", environ=environ)
        assert (ended.code, "Wrote ***" in ended.out) == (0, True)
        assert_hidden(ended.output)
        ended = invoke(tmp_path, "init", "--all", "--output", f"{SECRET}2.yml", environ=environ)
        assert (ended.code, "Wrote ***" in ended.out) == (0, True), ended.output
        assert_hidden(ended.output)
