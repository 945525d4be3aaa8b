"""GitHub's file commands: step outputs and the job summary.

Source: GitHub's documentation, "Workflow commands", and its runner's FileCommandManager: of an output that is set
twice, the last value counts. act's reader, which Gitea and Forgejo have, takes no empty line between outputs.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.shared_file import SharedValues
from autonoma_ci.ci.summary_file import summary_file
from autonoma_ci.files import reason_of
from autonoma_ci.report.outputs import held, outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.system import Publisher, Target
    from autonoma_ci.engine.clock import Clock
    from autonoma_ci.model import Report

_summary = summary_file("GITHUB_STEP_SUMMARY")
_INSIDE = "another process has an open value, and the outputs may be a part of it"


class OutputFile:
    """Publishes the outputs of the step to the file that the runner named."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._values = SharedValues(path, clock, heredocs, is_in_heredoc)

    def publish(self, report: Report) -> list[str]:
        """Write the outputs if it is time to; return what could not be written."""
        warnings = []
        try:
            if not self._values.write(report, outputs):
                warnings.append(f"GITHUB_OUTPUT: {_INSIDE}; the log has the links.")
        except (OSError, ValueError) as error:
            warnings.append(f"GITHUB_OUTPUT could not be written ({reason_of(error)}); the log has the links.")
        if report.verdict and (kept := held(report)) < len(report.outcomes):
            warnings.append(f"The output 'results' holds the first {kept} runs; a longer one would be refused.")
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
    output = target.environ.get("GITHUB_OUTPUT", "")
    return (*((OutputFile(Path(output), target.clock),) if output else ()), *_summary(target))
