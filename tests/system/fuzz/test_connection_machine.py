"""Test that no run gets another run's id or verdict.

A server on raw sockets knows the run of each request, and each well-formed body that it sends names exactly that run.
A late or surplus body names the run of the request that it belongs to. The client may report unknown, but never
another run. The server keeps each connection that its script does not close, so a client that sends a second request
on one receives the rest of the first response.

The server also knows on which starts it acted. These are all except those that it rejected with one whole response and
nothing else. A start on which it acted is never sent again and never reported as not started.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from autonoma_ci.api import transport
from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollResult, PollStatus, RunDetails, StartResult, StartStatus, Timeouts
from autonoma_ci.api.transport import Transport
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.net import connection
from autonoma_ci.redaction.redactor import Secret
from tests.support.fault_server import FaultServer
from tests.support.github_job import run_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.fault_server import Connection
    from tests.support.github_job import JobResult

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
# A stall exceeds the read timeout of the property, whose examples rarely have one.
SHORT_TIMEOUTS = Timeouts(connect=1.0, read=0.2, total=0.4)
STALL_SECONDS = 0.25
# For scripts without a stall, so that no result depends on the speed of the machine.
LONG_TIMEOUTS = Timeouts(connect=20.0, read=20.0, total=30.0)
# One call makes at most three requests, each limited by `total`. A longer call hangs.
MAX_CALL_SECONDS = 120.0
MAX_JOB_SECONDS = 120.0
# Longer than any request, so the client reads the surplus until the timeout of the request. No result then depends on
# how soon the server acts on a start that it rejected before.
SURPLUS_SECONDS = 30.0

# A pause until the client has sent its next request on the same connection, or has closed it.
UNTIL_NEXT_REQUEST = -1.0
# The longest pause of this kind, before and after a final response.
MAX_HOLD_SECONDS = 0.05
MAX_LINGER_SECONDS = 10.0

TESTS = ("p0", "f0", "p1", "f1")
STATUS_BY_PREFIX = {"p": "passed", "f": "failed"}


def get_final_status(test: str) -> str:
    return STATUS_BY_PREFIX[test[0]]


def make_run_id(test: str) -> str:
    return f"run-of-{test}"


class Reply(NamedTuple):
    """The response to one request, without faults by default.

    Attributes:
        interim_statuses: The statuses of the interim responses.
        wait: Seconds before the final response, or UNTIL_NEXT_REQUEST.
        status: The status of the final response.
        framing: The way in which the response states the length of its body.
        cut: Where the connection ends too early, `before` or `within` the response, if at all.
        surplus: The data after the response, each with the pause before it in seconds. None means in the same segment.
        end: The end of the connection, `keep`, `close`, `reset` or the seconds before a close.
    """

    interim_statuses: tuple[int, ...] = ()
    wait: float = 0.0
    status: int = 200
    framing: str = "length"
    cut: str = ""
    surplus: tuple[tuple[str, float | None], ...] = ()
    end: str | float = "keep"


PLAIN_REPLY = Reply()


def is_refusal(reply: Reply) -> bool:
    """Return whether a reply rejects a start and has no other response to it."""
    has_no_response = all(extra == "line" for extra, _ in reply.surplus)
    return reply.status in {400, 429} and reply.cut != "before" and has_no_response


class Call(NamedTuple):
    """One call of the client for a test, from one of two threads."""

    kind: str
    test: str
    thread: int = 0


class Script(NamedTuple):
    """The calls of the client and the replies of the server.

    Requests and connections beyond the script have no faults.
    """

    calls: tuple[Call, ...] = ()
    replies: tuple[Reply, ...] = ()
    greetings: tuple[str, ...] = ()
    # The number of polls of each run with the status `running`.
    running_polls: int = 0


class Request(NamedTuple):
    """The kind and the test of a request."""

    kind: str
    test: str

    @classmethod
    def from_path(cls, path: str) -> Request:
        """Parse the path of a request."""
        parts = path.partition("?")[0].removeprefix("/api/").split("/")
        if parts[0] == "test":
            return cls("start", parts[1])
        return cls("status" if parts[-1] == "status" else "details", parts[1].removeprefix("run-of-"))


def build_body(request: Request, *, is_running: bool) -> bytes:
    """Build the body that names only the run of this request."""
    test, run = request.test, make_run_id(request.test)
    fields: dict[str, object]
    if request.kind == "start":
        fields = {"message": f"started {test}", "run_id": run, "url": f"https://autonoma.app/run/{run}"}
    elif request.kind == "status":
        # The body names no run, so the client cannot detect the status of another run.
        fields = {"status": "running" if is_running else get_final_status(test)}
    else:
        step = {"instruction": f"step of {test}", "output": f"seen by {test}", "status": get_final_status(test)}
        fields = {
            "id": run,
            "test_id": test,
            "name": f"title of {test}",
            "status": get_final_status(test),
            "steps": [step],
        }
    return json.dumps(fields).encode()


def build_response(status: int, content: bytes, framing: str = "length") -> bytes:
    """Build a response that states the length of its body in this way."""
    version, chunks = "HTTP/1.1", b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    length, chunked = f"Content-Length: {len(content)}", "Transfer-Encoding: chunked"
    headers = {
        "length": [length],
        "chunked": [chunked],
        "equal lengths": [length, length],
        "a shorter length": [length, f"Content-Length: {len(content) - 1}"],
        "a longer length": [length, f"Content-Length: {len(content) + 40}"],
        "length and chunked": [f"Content-Length: {len(chunks)}", chunked],
        "chunked and length": [chunked, length],
        "1.0": [length],
        "1.0 kept": [length, "Connection: keep-alive"],
        "close": [length, "Connection: close"],
        "no length": [],
        "empty": [],
    }[framing]
    content = b"" if framing == "empty" else content
    if framing.startswith("1.0"):
        version = "HTTP/1.0"
    lines = [f"{version} {status} Said", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode() + (chunks if chunked in headers else content)


def build_interim_response(status: int) -> bytes:
    """Build an interim response. Like real ones, those with 103 have headers."""
    headers = "Link: </style.css>; rel=preload\r\nContent-Length: 7\r\n" if status == 103 else ""
    return f"HTTP/1.1 {status} Interim\r\n{headers}\r\n".encode()


class ScriptedApi:
    """The server of a script.

    Attributes:
        posts: The number of starts of each test that were read or had a response.
        processed_starts: The number of them on which the server acted.
        requests: The number of requests that were read on each connection.
    """

    def __init__(self, script: Script, max_hold: float) -> None:
        self._lock = threading.Lock()
        self._replies, self._greetings = list(script.replies), list(script.greetings)
        self._running_polls, self._max_hold = script.running_polls, max_hold
        self._connections = 0
        self._refused_early: set[int] = set()
        self._polls: Counter[str] = Counter()
        self.posts: Counter[str] = Counter()
        self.processed_starts: Counter[str] = Counter()
        self.requests: Counter[int] = Counter()

    def respond(self, connection: Connection) -> bool:
        """Respond to a request."""
        request = Request.from_path(connection.request.path)
        with self._lock:
            reply = self._replies.pop(0) if self._replies else PLAIN_REPLY
            if connection.request.connection_number in self._refused_early:
                # Without its own complete response, this start looks like one that was rejected.
                reply = reply._replace(cut="", end="keep")
            content = self._build_body(request)
            self.requests[connection.request.connection_number] += 1
            self.posts[request.test] += request.kind == "start"
            self.processed_starts[request.test] += request.kind == "start" and not is_refusal(reply)
        # They are sent in one segment, so the client has them all before its next request.
        connection.send(b"".join(map(build_interim_response, reply.interim_statuses)))
        self._pause(connection, reply.wait, self._max_hold)
        if reply.status >= 400:
            content = b'{"error": "not now"}'
        data = build_response(reply.status, content, reply.framing)
        if reply.cut:
            connection.send(data[: len(data) - len(content) // 2 if reply.cut == "within" else 0])
            return self._end(connection, reply)
        return self._send(connection, reply, data, request)

    def _send(self, connection: Connection, reply: Reply, data: bytes, request: Request) -> bool:
        second = build_response(200, build_body(request, is_running=False))
        extras = {
            "response": second,
            "half": second[:-9],
            "head": second.partition(b"\r\n\r\n")[0],
            "garbage": b"\x00garbage",
            "line": b"\r\n",
            "interim": build_interim_response(103),
            "body": build_body(request, is_running=False),
        }
        for extra, pause in reply.surplus:
            if pause is not None:
                connection.send(data)
                data = b""
                self._pause(connection, pause, MAX_LINGER_SECONDS)
            data += extras[extra]
        connection.send(data)
        return self._end(connection, reply)

    def begin_connection(self, connection: Connection) -> bool:
        """Begin a connection, and return whether to read requests on it."""
        with self._lock:
            greeting = self._greetings.pop(0) if self._greetings else ""
            self._connections += 1
            if greeting in {"400", "429"}:
                self._refused_early.add(self._connections)
        if greeting.startswith("early"):
            return self._respond_early(connection, is_read_later=greeting == "early, and again")
        timeout_response = build_response(408, b'{"error": "too slow"}')
        connection.send(
            {
                "": b"",
                "408": timeout_response,
                "408, closed": timeout_response,
                "400": build_response(400, b'{"error": "not this"}'),
                "429": build_response(429, b'{"error": "not now"}'),
                "nothing": build_response(200, b"{}"),
                "interim": build_interim_response(100) + build_interim_response(103),
                "garbage": b"garbage\r\n",
            }[greeting]
        )
        return greeting != "408, closed"

    def _respond_early(self, connection: Connection, *, is_read_later: bool) -> bool:
        """Respond to the first line of a request that was not read."""
        line = b""
        with suppress(OSError):
            while b"\r\n" not in line:
                line = connection.socket.recv(65536, socket.MSG_PEEK)
                if not line:
                    return False
            request = Request.from_path(line.split(b" ")[1].decode())
            with self._lock:
                # A start with a response counts, even if it is never read.
                self.posts[request.test] += request.kind == "start" and not is_read_later
                self.processed_starts[request.test] += request.kind == "start" and not is_read_later
                content = self._build_body(request)
            connection.send(build_response(200, content))
        return is_read_later

    def _build_body(self, request: Request) -> bytes:
        self._polls[request.test] += request.kind == "status"
        return build_body(request, is_running=self._polls[request.test] <= self._running_polls)

    @staticmethod
    def _pause(connection: Connection, seconds: float, longest: float) -> None:
        if seconds == UNTIL_NEXT_REQUEST:
            # The socket is readable after a close by the client too.
            with suppress(OSError, ValueError):
                select.select([connection.socket], [], [], longest)
        elif seconds:
            connection.pause(seconds)

    @staticmethod
    def _end(connection: Connection, reply: Reply) -> bool:
        if reply.end == "reset":
            connection.reset()
        elif isinstance(reply.end, float):
            connection.pause(reply.end)
        return reply.end == "keep" and not reply.cut


class ScriptResult(NamedTuple):
    """The result of a script.

    Attributes:
        errors: The violations of the property.
        known_count: The number of calls that received the result of their own run.
        requests: The number of requests that were read on each connection.
    """

    errors: list[str]
    known_count: int
    requests: Mapping[int, int]


def check_result(call: Call, result: object) -> tuple[str, bool]:
    """Return the error of a call's result, and whether the result is known."""
    error, is_known = "", False
    if isinstance(result, StartResult):
        run_ids = {result.run_id, result.url.rpartition("/")[2]} - {""}
        error = f"{call} has {result.run_id} {result.url}" if run_ids - {make_run_id(call.test)} else ""
        is_known = result.status is StartStatus.STARTED
    elif isinstance(result, PollResult):
        is_final = result.status in {PollStatus.PASSED, PollStatus.FAILED, PollStatus.STOPPED}
        error = f"{call} is {result.status}" if is_final and result.status != get_final_status(call.test) else ""
        is_known = is_final
    elif isinstance(result, RunDetails):
        texts: set[str] = {
            result.title,
            result.step.output if result.step else "",
            *(step.output for step in result.steps),
        }
        texts.add(result.status or "")
        foreign_texts = texts - {"", f"title of {call.test}", f"seen by {call.test}", get_final_status(call.test)}
        error = f"{call} has details {foreign_texts}" if foreign_texts else ""
        is_known = bool(result.title)
    return error, is_known


