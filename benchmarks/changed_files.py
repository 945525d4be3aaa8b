"""Measure the search for the changed files of a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.costs import compare_pairs, measure_in_turn, processor_seconds, script_command
from benchmarks.row import Row

TIME = Row("changed files of 20,000: time", "s", 0.5, absolute=True, how="500 commits; theirs: the program git")
MEMORY = Row("changed files of 20,000: memory", "MiB", 100.0, absolute=True, how="peak; theirs: the program git")
FILES, COMMITS, CHANGES_PER_COMMIT = 20_000, 500, 12
PATHS = [f"services/s{i % 200}/src/{i % 20}/file{i}.py" for i in range(FILES)]
ENVIRON = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def create_clone(folder: Path) -> None:
    """Create a clone with half of its commits on a branch of its own.

    It is packed like a fresh clone.
    """

    def run_git(*arguments: str, text: str = "") -> None:
        environ = {"PATH": os.environ["PATH"], **ENVIRON}
        subprocess.run(["git", *arguments], cwd=folder, env=environ, input=text.encode(), check=True)

    run_git("init", "--quiet", "--initial-branch=feature")
    history = [_format_commit("refs/remotes/origin/main", 1, 0, range(FILES))]
    for number in range(2, COMMITS + 1):
        is_first_of_branch = number == COMMITS // 2 + 1
        branch = "refs/remotes/origin/main" if number <= COMMITS // 2 else "refs/heads/feature"
        changes = [(number * 53 + change * 61) % FILES for change in range(CHANGES_PER_COMMIT)]
        history.append(_format_commit(branch, number, 1 if is_first_of_branch else number - 1, changes))
    run_git("fast-import", "--quiet", text="".join(history))
    run_git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    run_git("gc", "--quiet")


def _format_commit(branch: str, number: int, parent: int, changes: range | list[int]) -> str:
    """Return a commit in the format of `git fast-import`."""
    text = f"commit {branch}\nmark :{number}\ncommitter A <a@example.com> {1_700_000_000 + 60 * number} +0000\ndata 0\n"
    text += f"from :{parent}\n" if parent else ""
    return text + "".join(f"M 100644 inline {PATHS[i]}\ndata <<END\n{i} {number}\nEND\n" for i in changes) + "\n"


def measure_changed_files() -> list[Row]:
    """Measure a clone with 20,000 files and 500 commits.

    Raises:
        RuntimeError: Both commands found different numbers of files.

    """
    if not shutil.which("git"):
        return [row._replace(how="install git") for row in (TIME, MEMORY)]
    with tempfile.TemporaryDirectory() as folder:
        create_clone(Path(folder))
        commands = [(*script_command(script), folder) for script in ("list_changed_files.py", "bare_git.py")]
        ours, theirs = measure_in_turn(commands, ENVIRON, 15)
    # A wrong count would make both figures meaningless.
    counts = {cost.output for cost in (*ours, *theirs)}
    if len(counts) != 1:
        raise RuntimeError(f"the commands found different numbers of files: {', '.join(sorted(counts))}")
    return [
        compare_pairs(TIME, ours, theirs, ratio_of=processor_seconds),
        compare_pairs(MEMORY, ours, theirs, lambda cost: cost.peak_mebibytes),
    ]
