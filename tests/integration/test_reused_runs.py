"""Reuse of passed runs of an earlier build attempt.

Restored results.json is used only if its signatures are valid. In any doubt the run is started again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext, RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.planning.signing import ResultsSigner
from autonoma_ci.redaction.redactor import Secret
from tests.support.fault_server import FaultServer
from tests.support.faults import close, hang, send_response
from tests.support.github_job import (
    LONG_TIMEOUTS,
    SHORT_TIMEOUTS,
    JobResult,
    github_environ,
    read_job_result,
    run_job,
)
from tests.support.plans import start_in_quarantine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from autonoma_ci.api.models import Timeouts
    from tests.support.fault_server import Connection, RequestHandler

IDS = ["a", "b", "c"]
ALL_IDS = {"a", "b", "c", "f"}
BUILD_ENVIRON = {
    "GITHUB_RUN_ID": "17",
    "GITHUB_JOB": "e2e",
    "GITHUB_SHA": "c" * 40,
    "GITHUB_EVENT_NAME": "push",
    "INPUT_WAIT": "true",
    "INPUT_TIMEOUT": "10m",
    "INPUT_FOLDER-IDS": "f",
    "INPUT_VARIABLES": "BASE_URL=https://staging.example.com",
    "INPUT_APPLICATION-VERSION-ID": "v1",
}


def build_environ(number: int) -> dict[str, str]:
    return {**BUILD_ENVIRON, "GITHUB_RUN_ATTEMPT": str(number)}


def send_status(status: object, **fields: str) -> RequestHandler:
    return send_response(200, json.dumps({"status": status, **fields}))


@dataclass
class FakeApi:
    """An API that fails the first run of b and passes others.

    The link in a status differs from the link in the response to the start request.
    """

    # Responses to polls, by run id.
    poll_responses: dict[str, RequestHandler] = field(default_factory=dict)
    # Responses to start requests, by the id of the test or folder.
    start_responses: dict[str, RequestHandler] = field(default_factory=dict)
    # Run ids that start requests get, by the id of the test or folder.
    run_ids: dict[str, str] = field(default_factory=dict)
    # Details, by run id.
    details: dict[str, dict[str, object]] = field(default_factory=dict)
    start_counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        for overrides in (self.poll_responses, self.start_responses, self.run_ids, self.details):
            overrides.clear()
        # The first attempt started each test and folder once.
        self.start_counts = Counter(dict.fromkeys(self.start_counts, 1))

    def handle_request(self, connection: Connection) -> bool:
        path = connection.request.path.partition("?")[0]
        if connection.request.method == "POST":
            subject = connection.request.target_id
            with self.lock:
                self.start_counts[subject] += 1
                run = self.run_ids.get(subject, f"run-{self.start_counts[subject]}-{subject}")
            names = dict.fromkeys(("run_id", "folder_run_id", "tag_run_id"), run)
            started = send_response(200, json.dumps({"url": f"https://autonoma.app/run/{run}", **names}))
            return self.start_responses.get(subject, started)(connection)
        if path.endswith("/status"):
            run = path.rsplit("/", 2)[-2]
            status = "failed" if run == "run-1-b" else "passed"
            return self.poll_responses.get(run, send_status(status, url=f"https://autonoma.app/now/{run}"))(connection)
        return send_response(200, json.dumps(self.details.get(path.rsplit("/", 1)[-1], {"name": "A title"})))(
            connection
        )


@dataclass(frozen=True)
class FirstAttempt:
    """The first build attempt, with its API and its results folder."""

    api: FakeApi
    server: FaultServer
    results_dir: Path
    job: JobResult


@dataclass(frozen=True)
class LaterAttempt:
    """A later build attempt and its requests."""

    job: JobResult
    # The ids of all start requests.
    started_ids: set[str]
    # Method and path of all requests.
    request_lines: list[str]


@pytest.fixture(scope="module")
def first_attempt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstAttempt]:
    """Yield the first attempt: a, c and the folder passed, b failed."""
    folder, api = tmp_path_factory.mktemp("first"), FakeApi()
    with FaultServer(api.handle_request) as server:
        job = run_job(folder, server.url, IDS, extra_environ=build_environ(1), timeouts=LONG_TIMEOUTS)
        assert job.code == 1
        assert job.states == {"a": "passed", "b": "failed", "c": "passed", "f": "passed"}
        yield FirstAttempt(api, server, folder / "results", job)


@pytest.fixture
def api(first_attempt: FirstAttempt) -> Iterator[FakeApi]:
    """Yield the first attempt's API, whose responses a test can change."""
    first_attempt.api.reset()
    yield first_attempt.api
    first_attempt.api.reset()


