"""A program of a CI agent that records its calls."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_program(folder: Path, name: str, code: int = 0) -> Path:
    """Write a program that records its calls, and return the path of its log.

    The log has one line per call. Files beside it have all standard input (`.in`) and the environment (`.env`).
    """
    folder.mkdir(exist_ok=True)
    calls = folder / "calls"
    script = folder / name
    log_path = shlex.quote(str(calls))
    script.write_text(
        f'#!/bin/bash\nprintf "%s\\n" "$*" >> {log_path}\ncat >> {log_path}.in\nenv >> {log_path}.env\nexit {code}\n',
        "utf-8",
    )
    script.chmod(0o755)
    return calls
