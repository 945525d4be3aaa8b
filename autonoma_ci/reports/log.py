"""The log: a line for each change of a run, then the whole in one sentence, then what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.errors import Problem
from autonoma_ci.escaping import cut, duration, link
from autonoma_ci.models import Conclusion, State
from autonoma_ci.reports.summary import (
    AMISS,
    ENDED,
    continuing,
    has_run,
    headline,
    plural,
    state_words,
    still_open,
    told_step,
    worst_first,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from autonoma_ci.models import Outcome, Report

# Runners keep ten annotations of each kind per step; the last place is for the count of the others.
ISSUES_LIMIT = 9


def run_line(outcome: Outcome) -> str:
    """Return what the log says of one run; not yet escaped."""
    request = outcome.request
    name = outcome.label if outcome.label == request.id else f"{outcome.label} ({request.kind} {request.id})"
    if outcome.label == request.id:
        name = f"{request.kind} {request.id}"
    took = f" in {duration(outcome.seconds)}" if outcome.state in ENDED and not outcome.carried else ""
    again = f" (attempt {outcome.attempts})" if outcome.earlier else ""
    told = [text for text in (told_step(outcome.step), _message(outcome), outcome.url or outcome.run_id) if text]
    return ": ".join([f"{state_words(outcome)}: {name}{again}{took}", *told])


def _message(outcome: Outcome) -> str:
    # What the API says of a run that started or passed is that it started.
    return "" if outcome.state in {State.STARTED, State.PASSED} else outcome.message


def heartbeat(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the line that says that the step is alive, and what it waits for."""
    states = [outcome.state for outcome in outcomes]
    counted = {
        "running": states.count(State.STARTED),
        "being started": states.count(State.STARTING),
        "waiting": states.count(State.PLANNED),
        "passed": states.count(State.PASSED),
        "failed": states.count(State.FAILED) + states.count(State.STOPPED),
        "not started": states.count(State.NOT_STARTED),
        "unknown": states.count(State.UNKNOWN),
    }
    told = ", ".join(f"{number} {words}" for words, number in counted.items() if number)
    return f"{duration(seconds)}: {told or 'nothing is left to wait for'}."


def issues(outcomes: Sequence[Outcome], site: str = "") -> list[Problem]:
    """Return what went wrong, worst first: each failure, and what went wrong in the same way for many runs once.

    `site` is the web address to look at for runs that may have started.
    """
    alike: dict[tuple[str, str, str, str], list[Outcome]] = {}
    for outcome in worst_first(outcomes):
        if outcome.state in AMISS:
            what = ": ".join(text for text in (told_step(outcome.step), outcome.message) if text)
            # Two tests that failed alike are two failures, each with a link of its own.
            page = outcome.url if outcome.state is State.FAILED else ""
            alike.setdefault((state_words(outcome), what, outcome.hint, page), []).append(outcome)
    problems = [_issue(words, what, hint, group, site) for (words, what, hint, _), group in alike.items()]
    kept = problems[:ISSUES_LIMIT]
    if len(problems) > ISSUES_LIMIT:
        more = plural(len(problems) - ISSUES_LIMIT, "more kind")
        kept.append(Problem(f"and {more} of failure. The log has all failures."))
    return kept


def _issue(words: str, what: str, hint: str, group: Sequence[Outcome], site: str) -> Problem:
    names = ", ".join(cut(outcome.label, 100) for outcome in group[:3])
    more = f" and {len(group) - 3} more" if len(group) > 3 else ""
    text = f"{words}: {names}{more}" + (f": {what.rstrip('.')}." if what else ".")
    page = site if group[0].state is State.UNKNOWN and not has_run(group[0]) else link(group[0].url)
    look = f"Look here: {page}" if page else ""
    return Problem(" ".join(part for part in (text, hint, look) if part))


def last_lines(report: Report) -> Iterator[str]:
    """Yield the end of the log: the result in one sentence, what continues in Autonoma, and how to wait for it."""
    is_cancelled = bool(report.verdict and report.verdict.conclusion is Conclusion.CANCELLED)
    if not report.problems:
        said = headline(report)
        yield said if said.startswith("Cancelled") or not is_cancelled else f"Cancelled. {said}"
    if not still_open(report):
        return
    if report.waited or is_cancelled:
        yield continuing(report)
    if report.later:
        yield f"To wait for the results: {report.later}"
    elif not report.results_dir:
        yield "To wait for runs later, set results-dir: the step then leaves a record for autonoma-ci wait."


def notes(outcomes: Sequence[Outcome], holds_secret: Callable[[str], bool]) -> list[Problem]:
    """Return what to know beside failures, one warning for each kind of it.

    `holds_secret` says whether a text has a value that the CI system masks: GitHub hands no output with one to
    later jobs.
    """
    found = {
        "passed only after a failure (flaky)": [run.label for run in outcomes if run.flaky],
        "without a link, as the API gave none that is an https URL without a credential's value; the ids are whole": [
            f"{run.label} is {run.run_id}" for run in outcomes if run.run_id and not run.url
        ],
        "whose link has a credential's value in it, such as the host's name: the log may show stars for it "
        "and GitHub may leave out the outputs with links; the output run-ids is whole": [
            run.label for run in outcomes if run.url and holds_secret(run.url)
        ],
        "with incomplete evidence": [told for run in outcomes for told in _missing(run)],
    }
    return [Problem(f"{plural(len(names), 'run')} {what}: {_listed(names)}.") for what, names in found.items() if names]


def _missing(run: Outcome) -> list[str]:
    told = [part.evidence.missing for part in run.earlier] + [run.evidence.missing]
    return [f"{run.label}: {why}" for why in told if why]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(cut(name, 300) for name in names[:5]) + more
