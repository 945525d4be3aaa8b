"""Test that failed requests leave no objects in memory.

Neither credentials nor, once the transport ends, its session may stay.
"""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING

import pytest
import requests

from autonoma_ci.api.models import Timeouts
from autonoma_ci.api.transport import Transport
from autonoma_ci.ci.comments.http import RestClient, RestError
from autonoma_ci.clock import Clock
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.download import DownloadError, download
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.net.session import SafeSession
from autonoma_ci.net.wait_for_url import wait_for_url
from autonoma_ci.redaction.redactor import Secret
from tests.support.fault_server import FaultServer
from tests.support.faults import answer, close, hang, reset, send_bad_chunk, send_half_body, send_raw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fault_server import RequestHandler

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
FAILURES: dict[str, RequestHandler] = {
    "closed": close,
    "reset": reset,
    "no HTTP": send_raw("SSH-2.0-OpenSSH_9.6\r\n"),
    "cut head": send_raw("HTTP/1.1 200 OK\r\nContent-"),
    "late": hang,
    "half a body": send_half_body(),
    "bad chunk": send_bad_chunk(),
    "bad length": send_raw("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}"),
}
# For a server that says nothing, and for the others, which a busy machine may hold up.
BRIEF = Timeouts(connect=20.0, read=0.5, total=1.0)
PATIENT = Timeouts(connect=20.0, read=20.0, total=40.0)
KINDS = (SafeSession, requests.PreparedRequest, requests.Response)
# From these, all that is loaded can be reached, this file included.
OUTSIDE = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, FrameType)
# Those of other tests, whose threads may not have ended yet.
_older: list[object] = []


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    _older.extend(found())
    yield
    _older.clear()
    gc.enable()


def found() -> list[object]:
    """Return all sessions, requests and responses in memory, but for those that were there before the test."""
    objects = [each for each in gc.get_objects() if isinstance(each, KINDS)]
    return [each for each in objects if not any(each is older for older in _older)]


def nothing_is_left(transports: list[Transport]) -> bool:
    """Return whether only sessions without credentials are in memory, and none once their transports are gone.

    The list is emptied, so that the transports end.
    """
    are_empty = all(isinstance(each, SafeSession) and not holds_credentials(each) for each in found())
    transports.clear()
    return are_empty and not found()


def holds_credentials(session: SafeSession) -> bool:
    """Return whether a text with a credential can be reached from the session, or from this thread's connection."""
    seen: dict[int, object] = {}
    waiting: list[object] = [session, connection_state.connection]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, OUTSIDE):
            seen[id(each)] = each
            waiting += gc.get_referents(each)
    texts = [repr(each) for each in seen.values() if isinstance(each, (str, bytes, bytearray))]
    return any(secret.reveal() in text for secret in SECRETS for text in texts)


def free_address() -> str:
    """Return an address at which nothing listens."""
    with FaultServer(close) as server:
        return server.url


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_existing_objects_are_found(kind: type[object]) -> None:
    """The search finds sessions, requests and responses."""
    made = kind()
    assert found() == [made]
    assert not nothing_is_left([])


@pytest.mark.parametrize("stored", [SECRETS[0].reveal(), [{"a": b"x " + SECRETS[1].reveal().encode()}]])
def test_session_credentials_are_found(stored: object) -> None:
    """The search finds credentials at any depth of a session."""
    session = SafeSession()
    assert not holds_credentials(session)
    vars(session)["kept"] = stored
    assert holds_credentials(session)


@pytest.mark.slow
@pytest.mark.parametrize("handler", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["post", "get", "download"])
def test_lost_response_is_released(method: str, handler: RequestHandler) -> None:
    """A lost response leaves no objects in memory."""
    with FaultServer(handler) as server:
        timeouts = BRIEF if handler is hang else PATIENT
        transports = [Transport(server.url, SECRETS, timeouts)]
        for _ in range(2):
            with suppress(ResponseLostError, DownloadError):
                if method == "download":
                    download(server.url, lambda _: None, 100, timeouts.total, allow_http_loopback=True)
                elif method == "post":
                    transports[0].post("/test/a/run", {})
                else:
                    transports[0].get("/run/a")
    assert len(server.received) == 2
    assert nothing_is_left(transports)


@pytest.mark.slow
@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_unsent_request_is_released(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that was not sent leaves no objects in memory."""
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    url = "http://api.example.test/api" if proxy else free_address()
    transports = [Transport(url, SECRETS, PATIENT)]
    for _ in range(2):
        with pytest.raises(RequestNotSentError):
            transports[0].post("/test/a/run", {})
        assert wait_for_url(url, 0.0, time.monotonic, time.sleep, lambda _: None)
    assert nothing_is_left(transports)


def test_lost_comment_is_released() -> None:
    """A comment without a response leaves no objects in memory."""
    with FaultServer(close) as server:
        web = RestClient(server.url, {"Authorization": "Bearer token-of-the-test"}, Clock())
        with pytest.raises(RestError):
            web.request("POST", "/comments", {})
    assert not found()


def test_complete_response_is_released() -> None:
    """A complete response leaves only its session in memory."""
    with FaultServer(answer(200, "{}")) as server:
        transports = [Transport(server.url, SECRETS)]
        for _ in range(2):
            assert transports[0].post("/test/a/run", {}).status == 200
        assert len(found()) == 1
    assert nothing_is_left(transports)
