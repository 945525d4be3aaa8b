"""Build the body of a request that starts a run. Source: the vendor's published OpenAPI description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.models import TargetKind

if TYPE_CHECKING:
    from autonoma_ci.models import RunRequest


def build_start_body(request: RunRequest, source: str) -> dict[str, object]:
    """Return the body; values of `runtime_metadata` are text, as the contract demands.

    `source` says who starts the run.
    """
    if request.kind is TargetKind.TEST:
        body: dict[str, object] = {"id": request.id, "source": source}
        if request.application_version_id:
            body["application_version_id"] = request.application_version_id
        if request.variables:
            body["runtime_metadata"] = dict(request.variables)
        return body
    body = {"recursive": True, "source": source} if request.kind is TargetKind.FOLDER else {}
    if request.run_on_latest:
        body["run_on_latest"] = True
    elif request.application_versions:
        grouped: dict[str, list[str]] = {}
        for version in request.application_versions:
            grouped.setdefault(version.application_id, []).append(version.version_id)
        body["application_versions"] = [
            {"application_id": application, "application_version_ids": versions}
            for application, versions in grouped.items()
        ]
    return body
