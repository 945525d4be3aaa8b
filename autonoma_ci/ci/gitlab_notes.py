"""Comments on a merge request of GitLab, which calls them notes. Source: GitLab's documentation, "Notes API"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.addresses import api_url
from autonoma_ci.ci.discussion import Discussion, Form
from autonoma_ci.ci.environment import change, first, reader
from autonoma_ci.ci.web import Web
from autonoma_ci.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.context import Context
    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.secret import Secret

# GitLab takes a million characters.
LIMIT = 900_000
_ADVICE = (
    "gitlab-token must be a personal, group or project access token with the scope `api` and the role Reporter or "
    "above; CI_JOB_TOKEN can't write notes."
)


def merge_request(environ: Mapping[str, str], context: Context, token: Secret, clock: Clock) -> Discussion | None:
    """Return the notes of the job's merge request, or None if it is of none."""
    get = reader(environ)
    # The merge request of a fork belongs to the project that it wants to get into.
    project = change(first(environ, "CI_MERGE_REQUEST_PROJECT_ID", "CI_PROJECT_ID"))
    try:
        base = api_url(get("CI_API_V4_URL"))
    except InputError:
        return None
    if not (context.change and project):
        return None
    notes = f"/projects/{project}/merge_requests/{context.change}/notes"
    query = "per_page=100&sort=desc&order_by=updated_at"
    form = Form("GitLab", notes, f"{notes}/{{}}", query, query, "PUT", "author", "id", False)  # noqa: FBT003 - none are
    scope, build = get("CI_CONFIG_PATH"), change(get("CI_PIPELINE_ID"))
    if build and get("CI_PIPELINE_SOURCE") == "parent_pipeline":
        # Child pipelines have ids of their own, and an older GitLab does not name their parent.
        build = f"{build}.{change(get('CI_UPSTREAM_PIPELINE_ID')) or context.sha[:12]}"
    return Discussion(Web(base, {"PRIVATE-TOKEN": token.reveal()}, clock), form, scope, build, LIMIT, _ADVICE)
