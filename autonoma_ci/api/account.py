"""The account's folders with their tests, from all pages that the API has of them.

Source: the vendor's public API pages, on the list of folders; RFC 9110 for Retry-After.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from autonoma_ci.api.responses import (
    HINT_ADD_QUOTA,
    HINT_CHECK_API_URL,
    MESSAGE_QUOTA_USED_UP,
    MESSAGE_WEB_PAGE,
    api_error_message,
    is_web_page,
    json_object,
    names_quota,
    parse_json_body,
    parse_retry_after,
)
from autonoma_ci.api.transport import MAX_DETAILS_BYTES
from autonoma_ci.config.parsers import ID_RE
from autonoma_ci.errors import EXIT_API, EXIT_UNAUTHORIZED, ApiError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.redaction.sanitizer import ResponseSanitizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.api.transport import HttpResponse, Transport
    from autonoma_ci.redaction.redactor import Redactor

_PAGE = 100
# Nobody has as many folders; a server that makes up new ones for ever is left.
_PAGES = 1000
# In characters, as `texts.BUDGET`: enough for the ids and names of 20,000 tests on a page. No run waits for it.
_BUDGET = 3_000_000
_TRIES = 4
_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_DENIED = "Check client-id and client-secret: both must be set, from the same account, and not revoked."
_LATER = "Check api-url and the network, or try again later."


class ListedTest(NamedTuple):
    """A test of the account: its id, and its name or the id once more."""

    id: str
    name: str


class ListedFolder(NamedTuple):
    """A folder of the account with its tests, in the API's order."""

    id: str
    name: str
    tests: tuple[ListedTest, ...]


class Account(NamedTuple):
    """What the account holds; `left_out` counts what came without an id that can be used."""

    folders: tuple[ListedFolder, ...]
    skipped_count: int


def list_folders(transport: Transport, redact: Redactor, sleep: Callable[[float], None]) -> Account:
    """Return all folders; names are redacted and on one line. Raises ApiError if they can't be had."""
    found: dict[str, ListedFolder] = {}
    left_out = offset = 0
    before: list[object] = []
    for _ in range(_PAGES):
        page = _page(transport, offset, redact, sleep)
        texts = ResponseSanitizer(lambda: redact, _BUDGET)
        read = [_folder(entry, texts) for entry in page]
        if texts.spent:
            raise ApiError(f"the API's list of folders is longer than any account's. {_LATER}", EXIT_API)
        known = {folder.id: folder for folder, _ in read if folder}
        new = {place: folder for place, folder in known.items() if place not in found}
        # A server may give fewer than it was asked for, and one that ignores the offset says the same again;
        # a page on which nothing can be used says nothing of the next one.
        if not page or page == before or (known and not new):
            break
        left_out += sum(missing for _, missing in read)
        before = page
        found |= new
        offset += len(page)
    else:
        raise ApiError(f"the API's list of folders has no end: {offset:,} of them came. {_LATER}", EXIT_API)
    return Account(tuple(found.values()), left_out)


def _page(transport: Transport, offset: int, redact: Redactor, sleep: Callable[[float], None]) -> list[object]:
    host = sanitize_line(urlsplit(transport.base_url).netloc, 200)
    for left in range(_TRIES - 1, -1, -1):
        pause: float | None = None
        what_to_do = _LATER
        try:
            answer = transport.get(f"/folder?limit={_PAGE}&offset={offset}", MAX_DETAILS_BYTES)
        except (RequestNotSentError, ResponseLostError) as error:
            why, what_to_do = _unanswered(error, redact)
            if isinstance(error, RequestNotSentError) and not error.passing:
                break
        else:
            if answer.status == 200 and (answer.is_complete or is_web_page(answer) or not left):
                return _listed(answer, host)
            why = ": ".join(
                filter(
                    None,
                    [
                        f"HTTP {answer.status}",
                        api_error_message(json_object(answer), ResponseSanitizer(lambda: redact)),
                    ],
                )
            )
            pause = parse_retry_after(answer.headers)
            if names_quota(answer):
                why = f"{MESSAGE_QUOTA_USED_UP} ({why})"
                raise ApiError(f"{host} does not list its folders: {why}. {HINT_ADD_QUOTA}", EXIT_API)
            if answer.status in {401, 403}:
                raise ApiError(f"{host} does not list its folders: {why}. {_DENIED}", EXIT_UNAUTHORIZED)
            if 300 <= answer.status < 500 and answer.status != 429:
                break
        if left:
            sleep(min(_LONGEST_PAUSE, _PAUSE if pause is None else pause))
    raise ApiError(f"{host} does not list its folders: {why}. {what_to_do}", EXIT_API)


def _unanswered(error: RequestNotSentError | ResponseLostError, redact: Redactor) -> tuple[str, str]:
    """Return why no answer came, and what to do."""
    texts = ResponseSanitizer(lambda: redact)
    hint = error.hint if isinstance(error, RequestNotSentError) else ""
    return texts.clean(str(error), 500), texts.clean(hint, 500) or _LATER


def _listed(answer: HttpResponse, host: str) -> list[object]:
    found = parse_json_body(answer)
    if is_web_page(answer):
        raise ApiError(f"{host} does not list its folders: {MESSAGE_WEB_PAGE}. {HINT_CHECK_API_URL}", EXIT_API)
    if not isinstance(found, list):
        what = "not in the form that is known" if answer.is_complete else "cut short or too long"
        raise ApiError(f"{host} does not list its folders: the answer is {what}. {_LATER}", EXIT_API)
    return found


def _folder(entry: object, texts: ResponseSanitizer) -> tuple[ListedFolder | None, int]:
    """Return the folder, if it is one, and how many of it and its tests have no id."""
    listed = entry.get("tests") if isinstance(entry, dict) else None
    found = [entry, *listed] if isinstance(listed, list) else [entry]
    # All at once, as there may be thousands. No id has a "|".
    suspicious = texts.contains_secret("|".join(filter(None, map(_id_of, found))))
    one, *tests = [_entry(each, texts, suspicious=suspicious) for each in found]
    if one is None:
        return None, 1
    known = {test.id: test for test in tests if test}
    return ListedFolder(one.id, one.name, tuple(known.values())), tests.count(None)


def _id_of(entry: object) -> str:
    identity = entry.get("id") if isinstance(entry, dict) else None
    return identity if isinstance(identity, str) and ID_RE.fullmatch(identity) else ""


def _entry(entry: object, texts: ResponseSanitizer, *, suspicious: bool) -> ListedTest | None:
    """Return an entry of the list; None if it has no id that can be shown. `suspicious` ids are looked at singly."""
    identity = "" if texts.spent else _id_of(entry)
    if not isinstance(entry, dict) or not identity or (suspicious and texts.clean(identity, 200) != identity):
        return None
    name = entry.get("name")
    shown = texts.clean(name, 500) if isinstance(name, str) else ""
    return ListedTest(identity, shown.strip() or identity)
