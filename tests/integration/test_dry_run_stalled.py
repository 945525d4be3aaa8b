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

# In seconds, for a busy machine. A process that waits for the reader would never end.
STOPPED = 30.0
# In bytes. Of each of its 16 pages, a pipe of Linux leaves what the next line has no room in.
FULL = 16 * (4096 - 128)
MANIFEST = "tests:\n" + "".join(f"  - test-with-a-name-of-its-own-{number}\n" for number in range(5000))


def unread(reader: int) -> int:
    """Return how many bytes a pipe holds."""
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
        while unread(reader) < FULL:
            assert process.poll() is None
            time.sleep(0.01)
        # For the last lines, after which it waits for the reader.
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPPED) == 143
    finally:
        process.kill()
        process.communicate()
        os.close(reader)
