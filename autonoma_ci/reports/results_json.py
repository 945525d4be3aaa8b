"""Render results.json and the entries of the output `results`.

Programs read results.json, and so does a later job step that resumes waiting for the runs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from autonoma_ci import __version__
from autonoma_ci.reports.summary import count_states

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import Evidence, Report, RunResult, RunStep

# The version of the schema. Readers reject any other version.
SCHEMA_VERSION = 1
# The largest time in results.json. A wrong clock can produce a larger one, which `reports.results_schema` rejects.
MAX_TIME_SECONDS = 1e9


class Signer(Protocol):
    """Signs results.json so that a later build attempt can trust it."""

    def sign_run(self, run: RunResult) -> str:
        """Return the signature of a run with its state.

        It is empty if nothing is signed.
        """

    def sign_results(self, text: str) -> str:
        """Return the text of results.json with its signature.

        The text must end with the member `mac`, which is empty. The signature replaces it.
        """


def render_results_json(report: Report, signer: Signer | None = None) -> str:
    """Return the text of results.json.

    It contains no secrets and no values of variables. All times are in seconds. A run's `start_offset_seconds` is the
    time from `started_at` of the job step to the first start request. Its `duration_seconds` is the time from the first
    start request until the run started. If the job step waited, it is the time until the run ended.
    `reports.results_schema` has the JSON Schema. Without a signer, each `mac` is empty.
    """
    context, verdict = report.context, report.verdict
    document = {
        "version": SCHEMA_VERSION,
        "tool": {"name": "autonoma-ci", "version": __version__},
        "title": report.title,
        "job": report.part.job_name,
        "part": report.part.part,
        "shard": report.part.shard,
        "step_id": report.step_id,
        "started_at": report.started_at,
        "duration_seconds": _clamp_duration(report.duration_seconds),
        "waits_for_results": report.waits_for_results,
        "conclusion": verdict.conclusion if verdict else None,
        "reason": verdict.reason if verdict else None,
        "exit_code": verdict.exit_code if verdict else None,
        "source": report.source,
        "api_url": report.api_url,
        "plan_digest": report.plan_digest,
        "changed_files": report.change._asdict() if report.change else None,
        "quarantined_by_change": list(report.quarantined_by_change),
        "ci": {
            "name": context.ci_name,
            "sha": context.sha,
            "branch": context.branch,
            "change": context.change_number,
            "repository": context.repository,
            "build_url": context.build_url,
            "deployment_url": context.deployment_url,
            "build": context.build_id,
            "attempt": context.build_attempt,
        },
        "totals": {name.replace("-", "_"): count for name, count in count_states(report.results).items()},
        "runs": [_build_run(run, signer) for run in report.results],
        "mac": "",
    }
    text = _format_document(document)
    if "\\ud" in text:
        # JSON has half of a surrogate pair, for example from a folder name that is not UTF-8. Strict readers reject the
        # whole file, so it is replaced.
        data = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        text = _format_document(json.loads(data))
    return signer.sign_results(text) if signer else text


def _format_document(document: Mapping[str, object]) -> str:
    """Return JSON with one line for each member and each run.

    The file is written repeatedly while runs are in progress. In Python 3.11, indented JSON takes four times as long,
    because the encoder in C can't indent. Source: CPython 3.11, Lib/json/encoder.py, `JSONEncoder.iterencode`.
    """
    members = (f"  {json.dumps(name)}: {_format_value(value)}" for name, value in document.items())
    return "{\n" + ",\n".join(members) + "\n}\n"


def _format_value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    return json.dumps(value)


def _build_run(run: RunResult, signer: Signer | None) -> dict[str, object]:
    request = run.request
    return {
        **run_to_dict(run),
        "key": str(request.key),
        "request_mac": run.request_mac,
        "mac": signer.sign_run(run) if signer else "",
        "label": request.name,
        "owner": request.owner,
        "quarantine": request.quarantine._asdict() if request.quarantine else None,
        "title": run.title,
        "reason": run.reason,
        "http_status": run.http_status,
        "suggestion": run.suggestion,
        "start_requests": run.start_requests,
        "start_offset_seconds": _clamp_offset(run.start_offset_seconds),
        "flaky": run.is_flaky,
        "reused": run.reused,
        "has_contradiction": run.has_contradiction,
        "step": _build_step(run.step),
        "evidence": _build_evidence(run.evidence),
        "previous_attempts": [
            {
                "run_id": attempt.run_id,
                "url": attempt.url,
                "message": attempt.message,
                "start_offset_seconds": _clamp_offset(attempt.start_offset_seconds),
                "duration_seconds": _clamp_duration(attempt.duration_seconds),
                "step": _build_step(attempt.step),
                "evidence": _build_evidence(attempt.evidence),
            }
            for attempt in run.previous_attempts
        ],
        "variables": list(request.variables),
        "variable_macs": dict(run.variable_macs),
        "application_version_id": request.application_version_id or None,
        "application_versions": [
            {"application_id": version.application_id, "version_id": version.version_id}
            for version in request.application_versions
        ],
        "run_on_latest": request.run_on_latest,
    }


def _clamp_offset(seconds: float) -> float:
    return round(min(max(-MAX_TIME_SECONDS, seconds), MAX_TIME_SECONDS), 3)


def _clamp_duration(seconds: float) -> float:
    return max(0.0, _clamp_offset(seconds))


def _build_step(step: RunStep | None) -> dict[str, object] | None:
    return step._asdict() if step else None


def _build_evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "steps": [_build_step(step) for step in evidence.steps],
        "video": evidence.video,
        "missing_reason": evidence.missing_reason,
    }


def run_to_dict(run: RunResult) -> dict[str, object]:
    """Return one run in the form of the `results` output."""
    return {
        "name": run.display_name,
        "kind": run.request.kind,
        "id": run.request.id,
        "state": run.state,
        "run_id": run.run_id,
        "url": run.url,
        "message": run.message,
        "attempts": run.attempt_count,
        "duration_seconds": _clamp_duration(run.duration_seconds),
    }
