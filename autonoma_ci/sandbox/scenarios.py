"""The ids that select a scenario other than a run that passes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSED, FAILED, RUNNING = "passed", "failed", "running"


@dataclass(frozen=True)
class Scenario:
    """The scripted responses and the run of one id."""

    # Shown in the list of scenarios.
    description: str
    # HTTP status of each response.
    status: int = 200
    # Value of the Retry-After header in seconds. 0 leaves it out.
    retry_after: int = 0
    # Seconds before the response, at pace 1.
    delay: float = 0.0
    # The state that the run reaches at its end.
    final_state: str = PASSED
    # Seconds of the run, at pace 1.
    duration: float = 3.0
    # Whether the scenario applies only to the first request of each operation for an id.
    first_request_only: bool = False
    # Name of a special response to a start request: QUOTA, DEVICE_FARM or WEB_PAGE. Other requests are not affected.
    start_response: str = ""


QUOTA, DEVICE_FARM, WEB_PAGE = "quota", "device-farm", "web-page"
DEFAULT_SCENARIO = Scenario("the run passes")

_SCENARIOS: Mapping[str, Scenario] = {
    "sandbox-401": Scenario("returns 401", status=401),
    "sandbox-403": Scenario("returns 403", status=403),
    "sandbox-404": Scenario("returns 404", status=404),
    "sandbox-429": Scenario(
        "returns 429 with Retry-After: 1 once, then starts the run", status=429, retry_after=1, first_request_only=True
    ),
    "sandbox-429-always": Scenario("returns 429 with Retry-After: 1 for every request", status=429, retry_after=1),
    "sandbox-500": Scenario("returns 500", status=500),
    "sandbox-503": Scenario(
        "returns 503 with Retry-After: 1 once, then starts the run", status=503, retry_after=1, first_request_only=True
    ),
    "sandbox-quota": Scenario(
        "the account's quota is used up: 402, or 403 with --contract 2026-01", start_response=QUOTA
    ),
    "sandbox-device-farm": Scenario("returns 500: the account has no device farm", start_response=DEVICE_FARM),
    "sandbox-web-page": Scenario("returns 200 with a web page, like a host without this API", start_response=WEB_PAGE),
    "sandbox-slow": Scenario("responds after 3 seconds", delay=3.0),
    "sandbox-fails": Scenario("the run fails", final_state=FAILED),
    "sandbox-flaky": Scenario("the first run fails, the next ones pass", final_state=FAILED, first_request_only=True),
    "sandbox-stays": Scenario("the run never ends", final_state=RUNNING),
    "sandbox-stopped": Scenario("the run is cancelled on the server", final_state="cancelled"),
    "sandbox-takes-30": Scenario("the run takes 30 seconds (the number in the id)"),
}
_DURATION_ID_RE = re.compile(r"sandbox-takes-([0-9]{1,5})(?:-.*)?")

# The description of each scripted id, for people.
SCENARIO_IDS: Mapping[str, str] = {name: scenario.description for name, scenario in _SCENARIOS.items()}


def is_scenario(target_id: str) -> bool:
    """Return whether the id selects a scenario."""
    return find_scenario(target_id, 1) is not DEFAULT_SCENARIO


def find_scenario(target_id: str, request_number: int) -> Scenario:
    """Return the scenario of an id.

    Args:
        target_id: The id of a test, folder, tag or run.
        request_number: Number of this request for the id, from 1.

    """
    if match := _DURATION_ID_RE.fullmatch(target_id):
        return Scenario("", duration=float(match[1]))
    # Longest first, because sandbox-429-always also starts with sandbox-429.
    for name in sorted(_SCENARIOS, key=len, reverse=True):
        if target_id == name or target_id.startswith(f"{name}-"):
            scenario = _SCENARIOS[name]
            return DEFAULT_SCENARIO if scenario.first_request_only and request_number > 1 else scenario
    return DEFAULT_SCENARIO
