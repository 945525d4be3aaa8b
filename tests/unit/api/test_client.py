"""Tests of the API client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import pytest
import requests_mock

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollResult, PollStatus, RunDetails, SignedUrl, StartResult, StartStatus
from autonoma_ci.api.transport import Transport
from autonoma_ci.models import AppVersion, ExitReason, RunRequest, TargetKind
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.redaction.redactor import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE = "https://api.test"
SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
REQUEST = RunRequest(TargetKind.TEST, "a", variables={"NAME": "value-of-the-variable"})
LINK = "https://autonoma.app/run/r1"
NOT_STARTED = "The run was not started."
# A text with all secrets, a command of GitHub and a control character.
TEXT_WITH_SECRETS = "client-id-of-the-test and client-secret-of-the-test and value-of-the-variable\n::error::x\x1b[31m"


class FailingTransport(Transport):
    """Raises one error for each request."""

    def __init__(self, error: Exception) -> None:
        super().__init__(BASE, SECRETS)
        self._error = error

    def post(self, path: str, payload: Mapping[str, object]) -> NoReturn:
        raise self._error

    def get(self, path: str, max_bytes: int = 0) -> NoReturn:
        raise self._error


@pytest.fixture
def mock() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


def make_client(error: Exception | None = None) -> AutonomaClient:
    """Return a client that sends requests, or whose requests all fail."""
    return AutonomaClient(FailingTransport(error) if error else Transport(BASE, SECRETS), "github", SECRETS)


def check_secrets_are_hidden(text: str) -> None:
    """Check that a text has a mask, no secret and one line."""
    assert "***" in text
    assert not any(secret in text for secret in ("client-id-of", "client-secret-of", "value-of-the"))
    assert not {"\n", "\x1b"} & set(text)


# Starts


@pytest.mark.parametrize(
    ("request_", "path", "run_id_field", "body"),
    [
        (
            RunRequest(TargetKind.TEST, "a", variables={"LOCALE": "de"}, application_version_id="v1"),
            "/test/a/run",
            "run_id",
            {"id": "a", "source": "github", "application_version_id": "v1", "runtime_metadata": {"LOCALE": "de"}},
        ),
        (
            RunRequest(TargetKind.FOLDER, "f", run_on_latest=True),
            "/folder/f/run",
            "folder_run_id",
            {"recursive": True, "source": "github", "run_on_latest": True},
        ),
        (
            RunRequest(TargetKind.TAG, "t", application_versions=(AppVersion("app", "v1"),)),
            "/tag/t/run",
            "tag_run_id",
            {"application_versions": [{"application_id": "app", "application_version_ids": ["v1"]}]},
        ),
    ],
)
def test_start_sends_one_request(
    request_: RunRequest, path: str, run_id_field: str, body: dict[str, object], mock: requests_mock.Mocker
) -> None:
    """Each kind has its own endpoint and body, and the response is a run."""
    mock.post(f"{BASE}{path}", json={run_id_field: "r1"})
    assert make_client().start(request_) == StartResult(StartStatus.STARTED, run_id="r1", http_status=200)
    [request] = mock.request_history
    assert json.loads(request.body) == body
    assert request.headers["autonoma-client-id"] == "client-id-of-the-test"
    assert request.headers["autonoma-client-secret"] == "client-secret-of-the-test"


def test_start_link_may_have_api_host(mock: requests_mock.Mocker) -> None:
    """A link on the API's host is shown, although the client id is a part of it."""
    mock.post("https://autonoma.test/api/test/a/run", json={"run_id": "r1", "url": "https://autonoma.test/run/r1"})
    transport = Transport("https://autonoma.test/api", SECRETS)
    client = AutonomaClient(transport, "github", (Secret("autonoma"), Secret("client-secret-of-the-test")))
    assert client.start(RunRequest(TargetKind.TEST, "a")).url == "https://autonoma.test/run/r1"


