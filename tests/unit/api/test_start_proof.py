"""Test which status codes prove that no run was started.

Only one of them allows the start to be sent again.
"""

from __future__ import annotations

import json

import pytest

from autonoma_ci.api.models import StartResult, StartStatus
from autonoma_ci.api.responses import parse_start_response
from autonoma_ci.api.start_proof import NOT_STARTED_STATUSES
from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.models import ExitReason, RunRequest, TargetKind
from autonoma_ci.redaction.redactor import Redactor

# Written out, so that a change of the table is a change of this test.
NOT_STARTED = (400, 401, 402, 403, 404, 405, 410, 413, 414, 415, 421, 422, 428, 429, 431, 451)
UNPROVEN = [status for status in range(200, 600) if status not in NOT_STARTED]
KNOWN_500_MESSAGE = "Device Farm Project ARN is not configured"


def parse_start(status: int, body: object) -> StartResult:
    nothing = Redactor(())
    answer = HttpResponse(status, {"Retry-After": "5"}, json.dumps(body).encode(), is_complete=True)
    return parse_start_response(answer, RunRequest(TargetKind.TEST, "abc"), nothing, nothing)


def test_table_lists_proofs() -> None:
    """The table of proofs matches the list in this module."""
    assert tuple(sorted(NOT_STARTED_STATUSES)) == NOT_STARTED
    assert all(NOT_STARTED_STATUSES.values()), "each row states its source"


@pytest.mark.parametrize("status", NOT_STARTED)
def test_listed_status_proves_not_started(status: int) -> None:
    """Each listed status proves that no run was started."""
    found = parse_start(status, {"error": "No"})
    assert found.status is (StartStatus.RATE_LIMITED if status == 429 else StartStatus.REJECTED)
    assert found.reason is not ExitReason.UNKNOWN


@pytest.mark.parametrize("status", UNPROVEN)
def test_unlisted_status_is_indeterminate(status: int) -> None:
    """Retry-After is no proof, because Varnish sends it while the server still works."""
    found = parse_start(status, {"error": "No", "message": "Try again later"})
    assert (found.status, found.reason) == (StartStatus.INDETERMINATE, ExitReason.UNKNOWN)
    assert "may have started" in found.suggestion


@pytest.mark.parametrize(
    "body",
    [
        {"message": KNOWN_500_MESSAGE},
        {"error": KNOWN_500_MESSAGE},
        {"error": "Internal server error", "message": f" {KNOWN_500_MESSAGE.upper()}. "},
    ],
)
def test_known_500_proves_not_started(body: object) -> None:
    """A 500 with the known message proves that no run was started."""
    found = parse_start(500, body)
    assert (found.status, found.reason) == (StartStatus.REJECTED, ExitReason.API)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"message": f"Run started. {KNOWN_500_MESSAGE}"}),
        (500, {"details": KNOWN_500_MESSAGE}),
        (500, [KNOWN_500_MESSAGE]),
        (502, {"message": KNOWN_500_MESSAGE}),
        (503, {"message": KNOWN_500_MESSAGE}),
    ],
)
def test_known_message_elsewhere_is_no_proof(status: int, body: object) -> None:
    """The known message counts only alone, in its field and with status 500."""
    assert parse_start(status, body).status is StartStatus.INDETERMINATE


@pytest.mark.parametrize("status", [303, 400, 404, 429, 500, 503])
def test_rejection_has_no_run_id(status: int) -> None:
    """Only the status of a rejection is used."""
    found = parse_start(status, {"error": "No", "run_id": "r1", "url": "https://autonoma.app/run/r1"})
    assert (found.run_id, found.url) == ("", "")
    assert (found.status is StartStatus.INDETERMINATE) == (status in {303, 500, 503})
