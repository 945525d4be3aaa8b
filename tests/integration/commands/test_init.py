"""The command `init` and the manifest that it writes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.manifest_template import render_manifest
from autonoma_ci.errors import Cancelled
from autonoma_ci.fs.files import Directory
from autonoma_ci.sandbox import Sandbox
from tests.support.account_server import build_folder, build_large_account, invoke_on_sandbox
from tests.support.invoke_command import invoke
from tests.support.streams import read_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.app.test_picker import Selection

FOLDERS = [
    build_folder("f1", "Checkout", ("t1", "Pays by card"), ("t2", "Pays by card")),
    build_folder("f2", "Empty"),
    build_folder("f3", "Account: sign-in", ("t3", "Costs $5 ${NAME}")),
]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(folders=FOLDERS) as sandbox:
        yield sandbox


def get_dry_run_summary(folder: Path, *argv: str) -> str:
    """Return the last line of a dry run with the manifest."""
    assert invoke(folder, "validate", *argv[1:2]).code == 0
    result = invoke(folder, "run", "--dry-run", *argv)
    assert result.code == 0, result.output
    return result.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "content", "run_count"),
    [
        (["--all"], "54 folders", 54),
        (["--all", "--each"], "1,000 tests", 1000),
        (["--folder-ids", "folder-1,folder-2"], "2 folders", 2),
        (["--folder-ids", "folder-1,folder-2", "--each"], "36 tests", 36),
        (["--test-ids", "test-0-1\ntest-1-1"], "2 tests", 2),
        (["--folder-ids", "folder-1", "--test-ids", "test-0-1"], "1 folder and 1 test", 2),
    ],
)
def test_init_manifest_runs(flags: list[str], content: str, run_count: int, tmp_path: Path) -> None:
    """A dry run of the written manifest has the expected number of runs."""
    with Sandbox(folders=build_large_account()) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "init", *flags)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"Wrote autonoma.yml: {content}.",
        "Next, print the plan, then start the runs:",
        "  autonoma-ci run --dry-run",
        "  autonoma-ci run --wait",
    ]
    assert f"{run_count:,} run" in get_dry_run_summary(tmp_path)


def test_init_manifest_has_comments(sandbox: Sandbox, tmp_path: Path) -> None:
    """Comments explain the file, the size of folders and further keys."""
    invoke_on_sandbox(tmp_path, sandbox, "init", "--folder-ids", "f1", "--test-ids", "t3")
    text = (tmp_path / "autonoma.yml").read_text("utf-8")
    assert text.startswith("# Runs that autonoma-ci starts.")
    assert "  - id: f1 # 2 tests\n    name: Checkout\n" in text
    assert '  - id: t3\n    name: "Costs $$5 $${NAME}"\n    # groups: [smoke]' in text
    assert "# application_versions:" in text
    assert text.endswith("\n")


def test_init_preserves_concurrent_file(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that appears just before the write is not replaced."""

    def write_file_first(selection: Selection) -> str:
        (tmp_path / "autonoma.yml").write_text("theirs", "utf-8")
        return render_manifest(selection)

    monkeypatch.setattr("autonoma_ci.commands.init.render_manifest", write_file_first)
    assert invoke_on_sandbox(tmp_path, sandbox, "init", "--all").code == 2
    assert (tmp_path / "autonoma.yml").read_text("utf-8") == "theirs"


