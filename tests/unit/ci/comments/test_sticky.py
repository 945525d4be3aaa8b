"""Comment on a pull or merge request, with faults of its host."""

from __future__ import annotations

import io
import json
import re
import threading
from collections import Counter
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.comments import sticky
from autonoma_ci.ci.detection import detect, load_system
from autonoma_ci.ci.ownership import shared_warning
from autonoma_ci.ci.rest import http
from autonoma_ci.clock import Clock
from autonoma_ci.identity import Part
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.sandbox import Sandbox
from tests.support.code_hosts import SERVICES, Service
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import hang, send_response
from tests.support.github_job import POLL_POLICY, START_POLICY
from tests.support.reports import (
    CANCELLED_VERDICT,
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_passed_run,
    quarantine_run,
)
from tests.support.rest_stubs import TOKEN, CodeHostStub, Fault, GitHub
from tests.support.threads import run_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from autonoma_ci.ci.comments.sticky import CommentThread
    from autonoma_ci.models import Report, RunResult, Verdict
    from tests.support.fault_server import Connection


ATTEMPTS = count(1)
each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


@pytest.fixture(autouse=True)
def _shorten_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_RETRY_DELAY_SECONDS", 0.01)


def open_comment_thread(service: Service, url: str, token: str = TOKEN, **environ_changes: str) -> CommentThread:
    return open_thread(Clock(), service, url, token, **environ_changes)


def open_thread(clock: Clock, service: Service, url: str, token: str = TOKEN, **environ_changes: str) -> CommentThread:
    environ = {**service.environ, service.address: url, **environ_changes}
    system = load_system(detect(environ))
    assert system.comment_support
    thread = system.comment_support.open_thread(environ, system.build_context(environ), Secret(token), clock)
    assert thread
    return thread


CLIENT_SECRET = Secret("secret-of-the-client")


def publish(thread: CommentThread, step_report: Report, secret: Secret | None = CLIENT_SECRET) -> str | None:
    """Publish a report with the secret that all steps share."""
    return sticky.create_or_update_comment(thread, step_report, secret)


def publish_with_warning(thread: CommentThread, step_report: Report) -> str:
    """Publish a report and return the warning."""
    warning = publish(thread, step_report)
    assert warning
    return warning


def build_attempt_report(
    verdict: Verdict = PASSED_VERDICT, title: str = "Autonoma tests", runs: Sequence[RunResult] = ()
) -> Report:
    """Return the report of a step of the next attempt at the build."""
    runs = runs or (
        [make_passed_run("a"), make_failed_run("b")] if verdict is FAILED_VERDICT else [make_passed_run("a")]
    )
    step_report, attempt = create_report(runs, verdict), next(ATTEMPTS)
    context = step_report.context._replace(build_attempt=str(attempt))
    part = Part("tests", title=title)
    return step_report._replace(
        title=title, part=part, step_id=f"{attempt:08x}", context=context, waits_for_results=True
    )


@each_service
def test_second_step_updates_comment(service: Service, host: CodeHostStub) -> None:
    """The second job step updates the comment that the first one wrote."""
    assert publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT)) is None
    [comment] = host.comments
    mark = r"build 500 attempt [0-9]+ part [0-9a-f]{16} step [0-9a-f]{8}"
    assert re.match(
        rf"<!-- autonoma-ci [0-9a-f]{{16}} {mark} mac [0-9a-f]{{32}} -->\n### Autonoma tests: ❌ Failed\n", comment.body
    )
    assert publish(open_comment_thread(service, host.url), build_attempt_report(PASSED_VERDICT)) is None
    assert host.comments == [comment]
    assert "✅ Passed" in comment.body
    assert host.list_methods() == ["POST", host.update_method]


@each_service
def test_empty_step_updates_comment_only(service: Service, host: CodeHostStub) -> None:
    """If nothing was selected, an older comment must not look up to date, and a new one would be noise."""
    empty = build_attempt_report(DRY_RUN_VERDICT)._replace(results=())
    assert publish(open_comment_thread(service, host.url), empty) is None
    assert host.comments == []
    publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT))
    next_empty = build_attempt_report(DRY_RUN_VERDICT)._replace(results=())
    assert publish(open_comment_thread(service, host.url), next_empty) is None
    [comment] = host.comments
    assert "⏭️ Skipped" in comment.body
    assert "failed" not in comment.body


@each_service
def test_quarantined_runs_alone_have_comment(service: Service, host: CodeHostStub) -> None:
    """A step that is skipped because no result counts has made runs."""
    run = quarantine_run(make_failed_run("a"))
    publish(open_comment_thread(service, host.url), build_attempt_report(DRY_RUN_VERDICT, runs=[run]))
    assert "Nothing that counts was run" in host.comments[0].body


@each_service
def test_comment_lists_failed_runs_first(service: Service, host: CodeHostStub) -> None:
    """Failed runs stand above passed ones."""
    publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT))
    body = host.comments[0].body
    assert body.index("❌ failed") < body.index("✅ passed")


