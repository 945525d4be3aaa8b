"""The commit that a build is compared with, decided from the facts of its CI system.

A doubt means that the build has no base. Then everything runs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from autonoma_ci.models import BuildContext, ChangeBase
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class NoBaseReason(StrEnum):
    """Why a build has no base, as the end of a sentence."""

    DEFAULT_BRANCH = "the build is of the default branch"
    TAG = "the build is of a tag"
    RELEASE = "the build is of a release"
    DEPLOYMENT = "the build is of a deployment"
    SCHEDULE = "the build was started by a schedule"
    MANUAL = "the build was started by hand"
    API = "the build was started through an API"
    PIPELINE = "the build was started by another pipeline"
    CLOSED_CHANGE = "the pull or merge request is closed"
    UNKNOWN_TRIGGER = "the trigger of the build is unknown"
    UNKNOWN_BRANCH = "the branch of the build is unknown"
    UNKNOWN_MERGE_GROUP = "the base of the merge group is unknown"


class BaseFacts(NamedTuple):
    """What a CI system knows about the base of a build."""

    # Why the build has no base, such as its schedule. None if nothing speaks against a base.
    no_base_reason: str | None = None
    # Whether the build is of a pull or merge request. A build with the number or the target of one always is.
    is_change: bool = False
    # The target branch of the change. Empty for other builds, and if it is unknown.
    target_branch: str = ""
    # A commit of the target branch. Empty if it is unknown.
    target_sha: str = ""
    # Whether `target_sha` is the base itself, as for a merge group.
    is_exact: bool = False
    # The default branch of the repository. Empty if it is unknown.
    default_branch: str = ""


NO_BASE_FACTS = BaseFacts()


def read_trigger(reasons: Mapping[str, NoBaseReason], name: str) -> BaseFacts:
    """Return the facts of a build with a trigger that has no base.

    Args:
        reasons: The reasons of the system's triggers, by name.
        name: The name of the trigger.

    Returns:
        Facts with a reason. The system can have triggers that we do not know, so these have no base either.
    """
    return BaseFacts(reasons.get(name, NoBaseReason.UNKNOWN_TRIGGER))


def describe_merge_group(sha: str, branch: str) -> BaseFacts:
    """Return the facts of a merge group.

    Args:
        sha: The parent commit of the group, or empty if it is unknown.
        branch: The target branch, or empty.
    """
    if not sha:
        return BaseFacts(NoBaseReason.UNKNOWN_MERGE_GROUP)
    return BaseFacts(target_branch=branch, target_sha=sha, is_exact=True)


def decide_change_base(facts: BaseFacts, detected: BuildContext, context: BuildContext, change_noun: str) -> ChangeBase:
    """Decide what a build is compared with.

    A change is compared with its target branch, and other branches with the default branch. The commit before a push is
    never the base. A cancelled build of that commit can have tested nothing.

    Args:
        facts: The facts of the CI system about the base.
        detected: The facts of the CI system about the build.
        context: The same facts with those that options state.
        change_noun: How the system names a change request.

    Returns:
        The base. A change that an option states has no known target branch, so it has no base.
    """
    if facts.no_base_reason:
        return ChangeBase(facts.no_base_reason)
    if facts.is_exact:
        return ChangeBase(branch=facts.target_branch, sha=facts.target_sha, is_exact=True)
    if facts.is_change or facts.target_branch or detected.change_number or context.change_number:
        if not facts.target_branch or detected.change_number != context.change_number:
            return ChangeBase(f"the target branch of the {change_noun} is unknown")
        return ChangeBase(branch=facts.target_branch, sha=facts.target_sha)
    if not context.branch:
        return ChangeBase(NoBaseReason.UNKNOWN_BRANCH)
    # Even if an option states another branch, the commit is one of the default branch.
    if facts.default_branch and facts.default_branch in {detected.branch, context.branch}:
        return ChangeBase(NoBaseReason.DEFAULT_BRANCH)
    return ChangeBase(branch=facts.default_branch)
