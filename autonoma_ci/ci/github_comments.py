"""Comments on a pull request of GitHub. Source: GitHub's REST documentation, "Issue comments"."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.addresses import api_url
from autonoma_ci.ci.discussion import Discussion, Form
from autonoma_ci.ci.environment import reader
from autonoma_ci.ci.web import Web
from autonoma_ci.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.context import Context
    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.secret import Secret

# GitHub takes 65,536 characters.
LIMIT = 65_000
_ADVICE = (
    "The job needs the permission `pull-requests: write`; pull requests from forks and by Dependabot never have it."
)


def pull_request(environ: Mapping[str, str], context: Context, token: Secret, clock: Clock) -> Discussion | None:
    """Return the comments of the build's pull request, or None if it is of none."""
    get = reader(environ)
    try:
        # github.com, or the address of an Enterprise Server.
        base = api_url(get("GITHUB_API_URL"))
    except InputError:
        return None
    if not (context.change and context.repository):
        return None
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token.reveal()}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    issues = f"/repos/{quote(context.repository)}/issues"
    comments = f"{issues}/{context.change}/comments"
    recent = "per_page=100&since={}"
    form = Form("GitHub", comments, f"{issues}/comments/{{}}", "per_page=100", recent, "PATCH", "user", "login", True)  # noqa: FBT003 - GitHub's are
    # The workflow's file; its name is a second choice, since two workflows may share one.
    scope = get("GITHUB_WORKFLOW_REF").partition("@")[0] or get("GITHUB_WORKFLOW")
    build = context.build if context.build.isdecimal() else ""
    return Discussion(Web(base, headers, clock), form, scope, build, LIMIT, _ADVICE)
