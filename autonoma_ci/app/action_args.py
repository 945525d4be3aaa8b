"""The input `args` of the GitHub action: another command, with its arguments.

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
# In characters. To split a word takes time that grows with the square of its length: 0.2 s for this one.
_MAX_LENGTH = 100_000
# People copy a whole line of a shell.
_PROGRAM = "autonoma-ci"


def parse_action_args(environ: Mapping[str, str]) -> list[str]:
    """Return the words of the input `args`; none outside of an action.

    GitHub's runner passes the input as a variable alone, because `runs.args` in action.yml is an empty list. act, and
    GitHub with `uses: docker://…`, pass it as arguments of the container as well. So arguments of the command line win,
    and the input counts only where there are none.

    Raises:
        InputError: A quote is not closed, the text is too long, the first word is the program's own name, or
            AUTONOMA_CI names no system.

    """
    text = environ.get(ARGS_ENV_VAR, "")
    if not text.strip():
        return []
    # Elsewhere the variable is of another program.
    if detect(environ).name not in WITH_ACTIONS:
        return []
    if len(text) > _MAX_LENGTH:
        raise InputError([f"{ARGS_INPUT}: longer than {_MAX_LENGTH:,} characters. Put long values into a manifest"])
    import shlex

    try:
        words = shlex.split(text)
    except ValueError:
        # The text may hold a credential, so it is not shown.
        why = "a quote is not closed, or it ends with a backslash"
        raise InputError([f"{ARGS_INPUT}: {why}. Quote a word as 'a b', or write \\' for a quote"]) from None
    if words[:1] == [_PROGRAM]:
        raise InputError(
            [f"{ARGS_INPUT}: remove {_PROGRAM} at the beginning. Begin with a command, such as wait RESULTS"]
        )
    return words
