"""Errors for wrong arguments of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.cli import COMMANDS
from tests.integration.commands.test_report import write_results
from tests.support.invoke_command import CREDENTIALS, invoke

if TYPE_CHECKING:
    from pathlib import Path

ADVICE = "To run tests, folders or tags by their ids, add --test-ids ID, --folder-ids ID or --tag-ids ID."


RUN_ADVICE = "To run a test: autonoma-ci run --test-ids ID."
FORMAT_ERROR = "invalid value. Use html, junit or markdown. See autonoma-ci report --help."


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["run", "sentinel"], f"Unexpected argument. {ADVICE} See autonoma-ci run --help."),
        (["--dry-run", "sentinel"], f"--dry-run accepts true, false or no value. {ADVICE} See autonoma-ci run --help."),
        (["run", "--wait", "sentinel"],
         f"--wait accepts true, false or no value. {ADVICE} See autonoma-ci run --help."),
        (["sentinel"], f"Unknown command. Use one of {', '.join(COMMANDS)}. {RUN_ADVICE}"),
        (["report", "a", "--format", "it's sentinel"], f"--format: {FORMAT_ERROR}"),
        (["run", "--test-ids"], "--test-ids: missing value. See autonoma-ci run --help."),
        (["wait"], ("Missing argument: RESULTS. Use the results-dir of an earlier step, such as autonoma-results. "
         "See autonoma-ci wait --help.")),
        (["wait", "a", "sentinel"], ("Unexpected argument. The command wait accepts one results.json. Run the command "
         "once for each. See autonoma-ci wait --help.")),
        (["report", "a", "--format", "sentinel"], f"--format: {FORMAT_ERROR}"),
        (["report", "a", "--format", "(choose from 'sentinel')"], f"--format: {FORMAT_ERROR}"),
        (["init", "sentinel"], ("Unexpected argument. Set the file with --output PATH, and the selection with --all, "
         "--folder-ids or --test-ids. See autonoma-ci init --help.")),
        (["demo", "sentinel"], ("Unexpected argument. To set the directory of the demo's files, add --output PATH. "
         "See autonoma-ci demo --help.")),
        (["sandbox", "sentinel"], ("Unexpected argument. The command sandbox accepts only options. "
         "See autonoma-ci sandbox --help.")),
        (["validate", "a", "sentinel"], ("Unexpected argument. The command validate accepts one argument. "
         "See autonoma-ci validate --help.")),
    ],
)  # fmt: skip
def test_wrong_arguments_suggest_command(argv: list[str], error: str, tmp_path: Path) -> None:
    """Each error suggests a command and repeats no value."""
    result = invoke(tmp_path, *argv, environ=CREDENTIALS)
    assert (result.code, result.errors) == (2, [error])
    assert "sentinel" not in result.output


@pytest.mark.parametrize("value", ["true", "no", "ON", "0"])
def test_switch_accepts_value(value: str, tmp_path: Path) -> None:
    """A switch accepts its valid values as the next argument."""
    argv = ["run", "--test-ids", "a", "--dry-run", "--wait", value]
    assert invoke(tmp_path, *argv, environ=CREDENTIALS).code == 0


def test_switch_leaves_path_to_report(tmp_path: Path) -> None:
    """`report` reads the path behind a switch as results.json."""
    write_results(tmp_path)
    assert invoke(tmp_path, "report", "--single-file", "results.json").code == 0


def test_switch_leaves_path_to_wait(tmp_path: Path) -> None:
    """`wait` reads the path behind a switch as results.json."""
    result = invoke(tmp_path, "wait", "--comment", "nowhere", environ=CREDENTIALS)
    assert result.code == 2
    assert result.errors[0].startswith("nowhere does not exist.")


@pytest.mark.parametrize("flag", ["--test-ids", "--folder-ids", "--tag-ids", "--groups", "--variables", "--allow-env"])
def test_repeated_list_is_refused(flag: str, tmp_path: Path) -> None:
    """Only the last one would count, and the tests of the first would not run."""
    result = invoke(tmp_path, "--dry-run", flag, "A=b", f"{flag}=c", environ=CREDENTIALS)
    assert result.code == 2
    message = f"{flag} is used twice. Use the option once, with line breaks between the entries."
    assert result.errors[0].startswith(message)
    assert "A=b" not in result.output
