"""GitHub's workflow commands, which Gitea's and Forgejo's runners read too.

Source: GitHub's documentation, "Workflow commands", and its runner's parser.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.system import MASK_LIMIT
from autonoma_ci.text import command_data, command_property

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.system import Section
    from autonoma_ci.errors import Problem


class Commands:
    """Lines that begin with `::name`; their data is escaped so that they hold one command and no more."""

    def mask(self, value: str) -> tuple[str, ...]:
        """Return the command that hides a value in the log, the summary and the annotations."""
        escaped = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        return (f"::add-mask::{escaped}",) if len(value) >= MASK_LIMIT else ()

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the command that opens a group."""
        return (f"::group::{command_data(section.title, 200)}",)

    def end_group(self, section: Section) -> tuple[str, ...]:  # noqa: ARG002 - groups are not nested
        """Return the command that closes it."""
        return ("::endgroup::",)

    def issue(self, level: str, problem: Problem, title: str = "") -> str:
        """Return an annotation, at the problem's place in the file if it has one; 4096 characters are kept."""
        places = {
            "file": problem.in_checkout or problem.file,
            "line": problem.line,
            "col": problem.column,
            "title": title,
        }
        properties = ",".join(f"{name}={command_property(str(value))}" for name, value in places.items() if value)
        # The log shows the text alone, so the place stands in it too.
        return f"::{level}{' ' if properties else ''}{properties}::{command_data(str(problem))}"


COMMANDS = Commands()


def path_in_checkout(environ: Mapping[str, str], folder: str, file: str) -> str:
    """Return the path of a file from the root of the checkout; as it is if it lies outside.

    GitHub shows an annotation in the diff by this path, wherever the step works.
    Source: GitHub's documentation, "Setting a warning message", and "working-directory".

    Args:
        environ: The environment, which names the root.
        folder: The working directory.
        file: The path as the user wrote it, from the working directory.
    """
    root = environ.get("GITHUB_WORKSPACE", "")
    if not root:
        return file
    try:
        path = Path(os.path.relpath(Path(folder).resolve() / file, Path(root).resolve()))
    except (OSError, ValueError, RuntimeError):
        return file
    return file if path.parts[:1] == ("..",) else path.as_posix()
