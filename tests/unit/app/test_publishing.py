"""Tests of publishers and the comment."""

from __future__ import annotations

import errno
import io
import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.inputs import CIEnvironment, detect_ci
from autonoma_ci.app.publishing import CommentOutcome, is_comment_wanted, post_comment, publish_all
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.base import CommentSupport
from autonoma_ci.config.settings import Settings, load_settings
from autonoma_ci.errors import InputError
from tests.support.fake_clock import FakeClock
from tests.support.reports import (
    API_ERROR_VERDICT,
    CANCELLED_VERDICT,
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    PASSED_VERDICT,
    STARTED_VERDICT,
    TIMED_OUT_VERDICT,
    create_report,
    make_passed_run,
)
from tests.support.rest_stubs import TOKEN, Fault, GitLab

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from autonoma_ci.models import Report, Verdict

JOB = {
    "GITLAB_CI": "true",
    "CI_MERGE_REQUEST_IID": "17",
    "CI_MERGE_REQUEST_PROJECT_ID": "42",
    "CI_PROJECT_ID": "43",
    "CI_PIPELINE_ID": "500",
}
OPTIONS = {"comment": "true", "client-secret": "s3cret-value-of-client", "gitlab-token": TOKEN}
REPORT = create_report([make_passed_run("a", "Checkout")], PASSED_VERDICT)
NO_EFFECT = CommentOutcome("notice", None)


@pytest.fixture
def host() -> Iterator[GitLab]:
    """Yield a GitLab server, and fail if a request differs from its documentation."""
    with GitLab() as gitlab:
        yield gitlab
    assert gitlab.errors == []


def make_settings(environ: Mapping[str, str] | None = None, /, **flags: str) -> Settings:
    """Return the settings of a job that comments, with further flags."""
    settings, errors = load_settings({**OPTIONS, **flags}, (), environ or {})
    assert errors == []
    return settings


def post_job_comment(settings: Settings, environ: Mapping[str, str], step_report: Report = REPORT) -> CommentOutcome:
    """Post the comment of a job with this environment."""
    runtime = Runtime(environ, io.StringIO(), io.StringIO(), clock=FakeClock())
    return post_comment(settings, detect_ci(environ), runtime, step_report)


def comment_with_error(error: BaseException) -> CommentOutcome:
    """Post a comment on a CI system whose modules raise this error."""

    def fail(*_: object) -> None:
        raise error

    detected_ci = detect_ci(JOB)
    # A subclass, because the instance of the CI system has no state.
    support = CommentSupport("gitlab-token", fail)
    system = type("Broken", (type(detected_ci.ci_system),), {"comment_support": support})()
    runtime = Runtime(JOB, io.StringIO(), io.StringIO(), clock=FakeClock())
    environment = CIEnvironment(system, detected_ci.build_context, detected_ci.source)
    return post_comment(make_settings(), environment, runtime, REPORT)


class _Publisher:
    """A publisher that counts its calls, and returns warnings or raises an error."""

    def __init__(self, error: Exception | None = None, *warnings: str) -> None:
        self.calls, self._error, self._warnings = 0, error, warnings

    def publish(self, report: Report) -> tuple[str, ...]:
        self.calls += 1
        if self._error:
            raise self._error
        return self._warnings


def test_publish_returns_warnings_in_order() -> None:
    """All warnings are returned in the order of the publishers."""
    outcome = publish_all([_Publisher(None, "a", "b"), _Publisher(), _Publisher(None, "c")], create_report())
    assert outcome == (["a", "b", "c"], None)


def test_publish_os_error_is_warning() -> None:
    """An error of the operating system becomes a warning with its reason."""
    os_error = OSError(errno.EMFILE, "Too many open files", "/some/where")
    outcome = publish_all([_Publisher(os_error), _Publisher(None, "c")], create_report())
    assert outcome == (["A report could not be written (Too many open files).", "c"], None)


def test_publish_returns_first_bug_last() -> None:
    """The first internal error is returned after all publishers have run."""
    bugs = RuntimeError("first"), ValueError("second")
    publishers = [_Publisher(bugs[0]), _Publisher(None, "a"), _Publisher(bugs[1]), _Publisher()]
    outcome = publish_all(publishers, create_report())
    assert outcome.internal_error is bugs[0]
    assert outcome.warnings == ["a"]
    assert [publisher.calls for publisher in publishers] == [1, 1, 1, 1]


def test_publish_memory_error_is_warning() -> None:
    """Without memory, the other publishers still run."""
    outcome = publish_all(
        [_Publisher(MemoryError()), _Publisher(SystemError()), _Publisher(None, "c")], create_report()
    )
    warning = "A report could not be written (out of memory)."
    assert outcome == ([warning, warning, "c"], None)


def test_publish_bug_does_not_hide_warnings() -> None:
    """A bug and an error of the operating system are both returned."""
    bug = KeyError("first")
    outcome = publish_all([_Publisher(bug), _Publisher(OSError(28, "No space left on device"))], create_report())
    assert outcome == (["A report could not be written (No space left on device)."], bug)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (PASSED_VERDICT, True),
        (FAILED_VERDICT, True),
        (STARTED_VERDICT, True),
        (API_ERROR_VERDICT, True),
        (TIMED_OUT_VERDICT, True),
        (DRY_RUN_VERDICT, True),
        (CANCELLED_VERDICT, False),
        (None, False),
    ],
)
def test_comment_needs_final_verdict(verdict: Verdict | None, expected: bool) -> None:
    """A step that was cancelled leaves the comment of an earlier step."""
    assert is_comment_wanted(make_settings(), create_report([make_passed_run("a")], verdict)) is expected


