"""Ports of the readers of junit.xml in Jenkins and Bitrise.

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

# Half of the characters that remain of a long output, for a failed test and for any other.
_HALF_OF_FAILED, _HALF = 50_000, 500
_UNSAFE = re.compile(r"""[\x00-\x20\x7f"#%/:<>?\[\\\]^`{|}]""")
_ATTACHMENT = re.compile(r"\[\[ATTACHMENT\|(.+)\]\]")


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


def read_as_jenkins(written: bytes) -> list[JenkinsCase]:
    """Parse the tests of a file like Jenkins."""
    return [_jenkins_case(case) for case in ET.fromstring(written).iter("testcase")]


def _jenkins_case(case: Element) -> JenkinsCase:
    failed = case.find("failure") is not None or case.find("error") is not None
    stdout = _trim(case.findtext("system-out") or "", _HALF_OF_FAILED if failed else _HALF)
    # The attribute and the child; the text of the element is not read.
    interim = {
        tag: [Failure(each.get("message", ""), each.findtext("stackTrace") or "") for each in case.findall(tag)]
        for tag in ("flakyFailure", "rerunFailure")
    }
    status = "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
    name = case.get("name", "")
    return JenkinsCase(
        name,
        status,
        stdout,
        interim["flakyFailure"],
        interim["rerunFailure"],
        [found[1] for line in stdout.splitlines() if (found := _ATTACHMENT.search(line))],
        _UNSAFE.sub("_", name.replace('"', "")),
    )


def _trim(text: str, half: int) -> str:
    """Return the text without its middle if it is longer than two halves in UTF-16."""
    units = text.encode("utf-16-le")
    size = len(units) // 2
    if size <= 2 * half:
        return text
    head, tail = units[: 2 * half], units[-2 * half :]
    middle = f"\n...[truncated {size - 2 * half} chars]...\n"
    return head.decode("utf-16-le", "replace") + middle + tail.decode("utf-16-le", "replace")


def read_as_bitrise(written: bytes) -> list[tuple[str, str, str]]:
    """Parse name, status and text of each test and each failure before a retry."""
    found = []
    for case in ET.fromstring(written).iter("testcase"):
        name = case.get("name", "")
        result = next((each for each in case if each.tag in {"failure", "error", "skipped"}), None)
        found.append((name, "passed" if result is None else result.tag, ("" if result is None else result.text) or ""))
        # The text of the element; a child `stackTrace` is not read.
        found += [(name, "failure", each.text or "") for each in case if each.tag in {"flakyFailure", "rerunFailure"}]
    return found
