"""Build data that could not be read, and its warnings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from autonoma_ci.ci.base import PublishContext
from autonoma_ci.ci.ownership import build_mark
from autonoma_ci.ci.systems.buildkite import BuildkitePublisher
from autonoma_ci.clock import Clock
from autonoma_ci.identity import Part
from tests.support.reports import PASSED, passed, report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.ci.publishers.agent_cli import AgentCli
    from autonoma_ci.models import Report

MADE = report([passed("a")], PASSED)._replace(
    part=Part(title="Autonoma tests"), step_id="a" * 16, waits_for_results=True
)
NAME = f"autonoma-ci-{MADE.part.digest}"
OWN = f"{NAME}-{'a' * 8}"
UNREAD = "could not be read"
OTHERS = "Another step"


class Server:
    """The agent's program. The looks with these numbers, from 0, hang; `fails` are what else it can't do."""

    def __init__(self, hanging: Iterable[int], fails: Iterable[str] = ()) -> None:
        self._hanging, self._fails, self._looks = set(hanging), set(fails), 0
        self.data: dict[str, str] = {}
        self.annotations: list[str] = []

    def get(self, name: str) -> str | None:
        self._looks += 1
        return None if self._looks - 1 in self._hanging else self.data.get(name, "none")

    def put(self, name: str, text: str) -> str:
        self.data[name] = text
        return ""

    def read(self, arguments: list[str]) -> str | None:
        return self.get(arguments[2])

    def run(self, arguments: list[str], text: str = "") -> str:
        if arguments[0] in self._fails:
            return "buildkite-agent did not end within 10 s"
        if arguments[0] == "annotate":
            self.annotations.append(arguments[4])
            return ""
        return self.put(arguments[2], text)

    def leave(self, name: str, attempt: str = "1") -> None:
        """Let another step of this build have the name."""
        context = MADE.context._replace(build_attempt=attempt)
        other: Report = MADE._replace(step_id="b" * 16, context=context)
        self.data[name] = str(build_mark(other, MADE.context.build_id)).replace(" ", ":")


def annotate(server: Server) -> list[str]:
    """Publish to Buildkite, and return what the log warns of about the annotation."""
    target = PublishContext({}, wants_summary=True, working_directory=Path(), write_lines=lambda _: None, clock=Clock())
    warnings = BuildkitePublisher(cast("AgentCli", server), target).publish(MADE)
    return [warning for warning in warnings if "annotat" in warning]


@pytest.mark.parametrize("hanging", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_annotation_unread_warns_without_blame(hanging: list[int]) -> None:
    """A read fails before the mark is written, after it, or after the annotation."""
    server = Server(hanging)
    [warning] = annotate(server)
    assert UNREAD in warning
    assert OTHERS not in warning
    assert server.annotations[-1] == OWN


def test_annotation_owner_unread_has_no_blame() -> None:
    """An earlier attempt wrote it, and its job step could not be read."""
    server = Server([1])
    server.leave(NAME, attempt="0")
    made = MADE._replace(context=MADE.context._replace(build_attempt="1"))
    target = PublishContext(
        {},
        wants_summary=True,
        working_directory=Path(),
        write_lines=lambda _: None,
        clock=Clock(),
        publishes_shared_data=True,
    )
    warnings = BuildkitePublisher(cast("AgentCli", server), target).publish(made)
    assert UNREAD in warnings[0]
    assert OTHERS not in "".join(warnings)
    assert server.annotations == [OWN]


def test_annotation_of_other_step_warns() -> None:
    """An annotation of another step gives a warning about another step."""
    server = Server([])
    server.leave(NAME)
    [warning] = annotate(server)
    assert OTHERS in warning
    assert UNREAD not in warning


def test_annotation_unwritable_warns() -> None:
    """The reason is the last part of the warnings."""
    warnings = annotate(Server([0], ["annotate"]))
    assert [OTHERS in warning for warning in warnings] == [False] * len(warnings)
    assert warnings[-1] == "The build could not be annotated: buildkite-agent did not end within 10 s."
