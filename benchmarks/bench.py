"""The project's promises about speed, measured side by side in one run; `make bench` runs it.

A figure on a busy machine says little, so what is promised is a ratio: each pair of commands runs in
turn, and the median of the pairs' ratios counts. Exit code 1 if a promise is not kept.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
OURS = [str(Path(sys.executable).with_name("autonoma-ci"))]
CREDENTIALS = {"AUTONOMA_CLIENT_ID": "benchmark-id", "AUTONOMA_CLIENT_SECRET": "benchmark-secret"}


class Figure(NamedTuple):
    """One row of the table: what was measured, the figure, the bound, and how it was got."""

    what: str
    figure: float
    bound: float
    unit: str
    detail: str


@contextmanager
def server(seconds: float) -> Iterator[str]:
    """Run the benchmark's server and yield its base URL."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


def seconds_of(command: list[str], environ: Mapping[str, str]) -> float:
    """Return how long a command takes; it must succeed."""
    began = time.perf_counter()
    subprocess.run(command, env={"PATH": os.environ["PATH"], **environ}, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def compare(what: str, bare: str, environ: Mapping[str, str], pairs: int, bound: float) -> Figure:
    """Return the median ratio of our command to a bare script, run in turn after one warm-up of each."""
    theirs = [sys.executable, str(HERE / bare)]
    seconds_of(OURS, environ)
    seconds_of(theirs, environ)
    times = [(seconds_of(OURS, environ), seconds_of(theirs, environ)) for _ in range(pairs)]
    detail = f"{median(t[0] for t in times):.3f} s to {median(t[1] for t in times):.3f} s, {pairs} pairs"
    return Figure(what, median(ours / other for ours, other in times), bound, "x", detail)


def manifest() -> list[Figure]:
    """Measure the check of a manifest with 10,000 tests."""
    entries = [
        f"  - id: cmtest{i:018d}\n    name: Test {i}\n    groups: [g{i % 50}]\n    variables: {{ USER: user-{i} }}\n"
        for i in range(10_000)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "autonoma.yml")
        path.write_text("version: 1\ntests:\n" + "".join(entries), encoding="utf-8")
        times = [seconds_of([*OURS, "validate", str(path)], {}) for _ in range(3)]
    size = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [
        Figure("10,000 tests in a manifest: time to validate", median(times), 3.0, "s", "median of 3"),
        Figure("10,000 tests in a manifest: peak memory", size, 300.0, "MiB", "largest of all children"),
    ]


def waits() -> list[Figure]:
    """Measure how late verdicts are, what they cost in requests, and a thousand runs at once."""
    figures = []
    for delay in waiting.delays():
        detail = f"mean of {waiting.RUNS} runs; {delay.requests:.0f} questions each"
        figures.append(Figure(f"verdict of a run of {delay.length} s: delay", delay.seconds, delay.bound, "s", detail))
    ratio = delay.requests / (delay.length / waiting.FIXED)
    figures.append(Figure(f"questions for a run of {delay.length} s", ratio, 2.0, "x", "against one every 10 s"))
    all_at_once = waiting.thousand()
    detail = f"{all_at_once.processor:.1f} s of processor time in {all_at_once.seconds:.0f} s"
    return [
        *figures,
        Figure("1,000 runs waited for at once: memory", all_at_once.megabytes, 120.0, "MiB", detail),
        Figure("1,000 runs waited for at once: lost", all_at_once.lost, 0.0, "", "runs of 30 s"),
    ]


def main() -> int:
    """Print the table and return the exit code."""
    figures = [*manifest(), *waits()]
    with server(0.0) as url:
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": url, "AUTONOMA_TEST_IDS": "abc"}
        figures.append(compare("one test, against a bare script", "bare_one.py", environ, 15, 1.15))
    with server(0.2) as url:
        ids = ",".join(f"test{i}" for i in range(200))
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": url, "AUTONOMA_TEST_IDS": ids, "AUTONOMA_CONCURRENCY": "32"}
        figures.append(compare("200 tests of 200 ms, against a bare pool", "bare_pool.py", environ, 5, 1.15))
    kept = True
    print(f"{'what':<45} {'figure':>10} {'at most':>10}   how")
    for row in figures:
        kept &= row.figure <= row.bound
        sign = "" if row.figure <= row.bound else "  <-- NOT KEPT"
        print(f"{row.what:<45} {row.figure:>6.2f} {row.unit:<3} {row.bound:>6.2f} {row.unit:<3}   {row.detail}{sign}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