def run_script(script: Script, timeouts: Timeouts = LONG_TIMEOUTS, max_hold: float = MAX_HOLD_SECONDS) -> ScriptResult:
    """Make the calls of a script in turn, and check their results."""
    api, errors, known_count = ScriptedApi(script, max_hold), [], 0
    with (
        FaultServer(api.respond, connection_handler=api.begin_connection) as server,
        ThreadPoolExecutor(1) as first,
        ThreadPoolExecutor(1) as second,
    ):
        client = AutonomaClient(Transport(server.url, SECRETS, timeouts=timeouts), "cli", SECRETS)
        for call in script.calls:
            request = RunRequest(TargetKind.TEST, call.test)
            make_call = {
                "start": lambda request=request: client.start(request),
                "status": lambda request=request: client.poll_status(request, make_run_id(request.id)),
                "details": lambda request=request: client.fetch_details(request, make_run_id(request.id)),
            }[call.kind]
            result = (first, second)[call.thread].submit(make_call).result(timeout=MAX_CALL_SECONDS)
            error, is_known = check_result(call, result)
            errors += [error] if error else []
            known_count += is_known
    start_counts = Counter(call.test for call in script.calls if call.kind == "start")
    errors += [f"{api.posts[test]} POSTs of {test}" for test in TESTS if api.posts[test] > start_counts[test]]
    return ScriptResult(errors, known_count, api.requests)


