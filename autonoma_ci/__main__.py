"""Entry point of `autonoma-ci` and of `python -m autonoma_ci`.

It handles signals before it imports other modules.
"""

from __future__ import annotations

# `_signal` is the built-in part of `signal`. Importing `signal` takes 5 ms, and SIGINT in that time would print a
# traceback.
import _signal  # type: ignore[import-not-found]
import gc
import os
import sys

# The same signals as in `engine.signals`. SIGBREAK exists only on Windows.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
# The same value as in `errors`.
_EXIT_INTERNAL_ERROR = 70


def main() -> None:
    """Run the command and exit with its exit code."""
    for signal_name in _SIGNALS:
        signal_number = getattr(_signal, signal_name, None)
        # `engine.signals` explains why SIGINT can be ignored.
        if signal_number and (signal_name != "SIGINT" or _signal.getsignal(signal_number) != _signal.SIG_IGN):
            _signal.signal(signal_number, _exit_on_signal)
    # In objects. A short job mostly imports modules, and creates less garbage than this. A job that waits can run for
    # hours, and each request leaves garbage.
    gc.set_threshold(50_000)
    # Pydantic looks for plugins in the metadata of all installed packages, which takes 10 ms or more. A plugin of
    # another package could also read values. Source: https://docs.pydantic.dev/latest/concepts/plugins/.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    try:
        from autonoma_ci.cli import main as run_cli
    except BaseException:  # noqa: BLE001 - the outermost boundary
        # An import can fail, for example without memory. Python would exit with 1, the exit code of failed runs.
        try:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(_EXIT_INTERNAL_ERROR)
    run_cli()


def _exit_on_signal(signal_number: int, _frame: object) -> None:
    # Until `engine.signals` handles signals, only imports run. No request is sent yet, so no run can be lost.
    os._exit(128 + signal_number)


if __name__ == "__main__":
    main()
