"""Tests of AppVeyor's build facts and the messages to its agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from autonoma_ci.ci.systems.appveyor import SYSTEM
from autonoma_ci.reports.outputs import output_variables
from tests.support.ci_environments import APPVEYOR, HEAD, MERGE
from tests.support.environment_names import find_secret_names
from tests.support.fake_clock import FakeClock
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import (
    FAILED_VERDICT,
    INPUT_ERROR_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_passed_run,
    make_started_run,
)

if TYPE_CHECKING:
    from requests_mock import Mocker

    from autonoma_ci.models import BuildContext, Report

URL = "http://localhost:58301"
VARIABLES, MESSAGES = f"{URL}/api/build/variables", f"{URL}/api/build/messages"


@pytest.fixture
def agent(requests_mock: Mocker) -> Mocker:
    """Return an agent that accepts all requests."""
    requests_mock.post(VARIABLES)
    requests_mock.post(MESSAGES)
    return requests_mock


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**APPVEYOR, **changes})


def publish(step_report: Report, *, summary: bool = True) -> list[str]:
    """Publish a report to the agent, and return the warnings."""
    context = make_publish_context({"APPVEYOR_API_URL": URL}, summary=summary)._replace(clock=FakeClock())
    [publisher] = SYSTEM.create_publishers(context)
    return list(publisher.publish(step_report))


def read_bodies(agent: Mocker, url: str) -> list[Any]:
    """Return the bodies of all requests to a URL."""
    return [request.json() for request in agent.request_history if request.url == url]


def read_message(agent: Mocker) -> Any:
    """Return the only message of the build."""
    [message] = read_bodies(agent, MESSAGES)
    return message


def test_secret_names_exclude_build_facts() -> None:
    """Only names of tokens and passwords hold credentials."""
    secrets = {"APPVEYOR_API_TOKEN", "APPVEYOR_TOKEN", "APPVEYOR_CACHE_PASSWORD"}
    assert find_secret_names(SYSTEM, {*APPVEYOR, *secrets}) == secrets


def test_context_without_job_name_has_number() -> None:
    """A build with one job has no name for it."""
    assert read_context(APPVEYOR_JOB_NAME="").job_name == "1"
    assert read_context(APPVEYOR_JOB_NAME="", APPVEYOR_JOB_NUMBER="").job_name == ""


@pytest.mark.parametrize(
    "name", ["APPVEYOR_URL", "APPVEYOR_ACCOUNT_NAME", "APPVEYOR_PROJECT_SLUG", "APPVEYOR_BUILD_ID"]
)
def test_context_without_url_part_has_no_link(name: str) -> None:
    """Each part of the link is necessary."""
    assert read_context(**{name: ""}).build_url == ""


def test_context_of_own_server_links_to_it() -> None:
    """A slash at the end of the server's URL is not doubled."""
    url = read_context(APPVEYOR_URL="https://appveyor.example.com/").build_url
    assert url == "https://appveyor.example.com/project/acme/shop-x1/builds/3009"


@pytest.mark.parametrize("number", ["", "0", "-1", "7a", "\u0667"])
def test_context_without_change_uses_push(number: str) -> None:
    """Without a valid number, the variables of a change do not count."""
    context = read_context(
        APPVEYOR_PULL_REQUEST_NUMBER=number,
        APPVEYOR_PULL_REQUEST_HEAD_COMMIT=MERGE,
        APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH="feature/cart",
    )
    assert (context.change_number, context.sha, context.branch) == ("", HEAD, "main")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://appveyor.example.com",
        "ftp://localhost",
        "https://user:s3cret-value@appveyor.example.com",
        "localhost:58301",
    ],
)
def test_publishers_need_safe_url(url: str) -> None:
    """Without a URL that is local or encrypted, nothing is sent."""
    assert SYSTEM.create_publishers(make_publish_context({"APPVEYOR_API_URL": url})) == ()


def test_publish_before_end_sends_nothing(agent: Mocker) -> None:
    """A report without a verdict is not sent."""
    assert publish(create_report([make_started_run("a")], None)) == []
    assert agent.request_history == []


def test_publish_sets_every_variable(agent: Mocker) -> None:
    """The agent gets every variable, and an empty text for one that is too long."""
    small_report, large_report = (
        create_report([make_passed_run(f"id-{n}") for n in range(count)], PASSED_VERDICT) for count in (1, 800)
    )
    assert publish(small_report) == []
    [warning] = publish(large_report)
    assert warning.startswith("The build's variables: AUTONOMA_RUN_URLS left empty (")
    bodies = read_bodies(agent, VARIABLES)
    assert {body["name"]: body["value"] for body in bodies} == output_variables(large_report)
    assert len(bodies) == 2 * len(output_variables(large_report))


