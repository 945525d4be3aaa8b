"""make soak: ten thousand runs on a clock of ours, and as many over real sockets, while one exchange in ten goes wrong.

`python -m tests.soak.soak SECONDS [SEED]`: the real half takes about so many seconds, and has as many runs for each
minute as it has in five. Exit code 1 if a run was lost or started twice, or if memory grew.
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

from tests.soak.judge import states
from tests.soak.load import complaints, fifths, grown, kept, load, window
from tests.soak.simulation import simulate

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from tests.soak.ledger import Ledger

RUNS, SECONDS = 10_000, 300.0
_SHOWN = 20


def main(seconds: float, seed: int) -> int:
    """Run both halves, say what happened, and return the exit code."""
    say(f"seed {seed}: make soak SOAK_SECONDS={seconds:g} SOAK_SEED={seed} does the same again")
    wrong = [*simulated(seed), *real(seed, seconds)]
    for text in wrong[:_SHOWN]:
        say(f"WRONG: {text}")
    say(f"{len(wrong)} things are wrong" if wrong else "none lost, none started twice, memory flat")
    return 1 if wrong else 0


def simulated(seed: int) -> list[str]:
    """Show the half without waiting; return what is wrong."""
    began = time.monotonic()
    found = simulate(seed, RUNS)
    simulation = found.simulation
    say(
        f"simulated: {RUNS} runs in {found.seconds / 60:.0f} minutes of their own clock, which took "
        f"{time.monotonic() - began:.1f} s; suspended for {simulation.suspended:.0f} s"
    )
    show(simulation.ledger, found.states)
    return found.judged.complaints


def real(seed: int, seconds: float) -> list[str]:
    """Show the half with real processes and sockets; return what is wrong."""
    runs = round(RUNS * seconds / SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        found = load(Path(folder), seed, runs, seconds)
        wrong = complaints(found)
    say(
        f"real: {runs} runs in {found.seconds:.0f} s; in {found.outages} outages "
        f"of {found.refused:.0f} s in all nobody listened"
    )
    show(found.ledger, states(found.found))
    minutes = " ".join(f"{mib:.0f}" for mib in found.memory[15:-15:30])
    say(f"  memory each half minute: {minutes} MiB; at most {max(found.memory):.0f}, while the last reports are made")
    if grew := grown(found):
        return [*wrong, *grew]
    early, late = fifths(window(found))
    say(f"  memory until all were started: {kept(found):.1f} KiB more for each run")
    say(f"  memory in the {len(window(found))} s after that: second fifth {early:.1f} MiB, last {late:.1f}")
    return wrong


def show(ledger: Ledger, found: Counter[str]) -> None:
    """Say what was asked, what went wrong with it, and what became of the runs."""
    harmed, asked = ledger.harms.total(), ledger.exchanges.total()
    say(
        f"  {asked} exchanges, {harmed} of them harmed ({harmed / asked:.1%}); "
        f"{ledger.exchanges['start']} POSTs for starts"
    )
    say("  " + listed(found.items()))
    kinds: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for harm, times in ledger.harms.items():
        exchange, _, kind = harm.partition(": ")
        kinds[exchange].append((kind, times))
    for exchange, harms in sorted(kinds.items(), reverse=True):
        say(f"  harm to a {exchange}: {listed(harms)}")


def listed(counts: Iterable[tuple[str, int]]) -> str:
    """Return the most frequent first."""
    return ", ".join(f"{name} {times}" for name, times in sorted(counts, key=lambda each: (-each[1], each[0])))


def say(text: str) -> None:
    """Print a paragraph, at once."""
    sys.stdout.write(textwrap.fill(text, 116, subsequent_indent="    ") + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else secrets.randbelow(1_000_000)))
