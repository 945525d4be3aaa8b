"""`autonoma-ci wait RESULTS.json`: take up the runs that an earlier step left open; starts nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.commandline import given, parser_of
from autonoma_ci.commands.input import find_place, missing_credentials
from autonoma_ci.commands.record import outcomes_of, read_record
from autonoma_ci.commands.step import Step
from autonoma_ci.engine.verdict import decide
from autonoma_ci.engine.workers import MAY_HAVE_STARTED
from autonoma_ci.errors import Cancelled, InputError
from autonoma_ci.model import Outcome, Reason, State
from autonoma_ci.options import OPTIONS
from autonoma_ci.report.words import plural
from autonoma_ci.settings import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.commands.world import World
    from autonoma_ci.report.saved import Saved

# What else a job's environment holds was for the step that started the runs.
_TAKEN = frozenset(
    {"client-id", "client-secret", "api-url", "timeout", "poll-interval", "results-dir", "summary", "summary-title"}
    | {"evidence", "evidence-file-limit", "evidence-limit", "comment", "github-token", "gitlab-token"}
)
OF_WAIT = tuple(option for option in OPTIONS if option.name in _TAKEN)
_KILLED = "the step was killed before it could say whether this run had started"


def main(argv: Sequence[str], world: World) -> int:
    """Run the command and return its exit code; raise InputError if the command line is wrong."""
    parser = parser_of(
        "wait", "Wait for the runs that an earlier step started; nothing is started.", OF_WAIT, world.out
    )
    parser.add_argument("record", metavar="RESULTS.json", help="The record that the step left in its results-dir.")
    found = parser.known(argv)
    step = Step(world, find_place(world.environ))
    try:
        return _wait(found.record, given(found, OF_WAIT), world, step)
    except Cancelled as error:
        # Only before anything was asked: the record stays as it is, or its runs would be lost.
        return step.finish(step.report._replace(outcomes=(), verdict=decide((), error.signal)), files=False)


def _wait(path: str, flags: Mapping[str, str], world: World, step: Step) -> int:
    settings, problems = read({**flags, "wait": "true"}, (), _environment(world.environ))
    problems += missing_credentials(settings, step.place.context)
    # The files beside the record are written anew, unless they are wanted elsewhere.
    folder = settings.results_dir or str(Path(path).parent)
    settings = settings._replace(results_dir=folder)
    saved: Saved | None = None
    try:
        saved = read_record(path, world.folder, step.redact)
    except InputError as error:
        problems += error.problems
    if problems or saved is None:
        # Whatever is in the folder stays: an empty record in its place would lose the runs.
        step.prepare(settings._replace(results_dir=""))
        return step.refuse(problems)
    if problems := step.prepare(settings._replace(summary_title=settings.summary_title or saved.title)):
        return step.refuse(problems)
    step.report = step.report._replace(source=saved.source)
    outcomes = [_taken_up(run, saved) for run in outcomes_of(saved, step.report.started_at, step.redact)]
    count = sum(run.state is State.STARTED for run in outcomes)
    return step.bring_to_end(outcomes, settings, f"Waiting for {plural(count, 'run')}")


def _taken_up(run: Outcome, saved: Saved) -> Outcome:
    if run.run_id and run.state in {State.STARTED, State.TIMED_OUT, State.UNKNOWN}:
        return run._replace(state=State.STARTED, reason=Reason.OK, message="", hint="")
    if run.state is State.STARTING or (run.state is State.PLANNED and saved.conclusion is None):
        return run._replace(state=State.UNKNOWN, reason=Reason.UNKNOWN, message=_KILLED, hint=MAY_HAVE_STARTED)
    if run.state is State.PLANNED:
        return run._replace(state=State.NOT_STARTED, reason=Reason.API, message="it was never sent: that was a dry run")
    return run


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    others = {name for o in OPTIONS if o.name not in _TAKEN for name in (*o.inputs, o.variable)}
    return {name: value for name, value in environ.items() if name not in others}
