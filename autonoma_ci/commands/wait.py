"""`autonoma-ci wait RESULTS`: take up the runs that an earlier step left open; starts nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.app.credentials import credential_problems
from autonoma_ci.app.evidence_copy import copy_evidence
from autonoma_ci.app.inputs import find_place, keep_options, part_of, shown_part
from autonoma_ci.app.job_step import EarlierRuns, Step
from autonoma_ci.app.known_values import OF_VALUES, known_values
from autonoma_ci.app.previous_results import checks_of_answers, has_runs, outcomes_of, read_record, why_stale
from autonoma_ci.app.results_path import find_record
from autonoma_ci.app.unknown_names import unknown_names
from autonoma_ci.config.arguments import add_variables, given, parser_of
from autonoma_ci.config.options import OPTIONS, STATED_FACTS
from autonoma_ci.config.settings import read
from autonoma_ci.engine.verdict import EXIT_CODES, decide
from autonoma_ci.engine.workers import MAY_HAVE_STARTED
from autonoma_ci.errors import Cancelled, InputError, Problem
from autonoma_ci.escaping import one_line
from autonoma_ci.identity import is_matrix
from autonoma_ci.models import Conclusion, Outcome, Reason, State, Verdict
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.results_dir import folder_of
from autonoma_ci.reports.summary import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.app.inputs import Place
    from autonoma_ci.app.previous_results import LoadedRecord
    from autonoma_ci.app.runtime import World
    from autonoma_ci.config.arguments import Found
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.reports.results_schema import Saved, SavedRun

# What else a job's environment holds was for the step that started the runs.
_TAKEN = frozenset(
    {"client-id", "client-secret", "api-url", "timeout", "poll-interval", "results-dir", "summary", "summary-title"}
    | {"evidence", "evidence-file-limit", "evidence-limit", "comment", "github-token", "gitlab-token"}
    | {"part", "publish"}
    | OF_VALUES
    | set(STATED_FACTS.values())
)
OF_WAIT = tuple(option for option in OPTIONS if option.name in _TAKEN)
# The share of the plan has no effect here, but it tells this step's part from others.
_READ = _TAKEN | {"shard"}
_ENDED_EARLY = "the step was killed, or failed, before it could say whether this run had started"
_NO_RUNS = "The step that was to start the runs has left none"
# The conclusions of a step that has no runs; its exit code is then that of its reason, or of a signal.
_WITHOUT_RUNS = frozenset({Conclusion.SKIPPED, Conclusion.ERROR, Conclusion.CANCELLED})
_SIGNALLED = range(129, 192)
# The place of a parallel job, such as 2/5.
_PLACES = re.compile(r"(?<!\S)[0-9]{1,5}/[0-9]{1,5}(?!\S)")
# States of which only the API knows the end.
_TO_POLL = frozenset({State.STARTED, State.TIMED_OUT, State.UNKNOWN, State.PASSED})
# A run in one of these states changes no more.
_ENDED = frozenset({State.PASSED, State.FAILED, State.STOPPED, State.NOT_STARTED})
_OF_ANOTHER_PART = "it is of another part of this job"
_START_ANEW = (
    "If the step that starts the runs was killed, run it again. To take up runs of another build all the same, set "
    "AUTONOMA_CI to cli"
)
_NAME_THE_PART = "Name the record of this part, or set part and shard as in the step that started the runs"
_OLD_FILES = "The other files in its folder, such as junit.xml and report.html, are of the same earlier step."
_UNSIGNED = (
    "is not signed, or was changed after it was written, or was written with other credentials. Runs may be missing in "
    "it."
)
_WITHHELD = "the run's id holds a credential, so it is not shown"
_UNPROVEN = "the record says that it passed, but has no id to ask the API about"


def main(argv: Sequence[str], world: World) -> int:
    """Run the command and return its exit code; raise InputError if the command line is wrong."""
    purpose = "Wait for the runs of an earlier step, and start none. Variables and manifest say which values to hide."
    parser = parser_of("wait", purpose, OF_WAIT, world.out)
    add_variables(parser)
    parser.hint = "wait takes one record; for several, run it once for each"
    parser.add_argument(
        "record",
        metavar="RESULTS",
        help="The results-dir of the step that started the runs, or the results.json in it.",
    )
    found = parser.known(argv)
    step = Step(world, find_place(world.environ))
    try:
        with world.interrupts.reveal_cancelled():
            return _wait(found, world, step)
    except Cancelled as error:
        # Only before anything was asked: the record stays as it is, or its runs would be lost.
        return step.finish(step.report._replace(outcomes=(), verdict=decide((), error.signal)), files=False)


def _wait(found: Found, world: World, step: Step) -> int:
    flags = given(found, OF_WAIT)
    settings, problems = read({**flags, "wait": "true"}, found.var, keep_options(world.environ, _READ))
    unknown = unknown_names(world.environ, step.place.context.ci)
    settings = settings._replace(warnings=(*settings.warnings, *unknown))
    step.place = step.place.with_facts(settings)
    record: LoadedRecord | None = None
    path = found.record
    try:
        path = find_record(path, world.folder, "wait")
        # The files beside the record are written again, unless they are wanted elsewhere.
        settings = settings._replace(results_dir=settings.results_dir or str(folder_of(Path(path))))
        record = read_record(path, world.folder, Redactor([*settings.secrets, *settings.variables.values()]))
        why, advice = why_stale(record.saved, step.place.context, step.report.started_at), _START_ANEW
        if not why and _is_of_another_part(record.saved, settings, step.place, world.environ):
            why, advice = _OF_ANOTHER_PART, _NAME_THE_PART
        if why:
            refused = f"{one_line(path, 200)} is not the record of this step: {why}. {_OLD_FILES} {advice}"
            problems.append(Problem(refused))
    except InputError as error:
        problems += error.problems
    if record is None or record.saved.runs:
        # A step that was skipped because it has no credentials left no runs, so none are needed here either.
        problems += credential_problems(settings, step.place.context)
    if problems or record is None:
        # Whatever is in the folder stays: an empty record in its place would lose the runs.
        step.prepare(settings._replace(results_dir=""))
        return step.refuse(problems)
    saved = record.saved
    if problems := step.prepare(settings, saved):
        return step.refuse(problems)
    step.report = step.report._replace(waited=True)
    if not has_runs(saved):
        return _end_as(saved, step)
    _tell_of_record(record, path, step)
    known = known_values(settings, saved, world.folder, world.environ, step.place.context.event)
    step.values = known.secrets
    if known.notice:
        step.console.issue("notice", Problem(known.notice))
    redact = Redactor([*settings.secrets, *known.secrets])
    recorded = outcomes_of(saved, step.report.started_at, checks_of_answers(redact, step.redact, settings.api_url))
    recorded, settings = copy_evidence(recorded, Path(path).parent, settings, Path(world.folder))
    outcomes = [
        _taken_up(run, kept, signed=_is_signed(run, kept, step)) for run, kept in zip(recorded, saved.runs, strict=True)
    ]
    passes = {run.run_id: run for run in recorded if run.run_id and run.state is State.PASSED}
    code = saved.exit_code or 0
    signal = code - 128 if saved.conclusion is Conclusion.CANCELLED and code in _SIGNALLED else None
    passed = sum(bool(run.run_id) and run.state is State.PASSED for run in recorded)
    title = _title(sum(run.state is State.STARTED for run in outcomes) - passed, passed)
    return step.bring_to_end(outcomes, settings, title, EarlierRuns(passes=passes, signal=signal))


def _tell_of_record(record: LoadedRecord, path: str, step: Step) -> None:
    """Log what the user should know of the record before its runs are polled."""
    saved = record.saved
    if saved.conclusion and all(run.state in _ENDED for run in saved.runs):
        step.console.issue("notice", Problem(_told_ended(saved)))
    if step.signer and not step.signer.verifies_record(record.data):
        step.console.issue("warning", Problem(f"{one_line(path, 200)} {_UNSIGNED}"))


def _told_ended(saved: Saved) -> str:
    """Return that no run of the record is open, and what happens instead of waiting."""
    passed = sum(run.state is State.PASSED for run in saved.runs)
    told = f"This step has ended already ({saved.conclusion}, {passed:,} of {plural(len(saved.runs), 'run')} passed)"
    if passed:
        return f"{told}. Nothing is left to wait for; the API is asked once more about what passed."
    return f"{told}. Nothing is left to wait for. To run the tests again: autonoma-ci run."


def _title(started: int, passed: int) -> str:
    confirmed = f"confirming {plural(passed, 'passed run')}" if passed else ""
    waited = f"waiting for {plural(started, 'run')}" if started else ""
    text = " and ".join(filter(None, [waited, confirmed])) or "nothing is left to wait for"
    return f"{text[0].upper()}{text[1:]}"


def _is_of_another_part(saved: Saved, settings: Settings, place: Place, environ: Mapping[str, str]) -> bool:
    """Return whether the record is of another part of this job.

    A job of another name may wait for any part. An option that is not set here says nothing of the part.
    """
    if place.context.ci == "cli":
        return False
    ours = part_of(settings, place, environ, saved.title)
    # The matrix of this job says nothing of a part that the starting step was given by name.
    named = bool(saved.part) and not is_matrix(saved.part)
    is_chosen = bool(settings.part) and not (named and is_matrix(settings.part))
    part = shown_part(ours._replace(shard=saved.shard), settings).part if is_chosen else saved.part
    # Some systems name no job, and then this may be another one. `shard: auto` says nothing in a job that is alone.
    shard = ours.shard or saved.shard
    is_other = bool(ours.job) and saved.job == ours.job and (part, shard) != (saved.part, saved.shard)
    parallel = place.system.parallel(environ) if place.system.parallel else None
    if parallel and parallel.total > 1:
        # A parallel job has its place in its name, or in the record's part or shard.
        found = _PLACES.findall(f"{saved.job} {saved.part} {saved.shard}")
        of_copies = {text for text in found if text.endswith(f"/{parallel.total}")}
        is_other = is_other or (bool(of_copies) and str(parallel) not in of_copies)
    return is_other


def _end_as(saved: Saved, step: Step) -> int:
    """End as the step did that was to start the runs: nothing that it left can pass."""
    code = saved.exit_code or 0
    known = {code: reason for reason, code in EXIT_CODES.items() if code}
    verdict = Verdict(Conclusion.ERROR, Reason.UNKNOWN, EXIT_CODES[Reason.UNKNOWN])
    if saved.conclusion is Conclusion.SKIPPED and saved.exit_code == 0:
        verdict = Verdict(Conclusion.SKIPPED, Reason.OK, 0)
    elif saved.conclusion is Conclusion.CANCELLED and code in _SIGNALLED:
        verdict = Verdict(Conclusion.CANCELLED, Reason.CANCELLED, code)
    elif saved.conclusion in _WITHOUT_RUNS and code in known:
        verdict = Verdict(Conclusion.ERROR, known[code], code)
    how = f"it ended as {saved.conclusion}, with exit code {code}" if saved.conclusion else "it was killed"
    told = f"{_NO_RUNS}: {how}."
    level = "notice" if verdict.conclusion is Conclusion.SKIPPED else "error"
    step.console.issue(level, Problem(told), step.report.heading)
    # The files of a step that ended say more than this step could. One that was killed left none.
    killed = saved.conclusion is None
    return step.finish(step.report._replace(skipped=told, verdict=verdict), files=killed)


def _is_signed(run: Outcome, kept: SavedRun, step: Step) -> bool:
    return bool(step.signer and step.signer.verifies_run(run, kept.mac))


def _taken_up(run: Outcome, kept: SavedRun, *, signed: bool) -> Outcome:
    """Return a run of the record as it is known to be before the API is polled: a pass counts only if it still says so.

    A run that failed, was stopped or was not started stays as it is.
    """
    run = run._replace(carried=False)
    if not signed:
        # Not ours, or not of this build: what it says of itself is not signed again.
        run = run._replace(request_mac="")
    unknown = run._replace(state=State.UNKNOWN, reason=Reason.UNKNOWN, hint="")
    if run.run_id and run.state in _TO_POLL:
        return run._replace(state=State.STARTED, reason=Reason.OK, message="", hint="")
    if kept.run_id and run.state in _TO_POLL:
        return unknown._replace(message=_WITHHELD)
    if run.state is State.PASSED:
        return unknown._replace(message=_UNPROVEN)
    if run.state in {State.STARTING, State.PLANNED}:
        return unknown._replace(message=_ENDED_EARLY, hint=MAY_HAVE_STARTED)
    return run
