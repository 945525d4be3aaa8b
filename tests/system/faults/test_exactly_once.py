"""Test that each run is started once and reported everywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_server import FaultServer, RequestHandler
from tests.support.faults import (
    close,
    delay,
    delay_until_data,
    hang,
    make_head,
    reset,
    send_bad_chunk,
    send_half_body,
    send_huge_body,
    send_raw,
    send_response,
    send_slowly,
    send_started_run,
)
from tests.support.github_job import LONG_TIMEOUTS, SHORT_TIMEOUTS, START_POLICY, assert_runs_reported, run_job

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fault_server import Connection

UNKNOWN_RESULT = ("unknown", "unknown", 7)
NOT_STARTED_RESULT = ("not-started", "api", 5)
STARTED_RESULT = ("started", "ok", 0)
CURRENT_DATE = formatdate(usegmt=True)
# Faults that only a timeout ends.
ENDLESS_FAULTS = {"slow headers", "a slow body", "no response"}


@dataclass(frozen=True)
class Fault:
    """A fault of one run's requests and its expected result.

    Attributes:
        expected_result: state, reason and exit code.
        posts: expected number of POSTs.
    """

    name: str
    handlers: tuple[RequestHandler, ...]
    expected_result: tuple[str, str, int]
    posts: int = 1


def make_retried_fault(name: str, status: int, *headers: str) -> Fault:
    return Fault(name, (send_response(status, "{}", *headers), send_started_run), STARTED_RESULT, posts=2)


def make_final_fault(
    name: str, handler: RequestHandler, expected_result: tuple[str, str, int] = UNKNOWN_RESULT
) -> Fault:
    # A repeated request would start a run and make the count 2.
    return Fault(name, (handler, send_started_run), expected_result)


FAULTS = [
    make_final_fault("close after reading", close),
    make_final_fault("reset after reading", reset),
    make_final_fault("close after a while", delay(0.1, close)),
    make_final_fault("half a status line", send_raw("HTTP/1.1 20")),
    make_final_fault("half the headers", send_raw("HTTP/1.1 200 OK\r\nContent-Type: appli")),
    make_final_fault("headers without a body", send_raw(make_head(200, "Content-Length: 100"))),
    make_final_fault("half a body", send_half_body()),
    make_final_fault("an invalid chunk", send_bad_chunk()),
    make_final_fault("slow headers", send_slowly(make_head(200, f"X-Filler: {'x' * 1000}"))),
    make_final_fault("a slow body", send_slowly(make_head(200, "Content-Length: 1000") + "{" * 1000, 0.005)),
    make_final_fault("no response", hang),
    make_final_fault("another protocol", send_raw("SSH-2.0-OpenSSH_9.6\r\n")),
    make_final_fault("two body lengths", send_raw(make_head(200, "Content-Length: 5", "Content-Length: 6") + "{}")),
    make_final_fault("200 headers", send_raw(make_head(200, *(f"X-{number}: x" for number in range(200))) + "{}")),
    make_final_fault("switching protocols", send_raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: none\r\n\r\n")),
    make_final_fault("invalid compressed data", send_response(200, "not gzip", "Content-Encoding: gzip")),
    *(make_final_fault(str(status), send_response(status, "{}")) for status in (500, 501, 502, 504, 507, 520, 599)),
    make_final_fault("500 with Retry-After", send_response(500, "{}", "Retry-After: 0")),
    make_final_fault("502 with Retry-After", send_response(502, "{}", "Retry-After: 0")),
    make_final_fault("503 without Retry-After", send_response(503, "{}")),
    make_final_fault("503, Retry-After is garbage", send_response(503, "{}", "Retry-After: soon")),
    make_final_fault("503, Retry-After is empty", send_response(503, "{}", "Retry-After:")),
    make_final_fault("503, Retry-After is huge", send_response(503, "{}", "Retry-After: 99999")),
    make_final_fault("503 with Retry-After", send_response(503, "{}", "Retry-After: 0")),
    make_final_fault(
        "503, Retry-After is a date", send_response(503, "{}", f"Date: {CURRENT_DATE}", f"Retry-After: {CURRENT_DATE}")
    ),
    *(
        make_final_fault(str(status), send_response(status, "{}", "Location: /"))
        for status in (300, 301, 302, 303, 304, 307, 308)
    ),
    *(
        make_final_fault(str(status), send_response(status, "{}"))
        for status in (406, 407, 408, 409, 411, 418, 423, 425, 499)
    ),
    make_final_fault("429, Retry-After is huge", send_response(429, "{}", "Retry-After: 99999"), NOT_STARTED_RESULT),
    *(
        make_final_fault(str(status), send_response(status, "{}"), NOT_STARTED_RESULT)
        for status in (400, 405, 410, 413, 422, 451)
    ),
    make_final_fault("402", send_response(402, "{}"), ("not-started", "quota", 5)),
    make_final_fault("403, quota", send_response(403, '{"error": "Insufficient quota"}'), ("not-started", "quota", 5)),
    make_final_fault("404", send_response(404, "{}"), ("not-started", "not-found", 4)),
    make_final_fault("401", send_response(401, "{}"), ("not-started", "unauthorized", 3)),
    make_final_fault("403", send_response(403, "{}"), ("not-started", "unauthorized", 3)),
    make_retried_fault("429 without Retry-After", 429),
    make_retried_fault("429 with Retry-After", 429, "Retry-After: 1"),
    make_retried_fault("429, Retry-After is a date", 429, f"Date: {CURRENT_DATE}", f"Retry-After: {CURRENT_DATE}"),
    make_retried_fault("429, Retry-After is garbage", 429, "Retry-After: soon"),
    make_retried_fault("429, Retry-After is negative", 429, "Retry-After: -5"),
    Fault(
        "429, then lost", (send_response(429, "{}", "Retry-After: 0"), close, send_started_run), UNKNOWN_RESULT, posts=2
    ),
    Fault(
        "429, then 503, then started",
        (send_response(429), send_response(503, "", "Retry-After: 0"), send_started_run),
        UNKNOWN_RESULT,
        posts=2,
    ),
    Fault(
        "429 twice, then started",
        (send_response(429), send_response(429, "", "Retry-After: 0"), send_started_run),
        STARTED_RESULT,
        posts=3,
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_has_expected_posts(fault: Fault, tmp_path: Path) -> None:
    """A start that may have arrived is never repeated, and the other runs are unaffected."""
    ids = ["before", "faulty", "behind"]
    with FaultServer(send_started_run, {"faulty": fault.handlers}) as server:
        job = run_job(
            tmp_path, server.url, ids, timeouts=SHORT_TIMEOUTS if fault.name in ENDLESS_FAULTS else LONG_TIMEOUTS
        )
    assert_runs_reported(job, ids)
    state, reason, code = fault.expected_result
    assert (job.states["faulty"], job.outputs["reason"], job.code) == (state, reason, code)
    assert server.post_counts == {"before": 1, "faulty": fault.posts, "behind": 1}
    assert {job.states["before"], job.states["behind"]} == {"started"}
    run = next(run for run in job.results_json["runs"] if run["id"] == "faulty")
    assert run["start_requests"] == fault.posts
    if state == "unknown":
        assert "may have started" in job.log
        assert "look for it" in run["suggestion"]


def test_each_start_has_own_connection(tmp_path: Path) -> None:
    """A close by the server affects only the run of its connection."""
    with FaultServer(send_started_run, {"second": [close, send_started_run]}) as server:
        job = run_job(tmp_path, server.url, ["first", "second", "third"], "--concurrency", "1")
    assert len({request.connection_number for request in server.received_requests}) == len(server.received_requests)
    assert server.post_counts == {"first": 1, "second": 1, "third": 1}
    assert list(job.states.values()) == ["started", "unknown", "started"]
    assert job.code == 7


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.003, 0.005])
def test_close_after_response_loses_no_run(seconds: float, tmp_path: Path) -> None:
    """The server closes each connection although it promised to keep it."""

    def handler(connection: Connection) -> bool:
        send_started_run(connection)
        return connection.pause(seconds)

    ids = [f"t{number}" for number in range(60)]
    with FaultServer(handler) as server:
        job = run_job(tmp_path, server.url, ids)
    assert_runs_reported(job, ids)
    assert set(job.states.values()) == {"started"}
    assert server.post_counts == dict.fromkeys(ids, 1)


@pytest.mark.parametrize(
    "connection_handler", [close, delay(0.05, close), delay_until_data(reset)], ids=["close", "later", "reset"]
)
def test_early_close_is_not_retried(connection_handler: RequestHandler, tmp_path: Path) -> None:
    """An early close looks like a server that acted, so the start is not retried."""
    ids = ["a", "b", "c"]
    with FaultServer(send_started_run, connection_handler=connection_handler) as server:
        job = run_job(tmp_path, server.url, ids)
    assert_runs_reported(job, ids)
    assert set(job.states.values()) == {"unknown"}
    assert (job.code, server.connection_count) == (7, 3)


def test_reset_is_retried_while_connecting(tmp_path: Path) -> None:
    """A reset is retried only before the connection is made."""
    ids = ["a", "b", "c"]
    with FaultServer(send_started_run, connection_handler=reset) as server:
        job = run_job(tmp_path, server.url, ids)
    assert_runs_reported(job, ids)
    runs = job.results_json["runs"]
    assert server.connection_count == sum(run["start_requests"] for run in runs)
    for run in runs:
        assert run["state"] == "unknown" or run["start_requests"] == START_POLICY.max_connect_attempts


def test_refused_connection_is_not_started(tmp_path: Path) -> None:
    """A refused connection is retried and ends as not started."""
    with FaultServer(send_started_run) as server:
        url = server.url
    job = run_job(tmp_path, url, ["a", "b"])
    assert_runs_reported(job, ["a", "b"])
    assert set(job.states.values()) == {"not-started"}
    assert (job.code, job.outputs["reason"]) == (5, "api")
    assert {run["start_requests"] for run in job.results_json["runs"]} == {START_POLICY.max_connect_attempts}
    assert "refused the connection" in job.log


def test_endless_rate_limit_ends_in_time(tmp_path: Path) -> None:
    """Rate-limited runs end as not started while other runs stay started."""
    ids = ["lucky", *(f"t{number}" for number in range(6))]
    with FaultServer(send_response(429, "{}"), {"lucky": [send_started_run]}) as server:
        job = run_job(tmp_path, server.url, ids, policy=START_POLICY._replace(give_up_after=1.0))
    assert_runs_reported(job, ids)
    assert job.states == {"lucky": "started"} | dict.fromkeys(ids[1:], "not-started")
    assert (job.code, job.outputs["reason"]) == (5, "api")
    assert {run["id"]: run["start_requests"] for run in job.results_json["runs"]} == server.post_counts


def test_long_retry_after_stops_starts(tmp_path: Path) -> None:
    """A Retry-After beyond the job's limit stops all further starts."""
    ids = [f"t{number}" for number in range(10)]
    with FaultServer(send_response(429, "{}", "Retry-After: 3600")) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "2")
    assert_runs_reported(job, ids)
    assert set(job.states.values()) == {"not-started"}
    assert server.post_counts.total() <= 2
    assert job.code == 5


