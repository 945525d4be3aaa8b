"""Variables for later steps, in a file that the CI system reads after the step.

Source: the documentation of each system that names such a file; its module says which.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.files import Tail, reason_of
from autonoma_ci.report.outputs import dotenv, variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.system import Target
    from autonoma_ci.model import Report


class VariableFile:
    """Keeps our lines at the end of the file, which others may have written to before."""

    def __init__(self, path: Path, text: Callable[[Report], str]) -> None:
        self._path, self._text = path, text
        self._tail: Tail | None = None

    def publish(self, report: Report) -> list[str]:
        """Write the variables anew; return what could not be written."""
        try:
            self._tail = self._tail or Tail(self._path)
            self._tail.write(self._text(report))
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            return [f"The variables for later steps could not be written ({reason}); the log has the links."]
        return []


def variable_file(
    name: str, text: Callable[[Report], str] = dotenv, within: str = ""
) -> Callable[[Target], tuple[VariableFile, ...]]:
    """Return what finds the file that the variable `name` names, or `within` the folder that it names."""

    def find(target: Target) -> tuple[VariableFile, ...]:
        path = target.environ.get(name, "")
        return (VariableFile(Path(path, within), text),) if path else ()

    return find


def exports(report: Report) -> str:
    """Return the variables as commands of a shell; no text can be anything but a value."""
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables(report).items())