@each_service
def test_comment_is_per_workflow_and_title(service: Service, host: CodeHostStub) -> None:
    """Each workflow and title has its own comment."""
    other_workflow = {"GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/x.yml@main", "CI_CONFIG_PATH": "x.yml"}
    for _ in range(2):
        publish(open_comment_thread(service, host.url), build_attempt_report(title="Smoke"))
        publish(open_comment_thread(service, host.url), build_attempt_report(title="Nightly"))
        publish(open_comment_thread(service, host.url, **other_workflow), build_attempt_report(title="Smoke"))
    assert len(host.comments) == 3


@each_service
def test_comment_is_found_among_200(service: Service, host: CodeHostStub) -> None:
    """The comment is found among 200 others."""
    for number in range(150):
        host.add_foreign_comment(f"comment {number}", service.somebody)
    publish(open_comment_thread(service, host.url), build_attempt_report())
    for number in range(50):
        host.add_foreign_comment(f"comment {number}", service.somebody)
    publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT))
    assert len(host.comments) == 201
    assert host.list_methods() == ["POST", host.update_method]


@each_service
def test_comment_with_copied_mark_stays(service: Service, host: CodeHostStub) -> None:
    """A comment of another author with a copied owner mark is left unchanged."""
    publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT))
    own_comment = host.comments.pop()
    copied_comment = host.add_foreign_comment(own_comment.body.replace("Failed", "Passed"), service.somebody)
    publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT))
    assert copied_comment.body == own_comment.body.replace("Failed", "Passed")
    assert [comment.author for comment in host.comments] == [service.somebody, host.token_user()]


@each_service
def test_older_build_changes_nothing(service: Service, host: CodeHostStub) -> None:
    """An older build that ends later leaves the comment unchanged."""
    publish(open_comment_thread(service, host.url), build_attempt_report(PASSED_VERDICT))
    earlier_build = {"GITHUB_RUN_ID": "499", "CI_PIPELINE_ID": "499"}
    assert (
        publish(open_comment_thread(service, host.url, **earlier_build), build_attempt_report(FAILED_VERDICT)) is None
    )
    assert "Passed" in host.comments[0].body
    assert host.list_methods() == ["POST"]


@each_service
def test_two_builds_at_once_leave_one_comment(service: Service, host: CodeHostStub) -> None:
    """Two builds that write at the same time leave the comment of the later build."""
    barrier = threading.Barrier(2)

    def wait_for_both(method: str) -> None:
        # Both list the comments before either of them writes.
        if method == "POST":
            barrier.wait(60)

    host.on_request = wait_for_both
    builds = ({"GITHUB_RUN_ID": build, "CI_PIPELINE_ID": build} for build in ("500", "501"))
    threads = [open_comment_thread(service, host.url, **build) for build in builds]
    reports = [build_attempt_report(PASSED_VERDICT), build_attempt_report(FAILED_VERDICT)]
    run_at_once([partial(publish, *pair) for pair in zip(threads, reports, strict=True)])
    [comment] = host.comments
    assert "Failed" in comment.body, "the later build's report stays"
    assert Counter(host.list_methods()) - Counter([host.update_method]) == Counter(["POST", "POST", "DELETE"])


@each_service
def test_later_build_at_once_stays(service: Service, host: CodeHostStub) -> None:
    """The comment of a later build that appears before ours is left unchanged."""
    publish(
        open_comment_thread(service, host.url, GITHUB_RUN_ID="501", CI_PIPELINE_ID="501"),
        build_attempt_report(PASSED_VERDICT),
    )
    body = host.comments.pop().body

    def add_other_comment(method: str) -> None:
        if method == "POST":
            host.add_foreign_comment(body, host.token_user())

    host.on_request = add_other_comment
    assert publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT)) is None
    assert [comment.body for comment in host.comments] == [body]
    assert host.list_methods() == ["POST", "POST", "DELETE"]


@each_service
def test_earlier_build_at_once_is_replaced(service: Service, host: CodeHostStub) -> None:
    """The comment of an earlier build that appears before ours gets our text."""
    publish(
        open_comment_thread(service, host.url, GITHUB_RUN_ID="499", CI_PIPELINE_ID="499"),
        build_attempt_report(PASSED_VERDICT),
    )
    body = host.comments.pop().body

    def add_other_comment(method: str) -> None:
        if method == "POST":
            host.add_foreign_comment(body, host.token_user())

    host.on_request = add_other_comment
    assert publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT)) is None
    assert ["Failed" in comment.body for comment in host.comments] == [True]
    assert host.list_methods() == ["POST", "POST", "DELETE", host.update_method]


