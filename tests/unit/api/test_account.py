"""Tests of the list of folders and tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests_mock

from autonoma_ci.api.account import Account, ListedFolder, ListedTest, list_folders
from autonoma_ci.api.transport import HttpResponse, Transport
from autonoma_ci.errors import EXIT_API, EXIT_UNAUTHORIZED, ApiError
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.redaction.redactor import NO_SECRETS, Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
SECRET = "s3cret-value-of-the-test"
QUOTA_HINT = "Add quota in Autonoma, or wait for its renewal, then run the job again. The credentials are valid."
API_URL_HINT = "Check api-url: use the URL of the API, such as https://autonoma.app/api."
TRY_LATER = "Check api-url and the network, or try again later."
CREDENTIALS_HINT = "Check client-id and client-secret: both must be set, from the same account, and not revoked."


class ScriptedTransport(Transport):
    """Returns scripted responses in order, then empty pages."""

    def __init__(self, *responses: HttpResponse | Exception) -> None:
        super().__init__("https://api.test/api", SECRETS)
        self._responses = list(responses)
        self.paths: list[str] = []

    def get(self, path: str, max_bytes: int = 0) -> HttpResponse:
        self.paths.append(path)
        response = self._responses.pop(0) if self._responses else make_page()
        if isinstance(response, Exception):
            raise response
        return response


def make_response(
    status: int, body: object = "", headers: Mapping[str, str] | None = None, *, is_complete: bool = True
) -> HttpResponse:
    encoded_body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return HttpResponse(status, headers or {}, encoded_body, is_complete)


def make_page(*entries: object) -> HttpResponse:
    return make_response(200, list(entries))


def make_folder(folder_id: str, name: str = "x", *tests: object) -> dict[str, object]:
    return {"id": folder_id, "name": name, "tests": list(tests)}


def collect(*responses: HttpResponse | Exception, redact: Redactor = NO_SECRETS) -> Account:
    """List the account, and check that no request waits for another attempt."""
    pauses: list[float] = []
    account = list_folders(ScriptedTransport(*responses), redact, pauses.append)
    assert pauses == []
    return account


def get_ids(account: Account) -> list[str]:
    return [folder.id for folder in account.folders]


def collect_failure(
    *responses: HttpResponse | Exception, redact: Redactor = NO_SECRETS
) -> tuple[ApiError, int, list[float]]:
    """Return the error of a list, the number of requests and the pauses between them."""
    transport, pauses = ScriptedTransport(*responses), list[float]()
    with pytest.raises(ApiError) as caught:
        list_folders(transport, redact, pauses.append)
    return caught.value, len(transport.paths), pauses


# Pages


def test_folders_have_names_and_tests() -> None:
    """The account has all folders and tests in the API's order."""
    account = collect(
        make_page(make_folder("f2", "Checkout", {"id": "t2", "name": "Pays"}, {"id": "t1", "name": "Cancels"})),
        make_page(make_folder("f1", "Empty")),
    )
    checkout = ListedFolder("f2", "Checkout", (ListedTest("t2", "Pays"), ListedTest("t1", "Cancels")))
    assert account == Account((checkout, ListedFolder("f1", "Empty", ())), 0)


def test_empty_account_has_no_folders() -> None:
    """An empty first page is an empty account."""
    assert collect(make_page()) == Account((), 0)


def test_offset_counts_received_entries() -> None:
    """Each request has the number of entries before it, until an empty page."""
    pages = [make_page(*(make_folder(f"f{number}") for number in range(100))), make_page(make_folder("g"), None)]
    transport = ScriptedTransport(*pages)
    list_folders(transport, NO_SECRETS, lambda _: None)
    assert transport.paths == [f"/folder?limit=100&offset={offset}" for offset in (0, 100, 102)]


