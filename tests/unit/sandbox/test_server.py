"""Tests of the sandbox's start, log and stop."""

from __future__ import annotations

import math
import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests

from autonoma_ci.sandbox import Sandbox
from tests.support.sandbox_client import CREDENTIALS, SandboxClient, SettableClock
from tests.unit.sandbox.test_http_server import connect

# Arguments


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.0.2.1", "example.com", "::", "localhost"])
def test_non_loopback_host_is_rejected(host: str) -> None:
    """The sandbox accepts only loopback addresses of IPv4."""
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(host=host)


@pytest.mark.parametrize("host", ["126.255.255.255", "128.0.0.1", "::1", "127.0.0.1 ", "127.1", "a\x1b[31m"])
def test_similar_host_is_rejected(host: str) -> None:
    """A host beside the loopback range is shown in the error as an escaped text."""
    with pytest.raises(ValueError, match="must be a loopback address") as error_info:
        Sandbox(host=host)
    assert str(error_info.value).endswith(f", not {host!r}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.255.255.254"])
def test_loopback_address_is_used(host: str) -> None:
    """The sandbox listens on the given loopback address."""
    with Sandbox(host=host) as sandbox:
        assert urlsplit(sandbox.url).hostname == host
        assert requests.get(f"{sandbox.url}/folder", headers=CREDENTIALS, timeout=60).status_code == 200


@pytest.mark.parametrize("pace", [-1.0, -1e-9, math.inf, -math.inf, math.nan])
def test_invalid_pace_is_rejected(pace: float) -> None:
    """The pace must be finite and not negative."""
    with pytest.raises(ValueError, match=rf"^the pace must be a number from 0, not {pace}$"):
        Sandbox(pace=pace)


@pytest.mark.parametrize("pace", [0.0, -0.0, 1e-9, 1e300])
def test_pace_from_0_is_accepted(pace: float) -> None:
    """Each finite pace from 0 is accepted."""
    assert Sandbox(pace=pace).received == []


def test_unknown_contract_is_rejected() -> None:
    """The error lists the known revisions of the contract."""
    with pytest.raises(ValueError, match="must be one of 2025-06, 2026-01, not '2024-01'"):
        Sandbox(contract="2024-01")


@pytest.mark.parametrize(("contract", "status", "field"), [("2025-06", 200, "run_id"), ("2026-01", 201, "runID")])
def test_contract_selects_response(contract: str, status: int, field: str) -> None:
    """The response to a start is the one of the revision."""
    with Sandbox(contract=contract) as sandbox, SandboxClient(sandbox) as client:
        response = client.request_start("abc")
    assert (response.status_code, field in response.json()) == (status, True)


def test_pace_and_clock_set_end_of_run() -> None:
    """A run ends after three seconds times the pace on the given clock."""
    clock = SettableClock()
    with Sandbox(pace=10, clock=clock) as sandbox, SandboxClient(sandbox) as client:
        run = client.start_test("abc")
        clock.now += 29.9
        assert client.read_status(run) == "running"
        clock.now += 0.1
        assert client.read_status(run) == "passed"


# Start and stop


def test_sandbox_listens_on_loopback_only() -> None:
    """Other addresses of this machine are not served."""
    with Sandbox() as sandbox, connect(sandbox) as connection:
        assert connection.getpeername()[0] == "127.0.0.1"
        # All of 127.0.0.0/8 is this machine, so another address of it shows that the sandbox binds only one.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", urlsplit(sandbox.url).port), timeout=60)


def test_sandbox_works_without_with_block() -> None:
    """The sandbox can be started and closed by calls."""
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="is not running"):
        _ = sandbox.url
    sandbox.start()
    with pytest.raises(RuntimeError, match="is already running"):
        sandbox.start()
    url = sandbox.url
    assert requests.get(f"{url}/folder", headers=CREDENTIALS, timeout=60).status_code == 200
    sandbox.close()
    sandbox.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/folder", headers=CREDENTIALS, timeout=60)
    assert len(sandbox.received) == 1


def test_used_port_is_error() -> None:
    """A port in use is an error of the start."""
    with Sandbox() as first_sandbox, pytest.raises(OSError, match="in use"):
        Sandbox(port=urlsplit(first_sandbox.url).port or 0).start()


def test_failed_start_can_be_repeated() -> None:
    """A failed start does not count as a start."""
    with Sandbox() as first_sandbox:
        second_sandbox = Sandbox(port=urlsplit(first_sandbox.url).port or 0)
        for _ in range(2):
            with pytest.raises(OSError, match="in use"):
                second_sandbox.start()
        with pytest.raises(RuntimeError, match="is not running"):
            _ = second_sandbox.url


def test_closed_sandbox_can_restart() -> None:
    """After a restart, the log still has the earlier requests."""
    sandbox = Sandbox()
    for count in (1, 2):
        with sandbox, SandboxClient(sandbox) as client:
            assert client.get("/folder").status_code == 200
        assert len(sandbox.received) == count


def test_close_before_start_does_nothing() -> None:
    """A sandbox that was never started can be closed."""
    sandbox = Sandbox()
    sandbox.close()
    with pytest.raises(RuntimeError, match="is not running"):
        _ = sandbox.url


def test_with_block_closes_after_error() -> None:
    """The server stops although the block raises, and the error is passed on."""
    sandbox = Sandbox()
    with pytest.raises(KeyError, match="from the block"), sandbox:
        raise KeyError("from the block")
    with pytest.raises(RuntimeError, match="is not running"):
        _ = sandbox.url


def test_server_thread_does_not_block_exit() -> None:
    """The process can end although the sandbox was not closed."""
    before = set(threading.enumerate())
    with Sandbox():
        new_threads = set(threading.enumerate()) - before
        assert [thread.daemon for thread in new_threads if thread.name == "sandbox"] == [True]


# Log


def test_starts_are_counted_by_id() -> None:
    """All start requests of an id count, whatever their kind and response is."""
    with Sandbox() as sandbox, SandboxClient(sandbox) as client:
        for kind in ("test", "folder", "tag"):
            client.request_start("abc", kind)
        client.request_start("abc", source=1)
        client.request_start("sandbox-500")
        client.request_start("abcd")
        client.get("/test/abc")
        client.get("/test/abc/run")
    assert [sandbox.count_starts(target) for target in ("abc", "sandbox-500", "abcd", "ab", "")] == [4, 1, 1, 0, 0]


def test_received_requests_are_in_order() -> None:
    """The requests are returned as a list that the client may change."""
    with Sandbox() as sandbox, SandboxClient(sandbox) as client:
        client.request_start("abc")
        client.get("/folder", limit=1)
        sandbox.received.clear()
        request_fields = [(request.method, request.path, request.status) for request in sandbox.received]
    assert request_fields == [("POST", "/api/test/abc/run", 200), ("GET", "/api/folder?limit=1", 200)]


def test_log_lines_hide_credentials() -> None:
    """Each request has one log line without credentials and values of variables."""
    lines: list[str] = []
    with Sandbox(client_id="some-client-id", client_secret="some-client-secret", log=lines.append) as sandbox:
        with SandboxClient(sandbox) as client:
            client.request_start("abc", source="cli", runtime_metadata={"PASSWORD": "s3cret-value"})
        output = repr(sandbox.received)
    assert lines == ["POST /api/test/abc/run 200 source=cli variables=PASSWORD"]
    assert not any(secret in "".join([*lines, output]) for secret in ("s3cret-value", *CREDENTIALS.values()))
