"""Run `autonoma-ci`, also as `python -m autonoma_ci`.

Signals are handled before anything else is imported.
"""

from __future__ import annotations

# `signal` is built on this module, but takes 5 ms to import. SIGINT would print a traceback in that time.
import _signal  # type: ignore[import-not-found]
import os
import sys

# As in `interrupts`. SIGBREAK is only on Windows.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
# As in `errors`.
_EXIT_BUG = 70


def main() -> None:
    """Run the command and exit with its exit code."""
    for name in _SIGNALS:
        number = getattr(_signal, name, None)
        # Why SIGINT may be ignored is in `interrupts`.
        if number and (name != "SIGINT" or _signal.getsignal(number) != _signal.SIG_IGN):
            _signal.signal(number, _leave)
    try:
        from autonoma_ci.cli import main
    except BaseException:  # noqa: BLE001 - nothing is outside of it
        # As where no memory is left. Python would end with 1, which is the exit code of runs that did not pass.
        try:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(_EXIT_BUG)
    main()


def _leave(number: int, _frame: object) -> None:
    # Only imports run until `interrupts` takes over. Nothing has been sent, so nothing is lost.
    os._exit(128 + number)


if __name__ == "__main__":
    main()
