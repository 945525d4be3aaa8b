"""Each run is started exactly once, whatever goes wrong, and none is lost from any report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_server import Act, FaultServer
from tests.support.faults import (
    after,
    answer,
    bad_chunk,
    close,
    dripped,
    half_body,
    hang,
    head,
    huge,
    once_sent,
    reset,
    said,
    started,
)
from tests.support.job import BRISK, PATIENT, QUICK, assert_accounted_for, run_job

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fault_server import Wire

OPEN = ("unknown", "unknown", 7)
NOT_STARTED = ("not-started", "api", 5)
STARTED = ("started", "ok", 0)
NOW = formatdate(usegmt=True)
# What needs a limit of time to come to an end.
ENDLESS = {"headers that drip", "a body that drips", "no answer"}


@dataclass(frozen=True)
class Fault:
    """What the server does with one run's requests, what must come of it, and how many POSTs there may be."""

    name: str
    acts: tuple[Act, ...]
    ends: tuple[str, str, int]
    posts: int = 1


def again(name: str, status: int, *headers: str) -> Fault:
    return Fault(name, (answer(status, "{}", *headers), started), STARTED, posts=2)


def final(name: str, act: Act, ends: tuple[str, str, int] = OPEN) -> Fault:
    # Were it sent again, it would be started, and the count would be 2.
    return Fault(name, (act, started), ends)


FAULTS = [
    final("close after reading", close),
    final("reset after reading", reset),
    final("close after a while", after(0.1, close)),
    final("half a status line", said("HTTP/1.1 20")),
    final("half the headers", said("HTTP/1.1 200 OK\r\nContent-Type: appli")),
    final("headers without a body", said(head(200, "Content-Length: 100"))),
    final("half a body", half_body()),
    final("a bad chunk", bad_chunk()),
    final("headers that drip", dripped(head(200, f"X-Filler: {'x' * 1000}"))),
    final("a body that drips", dripped(head(200, "Content-Length: 1000") + "{" * 1000, 0.005)),
    final("no answer", hang),
    final("another protocol", said("SSH-2.0-OpenSSH_9.6\r\n")),
    final("two lengths", said(head(200, "Content-Length: 5", "Content-Length: 6") + "{}")),
    final("200 headers", said(head(200, *(f"X-{number}: x" for number in range(200))) + "{}")),
    final("switching protocols", said("HTTP/1.1 101 Switching Protocols\r\nUpgrade: none\r\n\r\n")),
    final("compressed nonsense", answer(200, "not gzip", "Content-Encoding: gzip")),
    *(final(str(status), answer(status, "{}")) for status in (500, 501, 502, 504, 507, 520, 599)),
    final("500 with Retry-After", answer(500, "{}", "Retry-After: 0")),
    final("502 with Retry-After", answer(502, "{}", "Retry-After: 0")),
    final("503 without Retry-After", answer(503, "{}")),
    final("503, Retry-After is garbage", answer(503, "{}", "Retry-After: soon")),
    final("503, Retry-After is empty", answer(503, "{}", "Retry-After:")),
    final("503, Retry-After is huge", answer(503, "{}", "Retry-After: 99999")),
    final("503 with Retry-After", answer(503, "{}", "Retry-After: 0")),
    final("503, Retry-After is a date", answer(503, "{}", f"Date: {NOW}", f"Retry-After: {NOW}")),
    *(final(str(status), answer(status, "{}", "Location: /")) for status in (300, 301, 302, 303, 304, 307, 308)),
    *(final(str(status), answer(status, "{}")) for status in (406, 407, 408, 409, 411, 418, 423, 425, 499)),
    final("429, Retry-After is huge", answer(429, "{}", "Retry-After: 99999"), NOT_STARTED),
    *(final(str(status), answer(status, "{}"), NOT_STARTED) for status in (400, 405, 410, 413, 422, 451)),
    final("402", answer(402, "{}"), ("not-started", "quota", 5)),
    final("403, quota", answer(403, '{"error": "Insufficient quota"}'), ("not-started", "quota", 5)),
    final("404", answer(404, "{}"), ("not-started", "not-found", 4)),
    final("401", answer(401, "{}"), ("not-started", "unauthorized", 3)),
    final("403", answer(403, "{}"), ("not-started", "unauthorized", 3)),
    again("429 without Retry-After", 429),
    again("429 with Retry-After", 429, "Retry-After: 1"),
    again("429, Retry-After is a date", 429, f"Date: {NOW}", f"Retry-After: {NOW}"),
    again("429, Retry-After is garbage", 429, "Retry-After: soon"),
    again("429, Retry-After is negative", 429, "Retry-After: -5"),
    Fault("429, then lost", (answer(429, "{}", "Retry-After: 0"), close, started), OPEN, posts=2),
    Fault("429, then 503, then started", (answer(429), answer(503, "", "Retry-After: 0"), started), OPEN, posts=2),
    Fault("429 twice, then started", (answer(429), answer(429, "", "Retry-After: 0"), started), STARTED, posts=3),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_request_that_may_have_arrived_is_sent_once(fault: Fault, tmp_path: Path) -> None:
    """The faulty run's POSTs are as many as it may have, and its neighbours are started as if nothing were."""
    ids = ["before", "faulty", "behind"]
    with FaultServer(started, {"faulty": fault.acts}) as server:
        job = run_job(tmp_path, server.url, ids, timeouts=QUICK if fault.name in ENDLESS else PATIENT)
    assert_accounted_for(job, ids)
    state, reason, code = fault.ends
    assert (job.states["faulty"], job.outputs["reason"], job.code) == (state, reason, code)
    assert server.posts == {"before": 1, "faulty": fault.posts, "behind": 1}
    assert {job.states["before"], job.states["behind"]} == {"started"}
    run = next(run for run in job.record["runs"] if run["id"] == "faulty")
    assert run["start_requests"] == fault.posts
    if state == "unknown":
        assert "may have started" in job.log
        assert "look for it" in run["suggestion"]


def test_start_after_another_has_its_own_connection(tmp_path: Path) -> None:
    """A server that takes the second request and closes leaves it open, with one POST, on a connection of its own."""
    with FaultServer(started, {"second": [close, started]}) as server:
        job = run_job(tmp_path, server.url, ["first", "second", "third"], "--concurrency", "1")
    assert len({request.connection for request in server.received}) == len(server.received)
    assert server.posts == {"first": 1, "second": 1, "third": 1}
    assert list(job.states.values()) == ["started", "unknown", "started"]
    assert job.code == 7


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.003, 0.005])
def test_close_after_each_answer_leaves_no_run_unknown(seconds: float, tmp_path: Path) -> None:
    """The server closes each connection after one answer, though it promised to keep it."""

    def act(wire: Wire) -> bool:
        started(wire)
        return wire.pause(seconds)

    ids = [f"t{number}" for number in range(60)]
    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ids)
    assert_accounted_for(job, ids)
    assert set(job.states.values()) == {"started"}
    assert server.posts == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("greeting", [close, after(0.05, close), once_sent(reset)], ids=["close", "later", "reset"])
