"""List the folders and tests of the account, page by page.

Source: the vendor's public API pages on the list of folders, and RFC 9110 for `Retry-After`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from autonoma_ci.api.responses import (
    HINT_ADD_QUOTA,
    HINT_CHECK_API_URL,
    HINT_CHECK_CREDENTIALS,
    MESSAGE_INCOMPLETE,
    MESSAGE_INVALID_RESPONSE,
    MESSAGE_QUOTA_USED_UP,
    MESSAGE_WEB_PAGE,
    format_api_error,
    is_quota_exhausted,
    is_web_page,
    parse_json_body,
    parse_json_object,
    parse_retry_after,
)
from autonoma_ci.api.transport import MAX_DETAILS_BYTES
from autonoma_ci.config.parsers import ID_RE
from autonoma_ci.errors import EXIT_API, EXIT_UNAUTHORIZED, ApiError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.redaction.sanitizer import ResponseSanitizer
from autonoma_ci.startup import DebugLogger

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.api.transport import HttpResponse, Transport
    from autonoma_ci.redaction.redactor import Redactor

_log = DebugLogger()
_PAGE_SIZE = 100
# With 100 folders a page, no account has as many. The limit stops a server that invents folders without an end.
_MAX_PAGES = 1000
# Per page, instead of the sanitizer's MAX_CHARS_PER_RESPONSE. It suffices for ids and names of 20,000 tests. No run
# waits for a page, so it may be slower than other responses.
_MAX_TEXT_CHARS = 3_000_000
_MAX_ATTEMPTS = 4
_RETRY_DELAY_SECONDS, _MAX_RETRY_DELAY_SECONDS = 1.0, 30.0
_HINT_TRY_LATER = "Check api-url and the network, or try again later."


class ListedTest(NamedTuple):
    """A test of the account."""

    id: str
    name: str  # redacted and on one line, the id if the test has no name


class ListedFolder(NamedTuple):
    """A folder of the account with its tests, in the API's order."""

    id: str
    name: str  # redacted and on one line, the id if the folder has no name
    tests: tuple[ListedTest, ...]


class Account(NamedTuple):
    """The folders and tests of the account."""

    folders: tuple[ListedFolder, ...]
    skipped_count: int  # folders and tests without a usable id


def list_folders(transport: Transport, redact: Redactor, sleep: Callable[[float], None]) -> Account:
    """Return all folders of the account.

    Args:
        transport: Sends the requests.
        redact: Removes secrets from names and error texts.
        sleep: Waits for a number of seconds between two attempts.

    Raises:
        ApiError: The list is unavailable, invalid or without an end.
    """
    folders: dict[str, ListedFolder] = {}
    skipped_count = offset = 0
    previous_page: list[object] = []
    for _ in range(_MAX_PAGES):
        page = _fetch_page(transport, offset, redact, sleep)
        texts = ResponseSanitizer(lambda: redact, _MAX_TEXT_CHARS)
        parsed = [_parse_folder(entry, texts) for entry in page]
        if texts.is_budget_exhausted:
            raise ApiError(f"Invalid list of folders: too long. {_HINT_TRY_LATER}", EXIT_API)
        on_page = {folder.id: folder for folder, _ in parsed if folder}
        new_folders = {folder_id: folder for folder_id, folder in on_page.items() if folder_id not in folders}
        # A short page is not the last one, because a server may return fewer folders than requested. A server that
        # ignores the offset returns the same folders again. A page without a usable folder proves nothing about the
        # next one.
        if not page or page == previous_page or (on_page and not new_folders):
            break
        skipped_count += sum(skipped for _, skipped in parsed)
        previous_page = page
        folders |= new_folders
        offset += len(page)
    else:
        raise ApiError(f"Invalid list of folders: no end after {offset:,} folders. {_HINT_TRY_LATER}", EXIT_API)
    return Account(tuple(folders.values()), skipped_count)