@pytest.mark.parametrize(
    ("pages", "ids", "requests"),
    [
        ([[{"id": "a"}], [{"id": "a"}]], ["a"], 2),
        ([[{"id": "a"}, {"id": "b"}], [{"id": "b"}], [{"id": "c"}]], ["a", "b"], 2),
        ([[{"id": "a"}], [{"id": "a"}, {"id": "b"}]], ["a", "b"], 3),
        ([[None], [{"id": "a"}], [7], [{"id": "b"}]], ["a", "b"], 5),
        ([[None], [None]], [], 2),
        ([[], [{"id": "a"}]], [], 1),
    ],
    ids=["same page", "no new folder", "one new folder", "unusable pages", "same unusable page", "empty page"],
)
def test_list_ends_at_page_without_news(pages: list[list[object]], ids: list[str], requests: int) -> None:
    """The list ends at an empty, a repeated or a known page."""
    transport = ScriptedTransport(*(make_page(*page) for page in pages))
    assert get_ids(list_folders(transport, NO_SECRETS, lambda _: None)) == ids
    assert len(transport.paths) == requests


def test_repeated_folder_has_its_first_name() -> None:
    """A folder on a second page does not replace that of the first page."""
    account = collect(make_page(make_folder("a", "first")), make_page(make_folder("a", "second"), make_folder("b")))
    assert [(folder.id, folder.name) for folder in account.folders] == [("a", "first"), ("b", "x")]