def test_start_link_with_credential_is_hidden(mock: requests_mock.Mocker) -> None:
    """A link with a credential is not shown."""
    mock.post(f"{BASE}/test/a/run", json={"run_id": "r1", "url": f"{LINK}?key=client-secret-of-the-test"})
    result = make_client().start(REQUEST)
    assert (result.status, result.run_id, result.url) == (StartStatus.STARTED, "r1", "")


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (
            RequestNotSentError("no route", retryable=True, hint="Set HTTPS_PROXY."),
            StartResult(
                StartStatus.NOT_SENT,
                ExitReason.API,
                message="no route",
                suggestion=f"{NOT_STARTED} Set HTTPS_PROXY.",
            ),
        ),
        (
            RequestNotSentError("no route", retryable=False, hint="Set HTTPS_PROXY."),
            StartResult(
                StartStatus.CANNOT_SEND,
                ExitReason.API,
                message="no route",
                suggestion=f"{NOT_STARTED} Set HTTPS_PROXY.",
            ),
        ),
        (
            RequestNotSentError("no route", retryable=True),
            StartResult(
                StartStatus.NOT_SENT,
                ExitReason.API,
                message="no route",
                suggestion=f"{NOT_STARTED} Check api-url, the network and any proxy.",
            ),
        ),
        (
            ResponseLostError("no response in time", timed_out=True),
            StartResult(
                StartStatus.INDETERMINATE,
                ExitReason.UNKNOWN,
                message="no response in time",
                suggestion="The run may have started: look for it in Autonoma before starting it again.",
            ),
        ),
    ],
    ids=["temporary", "permanent", "without hint", "lost"],
)
def test_start_failure_is_result(error: Exception, result: StartResult) -> None:
    """A failed connection and a lost response are results with a suggestion."""
    assert make_client(error).start(REQUEST) == result


@pytest.mark.parametrize(
    "error",
    [
        RequestNotSentError(TEXT_WITH_SECRETS, retryable=True, hint=TEXT_WITH_SECRETS),
        ResponseLostError(TEXT_WITH_SECRETS),
    ],
    ids=["not sent", "lost"],
)
def test_failure_texts_are_redacted(error: Exception) -> None:
    """No text of a failure shows a secret or a control character."""
    client = make_client(error)
    start, status, details = (
        client.start(REQUEST),
        client.poll_status(REQUEST, "r1"),
        client.fetch_details(REQUEST, "r1"),
    )
    assert details.error is not None
    for text in (start.message, status.message, details.error):
        check_secrets_are_hidden(text)
    if isinstance(error, RequestNotSentError):
        check_secrets_are_hidden(start.suggestion)
        check_secrets_are_hidden(status.suggestion)


def test_long_failure_text_is_cut() -> None:
    """The text of a failure has at most 500 characters."""
    client = make_client(ResponseLostError("x" * 100_000))
    assert client.start(REQUEST).message == client.poll_status(REQUEST, "r1").message == "x" * 499 + "…"


# Status


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (TargetKind.TEST, "/run/r1/status"),
        (TargetKind.FOLDER, "/run/folder/r1/status"),
        (TargetKind.TAG, "/run/tag/r1/status"),
    ],
)
def test_each_kind_has_status_endpoint(kind: TargetKind, path: str) -> None:
    """Each target kind has its own status endpoint."""
    with requests_mock.Mocker() as mock:
        mock.get(f"https://api.test{path}", json={"status": "passed"})
        client = AutonomaClient(Transport("https://api.test", SECRETS), "github", SECRETS)
        assert client.poll_status(RunRequest(kind, "a"), "r1").status is PollStatus.PASSED


@pytest.mark.parametrize(
    ("error", "suggestion"),
    [
        (RequestNotSentError("no route", retryable=True, hint="Set HTTPS_PROXY."), "Set HTTPS_PROXY."),
        (RequestNotSentError("no route", retryable=False), ""),
        (ResponseLostError("no route"), ""),
    ],
    ids=["with hint", "without hint", "lost"],
)
def test_status_failure_is_unavailable(error: Exception, suggestion: str) -> None:
    """A failed status request is a result with the hint of the connection."""
    result = make_client(error).poll_status(REQUEST, "r1")
    assert result == PollResult(PollStatus.UNAVAILABLE, message="no route", suggestion=suggestion)


def test_status_of_other_run_is_unavailable(mock: requests_mock.Mocker) -> None:
    """A response with another run id is not used."""
    mock.get(f"{BASE}/run/r1/status", json={"status": "passed", "run_id": "r2"})
    result = make_client().poll_status(REQUEST, "r1")
    assert (result.status, result.message) == (PollStatus.UNAVAILABLE, "the response is about another run")


