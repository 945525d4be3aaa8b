"""Tests of the decision what a build is compared with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.changes.change_base import (
    BaseFacts,
    NoBaseReason,
    decide_change_base,
    describe_merge_group,
    read_trigger,
)
from autonoma_ci.models import BuildContext, ChangeBase

SHA = "7a96e7" + "9876543210" * 3 + "dcba"
FEATURE = BuildContext("github", branch="feature/cart")
CHANGE = FEATURE._replace(change_number="7")
TARGET = BaseFacts(is_change=True, target_branch="main", target_sha=SHA)
NAMES = st.sampled_from(["", "main", "feature/cart", "release/1.0"])
CONTEXTS = st.builds(BuildContext, st.just("github"), branch=NAMES, change_number=st.sampled_from(["", "7", "8"]))
FACTS = st.builds(
    BaseFacts,
    st.sampled_from([None, *NoBaseReason]),
    st.booleans(),
    NAMES,
    st.sampled_from(["", SHA]),
    st.just(False),
    NAMES,
)


def decide(facts: BaseFacts, detected: BuildContext = FEATURE, context: BuildContext | None = None) -> ChangeBase:
    """Decide with the facts that are detected, if no others are stated."""
    return decide_change_base(facts, detected, context or detected, "pull request")


@pytest.mark.parametrize(
    ("facts", "context", "base"),
    [
        (BaseFacts(), FEATURE, ChangeBase()),
        (BaseFacts(default_branch="main"), FEATURE, ChangeBase(branch="main")),
        (BaseFacts(default_branch="feature/cart"), FEATURE, ChangeBase(NoBaseReason.DEFAULT_BRANCH)),
        (BaseFacts(), FEATURE._replace(branch=""), ChangeBase(NoBaseReason.UNKNOWN_BRANCH)),
        (TARGET, CHANGE, ChangeBase(branch="main", sha=SHA)),
        (TARGET, FEATURE, ChangeBase(branch="main", sha=SHA)),
        (TARGET._replace(is_change=False), FEATURE, ChangeBase(branch="main", sha=SHA)),
        # A pull request of a fork can have the name of its target branch.
        (TARGET._replace(default_branch="main"), CHANGE._replace(branch="main"), ChangeBase(branch="main", sha=SHA)),
        (BaseFacts(default_branch="main"), CHANGE, ChangeBase("the target branch of the pull request is unknown")),
        (BaseFacts(is_change=True), FEATURE, ChangeBase("the target branch of the pull request is unknown")),
        (TARGET._replace(no_base_reason=NoBaseReason.MANUAL), CHANGE, ChangeBase(NoBaseReason.MANUAL)),
        (describe_merge_group(SHA, "main"), CHANGE, ChangeBase(branch="main", sha=SHA, is_exact=True)),
        (describe_merge_group("", "main"), CHANGE, ChangeBase(NoBaseReason.UNKNOWN_MERGE_GROUP)),
    ],
)
def test_base_follows_kind_of_build(facts: BaseFacts, context: BuildContext, base: ChangeBase) -> None:
    """A change has its target as base, another branch the default branch, and a trigger without base has none."""
    assert decide(facts, context) == base


@pytest.mark.parametrize("detected", [FEATURE, CHANGE._replace(change_number="8")])
def test_stated_change_has_unknown_target(detected: BuildContext) -> None:
    """The facts of the system are those of its own change."""
    base = decide(TARGET, detected, CHANGE)
    assert base == ChangeBase("the target branch of the pull request is unknown")


def test_stated_branch_keeps_default_commit() -> None:
    """The commit is one of the default branch, even if an option states another branch."""
    facts, main = BaseFacts(default_branch="main"), FEATURE._replace(branch="main")
    assert decide(facts, main, FEATURE) == ChangeBase(NoBaseReason.DEFAULT_BRANCH)
    assert decide(facts, FEATURE, main) == ChangeBase(NoBaseReason.DEFAULT_BRANCH)


@given(FACTS, CONTEXTS, CONTEXTS)
def test_base_is_never_own_branch(facts: BaseFacts, detected: BuildContext, context: BuildContext) -> None:
    """Compared with its own branch, a build has no changes. Only a change of a fork can share the name."""
    base = decide(facts, detected, context)
    if base.branch in {detected.branch, context.branch} - {""}:
        assert facts.target_branch == base.branch
    if base.no_base_reason is not None:
        assert base == ChangeBase(base.no_base_reason)


def test_unlisted_trigger_has_no_base() -> None:
    """A trigger of a later version of the system can be a schedule."""
    reasons = {"cron": NoBaseReason.SCHEDULE}
    assert read_trigger(reasons, "cron") == BaseFacts(NoBaseReason.SCHEDULE)
    assert read_trigger(reasons, "cron2") == BaseFacts(NoBaseReason.UNKNOWN_TRIGGER)
