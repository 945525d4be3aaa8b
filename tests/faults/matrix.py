"""Run every failure in every phase and write the README table."""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.faults import api, inputs, machine, network
from tests.faults.job import run
from tests.faults.kind import AS_USUAL, Kind, Phase
from tests.faults.proofs import assert_sound
from tests.faults.scene import Scene
from tests.support.certificates import Certificates
from tests.support.tables import with_block

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = (*network.KINDS, *api.KINDS, *machine.KINDS, *inputs.KINDS)
README = Path(__file__).parents[2] / "README.md"


class Played(NamedTuple):
    """What came of one job: its exit code, and what was wrong with it, if anything was."""

    code: int
    flaw: str


def play(folder: Path, kind: Kind, phase: Phase, certificates: Certificates) -> Played:
    """Run one job with one failure in one phase."""
    with Scene(folder, kind, phase, certificates) as scene:
        ended = run(scene)
        try:
            assert ended.code == kind.codes.get(phase, AS_USUAL), f"exit code {ended.code}"
            assert_sound(scene, ended)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            return Played(ended.code, f"{phase}: {type(error).__name__} {error}\n{ended.log[-3000:]}")
    return Played(ended.code, "")


def play_all(folder: Path, kind: Kind, certificates: Certificates) -> dict[Phase, Played]:
    """Run the jobs of one kind, all at a time."""
    with ThreadPoolExecutor(len(kind.phases)) as pool:
        jobs = {phase: pool.submit(play, folder / phase.name, kind, phase, certificates) for phase in kind.phases}
    return {phase: job.result() for phase, job in jobs.items()}


def row(kind: Kind, codes: Mapping[Phase, int]) -> str:
    """Return the kind's row of the table; the exit code is told where it is not as usual."""
    cells = ["✓" if code == AS_USUAL else str(code) for code in (codes.get(phase, "") for phase in Phase)]
    told = [cell if phase in codes else "" for phase, cell in zip(Phase, cells, strict=True)]
    return "| " + " | ".join([f"{kind.group}: {kind.name}", *told]) + " |"


def head() -> str:
    """Return what stands above the rows."""
    jobs = sum(len(kind.phases) for kind in KINDS)
    return (
        f"<summary>{len(KINDS)} kinds of failure in {jobs} jobs, and the exit code of each</summary>\n\n"
        f"| failure | {' | '.join(Phase)} |\n| --- |{' --- |' * len(Phase)}"
    )


def main() -> int:
    """Play everything and write the README's table of it; return 1 if anything is wrong, which leaves the table."""
    rows, flaws = [], []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "certificates")
        place.mkdir()
        certificates = Certificates(place)
        for number, kind in enumerate(KINDS):
            played = play_all(Path(folder, str(number)), kind, certificates)
            rows.append(row(kind, {phase: each.code for phase, each in played.items()}))
            flaws += [f"{kind.group}: {kind.name}: {each.flaw}" for each in played.values() if each.flaw]
            sys.stdout.write(f"{rows[-1]}\n")
    if flaws:
        sys.stdout.write("\n\n".join(flaws) + "\n")
        return 1
    table = "\n".join(["<details>", head(), *rows, "", "</details>"])
    README.write_text(with_block(README.read_text("utf-8"), "faults", table), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
