"""Reuse of passed runs of an earlier build attempt.

Nothing of a restored record is believed without its signatures. Every doubt starts the run again.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from autonoma_ci.api.models import PollResult, PollStatus, StartResult, StartStatus, Timeouts
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext, RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.planning.signing import ResultsSigner
from autonoma_ci.redaction.redactor import Secret
from tests.support.fake_clock import FakeClock, RecordingListener, Run, ScriptedWorkers
from tests.support.fault_server import FaultServer
from tests.support.faults import answer, close, hang
from tests.support.run_step import JobResult, github_environ, read_job_result, run_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.support.fault_server import Act, Wire

IDS = ["a", "b", "c"]
EVERYTHING = {"a", "b", "c", "f"}
PATIENT = Timeouts(connect=60.0, read=60.0, total=120.0)
# For a server that says nothing; long enough for one that answers.
BRISK_TIMES = Timeouts(connect=10.0, read=2.0, total=4.0)
BUILD = {
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


def attempt(number: int) -> dict[str, str]:
    return {**BUILD, "GITHUB_RUN_ATTEMPT": str(number)}


def says(word: object, **more: str) -> Act:
    return answer(200, json.dumps({"status": word, **more}))


@dataclass
class Account:
    """An API. The first run of b fails and all others pass, unless `now` says otherwise of a run's status.

    `starts` has what is done with a POST for an id, `ids` the run id that it gets. `details` are those of a run.
    A status names a link that no start names.
    """

    now: dict[str, Act] = field(default_factory=dict)
    starts: dict[str, Act] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    details: dict[str, dict[str, object]] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        for told in (self.now, self.starts, self.ids, self.details):
            told.clear()
        # The first attempt started each once.
        self.numbers = Counter(dict.fromkeys(self.numbers, 1))

    def act(self, wire: Wire) -> bool:
        path = wire.request.path.partition("?")[0]
        if wire.request.method == "POST":
            subject = wire.request.subject
            with self.lock:
                self.numbers[subject] += 1
                run = self.ids.get(subject, f"run-{self.numbers[subject]}-{subject}")
            names = dict.fromkeys(("run_id", "folder_run_id", "tag_run_id"), run)
            started = answer(200, json.dumps({"url": f"https://autonoma.app/run/{run}", **names}))
            return self.starts.get(subject, started)(wire)
        if path.endswith("/status"):
            run = path.rsplit("/", 2)[-2]
            word = "failed" if run == "run-1-b" else "passed"
            return self.now.get(run, says(word, url=f"https://autonoma.app/now/{run}"))(wire)
        return answer(200, json.dumps(self.details.get(path.rsplit("/", 1)[-1], {"name": "A title"})))(wire)


@dataclass(frozen=True)
class Earlier:
    """What the first attempt left; `results` is its folder, `url` that of the API."""

    account: Account
    server: FaultServer
    results: Path
    ended: JobResult


@dataclass(frozen=True)
class Again:
    """What a later attempt came to; `posted` has the ids that were sent to be started, `asked` all paths."""

    ended: JobResult
    posted: set[str]
    asked: list[str]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Earlier]:
    """Yield the first attempt: a, c and the folder passed, b failed."""
    folder, account = tmp_path_factory.mktemp("first"), Account()
    with FaultServer(account.act) as server:
        ended = run_job(folder, server.url, IDS, more=attempt(1), timeouts=PATIENT)
        assert ended.code == 1
        assert ended.states == {"a": "passed", "b": "failed", "c": "passed", "f": "passed"}
        yield Earlier(account, server, folder / "results", ended)


@pytest.fixture
def account(earlier: Earlier) -> Iterator[Account]:
    """Yield the API of the first attempt, for one test to change what it says."""
    earlier.account.reset()
    yield earlier.account
    earlier.account.reset()


def again(
    earlier: Earlier,
    folder: Path,
    more: Mapping[str, str] | None = None,
    *,
    change: Callable[[bytes], bytes] = bytes,
    timeouts: Timeouts = PATIENT,
    ids: Sequence[str] = IDS,
) -> Again:
    """Run the second attempt, with the results-dir of the first one restored."""
    if not (folder / "results").exists():
        shutil.copytree(earlier.results, folder / "results")
    path = folder / "results" / "results.json"
    path.write_bytes(change(path.read_bytes()))
    before = len(earlier.server.received)
    given = attempt(2) | dict(more or {})
    url = given.pop("INPUT_API-URL", earlier.server.url)
    ended = run_job(folder, url, ids, more=given, timeouts=timeouts)
    assert "Traceback" not in ended.log + ended.errors
    received = earlier.server.received[before:]
    posted = {request.subject for request in received if request.method == "POST"}
    assert sum(request.method == "POST" for request in received) == len(posted), "nothing is started twice"
    return Again(ended, posted, [f"{request.method} {request.path}" for request in received])


def test_job_reuses_pass_and_reports_it(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """The next attempt starts only the other runs, and all reports mark the reused ones."""
    second = again(earlier, tmp_path)
    ended = second.ended
    assert second.posted == {"b"}
    assert (ended.code, ended.outputs["conclusion"], ended.outputs["reason"]) == (0, "passed", "ok")
    assert (ended.outputs["total"], ended.outputs["passed"]) == ("4", "4")
    runs = {run["id"]: run for run in ended.record["runs"]}
    assert {name: run["reused"] for name, run in runs.items()} == {"a": True, "b": False, "c": True, "f": True}
    assert [runs[name]["run_id"] for name in IDS] == ["run-1-a", "run-2-b", "run-1-c"]
    assert "3 runs passed in an earlier attempt at this build" in ended.log
    for name in ("test a", "test c", "folder f"):
        assert any("passed in an earlier attempt" in line and name in line for line in ended.log.splitlines())
    assert "4 of 4 runs passed (3 in an earlier attempt)" in ended.summary.replace("\\", "")
    assert ended.summary.count("✅ passed in an earlier attempt") == 3
    cases = etree.parse(tmp_path / "results" / "junit.xml").findall(".//testcase")
    told = [etree.tostring(case, encoding="unicode") for case in cases]
    assert ["It passed in an earlier attempt at this build" in text for text in told] == [True, False, True, True]
    assert [case.find(".//property[@name='reused']") is not None for case in cases] == [True, False, True, True]


def test_reused_run_has_link_from_api(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """The link in the record is not trusted."""
    ended = again(earlier, tmp_path).ended
    links = [f"https://autonoma.app/now/run-1-{name}" for name in "acf"]
    assert [run["url"] for run in ended.record["runs"] if run["reused"]] == links
    assert [url for url in json.loads(ended.outputs["run-urls"]) if "/now/" in url] == links
    for text in (ended.log, ended.summary, (tmp_path / "results" / "junit.xml").read_text("utf-8")):
        assert all(link in text.replace("\\", "") for link in links)
        assert "https://autonoma.app/run/run-1-" not in text.replace("\\", "")


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "http://evil.example/run", "https://x.example/client-secret-of-the-test"]
)
def test_reused_run_without_link_shows_id(url: str, earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """Without a link from the API, the reports show the run id."""
    account.now["run-1-a"] = says("passed", url=url)
    second = again(earlier, tmp_path)
    assert second.posted == {"b"}
    assert second.ended.code == 0
    run = second.ended.record["runs"][0]
    assert (run["reused"], run["run_id"], run["url"]) == (True, "run-1-a", "")


def test_reused_run_link_drops_variable_values(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A query that holds a value is removed, as in the response to a start request."""
    account.now["run-1-a"] = says("passed", url="https://autonoma.app/now/run-1-a?base=https://staging.example.com")
    second = again(earlier, tmp_path)
    assert second.ended.record["runs"][0]["url"] == "https://autonoma.app/now/run-1-a"