def run_later_attempt(
    first_attempt: FirstAttempt,
    folder: Path,
    changes: Mapping[str, str] | None = None,
    *,
    change: Callable[[bytes], bytes] = bytes,
    timeouts: Timeouts = LONG_TIMEOUTS,
    ids: Sequence[str] = IDS,
) -> LaterAttempt:
    """Run a later attempt, with the results-dir of the first one restored.

    Args:
        first_attempt: The first attempt.
        folder: The working directory.
        changes: Variables that differ from those of the second attempt.
        change: Changes results.json before the attempt.
        timeouts: The timeouts of requests.
        ids: The ids of the tests.

    """
    if not (folder / "results").exists():
        shutil.copytree(first_attempt.results_dir, folder / "results")
    path = folder / "results" / "results.json"
    path.write_bytes(change(path.read_bytes()))
    before = len(first_attempt.server.received_requests)
    environ = build_environ(2) | dict(changes or {})
    url = environ.pop("INPUT_API-URL", first_attempt.server.url)
    job = run_job(folder, url, ids, extra_environ=environ, timeouts=timeouts)
    assert "Traceback" not in job.log + job.errors
    received = first_attempt.server.received_requests[before:]
    started_ids = {request.target_id for request in received if request.method == "POST"}
    assert sum(request.method == "POST" for request in received) == len(started_ids), "nothing is started twice"
    return LaterAttempt(job, started_ids, [f"{request.method} {request.path}" for request in received])


