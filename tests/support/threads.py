"""Run functions at the same time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# A busy machine can need a minute for what takes a moment.
_MAX_SECONDS = 120


def run_at_once(functions: Sequence[Callable[[], object]]) -> None:
    """Run each function in a thread, and wait for all of them."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_MAX_SECONDS)
