"""One step of a job: its log, its reports and its exit code, whichever command it is."""

from __future__ import annotations

import queue
import secrets
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from autonoma_ci.app.inputs import build_part, redact_shown_part
from autonoma_ci.app.progress import ProgressReporter
from autonoma_ci.app.publishing import is_comment_wanted, post_comment, publish_all
from autonoma_ci.ci.base import PublishContext, RemotePublisher
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.settings import Settings, build_credential_redactor
from autonoma_ci.engine.engine import NO_PASSED_RUNS, Engine
from autonoma_ci.engine.evidence import EvidencePolicy
from autonoma_ci.engine.misplaced_ids import explain_misplaced_ids
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.engine.verdict import EXIT_CODES, compute_verdict
from autonoma_ci.engine.workers import Events, ReportThread, ThreadedExecutor, spare_memory
from autonoma_ci.errors import EXIT_INTERNAL_ERROR, MEMORY_ERRORS, Diagnostic, InputError
from autonoma_ci.fs.paths import quote_for_shell
from autonoma_ci.models import NO_VARIABLES, Conclusion, ExitReason, Report, RunResult, RunState, TargetKind, Verdict
from autonoma_ci.redaction.redactor import Redactor, Secret
from autonoma_ci.reports.log import collect_warnings, format_summary_lines, group_failures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.ci.base import ReportPublisher
    from autonoma_ci.engine.workers import ProgressListener
    from autonoma_ci.models import Evidence, RunRequest
    from autonoma_ci.planning.signing import ResultsSigner
    from autonoma_ci.reports.evidence_store import EvidenceDownloader
    from autonoma_ci.reports.results_dir import ResultsDirPublisher
    from autonoma_ci.reports.results_schema import Results

DEFAULT_TITLE = "Autonoma tests"
# Before the record is tried again: a disk or a limit of open files may be full for a moment only.
_PAUSE = 0.2
_NO_RECORD = Diagnostic(
    "the record could not be written to results-dir, so the exit code is 7. Make room, or check its permissions."
)
# To write the reports with, if the memory is used up before the first request. The engine has its own.
_SPARE_BYTES = 4 * 1024 * 1024
_NOT_SENT = "not sent: the step ended because of a bug"
# To prepare these takes a quarter of a second before the first request, and half a second for members of JSON values.
# The second limit is in characters.
MAX_SHARED_VALUES = 2000
MAX_SHARED_CHARS = 100_000
# In all runs. Each signature takes up to 60 bytes beside its name, and the record of a large plan is near its limit.
MAX_SIGNED_VARIABLES = 100_000
# Facts of the build of which a part is worth nothing: one with a credential in it is left out.
_WHOLE = ("sha", "change_number", "build_url", "deployment_url")
NO_PASSED_RESULTS: Mapping[str, RunResult] = MappingProxyType({})


class PreviousRuns(NamedTuple):
    """What is known of the runs from the record of an earlier attempt, or of the step that started them."""

    # The places of runs that passed, with their runs' ids, as in `Engine`.
    passed: Mapping[int, str] = NO_PASSED_RUNS
    # The runs of an earlier attempt, as in `Board`.
    run_ids: frozenset[tuple[TargetKind, str]] = frozenset()
    # The passes of the record by their run ids. The API has to confirm them.
    passes: Mapping[str, RunResult] = NO_PASSED_RESULTS
    # The signal that ended the step which started the runs.
    signal: int | None = None


NO_PREVIOUS_RUNS = PreviousRuns()


