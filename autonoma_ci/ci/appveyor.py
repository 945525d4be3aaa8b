"""AppVeyor. Source: AppVeyor's documentation, "Environment variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, first, fork, reader, repository, web_url
from autonoma_ci.ci.system import System
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.system import Publisher, Target


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job; of a pull request, `APPVEYOR_REPO_BRANCH` is the target."""
    get = reader(environ)
    number = change(get("APPVEYOR_PULL_REQUEST_NUMBER"))
    sha = "APPVEYOR_PULL_REQUEST_HEAD_COMMIT" if number else "APPVEYOR_REPO_COMMIT"
    head = "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH" if number else "APPVEYOR_REPO_BRANCH"
    return Context(
        ci="appveyor",
        sha=commit(get(sha)),
        branch=branch(get(head)),
        change=number,
        repository=repository(get("APPVEYOR_REPO_NAME")),
        build_url=web_url(_build_page(get)),
        withheld=fork(get("APPVEYOR_REPO_NAME"), get("APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME")),
        # Jobs that run again keep the build. APPVEYOR_RE_RUN_INCOMPLETE is a flag: nothing counts the attempts.
        build=get("APPVEYOR_BUILD_ID"),
        # The only job of a build may have no name. The number is the job's place in the build, from 1.
        job=first(environ, "APPVEYOR_JOB_NAME", "APPVEYOR_JOB_NUMBER"),
    )


def _build_page(get: Callable[[str], str]) -> str:
    account, project = get("APPVEYOR_ACCOUNT_NAME"), get("APPVEYOR_PROJECT_SLUG")
    server, build = get("APPVEYOR_URL").rstrip("/"), get("APPVEYOR_BUILD_ID")
    complete = account and project and server and build
    return f"{server}/project/{account}/{project}/builds/{build}" if complete else ""


def publishers(target: Target) -> Sequence[Publisher]:
    """Return what speaks to the build's agent; it is loaded for such a job only."""
    from autonoma_ci.ci.appveyor_agent import agent

    return agent(target)


SYSTEM = System(context=context, tokens=("APPVEYOR_*TOKEN*", "APPVEYOR_*PASSWORD*"), publishers=publishers)
