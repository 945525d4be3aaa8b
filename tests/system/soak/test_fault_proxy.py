"""The proxy between command and sandbox that injects faults."""

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

DELIVERIES = {
    KnownResult.STARTED: {StartStatus.STARTED},
    KnownResult.NOT_NOW: {StartStatus.RATE_LIMITED},
    KnownResult.REJECTED: {StartStatus.REJECTED},
    KnownResult.INDETERMINATE: {StartStatus.INDETERMINATE},
}
TEST = RunRequest(TargetKind.TEST, "sandbox-takes-0")
SECRETS = (Secret("id-of-the-soak"), Secret("secret-of-the-soak"))


@contextmanager
def open_client(what: str, name: str) -> Iterator[tuple[AutonomaClient, FaultProxy, Sandbox]]:
    """Open a client whose exchanges of one kind have this fault."""
    with (
        Sandbox() as sandbox,
        FaultProxy(
            int(sandbox.url.rpartition(":")[2].partition("/")[0]),
            seed=1,
            rate=1000.0,
            longest=0.3,
            choose=lambda exchange, troubles, random: name if exchange == what else "",
            outages=False,
        ) as layer,
    ):
        transport = Transport(layer.url, SECRETS, Timeouts(connect=2.0, read=2.0, total=5.0))
        yield AutonomaClient(transport, "soak", SECRETS), layer, sandbox


@pytest.mark.parametrize("name", START_FAULTS)
def test_start_is_known_if_response_arrives(name: str) -> None:
    """The client and the ledger agree about each fault of a start request."""
    with open_client("start", name) as (client, layer, sandbox):
        attempt = client.start(TEST)
        (post,) = layer.ledger.starts[TEST.id]
        assert sandbox.count_starts(TEST.id) == bool(post.run_id) == START_FAULTS[name].reaches_server
        assert attempt.status in DELIVERIES[START_FAULTS[name].known]
        assert attempt.run_id == (post.run_id if attempt.status is StartStatus.STARTED else "")
        assert layer.ledger.faults == {f"start: {name}": 1}


@pytest.mark.parametrize("name", POLL_FAULTS)
def test_result_is_known_if_response_arrives(name: str) -> None:
    """The client and the ledger agree about each fault of a poll."""
    with open_client("question", name) as (client, layer, _):
        run_id = client.start(TEST).run_id
        reported = client.status(TEST, run_id).status is PollStatus.PASSED
        assert (
            reported
            == (layer.ledger.final_states == {run_id: "passed"})
            == (POLL_FAULTS[name].known is KnownResult.STARTED)
        )


def test_proxy_without_faults_passes_requests() -> None:
    """Without faults all requests pass, and during an outage none is sent."""
    with open_client("", "") as (client, layer, sandbox):
        started = client.start(TEST)
        assert started.status is StartStatus.STARTED
        assert client.details(TEST, started.run_id).title
        layer.stop_listening()
        assert client.start(TEST).status is StartStatus.NOT_SENT
        layer.listen()
        assert client.start(TEST).status is StartStatus.STARTED
        assert sandbox.count_starts(TEST.id) == 2
