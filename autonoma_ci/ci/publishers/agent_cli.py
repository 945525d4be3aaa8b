"""Find and run the command line program of a CI agent.

In some systems, only such a program passes values to later steps. An example is `buildkite-agent`. A program is trusted
only if its folder in PATH is absolute and outside of the checkout. It does not get the variables AUTONOMA_* and
INPUT_*.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext
    from autonoma_ci.clock import Clock

# One call reaches an agent on the same machine or the server of the CI system.
_CALL_TIMEOUT_SECONDS = 10.0
# For all calls of one job step.
MAX_TOTAL_SECONDS = 60.0
# Longer than any value that this package stores.
_MAX_OUTPUT_BYTES = 10_000
_OWN_VARIABLE_PREFIXES = ("AUTONOMA_", "INPUT_")
_created_clis: WeakSet[AgentCli] = WeakSet()


class AgentCli:
    """A trusted program of the CI agent, with its environment.

    From the first call on, all calls have 60 seconds in total.

    Args:
        path: Absolute path of the program.
        environ: The environment of the program.
        clock: The clock of the timeouts.
    """

    def __init__(self, path: str, environ: Mapping[str, str], clock: Clock) -> None:
        self._path, self._environ, self._clock = path, environ, clock
        self._deadline: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        _created_clis.add(self)

    def stop(self) -> None:
        """Kill the running process and prevent further calls."""
        self._is_stopped = True
        if self._process:
            self._process.kill()

    def _stop_requested(self) -> bool:
        # Another thread may set the flag at any time, so a caller must read it again each time.
        return self._is_stopped

    def run(self, arguments: Sequence[str], input_text: str = "") -> str | None:
        """Run the program and return the reason of a failure, or None.

        Args:
            arguments: The arguments of the program.
            input_text: The text for standard input.
        """
        failure, _ = self._run(arguments, input_text, capture_output=False)
        return failure

    def read(self, arguments: Sequence[str]) -> str | None:
        """Run the program and return its output.

        Returns None if the program failed or the output has more than 10,000 bytes.
        """
        failure, output = self._run(arguments, "", capture_output=True)
        return None if failure or len(output) > _MAX_OUTPUT_BYTES else output.decode("utf-8", "replace").strip()

    def _run(self, arguments: Sequence[str], input_text: str, *, capture_output: bool) -> tuple[str | None, bytes]:
        """Run the program, and return the reason of a failure or None, and the output."""
        # The import is local, because only some CI systems have a program.
        import subprocess

        name = os.path.basename(self._path)  # noqa: PTH119 - a text, not a file
        now = self._clock.monotonic()
        self._deadline = self._deadline or now + MAX_TOTAL_SECONDS
        if now >= self._deadline:
            return f"all calls of {name} took longer than {MAX_TOTAL_SECONDS:.0f} s", b""
        timeout_seconds = min(_CALL_TIMEOUT_SECONDS, self._deadline - now)
        stop_message = f"{name} was stopped"
        if self._stop_requested():
            return stop_message, b""
        try:
            with subprocess.Popen(  # noqa: S603 - an absolute path, and no shell
                [self._path, *arguments],
                env=dict(self._environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if capture_output else subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as process:
                self._process = process
                try:
                    # `stop` may have been called before the process existed.
                    output, _ = process.communicate(
                        input_text.encode("utf-8", "replace"),
                        timeout=0.0 if self._stop_requested() else timeout_seconds,
                    )
                finally:
                    # The end of `with` waits for the process, even after an error.
                    process.kill()
        except (OSError, ValueError) as error:
            return f"{name} could not be started ({getattr(error, 'strerror', None) or 'invalid argument'})", b""
        except subprocess.TimeoutExpired:
            return stop_message if self._stop_requested() else f"{name} did not end within {timeout_seconds:.0f} s", b""
        failure = f"{name} failed with exit code {process.returncode}" if process.returncode else None
        return stop_message if self._stop_requested() else failure, output or b""


def stop_agent_clis() -> None:
    """Stop all programs, because no process may outlive the job step."""
    for agent_cli in list(_created_clis):
        agent_cli.stop()


def _leads_through(path: Path, folder: Path) -> bool:
    """Return whether a path or a link of it is within a folder.

    A link of the checkout can name any program, such as a shell that then runs a file of the checkout.
    """
    entries = [Path(os.path.realpath(entry.parent), entry.name) for entry in (path, *path.parents)]
    return any(entry.is_relative_to(folder) for entry in (*entries, Path(os.path.realpath(path))))


def find_trusted_executable(name: str, context: PublishContext) -> AgentCli | None:
    """Return the trusted program of this name, or None.

    Args:
        name: The name of the program, without `.exe`.
        context: Provides PATH and the working directory.
    """
    try:
        checkout = Path(os.path.realpath(context.working_directory))
    except FileNotFoundError:
        # The working directory was removed, so no program is known to be outside of it.
        return None
    filename = f"{name}.exe" if os.name == "nt" else name
    for folder in context.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder, filename)
        is_trusted = path.is_absolute() and not _leads_through(path, checkout)
        # Unlike `Path.is_file`, `os.path.isfile` returns False for a folder without permission.
        if is_trusted and os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            environ = {
                key: value for key, value in context.environ.items() if not key.startswith(_OWN_VARIABLE_PREFIXES)
            }
            return AgentCli(str(path), environ, context.clock)
    return None
