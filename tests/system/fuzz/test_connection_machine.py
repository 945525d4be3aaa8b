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
from tests.support.run_step import run_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.fault_server import Wire
    from tests.support.run_step import JobResult

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
# In seconds. A stall is longer than a read may take in the property, where most examples have none.
BRISK = Timeouts(connect=1.0, read=0.2, total=0.4)
STALL = 0.25
# For scripts without a stall: no result depends on the speed of the machine.
PATIENT = Timeouts(connect=20.0, read=20.0, total=30.0)
# One call is at most three requests, each of which ends in `total`. What has no limit of time never ends.
LONGEST_CALL = 120.0
LONGEST_JOB = 120.0
# In seconds, longer than any request: the end of a connection is waited for until the request's own time is over. So
# no result depends on how soon the server acts on a start that it had refused before.
UNTIL_LATE = 30.0

# A pause until the client has sent its next request on the same connection, or has closed it.
NEXT = -1.0
# The longest pause of this kind in seconds, before a final response and behind one.
HOLD = 0.05
LINGER = 10.0

TESTS = ("p0", "f0", "p1", "f1")
WORDS = {"p": "passed", "f": "failed"}


def verdict(test: str) -> str:
    return WORDS[test[0]]


def run_of(test: str) -> str:
    return f"run-of-{test}"


class Reply(NamedTuple):
    """How the server responds to one request: plainly by default.

    Attributes:
        interim: The statuses of the responses before the final one.
        wait: Seconds before the final response, or NEXT.
        status: The status of the final response.
        framing: How the response states the length of its body.
        cut: Where the connection ends too early, if it does: `before` or `within` the response.
        surplus: What comes behind the response. Each has its pause before it in seconds. None means: at once, in the
            same segment.
        end: What becomes of the connection: `keep`, `close` or `reset`, or seconds before a close.
    """

    interim: tuple[int, ...] = ()
    wait: float = 0.0
    status: int = 200
    framing: str = "length"
    cut: str = ""
    surplus: tuple[tuple[str, float | None], ...] = ()
    end: str | float = "keep"


PLAIN = Reply()


def refuses(reply: Reply) -> bool:
    """Say whether a reply to a start refuses it, with nothing else that could belong to the start."""
    alone = all(what == "line" for what, _ in reply.surplus)
    return reply.status in {400, 429} and reply.cut != "before" and alone


class Call(NamedTuple):
    """One call of the client for a test, from one of two threads."""

    what: str
    test: str
    thread: int = 0


class Script(NamedTuple):
    """The calls, and what the server does with each request and connection.

    Requests and connections beyond the script are plain ones.
    """

    calls: tuple[Call, ...] = ()
    replies: tuple[Reply, ...] = ()
    greetings: tuple[str, ...] = ()
    # How many polls of each run say `running`.
    lag: int = 0


class Request(NamedTuple):
    """What a request is about."""

    what: str
    test: str

    @classmethod
    def of(cls, path: str) -> Request:
        """Return what the request with this path is about."""
        parts = path.partition("?")[0].removeprefix("/api/").split("/")
        if parts[0] == "test":
            return cls("start", parts[1])
        return cls("status" if parts[-1] == "status" else "details", parts[1].removeprefix("run-of-"))


def body(request: Request, *, running: bool) -> bytes:
    """Return the body that names the run of this request and no other."""
    test, run = request.test, run_of(request.test)
    fields: dict[str, object]
    if request.what == "start":
        fields = {"message": f"started {test}", "run_id": run, "url": f"https://autonoma.app/run/{run}"}
    elif request.what == "status":
        # It names no run: a client that read the status of another run would not notice.
        fields = {"status": "running" if running else verdict(test)}
    else:
        step = {"instruction": f"step of {test}", "output": f"seen by {test}", "status": verdict(test)}
        fields = {"id": run, "test_id": test, "name": f"title of {test}", "status": verdict(test), "steps": [step]}
    return json.dumps(fields).encode()


