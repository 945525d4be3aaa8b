"""Accounts of the sandbox and commands with credentials for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.sandbox import Sandbox


def build_folder(folder_id: str, name: str, *tests: tuple[str, str]) -> dict[str, object]:
    """Return a folder as the API lists it."""
    return {"id": folder_id, "name": name, "tests": [{"id": test, "name": title} for test, title in tests]}


def build_large_account() -> list[dict[str, object]]:
    """Return 60 folders with 1,000 tests.

    Six folders are empty, and names repeat.
    """
    nonempty_folders = [number for number in range(60) if number % 10 != 3]
    counts = {number: 18 + (28 if number == nonempty_folders[-1] else 0) for number in nonempty_folders}
    return [
        build_folder(
            f"folder-{number}",
            f"Area {number % 7}",
            *(
                (f"test-{number}-{test_number}", f"Case {test_number % 9}")
                for test_number in range(counts.get(number, 0))
            ),
        )
        for number in range(60)
    ]


def invoke_on_sandbox(folder: Path, sandbox: Sandbox, *argv: str, terminal_input: str | None = None) -> CommandResult:
    """Run a command with credentials for the sandbox."""
    result = invoke(
        folder, *argv, environ={**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url}, terminal_input=terminal_input
    )
    assert "of-the-test" not in result.output
    assert "Traceback" not in result.output
    return result
