"""Warnings about unknown variables and inputs in the log of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.invoke_command import CREDENTIALS, invoke

if TYPE_CHECKING:
    from pathlib import Path


def test_hostile_name_is_escaped(tmp_path: Path) -> None:
    """A name can hold commands of a runner or a terminal."""
    environ = {"GITHUB_ACTIONS": "true", "INPUT_TEST-IDS": "a", "INPUT_X\n::error::Y\x1b[1m": "z"}
    result = invoke(tmp_path, "--dry-run", environ=environ)
    assert result.code == 0
    assert "\n::error::" not in result.output
    assert "\x1b" not in result.output


def test_run_and_wait_warn_of_unknown_names(tmp_path: Path) -> None:
    """The warning is in the log, and nothing else changes."""
    environ = {**CREDENTIALS, "AUTONOMA_TEST_ID": "a", "AUTONOMA_TEST_IDS": "b"}
    result = invoke(tmp_path, "--dry-run", environ=environ)
    warning = "Unknown variable: 'AUTONOMA_TEST_ID'. Did you mean 'AUTONOMA_TEST_IDS'?"
    assert (result.code, warning in result.out) == (0, True)
    assert warning in invoke(tmp_path, "wait", "nowhere.json", environ=environ).out
