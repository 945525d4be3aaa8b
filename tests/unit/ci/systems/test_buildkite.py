"""Tests of Buildkite's facts, log groups, annotation and meta-data."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from autonoma_ci.ci.base import LogGroup
from autonoma_ci.ci.ownership import build_mark, find_mark, shared_warning
from autonoma_ci.ci.systems.buildkite import SYSTEM, BuildkitePublisher
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext, Conclusion, Verdict
from autonoma_ci.reports.outputs import output_variables
from tests.support.agent_program import write_program
from tests.support.ci_environments import BUILDKITE
from tests.support.environment_names import find_secret_names
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import (
    API_ERROR_VERDICT,
    CANCELLED_VERDICT,
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    PASSED_VERDICT,
    STARTED_VERDICT,
    TIMED_OUT_VERDICT,
    create_report,
    make_failed_run,
    make_passed_run,
    make_started_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from autonoma_ci.ci.publishers.agent_cli import AgentCli
    from autonoma_ci.models import Report

CONTEXT = BuildContext("buildkite", build_id="4735ba57", build_attempt="1")
REPORT = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(
    context=CONTEXT, part=Part(title="Autonoma tests"), step_id="a" * 16, waits_for_results=True
)
NAME = f"autonoma-ci-{REPORT.part.digest}"
OWN_NAME = f"{NAME}-aaaaaaaa"
UNREAD = (
    "The build's meta-data could not be read, so the annotation of this step has a new name. An earlier one may remain."
)


class FakeAgent:
    """The agent's program with its data in memory.

    Args:
        unreadable: The numbers of the reads that fail, from 0.
        failing: The commands that fail.
    """

    def __init__(self, unreadable: Iterable[int] = (), failing: Iterable[str] = ()) -> None:
        self._unreadable, self._failing, self._read_count = set(unreadable), set(failing), 0
        self.data: dict[str, str] = {}
        self.annotations: dict[str, tuple[str, str]] = {}  # style and text by name

    def read(self, arguments: list[str]) -> str | None:
        """Run `meta-data get`."""
        command, verb, name, flag, default = arguments
        assert (command, verb, flag) == ("meta-data", "get", "--default")
        self._read_count += 1
        return None if self._read_count - 1 in self._unreadable else self.data.get(name, default)

    def run(self, arguments: list[str], text: str = "") -> str | None:
        """Run `annotate` or `meta-data set`."""
        if arguments[0] in self._failing:
            return "buildkite-agent did not end within 10 s"
        if arguments[0] == "annotate":
            _, style_flag, style, context_flag, name = arguments
            assert (style_flag, context_flag) == ("--style", "--context")
            self.annotations[name] = (style, text)
            return None
        command, verb, name = arguments
        assert (command, verb) == ("meta-data", "set")
        assert text, "the agent refuses an empty value"
        self.data[name] = text
        return None

    def add_other_mark(self, attempt: str = "1") -> None:
        """Let another step of this build own the name of the annotation."""
        other_report = REPORT._replace(step_id="b" * 16, context=CONTEXT._replace(build_attempt=attempt))
        self.data[NAME] = str(build_mark(other_report, CONTEXT.build_id)).replace(" ", ":")


def publish(
    agent: FakeAgent, step_report: Report = REPORT, *, summary: bool = True, is_shared: bool = True
) -> list[str]:
    """Publish a report with the agent, and return the warnings."""
    context = make_publish_context({}, summary=summary)._replace(publishes_shared_data=is_shared)
    return BuildkitePublisher(cast("AgentCli", agent), context).publish(step_report)


def find_annotation_warnings(warnings: list[str]) -> list[str]:
    """Return the warnings about the annotation."""
    return [warning for warning in warnings if "annotat" in warning]


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**BUILDKITE, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """The tokens of the agent and the keys of its buckets are credentials."""
    secrets = {
        "BUILDKITE_AGENT_ACCESS_TOKEN",
        "BUILDKITE_AGENT_TOKEN",
        "BUILDKITE_S3_SECRET_ACCESS_KEY",
        "BUILDKITE_DOCKER_PASSWORD",
    }
    assert find_secret_names(SYSTEM, {*BUILDKITE, *secrets}) == secrets


def test_job_name_without_key_has_id() -> None:
    """Two steps may share a label, so the id of the step identifies it."""
    step = BUILDKITE["BUILDKITE_STEP_ID"]
    assert read_context(BUILDKITE_STEP_KEY="").job_name == f"{step}/:hammer: Specs"
    assert read_context(BUILDKITE_STEP_KEY="", BUILDKITE_LABEL="").job_name == step
    assert read_context(BUILDKITE_STEP_KEY="", BUILDKITE_STEP_ID="").job_name == ":hammer: Specs"


def test_job_name_of_matrix_has_label() -> None:
    """Matrix jobs share key and id, but a label can contain the matrix values."""
    jobs = [read_context(BUILDKITE_LABEL=f"E2E {os}").job_name for os in ("linux", "mac")]
    assert jobs == ["e2e/E2E linux", "e2e/E2E mac"]


@pytest.mark.parametrize(("count", "attempt"), [("0", "1"), ("9", "10"), ("", ""), ("-1", ""), ("two", "")])
def test_attempt_is_retry_count_plus_one(count: str, attempt: str) -> None:
    """Buildkite counts retries from 0, and an invalid count is unknown."""
    assert read_context(BUILDKITE_RETRY_COUNT=count).build_attempt == attempt


def test_branch_of_tag_build_is_tag() -> None:
    """A build without a branch has the name of its tag."""
    assert read_context(BUILDKITE_BRANCH="", BUILDKITE_TAG="v1").branch == "v1"


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("Plan", "+++ Plan"),
        ("--- x\ny", "+++ \u200b--- x y"),
        ("##vso[task.complete]", "+++ #\u200b#vso[task.complete]"),
    ],
)
def test_group_is_open_heading(title: str, line: str) -> None:
    """The title of a group is one line without commands of any system."""
    group = LogGroup(title, "autonoma_1", 1)
    assert SYSTEM.log_formatter.group(group) == (line,)
    assert SYSTEM.log_formatter.end_group(group) == ()


def test_publishers_need_agent_outside_checkout(tmp_path: Path) -> None:
    """The program is used only from a folder of PATH that is outside of the checkout."""
    write_program(tmp_path / "bin", "buildkite-agent")
    environ = {"PATH": str(tmp_path / "bin")}
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    assert len(SYSTEM.create_publishers(make_publish_context(environ, checkout))) == 1
    assert SYSTEM.create_publishers(make_publish_context(environ, tmp_path)) == ()
    assert SYSTEM.create_publishers(make_publish_context({}, checkout)) == ()


def test_publish_before_end_calls_nothing() -> None:
    """A report without a verdict is not published."""
    agent = FakeAgent()
    assert publish(agent, REPORT._replace(verdict=None, results=(make_started_run("a"),))) == []
    assert (agent.annotations, agent.data) == ({}, {})


def test_publish_writes_annotation_and_data() -> None:
    """The annotation has the page without a chart, and the meta-data has all outputs."""
    agent = FakeAgent()
    assert (
        publish(agent, REPORT._replace(verdict=FAILED_VERDICT, results=(make_passed_run("a"), make_failed_run("b"))))
        == []
    )
    [(name, (style, text))] = agent.annotations.items()
    assert (name, style) == (NAME, "error")
    assert text.startswith("### Autonoma tests: ❌ Failed")
    assert "mermaid" not in text
    names = set(output_variables(REPORT))
    assert set(agent.data) == {NAME, "AUTONOMA_WRITTEN_BY", *names}
    assert (agent.data["AUTONOMA_CONCLUSION"], agent.data["AUTONOMA_FAILED"]) == ("failed", "1")
    mark = find_mark(agent.data[NAME])
    assert mark
    assert (mark.build_id, mark.attempt, mark.step) == ("4735ba57", "1", "aaaaaaaa")


@pytest.mark.parametrize(
    ("verdict", "style"),
    [
        (PASSED_VERDICT, "success"),
        (FAILED_VERDICT, "error"),
        (API_ERROR_VERDICT, "error"),
        (TIMED_OUT_VERDICT, "warning"),
        (CANCELLED_VERDICT, "warning"),
        (STARTED_VERDICT, "info"),
        (DRY_RUN_VERDICT, "info"),
    ],
    ids=lambda value: value.conclusion.value if isinstance(value, Verdict) else value,
)
def test_annotation_has_style_of_conclusion(verdict: Verdict, style: str) -> None:
    """Buildkite knows the styles success, info, warning and error."""
    agent = FakeAgent()
    publish(agent, REPORT._replace(verdict=verdict))
    assert [annotation_style for annotation_style, _ in agent.annotations.values()] == [style]


def test_annotation_styles_cover_conclusions() -> None:
    """The verdicts of the table have all conclusions."""
    verdicts = (
        PASSED_VERDICT,
        FAILED_VERDICT,
        API_ERROR_VERDICT,
        TIMED_OUT_VERDICT,
        CANCELLED_VERDICT,
        STARTED_VERDICT,
        DRY_RUN_VERDICT,
    )
    assert {verdict.conclusion for verdict in verdicts} == set(Conclusion)


def test_annotation_of_retry_replaces_own() -> None:
    """The retry of a step finds its name, which no other step has."""
    agent = FakeAgent()
    publish(agent, REPORT._replace(verdict=FAILED_VERDICT, results=(make_failed_run("a"),)))
    retry = REPORT._replace(step_id="c" * 16, context=CONTEXT._replace(build_attempt="2"))
    assert publish(agent, retry) == []
    assert {name: style for name, (style, _) in agent.annotations.items()} == {NAME: "success"}


def test_annotation_of_each_part_has_name() -> None:
    """Two parts of a build have two annotations."""
    agent = FakeAgent()
    for part in ("linux", "mac"):
        assert publish(agent, REPORT._replace(part=Part(part=part), step_id=part)) == []
    assert len(agent.annotations) == 2


def test_annotation_off_writes_data_only() -> None:
    """The option summary turns off the annotation, but not the meta-data."""
    agent = FakeAgent()
    assert publish(agent, summary=False) == []
    assert agent.annotations == {}
    assert agent.data["AUTONOMA_CONCLUSION"] == "passed"
    assert NAME not in agent.data


def test_annotation_before_merge_has_own_name() -> None:
    """A step that writes no shared data has an annotation of its own, without a mark or a warning."""
    agent = FakeAgent()
    assert publish(agent, is_shared=False) == []
    assert list(agent.annotations) == [OWN_NAME]
    assert agent.data == {}


@pytest.mark.parametrize("unreadable", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_annotation_unread_warns_without_blame(unreadable: list[int]) -> None:
    """A read fails before the mark is written, after it, or after the annotation."""
    agent = FakeAgent(unreadable)
    assert find_annotation_warnings(publish(agent)) == [UNREAD]
    assert list(agent.annotations)[-1] == OWN_NAME


def test_annotation_owner_unread_has_no_blame() -> None:
    """An earlier attempt owns the name, and whether another step exists is unreadable."""
    agent = FakeAgent([1])
    agent.add_other_mark(attempt="0")
    assert find_annotation_warnings(publish(agent)) == [UNREAD]
    assert list(agent.annotations) == [OWN_NAME]


def test_annotation_of_other_step_stays() -> None:
    """The name of another step stays, and the warning explains how to distinguish the two."""
    agent = FakeAgent()
    agent.add_other_mark()
    mark = agent.data[NAME]
    assert find_annotation_warnings(publish(agent)) == [shared_warning("an annotation")]
    assert list(agent.annotations) == [OWN_NAME]
    assert agent.data[NAME] == mark


def test_annotation_without_mark_has_own_name() -> None:
    """The next step would not know the owner of an annotation without a mark."""
    agent = FakeAgent(failing=["meta-data"])
    warnings = publish(agent)
    assert list(agent.annotations) == [OWN_NAME]
    assert warnings == [
        "The build's meta-data could not be set: buildkite-agent did not end within 10 s.",
    ]


@pytest.mark.parametrize(
    ("unreadable", "warnings"), [([], []), ([0], [UNREAD])], ids=["own-name-unused", "own-name-unread"]
)
def test_annotation_unwritable_warns(unreadable: list[int], warnings: list[str]) -> None:
    """The reason is the last warning, and no variable is set after it."""
    agent = FakeAgent(unreadable, ["annotate"])
    assert publish(agent) == [
        *warnings,
        "The build could not be annotated: buildkite-agent did not end within 10 s.",
    ]
    assert not [name for name in agent.data if name.startswith("AUTONOMA_CONCLUSION")]


def test_annotation_claimed_by_other_is_doubled() -> None:
    """Another step finds no mark, and writes its own and its annotation a moment later."""

    class SlowAgent(FakeAgent):
        def run(self, arguments: list[str], text: str = "") -> str | None:
            failure = super().run(arguments, text)
            if arguments[0] == "annotate":
                self.add_other_mark()
            return failure

    agent = SlowAgent()
    warnings = publish(agent)
    assert set(agent.annotations) == {NAME, OWN_NAME}
    assert shared_warning("an annotation") in warnings


def test_data_without_value_is_placeholder() -> None:
    """The agent refuses an empty value, so a placeholder replaces an earlier value."""
    agent = FakeAgent()
    publish(agent)
    publish(agent, REPORT._replace(results=()))
    assert (agent.data["AUTONOMA_RUN_ID"], agent.data["AUTONOMA_RUN_IDS"]) == ("none", "[]")


def test_agent_gets_no_credentials(tmp_path: Path) -> None:
    """The program of the agent runs without the inputs of the step."""
    calls = write_program(tmp_path / "bin", "buildkite-agent")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    path = f"{calls.parent}:/usr/bin:/bin"
    environ = {"PATH": path, "AUTONOMA_CLIENT_SECRET": "s3cret-value", "BUILDKITE_AGENT_ACCESS_TOKEN": "agent-value"}
    [publisher] = SYSTEM.create_publishers(make_publish_context(environ, checkout))
    publisher.publish(create_report([make_passed_run("a")], PASSED_VERDICT))
    text = calls.with_name("calls.env").read_text("utf-8")
    assert "s3cret-value" not in text
    assert "BUILDKITE_AGENT_ACCESS_TOKEN=agent-value" in text
    assert calls.read_text("utf-8").splitlines()[0].startswith("meta-data get autonoma-ci-")
