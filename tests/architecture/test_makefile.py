"""The commands of the Makefile."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.generate_docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (ROOT / "Makefile").read_text("utf-8")
TARGETS = " ".join(re.findall(r"^\.PHONY: (.+)$", TEXT, re.MULTILINE)).split()
# Files whose commands start with `make`.
CALLERS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.[my]*")),
    ROOT / ".ci" / "run",
]


def read_help(*argv: str) -> str:
    """Return what make prints with these arguments."""
    return subprocess.check_output(["make", *argv], cwd=ROOT, text=True)


def test_make_help_describes_each_target() -> None:
    """The help has one line for each command, with a capital at its start."""
    lines = re.findall(r"^  (\S+) +([A-Z].*)$", read_help("help"), re.MULTILINE)
    assert [name for name, _ in lines] == TARGETS
    assert len(TARGETS) == len(set(TARGETS))


def test_rules_of_commands_are_phony() -> None:
    """Each rule that makes no file is listed as .PHONY."""
    rules = re.findall(r"^([a-z][a-z-]*):(?!=)", TEXT, re.MULTILINE)
    assert set(rules) == set(TARGETS)


def test_make_without_target_prints_help() -> None:
    """The default goal is the help."""
    assert read_help() == read_help("help")


@pytest.mark.parametrize("file", CALLERS, ids=lambda file: str(file.relative_to(ROOT)))
def test_named_commands_exist(file: Path) -> None:
    """Each command that a document or workflow names is a target."""
    text = file.read_text("utf-8")
    commands = re.findall(r"(?:`|^ *(?:run: |step \".+\" )?)make (?:--\S+ )?([a-z][a-z-]*)", text, re.MULTILINE)
    assert [command for command in commands if command not in TARGETS] == []
