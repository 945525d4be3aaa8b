"""Tests of the record of each thread's request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from math import inf

import pytest

from autonoma_ci.net.connection_state import ConnectionState, SendGate

CONNECTION = HTTPConnection("127.0.0.1", 9)


# The gate


def test_send_gate_has_one_winner() -> None:
    """Either sending or withdrawing succeeds, never both."""
    sent_gate, withdrawn_gate = SendGate(), SendGate()
    assert [sent_gate.enter(), sent_gate.withdraw(), sent_gate.enter()] == [True, False, True]
    assert [withdrawn_gate.withdraw(), withdrawn_gate.enter(), withdrawn_gate.withdraw()] == [True, False, True]


def test_send_gates_are_independent() -> None:
    """A withdrawn request does not withdraw another one."""
    first, second = SendGate(), SendGate()
    assert first.withdraw()
    assert second.enter()


def test_concurrent_calls_have_one_winner() -> None:
    """Threads that call one gate at the same time agree on the result."""
    gates = [SendGate() for _ in range(200)]
    barrier = threading.Barrier(2)

    def enter() -> list[bool]:
        barrier.wait(60)
        return [gate.enter() for gate in gates]

    def withdraw() -> list[bool]:
        barrier.wait(60)
        return [gate.withdraw() for gate in gates]

    with ThreadPoolExecutor(2) as pool:
        enter_results, withdraw_results = (future.result(60) for future in [pool.submit(enter), pool.submit(withdraw)])
    assert [is_sent != is_withdrawn for is_sent, is_withdrawn in zip(enter_results, withdraw_results, strict=True)] == [
        True
    ] * 200


# The state


def list_facts(state: ConnectionState) -> list[object]:
    """Return the facts about the request of this thread."""
    return [
        state.connecting,
        state.connect_attempted,
        state.connection,
        state.surplus_bytes,
        list(state.exclusive_statuses),
        state.send_before,
    ]


def test_state_starts_empty() -> None:
    """Before the first request, nothing is sent and nothing is limited."""
    state = ConnectionState()
    assert list_facts(state) == [False, False, None, b"", [], inf]
    assert state.gate is None
    assert state.nothing_sent


@pytest.mark.parametrize(
    ("connection", "is_connecting", "nothing_sent"),
    [(None, False, True), (None, True, True), (CONNECTION, True, True), (CONNECTION, False, False)],
)
def test_nothing_sent_needs_no_connection(
    connection: HTTPConnection | None, is_connecting: bool, nothing_sent: bool
) -> None:
    """Nothing is sent until the connection is made."""
    state = ConnectionState()
    state.connection, state.connecting = connection, is_connecting
    assert state.nothing_sent is nothing_sent


def test_reset_removes_last_request() -> None:
    """After a reset, no fact of the last request is left."""
    state = ConnectionState()
    state.connecting, state.connect_attempted, state.connection = True, True, CONNECTION
    state.surplus_bytes, state.exclusive_statuses, state.send_before = b"x", (429,), 5.0
    state.reset()
    assert list_facts(state) == [False, False, None, b"", [], inf]
    assert state.nothing_sent


def test_reset_leaves_gate() -> None:
    """The gate belongs to the start, which resets the state before it sends."""
    state = ConnectionState()
    state.gate = gate = SendGate()
    state.reset()
    assert state.gate is gate


def test_reset_returns_state_of_thread() -> None:
    """Another thread sees in the result the connections that are made later."""
    state = ConnectionState()
    thread_state = state.reset()
    state.connection = CONNECTION
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(thread_state.get, "connection").result(60) is CONNECTION
    state.connection = None
    assert thread_state["connection"] is None


def test_state_of_threads_is_separate() -> None:
    """A thread neither sees nor changes the request of another one."""
    state = ConnectionState()
    state.connection, state.send_before = CONNECTION, 5.0

    def change() -> tuple[HTTPConnection | None, float, bool]:
        facts = state.connection, state.send_before, state.nothing_sent
        state.reset()
        state.connecting = True
        return facts

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(change).result(60) == (None, inf, True)
    assert (state.connection, state.send_before, state.connecting) == (CONNECTION, 5.0, False)
