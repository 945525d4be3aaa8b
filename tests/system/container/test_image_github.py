"""The image as a container action of GitHub."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox

if TYPE_CHECKING:
    from tests.system.container.image import Image, JobFolders

pytestmark = pytest.mark.image
_SCRIPT = Path(__file__).parent / "with-sandbox.sh"
_RUN_URL = re.compile(r"http://127\.0\.0\.1:\d+/run/\w+")


def _read_outputs(file: Path) -> dict[str, str]:
    entries = re.findall(r"(?m)^([\w-]+)<<(.+)\n((?s:.*?))\n\2$", file.read_text())
    return {name: value for name, _, value in entries}


def test_inputs_give_outputs_and_summary(
    image: Image, folders: JobFolders, sandbox: Sandbox, credentials: dict[str, str]
) -> None:
    """Inputs of the action start runs and give outputs and a summary."""
    options = folders.github_options(
        **credentials, test_ids="Checkout=sandbox-one\nsandbox-two", variables="NAME=a=b", manifest=""
    )
    result = image.run(options)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (sandbox.count_starts("sandbox-one"), sandbox.count_starts("sandbox-two")) == (1, 1)
    assert {request.source for request in sandbox.received} == {"github"}
    outputs = _read_outputs(folders.output)
    assert (outputs["conclusion"], outputs["reason"], outputs["started"]) == ("started", "ok", "2")
    assert _RUN_URL.fullmatch(outputs["run-url"])
    assert outputs["run-url"] in folders.summary.read_text()
    assert "Checkout" in folders.summary.read_text()


def test_wait_reports_results(image: Image, folders: JobFolders, credentials: dict[str, str]) -> None:
    """Outputs, summary and JUnit have the result and the failed step."""
    options = folders.github_options(
        **credentials, test_ids="sandbox-one\nsandbox-fails", wait="true", results_dir="out"
    )
    result = image.run(options)
    assert result.returncode == 1, result.stdout + result.stderr
    outputs = _read_outputs(folders.output)
    assert (outputs["conclusion"], outputs["passed"], outputs["failed"]) == ("failed", "1", "1")
    assert "Expected a confirmation" in folders.summary.read_text()
    assert "<failure" in (folders.workspace / "out" / "junit.xml").read_text()


def test_unknown_id_fails_step(image: Image, folders: JobFolders, credentials: dict[str, str]) -> None:
    """An unknown test id gives exit code 4 and the reason `not-found`."""
    result = image.run(folders.github_options(**credentials, test_ids="sandbox-404"))
    assert result.returncode == 4, result.stdout + result.stderr
    assert _read_outputs(folders.output)["reason"] == "not-found"


def test_files_have_owner_of_workspace(image: Image, folders: JobFolders, credentials: dict[str, str]) -> None:
    """A self-hosted runner without root could not remove files of root."""
    result = image.run(folders.github_options(**credentials, test_ids="sandbox-one", results_dir="out/autonoma"))
    assert result.returncode == 0, result.stdout + result.stderr
    created_paths = sorted(folders.workspace.rglob("*"))
    assert {"out", "autonoma", "results.json", "junit.xml", "summary.md", "outputs.env"} <= {
        path.name for path in created_paths
    }
    owner = folders.workspace.stat()
    assert {(path.stat().st_uid, path.stat().st_gid) for path in created_paths} == {(owner.st_uid, owner.st_gid)}


def test_invalid_input_sends_nothing(
    image: Image, folders: JobFolders, sandbox: Sandbox, credentials: dict[str, str]
) -> None:
    """An invalid id or command gives exit code 2 without a request."""
    assert image.run(folders.github_options(**credentials, test_ids="../escape")).returncode == 2
    assert (_read_outputs(folders.output)["conclusion"], _read_outputs(folders.output)["reason"]) == ("error", "input")
    assert image.run(folders.github_options(**credentials), "no-such-command").returncode == 2
    assert sandbox.received == []


def test_sandbox_script_starts_action(image: Image, folders: JobFolders) -> None:
    """The script of the project's workflow runs the action with a sandbox."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    shutil.copy(str(_SCRIPT), str(folders.workspace))
    arguments = ["bash", _SCRIPT.name, port]
    options = folders.github_options(
        api_url=f"http://127.0.0.1:{port}/api",
        client_id="sandbox-id",
        client_secret="sandbox-secret",
        test_ids="sandbox-one",
    )
    result = image.run(options, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert _read_outputs(folders.output)["conclusion"] == "started"


def test_sigterm_writes_outputs_and_summary(image: Image, folders: JobFolders) -> None:
    """After SIGTERM, the started run is in outputs and summary within 2 s."""
    with Sandbox(pace=10) as sandbox:  # the response to sandbox-slow takes 30 s
        inputs = {"api_url": sandbox.url, "client_id": "sandbox-id", "client_secret": "sandbox-secret"}
        name = f"autonoma-ci-{folders.root.name}"
        options = folders.github_options(**inputs, test_ids="sandbox-one\nsandbox-slow")
        command = image.build_command(["--name", name, "-e", f"CONTAINER_NAME={name}", *options])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            _wait_for_start(sandbox, folders.summary)
            started_at = time.monotonic()
            image.terminate(name)
            log, _ = process.communicate(timeout=60)
            # The promise is 2 s, but a busy machine needs longer. Without a signal it takes 30 s.
            assert time.monotonic() - started_at < 20
        outputs, summary = _read_outputs(folders.output), folders.summary.read_text()
    assert process.returncode == 143, log
    assert outputs["conclusion"] == "cancelled", log
    assert outputs["run-url"] in summary
    assert sandbox.count_starts("sandbox-slow") <= 1


def _wait_for_start(sandbox: Sandbox, summary: Path) -> None:
    """Wait until one run is in the summary and the other start is sent."""
    deadline = time.monotonic() + 60
    while (
        not sandbox.count_starts("sandbox-slow") or not summary.exists() or "](http" not in summary.read_text("utf-8")
    ):
        assert time.monotonic() < deadline, "no run was started"
        time.sleep(0.05)
