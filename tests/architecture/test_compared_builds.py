"""The table of compared builds in the page about other CI systems."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from autonoma_ci.app.report_builder import describe_source
from autonoma_ci.ci.changes.change_base import NoBaseReason
from autonoma_ci.ci.detection import DETECTION_RULES
from tests.architecture.package import ROOT
from tests.support.base_cases import BASE_CASES

PAGE = (ROOT / "docs" / "ci" / "others.md").read_text("utf-8")
SECTION = PAGE.partition("\n## What a build is compared with\n")[2].partition("\n## ")[0]
LABELS = {row.name: describe_source(row.name) for row in DETECTION_RULES} | {"ci": "an unknown system"}


class ComparedBuilds(NamedTuple):
    """What the table states about one system."""

    name: str
    # Whether the system names the target branch of a change, and the default branch.
    has_target: bool
    has_default_branch: bool


def read_table() -> list[ComparedBuilds]:
    """Return one record for each system in the table."""
    rows = re.findall(r"^\| (?!system|---)(.+?) \| (.+?) \| (.+?) \| .+ \|$", SECTION, re.MULTILINE)
    return [
        ComparedBuilds(find_system_name(label), target.startswith("known"), default == "known")
        for labels, target, default in rows
        for label in labels.split(", ")
    ]


def find_system_name(label: str) -> str:
    """Return the name of the system that the table calls by its full label or its start."""
    [name] = [name for name, full_label in LABELS.items() if f"{full_label} ".startswith(f"{label} ")]
    return name


def test_table_has_each_system() -> None:
    """Each system has one row. A terminal is no CI system."""
    assert sorted(row.name for row in read_table()) == sorted(LABELS.keys() - {"cli"})


@pytest.mark.parametrize("row", read_table(), ids=lambda row: row.name)
def test_row_states_known_branches(row: ComparedBuilds) -> None:
    """The row states which branches the system names in the documented jobs."""
    bases = [case.expected for case in BASE_CASES if case.ci_name == row.name]
    assert row.has_target == any(base.branch for base in bases)
    # Jenkins tells whether the branch is the default one, without the name of that.
    is_stated = any(base.no_base_reason == NoBaseReason.DEFAULT_BRANCH for base in bases) and row.name != "jenkins"
    assert row.has_default_branch == is_stated
