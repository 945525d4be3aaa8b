"""`autonoma-ci wait RESULTS` resumes waiting for the runs of an earlier step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.api.models import HINT_MAY_HAVE_STARTED
from autonoma_ci.app.credentials import find_credential_errors
from autonoma_ci.app.evidence_copy import copy_evidence
from autonoma_ci.app.inputs import build_part, detect_ci, redact_shown_part, select_options
from autonoma_ci.app.job_step import JobStep, PreviousRuns, ValuesToRedact
from autonoma_ci.app.known_values import VALUE_OPTIONS, VALUE_OPTIONS_HELP, collect_known_values
from autonoma_ci.app.previous_results import build_sanitizers, has_runs, load_results, stale_reason, to_run_results
from autonoma_ci.app.results_path import find_results_file
from autonoma_ci.app.unknown_names import find_unknown_names
from autonoma_ci.config.arguments import add_var_flag, build_parser, provided_options
from autonoma_ci.config.options import BUILD_FACT_OPTIONS, OPTIONS
from autonoma_ci.config.settings import load_settings
from autonoma_ci.engine.verdict import EXIT_CODES
from autonoma_ci.errors import Cancelled, Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.identity import is_matrix
from autonoma_ci.models import (
    CONTINUING_STATES,
    ENDED_STATES,
    PENDING_STATES,
    Conclusion,
    ExitReason,
    RunResult,
    RunState,
    Verdict,
)
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.results_dir import results_folder
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.app.known_values import KnownValues
    from autonoma_ci.app.previous_results import LoadedResults
    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.config.arguments import ParsedArguments
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.reports.results_schema import Results, ResultsRun

# The other options in the environment of a job are for the step that starts the runs.
_USED_OPTIONS = frozenset(
    {"client-id", "client-secret", "api-url", "timeout", "poll-interval", "results-dir", "summary", "summary-title"}
    | {"evidence", "evidence-file-limit", "evidence-limit", "comment", "github-token", "gitlab-token"}
    | {"part", "publish", "verbose", "on-flaky", "ignore-quarantine"}
    | VALUE_OPTIONS
    | set(BUILD_FACT_OPTIONS.values())
)
WAIT_OPTIONS = tuple(option for option in OPTIONS if option.name in _USED_OPTIONS)
# The shard selects no runs here. It distinguishes the part of this step from others.
_READ_OPTIONS = _USED_OPTIONS | {"shard"}
_ENDED_EARLY = "the step was killed or failed before the start of this run was confirmed"
_NO_RUNS = "The earlier step left no runs"
# Conclusions of a step without runs. Its exit code is that of its reason, or of a signal.
_CONCLUSIONS_WITHOUT_RUNS = frozenset({Conclusion.SKIPPED, Conclusion.ERROR, Conclusion.CANCELLED})
_SIGNAL_EXIT_CODES = range(129, 192)
# Which of how many parallel jobs, such as 2/5.
_SHARD_RE = re.compile(r"(?<!\S)[0-9]{1,5}/[0-9]{1,5}(?!\S)")
# States whose final state only the API knows.
_STATES_TO_POLL = CONTINUING_STATES | {RunState.PASSED}
# States that do not change any more.
_FINAL_STATES = ENDED_STATES | {RunState.NOT_STARTED}
_OF_ANOTHER_PART = "the runs are of another part of this job"
_START_AGAIN = (
    "If the step that starts the runs was killed, run it again. To resume runs of another build, set AUTONOMA_CI to "
    "cli."
)
_NAME_THE_PART = "Use the results.json of this part, or set part and shard as in the step that started the runs."
_OLD_FILES = "Other files in its directory, such as junit.xml and report.html, are of the same earlier step."
_UNSIGNED = "has no valid signature: changed, or written with other credentials. Some runs may be missing."
_QUARANTINE_IGNORED = "Its quarantines are ignored, so each failure counts."
_ID_WITHHELD = "the run id holds a credential and is hidden"
_PASSED_WITHOUT_ID = "results.json reports a pass, but has no run id for a request to the API"


class WaitInputs(NamedTuple):
    """The settings and the results.json, with all errors."""

    settings: Settings
    # The path of results.json, relative to the working directory.
    path: str
    # None if it is missing or invalid.
    loaded: LoadedResults | None
    errors: list[Diagnostic]


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Run the command and return its exit code.

    Raises:
        InputError: The command line is wrong, or AUTONOMA_CI names no CI system.
        OutputError: The help could not be printed.

    """
    arguments = _parse_arguments(argv, runtime)
    step = JobStep(runtime, detect_ci(runtime.environ))
    try:
        with runtime.signals.reveal_cancelled():
            return _wait(arguments, step)
    except Cancelled as error:
        # Only before the first request. To replace results.json would lose its runs.
        return step.cancel(error.signal, writes_files=False)


