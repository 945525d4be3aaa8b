"""The record: everything about a step as JSON, for machines and for taking it up again later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from autonoma_ci import __version__
from autonoma_ci.reports.summary import count_states

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import Evidence, Report, RunResult, RunStep

# Of the format; whoever reads a record refuses any other.
SCHEMA_VERSION = 1
# The largest time in a record, in seconds. A wrong clock can make a larger one, and `report.saved` refuses it.
MAX_TIME_SECONDS = 1e9


class ResultsSigner(Protocol):
    """Signs what a record says, so that a later attempt at the build can believe it."""

    def sign_run(self, run: RunResult) -> str:
        """Return the signature of a run with its state; empty if there is nothing to sign."""

    def sign_results(self, text: str) -> str:
        """Return the record, whose last member is an empty `mac`, with its signature there."""


def render_results_json(report: Report, signer: ResultsSigner | None = None) -> str:
    """Return results.json: no secret and no variable's value is in it; times are in seconds.

    A run's `began_seconds` counts from the step's `started_at`, its `duration_seconds` from there until it
    was started, or ended if it was waited for. `report.saved` has the JSON Schema. Without a signer, each `mac` is
    empty.
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
        "duration_seconds": _seconds(report.duration_seconds),
        "waits_for_results": report.waits_for_results,
        "conclusion": verdict.conclusion if verdict else None,
        "reason": verdict.reason if verdict else None,
        "exit_code": verdict.exit_code if verdict else None,
        "source": report.source,
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
        "runs": [_run(outcome, signer) for outcome in report.results],
        "mac": "",
    }
    text = _lay_out(document)
    if "\\ud" in text:
        # Half a surrogate pair, as in a folder's name that is no UTF-8: strict readers refuse the whole file for it.
        whole = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        text = _lay_out(json.loads(whole))
    return signer.sign_results(text) if signer else text


def _lay_out(document: Mapping[str, object]) -> str:
    """Return JSON with a line for each member, and for each run.

    The file is written again and again while runs go on. In Python 3.11, indented JSON takes four times as long,
    since the encoder in C can't indent. Source: CPython 3.11, Lib/json/encoder.py, `JSONEncoder.iterencode`.
    """
    members = (f"  {json.dumps(name)}: {_in_lines(value)}" for name, value in document.items())
    return "{\n" + ",\n".join(members) + "\n}\n"


def _in_lines(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    return json.dumps(value)


def _run(outcome: RunResult, signer: ResultsSigner | None) -> dict[str, object]:
    request = outcome.request
    return {
        **run_to_dict(outcome),
        "key": str(request.key),
        "request_mac": outcome.request_mac,
        "mac": signer.sign_run(outcome) if signer else "",
        "label": request.name,
        "title": outcome.title,
        "reason": outcome.reason,
        "http_status": outcome.http_status,
        "suggestion": outcome.suggestion,
        "start_requests": outcome.start_requests,
        "start_offset_seconds": _moment(outcome.start_offset_seconds),
        "flaky": outcome.is_flaky,
        "reused": outcome.reused,
        "has_contradiction": outcome.has_contradiction,
        "step": _step(outcome.step),
        "evidence": _evidence(outcome.evidence),
        "previous_attempts": [
            {
                "run_id": run.run_id,
                "url": run.url,
                "message": run.message,
                "start_offset_seconds": _moment(run.start_offset_seconds),
                "duration_seconds": _seconds(run.duration_seconds),
                "step": _step(run.step),
                "evidence": _evidence(run.evidence),
            }
            for run in outcome.previous_attempts
        ],
        "variables": list(request.variables),
        "variable_macs": dict(outcome.variable_macs),
        "application_version_id": request.application_version_id or None,
        "application_versions": [
            {"application_id": v.application_id, "version_id": v.version_id} for v in request.application_versions
        ],
        "run_on_latest": request.run_on_latest,
    }


def _moment(seconds: float) -> float:
    return round(min(max(-MAX_TIME_SECONDS, seconds), MAX_TIME_SECONDS), 3)


def _seconds(seconds: float) -> float:
    return max(0.0, _moment(seconds))


def _step(step: RunStep | None) -> dict[str, object] | None:
    return step._asdict() if step else None


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "steps": [_step(step) for step in evidence.steps],
        "video": evidence.video,
        "missing_reason": evidence.missing_reason,
    }


def run_to_dict(outcome: RunResult) -> dict[str, object]:
    """Return one run as the `results` output has it."""
    return {
        "name": outcome.display_name,
        "kind": outcome.request.kind,
        "id": outcome.request.id,
        "state": outcome.state,
        "run_id": outcome.run_id,
        "url": outcome.url,
        "message": outcome.message,
        "attempts": outcome.attempt_count,
        "duration_seconds": _seconds(outcome.duration_seconds),
    }
