"""Contents of results.json without values of variables."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from autonoma_ci import __version__
from autonoma_ci.identity import Part
from autonoma_ci.models import AppVersion, Report, RunRequest, RunResult, TargetKind
from autonoma_ci.reports.results_json import SCHEMA_VERSION, render_results_json
from tests.support.hostile import REPORTS
from tests.support.reports import ERROR, refused, report, started


def test_record_describes_step() -> None:
    made = report([started("a", "A"), refused("b")], ERROR)
    part = Part("tests", "ubuntu", "2/5", "Autonoma tests")
    document = json.loads(render_results_json(made._replace(part=part, step_id="0123456789abcdef")))
    runs = document.pop("runs")
    assert document == {
        "version": SCHEMA_VERSION,
        "tool": {"name": "autonoma-ci", "version": __version__},
        "title": "Autonoma tests",
        "job": "tests",
        "part": "ubuntu",
        "shard": "2/5",
        "step_id": "0123456789abcdef",
        "started_at": "2025-01-02T03:04:05Z",
        "duration_seconds": 0.0,
        "waits_for_results": False,
        "conclusion": "error",
        "reason": "api",
        "exit_code": 5,
        "source": "github",
        "ci": {
            "name": "github",
            "sha": "0123456789abcdef0123456789abcdef01234567",
            "branch": "feature/a_b",
            "change": "12",
            "repository": "owner/name",
            "build_url": "",
            "deployment_url": "",
            "build": "",
            "attempt": "",
        },
        "totals": {"total": 2, "started": 1, "passed": 0, "failed": 0, "not_started": 1, "unknown": 0},
        "mac": "",
    }
    assert [(run["name"], run["state"], run["http_status"]) for run in runs] == [
        ("A", "started", 200),
        ("b", "not-started", 404),
    ]


def test_record_has_variable_names_only() -> None:
    """The record has names of variables and none of their values."""
    request = RunRequest(
        TargetKind.FOLDER, "a", "A", {"PASSWORD": "hidden-value"}, "version", (AppVersion("application", "one"),)
    )
    text = render_results_json(report([RunResult(request)], None))
    assert "hidden-value" not in text
    run = json.loads(text)["runs"][0]
    assert run["variables"] == ["PASSWORD"]
    assert run["application_version_id"] == "version"
    assert run["application_versions"] == [{"application_id": "application", "version_id": "one"}]
    assert json.loads(text)["conclusion"] is None


def test_each_run_is_one_line() -> None:
    lines = render_results_json(report([started("a", "A"), started("b")], ERROR)).splitlines()
    first = lines.index('  "runs": [') + 1
    assert [json.loads(line.removesuffix(","))["id"] for line in lines[first : first + 2]] == ["a", "b"]
    assert lines[first + 2 :] == ["  ],", '  "mac": ""', "}"]
    assert '  "runs": [],' in render_results_json(report([], ERROR)).splitlines()


@pytest.mark.slow
@given(REPORTS)
def test_any_report_can_be_read_back(made: Report) -> None:
    """Each text of a report is in the record."""
    text = render_results_json(made)
    assert text.isascii()
    document = json.loads(text)
    assert document["title"] == whole(made.title)
    assert [run["message"] for run in document["runs"]] == [whole(outcome.message) for outcome in made.results]
    assert [run["url"] for run in document["runs"]] == [whole(outcome.url) for outcome in made.results]
    assert document["ci"]["branch"] == whole(made.context.branch)


def whole(text: str) -> str:
    """Replace single surrogates by question marks, because strict readers reject them."""
    return text.encode("utf-8", "replace").decode()