# Details


def test_details_request_includes_steps() -> None:
    """Details are requested with steps and without media."""
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1?steps=true", json={"name": "Checkout"})
        client = AutonomaClient(Transport("https://api.test", SECRETS), "github", SECRETS)
        assert client.fetch_details(REQUEST, "r1").title == "Checkout"
        assert mock.last_request.query == "steps=true"


@pytest.mark.parametrize(("media", "query"), [(False, "steps=true"), (True, "steps=true&media=true")])
def test_details_include_media_on_request(media: bool, query: str, mock: requests_mock.Mocker) -> None:
    """Signed URLs are requested only if they are needed."""
    mock.get(f"{BASE}/run/r1", json={"name": "Checkout", "video_url": "https://media.test/v"})
    details = make_client().fetch_details(REQUEST, "r1", media=media)
    assert mock.last_request is not None
    assert mock.last_request.query == query
    assert details == RunDetails("Checkout", video_url=SignedUrl("https://media.test/v"))


@pytest.mark.parametrize(
    "error", [RequestNotSentError("no route", retryable=True, hint="Set it."), ResponseLostError("no route")]
)
def test_details_failure_is_result(error: Exception) -> None:
    """A failed request for details is a result with the reason."""
    assert make_client(error).fetch_details(REQUEST, "r1") == RunDetails(error="no route")


@pytest.mark.parametrize(
    ("fields", "subject"), [({"id": "r2"}, "run"), ({"test_id": "b"}, "test")], ids=["other run", "other test"]
)
def test_details_of_other_run_are_unused(fields: dict[str, object], subject: str, mock: requests_mock.Mocker) -> None:
    """Details with another run id or test id are a contradiction."""
    mock.get(f"{BASE}/run/r1", json={"name": "Checkout", **fields})
    details = make_client().fetch_details(REQUEST, "r1")
    assert (details.title, details.contradiction) == ("", f"the details are about another {subject}")


def test_long_details_are_read(mock: requests_mock.Mocker) -> None:
    """Details and names may be longer than other responses."""
    body = {"id": "a", "name": "Checkout", "html": "x" * (2 << 20)}
    mock.get(f"{BASE}/run/r1", json=body | {"id": "r1"})
    mock.get(f"{BASE}/test/a", json=body)
    mock.get(f"{BASE}/run/r1/status", json={"status": "passed", "html": "x" * (2 << 20)})
    client = make_client()
    assert client.fetch_details(REQUEST, "r1").title == "Checkout"
    assert client.fetch_name(TargetKind.TEST, REQUEST) == "Checkout"
    assert client.poll_status(REQUEST, "r1").status is PollStatus.UNAVAILABLE


# Names


@pytest.mark.parametrize("kind", [TargetKind.TEST, TargetKind.FOLDER])
def test_name_is_requested_by_kind(kind: TargetKind, mock: requests_mock.Mocker) -> None:
    """The name of an id is that of the requested kind, not of the run's kind."""
    mock.get(f"{BASE}/{kind}/a", json={"id": "a", "name": "Checkout"})
    assert make_client().fetch_name(kind, RunRequest(TargetKind.TAG, "a")) == "Checkout"


@pytest.mark.parametrize(
    ("status", "body"), [(404, {"message": "no"}), (200, {"id": "b", "name": "x"}), (200, {}), (500, {"id": "a"})]
)
def test_unconfirmed_id_has_no_name(status: int, body: dict[str, object], mock: requests_mock.Mocker) -> None:
    """A response that does not confirm the id gives no name."""
    mock.get(f"{BASE}/folder/a", json=body, status_code=status)
    assert make_client().fetch_name(TargetKind.FOLDER, REQUEST) is None


@pytest.mark.parametrize("error", [RequestNotSentError("no route", retryable=True), ResponseLostError("no route")])
def test_name_after_failure_is_none(error: Exception) -> None:
    """A failed request gives no name and raises no error."""
    assert make_client(error).fetch_name(TargetKind.FOLDER, REQUEST) is None


def test_name_is_redacted(mock: requests_mock.Mocker) -> None:
    """A name shows no secret and has one line."""
    mock.get(f"{BASE}/folder/a", json={"id": "a", "name": TEXT_WITH_SECRETS})
    name = make_client().fetch_name(TargetKind.FOLDER, REQUEST)
    assert name is not None
    check_secrets_are_hidden(name)


