"""One comment on the change request: found again, brought up to date, and never worth a verdict."""

from __future__ import annotations

import io
import json
import re
import threading
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import pytest

from autonoma_ci import cli
from autonoma_ci.ci import comment, web
from autonoma_ci.ci.detect import detect, load
from autonoma_ci.commands.world import World
from autonoma_ci.engine.clock import Clock
from autonoma_ci.identity import Part
from autonoma_ci.sandbox import Sandbox
from autonoma_ci.secret import Secret
from tests.report.reports import CANCELLED, DRY, FAILED, PASSED, failed, passed, report
from tests.support.fault_server import FaultServer
from tests.support.faults import answer, hang
from tests.support.job import BRIEF, BRISK
from tests.support.rest_stubs import TOKEN, CodeHost, Fault, GitHub, GitLab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from autonoma_ci.ci.comment import Thread
    from autonoma_ci.model import Outcome, Report, Verdict


class Service(NamedTuple):
    """One of the two: its stand-in, and the variables of a job of a change on it."""

    name: str
    host: Callable[[], CodeHost]
    environ: Mapping[str, str]
    address: str
    token: str
    somebody: object


EVENT = {"pull_request": {"number": 7, "head": {"sha": "c0ffee" * 6 + "abcd"}}}
SERVICES = (
    Service(
        "github",
        GitHub,
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/e2e.yml@refs/pull/7/merge",
            "GITHUB_SERVER_URL": "https://git.example.com",
            "GITHUB_RUN_ID": "500",
        },
        "GITHUB_API_URL",
        "AUTONOMA_GITHUB_TOKEN",
        {"login": "mallory", "type": "User"},
    ),
    Service(
        "gitlab",
        GitLab,
        {
            "GITLAB_CI": "true",
            "CI_MERGE_REQUEST_IID": "17",
            "CI_MERGE_REQUEST_PROJECT_ID": "42",
            "CI_PROJECT_ID": "43",
            "CI_PIPELINE_ID": "500",
            "CI_PIPELINE_URL": "https://git.example.com/acme/shop/-/pipelines/500",
        },
        "CI_API_V4_URL",
        "AUTONOMA_GITLAB_TOKEN",
        {"id": 8, "username": "mallory"},
    ),
)
ATTEMPTS = count(1)
both = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_PAUSE", 0.01)


@pytest.fixture
def host(service: Service) -> Iterator[CodeHost]:
    with service.host() as running:
        yield running
    assert running.complaints == []


def thread_of(service: Service, url: str, token: str = TOKEN, **more: str) -> Thread:
    environ = {**service.environ, service.address: url, **more}
    system = load(detect(environ))
    assert system.comments
    found = system.comments.find(environ, system.context(environ), Secret(token), Clock())
    assert found
    return found


CLIENT_SECRET = Secret("secret-of-the-client")


def publish(thread: Thread, made: Report, secret: Secret | None = CLIENT_SECRET) -> str:
    """Publish a report with the secret that all steps share."""
    return comment.publish(thread, made, secret)


def of(verdict: Verdict = PASSED, title: str = "Autonoma tests", runs: Sequence[Outcome] = ()) -> Report:
    """Return the report of a step of the next attempt at the build."""
    runs = runs or ([passed("a"), failed("b")] if verdict is FAILED else [passed("a")])
    made, attempt = report(runs, verdict), next(ATTEMPTS)
    context = made.context._replace(attempt=str(attempt))
    part = Part("tests", title=title)
    return made._replace(title=title, part=part, step_id=f"{attempt:08x}", context=context, waited=True)


@both
def test_the_first_step_writes_a_comment_and_the_next_brings_it_up_to_date(service: Service, host: CodeHost) -> None:
    assert publish(thread_of(service, host.url), of(FAILED)) == ""
    [made] = host.comments
    mark = r"build 500 attempt [0-9]+ part [0-9a-f]{16} step [0-9a-f]{8}"
    assert re.match(
        rf"<!-- autonoma-ci [0-9a-f]{{16}} {mark} mac [0-9a-f]{{32}} -->\n### Autonoma tests: ❌ Failed\n", made.body
    )
    assert publish(thread_of(service, host.url), of(PASSED)) == ""
    assert host.comments == [made]
    assert "✅ Passed" in made.body
    assert host.methods() == ["POST", host.update]


@both
def test_what_needs_a_look_first_comes_first(service: Service, host: CodeHost) -> None:
    publish(thread_of(service, host.url), of(FAILED))
    body = host.comments[0].body
    assert body.index("❌ failed") < body.index("✅ passed")


