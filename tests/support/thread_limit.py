"""Limit the threads of the client, as in a container with few processes."""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING

from autonoma_ci.api import transport
from autonoma_ci.net import connection, threads, total_timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class ThreadLimit:
    """Limit how many threads the client can create.

    Threads of the test servers do not count.
    """

    def __init__(self, max_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.max_threads, self.thread_count = max_threads, 0
        limit = self

        class FakeThreadModule:
            @staticmethod
            def start_new_thread(work: Callable[[], None], arguments: tuple[()]) -> int:
                if limit.thread_count >= limit.max_threads:
                    raise RuntimeError("can't start new thread")
                limit.thread_count += 1
                return _thread.start_new_thread(work, arguments)

        monkeypatch.setattr(threads, "_thread", FakeThreadModule)
        # The deadline thread of an earlier test must not be reused.
        deadlines = total_timeout.Deadlines()
        for module in (connection, total_timeout, transport):
            monkeypatch.setattr(module, "deadlines", deadlines)
