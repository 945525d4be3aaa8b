"""Settings of the engine's tests."""

from __future__ import annotations

import _thread
import sys
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _measure_package_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let coverage measure the threads of the package.

    Coverage sets its trace function with `threading.settrace`, and `_thread` ignores that.
    Source: documentation of `threading.settrace`.
    """
    start_new_thread = _thread.start_new_thread

    def start_traced(work: Callable[..., object], arguments: tuple[object, ...]) -> int:
        def run() -> None:
            sys.settrace(threading.gettrace())
            work(*arguments)

        return start_new_thread(run, ())

    monkeypatch.setattr(_thread, "start_new_thread", start_traced)
