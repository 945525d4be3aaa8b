"""Python versions of the junit.xml parsers of Jenkins and Bitrise.

Source: jenkinsci/junit-plugin, src/main/java/hudson/tasks/junit/CaseResult.java and
src/main/java/hudson/tasks/test/TestObject.java; jenkinsci/junit-attachments-plugin,
src/main/java/hudson/plugins/junitattachments/GetTestDataMethodObject.java;
bitrise-steplib/steps-deploy-to-bitrise-io, test/converters/junitxml/junitxml.go and models.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Jenkins keeps this many characters at each end of a long output, of a failed test and of any other.
_FAILED_END_CHARS, _OTHER_END_CHARS = 50_000, 500
_UNSAFE_IN_FOLDER_RE = re.compile(r"""[\x00-\x20\x7f"#%/:<>?\[\\\]^`{|}]""")
_ATTACHMENT_RE = re.compile(r"\[\[ATTACHMENT\|(.+)\]\]")


class Failure(NamedTuple):
    """A failure before a retry, as Jenkins shows it."""

    message: str
    text: str


class JenkinsCase(NamedTuple):
    """A test as Jenkins shows it, with the folder for its attachments."""

    name: str
    status: str
    stdout: str
    flaky: list[Failure]
    reruns: list[Failure]
    attachments: list[str]
    folder: str


def read_as_jenkins(junit_xml: bytes) -> list[JenkinsCase]:
    """Parse the tests of a file like Jenkins."""
    return [_parse_jenkins_case(case) for case in ET.fromstring(junit_xml).iter("testcase")]


def _parse_jenkins_case(case: Element) -> JenkinsCase:
    failed = case.find("failure") is not None or case.find("error") is not None
    stdout = _trim(case.findtext("system-out") or "", _FAILED_END_CHARS if failed else _OTHER_END_CHARS)
    # Jenkins reads the attribute and the child element, but not the text of the element.
    failures_by_tag = {
        tag: [
            Failure(element.get("message", ""), element.findtext("stackTrace") or "") for element in case.findall(tag)
        ]
        for tag in ("flakyFailure", "rerunFailure")
    }
    status = "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
    name = case.get("name", "")
    return JenkinsCase(
        name,
        status,
        stdout,
        failures_by_tag["flakyFailure"],
        failures_by_tag["rerunFailure"],
        [match[1] for line in stdout.splitlines() if (match := _ATTACHMENT_RE.search(line))],
        _UNSAFE_IN_FOLDER_RE.sub("_", name.replace('"', "")),
    )


def _trim(text: str, end_chars: int) -> str:
    """Return the text without its middle if it is longer than both ends.

    Its length is that in UTF-16.
    """
    units = text.encode("utf-16-le")
    size = len(units) // 2
    if size <= 2 * end_chars:
        return text
    head, tail = units[: 2 * end_chars], units[-2 * end_chars :]
    middle = f"\n...[truncated {size - 2 * end_chars} chars]...\n"
    return head.decode("utf-16-le", "replace") + middle + tail.decode("utf-16-le", "replace")


def read_as_bitrise(junit_xml: bytes) -> list[tuple[str, str, str]]:
    """Parse name, status and text of each test and each failure before a retry."""
    results = []
    for case in ET.fromstring(junit_xml).iter("testcase"):
        name = case.get("name", "")
        result = next((element for element in case if element.tag in {"failure", "error", "skipped"}), None)
        results.append(
            (name, "passed" if result is None else result.tag, ("" if result is None else result.text) or "")
        )
        # Bitrise reads the text of the element, but not its child `stackTrace`.
        results += [
            (name, "failure", element.text or "") for element in case if element.tag in {"flakyFailure", "rerunFailure"}
        ]
    return results
