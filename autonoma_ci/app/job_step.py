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

from autonoma_ci.app.inputs import part_of, shown_part
from autonoma_ci.app.progress import Progress
from autonoma_ci.app.publishing import comment, is_wanted, publish
from autonoma_ci.ci.base import Remote, Target
from autonoma_ci.ci.log import Console
from autonoma_ci.config.settings import Settings, recognizable
from autonoma_ci.engine.engine import NOTHING_PASSED, Engine
from autonoma_ci.engine.evidence import Keeping
from autonoma_ci.engine.misplaced_ids import name_misplaced
from autonoma_ci.engine.run_table import Board
from autonoma_ci.engine.verdict import EXIT_CODES, decide
from autonoma_ci.engine.workers import Events, Reporting, Threads, spare_memory
from autonoma_ci.errors import EXIT_BUG, NO_MEMORY, InputError, Problem
from autonoma_ci.fs.paths import as_argument
from autonoma_ci.models import NO_VARIABLES, Conclusion, Kind, Outcome, Reason, Report, State, Verdict
from autonoma_ci.redaction.redactor import Redactor, Secret
from autonoma_ci.reports.log import issues, last_lines, notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized

    from autonoma_ci.app.inputs import Place
    from autonoma_ci.app.runtime import World
    from autonoma_ci.ci.base import Publisher
    from autonoma_ci.engine.workers import Watcher
    from autonoma_ci.models import Evidence, RunRequest
    from autonoma_ci.planning.signing import Signer
    from autonoma_ci.reports.evidence_store import Store
    from autonoma_ci.reports.results_dir import ResultsDir
    from autonoma_ci.reports.results_schema import Saved

TITLE = "Autonoma tests"
# Before the record is tried again: a disk or a limit of open files may be full for a moment only.
_PAUSE = 0.2
_NO_RECORD = Problem(
    "the record could not be written to results-dir, so the exit code is 7. Make room, or check its permissions."
)
# To write the reports with, if the memory is used up before the first request. The engine has its own.
_SPARE_BYTES = 4 * 1024 * 1024
_NOT_SENT = "not sent: the step ended because of a bug"
# To prepare these takes a quarter of a second before the first request, and half a second for members of JSON values.
# The second limit is in characters.
MAX_SHARED_VALUES = 2000
MAX_SHARED_CHARACTERS = 100_000
# In all runs. Each signature takes up to 60 bytes beside its name, and the record of a large plan is near its limit.
MAX_SIGNED_VARIABLES = 100_000
# Facts of the build of which a part is worth nothing: one with a credential in it is left out.
_WHOLE = ("sha", "change", "build_url", "deployment_url")
NO_PASSES: Mapping[str, Outcome] = MappingProxyType({})


class EarlierRuns(NamedTuple):
    """What is known of the runs from the record of an earlier attempt, or of the step that started them."""

    # The places of runs that passed, with their runs' ids, as in `Engine`.
    passed: Mapping[int, str] = NOTHING_PASSED
    # The runs of an earlier attempt, as in `Board`.
    run_ids: frozenset[tuple[Kind, str]] = frozenset()
    # The passes of the record by their run ids. The API has to confirm them.
    passes: Mapping[str, Outcome] = NO_PASSES
    # The signal that ended the step which started the runs.
    signal: int | None = None


NO_EARLIER_RUNS = EarlierRuns()


