"""Entry point of `autonoma-ci` and of `python -m autonoma_ci`.

It handles signals before it imports other modules.
"""

from __future__ import annotations

# `signal` uses this module, but needs 5 ms to import. SIGINT would print a traceback in that time.
import _signal  # type: ignore[import-not-found]
import os
import sys

# As in `engine.signals`. SIGBREAK exists only on Windows.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
# As in `errors`.
_EXIT_INTERNAL_ERROR = 70


def main() -> None:
    """Run the command and exit with its exit code."""
    for name in _SIGNALS:
        number = getattr(_signal, name, None)
        # `engine.signals` explains why SIGINT can be ignored.
        if number and (name != "SIGINT" or _signal.getsignal(number) != _signal.SIG_IGN):
            _signal.signal(number, _exit_on_signal)
    try:
        from autonoma_ci.cli import main
    except BaseException:  # noqa: BLE001 - the outermost boundary
        # For example without memory. Python would exit with 1, which is the exit code of runs that did not pass.
        try:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(_EXIT_INTERNAL_ERROR)
    main()


def _exit_on_signal(number: int, _frame: object) -> None:
    # Until `engine.signals` handles signals, only imports run. Nothing is sent yet, so nothing is lost.
    os._exit(128 + number)


if __name__ == "__main__":
    main()