def test_init_removes_file_after_write_error(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves no empty file."""

    def fail_write(self: Directory, name: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Directory, "write_atomic", fail_write)
    assert "No space left" in invoke_on_sandbox(tmp_path, sandbox, "init", "--all").err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_init_over_run_limit_writes_nothing(tmp_path: Path) -> None:
    """A manifest for more than 20,000 runs is refused."""
    account = [build_folder(f"f{n}", "x", *((f"t{n}-{index}", "x") for index in range(2001))) for n in range(10)]
    with Sandbox(folders=account) as sandbox:
        assert "More than 20,000 runs" in invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--each").err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("event", "code"), [(signal.SIGINT, 130), (b"\xff\xfe\n\x04", 2)])
def test_init_interrupted_writes_nothing(
    event: signal.Signals | bytes, code: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A signal or invalid UTF-8 at a real terminal leaves no file and no traceback."""
    parent_fd, child_fd = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    environ |= {"PYTHONIOENCODING": "utf-8:strict", "AUTONOMA_API_URL": sandbox.url}
    environ |= {"AUTONOMA_CLIENT_ID": "some-id", "AUTONOMA_CLIENT_SECRET": "some-secret"}
    command = [sys.executable, "-c", "from autonoma_ci.cli import main; main()", "init"]
    process = subprocess.Popen(command, stdin=child_fd, stdout=child_fd, stderr=child_fd, cwd=tmp_path, env=environ)
    os.close(child_fd)
    output = b""
    while b"Which folders?" not in output:
        output += os.read(parent_fd, 65536)
    if isinstance(event, bytes):
        os.write(parent_fd, event)
    else:
        process.send_signal(event)
    assert process.wait(60) == code
    output += read_terminal(parent_fd)
    assert b"othing was written" in output or b"Nothing was selected" in output
    assert b"bug" not in output
    assert list(tmp_path.iterdir()) == []


def test_init_needs_force_to_replace(sandbox: Sandbox, tmp_path: Path) -> None:
    """An existing file is replaced only with `--force`."""
    (tmp_path / "autonoma.yml").write_text("mine", "utf-8")
    result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all")
    assert result.code == 2
    assert result.errors == ["autonoma.yml exists. Use another --output, or replace the file with --force."]
    assert (tmp_path / "autonoma.yml").read_text("utf-8") == "mine"
    assert sandbox.received == [], "nothing was asked either"
    assert invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--force").code == 0
    assert "mine" not in (tmp_path / "autonoma.yml").read_text("utf-8")


def test_init_refuses_dangling_link(sandbox: Sandbox, tmp_path: Path) -> None:
    """A dangling link counts as an existing file."""
    (tmp_path / "autonoma.yml").symlink_to(tmp_path / "nowhere")
    assert invoke_on_sandbox(tmp_path, sandbox, "init", "--all").code == 2
    assert not (tmp_path / "nowhere").exists()


def test_init_refuses_link_outside(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing is written through a link that leaves the working directory."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    result = invoke_on_sandbox(tmp_path / "in", sandbox, "init", "--all", "--output", "link/autonoma.yml", "--force")
    assert result.code == 2
    assert list((tmp_path / "out").iterdir()) == []


def test_init_output_in_next_command(sandbox: Sandbox, tmp_path: Path) -> None:
    """The suggested commands name a manifest with another path."""
    result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "ci.yml")
    assert "  autonoma-ci run --manifest ci.yml --wait" in result.out
    assert "2 runs" in get_dry_run_summary(tmp_path, "--manifest", "ci.yml")
    assert (
        "run --manifest 'my tests.yml' --wait"
        in invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "my tests.yml").out
    )
    result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "no/such/ci.yml")
    assert result.errors == ["The directory of no/such/ci.yml is missing. Create it, or use another --output."]