@pytest.mark.parametrize(("count", "has_end"), [(4, True), (5, False)])
def test_endless_list_is_error(count: int, has_end: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that invents folders without an end is an error."""
    monkeypatch.setattr("autonoma_ci.api.account._MAX_PAGES", 5)
    # Most entries are unusable, which is faster.
    pages = [make_page(make_folder(f"f{page}"), *range(page * 299, page * 299 + 299)) for page in range(count)]
    if has_end:
        assert get_ids(collect(*pages)) == ["f0", "f1", "f2", "f3"]
        return
    error, requests, _ = collect_failure(*pages)
    assert str(error) == f"Invalid list of folders: no end after 1,500 folders. {TRY_LATER}"
    assert (error.exit_code, requests) == (EXIT_API, 5)


@pytest.mark.parametrize(("budget", "is_within_limit"), [(5_000, True), (1_000, False)])
def test_too_long_texts_are_error(budget: int, is_within_limit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with more text than any account is an error, and shorter texts are not."""
    monkeypatch.setattr("autonoma_ci.api.account._MAX_TEXT_CHARS", budget)
    page = make_page(*(make_folder(f"f{number}", "x" * 100) for number in range(10)))
    if is_within_limit:
        assert len(collect(page).folders) == 10
        return
    error, requests, _ = collect_failure(page)
    assert str(error) == f"Invalid list of folders: too long. {TRY_LATER}"
    assert (error.exit_code, requests) == (EXIT_API, 1)


def test_text_limit_is_per_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pages can have more text than one page."""
    monkeypatch.setattr("autonoma_ci.api.account._MAX_TEXT_CHARS", 1_000)
    account = collect(*(make_page(make_folder(f"f{number}", "x" * 500)) for number in range(10)))
    assert len(account.folders) == 10


def test_large_page_is_read() -> None:
    """A page may be longer than other responses."""
    body = [make_folder("f", "x", *({"id": f"t{number}", "name": "y" * 50_000} for number in range(40)))]
    with requests_mock.Mocker() as mock:
        mock.get("https://api.test/api/folder", [{"json": body}, {"json": []}])
        account = list_folders(Transport("https://api.test/api", SECRETS), NO_SECRETS, lambda _: None)
    assert len(account.folders[0].tests) == 40


# Entries


@pytest.mark.parametrize(
    "entry",
    [
        None, 7, True, "x", [], ["a"], {}, {"name": "x"}, {"id": None}, {"id": 7}, {"id": ["a"]}, {"id": ""},
        {"id": "a b"}, {"id": "../../admin"}, {"id": "a\n"}, {"id": "é"}, {"id": "a|b"}, {"id": "x" * 129},
        {"id": "a\x00"}, {"id": "<b>"},
    ],
)  # fmt: skip
def test_entry_without_valid_id_is_counted(entry: object) -> None:
    """A folder or test without a valid id is left out and counted."""
    account = collect(make_page(entry, make_folder("ok", "Fine", entry, {"id": "t"})))
    assert account == Account((ListedFolder("ok", "Fine", (ListedTest("t", "t"),)),), 2)


@pytest.mark.parametrize("entry_id", ["a", "x" * 128, "A-Z_0-9", "-", "0"])
def test_valid_id_is_listed(entry_id: str) -> None:
    """An id with the characters and the length of an id is listed."""
    account = collect(make_page(make_folder(entry_id, "x", {"id": entry_id})))
    assert account == Account((ListedFolder(entry_id, "x", (ListedTest(entry_id, entry_id),)),), 0)


def test_unusable_folder_counts_once() -> None:
    """A folder without a valid id counts once, however many tests it has."""
    account = collect(make_page({"id": "a b", "tests": [{"id": "t1"}, None, {"id": "t2"}]}))
    assert account == Account((), 1)


def test_skipped_entries_of_all_pages_count() -> None:
    """The count has the entries of all pages."""
    account = collect(make_page(None, make_folder("a")), make_page({"id": ""}, make_folder("b", "x", None)))
    assert (get_ids(account), account.skipped_count) == (["a", "b"], 3)


@pytest.mark.parametrize("name", [None, 7, True, "", " \t\n", ["x"], {"de": "x"}])
def test_entry_without_name_shows_id(name: object) -> None:
    """A folder or test without a usable name has its id as name."""
    account = collect(make_page({"id": "f", "name": name, "tests": [{"id": "t", "name": name}]}))
    assert account.folders == (ListedFolder("f", "f", (ListedTest("t", "t"),)),)


@pytest.mark.parametrize("tests", [None, 7, "t", {"id": "t"}, []])
def test_folder_with_invalid_tests_is_empty(tests: object) -> None:
    """A folder whose tests are no list has no tests."""
    assert collect(make_page({"id": "f", "name": "x", "tests": tests})) == Account((ListedFolder("f", "x", ()),), 0)


def test_repeated_test_is_listed_once() -> None:
    """A test that a folder has twice is listed once."""
    account = collect(make_page(make_folder("f", "x", {"id": "t"}, {"id": "u"}, {"id": "t", "name": "last"})))
    assert account.folders[0].tests == (ListedTest("t", "last"), ListedTest("u", "u"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (" a\r\nb ", "a b"),
        ("a\x1b[31m\x00b", "a\ufffd[31m\ufffdb"),
        ("a\u202eb\u200bc", "abc"),
        ("<script>&amp;|`*", "<script>&amp;|`*"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 499 + "…"),
    ],
    ids=["lines", "controls", "invisible", "markup", "longest", "too long"],
)
def test_names_are_on_one_line(name: str, expected: str) -> None:
    """Names have one line of at most 500 characters without controls."""
    account = collect(make_page(make_folder("f", name, {"id": "t", "name": name})))
    assert account.folders == (ListedFolder("f", expected, (ListedTest("t", expected),)),)


# Secrets


@pytest.mark.parametrize("name", [f"My {SECRET}", f"{SECRET[:9]}\u200b{SECRET[9:]}", "%73" + SECRET[1:]])
def test_secret_in_name_is_redacted(name: str) -> None:
    """A secret in the name of a folder or test is hidden."""
    account = collect(make_page(make_folder("f", name, {"id": "t", "name": name})), redact=Redactor([SECRET]))
    [folder] = account.folders
    for text in (folder.name, folder.tests[0].name):
        assert "***" in text
        assert SECRET[1:9] not in text


@pytest.mark.parametrize("entry_id", [SECRET, f"id-{SECRET}", SECRET.upper()])
def test_id_with_secret_is_skipped(entry_id: str) -> None:
    """A folder or test with a secret in its id is left out, and the others are not."""
    page = make_page(make_folder(entry_id), make_folder("f", "x", {"id": entry_id}, {"id": "t"}))
    account = collect(page, redact=Redactor([SECRET]))
    assert account == Account((ListedFolder("f", "x", (ListedTest("t", "t"),)),), 2)


# Errors


@pytest.mark.parametrize(
    ("response", "problem", "exit_code"),
    [
        (
            make_response(401, {"error": "Unauthorized", "message": "Invalid"}),
            f"HTTP 401: Unauthorized: Invalid. {CREDENTIALS_HINT}",
            EXIT_UNAUTHORIZED,
        ),
        (make_response(403), f"HTTP 403. {CREDENTIALS_HINT}", EXIT_UNAUTHORIZED),
        (make_response(300), f"HTTP 300. {TRY_LATER}", EXIT_API),
        (make_response(302, "", {"Location": "https://evil.test/"}), f"HTTP 302. {TRY_LATER}", EXIT_API),
        (make_response(404), f"HTTP 404. {TRY_LATER}", EXIT_API),
        (make_response(499), f"HTTP 499. {TRY_LATER}", EXIT_API),
        (
            make_response(402),
            f"the account's quota is used up (HTTP 402). {QUOTA_HINT}",
            EXIT_API,
        ),
        (
            make_response(403, {"error": "QuotaExceeded"}),
            f"the account's quota is used up (HTTP 403: QuotaExceeded). {QUOTA_HINT}",
            EXIT_API,
        ),
        (make_response(200, "[{"), f"the response is invalid. {TRY_LATER}", EXIT_API),
        (make_response(200, {"folders": []}), f"the response is invalid. {TRY_LATER}", EXIT_API),
        (make_response(200, "null"), f"the response is invalid. {TRY_LATER}", EXIT_API),
        (
            make_response(200, "<html>"),
            f"the response is a web page, not JSON. {API_URL_HINT}",
            EXIT_API,
        ),
    ],
)
def test_permanent_failure_ends_list(response: HttpResponse, problem: str, exit_code: int) -> None:
    """A failure that can't pass is an error after one request."""
    error, requests, pauses = collect_failure(response)
    assert str(error) == f"List of folders unavailable from api.test: {problem}"
    assert (error.exit_code, requests, pauses) == (exit_code, 1, [])


def test_failure_of_later_page_is_error() -> None:
    """Without one of its pages, the list is unavailable."""
    error, requests, _ = collect_failure(make_page(make_folder("a")), make_response(404))
    assert "HTTP 404" in str(error)
    assert requests == 2


def test_incomplete_web_page_ends_list() -> None:
    """A web page is an error, also if it is incomplete."""
    error, requests, _ = collect_failure(make_response(200, "<html>", is_complete=False))
    assert "the response is a web page, not JSON" in str(error)
    assert requests == 1


@pytest.mark.parametrize("status", [201, 204, 299, 429, 500, 503, 599])
def test_temporary_status_is_retried(status: int) -> None:
    """Four requests with pauses between them end with the reason."""
    error, requests, pauses = collect_failure(*[make_response(status, {"error": "Busy"})] * 4)
    assert str(error) == f"List of folders unavailable from api.test: HTTP {status}: Busy. {TRY_LATER}"
    assert (error.exit_code, requests, pauses) == (EXIT_API, 4, [1.0] * 3)


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [("0", 0.0), ("7", 7.0), ("30", 30.0), ("31", 30.0), ("999999999", 30.0), ("-1", 1.0), ("soon", 1.0), ("", 1.0)],
)
def test_pause_follows_retry_after(retry_after: str, pause: float) -> None:
    """The server decides about the pause, up to 30 seconds."""
    _, _, pauses = collect_failure(*[make_response(429, "", {"Retry-After": retry_after})] * 4)
    assert pauses == [pause] * 3


