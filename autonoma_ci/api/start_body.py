"""Build the body of a start request.

Source: the vendor's published OpenAPI description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.models import TargetKind

if TYPE_CHECKING:
    from autonoma_ci.models import RunRequest


def build_start_body(request: RunRequest, source: str) -> dict[str, object]:
    """Return the JSON body of a start request.

    Args:
        request: The run to start. Its variables become `runtime_metadata`, whose values must be text by the contract.
        source: Value of the API's `source` field, the system that starts the run.
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
        versions_by_application: dict[str, list[str]] = {}
        for version in request.application_versions:
            versions_by_application.setdefault(version.application_id, []).append(version.version_id)
        body["application_versions"] = [
            {"application_id": application, "application_version_ids": versions}
            for application, versions in versions_by_application.items()
        ]
    return body