@each_service
def test_comment_replaced_at_once_is_created(service: Service, host: CodeHostStub) -> None:
    """If another step replaces the same comment, both texts are shown and a warning follows."""
    publish(
        open_comment_thread(service, host.url, GITHUB_RUN_ID="499", CI_PIPELINE_ID="499"),
        build_attempt_report(PASSED_VERDICT),
    )
    [comment] = host.comments
    older_body = comment.body
    publish(open_comment_thread(service, host.url), build_attempt_report(PASSED_VERDICT))
    newer_body, comment.body = comment.body, older_body
    host.requests.clear()

    def restore_newer_body(method: str) -> None:
        if method == "GET" and host.list_methods() == [host.update_method]:
            comment.body = newer_body
            host.note_change(comment)

    host.on_request = restore_newer_body
    assert publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT)) == shared_warning(
        "a comment"
    )
    assert ["Failed" in comment.body for comment in host.comments] == [False, True]
    assert host.comments[0].body == newer_body


@each_service
def test_two_attempts_at_once_both_comment(service: Service, host: CodeHostStub) -> None:
    """Two attempts can be of two jobs that do not find each other's comment."""
    barrier = threading.Barrier(2)

    def wait_for_both(method: str) -> None:
        if method == "POST":
            barrier.wait(60)

    host.on_request = wait_for_both
    run_at_once(
        [
            partial(publish, open_comment_thread(service, host.url), step_report)
            for step_report in (build_attempt_report(PASSED_VERDICT), build_attempt_report(FAILED_VERDICT))
        ]
    )
    assert sorted("Failed" in comment.body for comment in host.comments) == [False, True]
    assert host.list_methods() == ["POST", "POST"]


# --- marks of other authors

BOT = {"login": "weather[bot]", "id": 2002, "type": "Bot"}
APP = {"login": "acme-ci[bot]", "id": 2001, "type": "Bot"}


def get_first_line(host: CodeHostStub) -> str:
    return host.comments[0].body.splitlines()[0]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"build 500", "build 1"),
        (r"build 500", f"build {'9' * 18}"),
        (r"attempt \d+", "attempt 0"),
        (r"attempt \d+", f"attempt {'9' * 18}"),
        (r"step \w+", "step bbbbbbbb"),
        (r"mac \w", "mac "),
        (r" mac \w{32}", ""),
        (r"mac \w{32}", f"mac {'0' * 32}"),
    ],
)
def test_comment_with_forged_mark_stays(pattern: str, text: str) -> None:
    """All workflows write as the same bot, so the signature decides whose comment it is."""
    with GitHub(bot=BOT, can_edit_all=True) as host:
        thread = open_comment_thread(SERVICES[0], host.url)
        assert publish(thread, build_attempt_report(FAILED_VERDICT)) is None
        forged_mark = re.sub(pattern, text, get_first_line(host))
        host.comments.clear()
        forged_comment = host.add_foreign_comment(f"{forged_mark}\nthe weather is fine", BOT)
        assert publish(thread, build_attempt_report(FAILED_VERDICT)) is None
        assert forged_comment.body == f"{forged_mark}\nthe weather is fine"
        [own_comment] = [comment for comment in host.comments if comment is not forged_comment]
        assert "Failed" in own_comment.body
        assert host.list_methods() == ["POST", "POST"]


def test_comment_with_mark_elsewhere_stays() -> None:
    """A mark can be copied from a change that anybody may comment on."""
    with GitHub() as host:
        thread, step_report = open_comment_thread(SERVICES[0], host.url), build_attempt_report(FAILED_VERDICT)
        publish(thread, step_report._replace(context=step_report.context._replace(change_number="11")))
        own_comment = host.comments.pop()
        copied_comment = host.add_foreign_comment(own_comment.body, BOT)
        assert publish(thread, build_attempt_report(FAILED_VERDICT)) is None
        assert copied_comment.body == own_comment.body
        assert len(host.comments) == 2


def test_comment_of_other_client_secret_stays() -> None:
    """Two accounts may test one change and must not replace each other's comment."""
    with GitHub() as host:
        thread = open_comment_thread(SERVICES[0], host.url)
        assert publish(thread, build_attempt_report(FAILED_VERDICT), Secret("secret-of-another-client")) is None
        assert publish(thread, build_attempt_report(PASSED_VERDICT)) is None
        assert ["Failed" in comment.body for comment in host.comments] == [True, False]


def test_comment_needs_client_secret() -> None:
    """An unsigned comment could never be found again."""
    with GitHub() as host:
        warning = publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(FAILED_VERDICT), None)
        assert warning == "The comment could not be written: the signature needs client-secret, which is empty."
        assert host.requests == []


def test_comment_begins_with_short_text() -> None:
    """The beginning is the first line of every e-mail notification."""
    with GitHub() as host:
        publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(FAILED_VERDICT))
        assert len(get_first_line(host)) < 160


# --- comments of other authors, whose marks are valid


