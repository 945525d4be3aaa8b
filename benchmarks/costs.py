"""Measure the time and memory of commands."""

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
    """The cost and output of one execution of a command."""

    # Wall clock time.
    seconds: float
    # Processor time of all its processes.
    processor_seconds: float
    # Peak memory in MiB of its largest process. It is never below that of the parent, so the benchmark must stay small.
    peak_mebibytes: float
    # Standard output and standard error.
    output: str


def script_command(script: str) -> tuple[str, ...]:
    """Return the command for a script in this folder."""
    return (sys.executable, str(FOLDER / script))


def measure_command(command: Sequence[str], environ: Mapping[str, str], folder: Path | None = None) -> Cost:
    """Execute a command and return its cost.

    Raises:
        RuntimeError: The exit code is not 0.

    """
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
    """Return the costs of commands that are executed in turn.

    The first round is a warm-up and does not count. Every other round is in reverse order.
    """
    costs: list[list[Cost]] = [[] for _ in commands]
    for round_number in range(rounds + 1):
        order = list(enumerate(commands))
        for index, command in reversed(order) if round_number % 2 else order:
            cost = measure_command(command, environ)
            if round_number:
                costs[index].append(cost)
    return costs


def elapsed_seconds(cost: Cost) -> float:
    """Return the wall clock time of a cost."""
    return cost.seconds


def processor_seconds(cost: Cost) -> float:
    """Return the processor time of a cost.

    Where a command never waits, ratios of processor time hardly vary on a busy machine.
    """
    return cost.processor_seconds


def compare_pairs(
    row: Row,
    ours: Sequence[Cost],
    theirs: Sequence[Cost],
    figure: Callable[[Cost], float] = elapsed_seconds,
    ratio_of: Callable[[Cost], float] | None = None,
) -> Row:
    """Return the row with both medians and the median ratio.

    Args:
        row: The row.
        ours: Costs of autonoma-ci.
        theirs: Costs of the other command, in the same order.
        figure: Returns the figure of a cost.
        ratio_of: Returns the figure for the ratios of pairs. The default is `figure`.

    """
    compared_figure = ratio_of or figure
    return row._replace(
        ours=median(map(figure, ours)),
        theirs=median(map(figure, theirs)),
        ratio=median(compared_figure(mine) / compared_figure(other) for mine, other in zip(ours, theirs, strict=True)),
    )


@contextmanager
def run_server(command: Sequence[str]) -> Iterator[str]:
    """Run a server and yield the address that it prints first."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def run_api_server(seconds: float) -> Iterator[dict[str, str]]:
    """Run the benchmarks' API server and yield its clients' variables.

    Args:
        seconds: The time until it responds to a start request.

    """
    with run_server([*script_command("server.py"), str(seconds)]) as port:
        yield {**CREDENTIALS, "AUTONOMA_API_URL": f"http://127.0.0.1:{port}"}
