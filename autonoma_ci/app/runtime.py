"""The environment, streams, clock and signals of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from autonoma_ci.api.models import Timeouts
from autonoma_ci.clock import Clock
from autonoma_ci.engine.signals import SignalHandler
from autonoma_ci.engine.starter import StartPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.app.debug_log import DebugLog
    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.ci.base import LogFormatter
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.engine.poller import PollPolicy


class Runtime:
    """Everything that a command uses from outside the program.

    Commands receive it as an argument, so that no code below `cli` reads a global. Tests replace its parts.
    """

    def __init__(  # noqa: PLR0913 - one argument for each part that tests replace
        self,
        environ: Mapping[str, str],
        out: TextIO,
        err: TextIO,
        working_directory: str = ".",
        *,
        stdin: TextIO | None = None,
        called_as: str = "",
        install_signal_handlers: bool = False,
        clock: Clock | None = None,
        timeouts: Timeouts | None = None,
        start_policy: StartPolicy | None = None,
        poll_policy: PollPolicy | None = None,
    ) -> None:
        self.environ, self.out, self.err, self.working_directory = environ, out, err, working_directory
        self.stdin = stdin
        # The path with which the program was started, or an empty text.
        self.called_as = called_as
        self.install_signal_handlers = install_signal_handlers
        self.clock = clock or Clock()
        self.timeouts = timeouts or Timeouts()
        self.start_policy = start_policy or StartPolicy()
        # None for the default, so that a job step that does not wait imports no poller.
        self.poll_policy = poll_policy
        self.signals = SignalHandler()
        # None without the option `verbose`.
        self.debug_log: DebugLog | None = None

    def find_program(self) -> str:
        """Return the command that starts this program in a shell.

        That is its path if the program is not on PATH, for example in a virtual environment.
        """
        # Loaded only here, because most job steps do not print it.
        from pathlib import Path
        from shutil import which

        from autonoma_ci.fs.files import quote_for_shell

        name = "autonoma-ci"
        if Path(self.called_as).name != name or which(name, path=self.environ.get("PATH", "")):
            return name
        return quote_for_shell(self.called_as)

    def open_debug_log(self, settings: Settings, ci: CIEnvironment, stream: TextIO, formatter: LogFormatter) -> None:
        """Open the debug log if the option or the CI system requests it.

        Args:
            settings: The options. Their credentials and variables are redacted.
            ci: The CI system, which can run the job with debug logs.
            stream: The stream of the log.
            formatter: Formats lines for the CI system.

        """
        if not (settings.verbose or ci.ci_system.is_debugging(self.environ)):
            return
        # Loaded only here, because most job steps have no debug log.
        from autonoma_ci.app.debug_log import DebugLog, log_inputs

        self.debug_log = DebugLog(stream, formatter, [*settings.secrets, *settings.variables.values()], self.clock)
        self.debug_log.attach()
        log_inputs(settings, ci, self.environ)

    def with_environment(self, environ: Mapping[str, str], working_directory: str) -> Runtime:
        """Return a runtime with another environment and working directory."""
        other = Runtime(
            environ, self.out, self.err, working_directory, stdin=self.stdin, clock=self.clock, timeouts=self.timeouts
        )
        other.start_policy, other.poll_policy = self.start_policy, self.poll_policy
        other.signals, other.called_as = self.signals, self.called_as
        return other
