"""Test client and sandbox with both revisions of the contract."""

from __future__ import annotations

import json

import pytest

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollStatus, StartStatus
from autonoma_ci.api.start_body import build_start_body
from autonoma_ci.api.transport import Transport
from autonoma_ci.ci.detection import DETECTION_RULES, DetectionRule
from autonoma_ci.models import ExitReason, RunRequest, TargetKind
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.sandbox import Sandbox
from tests.integration.contract.openapi import DESCRIPTIONS, check_request

BASE = "https://autonoma.app/api"
SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))


@pytest.mark.parametrize("kind", TargetKind)
def test_run_completes_in_each_revision(contract: str, kind: TargetKind) -> None:
    """All requests and responses of a run are valid."""
    request = RunRequest(kind, "abc")
    with Sandbox(pace=0, contract=contract) as sandbox:
        client = AutonomaClient(Transport(sandbox.url, SECRETS), "jenkins", SECRETS)
        start_result = client.start(request)
        assert (start_result.status, client.poll_status(request, start_result.run_id).status) == (
            StartStatus.STARTED,
            PollStatus.PASSED,
        )
        assert start_result.url.endswith(start_result.run_id)
        received = sandbox.received
    for received_request in received:
        raw = json.dumps(received_request.body).encode() if received_request.body else None
        check_request(
            received_request.method,
            f"{BASE}{received_request.path.removeprefix('/api')}",
            received_request.headers,
            raw,
            contract,
        )
    assert len(received) == 2


@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_source_is_valid_in_each_revision(row: DetectionRule) -> None:
    """The source of each CI system is valid in both revisions."""
    headers = {"autonoma-client-id": "a", "autonoma-client-secret": "b", "Content-Type": "application/json"}
    body = json.dumps(build_start_body(RunRequest(TargetKind.TEST, "abc"), row.name)).encode()
    for contract in DESCRIPTIONS:
        check_request("POST", f"{BASE}/test/abc/run", headers, body, contract)


@pytest.mark.parametrize("kind", TargetKind)
def test_quota_is_recognized_in_each_revision(contract: str, kind: TargetKind) -> None:
    """The client recognizes a used-up quota in both revisions."""
    with Sandbox(pace=0, contract=contract) as sandbox:
        client = AutonomaClient(Transport(sandbox.url, SECRETS), "jenkins", SECRETS)
        result = client.start(RunRequest(kind, "sandbox-quota"))
    assert (result.status, result.reason) == (StartStatus.REJECTED, ExitReason.QUOTA)
