"""Coverage of threads that `_thread` starts."""

from __future__ import annotations

import _thread
import sys
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session", autouse=True)
def _trace_low_level_threads() -> Iterator[None]:
    """Let coverage.py trace all threads, because it traces only those that `threading` starts."""
    trace = threading.gettrace()
    if not trace:
        yield
        return
    start = _thread.start_new_thread

    def start_traced(function: Callable[..., object], arguments: tuple[object, ...]) -> int:
        def run() -> None:
            sys.settrace(trace)
            function(*arguments)

        return start(run, ())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", start_traced)
        yield
