"""What is known of the build: the same facts in every CI system."""

from __future__ import annotations

from typing import NamedTuple

# Events of GitHub that run with all secrets of the repository, for changes that anybody may have made.
PRIVILEGED = frozenset({"pull_request_target", "workflow_run", "issue_comment"})


class Context(NamedTuple):
    """What the CI system says of the build; an empty text: it does not say.

    `sha` is the commit under test (of a change request: its head, not the merge commit), `branch` is
    without `refs/heads/`, `change` is the number of the pull or merge request, `repository` is `owner/name`,
    the URLs hold no credentials. `build` is the same in every attempt at a build, which `attempt` counts.
    `event` is what GitHub calls the cause of the job; `withheld` says for whose changes the job gets no
    secrets: `fork` or `dependabot`.
    """

    ci: str = "none"
    sha: str = ""
    branch: str = ""
    change: str = ""
    repository: str = ""
    build_url: str = ""
    deployment_url: str = ""
    build: str = ""
    attempt: str = ""
    event: str = ""
    withheld: str = ""
