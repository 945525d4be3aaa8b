"""A request that failed leaves nothing behind in memory: neither its session nor the credentials in it."""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.failures import LostError, NotSentError
from autonoma_ci.api.media import MediaError, download
from autonoma_ci.api.readiness import wait_for_url
from autonoma_ci.api.transport import Session, Transport
from autonoma_ci.ci.web import Web, WebError
from autonoma_ci.engine.clock import Clock
from autonoma_ci.exchange import Timeouts
from autonoma_ci.secret import Secret
from tests.support.fault_server import FaultServer
from tests.support.faults import answer, bad_chunk, close, half_body, hang, reset, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fault_server import Act

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
FAILURES: dict[str, Act] = {
    "closed": close,
    "reset": reset,
    "no HTTP": said("SSH-2.0-OpenSSH_9.6\r\n"),
    "cut head": said("HTTP/1.1 200 OK\r\nContent-"),
    "late": hang,
    "half a body": half_body(),
    "bad chunk": bad_chunk(),
    "bad length": said("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}"),
}
# For a server that says nothing, and for the others, which a busy machine may hold up.
BRIEF = Timeouts(connect=20.0, read=0.5, total=1.0)
PATIENT = Timeouts(connect=20.0, read=20.0, total=40.0)
# Those of other tests, whose threads may not have ended yet.
_older: list[Session] = []


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    _older.extend(sessions())
    yield
    _older.clear()
    gc.enable()


def sessions() -> list[Session]:
    """Return all sessions that are in memory, but for those that were there before the test."""
    found = [each for each in gc.get_objects() if isinstance(each, Session)]
    return [each for each in found if not any(each is older for older in _older)]


def free_address() -> str:
    """Return an address at which nothing listens."""
    with FaultServer(close) as server:
        return server.url


def test_sessions_are_found_while_they_are_there() -> None:
    session = Session()
    assert sessions() == [session]


@pytest.mark.parametrize("act", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["post", "get", "download"])
def test_nothing_is_left_of_a_lost_response(method: str, act: Act) -> None:
    with FaultServer(act) as server:
        timeouts = BRIEF if act is hang else PATIENT
        transport = Transport(server.url, SECRETS, timeouts)
        for _ in range(2):
            with suppress(LostError, MediaError):
                if method == "download":
                    download(server.url, lambda _: None, 100, timeouts.total, local=True)
                elif method == "post":
                    transport.post("/test/a/run", {})
                else:
                    transport.get("/run/a")
    assert len(server.received) == 2
    assert not sessions()


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_nothing_is_left_of_what_was_not_sent(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    url = "http://api.example.test/api" if proxy else free_address()
    transport = Transport(url, SECRETS, PATIENT)
    for _ in range(2):
        with pytest.raises(NotSentError):
            transport.post("/test/a/run", {})
        assert wait_for_url(url, 0.0, time.monotonic, time.sleep, lambda _: None)
    assert not sessions()


def test_nothing_is_left_of_a_lost_comment() -> None:
    with FaultServer(close) as server:
        web = Web(server.url, {"Authorization": "Bearer token-of-the-test"}, Clock())
        with pytest.raises(WebError):
            web.ask("POST", "/comments", {})
    assert not sessions()


def test_nothing_is_left_of_a_response() -> None:
    with FaultServer(answer(200, "{}")) as server:
        assert Transport(server.url, SECRETS).post("/test/a/run", {}).status == 200
    assert not sessions()
