"""Two processes that write to one results folder."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.architecture.package import ROOT
from tests.integration.commands.test_wait_results import Writer

if TYPE_CHECKING:
    from pathlib import Path

# A step that reads results.json, and writes its own after a line on standard input.
SLOW_STEP = """
import sys
from pathlib import Path
from autonoma_ci.fs.files import Directory
from tests.integration.commands.test_wait_results import Writer

writer = Writer(Path(sys.argv[1]), "first")
writer.publish()
write_atomic = Directory.write_atomic

def write_late(self, name, data):
    if name == "results.json":
        print("looked", flush=True)
        sys.stdin.readline()
    write_atomic(self, name, data)

Directory.write_atomic = write_late
writer.publish()
"""


@pytest.mark.slow
def test_two_processes_lose_no_open_runs(tmp_path: Path) -> None:
    """The second step writes between the read and the write of the first, or waits for it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_STEP, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "looked\n"
    writer_thread = threading.Thread(target=lambda: Writer(tmp_path, "second").publish())
    writer_thread.start()
    # With a lock, the thread waits. Without one, it ends within this time.
    writer_thread.join(1.0)
    process.stdin.write("\n")
    process.stdin.close()
    writer_thread.join()
    assert process.wait() == 0
    process.stdout.close()
    results_files = [json.loads(path.read_bytes()) for path in (tmp_path / "results").glob("results*.json")]
    run_ids = {run["run_id"] for results_json in results_files for run in results_json["runs"]}
    assert run_ids == {"run-first-0", "run-first-1", "run-second-0"}