def _wait(arguments: ParsedArguments, step: JobStep) -> int:
    settings, path, loaded, errors = _load_inputs(arguments, step)
    if errors or loaded is None:
        # To replace results.json would lose its runs.
        step.configure(settings._replace(results_dir=""))
        return step.fail_on_input(errors)
    saved = loaded.results
    if errors := step.configure(settings, saved):
        return step.fail_on_input(errors)
    step.reports.expect_results()
    known = _collect_values(settings, saved, step)
    step.redact_debug_log(known.secrets, are_complete=not known.unknown_names)
    if not has_runs(saved):
        return _end_like_previous_step(saved, step)
    is_signed = bool(step.signer and step.signer.verifies_results(loaded.data))
    _report_results_file(saved, path, step, is_signed=is_signed)
    if known.notice:
        step.log.annotate("notice", Diagnostic(known.notice))
    sanitizers = build_sanitizers(settings, known.secrets)
    step.reports.add_plan(saved.to_plan_facts(sanitizers.label))
    runs = to_run_results(saved, step.reports.facts.started_at, sanitizers)
    if settings.ignore_quarantine or not is_signed:
        # In a file that anybody can have changed, a quarantine must not hide a failure.
        runs = [run._replace(request=run.request._replace(quarantine=None)) for run in runs]
    if step.results_dir:
        runs, settings = copy_evidence(runs, Path(path).parent, settings, step.results_dir)
    results = [
        _resume_run(run, saved_run, is_signed=_is_signed(run, saved_run, step))
        for run, saved_run in zip(runs, saved.runs, strict=True)
    ]
    saved_results = {run.run_id: run for run in runs if run.run_id and run.state is RunState.PASSED}
    previous = PreviousRuns(saved_results_by_run_id=saved_results, signal=_signal_of(saved))
    return step.run_plan(results, settings, _title(runs, results), ValuesToRedact(known.secrets), previous)


def _parse_arguments(argv: Sequence[str], runtime: Runtime) -> ParsedArguments:
    """Parse the command line. Raises InputError or OutputError."""
    purpose = "Wait for the runs of an earlier step, and start none. Values from variables and manifest are hidden."
    parser = build_parser("wait", purpose, WAIT_OPTIONS, runtime.out, VALUE_OPTIONS_HELP)
    add_var_flag(parser)
    parser.hint = "The command wait accepts one results.json. Run the command once for each."
    parser.example = "autonoma-ci wait autonoma-results"
    parser.add_argument(
        "results",
        metavar="RESULTS",
        help="The results-dir of the step that started the runs, or the results.json in it.",
    )
    return parser.parse(argv)


