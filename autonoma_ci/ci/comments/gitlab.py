"""Comments on a merge request of GitLab.

GitLab calls them notes.

Source: GitLab's documentation, "Notes API", "REST API" (status codes) and "Lock discussions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.comments.rest import CommentEndpoints, RestCommentThread
from autonoma_ci.ci.env import env_reader, first_number, first_set
from autonoma_ci.ci.rest.http import RestClient, api_base_url
from autonoma_ci.escaping import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.rest.http import RestError
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import BuildContext
    from autonoma_ci.redaction.redactor import Secret

# GitLab's limit is 1,000,000 characters.
MAX_NOTE_BYTES = 900_000
_ROLE_HINT = "Its role must be Reporter or above. CI_JOB_TOKEN cannot write notes."
_ACCESS_HINT = f"gitlab-token must be a personal, group or project access token with the scope `api`. {_ROLE_HINT}"
# GitLab responds to each of these problems with "403 Forbidden" only.
_FORBIDDEN_HINT = f"{_ACCESS_HINT} In a locked discussion, only members of the project may write."
_RATE_LIMIT_HINT = "Run the step again later, and let fewer jobs comment at the same time."


def open_merge_request_thread(
    environ: Mapping[str, str], context: BuildContext, token: Secret, clock: Clock
) -> RestCommentThread | None:
    """Return the notes of the job's merge request, or None.

    Args:
        environ: The environment of the job.
        context: The build, with its merge request.
        token: A token that may write notes.
        clock: The clock of timeouts and delays.

    Returns:
        The notes, or None without a merge request, a project or an API URL.

    Raises:
        InputError: The API uses plain HTTP.
    """
    get = env_reader(environ)
    # The merge request of a fork belongs to its target project.
    project_id = first_number(first_set(environ, "CI_MERGE_REQUEST_PROJECT_ID", "CI_PROJECT_ID"))
    base_url = api_base_url(get, "CI_API_V4_URL", "turn comment off")
    # An external pull request is on another host, for example GitHub. Its number belongs to that host.
    is_external_pull_request = context.change_number == get("CI_EXTERNAL_PULL_REQUEST_IID") and not get(
        "CI_MERGE_REQUEST_IID"
    )
    if not (base_url and context.change_number and project_id) or is_external_pull_request:
        return None
    list_path = f"/projects/{project_id}/merge_requests/{context.change_number}/notes"
    query = "per_page=100&sort=desc&order_by=updated_at"
    endpoints = CommentEndpoints(
        service="GitLab",
        list_path=list_path,
        comment_path=f"{list_path}/{{}}",
        list_query=query,
        recent_query=query,
        update_method="PUT",
        author_field="author",
    )
    workflow_key, build_id = get("CI_CONFIG_PATH"), first_number(get("CI_PIPELINE_ID"))
    if build_id and get("CI_PIPELINE_SOURCE") == "parent_pipeline":
        # Child pipelines have their own ids. An older GitLab does not provide the id of the parent, so the commit hash
        # is used instead.
        build_id = f"{build_id}.{first_number(get('CI_UPSTREAM_PIPELINE_ID')) or context.sha[:12]}"
    client = RestClient(base_url, {"PRIVATE-TOKEN": token.reveal()}, clock, secrets=[token])
    return RestCommentThread(client, endpoints, workflow_key, build_id, MAX_NOTE_BYTES, _find_hint)


def _find_hint(error: RestError) -> str | None:
    """Return a hint for an error of GitLab, or None."""
    message = error.server_message.lower()
    if "insufficient_scope" in message or error.status in {401, 404}:
        return _ACCESS_HINT
    if error.is_rate_limit:
        retry_sentence = (
            f"GitLab accepts requests again in {format_duration(error.wait_seconds)}. " if error.wait_seconds else ""
        )
        return f"{retry_sentence}{_RATE_LIMIT_HINT}"
    if "archived" in message:
        return "Unarchive the project, or turn comment off."
    return _FORBIDDEN_HINT if error.status == 403 else None
