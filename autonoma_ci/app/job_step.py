"""Run one job step, from its options to its exit code."""

from __future__ import annotations

import queue
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autonoma_ci.app.progress import ProgressReporter
from autonoma_ci.app.publishing import ReportThread, is_comment_wanted, post_comment, publish_all
from autonoma_ci.app.report_builder import ReportBuilder, collect_facts, create_initial_facts
from autonoma_ci.ci.base import PublishContext, RemotePublisher
from autonoma_ci.ci.log import JobLog
from autonoma_ci.clock import round_to_ms
from autonoma_ci.config.settings import Settings
from autonoma_ci.engine.engine import NO_PASSED_RUNS, Engine
from autonoma_ci.engine.misplaced_ids import explain_misplaced_ids
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.verdict import EXIT_CODES, compute_verdict
from autonoma_ci.engine.workers import Events, ThreadedExecutor, reserve_memory
from autonoma_ci.errors import EXIT_INTERNAL_ERROR, MEMORY_ERRORS, Diagnostic, InputError, OutputError
from autonoma_ci.fs.files import quote_for_shell
from autonoma_ci.models import NO_VARIABLES, Conclusion, ExitReason, RunResult, RunState, TargetKind, Verdict
from autonoma_ci.redaction.redactor import NO_SECRETS, Secret
from autonoma_ci.reports.log import collect_warnings, format_summary_lines, group_failures
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized

    from autonoma_ci.app.inputs import CIEnvironment, Inputs
    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.ci.base import ReportPublisher
    from autonoma_ci.engine.poller import PollPolicy
    from autonoma_ci.engine.workers import ProgressListener
    from autonoma_ci.models import Evidence, Report, RunRequest
    from autonoma_ci.planning.plan import Plan
    from autonoma_ci.planning.signing import ResultsSigner
    from autonoma_ci.reports.evidence_store import EvidenceDownloader
    from autonoma_ci.reports.results_dir import ResultsDir, ResultsDirPublisher
    from autonoma_ci.reports.results_schema import Results

# The delay before results.json is written again, because a full disk or a limit of open files can be temporary.
_RETRY_DELAY_SECONDS = 0.2
_RESULTS_NOT_WRITTEN = Diagnostic(
    "results.json could not be written to results-dir, so the exit code is 7. Free disk space, or check permissions."
)
# Reserved until the first request. If memory runs out before it, freeing this reserve lets the reports be written. The
# engine has its own reserve.
_MEMORY_RESERVE_BYTES = 4 * 1024 * 1024
_NOT_SENT = "not sent: the step ended because of a bug"
# Limits of a list of values that is shared by all runs. Above them, each run has only its own values removed.
# The preparation of this many values needs 0.25 s before the first request, and 0.5 s for members of JSON values.
MAX_SHARED_VALUES = 2000
MAX_SHARED_CHARS = 100_000
# Number of variables in all runs. Each signature adds up to 60 bytes and a name to results.json, and the results.json
# of a large plan is near its size limit.
MAX_SIGNED_VARIABLES = 100_000
_SKIPPED = Verdict(Conclusion.SKIPPED, ExitReason.OK, 0)
NO_PASSED_RESULTS: Mapping[str, RunResult] = MappingProxyType({})


class PreviousRuns(NamedTuple):
    """Facts about the runs from an earlier results.json.

    An earlier build attempt wrote it, or the job step that started the runs.
    """

    # Run ids of runs that passed, by their index in the plan.
    passed_run_ids: Mapping[int, str] = NO_PASSED_RUNS
    # Kind and id of each run of an earlier build attempt.
    run_ids: frozenset[tuple[TargetKind, str]] = frozenset()
    # Passed runs of results.json by their run ids. The API has to confirm them.
    saved_results_by_run_id: Mapping[str, RunResult] = NO_PASSED_RESULTS
    # The signal that ended the job step which started the runs.
    signal: int | None = None


NO_PREVIOUS_RUNS = PreviousRuns()


class ValuesToRedact(NamedTuple):
    """Values of variables that are removed from the texts of the API."""

    # The values of all runs. None means the values in the run requests, without `fact_values`.
    values: Sequence[Secret] | None = None
    # Texts of the environment within values of the manifest.
    environment_texts: Sequence[Secret] = ()
    # Values that consist of build facts alone, which are no secrets.
    fact_values: frozenset[str] = frozenset()