@pytest.mark.slow
@pytest.mark.parametrize("bot", [None, APP], ids=["job", "app"])
@pytest.mark.parametrize("graphql", [True, False], ids=["graphql", "no graphql"])
@pytest.mark.parametrize(
    "author",
    [
        BOT,
        {"login": "dependabot[bot]", "type": "Bot"},
        {"login": "github-actions", "id": 3, "type": "User"},
        {"login": "acme-ci", "id": 4, "type": "Bot"},
        {"id": 41898282.5, "type": "Bot"},
        None,
    ],
    ids=["bot", "no number", "user", "same name", "half a number", "ghost"],
)
def test_comment_copied_by_other_app_stays(bot: object, graphql: bool, author: object) -> None:
    """A copy has a valid signature and the right change, and the token may edit it."""
    with GitHub(bot=bot, graphql=graphql, can_edit_all=True) as host:
        assert publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(FAILED_VERDICT)) is None
        original = host.comments.pop()
        copied_comment = host.add_foreign_comment(f"{original.body}\nthe weather is fine", author)
        for verdict in (PASSED_VERDICT, FAILED_VERDICT, PASSED_VERDICT):
            assert publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(verdict)) is None
        assert copied_comment.body == f"{original.body}\nthe weather is fine"
        [own_comment] = [comment for comment in host.comments if comment is not copied_comment]
        assert own_comment.author == host.token_user()
        assert "Passed" in own_comment.body
        assert host.errors == []


def test_comment_of_bot_is_found_by_id() -> None:
    """GraphQL names the bot without the suffix that REST uses."""
    with GitHub() as host:
        for verdict in (FAILED_VERDICT, PASSED_VERDICT):
            assert publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(verdict)) is None
        assert host.list_methods() == ["POST", "PATCH"]


@pytest.mark.parametrize(("base", "path"), [("", "/graphql"), ("/api/v3", "/api/graphql")])
def test_token_owner_comes_from_graphql(base: str, path: str) -> None:
    """github.com and GitHub Enterprise Server have GraphQL at different paths."""
    viewer = send_response(200, '{"data": {"viewer": {"login": "x", "databaseId": 7}}}')
    refusal = send_response(403, '{"message": "Resource not accessible by integration"}')
    routes = {f"{base}/user": refusal, path: viewer}
    with FaultServer(
        lambda connection: routes.get(connection.request.path, send_response(200, "[]"))(connection)
    ) as host:
        publish(open_comment_thread(SERVICES[0], f"http://127.0.0.1:{host.port}{base}"), build_attempt_report())
        requests = [(request.method, request.path) for request in host.received_requests]
    assert requests[:2] == [("GET", f"{base}/user"), ("POST", path)]
    assert requests[2][0] == "GET"


def test_graphql_transient_error_is_retried() -> None:
    """A transient error of GraphQL is retried."""
    with GitHub() as host:
        publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(FAILED_VERDICT))
        host.faults.append(Fault("GRAPHQL", 502, remaining_count=2))
        assert publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(PASSED_VERDICT)) is None
        assert host.list_methods() == ["POST", "PATCH"]


@pytest.mark.parametrize("viewer", [[], {"data": None}, {"data": {"viewer": 5}}, {"data": {"viewer": {"login": 5}}}])
def test_graphql_invalid_viewer_has_no_owner(viewer: object) -> None:
    """A new comment is written, and its response contains the author."""
    with GitHub() as host:
        publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(FAILED_VERDICT))
        host.faults.append(Fault("GRAPHQL", 200, body=viewer))
        assert publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(PASSED_VERDICT)) is None
        assert ["Passed" in comment.body for comment in host.comments] == [True]
        assert host.list_methods() == ["POST", "POST", "DELETE", "PATCH"]


def test_unknown_owner_keeps_later_build() -> None:
    """A comment of a later build stays if the token owner is unknown."""
    with GitHub(graphql=False) as host:
        publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(PASSED_VERDICT))
        publish(open_comment_thread(SERVICES[0], host.url, GITHUB_RUN_ID="499"), build_attempt_report(FAILED_VERDICT))
        assert ["Passed" in comment.body for comment in host.comments] == [True]


def test_unknown_owner_keeps_other_part() -> None:
    """A comment of another part stays if the token owner is unknown."""
    with GitHub(graphql=False) as host:
        for _ in range(2):
            for title in ("Smoke", "Nightly"):
                assert publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report(title=title)) is None
        assert len(host.comments) == 2


def test_unknown_owner_two_builds_leave_one() -> None:
    """Both builds write their comments before either reads them."""
    with GitHub(graphql=False) as host:
        barrier = threading.Barrier(2)

        def wait_for_both(method: str) -> None:
            # Both write their comments before either of them reads.
            if method == "POST":
                barrier.wait(60)

        host.on_request = wait_for_both
        threads = [open_comment_thread(SERVICES[0], host.url, GITHUB_RUN_ID=build) for build in ("500", "501")]
        reports = [build_attempt_report(PASSED_VERDICT), build_attempt_report(FAILED_VERDICT)]
        run_at_once([partial(publish, *pair) for pair in zip(threads, reports, strict=True)])
        [comment] = host.comments
        assert "Failed" in comment.body


# --- rejections with the message of the server

LIMIT = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
SSO = "Resource protected by organization SAML enforcement. You must grant your token access to this organization."
GITHUB, GITLAB = SERVICES


