"""Responses about runs that repeat secrets."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.security.redaction.echo_server import EchoResponse, EchoServer, run_echo_job

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
    echo = form(" ".join(SENTINELS))
    step = {"status": "failed", "instruction": echo, "output": echo, "url": f"https://shop.test/{echo}"}
    # Two unreachable URLs and an invalid one.
    images = [f"http://127.0.0.1:1/{echo}", f"http://{SENTINELS[1]}/x", echo]
    steps = [step | {"image": image} for image in images]
    details: dict[str, Any] = {"status": "failed", "name": echo, "steps": steps, "video_url": echo}
    # Never two failures in a row, because a third one on a slow machine would end the run.
    error_responses = [
        EchoResponse(500, {"message": echo}),
        EchoResponse(200, {"status": echo}),
        EchoResponse(404, {"error": echo}),
    ]

    def respond(_: Mapping[str, str], body: Any) -> EchoResponse:
        if body:
            return EchoResponse(200, {"run_id": "r1", "message": echo})
        return error_responses.pop(0) if error_responses else EchoResponse(200, details)

    with EchoServer(respond) as server:
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
        result = run_echo_job(tmp_path, environ)
    assert result.code == 1
    assert {"junit.xml", "report.html"} <= set(result.files)
    assert re.search(r"\d files?: ", result.all_text)
    assert "***" in result.all_text
    for sentinel in SENTINELS:
        for variant in (sentinel, sentinel.upper(), sentinel.replace("-", "%2D")):
            assert variant not in result.all_text
