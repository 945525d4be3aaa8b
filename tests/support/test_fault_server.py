"""The fault server reports bugs of tests and ignores disconnects."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_server import FaultServer
from tests.support.faults import delay_until_data, send_raw

if TYPE_CHECKING:
    from tests.support.fault_server import Connection

DISCONNECT_ERRORS = [
    ConnectionResetError(),
    BrokenPipeError(),
    TimeoutError(),
    ssl.SSLEOFError(),
    OSError(errno.ENOTCONN, ""),
]
OTHER_ERRORS = [AssertionError(), ValueError(), FileNotFoundError(errno.ENOENT, ""), OSError(errno.ENOSPC, "")]


def collect_uncaught_exceptions(error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """Return the exceptions that reach the top of a thread if a connection handler raises this one."""
    error_types: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: error_types.append(args.exc_type))

    def raise_error(connection: Connection) -> bool:
        raise error

    with FaultServer(lambda connection: False, connection_handler=raise_error) as server, connect(server) as sock:
        assert sock.recv(1) == b""
    return error_types


def connect(server: FaultServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


@pytest.mark.parametrize("error", DISCONNECT_ERRORS, ids=repr)
def test_disconnect_is_ignored(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error because the client left does not reach the top of the thread."""
    assert collect_uncaught_exceptions(error, monkeypatch) == []


@pytest.mark.parametrize("error", OTHER_ERRORS, ids=repr)
def test_bug_of_test_is_reported(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other error reaches the top of the thread."""
    assert collect_uncaught_exceptions(error, monkeypatch) == [type(error)]


def test_wait_for_data_leaves_it_unread() -> None:
    """The handler can read the data itself."""
    received_data: list[bytes] = []

    def record_data(connection: Connection) -> bool:
        received_data.append(connection.receive())
        return send_raw("x")(connection)

    with (
        FaultServer(lambda connection: False, connection_handler=delay_until_data(record_data)) as server,
        connect(server) as sock,
    ):
        assert received_data == []
        sock.sendall(b"sent")
        assert sock.recv(1) == b"x"
    assert received_data == [b"sent"]
