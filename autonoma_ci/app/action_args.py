"""The input `args` of the GitHub action, which selects another command.

Source: github.com/actions/runner, src/Runner.Worker/Handlers/ContainerActionHandler.cs and ActionManifestManager.cs;
github.com/nektos/act, pkg/runner/action.go, which Gitea and Forgejo use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.detection import WITH_ACTIONS, detect
from autonoma_ci.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGS_INPUT = "args"
ARGS_ENV_VAR = "INPUT_ARGS"
# In characters. The time to split an argument grows with the square of its length: 0.2 s for this one.
_MAX_ARGS_CHARS = 100_000
# People copy the complete line of a shell.
_PROGRAM_NAME = "autonoma-ci"


def parse_action_args(environ: Mapping[str, str]) -> list[str]:
    """Return the arguments in the input `args` of an action.

    GitHub's runner passes the input only as a variable, because `runs.args` in action.yml is an empty list. act, and
    GitHub with `uses: docker://…`, pass it as arguments of the container too. So the command line has priority, and the
    input is used only if there are no arguments.

    Raises:
        InputError: A quote is not closed, the text is too long, the first argument is `autonoma-ci`, or AUTONOMA_CI
            names no CI system.

    """
    text = environ.get(ARGS_ENV_VAR, "")
    if not text.strip():
        return []
    # Elsewhere the variable belongs to another program.
    if detect(environ).name not in WITH_ACTIONS:
        return []
    if len(text) > _MAX_ARGS_CHARS:
        raise InputError(
            [f"{ARGS_INPUT}: longer than {_MAX_ARGS_CHARS:,} characters. Put long values into a manifest."]
        )
    import shlex

    try:
        arguments = shlex.split(text)
    except ValueError:
        # The text can contain a credential, so it is not shown.
        reason = "missing closing quote, or a backslash at the end"
        raise InputError([f"{ARGS_INPUT}: {reason}. Quote a word as 'a b', or write \\' for a quote."]) from None
    if arguments[:1] == [_PROGRAM_NAME]:
        raise InputError(
            [f"{ARGS_INPUT}: remove {_PROGRAM_NAME} at the beginning. Begin with a command, such as wait RESULTS."]
        )
    return arguments
