"""What a CI system is to the rest of the house: its context, its own tokens, and how it is spoken to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from autonoma_ci.ci.plain import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.errors import Problem
    from autonoma_ci.model import Context, Report
    from autonoma_ci.spans import Shard


class Dialect(Protocol):
    """How log lines get a meaning in one CI system; every method returns whole, safe lines."""

    def mask(self, value: str) -> Sequence[str]:
        """Return the lines that ask the system to hide `value` from now on; none if it has no such thing."""

    def group(self, title: str) -> Sequence[str]:
        """Return the lines that open a log group."""

    def end_group(self) -> Sequence[str]:
        """Return the lines that close it."""

    def issue(self, level: str, problem: Problem, title: str = "") -> str:
        """Return one line that reports a problem; `level` is error, warning or notice."""


class Publisher(Protocol):
    """Writes a report to where one CI system looks for it."""

    def publish(self, report: Report) -> Sequence[str]:
        """Write the report anew, whole, and return what could not be written, one warning each."""


class System(NamedTuple):
    """One CI system.

    `context` reads the build's facts from the environment and never fails. `tokens` are the names, or
    shell patterns of names, of variables in which the system keeps credentials of its own: a manifest
    can't name them. `publisher` takes the environment and whether a summary is wanted, and
    makes the native outputs and summary; None where files and a readable log are all there is.
    `parallel` tells which of how many parallel jobs this one is, or None if that makes no sense; it is
    None itself where the system does not say.
    """

    context: Callable[[Mapping[str, str]], Context]
    tokens: tuple[str, ...] = ()
    dialect: Dialect = PLAIN
    publisher: Callable[[Mapping[str, str], bool], Publisher] | None = None
    parallel: Callable[[Mapping[str, str]], Shard | None] | None = None
