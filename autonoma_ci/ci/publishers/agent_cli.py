"""A CI system's own program on the agent, where that is how later steps get to know anything.

It is looked for in absolute folders of PATH outside of the checkout, and gets none of our inputs.
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

# Of one call: all of them talk to an agent on the same machine, or to the CI system's own server.
_CALL_TIMEOUT_SECONDS = 10.0
# Of all calls of one step.
MAX_TOTAL_SECONDS = 60.0
# In bytes: longer than anything that this package has stored there.
_MAX_OUTPUT_BYTES = 10_000
_OWN_VARIABLE_PREFIXES = ("AUTONOMA_", "INPUT_")
_instances: WeakSet[AgentCli] = WeakSet()


class AgentCli:
    """A program that was found, and the variables that it is given.

    From the first call on there are 60 seconds in all.
    """

    def __init__(self, path: str, environ: Mapping[str, str], clock: Clock) -> None:
        self._path, self._environ, self._clock = path, environ, clock
        self._deadline: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        _instances.add(self)

    def stop(self) -> None:
        """Kill it if it runs, and start it no more."""
        self._is_stopped = True
        if self._process:
            self._process.kill()

    def _was_stopped(self) -> bool:
        # Another thread may set it at any time.
        return self._is_stopped

    def run(self, arguments: Sequence[str], input_text: str = "") -> str:
        """Run it with `text` as its input; return why it failed, or an empty text."""
        failure, _ = self._run(arguments, input_text, capture_output=False)
        return failure

    def read(self, arguments: Sequence[str]) -> str | None:
        """Run it and return what it printed, or None if it failed or printed too much."""
        failure, output = self._run(arguments, "", capture_output=True)
        return None if failure or len(output) > _MAX_OUTPUT_BYTES else output.decode("utf-8", "replace").strip()

    def _run(self, arguments: Sequence[str], input_text: str, *, capture_output: bool) -> tuple[str, bytes]:
        # Loaded only where there is a program.
        import subprocess

        name = os.path.basename(self._path)  # noqa: PTH119 - a text, not a file
        now = self._clock.monotonic()
        self._deadline = self._deadline or now + MAX_TOTAL_SECONDS
        if now >= self._deadline:
            return f"all calls of {name} took longer than {MAX_TOTAL_SECONDS:.0f} s", b""
        timeout_seconds = min(_CALL_TIMEOUT_SECONDS, self._deadline - now)
        stop_message = f"{name} was stopped"
        if self._was_stopped():
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
                    # `stop` may have been called before there was a process.
                    output, _ = process.communicate(
                        input_text.encode("utf-8", "replace"), timeout=0.0 if self._was_stopped() else timeout_seconds
                    )
                finally:
                    # The end of `with` waits for the program, whatever went wrong before.
                    process.kill()
        except (OSError, ValueError) as error:
            return f"{name} can't be started ({getattr(error, 'strerror', None) or 'bad argument'})", b""
        except subprocess.TimeoutExpired:
            return stop_message if self._was_stopped() else f"{name} did not end within {timeout_seconds:.0f} s", b""
        failure = f"{name} failed with exit code {process.returncode}" if process.returncode else ""
        return stop_message if self._was_stopped() else failure, output or b""


def stop_agent_clis() -> None:
    """Kill what runs of all programs that were found, as none of them may outlive the step."""
    for program in list(_instances):
        program.stop()


def find_trusted_executable(name: str, target: PublishContext) -> AgentCli | None:
    """Return the program of that name, or None where there is none to be trusted."""
    try:
        checkout = Path(os.path.realpath(target.working_directory))
    except FileNotFoundError:
        # The working directory was removed, so it is unknown which programs are outside of it.
        return None
    filename = f"{name}.exe" if os.name == "nt" else name
    for folder in target.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder, filename)
        is_trusted = path.is_absolute() and not Path(os.path.realpath(path)).is_relative_to(checkout)
        # Unlike Path's own, this one passes over a folder that may not be looked into.
        if is_trusted and os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            environ = {
                key: value for key, value in target.environ.items() if not key.startswith(_OWN_VARIABLE_PREFIXES)
            }
            return AgentCli(str(path), environ, target.clock)
    return None
