"""GitHub Actions, and what Gitea and Forgejo share with it.

The commit under test depends on the event: `GITHUB_SHA` is a merge commit, or the tip of the default
branch, for many of them. Source: GitHub's documentation, "Events that trigger workflows" and "Variables
reference".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, commit, fork, reader, repository, truthy, web_url
from autonoma_ci.ci.github_commands import COMMANDS, path_in_checkout
from autonoma_ci.ci.github_event import Event
from autonoma_ci.ci.github_files import github_files
from autonoma_ci.ci.system import Comments, System
from autonoma_ci.context import PRIVILEGED, Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.discussion import Discussion
    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.secret import Secret

# Inputs may hold any secret of the workflow; the rest are the runner's own and the usual names of its token.
TOKENS = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_*",
    "INPUT_*",
)
_PULL_REF = re.compile(r"refs/pull/([0-9]+)/(?:merge|head)")
_QUEUE_REF = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-([0-9]+)-[0-9a-f]+")
_LOOKS_LIKE_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def github_context(environ: Mapping[str, str], ci: str, build_url: str) -> Context:
    """Read the context out of the variables and the event file that GitHub Actions defined."""
    get = reader(environ)
    event, name = Event.load(environ), get("GITHUB_EVENT_NAME")
    sha, built = _under_test(name, event, get)
    return Context(
        ci=ci,
        sha=sha,
        branch=built,
        change=_change(name, event, get("GITHUB_REF")),
        repository=repository(get("GITHUB_REPOSITORY")),
        build_url=web_url(build_url),
        deployment_url=web_url(event.text("deployment_status", "environment_url")),
        build=get("GITHUB_RUN_ID"),
        attempt=change(get("GITHUB_RUN_ATTEMPT")),
        event=name,
        withheld=_withheld(name, event, get),
        # The job's key in the workflow file. The jobs of a matrix share it, and so do the calls of one
        # reusable workflow: no variable tells them apart (github.com/actions/toolkit/issues/74).
        job=get("GITHUB_JOB"),
    )


def run_page(environ: Mapping[str, str], number: str) -> str:
    """Return the page of a run; `number` names the variable that the server has in the address."""
    get = reader(environ)
    parts = get("GITHUB_SERVER_URL").rstrip("/"), repository(get("GITHUB_REPOSITORY")), change(get(number))
    return "{}/{}/actions/runs/{}".format(*parts) if all(parts) else ""


def _under_test(name: str, event: Event, get: Callable[[str], str]) -> tuple[str, str]:
    """Return commit and branch; empty where only the event's file could tell, and does not."""
    ref = get("GITHUB_REF") or get("GITHUB_REF_NAME")
    if name.startswith("pull_request"):
        head = branch(get("GITHUB_HEAD_REF"), event.text("pull_request", "head", "ref"))
        return commit(event.text("pull_request", "head", "sha")), head
    match name:
        case "workflow_run" | "check_suite":
            return commit(event.text(name, "head_sha")), branch(event.text(name, "head_branch"))
        case "check_run":
            suite = branch(event.text(name, "check_suite", "head_branch"))
            return commit(event.text(name, "head_sha")), suite
        case "status":
            return commit(event.text("sha")), branch(event.only("branches").text("name"))
        case "issue_comment" if event.has("issue", "pull_request"):
            return "", ""
        case "deployment" | "deployment_status":
            # The reference is empty, and the event's is the commit again, if a commit was deployed.
            target = event.text("deployment", "ref")
            target = "" if _LOOKS_LIKE_COMMIT.fullmatch(target) else target
            return commit(event.text("deployment", "sha"), get("GITHUB_SHA")), branch(ref, target)
        case _:
            return commit(get("GITHUB_SHA")), branch(ref)


def _change(name: str, event: Event, ref: str) -> str:
    if name.startswith("pull_request"):
        pull = _PULL_REF.fullmatch(ref)
        return change(event.text("pull_request", "number"), pull[1] if pull else "")
    if name == "issue_comment" and event.has("issue", "pull_request"):
        return change(event.text("issue", "number"))
    if name in {"workflow_run", "check_suite", "check_run"}:
        return change(event.only(name, "pull_requests").text("number"))
    # The queue names its branch after the last of the pull requests that it tests together.
    queue = _QUEUE_REF.fullmatch(ref)
    return change(queue[1]) if queue else ""


def _withheld(name: str, event: Event, get: Callable[[str], str]) -> str:
    """Say whose changes get no secrets; events that run in the name of the target repository have them all."""
    if name in PRIVILEGED:
        return ""
    ours, theirs = (event.text("pull_request", side, "repo", "full_name") for side in ("base", "head"))
    # A fork that was deleted since leaves nothing where its repository was.
    gone = event.has("pull_request", "head") and not event.has("pull_request", "head", "repo")
    if gone or fork(ours, theirs):
        return "fork"
    author = event.text("pull_request", "user", "login") or get("GITHUB_ACTOR")
    return "dependabot" if author == "dependabot[bot]" else ""


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job of GitHub Actions, or of act, which plays one on a local machine."""
    page, attempt = run_page(environ, "GITHUB_RUN_ID"), change(reader(environ)("GITHUB_RUN_ATTEMPT"))
    if truthy(environ, "ACT"):
        page = ""  # act names github.com and run 1, which is somebody else's run
    url = f"{page}/attempts/{attempt}" if page and attempt else page
    return github_context(environ, "github", url)


def _comments(environ: Mapping[str, str], context: Context, token: Secret, clock: Clock) -> Discussion | None:
    # Loaded only where there is a comment to write.
    from autonoma_ci.ci.github_comments import pull_request

    return pull_request(environ, context, token, clock)


SYSTEM = System(
    context=context,
    tokens=TOKENS,
    dialect=COMMANDS,
    path_in_checkout=path_in_checkout,
    publishers=github_files,
    comments=Comments("github-token", _comments),
)
