"""Define the faults of GitHub's API during the comparison of commits.

The job has a manifest in a directory that is no clone. None of its entries depends on the changed file. So all entries
run only because the changed files are unknown.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.faults import close, hang, make_head, send_huge_body, send_response, send_slowly
from tests.system.faults.fault_case import FaultCase, Phase
from tests.system.faults.harness import IDS, make_comparison

if TYPE_CHECKING:
    from tests.support.fault_server import RequestHandler
    from tests.system.faults.harness import FaultScenario

_FAILED = "GitHub's API could not compare the commits"


def _write_manifest(scenario: FaultScenario) -> dict[str, str]:
    """Write a manifest whose entries depend on changed files."""
    entries = [{"id": name, "when": {"changed": ["services/**"]}} for name in IDS]
    scenario.work_dir.joinpath("autonoma.yml").write_text(json.dumps({"version": 1, "tests": entries}), "utf-8")
    return {"INPUT_TEST-IDS": "", "INPUT_MANIFEST": "autonoma.yml", "GITHUB_BASE_REF": "main"}


def _make_compare_fault(name: str, handler: RequestHandler, log_text: str) -> FaultCase:
    return FaultCase(
        "compare",
        name,
        phases=(Phase.PLAN,),
        request_fault=lambda scenario, correct_handler: handler,
        prepare=_write_manifest,
        log_text=log_text,
    )


def _send_json(body: object) -> RequestHandler:
    return send_response(200, json.dumps(body))


FAULT_CASES = [
    _make_compare_fault("404", send_response(404, '{"message": "Not Found"}'), f"{_FAILED} (HTTP 404: Not Found)"),
    _make_compare_fault(
        "403, no permission",
        send_response(403, '{"message": "Resource not accessible by integration"}'),
        f"{_FAILED} (HTTP 403: Resource not accessible by integration)",
    ),
    _make_compare_fault(
        "403, rate limit",
        send_response(403, '{"message": "API rate limit exceeded"}', "Retry-After: 3600"),
        f"{_FAILED} (HTTP 403: API rate limit exceeded)",
    ),
    _make_compare_fault("500", send_response(500, "{}"), f"{_FAILED} (HTTP 500)"),
    _make_compare_fault(
        "a redirect", send_response(301, "", "Location: https://example.com/"), f"{_FAILED} (HTTP 301)"
    ),
    _make_compare_fault(
        "a web page (login) with 200",
        send_response(200, "<html><title>Log in</title></html>", "Content-Type: text/html"),
        "GitHub's API sent an unexpected response",
    ),
    _make_compare_fault("no response", hang, _FAILED),
    _make_compare_fault("connection closed after the request", close, _FAILED),
    _make_compare_fault(
        "a slow body", send_slowly(f"{make_head(200, 'Content-Length: 90000')}{' ' * 90_000}", 0.05), _FAILED
    ),
    _make_compare_fault("an endless body", send_huge_body(megabytes=200), _FAILED),
    _make_compare_fault(
        "300 changed files",
        _send_json(make_comparison(*(f"docs/{number}.md" for number in range(300)))),
        "GitHub's API lists only the first 300 changed files",
    ),
    _make_compare_fault(
        "no list of files", _send_json({**make_comparison(), "files": None}), "GitHub's API sent an unexpected response"
    ),
    _make_compare_fault("an empty list of files", _send_json(make_comparison()), "GitHub's API lists no changed file"),
]
