"""The record that an earlier step left: found, read, and made into outcomes of this step."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.environment import read_regular
from autonoma_ci.ci.shared_record import SIZE_LIMIT, is_too_old
from autonoma_ci.errors import InputError
from autonoma_ci.model import State
from autonoma_ci.paths import leads_out
from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.context import Context
    from autonoma_ci.model import Outcome
    from autonoma_ci.report.saved import Saved
    from autonoma_ci.report.saved_runs import SavedRun
    from autonoma_ci.secret import Redactor
    from autonoma_ci.signing import Signer

# Each job of a batch has a build id of its own there, and no other fact that they share is known.
_JOBS_ARE_BUILDS = frozenset({"aws-codebuild"})
_OPEN = frozenset({State.PLANNED, State.STARTING, State.STARTED, State.TIMED_OUT, State.UNKNOWN})


class LoadedRecord(NamedTuple):
    """A record and its bytes, which its signature covers."""

    saved: Saved
    data: bytes


def read_record(path: str, folder: str, redact: Redactor) -> LoadedRecord:
    """Return the record at `path`, relative to `folder`; raise InputError if there is none that can be read."""
    shown = one_line(path, 200)
    if leads_out(path, folder):
        raise InputError([f"{shown} leads out of the working directory through a symbolic link: give its own path"])
    data = read_regular(str(Path(folder, path)), SIZE_LIMIT)
    if not data:
        raise InputError([f"{shown} can't be read: give the results.json that an earlier step left in its results-dir"])
    from autonoma_ci.report.saved import parse

    try:
        return LoadedRecord(parse(data), data)
    except ValueError as error:
        raise InputError(
            [f"{shown} is no record of autonoma-ci: {redact(str(error))}; give a results.json as a step left it"]
        ) from None


def outcomes_of(saved: Saved, started_at: str, redact: Redactor) -> list[Outcome]:
    """Return the record's runs; their times count from this step's start, which is `started_at` in ISO 8601."""
    now = datetime.fromisoformat(started_at)
    then = saved.started_at if saved.started_at.tzinfo else saved.started_at.replace(tzinfo=now.tzinfo)
    # What somebody wrote into the record may hold what this step must not show.
    return [run.outcome((then - now).total_seconds(), redact) for run in saved.runs]


def why_stale(saved: Saved, context: Context, started_at: str) -> str:
    """Return why the record is not of the step that is to be waited for, or an empty text.

    A step that is killed at once leaves the record of an earlier step behind. At a terminal any record will do.
    `started_at` is when this step has started, in ISO 8601.
    """
    if context.ci == "none":
        return ""
    was = saved.ci
    if context.build and was.build != context.build and context.ci not in _JOBS_ARE_BUILDS:
        return "it is of another build"
    if not context.build and is_too_old(saved, datetime.fromisoformat(started_at)):
        return "it is older than a day"
    if not context.build and was.sha and context.sha and was.sha != context.sha:
        return "it is of another commit"
    # A job that only waits may take up what an earlier attempt started. A job that starts its runs itself has started
    # new ones, or else it was killed before it could.
    is_own = saved.job == context.job
    if not saved.job and not context.job:
        # No job has a name there, so only a record with open runs is known to be of use.
        is_own = not any(run.state in _OPEN for run in saved.runs)
    if is_own and _is_earlier(was.attempt, context.attempt):
        return "it is of an earlier attempt at this job"
    return ""


def passed_before(
    outcomes: Sequence[Outcome], record: LoadedRecord, context: Context, signer: Signer
) -> dict[int, str]:
    """Return the places of the runs that passed in an earlier attempt at the same build, with their runs' ids.

    Nothing of the record is believed but runs whose signatures say that they passed, in this part of this build of
    this commit, for exactly what would be sent now. Where all runs passed, none is returned: a step that runs nothing
    proves nothing.
    """
    saved = record.saved
    if not context.build or not _is_earlier(saved.ci.attempt, context.attempt):
        return {}
    if not signer.verifies_record(record.data):
        return {}
    passed: dict[str, list[SavedRun]] = {}
    for run in saved.runs:
        if run.state is State.PASSED:
            passed.setdefault(run.key, []).append(run)
    found: dict[int, str] = {}
    for place, outcome in enumerate(outcomes):
        for run in passed.get(str(outcome.request.key), ()):
            if signer.verifies_run(outcome._replace(state=State.PASSED, run_id=run.run_id), run.mac):
                found[place] = run.run_id
    return found if len(found) < len(outcomes) else {}


def _is_earlier(attempt: str, than: str) -> bool:
    numbers = attempt, than
    counted = all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers)
    return counted and int(attempt) < int(than)