class JobStep:
    """One job step, with its log, publishers and runs."""

    def __init__(self, runtime: Runtime, ci: CIEnvironment) -> None:
        self.runtime, self.ci = runtime, ci
        path_in_checkout = partial(ci.ci_system.path_in_checkout, runtime.environ, runtime.working_directory)
        self.log = JobLog(runtime.out, ci.ci_system.log_formatter, runtime.clock, in_checkout=path_in_checkout)
        self._error_log = JobLog(runtime.err, ci.ci_system.log_formatter, in_checkout=path_in_checkout)
        # Removes the credentials of the job step. The logs use it too.
        self.redact = NO_SECRETS
        # In seconds of the monotonic clock.
        self.started_at = runtime.clock.monotonic()
        self.reports = ReportBuilder(create_initial_facts(ci, runtime.clock))
        # The results folder, or None without the option.
        self.results_dir: ResultsDir | None = None
        # Signs results.json. None without results-dir or client secret.
        self.signer: ResultsSigner | None = None
        self._settings = Settings()
        self._warned: set[str] = set()
        self._ci_publishers: list[ReportPublisher] = []
        self._file_publishers: list[ResultsDirPublisher] = []
        self._saved_results = NO_PASSED_RESULTS
        self._memory_reserve: Sized = b""

    def configure(self, settings: Settings, saved: Results | None = None) -> list[Diagnostic]:
        """Set up log, facts and publishers, and return errors in results-dir.

        Args:
            settings: The options.
            saved: The results of an earlier job step whose runs this one resumes. This job step is then the same part
                of the build, and replaces the reports of the earlier one.

        """
        self._settings = settings
        self.ci = self.ci.with_facts(settings)
        self.redact = settings.redactors.of_all
        self.log.mask(settings.secrets)
        for log in (self.log, self._error_log):
            log.redact_with(self.redact)
        self.runtime.open_debug_log(settings, self.ci, self.runtime.out, self.ci.ci_system.log_formatter)
        self.report_warnings(settings.warnings)
        facts = collect_facts(self.reports.facts, settings, self.ci, self.runtime.environ, saved)
        self.results_dir = self._resolve_results_dir()
        self.reports = ReportBuilder(facts, self.results_dir)
        self._add_ci_publishers()
        if self.results_dir:
            return self._open_results_dir(self.results_dir)
        if settings.evidence == "none":
            return []
        return [Diagnostic(f"{settings.spelling_of('evidence')} needs a directory for its files. Set results-dir.")]

    def _add_ci_publishers(self) -> None:
        """Add the publishers of outputs and summary in the CI system."""
        context = PublishContext(
            self.runtime.environ,
            self._settings.summary,
            Path(self.runtime.working_directory),
            self.log.write_lines,
            self.runtime.clock,
            publishes_shared_data=self._settings.publish == "now",
            build_context=self.reports.facts.context,
        )
        self._ci_publishers.extend(self.ci.ci_system.create_publishers(context))

    def _resolve_results_dir(self) -> ResultsDir | None:
        if not self._settings.results_dir:
            return None
        from autonoma_ci.reports.results_dir import resolve_results_dir

        return resolve_results_dir(self._settings.results_dir, self.runtime.working_directory)

    def _open_results_dir(self, results_dir: ResultsDir) -> list[Diagnostic]:
        """Create results-dir with its publisher, and return errors."""
        from autonoma_ci.ci.workspaces import lost_folder_warnings
        from autonoma_ci.reports.other_results import SharedResults
        from autonoma_ci.reports.results_dir import open_results_dir

        settings, runtime, context = self._settings, self.runtime, self.ci.build_context
        spelling = settings.spelling_of("results-dir")
        self.report_warnings(
            lost_folder_warnings(
                spelling,
                results_dir.path,
                runtime.working_directory,
                self.ci.ci_system.find_workspace(runtime.environ),
            )
        )
        self.signer = self._create_signer()
        facts = self.reports.facts
        shared = SharedResults(
            step_id=facts.step_id,
            context=context,
            rules=self.ci.ci_system.build_id_rules,
            started_at=facts.started_at,
            clock=runtime.clock,
            option_name=spelling,
        )
        try:
            publisher = open_results_dir(
                results_dir, self.ci.ci_system.extra_result_files, self.signer, shared, spelling
            )
        except InputError as error:
            return list(error.diagnostics)
        self._file_publishers.append(publisher)
        self.reports.add_results_file(
            resume_command=f"autonoma-ci wait {quote_for_shell(results_dir.results_file)}",
            attachments_root=self.ci.ci_system.attachments_root(runtime.environ, results_dir.folder),
        )
        return []

    def _create_signer(self) -> ResultsSigner | None:
        settings = self._settings
        if not settings.client_secret:
            return None
        # Loaded only where there is a results.json to sign.
        from autonoma_ci.planning.signing import ResultsSigner

        part = self.reports.facts.part
        return ResultsSigner(settings.client_secret, settings.api_url, self.ci.build_context, part, settings.client_id)

    def redact_debug_log(self, values: Iterable[str | Secret], *, are_complete: bool) -> None:
        """Redact these values of variables in the debug log, and show it."""
        if debug_log := self.runtime.debug_log:
            debug_log.redact_values(values, are_complete=are_complete)

    def begin_files(self) -> None:
        """Replace the files of an earlier job step in results-dir."""
        for publisher in self._file_publishers:
            self._warn_once(publisher.begin(self.reports.build()))

    def report_warnings(self, warnings: Iterable[str]) -> None:
        """Print each warning."""
        for warning in warnings:
            self.log.annotate("warning", Diagnostic(warning))

    def report_diagnostics(self, inputs: Inputs) -> None:
        """Print the warnings and notes of the inputs.

        Later reports have the notes too.
        """
        self.report_warnings([*inputs.warnings, *inputs.plan.warnings])
        for note in inputs.plan.notes:
            self.log.annotate("notice", Diagnostic(note))
        self.reports.add_plan(inputs.plan.facts)
        if inputs.settings.wait:
            self.reports.expect_results()

    def _warn_once(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self.report_warnings([warning])

    def fail_on_input(self, errors: Sequence[Diagnostic]) -> int:
        """Report input errors, and return the exit code."""
        # No further values are read, so the debug log holds its lines no longer.
        self.redact_debug_log((), are_complete=False)
        for error in errors:
            self._error_log.annotate("error", error)
        texts = tuple(self.redact(str(error)) for error in errors)
        verdict = Verdict(Conclusion.ERROR, ExitReason.INPUT, EXIT_CODES[ExitReason.INPUT])
        return self.finish(verdict, input_errors=texts)

    def skip(self, reason: str) -> int:
        """Report that the job step does nothing, and return the exit code."""
        text = f"Skipped, nothing was started: {reason}."
        self.log.annotate("notice", Diagnostic(text), self.reports.heading)
        return self.finish(_SKIPPED, skip_reason=text)

    def dry_run(self, plan: Plan) -> int:
        """Print the plan, report it, and return the exit code.

        Raises:
            OutputError: The plan could not be printed.

        """
        output_error: OutputError | None = None
        try:
            self._print_command_output("Plan", plan.format_lines())
        except OutputError as error:
            output_error = error
        results = tuple(RunResult(request) for request in plan.requests)
        code = self.finish(_SKIPPED, results)
        if output_error and not code:
            raise output_error
        return code

    def _print_command_output(self, title: str, lines: Iterable[str]) -> None:
        """Print the output of the command. Raises OutputError."""
        formatter = self.ci.ci_system.log_formatter
        log = JobLog(self.runtime.out, formatter, self.runtime.clock, is_product=True)
        log.redact_with(self.redact)
        with log.group(title):
            for line in lines:
                log.info(line)

    def cancel(self, signal: int, *, writes_files: bool = True) -> int:
        """Report a signal before the first request, and return the exit code."""
        return self.finish(compute_verdict((), signal), writes_files=writes_files)

    def sign_requests(self, results: Sequence[RunResult]) -> list[RunResult]:
        """Return the results with signatures of their start requests.

        Without a signer, the results stay as they are.
        """
        if not self.signer:
            return list(results)
        from autonoma_ci.api.start_body import build_start_body
        from autonoma_ci.planning.signing import VariableSigner

        source, secret = self.reports.facts.source, self._settings.client_secret
        can_sign_variables = sum(len(run.request.variables) for run in results) <= MAX_SIGNED_VARIABLES
        variable_signer = VariableSigner(secret) if secret and can_sign_variables else None
        return [
            run._replace(
                request_mac=self.signer.sign_request(run.request, build_start_body(run.request, source)),
                variable_macs=variable_signer.sign_all(run.request) if variable_signer else NO_VARIABLES,
            )
            for run in results
        ]

    def run_plan(
        self,
        results: Sequence[RunResult],
        settings: Settings,
        title: str,
        values_to_redact: ValuesToRedact,
        previous: PreviousRuns = NO_PREVIOUS_RUNS,
        retry_budget: int | None = None,
    ) -> int:
        """Start the planned runs, report them, and return the exit code.

        With the option `wait`, wait for their results.

        Args:
            results: The runs. Those that are not planned are only waited for, or reported.
            settings: The options.
            title: Heading of the group in the log.
            values_to_redact: Values that are removed from the texts of the API.
            previous: Facts about the runs from an earlier results.json.
            retry_budget: How many failed runs may be started again in all. None means no limit.

        """
        runtime, clock = self.runtime, self.runtime.clock
        self._saved_results = previous.saved_results_by_run_id
        start_policy = runtime.start_policy._replace(
            concurrency=settings.concurrency, fail_fast=settings.fail_fast, retry_budget=retry_budget
        )
        poll_policy = self._poll_policy(settings)
        events: Events = queue.SimpleQueue()
        store = self._create_evidence_store(settings)
        evidence_policy = None
        if store:
            from autonoma_ci.engine.evidence import EvidencePolicy

            evidence_policy = EvidencePolicy(settings.evidence)
        table = RunTable(results, self.started_at, previous.run_ids)
        runtime.signals.hand_over(events)
        signal = None
        engine: Engine | None = None
        try:
            if results:
                # This can fail if memory is low, so it precedes the results.json with runs that may have started.
                self._memory_reserve = reserve_memory(_MEMORY_RESERVE_BYTES)
                executor = self._create_executor(
                    settings, events, store, _add_values_of_requests(values_to_redact, results)
                )
                self._memory_reserve = b""
                # This precedes the first request, because a job step that is killed later may have started any run.
                self._write_initial_results(results)
                with self.log.group(title), self._progress_listener(settings) as listener:
                    engine = Engine(
                        table,
                        start_policy,
                        clock,
                        events,
                        listener,
                        poll_policy,
                        evidence_policy,
                        previous.passed_run_ids,
                    )
                    engine.run(executor)
                    signal = engine.signal_number
                started = _planned_indexes(results) if signal is None else []
                advice = partial(_misplaced_id_advice, settings)
                explain_misplaced_ids(table, started, executor.api, events, clock, advice)
        except BaseException:
            # After an internal error, the reports must still name the runs that were started.
            self._memory_reserve = b""
            if not engine:
                _mark_as_not_sent(table)
            reason = compute_verdict(table.results).reason
            self._finish_runs(Verdict(Conclusion.ERROR, reason, EXIT_INTERNAL_ERROR), table.results)
            raise
        finally:
            if store:
                store.close()
        report = self._snapshot(table.results)
        self._annotate_runs(report, engine.refused_retry_count if engine else 0)
        verdict = compute_verdict(
            table.results, signal, waits_for_results=settings.wait, fails_on_flaky=settings.fails_on_flaky
        )
        if previous.signal is not None and _is_cancelled(verdict, table.results):
            verdict = compute_verdict((), previous.signal)
        return self._finish_runs(verdict, table.results)

    def _annotate_runs(self, report: Report, refused_retry_count: int) -> None:
        """Print errors, warnings and notices about the runs that ended.

        Args:
            report: The report with all runs.
            refused_retry_count: How many failed runs the option max-runs kept from a retry.

        """
        fails_on_flaky = self._settings.fails_on_flaky
        for failure in group_failures(report.results, report.web_base_url, fails_on_flaky=fails_on_flaky):
            self.log.annotate("error", failure, report.heading)
        for warning in collect_warnings(report.results, self.redact.contains_secret, fails_on_flaky=fails_on_flaky):
            self.log.annotate("warning", warning, report.heading)
        if refused_retry_count:
            option, runs_text = self._settings.spelling_of("max-runs"), pluralize(refused_retry_count, "failed run")
            text = f"No retry of {runs_text}: {option} is reached. Increase {option} to allow more retries."
            self.log.annotate("warning", Diagnostic(text), report.heading)

    def _poll_policy(self, settings: Settings) -> PollPolicy | None:
        """Return how to wait for the runs, or None."""
        if not settings.wait:
            return None
        from autonoma_ci.engine.poller import PollPolicy

        policy = (self.runtime.poll_policy or PollPolicy())._replace(timeout=settings.timeout)
        return policy if settings.poll_interval is None else policy._replace(interval=settings.poll_interval)

    def _write_initial_results(self, results: Sequence[RunResult]) -> None:
        """Write results.json with all runs, before the first request."""
        for publisher in self._file_publishers:
            outcome = publish_all([publisher], self._running_report(results))
            if outcome.internal_error:
                raise outcome.internal_error
            if not publisher.has_latest_results:
                publisher.remove_empty()
                self._warn_once(outcome.warnings)
                # Without results.json, no later job step can wait for the runs.
                self.reports.remove_resume_command()

    def _finish_runs(self, verdict: Verdict, results: Sequence[RunResult]) -> int:
        """Finish with the runs as they are now, and return the exit code."""
        return self.finish(verdict, self._add_all_saved_facts(results), duration_seconds=self._elapsed_seconds())

    def finish(
        self,
        verdict: Verdict,
        results: tuple[RunResult, ...] = (),
        *,
        duration_seconds: float = 0.0,
        skip_reason: str | None = None,
        input_errors: tuple[str, ...] = (),
        writes_files: bool = True,
    ) -> int:
        """Publish the final report, log its summary, and return the exit code.

        Args:
            verdict: The verdict.
            results: The runs.
            duration_seconds: How long the step has been running, in seconds. 0 for a step without runs.
            skip_reason: Why the step does nothing.
            input_errors: The errors in the input.
            writes_files: Whether to write the files in results-dir. Otherwise they stay as they are.

        """
        build = partial(
            self.reports.build,
            results,
            duration_seconds=duration_seconds,
            skip_reason=skip_reason,
            input_errors=input_errors,
        )
        # From now on a signal is an event, so it interrupts no report.
        events: Events = self.runtime.signals.events or queue.SimpleQueue()
        self.runtime.signals.hand_over(events)
        internal_errors: list[Exception | None] = []
        if writes_files:
            # First, because the reports of the CI system refer to these files.
            verdict, error = self._write_files(build, verdict)
            internal_errors.append(error)
        report = build(verdict)
        local = [publisher for publisher in self._ci_publishers if not isinstance(publisher, RemotePublisher)]
        outcome = publish_all(local, report)
        internal_errors.append(outcome.internal_error)
        self._warn_once(outcome.warnings)
        report_path = next((publisher.report_path for publisher in self._file_publishers), "")
        for line in format_summary_lines(build(verdict, can_resume=self._has_latest_results), report_path):
            self.log.info(line)
        # Last, because it can be slow. Everything else is published by now.
        is_signalled = self.runtime.signals.received
        report_thread = ReportThread(events, self.runtime.clock, signalled=is_signalled)
        internal_errors.append(self._publish_remotely(report, report_thread))
        for internal_error in filter(None, internal_errors):
            raise internal_error
        return verdict.exit_code

    def _write_files(self, build: Callable[[Verdict], Report], verdict: Verdict) -> tuple[Verdict, Exception | None]:
        """Write the files in results-dir.

        Args:
            build: Returns the report with a verdict.
            verdict: The verdict if results.json can be written.

        Returns:
            The verdict, which is an error if results.json could not be written, and an internal error or None.

        """
        report = build(verdict)
        outcome = publish_all(self._file_publishers, report)
        internal_error = outcome.internal_error
        if not self._has_latest_results:
            self.runtime.clock.sleep(_RETRY_DELAY_SECONDS)
            outcome = publish_all(self._file_publishers, report)
            internal_error = internal_error or outcome.internal_error
        if not self._has_latest_results and not verdict.exit_code:
            verdict = Verdict(Conclusion.ERROR, ExitReason.UNKNOWN, EXIT_CODES[ExitReason.UNKNOWN])
            report = build(verdict)
            outcome = publish_all(self._file_publishers, report)
            self.log.annotate("error", _RESULTS_NOT_WRITTEN, report.heading)
        for publisher in self._file_publishers:
            publisher.remove_empty()
        self._warn_once(outcome.warnings)
        return verdict, internal_error or outcome.internal_error

    @property
    def _has_latest_results(self) -> bool:
        """Whether results.json is written, or not wanted."""
        return all(publisher.has_latest_results for publisher in self._file_publishers)

    def _publish_remotely(self, report: Report, report_thread: ReportThread) -> Exception | None:
        """Publish to servers and programs, and return an internal error or None."""
        internal_error = None
        if remote := [publisher for publisher in self._ci_publishers if isinstance(publisher, RemotePublisher)]:
            outcome = report_thread.write(partial(publish_all, remote, report))
            self._warn_once(outcome.warnings if outcome else [self._stop_agent_clis("the CI system's report")])
            internal_error = outcome.internal_error if outcome else None
        if is_comment_wanted(self._settings, report):
            comment = report_thread.write(partial(post_comment, self._settings, self.ci, self.runtime, report))
            if not comment:
                self.report_warnings([self._stop_agent_clis("the comment")])
            elif comment.message:
                self.log.annotate(comment.level, Diagnostic(comment.message))
        return internal_error

    def _stop_agent_clis(self, subject: str) -> str:
        """Stop the command line programs of the agent, and return a warning.

        Args:
            subject: The report that may be incomplete.

        """
        from autonoma_ci.ci.publishers.agent_cli import stop_agent_clis

        stop_agent_clis()
        reason = "signal received" if self.runtime.signals.received else "timeout"
        return f"{subject[0].upper()}{subject[1:]} may be incomplete ({reason}). The exit code is not affected."

    @contextmanager
    def _progress_listener(self, settings: Settings) -> Iterator[ProgressListener]:
        """Yield the listener that logs runs or draws a live table."""
        clock, out = self.runtime.clock, self.runtime.out
        # The lines of the debug log would break the table.
        can_draw = settings.wait and not self.runtime.debug_log
        if can_draw and self.ci.build_context.ci_name == "cli" and out.isatty():
            from autonoma_ci.app.live_table import LiveTable, create_terminal_stream, log_above

            if stream := create_terminal_stream(out, self.runtime.environ):
                log = log_above(stream)
                log.redact_with(self.redact)
                progress = ProgressReporter(log, clock, self._publish, self._add_saved_facts, quiet=True)
                with LiveTable(stream, progress, clock) as live_table:
                    yield live_table
                return
        yield ProgressReporter(self.log, clock, self._publish, self._add_saved_facts)

    def _create_evidence_store(self, settings: Settings) -> EvidenceDownloader | None:
        """Return the downloader of screenshots and videos, or None."""
        if not settings.wait or settings.evidence == "none" or not self.results_dir:
            return None
        from autonoma_ci.reports.evidence_store import EvidenceDownloader

        is_local = urlsplit(settings.api_url).scheme == "http"
        limits = settings.evidence_file_limit, settings.evidence_limit
        return EvidenceDownloader(self.results_dir, *limits, allow_http_loopback=is_local)

    def _create_executor(
        self, settings: Settings, events: Events, store: EvidenceDownloader | None, values_to_redact: ValuesToRedact
    ) -> ThreadedExecutor:
        # These modules are slow to import, so everything that needs no network comes first.
        from autonoma_ci.api.client import AutonomaClient
        from autonoma_ci.api.transport import Transport

        transport = Transport(settings.api_url, settings.api_credentials, self.runtime.timeouts)
        source = self.reports.facts.source
        client = AutonomaClient(
            transport,
            source,
            settings.secrets,
            values_to_redact.values,
            values_to_redact.environment_texts,
            values_to_redact.fact_values,
        )
        return ThreadedExecutor(client, events, store.fetch if store else None)

    def _publish(self, results: Sequence[RunResult]) -> None:
        """Publish a report of running runs."""
        # Memory or file descriptors can be short for a moment, so a later report may succeed. The final one warns of
        # missing reports.
        with suppress(*MEMORY_ERRORS):
            publishers = [*self._ci_publishers, *self._file_publishers]
            outcome = publish_all(publishers, self._running_report(results))
            if outcome.internal_error:
                raise outcome.internal_error

    def _running_report(self, results: Sequence[RunResult]) -> Report:
        """Return the report while requests are sent, with planned runs as starting.

        Their start requests may be in progress when somebody reads the report.
        """
        shown = (run._replace(state=RunState.STARTING) if run.state is RunState.PLANNED else run for run in results)
        return self._snapshot(tuple(shown))

    def _snapshot(self, results: Sequence[RunResult]) -> Report:
        """Return the report of the runs as they are now."""
        return self.reports.build(self._add_all_saved_facts(results), duration_seconds=self._elapsed_seconds())

    def _elapsed_seconds(self) -> float:
        return round_to_ms(self.runtime.clock.monotonic() - self.started_at)

    def _add_all_saved_facts(self, results: Sequence[RunResult]) -> tuple[RunResult, ...]:
        return tuple(self._add_saved_facts(run) for run in results)

    def _add_saved_facts(self, run: RunResult) -> RunResult:
        """Return a confirmed pass with duration and evidence of the earlier results.json.

        Other runs stay as they are.
        """
        saved = self._saved_results.get(run.run_id) if run.state is RunState.PASSED else None
        if not saved:
            return run
        return run._replace(
            duration_seconds=min(run.duration_seconds, saved.duration_seconds),
            reused=saved.reused,
            evidence=max(run.evidence, saved.evidence, key=_evidence_rank),
        )


def collect_secret_values(requests: Iterable[RunRequest], fact_values: frozenset[str]) -> set[str]:
    """Return the values of the variables of all requests, without `fact_values`."""
    return {value for request in requests for value in request.variables.values()} - fact_values


def _add_values_of_requests(values_to_redact: ValuesToRedact, results: Sequence[RunResult]) -> ValuesToRedact:
    """Return the values with those of the run requests.

    Above the limits `values` stays None, so that each run is redacted with its own values.
    """
    if values_to_redact.values is not None:
        return values_to_redact
    values = collect_secret_values((run.request for run in results), values_to_redact.fact_values)
    can_share_values = (
        len(values) + len(values_to_redact.environment_texts) <= MAX_SHARED_VALUES
        and sum(map(len, values)) <= MAX_SHARED_CHARS
    )
    return values_to_redact._replace(
        values=[*values_to_redact.environment_texts, *map(Secret, values)] if can_share_values else None
    )


def _planned_indexes(results: Sequence[RunResult]) -> list[int]:
    return [index for index, run in enumerate(results) if run.state is RunState.PLANNED]


def _misplaced_id_advice(settings: Settings, request: RunRequest, kind: TargetKind) -> str:
    """Return where to put an id that was listed as another kind.

    Args:
        settings: The options, which can have the id.
        request: The run request with the id.
        kind: The kind that the id belongs to.

    """
    ids = {
        TargetKind.TEST: settings.test_ids,
        TargetKind.FOLDER: settings.folder_ids,
        TargetKind.TAG: settings.tag_ids,
    }
    if request.id not in {entry.id for entry in ids[request.kind]}:
        return f"Put it under {kind}s in the manifest"
    spelling = settings.spelling_of(f"{request.kind}-ids")
    return f"Put it into {spelling.replace(request.kind, kind).replace(request.kind.upper(), kind.upper())}"


def _mark_as_not_sent(table: RunTable) -> None:
    for index in _planned_indexes(table.results):
        table.finish(index, RunState.NOT_STARTED, ExitReason.UNKNOWN, _NOT_SENT)


def _evidence_rank(evidence: Evidence) -> tuple[bool, bool]:
    """Return the sort key of evidence. Files are best, then a reason."""
    return bool(evidence.files), bool(evidence.missing_reason)


def _is_cancelled(verdict: Verdict, results: Iterable[RunResult]) -> bool:
    """Return whether only a cancelled earlier job step prevents exit code 0."""
    return verdict.reason is ExitReason.API and not any(run.reason is ExitReason.API for run in results)
