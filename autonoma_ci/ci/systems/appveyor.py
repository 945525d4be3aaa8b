"""AppVeyor. Source: AppVeyor's documentation, "Environment variables".

AppVeyor's agent, which listens on the build's own machine. Source: AppVeyor's documentation, "Build worker API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import Remote, System
from autonoma_ci.ci.env import branch, change, commit, first, fork, reader, repository, web_url
from autonoma_ci.config.parsers import api_url
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import one_line
from autonoma_ci.models import Context
from autonoma_ci.reports.outputs import variables, warn_of_left_out
from autonoma_ci.reports.summary import headline, state_words, worst_first

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import Publisher, Target
    from autonoma_ci.ci.comments.http import Web
    from autonoma_ci.models import Report


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
    """Return what speaks to the build's agent."""
    return agent(target)


SYSTEM = System(context=context, tokens=("APPVEYOR_*TOKEN*", "APPVEYOR_*PASSWORD*"), publishers=publishers)


class Agent(Remote):
    """Sets variables for later commands and leaves one message with the build, once the step ends."""

    def __init__(self, web: Web, target: Target) -> None:
        self._web, self._target = web, target

    def publish(self, report: Report) -> list[str]:
        """Do both; return what could not be done."""
        from autonoma_ci.ci.comments.http import WebError

        if not report.verdict:
            return []
        values = variables(report)
        warnings = warn_of_left_out(report, values, "The build's variables")
        try:
            for name, text in values.items():
                self._web.ask("POST", "/api/build/variables", {"name": name, "value": text})
            if self._target.summary:
                self._web.ask("POST", "/api/build/messages", _message(report, bad=bool(report.verdict.exit_code)))
        except WebError as error:
            return [*warnings, f"The build's variables and messages could not be set: {error}."]
        return warnings


def _message(report: Report, *, bad: bool) -> dict[str, str]:
    runs = [f"{one_line(run.label)}: {state_words(run)} {run.url}".rstrip() for run in worst_first(report.outcomes)]
    return {
        "message": one_line(f"{report.heading}: {headline(report)}", 500),
        "category": "error" if bad else "information",
        "details": "\n".join([*report.problems, *runs[:50]]),
    }


def agent(target: Target) -> tuple[Agent, ...]:
    """Return the publisher, if the agent says where it is."""
    # Loads requests, which other systems and other commands do not need.
    from autonoma_ci.ci.comments.http import Web

    try:
        return (Agent(Web(api_url(target.environ.get("APPVEYOR_API_URL", "")), {}, target.clock), target),)
    except InputError:
        return ()
