"""Measure the delay of verdicts, the polls, and 1,000 runs at once.

The comparison is a fixed poll every 10 s.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.costs import AUTONOMA_CI, CREDENTIALS, FOLDER, Cost, measure_command, run_server, script_command
from benchmarks.row import Row, with_comparison

LENGTHS = (5, 30, 90, 300)
# The limit of the delay is 1 s and 2 % of the length.
DELAYS = [
    Row(f"verdict of a run of {length} s: delay", "s", 1 + length / 50, absolute=True, how="theirs: a poll every 10 s")
    for length in LENGTHS
]
POLLS = [
    Row(
        f"verdict of a run of {length} s: polls",
        "",
        2.0 if length == 300 else None,
        how="for each of the same runs",
    )
    for length in LENGTHS
]
RUNS = 1000
MEMORY = Row("1,000 runs waited for: memory", "MiB", 120.0, absolute=True, how="peak; theirs: a thread for each")
PROCESSOR = Row("1,000 runs waited for: processor", "s", how="runs of 27 to 33 s")
LAST = Row("1,000 runs waited for: last verdict", "s", how="from start to exit")
LOST = Row("1,000 runs waited for: lost", "", 0.0, absolute=True, how="not reported as passed")
SANDBOX = """
import threading
from autonoma_ci.sandbox import Sandbox
with Sandbox() as sandbox:
    print(sandbox.url, flush=True)
    threading.Event().wait()
"""


def measure_delays() -> list[Row]:
    """Measure all lengths at once in a separate process."""
    means = json.loads(measure_command([sys.executable, "-m", "benchmarks.delays"], {}, FOLDER.parent).output)
    lengths = [means[str(length)] for length in LENGTHS]
    delay_rows = [with_comparison(row, ours[0], theirs[0]) for row, (ours, theirs) in zip(DELAYS, lengths, strict=True)]
    poll_rows = [with_comparison(row, ours[1], theirs[1]) for row, (ours, theirs) in zip(POLLS, lengths, strict=True)]
    return [*delay_rows, *poll_rows]


def measure_many_runs() -> list[Row]:
    """Wait for 1,000 runs of about 30 s with each program."""
    # Lengths differ, because with one length each poll after 10 s could come just in time.
    ids = [f"sandbox-takes-{27 + n % 7}-{n}" for n in range(RUNS)]
    environ = {**CREDENTIALS, "AUTONOMA_TEST_IDS": ",".join(ids), "AUTONOMA_CONCURRENCY": "32"}
    # With names, because a run without a name needs a request for its title.
    named = ",".join(f"run {n}={test_id}" for n, test_id in enumerate(ids))
    wait_options = {"AUTONOMA_TEST_IDS": named, "AUTONOMA_WAIT": "true", "AUTONOMA_RESULTS_DIR": "results"}
    with tempfile.TemporaryDirectory() as folder:
        ours = _measure_with_sandbox(AUTONOMA_CI, environ | wait_options, Path(folder))
        outputs = Path(folder, "results", "outputs.env").read_text("utf-8").splitlines()
    values = dict(line.split("=", 1) for line in outputs)
    theirs = _measure_with_sandbox(script_command("bare_wait.py"), environ, FOLDER)
    lost = RUNS - int(values["AUTONOMA_PASSED"])
    return [
        with_comparison(MEMORY, ours.peak_mebibytes, theirs.peak_mebibytes),
        with_comparison(PROCESSOR, ours.processor_seconds, theirs.processor_seconds),
        with_comparison(LAST, ours.seconds, theirs.seconds),
        LOST._replace(ours=lost, theirs=RUNS - theirs.output.count(" passed\n")),
    ]


def _measure_with_sandbox(command: tuple[str, ...], environ: dict[str, str], folder: Path) -> Cost:
    with run_server([sys.executable, "-c", SANDBOX]) as url:
        return measure_command(command, {**environ, "AUTONOMA_API_URL": url}, folder)