def test_a_connection_that_ends_before_anything_was_read_is_not_made_again(greeting: Act, tmp_path: Path) -> None:
    """Nobody can tell it from a server that read and acted, so each run has one connection and stays open."""
    ids = ["a", "b", "c"]
    with FaultServer(started, greeting=greeting) as server:
        job = run_job(tmp_path, server.url, ids)
    assert_accounted_for(job, ids)
    assert set(job.states.values()) == {"unknown"}
    assert (job.code, server.connections) == (7, 3)


def test_a_connection_that_is_reset_at_once_is_open_once_it_was_made(tmp_path: Path) -> None:
    """A reset may come before the connection is made, which is tried again, or after it, which is not."""
    ids = ["a", "b", "c"]
    with FaultServer(started, greeting=reset) as server:
        job = run_job(tmp_path, server.url, ids)
    assert_accounted_for(job, ids)
    runs = job.record["runs"]
    assert server.connections == sum(run["start_requests"] for run in runs)
    for run in runs:
        assert run["state"] == "unknown" or run["start_requests"] == BRISK.max_connect_attempts


def test_a_refused_connection_is_tried_again_and_known_not_to_have_started(tmp_path: Path) -> None:
    with FaultServer(started) as server:
        url = server.url
    job = run_job(tmp_path, url, ["a", "b"])
    assert_accounted_for(job, ["a", "b"])
    assert set(job.states.values()) == {"not-started"}
    assert (job.code, job.outputs["reason"]) == (5, "api")
    assert {run["start_requests"] for run in job.record["runs"]} == {BRISK.max_connect_attempts}
    assert "refused the connection" in job.log