def parse_calls(*texts: str) -> tuple[Call, ...]:
    """Parse calls such as `start p0`."""
    return tuple(Call(kind, test) for kind, _, test in (text.rpartition(" ") for text in texts))


# The property

FRAMINGS = (
    *("length", "chunked", "equal lengths", "a shorter length", "a longer length", "length and chunked"),
    *("chunked and length", "1.0", "1.0 kept", "close", "empty"),
)
SINGLE_FAULT_REPLIES = (
    *(Reply(interim_statuses=statuses) for statuses in [(100,), (102,), (103,), (100, 102, 103), (103, 103), (101,)]),
    *(Reply(interim_statuses=statuses, wait=UNTIL_NEXT_REQUEST) for statuses in [(102,), (103,)]),
    *(Reply(interim_statuses=(status,), wait=0.003) for status in (100, 102, 103)),
    *(Reply(surplus=(("response", pause),)) for pause in (None, 0.001, 0.003, 0.005, UNTIL_NEXT_REQUEST)),
    *(
        Reply(surplus=((extra, pause),))
        for extra in ("half", "head", "garbage", "interim")
        for pause in (None, UNTIL_NEXT_REQUEST)
    ),
    Reply(surplus=(("line", None), ("response", UNTIL_NEXT_REQUEST))),
    Reply(surplus=(("half", 0.001), ("response", UNTIL_NEXT_REQUEST))),
    *(Reply(framing=framing) for framing in FRAMINGS),
    *(
        Reply(framing=framing, surplus=(("response", UNTIL_NEXT_REQUEST),))
        for framing in ("chunked", "equal lengths", "1.0 kept")
    ),
    Reply(framing="no length", end="close"),
    # A response after a rejection without a length is read as part of its body.
    *(
        Reply(status=status, framing="no length", surplus=((extra, pause),), end="close")
        for status in (400, 429)
        for extra in ("response", "head")
        for pause in (None, 0.003)
    ),
    *(Reply(status=status) for status in (201, 204, 304, 400, 429, 500, 503)),
    *(Reply(status=status, end="close") for status in (400, 429)),
    *(
        Reply(status=status, surplus=(("response", pause),))
        for status in (400, 429)
        for pause in (None, 0.003, UNTIL_NEXT_REQUEST)
    ),
    *(
        Reply(status=204, framing=framing, surplus=(("response", UNTIL_NEXT_REQUEST),))
        for framing in ("length", "empty")
    ),
    *(Reply(end=end) for end in ("close", 0.001, 0.002, 0.005, "reset")),
    *(Reply(cut=cut, end=end) for cut in ("before", "within") for end in ("close", "reset")),
    Reply(cut="before", end=0.003),
    Reply(wait=0.005),
)
PAUSES = st.sampled_from([None, 0.0, 0.001, 0.003, UNTIL_NEXT_REQUEST])
EXTRAS = st.sampled_from(["response", "half", "head", "garbage", "line", "interim", "body"])
MIXED_REPLIES = st.builds(
    Reply,
    interim_statuses=st.lists(st.sampled_from([100, 102, 103, 103, 199, 101]), max_size=3).map(tuple),
    wait=st.sampled_from([0.0, 0.0, 0.002, UNTIL_NEXT_REQUEST, STALL_SECONDS]),
    status=st.sampled_from([200, 200, 200, 200, 201, 204, 304, 400, 429, 500, 503]),
    framing=st.one_of(st.just("length"), st.sampled_from(FRAMINGS)),
    cut=st.sampled_from(["", "", "", "", "before", "within"]),
    surplus=st.lists(st.tuples(EXTRAS, PAUSES), max_size=2).map(tuple),
    end=st.sampled_from(["keep", "keep", "keep", "close", 0.001, 0.005, "reset"]),
)
REPLIES = st.lists(st.one_of(st.just(PLAIN_REPLY), st.sampled_from(SINGLE_FAULT_REPLIES), MIXED_REPLIES), max_size=8)
GREETING = st.sampled_from(
    ["", "", "", "400", "429", "408", "408, closed", "nothing", "interim", "garbage", "early", "early, and again"]
)
GREETINGS = st.one_of(st.just(()), st.lists(GREETING, max_size=3).map(tuple))
CALLS = st.builds(
    Call,
    st.sampled_from(["status", "status", "start", "start", "details"]),
    st.sampled_from(TESTS),
    st.sampled_from([0, 0, 1]),
)
SCRIPTS = st.builds(
    Script,
    st.lists(CALLS, min_size=3, max_size=10).map(tuple),
    REPLIES.map(tuple),
    GREETINGS,
    st.integers(0, 2),
)
SUPPRESSED_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SUPPRESSED_CHECKS)
@given(SCRIPTS)
def test_calls_get_only_their_own_response(script: Script) -> None:
    """Each call has its own run's id, verdict and details, or none."""
    result = run_script(script, SHORT_TIMEOUTS)
    assert result.errors == []
    assert set(result.requests.values()) <= {1}, "two requests share a connection"
    event(f"calls that came to their end: {'some' if result.known_count else 'none'}")