@pytest.mark.parametrize(
    ("service", "status", "body", "reason", "advice"),
    [
        (GITHUB, 403, {"message": "Resource not accessible by integration"}, "Resource not accessible by integration",
         "The job needs the permission `pull-requests: write`"),
        (GITHUB, 403, {"message": "Resource not accessible by personal access token"},
         "Resource not accessible by personal access token", "the permission `Pull requests: write`"),
        (GITHUB, 403, {"message": "Unable to create comment because issue is locked."},
         "Unable to create comment because issue is locked", "Unlock the conversation"),
        (GITHUB, 403, {"message": LIMIT}, LIMIT.rstrip("."), "Run the step again later"),
        (GITHUB, 429, {"message": "API rate limit exceeded"}, "API rate limit exceeded", "Run the step again later"),
        (GITHUB, 403, {"message": SSO}, SSO.rstrip("."), "single sign-on"),
        (GITHUB, 403, {"message": "Repository was archived so is read-only."},
         "Repository was archived so is read-only", "Unarchive the repository"),
        (GITHUB, 403, {"message": "Maintenance of the week."}, "Maintenance of the week", ""),
        (GITHUB, 403, "<html>blocked", "", "a proxy or a firewall may have responded"),
        (GITHUB, 404, {"message": "Not Found", "status": "404"}, "Not Found", "lack access to this repository"),
        (GITHUB, 401, {"message": "Bad credentials"}, "Bad credentials", "expired, or of another server"),
        (GITHUB, 422, {"message": "Validation Failed", "errors": [{"message": "Body is too long"}]},
         "Validation Failed: Body is too long", ""),
        (GITLAB, 403, {"error": "insufficient_scope", "error_description": "The request requires higher privileges.",
                       "scope": "api"}, "insufficient_scope: The request requires higher privileges", "scope `api`"),
        (GITLAB, 403, {"message": "403 Forbidden"}, "Forbidden", "In a locked discussion, only members"),
        (GITLAB, 401, {"error": "invalid_token", "error_description": "Token is expired."},
         "invalid_token: Token is expired", "scope `api`"),
        (GITLAB, 404, {"message": "404 Project Not Found"}, "Project Not Found", "scope `api`"),
        (GITLAB, 400, {"message": {"note": ["is too long (maximum is 1000 characters)"]}},
         "note is too long (maximum is 1000 characters)", ""),
        (GITLAB, 429, {"message": {"error": "This endpoint has been requested too many times. Try again later."}},
         "error This endpoint has been requested too many times. Try again later", "Run the step again later"),
    ],
)  # fmt: skip
def test_rejection_shows_reason_and_advice(
    service: Service, status: int, body: object, reason: str, advice: str
) -> None:
    """The permission is named only if the server says that it is missing."""
    with service.host() as host:
        host.faults.append(Fault("POST", status, body=body))
        warning = publish_with_warning(open_comment_thread(service, host.url), build_attempt_report())
        assert host.list_methods() == ["POST"]
    message = f"The comment could not be written: HTTP {status}{f': {reason}' if reason else ''}."
    assert warning.startswith(message)
    assert advice in warning if advice else warning == message
    assert ("pull-requests: write" in warning) is ("by integration" in reason or (status == 404 and service is GITHUB))


@each_service
@pytest.mark.parametrize("status", [403, 429])
def test_rejection_reason_is_safe_to_print(service: Service, host: CodeHostStub, status: int, tmp_path: Path) -> None:
    """The reason may contain the token, runner commands or a very long text."""
    message = f"x\n::error::y\x1b[31m {TOKEN} \u202e ##vso[z]{'long ' * 5000}"
    host.faults.append(Fault("POST", status, body={"message": message, "errors": ["[" * 5000, {"message": {}}, 5]}))
    code, log = run_commenting_step(tmp_path, service, host.url)
    assert code == 0
    [line] = [line for line in log.splitlines() if "could not be written" in line]
    assert f"HTTP {status}" in line
    assert TOKEN not in line
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert "##vso[" not in line
    assert not line.startswith("::error")
    assert len(line) < 800


@each_service
@pytest.mark.parametrize("body", [None, [], 5, {"message": None}, {"message": [[]]}, {"errors": 5}, {"message": {}}])
def test_rejection_with_any_body_warns(service: Service, host: CodeHostStub, body: object) -> None:
    """A rejection with any response body gives one short warning."""
    host.faults.append(Fault("POST", 400, body=body))
    assert (
        publish(open_comment_thread(service, host.url), build_attempt_report())
        == "The comment could not be written: HTTP 400."
    )


# --- rate limits

DATE = "Wed, 01 Jul 2026 10:00:00 GMT"
RESET = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(1782900000 + 20), "Date": DATE}