def test_comment_of_skipped_step_needs_selection() -> None:
    """A dry run, and a step without credentials, leave the comment of an earlier step."""
    nothing_selected = create_report([], DRY_RUN_VERDICT)
    assert is_comment_wanted(make_settings(), nothing_selected)
    assert not is_comment_wanted(make_settings(**{"dry-run": "true"}), nothing_selected)
    assert not is_comment_wanted(make_settings(), nothing_selected._replace(skip_reason="Skipped: no credentials."))


@pytest.mark.parametrize("flags", [{"comment": "false"}, {"publish": "merge"}])
def test_unwanted_comment_sends_nothing(flags: dict[str, str], host: GitLab) -> None:
    """Without the option, or with a later publication, no request is sent."""
    settings = make_settings(**flags)
    assert not is_comment_wanted(settings, REPORT)
    assert post_job_comment(settings, {**JOB, "CI_API_V4_URL": host.url}) == NO_EFFECT
    assert host.requests == []


def test_comment_is_posted_and_updated(host: GitLab) -> None:
    """The second report replaces the text of the first one."""
    environ = {**JOB, "CI_API_V4_URL": host.url}
    step_report = REPORT._replace(step_id="0123456789abcdef")
    assert post_job_comment(make_settings(), environ, step_report).message is None
    assert (
        post_job_comment(
            make_settings(), environ, step_report._replace(results=(make_passed_run("a", "Sign in"),))
        ).message
        is None
    )
    (posted_comment,) = host.comments
    assert "Sign in" in posted_comment.body
    assert "Checkout" not in posted_comment.body


@pytest.mark.parametrize(
    ("environ", "flags", "spelling"),
    [({}, {}, "--comment"), ({"AUTONOMA_COMMENT": "true"}, {"comment": ""}, "AUTONOMA_COMMENT")],
)
def test_comment_on_other_system_warns(environ: dict[str, str], flags: dict[str, str], spelling: str) -> None:
    """The warning names the option as the user wrote it."""
    outcome = post_job_comment(make_settings(environ, **flags), {"JENKINS_URL": "https://ci.test"})
    assert outcome == ("warning", f"{spelling} has no effect on jenkins. Comments need GitHub or GitLab.")


def test_comment_needs_change_request(host: GitLab) -> None:
    """A build of a branch has no comment, which is no problem."""
    environ = {"GITLAB_CI": "true", "CI_API_V4_URL": host.url}
    outcome = post_job_comment(make_settings(), environ)
    assert outcome == ("notice", "No comment: this build has no pull or merge request.")
    assert host.requests == []


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "--gitlab-token is empty"),
        ("$CI_TOKEN", "--gitlab-token has an unresolved reference such as $NAME: the variable is not set"),
    ],
)
def test_comment_needs_token(token: str, reason: str, host: GitLab) -> None:
    """The warning states why there is no token, without its text."""
    outcome = post_job_comment(make_settings(**{"gitlab-token": token}), {**JOB, "CI_API_V4_URL": host.url})
    assert outcome.level == "warning"
    assert str(outcome.message).startswith(f"The comment could not be written: {reason}")
    assert "CI_TOKEN" not in str(outcome.message)
    assert host.requests == []


def test_comment_needs_address_of_host() -> None:
    """Without the variables of GitLab, the place of the comment is unknown."""
    outcome = post_job_comment(make_settings(), JOB)
    message = "The comment could not be written: the variables of the job do not identify the change."
    assert outcome == ("warning", message)


def test_comment_needs_client_secret(host: GitLab) -> None:
    """The comment is signed with the client secret."""
    outcome = post_job_comment(make_settings(**{"client-secret": ""}), {**JOB, "CI_API_V4_URL": host.url})
    assert outcome == (
        "warning",
        "The comment could not be written: the signature needs client-secret, which is empty.",
    )
    assert host.comments == []


def test_comment_rejection_is_warning(host: GitLab) -> None:
    """The warning has the status, and no token."""
    host.faults.append(Fault("POST", 403, 100))
    level, message = post_job_comment(make_settings(), {**JOB, "CI_API_V4_URL": host.url})
    assert level == "warning"
    assert message
    assert message.startswith("The comment could not be written: ")
    assert "403" in message
    assert TOKEN not in message


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError(["CI_API_V4_URL is no address"]), "CI_API_V4_URL is no address"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (MemoryError(), "out of memory"),
        (SystemError(), "out of memory"),
    ],
    ids=repr,
)
def test_comment_error_is_warning(error: Exception, reason: str) -> None:
    """An error of the input, the system or the memory does not end the step."""
    assert comment_with_error(error) == ("warning", f"The comment could not be written: {reason}.")


def test_comment_bug_is_raised() -> None:
    """The caller reports an internal error."""
    with pytest.raises(KeyError):
        comment_with_error(KeyError("x"))


def test_comment_has_no_client_secret(host: GitLab) -> None:
    """The signature of the comment does not contain the secret."""
    post_job_comment(make_settings(), {**JOB, "CI_API_V4_URL": host.url})
    assert OPTIONS["client-secret"] not in json.dumps([posted_comment.body for posted_comment in host.comments])
