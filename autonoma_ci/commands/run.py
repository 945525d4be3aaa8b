"""`autonoma-ci run` starts the planned runs, and can wait for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.app.inputs import Inputs, RunArguments, detect_ci, load_inputs
from autonoma_ci.app.job_step import NO_PREVIOUS_RUNS, JobStep, PreviousRuns, ValuesToRedact, collect_secret_values
from autonoma_ci.app.plan_loader import add_failed_runs, add_plan
from autonoma_ci.config.parsers import quote_name
from autonoma_ci.errors import Cancelled, Diagnostic, InputError
from autonoma_ci.models import ExitReason, RunResult, RunState
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autonoma_ci.app.previous_results import LoadedResults
    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.redaction.redactor import Secret


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Run the command and return its exit code.

    Raises:
        InputError: AUTONOMA_CI names no CI system.
        OutputError: The help, or the plan of a dry run, could not be printed.

    """
    invalid_command_line: Sequence[Diagnostic] = ()
    arguments = RunArguments({}, (), ())
    if argv:
        try:
            arguments = _parse_arguments(argv, runtime)
        except InputError as error:
            invalid_command_line = error.diagnostics
    step = JobStep(runtime, detect_ci(runtime.environ))
    if invalid_command_line:
        return _fail_on_arguments(invalid_command_line, step)
    try:
        with runtime.signals.reveal_cancelled():
            return _run(arguments, step)
    except Cancelled as error:
        # Only before the first request. After that, a signal is an event.
        return step.cancel(error.signal)


def _run(arguments: RunArguments, step: JobStep) -> int:
    runtime = step.runtime
    inputs = load_inputs(arguments, runtime.environ, step.ci)
    results_dir_errors = step.configure(inputs.settings)
    previous_results = _load_previous_results(step)
    inputs = add_failed_runs(inputs, runtime.working_directory, step.ci)
    # Before the manifest, which can need seconds: a step that is killed must not leave the files of an older one.
    step.begin_files()
    inputs = add_plan(inputs, runtime.environ, runtime.working_directory, step.ci, runtime.clock)
    step.redact_debug_log(_collect_values(inputs), are_complete=not inputs.errors)
    step.report_diagnostics(inputs)
    if errors := [*inputs.errors, *results_dir_errors]:
        return step.fail_on_input(errors)
    if inputs.skip_reason:
        return step.skip(inputs.skip_reason)
    if inputs.settings.dry_run:
        return step.dry_run(inputs.plan)
    values_to_redact = ValuesToRedact(
        environment_texts=inputs.plan.environment_texts, fact_values=inputs.plan.fact_values
    )
    if not_started := _wait_for_deployment(inputs, step):
        return step.run_plan(not_started, inputs.settings, "Nothing is started", values_to_redact)
    results = step.sign_requests([RunResult(request) for request in inputs.plan.requests])
    previous = _find_previous_runs(results, previous_results, inputs.settings, step)
    if inputs.plan.ceiling:
        step.log.info(inputs.plan.ceiling)
    title = f"Starting {pluralize(len(results) - len(previous.passed_run_ids), 'run')}"
    return step.run_plan(results, inputs.settings, title, values_to_redact, previous, inputs.plan.retry_budget)


def _parse_arguments(argv: Sequence[str], runtime: Runtime) -> RunArguments:
    """Parse the command line. Raises InputError if it is unreadable."""
    # Loaded only here, because a container job has no arguments and then starts faster.
    from autonoma_ci.config.arguments import parse_run_arguments

    flags, variables, unknown = parse_run_arguments(argv, runtime.out)
    return RunArguments(flags, variables, [Diagnostic(text) for text in unknown])


def _fail_on_arguments(errors: Sequence[Diagnostic], step: JobStep) -> int:
    """Report an unreadable command line, and return the exit code.

    The options of the environment are still used, because the files of an earlier build must not stay in results-dir.
    """
    step.configure(load_inputs(RunArguments({}, (), ()), step.runtime.environ, step.ci).settings)
    step.begin_files()
    return step.fail_on_input(errors)


