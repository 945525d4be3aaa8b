"""GitHub's file commands: step outputs and the job summary.

Source: GitHub's documentation, "Workflow commands", and its runner's FileCommandManager.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.files import Tail, reason_of
from autonoma_ci.report.markdown import SIZE_LIMIT, summary
from autonoma_ci.report.outputs import held, outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.system import Target
    from autonoma_ci.model import Report


class GitHubFiles:
    """Writes the outputs and the summary to the files that the runner named; one that it did not name is left out."""

    def __init__(self, output: str, step_summary: str) -> None:
        self._tails: dict[str, Tail] = {}
        self._paths = {"GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": step_summary}

    def publish(self, report: Report) -> list[str]:
        """Write both anew; return what could not be written."""
        warnings = self._write("GITHUB_OUTPUT", lambda _: heredocs(outputs(report)))
        warnings += self._write("GITHUB_STEP_SUMMARY", lambda tail: summary(report, SIZE_LIMIT - tail.used))
        if self._paths["GITHUB_OUTPUT"] and report.verdict and (kept := held(report)) < len(report.outcomes):
            warnings.append(f"The output 'results' holds the first {kept} runs; a longer one would be refused.")
        return warnings

    def _write(self, name: str, text: Callable[[Tail], str]) -> list[str]:
        if not self._paths[name]:
            return []
        try:
            if name not in self._tails:
                self._tails[name] = Tail(Path(self._paths[name]))
            ours = text(self._tails[name])
            self._tails[name].write(ours)
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            return [f"{name} could not be written ({reason}); the log has the links."]
        return [] if ours else [f"{name} is full of what others have written; the log has the links."]


def heredocs(values: Mapping[str, str]) -> str:
    """Return outputs as the runner reads them: any text is taken for a value, whatever is in it.

    The delimiter is random, so that no text can end its own value and set another output. Raises ValueError
    if a value holds it all the same.
    """
    delimiter = f"autonoma_{secrets.token_hex(16)}"
    if any(delimiter in value for value in values.values()):
        raise ValueError("the delimiter occurs in a value")
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def github_files(target: Target) -> tuple[GitHubFiles]:
    """Return the publisher for the files that the environment names."""
    step_summary = target.environ.get("GITHUB_STEP_SUMMARY", "") if target.summary else ""
    return (GitHubFiles(target.environ.get("GITHUB_OUTPUT", ""), step_summary),)
