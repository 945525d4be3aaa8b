"""Tests of trusted programs of a CI agent."""

from __future__ import annotations

import shlex
import threading
import time
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.publishers import agent_cli
from autonoma_ci.ci.publishers.agent_cli import AgentCli, find_trusted_executable, stop_agent_clis
from tests.support.fake_clock import FakeClock
from tests.support.publish_contexts import make_publish_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autonoma_ci.clock import Clock

SYSTEM_PATH = "/usr/bin:/bin"


def write_script(folder: Path, text: str = "exit 0\n", name: str = "agent") -> Path:
    """Write a program that a shell runs."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / name
    script.write_text(f"#!/bin/sh\n{text}", "utf-8")
    script.chmod(0o755)
    return script


def find_program(
    folder: Path, path: str, clock: Clock | None = None, environ: Mapping[str, str] | None = None
) -> AgentCli | None:
    """Find the program `agent` for the checkout in a folder."""
    checkout = folder / "checkout"
    checkout.mkdir(exist_ok=True)
    context = make_publish_context({**(environ or {}), "PATH": path}, checkout)
    return find_trusted_executable("agent", context._replace(clock=clock) if clock else context)


def make_program(
    folder: Path, text: str, clock: Clock | None = None, environ: Mapping[str, str] | None = None
) -> AgentCli:
    """Return a program that a shell runs, from outside of the checkout."""
    write_script(folder / "bin", text)
    program = find_program(folder, f"{folder / 'bin'}:{SYSTEM_PATH}", clock, environ)
    assert program
    return program


# Calls


def test_run_passes_arguments_and_input(tmp_path: Path) -> None:
    """Arguments and input reach the program unchanged and without a shell."""
    program = make_program(tmp_path, f'printf "%s|" "$@" > {shlex.quote(str(tmp_path))}/got\ncat >> "$2"\n')
    target = str(tmp_path / "got")
    assert program.run(["$(id) 'a'\n;", target, "", "é"], "é\n\ud800") is None
    assert (tmp_path / "got").read_bytes() == f"$(id) 'a'\n;|{target}||é|é\n?".encode()


@pytest.mark.parametrize(("code", "reason"), [(0, None), (3, "agent failed with exit code 3")])
def test_run_returns_exit_code(code: int, reason: str | None, tmp_path: Path) -> None:
    """The reason of a failure has the exit code and no output of the program."""
    assert make_program(tmp_path, f"echo s3cret-value; echo x >&2; exit {code}\n").run([]) == reason


def test_run_ignores_unread_input(tmp_path: Path) -> None:
    """A program may end before it has read its input."""
    assert make_program(tmp_path, "exit 0\n").run([], "x" * 1_000_000) is None


@pytest.mark.parametrize("text", ["#!/nowhere/sh\n", "\x7fELF"])
def test_run_of_other_file_fails(text: str, tmp_path: Path) -> None:
    """A file that is no program gives the reason of the system."""
    program = make_program(tmp_path, "")
    (tmp_path / "bin" / "agent").write_text(text, "utf-8")
    reason = program.run([])
    assert reason
    assert reason.startswith("agent could not be started (")


def test_run_of_removed_program_fails(tmp_path: Path) -> None:
    """A program that was removed meanwhile gives the reason of the system."""
    program = make_program(tmp_path, "")
    (tmp_path / "bin" / "agent").unlink()
    assert program.run([]) == "agent could not be started (No such file or directory)"


def test_run_with_zero_byte_fails(tmp_path: Path) -> None:
    """An argument with a zero byte is refused before the start."""
    program = make_program(tmp_path, f"touch {shlex.quote(str(tmp_path))}/started\n")
    assert program.run(["a\0b"]) == "agent could not be started (invalid argument)"
    assert not (tmp_path / "started").exists()


def test_run_of_hanging_program_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not end is killed after its timeout."""
    monkeypatch.setattr(agent_cli, "_CALL_TIMEOUT_SECONDS", 0.05)
    assert make_program(tmp_path, "exec sleep 60\n").run([]) == "agent did not end within 0 s"


def test_read_returns_output(tmp_path: Path) -> None:
    """The output has no white space at its ends, and invalid bytes are replaced."""
    assert make_program(tmp_path, "printf ' a\\377 b\\n\\n'; echo x >&2\n").read([]) == "a\ufffd b"


