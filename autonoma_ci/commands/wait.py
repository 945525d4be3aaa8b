"""`autonoma-ci wait RESULTS.json`: take up the runs that an earlier step left open; starts nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.results_dir import RECORD
from autonoma_ci.commandline import given, parser_of
from autonoma_ci.commands.input import find_place, missing_credentials
from autonoma_ci.commands.record import outcomes_of, read_record, why_stale
from autonoma_ci.commands.step import Step
from autonoma_ci.engine.verdict import EXIT_CODES, decide
from autonoma_ci.engine.workers import MAY_HAVE_STARTED
from autonoma_ci.errors import Cancelled, InputError, Problem
from autonoma_ci.model import Conclusion, Outcome, Reason, State, Verdict
from autonoma_ci.options import OPTIONS
from autonoma_ci.report.words import plural
from autonoma_ci.settings import read
from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.commands.record import LoadedRecord
    from autonoma_ci.commands.world import World
    from autonoma_ci.report.saved import Saved
    from autonoma_ci.report.saved_runs import SavedRun

# What else a job's environment holds was for the step that started the runs.
_TAKEN = frozenset(
    {"client-id", "client-secret", "api-url", "timeout", "poll-interval", "results-dir", "summary", "summary-title"}
    | {"evidence", "evidence-file-limit", "evidence-limit", "comment", "github-token", "gitlab-token"}
    | {"part", "publish"}
)
OF_WAIT = tuple(option for option in OPTIONS if option.name in _TAKEN)
_KILLED = "the step was killed before it could say whether this run had started"
_NO_RUNS = "The step that was to start the runs has left none"
# The conclusions of a step that has no runs; its exit code is then that of its reason, or of a signal.
_WITHOUT_RUNS = frozenset({Conclusion.SKIPPED, Conclusion.ERROR, Conclusion.CANCELLED})
_SIGNALLED = range(129, 192)
_START_ANEW = (
    "If the step that starts the runs was killed, run it again. To take up runs of another build all the same, set "
    "AUTONOMA_CI to none"
)
_CHANGED = (
    "was changed after it was written, or was written with another client secret. Runs may be missing in it, and those "
    "that it calls passed are polled again."
)
_UNPROVEN = "the record says that it passed, but has no id to ask the API about"


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
    # The files beside the record are written anew, unless they are wanted elsewhere. Beside a record that was kept for
    # another step are the files of the step that replaced it, so those of this one get a folder of their own.
    beside = Path(path).parent if Path(path).name == RECORD else Path(path).with_suffix("")
    folder = settings.results_dir or str(beside)
    settings = settings._replace(results_dir=folder)
    record: LoadedRecord | None = None
    try:
        record = read_record(path, world.folder, step.redact)
        if why := why_stale(record.saved, step.place.context, step.report.started_at):
            problems.append(Problem(f"{one_line(path, 200)} is not the record of this step: {why}. {_START_ANEW}"))
    except InputError as error:
        problems += error.problems
    if record is None or record.saved.runs:
        # A step that was skipped because it has no credentials left no runs, so none are needed here either.
        problems += missing_credentials(settings, step.place.context)
    if problems or record is None:
        # Whatever is in the folder stays: an empty record in its place would lose the runs.
        step.prepare(settings._replace(results_dir=""))
        return step.refuse(problems)
    saved = record.saved
    if problems := step.prepare(settings, saved):
        return step.refuse(problems)
    step.report = step.report._replace(waited=True)
    if saved.mac and step.signer and not step.signer.verifies_record(record.data):
        step.console.issue("warning", Problem(f"{one_line(path, 200)} {_CHANGED}"))
    if not saved.runs or _is_dry_run(saved):
        return _end_as(saved, step)
    outcomes = outcomes_of(saved, step.report.started_at, step.redact)
    outcomes = [
        _taken_up(run, saved, signed=_is_signed(run, kept, step))
        for run, kept in zip(outcomes, saved.runs, strict=True)
    ]
    count = sum(run.state is State.STARTED for run in outcomes)
    return step.bring_to_end(outcomes, settings, f"Waiting for {plural(count, 'run')}")


def _is_dry_run(saved: Saved) -> bool:
    skipped = saved.conclusion is Conclusion.SKIPPED and saved.exit_code == 0
    return skipped and all(run.state is State.PLANNED for run in saved.runs)


def _end_as(saved: Saved, step: Step) -> int:
    """End as the step did that was to start the runs: nothing that it left can pass."""
    code = saved.exit_code or 0
    known = {code: reason for reason, code in EXIT_CODES.items() if code}
    verdict = Verdict(Conclusion.ERROR, Reason.UNKNOWN, EXIT_CODES[Reason.UNKNOWN])
    if saved.conclusion is Conclusion.SKIPPED and saved.exit_code == 0:
        verdict = Verdict(Conclusion.SKIPPED, Reason.OK, 0)
    elif saved.conclusion is Conclusion.CANCELLED and code in _SIGNALLED:
        verdict = Verdict(Conclusion.CANCELLED, Reason.CANCELLED, code)
    elif saved.conclusion in _WITHOUT_RUNS and code in known:
        verdict = Verdict(Conclusion.ERROR, known[code], code)
    how = f"it ended as {saved.conclusion}, with exit code {code}" if saved.conclusion else "it was killed"
    told = f"{_NO_RUNS}: {how}."
    level = "notice" if verdict.conclusion is Conclusion.SKIPPED else "error"
    step.console.issue(level, Problem(told), step.report.heading)
    # The files in results-dir say more than this step could.
    return step.finish(step.report._replace(skipped=told, verdict=verdict), files=False)


def _is_signed(run: Outcome, kept: SavedRun, step: Step) -> bool:
    return bool(step.signer and step.signer.verifies_run(run, kept.mac))


def _taken_up(run: Outcome, saved: Saved, *, signed: bool) -> Outcome:
    run = run._replace(carried=False)
    if not signed:
        # Not ours, or not of this build: what it says of itself is not signed again.
        run = run._replace(request_mac="")
    open_states = {State.STARTED, State.TIMED_OUT, State.UNKNOWN} | (set() if signed else {State.PASSED})
    if run.run_id and run.state in open_states:
        return run._replace(state=State.STARTED, reason=Reason.OK, message="", hint="")
    if run.state is State.PASSED and not signed:
        return run._replace(state=State.UNKNOWN, reason=Reason.UNKNOWN, message=_UNPROVEN, hint="")
    if run.state is State.STARTING or (run.state is State.PLANNED and saved.conclusion is None):
        return run._replace(state=State.UNKNOWN, reason=Reason.UNKNOWN, message=_KILLED, hint=MAY_HAVE_STARTED)
    if run.state is State.PLANNED:
        return run._replace(state=State.NOT_STARTED, reason=Reason.API, message="it was never sent: that was a dry run")
    return run


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    others = {name for o in OPTIONS if o.name not in _TAKEN for name in (*o.inputs, o.variable)}
    return {name: value for name, value in environ.items() if name not in others}
