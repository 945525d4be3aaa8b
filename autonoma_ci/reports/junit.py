"""Orders in junit.xml to show a run's files beside its test case, for GitLab and for Jenkins' plugin.

Render junit.xml, with one test case per run.

GitLab shows the text of a result, Azure the `message` and the text, Jenkins and CircleCI both, so each has the whole.
No run is a plain test case, which all show green, unless it is known to have passed. The failures before a retry are
`flakyFailure` or `rerunFailure`, which Jenkins and Bitrise read. All other readers ignore them.

The schema of Jenkins' xUnit plugin refuses the file: there a test case has no `file` and no `properties`. On Jenkins it
is for the `junit` step.

Source: jenkinsci/junit-plugin, `CaseResult.java`; jenkinsci/junit-attachments-plugin, `GetTestDataMethodObject.java`;
jenkinsci/xunit-plugin, `junit-10.xsd`; gitlabhq/gitlabhq, lib/gitlab/ci/parsers/test/junit.rb;
microsoft/azure-pipelines-agent, `JunitResultReader.cs`; bitrise-steplib/steps-deploy-to-bitrise-io,
test/converters/junitxml; CircleCI's documentation, "Collect test data".
"""

from __future__ import annotations

import re
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.escaping import safe_url, sanitize_line, truncate, truncate_bytes
from autonoma_ci.models import ExitReason, RunState
from autonoma_ci.reports.summary import format_headline, has_run, pluralize, state_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from junitparser import TestCase

    from autonoma_ci.models import PreviousAttempt, Report, RunResult

# Nothing that could end the order, or begin another.
_FOLDER = re.compile(r"[\w@%+=:,./\\ -]{1,1000}")


def attachment_lines(outcome: RunResult, folder: str) -> Iterator[str]:
    """Yield the orders to show the run's files, each on a line of its own.

    The most useful file comes first: GitLab takes one, and Jenkins has room for a few of a run that passed. That is the
    image of the failing step, or else the video and the end of the run.
    """
    evidence = outcome.evidence
    failing = [step.screenshot for step in evidence.steps if outcome.step and step.number == outcome.step.number]
    images = [step.screenshot for step in evidence.steps]
    files = [*failing, *images, evidence.video] if outcome.step else [evidence.video, *reversed(images)]
    if _FOLDER.fullmatch(folder):
        for path in dict.fromkeys(filter(None, files)):
            yield f"[[ATTACHMENT|{folder}/{path}]]"


_ATTRIBUTE = 500
_BODY = 10_000
# In characters, for people who read a list of tests.
_LABEL = 100
# In bytes, the length of the longest id.
_ID = 128
# In bytes. Jenkins' attachments plugin makes a folder of a name, whose limit is 255 bytes on Linux. Then the `junit`
# step fails and loses all results. Azure keeps 256 characters.
MAX_NAME_BYTES = 200
# Jenkins replaces these by `_` in the name of that folder (junit-plugin, `TestObject.safe`), and leaves quotes out.
_NOT_IN_FOLDERS = re.compile(r"[ #%/:<>?\[\\\]^`{|}]")
# Jenkins keeps 500 characters at both ends of the output of a test that passed or was skipped, and 50,000 of any other.
MAX_OUTPUT_CHARS, MAX_FAILED_OUTPUT_CHARS = 1000, 100_000
# Of these, for earlier attempts where there are files too.
_TEXT_RESERVE = 200
# For the line with the number of files that have no room.
_MORE_RESERVE = 60
# Azure adds all times to a date, and fails beyond the year 9999; in seconds.
MAX_DURATION_SECONDS = 30 * 24 * 3600.0
TIMESTAMP_RE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
# GitLab and Jenkins take `[[ATTACHMENT|path]]` for an order to publish that file.
ATTACHMENT_TAG_RE = re.compile(r"\[(?=\[)")


class _Result(NamedTuple):
    element: str
    type: str
    message: str


def render_junit(report: Report) -> bytes:
    """Return junit.xml in UTF-8; no value of a variable is in it, and times are in seconds."""
    from junitparser.xunit2 import JUnitXml, TestSuite

    suite = TestSuite(_attribute(report.heading) or "Autonoma tests")
    if TIMESTAMP_RE.fullmatch(report.started_at):
        suite.timestamp = report.started_at
    suite.add_testcases(_elements(report))
    suites = JUnitXml()
    suites.add_testsuite(suite)
    suites.update_statistics()
    # The runs overlap: how long the step took is not the sum of their times.
    suites.time = suite.time = _seconds(report.duration_seconds)
    written = BytesIO()
    suites.write(written)
    return written.getvalue()