@both
def test_each_workflow_and_title_has_a_comment_of_its_own(service: Service, host: CodeHost) -> None:
    other = {"GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/x.yml@main", "CI_CONFIG_PATH": "x.yml"}
    for _ in range(2):
        publish(thread_of(service, host.url), of(title="Smoke"))
        publish(thread_of(service, host.url), of(title="Nightly"))
        publish(thread_of(service, host.url, **other), of(title="Smoke"))
    assert len(host.comments) == 3


@both
def test_it_is_found_behind_two_hundred_others(service: Service, host: CodeHost) -> None:
    for number in range(150):
        host.add(f"comment {number}", service.somebody)
    publish(thread_of(service, host.url), of())
    for number in range(50):
        host.add(f"comment {number}", service.somebody)
    publish(thread_of(service, host.url), of(FAILED))
    assert len(host.comments) == 201
    assert host.methods() == ["POST", host.update]


@both
def test_a_mark_that_somebody_else_has_copied_is_not_ours(service: Service, host: CodeHost) -> None:
    publish(thread_of(service, host.url), of(FAILED))
    copied = host.comments.pop()
    fake = host.add(copied.body.replace("Failed", "Passed"), service.somebody)
    publish(thread_of(service, host.url), of(FAILED))
    assert fake.body == copied.body.replace("Failed", "Passed")
    assert [made.author for made in host.comments] == [service.somebody, host.owner()]


@both
def test_an_earlier_build_that_ends_later_changes_nothing(service: Service, host: CodeHost) -> None:
    publish(thread_of(service, host.url), of(PASSED))
    earlier = {"GITHUB_RUN_ID": "499", "CI_PIPELINE_ID": "499"}
    assert publish(thread_of(service, host.url, **earlier), of(FAILED)) == ""
    assert "Passed" in host.comments[0].body
    assert host.methods() == ["POST"]


@both
def test_two_builds_at_the_same_moment_leave_one_comment(service: Service, host: CodeHost) -> None:
    gate = threading.Barrier(2)

    def before(method: str) -> None:
        # Both have found nothing by the time that either writes.
        if method == "POST":
            gate.wait(60)

    host.before = before
    builds = ({"GITHUB_RUN_ID": build, "CI_PIPELINE_ID": build} for build in ("500", "501"))
    threads = [thread_of(service, host.url, **build) for build in builds]
    reports = [of(PASSED), of(FAILED)]
    steps = [threading.Thread(target=publish, args=pair) for pair in zip(threads, reports, strict=True)]
    for each in steps:
        each.start()
    for each in steps:
        each.join(120)
    [left] = host.comments
    assert "Failed" in left.body, "the later build's report stays"
    assert Counter(host.methods()) - Counter([host.update]) == Counter(["POST", "POST", "DELETE"])


@both
def test_two_attempts_at_the_same_moment_both_show(service: Service, host: CodeHost) -> None:
    """They may be attempts at two jobs, and neither has found the other's comment."""
    gate = threading.Barrier(2)

    def before(method: str) -> None:
        if method == "POST":
            gate.wait(60)

    host.before = before
    steps = [
        threading.Thread(target=publish, args=(thread_of(service, host.url), made)) for made in (of(PASSED), of(FAILED))
    ]
    for each in steps:
        each.start()
    for each in steps:
        each.join(120)
    assert sorted("Failed" in made.body for made in host.comments) == [False, True]
    assert host.methods() == ["POST", "POST"]


# --- marks that others have made

BOT = {"login": "weather[bot]", "type": "Bot"}


def opening_of(host: CodeHost) -> str:
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
def test_comment_with_a_forged_mark_is_not_touched(pattern: str, text: str) -> None:
    """A job's token may not ask for its owner, so each bot's comment may be ours. The signature decides."""
    with GitHub() as host:
        thread = thread_of(SERVICES[0], host.url)
        assert publish(thread, of(FAILED)) == ""
        forged = re.sub(pattern, text, opening_of(host))
        host.comments.clear()
        theirs = host.add(f"{forged}\nthe weather is fine", BOT)
        assert publish(thread, of(FAILED)) == ""
        assert theirs.body == f"{forged}\nthe weather is fine"
        [ours] = [made for made in host.comments if made is not theirs]
        assert "Failed" in ours.body
        assert host.methods() == ["POST", "POST"]


def test_comment_with_a_mark_of_another_change_is_not_touched() -> None:
    """A mark can be copied from a change on which anybody may comment."""
    with GitHub() as host:
        thread, made = thread_of(SERVICES[0], host.url), of(FAILED)
        publish(thread, made._replace(context=made.context._replace(change="11")))
        copied = host.comments.pop()
        theirs = host.add(copied.body, BOT)
        assert publish(thread, of(FAILED)) == ""
        assert theirs.body == copied.body
        assert len(host.comments) == 2


