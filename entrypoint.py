#!/opt/autonoma-ci/bin/python -I
"""The image's ENTRYPOINT, and its command `autonoma-ci`: hands over to a shell or `cat`, or runs autonoma-ci.

CI systems start one and the same image in different ways: GitHub with the action's arguments or none, GitLab
with `sh -c …`, Jenkins with `cat`. Handing over spares their users an `entrypoint: [""]`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAMS = ("sh", "bash", "cat")
# Python ignores the last two, and a program started by exec would inherit that: `yes | head` would go wrong.
_HANDED_OVER = (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)


def main(arguments: Sequence[str]) -> None:
    """Hand over if the first argument asks for it, or run autonoma-ci on `arguments` and the environment."""
    # PID 1 ignores signals that it has no handler for; until the imports are done, nothing is lost by leaving.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))
    if arguments and (program := _program(arguments[0])):
        _hand_over(program, arguments)
    from autonoma_ci.cli import run

    run()


def _program(name: str) -> str | None:
    # A relative path would be looked up in the user's checkout: only bare names and absolute paths count.
    if name in _PROGRAMS:
        return f"/bin/{name}"
    return name if name.startswith("/") and os.path.basename(name) in _PROGRAMS else None  # noqa: PTH119 - pathlib is slow to import


def _hand_over(program: str, arguments: Sequence[str]) -> Never:
    for number in _HANDED_OVER:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program, list(arguments))  # noqa: S606 - no shell but the one that was asked for
    except OSError as error:
        sys.stderr.write(f"autonoma-ci: {program} can't be started: {error.strerror}\n")
        # What a shell says of a command that is not there, and of one that it may not run.
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(sys.argv[1:])
