"""Test every kind of failure in every phase of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.faults.fault_case import JOB_PHASES, REQUEST_PHASES, WRITE_PHASES, FailureKind, Phase
from tests.system.faults.generate_matrix import KINDS, README, render_row, render_table_head, run_all_phases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority

TABLE = README.read_text("utf-8").partition("<!-- faults:start -->")[2].partition("<!-- faults:end -->")[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.group}, {kind.name}")
def test_failure_matches_readme(kind: FailureKind, certificates: CertificateAuthority, tmp_path: Path) -> None:
    """Each failure ends with the exit codes of its row in the README."""
    results = run_all_phases(tmp_path, kind, certificates)
    violations = [result.violation for result in results.values() if result.violation]
    assert not violations, "\n\n".join(violations)
    assert render_row(kind, {phase: result.code for phase, result in results.items()}) in TABLE.splitlines()


def test_readme_lists_all_failures() -> None:
    """The README lists exactly the existing kinds of failure."""
    row_names = [line.split(" | ")[0].removeprefix("| ") for line in TABLE.splitlines() if line.startswith("| ")]
    assert row_names == ["failure", "---", *(f"{kind.group}: {kind.name}" for kind in KINDS)]
    assert render_table_head() in TABLE


def test_each_group_covers_its_phases() -> None:
    """Each group of failures covers all phases where it can occur."""
    assert len(KINDS) >= 40
    phases = {
        group: {p for kind in KINDS if kind.group == group for p in kind.phases} for group in {k.group for k in KINDS}
    }
    for group in ("network", "proxy", "API"):
        assert phases[group] >= set(REQUEST_PHASES)
    assert phases["disk"] == {Phase.WHOLE_JOB, *WRITE_PHASES}
    assert phases["CI"] == {Phase.WHOLE_JOB, *JOB_PHASES}
    assert phases["input"] == {Phase.WHOLE_JOB}