def test_init_second_default_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    """With two default manifests, the suggested commands name the new one."""
    (tmp_path / "autonoma.yml").write_text("tests: [x]", "utf-8")
    result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", "autonoma.yaml")
    assert "  autonoma-ci run --manifest autonoma.yaml --wait" in result.out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Missing selection. Add --all, --folder-ids LIST or --test-ids LIST"),
        (["--output", "-"], "Missing selection. Add --all, --folder-ids LIST or --test-ids LIST"),
        (["--test-ids", "t9"], "Unknown test id: 't9'. The command autonoma-ci list shows all ids."),
        (["--folder-ids", "f1x"], "Unknown folder id: 'f1x'. Did you mean 'f1'?"),
        (["--folder-ids", "t1"], "t1 is the id of a test, not of a folder. Use --test-ids."),
        (["--test-ids", "f1"], "f1 is the id of a folder, not of a test. Use --folder-ids."),
        (["--folder-ids", "f2"], "The selection has no tests, so nothing was written. Select a folder with tests."),
        (["--test-ids", "a b"], "--test-ids: invalid id: 'a b'"),
        (["--evrything"], "Unknown option: '--evrything'"),
    ],
)
def test_init_error_writes_nothing(flags: list[str], message: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Each invalid call has its error and leaves no file."""
    result = invoke_on_sandbox(tmp_path, sandbox, "init", *flags)
    assert result.code == 2
    assert result.errors[0].startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_init_label_becomes_name(sandbox: Sandbox, tmp_path: Path) -> None:
    """A label in the option replaces the name of the account."""
    invoke_on_sandbox(tmp_path, sandbox, "init", "--folder-ids", "Payments=f1", "--test-ids", "Sign in=t3")
    text = (tmp_path / "autonoma.yml").read_text("utf-8")
    assert "  - id: f1 # 2 tests\n    name: Payments\n" in text
    assert "  - id: t3\n    name: Sign in\n" in text


@pytest.mark.parametrize("account", [[], [build_folder("f", "Empty")]])
def test_init_empty_account_is_error(account: list[dict[str, object]], tmp_path: Path) -> None:
    """An account without tests ends with an error and without a file."""
    with Sandbox(folders=account) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all")
    assert result.errors == ["The account has no tests, so nothing was written. Create a test in Autonoma first."]
    assert list(tmp_path.iterdir()) == []


def test_init_rejected_credentials_exit_3(tmp_path: Path) -> None:
    """Rejected credentials end with exit code 3 and without a file."""
    with Sandbox(client_id="another") as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all")
    assert result.code == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("terminal_input", "content"),
    [
        ("all\nfolders\n", "2 folders"),
        ("1\nf\n", "1 folder"),
        ("1-2\ntests\nall\n", "3 tests"),
        ("2, 1\nt\n1 3\n", "2 tests"),
        ("0\n9\nx\n\n2-1\n1\nmaybe\n\nfolders\n", "1 folder"),
    ],
)
def test_init_prompts_at_terminal(terminal_input: str, content: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """At a terminal, the answers select the folders or tests."""
    result = invoke_on_sandbox(tmp_path, sandbox, "init", terminal_input=terminal_input)
    assert result.code == 0, result.output
    assert "    1  Checkout (2 tests)\n    2  Account: sign-in (1 test)\n" in result.out
    assert "Empty" not in result.out
    assert f"Wrote autonoma.yml: {content}." in result.out
    assert get_dry_run_summary(tmp_path)


@pytest.mark.parametrize("terminal_input", ["", "1\n", "x\n", "1\nt\n"])
def test_init_prompt_eof_writes_nothing(terminal_input: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """The end of the input before the last answer leaves no file."""
    result = invoke_on_sandbox(tmp_path, sandbox, "init", terminal_input=terminal_input)
    assert result.code == 2
    assert result.errors == ["Nothing was selected, so nothing was written."]
    assert list(tmp_path.iterdir()) == []


def test_init_flags_skip_prompts(sandbox: Sandbox, tmp_path: Path) -> None:
    """With flags, there is no prompt at a terminal."""
    assert "Which" not in invoke_on_sandbox(tmp_path, sandbox, "init", "--all", terminal_input="").out


def test_init_ignores_job_variables(sandbox: Sandbox, tmp_path: Path) -> None:
    """The test ids of a job select nothing for the manifest."""
    environ = {
        "AUTONOMA_CLIENT_ID": "some-id",
        "AUTONOMA_CLIENT_SECRET": "some-secret",
        "AUTONOMA_API_URL": sandbox.url,
        "AUTONOMA_TEST_IDS": "t1",
    }
    assert invoke(tmp_path, "init", environ=environ).code == 2


def test_init_help_names_flags(tmp_path: Path) -> None:
    """The help names each flag, and no variables of other commands."""
    message = invoke(tmp_path, "init", "--help").out
    for flag in ("--all", "--folder-ids", "--test-ids", "--each", "--output", "--force"):
        assert flag in message
    assert "AUTONOMA_TEST_IDS" not in message


def test_init_cancelled_writes_nothing(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal during the selection has its exit code and leaves no file."""

    def cancel(*_: object) -> Selection:
        raise Cancelled(signal.SIGTERM)

    monkeypatch.setattr("autonoma_ci.commands.init.select_interactively", cancel)
    result = invoke_on_sandbox(tmp_path, sandbox, "init", terminal_input="")
    assert (result.code, result.err) == (143, "Nothing was written.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("limit", "code"), [(2, 2), (3, 0)])
def test_init_run_limit_is_inclusive(
    limit: int, code: int, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account has three tests, and one more than the limit is refused."""
    monkeypatch.setattr("autonoma_ci.commands.init.MAX_RUNS", limit)
    result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--each")
    assert result.code == code
    message = f"More than {limit} runs are selected. Select fewer, or folders without --each."
    assert result.errors == ([message] if code else [])


@pytest.mark.parametrize("output", ["x" * 300, "a\0b"])
def test_init_invalid_name_is_error(output: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """A name that the system refuses is an error of the input."""
    result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", output)
    assert (result.code, len(result.errors)) == (2, 1)
    assert result.errors[0].endswith(". Use another --output.")
    assert list(tmp_path.iterdir()) == []


def test_init_invalid_folder_sends_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """A folder that the system refuses is an error before any request."""
    result = invoke_on_sandbox(tmp_path, sandbox, "init", "--all", "--output", f"{'x' * 300}/a.yml")
    assert result.code == 2
    assert result.errors[0].endswith("could not be written (File name too long). Use another --output.")
    assert sandbox.received == []
