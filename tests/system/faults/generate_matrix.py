"""Run every fault in every phase and write docs/fault-matrix.md."""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.certificates import CertificateAuthority
from tests.support.generate_docs import replace_block
from tests.system.faults import api_faults as api
from tests.system.faults import compare_faults as compare
from tests.system.faults import input_faults as inputs
from tests.system.faults import network_faults as network
from tests.system.faults import os_faults as operating_system
from tests.system.faults.fault_case import USUAL_EXIT_CODE, FaultCase, Phase
from tests.system.faults.harness import FaultScenario
from tests.system.faults.invariants import assert_job_is_correct
from tests.system.faults.job_runner import run_scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULT_CASES = (
    *(*network.FAULT_CASES, *api.FAULT_CASES, *compare.FAULT_CASES),
    *(*operating_system.FAULT_CASES, *inputs.FAULT_CASES),
)
PAGE = Path(__file__).parents[3] / "docs" / "fault-matrix.md"


class FaultResult(NamedTuple):
    """Exit code of one job and the violation found, if any."""

    code: int
    violation: str


def run_case(folder: Path, case: FaultCase, phase: Phase, certificates: CertificateAuthority) -> FaultResult:
    """Run one job with one fault in one phase."""
    with FaultScenario(folder, case, phase, certificates) as scenario:
        result = run_scenario(scenario)
        try:
            assert result.code == case.codes.get(phase, USUAL_EXIT_CODE), f"exit code {result.code}"
            assert_job_is_correct(scenario, result)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            return FaultResult(result.code, f"{phase}: {type(error).__name__} {error}\n{result.log[-3000:]}")
    return FaultResult(result.code, "")


def run_all_phases(folder: Path, case: FaultCase, certificates: CertificateAuthority) -> dict[Phase, FaultResult]:
    """Run the jobs of one case at the same time."""
    with ThreadPoolExecutor(len(case.phases)) as pool:
        futures = {
            phase: pool.submit(run_case, folder / phase.name, case, phase, certificates) for phase in case.phases
        }
    return {phase: future.result() for phase, future in futures.items()}


def render_row(case: FaultCase, codes: Mapping[Phase, int]) -> str:
    """Return the row of a case with its unusual exit codes."""
    cells = ["✓" if code == USUAL_EXIT_CODE else str(code) for code in (codes.get(phase, "") for phase in Phase)]
    visible_cells = [cell if phase in codes else "" for phase, cell in zip(Phase, cells, strict=True)]
    return "| " + " | ".join([f"{case.group}: {case.name}", *visible_cells]) + " |"


def render_table_head() -> str:
    """Return the number of faults and the table head."""
    job_count = sum(len(case.phases) for case in FAULT_CASES)
    return (
        f"{len(FAULT_CASES)} kinds of failure in {job_count} jobs, with the exit code of each:\n\n"
        f"| failure | {' | '.join(Phase)} |\n| --- |{' --- |' * len(Phase)}"
    )


def main() -> int:
    """Run all faults and write the table of the page.

    Returns:
        1 if any job violates a check. The table is then unchanged.
    """
    rows, violations = [], []
    with tempfile.TemporaryDirectory() as folder:
        certificates_dir = Path(folder, "certificates")
        certificates_dir.mkdir()
        certificates = CertificateAuthority(certificates_dir)
        for number, case in enumerate(FAULT_CASES):
            results = run_all_phases(Path(folder, str(number)), case, certificates)
            rows.append(render_row(case, {phase: result.code for phase, result in results.items()}))
            violations += [
                f"{case.group}: {case.name}: {result.violation}" for result in results.values() if result.violation
            ]
            sys.stdout.write(f"{rows[-1]}\n")
    if violations:
        sys.stdout.write("\n\n".join(violations) + "\n")
        return 1
    table = "\n".join([render_table_head(), *rows])
    PAGE.write_text(replace_block(PAGE.read_text("utf-8"), "faults", table), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