class Step:
    """The log and the reports of one step, and the runs that it brings to their end."""

    def __init__(self, world: World, place: Place) -> None:
        self.world, self.place = world, place
        in_checkout = partial(place.system.path_in_checkout, world.environ, world.folder)
        self.console = Console(world.out, place.system.dialect, world.clock, in_checkout=in_checkout)
        self.redact = Redactor(())
        self.began = world.clock.monotonic()
        self.report = Report(
            TITLE, place.context, place.source, (), started_at=world.clock.now(), step_id=secrets.token_hex(8)
        )
        self.signer: Signer | None = None
        # Values of variables that no text of the API may show. None if the requests have them.
        self.values: Sequence[Secret] | None = None
        # As in `Plan`.
        self.parts: Sequence[Secret] = ()
        self.facts: frozenset[str] = frozenset()
        self._warned: set[str] = set()
        self._settings = Settings()
        self._errors = Console(world.err, place.system.dialect, in_checkout=in_checkout)
        self._natives: list[Publisher] = []
        self._files: list[ResultsDir] = []
        self._passes = NO_PASSES
        self._spare: Sized = b""

    def prepare(self, settings: Settings, saved: Saved | None = None) -> list[Problem]:
        """Set up log and reports as the settings say, and return what can't be.

        With `saved`, this step goes on with the record of another: it is the same part of the build, and replaces
        what that step has published.
        """
        self._settings = settings
        self.place = self.place.with_facts(settings)
        self.redact = Redactor(settings.secrets)
        self.console.mask(settings.secrets)
        for console in (self.console, self._errors):
            console.hide(settings.secrets)
        for warning in settings.warnings:
            self.console.issue("warning", Problem(warning))
        title = settings.summary_title or (saved.title if saved else "") or TITLE
        part = part_of(settings, self.place, self.world.environ, title)
        if saved:
            part = part._replace(job=saved.job, part=saved.part, shard=saved.shard)
            source = self.redact(saved.source)
            self.report = self.report._replace(step_id=saved.step_id, source=source, attempt=saved.ci.attempt)
        part = shown_part(part, settings)
        own = recognizable(settings)
        self.report = self.report._replace(
            title=part.title,
            part=part,
            # A source with a credential is refused before anything is sent.
            source=own(settings.source) or self.report.source,
            results_dir=settings.results_dir,
            site="{0.scheme}://{0.netloc}".format(urlsplit(settings.api_url)) if settings.api_url else "",
        )
        context = self.place.context
        whole = {name: "" if own.holds(text) else text for name in _WHOLE if (text := getattr(context, name))}
        self.report = self.report._replace(context=context._replace(branch=own(context.branch), **whole))
        self.publish_natively(summary=settings.summary)
        if not settings.results_dir:
            return (
                [Problem(f"{settings.named('evidence')} needs a folder to write to: give results-dir too")]
                if settings.evidence != "none"
                else []
            )
        from autonoma_ci.ci.workspaces import folder_warnings
        from autonoma_ci.reports.other_results import SharedRecord
        from autonoma_ci.reports.results_dir import prepare

        named, environ = settings.named("results-dir"), self.world.environ
        for warning in folder_warnings(named, settings.results_dir, self.world.folder, environ, self.place.context.ci):
            self.console.issue("warning", Problem(warning))
        self.signer = self._new_signer(settings)
        shared = partial(
            SharedRecord,
            step_id=self.report.step_id,
            context=self.place.context,
            started_at=self.report.started_at,
            clock=self.world.clock,
            named=named,
        )
        try:
            files = prepare(
                settings.results_dir, self.world.folder, self.place.system.files, self.signer, shared, named
            )
        except InputError as error:
            return list(error.problems)
        self._files.append(files)
        folder = Path(self.world.folder, settings.results_dir)
        self.report = self.report._replace(attachments=self.place.system.attachments(self.world.environ, folder))
        record = as_argument(f"{settings.results_dir.rstrip('/')}/results.json")
        self.report = self.report._replace(later=f"autonoma-ci wait {record}")
        return []

    def print_product(self, title: str, lines: Iterable[str]) -> None:
        """Print what the command is for, as a group of the log.

        Raises:
            OutputError: It could not be printed.

        """
        console = Console(self.world.out, self.place.system.dialect, self.world.clock, is_product=True)
        console.hide(self._settings.secrets)
        with console.group(title):
            for line in lines:
                console.line(line)

    def begin_files(self) -> None:
        """Replace the files of an earlier step in results-dir, before anything is sent."""
        for files in self._files:
            self._warn_once(files.begin(self.report))

    def _warn_once(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self.console.issue("warning", Problem(warning))

    def sign_requests(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return the outcomes with signatures of what is to be sent for them, if this step signs its record."""
        if not self.signer:
            return list(outcomes)
        from autonoma_ci.api.start_body import start_body
        from autonoma_ci.planning.signing import VariableSigner

        source, secret = self.report.source, self._settings.client_secret
        is_few = sum(len(run.request.variables) for run in outcomes) <= MAX_SIGNED_VARIABLES
        values = VariableSigner(secret) if secret and is_few else None
        return [
            run._replace(
                request_mac=self.signer.sign_request(run.request, start_body(run.request, source)),
                variable_macs=values.sign_all(run.request) if values else NO_VARIABLES,
            )
            for run in outcomes
        ]

    def _new_signer(self, settings: Settings) -> Signer | None:
        if not settings.client_secret:
            return None
        # Loaded only where there is a record to sign.
        from autonoma_ci.planning.signing import Signer

        context, part = self.place.context, self.report.part
        return Signer(settings.client_secret, settings.api_url, context, part, settings.client_id)

    def publish_natively(self, *, summary: bool) -> None:
        """Write outputs and, if it is wanted, the summary in the CI system's own form."""
        folder, shared = Path(self.world.folder), self._settings.publish == "now"
        clock, context = self.world.clock, self.report.context
        target = Target(self.world.environ, summary, folder, self.console.say, clock, shared, context)
        self._natives.extend(self.place.system.publishers(target))

    def refuse(self, problems: Sequence[Problem]) -> int:
        """Report what is wrong with the input, and return the exit code."""
        for problem in problems:
            self._errors.issue("error", problem)
        told = tuple(self.redact(str(problem)) for problem in problems)
        verdict = Verdict(Conclusion.ERROR, Reason.INPUT, EXIT_CODES[Reason.INPUT])
        return self.finish(self.report._replace(problems=told, verdict=verdict))

    def bring_to_end(
        self,
        outcomes: Sequence[Outcome],
        settings: Settings,
        title: str,
        earlier: EarlierRuns = NO_EARLIER_RUNS,
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
        store = self._store(settings)
        keeping = Keeping(settings.evidence) if store else None
        policy = world.policy._replace(concurrency=settings.concurrency, fail_fast=settings.fail_fast)
        board = Board(outcomes, self.began, earlier.run_ids)
        world.interrupts.hand_over(events)
        interrupt = None
        engine: Engine | None = None
        try:
            if outcomes:
                # Before the record says that runs may be on their way: where little memory is left, this may fail.
                self._spare = spare_memory(_SPARE_BYTES)
                workers = self._workers(settings, events, store, self._hidden_values(outcomes))
                self._spare = b""
                # Before the first request: a step that is killed from now on may have started any of the runs.
                self._record_first(outcomes)
                with self.console.group(title), self._watcher(settings) as watcher:
                    engine = Engine(board, policy, clock, events, watcher, waiting, keeping, earlier.passed)
                    engine.run(workers)
                    interrupt = engine.interrupt
                started = _planned(outcomes) if interrupt is None else []
                name_misplaced(board, started, workers.api, events, clock, partial(_place_of_id, settings))
        except BaseException:
            # A bug: what had been started until then must not be lost with it.
            self._spare = b""
            if not engine:
                _mark_as_not_sent(board)
            verdict = decide(board.outcomes)._replace(exit_code=EXIT_BUG, conclusion=Conclusion.ERROR)
            self.finish(self._now(board.outcomes)._replace(verdict=verdict))
            raise
        finally:
            if store:
                store.close()
        for problem in issues(board.outcomes, self.report.site):
            self.console.issue("error", problem, self.report.heading)
        for problem in notes(self._now(board.outcomes).outcomes, self.redact.holds):
            self.console.issue("warning", problem, self.report.heading)
        verdict = decide(board.outcomes, interrupt, waited=settings.wait)
        if earlier.signal is not None and _is_cancelled(verdict, board.outcomes):
            verdict = decide((), earlier.signal)
        return self.finish(self._now(board.outcomes)._replace(verdict=verdict))

    def _record_first(self, outcomes: Sequence[Outcome]) -> None:
        for files in self._files:
            published = publish([files], self._meanwhile(outcomes))
            if published.bug:
                raise published.bug
            if not files.recorded:
                files.remove_empty()
                self._warn_once(published.warnings)
                # There is nothing that a later step could wait for the runs with.
                self.report = self.report._replace(later="")

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
        published = publish([each for each in self._natives if not isinstance(each, Remote)], report)
        bugs.append(published.bug)
        self._warn_once(published.warnings)
        for line in last_lines(report if self._has_record else report._replace(later="")):
            self.console.line(line)
        # Last, as it may take a while: by now everything else has been said.
        signalled = self.world.interrupts.received
        bugs.append(self._write_slowly(report, Reporting(events, self.world.clock, signalled=signalled)))
        for bug in filter(None, bugs):
            raise bug
        return report.verdict.exit_code if report.verdict else EXIT_BUG

    def _write_files(self, report: Report) -> tuple[Report, Exception | None]:
        """Write results-dir; return the report with its verdict, which can't be ok without a record, and a bug."""
        published = publish(self._files, report)
        bug = published.bug
        if not self._has_record:
            self.world.clock.sleep(_PAUSE)
            published = publish(self._files, report)
            bug = bug or published.bug
        if not self._has_record and report.verdict and not report.verdict.exit_code:
            verdict = Verdict(Conclusion.ERROR, Reason.UNKNOWN, EXIT_CODES[Reason.UNKNOWN])
            report = report._replace(verdict=verdict)
            published = publish(self._files, report)
            self.console.issue("error", _NO_RECORD, report.heading)
        for files in self._files:
            files.remove_empty()
        self._warn_once(published.warnings)
        return report, bug or published.bug

    @property
    def _has_record(self) -> bool:
        return all(files.recorded for files in self._files)

    def _write_slowly(self, report: Report, reporting: Reporting) -> Exception | None:
        """Write what takes a server or a program; return a bug in that, if one came up."""
        bug = None
        if remote := [each for each in self._natives if isinstance(each, Remote)]:
            published = reporting.write(partial(publish, remote, report))
            self._warn_once(published.warnings if published else [self._leave_behind("the CI system's report")])
            bug = published.bug if published else None
        if is_wanted(self._settings, report):
            written = reporting.write(partial(comment, self._settings, self.place, self.world, report))
            level, text = written or ("warning", self._leave_behind("the comment"))
            if text:
                self.console.issue(level, Problem(text))
        return bug

    def _leave_behind(self, what: str) -> str:
        """Stop the programs that were to write it; return what the log should warn of."""
        from autonoma_ci.ci.publishers.agent_cli import stop_programs

        stop_programs()
        why = "a signal has come" if self.world.interrupts.received else "it took too long"
        return f"{what[0].upper()}{what[1:]} may be incomplete: {why}. It was left behind; the exit code stands."

    @contextmanager
    def _watcher(self, settings: Settings) -> Iterator[Watcher]:
        """Yield what shows the runs while they go on: lines in a log, a live table at a terminal."""
        clock, out = self.world.clock, self.world.out
        if settings.wait and self.place.context.ci == "cli" and out.isatty():
            from autonoma_ci.app.live_table import Live, above, screen

            if drawn := screen(out, self.world.environ):
                console = above(drawn)
                console.hide(settings.secrets)
                with Live(drawn, Progress(console, clock, self._publish, self._with_record, quiet=True), clock) as live:
                    yield live
                return
        yield Progress(self.console, clock, self._publish, self._with_record)

    def _store(self, settings: Settings) -> Store | None:
        """Return what keeps screenshots and videos, if that is wanted."""
        if not settings.wait or settings.evidence == "none":
            return None
        from autonoma_ci.reports.evidence_store import Store

        folder = Path(self.world.folder, settings.results_dir)
        local = urlsplit(settings.api_url).scheme == "http"
        limits = settings.evidence_file_limit, settings.evidence_limit
        return Store(folder, *limits, local=local, root=Path(self.world.folder))

    def _hidden_values(self, outcomes: Sequence[Outcome]) -> Sequence[Secret] | None:
        """Return the values that no text of the API may show; None to remove a run's own values alone."""
        if self.values is not None:
            return self.values
        values = {value for run in outcomes for value in run.request.variables.values()} - self.facts
        is_quick = len(values) + len(self.parts) <= MAX_SHARED_VALUES and sum(map(len, values)) <= MAX_SHARED_CHARACTERS
        return [*self.parts, *map(Secret, values)] if is_quick else None

    def _workers(
        self, settings: Settings, events: Events, store: Store | None, values: Sequence[Secret] | None
    ) -> Threads:
        # Loaded only now: all that needs no network is over and told by then.
        from autonoma_ci.api.client import Client
        from autonoma_ci.api.transport import Transport

        credentials = [secret for secret in (settings.client_id, settings.client_secret) if secret]
        transport = Transport(settings.api_url, credentials, self.world.timeouts)
        client = Client(transport, self.report.source, settings.secrets, values, self.parts, self.facts)
        return Threads(client, events, store.fetch if store else None)

    def _publish(self, outcomes: Sequence[Outcome]) -> None:
        # What can't be written now, for want of memory or files, may be written later, and is told at the end.
        with suppress(*NO_MEMORY):
            published = publish([*self._natives, *self._files], self._meanwhile(outcomes))
            if published.bug:
                raise published.bug

    def _meanwhile(self, outcomes: Sequence[Outcome]) -> Report:
        """Return the report while requests are sent: what is planned may be on its way by the time it is read."""
        shown = (run._replace(state=State.STARTING) if run.state is State.PLANNED else run for run in outcomes)
        return self._now(tuple(shown))

    def _now(self, outcomes: Sequence[Outcome]) -> Report:
        runs = tuple(self._with_record(run) for run in outcomes)
        return self.report._replace(outcomes=runs, seconds=self.world.clock.monotonic() - self.began)

    def _with_record(self, run: Outcome) -> Outcome:
        """Return a pass that the API confirmed with what the record knows of it: how long the run took, and files."""
        was = self._passes.get(run.run_id) if run.state is State.PASSED else None
        if not was:
            return run
        evidence = max(run.evidence, was.evidence, key=_worth)
        return run._replace(seconds=min(run.seconds, was.seconds), carried=was.carried, evidence=evidence)


def _planned(outcomes: Sequence[Outcome]) -> list[int]:
    return [position for position, run in enumerate(outcomes) if run.state is State.PLANNED]


def _place_of_id(settings: Settings, request: RunRequest, kind: Kind) -> str:
    """Return where an id of this kind belongs that was given as one of the request's kind."""
    given = {Kind.TEST: settings.test_ids, Kind.FOLDER: settings.folder_ids, Kind.TAG: settings.tag_ids}
    if request.id not in {entry.id for entry in given[request.kind]}:
        return f"put it under {kind}s"
    named = settings.named(f"{request.kind}-ids")
    return f"put it into {named.replace(request.kind, kind).replace(request.kind.upper(), kind.upper())}"


def _mark_as_not_sent(board: Board) -> None:
    for position, run in enumerate(board.outcomes):
        if run.state is State.PLANNED:
            board.change(position, state=State.NOT_STARTED, reason=Reason.UNKNOWN, message=_NOT_SENT)


def _worth(evidence: Evidence) -> tuple[bool, bool]:
    """Return what evidence of one run is compared by: files are the best, and a reason for none is better than none."""
    return bool(evidence.files), bool(evidence.missing)


def _is_cancelled(verdict: Verdict, outcomes: Iterable[Outcome]) -> bool:
    """Return whether nothing but a cancelled step keeps the verdict from being ok."""
    return verdict.reason is Reason.API and not any(run.reason is Reason.API for run in outcomes)
