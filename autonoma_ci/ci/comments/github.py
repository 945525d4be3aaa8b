"""Comments on a pull request of GitHub.

Source: GitHub's REST documentation, "Issue comments", "Troubleshooting the REST API" and "Authenticating with SAML
SSO", and its GraphQL documentation, "Forming calls" and "Managing global node IDs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.comments.http import RestClient
from autonoma_ci.ci.comments.rest import CommentEndpoints, RestCommentThread, api_base_url
from autonoma_ci.ci.env import env_reader
from autonoma_ci.escaping import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.comments.http import RestError
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import BuildContext
    from autonoma_ci.redaction.redactor import Secret

# GitHub takes 65,536 characters.
MAX_COMMENT_CHARS = 65_000
# What GitHub's sentence has in lower case, and what to do then. The first that is in it counts.
_ADVICE = {
    "not accessible by integration": (
        "The job needs the permission `pull-requests: write`; pull requests from forks and by Dependabot never have it."
    ),
    "not accessible by personal access token": (
        "Give the token access to this repository and the permission `Pull requests: write`."
    ),
    "saml": "Authorize github-token for the organization's single sign-on, or pass the job's own ${{ github.token }}.",
    "is locked": "Unlock the conversation of the pull request, or turn comment off.",
    "archived": "Unarchive the repository, or turn comment off.",
    "ip allow list": "Add the address of the runner to the organization's IP allow list.",
}
_BY_STATUS = {
    401: "github-token is wrong, has expired, or is of another server. Pass ${{ github.token }} or a new token.",
    404: (
        "github-token may have no access to this repository. Pass its own ${{ github.token }} with the permission "
        "`pull-requests: write`."
    ),
}
_LATER = "Run the step again later, and let fewer jobs comment at the same time."
_SILENT = "GitHub gave no reason, so a proxy or a firewall may have answered. Check HTTPS_PROXY and GITHUB_API_URL."


def open_pull_request_thread(
    environ: Mapping[str, str], context: BuildContext, token: Secret, clock: Clock
) -> RestCommentThread | None:
    """Return the comments of the build's pull request, or None if it is of none.

    Raises InputError if the server is on plain HTTP.
    """
    get = env_reader(environ)
    # github.com, or the address of an Enterprise Server.
    base = api_base_url(get, "GITHUB_API_URL")
    if not (base and context.change_number and context.repository):
        return None
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token.reveal()}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    issues = f"/repos/{quote(context.repository)}/issues"
    comments = f"{issues}/{context.change_number}/comments"
    recent = "per_page=100&since={}"
    # An Enterprise Server has it beside `/api/v3`, github.com and ghe.com beside all paths of REST.
    graphql = f"{base.removesuffix('/v3')}/graphql"
    form = CommentEndpoints(
        "GitHub", comments, f"{issues}/comments/{{}}", "per_page=100", recent, "PATCH", "user", graphql
    )
    # The workflow's file; its name is a second choice, since two workflows may share one.
    scope = get("GITHUB_WORKFLOW_REF").partition("@")[0] or get("GITHUB_WORKFLOW")
    build = context.build_id if context.build_id.isdecimal() else ""
    return RestCommentThread(
        RestClient(base, headers, clock, secrets=[token]), form, scope, build, MAX_COMMENT_CHARS, _advise
    )


def _advise(error: RestError) -> str:
    """Return what to do about GitHub's refusal."""
    said = error.said.lower()
    if advice := next((advice for words, advice in _ADVICE.items() if words in said), ""):
        return advice
    if error.is_rate_limit:
        return f"{_again(error)}{_LATER}"
    return _SILENT if error.status == 403 and not said else _BY_STATUS.get(error.status, "")


def _again(error: RestError) -> str:
    return f"GitHub takes requests again in {format_duration(error.wait)}. " if error.wait else ""
