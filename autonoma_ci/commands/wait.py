"""`autonoma-ci wait RESULTS`: take up the runs that an earlier step left open; starts nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.app.credentials import find_credential_errors
from autonoma_ci.app.evidence_copy import copy_evidence
from autonoma_ci.app.inputs import build_part, detect_ci, redact_shown_part, select_options
from autonoma_ci.app.job_step import JobStep, PreviousRuns
from autonoma_ci.app.known_values import VALUE_OPTIONS, collect_known_values
from autonoma_ci.app.previous_results import build_sanitizers, has_runs, load_results, stale_reason, to_run_results
from autonoma_ci.app.results_path import find_results_file
from autonoma_ci.app.unknown_names import find_unknown_names
from autonoma_ci.config.arguments import add_variables, build_parser, provided_options
from autonoma_ci.config.options import BUILD_FACT_OPTIONS, OPTIONS
from autonoma_ci.config.settings import load_settings
from autonoma_ci.engine.verdict import EXIT_CODES, compute_verdict
from autonoma_ci.engine.workers import HINT_NO_RESPONSE
from autonoma_ci.errors import Cancelled, Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.identity import is_matrix
from autonoma_ci.models import Conclusion, ExitReason, RunResult, RunState, Verdict
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.results_dir import results_folder
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.app.previous_results import LoadedResults
    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.config.arguments import ParsedArguments
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.reports.results_schema import Results, ResultsRun

# What else a job's environment holds was for the step that started the runs.
_TAKEN = frozenset(
    {"client-id", "client-secret", "api-url", "timeout", "poll-interval", "results-dir", "summary", "summary-title"}
    | {"evidence", "evidence-file-limit", "evidence-limit", "comment", "github-token", "gitlab-token"}
    | {"part", "publish"}
    | VALUE_OPTIONS
    | set(BUILD_FACT_OPTIONS.values())
)
WAIT_OPTIONS = tuple(option for option in OPTIONS if option.name in _TAKEN)
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
_TO_POLL = frozenset({RunState.STARTED, RunState.TIMED_OUT, RunState.UNKNOWN, RunState.PASSED})
# A run in one of these states changes no more.
_ENDED = frozenset({RunState.PASSED, RunState.FAILED, RunState.STOPPED, RunState.NOT_STARTED})
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


def main(argv: Sequence[str], world: Runtime) -> int:
    """Run the command and return its exit code; raise InputError if the command line is wrong."""
    purpose = "Wait for the runs of an earlier step, and start none. Variables and manifest say which values to hide."
    parser = build_parser("wait", purpose, WAIT_OPTIONS, world.out)
    add_variables(parser)
    parser.hint = "wait takes one record; for several, run it once for each"
    parser.add_argument(
        "record",
        metavar="RESULTS",
        help="The results-dir of the step that started the runs, or the results.json in it.",
    )
    found = parser.parse(argv)
    step = JobStep(world, detect_ci(world.environ))
    try:
        with world.interrupts.reveal_cancelled():
            return _wait(found, world, step)
    except Cancelled as error:
        # Only before anything was asked: the record stays as it is, or its runs would be lost.
        return step.finish(step.report._replace(results=(), verdict=compute_verdict((), error.signal)), files=False)


def _wait(found: ParsedArguments, world: Runtime, step: JobStep) -> int:
    flags = provided_options(found, WAIT_OPTIONS)
    settings, problems = load_settings({**flags, "wait": "true"}, found.var, select_options(world.environ, _READ))
    unknown = find_unknown_names(world.environ, step.ci.build_context.ci_name)
    settings = settings._replace(warnings=(*settings.warnings, *unknown))
    step.ci = step.ci.with_facts(settings)
    record: LoadedResults | None = None
    path = found.record
    try:
        path = find_results_file(path, world.working_directory, "wait")
        # The files beside the record are written again, unless they are wanted elsewhere.
        settings = settings._replace(results_dir=settings.results_dir or str(results_folder(Path(path))))
        record = load_results(
            path, world.working_directory, Redactor([*settings.secrets, *settings.variables.values()])
        )
        why, advice = stale_reason(record.results, step.ci.build_context, step.report.started_at), _START_ANEW
        if not why and _is_of_another_part(record.results, settings, step.ci, world.environ):
            why, advice = _OF_ANOTHER_PART, _NAME_THE_PART
        if why:
            refused = f"{sanitize_line(path, 200)} is not the record of this step: {why}. {_OLD_FILES} {advice}"
            problems.append(Diagnostic(refused))
    except InputError as error:
        problems += error.diagnostics
    if record is None or record.results.runs:
        # A step that was skipped because it has no credentials left no runs, so none are needed here either.
        problems += find_credential_errors(settings, step.ci.build_context)
    if problems or record is None:
        # Whatever is in the folder stays: an empty record in its place would lose the runs.
        step.configure(settings._replace(results_dir=""))
        return step.fail_on_input(problems)
    saved = record.results
    if problems := step.configure(settings, saved):
        return step.fail_on_input(problems)
    step.report = step.report._replace(waits_for_results=True)
    if not has_runs(saved):
        return _end_as(saved, step)
    _tell_of_record(record, path, step)
    known = collect_known_values(
        settings, saved, world.working_directory, world.environ, step.ci.build_context.trigger_event
    )
    step.values = known.secrets
    if known.notice:
        step.log.annotate("notice", Diagnostic(known.notice))
    redact = Redactor([*settings.secrets, *known.secrets])
    recorded = to_run_results(saved, step.report.started_at, build_sanitizers(redact, step.redact, settings.api_url))
    recorded, settings = copy_evidence(recorded, Path(path).parent, settings, Path(world.working_directory))
    outcomes = [
        _resume_run(run, kept, signed=_is_signed(run, kept, step))
        for run, kept in zip(recorded, saved.runs, strict=True)
    ]
    passes = {run.run_id: run for run in recorded if run.run_id and run.state is RunState.PASSED}
    code = saved.exit_code or 0
    signal = code - 128 if saved.conclusion is Conclusion.CANCELLED and code in _SIGNALLED else None
    passed = sum(bool(run.run_id) and run.state is RunState.PASSED for run in recorded)
    title = _title(sum(run.state is RunState.STARTED for run in outcomes) - passed, passed)
    return step.run_plan(outcomes, settings, title, PreviousRuns(passes=passes, signal=signal))


def _tell_of_record(record: LoadedResults, path: str, step: JobStep) -> None:
    """Log what the user should know of the record before its runs are polled."""
    saved = record.results
    if saved.conclusion and all(run.state in _ENDED for run in saved.runs):
        step.log.annotate("notice", Diagnostic(_told_ended(saved)))
    if step.signer and not step.signer.verifies_record(record.data):
        step.log.annotate("warning", Diagnostic(f"{sanitize_line(path, 200)} {_UNSIGNED}"))


def _told_ended(saved: Results) -> str:
    """Return that no run of the record is open, and what happens instead of waiting."""
    passed = sum(run.state is RunState.PASSED for run in saved.runs)
    told = f"This step has ended already ({saved.conclusion}, {passed:,} of {pluralize(len(saved.runs), 'run')} passed)"
    if passed:
        return f"{told}. Nothing is left to wait for; the API is asked once more about what passed."
    return f"{told}. Nothing is left to wait for. To run the tests again: autonoma-ci run."


def _title(started: int, passed: int) -> str:
    confirmed = f"confirming {pluralize(passed, 'passed run')}" if passed else ""
    waited = f"waiting for {pluralize(started, 'run')}" if started else ""
    text = " and ".join(filter(None, [waited, confirmed])) or "nothing is left to wait for"
    return f"{text[0].upper()}{text[1:]}"


def _is_of_another_part(saved: Results, settings: Settings, place: CIEnvironment, environ: Mapping[str, str]) -> bool:
    """Return whether the record is of another part of this job.

    A job of another name may wait for any part. An option that is not set here says nothing of the part.
    """
    if place.build_context.ci_name == "cli":
        return False
    ours = build_part(settings, place, environ, saved.title)
    # The matrix of this job says nothing of a part that the starting step was given by name.
    named = bool(saved.part) and not is_matrix(saved.part)
    is_chosen = bool(settings.part) and not (named and is_matrix(settings.part))
    part = redact_shown_part(ours._replace(shard=saved.shard), settings).part if is_chosen else saved.part
    # Some systems name no job, and then this may be another one. `shard: auto` says nothing in a job that is alone.
    shard = ours.shard or saved.shard
    is_other = bool(ours.job_name) and saved.job == ours.job_name and (part, shard) != (saved.part, saved.shard)
    parallel = place.ci_system.detect_shard(environ) if place.ci_system.detect_shard else None
    if parallel and parallel.total > 1:
        # A parallel job has its place in its name, or in the record's part or shard.
        found = _PLACES.findall(f"{saved.job} {saved.part} {saved.shard}")
        of_copies = {text for text in found if text.endswith(f"/{parallel.total}")}
        is_other = is_other or (bool(of_copies) and str(parallel) not in of_copies)
    return is_other


def _end_as(saved: Results, step: JobStep) -> int:
    """End as the step did that was to start the runs: nothing that it left can pass."""
    code = saved.exit_code or 0
    known = {code: reason for reason, code in EXIT_CODES.items() if code}
    verdict = Verdict(Conclusion.ERROR, ExitReason.UNKNOWN, EXIT_CODES[ExitReason.UNKNOWN])
    if saved.conclusion is Conclusion.SKIPPED and saved.exit_code == 0:
        verdict = Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)
    elif saved.conclusion is Conclusion.CANCELLED and code in _SIGNALLED:
        verdict = Verdict(Conclusion.CANCELLED, ExitReason.CANCELLED, code)
    elif saved.conclusion in _WITHOUT_RUNS and code in known:
        verdict = Verdict(Conclusion.ERROR, known[code], code)
    how = f"it ended as {saved.conclusion}, with exit code {code}" if saved.conclusion else "it was killed"
    told = f"{_NO_RUNS}: {how}."
    level = "notice" if verdict.conclusion is Conclusion.SKIPPED else "error"
    step.log.annotate(level, Diagnostic(told), step.report.heading)
    # The files of a step that ended say more than this step could. One that was killed left none.
    killed = saved.conclusion is None
    return step.finish(step.report._replace(skip_reason=told, verdict=verdict), files=killed)


def _is_signed(run: RunResult, kept: ResultsRun, step: JobStep) -> bool:
    return bool(step.signer and step.signer.verifies_run(run, kept.mac))


def _resume_run(run: RunResult, kept: ResultsRun, *, signed: bool) -> RunResult:
    """Return a run of the record as it is known to be before the API is polled: a pass counts only if it still says so.

    A run that failed, was stopped or was not started stays as it is.
    """
    run = run._replace(reused=False)
    if not signed:
        # Not ours, or not of this build: what it says of itself is not signed again.
        run = run._replace(request_mac="")
    unknown = run._replace(state=RunState.UNKNOWN, reason=ExitReason.UNKNOWN, suggestion="")
    if run.run_id and run.state in _TO_POLL:
        return run._replace(state=RunState.STARTED, reason=ExitReason.OK, message="", suggestion="")
    if kept.run_id and run.state in _TO_POLL:
        return unknown._replace(message=_WITHHELD)
    if run.state is RunState.PASSED:
        return unknown._replace(message=_UNPROVEN)
    if run.state in {RunState.STARTING, RunState.PLANNED}:
        return unknown._replace(message=_ENDED_EARLY, suggestion=HINT_NO_RESPONSE)
    return run