@pytest.mark.slow
@each_service
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0.01),
        ({"Retry-After": "Wed, 01 Jul 2026 10:00:30 GMT", "Date": DATE}, 30),
        (RESET, 20),
        ({**RESET, "X-RateLimit-Reset": "1"}, 0.01),
    ],
    ids=["seconds", "at once", "date", "reset", "reset in the past"],
)
def test_rate_limit_is_waited_for_once(
    service: Service, host: CodeHostStub, method: str, status: int, headers: dict[str, str], seconds: float
) -> None:
    """The server did nothing, so even a new comment is sent again."""
    clock = FakeClock()
    host.faults.append(Fault(method, status, headers=headers, body={"message": LIMIT}))
    assert publish(open_thread(clock, service, host.url), build_attempt_report()) is None
    assert clock.time == pytest.approx(1000 + seconds)
    assert len(host.comments) == 1


@each_service
def test_rate_limit_twice_warns(service: Service, host: CodeHostStub) -> None:
    """A second rate limit gives a warning without another wait."""
    clock = FakeClock()
    host.faults.append(Fault("POST", 403, remaining_count=9, headers={"Retry-After": "7"}, body={"message": LIMIT}))
    warning = publish_with_warning(open_thread(clock, service, host.url), build_attempt_report())
    assert f"HTTP 403: {LIMIT.rstrip('.')}. " in warning
    assert "accepts requests again in 7.0 s." in warning
    assert (host.list_methods(), clock.time) == (["POST"] * 2, 1007)


@each_service
@pytest.mark.parametrize("wait", ["60", "3600", "9" * 9])
def test_rate_limit_beyond_deadline_warns(service: Service, host: CodeHostStub, wait: str) -> None:
    """A rate limit longer than the time left gives a warning without a wait."""
    clock = FakeClock()
    host.faults.append(Fault("GET", 429, headers={"Retry-After": wait}))
    warning = publish_with_warning(open_thread(clock, service, host.url), build_attempt_report())
    assert "HTTP 429: scripted. " in warning
    assert "accepts requests again in " in warning
    assert (len(host.requests), clock.time) == (1, 1000)


@each_service
@pytest.mark.parametrize("value", ["-1", "soon", "9" * 5000, "\u0661", "1.5"])
def test_rate_limit_with_invalid_time_warns(service: Service, host: CodeHostStub, value: str) -> None:
    """A rate limit with an invalid time gives a warning without a wait."""
    clock = FakeClock()
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": value.encode("utf-8").decode("latin-1")}
    host.faults.append(Fault("POST", 403, headers=headers))
    assert "HTTP 403" in publish_with_warning(open_thread(clock, service, host.url), build_attempt_report())
    assert (host.list_methods(), clock.time) == (["POST"], 1000)


def test_comment_is_not_resent_after_503() -> None:
    """The request may have arrived, with or without Retry-After."""
    with GitHub() as host:
        host.faults.append(Fault("POST", 503, headers={"Retry-After": "1"}))
        assert "HTTP 503." in publish_with_warning(open_comment_thread(GITHUB, host.url), build_attempt_report())
        assert host.list_methods() == ["POST"]


@each_service
def test_wrong_token_warns(service: Service, host: CodeHostStub) -> None:
    """A wrong token gives a warning that does not show it."""
    warning = publish_with_warning(open_comment_thread(service, host.url, "another-token"), build_attempt_report())
    assert "HTTP 401" in warning
    assert "another-token" not in warning


@each_service
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_idempotent_requests_are_retried(service: Service, host: CodeHostStub, method: str) -> None:
    """GET and PATCH requests are retried after HTTP 502."""
    publish(open_comment_thread(service, host.url), build_attempt_report(PASSED_VERDICT))
    host.faults.append(Fault(host.update_method if method == "PATCH" else "GET", 502, remaining_count=2))
    assert publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT)) is None
    assert "Failed" in host.comments[0].body


@each_service
def test_comment_is_not_resent_after_502(service: Service, host: CodeHostStub) -> None:
    """A POST request is not sent again after HTTP 502."""
    host.faults.append(Fault("POST", 502))
    assert (
        publish(open_comment_thread(service, host.url), build_attempt_report())
        == "The comment could not be written: HTTP 502."
    )
    assert host.list_methods() == ["POST"]


@each_service
def test_redirect_is_not_followed(service: Service, host: CodeHostStub) -> None:
    """A redirect is not followed, because the request has the token."""
    with FaultServer(send_response(200, "[]")) as other_server:
        host.faults.append(Fault("POST", 307, headers={"Location": f"{other_server.url}/x"}))
        assert "HTTP 307" in publish_with_warning(open_comment_thread(service, host.url), build_attempt_report())
        assert other_server.connection_count == 0


@each_service
def test_next_page_on_other_host_is_not_read(service: Service) -> None:
    """The next page on another host is not read, because the request has the token."""
    with FaultServer(send_response(200, "[]")) as other_server:
        page = send_response(200, json.dumps([]), f'Link: <{other_server.url}/x>; rel="next"')
        user = send_response(200, json.dumps({"id": 7, "login": "x"}))

        with FaultServer(
            lambda connection: (user if connection.request.path.endswith("/user") else page)(connection)
        ) as host:
            warning = publish_with_warning(open_comment_thread(service, f"{host.url}/api"), build_attempt_report())
        assert "another host, which gets no token" in warning
        assert other_server.connection_count == 0


