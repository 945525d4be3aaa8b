"""The record: everything about a step as JSON, for machines and for taking it up again later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci import __version__
from autonoma_ci.report.words import counts

if TYPE_CHECKING:
    from autonoma_ci.model import Outcome, Report

VERSION = 1


def record(report: Report) -> str:
    """Return results.json: no secret and no variable's value is in it; `duration_seconds` is until the start."""
    context, verdict = report.context, report.verdict
    document = {
        "version": VERSION,
        "tool": {"name": "autonoma-ci", "version": __version__},
        "title": report.title,
        "started_at": report.started_at,
        "conclusion": verdict.conclusion if verdict else None,
        "reason": verdict.reason if verdict else None,
        "exit_code": verdict.exit_code if verdict else None,
        "source": report.source,
        "ci": {
            "name": context.ci,
            "sha": context.sha,
            "branch": context.branch,
            "change": context.change,
            "repository": context.repository,
            "build_url": context.build_url,
            "deployment_url": context.deployment_url,
        },
        "totals": {name.replace("-", "_"): count for name, count in counts(report.outcomes).items()},
        "runs": [_run(outcome) for outcome in report.outcomes],
    }
    return json.dumps(document, indent=2) + "\n"


def _run(outcome: Outcome) -> dict[str, object]:
    request = outcome.request
    return {
        **result(outcome),
        "reason": outcome.reason,
        "status": outcome.status,
        "hint": outcome.hint,
        "variables": list(request.variables),
        "application_version_id": request.application_version_id or None,
        "application_versions": [
            {"application_id": v.application_id, "version_id": v.version_id} for v in request.application_versions
        ],
    }


def result(outcome: Outcome) -> dict[str, object]:
    """Return one run as the `results` output has it."""
    return {
        "name": outcome.request.label,
        "kind": outcome.request.kind,
        "id": outcome.request.id,
        "state": outcome.state,
        "run_id": outcome.run_id,
        "url": outcome.url,
        "message": outcome.message,
        "attempts": outcome.attempts,
        "duration_seconds": round(outcome.seconds, 3),
    }
