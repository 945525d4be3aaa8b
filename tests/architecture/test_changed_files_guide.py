"""The guide about changed files, compared with the CI systems."""

from __future__ import annotations

import re

from autonoma_ci.ci.change_base import NoBaseReason
from tests.architecture.package import ROOT
from tests.support.base_cases import BASE_CASES

GUIDE = (ROOT / "docs" / "guides" / "changed-files.md").read_text("utf-8")


def read_systems(compared_builds: str) -> set[str]:
    """Return the systems in the row of some builds."""
    [row] = re.findall(rf"^\| {compared_builds} \| (.*) \|$", GUIDE, re.MULTILINE)
    return set(re.findall("`(.+?)`", row))


def test_systems_with_default_branch_are_listed() -> None:
    """Branches are compared where the system names the default branch."""
    # Jenkins tells whether the branch is the default one, without the name of that.
    names = {case.ci_name for case in BASE_CASES if case.expected.no_base_reason == NoBaseReason.DEFAULT_BRANCH}
    assert read_systems("changes and branches") == names - {"jenkins"}


def test_systems_with_target_branch_are_listed() -> None:
    """Changes are compared where the system names the target branch."""
    names = {case.ci_name for case in BASE_CASES if case.expected.branch}
    listed_names = read_systems("changes, and branches if the clone names the default branch")
    assert listed_names == names - read_systems("changes and branches")


def test_other_systems_are_listed() -> None:
    """All other systems use the branches of the clone."""
    names = {case.ci_name for case in BASE_CASES if not case.expected.branch}
    names -= {case.ci_name for case in BASE_CASES if case.expected.branch}
    assert read_systems("branches if the clone names the default branch") == names
