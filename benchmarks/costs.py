"""What a command costs, and commands measured in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.row import Row

FOLDER = Path(__file__).parent
AUTONOMA_CI = (str(Path(sys.executable).with_name("autonoma-ci")),)
CREDENTIALS = {"AUTONOMA_CLIENT_ID": "benchmark-id", "AUTONOMA_CLIENT_SECRET": "benchmark-secret"}


class Cost(NamedTuple):
    """What one run of a command took, in seconds and MiB, and what it printed.

    `processor` is the time of all its processes, `megabytes` the peak of its largest one, which is never less than
    that of the process that started it: whoever measures must stay small.
    """

    seconds: float
    processor_seconds: float
    peak_mebibytes: float
    output: str


def script_command(script: str) -> tuple[str, ...]:
    """Return the command of one of the scripts beside this file."""
    return (sys.executable, str(FOLDER / script))


def measure_command(command: Sequence[str], environ: Mapping[str, str], folder: Path | None = None) -> Cost:
    """Run a command; raise RuntimeError unless it succeeds."""
    with tempfile.TemporaryFile() as output_file:
        started_at = time.perf_counter()
        process = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], **environ}, stdout=output_file, stderr=output_file, cwd=folder
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started_at
        process.returncode = os.waitstatus_to_exitcode(status)
        output_file.seek(0)
        output = output_file.read().decode("utf-8", "replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} ended with {process.returncode}:\n{output[-2000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def measure_in_turn(commands: Sequence[Sequence[str]], environ: Mapping[str, str], rounds: int) -> list[list[Cost]]:
    """Return the costs of each command, run in turn, every other round the other way round, after one of warm-up."""
    costs: list[list[Cost]] = [[] for _ in commands]
    for round_number in range(rounds + 1):
        order = list(enumerate(commands))
        for index, command in reversed(order) if round_number % 2 else order:
            cost = measure_command(command, environ)
            if round_number:
                costs[index].append(cost)
    return costs


def elapsed_seconds(cost: Cost) -> float:
    """Return the time that passed."""
    return cost.seconds


def processor_seconds(cost: Cost) -> float:
    """Return the processor time: where nothing is waited for, a ratio of it hardly wanders on a busy machine."""
    return cost.processor_seconds


def compare_pairs(
    row: Row,
    ours: Sequence[Cost],
    theirs: Sequence[Cost],
    figure: Callable[[Cost], float] = elapsed_seconds,
    ratio_of: Callable[[Cost], float] | None = None,
) -> Row:
    """Return the row with the medians of both figures, and with that of the pairs' ratios of it, or of another."""
    compared_figure = ratio_of or figure
    return row._replace(
        ours=median(map(figure, ours)),
        theirs=median(map(figure, theirs)),
        ratio=median(compared_figure(mine) / compared_figure(other) for mine, other in zip(ours, theirs, strict=True)),
    )


@contextmanager
def run_server(command: Sequence[str]) -> Iterator[str]:
    """Run a server that prints its address first, and yield that."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def run_api_server(seconds: float) -> Iterator[dict[str, str]]:
    """Run the server that takes so many seconds for a start, and yield the variables of those who call it."""
    with run_server([*script_command("server.py"), str(seconds)]) as port:
        yield {**CREDENTIALS, "AUTONOMA_API_URL": f"http://127.0.0.1:{port}"}
