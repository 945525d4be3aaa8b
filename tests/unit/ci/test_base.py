"""Tests of the defaults of CI systems and of the plain log."""

from __future__ import annotations

from pathlib import Path

import pytest

from autonoma_ci.ci.base import (
    PLAIN_LOG_FORMATTER,
    UNKNOWN_BUILD,
    CISystem,
    LogGroup,
    PublishContext,
)
from autonoma_ci.clock import Clock
from autonoma_ci.errors import Diagnostic
from autonoma_ci.models import BuildContext
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run


class MinimalSystem(CISystem):
    """A CI system with the required method only."""

    def build_context(self, environ: object) -> BuildContext:
        return BuildContext("minimal")


SYSTEM = MinimalSystem()


def test_system_needs_build_context() -> None:
    """A CI system without the facts of its build can't be created."""
    with pytest.raises(TypeError, match="build_context"):
        type("Empty", (CISystem,), {})()


def test_minimal_system_publishes_nothing() -> None:
    """A CI system without features has no publishers, files, comments and secrets."""
    assert tuple(SYSTEM.create_publishers(make_publish_context({"A": "1"}))) == ()
    assert dict(SYSTEM.extra_result_files(create_report([make_passed_run("a")], PASSED_VERDICT))) == {}
    assert SYSTEM.attachments_root({"A": "1"}, Path("/results")) == ""
    assert SYSTEM.comment_support is None
    assert SYSTEM.secret_variables == ()


def test_minimal_system_has_plain_log() -> None:
    """A CI system without log commands has a plain log."""
    assert SYSTEM.log_formatter is PLAIN_LOG_FORMATTER


@pytest.mark.parametrize("environ", [{}, {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1"}])
def test_minimal_system_has_unknown_shard(environ: dict[str, str]) -> None:
    """An unknown place is no single job, because each copy would start the complete plan."""
    assert SYSTEM.detect_shard(environ) is None


@pytest.mark.parametrize("file", ["plan.yml", "../plan.yml", "a/b\n.yml", ""])
def test_minimal_system_returns_same_path(file: str) -> None:
    """The path of an annotated file is unchanged."""
    assert SYSTEM.path_in_checkout({"A": "1"}, "folder", file) == file


def test_publish_context_has_safe_defaults() -> None:
    """A job step publishes shared data and knows nothing of the build by default."""
    context = PublishContext({}, True, Path(), lambda _: None, Clock())
    assert context.publishes_shared_data
    assert context.build_context == UNKNOWN_BUILD == BuildContext()


def test_plain_log_prints_no_mask() -> None:
    """A value that is printed to hide it would be visible in a plain log."""
    assert PLAIN_LOG_FORMATTER.mask("s3cret-value") == ()


def test_plain_group_is_title_after_empty_line() -> None:
    """A group has a title and no end."""
    group = LogGroup("Results", "key", 1, 2)
    assert PLAIN_LOG_FORMATTER.group(group) == ("", "Results")
    assert PLAIN_LOG_FORMATTER.end_group(group) == ()


@pytest.mark.parametrize("level", ["error", "warning", "notice"])
def test_plain_annotation_begins_with_level(level: str) -> None:
    """An annotation has the level, the title and the message."""
    problem = Diagnostic("no such test", "plan.yml", 3, 5)
    expected = f"{level.capitalize()}: plan.yml:3:5: no such test"
    assert PLAIN_LOG_FORMATTER.annotation(level, problem) == expected
    titled_line = PLAIN_LOG_FORMATTER.annotation(level, problem, "Plan")
    assert titled_line == f"{level.capitalize()}: Plan: plan.yml:3:5: no such test"


HOSTILE = "a\nb\r\x1b[31m\u202e##[error]c\x00"


@pytest.mark.parametrize(
    "line",
    [
        PLAIN_LOG_FORMATTER.group(LogGroup(HOSTILE, "key", 0))[1],
        PLAIN_LOG_FORMATTER.annotation("error", Diagnostic(HOSTILE)),
        PLAIN_LOG_FORMATTER.annotation("error", Diagnostic("x", HOSTILE, 1)),
        PLAIN_LOG_FORMATTER.annotation("error", Diagnostic("x"), HOSTILE),
        PLAIN_LOG_FORMATTER.debug(HOSTILE),
    ],
    ids=["group", "message", "file", "title", "debug"],
)
def test_plain_line_is_escaped(line: str) -> None:
    """A hostile text stays on one line without control characters and commands."""
    assert not {"\n", "\r", "\x1b", "\u202e", "\x00"} & set(line)
    assert "##[error]" not in line
    assert "c" in line