@pytest.mark.parametrize("status", [401, 403])
def test_rejected_credentials_stop_starts(status: int, tmp_path: Path) -> None:
    """No start follows a rejection of the credentials."""
    ids = [f"t{number}" for number in range(10)]
    with FaultServer(send_response(status, '{"error": "Unauthorized", "message": "Invalid credentials"}')) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "1")
    assert_runs_reported(job, ids)
    assert server.post_counts == {"t0": 1}
    assert (job.code, job.outputs["reason"]) == (3, "unauthorized")
    assert "Invalid credentials" in job.log
    assert "client-secret" in job.log


@pytest.mark.parametrize(
    "handler",
    [
        send_response(402),
        send_response(402, "<html>pay</html>", "Content-Type: text/html"),
        send_response(403, '{"error": "Forbidden", "message": "Insufficient quota"}'),
        send_response(403, '{"message": "Forbidden: no CREDITS left"}'),
    ],
)
def test_used_up_quota_stops_starts(handler: RequestHandler, tmp_path: Path) -> None:
    """Every report names the quota as the reason, and none the credentials."""
    ids = [f"t{number}" for number in range(10)]
    with FaultServer(handler) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "1")
    assert_runs_reported(job, ids)
    assert server.post_counts == {"t0": 1}
    assert (job.code, job.outputs["reason"], job.outputs["conclusion"]) == (5, "quota", "error")
    assert {run["reason"] for run in job.results_json["runs"]} == {"quota"}
    junit = (tmp_path / "results" / "junit.xml").read_text("utf-8")
    assert junit.count('type="quota"') == 10
    for text in (job.log, job.summary, junit):
        assert "the account's quota is used up" in text.replace("&#39;", "'")
        assert "not sent: the account's quota is used up" in text.replace("&#39;", "'")
    assert "Add quota in Autonoma" in job.log
    assert "client-id and client-secret" not in job.visible_text
    assert "Check" not in job.log


