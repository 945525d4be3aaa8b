"""`autonoma-ci run`: read, plan, start, report."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

from autonoma_ci.ci.console import Console
from autonoma_ci.commands.input import Input, Place, find_place
from autonoma_ci.commands.progress import Progress
from autonoma_ci.engine.fire import Events, Fire, Threads
from autonoma_ci.engine.verdict import EXIT_CODES, decide
from autonoma_ci.errors import EXIT_BUG, InputError, Problem
from autonoma_ci.model import Conclusion, Outcome, Reason, Report, Verdict
from autonoma_ci.report.console import issues
from autonoma_ci.report.words import headline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.ci.system import Publisher
    from autonoma_ci.commands.world import World


def main(argv: Sequence[str], world: World) -> int:
    """Run the command and return its exit code; raise InputError if the command line or AUTONOMA_CI is wrong."""
    flags: dict[str, str] = {}
    variables: list[str] = []
    unknown: list[str] = []
    if argv:
        # A container job has no arguments, and starts faster without what reads them.
        from autonoma_ci.commandline import flags_of_run

        flags, variables, unknown = flags_of_run(argv, world.out)
    return Job(world, find_place(world.environ)).run(flags, variables, unknown)


class Job:
    """One step: from its input to its exit code, with a report on every way out."""

    def __init__(self, world: World, place: Place) -> None:
        self._world, self._place = world, place
        self._console = Console(world.out, place.system.dialect)
        self._errors = Console(world.err, place.system.dialect)
        self._input = Input(world.environ, world.folder)
        self._publishers: list[Publisher] = []
        self._report = Report("", place.context, place.source, (), started_at=world.clock.now())

    def run(self, flags: dict[str, str], variables: list[str], unknown: list[str]) -> int:
        """Do the whole and return the exit code."""
        self._read(flags, variables, unknown)
        if self._input.problems:
            return self._refuse()
        outcomes = [Outcome(request) for request in self._input.plan.requests]
        self._report = self._report._replace(outcomes=tuple(outcomes))
        if self._input.settings.dry_run:
            return self._dry_run()
        return self._start()

    def _read(self, flags: dict[str, str], variables: list[str], unknown: list[str]) -> None:
        self._input.read(flags, variables, self._place.context)
        settings = self._input.settings
        self._input.problems += [Problem(text) for text in unknown]
        secrets = [secret for secret in (settings.client_id, settings.client_secret) if secret]
        self._console.mask(secrets)
        for console in (self._console, self._errors):
            console.hide(secrets)
        for warning in settings.warnings:
            self._console.issue("warning", Problem(warning))
        for note in self._input.plan.notes:
            self._console.issue("notice", Problem(note))
        self._report = self._report._replace(
            title=settings.summary_title or "Autonoma tests",
            source=settings.source or self._place.source,
            results_dir=settings.results_dir,
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
        problems = tuple(map(str, self._input.problems))
        verdict = Verdict(Conclusion.ERROR, Reason.INPUT, EXIT_CODES[Reason.INPUT])
        return self._finish(self._report._replace(problems=problems, verdict=verdict))

    def _dry_run(self) -> int:
        with self._console.group("Plan"):
            for line in self._input.plan.lines():
                self._console.line(line)
        return self._finish(self._report._replace(verdict=Verdict(Conclusion.SKIPPED, Reason.OK, 0)))

    def _start(self) -> int:
        settings, world = self._input.settings, self._world
        events: Events = queue.SimpleQueue()
        policy = world.policy._replace(concurrency=settings.concurrency, fail_fast=settings.fail_fast)
        fire = Fire(self._input.plan.requests, policy, world.clock, events)
        progress = Progress(self._console, world.clock, self._publish)
        world.interrupts.events = events
        try:
            if fire.outcomes:
                with self._console.group(f"Starting {len(fire.outcomes)} run(s) as {self._report.source}"):
                    fire.run(self._workers(events), progress)
        except BaseException:
            # A bug: what had been started until then must not be lost with it.
            verdict = decide(fire.outcomes)._replace(exit_code=EXIT_BUG, conclusion=Conclusion.ERROR)
            self._finish(self._report._replace(outcomes=tuple(fire.outcomes), verdict=verdict))
            raise
        for problem in issues(fire.outcomes):
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