def test_each_pass_is_confirmed_once(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """One poll confirms each reused run, on the path of its kind."""
    asked = again(earlier, tmp_path).asked
    for path in ("/api/run/run-1-a/status", "/api/run/run-1-c/status", "/api/run/folder/run-1-f/status"):
        assert asked.count(f"GET {path}") == 1
    assert not [path for path in asked if "run-1-b" in path]


def test_job_without_commit_starts_all(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """In a job for a comment, the checkout can be another commit the next time."""
    unknown = {"GITHUB_SHA": "", "GITHUB_EVENT_NAME": "issue_comment"}
    assert (
        run_job(tmp_path, earlier.server.url, IDS, more=attempt(1) | unknown, timeouts=PATIENT).states["a"] == "passed"
    )
    found = again(earlier, tmp_path, unknown)
    assert found.posted == EVERYTHING
    assert "the commit of this build is not known" in found.ended.log


def test_pass_is_reused_in_third_attempt(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A reused run is signed again, so that the third attempt can reuse it."""
    account.now["run-2-b"] = says("failed")
    assert again(earlier, tmp_path).ended.code == 1
    third = again(earlier, tmp_path, {"GITHUB_RUN_ATTEMPT": "3"})
    assert third.posted == {"b"}
    assert third.ended.code == 0
    assert [run["reused"] for run in third.ended.record["runs"]] == [True, False, True, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "started"),
    [
        ({"INPUT_SUMMARY-TITLE": "Nightly"}, EVERYTHING),
        ({"INPUT_PART": '{"os": "linux"}'}, EVERYTHING),
        ({"GITHUB_JOB": "lint"}, EVERYTHING),
        ({"INPUT_SHARD": "2/2"}, {"b", "f"}),
        ({"GITHUB_SHA": "d" * 40}, EVERYTHING),
        ({"GITHUB_SHA": ""}, EVERYTHING),
        ({"GITHUB_RUN_ID": "18"}, EVERYTHING),
        ({"GITHUB_RUN_ID": ""}, EVERYTHING),
        ({"GITHUB_RUN_ATTEMPT": "1"}, EVERYTHING),
        ({"GITHUB_RUN_ATTEMPT": ""}, EVERYTHING),
        ({"INPUT_SOURCE": "nightly"}, EVERYTHING),
        ({"INPUT_CLIENT-SECRET": "another-secret-of-the-test"}, EVERYTHING),
        ({"INPUT_CLIENT-ID": "another-id-of-the-test"}, EVERYTHING),
        ({"INPUT_WAIT": "false"}, {"b"}),
        ({"INPUT_VARIABLES": "BASE_URL=https://production.example.com"}, EVERYTHING),
        ({"INPUT_VARIABLES": "BASE_URI=https://staging.example.com"}, EVERYTHING),
        ({"INPUT_VARIABLES": "BASE_URL=https://staging.example.com\nMORE=1"}, EVERYTHING),
        ({"INPUT_VARIABLES": ""}, EVERYTHING),
        ({"INPUT_APPLICATION-VERSION-ID": "v2"}, EVERYTHING),
        ({"INPUT_RUN-ON-LATEST": "true"}, EVERYTHING),
        ({"INPUT_APPLICATION-VERSIONS": '[{"application-id": "app", "version-id": "v1"}]'}, EVERYTHING),
    ],
    ids=[
        "summary-title", "part", "job", "shard", "commit", "no commit", "build", "no build", "the same attempt",
        "no attempt", "source", "client-secret", "client-id", "wait: false", "a variable's value",
        "a variable's name", "a variable more", "no variable", "application-version-id", "run-on-latest",
        "application-versions",
    ],
)  # fmt: skip
def test_changed_input_starts_runs_again(
    more: dict[str, str], started: set[str], earlier: Earlier, account: Account, tmp_path: Path
) -> None:
    """A changed input invalidates the pass of each run that it concerns."""
    second = again(earlier, tmp_path, more)
    assert second.posted == started
    assert second.ended.code == 0
    carried = {run["id"] for run in second.ended.record["runs"] if run["reused"]}
    assert carried == set(second.ended.states) - started


def test_changed_api_url_starts_all(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """Another URL is another API, even if it knows the same runs."""
    with FaultServer(account.act) as other:
        second = again(earlier, tmp_path, {"INPUT_API-URL": other.url})
        assert set(other.posts) == EVERYTHING
    assert second.posted == set()
    assert [run["reused"] for run in second.ended.record["runs"]] == [False] * 4


@pytest.mark.slow
@pytest.mark.parametrize("twelfth", range(12))
def test_changed_record_byte_starts_all(twelfth: int, earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A changed record is ignored, whether it is readable or not."""

    def change(data: bytes) -> bytes:
        place = len(data) * twelfth // 12 + twelfth
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    second = again(earlier, tmp_path, change=change)
    assert second.posted == EVERYTHING
    assert second.ended.code == 0
    assert not any(run["reused"] for run in second.ended.record["runs"])


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
    ids=["a state", "a run id", "an attempt", "a line", "another form", "no record", "empty", "cut"],
)
def test_edited_record_starts_all(
    change: Callable[[bytes], bytes], earlier: Earlier, account: Account, tmp_path: Path
) -> None:
    """A record that was edited in the cache makes no run pass."""
    second = again(earlier, tmp_path, change=change)
    assert second.posted == EVERYTHING
    assert second.ended.code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "act",
    [
        says("failed"), says("running"), says("pending"), says("cancelled"), says("passed?"), says(None), says(True),
        says(["passed"]), answer(200, '"passed"'), answer(200, "<html>passed</html>"), answer(200), answer(204),
        answer(404), answer(429), answer(500, '{"status": "passed"}'), answer(503),
        answer(302, '{"status": "passed"}', "Location: /api/run/run-1-c/status"), close, hang,
    ],
    ids=[
        "failed", "running", "pending", "cancelled", "an unknown word", "null", "true", "a list", "a text", "a page",
        "empty", "204", "404", "429", "500", "503", "a redirect", "a close", "nothing",
    ],
)  # fmt: skip
def test_unconfirmed_run_starts_again(act: Act, earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """Any response except `passed` starts a new run, and the other runs are reused."""
    account.now["run-1-a"] = act
    second = again(earlier, tmp_path, timeouts=BRISK_TIMES if act is hang else PATIENT)
    assert second.posted == {"a", "b"}
    assert second.ended.code == 0
    assert [run["reused"] for run in second.ended.record["runs"]] == [False, False, True, True]
    assert second.ended.record["runs"][0]["run_id"] != "run-1-a"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_start_nothing(status: int, earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A poll that is refused ends the step before any start request."""
    account.now["run-1-a"] = answer(status)
    second = again(earlier, tmp_path, timeouts=PATIENT, more={"INPUT_CONCURRENCY": "1"})
    assert "a" not in second.posted
    assert second.ended.code == 3
    assert second.ended.record["runs"][0]["state"] == "not-started"


def test_failed_restart_fails_step(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """The earlier pass of a run that was started again does not count."""
    account.now["run-1-a"] = says("failed")
    account.ids["a"] = "a-new-run"
    account.now["a-new-run"] = says("failed")
    second = again(earlier, tmp_path)
    assert (second.ended.code, second.ended.outputs["conclusion"]) == (1, "failed")
    assert second.ended.states["a"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize(
    "details", [{"status": "failed"}, {"test_id": "somebody-elses"}, {"id": "another-run"}], ids=lambda d: str(*d)
)
def test_contradicting_details_void_reuse(
    details: dict[str, object], earlier: Earlier, account: Account, tmp_path: Path
) -> None:
    """A run with contradicting status and details is not a pass."""
    account.details["run-1-a"] = details
    second = again(earlier, tmp_path)
    assert second.ended.states["a"] == "unknown"
    assert second.ended.code == 7


def test_same_step_twice_starts_all(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """The record of the same attempt belongs to another step of the job."""
    for _ in range(2):
        second = again(earlier, tmp_path, {"GITHUB_RUN_ATTEMPT": "1"})
        assert second.posted == EVERYTHING


def test_rerun_of_passed_build_starts_all(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A step that starts no run proves nothing."""
    assert again(earlier, tmp_path).posted == {"b"}
    third = again(earlier, tmp_path, {"GITHUB_RUN_ATTEMPT": "3"})
    assert third.posted == EVERYTHING
    assert third.ended.outputs["conclusion"] == "passed"


@pytest.mark.parametrize("part", [False, True], ids=["without part", "with part"])
def test_matrix_leg_ignores_other_environment(part: bool, earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A pass on staging does not count for production, even if both legs share results-dir."""

    def leg(name: str) -> dict[str, str]:
        return {
            "INPUT_VARIABLES": f"ENVIRONMENT={name}",
            "INPUT_FOLDER-IDS": "",
            "INPUT_PART": json.dumps({"environment": name}) if part else "",
        }

    account.ids["b"] = "run-1-b"
    staging = again(earlier, tmp_path, leg("staging") | {"GITHUB_RUN_ATTEMPT": "1"})
    assert staging.ended.states == {"a": "passed", "b": "failed", "c": "passed"}
    account.ids.clear()
    production = again(earlier, tmp_path, leg("production"))
    assert production.posted == {"a", "b", "c"}
    assert not any(run["reused"] for run in production.ended.record["runs"])


def test_matrix_leg_reuses_its_own_pass(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """The staging leg starts only the runs that did not pass."""
    leg = {"INPUT_VARIABLES": "ENVIRONMENT=staging", "INPUT_FOLDER-IDS": "", "INPUT_PART": '{"environment": "staging"}'}
    account.ids["b"] = "run-1-b"
    again(earlier, tmp_path, leg | {"GITHUB_RUN_ATTEMPT": "1"})
    account.ids.clear()
    assert again(earlier, tmp_path, leg).posted == {"b"}


# Two steps of one job


@pytest.mark.parametrize("ids", [["a", "c"], ["a", "b", "c", "d"], ["c", "b", "a"]], ids=["fewer", "more", "order"])
def test_step_with_other_runs_reuses_nothing(
    ids: list[str], earlier: Earlier, account: Account, tmp_path: Path
) -> None:
    """A pass of a step before a deployment does not count after it."""
    shutil.copytree(earlier.results, tmp_path / "results")
    before = earlier.server.posts
    ended = run_job(tmp_path, earlier.server.url, ids, more=attempt(2), timeouts=PATIENT)
    assert set(earlier.server.posts - before) == {*ids, "f"}
    assert not any(run["reused"] for run in ended.record["runs"])
    assert "The earlier attempt's record is not used: its runs are not those that this step is to start." in ended.log


# Ids that two runs share


def test_start_with_old_run_id_is_unknown(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A gateway's cache can answer a start request with a run of the first attempt."""
    account.ids.update({"a": "run-1-a", "b": "run-1-b", "c": "run-1-c", "f": "run-1-f"})
    second = again(earlier, tmp_path, {"INPUT_VARIABLES": "BASE_URL=https://production.example.com"})
    assert second.posted == EVERYTHING
    assert set(second.ended.states.values()) == {"unknown"}
    assert (second.ended.code, second.ended.outputs["passed"]) == (7, "0")


def test_unsigned_run_ids_are_ignored(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A forged record in a cache cannot make started runs unknown."""
    account.ids.update({"a": "run-1-a"})
    second = again(
        earlier, tmp_path, change=lambda data: data.replace(b'"waits_for_results": true', b'"waits_for_results": false')
    )
    assert second.posted == EVERYTHING
    assert second.ended.states["a"] == "passed"


def test_start_with_reused_run_id_is_no_pass(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A start response that names a run of the earlier attempt started no known run."""
    account.ids["b"] = "run-1-a"
    second = again(earlier, tmp_path)
    assert second.ended.states["b"] == "unknown"
    assert second.ended.code == 7
    assert second.ended.states["a"] == "passed"


def test_old_run_id_before_confirmation_is_no_pass(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """The order of the responses makes no difference."""
    account.ids["b"] = "run-1-a"

    def late(wire: Wire) -> bool:
        # Until the start of b has come, and as long again as its response may take.
        while earlier.server.posts["b"] == before and not wire.pause(0.01):
            pass
        return not wire.pause(0.3) and says("passed")(wire)

    before = earlier.server.posts["b"]
    account.now["run-1-a"] = late
    second = again(earlier, tmp_path)
    assert second.ended.states["b"] == "unknown"
    assert second.ended.code == 7


def test_one_run_id_is_reused_once(earlier: Earlier, account: Account, tmp_path: Path) -> None:
    """A signed record cannot give one run to two tests."""

    def shared(data: bytes) -> bytes:
        # The second start in one job gets no id that the first one has, so such a record is written here.
        saved = json.loads(data)
        context = BuildContext("github", "c" * 40, build_id="17", job_name="e2e")
        client_id, secret = map(Secret, ("client-id-of-the-test", "client-secret-of-the-test"))
        signer = ResultsSigner(secret, earlier.server.url, context, Part("e2e", title="Autonoma tests"), client_id)
        run = saved["runs"][2]
        request = RunRequest(TargetKind.TEST, run["id"])
        run["run_id"] = "run-1-a"
        run["mac"] = signer.sign_run(
            RunResult(request, RunState.PASSED, run_id="run-1-a", request_mac=run["request_mac"])
        )
        saved["mac"] = ""
        return signer.sign_results(json.dumps(saved, indent=2) + "\n").encode()

    second = again(earlier, tmp_path, change=shared)
    assert len(second.posted & {"a", "c"}) == 1
    ids = [run["run_id"] for run in second.ended.record["runs"]]
    assert len(set(ids)) == len(ids)


# A signal while passes are confirmed


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_in_confirmation_starts_nothing(
    number: signal.Signals, code: int, earlier: Earlier, account: Account, tmp_path: Path
) -> None:
    """The job ends within two seconds, and the runs to confirm count as not started."""
    for name in ("run-1-a", "run-1-c", "run-1-f"):
        account.now[name] = hang
    shutil.copytree(earlier.results, tmp_path / "results")
    environ = github_environ(tmp_path, earlier.server.url, IDS) | attempt(2) | {"PATH": os.environ["PATH"]}
    before = len(earlier.server.received)
    process = subprocess.Popen(
        [sys.executable, "-c", "from autonoma_ci.cli import main; main()"],
        cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def asked() -> set[str]:
        return {f"{request.method} {request.path}" for request in earlier.server.received[before:]}

    wanted = {f"GET /api/run/run-1-{name}/status" for name in "ac"} | {"GET /api/run/folder/run-1-f/status"}
    until = time.monotonic() + 60
    while not (wanted <= asked() and any("run-2-b" in path or "b/run" in path for path in asked())):
        assert time.monotonic() < until, "it never came to that"
        assert process.poll() is None, "it ended too early"
        time.sleep(0.01)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    # The server says nothing for 45 s, so whoever waits for it is later.
    assert time.monotonic() - began < 30
    ended = read_job_result(tmp_path, process.returncode, out, err)
    assert ended.code == code
    assert ended.outputs["conclusion"] == "cancelled"
    assert {name: ended.states[name] for name in "acf"} == dict.fromkeys("acf", "not-started")
    assert ended.states["b"] in {"started", "passed", "unknown"}
    assert not [path for path in asked() if path.startswith("POST") and "/b/" not in path]
    assert "Traceback" not in err


# The clock


class Silent(ScriptedWorkers):
    """Workers whose requests to confirm a pass never come back; `confirming` has their places."""

    confirming: list[int]

    def poll(self, index: int, request: RunRequest, run_id: str, request_number: int, **more: Any) -> None:
        if run_id.startswith("earlier"):
            self.confirming.append(index)
            return
        super().poll(index, request, run_id, request_number, **more)


def test_hanging_confirmation_is_abandoned() -> None:
    """A hanging thread delays the step by at most 45 seconds."""
    clock = FakeClock()
    started = {0: [(0.1, StartResult(StartStatus.STARTED, run_id="r", http_status=200))]}
    workers = Silent(clock, started, {0: [Run(lambda _: PollResult(PollStatus.PASSED))]})
    workers.confirming = []
    board = RunTable([RunResult(RunRequest(TargetKind.TEST, "a"))], clock.time)
    engine = Engine(
        board,
        StartPolicy(),
        clock,
        queue.SimpleQueue(),
        RecordingListener(),
        PollPolicy(),
        passed_runs={0: "earlier-a"},
    )
    begun = clock.time
    engine.run(workers)
    assert workers.confirming == [0]
    [sent] = workers.times(0)
    assert 45 <= sent - begun < 46
    [run] = board.results
    assert (run.state, run.reused) == (RunState.PASSED, False)


def test_confirmations_are_limited() -> None:
    """At most eight confirmations are under way at once."""
    clock = FakeClock()
    workers = Silent(clock, {}, {})
    workers.confirming = []
    board = RunTable([RunResult(RunRequest(TargetKind.TEST, f"t{number}")) for number in range(30)], clock.time)
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    places = {number: f"earlier-{number}" for number in range(30)}
    engine = Engine(board, StartPolicy(), clock, events, RecordingListener(), PollPolicy(), passed_runs=places)
    engine._pass_confirmer.dispatch(workers)
    assert workers.confirming == list(range(8))