@pytest.mark.parametrize(
    "handler",
    [
        send_response(403, "<html>Your plan has no quota</html>", "Content-Type: text/html"),
        send_response(403, '{"message": "Forbidden: check the credentials, access is unlimited"}'),
        send_response(403, '{"links": "quota", "plan": "free"}'),
        send_response(403, '{"message": "test limit-1 is not yours", "error": "Forbidden"}'),
    ],
)
def test_403_without_quota_means_credentials(handler: RequestHandler, tmp_path: Path) -> None:
    """A 403 without a quota word in its message means wrong credentials."""
    with FaultServer(handler) as server:
        job = run_job(tmp_path, server.url, ["limit-1", "b"], "--concurrency", "1")
    assert (job.code, job.outputs["reason"]) == (3, "unauthorized")


@pytest.mark.parametrize(
    "handler",
    [
        send_response(200, "<!DOCTYPE html><p>Hi</p>"),
        send_response(201, "\ufeff\n<!-- x -->\n<HTML lang='en'>"),
        send_response(200, "Hello", "Content-Type: text/html; charset=utf-8"),
        send_response(200, "", "Content-Type: Text/HTML"),
        send_huge_body(200, "Content-Type: text/html", megabytes=2),
    ],
    ids=["doctype", "comment first", "type alone", "empty", "too long"],
)
def test_web_page_gives_one_annotation(handler: RequestHandler, tmp_path: Path) -> None:
    """One annotation names the cause for all runs."""
    ids = ["a", "b", "c"]
    with FaultServer(handler) as server:
        job = run_job(tmp_path, server.url, ids)
    assert_runs_reported(job, ids)
    assert (job.code, job.outputs["reason"]) == (7, "unknown")
    assert server.post_counts == dict.fromkeys(ids, 1)
    (error,) = [line for line in job.log.splitlines() if line.startswith("::error")]
    assert "the response is a web page, not JSON. Check api-url" in error
    assert "May have started: a, b, c" in error


