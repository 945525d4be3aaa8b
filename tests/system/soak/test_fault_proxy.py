"""Test the proxy that injects faults between command and sandbox."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollStatus, StartStatus, Timeouts
from autonoma_ci.api.transport import Transport
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.sandbox import Sandbox
from tests.system.soak.fault_proxy import FaultProxy
from tests.system.soak.ground_truth import KnownResult
from tests.system.soak.network_faults import POLL_FAULTS, START_FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPECTED_STATUSES = {
    KnownResult.STARTED: {StartStatus.STARTED},
    KnownResult.RETRYABLE: {StartStatus.RATE_LIMITED},
    KnownResult.REJECTED: {StartStatus.REJECTED},
    KnownResult.INDETERMINATE: {StartStatus.INDETERMINATE},
}
TEST = RunRequest(TargetKind.TEST, "sandbox-takes-0")
SECRETS = (Secret("id-of-the-soak"), Secret("secret-of-the-soak"))


@contextmanager
def open_client(faulty_exchange: str, name: str) -> Iterator[tuple[AutonomaClient, FaultProxy, Sandbox]]:
    """Open a client whose exchanges of one kind have this fault."""
    with (
        Sandbox() as sandbox,
        FaultProxy(
            int(sandbox.url.rpartition(":")[2].partition("/")[0]),
            seed=1,
            starts_per_second=1000.0,
            max_delay=0.3,
            choose=lambda exchange, faults, random: name if exchange == faulty_exchange else "",
            outages=False,
        ) as proxy,
    ):
        transport = Transport(proxy.url, SECRETS, Timeouts(connect=2.0, read=2.0, total=5.0))
        yield AutonomaClient(transport, "soak", SECRETS), proxy, sandbox


@pytest.mark.parametrize("name", START_FAULTS)
def test_start_is_known_if_response_arrives(name: str) -> None:
    """The client and the ground truth agree about each fault of a start request."""
    with open_client("start", name) as (client, proxy, sandbox):
        start_result = client.start(TEST)
        (post,) = proxy.ground_truth.starts[TEST.id]
        assert sandbox.count_starts(TEST.id) == bool(post.run_id) == START_FAULTS[name].reaches_server
        assert start_result.status in EXPECTED_STATUSES[START_FAULTS[name].known_result]
        assert start_result.run_id == (post.run_id if start_result.status is StartStatus.STARTED else "")
        assert proxy.ground_truth.faults == {f"start: {name}": 1}


@pytest.mark.parametrize("name", POLL_FAULTS)
def test_result_is_known_if_response_arrives(name: str) -> None:
    """The client and the ground truth agree about each fault of a poll."""
    with open_client("poll", name) as (client, proxy, _):
        run_id = client.start(TEST).run_id
        is_reported = client.poll_status(TEST, run_id).status is PollStatus.PASSED
        assert (
            is_reported
            == (proxy.ground_truth.final_states == {run_id: "passed"})
            == (POLL_FAULTS[name].known_result is KnownResult.STARTED)
        )


def test_proxy_without_faults_passes_requests() -> None:
    """Without faults all requests pass, and during an outage none is sent."""
    with open_client("", "") as (client, proxy, sandbox):
        start_result = client.start(TEST)
        assert start_result.status is StartStatus.STARTED
        assert client.fetch_details(TEST, start_result.run_id).title
        proxy.stop_listening()
        assert client.start(TEST).status is StartStatus.NOT_SENT
        proxy.listen()
        assert client.start(TEST).status is StartStatus.STARTED
        assert sandbox.count_starts(TEST.id) == 2