@pytest.mark.parametrize(("size", "is_read"), [(10_000, True), (10_001, False)])
def test_read_has_size_limit(size: int, is_read: bool, tmp_path: Path) -> None:
    """An output of more than 10,000 bytes counts as unreadable."""
    output = make_program(tmp_path, f"printf '%{size}s' x\n").read([])
    assert output == ("x" if is_read else None)


def test_read_of_failed_program_is_none(tmp_path: Path) -> None:
    """The output of a failed program counts as unreadable."""
    assert make_program(tmp_path, "echo x; exit 1\n").read([]) is None


@pytest.mark.parametrize(
    ("seconds", "reason"), [(59.9, None), (60.0, "all calls of agent took longer than 60 s")], ids=["before", "after"]
)
def test_calls_have_60_seconds_in_total(seconds: float, reason: str | None, tmp_path: Path) -> None:
    """The total time begins with the first call."""
    clock = FakeClock()
    program = make_program(tmp_path, f"echo x >> {shlex.quote(str(tmp_path))}/calls\n", clock)
    clock.sleep(1000.0)
    assert program.run([]) is None
    clock.sleep(seconds)
    # The rest of the time is too short for the end of a program on a busy machine.
    if reason:
        assert program.run([]) == reason
        assert program.read([]) is None
        assert (tmp_path / "calls").read_text("utf-8") == "x\n"
    else:
        assert "all calls" not in (program.run([]) or "")


def test_agent_cli_stops_at_total_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging agent is called a few times, not once for each of thirty variables."""
    monkeypatch.setattr(agent_cli, "_CALL_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(agent_cli, "MAX_TOTAL_SECONDS", 0.12, raising=False)
    program = make_program(tmp_path, f"echo x >> {shlex.quote(str(tmp_path))}/calls\nexec sleep 9\n")
    # Where the machine is busy, no call comes as far as to write.
    (tmp_path / "calls").touch()
    reasons = [program.run(["set", str(number)]) for number in range(10)]
    assert reasons[0] == "agent did not end within 0 s"
    assert reasons[-1] == "all calls of agent took longer than 0 s"
    assert len((tmp_path / "calls").read_text("utf-8").splitlines()) <= 4


def test_agent_cli_after_stop_never_starts(tmp_path: Path) -> None:
    """No program is started after the stop."""
    program = make_program(tmp_path, f"echo x >> {shlex.quote(str(tmp_path))}/calls\nexec sleep 9\n")
    reasons: list[str | None] = []
    caller = threading.Thread(target=lambda: reasons.extend(program.run(["set", str(number)]) for number in range(2)))
    caller.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "calls").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stop_agent_clis()
    caller.join(60)
    assert reasons == ["agent was stopped"] * 2
    assert (tmp_path / "calls").read_text("utf-8") == "x\n"


def test_stopped_program_is_not_started(tmp_path: Path) -> None:
    """After the stop, neither a call nor a read starts the program."""
    program = make_program(tmp_path, f"touch {shlex.quote(str(tmp_path))}/started\n")
    program.stop()
    assert program.run([]) == "agent was stopped"
    assert program.read([]) is None
    assert not (tmp_path / "started").exists()


def test_stop_after_end_is_accepted(tmp_path: Path) -> None:
    """A stop after the last call has no effect on its result."""
    program = make_program(tmp_path, "exit 0\n")
    assert program.run([]) is None
    stop_agent_clis()
    assert program.run([]) == "agent was stopped"


# Trust


def test_program_gets_no_own_inputs(tmp_path: Path) -> None:
    """The environment of the program is that of the job without our inputs."""
    environ = {"AUTONOMA_CLIENT_SECRET": "s3cret-value", "INPUT_CLIENT-SECRET": "s3cret-value"}
    environ |= {"MY_AUTONOMA_NAME": "x", "HOME": "/home/ci"}
    program = make_program(tmp_path, "env\n", environ=environ)
    variables = (program.read([]) or "").splitlines()
    assert "HOME=/home/ci" in variables
    assert "MY_AUTONOMA_NAME=x" in variables
    assert "s3cret-value" not in "".join(variables)


def test_first_program_in_path_is_used(tmp_path: Path) -> None:
    """Folders of PATH are searched in order, and files without permission are skipped."""
    write_script(tmp_path / "one").chmod(0o644)
    (tmp_path / "two" / "agent").mkdir(parents=True)
    write_script(tmp_path / "three", "echo three\n")
    write_script(tmp_path / "four", "echo four\n")
    program = find_program(tmp_path, ":".join(str(tmp_path / name) for name in ("zero", "one", "two", "three", "four")))
    assert program
    assert program.read([]) == "three"


@pytest.mark.parametrize("path", ["", ":", ".", "bin", "~/bin", "/nowhere", "\0", "/nowhere\n"])
def test_path_without_program_finds_none(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative and missing folders of PATH have no trusted program."""
    write_script(tmp_path)
    write_script(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)
    assert find_program(tmp_path, path) is None


