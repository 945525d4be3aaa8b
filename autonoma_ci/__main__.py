"""Run `autonoma-ci`, also as `python -m autonoma_ci`.

Signals are handled before anything else is imported.
"""

from __future__ import annotations

# `signal` is built on this module, but takes 5 ms to import. SIGINT would print a traceback in that time.
import _signal  # type: ignore[import-not-found]
import os

# As in `interrupts`. SIGBREAK is only on Windows.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")


def main() -> None:
    """Run the command and exit with its exit code."""
    for name in _SIGNALS:
        if number := getattr(_signal, name, None):
            _signal.signal(number, _leave)
    from autonoma_ci.cli import run

    run()


def _leave(number: int, _frame: object) -> None:
    # Only imports run until `interrupts` takes over. Nothing has been sent, so nothing is lost.
    os._exit(128 + number)


if __name__ == "__main__":
    main()
