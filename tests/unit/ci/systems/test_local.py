"""Tests of a machine outside of CI."""

from __future__ import annotations

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.systems.local import SYSTEM
from autonoma_ci.models import BuildContext
from tests.support.ci_environments import GITLAB, JENKINS
from tests.support.publish_contexts import make_publish_context

ENVIRON = {**GITLAB, **JENKINS, "GITHUB_OUTPUT": "/nowhere", "BASH_ENV": "/nowhere", "HOME": "/home/me"}


def test_context_has_name_alone() -> None:
    """Variables of a CI system have no meaning on the machine of a developer."""
    assert SYSTEM.build_context(ENVIRON) == BuildContext(ci_name="cli")


def test_publishers_are_absent() -> None:
    """A file that a variable names is not written outside of CI."""
    assert SYSTEM.create_publishers(make_publish_context(ENVIRON)) == ()


def test_log_has_no_commands() -> None:
    """A terminal reads no commands of a CI system."""
    assert SYSTEM.log_formatter is PLAIN_LOG_FORMATTER
    assert SYSTEM.comment_support is None
