"""What a command is given of the world outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from autonoma_ci.api.models import Timeouts
from autonoma_ci.clock import Clock
from autonoma_ci.engine.poller import Waiting
from autonoma_ci.engine.signals import Interrupts
from autonoma_ci.engine.starter import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping


class World:
    """Environment, streams, folder, time and signals: arguments, so that nothing below reads a global."""

    def __init__(  # noqa: PLR0913 - what tests put in place of the real world
        self,
        environ: Mapping[str, str],
        out: TextIO,
        err: TextIO,
        folder: str = ".",
        *,
        stdin: TextIO | None = None,
        takes_signals: bool = False,
        clock: Clock | None = None,
        timeouts: Timeouts | None = None,
        policy: Policy | None = None,
        waiting: Waiting | None = None,
    ) -> None:
        self.environ, self.out, self.err, self.folder = environ, out, err, folder
        self.stdin = stdin
        self.takes_signals = takes_signals
        self.clock = clock or Clock()
        self.timeouts = timeouts or Timeouts()
        self.policy = policy or Policy()
        self.waiting = waiting or Waiting()
        self.interrupts = Interrupts()

    def elsewhere(self, environ: Mapping[str, str], folder: str) -> World:
        """Return the same world with another environment and working directory."""
        world = World(environ, self.out, self.err, folder, stdin=self.stdin, clock=self.clock, timeouts=self.timeouts)
        world.policy, world.waiting = self.policy, self.waiting
        world.interrupts = self.interrupts
        return world