class JobScript(NamedTuple):
    """The tests and concurrency of a job, and the script of its server."""

    tests: tuple[str, ...]
    concurrency: int
    script: Script


JOBS = st.builds(
    JobScript,
    st.lists(st.sampled_from(TESTS), min_size=2, max_size=4, unique=True).map(tuple),
    st.integers(1, 3),
    st.builds(Script, st.just(()), REPLIES.map(tuple), GREETINGS, st.integers(0, 2)),
)


def run_scripted_job(
    job: JobScript, timeouts: Timeouts = SHORT_TIMEOUTS, wait: str = "1s"
) -> tuple[JobResult, ScriptedApi]:
    """Run a whole job that waits for its runs on the scripted server."""
    api = ScriptedApi(job.script, MAX_HOLD_SECONDS)
    extra_inputs = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": wait, "INPUT_CONCURRENCY": str(job.concurrency)}
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        FaultServer(api.respond, connection_handler=api.begin_connection) as server,
    ):
        patch.setattr(connection, "_SURPLUS_SECONDS", SURPLUS_SECONDS)
        patch.setattr("autonoma_ci.engine.details._RETRY_DELAY_SECONDS", 0.05)
        return run_job(Path(folder), server.url, job.tests, extra_environ=extra_inputs, timeouts=timeouts), api


