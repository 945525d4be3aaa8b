"""Test that malformed and hostile responses never break a job."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.reports.outputs import OUTPUTS
from tests.support.fault_server import FaultServer, RequestHandler
from tests.support.faults import make_head, send_huge_body, send_raw, send_response, send_started_run
from tests.support.github_job import assert_runs_reported, run_job

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE_TEXT = (
    "x\r\n::set-output name=conclusion::passed\n::stop-commands::now\n##[error]y\u2028::error::z\x1b[31m\x00"
    "\n| a | b |\n<script>[click](javascript:alert(1))</script>\u202e"
)
RUN_URL = "https://autonoma.app/run/abc"

RESPONSES_WITHOUT_RUN: dict[str, RequestHandler] = {
    "empty": send_response(200),
    "not JSON": send_response(200, "<html>Welcome</html>"),
    "a list": send_response(200, f'[{{"run_id": "abc", "url": "{RUN_URL}"}}]'),
    "a text": send_response(200, '"abc"'),
    "a number": send_response(200, "1"),
    "null": send_response(200, "null"),
    "null fields": send_response(200, '{"run_id": null, "url": null, "message": null}'),
    "fields of other types": send_response(200, '{"run_id": [5], "url": ["x"], "message": {"a": 1}}'),
    "NaN": send_response(200, '{"run_id": NaN, "url": Infinity, "message": -Infinity}'),
    "a number of 5000 digits": send_response(200, '{"run_id": ' + "9" * 5000 + "}"),
    "deep nesting": send_response(200, "[" * 100_000),
    "deep nesting, closed": send_response(200, '{"a":' * 50_000 + "1" + "}" * 50_000),
    "not UTF-8": send_response(200, b'{"run_id": "\xff\xfe"}'),
    "a javascript link": send_response(200, '{"url": "javascript:alert(1)//run/abc"}'),
    "plain http to elsewhere": send_response(200, '{"url": "http://autonoma.app/run/abc"}'),
    "a hostile run id": send_response(200, json.dumps({"run_id": HOSTILE_TEXT})),
    "a hostile run id and a link": send_response(200, json.dumps({"run_id": HOSTILE_TEXT, "url": RUN_URL})),
    "another run's link": send_response(200, json.dumps({"run_id": "abd", "url": RUN_URL})),
    "a link to another page": send_response(200, '{"message": "Log in", "url": "https://sso.example.com/login"}'),
    "hostile everywhere": send_response(
        200, json.dumps(dict.fromkeys(("run_id", "url", "message", "error"), HOSTILE_TEXT))
    ),
    "a run id too long": send_response(200, json.dumps({"run_id": "x" * 129})),
    "50 MiB": send_huge_body(),
    "50 MiB out of 50 KiB": send_response(200, gzip.compress(b" " * 50 * 1024 * 1024), "Content-Encoding: gzip"),
    "no content": send_raw("HTTP/1.1 204 No Content\r\n\r\n"),
    "a hostile reason phrase": send_raw(f"HTTP/1.1 200 ::error::x\x1b[31m\r\nX: {'y' * 60_000}\r\n\r\n"),
}
TITLED_ANNOTATIONS = tuple(f"::{level} title=Autonoma tests::" for level in ("error", "warning"))


@pytest.mark.parametrize("name", RESPONSES_WITHOUT_RUN)
def test_response_without_run_is_unknown(name: str, tmp_path: Path) -> None:
    """A start whose response contains no run is unknown and sent once."""
    with FaultServer(send_started_run, {"odd": [RESPONSES_WITHOUT_RUN[name], send_started_run]}) as server:
        job = run_job(tmp_path, server.url, ["odd", "plain"])
    assert_runs_reported(job, ["odd", "plain"])
    assert job.states == {"odd": "unknown", "plain": "started"}
    assert (job.code, job.outputs["reason"]) == (7, "unknown")
    assert server.post_counts == {"odd": 1, "plain": 1}
    assert_no_forged_commands(job.log + job.errors, job.outputs.keys())


RESPONSES_WITH_RUN: dict[str, tuple[str, str, str]] = {
    "all fields": (json.dumps({"run_id": "abc", "url": RUN_URL}), "abc", RUN_URL),
    "only the id": ('{"run_id": "abc"}', "abc", ""),
    "only the link": (json.dumps({"url": RUN_URL}), "abc", RUN_URL),
    "hostile message": (json.dumps({"run_id": "abc", "url": RUN_URL, "message": HOSTILE_TEXT}), "abc", RUN_URL),
    "hostile link": (json.dumps({"run_id": "abc", "url": "javascript:alert(1)"}), "abc", ""),
    "a number as id": ('{"run_id": 5}', "5", ""),
    "unknown fields": (json.dumps({"run_id": "abc", "url": RUN_URL, "more": {"a": [1, None]}}), "abc", RUN_URL),
}


@pytest.mark.parametrize("name", RESPONSES_WITH_RUN)
def test_response_with_run_is_started(name: str, tmp_path: Path) -> None:
    """A run id or a link is enough for a started run."""
    body, run_id, url = RESPONSES_WITH_RUN[name]
    with FaultServer(send_response(200, body)) as server:
        job = run_job(tmp_path, server.url, ["odd"])
    assert_runs_reported(job, ["odd"])
    assert (job.code, job.outputs["run-id"], job.outputs["run-url"]) == (0, run_id, url)
    assert_no_forged_commands(job.log + job.errors, job.outputs.keys())


@pytest.mark.parametrize("status", [302, 400, 401, 404, 422, 429, 500, 503])
def test_hostile_error_stays_text(status: int, tmp_path: Path) -> None:
    """Line breaks and workflow commands in an error have no effect."""
    body = json.dumps({"error": HOSTILE_TEXT, "message": HOSTILE_TEXT})
    handler = send_response(status, body, "Retry-After: ::error::x", "Location: ::set-output name=a::b")
    with FaultServer(send_started_run, {"odd": [handler, handler, send_started_run]}) as server:
        job = run_job(tmp_path, server.url, ["odd", "plain"])
    assert_runs_reported(job, ["odd", "plain"])
    assert_no_forged_commands(job.log + job.errors, job.outputs.keys())


def test_gateway_page_is_not_shown(tmp_path: Path) -> None:
    """The error page of a gateway is not shown as a message."""
    page = make_head(502, "Content-Type: text/html") + "<html>" + HOSTILE_TEXT * 1000
    with FaultServer(send_raw(page)) as server:
        job = run_job(tmp_path, server.url, ["odd"])
    assert (job.code, job.states["odd"]) == (7, "unknown")
    assert "<html>" not in job.visible_text


def assert_no_forged_commands(log: str, outputs: object) -> None:
    """Check that the log has only our own commands and the outputs only known names."""
    own_commands = ("::add-mask::", "::group::", "::endgroup::", *TITLED_ANNOTATIONS, "::warning::", "::notice::")
    for line in log.splitlines():
        assert not line.lstrip().startswith("::") or line.startswith(own_commands)
        assert "##[" not in line
    assert not {"\x1b", "\x00", "\u2028", "\u202e"} & set(log)
    assert list(outputs) == [output.name for output in OUTPUTS]  # type: ignore[call-overload]
