"""Comments on a pull request of GitHub.

Source: GitHub's REST documentation, "Issue comments", and its GraphQL documentation, "Forming calls" and "Managing
global node IDs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.comments.rest import CommentEndpoints, RestCommentThread
from autonoma_ci.ci.env import env_reader
from autonoma_ci.ci.rest.github_api import create_github_client, find_github_hint
from autonoma_ci.ci.rest.http import api_base_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.rest.http import RestError
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import BuildContext
    from autonoma_ci.redaction.redactor import Secret

# GitHub's limit is 65,536 characters. We apply ours to bytes, of which a text has at least as many.
MAX_COMMENT_CHARS = 65_000
_PERMISSION = "pull-requests: write"
# From a part of GitHub's error message, in lower case, to the hint.
_HINT_BY_MESSAGE = {
    "is locked": "Unlock the conversation of the pull request, or turn comment off.",
    "archived": "Unarchive the repository, or turn comment off.",
}
_RATE_LIMIT_HINT = "Run the step again later, and let fewer jobs comment at the same time."


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
    base_url = api_base_url(get, "GITHUB_API_URL", "turn comment off")
    if not (base_url and context.change_number and context.repository):
        return None
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
        create_github_client(base_url, token, clock),
        endpoints,
        workflow_key,
        build_id,
        MAX_COMMENT_CHARS,
        _find_hint,
    )


def _find_hint(error: RestError) -> str | None:
    """Return a hint for an error of GitHub, or None."""
    message = error.server_message.lower()
    hint = next((text for part, text in _HINT_BY_MESSAGE.items() if part in message), None)
    return hint or find_github_hint(error, _PERMISSION, _RATE_LIMIT_HINT)
