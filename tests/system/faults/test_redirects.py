"""Test that a redirect of a start is never followed.

A redirect proves nothing about the run, because a 303 is the response to a processed POST.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fault_server import FaultServer
from tests.support.faults import send_huge_body, send_response, send_started_run
from tests.support.github_job import assert_runs_reported, run_job

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("long_body", [False, True], ids=["short body", "50 MiB body"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_target_receives_nothing(status: int, long_body: bool, tmp_path: Path) -> None:
    """The target of a redirect receives no request."""
    with FaultServer(send_started_run) as target:
        location = f"Location: {target.url}/test/a/run?token=something"
        handler = send_huge_body(status, location) if long_body else send_response(status, "moved", location)
        with FaultServer(handler) as server:
            job = run_job(tmp_path, server.url, ["a", "b"])
    assert_runs_reported(job, ["a", "b"])
    assert target.connection_count == 0
    assert server.post_counts == {"a": 1, "b": 1}
    assert set(job.states.values()) == {"unknown"}
    assert (job.code, job.outputs["reason"]) == (7, "unknown")
    assert f"HTTP {status}: the API redirects to {target.url}" in job.log
    assert "Set api-url to a trusted target" in job.log
    # The query of the target may repeat data of the request.
    assert "token=something" not in job.visible_text


@pytest.mark.parametrize(
    "location", ["", "Location:", "Location: javascript:alert(1)", "Location: //[", "Location: \x1b[31m::error::x"]
)
def test_redirect_without_target_is_unknown(location: str, tmp_path: Path) -> None:
    """A redirect without a valid target leaves the run unknown."""
    with FaultServer(send_response(302, "", *([location] if location else []))) as server:
        job = run_job(tmp_path, server.url, ["a"])
    assert_runs_reported(job, ["a"])
    assert (job.states["a"], job.code) == ("unknown", 7)
    assert "\x1b" not in job.visible_text
