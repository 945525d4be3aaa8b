"""On a full disk the runs start all the same, and the log says where they are and what is missing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from autonoma_ci.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

# The limit on a file's size stands for the disk: the first bytes can be written, the others can't.
JOB = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
from autonoma_ci.cli import run
run()
"""


def test_a_full_disk_changes_nothing_but_the_files(tmp_path: Path) -> None:
    for name in ("output", "summary"):
        (tmp_path / name).write_text("before=1\n", "utf-8")
    with Sandbox() as sandbox:
        environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "AUTONOMA_CLIENT_ID": "some-client-id",
            "AUTONOMA_CLIENT_SECRET": "some-client-secret",
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": "one, two",
            "AUTONOMA_RESULTS_DIR": "results",
        }
        # Without -B, what Python caches of its modules would be cut off as well, for every later process.
        command = [sys.executable, "-B", "-c", JOB]
        ran = subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )
        assert (sandbox.starts("one"), sandbox.starts("two")) == (1, 1)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("/run/") == 2
    assert "2 of 2 runs started." in ran.stdout
    warnings = [line for line in ran.stdout.splitlines() if line.startswith("::warning")]
    assert len(warnings) == 9
    assert all("File too large" in warning for warning in warnings)
    for name in ("output", "summary"):
        assert (tmp_path / name).read_text("utf-8") == "before=1\n"
    assert [path for path in (tmp_path / "results").rglob("*") if path.is_file()] == []