# Secrets


def test_secrets_in_response_are_redacted() -> None:
    """Credentials and variable values in a response are redacted."""
    text = "client-secret-of-the-test, value-of-the-variable"
    step = {"instruction": text, "output": text, "status": "failed", "url": f"https://shop.test/{text}"}
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1/status", json={"status": text})
        mock.get("https://api.test/run/r1?steps=true", json={"name": text, "steps": [step]})
        client = AutonomaClient(Transport("https://api.test", SECRETS), "github", SECRETS)
        result_text = repr(client.poll_status(REQUEST, "r1")) + repr(client.fetch_details(REQUEST, "r1"))
        mock.get("https://api.test/run/r1/status", json={"message": text}, status_code=500)
        result_text += repr(client.poll_status(REQUEST, "r1"))
    assert "***" in result_text
    assert "client-secret-of-the-test" not in result_text
    assert "value-of-the-variable" not in result_text


def test_values_in_ids_are_not_redacted() -> None:
    """A secret value is redacted in texts, but not in ids and links."""
    request = RunRequest(TargetKind.TEST, "a", variables={"NAME": ""})
    link = "https://autonoma.app/run/r1"
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/run/r1/status", json={"status": "passed", "url": f"{link}?page=the-value"})
        mock.get("https://api.test/run/r1?steps=true", json={"name": "the-value in r1"})
        values = [Secret("the-value"), Secret("r1")]
        client = AutonomaClient(Transport("https://api.test", SECRETS), "github", SECRETS, values)
        assert client.fetch_details(request, "r1").title == "*** in ***"
        result = client.poll_status(request, "r1")
    assert (result.status, result.url) == (PollStatus.PASSED, link)


def get_title(mock: requests_mock.Mocker, client: AutonomaClient, request: RunRequest, name: str) -> str:
    """Return how the client shows a name from the API."""
    mock.get(f"{BASE}/run/r1", json={"name": name})
    return client.fetch_details(request, "r1").title


def test_values_of_other_runs_are_redacted(mock: requests_mock.Mocker) -> None:
    """The values of all runs are removed from the texts of each run."""
    values = [Secret("value-of-another-run")]
    client = AutonomaClient(Transport(BASE, SECRETS), "github", SECRETS, values)
    assert get_title(mock, client, REQUEST, "My value-of-another-run") == "My ***"
    assert get_title(mock, client, REQUEST, "My client-id-of-the-test") == "My ***"


def test_unlisted_values_of_other_runs_stay(mock: requests_mock.Mocker) -> None:
    """Without a list of the values of all runs, only those of the run are removed."""
    client = AutonomaClient(Transport(BASE, SECRETS), "github", SECRETS)
    assert get_title(mock, client, REQUEST, "value-of-another-run") == "value-of-another-run"
    assert get_title(mock, client, REQUEST, "value-of-the-variable") == "***"


def test_public_values_are_shown(mock: requests_mock.Mocker) -> None:
    """A value that is a build fact is not redacted."""
    request = REQUEST._replace(variables={"BRANCH": "release-branch", "NAME": "value-of-the-variable"})
    public = frozenset({"release-branch"})
    client = AutonomaClient(Transport(BASE, SECRETS), "github", SECRETS, public_values=public)
    assert get_title(mock, client, request, "release-branch value-of-the-variable") == "release-branch ***"


@pytest.mark.parametrize(("count", "shows_unused_secret"), [(50, False), (51, True)])
def test_many_texts_are_filtered_by_run(count: int, shows_unused_secret: bool, mock: requests_mock.Mocker) -> None:
    """Of more than 50 texts, only those in the run's values are removed."""
    texts = [Secret(f"secret-part-{number:03}") for number in range(count)]
    client = AutonomaClient(Transport(BASE, SECRETS), "github", SECRETS, environment_texts=texts)
    request = REQUEST._replace(variables={"DSN": "db://user:secret-part-007@db.test"})
    assert get_title(mock, client, request, "My secret-part-007") == "My ***"
    assert get_title(mock, client, request, "My secret-part-008") == (
        "My secret-part-008" if shows_unused_secret else "My ***"
    )