def test_run_in_html_response_is_started(tmp_path: Path) -> None:
    """The body decides, because a gateway can set the content type."""
    body = '{"run_id": "r1"}'
    with FaultServer(send_response(200, body, "Content-Type: text/html")) as server:
        job = run_job(tmp_path, server.url, ["a"])
    assert (job.code, job.outputs["run-id"]) == (0, "r1")


@pytest.mark.parametrize("option", ["folder", "tag", "test"])
def test_later_revision_is_started(option: str, tmp_path: Path) -> None:
    """A 201 with the ids of the later contract is a started run."""
    group = {"runID": "r1", "runGroupID": "g1"} if option == "test" else {"folderRunID": "r1"}
    link = "" if option == "test" else f"{option}/"
    body = {"message": "ok", "url": f"https://autonoma.app/run/{link}r1", **group}
    with FaultServer(send_response(201, json.dumps(body))) as server:
        job = run_job(tmp_path, server.url, [], f"--{option}-ids", "a")
    assert (job.code, job.outputs["run-id"], job.outputs["run-url"]) == (0, "r1", body["url"])


def test_conflicting_run_ids_are_unknown(tmp_path: Path) -> None:
    """Two id fields must have the same value."""
    for names in ({"run_id": "r1", "runID": "r2"}, {"run_id": "r1", "runID": "r1"}):
        with FaultServer(send_response(201, json.dumps(names))) as server:
            job = run_job(tmp_path, server.url, ["a"])
        assert job.code == (0 if names["runID"] == "r1" else 7)
        assert ("more than one run id" in job.log) == (names["runID"] == "r2")