def framed(status: int, content: bytes, framing: str = "length") -> bytes:
    """Return a response in which the length of the body is told in this way."""
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


def interim(status: int) -> bytes:
    """Return an interim response. Those of 103 have headers, as real ones do."""
    headers = "Link: </style.css>; rel=preload\r\nContent-Length: 7\r\n" if status == 103 else ""
    return f"HTTP/1.1 {status} Interim\r\n{headers}\r\n".encode()


class Api:
    """The server's side of a script.

    Attributes:
        posts: How many starts of each test were read or responded to.
        acted: How many of them the server acted on.
        requests: How many requests were read on each connection.
    """

    def __init__(self, script: Script, hold: float) -> None:
        self._lock = threading.Lock()
        self._replies, self._greetings = list(script.replies), list(script.greetings)
        self._lag, self._hold = script.lag, hold
        self._connections = 0
        self._refused_early: set[int] = set()
        self._polls: Counter[str] = Counter()
        self.posts: Counter[str] = Counter()
        self.acted: Counter[str] = Counter()
        self.requests: Counter[int] = Counter()

    def act(self, wire: Wire) -> bool:
        """Respond to a request that was read."""
        request = Request.of(wire.request.path)
        with self._lock:
            reply = self._replies.pop(0) if self._replies else PLAIN
            if wire.request.connection in self._refused_early:
                # Without a whole response of its own, this start can't be told from one that was refused.
                reply = reply._replace(cut="", end="keep")
            content = self._body(request)
            self.requests[wire.request.connection] += 1
            self.posts[request.test] += request.what == "start"
            self.acted[request.test] += request.what == "start" and not refuses(reply)
        # In one segment: the client must have them all before it can send another request.
        wire.send(b"".join(map(interim, reply.interim)))
        self._pause(wire, reply.wait, self._hold)
        if reply.status >= 400:
            content = b'{"error": "not now"}'
        data = framed(reply.status, content, reply.framing)
        if reply.cut:
            wire.send(data[: len(data) - len(content) // 2 if reply.cut == "within" else 0])
            return self._end(wire, reply)
        return self._send(wire, reply, data, request)

    def _send(self, wire: Wire, reply: Reply, data: bytes, request: Request) -> bool:
        second = framed(200, body(request, running=False))
        extras = {
            "response": second,
            "half": second[:-9],
            "head": second.partition(b"\r\n\r\n")[0],
            "garbage": b"\x00garbage",
            "line": b"\r\n",
            "interim": interim(103),
            "body": body(request, running=False),
        }
        for what, pause in reply.surplus:
            if pause is not None:
                wire.send(data)
                data = b""
                self._pause(wire, pause, LINGER)
            data += extras[what]
        wire.send(data)
        return self._end(wire, reply)

    def greet(self, wire: Wire) -> bool:
        """Begin a connection, and return whether to read requests on it."""
        with self._lock:
            greeting = self._greetings.pop(0) if self._greetings else ""
            self._connections += 1
            if greeting in {"400", "429"}:
                self._refused_early.add(self._connections)
        if greeting.startswith("early"):
            return self._respond_early(wire, goes_on=greeting == "early, and again")
        late = framed(408, b'{"error": "too slow"}')
        wire.send(
            {
                "": b"",
                "408": late,
                "408, closed": late,
                "400": framed(400, b'{"error": "not this"}'),
                "429": framed(429, b'{"error": "not now"}'),
                "nothing": framed(200, b"{}"),
                "interim": interim(100) + interim(103),
                "garbage": b"garbage\r\n",
            }[greeting]
        )
        return greeting != "408, closed"

    def _respond_early(self, wire: Wire, *, goes_on: bool) -> bool:
        """Respond to a request that was not read, by what its first line says."""
        line = b""
        with suppress(OSError):
            while b"\r\n" not in line:
                line = wire.socket.recv(65536, socket.MSG_PEEK)
                if not line:
                    return False
            request = Request.of(line.split(b" ")[1].decode())
            with self._lock:
                # A start that was responded to counts, whether it is read later or not.
                self.posts[request.test] += request.what == "start" and not goes_on
                self.acted[request.test] += request.what == "start" and not goes_on
                content = self._body(request)
            wire.send(framed(200, content))
        return goes_on

    def _body(self, request: Request) -> bytes:
        self._polls[request.test] += request.what == "status"
        return body(request, running=self._polls[request.test] <= self._lag)

    @staticmethod
    def _pause(wire: Wire, seconds: float, longest: float) -> None:
        if seconds == NEXT:
            # Readable as well once the client has closed it.
            with suppress(OSError, ValueError):
                select.select([wire.socket], [], [], longest)
        elif seconds:
            wire.pause(seconds)

    @staticmethod
    def _end(wire: Wire, reply: Reply) -> bool:
        if reply.end == "reset":
            wire.reset()
        elif isinstance(reply.end, float):
            wire.pause(reply.end)
        return reply.end == "keep" and not reply.cut


class Seen(NamedTuple):
    """What came of a script.

    Attributes:
        wrong: What contradicts the property.
        known: How many calls came to the end of their own run.
        requests: How many requests were read on each connection.
    """

    wrong: list[str]
    known: int
    requests: Mapping[int, int]


def judge(call: Call, found: object) -> tuple[str, bool]:
    """Return what is wrong with a result, and whether it ends its own run."""
    wrong, known = "", False
    if isinstance(found, StartResult):
        named = {found.run_id, found.url.rpartition("/")[2]} - {""}
        wrong = f"{call} has {found.run_id} {found.url}" if named - {run_of(call.test)} else ""
        known = found.status is StartStatus.STARTED
    elif isinstance(found, PollResult):
        result = found.status in {PollStatus.PASSED, PollStatus.FAILED, PollStatus.STOPPED}
        wrong = f"{call} is {found.status}" if result and found.status != verdict(call.test) else ""
        known = result
    elif isinstance(found, RunDetails):
        texts: set[str] = {found.title, found.step.output if found.step else "", *(step.output for step in found.steps)}
        texts.add(found.status or "")
        strange = texts - {"", f"title of {call.test}", f"seen by {call.test}", verdict(call.test)}
        wrong = f"{call} has details {strange}" if strange else ""
        known = bool(found.title)
    return wrong, known


def exchange(script: Script, timeouts: Timeouts = PATIENT, hold: float = HOLD) -> Seen:
    """Make the calls of a script in turn and judge their results."""
    api, wrong, known = Api(script, hold), [], 0
    with (
        FaultServer(api.act, connection_handler=api.greet) as server,
        ThreadPoolExecutor(1) as first,
        ThreadPoolExecutor(1) as second,
    ):
        client = AutonomaClient(Transport(server.url, SECRETS, timeouts=timeouts), "cli", SECRETS)
        for call in script.calls:
            request = RunRequest(TargetKind.TEST, call.test)
            make = {
                "start": lambda request=request: client.start(request),
                "status": lambda request=request: client.status(request, run_of(request.id)),
                "details": lambda request=request: client.details(request, run_of(request.id)),
            }[call.what]
            found = (first, second)[call.thread].submit(make).result(timeout=LONGEST_CALL)
            error, came = judge(call, found)
            wrong += [error] if error else []
            known += came
    started = Counter(call.test for call in script.calls if call.what == "start")
    wrong += [f"{api.posts[test]} POSTs of {test}" for test in TESTS if api.posts[test] > started[test]]
    return Seen(wrong, known, api.requests)


def calls(*texts: str) -> tuple[Call, ...]:
    """Return calls from texts such as `start p0`."""
    return tuple(Call(what, test) for what, _, test in (text.rpartition(" ") for text in texts))


# The property

FRAMINGS = (
    *("length", "chunked", "equal lengths", "a shorter length", "a longer length", "length and chunked"),
    *("chunked and length", "1.0", "1.0 kept", "close", "empty"),
)
SINGLE = (
    *(Reply(interim=statuses) for statuses in [(100,), (102,), (103,), (100, 102, 103), (103, 103), (101,)]),
    *(Reply(interim=statuses, wait=NEXT) for statuses in [(102,), (103,)]),
    *(Reply(interim=(status,), wait=0.003) for status in (100, 102, 103)),
    *(Reply(surplus=(("response", pause),)) for pause in (None, 0.001, 0.003, 0.005, NEXT)),
    *(Reply(surplus=((what, pause),)) for what in ("half", "head", "garbage", "interim") for pause in (None, NEXT)),
    Reply(surplus=(("line", None), ("response", NEXT))),
    Reply(surplus=(("half", 0.001), ("response", NEXT))),
    *(Reply(framing=framing) for framing in FRAMINGS),
    *(Reply(framing=framing, surplus=(("response", NEXT),)) for framing in ("chunked", "equal lengths", "1.0 kept")),
    Reply(framing="no length", end="close"),
    # The response behind a refusal without a length is read as a part of its body.
    *(
        Reply(status=status, framing="no length", surplus=((what, pause),), end="close")
        for status in (400, 429)
        for what in ("response", "head")
        for pause in (None, 0.003)
    ),
    *(Reply(status=status) for status in (201, 204, 304, 400, 429, 500, 503)),
    *(Reply(status=status, end="close") for status in (400, 429)),
    *(Reply(status=status, surplus=(("response", pause),)) for status in (400, 429) for pause in (None, 0.003, NEXT)),
    *(Reply(status=204, framing=framing, surplus=(("response", NEXT),)) for framing in ("length", "empty")),
    *(Reply(end=end) for end in ("close", 0.001, 0.002, 0.005, "reset")),
    *(Reply(cut=cut, end=end) for cut in ("before", "within") for end in ("close", "reset")),
    Reply(cut="before", end=0.003),
    Reply(wait=0.005),
)
PAUSES = st.sampled_from([None, 0.0, 0.001, 0.003, NEXT])
EXTRAS = st.sampled_from(["response", "half", "head", "garbage", "line", "interim", "body"])
MIXED = st.builds(
    Reply,
    interim=st.lists(st.sampled_from([100, 102, 103, 103, 199, 101]), max_size=3).map(tuple),
    wait=st.sampled_from([0.0, 0.0, 0.002, NEXT, STALL]),
    status=st.sampled_from([200, 200, 200, 200, 201, 204, 304, 400, 429, 500, 503]),
    framing=st.one_of(st.just("length"), st.sampled_from(FRAMINGS)),
    cut=st.sampled_from(["", "", "", "", "before", "within"]),
    surplus=st.lists(st.tuples(EXTRAS, PAUSES), max_size=2).map(tuple),
    end=st.sampled_from(["keep", "keep", "keep", "close", 0.001, 0.005, "reset"]),
)
REPLIES = st.lists(st.one_of(st.just(PLAIN), st.sampled_from(SINGLE), MIXED), max_size=8)
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
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SLOW)
@given(SCRIPTS)
def test_calls_get_only_their_own_response(script: Script) -> None:
    """Each call has its own run's id, verdict and details, or none."""
    seen = exchange(script, BRISK)
    assert seen.wrong == []
    assert set(seen.requests.values()) <= {1}, "two requests share a connection"
    event(f"calls that came to their end: {'some' if seen.known else 'none'}")


class JobScript(NamedTuple):
    """The tests and concurrency of a job, and what the server does."""

    tests: tuple[str, ...]
    concurrency: int
    script: Script


JOBS = st.builds(
    JobScript,
    st.lists(st.sampled_from(TESTS), min_size=2, max_size=4, unique=True).map(tuple),
    st.integers(1, 3),
    st.builds(Script, st.just(()), REPLIES.map(tuple), GREETINGS, st.integers(0, 2)),
)


def played(job: JobScript, timeouts: Timeouts = BRISK, wait: str = "1s") -> tuple[JobResult, Api]:
    """Run a whole job that waits, against the server of the script."""
    api = Api(job.script, HOLD)
    more = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": wait, "INPUT_CONCURRENCY": str(job.concurrency)}
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        FaultServer(api.act, connection_handler=api.greet) as server,
    ):
        patch.setattr(connection, "_SURPLUS_SECONDS", UNTIL_LATE)
        patch.setattr("autonoma_ci.engine.details._RETRY_DELAY_SECONDS", 0.05)
        return run_job(Path(folder), server.url, job.tests, more=more, timeouts=timeouts), api


