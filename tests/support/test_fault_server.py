"""The fault server reports bugs of tests and ignores disconnects."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_server import FaultServer
from tests.support.faults import after_data, send_raw

if TYPE_CHECKING:
    from tests.support.fault_server import Wire

LEFT = [ConnectionResetError(), BrokenPipeError(), TimeoutError(), ssl.SSLEOFError(), OSError(errno.ENOTCONN, "")]
BUGS = [AssertionError(), ValueError(), FileNotFoundError(errno.ENOENT, ""), OSError(errno.ENOSPC, "")]


def uncaught_exceptions(error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """Return the exceptions that reach the top of a thread if a greeting raises this one."""
    seen: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type))

    def greet(wire: Wire) -> bool:
        raise error

    with FaultServer(lambda wire: False, connection_handler=greet) as server, connect(server) as sock:
        assert sock.recv(1) == b""
    return seen


def connect(server: FaultServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


@pytest.mark.parametrize("error", LEFT, ids=repr)
def test_disconnect_is_ignored(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error because the client left does not reach the top of the thread."""
    assert uncaught_exceptions(error, monkeypatch) == []


@pytest.mark.parametrize("error", BUGS, ids=repr)
def test_bug_of_test_is_reported(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other error reaches the top of the thread."""
    assert uncaught_exceptions(error, monkeypatch) == [type(error)]


def test_wait_for_data_leaves_it_unread() -> None:
    """The act can read the data itself."""
    left: list[bytes] = []

    def note(wire: Wire) -> bool:
        left.append(wire.receive())
        return send_raw("x")(wire)

    with FaultServer(lambda wire: False, connection_handler=after_data(note)) as server, connect(server) as sock:
        assert left == []
        sock.sendall(b"sent")
        assert sock.recv(1) == b"x"
    assert left == [b"sent"]
