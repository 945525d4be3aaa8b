"""Comments on a merge request of GitLab, which calls them notes.

Source: GitLab's documentation, "Notes API", "REST API" (status codes) and "Lock discussions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.comments.http import Web
from autonoma_ci.ci.comments.rest import Discussion, Form, base_url
from autonoma_ci.ci.env import change, first, reader
from autonoma_ci.escaping import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.comments.http import WebError
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import Context
    from autonoma_ci.redaction.redactor import Secret

# GitLab takes a million characters.
LIMIT = 900_000
_ADVICE = (
    "gitlab-token must be a personal, group or project access token with the scope `api` and the role Reporter or "
    "above; CI_JOB_TOKEN can't write notes."
)
# GitLab says no more than "403 Forbidden" about each of these.
_FORBIDDEN = f"{_ADVICE} In a locked discussion, only members of the project may write."
_LATER = "Run the step again later, and let fewer jobs comment at the same time."


def merge_request(environ: Mapping[str, str], context: Context, token: Secret, clock: Clock) -> Discussion | None:
    """Return the notes of the job's merge request, or None if it is of none.

    Raises InputError if the server is on plain HTTP.
    """
    get = reader(environ)
    # The merge request of a fork belongs to the project that it wants to get into.
    project = change(first(environ, "CI_MERGE_REQUEST_PROJECT_ID", "CI_PROJECT_ID"))
    base = base_url(get, "CI_API_V4_URL")
    # The number of a pull request of another host, such as GitHub, is none of GitLab's.
    is_external = context.change == get("CI_EXTERNAL_PULL_REQUEST_IID") and not get("CI_MERGE_REQUEST_IID")
    if not (base and context.change and project) or is_external:
        return None
    notes = f"/projects/{project}/merge_requests/{context.change}/notes"
    query = "per_page=100&sort=desc&order_by=updated_at"
    form = Form("GitLab", notes, f"{notes}/{{}}", query, query, "PUT", "author")
    scope, build = get("CI_CONFIG_PATH"), change(get("CI_PIPELINE_ID"))
    if build and get("CI_PIPELINE_SOURCE") == "parent_pipeline":
        # Child pipelines have ids of their own, and an older GitLab does not name their parent.
        build = f"{build}.{change(get('CI_UPSTREAM_PIPELINE_ID')) or context.sha[:12]}"
    web = Web(base, {"PRIVATE-TOKEN": token.reveal()}, clock, secrets=[token])
    return Discussion(web, form, scope, build, LIMIT, _advise)


def _advise(error: WebError) -> str:
    """Return what to do about GitLab's refusal."""
    said = error.said.lower()
    if "insufficient_scope" in said or error.status in {401, 404}:
        return _ADVICE
    if error.is_rate_limit:
        again = f"GitLab takes requests again in {duration(error.wait)}. " if error.wait else ""
        return f"{again}{_LATER}"
    if "archived" in said:
        return "Unarchive the project, or turn comment off."
    return _FORBIDDEN if error.status == 403 else ""
