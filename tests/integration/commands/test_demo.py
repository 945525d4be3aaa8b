"""Tests of the command `demo`."""

from __future__ import annotations

import io
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.commands import demo
from autonoma_ci.commands.demo import DEMO_MANIFEST
from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import POLL_POLICY, START_POLICY
from tests.support.invoke_command import CommandResult, invoke

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture
def fast_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the runs of the sandbox end immediately."""
    monkeypatch.setattr(demo, "Sandbox", partial(Sandbox, pace=0))


def run_demo(folder: Path, *argv: str, environ: dict[str, str] | None = None) -> CommandResult:
    """Run the demo with short pauses between polls."""
    out, err = io.StringIO(), io.StringIO()
    runtime = Runtime(environ or {}, out, err, str(folder), poll_policy=POLL_POLICY, start_policy=START_POLICY)
    return CommandResult(cli.run_command(["demo", *argv], runtime), out.getvalue(), err.getvalue())


def replace_run(monkeypatch: pytest.MonkeyPatch, code: int, number: int = 0) -> list[Runtime]:
    """Replace the run by an exit code or a signal, and return the runtimes of its calls."""
    runtimes: list[Runtime] = []

    def end_run(_: Sequence[str], runtime: Runtime) -> int:
        runtimes.append(runtime)
        if number:
            runtime.signals.end()
            runtime.signals.handle(number, None)
        return code

    monkeypatch.setattr("autonoma_ci.commands.run.main", end_run)
    return runtimes


@pytest.mark.usefixtures("fast_sandbox")
def test_demo_ends_with_path_of_report(tmp_path: Path) -> None:
    """One run fails on purpose, and the exit code is 0."""
    result = run_demo(tmp_path, "--output", "demo")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "The manifest, autonoma.yml:"
    assert lines[-7:-4] == [
        f"Report: {tmp_path / 'demo' / 'results' / 'report.html'}",
        "6 of 7 runs passed (1 flaky), 1 failed.",
        "",
    ]
    assert lines[-4:] == [
        "One test fails on purpose. A CI step with this result ends with exit code 1.",
        "The demo sent nothing outside of this machine. With an account, continue with: autonoma-ci init",
        "Open the report with screenshots and videos in a browser. Its links to runs worked only during the demo:",
        f"  {tmp_path / 'demo' / 'results' / 'report.html'}",
    ]
    assert (tmp_path / "demo" / "results" / "report.html").is_file()
    assert (tmp_path / "demo" / "autonoma.yml").read_text("utf-8") == DEMO_MANIFEST


@pytest.mark.usefixtures("fast_sandbox")
def test_demo_ignores_surrounding_job(tmp_path: Path) -> None:
    """Neither outputs nor credentials of a job are used."""
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "AUTONOMA_API_URL": "https://127.0.0.1:9/api",
        "AUTONOMA_CLIENT_SECRET": "s3cret-value",
        "AUTONOMA_TEST_IDS": "of-the-job",
    }
    result = run_demo(tmp_path, "--output", "demo", environ=environ)
    assert (result.code, result.err) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert "of-the-job" not in result.out


def test_demo_prints_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of the manifest is in the log, and the Markdown of the summary is not."""
    replace_run(monkeypatch, 1)
    (tmp_path / "d" / "results").mkdir(parents=True)
    (tmp_path / "d" / "results" / "summary.md").write_text("### Demo\n\n::error::x\n", "utf-8")
    result = run_demo(tmp_path, "--output", "d")
    assert result.code == 0
    for line in DEMO_MANIFEST.splitlines():
        assert f"\n  {line}\n" in result.out
    assert "### Demo" not in result.out
    assert "::error::x" not in result.out


def test_demo_prints_program_as_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is not on PATH is printed with its path."""
    replace_run(monkeypatch, 1)
    out = io.StringIO()
    runtime = Runtime({"PATH": str(tmp_path)}, out, io.StringIO(), str(tmp_path), called_as=".venv/bin/autonoma-ci")
    assert cli.run_command(["demo", "--output", "d"], runtime) == 0
    assert "continue with: .venv/bin/autonoma-ci init\n" in out.getvalue()
    (tmp_path / "autonoma-ci").write_text("#!/bin/sh\n", "utf-8")
    (tmp_path / "autonoma-ci").chmod(0o755)
    assert runtime.find_program() == "autonoma-ci"


def test_demo_run_has_own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run has the demo's credentials, folder and API."""
    runtimes = replace_run(monkeypatch, 5)
    run_demo(tmp_path, "--output", "d")
    (runtime,) = runtimes
    assert runtime.working_directory == str(tmp_path / "d")
    assert runtime.environ["AUTONOMA_API_URL"].startswith("http://127.0.0.1:")
    assert runtime.environ["AUTONOMA_CLIENT_SECRET"] == "demo-secret"