def _load_inputs(arguments: ParsedArguments, step: JobStep) -> WaitInputs:
    """Return settings and results.json, and print nothing."""
    environ, folder = step.runtime.environ, step.runtime.working_directory
    flags = {**provided_options(arguments, WAIT_OPTIONS), "wait": "true"}
    settings, errors = load_settings(flags, arguments.var, select_options(environ, _READ_OPTIONS))
    unknown_names = find_unknown_names(environ, step.ci.build_context.ci_name)
    settings = settings._replace(warnings=(*settings.warnings, *unknown_names))
    ci = step.ci.with_facts(settings)
    path, loaded = arguments.results, None
    try:
        path = find_results_file(path, folder, "wait")
        # By default, the reports beside results.json are replaced.
        settings = settings._replace(results_dir=settings.results_dir or str(results_folder(Path(path))))
        loaded = load_results(path, folder, Redactor([*settings.secrets, *settings.variables.values()]))
        rules, started_at = ci.ci_system.build_id_rules, step.reports.facts.started_at
        why, advice = stale_reason(loaded.results, ci.build_context, rules, started_at), _START_AGAIN
        if not why and _is_of_another_part(loaded.results, settings, ci, environ):
            why, advice = _OF_ANOTHER_PART, _NAME_THE_PART
        if why:
            text = f"{sanitize_line(path, 200)} is not the results.json of this step: {why}. {_OLD_FILES} {advice}"
            errors.append(Diagnostic(text))
    except InputError as error:
        errors += error.diagnostics
    if loaded is None or loaded.results.runs:
        # A step that was skipped without credentials left no runs. Then this step needs no credentials either.
        errors += find_credential_errors(settings, ci.ci_system, ci.build_context)
    return WaitInputs(settings, path, loaded, errors)


def _report_results_file(saved: Results, path: str, step: JobStep, *, is_signed: bool) -> None:
    """Log a notice if all runs ended, and a warning without signature."""
    if saved.conclusion and all(run.state in _FINAL_STATES for run in saved.runs):
        step.log.annotate("notice", Diagnostic(_describe_completed_runs(saved)))
    if step.signer and not is_signed:
        has_quarantine = any(run.quarantine for run in saved.runs)
        problem = f"{_UNSIGNED} {_QUARANTINE_IGNORED}" if has_quarantine else _UNSIGNED
        step.report_warnings([f"{sanitize_line(path, 200)} {problem}"])


def _describe_completed_runs(saved: Results) -> str:
    """Return the notice that all runs have ended, and the next step."""
    passed = sum(run.state is RunState.PASSED for run in saved.runs)
    count = f"{passed:,} of {pluralize(len(saved.runs), 'run')} passed"
    text = f"All runs have ended ({saved.conclusion}, {count})."
    if passed:
        return f"{text} Passed runs are confirmed by one more request to the API."
    return f"{text} To run the tests again: autonoma-ci run."


def _collect_values(settings: Settings, saved: Results, step: JobStep) -> KnownValues:
    """Return the known values of variables."""
    runtime, event = step.runtime, step.ci.build_context.trigger_event
    return collect_known_values(settings, saved, runtime.working_directory, runtime.environ, event)


def _title(runs: Sequence[RunResult], results: Sequence[RunResult]) -> str:
    """Return the heading of the group in the log.

    Args:
        runs: The runs as in results.json.
        results: The same runs before they are polled.

    """
    passed = sum(bool(run.run_id) and run.state is RunState.PASSED for run in runs)
    started = sum(run.state is RunState.STARTED for run in results) - passed
    parts = [f"waiting for {pluralize(started, 'run')}"] if started else []
    parts += [f"confirming {pluralize(passed, 'passed run')}"] if passed else []
    text = " and ".join(parts) or "all runs have ended"
    return f"{text[0].upper()}{text[1:]}"


def _signal_of(saved: Results) -> int | None:
    """Return the signal that ended the earlier job step, or None."""
    code = saved.exit_code or 0
    return code - 128 if saved.conclusion is Conclusion.CANCELLED and code in _SIGNAL_EXIT_CODES else None