def _elements(report: Report) -> list[TestCase]:
    from junitparser import Attr, Error, Failure, Skipped, xunit2
    from junitparser.xunit2 import FlakyFailure, RerunFailure

    class _Run(xunit2.TestCase):
        file = Attr()

    results = {"error": Error, "failure": Failure, "skipped": Skipped}
    elements: list[TestCase] = []
    for outcome, name in zip(report.results, _names(report.results), strict=True):
        kind = outcome.request.kind
        element = _Run(name, f"autonoma.{kind}", _seconds(outcome.duration_seconds))
        element.file = _attribute(f"autonoma/{kind}/{outcome.request.id}")
        for key, value in _properties(outcome).items():
            element.add_property(key, value)
        if result := _result(outcome, report):
            element.result = results[result.element](_attribute(result.message), result.type)
            element.result[0].text = _text(_failure_body(outcome, result, report))
        # As Surefire names an earlier failure of a test that passed in the end, and of one that did not.
        interim = FlakyFailure if outcome.state is RunState.PASSED else RerunFailure
        for run in outcome.previous_attempts:
            failure = interim(_attribute(_failed(run)), "failed")
            # Jenkins reads the stack trace, Bitrise the text.
            failure.text = failure.stack_trace = _text([_failed(run), *_details(run)])
            element.add_interim_result(failure)
        limit = MAX_FAILED_OUTPUT_CHARS if result and result.element != "skipped" else MAX_OUTPUT_CHARS
        if output := _system_out(outcome, report.attachments_root, limit):
            element.system_out = output
        elements.append(element)
    if report.input_errors:
        element = _Run("input", "autonoma", 0.0)
        element.file = "autonoma/input"
        element.result = Error(format_headline(report), ExitReason.INPUT)
        element.result[0].text = _text([format_headline(report), *report.input_errors])
        elements.append(element)
    return elements


def _names(outcomes: Iterable[RunResult]) -> Iterator[str]:
    """Yield a name of at most 200 bytes for each run.

    GitLab drops every test case whose class and name came before, and Jenkins puts the attachments of two test cases
    into one folder if the names differ in punctuation alone. A name of dots would be another folder.
    """
    runs = [(run.request, label := _label(run), _folder(_name(label))) for run in outcomes]
    alike = Counter((request.kind, folder) for request, _, folder in runs)
    taken: Counter[tuple[str, str]] = Counter()
    for request, label, folder in runs:
        is_alike = alike[request.kind, folder] > 1 and label != request.id
        by_id = f" ({truncate_bytes(_attribute(request.id), _ID)})" if is_alike else ""
        name = _name(label, by_id)
        first = place = request.kind, _folder(name)
        while taken[place]:
            taken[first] += 1
            name = _name(label, f"{by_id} #{taken[first]}")
            place = request.kind, _folder(name)
        taken[place] = 1
        yield name


def _label(run: RunResult) -> str:
    label = truncate(_attribute(run.display_name), _LABEL)
    return label if label.strip(".") else "no name"


def _name(label: str, ending: str = "") -> str:
    """Return the label with an ending, within the limit."""
    return truncate_bytes(label, MAX_NAME_BYTES - len(ending.encode("utf-8", "replace"))) + ending


def _folder(name: str) -> str:
    """Return the name of the folder that Jenkins makes of a name."""
    return _NOT_IN_FOLDERS.sub("_", name.replace('"', ""))


def _result(outcome: RunResult, report: Report) -> _Result | None:
    """Return what keeps the run from being green; None only if it passed."""
    state, message = outcome.state, _attribute(outcome.message)
    words = f"{state_label(outcome)}: {message}" if message else state_label(outcome)
    match state:
        case RunState.PASSED:
            return None
        case RunState.FAILED:
            return _Result("failure", "failed", _failed(outcome))
        case RunState.STOPPED:
            return _Result("error", "stopped", words)
        case RunState.TIMED_OUT:
            return _Result("error", "timeout", message or words)
        case RunState.NOT_STARTED:
            element = "skipped" if outcome.reason is ExitReason.CANCELLED else "error"
            return _Result(element, state if outcome.reason is ExitReason.OK else outcome.reason, words)
        case RunState.STARTED:
            left = "left running: how it ends is not known" if report.waits_for_results else "started, not waited for"
            return _Result("skipped", state, left)
        case RunState.PLANNED:
            return _Result("skipped", state, message or "not sent")
        case RunState.STARTING | RunState.UNKNOWN:
            return _Result("error", "unknown", words)


