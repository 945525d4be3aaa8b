"""`autonoma-ci run`: read, plan, start, wait if that is wanted, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.app.inputs import CIEnvironment, InputLoader, detect_ci
from autonoma_ci.app.job_step import NO_PREVIOUS_RUNS, JobStep, PreviousRuns
from autonoma_ci.engine.verdict import compute_verdict
from autonoma_ci.errors import Cancelled, Diagnostic, InputError, OutputError
from autonoma_ci.models import Conclusion, ExitReason, RunResult, RunState, Verdict
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.previous_results import LoadedResults
    from autonoma_ci.app.runtime import Runtime

_NOT_UP = "Check wait-for-url and the deployment that it belongs to; wait-for-url-timeout is how long it may take."


def main(argv: Sequence[str], world: Runtime) -> int:
    """Run the command and return its exit code; raise InputError if the command line or AUTONOMA_CI is wrong."""
    flags: dict[str, str] = {}
    variables: list[str] = []
    unknown: list[str] = []
    unreadable: Sequence[Diagnostic] = ()
    if argv:
        # A container job has no arguments, and starts faster without what reads them.
        from autonoma_ci.config.arguments import parse_run_arguments

        try:
            flags, variables, unknown = parse_run_arguments(argv, world.out)
        except InputError as error:
            unreadable = error.diagnostics
    job = RunCommand(world, detect_ci(world.environ))
    return job.fail_on_arguments(unreadable) if unreadable else job.run(flags, variables, unknown)


class RunCommand:
    """One step that starts runs: from its input to its exit code, with a report on every way out."""

    def __init__(self, world: Runtime, place: CIEnvironment) -> None:
        self._world = world
        self._step = JobStep(world, place)
        self._input = InputLoader(world.environ, world.working_directory)
        self._previous: LoadedResults | None = None

    def run(self, flags: dict[str, str], variables: list[str], unknown: list[str]) -> int:
        """Do the whole and return the exit code."""
        try:
            with self._world.interrupts.reveal_cancelled():
                self._read(flags, variables, unknown)
                if self._input.errors:
                    return self._step.fail_on_input(self._input.errors)
                if self._input.skip_reason:
                    return self._skip(self._input.skip_reason)
                if self._input.settings.dry_run:
                    return self._dry_run()
                return self._wait_for_deployment() or self._start()
        except Cancelled as error:
            # Only before anything is sent: from then on, a signal is an event.
            return self._step.finish(self._step.report._replace(results=(), verdict=compute_verdict((), error.signal)))

    def fail_on_arguments(self, problems: Sequence[Diagnostic]) -> int:
        """Report a command line that can't be read.

        Its options are not known then. Those of the environment are: the files of an earlier build must not stay in
        results-dir.
        """
        self._input.read_settings({}, (), self._step.ci)
        self._step.configure(self._input.settings)
        self._step.begin_files()
        return self._step.fail_on_input(problems)

    def _read(self, flags: dict[str, str], variables: list[str], unknown: list[str]) -> None:
        self._input.errors += [Diagnostic(text) for text in unknown]
        self._input.read_settings(flags, variables, self._step.ci)
        unprepared = self._step.configure(self._input.settings)
        self._previous = self._read_previous()
        # Before the manifest is read: the shorter an older record is still there, the better.
        self._step.begin_files()
        self._input.read_plan(self._step.ci)
        self._step.parts, self._step.facts = self._input.plan.parts, self._input.plan.facts
        self._input.errors += unprepared
        for warning in self._input.warnings:
            self._step.log.annotate("warning", Diagnostic(warning))
        notes = self._input.plan.notes
        for note in notes:
            self._step.log.annotate("notice", Diagnostic(note))
        self._step.report = self._step.report._replace(plan_notes=notes, waits_for_results=self._input.settings.wait)

    def _skip(self, why: str) -> int:
        skipped = f"Skipped, nothing was started: {why}."
        self._step.log.annotate("notice", Diagnostic(skipped), self._step.report.heading)
        verdict = Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)
        return self._step.finish(self._step.report._replace(skip_reason=skipped, plan_notes=(), verdict=verdict))

    def _dry_run(self) -> int:
        outcomes = tuple(RunResult(request) for request in self._input.plan.requests)
        unwritten: OutputError | None = None
        try:
            self._step.print_product("Plan", self._input.plan.format_lines())
        except OutputError as error:
            unwritten = error
        verdict = Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)
        code = self._step.finish(self._step.report._replace(results=outcomes, verdict=verdict))
        if unwritten and not code:
            raise unwritten
        return code

    def _wait_for_deployment(self) -> int:
        """Wait for the URL that is to be tested; return an exit code if it does not come up, or else 0."""
        settings, step = self._input.settings, self._step
        requests = self._input.plan.requests
        if not settings.wait_for_url or not requests:
            return 0
        from autonoma_ci.net.wait_for_url import wait_for_url

        clock, limit = self._world.clock, settings.wait_for_url_timeout
        values = {value for request in requests for value in request.variables.values()}
        redact = Redactor([*settings.secrets, *step.parts, *(values - step.facts)])
        unready = wait_for_url(settings.wait_for_url, limit, clock.monotonic, clock.sleep, step.log.info, redact)
        if not unready:
            return 0
        # The address is the user's own, and may hold a credential.
        why, hint = map(step.redact, unready)
        lost = RunResult(
            requests[0], RunState.NOT_STARTED, ExitReason.API, message=f"not sent: {why}", suggestion=hint or _NOT_UP
        )
        outcomes = [lost._replace(request=request) for request in requests]
        return step.run_plan(outcomes, settings, "Nothing is started")

    def _start(self) -> int:
        settings, step = self._input.settings, self._step
        outcomes = step.sign_requests([RunResult(request) for request in self._input.plan.requests])
        earlier = self._earlier(outcomes)
        title = f"Starting {pluralize(len(outcomes) - len(earlier.passed), 'run')}"
        return step.run_plan(outcomes, settings, title, earlier)

    def _read_previous(self) -> LoadedResults | None:
        """Return the record of an earlier attempt at this build, if it is in results-dir."""
        folder, context = self._input.settings.results_dir, self._step.ci.build_context
        if not folder or not context.build_id or not context.build_attempt:
            return None
        path = str(Path(folder, "results.json"))
        if not Path(self._world.working_directory, path).is_file():
            return None
        from autonoma_ci.app.previous_results import load_results

        try:
            return load_results(path, self._world.working_directory, self._step.redact)
        except InputError as error:
            warning = f"The earlier attempt's record is not used: {error}"
            self._step.log.annotate("warning", Diagnostic(warning))
            return None

    def _earlier(self, outcomes: Sequence[RunResult]) -> PreviousRuns:
        """Return what the record of an earlier attempt proves; the runs that passed need not be started again."""
        step, previous = self._step, self._previous
        if not previous or not step.signer:
            return NO_PREVIOUS_RUNS
        from autonoma_ci.app import previous_results

        context = step.ci.build_context
        if not previous_results.is_of_earlier_attempt(previous.results, context):
            return NO_PREVIOUS_RUNS
        # Where each job has a number of its own, the record may be that of another job, whose runs are others.
        is_own = previous.results.job == context.job_name and previous.results.runs
        if is_own and (why := previous_results.nothing_reused_reason(outcomes, previous, context, step.signer)):
            step.log.annotate("notice", Diagnostic(f"The earlier attempt's record is not used: {why}."))
        passed = previous_results.find_reusable_passes(outcomes, previous, context, step.signer)
        if passed:
            note = f"{pluralize(len(passed), 'run')} passed in an earlier attempt at this build. "
            note += "What the API still calls passed is not started again."
            step.log.annotate("notice", Diagnostic(note))
        signed = step.signer.verifies_record(previous.data)
        return PreviousRuns(passed, previous_results.collect_run_ids(previous.results) if signed else frozenset())
