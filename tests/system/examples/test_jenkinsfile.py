"""Jenkinsfiles of examples and documentation, parsed by a Groovy linter."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.documented_code import BLOCKS, CodeBlock
from tests.support.generate_docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.linters
LINTER = ROOT / "tests" / "system" / "linters" / "node_modules" / ".bin" / "npm-groovy-lint"


def find_errors(folder: Path) -> list[dict[str, Any]]:
    """Return the errors that the linter finds in the Jenkinsfile of a folder."""
    command = [str(LINTER), "--noserver", "--failon=none", "--output=json", f"--path={folder}", "--files=Jenkinsfile"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    report = json.loads(result.stdout[result.stdout.index("{") :])
    assert report["summary"]["totalFilesLinted"] == 1
    errors = [error for file in report["files"].values() for error in file["errors"]]
    return [error for error in errors if error["severity"] == "error"]


def test_jenkinsfile_parses(tmp_path: Path) -> None:
    """The parser finds no error in the example."""
    shutil.copy(ROOT / "examples" / "Jenkinsfile", tmp_path)
    assert find_errors(tmp_path) == []


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.title == "Jenkinsfile"], ids=lambda block: f"{block.page}:{block.line}"
)
def test_documented_jenkinsfile_parses(block: CodeBlock, tmp_path: Path) -> None:
    """The parser finds no error in a pipeline of the documentation."""
    (tmp_path / "Jenkinsfile").write_text(block.code, "utf-8")
    assert find_errors(tmp_path) == []


def test_check_finds_broken_jenkinsfile(tmp_path: Path) -> None:
    """The parser detects an open quote."""
    text = (ROOT / "examples" / "Jenkinsfile").read_text("utf-8")
    (tmp_path / "Jenkinsfile").write_text(text.replace("sh 'autonoma-ci run'", "sh 'autonoma-ci run"), "utf-8")
    assert [error["rule"] for error in find_errors(tmp_path)] == ["NglParseError"]
