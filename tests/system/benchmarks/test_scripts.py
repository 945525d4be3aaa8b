"""Scripts of the benchmarks do the same work as autonoma-ci."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from benchmarks import changed_files
from benchmarks.costs import CREDENTIALS, Cost, compare_pairs, measure_command, processor_seconds, script_command
from benchmarks.delays import parse_fixed_poll
from benchmarks.row import Row
from benchmarks.starting import CURL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IDS = ["sandbox-takes-3", "sandbox-takes-5", "abc"]


def run_script(command: Sequence[str], **environ: str) -> tuple[list[int], str]:
    """Run a command, and return the starts per test and its output."""
    with Sandbox(pace=0.01, client_id="benchmark-id", client_secret="benchmark-secret") as sandbox:
        variables = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TEST_IDS": ",".join(IDS), "AUTONOMA_CONCURRENCY": "2"}
        cost = measure_command(command, CREDENTIALS | variables | environ)
        return [sandbox.count_starts(test_id) for test_id in IDS], cost.output


def test_script_for_one_starts_it_once() -> None:
    """The script for one test starts only the last test, and prints the link of its run."""
    starts, output = run_script(script_command("bare_one.py"))
    assert starts == [0, 0, 1]
    assert "/run/" in output


def test_pool_starts_each_test_once() -> None:
    """The script with a pool starts all tests, and prints the links of their runs."""
    starts, output = run_script(script_command("bare_pool.py"))
    assert starts == [1, 1, 1]
    assert output.count("/run/") == 3


def test_curl_loop_starts_each_test_once() -> None:
    """The curl script starts all tests, and prints a line of two words for each."""
    if not all(map(shutil.which, ("bash", "curl", "jq"))):
        pytest.skip("needs bash, curl and jq")
    starts, output = run_script(CURL)
    assert starts == [1, 1, 1]
    assert [len(line.split()) for line in output.splitlines()] == [2, 2, 2]
    assert output.count("/run/cm") == 3


def test_fixed_poll_waits_for_each_run() -> None:
    """The script prints polls and seconds of each run."""
    starts, output = run_script(script_command("bare_wait.py"), QUICK="100")
    assert starts == [1, 1, 1]
    results = parse_fixed_poll(output, dict.fromkeys(IDS, 0.0))
    assert [result.polls for result in results.values()] == [1, 1, 1]
    assert all(result.seconds >= 10 for result in results.values())


def test_failed_command_is_no_measurement() -> None:
    """A command that fails raises an error with its output."""
    with pytest.raises(RuntimeError, match="401"):
        run_script(script_command("bare_pool.py"), AUTONOMA_CLIENT_SECRET="wrong")


def test_ratio_is_median_of_pairs() -> None:
    """The ratio can be of another figure than the row."""
    ours = [Cost(seconds, 2.0, 0.0, "") for seconds in (1.0, 9.0, 3.0)]
    theirs = [Cost(seconds, 8.0, 0.0, "") for seconds in (2.0, 9.0, 1.0)]
    row = compare_pairs(Row("row"), ours, theirs)
    assert (row.ours, row.theirs, row.ratio) == (3.0, 2.0, 1.0)
    row = compare_pairs(Row("row"), ours, theirs, ratio_of=processor_seconds)
    assert (row.ours, row.theirs, row.ratio) == (3.0, 2.0, 0.25)


def test_changed_files_scripts_agree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our script finds as many changed files as the program git."""
    if not shutil.which("git"):
        pytest.skip("needs git")
    monkeypatch.setattr(changed_files, "FILES", 300)
    monkeypatch.setattr(changed_files, "COMMITS", 10)
    changed_files.create_clone(tmp_path)
    scripts = ("list_changed_files.py", "bare_git.py")
    outputs = [
        measure_command((*script_command(script), str(tmp_path)), changed_files.ENVIRON).output for script in scripts
    ]
    assert outputs == ["60\n"] * 2
