"""junit.xml: one test case per run, in the dialect that GitLab, Jenkins, Azure and CircleCI all show.

GitLab shows the text of a result, Azure the `message`, Jenkins and CircleCI both, so each says the whole.
No run is a plain test case, which all show green, unless it is known to have passed.

Source: what these four document of the format, and how each one's reader shows a result.
"""

from __future__ import annotations

import re
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.model import Reason, State
from autonoma_ci.report.attachments import attachments
from autonoma_ci.report.words import has_run, headline, state_words
from autonoma_ci.text import cut, link, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from junitparser import TestCase

    from autonoma_ci.model import Earlier, Outcome, Report

_ATTRIBUTE = 500
_BODY = 10_000
# Azure keeps 256 characters of a name, and an id may have to fit beside the label.
_LABEL, _ID = 100, 128
# Azure adds all times to a date, and fails beyond the year 9999; in seconds.
_LONGEST = 30 * 24 * 3600.0
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
# GitLab and Jenkins take `[[ATTACHMENT|path]]` for an order to publish that file.
_ORDER = re.compile(r"\[(?=\[)")


class _Result(NamedTuple):
    element: str
    type: str
    message: str


def junit(report: Report) -> bytes:
    """Return junit.xml in UTF-8; no value of a variable is in it, and times are in seconds."""
    from junitparser.xunit2 import JUnitXml, TestSuite

    suite = TestSuite(_attribute(report.heading) or "Autonoma tests")
    if _MOMENT.fullmatch(report.started_at):
        suite.timestamp = report.started_at
    suite.add_testcases(_elements(report))
    suites = JUnitXml()
    suites.add_testsuite(suite)
    suites.update_statistics()
    # The runs overlap: how long the step took is not the sum of their times.
    suites.time = suite.time = _seconds(report.seconds)
    written = BytesIO()
    suites.write(written)
    return written.getvalue()


def _elements(report: Report) -> list[TestCase]:
    from junitparser import Attr, Error, Failure, Skipped, xunit2

    class _Run(xunit2.TestCase):
        file = Attr()

    results = {"error": Error, "failure": Failure, "skipped": Skipped}
    elements: list[TestCase] = []
    for outcome, name in zip(report.outcomes, _names(report.outcomes), strict=True):
        kind = outcome.request.kind
        element = _Run(name, f"autonoma.{kind}", _seconds(outcome.seconds))
        element.file = _attribute(f"autonoma/{kind}/{outcome.request.id}")
        for key, value in _properties(outcome).items():
            element.add_property(key, value)
        if result := _result(outcome, report):
            element.result = results[result.element](_attribute(result.message), result.type)
            element.result[0].text = _text(_account(outcome, result, report))
        output = "\n".join(filter(None, [_text(_output(outcome)), *attachments(outcome, report.attachments)]))
        if output.strip():
            element.system_out = output
        elements.append(element)
    if report.problems:
        element = _Run("input", "autonoma", 0.0)
        element.file = "autonoma/input"
        element.result = Error(headline(report), Reason.INPUT)
        element.result[0].text = _text([headline(report), *report.problems])
        elements.append(element)
    return elements


def _names(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield a name for each: GitLab drops every test case whose class and name came before."""
    runs = [(run.request.kind, cut(_attribute(run.label), _LABEL) or "no name", run.request.id) for run in outcomes]
    alike = Counter((kind, label) for kind, label, _ in runs)
    taken: Counter[tuple[str, str]] = Counter()
    for kind, label, run_id in runs:
        by_id = alike[kind, label] > 1 and label != run_id
        name = first = f"{label} ({cut(_attribute(run_id), _ID)})" if by_id else label
        while taken[kind, name]:
            taken[kind, first] += 1
            name = f"{first} #{taken[kind, first]}"
        taken[kind, name] = 1
        yield name


def _result(outcome: Outcome, report: Report) -> _Result | None:
    """Return what keeps the run from being green; None only if it passed."""
    state, message = outcome.state, _attribute(outcome.message)
    words = f"{state_words(outcome)}: {message}" if message else state_words(outcome)
    match state:
        case State.PASSED:
            return None
        case State.FAILED:
            return _Result("failure", "failed", _failed(outcome))
        case State.STOPPED:
            return _Result("error", "stopped", words)
        case State.TIMED_OUT:
            return _Result("error", "timeout", message or words)
        case State.NOT_STARTED:
            element = "skipped" if outcome.reason is Reason.CANCELLED else "error"
            return _Result(element, state if outcome.reason is Reason.OK else outcome.reason, words)
        case State.STARTED:
            left = "left running: how it ends is not known" if report.waited else "started, not waited for"
            return _Result("skipped", state, left)
        case State.PLANNED:
            return _Result("skipped", state, message or "not sent")
        case State.STARTING | State.UNKNOWN:
            return _Result("error", "unknown", words)


def _failed(run: Outcome | Earlier) -> str:
    if run.step:
        return f"failed at step {run.step.number}: {cut(run.step.instruction, 2000)}"
    message = _attribute(run.message)
    return f"failed: {message}" if message else "failed"


def _account(outcome: Outcome, result: _Result, report: Report) -> Iterator[str]:
    """Yield what to know of a run that is not green; the first line is never empty, or GitLab shows none."""
    yield result.message
    yield from _details(outcome)
    yield outcome.hint
    # The hint of a run that may have started says to look, and this says where.
    if outcome.state in {State.UNKNOWN, State.STARTING} and not has_run(outcome) and link(report.site):
        yield f"Look here: {report.site}"
    if outcome.state in {State.STARTED, State.TIMED_OUT} and report.later:
        yield f"To wait for it: {report.later}"


def _output(outcome: Outcome) -> Iterator[str]:
    yield _place(outcome)
    if outcome.carried:
        yield "It passed in an earlier attempt at this build, and was not started again."
    for number, run in enumerate(outcome.earlier, 1):
        yield f"Attempt {number} {_failed(run)}"
        yield from _details(run)


def _details(run: Outcome | Earlier) -> Iterator[str]:
    if run.step:
        yield cut(run.step.output, 2000)
        yield f"Page: {cut(run.step.url, 2000)}" if run.step.url else ""
    yield f"Run: {_place(run)}" if _place(run) else ""


def _place(run: Outcome | Earlier) -> str:
    return link(run.url) or cut(run.run_id, _ATTRIBUTE)


def _properties(outcome: Outcome) -> dict[str, str]:
    pairs = {
        "run_id": outcome.run_id,
        "url": link(outcome.url),
        "kind": outcome.request.kind,
        "id": outcome.request.id,
        "attempts": str(outcome.attempts),
        "flaky": "true" if outcome.flaky else "",
        "carried": "true" if outcome.carried else "",
    }
    pairs |= {f"run_url_{number}": link(run.url) for number, run in enumerate(outcome.earlier, 1)}
    return {name: text for name, value in pairs.items() if (text := _attribute(value, 2000))}


def _seconds(seconds: float) -> float:
    return round(min(max(0.0, seconds), _LONGEST), 3)


def _attribute(text: str, limit: int = _ATTRIBUTE) -> str:
    """Return the text on one line of what XML 1.0 allows, without white space around it."""
    return cut(" ".join(_ORDER.sub("[\u200b", one_line(text, limit)).split()), limit)


def _text(lines: Iterable[str]) -> str:
    """Return the lines that are not empty, in characters that XML 1.0 allows."""
    whole = cut("\n".join(filter(None, lines)), _BODY)
    return cut(_ORDER.sub("[\u200b", "\n".join(one_line(line, _BODY) for line in whole.splitlines())), _BODY)
