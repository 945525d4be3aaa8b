"""What is known of the build: the same facts in every CI system."""

from __future__ import annotations

from typing import NamedTuple

from autonoma_ci.patterns import lazy_pattern

# Events of GitHub that run with all secrets of the repository, for changes that anybody may have made.
PRIVILEGED = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
# In lower case: SHA-1 or SHA-256. Git has all zeros for no commit.
COMMIT_HASH = lazy_pattern(r"(?!0+\Z)[0-9a-f]{40}(?:[0-9a-f]{24})?")
# Git's full names of branches and tags begin so.
REF_PREFIX = lazy_pattern(r"refs/(?:heads|tags)/")
# Checkouts of a change request and detached heads have these names in place of a branch.
NOT_A_BRANCH = lazy_pattern(r"refs/.*|(?:pull/)?[0-9]+/(?:merge|head)|pull/[0-9]+|HEAD")
CHANGE_NUMBER = lazy_pattern(r"[1-9][0-9]{0,17}")
# In characters. No CI system makes a name or a link of this length.
MAX_FACT_LENGTH = 2000


class Context(NamedTuple):
    """Facts that the CI system states about a job.

    An empty text means that the fact is unknown.
    """

    ci: str = "cli"
    # The commit under test. For a change request this is its head, not the merge commit.
    sha: str = ""
    # A branch or tag, without `refs/heads/` or `refs/tags/`.
    branch: str = ""
    # The number of the pull or merge request.
    change: str = ""
    # The path of the repository, such as `owner/name`.
    repository: str = ""
    # The URLs contain no credentials.
    build_url: str = ""
    deployment_url: str = ""
    # The build (pipeline, workflow run), unique within the CI project. All jobs of the build share it,
    # and all attempts at these jobs.
    build: str = ""
    # Decimal digits. A job that runs again within its build has a higher number. Only the order has a
    # meaning: some systems count from 1, others have the number of the job's run here. Some count the
    # attempts at each job, so the numbers of two jobs say nothing of their order.
    attempt: str = ""
    # The event that started the job, as GitHub names it.
    event: str = ""
    # Whose changes get no secrets: `fork` or `dependabot`.
    withheld: str = ""
    # The job's name within the build: the same in all attempts, and in all builds of a pipeline. The
    # module of a system says where two jobs can share a name, such as the jobs of a matrix on GitHub.
    job: str = ""