def wrong_with(run: Mapping[str, Any]) -> str:
    """Return what the record says of a run that is not its own."""
    test = run["id"]
    own = {run_of(test), f"https://autonoma.app/run/{run_of(test)}", ""}
    if {run["run_id"], run["url"]} - own:
        return f"{test} has {run['run_id']} {run['url']}"
    if run["state"] in WORDS.values() and run["state"] != verdict(test):
        return f"{test} is {run['state']}"
    if run["title"] not in {"", f"title of {test}"}:
        return f"{test} has the title {run['title']}"
    return ""


@settings(max_examples=max(6, EXAMPLES // 25), deadline=None, suppress_health_check=SLOW)
@given(JOBS)
def test_jobs_report_only_their_own_runs(job: JobScript) -> None:
    """A whole job mixes no runs up, sends no POST twice, and ends."""
    began = time.monotonic()
    result, api = played(job)
    assert time.monotonic() - began < LONGEST_JOB
    assert [error for run in result.record["runs"] if (error := wrong_with(run))] == []
    assert [run["id"] for run in result.record["runs"]] == list(job.tests)
    assert (result.code == 0) == all(state == "passed" for state in result.states.values())
    for test, state in result.states.items():
        assert api.acted[test] <= (state != "not-started"), f"{test} was started twice, or is {state}"
    assert set(api.requests.values()) <= {1}, "two requests share a connection"
    event(f"states: {', '.join(sorted(set(result.states.values())))}")


# What the property rests on


def test_server_keeps_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server would respond to more requests on a connection."""
    script = Script(calls("status p0", "start f0", "status p1", "details f1", "status p0"))
    assert exchange(script) == ([], 5, dict.fromkeys(range(1, 6), 1))
    share_connections(monkeypatch)
    assert exchange(script) == ([], 5, {1: 5})


def test_job_without_faults_completes() -> None:
    """Without faults a job knows the verdict of each run."""
    result, api = played(JobScript(TESTS, 2, Script(lag=3)), PATIENT, "30s")
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
    result, api = played(job, PATIENT)
    assert (result.states, api.acted) == ({"p0": "unknown"}, {"p0": 1})
    ignore_surplus(monkeypatch)
    assert played(job, PATIENT)[1].acted == {"p0": 2}


STARTS, POLLS = calls("start p0", "start f0", "start p1"), calls("status p0", "status f0", "status p1")
LATE = (("response", NEXT),)
# One script for each kind of fault, and how many of its calls come to their own end all the same. On version 0.1, a
# call of each of them got the answer of another run.
KINDS = {
    "102, and the final response later": (Script(STARTS, (Reply((102,), NEXT),)), 3),
    "103, and the final response later": (Script(STARTS, (Reply((103,), NEXT),)), 3),
    "several interim responses": (Script(STARTS, (Reply((100, 102, 103), NEXT),)), 3),
    "103 before a status": (Script(POLLS, (Reply((103,), NEXT),)), 3),
    "101 before the response": (Script(STARTS, (Reply((101,), NEXT),)), 2),
    "a late second response to a start": (Script(STARTS, (Reply(surplus=LATE),)), 3),
    "a late second response to a poll": (Script(POLLS, (Reply(surplus=LATE),)), 3),
    "a late second response of a failed run": (
        Script(calls("status f0", "status p0", "status p1"), (Reply(surplus=LATE),)),
        3,
    ),
    "a late second response to a poll before a start": (
        Script(calls("status p0", "start f0"), (Reply(surplus=LATE),)),
        2,
    ),
    "late details": (Script(calls("details p0", "details f0"), (Reply(surplus=LATE),)), 2),
    "an early response, and another one": (Script(STARTS, (Reply(wait=NEXT),), ("early, and again",)), 3),
    "a greeting before a start": (Script(STARTS, (Reply(wait=NEXT),), ("nothing",)), 2),
    "a greeting before a poll": (Script(POLLS, (Reply(wait=NEXT),), ("nothing",)), 2),
    "a surplus line, and a response later": (Script(STARTS, (Reply(surplus=(("line", None), *LATE)),)), 3),
    "half a response, and one more later": (Script(STARTS, (Reply(surplus=(("head", None), *LATE)),)), 3),
    "two equal lengths": (Script(POLLS, (Reply(framing="equal lengths", surplus=LATE),)), 3),
    "a length and chunks": (Script(POLLS, (Reply(framing="length and chunked", surplus=LATE),)), 3),
    "chunks and more": (Script(POLLS, (Reply(framing="chunked", surplus=LATE),)), 3),
    "204 with a body": (Script(STARTS, (Reply(status=204, surplus=LATE),)), 2),
    "204, and the response later": (Script(STARTS, (Reply(status=204, framing="empty", surplus=LATE),)), 2),
    "204, and the status later": (Script(POLLS, (Reply(status=204, framing="empty", surplus=LATE),)), 2),
    "HTTP/1.0 with keep-alive": (Script(POLLS, (Reply(framing="1.0 kept", surplus=LATE),)), 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_single_fault_mixes_no_runs_up(kind: str) -> None:
    """Each kind of fault loses only the calls that it hides."""
    script, known = KINDS[kind]
    seen = exchange(script)
    assert (seen.wrong, seen.known) == ([], known)


def ignore_surplus(patch: pytest.MonkeyPatch) -> None:
    """Let nobody look at what is behind a response."""
    patch.setattr(connection._FinalResponse, "_read_surplus", lambda response: None)


def share_connections(patch: pytest.MonkeyPatch) -> None:
    """Let the requests of a thread share a connection and not look behind a response, as in version 0.1."""
    ignore_surplus(patch)
    headers = Transport._build_headers
    patch.setattr(transport, "close_connection", lambda: None)
    patch.setattr(connection.TrackedHTTPConnection, "_check_owner", lambda self: None)
    patch.setattr(Transport, "_build_headers", lambda self: headers(self) | {"Connection": "keep-alive"})


def return_interim_responses(patch: pytest.MonkeyPatch) -> None:
    """Let the first response but for 100 be final, as in http.client."""
    patch.setattr(connection.TrackedHTTPConnection, "response_class", http.client.HTTPResponse)


# Interim responses have a rule of their own. Late details are told by the ids in them, too, and a status starts no run.
INTERIM = [kind for kind, (script, _) in KINDS.items() if any(reply.interim for reply in script.replies)]
TOLD_APART = {"late details", "a late second response to a poll before a start"}
SHARED = [kind for kind in KINDS if kind not in {*INTERIM, *TOLD_APART}]
WITHOUT_LOSS = [kind for kind in INTERIM if KINDS[kind][1] == len(KINDS[kind][0].calls)]


@pytest.mark.parametrize("kind", SHARED)
def test_property_detects_shared_connections(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If requests shared connections, each of these scripts would mix runs up."""
    share_connections(monkeypatch)
    assert exchange(KINDS[kind][0], hold=10.0).wrong


@pytest.mark.parametrize("kind", INTERIM)
def test_property_detects_interim_responses(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interim responses mix runs up only if they are returned as final."""
    script, known = KINDS[kind]
    share_connections(monkeypatch)
    assert exchange(script)[:2] == ([], known)
    return_interim_responses(monkeypatch)
    assert exchange(script, hold=10.0).wrong


@pytest.mark.parametrize("kind", WITHOUT_LOSS)
def test_interim_response_loses_no_call(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an interim response were final, its own call would be lost."""
    script, known = KINDS[kind]
    return_interim_responses(monkeypatch)
    assert exchange(script)[:2] == ([], known - 1)
