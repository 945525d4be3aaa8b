"""The screenshots and videos that a record names: copied into another results-dir, or noted as missing."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.errors import MEMORY_ERRORS
from autonoma_ci.escaping import truncate
from autonoma_ci.fs.files import make_directory, os_error_reason, read_regular_file, write_atomic
from autonoma_ci.fs.paths import escapes_via_symlink
from autonoma_ci.models import Evidence
from autonoma_ci.reports.summary import sort_by_severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import PreviousAttempt, RunResult, RunStep
    from autonoma_ci.reports.results_dir import ResultsDir

_NOT_THERE = "not found beside the record"
_TOO_LARGE = "larger than evidence-file-limit"
_NO_ROOM = "there is no room left within evidence-limit"
# In characters. A longer text would make a record that nobody can read.
_MAX_MISSING = 2000


def copy_evidence(
    runs: Sequence[RunResult], beside: Path, settings: Settings, results_dir: ResultsDir
) -> tuple[list[RunResult], Settings]:
    """Return the runs with those files alone that results-dir has, and the settings with the room that is left in it.

    Files that are missing are noted in the runs.

    Args:
        runs: The runs of the record.
        beside: The folder of the record, as seen from the working directory.
        settings: The limits of what is copied into results-dir.
        results_dir: The results folder of this step.
    """
    files = EvidenceCopier(results_dir.root / beside, results_dir.folder, settings, results_dir.root)
    # What shows a failure comes first, and videos last, as they are the largest.
    worst = sort_by_severity(runs)
    paths = [path for run in worst for path in _paths(run)]
    paths += [path for run in worst for before in run.previous_attempts for path in _paths(before)]
    for path in sorted(paths, key=lambda path: "/video." in path):
        files.copy(path)
    missing = files.problems
    brought = [
        run._replace(
            step=_shown(run.step, missing),
            evidence=_left(run, missing),
            previous_attempts=tuple(
                before._replace(step=_shown(before.step, missing), evidence=_left(before, missing))
                for before in run.previous_attempts
            ),
        )
        for run in runs
    ]
    return brought, settings._replace(evidence_limit=max(0, settings.evidence_limit - files.copied))


class EvidenceCopier:
    """Brings files from one folder to another; `problems` has the reason for each that could not be, by its path.

    `copied` is in bytes.
    """

    def __init__(self, source: Path, target: Path, settings: Settings, root: Path) -> None:
        self._source, self._target, self._root = source, target, root
        self._file_limit, self._limit = settings.evidence_file_limit, settings.evidence_limit
        self._stays = os.path.realpath(source) == os.path.realpath(target)
        self._full = ""
        self._done: set[str] = set()
        self.problems: dict[str, str] = {}
        self.copied = 0
        # There are many files in a folder, and to look for links takes a while.
        self._is_linked = cache(self._find_link)

    def copy(self, path: str) -> None:
        """Copy the file, or note why it is missing."""
        if path in self._done:
            return
        self._done.add(path)
        if problem := self._bring(path):
            self.problems[path] = problem

    def _bring(self, path: str) -> str:
        size = self._size(path)
        if not size:
            return _NOT_THERE
        if self._stays:
            return ""
        if size > self._file_limit:
            return _TOO_LARGE
        if self._full or self.copied + size > self._limit:
            return self._full or _NO_ROOM
        try:
            data = read_regular_file(str(self._source / path), size)
            if not data:
                return _NOT_THERE
            self._write(path, data)
        except OSError as error:
            # Of a disk that is full, the reports need what is left.
            self._full = f"it could not be written ({os_error_reason(error)})"
            return self._full
        except MEMORY_ERRORS:
            return "no memory is left"
        self.copied += len(data)
        return ""

    def _size(self, path: str) -> int:
        """Return the size of a regular file in bytes, or 0 for all else."""
        file = self._source / path
        try:
            found = os.lstat(file)
        except OSError:
            return 0
        return found.st_size if stat.S_ISREG(found.st_mode) and not self._is_linked(file.parent) else 0

    def _find_link(self, folder: Path) -> bool:
        """Return whether a symbolic link is on the way from the folder of the record."""
        whole = Path(os.path.realpath(self._source)) / folder.relative_to(self._source)
        return os.path.realpath(folder) != str(whole)

    def _write(self, path: str, data: bytes) -> None:
        folder = (self._target / path).parent
        # Each time anew: a link may have come since.
        if any(escapes_via_symlink(str(folder.absolute()), str(place)) for place in (self._target, self._root)):
            raise OSError(errno.ELOOP, "a symbolic link in results-dir leads elsewhere")
        make_directory(folder)
        write_atomic(self._target / path, data)


def _paths(run: RunResult | PreviousAttempt) -> Iterator[str]:
    if run.step and run.step.screenshot:
        yield run.step.screenshot
    yield from run.evidence.files


def _shown(step: RunStep | None, problems: Mapping[str, str]) -> RunStep | None:
    return step._replace(screenshot="") if step and step.screenshot in problems else step


def _left(run: RunResult | PreviousAttempt, problems: Mapping[str, str]) -> Evidence:
    """Return the evidence of a run without the files that are missing, and with the reasons."""
    was = run.evidence
    counted = Counter(problems[path] for path in dict.fromkeys(_paths(run)) if path in problems)
    if not counted:
        return was
    told = [was.missing_reason, *(f"{count} of its files: {why}" for why, count in counted.items())]
    steps = tuple(step._replace(screenshot="") if step.screenshot in problems else step for step in was.steps)
    video = "" if was.video in problems else was.video
    return Evidence(steps, video, truncate("; ".join(filter(None, told)), _MAX_MISSING))