class JobStep:
    """The log and the reports of one step, and the runs that it brings to their end."""

    def __init__(self, world: Runtime, place: CIEnvironment) -> None:
        self.world, self.ci = world, place
        in_checkout = partial(place.ci_system.path_in_checkout, world.environ, world.working_directory)
        self.log = JobLog(world.out, place.ci_system.log_formatter, world.clock, in_checkout=in_checkout)
        self.redact = Redactor(())
        self.started_at = world.clock.monotonic()
        self.report = Report(
            DEFAULT_TITLE,
            place.build_context,
            place.source,
            (),
            started_at=world.clock.utc_iso(),
            step_id=secrets.token_hex(8),
        )
        self.signer: ResultsSigner | None = None
        # Values of variables that no text of the API may show. None if the requests have them.
        self.values: Sequence[Secret] | None = None
        # As in `Plan`.
        self.parts: Sequence[Secret] = ()
        self.facts: frozenset[str] = frozenset()
        self._warned: set[str] = set()
        self._settings = Settings()
        self._errors = JobLog(world.err, place.ci_system.log_formatter, in_checkout=in_checkout)
        self._ci_publishers: list[ReportPublisher] = []
        self._file_publishers: list[ResultsDirPublisher] = []
        self._passes = NO_PASSED_RESULTS
        self._spare: Sized = b""

    def configure(self, settings: Settings, saved: Results | None = None) -> list[Diagnostic]:
        """Set up log and reports as the settings say, and return what can't be.

        With `saved`, this step goes on with the record of another: it is the same part of the build, and replaces
        what that step has published.
        """
        self._settings = settings
        self.ci = self.ci.with_facts(settings)
        self.redact = Redactor(settings.secrets)
        self.log.mask(settings.secrets)
        for console in (self.log, self._errors):
            console.redact_values(settings.secrets)
        for warning in settings.warnings:
            self.log.annotate("warning", Diagnostic(warning))
        title = settings.summary_title or (saved.title if saved else "") or DEFAULT_TITLE
        part = build_part(settings, self.ci, self.world.environ, title)
        if saved:
            part = part._replace(job_name=saved.job, part=saved.part, shard=saved.shard)
            source = self.redact(saved.source)
            self.report = self.report._replace(
                step_id=saved.step_id, source=source, started_in_attempt=saved.ci.attempt
            )
        part = redact_shown_part(part, settings)
        own = build_credential_redactor(settings)
        self.report = self.report._replace(
            title=part.title,
            part=part,
            # A source with a credential is refused before anything is sent.
            source=own(settings.source) or self.report.source,
            results_dir=settings.results_dir,
            web_base_url="{0.scheme}://{0.netloc}".format(urlsplit(settings.api_url)) if settings.api_url else "",
        )
        context = self.ci.build_context
        whole = {name: "" if own.contains_secret(text) else text for name in _WHOLE if (text := getattr(context, name))}
        self.report = self.report._replace(context=context._replace(branch=own(context.branch), **whole))
        self.add_ci_publishers(summary=settings.summary)
        if not settings.results_dir:
            return (
                [Diagnostic(f"{settings.spelling_of('evidence')} needs a folder to write to: give results-dir too")]
                if settings.evidence != "none"
                else []
            )
        from autonoma_ci.ci.workspaces import lost_folder_warnings
        from autonoma_ci.reports.other_results import SharedResults
        from autonoma_ci.reports.results_dir import open_results_dir

        named, environ = settings.spelling_of("results-dir"), self.world.environ
        for warning in lost_folder_warnings(
            named, settings.results_dir, self.world.working_directory, environ, self.ci.build_context.ci_name
        ):
            self.log.annotate("warning", Diagnostic(warning))
        self.signer = self._new_signer(settings)
        shared = partial(
            SharedResults,
            step_id=self.report.step_id,
            context=self.ci.build_context,
            started_at=self.report.started_at,
            clock=self.world.clock,
            named=named,
        )
        try:
            files = open_results_dir(
                settings.results_dir,
                self.world.working_directory,
                self.ci.ci_system.extra_result_files,
                self.signer,
                shared,
                named,
            )
        except InputError as error:
            return list(error.diagnostics)
        self._file_publishers.append(files)
        folder = Path(self.world.working_directory, settings.results_dir)
        self.report = self.report._replace(
            attachments_root=self.ci.ci_system.attachments_root(self.world.environ, folder)
        )
        record = quote_for_shell(f"{settings.results_dir.rstrip('/')}/results.json")
        self.report = self.report._replace(resume_command=f"autonoma-ci wait {record}")
        return []

    def print_product(self, title: str, lines: Iterable[str]) -> None:
        """Print what the command is for, as a group of the log.

        Raises:
            OutputError: It could not be printed.

        """
        console = JobLog(self.world.out, self.ci.ci_system.log_formatter, self.world.clock, is_product=True)
        console.redact_values(self._settings.secrets)
        with console.group(title):
            for line in lines:
                console.info(line)

    def begin_files(self) -> None:
        """Replace the files of an earlier step in results-dir, before anything is sent."""
        for files in self._file_publishers:
            self._warn_once(files.begin(self.report))

    def _warn_once(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self.log.annotate("warning", Diagnostic(warning))

    def sign_requests(self, outcomes: Sequence[RunResult]) -> list[RunResult]:
        """Return the outcomes with signatures of what is to be sent for them, if this step signs its record."""
        if not self.signer:
            return list(outcomes)
        from autonoma_ci.api.start_body import build_start_body
        from autonoma_ci.planning.signing import VariableSigner

        source, secret = self.report.source, self._settings.client_secret
        is_few = sum(len(run.request.variables) for run in outcomes) <= MAX_SIGNED_VARIABLES
        values = VariableSigner(secret) if secret and is_few else None
        return [
            run._replace(
                request_mac=self.signer.sign_request(run.request, build_start_body(run.request, source)),
                variable_macs=values.sign_all(run.request) if values else NO_VARIABLES,
            )
            for run in outcomes
        ]

    def _new_signer(self, settings: Settings) -> ResultsSigner | None:
        if not settings.client_secret:
            return None
        # Loaded only where there is a record to sign.
        from autonoma_ci.planning.signing import ResultsSigner

        context, part = self.ci.build_context, self.report.part
        return ResultsSigner(settings.client_secret, settings.api_url, context, part, settings.client_id)

    def add_ci_publishers(self, *, summary: bool) -> None:
        """Write outputs and, if it is wanted, the summary in the CI system's own form."""
        folder, shared = Path(self.world.working_directory), self._settings.publish == "now"
        clock, context = self.world.clock, self.report.context
        target = PublishContext(self.world.environ, summary, folder, self.log.write_lines, clock, shared, context)
        self._ci_publishers.extend(self.ci.ci_system.create_publishers(target))

    def fail_on_input(self, problems: Sequence[Diagnostic]) -> int:
        """Report what is wrong with the input, and return the exit code."""
        for problem in problems:
            self._errors.annotate("error", problem)
        told = tuple(self.redact(str(problem)) for problem in problems)
        verdict = Verdict(Conclusion.ERROR, ExitReason.INPUT, EXIT_CODES[ExitReason.INPUT])
        return self.finish(self.report._replace(input_errors=told, verdict=verdict))

    def run_plan(
        self,
        outcomes: Sequence[RunResult],
        settings: Settings,
        title: str,
        earlier: PreviousRuns = NO_PREVIOUS_RUNS,
    ) -> int:
        """Start what is planned, wait for it if that is wanted, report it all, and return the exit code."""
        world, clock = self.world, self.world.clock
        self._passes = earlier.passes
        waiting = None
        if settings.wait:
            waiting = world.waiting._replace(timeout=settings.timeout, retries=settings.retries)
            if settings.poll_interval is not None:
                waiting = waiting._replace(interval=settings.poll_interval)
        events: Events = queue.SimpleQueue()
        store = self._evidence_store(settings)
        keeping = EvidencePolicy(settings.evidence) if store else None
        policy = world.policy._replace(concurrency=settings.concurrency, fail_fast=settings.fail_fast)
        board = RunTable(outcomes, self.started_at, earlier.run_ids)
        world.interrupts.hand_over(events)
        interrupt = None
        engine: Engine | None = None
        try:
            if outcomes:
                # Before the record says that runs may be on their way: where little memory is left, this may fail.
                self._spare = spare_memory(_SPARE_BYTES)
                workers = self._executor(settings, events, store, self._hidden_values(outcomes))
                self._spare = b""
                # Before the first request: a step that is killed from now on may have started any of the runs.
                self._record_first(outcomes)
                with self.log.group(title), self._progress_listener(settings) as watcher:
                    engine = Engine(board, policy, clock, events, watcher, waiting, keeping, earlier.passed)
                    engine.run(workers)
                    interrupt = engine.interrupt
                started = _planned(outcomes) if interrupt is None else []
                explain_misplaced_ids(board, started, workers.api, events, clock, partial(_place_of_id, settings))
        except BaseException:
            # A bug: what had been started until then must not be lost with it.
            self._spare = b""
            if not engine:
                _mark_as_not_sent(board)
            verdict = compute_verdict(board.results)._replace(
                exit_code=EXIT_INTERNAL_ERROR, conclusion=Conclusion.ERROR
            )
            self.finish(self._snapshot(board.results)._replace(verdict=verdict))
            raise
        finally:
            if store:
                store.close()
        for problem in group_failures(board.results, self.report.web_base_url):
            self.log.annotate("error", problem, self.report.heading)
        for problem in collect_warnings(self._snapshot(board.results).results, self.redact.contains_secret):
            self.log.annotate("warning", problem, self.report.heading)
        verdict = compute_verdict(board.results, interrupt, waited=settings.wait)
        if earlier.signal is not None and _is_cancelled(verdict, board.results):
            verdict = compute_verdict((), earlier.signal)
        return self.finish(self._snapshot(board.results)._replace(verdict=verdict))

    def _record_first(self, outcomes: Sequence[RunResult]) -> None:
        for files in self._file_publishers:
            published = publish_all([files], self._meanwhile(outcomes))
            if published.internal_error:
                raise published.internal_error
            if not files.recorded:
                files.remove_empty()
                self._warn_once(published.warnings)
                # There is nothing that a later step could wait for the runs with.
                self.report = self.report._replace(resume_command="")

    def finish(self, report: Report, *, files: bool = True) -> int:
        """Write all reports for the last time, say the whole in one sentence, and return the exit code.

        Without `files`, those in results-dir stay as they are.
        """
        # From now on a signal is an event: no report is cut off half-way.
        events: Events = self.world.interrupts.events or queue.SimpleQueue()
        self.world.interrupts.hand_over(events)
        bugs: list[Exception | None] = []
        if files:
            # First, as what the CI system is told of them must be there.
            report, bug = self._write_files(report)
            bugs.append(bug)
        published = publish_all([each for each in self._ci_publishers if not isinstance(each, RemotePublisher)], report)
        bugs.append(published.internal_error)
        self._warn_once(published.warnings)
        for line in format_summary_lines(report if self._has_record else report._replace(resume_command="")):
            self.log.info(line)
        # Last, as it may take a while: by now everything else has been said.
        signalled = self.world.interrupts.received
        bugs.append(self._write_slowly(report, ReportThread(events, self.world.clock, signalled=signalled)))
        for bug in filter(None, bugs):
            raise bug
        return report.verdict.exit_code if report.verdict else EXIT_INTERNAL_ERROR

    def _write_files(self, report: Report) -> tuple[Report, Exception | None]:
        """Write results-dir; return the report with its verdict, which can't be ok without a record, and a bug."""
        published = publish_all(self._file_publishers, report)
        bug = published.internal_error
        if not self._has_record:
            self.world.clock.sleep(_PAUSE)
            published = publish_all(self._file_publishers, report)
            bug = bug or published.internal_error
        if not self._has_record and report.verdict and not report.verdict.exit_code:
            verdict = Verdict(Conclusion.ERROR, ExitReason.UNKNOWN, EXIT_CODES[ExitReason.UNKNOWN])
            report = report._replace(verdict=verdict)
            published = publish_all(self._file_publishers, report)
            self.log.annotate("error", _NO_RECORD, report.heading)
        for files in self._file_publishers:
            files.remove_empty()
        self._warn_once(published.warnings)
        return report, bug or published.internal_error

    @property
    def _has_record(self) -> bool:
        return all(files.recorded for files in self._file_publishers)

    def _write_slowly(self, report: Report, reporting: ReportThread) -> Exception | None:
        """Write what takes a server or a program; return a bug in that, if one came up."""
        bug = None
        if remote := [each for each in self._ci_publishers if isinstance(each, RemotePublisher)]:
            published = reporting.write(partial(publish_all, remote, report))
            self._warn_once(published.warnings if published else [self._leave_behind("the CI system's report")])
            bug = published.internal_error if published else None
        if is_comment_wanted(self._settings, report):
            written = reporting.write(partial(post_comment, self._settings, self.ci, self.world, report))
            level, text = written or ("warning", self._leave_behind("the comment"))
            if text:
                self.log.annotate(level, Diagnostic(text))
        return bug

    def _leave_behind(self, what: str) -> str:
        """Stop the programs that were to write it; return what the log should warn of."""
        from autonoma_ci.ci.publishers.agent_cli import stop_agent_clis

        stop_agent_clis()
        why = "a signal has come" if self.world.interrupts.received else "it took too long"
        return f"{what[0].upper()}{what[1:]} may be incomplete: {why}. It was left behind; the exit code stands."

    @contextmanager
    def _progress_listener(self, settings: Settings) -> Iterator[ProgressListener]:
        """Yield what shows the runs while they go on: lines in a log, a live table at a terminal."""
        clock, out = self.world.clock, self.world.out
        if settings.wait and self.ci.build_context.ci_name == "cli" and out.isatty():
            from autonoma_ci.app.live_table import LiveTable, create_console, log_above

            if drawn := create_console(out, self.world.environ):
                console = log_above(drawn)
                console.redact_values(settings.secrets)
                with LiveTable(
                    drawn, ProgressReporter(console, clock, self._publish, self._with_record, quiet=True), clock
                ) as live:
                    yield live
                return
        yield ProgressReporter(self.log, clock, self._publish, self._with_record)

    def _evidence_store(self, settings: Settings) -> EvidenceDownloader | None:
        """Return what keeps screenshots and videos, if that is wanted."""
        if not settings.wait or settings.evidence == "none":
            return None
        from autonoma_ci.reports.evidence_store import EvidenceDownloader

        folder = Path(self.world.working_directory, settings.results_dir)
        local = urlsplit(settings.api_url).scheme == "http"
        limits = settings.evidence_file_limit, settings.evidence_limit
        return EvidenceDownloader(folder, *limits, local=local, root=Path(self.world.working_directory))

    def _hidden_values(self, outcomes: Sequence[RunResult]) -> Sequence[Secret] | None:
        """Return the values that no text of the API may show; None to remove a run's own values alone."""
        if self.values is not None:
            return self.values
        values = {value for run in outcomes for value in run.request.variables.values()} - self.facts
        is_quick = len(values) + len(self.parts) <= MAX_SHARED_VALUES and sum(map(len, values)) <= MAX_SHARED_CHARS
        return [*self.parts, *map(Secret, values)] if is_quick else None

    def _executor(
        self, settings: Settings, events: Events, store: EvidenceDownloader | None, values: Sequence[Secret] | None
    ) -> ThreadedExecutor:
        # Loaded only now: all that needs no network is over and told by then.
        from autonoma_ci.api.client import AutonomaClient
        from autonoma_ci.api.transport import Transport

        credentials = [secret for secret in (settings.client_id, settings.client_secret) if secret]
        transport = Transport(settings.api_url, credentials, self.world.timeouts)
        client = AutonomaClient(transport, self.report.source, settings.secrets, values, self.parts, self.facts)
        return ThreadedExecutor(client, events, store.fetch if store else None)

    def _publish(self, outcomes: Sequence[RunResult]) -> None:
        # What can't be written now, for want of memory or files, may be written later, and is told at the end.
        with suppress(*MEMORY_ERRORS):
            published = publish_all([*self._ci_publishers, *self._file_publishers], self._meanwhile(outcomes))
            if published.internal_error:
                raise published.internal_error

    def _meanwhile(self, outcomes: Sequence[RunResult]) -> Report:
        """Return the report while requests are sent: what is planned may be on its way by the time it is read."""
        shown = (run._replace(state=RunState.STARTING) if run.state is RunState.PLANNED else run for run in outcomes)
        return self._snapshot(tuple(shown))

    def _snapshot(self, outcomes: Sequence[RunResult]) -> Report:
        runs = tuple(self._with_record(run) for run in outcomes)
        return self.report._replace(results=runs, duration_seconds=self.world.clock.monotonic() - self.started_at)

    def _with_record(self, run: RunResult) -> RunResult:
        """Return a pass that the API confirmed with what the record knows of it: how long the run took, and files."""
        was = self._passes.get(run.run_id) if run.state is RunState.PASSED else None
        if not was:
            return run
        evidence = max(run.evidence, was.evidence, key=_worth)
        return run._replace(
            duration_seconds=min(run.duration_seconds, was.duration_seconds), reused=was.reused, evidence=evidence
        )


def _planned(outcomes: Sequence[RunResult]) -> list[int]:
    return [position for position, run in enumerate(outcomes) if run.state is RunState.PLANNED]


def _place_of_id(settings: Settings, request: RunRequest, kind: TargetKind) -> str:
    """Return where an id of this kind belongs that was given as one of the request's kind."""
    given = {
        TargetKind.TEST: settings.test_ids,
        TargetKind.FOLDER: settings.folder_ids,
        TargetKind.TAG: settings.tag_ids,
    }
    if request.id not in {entry.id for entry in given[request.kind]}:
        return f"put it under {kind}s"
    named = settings.spelling_of(f"{request.kind}-ids")
    return f"put it into {named.replace(request.kind, kind).replace(request.kind.upper(), kind.upper())}"


def _mark_as_not_sent(board: RunTable) -> None:
    for position, run in enumerate(board.results):
        if run.state is RunState.PLANNED:
            board.finish(position, RunState.NOT_STARTED, ExitReason.UNKNOWN, _NOT_SENT)


def _worth(evidence: Evidence) -> tuple[bool, bool]:
    """Return what evidence of one run is compared by: files are the best, and a reason for none is better than none."""
    return bool(evidence.files), bool(evidence.missing_reason)


def _is_cancelled(verdict: Verdict, outcomes: Iterable[RunResult]) -> bool:
    """Return whether nothing but a cancelled step keeps the verdict from being ok."""
    return verdict.reason is ExitReason.API and not any(run.reason is ExitReason.API for run in outcomes)
