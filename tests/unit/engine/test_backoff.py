"""Pauses after rate limits, and the end of polling."""

from __future__ import annotations

import pytest

from autonoma_ci.engine.backoff import PollInterval
from tests.support.fake_clock import FakeClock


@pytest.mark.parametrize(("retry_after", "pause"), [(0.0, 1.0), (7.0, 8.0), (60.0, 61.0), (61.0, 61.0), (3600.0, 61.0)])
def test_rate_limit_pause_is_capped(retry_after: float, pause: float) -> None:
    """Polling pauses as long as the server requests, up to about one minute."""
    clock = FakeClock()
    poll_interval = PollInterval(None, clock)
    poll_interval.on_rate_limited(clock.time, retry_after, 120.0)
    assert poll_interval.blocked_until == clock.time + pause


@pytest.mark.parametrize(
    ("interval", "give_up_seconds"), [(None, 120), (10.0, 120), (60.0, 120), (61.0, 122), (200.0, 400)]
)
def test_rate_limits_end_polling(interval: float | None, give_up_seconds: int) -> None:
    """Polling ends after rate limits for two minutes and at least two intervals."""
    clock = FakeClock()
    poll_interval = PollInterval(interval, clock)
    started_at = clock.time
    for second in range(give_up_seconds):
        clock.time = started_at + second
        assert not poll_interval.on_rate_limited(clock.time, None, 120.0)
    clock.time = started_at + give_up_seconds
    assert poll_interval.on_rate_limited(clock.time, None, 120.0)


def test_success_resets_rate_limits() -> None:
    """A successful poll restarts the time until polling ends."""
    clock = FakeClock()
    poll_interval = PollInterval(None, clock)
    assert not poll_interval.on_rate_limited(clock.time, None, 120.0)
    poll_interval.on_success()
    clock.time += 130.0
    assert not poll_interval.on_rate_limited(clock.time, None, 120.0)
