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
from tests.soak.layer import Layer
from tests.soak.ledger import Told
from tests.soak.trouble import GETS, POSTS

if TYPE_CHECKING:
    from collections.abc import Iterator

DELIVERIES = {
    Told.STARTED: {StartStatus.STARTED},
    Told.AGAIN: {StartStatus.RATE_LIMITED},
    Told.NO: {StartStatus.REJECTED},
    Told.NOTHING: {StartStatus.INDETERMINATE},
}
TEST = RunRequest(TargetKind.TEST, "sandbox-takes-0")
SECRETS = (Secret("id-of-the-soak"), Secret("secret-of-the-soak"))


@contextmanager
def through(what: str, name: str) -> Iterator[tuple[AutonomaClient, Layer, Sandbox]]:
    """Let this happen to each exchange of a kind, and to no other."""
    with (
        Sandbox() as sandbox,
        Layer(
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


@pytest.mark.parametrize("name", POSTS)
def test_start_is_known_if_response_arrives(name: str) -> None:
    """The client and the ledger agree about each fault of a start request."""
    with through("start", name) as (client, layer, sandbox):
        attempt = client.start(TEST)
        (post,) = layer.ledger.posts[TEST.id]
        assert sandbox.count_starts(TEST.id) == bool(post.run_id) == POSTS[name].passes
        assert attempt.status in DELIVERIES[POSTS[name].told]
        assert attempt.run_id == (post.run_id if attempt.status is StartStatus.STARTED else "")
        assert layer.ledger.harms == {f"start: {name}": 1}


@pytest.mark.parametrize("name", GETS)
def test_result_is_known_if_response_arrives(name: str) -> None:
    """The client and the ledger agree about each fault of a poll."""
    with through("question", name) as (client, layer, _):
        run_id = client.start(TEST).run_id
        told = client.status(TEST, run_id).status is PollStatus.PASSED
        assert told == (layer.ledger.ends == {run_id: "passed"}) == (GETS[name].told is Told.STARTED)


def test_proxy_without_faults_passes_requests() -> None:
    """Without faults all requests pass, and during an outage none is sent."""
    with through("", "") as (client, layer, sandbox):
        started = client.start(TEST)
        assert started.status is StartStatus.STARTED
        assert client.details(TEST, started.run_id).title
        layer.deafen()
        assert client.start(TEST).status is StartStatus.NOT_SENT
        layer.listen()
        assert client.start(TEST).status is StartStatus.STARTED
        assert sandbox.count_starts(TEST.id) == 2
