"""Soak test of ten thousand simulated runs and as many real ones (`make soak`).

`python -m tests.system.soak.soak SECONDS [SEED]`. The real half takes about SECONDS. It has 2,000 runs for each
minute. Exit code 1 means that a run was lost or started twice, or that memory grew.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import textwrap
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.system.soak.check_results import count_states
from tests.system.soak.load import (
    compute_fifth_medians,
    compute_memory_per_run,
    find_errors,
    find_memory_growth,
    run_load,
    select_memory_after_starts,
)
from tests.system.soak.simulation import simulate

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from tests.system.soak.ground_truth import GroundTruth

RUNS, SECONDS = 10_000, 300.0
_MAX_SHOWN = 20


def main(seconds: float, seed: int) -> int:
    """Run both halves, print the results, and return the exit code."""
    print_text(f"seed {seed}: make soak SOAK_SECONDS={seconds:g} SOAK_SEED={seed} does the same again")
    errors = [*run_simulation(seed), *run_real_load(seed, seconds)]
    for text in errors[:_MAX_SHOWN]:
        print_text(f"WRONG: {text}")
    print_text(f"{len(errors)} things are wrong" if errors else "none lost, none started twice, memory flat")
    return 1 if errors else 0


def run_simulation(seed: int) -> list[str]:
    """Run the simulated half, and return its errors."""
    started_at = time.monotonic()
    result = simulate(seed, RUNS)
    simulation = result.simulation
    print_text(
        f"simulated: {RUNS} runs in {result.seconds / 60:.0f} minutes of their own clock, which took "
        f"{time.monotonic() - started_at:.1f} s; suspended for {simulation.suspended_seconds:.0f} s"
    )
    print_statistics(simulation.ground_truth, result.states)
    return result.check.errors


def run_real_load(seed: int, seconds: float) -> list[str]:
    """Run the half with real processes and sockets, and return its errors."""
    runs = round(RUNS * seconds / SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        result = run_load(Path(folder), seed, runs, seconds)
        errors = find_errors(result)
    print_text(
        f"real: {runs} runs in {result.seconds:.0f} s; in {result.outages} outages "
        f"of {result.outage_seconds:.0f} s in all nobody listened"
    )
    print_statistics(result.ground_truth, count_states(result.runs))
    memory_samples = " ".join(f"{mib:.0f}" for mib in result.memory[15:-15:30])
    print_text(
        f"  memory each half minute: {memory_samples} MiB; "
        f"at most {max(result.memory):.0f}, while the last reports are made"
    )
    if growth_errors := find_memory_growth(result):
        return [*errors, *growth_errors]
    memory_after = select_memory_after_starts(result)
    early_mib, late_mib = compute_fifth_medians(memory_after)
    print_text(f"  memory until all were started: {compute_memory_per_run(result):.1f} KiB more for each run")
    print_text(
        f"  memory in the {len(memory_after)} s after that: second fifth {early_mib:.1f} MiB, last {late_mib:.1f}"
    )
    return errors


def print_statistics(ground_truth: GroundTruth, states: Counter[str]) -> None:
    """Print the number of exchanges, faults and runs."""
    fault_count, exchange_count = ground_truth.faults.total(), ground_truth.exchanges.total()
    print_text(
        f"  {exchange_count} exchanges, {fault_count} of them with a fault ({fault_count / exchange_count:.1%}); "
        f"{ground_truth.exchanges['start']} POSTs for starts"
    )
    print_text("  " + format_counts(states.items()))
    counts_by_exchange: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for fault, count in ground_truth.faults.items():
        exchange, _, kind = fault.partition(": ")
        counts_by_exchange[exchange].append((kind, count))
    for exchange, counts in sorted(counts_by_exchange.items(), reverse=True):
        print_text(f"  faults of {exchange} requests: {format_counts(counts)}")


def format_counts(counts: Iterable[tuple[str, int]]) -> str:
    """Format counts, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts, key=lambda item: (-item[1], item[0])))


def print_text(text: str) -> None:
    """Print a paragraph without buffering."""
    sys.stdout.write(textwrap.fill(text, 116, subsequent_indent="    ") + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else secrets.randbelow(1_000_000)))