@each_service
def test_next_page_with_invalid_url_warns(service: Service) -> None:
    """An invalid URL of the next page gives a warning."""
    page = send_response(200, "[]", 'Link: <http://[>; rel="next"')
    user = send_response(200, json.dumps({"id": 7, "login": "x"}))
    with FaultServer(
        lambda connection: (user if connection.request.path.endswith("/user") else page)(connection)
    ) as host:
        assert "invalid URL of the next page" in publish_with_warning(
            open_comment_thread(service, f"{host.url}/api"), build_attempt_report()
        )


@each_service
def test_mark_with_huge_number_is_ignored(service: Service, host: CodeHostStub) -> None:
    """An owner mark with a huge build number is ignored."""
    publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT))
    host.comments[0].body = host.comments[0].body.replace("build 500", f"build {'9' * 5000}")
    assert publish(open_comment_thread(service, host.url), build_attempt_report(PASSED_VERDICT)) is None
    assert len(host.comments) == 2


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 -0100", f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", "x"])
def test_invalid_date_reads_all_comments(date: str) -> None:
    """An invalid Date header makes the step read all comments."""
    paths: list[str] = []
    page_response = send_response(200, "[]", f"Date: {date}")
    comment_response = send_response(201, json.dumps({"id": 1, "body": "x", "user": {"id": 7, "login": "x"}}))

    def handler(connection: Connection) -> bool:
        paths.append(connection.request.path)
        is_page = connection.request.method == "GET" and not connection.request.path.endswith("/user")
        return page_response(connection) if is_page else comment_response(connection)

    with FaultServer(handler) as host:
        assert publish(open_comment_thread(SERVICES[0], f"{host.url}/api"), build_attempt_report()) is None
    assert paths[-1].endswith("since=2000-01-01T00:00:00Z")


@each_service
@pytest.mark.parametrize(
    "handler",
    [send_response(200, "nonsense"), send_response(200, '{"a": 1}'), send_response(200, "[[1]]"), send_response(500)],
)
def test_invalid_response_warns(service: Service, handler: Callable[..., bool]) -> None:
    """An invalid response gives a warning."""
    with FaultServer(handler) as host:
        assert publish_with_warning(open_comment_thread(service, f"{host.url}/api"), build_attempt_report()).startswith(
            "The comment could not be"
        )


