#!/opt/autonoma-ci/bin/python -I
"""Run autonoma-ci, or another program of the image.

This is the image's ENTRYPOINT and its command `autonoma-ci`. CI systems start the image in different ways: GitHub with
the action's arguments or none, GitLab with `sh -c …`, Jenkins with `cat`, Azure Pipelines with its own node by an
absolute path, others with `sleep`, `tail` or `env`. Handing over spares their users an `entrypoint: [""]`.

Source: microsoft/azure-pipelines-agent, src/Agent.Worker/ContainerOperationProvider.cs; gitlab-org/gitlab-runner,
shells/bash.go; jenkinsci/docker-workflow-plugin, WithContainerStep.java.
"""

from __future__ import annotations

import os
import sys

# The folders of the image's PATH. That of the environment may name a folder of the user's checkout.
_PROGRAM_FOLDERS = ("/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# A program of the image with the name of a command of ours is not started. `autonoma_ci.cli` takes long to import.
_COMMANDS = frozenset({"run", "wait", "list", "init", "validate", "report", "schema", "sandbox", "demo"})
# Who types `test` means `run`. The shell's program of that name would pass, and nothing would have run.
_WRONG_COMMANDS = frozenset({"test", "["})


def main(arguments: list[str]) -> None:
    """Hand over if the first argument is another program, or run autonoma-ci."""
    if arguments and _may_start_program() and (program := _find_program(arguments[0])):
        _hand_over(program, arguments)
    # Handles signals first: PID 1 ignores those that it has no handler for.
    from autonoma_ci.__main__ import main as run

    run()


def _may_start_program() -> bool:
    """Return whether the arguments may name another program.

    They may in the ENTRYPOINT, and not in a script: `autonoma-ci true` is a wrong command. The input `args` of the
    GitHub action names commands of autonoma-ci alone, and act hands it to the container as arguments.
    """
    return os.path.basename(sys.argv[0]) == "entrypoint.py" and not os.environ.get("INPUT_ARGS")  # noqa: PTH119 - pathlib is slow to import


def _find_program(name: str) -> str | None:
    """Return the path of another program, or None if the name is for autonoma-ci."""
    if name.startswith("/"):
        return name
    # A relative path would be looked up in the user's checkout.
    if "/" in name or name in _COMMANDS | _WRONG_COMMANDS:
        return None
    paths = (f"{folder}/{name}" for folder in _PROGRAM_FOLDERS)
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)  # noqa: PTH113 - pathlib is slow to import


def _hand_over(program: str, arguments: list[str]) -> None:
    import signal

    # Python ignores these two, and a program started by exec would inherit that: `yes | head` would go wrong.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program, arguments)  # noqa: S606 - the program that was asked for
    except OSError as error:
        sys.stderr.write(f"autonoma-ci: {program} can't be started: {error.strerror}\n")
        # What a shell says of a command that is not there, and of one that it may not run.
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(sys.argv[1:])
