"""Attachments of runs in junit.xml for GitLab and Jenkins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.models import Evidence, RunStep
from autonoma_ci.reports.junit import render_junit
from tests.support.reports import FAILED_VERDICT, create_report, make_failed_run, make_passed_run

if TYPE_CHECKING:
    from autonoma_ci.models import RunResult

STEPS = tuple(RunStep(number, "Do it", screenshot=f"evidence/r/step-{number:03d}.png") for number in (1, 2))
RUN = make_failed_run("a")._replace(evidence=Evidence(STEPS, "evidence/r/video.webm"), step=STEPS[1])


def read_system_out_lines(attachments_root: str, run: RunResult = RUN) -> list[str]:
    text = render_junit(create_report([run], FAILED_VERDICT)._replace(attachments_root=attachments_root))
    return (etree.fromstring(text).findtext(".//system-out") or "").splitlines()


def test_failing_step_comes_first() -> None:
    """The files of a run are listed one per line, and the failing step is first."""
    assert [line for line in read_system_out_lines("out") if "ATTACHMENT" in line] == [
        "[[ATTACHMENT|out/evidence/r/step-002.png]]",
        "[[ATTACHMENT|out/evidence/r/step-001.png]]",
        "[[ATTACHMENT|out/evidence/r/video.webm]]",
    ]


@pytest.mark.parametrize("attachments_root", ["", "a]]b", "a\nb", "a|b", "x" * 2000])
def test_unsafe_root_has_no_attachments(attachments_root: str) -> None:
    """A path that could end the attachment marker is left out."""
    assert not [line for line in read_system_out_lines(attachments_root) if "ATTACHMENT" in line]


def test_no_evidence_has_no_attachments() -> None:
    """A run without evidence has no attachments."""
    assert not [line for line in read_system_out_lines("out", make_passed_run("b")) if "ATTACHMENT" in line]


def test_step_output_cannot_attach_files() -> None:
    """An attachment marker in the output of a step is changed."""
    run = make_failed_run("a")._replace(step=RunStep(1, "x", "[[ATTACHMENT|/etc/passwd]]"))
    assert "[[ATTACHMENT" not in "\n".join(read_system_out_lines("out", run))


def test_other_systems_get_no_attachments() -> None:
    """Only GitLab and Jenkins have a root folder for attachments."""
    other_rules = [rule for rule in DETECTION_RULES if rule.module not in {"gitlab", "jenkins"}]
    assert len(other_rules) > 15
    assert {load_system(rule).attachments_root({"CI_PROJECT_DIR": "/a"}, Path("/a/b")) for rule in other_rules} == {""}