def _load_previous_results(step: JobStep) -> LoadedResults | None:
    """Return the results.json of an earlier attempt at this build, or None."""
    context = step.ci.build_context
    if not step.results_dir or not context.build_id or not context.build_attempt:
        return None
    path = str(Path(step.results_dir.path, "results.json"))
    if not Path(step.runtime.working_directory, path).is_file():
        return None
    # Loaded only in a build that runs again.
    from autonoma_ci.app.previous_results import load_results

    try:
        return load_results(path, step.runtime.working_directory, step.redact)
    except InputError as error:
        step.report_warnings([f"The results.json of the earlier attempt is not used: {error}"])
        return None


def _wait_for_deployment(inputs: Inputs, step: JobStep) -> list[RunResult] | None:
    """Wait for the URL under test.

    Returns:
        None if the URL responds or there is none to wait for. Otherwise all runs, which are not started.

    """
    settings, requests = inputs.settings, inputs.plan.requests
    url = settings.wait_for_url or inputs.plan.wait_for_url
    if not url or not requests:
        return None
    # Loaded only if there is a URL.
    from autonoma_ci.net.wait_for_url import wait_for_url

    clock, limit = step.runtime.clock, settings.wait_for_url_timeout
    redact = Redactor([*settings.secrets, *_collect_values(inputs)])
    # The facts in a URL of the manifest can be of an unknown author, such as a branch name.
    is_of_manifest = not settings.wait_for_url
    unready = wait_for_url(
        url, limit, clock.monotonic, clock.sleep, step.log.info, redact, same_host_only=is_of_manifest
    )
    if not unready:
        return None
    # The URL is the user's own text, so it can contain a credential.
    why, hint = map(step.redact, unready)
    source = settings.spelling_of("wait-for-url")
    if is_of_manifest:
        source = f"wait_for_url of the environment {quote_name(step.redact(requests[0].environment))}"
    hint = hint or f"Check {source} and its deployment, or increase {settings.spelling_of('wait-for-url-timeout')}."
    message = f"not sent: {why}"
    return [
        RunResult(request, RunState.NOT_STARTED, ExitReason.API, message=message, suggestion=hint)
        for request in requests
    ]


def _collect_values(inputs: Inputs) -> Iterator[str | Secret]:
    """Yield the values of all variables of the plan."""
    yield from inputs.plan.environment_texts
    yield from collect_secret_values(inputs.plan.requests, inputs.plan.fact_values)


def _find_previous_runs(
    results: Sequence[RunResult], previous_results: LoadedResults | None, settings: Settings, step: JobStep
) -> PreviousRuns:
    """Return the runs of an earlier attempt, and which of them passed.

    Those that passed are confirmed instead of started again.
    """
    if not previous_results or not step.signer:
        return NO_PREVIOUS_RUNS
    from autonoma_ci.app import previous_results as previous

    context, rules = step.ci.build_context, step.ci.ci_system.build_id_rules
    signer, saved = step.signer, previous_results.results
    if not previous.is_of_earlier_attempt(saved, context, rules):
        return NO_PREVIOUS_RUNS
    # Where each job has its own number, results.json can be of another job, which has other runs.
    is_same_job = saved.job == context.job_name and saved.runs
    if is_same_job and (why := previous.no_reuse_reason(results, previous_results, context, signer)):
        step.log.annotate("notice", Diagnostic(f"The results.json of the earlier attempt is not used: {why}."))
    passed = previous.find_reusable_run_ids(
        results, previous_results, context, rules, signer, fails_on_flaky=settings.fails_on_flaky
    )
    if passed:
        note = f"{pluralize(len(passed), 'run')} passed in an earlier attempt at this build. "
        note += "Runs that the API still reports as passed are not started again."
        step.log.annotate("notice", Diagnostic(note))
    is_signed = signer.verifies_results(previous_results.data)
    return PreviousRuns(passed, previous.collect_run_ids(saved) if is_signed else frozenset())