@pytest.mark.slow
@each_service
def test_silent_host_times_out(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without a response gives a warning after the timeout."""
    monkeypatch.setattr(http, "_REQUEST_TIMEOUT_SECONDS", 0.2)
    with FaultServer(hang) as host:
        assert "no response in time" in publish_with_warning(
            open_comment_thread(service, f"{host.url}/api"), build_attempt_report()
        )


@each_service
def test_long_report_is_cut_at_row(service: Service, host: CodeHostStub) -> None:
    """A long report is cut between two rows and states the number of omitted runs."""
    runs = [*(make_passed_run(f"p{number}", "n" * 400) for number in range(4000)), make_failed_run("bad")]
    assert publish(open_comment_thread(service, host.url), build_attempt_report(FAILED_VERDICT, runs=runs)) is None
    body = host.comments[0].body
    assert len(body) <= host.max_body_length
    assert "Checkout pays by card" in body
    assert re.search(r"^\| … and [\d,]+ more runs \| \| \| \|$", body, re.MULTILINE)


def test_personal_token_finds_own_comment() -> None:
    """A personal token updates only the comment of that person."""
    with GitHub("ada") as host:
        host.add_foreign_comment(
            "<!-- autonoma-ci 0000000000000000 build 1 -->", {"login": "github-actions[bot]", "type": "Bot"}
        )
        for _ in range(2):
            assert publish(open_comment_thread(SERVICES[0], host.url), build_attempt_report()) is None
        assert len(host.comments) == 2
        assert host.list_methods() == ["POST", "PATCH"]
        assert host.errors == []


# --- the complete step


def run_commenting_step(
    folder: Path, service: Service, url: str, ids: str = "sandbox-one", **environ_changes: str
) -> tuple[int, str]:
    out = io.StringIO()
    with Sandbox(pace=0) as sandbox:
        environ = {
            **service.environ,
            service.address: url,
            service.token: TOKEN,
            "AUTONOMA_CLIENT_ID": "sandbox-id",
            "AUTONOMA_CLIENT_SECRET": "sandbox-secret",
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": ids,
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_COMMENT": "true",
        }
        job_runtime = Runtime(
            {**environ, **environ_changes}, out, out, str(folder), poll_policy=POLL_POLICY, start_policy=START_POLICY
        )
        code = cli.run_command([], job_runtime)
    return code, out.getvalue()


@each_service
def test_step_comments_and_keeps_exit_code(service: Service, host: CodeHostStub, tmp_path: Path) -> None:
    """The comment shows the failed run, and the exit code is that of the tests."""
    assert run_commenting_step(tmp_path, service, host.url, "sandbox-one, sandbox-fails")[0] == 1
    [comment] = host.comments
    assert "❌ Failed" in comment.body
    assert "https://git.example.com/acme/shop/" in comment.body
    assert re.search(r"❌ failed<br>test step \d, ", comment.body)


@each_service
@pytest.mark.parametrize("status", [403, 500])
def test_comment_failure_keeps_exit_code(service: Service, host: CodeHostStub, status: int, tmp_path: Path) -> None:
    """A failed comment is a warning and leaves the exit code unchanged."""
    host.faults.append(Fault("POST", status))
    code, log = run_commenting_step(tmp_path, service, host.url)
    assert code == 0
    assert f"The comment could not be written: HTTP {status}" in log.replace("%3A", ":")
    visible_lines = [line for line in log.splitlines() if "add-mask" not in line]
    assert TOKEN not in "\n".join(visible_lines)


@each_service
def test_comment_shows_invalid_input(service: Service, host: CodeHostStub, tmp_path: Path) -> None:
    """Without this, the comment of an earlier commit would still show a pass."""
    assert run_commenting_step(tmp_path, service, host.url, "no id!")[0] == 2
    assert "❌ Error" in host.comments[0].body


@pytest.mark.slow
@each_service
@pytest.mark.parametrize(
    ("environ_changes", "message"),
    [
        ({"AUTONOMA_GITHUB_TOKEN": "", "AUTONOMA_GITLAB_TOKEN": ""}, "TOKEN is empty"),
        (
            {"AUTONOMA_GITHUB_TOKEN": "$TOKEN", "AUTONOMA_GITLAB_TOKEN": "$TOKEN"},
            "TOKEN has an unresolved reference such as $NAME",
        ),
        (
            {"CI_MERGE_REQUEST_IID": "", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"},
            "this build has no pull or merge request",
        ),
        ({"GITHUB_API_URL": "file:///etc", "CI_API_V4_URL": "file:///etc"}, "do not identify the change"),
        ({"AUTONOMA_DRY_RUN": "true"}, ""),
        ({"AUTONOMA_COMMENT": "false"}, ""),
    ],
)
def test_comment_without_requirements_is_skipped(
    service: Service, host: CodeHostStub, environ_changes: dict[str, str], message: str, tmp_path: Path
) -> None:
    """No request is sent without token, change, API address or a real run."""
    code, log = run_commenting_step(tmp_path, service, host.url, **environ_changes)
    assert code == 0
    assert message in log
    assert host.requests == []


@pytest.mark.slow
@each_service
@pytest.mark.parametrize(
    ("url", "url_text"),
    [
        ("http://git.example.com/api", " (http://git.example.com/api)"),
        ("HTTP://git.example.com/api?token=ZQ9#ZQ9", " (HTTP://git.example.com/api)"),
        ("http://user:ZQ9@git.example.com/api", ""),
    ],
)
def test_plain_http_server_gets_no_token(
    service: Service, host: CodeHostStub, url: str, url_text: str, tmp_path: Path
) -> None:
    """A server on plain HTTP gets no token, and the warning gives advice."""
    code, log = run_commenting_step(tmp_path, service, host.url, **{service.address: url})
    message = (
        f"The comment could not be written: {service.address} is plain HTTP{url_text}, but the token needs https. "
    )
    assert code == 0
    assert log.count(message) == 1
    assert "Serve the API over https, or turn comment off." in log
    assert "ZQ9" not in log


def test_comment_on_other_systems_warns(tmp_path: Path) -> None:
    """The option `comment` gives a warning on other CI systems."""
    drone = Service("drone", GitHub, {"DRONE": "true"}, "X", "Y", None)
    assert (
        "AUTONOMA_COMMENT has no effect on drone. Comments need GitHub or GitLab."
        in run_commenting_step(tmp_path, drone, "x")[1]
    )


@each_service
@pytest.mark.parametrize(("verdict", "dry_run"), [(CANCELLED_VERDICT, False), (DRY_RUN_VERDICT, True)])
def test_comment_after_cancel_is_unchanged(
    service: Service, host: CodeHostStub, verdict: Verdict, dry_run: bool, tmp_path: Path
) -> None:
    """A cancelled step or a dry run leaves the comment unchanged."""
    from autonoma_ci.app.inputs import detect_ci
    from autonoma_ci.app.publishing import post_comment as write
    from autonoma_ci.config.settings import Settings

    environ = {**service.environ, service.address: host.url}
    token = Secret(TOKEN)
    settings = Settings(comment=True, github_token=token, gitlab_token=token, dry_run=dry_run)
    job_runtime = Runtime(environ, io.StringIO(), io.StringIO())
    assert write(settings, detect_ci(environ), job_runtime, build_attempt_report(verdict)).message is None
    assert host.requests == []