def test_comment_of_another_client_secret_is_not_touched() -> None:
    """Two accounts may test one change, and neither is the other's part."""
    with GitHub() as host:
        thread = thread_of(SERVICES[0], host.url)
        assert publish(thread, of(FAILED), Secret("secret-of-another-client")) == ""
        assert publish(thread, of(PASSED)) == ""
        assert ["Failed" in made.body for made in host.comments] == [True, False]


def test_comment_without_a_client_secret_is_not_written() -> None:
    """An unsigned comment could never be found again."""
    with GitHub() as host:
        why = publish(thread_of(SERVICES[0], host.url), of(FAILED), None)
        assert why == "The comment could not be written: client-secret is empty, which signs it."
        assert host.requests == []


def test_opening_of_a_comment_is_short() -> None:
    """It is the first line of every notification by mail."""
    with GitHub() as host:
        publish(thread_of(SERVICES[0], host.url), of(FAILED))
        assert len(opening_of(host)) < 160


@both
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_that_may_not_is_told_what_it_lacks(service: Service, host: CodeHost, status: int) -> None:
    host.faults.append(Fault("POST", status))
    why = publish(thread_of(service, host.url), of())
    assert why.startswith(f"The comment could not be written: HTTP {status}. ")
    assert ("pull-requests: write" if service.name == "github" else "scope `api`") in why
    assert host.comments == []


@both
def test_a_wrong_token_is_a_warning(service: Service, host: CodeHost) -> None:
    why = publish(thread_of(service, host.url, "another-token"), of())
    assert "HTTP 401" in why
    assert "another-token" not in why


@both
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_what_may_be_asked_again_is(service: Service, host: CodeHost, method: str) -> None:
    publish(thread_of(service, host.url), of(PASSED))
    host.faults.append(Fault(host.update if method == "PATCH" else "GET", 502, times=2))
    assert publish(thread_of(service, host.url), of(FAILED)) == ""
    assert "Failed" in host.comments[0].body


@both
def test_a_comment_is_never_asked_for_twice(service: Service, host: CodeHost) -> None:
    host.faults.append(Fault("POST", 502))
    assert publish(thread_of(service, host.url), of()) == "The comment could not be written: HTTP 502."
    assert host.methods() == ["POST"]


@both
def test_a_redirect_takes_no_token_elsewhere(service: Service, host: CodeHost) -> None:
    with FaultServer(answer(200, "[]")) as other:
        host.faults.append(Fault("POST", 307, headers={"Location": f"{other.url}/x"}))
        assert "HTTP 307" in publish(thread_of(service, host.url), of())
        assert other.connections == 0


@both
def test_a_next_page_on_another_host_is_not_read(service: Service) -> None:
    with FaultServer(answer(200, "[]")) as other:
        page = answer(200, json.dumps([]), f'Link: <{other.url}/x>; rel="next"')
        user = answer(200, json.dumps({"id": 7, "login": "x"}))

        with FaultServer(lambda wire: (user if wire.request.path.endswith("/user") else page)(wire)) as host:
            why = publish(thread_of(service, f"{host.url}/api"), of())
        assert "another host, which gets no token" in why
        assert other.connections == 0


@both
def test_a_next_page_that_is_no_address_is_a_warning(service: Service) -> None:
    page = answer(200, "[]", 'Link: <http://[>; rel="next"')
    user = answer(200, json.dumps({"id": 7, "login": "x"}))
    with FaultServer(lambda wire: (user if wire.request.path.endswith("/user") else page)(wire)) as host:
        assert "the next page is none" in publish(thread_of(service, f"{host.url}/api"), of())


@both
def test_a_mark_with_a_number_beyond_all_builds_is_none(service: Service, host: CodeHost) -> None:
    publish(thread_of(service, host.url), of(FAILED))
    host.comments[0].body = host.comments[0].body.replace("build 500", f"build {'9' * 5000}")
    assert publish(thread_of(service, host.url), of(PASSED)) == ""
    assert len(host.comments) == 2


@both
@pytest.mark.parametrize("act", [answer(200, "nonsense"), answer(200, '{"a": 1}'), answer(200, "[[1]]"), answer(500)])
def test_an_answer_of_any_form_is_a_warning(service: Service, act: Callable[..., bool]) -> None:
    with FaultServer(act) as host:
        assert publish(thread_of(service, f"{host.url}/api"), of()).startswith("The comment could not be")


