"""The command `wait` with a record of ended runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from pathlib import Path


def run_and_wait(folder: Path, ids: str, *, first: bool = True) -> tuple[CommandResult, CommandResult]:
    """Run `run`, which waits if `first` is true, and then `wait`."""
    with Sandbox() as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url}
        more = {"AUTONOMA_RESULTS_DIR": "r", "AUTONOMA_WAIT": str(first).lower()}
        one = invoke(folder, "run", "--test-ids", ids, environ={**environ, **more})
        return one, invoke(folder, "wait", "r", environ=environ)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ids", "code", "told"),
    [
        ("sandbox-one", 0, "(passed, 1 of 1 run passed). Nothing is left to wait for; the API is asked once more"),
        ("sandbox-one,sandbox-fails", 1, "(failed, 1 of 2 runs passed). Nothing is left to wait for; the API"),
        ("sandbox-fails", 1, "(failed, 0 of 1 run passed). Nothing is left to wait for. To run the tests again:"),
        ("sandbox-404", 4, "(error, 0 of 1 run passed). Nothing is left to wait for. To run the tests again:"),
    ],
)
def test_wait_reports_finished_record(ids: str, code: int, told: str, tmp_path: Path) -> None:
    """The log states the earlier result, and the exit code stays."""
    first, second = run_and_wait(tmp_path, ids)
    assert (first.code, second.code) == (code, code)
    assert f"This step has ended already {told}" in second.out


@pytest.mark.slow
def test_wait_with_open_runs_has_no_note(tmp_path: Path) -> None:
    """A record with open runs has no such line."""
    _, second = run_and_wait(tmp_path, "sandbox-one", first=False)
    assert second.code == 0
    assert "has ended already" not in second.printed
