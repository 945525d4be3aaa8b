"""Jobs in directories that allow no reading of their names."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Drops CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities(7)), with which root ignores permissions. The numbers are
# those of linux/prctl.h and linux/capability.h. The program of the next call of exec gets no dropped capability.
PROGRAM = """
import ctypes, os, sys
PR_CAPBSET_DROP = 24
for capability in (1, 2):
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-B", *sys.argv[1:]])
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux opens directories without reading")
CHECK = "import os, sys; os.listdir(sys.argv[1])"


def run_without_capabilities(*argv: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, in a process that obeys permissions."""
    return subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM, *argv],
        cwd=folder,
        env=CREDENTIALS | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """Return a working directory without the `r` permission."""
    folder = tmp_path / "work"
    folder.mkdir()
    folder.chmod(0o311)
    try:
        if run_without_capabilities("-c", CHECK, str(folder), folder=tmp_path).returncode == 0:
            pytest.skip("this user can read any directory")
        yield folder
    finally:
        # Without this, a user other than root could not remove the directories.
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o755)


def test_unreadable_directories_are_used(workspace: Path) -> None:
    """The commands `run`, `wait` and `report` need only `x` and `w`."""
    for name in ("results", "other"):
        (workspace / name).mkdir()
        (workspace / name).chmod(0o333)
    with Sandbox(pace=0) as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_EVIDENCE": "all", "AUTONOMA_WAIT": "true"}

        def run(*argv: str) -> subprocess.CompletedProcess[str]:
            return run_without_capabilities("-m", "autonoma_ci", *argv, folder=workspace, **environ)

        started = run("run", "--test-ids", "sandbox-fails", "--results-dir", "results")
        waited = run("wait", "results/results.json", "--results-dir", "other")
        reported = run("report", "other/results.json", "--format", "html", "--output", "other/deeper/page.html")
    assert (started.returncode, waited.returncode) == (1, 1), started.stderr + waited.stderr
    assert reported.returncode == 0, reported.stderr
    for output in (started.stdout, waited.stdout):
        assert "could not be" not in output
        assert "incomplete evidence" not in output
    results = json.loads((workspace / "other" / "results.json").read_text("utf-8"))
    evidence = results["runs"][0]["evidence"]
    assert evidence["missing_reason"] == ""
    screenshots = [step["screenshot"] for step in evidence["steps"] if step["screenshot"]]
    assert screenshots
    for path in screenshots:
        assert (workspace / "other" / path).read_bytes() == (workspace / "results" / path).read_bytes()
    assert (workspace / "other" / "deeper" / "page.html").is_file()


def test_inaccessible_results_dir_is_error(workspace: Path) -> None:
    """A directory without the `x` permission is refused before the first request."""
    (workspace / "results").mkdir(mode=0)
    completed = run_without_capabilities(
        "-m", "autonoma_ci", "run", "--test-ids", "a", "--results-dir", "results", folder=workspace
    )
    assert completed.returncode == 2
    assert "--results-dir: directory could not be created (Permission denied)." in completed.stderr