def _failed(run: RunResult | PreviousAttempt) -> str:
    if run.step:
        return f"failed at step {run.step.number}: {truncate(run.step.instruction, 2000)}"
    message = _attribute(run.message)
    return f"failed: {message}" if message else "failed"


def _failure_body(outcome: RunResult, result: _Result, report: Report) -> Iterator[str]:
    """Yield what to know of a run that is not green; the first line is never empty, or GitLab shows none."""
    yield result.message
    yield from _details(outcome)
    yield outcome.suggestion
    # The hint of a run that may have started says to look, and this says where.
    if (
        outcome.state in {RunState.UNKNOWN, RunState.STARTING}
        and not has_run(outcome)
        and safe_url(report.web_base_url)
    ):
        yield f"Look here: {report.web_base_url}"
    if outcome.state in {RunState.STARTED, RunState.TIMED_OUT} and report.resume_command:
        yield f"To wait for it: {report.resume_command}"


def _system_out(outcome: RunResult, folder: str, limit: int) -> str:
    """Return the output of a test case, with the orders to attach files that have room.

    Args:
        outcome: The run.
        folder: As in `attachments`.
        limit: In characters. Of a longer output Jenkins cuts the middle, and with it an order or a link.

    """
    lines = [line for text in _output(outcome) for line in _text([text]).splitlines() if line.strip()]
    all_orders = list(attachment_lines(outcome, folder))
    first, rest = _fitting(lines[:1], limit), lines[1:]
    reserve = min(_TEXT_RESERVE, _size(rest)) + (_MORE_RESERVE if all_orders else 0)
    orders = _fitting(all_orders, limit - _size(first) - reserve)
    more = len(all_orders) - len(orders)
    orders += [f"{pluralize(more, 'more file')} in the folder of this report"] if more else []
    return "\n".join([*first, *_fitting(rest, min(_BODY, limit - _size([*first, *orders]))), *orders])


def _fitting(lines: Sequence[str], limit: int) -> list[str]:
    """Return the first lines that fit, since a part of a link is a wrong link."""
    found: list[str] = []
    for line in lines:
        limit -= _size([line])
        if limit < 0:
            break
        found.append(line)
    return found


def _size(lines: Sequence[str]) -> int:
    """Return the number of characters that lines have in Java, which counts in UTF-16."""
    return sum(len(line.encode("utf-16-le")) // 2 + 1 for line in lines)


def _output(outcome: RunResult) -> Iterator[str]:
    yield _place(outcome)
    if outcome.reused:
        yield "It passed in an earlier attempt at this build, and was not started again."
    for number, run in enumerate(outcome.previous_attempts, 1):
        yield f"Attempt {number} {_failed(run)}"
        yield from _details(run)


def _details(run: RunResult | PreviousAttempt) -> Iterator[str]:
    if run.step:
        yield truncate(run.step.output, 2000)
        yield f"Page: {truncate(run.step.url, 2000)}" if run.step.url else ""
    yield f"Run: {_place(run)}" if _place(run) else ""


def _place(run: RunResult | PreviousAttempt) -> str:
    return safe_url(run.url) or truncate(run.run_id, _ATTRIBUTE)


def _properties(outcome: RunResult) -> dict[str, str]:
    pairs = {
        "run_id": outcome.run_id,
        "url": safe_url(outcome.url),
        "kind": outcome.request.kind,
        "id": outcome.request.id,
        "attempts": str(outcome.attempt_count),
        "flaky": "true" if outcome.is_flaky else "",
        "reused": "true" if outcome.reused else "",
    }
    pairs |= {f"run_url_{number}": safe_url(run.url) for number, run in enumerate(outcome.previous_attempts, 1)}
    return {name: text for name, value in pairs.items() if (text := _attribute(value, 2000))}


def _seconds(seconds: float) -> float:
    return round(min(max(0.0, seconds), MAX_DURATION_SECONDS), 3)


def _attribute(text: str, limit: int = _ATTRIBUTE) -> str:
    """Return the text on one line of what XML 1.0 allows, without white space around it."""
    return truncate(" ".join(ATTACHMENT_TAG_RE.sub("[\u200b", sanitize_line(text, limit)).split()), limit)


def _text(lines: Iterable[str]) -> str:
    """Return the lines that are not empty, in characters that XML 1.0 allows."""
    whole = truncate("\n".join(filter(None, lines)), _BODY)
    return truncate(
        ATTACHMENT_TAG_RE.sub("[\u200b", "\n".join(sanitize_line(line, _BODY) for line in whole.splitlines())), _BODY
    )
