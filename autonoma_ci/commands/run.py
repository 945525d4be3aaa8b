"""`autonoma-ci run`: read, plan, start, wait if that is wanted, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.app.inputs import Input, Place, find_place
from autonoma_ci.app.job_step import NO_EARLIER_RUNS, EarlierRuns, Step
from autonoma_ci.engine.verdict import decide
from autonoma_ci.errors import Cancelled, InputError, OutputError, Problem
from autonoma_ci.models import Conclusion, Outcome, Reason, State, Verdict
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.summary import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.previous_results import LoadedRecord
    from autonoma_ci.app.runtime import World

_NOT_UP = "Check wait-for-url and the deployment that it belongs to; wait-for-url-timeout is how long it may take."


def main(argv: Sequence[str], world: World) -> int:
    """Run the command and return its exit code; raise InputError if the command line or AUTONOMA_CI is wrong."""
    flags: dict[str, str] = {}
    variables: list[str] = []
    unknown: list[str] = []
    unreadable: Sequence[Problem] = ()
    if argv:
        # A container job has no arguments, and starts faster without what reads them.
        from autonoma_ci.config.arguments import flags_of_run

        try:
            flags, variables, unknown = flags_of_run(argv, world.out)
        except InputError as error:
            unreadable = error.problems
    job = Job(world, find_place(world.environ))
    return job.refuse(unreadable) if unreadable else job.run(flags, variables, unknown)


class Job:
    """One step that starts runs: from its input to its exit code, with a report on every way out."""

    def __init__(self, world: World, place: Place) -> None:
        self._world = world
        self._step = Step(world, place)
        self._input = Input(world.environ, world.folder)
        self._previous: LoadedRecord | None = None

    def run(self, flags: dict[str, str], variables: list[str], unknown: list[str]) -> int:
        """Do the whole and return the exit code."""
        try:
            with self._world.interrupts.reveal_cancelled():
                self._read(flags, variables, unknown)
                if self._input.problems:
                    return self._step.refuse(self._input.problems)
                if self._input.skipped:
                    return self._skip(self._input.skipped)
                if self._input.settings.dry_run:
                    return self._dry_run()
                return self._not_up() or self._start()
        except Cancelled as error:
            # Only before anything is sent: from then on, a signal is an event.
            return self._step.finish(self._step.report._replace(outcomes=(), verdict=decide((), error.signal)))

    def refuse(self, problems: Sequence[Problem]) -> int:
        """Report a command line that can't be read.

        Its options are not known then. Those of the environment are: the files of an earlier build must not stay in
        results-dir.
        """
        self._input.read_settings({}, (), self._step.place)
        self._step.prepare(self._input.settings)
        self._step.begin_files()
        return self._step.refuse(problems)

    def _read(self, flags: dict[str, str], variables: list[str], unknown: list[str]) -> None:
        self._input.problems += [Problem(text) for text in unknown]
        self._input.read_settings(flags, variables, self._step.place)
        unprepared = self._step.prepare(self._input.settings)
        self._previous = self._read_previous()
        # Before the manifest is read: the shorter an older record is still there, the better.
        self._step.begin_files()
        self._input.read_plan(self._step.place)
        self._step.parts, self._step.facts = self._input.plan.parts, self._input.plan.facts
        self._input.problems += unprepared
        for warning in self._input.warnings:
            self._step.console.issue("warning", Problem(warning))
        notes = self._input.plan.notes
        for note in notes:
            self._step.console.issue("notice", Problem(note))
        self._step.report = self._step.report._replace(notes=notes, waited=self._input.settings.wait)

    def _skip(self, why: str) -> int:
        skipped = f"Skipped, nothing was started: {why}."
        self._step.console.issue("notice", Problem(skipped), self._step.report.heading)
        verdict = Verdict(Conclusion.SKIPPED, Reason.OK, 0)
        return self._step.finish(self._step.report._replace(skipped=skipped, notes=(), verdict=verdict))

    def _dry_run(self) -> int:
        outcomes = tuple(Outcome(request) for request in self._input.plan.requests)
        unwritten: OutputError | None = None
        try:
            self._step.print_product("Plan", self._input.plan.lines())
        except OutputError as error:
            unwritten = error
        verdict = Verdict(Conclusion.SKIPPED, Reason.OK, 0)
        code = self._step.finish(self._step.report._replace(outcomes=outcomes, verdict=verdict))
        if unwritten and not code:
            raise unwritten
        return code

    def _not_up(self) -> int:
        """Wait for the URL that is to be tested; return an exit code if it does not come up, or else 0."""
        settings, step = self._input.settings, self._step
        requests = self._input.plan.requests
        if not settings.wait_for_url or not requests:
            return 0
        from autonoma_ci.net.wait_for_url import wait_for_url

        clock, limit = self._world.clock, settings.wait_for_url_timeout
        values = {value for request in requests for value in request.variables.values()}
        redact = Redactor([*settings.secrets, *step.parts, *(values - step.facts)])
        unready = wait_for_url(settings.wait_for_url, limit, clock.monotonic, clock.sleep, step.console.line, redact)
        if not unready:
            return 0
        # The address is the user's own, and may hold a credential.
        why, hint = map(step.redact, unready)
        lost = Outcome(requests[0], State.NOT_STARTED, Reason.API, message=f"not sent: {why}", hint=hint or _NOT_UP)
        outcomes = [lost._replace(request=request) for request in requests]
        return step.bring_to_end(outcomes, settings, "Nothing is started")

    def _start(self) -> int:
        settings, step = self._input.settings, self._step
        outcomes = step.sign_requests([Outcome(request) for request in self._input.plan.requests])
        earlier = self._earlier(outcomes)
        title = f"Starting {plural(len(outcomes) - len(earlier.passed), 'run')}"
        return step.bring_to_end(outcomes, settings, title, earlier)

    def _read_previous(self) -> LoadedRecord | None:
        """Return the record of an earlier attempt at this build, if it is in results-dir."""
        folder, context = self._input.settings.results_dir, self._step.place.context
        if not folder or not context.build or not context.attempt:
            return None
        path = str(Path(folder, "results.json"))
        if not Path(self._world.folder, path).is_file():
            return None
        from autonoma_ci.app.previous_results import read_record

        try:
            return read_record(path, self._world.folder, self._step.redact)
        except InputError as error:
            warning = f"The earlier attempt's record is not used: {error}"
            self._step.console.issue("warning", Problem(warning))
            return None

    def _earlier(self, outcomes: Sequence[Outcome]) -> EarlierRuns:
        """Return what the record of an earlier attempt proves; the runs that passed need not be started again."""
        step, previous = self._step, self._previous
        if not previous or not step.signer:
            return NO_EARLIER_RUNS
        from autonoma_ci.app import previous_results

        context = step.place.context
        if not previous_results.is_of_earlier_attempt(previous.saved, context):
            return NO_EARLIER_RUNS
        # Where each job has a number of its own, the record may be that of another job, whose runs are others.
        is_own = previous.saved.job == context.job and previous.saved.runs
        if is_own and (why := previous_results.why_nothing_is_carried(outcomes, previous, context, step.signer)):
            step.console.issue("notice", Problem(f"The earlier attempt's record is not used: {why}."))
        passed = previous_results.passed_before(outcomes, previous, context, step.signer)
        if passed:
            note = f"{plural(len(passed), 'run')} passed in an earlier attempt at this build. "
            note += "What the API still calls passed is not started again."
            step.console.issue("notice", Problem(note))
        signed = step.signer.verifies_record(previous.data)
        return EarlierRuns(passed, previous_results.run_ids_of(previous.saved) if signed else frozenset())
