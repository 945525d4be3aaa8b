"""The runs of the sandbox's account and their status over time."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from autonoma_ci.sandbox.contract import source_of, variable_names
from autonoma_ci.sandbox.scenarios import RUNNING, Scenario, find_scenario

if TYPE_CHECKING:
    from collections.abc import Callable

PENDING = "pending"
# The fraction of a run's duration in which it is pending.
_PENDING_FRACTION = 1 / 3
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Run:
    """One run of a test, folder or tag."""

    id: str
    kind: str
    # Id of the test, folder or tag.
    target_id: str
    final_state: str
    # Seconds of the store's clock.
    duration: float
    # Time of the store's clock at the start, in seconds.
    started_at: float
    source: str
    application_version_id: str
    variables: tuple[str, ...]


class RunStore:
    """A thread-safe store of all runs since the sandbox was started.

    Args:
        pace: Multiplies all durations. 0 ends a run at once, 1 usually after three seconds of `clock`.
        clock: Returns the current time in seconds.

    """

    def __init__(self, pace: float, clock: Callable[[], float]) -> None:
        self.pace = pace
        self._clock = clock
        self._epoch = datetime.now(UTC) - timedelta(seconds=clock())
        self._runs: dict[tuple[str, str], Run] = {}
        self._request_counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def next_scenario(self, operation: str, target_id: str) -> Scenario:
        """Count a request for an id and return its scenario."""
        with self._lock:
            self._request_counts[operation, target_id] += 1
            return find_scenario(target_id, self._request_counts[operation, target_id])

    def start(self, kind: str, target_id: str, body: object, scenario: Scenario) -> Run:
        """Start a run from a valid body."""
        version = body.get("application_version_id", "") if isinstance(body, dict) else ""
        run = Run(
            id="cm" + "".join(secrets.choice(_DIGITS) for _ in range(23)),
            kind=kind,
            target_id=target_id,
            final_state=scenario.final_state,
            duration=scenario.duration * self.pace,
            started_at=self._clock(),
            source=source_of(body) or "api",
            application_version_id=version,
            variables=variable_names(body),
        )
        with self._lock:
            self._runs[kind, run.id] = run
        return run

    def find(self, kind: str, run_id: str) -> Run | None:
        """Return the run of this kind and id, or None."""
        with self._lock:
            return self._runs.get((kind, run_id))

    def status(self, run: Run) -> str:
        """Return the status of a run at its current age.

        The status is pending, then running, then the run's final state.
        """
        age = self._clock() - run.started_at
        if age < run.duration * _PENDING_FRACTION:
            return PENDING
        return RUNNING if age < run.duration else run.final_state

    def created_at(self, run: Run) -> str:
        """Return the start of a run in ISO 8601."""
        return self._format_time(run.started_at)

    def ended_at(self, run: Run) -> str | None:
        """Return the end of a run in ISO 8601, or None."""
        if self.status(run) in {PENDING, RUNNING}:
            return None
        return self._format_time(run.started_at + run.duration)

    def _format_time(self, time: float) -> str:
        return (self._epoch + timedelta(seconds=time)).isoformat(timespec="milliseconds")
