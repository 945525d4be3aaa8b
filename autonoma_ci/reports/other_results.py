"""Keep the records of other steps that write to the same results-dir.

Two steps of a build that share the folder have one results.json. The last writer wins, and the runs that the other
step left open could not be waited for any more. So such a record is kept beside, as results.1.json and so on.
A lock of the folder keeps two steps from replacing the record at the same time.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from autonoma_ci.fs.files import O_NONBLOCK, read_regular_file, write_atomic
from autonoma_ci.fs.locks import LockTimeouts
from autonoma_ci.models import Conclusion, RunState
from autonoma_ci.reports.foreign_files import find_foreign_files, rename_foreign_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from autonoma_ci.clock import Clock
    from autonoma_ci.models import BuildContext
    from autonoma_ci.reports.results_schema import Results

# A plan as large as there may be, with long texts for each run.
MAX_RESULTS_BYTES = 100 * 1024 * 1024
# Where the system does not name the build, records that are older than this are of another one.
_SAME_BUILD = timedelta(days=1)
# Each job of a batch has a build id of its own there, and no other fact that they share is known.
_JOBS_ARE_BUILDS = frozenset({"codebuild"})
# A stage may check out another repository there, which its variables then name. The build id has the job's name.
_BUILDS_CHECK_OUT_SEVERAL = frozenset({"jenkins"})
# act runs workflows on a local machine. Each of its runs has this id (github.com/nektos/act).
_ACT_RUN = ("github", "1")
# An UNKNOWN run without an id may have been started, so its record is all that names it.
_OPEN = frozenset({RunState.STARTING, RunState.STARTED, RunState.TIMED_OUT, RunState.UNKNOWN})
_ADVICE = "Give each step a results-dir of its own."
# In seconds. To write the largest record takes less than one.
MAX_LOCK_SECONDS = 10.0
# The same once the step has written its record: signals and deadlines wait for it as well.
MAX_LATER_LOCK_SECONDS = 1.0


class SharedResults:
    """Watches one results.json for the step with this id, in this build.

    `named` is the option results-dir as the user wrote it.
    """

    def __init__(
        self,
        path: Path,
        step_id: str,
        context: BuildContext,
        started_at: str,
        clock: Clock,
        option_name: str = "results-dir",
    ) -> None:
        self._path, self._step_id, self._context, self._named = path, step_id, context, option_name
        self._started_at = datetime.fromisoformat(started_at)
        self._waits = LockTimeouts(MAX_LOCK_SECONDS, clock)
        # What the file was when this step wrote it: a check of this is quick, to read it is not.
        self._own: tuple[int, ...] = ()
        self._names: dict[str, str] = {}
        self._warned: dict[str, bool] = {}

    def pop_warnings(self) -> list[str]:
        """Return the warnings that were not returned before."""
        new = [text for text, taken in self._warned.items() if not taken]
        self._warned = dict.fromkeys(self._warned, True)
        return new

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for other steps; continue without a lock if it is unavailable for too long."""
        descriptor = self._lock()
        try:
            yield
        finally:
            if descriptor is not None:
                # This releases the lock, and so does the end of the process.
                os.close(descriptor)

    def _lock(self) -> int | None:
        try:
            descriptor = _open_lock(self._path.parent)
        except OSError:
            return None
        try:
            if not self._waits.lock(descriptor):
                self._warn(f"Another process holds the lock of {self._named}. The step went on without it.")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def remember_written_file(self) -> None:
        """Remember the file as the one that this step wrote."""
        self._own = self._stamp()
        self._waits.shorten(MAX_LATER_LOCK_SECONDS)

    def preserve_other_results(self) -> None:
        """Keep the record that is there beside, if another step of this build wrote it and left runs open.

        What is there and no record of ours is renamed: another program wrote it while this step went on.
        """
        stamp = self._stamp()
        if not stamp or stamp == self._own or self._path.is_symlink():
            return
        data = read_regular_file(str(self._path), MAX_RESULTS_BYTES)
        saved = _parsed(data)
        if not saved and (found := find_foreign_files(self._path.parent, [self._path.name])):
            self._warn(rename_foreign_files(self._path.parent, found))
        if not saved or saved.step_id == self._step_id or not self._is_of_this_build(saved):
            return
        if has_open_runs(saved):
            self._keep(saved, data)
        elif is_same_build(saved, self._context) and saved.ci.attempt == self._context.build_attempt:
            self._warn(f"{self._named} has the files of another step of this build, which are replaced. {_ADVICE}")

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = os.lstat(self._path)
        except (OSError, ValueError):
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _is_of_this_build(self, saved: Results) -> bool:
        return not other_build_reason(saved, self._context, self._started_at)

    def _keep(self, saved: Results, data: bytes) -> None:
        name = self._names.get(saved.step_id) or self._free_name()
        self._names[saved.step_id] = name
        path = self._path.with_name(name)
        try:
            write_atomic(path, data)
        except OSError as error:
            why = error.strerror or "not written"
            self._warn(f"The record of another step in {self._named} could not be kept as {name} ({why}). {_ADVICE}")
            return
        if saved.ci.attempt != self._context.build_attempt:
            self._warn(f"An earlier attempt left runs open: its record is kept as {name}.")
        else:
            self._warn(f"Another step left runs open in {self._named}: its record is kept as {name}. {_ADVICE}")

    def _free_name(self) -> str:
        """Return a name that has no file, or the record of another build."""
        names = (f"results.{number}.json" for number in count(1))
        return next(name for name in names if self._is_free(self._path.with_name(name)))

    def _is_free(self, path: Path) -> bool:
        if not os.path.lexists(path):
            return True
        if path.is_symlink():
            return False
        found = _parsed(read_regular_file(str(path), MAX_RESULTS_BYTES))
        return bool(found and not self._is_of_this_build(found))

    def _warn(self, text: str) -> None:
        self._warned.setdefault(text, False)