def _fetch_page(transport: Transport, offset: int, redact: Redactor, sleep: Callable[[float], None]) -> list[object]:
    """Request one page of folders, and retry failures that can pass.

    Raises:
        ApiError: The page is unavailable or invalid.
    """
    host = sanitize_line(urlsplit(transport.base_url).netloc, 200)
    for retries_left in range(_MAX_ATTEMPTS - 1, -1, -1):
        retry_after: float | None = None
        suggestion = _HINT_TRY_LATER
        try:
            response = transport.get(f"/folder?limit={_PAGE_SIZE}&offset={offset}", MAX_DETAILS_BYTES)
        except (RequestNotSentError, ResponseLostError) as error:
            reason, suggestion = _describe_error(error, redact)
            if isinstance(error, RequestNotSentError) and not error.retryable:
                break
        else:
            if response.status == 200 and (response.is_complete or is_web_page(response) or not retries_left):
                return _parse_page(response, host)
            reason = ": ".join(
                filter(
                    None,
                    [
                        f"HTTP {response.status}",
                        format_api_error(parse_json_object(response), ResponseSanitizer(lambda: redact)),
                    ],
                )
            )
            retry_after = parse_retry_after(response.headers)
            if is_quota_exhausted(response):
                reason = f"{MESSAGE_QUOTA_USED_UP} ({reason})"
                raise ApiError(_format_list_error(host, reason, HINT_ADD_QUOTA), EXIT_API)
            if response.status in {401, 403}:
                raise ApiError(_format_list_error(host, reason, HINT_CHECK_CREDENTIALS), EXIT_UNAUTHORIZED)
            if 300 <= response.status < 500 and response.status != 429:
                break
        if retries_left:
            delay = min(_MAX_RETRY_DELAY_SECONDS, _RETRY_DELAY_SECONDS if retry_after is None else retry_after)
            _log.debug("Retry of the folder list in %.1f s: %s", delay, reason)
            sleep(delay)
    raise ApiError(_format_list_error(host, reason, suggestion), EXIT_API)


def _format_list_error(host: str, reason: str, suggestion: str) -> str:
    # A failed connection names its host itself.
    source = "" if reason.startswith(host) else f" from {host}"
    return f"List of folders unavailable{source}: {reason}. {suggestion}"


def _describe_error(error: RequestNotSentError | ResponseLostError, redact: Redactor) -> tuple[str, str]:
    """Return the reason of a failed request and the suggestion for it."""
    texts = ResponseSanitizer(lambda: redact)
    hint = error.hint if isinstance(error, RequestNotSentError) else ""
    return texts.clean(str(error), 500), texts.clean(hint, 500) or _HINT_TRY_LATER


def _parse_page(response: HttpResponse, host: str) -> list[object]:
    """Return the entries of a page.

    Raises:
        ApiError: The body is not a list.
    """
    entries = parse_json_body(response)
    if is_web_page(response):
        raise ApiError(_format_list_error(host, MESSAGE_WEB_PAGE, HINT_CHECK_API_URL), EXIT_API)
    if not isinstance(entries, list):
        reason = MESSAGE_INVALID_RESPONSE if response.is_complete else MESSAGE_INCOMPLETE
        raise ApiError(_format_list_error(host, reason, _HINT_TRY_LATER), EXIT_API)
    return entries


def _parse_folder(entry: object, texts: ResponseSanitizer) -> tuple[ListedFolder | None, int]:
    """Return the folder of an entry and its number of unusable parts.

    A part is the folder itself or one of its tests. Without a usable id it is unusable.
    """
    raw_tests = entry.get("tests") if isinstance(entry, dict) else None
    entries = [entry, *raw_tests] if isinstance(raw_tests, list) else [entry]
    # One search for all ids, because there can be thousands. An id can't contain "|".
    may_hold_secret = texts.contains_secret("|".join(filter(None, map(_parse_id, entries))))
    folder, *tests = [_parse_entry(raw, texts, may_hold_secret=may_hold_secret) for raw in entries]
    if folder is None:
        return None, 1
    tests_by_id = {test.id: test for test in tests if test}
    return ListedFolder(folder.id, folder.name, tuple(tests_by_id.values())), tests.count(None)


def _parse_id(entry: object) -> str:
    value = entry.get("id") if isinstance(entry, dict) else None
    return value if isinstance(value, str) and ID_RE.fullmatch(value) else ""


def _parse_entry(entry: object, texts: ResponseSanitizer, *, may_hold_secret: bool) -> ListedTest | None:
    """Return a folder or test, or None without a usable id.

    Args:
        entry: The JSON value.
        texts: Removes secrets from the name.
        may_hold_secret: Check this id for secrets too. It is slow, so the caller has checked all ids together.
    """
    entry_id = "" if texts.is_budget_exhausted else _parse_id(entry)
    if not isinstance(entry, dict) or not entry_id or (may_hold_secret and texts.clean(entry_id, 200) != entry_id):
        return None
    name = entry.get("name")
    shown_name = texts.clean(name, 500) if isinstance(name, str) else ""
    return ListedTest(entry_id, shown_name.strip() or entry_id)