@pytest.mark.parametrize(("verdict", "category"), [(PASSED_VERDICT, "information"), (FAILED_VERDICT, "error")])
def test_message_has_category_of_verdict(verdict: Any, category: str, agent: Mocker) -> None:
    """Only a failed step has an error message."""
    step_report = create_report([make_passed_run("a"), make_failed_run("b")], verdict)._replace(waits_for_results=True)
    assert publish(step_report) == []
    assert read_message(agent) == {
        "message": "Autonoma tests: 1 of 2 runs passed, 1 failed.",
        "category": category,
        "details": "FAILED  Checkout pays by card  (1 min 5 s)  — test step 4, Check the result: Expected a "
        "confirmation, but the page shows an error  https://autonoma.app/run/run-b\n"
        "PASSED  a  (42 s)  https://autonoma.app/run/run-a",
    }


def test_message_is_absent_without_summary(agent: Mocker) -> None:
    """The option summary turns off the message, but not the variables."""
    assert publish(create_report([make_passed_run("a")], PASSED_VERDICT), summary=False) == []
    assert {request.url for request in agent.request_history} == {VARIABLES}


@pytest.mark.parametrize(("count", "listed"), [(49, 49), (50, 50), (51, 50), (200, 50)])
def test_message_lists_at_most_50_runs(count: int, listed: int, agent: Mocker) -> None:
    """Failed runs come first, and the runs after the first 50 are left out."""
    assert (
        publish(
            create_report(
                [*(make_passed_run(f"p{n}") for n in range(count - 1)), make_failed_run("bad", "Pay")], FAILED_VERDICT
            )
        )
        == []
    )
    details = read_message(agent)["details"].splitlines()
    assert len(details) == listed
    assert details[0].startswith("FAILED  Pay  ")


def test_message_lists_input_errors(agent: Mocker) -> None:
    """A step with invalid input has its errors in the details."""
    assert (
        publish(create_report([], INPUT_ERROR_VERDICT, ["test-ids: 'x y' is not an id", "timeout: '1' has no unit"]))
        == []
    )
    message = read_message(agent)
    assert message["message"] == "Autonoma tests: 2 problems with the input. Nothing was sent."
    assert message["details"] == "test-ids: 'x y' is not an id\ntimeout: '1' has no unit"


@pytest.mark.parametrize("size", [400, 10_000])
def test_message_text_is_short_line(size: int, agent: Mocker) -> None:
    """A title with control characters or any length becomes one line of at most 500 characters."""
    assert (
        publish(
            create_report([make_passed_run("a")], PASSED_VERDICT)._replace(title="a\r\n\x1b[31m\u202e" + "t" * size)
        )
        == []
    )
    text = read_message(agent)["message"]
    assert len(text) <= 500
    assert text.isprintable()
    assert text.startswith("a \ufffd[31mt")


def test_message_names_stay_on_one_line(agent: Mocker) -> None:
    """The name of a run cannot add a line to the details."""
    assert publish(create_report([make_passed_run("a", "Pay\nother: passed\x00")], PASSED_VERDICT)) == []
    assert read_message(agent)["details"] == "PASSED  Pay other: passed\ufffd  (42 s)  https://autonoma.app/run/run-a"


def test_message_of_run_without_link_has_state(agent: Mocker) -> None:
    """A run without a link has its run id."""
    assert publish(create_report([make_passed_run("a")._replace(url="")], PASSED_VERDICT)) == []
    assert read_message(agent)["details"] == "PASSED  a  (42 s)  run run-a"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status_code": 500}, "HTTP 500"),
        ({"status_code": 404, "json": {"message": "no such build"}}, "HTTP 404: no such build"),
    ],
    ids=["server-error", "not-found"],
)
def test_publish_error_warns_once(fault: dict[str, Any], reason: str, agent: Mocker) -> None:
    """After the first error, no further request is sent, because each one creates new data."""
    agent.post(VARIABLES, **fault)
    [warning] = publish(create_report([make_passed_run("a")], PASSED_VERDICT))
    assert warning.startswith("The build's variables and messages could not be set: ")
    assert reason in warning
    assert len(agent.request_history) == 1


def test_publish_without_agent_warns(agent: Mocker) -> None:
    """A request that never arrived is sent again, because it created nothing."""
    agent.post(VARIABLES, exc=requests.exceptions.ConnectTimeout)
    [warning] = publish(create_report([make_passed_run("a")], PASSED_VERDICT))
    assert "could not connect to localhost:58301" in warning
    assert len(agent.request_history) == 3


def test_publish_error_follows_other_warnings(agent: Mocker) -> None:
    """An error of the message does not hide the warning about variables."""
    agent.post(MESSAGES, status_code=403)
    warnings = publish(create_report([make_passed_run(f"id-{n}") for n in range(800)], PASSED_VERDICT))
    assert ["left empty" in warning for warning in warnings] == [True, False]
    assert warnings[1] == "The build's variables and messages could not be set: HTTP 403."
