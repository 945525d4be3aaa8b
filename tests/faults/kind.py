"""Describe a kind of failure, its phases and its expected result."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.faults.scene import Scene
    from tests.support.fault_server import Act

    # Deals with one request, given what would be right.
    Deed: TypeAlias = "Callable[[Scene, Act], Act]"
    Greeting: TypeAlias = "Callable[[Scene], Act]"


class Phase(StrEnum):
    """What the job is doing when something goes wrong; the values are the table's headings."""

    START = "start"
    BRIEFLY = "wait, for a moment"
    WAIT = "wait"
    DETAILS = "details"
    EVIDENCE = "evidence"
    REPORT = "report"
    COMMENT = "comment"
    THROUGHOUT = "throughout"


# Where requests are sent, and where files are written: the comment comes when all of them are.
HTTP = (Phase.START, Phase.BRIEFLY, Phase.WAIT, Phase.DETAILS, Phase.EVIDENCE, Phase.COMMENT)
WRITING = (Phase.START, Phase.WAIT, Phase.DETAILS, Phase.EVIDENCE, Phase.REPORT)
ALONG = (*WRITING, Phase.COMMENT)
# The exit code if all goes as it should: one of the three tests fails.
AS_USUAL = 1
# Seconds after which a job is ended, however busy the machine is with others. It has 30 s to wait in all, and the same
# for starts.
_LONGEST = 180.0
# Seconds that a request may take. A busy machine answers within the first. Where the answer never comes or never ends,
# the job waits for the second.
_ANSWERED, UNANSWERED = 20.0, 3.0
# Seconds for which the questions for a run may go wrong: more than a failure that is over after a moment takes on a
# busy machine, and little where it lasts.
_UNTIL_OVER, _WHILE_IT_LASTS = 20.0, 2.0


def nothing(*_: object) -> None:
    """Leave everything as it is."""


def unchanged(_: Scene) -> dict[str, str]:
    """Leave the environment as it is."""
    return {}


def given(changes: Mapping[str, str]) -> Callable[[Scene], dict[str, str]]:
    """Return what changes these variables; `{folder}`, `{api}` and `{forge}` in a value are the scene's, and ports."""

    def prepare(scene: Scene) -> dict[str, str]:
        known = {"folder": scene.folder, "api": scene.api.port, "forge": scene.forge.port}
        return {name: text.format(**known) for name, text in changes.items()}

    return prepare


@dataclass(frozen=True)
class Kind:
    """One kind of failure; `codes` are the exit codes that are not as usual.

    `exchange` deals with one request, `greeting` with a connection, `tunnel` with what goes through the proxy; `arm`
    and `relent` begin and end what is none of these. `before` says that it is there when the phase's first connection
    is made. `prepare` changes files, and returns what it changes of the environment.
    """

    group: str
    name: str
    codes: Mapping[Phase, int] = field(default_factory=dict)
    phases: tuple[Phase, ...] = HTTP
    exchange: Deed | None = None
    greeting: Greeting | None = None
    tunnel: Greeting | None = None
    arm: Callable[[Scene], None] = nothing
    relent: Callable[[Scene], None] = nothing
    before: bool = False
    prepare: Callable[[Scene], Mapping[str, str]] = unchanged
    # What the log says because of it.
    says: str = ""
    # Servers that have a name and a certificate, perhaps of an authority that the job does not know; and a proxy.
    named: bool = False
    stranger: bool = False
    proxied: bool = False
    # Servers that keep no connection, so that each request needs a new one; and where they listen.
    closing: bool = False
    address: str = "127.0.0.1"
    # How often a whole start of the one test may arrive: more than once only where the server said that it did not act.
    posts: int = 1
    # Whether the server says of a start that arrived that nothing came of it.
    declines: bool = False
    # Whether it takes the answers to all starts, and not to that of the one test alone.
    takes_all: bool = False
    # Whether only the first connection of the phase goes wrong, so that nothing may be missing at the end.
    once: bool = False
    # Whether something is wrong with the input, so that the API may not be asked for anything.
    refused: bool = False
    # Whether it ends the process, which then tells no more than it had told a second before.
    kills: bool = False
    # What can't hold the news of the runs any more: log, outputs, summary, record. Whatever is there must be whole.
    lost: tuple[str, ...] = ()
    longest: float = _LONGEST
    # How long a request may take.
    seconds: float = _ANSWERED

    def limits(self, phase: Phase) -> dict[str, str]:
        """Return the limits of the job's process, as its environment has them."""
        patience = _UNTIL_OVER if phase is Phase.BRIEFLY else _WHILE_IT_LASTS
        return {"JOB_SECONDS": str(self.seconds), "JOB_PATIENCE": str(patience)}
