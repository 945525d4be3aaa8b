"""Keep the records of other steps that write to the same results-dir.

Two steps of a build that share the folder have one results.json. The last writer wins, and the runs that the other
step left open could not be waited for any more. So such a record is kept beside, as results.1.json and so on.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import read_regular
from autonoma_ci.files import write_whole
from autonoma_ci.model import State

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.context import Context
    from autonoma_ci.report.saved import Saved

# A plan as large as there may be, with long texts for each run.
SIZE_LIMIT = 100 * 1024 * 1024
# Where the system does not name the build, records that are older than this are of another one.
_SAME_BUILD = timedelta(days=1)
_OPEN = frozenset({State.STARTED, State.TIMED_OUT, State.UNKNOWN})
_ADVICE = "Give each step a results-dir of its own."


class SharedRecord:
    """Watches one results.json for the step with this id, in this build."""

    def __init__(self, path: Path, step_id: str, context: Context, started_at: str) -> None:
        self._path, self._step_id, self._context = path, step_id, context
        self._started_at = datetime.fromisoformat(started_at)
        # What the file was when this step wrote it: a check of this is quick, to read it is not.
        self._own: tuple[int, ...] = ()
        self._names: dict[str, str] = {}
        self._warned: dict[str, bool] = {}

    def take_warnings(self) -> list[str]:
        """Return the warnings that were not returned before."""
        new = [text for text, taken in self._warned.items() if not taken]
        self._warned = dict.fromkeys(self._warned, True)
        return new

    def note_own(self) -> None:
        """Remember the file as the one that this step wrote."""
        self._own = self._stamp()

    def keep_others(self) -> None:
        """Keep the record that is there beside, if another step of this build wrote it and left runs open."""
        stamp = self._stamp()
        if not stamp or stamp == self._own or self._path.is_symlink():
            return
        data = read_regular(str(self._path), SIZE_LIMIT)
        saved = _parsed(data)
        if not saved or saved.step_id == self._step_id or not self._is_of_this_build(saved):
            return
        if _has_open_runs(saved):
            self._keep(saved, data)
        elif saved.ci.build and saved.ci.attempt == self._context.attempt:
            self._warn(f"results-dir has the files of another step of this build, which are replaced. {_ADVICE}")

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = os.lstat(self._path)
        except (OSError, ValueError):
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _is_of_this_build(self, saved: Saved) -> bool:
        if saved.ci.build or self._context.build:
            return saved.ci.build == self._context.build
        return not is_too_old(saved, self._started_at)

    def _keep(self, saved: Saved, data: bytes) -> None:
        name = self._names.get(saved.step_id) or self._free_name()
        self._names[saved.step_id] = name
        path = self._path.with_name(name)
        try:
            write_whole(path, data)
        except OSError as error:
            why = error.strerror or "not written"
            self._warn(f"The record of another step in results-dir could not be kept as {name} ({why}). {_ADVICE}")
            return
        if saved.ci.attempt != self._context.attempt:
            self._warn(f"An earlier attempt left runs open: its record is kept as {name}.")
        else:
            self._warn(f"Another step left runs open in this results-dir: its record is kept as {name}. {_ADVICE}")

    def _free_name(self) -> str:
        """Return a name that has no file, or the record of another build."""
        names = (f"results.{number}.json" for number in count(1))
        return next(name for name in names if self._is_free(self._path.with_name(name)))

    def _is_free(self, path: Path) -> bool:
        if not os.path.lexists(path):
            return True
        if path.is_symlink():
            return False
        found = _parsed(read_regular(str(path), SIZE_LIMIT))
        return bool(found and not self._is_of_this_build(found))

    def _warn(self, text: str) -> None:
        self._warned.setdefault(text, False)


def is_too_old(saved: Saved, now: datetime) -> bool:
    """Say whether a record that names no build is too old to be of the same one as a step that starts now."""
    then = saved.started_at if saved.started_at.tzinfo else saved.started_at.replace(tzinfo=UTC)
    return abs(now - then) >= _SAME_BUILD


def _parsed(data: bytes) -> Saved | None:
    # Loaded only where there is a record.
    from autonoma_ci.report.saved import parse

    try:
        return parse(data)
    except ValueError:
        return None


def _has_open_runs(saved: Saved) -> bool:
    return any((run.run_id and run.state in _OPEN) or run.state is State.STARTING for run in saved.runs)