def test_a_limiter_that_never_gives_way_ends_the_job_in_time(tmp_path: Path) -> None:
    """Runs that were always refused are known not to have started; what got through stays started."""
    ids = ["lucky", *(f"t{number}" for number in range(6))]
    with FaultServer(answer(429, "{}"), {"lucky": [started]}) as server:
        job = run_job(tmp_path, server.url, ids, policy=BRISK._replace(give_up_after=1.0))
    assert_accounted_for(job, ids)
    assert job.states == {"lucky": "started"} | dict.fromkeys(ids[1:], "not-started")
    assert (job.code, job.outputs["reason"]) == (5, "api")
    assert {run["id"]: run["start_requests"] for run in job.record["runs"]} == server.posts


def test_a_limiter_that_names_a_time_beyond_the_job_is_not_asked_again(tmp_path: Path) -> None:
    """Retry-After is honoured for all runs: nothing further is sent before its time, so nothing at all."""
    ids = [f"t{number}" for number in range(10)]
    with FaultServer(answer(429, "{}", "Retry-After: 3600")) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "2")
    assert_accounted_for(job, ids)
    assert set(job.states.values()) == {"not-started"}
    assert server.posts.total() <= 2
    assert job.code == 5


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_stop_all_further_starts(status: int, tmp_path: Path) -> None:
    ids = [f"t{number}" for number in range(10)]
    with FaultServer(answer(status, '{"error": "Unauthorized", "message": "Invalid credentials"}')) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "1")
    assert_accounted_for(job, ids)
    assert server.posts == {"t0": 1}
    assert (job.code, job.outputs["reason"]) == (3, "unauthorized")
    assert "Invalid credentials" in job.log
    assert "client-secret" in job.log


@pytest.mark.parametrize(
    "act",
    [
        answer(402),
        answer(402, "<html>pay</html>", "Content-Type: text/html"),
        answer(403, '{"error": "Forbidden", "message": "Insufficient quota"}'),
        answer(403, '{"message": "Forbidden: no CREDITS left"}'),
    ],
)
def test_used_up_quota_stops_all_further_starts(act: Act, tmp_path: Path) -> None:
    """Every report says the reason, and none that the credentials are wrong."""
    ids = [f"t{number}" for number in range(10)]
    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "1")
    assert_accounted_for(job, ids)
    assert server.posts == {"t0": 1}
    assert (job.code, job.outputs["reason"], job.outputs["conclusion"]) == (5, "quota", "error")
    assert {run["reason"] for run in job.record["runs"]} == {"quota"}
    junit = (tmp_path / "results" / "junit.xml").read_text("utf-8")
    assert junit.count('type="quota"') == 10
    for text in (job.log, job.summary, junit):
        assert "the account's quota is used up" in text.replace("&#39;", "'")
        assert "not sent: the account's quota is used up" in text.replace("&#39;", "'")
    assert "Add quota in Autonoma" in job.log
    assert "client-id and client-secret" not in job.everything
    assert "Check" not in job.log


@pytest.mark.parametrize(
    "act",
    [
        answer(403, "<html>Your plan has no quota</html>", "Content-Type: text/html"),
        answer(403, '{"message": "Forbidden: check the credentials, access is unlimited"}'),
        answer(403, '{"links": "quota", "plan": "free"}'),
        answer(403, '{"message": "test limit-1 is not yours", "error": "Forbidden"}'),
    ],
)
def test_other_403_is_about_the_credentials(act: Act, tmp_path: Path) -> None:
    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ["limit-1", "b"], "--concurrency", "1")
    assert (job.code, job.outputs["reason"]) == (3, "unauthorized")


@pytest.mark.parametrize(
    "act",
    [
        answer(200, "<!DOCTYPE html><p>Hi</p>"),
        answer(201, "\ufeff\n<!-- x -->\n<HTML lang='en'>"),
        answer(200, "Hello", "Content-Type: text/html; charset=utf-8"),
        answer(200, "", "Content-Type: Text/HTML"),
        huge(200, "Content-Type: text/html", megabytes=2),
    ],
    ids=["doctype", "comment first", "type alone", "empty", "too long"],
)
def test_web_page_in_place_of_the_api_is_one_error(act: Act, tmp_path: Path) -> None:
    """Any of the runs may have started, and one annotation names the cause for all."""
    ids = ["a", "b", "c"]
    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ids)
    assert_accounted_for(job, ids)
    assert (job.code, job.outputs["reason"]) == (7, "unknown")
    assert server.posts == dict.fromkeys(ids, 1)
    (error,) = [line for line in job.log.splitlines() if line.startswith("::error")]
    assert "this host serves a web page, not the API. Check api-url" in error
    assert "may have started: a, b, c" in error


