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

# GitHub's limit is 65,536 characters. We apply ours to bytes, of which a text has at least as many.
MAX_COMMENT_CHARS = 65_000
# From a part of GitHub's error message, in lower case, to the hint. The first match counts.
_HINT_BY_MESSAGE = {
    "not accessible by integration": (
        "The job needs the permission `pull-requests: write`. Pull requests from forks and by Dependabot never have it."
    ),
    "not accessible by personal access token": (
        "Grant the token access to this repository and the permission `Pull requests: write`."
    ),
    "saml": "Authorize github-token for the organization's single sign-on, or pass the job's own ${{ github.token }}.",
    "is locked": "Unlock the conversation of the pull request, or turn comment off.",
    "archived": "Unarchive the repository, or turn comment off.",
    "ip allow list": "Add the IP address of the runner to the organization's IP allow list.",
}
_HINT_BY_STATUS = {
    401: "github-token is invalid, expired, or of another server. Pass ${{ github.token }} or a new token.",
    404: ("github-token may lack access to this repository. Pass ${{ github.token }} with `pull-requests: write`."),
}
_RATE_LIMIT_HINT = "Run the step again later, and let fewer jobs comment at the same time."
_NO_REASON_HINT = (
    "GitHub gave no reason, so a proxy or a firewall may have responded. Check HTTPS_PROXY and GITHUB_API_URL."
)


def open_pull_request_thread(
    environ: Mapping[str, str], context: BuildContext, token: Secret, clock: Clock
) -> RestCommentThread | None:
    """Return the comments of the build's pull request, or None.

    Args:
        environ: The environment of the job.
        context: The build, with its pull request.
        token: A token that may write comments.
        clock: The clock of timeouts and delays.

    Returns:
        The comments, or None without a pull request, a repository or an API URL.

    Raises:
        InputError: The API uses plain HTTP.
    """
    get = env_reader(environ)
    # The API of github.com or of an Enterprise Server.
    base_url = api_base_url(get, "GITHUB_API_URL")
    if not (base_url and context.change_number and context.repository):
        return None
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token.reveal()}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    issues_path = f"/repos/{quote(context.repository)}/issues"
    list_path = f"{issues_path}/{context.change_number}/comments"
    # On an Enterprise Server, GraphQL is beside `/api/v3`. On github.com and ghe.com, it is beside the paths of REST.
    graphql_url = f"{base_url.removesuffix('/v3')}/graphql"
    endpoints = CommentEndpoints(
        service="GitHub",
        list_path=list_path,
        comment_path=f"{issues_path}/comments/{{}}",
        list_query="per_page=100",
        recent_query="per_page=100&since={}",
        update_method="PATCH",
        author_field="user",
        graphql_url=graphql_url,
    )
    # Two workflows may share a name, so the name only replaces a missing file.
    workflow_key = get("GITHUB_WORKFLOW_REF").partition("@")[0] or get("GITHUB_WORKFLOW")
    build_id = context.build_id if context.build_id.isdecimal() else ""
    return RestCommentThread(
        RestClient(base_url, headers, clock, secrets=[token]),
        endpoints,
        workflow_key,
        build_id,
        MAX_COMMENT_CHARS,
        _find_hint,
    )


def _find_hint(error: RestError) -> str | None:
    """Return a hint for an error of GitHub, or None."""
    message = error.server_message.lower()
    if hint := next((text for part, text in _HINT_BY_MESSAGE.items() if part in message), None):
        return hint
    if error.is_rate_limit:
        return f"{_format_retry_time(error)}{_RATE_LIMIT_HINT}"
    return _NO_REASON_HINT if error.status == 403 and not message else _HINT_BY_STATUS.get(error.status)


def _format_retry_time(error: RestError) -> str:
    return f"GitHub accepts requests again in {format_duration(error.wait_seconds)}. " if error.wait_seconds else ""