def test_unset_path_finds_none(tmp_path: Path) -> None:
    """Without PATH there is no program."""
    assert find_trusted_executable("sh", make_publish_context({}, tmp_path)) is None


@pytest.mark.parametrize(
    "path", ["{}/checkout", "{}/checkout/bin", "{}/checkout/bin/../bin", "{}/other/../checkout/bin", "{}/link/bin"]
)
def test_program_in_checkout_is_not_trusted(path: str, tmp_path: Path) -> None:
    """A folder of the checkout is not trusted under any name."""
    write_script(tmp_path / "checkout")
    write_script(tmp_path / "checkout" / "bin")
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "checkout")
    assert find_program(tmp_path, path.format(tmp_path)) is None


def test_link_into_checkout_is_not_trusted(tmp_path: Path) -> None:
    """A trusted folder may contain a link to a program of the checkout."""
    script = write_script(tmp_path / "checkout")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "agent").symlink_to(script)
    assert find_program(tmp_path, str(tmp_path / "bin")) is None


@pytest.mark.parametrize("path", ["{}/checkout/bin", "{}/link/bin"])
def test_link_from_checkout_is_not_trusted(path: str, tmp_path: Path) -> None:
    """A shell under the name of the program would run a file of the checkout."""
    (tmp_path / "checkout" / "bin").mkdir(parents=True)
    (tmp_path / "checkout" / "bin" / "agent").symlink_to("/bin/sh")
    (tmp_path / "link").symlink_to(tmp_path / "checkout")
    assert find_program(tmp_path, path.format(tmp_path)) is None


@pytest.mark.parametrize("path", ["bin", "sub/bin", "sub/../bin", "out/bin", "out/../outside/bin"])
def test_folder_through_checkout_is_not_trusted(path: str, tmp_path: Path) -> None:
    """A folder of the PATH may not lead through a link of the checkout, although it ends outside."""
    checkout = tmp_path / "checkout"
    (checkout / "sub").mkdir(parents=True)
    write_script(tmp_path / "outside" / "bin")
    for link, target in (("bin", "outside/bin"), ("sub/bin", "outside/bin"), ("out", "outside")):
        (checkout / link).symlink_to(tmp_path / target)
    assert find_program(tmp_path, str(checkout / path)) is None


def test_link_between_trusted_folders_is_used(tmp_path: Path) -> None:
    """A trusted folder may contain a link to another trusted folder."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "agent").symlink_to(write_script(tmp_path / "opt", "echo opt\n"))
    program = find_program(tmp_path, str(tmp_path / "bin"))
    assert program
    assert program.read([]) == "opt"


def test_checkout_behind_link_is_not_trusted(tmp_path: Path) -> None:
    """The working directory may be a link to the checkout."""
    write_script(tmp_path / "source")
    (tmp_path / "checkout").symlink_to(tmp_path / "source")
    assert find_program(tmp_path, str(tmp_path / "source")) is None


def test_folder_beside_checkout_is_trusted(tmp_path: Path) -> None:
    """A folder whose name begins with that of the checkout is outside of it."""
    write_script(tmp_path / "checkout-tools")
    assert find_program(tmp_path, str(tmp_path / "checkout-tools")) is not None


def test_program_for_removed_checkout_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a working directory, no program is known to be outside of it."""
    write_script(tmp_path / "bin")
    removed_folder = tmp_path / "gone"
    removed_folder.mkdir()
    monkeypatch.chdir(removed_folder)
    removed_folder.rmdir()
    assert find_trusted_executable("agent", make_publish_context({"PATH": str(tmp_path / "bin")})) is None
