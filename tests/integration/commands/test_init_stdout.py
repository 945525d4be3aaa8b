"""The command `init` with its manifest on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.sandbox import Sandbox
from tests.support.account_server import build_folder, invoke_on_sandbox
from tests.support.invoke_command import CREDENTIALS, FakeTerminal, invoke

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = [build_folder("f1", "Checkout", ("t1", "Pays by card"), ("t2", "Pays later"))]
HINT = "Printed a manifest with 1 folder. Save it as autonoma.yml, the default manifest.\n"


def test_printed_manifest_equals_file(tmp_path: Path) -> None:
    """Standard output has the same text as the file, and no other text."""
    with Sandbox(folders=FOLDERS) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "-")
        assert list(tmp_path.iterdir()) == []
        assert invoke_on_sandbox(tmp_path, sandbox, "init", "--all").code == 0
    assert (result.code, result.err) == (0, HINT)
    assert result.out == (tmp_path / "autonoma.yml").read_text("utf-8")


def test_printed_manifest_is_valid(tmp_path: Path) -> None:
    """`validate` accepts the printed manifest."""
    with Sandbox(folders=FOLDERS) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--each", "--output=-")
    (tmp_path / "piped.yml").write_text(result.out, "utf-8")
    assert invoke(tmp_path, "validate", "piped.yml").code == 0


def test_printed_manifest_spares_files(tmp_path: Path) -> None:
    """An existing manifest and a file named `-` stay unchanged."""
    (tmp_path / "autonoma.yml").write_text("tests: [mine]", "utf-8")
    (tmp_path / "-").write_text("a file of this name", "utf-8")
    with Sandbox(folders=FOLDERS) as sandbox:
        assert invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "-").code == 0
    assert (tmp_path / "autonoma.yml").read_text("utf-8") == "tests: [mine]"
    assert (tmp_path / "-").read_text("utf-8") == "a file of this name"


def test_empty_output_is_refused(tmp_path: Path) -> None:
    """A variable that is not set gives an empty path."""
    with Sandbox(folders=FOLDERS) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "", "--force")
    assert (result.code, result.errors) == (2, ["--output is empty. Use a path such as autonoma.yml."])


def test_prompts_use_stderr(tmp_path: Path) -> None:
    """Standard output may be a pipe, so prompts go to standard error."""
    out, err = FakeTerminal(), FakeTerminal()
    with Sandbox(folders=FOLDERS) as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url}
        job_runtime = Runtime(environ, out, err, str(tmp_path), stdin=FakeTerminal("1\nfolders\n"))
        assert cli.run_command(["init", "--output", "-"], job_runtime) == 0
    assert out.getvalue().startswith("# Runs that autonoma-ci starts.")
    assert "Which folders?" in err.getvalue()
    assert "Which folders?" not in out.getvalue()


def test_error_leaves_stdout_empty(tmp_path: Path) -> None:
    """After an error, standard output is empty."""
    with Sandbox(folders=[]) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "-")
    assert (result.code, result.out) == (2, "")
    assert "The account has no tests" in result.err


def test_printed_name_is_no_command(tmp_path: Path) -> None:
    """No printed name is a command of a CI system."""
    names = ["##[group]x", "::warning::x", "##vso[task.setvariable variable=x]y", "\n::error::x"]
    folders = [build_folder(f"f{index}", name, ("t", name)) for index, name in enumerate(names)]
    with Sandbox(folders=folders) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--each", "--output", "-")
        folder_result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "-")
    for line in (result.out + folder_result.out).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##" not in line
