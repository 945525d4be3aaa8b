"""Tests of the ids that select a scenario."""

from __future__ import annotations

import pytest

from autonoma_ci.sandbox import SCENARIO_IDS
from autonoma_ci.sandbox.scenarios import (
    DEFAULT_SCENARIO,
    DEVICE_FARM,
    FAILED,
    QUOTA,
    RUNNING,
    WEB_PAGE,
    find_scenario,
    is_scenario,
)

# These ids change only the first response.
FIRST_RESPONSE_STATUS = {"sandbox-429": 429, "sandbox-503": 503, "sandbox-flaky": 200}


def test_scripted_ids_have_descriptions() -> None:
    """Each scripted id has a prefix and a description."""
    assert len(SCENARIO_IDS) == 16
    assert all(name.startswith("sandbox-") and description for name, description in SCENARIO_IDS.items())


@pytest.mark.parametrize("name", sorted(SCENARIO_IDS))
@pytest.mark.parametrize("suffix", ["", "-2", "-a-b_c"])
def test_scripted_id_can_have_suffix(name: str, suffix: str) -> None:
    """A scripted id with a suffix selects the same scenario."""
    scenario = find_scenario(name + suffix, 1)
    assert scenario is not DEFAULT_SCENARIO
    assert is_scenario(name + suffix)
    assert scenario == find_scenario(name, 1)


@pytest.mark.parametrize(
    "target_id", ["", "abc", "sandbox", "sandbox-", "sandbox-4040", "my-sandbox-404", "SANDBOX-404"]
)
def test_other_id_has_default_scenario(target_id: str) -> None:
    """An id that only resembles a scripted id selects a run that passes."""
    assert find_scenario(target_id, 1) is DEFAULT_SCENARIO
    assert not is_scenario(target_id)


@pytest.mark.parametrize(
    ("name", "status", "retry_after"),
    [
        ("sandbox-401", 401, 0),
        ("sandbox-403", 403, 0),
        ("sandbox-404", 404, 0),
        ("sandbox-429", 429, 1),
        ("sandbox-429-always", 429, 1),
        ("sandbox-429-always-2", 429, 1),
        ("sandbox-500", 500, 0),
        ("sandbox-503", 503, 1),
        ("sandbox-fails", 200, 0),
    ],
)
def test_scenario_has_status_of_id(name: str, status: int, retry_after: int) -> None:
    """The HTTP status of the id is the one of the scenario."""
    scenario = find_scenario(name, 1)
    assert (scenario.status, scenario.retry_after) == (status, retry_after)


@pytest.mark.parametrize(
    ("name", "start_response"),
    [("sandbox-quota", QUOTA), ("sandbox-device-farm", DEVICE_FARM), ("sandbox-web-page", WEB_PAGE)],
)
def test_scenario_has_special_response(name: str, start_response: str) -> None:
    """These ids have a special response to each start."""
    assert [find_scenario(name, number).start_response for number in (1, 2)] == [start_response] * 2


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("sandbox-fails", FAILED),
        ("sandbox-flaky", FAILED),
        ("sandbox-stays", RUNNING),
        ("sandbox-stopped", "cancelled"),
        ("sandbox-slow", "passed"),
    ],
)
def test_scenario_has_final_state(name: str, state: str) -> None:
    """The id selects the state at the end of its run."""
    assert find_scenario(name, 1).final_state == state


def test_only_slow_id_has_delay() -> None:
    """One id delays its response by three seconds at pace 1."""
    delays = {name: find_scenario(name, 1).delay for name in SCENARIO_IDS}
    assert {name: delay for name, delay in delays.items() if delay} == {"sandbox-slow": 3.0}


@pytest.mark.parametrize("name", sorted(SCENARIO_IDS))
@pytest.mark.parametrize("request_number", [2, 3, 1000])
def test_later_request_can_have_default(name: str, request_number: int) -> None:
    """Only three ids have the default scenario from the second request on."""
    is_default = find_scenario(name, request_number) is DEFAULT_SCENARIO
    assert is_default == (name in FIRST_RESPONSE_STATUS)


@pytest.mark.parametrize("name", FIRST_RESPONSE_STATUS)
def test_first_request_has_scenario(name: str) -> None:
    """The first request of these ids has the scripted response."""
    assert find_scenario(name, 1).status == FIRST_RESPONSE_STATUS[name]
    assert is_scenario(name)


@pytest.mark.parametrize(
    ("target_id", "seconds"),
    [
        ("sandbox-takes-0", 0.0),
        ("sandbox-takes-7", 7.0),
        ("sandbox-takes-30-b", 30.0),
        ("sandbox-takes-99999", 99_999.0),
        ("sandbox-takes-00012-x-y", 12.0),
    ],
)
def test_number_in_id_sets_duration(target_id: str, seconds: float) -> None:
    """The number in the id is the duration in seconds for each request."""
    assert [find_scenario(target_id, number).duration for number in (1, 2)] == [seconds] * 2
    assert is_scenario(target_id)


@pytest.mark.parametrize(
    "target_id", ["sandbox-takes-", "sandbox-takes-100000", "sandbox-takes-5s", "sandbox-takes--1", "sandbox-takes-٣"]
)
def test_other_number_has_default_duration(target_id: str) -> None:
    """A number of another form selects the default scenario."""
    assert find_scenario(target_id, 1) is DEFAULT_SCENARIO
