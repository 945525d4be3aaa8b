"""Preserve the results.json of other job steps that share a results folder.

Two job steps of a build that share the folder have one results.json, and the last writer wins. Then no later step could
wait for the runs that the other step left open. So the results of the other step are saved beside it as results.1.json
and so on. A lock of the folder prevents two steps from replacing results.json at the same time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from autonoma_ci.fs.locks import LockTimeouts
from autonoma_ci.models import CONTINUING_STATES, Conclusion, RunState
from autonoma_ci.reports.foreign_files import find_foreign_files, rename_foreign_files

if TYPE_CHECKING:
    from autonoma_ci.clock import Clock
    from autonoma_ci.fs.files import Directory
    from autonoma_ci.models import BuildContext, BuildIdRules
    from autonoma_ci.reports.results_schema import Results

_RESULTS_FILE = "results.json"
# Enough for the largest plan with long texts for each run.
MAX_RESULTS_BYTES = 100 * 1024 * 1024
# If the CI system states no build id, results of this age or older belong to another build.
_MAX_AGE = timedelta(days=1)
# An UNKNOWN run without an id may have started. Then only results.json refers to it.
_OPEN_STATES = CONTINUING_STATES | {RunState.STARTING}
_ADVICE = "Use a separate results-dir for each step."
# Longest wait for the lock. The largest results.json is written in less than 1 s.
MAX_LOCK_SECONDS = 10.0
# The same after this step has written its results.json. It is short, because signals and deadlines wait too.
MAX_LATER_LOCK_SECONDS = 1.0


class SharedResults:
    """Protects a results.json that several job steps write.

    Args:
        step_id: The id of this job step.
        context: The build of this job step.
        rules: What its build id means.
        started_at: The start of this job step, in ISO 8601.
        clock: Measures the wait for the lock.
        option_name: The option `results-dir` as the user wrote it.
    """

    def __init__(
        self,
        step_id: str,
        context: BuildContext,
        rules: BuildIdRules,
        started_at: str,
        clock: Clock,
        option_name: str = "results-dir",
    ) -> None:
        self._step_id, self._context, self._option_name = step_id, context, option_name
        self._rules = rules
        self._started_at = datetime.fromisoformat(started_at)
        self._lock_timeouts = LockTimeouts(MAX_LOCK_SECONDS, clock)
        # The file status after this step wrote results.json. It is compared because reading the file is slow.
        self._written_status: tuple[int, ...] = ()
        # The names of the preserved files by step id.
        self._preserved_names: dict[str, str] = {}
        # Whether each warning was returned.
        self._warnings: dict[str, bool] = {}

    def pop_warnings(self) -> list[str]:
        """Return the warnings that were not returned before."""
        new_warnings = [text for text, is_returned in self._warnings.items() if not is_returned]
        self._warnings = dict.fromkeys(self._warnings, True)
        return new_warnings

    def lock(self, directory: Directory) -> None:
        """Lock the directory against other job steps until it is closed.

        If the lock is unavailable for `MAX_LOCK_SECONDS`, the step continues without it.
        """
        try:
            descriptor = directory.open_lock()
        except OSError:
            return
        if not self._lock_timeouts.lock(descriptor):
            self._add_warning(
                f"Another process holds the lock of {self._option_name}. The step continued without the lock."
            )

    def remember_written_file(self, directory: Directory) -> None:
        """Remember that this job step wrote the present results.json."""
        self._written_status = _read_status(directory)
        self._lock_timeouts.shorten(MAX_LATER_LOCK_SECONDS)

    def preserve_other_results(self, directory: Directory) -> None:
        """Save the present results.json under another name.

        This is done if another job step of this build wrote it and left runs open. A file of another program is
        renamed: the program wrote it while this step was in progress.
        """
        status = _read_status(directory)
        if not status or status == self._written_status or directory.is_symlink(_RESULTS_FILE):
            return
        # An unreadable file counts as no results.json, like an empty file.
        data = directory.read_file(_RESULTS_FILE, MAX_RESULTS_BYTES) or b""
        results = _parse_if_valid(data)
        if not results:
            foreign_names = find_foreign_files(directory, [_RESULTS_FILE])
            if warning := rename_foreign_files(directory, foreign_names):
                self._add_warning(warning)
            return
        if results.step_id == self._step_id or not self._is_of_this_build(results):
            return
        if has_open_runs(results):
            self._preserve(directory, results, data)
        elif is_same_build(results, self._context, self._rules) and results.ci.attempt == self._context.build_attempt:
            self._add_warning(f"{self._option_name}: files of another step of this build are replaced. {_ADVICE}")

    def _is_of_this_build(self, results: Results) -> bool:
        return not other_build_reason(results, self._context, self._rules, self._started_at)

    def _preserve(self, directory: Directory, results: Results, data: bytes) -> None:
        name = self._preserved_names.get(results.step_id) or self._find_free_name(directory)
        self._preserved_names[results.step_id] = name
        try:
            directory.write_atomic(name, data)
        except OSError as error:
            reason = error.strerror or "not written"
            self._add_warning(
                f"{self._option_name}: results.json of another step could not be saved as {name} ({reason}). {_ADVICE}"
            )
            return
        if results.ci.attempt != self._context.build_attempt:
            self._add_warning(f"results.json of an earlier attempt has open runs and is saved as {name}.")
        else:
            self._add_warning(
                f"{self._option_name}: results.json of another step has open runs and is saved as {name}. {_ADVICE}"
            )

    def _find_free_name(self, directory: Directory) -> str:
        """Return a name that is unused or belongs to another build."""
        names = (f"results.{number}.json" for number in count(1))
        return next(name for name in names if self._is_free(directory, name))

    def _is_free(self, directory: Directory, name: str) -> bool:
        if not directory.exists(name):
            return True
        data = directory.read_file(name, MAX_RESULTS_BYTES)
        results = _parse_if_valid(data) if data else None
        return bool(results and not self._is_of_this_build(results))

    def _add_warning(self, text: str) -> None:
        self._warnings.setdefault(text, False)


def other_build_reason(
    results: Results, context: BuildContext, rules: BuildIdRules, started_at: datetime
) -> str | None:
    """Return why the results belong to another build, or None.

    The build id decides together with repository and commit, because some systems count the builds of each repository.
    Without a build id, the commit and the age decide: results of the last day belong to this build.

    Args:
        results: The results.json of some job step.
        context: The build of this job step.
        rules: What its build id means.
        started_at: The start of this job step.
    """
    build = results.ci
    if build.name != context.ci_name:
        return "written on another CI system"
    has_same_id = is_same_build(results, context, rules)
    if has_same_id and rules.spans_repositories:
        return None
    if _differ(build.repository, context.repository):
        return "written for another repository"
    if _differ(build.sha, context.sha):
        return "written for another commit"
    if has_same_id:
        return None
    if _has_build_id(context, rules) and not rules.is_per_job:
        return "written by another build"
    return "older than a day" if _is_too_old(results, started_at) else None


def is_same_build(results: Results, context: BuildContext, rules: BuildIdRules) -> bool:
    """Return whether the results have the build id of `context`."""
    return _has_build_id(context, rules) and results.ci.build == context.build_id


def has_open_runs(results: Results) -> bool:
    """Return whether the results contain runs without an end.

    The planned runs of a dry run do not count, because they were never meant to start.
    """
    planned_state = RunState.PLANNED if results.conclusion is not Conclusion.SKIPPED else None
    return any(run.state in _OPEN_STATES or run.state is planned_state for run in results.runs)


def _differ(one: str, other: str) -> bool:
    """Return whether both texts are known and different."""
    return bool(one and other) and one != other


def _has_build_id(context: BuildContext, rules: BuildIdRules) -> bool:
    return bool(context.build_id) and context.build_id not in rules.ambiguous_ids


def _is_too_old(results: Results, now: datetime) -> bool:
    started_at = results.started_at if results.started_at.tzinfo else results.started_at.replace(tzinfo=UTC)
    return abs(now - started_at) >= _MAX_AGE


def _read_status(directory: Directory) -> tuple[int, ...]:
    """Return attributes of results.json that change with each write.

    The tuple is empty without a file.
    """
    try:
        status = directory.lstat(_RESULTS_FILE)
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _parse_if_valid(data: bytes) -> Results | None:
    # Imported here, because pydantic is slow to load and most folders have no results.json.
    from autonoma_ci.reports.results_schema import parse_results

    try:
        return parse_results(data)
    except ValueError:
        return None
