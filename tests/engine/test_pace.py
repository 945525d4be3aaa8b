"""When a server that refuses all questions is given up, and for how long it is left in peace until then."""

from __future__ import annotations

import pytest

from autonoma_ci.engine.backoff import PollInterval
from tests.support.fake_clock import FakeClock


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 1.0), (7.0, 8.0), (60.0, 61.0), (61.0, 61.0), (3600.0, 61.0)])
def test_no_question_is_asked_for_as_long_as_the_server_wants_but_a_minute_at_most(asked: float, pause: float) -> None:
    clock = FakeClock()
    pace = PollInterval(None, clock)
    pace.on_rate_limited(clock.time, asked, 120.0)
    assert pace.blocked_until == clock.time + pause


@pytest.mark.parametrize(("interval", "given_up"), [(None, 120), (10.0, 120), (60.0, 120), (61.0, 122), (200.0, 400)])
def test_refusals_are_hopeless_after_two_minutes_and_two_pauses(interval: float | None, given_up: int) -> None:
    """Of a question that is asked every 5 minutes, two refusals may be all that went wrong."""
    clock = FakeClock()
    pace = PollInterval(interval, clock)
    begun = clock.time
    for second in range(given_up):
        clock.time = begun + second
        assert not pace.on_rate_limited(clock.time, None, 120.0)
    clock.time = begun + given_up
    assert pace.on_rate_limited(clock.time, None, 120.0)


def test_an_answer_is_hope() -> None:
    clock = FakeClock()
    pace = PollInterval(None, clock)
    assert not pace.on_rate_limited(clock.time, None, 120.0)
    pace.on_success()
    clock.time += 130.0
    assert not pace.on_rate_limited(clock.time, None, 120.0)
