"""Comments on a merge request of GitLab, which calls them notes.

Source: GitLab's documentation, "Notes API", "REST API" (status codes) and "Lock discussions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.comments.http import RestClient
from autonoma_ci.ci.comments.rest import CommentEndpoints, RestCommentThread, api_base_url
from autonoma_ci.ci.env import env_reader, first_number, first_set
from autonoma_ci.escaping import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.comments.http import RestError
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import BuildContext
    from autonoma_ci.redaction.redactor import Secret

# GitLab takes a million characters.
MAX_NOTE_BYTES = 900_000
_ADVICE = (
    "gitlab-token must be a personal, group or project access token with the scope `api` and the role Reporter or "
    "above; CI_JOB_TOKEN can't write notes."
)
# GitLab says no more than "403 Forbidden" about each of these.
_FORBIDDEN = f"{_ADVICE} In a locked discussion, only members of the project may write."
_LATER = "Run the step again later, and let fewer jobs comment at the same time."


def open_merge_request_thread(
    environ: Mapping[str, str], context: BuildContext, token: Secret, clock: Clock
) -> RestCommentThread | None:
    """Return the notes of the job's merge request, or None if it is of none.

    Raises InputError if the server is on plain HTTP.
    """
    get = env_reader(environ)
    # The merge request of a fork belongs to the project that it wants to get into.
    project = first_number(first_set(environ, "CI_MERGE_REQUEST_PROJECT_ID", "CI_PROJECT_ID"))
    base = api_base_url(get, "CI_API_V4_URL")
    # The number of a pull request of another host, such as GitHub, is none of GitLab's.
    is_external = context.change_number == get("CI_EXTERNAL_PULL_REQUEST_IID") and not get("CI_MERGE_REQUEST_IID")
    if not (base and context.change_number and project) or is_external:
        return None
    notes = f"/projects/{project}/merge_requests/{context.change_number}/notes"
    query = "per_page=100&sort=desc&order_by=updated_at"
    form = CommentEndpoints("GitLab", notes, f"{notes}/{{}}", query, query, "PUT", "author")
    scope, build = get("CI_CONFIG_PATH"), first_number(get("CI_PIPELINE_ID"))
    if build and get("CI_PIPELINE_SOURCE") == "parent_pipeline":
        # Child pipelines have ids of their own, and an older GitLab does not name their parent.
        build = f"{build}.{first_number(get('CI_UPSTREAM_PIPELINE_ID')) or context.sha[:12]}"
    web = RestClient(base, {"PRIVATE-TOKEN": token.reveal()}, clock, secrets=[token])
    return RestCommentThread(web, form, scope, build, MAX_NOTE_BYTES, _advise)


def _advise(error: RestError) -> str:
    """Return what to do about GitLab's refusal."""
    said = error.said.lower()
    if "insufficient_scope" in said or error.status in {401, 404}:
        return _ADVICE
    if error.is_rate_limit:
        again = f"GitLab takes requests again in {format_duration(error.wait)}. " if error.wait else ""
        return f"{again}{_LATER}"
    if "archived" in said:
        return "Unarchive the project, or turn comment off."
    return _FORBIDDEN if error.status == 403 else ""
