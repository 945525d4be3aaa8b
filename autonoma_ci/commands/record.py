"""The record that an earlier step left: found, read, and made into outcomes of this step."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import read_regular
from autonoma_ci.errors import InputError
from autonoma_ci.model import State
from autonoma_ci.paths import leads_out
from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.context import Context
    from autonoma_ci.model import Outcome, RunRequest
    from autonoma_ci.report.saved import Saved
    from autonoma_ci.secret import Redactor

# A plan as large as there may be, with long texts for each run.
SIZE_LIMIT = 100 * 1024 * 1024


def read_record(path: str, folder: str, redact: Redactor) -> Saved:
    """Return the record at `path`, relative to `folder`; raise InputError if there is none that can be read."""
    shown = one_line(path, 200)
    if leads_out(path, folder):
        raise InputError([f"{shown} leads out of the working directory through a symbolic link: give its own path"])
    data = read_regular(str(Path(folder, path)), SIZE_LIMIT)
    if not data:
        raise InputError([f"{shown} can't be read: give the results.json that an earlier step left in its results-dir"])
    from autonoma_ci.report.saved import parse

    try:
        return parse(data)
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


def passed_before(
    outcomes: Sequence[Outcome], saved: Saved, context: Context, started_at: str, redact: Redactor
) -> list[Outcome]:
    """Return the outcomes with those in their places that passed in an earlier attempt at the same build.

    Where all of them did, none is put in place: a step that runs nothing proves nothing.
    """
    build, before, now = saved.ci.build, saved.ci.attempt, context.attempt
    if not build or build != context.build or saved.ci.sha != context.sha:
        return list(outcomes)
    if not (before.isascii() and before.isdigit() and now.isdigit() and int(before) < int(now)):
        return list(outcomes)
    passed: dict[object, list[Outcome]] = {}
    for run in outcomes_of(saved, started_at, redact):
        if run.state is State.PASSED:
            passed.setdefault(_key(run.request), []).append(run)
    kept = []
    for outcome in outcomes:
        same = passed.get(_key(outcome.request))
        kept.append(same.pop(0)._replace(request=outcome.request, carried=True) if same else outcome)
    return list(outcomes) if all(run.carried for run in kept) else kept


def _key(request: RunRequest) -> object:
    # Values of variables are in no record; at the same build of the same commit they are taken for the same.
    names = tuple(sorted(request.variables))
    versions = request.application_version_id, request.application_versions, request.run_on_latest
    return request.kind, request.id, request.name, names, versions