def test_job_reuses_pass_and_reports_it(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """The next attempt starts only the other runs, and all reports mark the reused ones."""
    second = run_later_attempt(first_attempt, tmp_path)
    job = second.job
    assert second.started_ids == {"b"}
    assert (job.code, job.outputs["conclusion"], job.outputs["reason"]) == (0, "passed", "ok")
    assert (job.outputs["total"], job.outputs["passed"]) == ("4", "4")
    runs = {run["id"]: run for run in job.results_json["runs"]}
    assert {name: run["reused"] for name, run in runs.items()} == {"a": True, "b": False, "c": True, "f": True}
    assert [runs[name]["run_id"] for name in IDS] == ["run-1-a", "run-2-b", "run-1-c"]
    assert "3 runs passed in an earlier attempt at this build" in job.log
    lines = job.log.splitlines()
    for name, label in (("a", "A title"), ("c", "A title"), ("f", "f")):
        line = f"PASSED  {label}  — passed in an earlier attempt  https://autonoma.app/now/run-1-{name}"
        assert line in lines
    assert "4 of 4 runs passed (3 in an earlier attempt)" in job.summary.replace("\\", "")
    assert job.summary.count("✅ passed in an earlier attempt") == 3
    cases = etree.parse(tmp_path / "results" / "junit.xml").findall(".//testcase")
    case_texts = [etree.tostring(case, encoding="unicode") for case in cases]
    assert ["Passed in an earlier attempt at this build" in text for text in case_texts] == [True, False, True, True]
    assert [case.find(".//property[@name='reused']") is not None for case in cases] == [True, False, True, True]


def test_reused_run_has_link_from_api(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """The link in results.json is not trusted."""
    job = run_later_attempt(first_attempt, tmp_path).job
    links = [f"https://autonoma.app/now/run-1-{name}" for name in "acf"]
    assert [run["url"] for run in job.results_json["runs"] if run["reused"]] == links
    assert [url for url in json.loads(job.outputs["run-urls"]) if "/now/" in url] == links
    for text in (job.log, job.summary, (tmp_path / "results" / "junit.xml").read_text("utf-8")):
        assert all(link in text.replace("\\", "") for link in links)
        assert "https://autonoma.app/run/run-1-" not in text.replace("\\", "")


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "http://evil.example/run", "https://x.example/client-secret-of-the-test"]
)
def test_reused_run_without_link_shows_id(url: str, first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """Without a link from the API, the reports show the run id."""
    api.poll_responses["run-1-a"] = send_status("passed", url=url)
    second = run_later_attempt(first_attempt, tmp_path)
    assert second.started_ids == {"b"}
    assert second.job.code == 0
    run = second.job.results_json["runs"][0]
    assert (run["reused"], run["run_id"], run["url"]) == (True, "run-1-a", "")


def test_reused_run_link_drops_variable_values(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """A query that holds a value is removed, as in the response to a start request."""
    api.poll_responses["run-1-a"] = send_status(
        "passed", url="https://autonoma.app/now/run-1-a?base=https://staging.example.com"
    )
    second = run_later_attempt(first_attempt, tmp_path)
    assert second.job.results_json["runs"][0]["url"] == "https://autonoma.app/now/run-1-a"


def test_each_pass_is_confirmed_once(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """One poll confirms each reused run, on the path of its kind."""
    request_lines = run_later_attempt(first_attempt, tmp_path).request_lines
    for path in ("/api/run/run-1-a/status", "/api/run/run-1-c/status", "/api/run/folder/run-1-f/status"):
        assert request_lines.count(f"GET {path}") == 1
    assert not [line for line in request_lines if "run-1-b" in line]


def test_job_without_commit_starts_all(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """In a job for a comment, the checkout can be another commit the next time."""
    unknown_commit = {"GITHUB_SHA": "", "GITHUB_EVENT_NAME": "issue_comment"}
    first = run_job(
        tmp_path, first_attempt.server.url, IDS, extra_environ=build_environ(1) | unknown_commit, timeouts=LONG_TIMEOUTS
    )
    assert first.states["a"] == "passed"
    second = run_later_attempt(first_attempt, tmp_path, unknown_commit)
    assert second.started_ids == ALL_IDS
    assert "unknown commit of this build" in second.job.log


def test_pass_is_reused_in_third_attempt(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """A reused run is signed again, so that the third attempt can reuse it."""
    api.poll_responses["run-2-b"] = send_status("failed")
    assert run_later_attempt(first_attempt, tmp_path).job.code == 1
    third = run_later_attempt(first_attempt, tmp_path, {"GITHUB_RUN_ATTEMPT": "3"})
    assert third.started_ids == {"b"}
    assert third.job.code == 0
    assert [run["reused"] for run in third.job.results_json["runs"]] == [True, False, True, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "expected_ids"),
    [
        ({"INPUT_SUMMARY-TITLE": "Nightly"}, ALL_IDS),
        ({"INPUT_PART": '{"os": "linux"}'}, ALL_IDS),
        ({"GITHUB_JOB": "lint"}, ALL_IDS),
        ({"INPUT_SHARD": "2/2"}, {"b", "f"}),
        ({"GITHUB_SHA": "d" * 40}, ALL_IDS),
        ({"GITHUB_SHA": ""}, ALL_IDS),
        ({"GITHUB_RUN_ID": "18"}, ALL_IDS),
        ({"GITHUB_RUN_ID": ""}, ALL_IDS),
        ({"GITHUB_RUN_ATTEMPT": "1"}, ALL_IDS),
        ({"GITHUB_RUN_ATTEMPT": ""}, ALL_IDS),
        ({"INPUT_SOURCE": "nightly"}, ALL_IDS),
        ({"INPUT_CLIENT-SECRET": "another-secret-of-the-test"}, ALL_IDS),
        ({"INPUT_CLIENT-ID": "another-id-of-the-test"}, ALL_IDS),
        ({"INPUT_WAIT": "false"}, {"b"}),
        ({"INPUT_VARIABLES": "BASE_URL=https://production.example.com"}, ALL_IDS),
        ({"INPUT_VARIABLES": "BASE_URI=https://staging.example.com"}, ALL_IDS),
        ({"INPUT_VARIABLES": "BASE_URL=https://staging.example.com\nMORE=1"}, ALL_IDS),
        ({"INPUT_VARIABLES": ""}, ALL_IDS),
        ({"INPUT_APPLICATION-VERSION-ID": "v2"}, ALL_IDS),
        ({"INPUT_RUN-ON-LATEST": "true"}, ALL_IDS),
        ({"INPUT_APPLICATION-VERSIONS": '[{"application-id": "app", "version-id": "v1"}]'}, ALL_IDS),
    ],
    ids=[
        "summary-title", "part", "job", "shard", "commit", "no commit", "build", "no build", "the same attempt",
        "no attempt", "source", "client-secret", "client-id", "wait: false", "a variable's value",
        "a variable's name", "another variable", "no variable", "application-version-id", "run-on-latest",
        "application-versions",
    ],
)  # fmt: skip
def test_changed_input_starts_runs_again(
    changes: dict[str, str], expected_ids: set[str], first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """A changed input starts each run that depends on it again."""
    second = run_later_attempt(first_attempt, tmp_path, changes)
    assert second.started_ids == expected_ids
    assert second.job.code == 0
    reused_ids = {run["id"] for run in second.job.results_json["runs"] if run["reused"]}
    assert reused_ids == set(second.job.states) - expected_ids


def test_changed_api_url_starts_all(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """Another URL is another API, even if it knows the same runs."""
    with FaultServer(api.handle_request) as other_server:
        second = run_later_attempt(first_attempt, tmp_path, {"INPUT_API-URL": other_server.url})
        assert set(other_server.post_counts) == ALL_IDS
    assert second.started_ids == set()
    assert [run["reused"] for run in second.job.results_json["runs"]] == [False] * 4


@pytest.mark.slow
@pytest.mark.parametrize("part_index", range(12))
def test_changed_results_byte_starts_all(
    part_index: int, first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """A changed results.json is not used, even if it is valid."""

    def change(data: bytes) -> bytes:
        position = len(data) * part_index // 12 + part_index
        return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]

    second = run_later_attempt(first_attempt, tmp_path, change=change)
    assert second.started_ids == ALL_IDS
    assert second.job.code == 0
    assert not any(run["reused"] for run in second.job.results_json["runs"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"state": "failed"', b'"state": "passed"'),
        lambda data: data.replace(b'"run-1-a"', b'"run-1-c"'),
        lambda data: data.replace(b'"attempt": "1"', b'"attempt": "0"'),
        lambda data: data + b"\n",
        lambda data: json.dumps(json.loads(data)).encode(),
        lambda data: b"{}",
        lambda data: b"",
        lambda data: data[:-1],
    ],
    ids=["a state", "a run id", "an attempt", "a line", "another form", "no results", "empty", "cut"],
)
def test_edited_results_start_all(
    change: Callable[[bytes], bytes], first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """No run passes because of an edited results.json."""
    second = run_later_attempt(first_attempt, tmp_path, change=change)
    assert second.started_ids == ALL_IDS
    assert second.job.code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "handler",
    [
        send_status("failed"), send_status("running"), send_status("pending"), send_status("cancelled"),
        send_status("passed?"), send_status(None), send_status(True), send_status(["passed"]),
        send_response(200, '"passed"'), send_response(200, "<html>passed</html>"), send_response(200),
        send_response(204), send_response(404), send_response(429), send_response(500, '{"status": "passed"}'),
        send_response(503), send_response(302, '{"status": "passed"}', "Location: /api/run/run-1-c/status"),
        close, hang,
    ],
    ids=[
        "failed", "running", "pending", "cancelled", "an unknown word", "null", "true", "a list", "a text", "a page",
        "empty", "204", "404", "429", "500", "503", "a redirect", "a close", "nothing",
    ],
)  # fmt: skip
def test_unconfirmed_run_starts_again(
    handler: RequestHandler, first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """Any response except `passed` starts a new run, and the other runs are reused."""
    api.poll_responses["run-1-a"] = handler
    second = run_later_attempt(first_attempt, tmp_path, timeouts=SHORT_TIMEOUTS if handler is hang else LONG_TIMEOUTS)
    assert second.started_ids == {"a", "b"}
    assert second.job.code == 0
    assert [run["reused"] for run in second.job.results_json["runs"]] == [False, False, True, True]
    assert second.job.results_json["runs"][0]["run_id"] != "run-1-a"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_restart_nothing(
    status: int, first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """After a poll with refused credentials, the run is not started again."""
    api.poll_responses["run-1-a"] = send_response(status)
    second = run_later_attempt(first_attempt, tmp_path, timeouts=LONG_TIMEOUTS, changes={"INPUT_CONCURRENCY": "1"})
    assert "a" not in second.started_ids
    assert second.job.code == 3
    assert second.job.results_json["runs"][0]["state"] == "not-started"


def test_failed_restart_fails_step(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """The earlier pass of a run that was started again does not count."""
    api.poll_responses["run-1-a"] = send_status("failed")
    api.run_ids["a"] = "a-new-run"
    api.poll_responses["a-new-run"] = send_status("failed")
    second = run_later_attempt(first_attempt, tmp_path)
    assert (second.job.code, second.job.outputs["conclusion"]) == (1, "failed")
    assert second.job.states["a"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize(
    "details", [{"status": "failed"}, {"test_id": "somebody-elses"}, {"id": "another-run"}], ids=lambda d: str(*d)
)
def test_contradicting_details_void_reuse(
    details: dict[str, object], first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """A run with contradicting status and details is not a pass."""
    api.details["run-1-a"] = details
    second = run_later_attempt(first_attempt, tmp_path)
    assert second.job.states["a"] == "unknown"
    assert second.job.code == 7


def test_same_step_twice_starts_all(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """The results.json of the same attempt is from another step of the job."""
    for _ in range(2):
        second = run_later_attempt(first_attempt, tmp_path, {"GITHUB_RUN_ATTEMPT": "1"})
        assert second.started_ids == ALL_IDS


def test_rerun_of_passed_build_starts_all(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """If all runs passed, the next attempt starts all of them again."""
    assert run_later_attempt(first_attempt, tmp_path).started_ids == {"b"}
    third = run_later_attempt(first_attempt, tmp_path, {"GITHUB_RUN_ATTEMPT": "3"})
    assert third.started_ids == ALL_IDS
    assert third.job.outputs["conclusion"] == "passed"


def test_quarantined_failure_alone_starts_all(
    first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only a quarantined run failed, the next attempt is not skipped."""
    start_in_quarantine(monkeypatch, "b")
    api.poll_responses["run-2-b"] = send_status("failed")
    second = run_later_attempt(first_attempt, tmp_path)
    assert second.started_ids == ALL_IDS
    assert (second.job.code, second.job.outputs["conclusion"]) == (0, "passed")


def test_flaky_run_alone_is_started_again(tmp_path: Path) -> None:
    """With `on-flaky: fail`, a flaky run failed the earlier attempt."""
    options = {"INPUT_RETRIES": "1", "INPUT_ON-FLAKY": "fail"}
    fake_api = FakeApi()
    with FaultServer(fake_api.handle_request) as server:
        first = run_job(tmp_path, server.url, IDS, extra_environ=build_environ(1) | options)
        second = run_job(tmp_path, server.url, IDS, extra_environ=build_environ(2) | options)
    assert (first.code, first.outputs["reason"]) == (1, "flaky")
    assert (second.code, second.outputs["conclusion"]) == (0, "passed")
    assert fake_api.start_counts == {"a": 1, "b": 3, "c": 1, "f": 1}


@pytest.mark.parametrize("part", [False, True], ids=["without part", "with part"])
def test_matrix_leg_ignores_other_environment(
    part: bool, first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """A pass on staging does not count for production, even if both legs share results-dir."""

    def build_leg_environ(name: str) -> dict[str, str]:
        return {
            "INPUT_VARIABLES": f"ENVIRONMENT={name}",
            "INPUT_FOLDER-IDS": "",
            "INPUT_PART": json.dumps({"environment": name}) if part else "",
        }

    api.run_ids["b"] = "run-1-b"
    staging = run_later_attempt(first_attempt, tmp_path, build_leg_environ("staging") | {"GITHUB_RUN_ATTEMPT": "1"})
    assert staging.job.states == {"a": "passed", "b": "failed", "c": "passed"}
    api.run_ids.clear()
    production = run_later_attempt(first_attempt, tmp_path, build_leg_environ("production"))
    assert production.started_ids == {"a", "b", "c"}
    assert not any(run["reused"] for run in production.job.results_json["runs"])


def test_matrix_leg_reuses_its_own_pass(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """The staging leg starts only the runs that did not pass."""
    leg = {"INPUT_VARIABLES": "ENVIRONMENT=staging", "INPUT_FOLDER-IDS": "", "INPUT_PART": '{"environment": "staging"}'}
    api.run_ids["b"] = "run-1-b"
    run_later_attempt(first_attempt, tmp_path, leg | {"GITHUB_RUN_ATTEMPT": "1"})
    api.run_ids.clear()
    assert run_later_attempt(first_attempt, tmp_path, leg).started_ids == {"b"}


# Two steps of one job


@pytest.mark.parametrize("ids", [["a", "c"], ["a", "b", "c", "d"], ["c", "b", "a"]], ids=["fewer", "more", "order"])
def test_step_with_other_runs_reuses_nothing(
    ids: list[str], first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """Results of a step with other runs are not reused."""
    shutil.copytree(first_attempt.results_dir, tmp_path / "results")
    before = first_attempt.server.post_counts
    job = run_job(tmp_path, first_attempt.server.url, ids, extra_environ=build_environ(2), timeouts=LONG_TIMEOUTS)
    assert set(first_attempt.server.post_counts - before) == {*ids, "f"}
    assert not any(run["reused"] for run in job.results_json["runs"])
    assert "The results.json of the earlier attempt is not used: runs differ from the plan of this step." in job.log


# Ids that two runs share


def test_start_with_old_run_id_is_unknown(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """A gateway's cache can answer a start request with a run of the first attempt."""
    api.run_ids.update({"a": "run-1-a", "b": "run-1-b", "c": "run-1-c", "f": "run-1-f"})
    second = run_later_attempt(first_attempt, tmp_path, {"INPUT_VARIABLES": "BASE_URL=https://production.example.com"})
    assert second.started_ids == ALL_IDS
    assert set(second.job.states.values()) == {"unknown"}
    assert (second.job.code, second.job.outputs["passed"]) == (7, "0")


def test_unsigned_run_ids_are_ignored(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """Unsigned run ids in results.json do not affect started runs."""
    api.run_ids.update({"a": "run-1-a"})
    second = run_later_attempt(
        first_attempt,
        tmp_path,
        change=lambda data: data.replace(b'"waits_for_results": true', b'"waits_for_results": false'),
    )
    assert second.started_ids == ALL_IDS
    assert second.job.states["a"] == "passed"


def test_start_with_reused_run_id_is_no_pass(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """A start response with an earlier run id makes the run unknown."""
    api.run_ids["b"] = "run-1-a"
    second = run_later_attempt(first_attempt, tmp_path)
    assert second.job.states["b"] == "unknown"
    assert second.job.code == 7
    assert second.job.states["a"] == "passed"


def test_old_run_id_before_confirmation_is_no_pass(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """The result is the same if the start response comes first."""
    api.run_ids["b"] = "run-1-a"

    def send_late(connection: Connection) -> bool:
        # Waits until the start request of b has come, and for the time of its response.
        while first_attempt.server.post_counts["b"] == before and not connection.pause(0.01):
            pass
        return not connection.pause(0.3) and send_status("passed")(connection)

    before = first_attempt.server.post_counts["b"]
    api.poll_responses["run-1-a"] = send_late
    second = run_later_attempt(first_attempt, tmp_path)
    assert second.job.states["b"] == "unknown"
    assert second.job.code == 7


def test_one_run_id_is_reused_once(first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path) -> None:
    """Only one of two tests with the same run id is reused."""

    def share_run_id(data: bytes) -> bytes:
        # No job writes one run id for two tests, so such a file is written here.
        document = json.loads(data)
        context = BuildContext("github", "c" * 40, build_id="17", job_name="e2e")
        client_id, secret = map(Secret, ("client-id-of-the-test", "client-secret-of-the-test"))
        signer = ResultsSigner(
            secret, first_attempt.server.url, context, Part("e2e", title="Autonoma tests"), client_id
        )
        run = document["runs"][2]
        request = RunRequest(TargetKind.TEST, run["id"])
        run["run_id"] = "run-1-a"
        run["mac"] = signer.sign_run(
            RunResult(request, RunState.PASSED, run_id="run-1-a", request_mac=run["request_mac"])
        )
        document["mac"] = ""
        return signer.sign_results(json.dumps(document, indent=2) + "\n").encode()

    second = run_later_attempt(first_attempt, tmp_path, change=share_run_id)
    assert len(second.started_ids & {"a", "c"}) == 1
    ids = [run["run_id"] for run in second.job.results_json["runs"]]
    assert len(set(ids)) == len(ids)


# A signal while passes are confirmed


@pytest.mark.slow
@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_in_confirmation_starts_nothing(
    signal_number: signal.Signals, code: int, first_attempt: FirstAttempt, api: FakeApi, tmp_path: Path
) -> None:
    """The job ends without waiting for the hanging responses.

    Runs to confirm count as not started.
    """
    for name in ("run-1-a", "run-1-c", "run-1-f"):
        api.poll_responses[name] = hang
    shutil.copytree(first_attempt.results_dir, tmp_path / "results")
    environ = github_environ(tmp_path, first_attempt.server.url, IDS) | build_environ(2) | {"PATH": os.environ["PATH"]}
    before = len(first_attempt.server.received_requests)
    process = subprocess.Popen(
        [sys.executable, "-c", "from autonoma_ci.cli import main; main()"],
        cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def list_requests() -> set[str]:
        return {f"{request.method} {request.path}" for request in first_attempt.server.received_requests[before:]}

    expected_lines = {f"GET /api/run/run-1-{name}/status" for name in "ac"} | {"GET /api/run/folder/run-1-f/status"}
    deadline = time.monotonic() + 60
    while not (
        expected_lines <= list_requests() and any("run-2-b" in line or "b/run" in line for line in list_requests())
    ):
        assert time.monotonic() < deadline, "the requests were not sent"
        assert process.poll() is None, "it ended too early"
        time.sleep(0.01)
    started_at = time.monotonic()
    process.send_signal(signal_number)
    out, err = process.communicate(timeout=60)
    # The server hangs for 45 s, so a job that waits for it ends later.
    assert time.monotonic() - started_at < 30
    job = read_job_result(tmp_path, process.returncode, out, err)
    assert job.code == code
    assert job.outputs["conclusion"] == "cancelled"
    assert {name: job.states[name] for name in "acf"} == dict.fromkeys("acf", "not-started")
    assert job.states["b"] in {"started", "passed", "unknown"}
    assert not [line for line in list_requests() if line.startswith("POST") and "/b/" not in line]
    assert "Traceback" not in err