def test_run_that_a_html_type_names_has_started(tmp_path: Path) -> None:
    """The body decides: a gateway may set the type."""
    body = '{"run_id": "r1"}'
    with FaultServer(answer(200, body, "Content-Type: text/html")) as server:
        job = run_job(tmp_path, server.url, ["a"])
    assert (job.code, job.outputs["run-id"]) == (0, "r1")


@pytest.mark.parametrize("option", ["folder", "tag", "test"])
def test_later_revision_of_a_start_is_known(option: str, tmp_path: Path) -> None:
    """201 with the ids of the later contract, on a real socket."""
    group = {"runID": "r1", "runGroupID": "g1"} if option == "test" else {"folderRunID": "r1"}
    link = "" if option == "test" else f"{option}/"
    body = {"message": "ok", "url": f"https://autonoma.app/run/{link}r1", **group}
    with FaultServer(answer(201, json.dumps(body))) as server:
        job = run_job(tmp_path, server.url, [], f"--{option}-ids", "a")
    assert (job.code, job.outputs["run-id"], job.outputs["run-url"]) == (0, "r1", body["url"])


def test_two_spellings_of_two_ids_name_two_runs(tmp_path: Path) -> None:
    for names in ({"run_id": "r1", "runID": "r2"}, {"run_id": "r1", "runID": "r1"}):
        with FaultServer(answer(201, json.dumps(names))) as server:
            job = run_job(tmp_path, server.url, ["a"])
        assert job.code == (0 if names["runID"] == "r1" else 7)
        assert ("names two runs" in job.log) == (names["runID"] == "r2")


def test_missing_device_farm_is_known_not_started(tmp_path: Path) -> None:
    """The sentence proves it only in full and in JSON."""
    sentence = "Device Farm Project ARN is not configured"
    bodies = {"a": {"message": sentence}, "b": {"message": f"{sentence} yet"}}
    acts = {subject: [answer(500, json.dumps(body))] for subject, body in bodies.items()}
    with FaultServer(started, {**acts, "c": [answer(500, sentence)]}) as server:
        job = run_job(tmp_path, server.url, ["a", "b", "c"])
    assert job.states == {"a": "not-started", "b": "unknown", "c": "unknown"}
    assert [run["reason"] for run in job.record["runs"]] == ["api", "unknown", "unknown"]
    assert "contact the administrator of the Autonoma account" in job.record["runs"][0]["suggestion"]


def test_an_unknown_id_stops_no_other_start(tmp_path: Path) -> None:
    ids = ["missing", "a", "b"]
    with FaultServer(started, {"missing": [answer(404, '{"message": "no such thing"}')]}) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "1")
    assert list(job.states.values()) == ["not-started", "started", "started"]
    assert server.posts == {"missing": 1, "a": 1, "b": 1}
    assert (job.code, job.outputs["reason"]) == (4, "not-found")
    assert "no such thing" in job.log


def test_fail_fast_stops_after_the_first_that_could_not_be_started(tmp_path: Path) -> None:
    ids = ["a", "missing", "b", "c"]
    with FaultServer(started, {"missing": [answer(404)]}) as server:
        job = run_job(tmp_path, server.url, ids, "--concurrency", "1", "--fail-fast")
    assert_accounted_for(job, ids)
    assert list(job.states.values()) == ["started", "not-started", "not-started", "not-started"]
    assert server.posts == {"a": 1, "missing": 1}


def test_many_faults_at_once_lose_no_run(tmp_path: Path) -> None:
    """Every fault of the table in one plan, many at a time: each run has its own end and its own count."""
    faults = [fault for fault in FAULTS if fault.ends[1] not in {"unauthorized", "quota"} and "huge" not in fault.name]
    scripts = {f"t{number}": fault.acts for number, fault in enumerate(faults)}
    with FaultServer(started, scripts) as server:
        job = run_job(tmp_path, server.url, list(scripts), "--concurrency", "16", timeouts=QUICK)
    assert_accounted_for(job, list(scripts))
    for subject, fault in zip(scripts, faults, strict=True):
        assert (job.states[subject], server.posts[subject]) == (fault.ends[0], fault.posts), fault.name
    assert (job.code, job.outputs["reason"]) == (4, "not-found")
