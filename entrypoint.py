#!/opt/autonoma-ci/bin/python -I
"""Entrypoint of the container image.

It is also the image's command `autonoma-ci`. CI systems pass different arguments to the image:

- GitHub passes the arguments of the action, or none.
- GitLab passes `sh -c …`.
- Jenkins passes `cat`.
- Azure Pipelines passes the absolute path of its own Node.js.
- Others pass `sleep`, `tail` or `env`.

This script starts these programs, so users need no `entrypoint: [""]`.

Source: microsoft/azure-pipelines-agent, src/Agent.Worker/ContainerOperationProvider.cs; gitlab-org/gitlab-runner,
shells/bash.go; jenkinsci/docker-workflow-plugin, WithContainerStep.java.
"""

from __future__ import annotations

import os
import sys

# The directories of the image's own PATH. The PATH of the environment may name a directory of the user's checkout.
_PROGRAM_FOLDERS = ("/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# The commands of autonoma-ci, which have priority over programs of the same name. They are repeated here, because the
# import of `autonoma_ci.cli` is slow.
_COMMANDS = frozenset({"run", "wait", "list", "init", "validate", "report", "schema", "sandbox", "demo"})
# A user who types `test` means `run`. The program `test` would succeed without running any test.
_BLOCKED_PROGRAMS = frozenset({"test", "["})


def main(arguments: list[str]) -> None:
    """Start the program in the first argument, or run autonoma-ci."""
    if arguments and _may_start_program() and (program := _find_program(arguments[0])):
        _replace_process(program, arguments)
    # This module sets handlers of signals first, because PID 1 ignores signals without a handler.
    from autonoma_ci.__main__ import main as run_cli

    run_cli()


def _may_start_program() -> bool:
    """Return whether the first argument can name another program.

    It can if the container starts this script as its entrypoint. In a script, `autonoma-ci true` is a wrong command.
    The input `args` of the GitHub action names only commands of autonoma-ci, but act passes it to the entrypoint.
    """
    return os.path.basename(sys.argv[0]) == "entrypoint.py" and not os.environ.get("INPUT_ARGS")  # noqa: PTH119 - pathlib is slow to import


def _find_program(name: str) -> str | None:
    """Return the path of another program, or None for autonoma-ci."""
    if name.startswith("/"):
        return name
    # A relative path is relative to the user's checkout, so it is never a program.
    if "/" in name or name in _COMMANDS | _BLOCKED_PROGRAMS:
        return None
    paths = (f"{folder}/{name}" for folder in _PROGRAM_FOLDERS)
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)  # noqa: PTH113 - pathlib is slow to import


def _replace_process(program: str, arguments: list[str]) -> None:
    """Replace this process by another program."""
    import signal

    # Python ignores these two signals. The program would inherit this, and `yes | head` would fail.
    for signal_number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(signal_number, signal.SIG_DFL)
    try:
        os.execv(program, arguments)  # noqa: S606 - the program that the user named
    except OSError as error:
        sys.stderr.write(f"autonoma-ci: {program} could not be started: {error.strerror}\n")
        # The exit codes of a shell for a missing command and for one that it can't execute.
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(sys.argv[1:])