@both
def test_a_host_that_says_nothing_is_waited_for_in_vain_but_not_for_long(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_SECONDS", 0.2)
    with FaultServer(hang) as host:
        assert "no answer came in time" in publish(thread_of(service, f"{host.url}/api"), of())


@both
def test_a_report_that_is_too_long_is_cut_at_a_row_and_says_so(service: Service, host: CodeHost) -> None:
    runs = [*(passed(f"p{number}", "n" * 400) for number in range(4000)), failed("bad")]
    assert publish(thread_of(service, host.url), of(FAILED, runs=runs)) == ""
    body = host.comments[0].body
    assert len(body) <= host.largest
    assert "Checkout pays by card" in body
    assert re.search(r"^\| … and [\d,]+ more runs \| \| \| \|$", body, re.MULTILINE)


def test_a_persons_own_token_finds_that_persons_comment_only() -> None:
    with GitHub("ada") as host:
        host.add("<!-- autonoma-ci 0000000000000000 build 1 -->", {"login": "github-actions[bot]", "type": "Bot"})
        for _ in range(2):
            assert publish(thread_of(SERVICES[0], host.url), of()) == ""
        assert len(host.comments) == 2
        assert host.methods() == ["POST", "PATCH"]
        assert host.complaints == []


# --- as a whole step


def step(folder: Path, service: Service, url: str, ids: str = "sandbox-one", **more: str) -> tuple[int, str]:
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
        world = World({**environ, **more}, out, out, str(folder), waiting=BRIEF, policy=BRISK)
        code = cli.main([], world)
    return code, out.getvalue()


@both
def test_a_step_comments_and_its_exit_code_is_that_of_the_tests(
    service: Service, host: CodeHost, tmp_path: Path
) -> None:
    assert step(tmp_path, service, host.url, "sandbox-one, sandbox-fails")[0] == 1
    [made] = host.comments
    assert "❌ Failed" in made.body
    assert "https://git.example.com/acme/shop/" in made.body
    assert re.search(r"❌ failed<br>step \d, ", made.body)


@both
@pytest.mark.parametrize("status", [403, 500])
def test_a_comment_that_fails_changes_no_verdict(service: Service, host: CodeHost, status: int, tmp_path: Path) -> None:
    host.faults.append(Fault("POST", status))
    code, log = step(tmp_path, service, host.url)
    assert code == 0
    assert f"The comment could not be written: HTTP {status}" in log.replace("%3A", ":")
    hidden = [line for line in log.splitlines() if "add-mask" not in line]
    assert TOKEN not in "\n".join(hidden)


@both
def test_a_refused_input_is_told_too(service: Service, host: CodeHost, tmp_path: Path) -> None:
    """Else the comment of an earlier commit would still say that all is well."""
    assert step(tmp_path, service, host.url, "no id!")[0] == 2
    assert "❌ Error" in host.comments[0].body


@both
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"AUTONOMA_GITHUB_TOKEN": "", "AUTONOMA_GITLAB_TOKEN": ""}, "token is empty"),
        (
            {"CI_MERGE_REQUEST_IID": "", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"},
            "this build is of no pull or merge request",
        ),
        ({"GITHUB_API_URL": "http://example.com", "CI_API_V4_URL": "file:///etc"}, "do not say where"),
        ({"AUTONOMA_DRY_RUN": "true"}, ""),
        ({"AUTONOMA_COMMENT": "false"}, ""),
    ],
)
def test_without_what_it_takes_there_is_no_comment(
    service: Service, host: CodeHost, more: dict[str, str], says: str, tmp_path: Path
) -> None:
    code, log = step(tmp_path, service, host.url, **more)
    assert code == 0
    assert says in log
    assert host.requests == []


def test_elsewhere_the_option_has_no_effect_and_says_so(tmp_path: Path) -> None:
    drone = Service("drone", GitHub, {"DRONE": "true"}, "X", "Y", None)
    assert "comment has no effect on drone: it is for GitHub and GitLab." in step(tmp_path, drone, "x")[1]


@both
@pytest.mark.parametrize("verdict", [CANCELLED, DRY])
def test_a_step_that_proved_nothing_leaves_the_comment_as_it_is(
    service: Service, host: CodeHost, verdict: Verdict, tmp_path: Path
) -> None:
    from autonoma_ci.commands.comment import comment as write
    from autonoma_ci.commands.input import find_place
    from autonoma_ci.settings import Settings

    environ = {**service.environ, service.address: host.url}
    token = Secret(TOKEN)
    settings = Settings(comment=True, github_token=token, gitlab_token=token)
    world = World(environ, io.StringIO(), io.StringIO())
    assert write(settings, find_place(environ), world, of(verdict)) == ("", "")
    assert host.requests == []
