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
    find_complaints,
    find_memory_growth,
    median_fifths,
    memory_after_starts,
    memory_per_run,
    run_load,
)
from tests.system.soak.simulation import simulate

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from tests.system.soak.ground_truth import Ledger

RUNS, SECONDS = 10_000, 300.0
_SHOWN = 20


def main(seconds: float, seed: int) -> int:
    """Run both halves, print the results, and return the exit code."""
    print_text(f"seed {seed}: make soak SOAK_SECONDS={seconds:g} SOAK_SEED={seed} does the same again")
    wrong = [*run_simulation(seed), *run_real_load(seed, seconds)]
    for text in wrong[:_SHOWN]:
        print_text(f"WRONG: {text}")
    print_text(f"{len(wrong)} things are wrong" if wrong else "none lost, none started twice, memory flat")
    return 1 if wrong else 0


def run_simulation(seed: int) -> list[str]:
    """Run the simulated half, and return its errors."""
    began = time.monotonic()
    found = simulate(seed, RUNS)
    simulation = found.simulation
    print_text(
        f"simulated: {RUNS} runs in {found.seconds / 60:.0f} minutes of their own clock, which took "
        f"{time.monotonic() - began:.1f} s; suspended for {simulation.suspended_seconds:.0f} s"
    )
    print_statistics(simulation.ledger, found.states)
    return found.check.complaints


def run_real_load(seed: int, seconds: float) -> list[str]:
    """Run the half with real processes and sockets, and return its errors."""
    runs = round(RUNS * seconds / SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        found = run_load(Path(folder), seed, runs, seconds)
        wrong = find_complaints(found)
    print_text(
        f"real: {runs} runs in {found.seconds:.0f} s; in {found.outages} outages "
        f"of {found.outage_seconds:.0f} s in all nobody listened"
    )
    print_statistics(found.ledger, count_states(found.runs))
    minutes = " ".join(f"{mib:.0f}" for mib in found.memory[15:-15:30])
    print_text(
        f"  memory each half minute: {minutes} MiB; at most {max(found.memory):.0f}, while the last reports are made"
    )
    if grew := find_memory_growth(found):
        return [*wrong, *grew]
    early, late = median_fifths(memory_after_starts(found))
    print_text(f"  memory until all were started: {memory_per_run(found):.1f} KiB more for each run")
    print_text(
        f"  memory in the {len(memory_after_starts(found))} s after that: second fifth {early:.1f} MiB, last {late:.1f}"
    )
    return wrong


def print_statistics(ledger: Ledger, found: Counter[str]) -> None:
    """Print the number of exchanges, faults and runs."""
    harmed, asked = ledger.faults.total(), ledger.exchanges.total()
    print_text(
        f"  {asked} exchanges, {harmed} of them harmed ({harmed / asked:.1%}); "
        f"{ledger.exchanges['start']} POSTs for starts"
    )
    print_text("  " + format_counts(found.items()))
    kinds: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for harm, times in ledger.faults.items():
        exchange, _, kind = harm.partition(": ")
        kinds[exchange].append((kind, times))
    for exchange, harms in sorted(kinds.items(), reverse=True):
        print_text(f"  harm to a {exchange}: {format_counts(harms)}")


def format_counts(counts: Iterable[tuple[str, int]]) -> str:
    """Format counts, the most frequent first."""
    return ", ".join(f"{name} {times}" for name, times in sorted(counts, key=lambda each: (-each[1], each[0])))


def print_text(text: str) -> None:
    """Print a paragraph without buffering."""
    sys.stdout.write(textwrap.fill(text, 116, subsequent_indent="    ") + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else secrets.randbelow(1_000_000)))
