"""`autonoma-ci run`: read, plan, start, report."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autonoma_ci.ci.console import Console
from autonoma_ci.commands.input import Input, Place, find_place
from autonoma_ci.commands.progress import Progress
from autonoma_ci.engine.fire import Fire
from autonoma_ci.engine.verdict import EXIT_CODES, decide
from autonoma_ci.engine.workers import Events, Threads
from autonoma_ci.errors import EXIT_BUG, Cancelled, InputError, Problem
from autonoma_ci.model import Conclusion, Outcome, Reason, Report, Verdict
from autonoma_ci.report.console import issues
from autonoma_ci.report.words import headline, plural
from autonoma_ci.secret import Redactor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.ci.system import Publisher
    from autonoma_ci.commands.world import World

_TITLE = "Autonoma tests"


def main(argv: Sequence[str], world: World) -> int:
    """Run the command and return its exit code; raise InputError if the command line or AUTONOMA_CI is wrong."""
    flags: dict[str, str] = {}
    variables: list[str] = []
    unknown: list[str] = []
    unreadable: Sequence[Problem] = ()
    if argv:
        # A container job has no arguments, and starts faster without what reads them.
        from autonoma_ci.commandline import flags_of_run

        try:
            flags, variables, unknown = flags_of_run(argv, world.out)
        except InputError as error:
            unreadable = error.problems
    job = Job(world, find_place(world.environ))
    return job.refuse(unreadable) if unreadable else job.run(flags, variables, unknown)


class Job:
    """One step: from its input to its exit code, with a report on every way out."""

    def __init__(self, world: World, place: Place) -> None:
        self._world, self._place = world, place
        self._console = Console(world.out, place.system.dialect)
        self._errors = Console(world.err, place.system.dialect)
        self._input = Input(world.environ, world.folder)
        self._publishers: list[Publisher] = []
        self._redact = Redactor(())
        self._report = Report(_TITLE, place.context, place.source, (), started_at=world.clock.now())

    def run(self, flags: dict[str, str], variables: list[str], unknown: list[str]) -> int:
        """Do the whole and return the exit code."""
        try:
            self._read(flags, variables, unknown)
            if self._input.problems:
                return self._refuse()
            return self._dry_run() if self._input.settings.dry_run else self._start()
        except Cancelled as error:
            # Only before anything is sent: from then on, a signal is an event.
            return self._finish(self._report._replace(outcomes=(), verdict=decide((), error.signal)))

    def refuse(self, problems: Sequence[Problem]) -> int:
        """Report a command line that can't be read; what it says of the other options is not known then."""
        self._input.problems += problems
        if self._place.system.publisher:
            self._publishers.append(self._place.system.publisher(self._world.environ, True))  # noqa: FBT003
        return self._refuse()

    def _read(self, flags: dict[str, str], variables: list[str], unknown: list[str]) -> None:
        self._input.problems += [Problem(text) for text in unknown]
        self._input.read(flags, variables, self._place.context)
        settings = self._input.settings
        secrets = [secret for secret in (settings.client_id, settings.client_secret) if secret]
        self._redact = Redactor(secrets)
        self._console.mask(secrets)
        for console in (self._console, self._errors):
            console.hide(secrets)
        for warning in settings.warnings:
            self._console.issue("warning", Problem(warning))
        for note in self._input.plan.notes:
            self._console.issue("notice", Problem(note))
        self._report = self._report._replace(
            title=settings.summary_title or _TITLE,
            source=settings.source or self._place.source,
            results_dir=settings.results_dir,
            site="{0.scheme}://{0.netloc}".format(urlsplit(settings.api_url)) if settings.api_url else "",
        )
        if self._place.system.publisher:
            self._publishers.append(self._place.system.publisher(self._world.environ, settings.summary))
        if settings.results_dir:
            from autonoma_ci.ci.results_dir import prepare

            try:
                self._publishers.append(prepare(settings.results_dir, self._world.folder))
            except InputError as error:
                self._input.problems += error.problems

    def _refuse(self) -> int:
        for problem in self._input.problems:
            self._errors.issue("error", problem)
        problems = tuple(self._redact(str(problem)) for problem in self._input.problems)
        verdict = Verdict(Conclusion.ERROR, Reason.INPUT, EXIT_CODES[Reason.INPUT])
        return self._finish(self._report._replace(problems=problems, verdict=verdict))

    def _dry_run(self) -> int:
        outcomes = tuple(Outcome(request) for request in self._input.plan.requests)
        with self._console.group("Plan"):
            for line in self._input.plan.lines():
                self._console.line(line)
        return self._finish(self._report._replace(outcomes=outcomes, verdict=Verdict(Conclusion.SKIPPED, Reason.OK, 0)))

    def _start(self) -> int:
        settings, world = self._input.settings, self._world
        events: Events = queue.SimpleQueue()
        policy = world.policy._replace(concurrency=settings.concurrency, fail_fast=settings.fail_fast)
        fire = Fire(self._input.plan.requests, policy, world.clock, events)
        progress = Progress(self._console, world.clock, self._publish)
        world.interrupts.events = events
        try:
            if fire.outcomes:
                with self._console.group(f"Starting {plural(len(fire.outcomes), 'run')} as {self._report.source}"):
                    fire.run(self._workers(events), progress)
        except BaseException:
            # A bug: what had been started until then must not be lost with it.
            verdict = decide(fire.outcomes)._replace(exit_code=EXIT_BUG, conclusion=Conclusion.ERROR)
            self._finish(self._report._replace(outcomes=tuple(fire.outcomes), verdict=verdict))
            raise
        for problem in issues(fire.outcomes, self._report.site):
            self._console.issue("error", problem, self._report.title)
        verdict = decide(fire.outcomes, fire.interrupt)
        return self._finish(self._report._replace(outcomes=tuple(fire.outcomes), verdict=verdict))

    def _workers(self, events: Events) -> Threads:
        # Loaded only now: all that needs no network is over and told by then.
        from autonoma_ci.api.client import Client
        from autonoma_ci.api.transport import Transport

        settings, world = self._input.settings, self._world
        credentials = [secret for secret in (settings.client_id, settings.client_secret) if secret]
        transport = Transport(settings.api_url, credentials, world.clock.monotonic, world.timeouts)
        client = Client(transport, self._report.source, credentials)
        return Threads(client.start, events)

    def _publish(self, outcomes: Sequence[Outcome]) -> None:
        for publisher in self._publishers:
            publisher.publish(self._report._replace(outcomes=tuple(outcomes)))

    def _finish(self, report: Report) -> int:
        for publisher in self._publishers:
            for warning in publisher.publish(report):
                self._console.issue("warning", Problem(warning))
        if not report.problems:
            self._console.line(headline(report))
        return report.verdict.exit_code if report.verdict else EXIT_BUG
