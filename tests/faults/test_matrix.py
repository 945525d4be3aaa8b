"""Every kind of failure in every phase of a job: the exit code tells, nothing is started twice, lost or shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.kind import ALONG, HTTP, WRITING, Kind, Phase
from tests.faults.matrix import KINDS, README, head, play_all, row

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import Certificates

TABLE = README.read_text("utf-8").partition("<!-- faults:start -->")[2].partition("<!-- faults:end -->")[0]


@pytest.mark.trust
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.group}, {kind.name}")
def test_a_job_tells_the_truth_whatever_goes_wrong(kind: Kind, certificates: Certificates, tmp_path: Path) -> None:
    """And the README's row says so; `make faults` writes it anew."""
    played = play_all(tmp_path, kind, certificates)
    flaws = [each.flaw for each in played.values() if each.flaw]
    assert not flaws, "\n\n".join(flaws)
    assert row(kind, {phase: each.code for phase, each in played.items()}) in TABLE.splitlines()


def test_the_readme_tells_of_the_kinds_that_there_are_and_of_no_others() -> None:
    told = [line.split(" | ")[0].removeprefix("| ") for line in TABLE.splitlines() if line.startswith("| ")]
    assert told == ["failure", "---", *(f"{kind.group}: {kind.name}" for kind in KINDS)]
    assert head() in TABLE


def test_failures_of_each_group_are_met_in_each_phase() -> None:
    """At least 40 kinds; requests fail in all phases that have any, the disk wherever a file is written."""
    assert len(KINDS) >= 40
    phases = {
        group: {p for kind in KINDS if kind.group == group for p in kind.phases} for group in {k.group for k in KINDS}
    }
    for group in ("network", "proxy", "API"):
        assert phases[group] >= set(HTTP)
    assert phases["disk"] == {Phase.THROUGHOUT, *WRITING}
    assert phases["CI"] == {Phase.THROUGHOUT, *ALONG}
    assert phases["input"] == {Phase.THROUGHOUT}
