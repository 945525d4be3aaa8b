"""The dialect of a system that gives log lines no meaning: words alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.text import log_line

if TYPE_CHECKING:
    from autonoma_ci.ci.system import Section
    from autonoma_ci.errors import Problem


class Plain:
    """Readable lines, and nothing that any system takes for a command."""

    def mask(self, value: str) -> tuple[str, ...]:  # noqa: ARG002 - printing a value to hide it would show it
        """Return nothing: there is no mask to ask for."""
        return ()

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the title as a heading."""
        return ("", log_line(section.title))

    def end_group(self, section: Section) -> tuple[str, ...]:  # noqa: ARG002 - as Dialect has it
        """Return nothing: the next heading ends the group."""
        return ()

    def issue(self, level: str, problem: Problem, title: str = "") -> str:
        """Return the problem as `Error: title: text`."""
        text = f"{title}: {problem}" if title else str(problem)
        return log_line(f"{level.capitalize()}: {text}")


PLAIN = Plain()