def other_build_reason(saved: Results, context: BuildContext, started_at: datetime) -> str:
    """Return why a record is not of the build in `context`, or an empty text.

    The build id decides, with repository and commit: some systems count the builds of each repository. Where no build
    id is known, the commit and the age decide: a record of the last day is taken for one of this build.

    Args:
        saved: The record.
        context: The build of this step.
        started_at: When this step started.
    """
    was = saved.ci
    if was.name != context.ci_name:
        return "it is of another CI system"
    is_named = is_same_build(saved, context)
    if is_named and context.ci_name in _BUILDS_CHECK_OUT_SEVERAL:
        return ""
    if _differ(was.repository, context.repository):
        return "it is of another repository"
    if _differ(was.sha, context.sha):
        return "it is of another commit"
    if is_named:
        return ""
    if _has_build_id(context) and context.ci_name not in _JOBS_ARE_BUILDS:
        return "it is of another build"
    return "it is older than a day" if _is_too_old(saved, started_at) else ""


def is_same_build(saved: Results, context: BuildContext) -> bool:
    """Return whether the record has the build id that is in `context`."""
    return _has_build_id(context) and saved.ci.build == context.build_id


def has_open_runs(saved: Results) -> bool:
    """Return whether the record has runs whose end it does not tell; those of a dry run were never to be started."""
    planned = RunState.PLANNED if saved.conclusion is not Conclusion.SKIPPED else None
    return any(run.state in _OPEN or run.state is planned for run in saved.runs)


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _has_build_id(context: BuildContext) -> bool:
    return bool(context.build_id) and (context.ci_name, context.build_id) != _ACT_RUN


def _is_too_old(saved: Results, now: datetime) -> bool:
    then = saved.started_at if saved.started_at.tzinfo else saved.started_at.replace(tzinfo=UTC)
    return abs(now - then) >= _SAME_BUILD


if sys.platform == "win32":

    def _open_lock(folder: Path) -> int:
        # A folder has no descriptor there, so a file stands for it.
        path = folder / "results.lock"
        if path.is_symlink():
            raise OSError(errno.ELOOP, "a symbolic link")
        return os.open(path, os.O_RDWR | os.O_CREAT)

else:

    def _open_lock(folder: Path) -> int:
        return os.open(folder, os.O_RDONLY | O_NONBLOCK)


def _parsed(data: bytes) -> Results | None:
    # Loaded only where there is a record.
    from autonoma_ci.reports.results_schema import parse_results

    try:
        return parse_results(data)
    except ValueError:
        return None
