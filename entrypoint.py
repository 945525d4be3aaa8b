#!/opt/autonoma-ci/bin/python -I
"""Run autonoma-ci, or another program of the image.

This is the image's ENTRYPOINT and its command `autonoma-ci`. CI systems start the image in different ways. GitHub
passes the action's arguments or none, GitLab `sh -c …`, Jenkins `cat`, and Azure Pipelines the absolute path of its
own node. Others pass `sleep`, `tail` or `env`. Because this script starts these programs, users need no
`entrypoint: [""]`.

Source: microsoft/azure-pipelines-agent, src/Agent.Worker/ContainerOperationProvider.cs; gitlab-org/gitlab-runner,
shells/bash.go; jenkinsci/docker-workflow-plugin, WithContainerStep.java.
"""

from __future__ import annotations

import os
import sys

# The folders of the image's own PATH. The PATH of the environment may name a folder of the user's checkout.
_PROGRAM_FOLDERS = ("/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# The commands of autonoma-ci, which precede programs of the same name. Listed here, because importing
# `autonoma_ci.cli` is slow.
_COMMANDS = frozenset({"run", "wait", "list", "init", "validate", "report", "schema", "sandbox", "demo"})
# Users who type `test` mean `run`. The shell's program of that name would pass without running any test.
_WRONG_COMMANDS = frozenset({"test", "["})


def main(arguments: list[str]) -> None:
    """Start the program in the first argument, or run autonoma-ci."""
    if arguments and _may_start_program() and (program := _find_program(arguments[0])):
        _hand_over(program, arguments)
    # The imported module handles signals first, because PID 1 ignores signals without a handler.
    from autonoma_ci.__main__ import main as run

    run()


def _may_start_program() -> bool:
    """Return whether the first argument can name another program.

    It can in the ENTRYPOINT, but not in a script, where `autonoma-ci true` is a wrong command. The input `args` of the
    GitHub action can name only commands of autonoma-ci, and act passes it to the container as arguments.
    """
    return os.path.basename(sys.argv[0]) == "entrypoint.py" and not os.environ.get("INPUT_ARGS")  # noqa: PTH119 - pathlib is slow to import


def _find_program(name: str) -> str | None:
    """Return the path of another program, or None for autonoma-ci."""
    if name.startswith("/"):
        return name
    # A relative path would be looked up in the user's checkout.
    if "/" in name or name in _COMMANDS | _WRONG_COMMANDS:
        return None
    paths = (f"{folder}/{name}" for folder in _PROGRAM_FOLDERS)
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)  # noqa: PTH113 - pathlib is slow to import


def _hand_over(program: str, arguments: list[str]) -> None:
    """Replace this process by another program."""
    import signal

    # Python ignores these two signals. A program started by exec would inherit that, and `yes | head` would fail.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program, arguments)  # noqa: S606 - the program that the user named
    except OSError as error:
        sys.stderr.write(f"autonoma-ci: {program} can't be started: {error.strerror}\n")
        # The exit codes of a shell for a missing command and for one that it can't execute.
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(sys.argv[1:])
