"""Render junit.xml with one test case for each run.

Readers differ. GitLab shows the text of a result, Azure its `message` and its text, Jenkins and CircleCI show both. So
both have the complete explanation. All readers show a test case without a result in green, so only a run that passed
has no result. The failures before a retry are `flakyFailure` or `rerunFailure`. Jenkins and Bitrise read these elements
and all other readers ignore them.

A run that failed in quarantine is `skipped`, because readers count each failure against the build. Its output has the
failure.

GitLab and Jenkins' attachments plugin read `[[ATTACHMENT|path]]` tags in the output of a test case. Such a tag attaches
a file of the run to its test case.

The schema of Jenkins' xUnit plugin rejects the file, because a test case there has no `file` and no `properties`. On
Jenkins, the file is for the `junit` step.

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
from autonoma_ci.reports.summary import (
    STATE_LABELS,
    describe_quarantine,
    format_headline,
    has_run_id_or_url,
    pluralize,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from junitparser import TestCase

    from autonoma_ci.models import PreviousAttempt, Report, RunResult

_MAX_ATTRIBUTE_CHARS = 500
_MAX_BODY_CHARS = 10_000
# Length of a name that people can still read in a list of tests.
_MAX_LABEL_CHARS = 100
# The length of the longest id.
_MAX_ID_BYTES = 128
# Jenkins' attachments plugin creates a folder with the name of a test case. A name of a folder has at most 255 bytes on
# Linux. Above that, the `junit` step fails and loses all results. Azure stores 256 characters.
MAX_NAME_BYTES = 200
# Jenkins replaces these characters by `_` in the name of that folder and removes quotes.
# Source: jenkinsci/junit-plugin, `TestObject.safe`.
_UNSAFE_IN_FOLDER_RE = re.compile(r"[ #%/:<>?\[\\\]^`{|}]")
# Jenkins stores 500 characters from each end of the output if the test passed or was skipped, otherwise 50,000.
MAX_OUTPUT_CHARS, MAX_FAILED_OUTPUT_CHARS = 1000, 100_000
# Characters of the output that are reserved for earlier attempts if the run has files too.
_RESERVED_TEXT_CHARS = 200
# Characters of the output that are reserved for the line that counts the omitted files.
_RESERVED_COUNT_CHARS = 60
# Azure adds all durations to a date and fails beyond the year 9999. 30 days are far below that.
MAX_DURATION_SECONDS = 30 * 24 * 3600.0
TIMESTAMP_RE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
# GitLab and Jenkins read `[[ATTACHMENT|path]]` anywhere in a text as a tag that publishes the file. So texts from
# outside must not contain `[[`.
ATTACHMENT_TAG_RE = re.compile(r"\[(?=\[)")
# Folders whose path contains no character that ends a tag or begins another one.
_TAG_FOLDER_RE = re.compile(r"[\w@%+=:,./\\ -]{1,1000}")


class _CaseResult(NamedTuple):
    # The XML element: `error`, `failure` or `skipped`.
    element: str
    type: str
    message: str


def render_junit(report: Report) -> bytes:
    """Return junit.xml in UTF-8.

    It contains no values of variables. Times are in seconds.
    """
    from junitparser.xunit2 import JUnitXml, TestSuite

    suite = TestSuite(_clean_attribute(report.heading) or "Autonoma tests")
    if TIMESTAMP_RE.fullmatch(report.started_at):
        suite.timestamp = report.started_at
    suite.add_testcases(_build_test_cases(report))
    suites = JUnitXml()
    suites.add_testsuite(suite)
    suites.update_statistics()
    # Because runs overlap, the duration of the job step is not the sum of their durations.
    suites.time = suite.time = _clamp_seconds(report.duration_seconds)
    buffer = BytesIO()
    suites.write(buffer)
    return buffer.getvalue()


def _build_test_cases(report: Report) -> list[TestCase]:
    from junitparser import Attr, Error, Failure, Skipped, xunit2
    from junitparser.xunit2 import FlakyFailure, RerunFailure

    class _RunCase(xunit2.TestCase):
        file = Attr()

    result_classes = {"error": Error, "failure": Failure, "skipped": Skipped}
    cases: list[TestCase] = []
    for run, name in zip(report.results, _generate_names(report.results), strict=True):
        kind = run.request.kind
        case = _RunCase(name, f"autonoma.{kind}", _clamp_seconds(run.duration_seconds))
        case.file = _clean_attribute(f"autonoma/{kind}/{run.request.id}")
        for key, value in _build_properties(run).items():
            case.add_property(key, value)
        if result := _build_case_result(run, report):
            case.result = result_classes[result.element](_clean_attribute(result.message), result.type)
            case.result[0].text = _join_lines(_failure_body(run, result, report))
        # Surefire's names for an earlier failure of a test that passed in the end, and of one that did not.
        interim_class = FlakyFailure if run.state is RunState.PASSED else RerunFailure
        # A reader could count an earlier failure of a run that failed in quarantine. Its output has them as text.
        for attempt in () if run.is_quarantined_failure else run.previous_attempts:
            failure = interim_class(_clean_attribute(_describe_failure(attempt)), "failed")
            # Jenkins reads the stack trace, Bitrise the text.
            failure.text = failure.stack_trace = _join_lines([_describe_failure(attempt), *_describe_details(attempt)])
            case.add_interim_result(failure)
        limit = MAX_FAILED_OUTPUT_CHARS if result and result.element != "skipped" else MAX_OUTPUT_CHARS
        if output := _system_out(run, report.attachments_root, limit):
            case.system_out = output
        cases.append(case)
    if report.input_errors:
        case = _RunCase("input", "autonoma", 0.0)
        case.file = "autonoma/input"
        case.result = Error(format_headline(report), ExitReason.INPUT)
        case.result[0].text = _join_lines([format_headline(report), *report.input_errors])
        cases.append(case)
    return cases


def _generate_names(results: Iterable[RunResult]) -> Iterator[str]:
    """Yield a distinct name of at most 200 bytes for each run.

    GitLab drops each test case with the class and name of an earlier one. Jenkins stores the attachments of two test
    cases in one folder if only punctuation differs in their names. A name that consists of dots is another folder.
    """
    runs = [(run.request, label := _build_label(run), _folder_of(_fit_name(label))) for run in results]
    folder_counts = Counter((request.kind, folder) for request, _, folder in runs)
    used: Counter[tuple[str, str]] = Counter()
    for request, label, folder in runs:
        is_ambiguous = folder_counts[request.kind, folder] > 1 and label != request.id
        id_suffix = f" ({truncate_bytes(_clean_attribute(request.id), _MAX_ID_BYTES)})" if is_ambiguous else ""
        name = _fit_name(label, id_suffix)
        first = key = request.kind, _folder_of(name)
        while used[key]:
            used[first] += 1
            name = _fit_name(label, f"{id_suffix} #{used[first]}")
            key = request.kind, _folder_of(name)
        used[key] = 1
        yield name


def _build_label(run: RunResult) -> str:
    label = truncate(_clean_attribute(run.display_name), _MAX_LABEL_CHARS)
    return label if label.strip(".") else "no name"


def _fit_name(label: str, suffix: str = "") -> str:
    """Return the label with the suffix, within `MAX_NAME_BYTES`."""
    return truncate_bytes(label, MAX_NAME_BYTES - len(suffix.encode("utf-8", "replace"))) + suffix


def _folder_of(name: str) -> str:
    """Return the folder that Jenkins creates for a test case."""
    return _UNSAFE_IN_FOLDER_RE.sub("_", name.replace('"', ""))


def _build_case_result(run: RunResult, report: Report) -> _CaseResult | None:
    """Return the result of a test case, None for a passed run."""
    if run.is_quarantined_failure:
        return _CaseResult("skipped", "quarantined", f"quarantined {describe_quarantine(run)}")
    return _build_counted_result(run, report)


def _build_counted_result(run: RunResult, report: Report) -> _CaseResult | None:
    state, message = run.state, _clean_attribute(run.message)
    state_message = f"{state_label(run)}: {message}" if message else state_label(run)
    match state:
        case RunState.PASSED:
            return None
        case RunState.FAILED:
            return _CaseResult("failure", "failed", _describe_failure(run))
        case RunState.STOPPED:
            return _CaseResult("error", "stopped", state_message)
        case RunState.TIMED_OUT:
            return _CaseResult("error", "timeout", message or state_message)
        case RunState.NOT_STARTED:
            element = "skipped" if run.reason is ExitReason.CANCELLED else "error"
            return _CaseResult(element, state if run.reason is ExitReason.OK else run.reason, state_message)
        case RunState.STARTED:
            note = (
                "still running at the end of the step"
                if report.waits_for_results
                else "started without a wait for the result"
            )
            return _CaseResult("skipped", state, note)
        case RunState.PLANNED:
            return _CaseResult("skipped", state, message or "not sent")
        case RunState.STARTING | RunState.UNKNOWN:
            return _CaseResult("error", "unknown", state_message)


def _describe_failure(run: RunResult | PreviousAttempt) -> str:
    if run.step:
        return f"failed at test step {run.step.number}: {truncate(run.step.instruction, 2000)}"
    message = _clean_attribute(run.message)
    return f"failed: {message}" if message else "failed"


def _failure_body(run: RunResult, result: _CaseResult, report: Report) -> Iterator[str]:
    """Yield the lines that explain the result of a test case.

    The first line is never empty, because GitLab then shows no line at all.
    """
    yield result.message
    yield from _describe_details(run)
    yield run.suggestion
    # The suggestion for a run that may have started is to look in Autonoma, so this line has the URL.
    if (
        run.state in {RunState.UNKNOWN, RunState.STARTING}
        and not has_run_id_or_url(run)
        and safe_url(report.web_base_url)
    ):
        yield f"See {report.web_base_url}"
    if run.state in {RunState.STARTED, RunState.TIMED_OUT} and report.resume_command:
        yield f"To wait for the result: {report.resume_command}"


def _system_out(run: RunResult, folder: str, limit: int) -> str:
    """Return the output of a test case, with its attachment tags.

    Tags that do not fit are omitted and counted.

    Args:
        run: The run.
        folder: The results folder, as in `Report.attachments_root`.
        limit: In characters. Jenkins cuts the middle of a longer output, and with it a tag or a link.

    """
    lines = [line for text in _output(run) for line in _join_lines([text]).splitlines() if line.strip()]
    all_tags = list(attachment_lines(run, folder))
    first_line, rest = _fit_lines(lines[:1], limit), lines[1:]
    reserve = min(_RESERVED_TEXT_CHARS, _count_chars(rest)) + (_RESERVED_COUNT_CHARS if all_tags else 0)
    tags = _fit_lines(all_tags, limit - _count_chars(first_line) - reserve)
    omitted_count = len(all_tags) - len(tags)
    tags += [f"{pluralize(omitted_count, 'more file')} in the directory of this report"] if omitted_count else []
    return "\n".join(
        [*first_line, *_fit_lines(rest, min(_MAX_BODY_CHARS, limit - _count_chars([*first_line, *tags]))), *tags]
    )


def attachment_lines(run: RunResult, folder: str) -> Iterator[str]:
    """Yield the attachment tags of a run's files, one in each line.

    The most useful file comes first, because GitLab reads one tag and the output of a run that passed is short. For a
    failure, this is the screenshot of the failing step. Otherwise it is the video, then the last screenshot.
    """
    evidence = run.evidence
    failing_images = [step.screenshot for step in evidence.steps if run.step and step.number == run.step.number]
    images = [step.screenshot for step in evidence.steps]
    paths = [*failing_images, *images, evidence.video] if run.step else [evidence.video, *reversed(images)]
    if _TAG_FOLDER_RE.fullmatch(folder):
        for path in dict.fromkeys(filter(None, paths)):
            yield f"[[ATTACHMENT|{folder}/{path}]]"


def _fit_lines(lines: Sequence[str], limit: int) -> list[str]:
    """Return the first lines that fit as a unit.

    Lines are not cut, because a part of a link is a wrong link.
    """
    fitting: list[str] = []
    for line in lines:
        limit -= _count_chars([line])
        if limit < 0:
            break
        fitting.append(line)
    return fitting


def _count_chars(lines: Sequence[str]) -> int:
    """Return the length of the lines in Java, in UTF-16 code units."""
    return sum(len(line.encode("utf-16-le")) // 2 + 1 for line in lines)


def _output(run: RunResult) -> Iterator[str]:
    yield _link_or_id(run)
    if run.is_quarantined_failure:
        label = STATE_LABELS[run.state]
        ending = f"{label}: {run.message}" if run.message else label
        failure = _describe_failure(run) if run.state is RunState.FAILED else ending
        yield f"{failure[0].upper()}{failure[1:]}"
        yield from _describe_details(run)
    if run.reused:
        yield "Passed in an earlier attempt at this build, and not started again."
    for number, attempt in enumerate(run.previous_attempts, 1):
        yield f"Attempt {number} {_describe_failure(attempt)}"
        yield from _describe_details(attempt)


def _describe_details(run: RunResult | PreviousAttempt) -> Iterator[str]:
    if run.step:
        yield truncate(run.step.output, 2000)
        yield f"Page: {truncate(run.step.url, 2000)}" if run.step.url else ""
    yield f"Run: {_link_or_id(run)}" if _link_or_id(run) else ""


def _link_or_id(run: RunResult | PreviousAttempt) -> str:
    return safe_url(run.url) or truncate(run.run_id, _MAX_ATTRIBUTE_CHARS)


def _build_properties(run: RunResult) -> dict[str, str]:
    properties = {
        "run_id": run.run_id,
        "url": safe_url(run.url),
        "kind": run.request.kind,
        "id": run.request.id,
        "attempts": str(run.attempt_count),
        "flaky": "true" if run.is_flaky else "",
        "reused": "true" if run.reused else "",
        "owner": run.request.owner,
    }
    if quarantine := run.request.quarantine:
        properties |= {
            "quarantine_until": quarantine.until,
            "quarantine_reason": quarantine.reason,
            "quarantine_issue": quarantine.issue,
        }
    properties |= {
        f"run_url_{number}": safe_url(attempt.url) for number, attempt in enumerate(run.previous_attempts, 1)
    }
    return {name: text for name, value in properties.items() if (text := _clean_attribute(value, 2000))}


def _clamp_seconds(seconds: float) -> float:
    return round(min(max(0.0, seconds), MAX_DURATION_SECONDS), 3)


def _clean_attribute(text: str, limit: int = _MAX_ATTRIBUTE_CHARS) -> str:
    """Return the text as one line of characters that XML 1.0 allows."""
    return truncate(" ".join(ATTACHMENT_TAG_RE.sub("[\u200b", sanitize_line(text, limit)).split()), limit)


def _join_lines(lines: Iterable[str]) -> str:
    """Return the non-empty lines in characters that XML 1.0 allows."""
    joined = truncate("\n".join(filter(None, lines)), _MAX_BODY_CHARS)
    return truncate(
        ATTACHMENT_TAG_RE.sub(
            "[\u200b", "\n".join(sanitize_line(line, _MAX_BODY_CHARS) for line in joined.splitlines())
        ),
        _MAX_BODY_CHARS,
    )
