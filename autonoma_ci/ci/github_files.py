"""GitHub's file commands: step outputs and the job summary.

Source: GitHub's documentation, "Workflow commands", and its runner's FileCommandManager: of an output that is set
twice, the last value counts. act's reader, which Gitea and Forgejo have, takes no empty line between outputs. Before
act 0.2.79 of July 2025, and for longer on Gitea and Forgejo, a line of 65,536 bytes or more lost all outputs of the
step, and could fail it (nektos/act, pkg/container/parse_env_file.go).
"""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import truthy
from autonoma_ci.ci.shared_file import SharedValues
from autonoma_ci.ci.summary_file import summary_file
from autonoma_ci.files import reason_of
from autonoma_ci.report.outputs import ARRAY_LIMIT, cut_arrays, outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.system import Publisher, Target
    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.model import Report

_summary = summary_file("GITHUB_STEP_SUMMARY")
# In characters of an array, which is one line in ASCII.
ACT_ARRAY_LIMIT = 60_000
_INSIDE = "another process has an open value, and the outputs may be a part of it"


class OutputFile:
    """Writes the outputs of the step to the runner's file.

    An array has at most `limit` characters.
    """

    def __init__(self, path: Path, clock: Clock, limit: int) -> None:
        self._values = SharedValues(path, clock, heredocs, is_in_heredoc)
        self._limit = limit

    def publish(self, report: Report) -> list[str]:
        """Write the outputs if it is time to; return what could not be written."""
        warnings = []
        try:
            if not self._values.write(report, partial(outputs, limit=self._limit)):
                warnings.append(f"GITHUB_OUTPUT: {_INSIDE}; the log has the links.")
        except (OSError, ValueError) as error:
            warnings.append(f"GITHUB_OUTPUT could not be written ({reason_of(error)}); the log has the links.")
        for name, count in cut_arrays(report, self._limit).items() if report.verdict else ():
            warnings.append(f"The output '{name}' holds the first {count} runs: the runner does not take a longer one.")
        return warnings


def heredocs(values: Mapping[str, str]) -> str:
    """Return outputs as the runner reads them: any text is taken for a value, whatever is in it.

    The delimiter is random, so that no text can end its own value and set another output. Raises ValueError
    if a value holds it all the same.
    """
    delimiter = f"autonoma_{secrets.token_hex(16)}"
    if any(delimiter in value for value in values.values()):
        raise ValueError("the delimiter occurs in a value")
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def is_in_heredoc(data: bytes) -> bool:
    """Return whether a file of outputs ends within a value, as the runner reads it."""
    lines = iter(data.split(b"\n"))
    for line in lines:
        name, arrows, delimiter = line.partition(b"<<")
        if arrows and b"=" not in name and not any(end == delimiter for end in lines):
            return True
    return False


def github_files(target: Target) -> Sequence[Publisher]:
    """Return the publishers for the files that the environment names."""
    # These runners behave like GitHub's, and may be taken for it by AUTONOMA_CI.
    is_act = any(truthy(target.environ, name) for name in ("ACT", "GITEA_ACTIONS", "FORGEJO_ACTIONS"))
    return act_files(target) if is_act else _files(target, ARRAY_LIMIT)


def act_files(target: Target) -> Sequence[Publisher]:
    """Return the same publishers for runners that are made of act."""
    return _files(target, ACT_ARRAY_LIMIT)


def _files(target: Target, limit: int) -> Sequence[Publisher]:
    output = target.environ.get("GITHUB_OUTPUT", "")
    return (*((OutputFile(Path(output), target.clock, limit),) if output else ()), *_summary(target))
