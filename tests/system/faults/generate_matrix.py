"""Run every failure in every phase and write the README table."""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.certificates import CertificateAuthority
from tests.support.generate_docs import replace_block
from tests.system.faults import api_faults as api
from tests.system.faults import input_faults as inputs
from tests.system.faults import network_faults as network
from tests.system.faults import os_faults as operating_system
from tests.system.faults.fault_case import USUAL_EXIT_CODE, FailureKind, Phase
from tests.system.faults.harness import FaultScenario
from tests.system.faults.invariants import assert_job_is_correct
from tests.system.faults.job_runner import run_scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = (*network.KINDS, *api.KINDS, *operating_system.KINDS, *inputs.KINDS)
README = Path(__file__).parents[3] / "README.md"


class FailureResult(NamedTuple):
    """Exit code of one job and the violation found, if any."""

    code: int
    violation: str


def run_failure(folder: Path, kind: FailureKind, phase: Phase, certificates: CertificateAuthority) -> FailureResult:
    """Run one job with one failure in one phase."""
    with FaultScenario(folder, kind, phase, certificates) as scenario:
        result = run_scenario(scenario)
        try:
            assert result.code == kind.codes.get(phase, USUAL_EXIT_CODE), f"exit code {result.code}"
            assert_job_is_correct(scenario, result)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            return FailureResult(result.code, f"{phase}: {type(error).__name__} {error}\n{result.log[-3000:]}")
    return FailureResult(result.code, "")


def run_all_phases(folder: Path, kind: FailureKind, certificates: CertificateAuthority) -> dict[Phase, FailureResult]:
    """Run the jobs of one kind at the same time."""
    with ThreadPoolExecutor(len(kind.phases)) as pool:
        futures = {
            phase: pool.submit(run_failure, folder / phase.name, kind, phase, certificates) for phase in kind.phases
        }
    return {phase: future.result() for phase, future in futures.items()}


def render_row(kind: FailureKind, codes: Mapping[Phase, int]) -> str:
    """Return the row of a kind with its unusual exit codes."""
    cells = ["✓" if code == USUAL_EXIT_CODE else str(code) for code in (codes.get(phase, "") for phase in Phase)]
    visible_cells = [cell if phase in codes else "" for phase, cell in zip(Phase, cells, strict=True)]
    return "| " + " | ".join([f"{kind.group}: {kind.name}", *visible_cells]) + " |"


def render_table_head() -> str:
    """Return the summary and the table head."""
    job_count = sum(len(kind.phases) for kind in KINDS)
    return (
        f"<summary>{len(KINDS)} kinds of failure in {job_count} jobs, and the exit code of each</summary>\n\n"
        f"| failure | {' | '.join(Phase)} |\n| --- |{' --- |' * len(Phase)}"
    )


def main() -> int:
    """Run all failures and write the README table.

    Returns:
        1 if any job violates a check. The table is then unchanged.
    """
    rows, violations = [], []
    with tempfile.TemporaryDirectory() as folder:
        certificates_dir = Path(folder, "certificates")
        certificates_dir.mkdir()
        certificates = CertificateAuthority(certificates_dir)
        for number, kind in enumerate(KINDS):
            results = run_all_phases(Path(folder, str(number)), kind, certificates)
            rows.append(render_row(kind, {phase: result.code for phase, result in results.items()}))
            violations += [
                f"{kind.group}: {kind.name}: {result.violation}" for result in results.values() if result.violation
            ]
            sys.stdout.write(f"{rows[-1]}\n")
    if violations:
        sys.stdout.write("\n\n".join(violations) + "\n")
        return 1
    table = "\n".join(["<details>", render_table_head(), *rows, "", "</details>"])
    README.write_text(replace_block(README.read_text("utf-8"), "faults", table), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