def find_foreign_data(run: Mapping[str, Any]) -> str:
    """Return an error if the results of a run contain data of another run."""
    test = run["id"]
    own_values = {make_run_id(test), f"https://autonoma.app/run/{make_run_id(test)}", ""}
    if {run["run_id"], run["url"]} - own_values:
        return f"{test} has {run['run_id']} {run['url']}"
    if run["state"] in STATUS_BY_PREFIX.values() and run["state"] != get_final_status(test):
        return f"{test} is {run['state']}"
    if run["title"] not in {"", f"title of {test}"}:
        return f"{test} has the title {run['title']}"
    return ""


@settings(max_examples=max(6, EXAMPLES // 25), deadline=None, suppress_health_check=SUPPRESSED_CHECKS)
@given(JOBS)
def test_jobs_report_only_their_own_runs(job: JobScript) -> None:
    """A whole job mixes no runs up, sends no POST twice, and ends."""
    started_at = time.monotonic()
    result, api = run_scripted_job(job)
    assert time.monotonic() - started_at < MAX_JOB_SECONDS
    assert [error for run in result.results_json["runs"] if (error := find_foreign_data(run))] == []
    assert [run["id"] for run in result.results_json["runs"]] == list(job.tests)
    assert (result.code == 0) == all(state == "passed" for state in result.states.values())
    for test, state in result.states.items():
        assert api.processed_starts[test] <= (state != "not-started"), f"{test} was started twice, or is {state}"
    assert set(api.requests.values()) <= {1}, "two requests share a connection"
    event(f"states: {', '.join(sorted(set(result.states.values())))}")


# Preconditions of the property


def test_server_keeps_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server would respond to more requests on a connection."""
    script = Script(parse_calls("status p0", "start f0", "status p1", "details f1", "status p0"))
    assert run_script(script) == ([], 5, dict.fromkeys(range(1, 6), 1))
    share_connections(monkeypatch)
    assert run_script(script) == ([], 5, {1: 5})


def test_job_without_faults_completes() -> None:
    """Without faults a job knows the verdict of each run."""
    result, api = run_scripted_job(JobScript(TESTS, 2, Script(running_polls=3)), LONG_TIMEOUTS, "30s")
    assert result.states == {"p0": "passed", "f0": "failed", "p1": "passed", "f1": "failed"}
    assert set(api.requests.values()) == {1}


@pytest.mark.parametrize(
    "script",
    [
        Script(replies=(Reply(status=429, surplus=(("response", None),)),)),
        Script(replies=(Reply(status=429, surplus=(("response", 0.003),)),)),
        Script(greetings=("429",)),
    ],
    ids=["two responses", "two responses, one later", "a greeting"],
)
def test_property_detects_repeated_starts(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without reading the surplus, these starts would be sent again."""
    job = JobScript(("p0",), 1, script)
    result, api = run_scripted_job(job, LONG_TIMEOUTS)
    assert (result.states, api.processed_starts) == ({"p0": "unknown"}, {"p0": 1})
    ignore_surplus(monkeypatch)
    assert run_scripted_job(job, LONG_TIMEOUTS)[1].processed_starts == {"p0": 2}


START_CALLS, POLL_CALLS = (
    parse_calls("start p0", "start f0", "start p1"),
    parse_calls("status p0", "status f0", "status p1"),
)
LATE_RESPONSE = (("response", UNTIL_NEXT_REQUEST),)
# One script for each kind of fault, and the number of its calls that still receive their own result. In version 0.1, a
# call of each script received the response of another run.
FAULT_SCRIPTS = {
    "102, and the final response later": (Script(START_CALLS, (Reply((102,), UNTIL_NEXT_REQUEST),)), 3),
    "103, and the final response later": (Script(START_CALLS, (Reply((103,), UNTIL_NEXT_REQUEST),)), 3),
    "several interim responses": (Script(START_CALLS, (Reply((100, 102, 103), UNTIL_NEXT_REQUEST),)), 3),
    "103 before a status": (Script(POLL_CALLS, (Reply((103,), UNTIL_NEXT_REQUEST),)), 3),
    "101 before the response": (Script(START_CALLS, (Reply((101,), UNTIL_NEXT_REQUEST),)), 2),
    "a late second response to a start": (Script(START_CALLS, (Reply(surplus=LATE_RESPONSE),)), 3),
    "a late second response to a poll": (Script(POLL_CALLS, (Reply(surplus=LATE_RESPONSE),)), 3),
    "a late second response of a failed run": (
        Script(parse_calls("status f0", "status p0", "status p1"), (Reply(surplus=LATE_RESPONSE),)),
        3,
    ),
    "a late second response to a poll before a start": (
        Script(parse_calls("status p0", "start f0"), (Reply(surplus=LATE_RESPONSE),)),
        2,
    ),
    "late details": (Script(parse_calls("details p0", "details f0"), (Reply(surplus=LATE_RESPONSE),)), 2),
    "an early response, and another one": (
        Script(START_CALLS, (Reply(wait=UNTIL_NEXT_REQUEST),), ("early, and again",)),
        3,
    ),
    "a greeting before a start": (Script(START_CALLS, (Reply(wait=UNTIL_NEXT_REQUEST),), ("nothing",)), 2),
    "a greeting before a poll": (Script(POLL_CALLS, (Reply(wait=UNTIL_NEXT_REQUEST),), ("nothing",)), 2),
    "a surplus line, and a response later": (
        Script(START_CALLS, (Reply(surplus=(("line", None), *LATE_RESPONSE)),)),
        3,
    ),
    "half a response, and one more later": (Script(START_CALLS, (Reply(surplus=(("head", None), *LATE_RESPONSE)),)), 3),
    "two equal lengths": (Script(POLL_CALLS, (Reply(framing="equal lengths", surplus=LATE_RESPONSE),)), 3),
    "a length and chunks": (Script(POLL_CALLS, (Reply(framing="length and chunked", surplus=LATE_RESPONSE),)), 3),
    "chunks and more": (Script(POLL_CALLS, (Reply(framing="chunked", surplus=LATE_RESPONSE),)), 3),
    "204 with a body": (Script(START_CALLS, (Reply(status=204, surplus=LATE_RESPONSE),)), 2),
    "204, and the response later": (
        Script(START_CALLS, (Reply(status=204, framing="empty", surplus=LATE_RESPONSE),)),
        2,
    ),
    "204, and the status later": (Script(POLL_CALLS, (Reply(status=204, framing="empty", surplus=LATE_RESPONSE),)), 2),
    "HTTP/1.0 with keep-alive": (Script(POLL_CALLS, (Reply(framing="1.0 kept", surplus=LATE_RESPONSE),)), 3),
}


@pytest.mark.parametrize("kind", FAULT_SCRIPTS)
def test_single_fault_mixes_no_runs_up(kind: str) -> None:
    """Each kind of fault loses only the calls that it hides."""
    script, known_count = FAULT_SCRIPTS[kind]
    result = run_script(script)
    assert (result.errors, result.known_count) == ([], known_count)


def ignore_surplus(patch: pytest.MonkeyPatch) -> None:
    """Disable the check for data after a response."""
    patch.setattr(connection._FinalResponse, "_read_surplus", lambda response: None)


def share_connections(patch: pytest.MonkeyPatch) -> None:
    """Share one connection per thread and ignore surplus data, as in version 0.1."""
    ignore_surplus(patch)
    headers = Transport._build_headers
    patch.setattr(transport, "close_connection", lambda: None)
    patch.setattr(connection.TrackedHTTPConnection, "_check_owner", lambda self: None)
    patch.setattr(Transport, "_build_headers", lambda self: headers(self) | {"Connection": "keep-alive"})


def return_interim_responses(patch: pytest.MonkeyPatch) -> None:
    """Treat the first response except 100 as final, as in http.client."""
    patch.setattr(connection.TrackedHTTPConnection, "response_class", http.client.HTTPResponse)


# Interim responses have their own test. The client also detects late details by their ids, and a status as no start.
INTERIM_KINDS = [
    kind for kind, (script, _) in FAULT_SCRIPTS.items() if any(reply.interim_statuses for reply in script.replies)
]
DETECTED_BY_ID = {"late details", "a late second response to a poll before a start"}
SHARED_CONNECTION_KINDS = [kind for kind in FAULT_SCRIPTS if kind not in {*INTERIM_KINDS, *DETECTED_BY_ID}]
LOSSLESS_KINDS = [kind for kind in INTERIM_KINDS if FAULT_SCRIPTS[kind][1] == len(FAULT_SCRIPTS[kind][0].calls)]


@pytest.mark.parametrize("kind", SHARED_CONNECTION_KINDS)
def test_property_detects_shared_connections(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If requests shared connections, each of these scripts would mix runs up."""
    share_connections(monkeypatch)
    assert run_script(FAULT_SCRIPTS[kind][0], max_hold=10.0).errors


@pytest.mark.parametrize("kind", INTERIM_KINDS)
def test_property_detects_interim_responses(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interim responses mix runs up only if they are returned as final."""
    script, known_count = FAULT_SCRIPTS[kind]
    share_connections(monkeypatch)
    assert run_script(script)[:2] == ([], known_count)
    return_interim_responses(monkeypatch)
    assert run_script(script, max_hold=10.0).errors


@pytest.mark.parametrize("kind", LOSSLESS_KINDS)
def test_interim_response_loses_no_call(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an interim response were final, its own call would be lost."""
    script, known_count = FAULT_SCRIPTS[kind]
    return_interim_responses(monkeypatch)
    assert run_script(script)[:2] == ([], known_count - 1)
