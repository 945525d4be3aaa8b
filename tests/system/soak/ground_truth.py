"""Record of what really happened on the server's side."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum

# The status of an ended run in the API, and its state in results.json.
FINAL_STATES = {"passed": "passed", "failed": "failed", "cancelled": "stopped"}


class KnownResult(StrEnum):
    """What the client knows about a run after its start request."""

    STARTED = "started"  # a complete response named the run
    RETRYABLE = "retryable"  # rate limited, or never sent, so it can be sent again
    REJECTED = "rejected"  # refused for good, so no run started
    INDETERMINATE = "indeterminate"  # no usable response, so it may have arrived


@dataclass
class StartRecord:
    """One start request that arrived."""

    known_result: KnownResult = KnownResult.INDETERMINATE
    run_id: str = ""  # the run that the server started, if any


class GroundTruth:
    """Thread-safe record of all exchanges.

    Attributes:
        starts: the start requests by target id, in the order of arrival.
        final_states: the final state by run id, if a complete response named it.
        faults: the number of faults by kind.
        exchanges: the number of requests by kind.
    """

    def __init__(self) -> None:
        self.starts: dict[str, list[StartRecord]] = defaultdict(list)
        self.final_states: dict[str, str] = {}
        self.faults: Counter[str] = Counter()
        self.exchanges: Counter[str] = Counter()
        self.lock = threading.Lock()

    def add_start(self, target_id: str) -> StartRecord:
        """Add a start request, which counts as indeterminate at first."""
        post = StartRecord()
        with self.lock:
            self.starts[target_id].append(post)
        return post

    def add_response(self, run_id: str, status: str) -> None:
        """Add the status that a complete response had."""
        if status in FINAL_STATES:
            self.final_states[run_id] = FINAL_STATES[status]

    def count_exchange(self, kind: str, fault: str) -> None:
        """Count an exchange and its fault, if any."""
        with self.lock:
            self.exchanges[kind] += 1
            if fault:
                self.faults[fault] += 1