def test_incomplete_page_is_retried() -> None:
    """An incomplete page is an error after four requests."""
    error, requests, pauses = collect_failure(*[make_response(200, '[{"id"', is_complete=False)] * 4)
    assert (
        str(error) == f"List of folders unavailable from api.test: the response is incomplete or too long. {TRY_LATER}"
    )
    assert (error.exit_code, requests, pauses) == (EXIT_API, 4, [1.0] * 3)


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize(
    "failure",
    [
        make_response(500),
        make_response(200, "[", is_complete=False),
        ResponseLostError("no response in time"),
        RequestNotSentError("api.test refused the connection", retryable=True),
    ],
    ids=["status", "incomplete", "lost", "not sent"],
)
def test_list_recovers_within_four_requests(failure: HttpResponse | Exception, failures: int) -> None:
    """A failure that passes does not change the list."""
    transport, pauses = ScriptedTransport(*[failure] * failures, make_page(make_folder("a"))), list[float]()
    assert get_ids(list_folders(transport, NO_SECRETS, pauses.append)) == ["a"]
    assert (len(transport.paths), pauses) == (failures + 2, [1.0] * failures)


@pytest.mark.parametrize(
    ("failure", "suggestion", "attempts"),
    [
        (RequestNotSentError("no route", retryable=True, hint="Set HTTPS_PROXY."), "Set HTTPS_PROXY.", 4),
        (RequestNotSentError("no route", retryable=True), TRY_LATER, 4),
        (RequestNotSentError("no route", retryable=False, hint="Set HTTPS_PROXY."), "Set HTTPS_PROXY.", 1),
        (RequestNotSentError("no route", retryable=False), TRY_LATER, 1),
        (ResponseLostError("no route"), TRY_LATER, 4),
    ],
)
def test_failed_connection_has_its_hint(failure: Exception, suggestion: str, attempts: int) -> None:
    """The error has the reason of the last attempt and its remedy."""
    error, requests, pauses = collect_failure(*[failure] * 4)
    assert str(error) == f"List of folders unavailable from api.test: no route. {suggestion}"
    assert (error.exit_code, requests, len(pauses)) == (EXIT_API, attempts, attempts - 1)


