"""Tests of a CI system without support."""

from __future__ import annotations

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.systems.unknown import SYSTEM
from autonoma_ci.models import BuildContext
from tests.support.ci_environments import DRONE, HEAD, JENKINS
from tests.support.publish_contexts import make_publish_context

ENVIRON = {**DRONE, **JENKINS, "CI": "true", "GIT_COMMIT": HEAD, "GITHUB_OUTPUT": "/nowhere"}


def test_context_has_name_alone() -> None:
    """A guess from familiar names can be wrong."""
    assert SYSTEM.build_context(ENVIRON) == BuildContext(ci_name="ci")


def test_publishers_are_absent() -> None:
    """The format of a file is unknown, so none is written."""
    assert SYSTEM.create_publishers(make_publish_context(ENVIRON)) == ()


def test_log_has_no_commands() -> None:
    """The commands of the log are unknown, so none is printed."""
    assert SYSTEM.log_formatter is PLAIN_LOG_FORMATTER
    assert SYSTEM.comment_support is None
