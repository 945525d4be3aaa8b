"""What a command is given of the world outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from autonoma_ci.api.models import Timeouts
from autonoma_ci.clock import Clock
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.signals import SignalHandler
from autonoma_ci.engine.starter import StartPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


class Runtime:
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
        policy: StartPolicy | None = None,
        waiting: PollPolicy | None = None,
    ) -> None:
        self.environ, self.out, self.err, self.working_directory = environ, out, err, folder
        self.stdin = stdin
        self.install_signal_handlers = takes_signals
        self.clock = clock or Clock()
        self.timeouts = timeouts or Timeouts()
        self.policy = policy or StartPolicy()
        self.waiting = waiting or PollPolicy()
        self.interrupts = SignalHandler()

    def with_environment(self, environ: Mapping[str, str], folder: str) -> Runtime:
        """Return the same world with another environment and working directory."""
        world = Runtime(environ, self.out, self.err, folder, stdin=self.stdin, clock=self.clock, timeouts=self.timeouts)
        world.policy, world.waiting = self.policy, self.waiting
        world.interrupts = self.interrupts
        return world