def test_host_is_named_once() -> None:
    """A reason that begins with the host replaces the name of the host."""
    error, _, _ = collect_failure(RequestNotSentError("api.test refused the connection", retryable=False))
    assert str(error) == f"List of folders unavailable: api.test refused the connection. {TRY_LATER}"


def test_reason_is_that_of_last_attempt() -> None:
    """An earlier hint is not shown with the reason of a later attempt."""
    first_error = RequestNotSentError("no route", retryable=True, hint="Set HTTPS_PROXY.")
    error, _, _ = collect_failure(first_error, first_error, first_error, make_response(500))
    assert str(error) == f"List of folders unavailable from api.test: HTTP 500. {TRY_LATER}"


@pytest.mark.parametrize(
    "failure",
    [
        make_response(404, {"error": f"no {SECRET}", "message": f"{SECRET}\n::error::x\x1b[31m"}),
        RequestNotSentError(f"{SECRET} is down\n", retryable=False, hint=f"Look at {SECRET}\n::error::x\x1b[31m"),
    ],
    ids=["response", "connection"],
)
def test_error_text_is_redacted(failure: HttpResponse | Exception) -> None:
    """An error shows no secret, no control character and no second line."""
    text = str(collect_failure(failure, redact=Redactor([SECRET]))[0])
    assert "***" in text
    assert SECRET not in text
    assert not {"\n", "\x1b"} & set(text)


def test_long_error_text_is_cut() -> None:
    """The API's error text is cut."""
    text = str(collect_failure(make_response(404, {"message": "x" * 100_000}))[0])
    assert "xxx…" in text
    assert len(text) < 1_000
