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

# Repeated here, so that a change of the table needs a change of this test.
NOT_STARTED = (400, 401, 402, 403, 404, 405, 410, 413, 414, 415, 421, 422, 428, 429, 431, 451)
UNPROVEN = [status for status in range(200, 600) if status not in NOT_STARTED]
KNOWN_500_MESSAGE = "Device Farm Project ARN is not configured"


def parse_start(status: int, body: object) -> StartResult:
    no_secrets = Redactor(())
    response = HttpResponse(status, {"Retry-After": "5"}, json.dumps(body).encode(), is_complete=True)
    return parse_start_response(response, RunRequest(TargetKind.TEST, "abc"), no_secrets, no_secrets)


def test_table_lists_proofs() -> None:
    """The table of proofs matches the list in this module."""
    assert tuple(sorted(NOT_STARTED_STATUSES)) == NOT_STARTED
    assert all(NOT_STARTED_STATUSES.values()), "each row states its source"


@pytest.mark.parametrize("status", NOT_STARTED)
def test_listed_status_proves_not_started(status: int) -> None:
    """Each listed status proves that no run was started."""
    result = parse_start(status, {"error": "No"})
    assert result.status is (StartStatus.RATE_LIMITED if status == 429 else StartStatus.REJECTED)
    assert result.reason is not ExitReason.UNKNOWN


@pytest.mark.parametrize("status", UNPROVEN)
def test_unlisted_status_is_indeterminate(status: int) -> None:
    """Retry-After is no proof, because Varnish sends it while the server still works."""
    result = parse_start(status, {"error": "No", "message": "Try again later"})
    assert (result.status, result.reason) == (StartStatus.INDETERMINATE, ExitReason.UNKNOWN)
    assert "may have started" in result.suggestion


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
    result = parse_start(500, body)
    assert (result.status, result.reason) == (StartStatus.REJECTED, ExitReason.API)


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
def test_error_response_gives_no_run_id(status: int) -> None:
    """The run id and the link in an error response are ignored."""
    result = parse_start(status, {"error": "No", "run_id": "r1", "url": "https://autonoma.app/run/r1"})
    assert (result.run_id, result.url) == ("", "")
    assert (result.status is StartStatus.INDETERMINATE) == (status in {303, 500, 503})
