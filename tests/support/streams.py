"""Processes with closed, full or stalled streams."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.architecture.package import ROOT

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]
# The atomic write size of a pipe, in bytes.
_FILLER = b"." * 4096


def fill_stream(writer: int) -> None:
    """Write to a pipe or terminal until it is full."""
    os.set_blocking(writer, False)
    # A terminal moves the data to another buffer a moment later.
    for _ in range(5):
        with suppress(BlockingIOError):
            while True:
                os.write(writer, _FILLER)
        time.sleep(0.05)
    os.set_blocking(writer, True)


class StalledPipe:
    """A full pipe. Writing to it blocks until `read` empties it.

    Give `writer` as the standard output or error of a process, then call `close_writer`.
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fill_stream(self.writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_writer()
        os.close(self.reader)

    def close_writer(self) -> None:
        """Close our copy of the end that the process writes to."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def read(self) -> str:
        """Return all data until the process ends or closes its end."""
        self.close_writer()
        parts = []
        while part := os.read(self.reader, 65536):
            parts.append(part)
        return b"".join(parts).lstrip(_FILLER[:1]).decode("utf-8")


def read_terminal(fd: int) -> bytes:
    """Return all data of a pseudo-terminal until its other end is closed."""
    output = b""
    # Linux then fails the read (EIO, termios(3)).
    with suppress(OSError):
        while part := os.read(fd, 65536):
            output += part
    os.close(fd)
    return output


def process_environ(**variables: str) -> dict[str, str]:
    """Return an environment in which a process finds our modules."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}


def close_descriptors(command: Sequence[str], *numbers: int) -> list[str]:
    """Return a command line that starts `command` with closed descriptors."""
    # A shell would drop variables with a hyphen in their name, such as INPUT_CLIENT-ID.
    code = (
        "import os, sys\nfor number in sys.argv[1].split(): os.close(int(number))\nos.execv(sys.argv[2], sys.argv[2:])"
    )
    return [sys.executable, "-c", code, " ".join(map(str, numbers)), *command]


def start_process(
    folder: Path,
    *argv: str,
    environ: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    closed_descriptors: Sequence[int] = (),
    command: Sequence[str] = COMMAND,
) -> subprocess.Popen[str]:
    """Start the command in a folder, with an empty standard input.

    Args:
        folder: the working directory.
        *argv: the arguments.
        environ: more variables.
        stdout: where standard output goes, as in Popen.
        stderr: where standard error goes, as in Popen.
        closed_descriptors: file descriptors that are closed in the process.
        command: the command line of the program.
    """
    full_command = (
        close_descriptors([*command, *argv], *closed_descriptors) if closed_descriptors else [*command, *argv]
    )
    env = process_environ(**(environ or {}))
    return subprocess.Popen(
        full_command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True
    )


def has_signal_handler(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    caught = int(re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)[1], 16)  # type: ignore[index]
    return bool(caught >> (number - 1) & 1)
