"""Test every fault in every phase of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.faults.fault_case import JOB_PHASES, REQUEST_PHASES, WRITE_PHASES, FaultCase, Phase
from tests.system.faults.generate_matrix import FAULT_CASES, PAGE, render_row, render_table_head, run_all_phases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority

TABLE = PAGE.read_text("utf-8").partition("<!-- faults:start -->")[2].partition("<!-- faults:end -->")[0]


@pytest.mark.slow
@pytest.mark.parametrize("case", FAULT_CASES, ids=lambda case: f"{case.group}, {case.name}")
def test_fault_matches_page(case: FaultCase, certificates: CertificateAuthority, tmp_path: Path) -> None:
    """Each fault ends with the exit codes of its row in the page."""
    results = run_all_phases(tmp_path, case, certificates)
    violations = [result.violation for result in results.values() if result.violation]
    assert not violations, "\n\n".join(violations)
    assert render_row(case, {phase: result.code for phase, result in results.items()}) in TABLE.splitlines()


def test_page_lists_all_faults() -> None:
    """The page lists exactly the existing faults."""
    row_names = [line.split(" | ")[0].removeprefix("| ") for line in TABLE.splitlines() if line.startswith("| ")]
    assert row_names == ["failure", "---", *(f"{case.group}: {case.name}" for case in FAULT_CASES)]
    assert render_table_head() in TABLE


def test_each_group_covers_its_phases() -> None:
    """Each group of faults covers all phases where it can occur."""
    assert len(FAULT_CASES) >= 40
    phases = {
        group: {p for case in FAULT_CASES if case.group == group for p in case.phases}
        for group in {k.group for k in FAULT_CASES}
    }
    for group in ("network", "proxy", "API"):
        assert phases[group] >= set(REQUEST_PHASES)
    assert phases["compare"] == {Phase.PLAN}
    assert phases["disk"] == {Phase.WHOLE_JOB, *WRITE_PHASES}
    assert phases["CI"] == {Phase.WHOLE_JOB, *JOB_PHASES}
    assert phases["input"] == {Phase.WHOLE_JOB}
