"""Responses about runs that repeat secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.security.redaction.echo_server import EchoResponse, EchoServer, run_job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SENTINELS = ("sentinel-client", "sentinel-secret", "sentinel-value")
SYSTEMS = {"github": {"GITHUB_ACTIONS": "true"}, "gitlab": {"GITLAB_CI": "true"}, "": {}}
FORMS = (str, json.dumps, lambda text: text.upper(), lambda text: text.replace("-", "%2D"))


@pytest.mark.parametrize("form", FORMS, ids=["raw", "JSON", "capitals", "URL"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_run_responses_leak_no_secret(system: str, form: Any, tmp_path: Path) -> None:
    """Status, errors, steps and URLs of evidence leak nothing into log and files."""
    reported = form(" ".join(SENTINELS))
    step = {"status": "failed", "instruction": reported, "output": reported, "url": f"https://shop.test/{reported}"}
    # Two unreachable URLs and an invalid one.
    images = [f"http://127.0.0.1:1/{reported}", f"http://{SENTINELS[1]}/x", reported]
    steps = [step | {"image": image} for image in images]
    result: dict[str, Any] = {"status": "failed", "name": reported, "steps": steps, "video_url": reported}
    # Never two failures in a row, because a third one on a slow machine would end the run.
    answers = [
        EchoResponse(500, {"message": reported}),
        EchoResponse(200, {"status": reported}),
        EchoResponse(404, {"error": reported}),
    ]

    def answer(_: Mapping[str, str], body: Any) -> EchoResponse:
        if body:
            return EchoResponse(200, {"run_id": "r1", "message": reported})
        return answers.pop(0) if answers else EchoResponse(200, result)

    with EchoServer(answer) as server:
        environ = SYSTEMS[system] | {
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "AUTONOMA_CLIENT_ID": "sentinel-client",
            "AUTONOMA_CLIENT_SECRET": "sentinel-secret",
            "AUTONOMA_API_URL": server.url,
            "AUTONOMA_TEST_IDS": "one",
            "AUTONOMA_VARIABLES": "PASSWORD=sentinel-value",
            "AUTONOMA_RESULTS_DIR": "results",
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_RETRIES": "1",
            "AUTONOMA_EVIDENCE": "all",
            "AUTONOMA_TIMEOUT": "10m",
        }
        left = run_job(tmp_path, environ)
    assert left.code == 1
    assert {"junit.xml", "report.html"} <= set(left.files)
    assert "of its files" in left.all_text
    assert "***" in left.all_text
    for sentinel in SENTINELS:
        for shown in (sentinel, sentinel.upper(), sentinel.replace("-", "%2D")):
            assert shown not in left.all_text