@pytest.mark.parametrize(("code", "expected"), [(0, 70), (2, 2), (5, 5), (70, 70)])
def test_demo_with_other_result_fails(
    code: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo without the planned failure never ends with 0."""
    replace_run(monkeypatch, code)
    result = run_demo(tmp_path, "--output", "d")
    assert result.code == expected
    assert result.out.endswith(f"The demo failed: exit code {code} instead of 1. See the lines above.\n")


def test_cancelled_demo_withdraws_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is that of the run."""
    replace_run(monkeypatch, 143, signal.SIGTERM)
    result = run_demo(tmp_path, "--output", "d")
    assert result.code == 143
    assert result.out.endswith("The demo was cancelled. Ignore the advice above, because the demo's runs have ended.\n")


def test_demo_without_output_uses_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder is not removed, so that the report can be opened."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    replace_run(monkeypatch, 5)
    for _ in range(2):
        run_demo(tmp_path)
    folders = list(tmp_path.iterdir())
    assert len(folders) == 2
    assert all(folder.name.startswith("autonoma-demo-") for folder in folders)
    assert all((folder / "autonoma.yml").read_text("utf-8") == DEMO_MANIFEST for folder in folders)


def test_demo_replaces_its_own_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second demo can use the folder of the first one."""
    replace_run(monkeypatch, 5)
    assert [run_demo(tmp_path, "--output", "a/b").code for _ in range(2)] == [5, 5]


def test_demo_refuses_link_outside(tmp_path: Path) -> None:
    """Nothing is written through a link that leaves the working directory."""
    (tmp_path / "other").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to(tmp_path / "other", target_is_directory=True)
    result = run_demo(tmp_path / "work", "--output", "link/demo")
    message = "--output: symbolic link leads outside of the working directory. Use another --output."
    assert (result.code, result.errors) == (2, [message])
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize("output", ["file/demo", "x" * 5000, "a\0b"])
def test_demo_without_folder_is_error(output: str, tmp_path: Path) -> None:
    """A path that can't be a folder is an error of the input."""
    (tmp_path / "file").touch()
    result = run_demo(tmp_path, "--output", output)
    assert result.code == 2
    assert len(result.errors) == 1
    assert result.errors[0].startswith("The demo's files could not be written (")
    assert result.errors[0].endswith("). Use another --output.")


def test_demo_suggests_option_for_path(tmp_path: Path) -> None:
    """A path without the option is an unexpected argument."""
    result = run_demo(tmp_path, "folder")
    assert (result.code, "To set the directory of the demo's files, add --output PATH." in result.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_demo_shows_links_and_report(tmp_path: Path) -> None:
    """The demo ends with the path of a report and writes no outputs of the surrounding job."""
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "output")}
    result = invoke(tmp_path, "demo", "--output", "demo", environ=environ)
    assert (result.code, result.err) == (0, "")
    assert "6 of 7 runs passed (1 flaky), 1 failed." in result.out
    summary = (tmp_path / "demo" / "results" / "summary.md").read_text("utf-8")
    assert (result.out + summary).count("Expected a confirmation") >= 4
    assert "One test fails on purpose." in result.out
    assert "http://127.0.0.1" in result.out
    assert "| Run | State | Time | Link |" in summary
    assert "| Run | State | Time | Link |" not in result.out
    assert "    - id: cm8d9gt6v000c9fe5glmyi33u" in result.out
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    report = Path(result.out.splitlines()[-1].strip())
    assert report == tmp_path / "demo" / "results" / "report.html"
    assert "6 of 7 runs passed" in report.read_text("utf-8")
    assert len(list((report.parent / "evidence").glob("*/video.webm"))) == 7


def test_demo_keeps_existing_manifest(tmp_path: Path) -> None:
    """The demo refuses a folder that has a manifest."""
    (tmp_path / "autonoma.yml").write_text("version: 1", "utf-8")
    result = invoke(tmp_path, "demo", "--output", ".")
    assert result.code == 2
    assert (tmp_path / "autonoma.yml").read_text("utf-8") == "version: 1"
