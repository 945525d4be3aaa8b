#!/opt/autonoma-ci/bin/python -I
"""The image's ENTRYPOINT, and its command `autonoma-ci`: hands over to a shell or `cat`, or runs autonoma-ci.

CI systems start one and the same image in different ways: GitHub with the action's arguments or none, GitLab
with `sh -c …`, Jenkins with `cat`. Handing over spares their users an `entrypoint: [""]`.
"""

from __future__ import annotations

import os
import sys

_PROGRAMS = ("sh", "bash", "cat")


def main(arguments: list[str]) -> None:
    """Hand over if the first argument asks for it, or run autonoma-ci on `arguments` and the environment."""
    if arguments and (program := _program(arguments[0])):
        _hand_over(program, arguments)
    # Handles signals first: PID 1 ignores those that it has no handler for.
    from autonoma_ci.__main__ import main as run

    run()


def _program(name: str) -> str | None:
    # A relative path would be looked up in the user's checkout: only bare names and absolute paths count.
    if name in _PROGRAMS:
        return f"/bin/{name}"
    return name if name.startswith("/") and os.path.basename(name) in _PROGRAMS else None  # noqa: PTH119 - pathlib is slow to import


def _hand_over(program: str, arguments: list[str]) -> None:
    import signal

    # Python ignores these two, and a program started by exec would inherit that: `yes | head` would go wrong.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program, arguments)  # noqa: S606 - no shell but the one that was asked for
    except OSError as error:
        sys.stderr.write(f"autonoma-ci: {program} can't be started: {error.strerror}\n")
        # What a shell says of a command that is not there, and of one that it may not run.
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(sys.argv[1:])