def _is_of_another_part(saved: Results, settings: Settings, ci: CIEnvironment, environ: Mapping[str, str]) -> bool:
    """Return whether results.json is of another part of this job.

    A job with another name may wait for any part. An option that is not set here does not restrict the part.
    """
    if ci.build_context.ci_name == "cli":
        return False
    own = build_part(settings, ci, environ, saved.title)
    # The matrix of this job does not restrict a part that the starting step has by the option `part`.
    has_named_part = bool(saved.part) and not is_matrix(saved.part)
    has_own_part = bool(settings.part) and not (has_named_part and is_matrix(settings.part))
    part = saved.part
    if has_own_part:
        redact = settings.redactors.of_all
        part = redact_shown_part(own._replace(shard=saved.shard), redact, settings.client_secret).part
    # Some systems name no job, and then this can be another one. `shard: auto` means nothing in a single job.
    shard = own.shard or saved.shard
    is_other = bool(own.job_name) and saved.job == own.job_name and (part, shard) != (saved.part, saved.shard)
    parallel = ci.ci_system.detect_shard(environ)
    if parallel and parallel.total > 1:
        # The name of a parallel job, or its part or shard in results.json, has the shard.
        shards = _SHARD_RE.findall(f"{saved.job} {saved.part} {saved.shard}")
        of_this_total = {text for text in shards if text.endswith(f"/{parallel.total}")}
        is_other = is_other or (bool(of_this_total) and str(parallel) not in of_this_total)
    return is_other


def _end_like_previous_step(saved: Results, step: JobStep) -> int:
    """End like the job step that left no runs, and never with `passed`."""
    code = saved.exit_code or 0
    verdict = Verdict(Conclusion.ERROR, ExitReason.UNKNOWN, EXIT_CODES[ExitReason.UNKNOWN])
    if saved.conclusion is Conclusion.SKIPPED and saved.exit_code == 0:
        verdict = Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)
    elif _signal_of(saved) is not None:
        verdict = Verdict(Conclusion.CANCELLED, ExitReason.CANCELLED, code)
    elif saved.conclusion in _CONCLUSIONS_WITHOUT_RUNS and code in EXIT_CODES.values() and code:
        verdict = Verdict(Conclusion.ERROR, _find_reason(saved.reason, code), code)
    how = f"conclusion {saved.conclusion}, exit code {code}" if saved.conclusion else "the step was killed"
    text = f"{_NO_RUNS}: {how}."
    level = "notice" if verdict.conclusion is Conclusion.SKIPPED else "error"
    step.log.annotate(level, Diagnostic(text), step.reports.heading)
    # The files of a step that ended have more facts than this step has. A killed step left no files.
    was_killed = saved.conclusion is None
    return step.finish(verdict, skip_reason=text, writes_files=was_killed)


def _find_reason(saved_reason: ExitReason | None, code: int) -> ExitReason:
    """Return a reason with this exit code, that of results.json if possible."""
    reasons = [reason for reason in EXIT_CODES if EXIT_CODES[reason] == code]
    return saved_reason if saved_reason in reasons else reasons[0]


def _is_signed(run: RunResult, saved_run: ResultsRun, step: JobStep) -> bool:
    return bool(step.signer and step.signer.verifies_run(run, saved_run.mac))


def _resume_run(run: RunResult, saved_run: ResultsRun, *, is_signed: bool) -> RunResult:
    """Return a run of results.json before the API is polled.

    A pass counts only if the API still reports it. A run that failed, was stopped or was not started stays as it is.
    """
    run = run._replace(reused=False)
    if not is_signed:
        # The run may be of other credentials or another build. This step must not sign its request.
        run = run._replace(request_mac="")
    unknown = run._replace(state=RunState.UNKNOWN, reason=ExitReason.UNKNOWN, suggestion="")
    if run.run_id and run.state in _STATES_TO_POLL:
        return run._replace(state=RunState.STARTED, reason=ExitReason.OK, message="", suggestion="")
    if saved_run.run_id and run.state in _STATES_TO_POLL:
        return unknown._replace(message=_ID_WITHHELD)
    if run.state is RunState.PASSED:
        return unknown._replace(message=_PASSED_WITHOUT_ID)
    if run.state in PENDING_STATES:
        return unknown._replace(message=_ENDED_EARLY, suggestion=HINT_MAY_HAVE_STARTED)
    return run