def test_missing_device_farm_is_not_started(tmp_path: Path) -> None:
    """The message is a proof only in full and as JSON."""
    message = "Device Farm Project ARN is not configured"
    bodies = {"a": {"message": message}, "b": {"message": f"{message} yet"}}
    handlers = {test_id: [send_response(500, json.dumps(body))] for test_id, body in bodies.items()}
    with FaultServer(send_started_run, {**handlers, "c": [send_response(500, message)]}) as server:
        job = run_job(tmp_path, server.url, ["a", "b", "c"])
    assert job.states == {"a": "not-started", "b": "unknown", "c": "unknown"}
    assert [run["reason"] for run in job.results_json["runs"]] == ["api", "unknown", "unknown"]
    assert "contact the administrator of the Autonoma account" in job.results_json["runs"][0]["suggestion"]


def test_unknown_id_stops_no_other_start(tmp_path: Path) -> None:
    """A 404 for one test does not stop the others."""
    ids = ["missing", "a", "b"]
    with FaultServer(send_started_run, {"missing": [send_response(404, '{"message": "no such thing"}')]}) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "1")
    assert list(job.states.values()) == ["not-started", "started", "started"]
    assert server.post_counts == {"missing": 1, "a": 1, "b": 1}
    assert (job.code, job.outputs["reason"]) == (4, "not-found")
    assert "no such thing" in job.log


def test_fail_fast_stops_after_failed_start(tmp_path: Path) -> None:
    """With fail-fast, no start follows a failed one."""
    ids = ["a", "missing", "b", "c"]
    with FaultServer(send_started_run, {"missing": [send_response(404)]}) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "1", "--fail-fast")
    assert_runs_reported(job, ids)
    assert list(job.states.values()) == ["started", "not-started", "not-started", "not-started"]
    assert server.post_counts == {"a": 1, "missing": 1}


def test_concurrent_faults_lose_no_run(tmp_path: Path) -> None:
    """All faults in one concurrent plan have their own results."""
    faults = [
        fault
        for fault in FAULTS
        if fault.expected_result[1] not in {"unauthorized", "quota"} and "huge" not in fault.name
    ]
    scripts = {f"t{number}": fault.handlers for number, fault in enumerate(faults)}
    with FaultServer(send_started_run, scripts) as server:
        job = run_job(tmp_path, server.url, list(scripts), "--concurrency", "16", timeouts=SHORT_TIMEOUTS)
    assert_runs_reported(job, list(scripts))
    for test_id, fault in zip(scripts, faults, strict=True):
        assert (job.states[test_id], server.post_counts[test_id]) == (fault.expected_result[0], fault.posts), fault.name
    assert (job.code, job.outputs["reason"]) == (4, "not-found")
