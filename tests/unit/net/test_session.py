"""Tests that failed requests leave no objects in memory.

Credentials may not stay in memory, and neither may the session of a deleted transport.
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
from autonoma_ci.ci.rest.http import RestClient, RestError
from autonoma_ci.clock import Clock
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.download import DownloadError, download_file
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.net.session import SafeSession
from autonoma_ci.net.wait_for_url import wait_for_url
from autonoma_ci.redaction.redactor import Secret
from tests.support.fault_server import FaultServer
from tests.support.faults import close, hang, reset, send_bad_chunk, send_half_body, send_raw, send_response

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
# Short for a silent server, and long for the others, because a busy machine may delay them.
SHORT_TIMEOUTS = Timeouts(connect=20.0, read=0.5, total=1.0)
LONG_TIMEOUTS = Timeouts(connect=20.0, read=20.0, total=40.0)
KINDS = (SafeSession, requests.PreparedRequest, requests.Response)
# Skipped, because they refer to all loaded modules, including this one.
SKIPPED_TYPES = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, FrameType)
# Objects of other tests, whose threads may still run.
_existing_objects: list[object] = []


@pytest.fixture(autouse=True)
def _disable_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    _existing_objects.extend(find_objects())
    yield
    _existing_objects.clear()
    gc.enable()


def find_objects() -> list[object]:
    """Return the sessions, requests and responses that were created since the start of the test."""
    objects = [item for item in gc.get_objects() if isinstance(item, KINDS)]
    return [item for item in objects if not any(item is existing for existing in _existing_objects)]


def are_objects_released(transports: list[Transport]) -> bool:
    """Return whether memory has only sessions without credentials, and none after the transports are deleted.

    The list is cleared, which deletes the transports.
    """
    are_empty = all(isinstance(item, SafeSession) and not has_credentials(item) for item in find_objects())
    transports.clear()
    return are_empty and not find_objects()


def has_credentials(session: SafeSession) -> bool:
    """Return whether the session or the connection of this thread refers to a text with a credential."""
    visited: dict[int, object] = {}
    pending: list[object] = [session, connection_state.connection]
    while pending:
        item = pending.pop()
        if id(item) not in visited and not isinstance(item, SKIPPED_TYPES):
            visited[id(item)] = item
            pending += gc.get_referents(item)
    texts = [repr(item) for item in visited.values() if isinstance(item, (str, bytes, bytearray))]
    return any(secret.reveal() in text for secret in SECRETS for text in texts)


def get_unused_url() -> str:
    """Return the URL of a port at which no server listens."""
    with FaultServer(close) as server:
        return server.url


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_existing_objects_are_found(kind: type[object]) -> None:
    """The search finds sessions, requests and responses."""
    instance = kind()
    assert find_objects() == [instance]
    assert not are_objects_released([])


@pytest.mark.parametrize("value", [SECRETS[0].reveal(), [{"a": b"x " + SECRETS[1].reveal().encode()}]])
def test_session_credentials_are_found(value: object) -> None:
    """The search finds credentials at any depth of a session."""
    session = SafeSession()
    assert not has_credentials(session)
    vars(session)["kept"] = value
    assert has_credentials(session)


@pytest.mark.slow
@pytest.mark.parametrize("handler", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["post", "get", "download"])
def test_lost_response_is_released(method: str, handler: RequestHandler) -> None:
    """A lost response leaves no objects in memory."""
    with FaultServer(handler) as server:
        timeouts = SHORT_TIMEOUTS if handler is hang else LONG_TIMEOUTS
        transports = [Transport(server.url, SECRETS, timeouts)]
        for _ in range(2):
            with suppress(ResponseLostError, DownloadError):
                if method == "download":
                    download_file(server.url, lambda _: None, 100, timeouts.total, allow_http_loopback=True)
                elif method == "post":
                    transports[0].post("/test/a/run", {})
                else:
                    transports[0].get("/run/a")
    assert len(server.received_requests) == 2
    assert are_objects_released(transports)


@pytest.mark.slow
@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_unsent_request_is_released(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that was not sent leaves no objects in memory."""
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    url = "http://api.example.test/api" if proxy else get_unused_url()
    transports = [Transport(url, SECRETS, LONG_TIMEOUTS)]
    for _ in range(2):
        with pytest.raises(RequestNotSentError):
            transports[0].post("/test/a/run", {})
        assert wait_for_url(url, 0.0, time.monotonic, time.sleep, lambda _: None)
    assert are_objects_released(transports)


def test_lost_comment_is_released() -> None:
    """A comment without a response leaves no objects in memory."""
    with FaultServer(close) as server:
        client = RestClient(server.url, {"Authorization": "Bearer token-of-the-test"}, Clock())
        with pytest.raises(RestError):
            client.request("POST", "/comments", {})
    assert not find_objects()


def test_complete_response_is_released() -> None:
    """A complete response leaves only its session in memory."""
    with FaultServer(send_response(200, "{}")) as server:
        transports = [Transport(server.url, SECRETS)]
        for _ in range(2):
            assert transports[0].post("/test/a/run", {}).status == 200
        assert len(find_objects()) == 1
    assert are_objects_released(transports)
