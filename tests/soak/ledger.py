"""What really happened, as the server's side knows it: each POST, what came of it, and what was told of each run."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum

# How a run may end, in the API's word and in the record's.
ENDS = {"passed": "passed", "failed": "failed", "cancelled": "stopped"}


class Told(StrEnum):
    """What whoever sent a POST came to know by it."""

    STARTED = "started"  # a whole answer named the run
    AGAIN = "again"  # not now, or it never left: may be sent again
    NO = "no"  # refused for good: nothing was started
    NOTHING = "nothing"  # no usable answer: it may have arrived


@dataclass
class Post:
    """One POST that reached us; `run_id` is what the server started by it, if anything."""

    told: Told = Told.NOTHING
    run_id: str = ""


class Ledger:
    """Kept while it happens, from any thread; `posts` are in the order of their coming, by what was to be run.

    `ends` are the words by which ends of runs were told in whole answers, `harms` counts what went wrong by
    kind, and `exchanges` all that was asked.
    """

    def __init__(self) -> None:
        self.posts: dict[str, list[Post]] = defaultdict(list)
        self.ends: dict[str, str] = {}
        self.harms: Counter[str] = Counter()
        self.exchanges: Counter[str] = Counter()
        self.lock = threading.Lock()

    def sent(self, subject: str) -> Post:
        """Note a POST; until more is known, it may have arrived."""
        post = Post()
        with self.lock:
            self.posts[subject].append(post)
        return post

    def answered(self, run_id: str, word: str) -> None:
        """Note what a whole answer said of a run."""
        if word in ENDS:
            self.ends[run_id] = ENDS[word]

    def count(self, exchange: str, harm: str) -> None:
        """Note an exchange, and what went wrong with it if anything did."""
        with self.lock:
            self.exchanges[exchange] += 1
            if harm:
                self.harms[harm] += 1
