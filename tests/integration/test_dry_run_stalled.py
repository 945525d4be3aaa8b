"""Signals during a dry run whose output is not read."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.streams import start_process

if TYPE_CHECKING:
    from pathlib import Path

# Long because of busy machines. A process that waits for the reader would never end.
MAX_STOP_SECONDS = 30.0
# A Linux pipe has 16 pages of 4096 bytes. A line that does not fit leaves the rest of a page empty.
FULL_PIPE_BYTES = 16 * (4096 - 128)
MANIFEST = "tests:\n" + "".join(f"  - test-with-a-name-of-its-own-{number}\n" for number in range(5000))


def count_unread_bytes(reader: int) -> int:
    """Return the number of unread bytes in a pipe."""
    (count,) = struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4))
    return int(count)


@pytest.mark.slow
@pytest.mark.parametrize("system", ["gitlab", "github", "teamcity", "travis"])
def test_dry_run_with_stalled_reader_ends(system: str, tmp_path: Path) -> None:
    """One SIGTERM ends the process while its output is blocked."""
    reader, writer = os.pipe()
    (tmp_path / "autonoma.yml").write_text(MANIFEST, "utf-8")
    process = start_process(tmp_path, "--dry-run", environ={"AUTONOMA_CI": system}, stdout=writer)
    os.close(writer)
    try:
        while count_unread_bytes(reader) < FULL_PIPE_BYTES:
            assert process.poll() is None
            time.sleep(0.01)
        # The process writes its last lines and then waits for the reader.
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(MAX_STOP_SECONDS) == 143
    finally:
        process.kill()
        process.communicate()
        os.close(reader)
