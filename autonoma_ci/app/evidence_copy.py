"""Copy the evidence of an earlier job step into another results-dir."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from autonoma_ci.errors import MEMORY_ERRORS
from autonoma_ci.escaping import truncate
from autonoma_ci.fs.files import DirectoryTree, LinkError, os_error_reason
from autonoma_ci.models import Evidence
from autonoma_ci.reports.summary import pluralize, sort_by_severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import PreviousAttempt, RunResult, RunStep
    from autonoma_ci.reports.results_dir import ResultsDir

_MISSING = "not found beside results.json"
_TOO_LARGE = "larger than evidence-file-limit"
_OVER_LIMIT = "evidence-limit reached"
_NO_MEMORY = "out of memory"
_LINK = "symbolic link beside results.json"
# In characters. A longer text makes results.json unreadable for people.
_MAX_REASON_CHARS = 2000


def copy_evidence(
    runs: Sequence[RunResult], source: Path, settings: Settings, results_dir: ResultsDir
) -> tuple[list[RunResult], Settings]:
    """Copy the evidence of runs into results-dir.

    Nothing is copied if source and target are the same folder.

    Args:
        runs: The runs of results.json.
        source: The folder of results.json, relative to the working directory.
        settings: The limits of the evidence in results-dir.
        results_dir: The results folder of this job step.

    Returns:
        The runs with only the copied files, and with the reasons of missing ones. The settings with the remaining
        evidence limit.

    """
    copier = EvidenceCopier(results_dir.root / source, results_dir, settings)
    # Evidence of failures is first, and videos are last because they are the largest.
    sorted_runs = sort_by_severity(runs)
    paths = [path for run in sorted_runs for path in _evidence_paths(run)]
    paths += [path for run in sorted_runs for attempt in run.previous_attempts for path in _evidence_paths(attempt)]
    for path in sorted(paths, key=lambda path: "/video." in path):
        copier.copy(path)
    missing = copier.missing
    copied_runs = [
        run._replace(
            step=_without_missing_screenshot(run.step, missing),
            evidence=_without_missing_files(run, missing),
            previous_attempts=tuple(
                attempt._replace(
                    step=_without_missing_screenshot(attempt.step, missing),
                    evidence=_without_missing_files(attempt, missing),
                )
                for attempt in run.previous_attempts
            ),
        )
        for run in runs
    ]
    return copied_runs, settings._replace(evidence_limit=max(0, settings.evidence_limit - copier.copied_bytes))


class EvidenceCopier:
    """Copies files from a folder into results-dir within the evidence limits."""

    def __init__(self, source: Path, results_dir: ResultsDir, settings: Settings) -> None:
        self._source, self._results_dir = DirectoryTree(source, results_dir.root), results_dir
        self._file_limit, self._total_limit = settings.evidence_file_limit, settings.evidence_limit
        self._is_same_folder = _is_same_path(source, results_dir.folder)
        self._write_failure: str | None = None
        self._handled_paths: set[str] = set()
        # The reason of each missing file, by its path.
        self.missing: dict[str, str] = {}
        self.copied_bytes = 0

    def copy(self, path: str) -> None:
        """Copy a file, or add the reason to `missing`."""
        if path in self._handled_paths:
            return
        self._handled_paths.add(path)
        if reason := self._try_to_copy(path):
            self.missing[path] = reason

    def _try_to_copy(self, path: str) -> str | None:
        """Copy a file, and return the reason of a failure or None."""
        parent, name = os.path.split(path)
        try:
            with self._source.open_directory(parent, create=False) as directory:
                size = directory.lstat(name).st_size if directory.is_regular(name) else 0
                if size and (self._is_same_folder or (reason := self._find_limit_reason(size))):
                    return None if self._is_same_folder else reason
                data = directory.read_file(name, size)
                if not data and directory.is_symlink(name):
                    return _LINK
        except LinkError:
            return _LINK
        except OSError:
            return _MISSING
        except MEMORY_ERRORS:
            return _NO_MEMORY
        return self._write(parent, name, data) if data else _MISSING

    def _find_limit_reason(self, size: int) -> str | None:
        """Return why a file of this size in bytes is not copied, or None."""
        if size > self._file_limit:
            return _TOO_LARGE
        if self._write_failure or self.copied_bytes + size > self._total_limit:
            return self._write_failure or _OVER_LIMIT
        return None

    def _write(self, parent: str, name: str, data: bytes) -> str | None:
        """Write a file, and return the reason of a failure or None."""
        try:
            with self._results_dir.open_directory(parent) as directory:
                directory.write_atomic(name, data)
        except OSError as error:
            # No further file is written, because the reports need the remaining space of a full disk.
            self._write_failure = f"could not be written ({os_error_reason(error)})"
            return self._write_failure
        except MEMORY_ERRORS:
            return _NO_MEMORY
        self.copied_bytes += len(data)
        return None


def _is_same_path(path: Path, other: Path) -> bool:
    try:
        return os.path.realpath(path) == os.path.realpath(other)
    except OSError:
        # Another process removed a link during the call. A copy of a file to itself changes nothing.
        return False


def _evidence_paths(run: RunResult | PreviousAttempt) -> Iterator[str]:
    if run.step and run.step.screenshot:
        yield run.step.screenshot
    yield from run.evidence.files


def _without_missing_screenshot(step: RunStep | None, missing: Mapping[str, str]) -> RunStep | None:
    return step._replace(screenshot="") if step and step.screenshot in missing else step


def _without_missing_files(run: RunResult | PreviousAttempt, missing: Mapping[str, str]) -> Evidence:
    """Return the evidence without missing files, with the reasons."""
    evidence = run.evidence
    counts = Counter(missing[path] for path in dict.fromkeys(_evidence_paths(run)) if path in missing)
    if not counts:
        return evidence
    reasons = [evidence.missing_reason, *(f"{pluralize(count, 'file')}: {reason}" for reason, count in counts.items())]
    steps = tuple(step._replace(screenshot="") if step.screenshot in missing else step for step in evidence.steps)
    video = "" if evidence.video in missing else evidence.video
    return Evidence(steps, video, truncate(", ".join(filter(None, reasons)), _MAX_REASON_CHARS))
