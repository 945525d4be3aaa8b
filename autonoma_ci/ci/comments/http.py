"""Requests to a CI system's own interfaces: few, bounded in time, to one host, and none that a redirect asks for.

Source: RFC 9110 for `Retry-After`, GitHub's REST documentation, "Rate limits for the REST API" and "Troubleshooting the
REST API", and GitLab's, "REST API" and "OAuth 2.0 identity provider API", for the bodies of errors.
"""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.api.responses import parse_retry_after
from autonoma_ci.net.connection import find_proxies, total_timeout
from autonoma_ci.net.errors import RequestNotSentError, release_frames
from autonoma_ci.net.session import SafeSession, request_error_from
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.redaction.sanitizer import ResponseSanitizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from autonoma_ci.clock import Clock
    from autonoma_ci.net.errors import ResponseLostError
    from autonoma_ci.redaction.redactor import Secret

# A hundred comments of the largest size.
_LARGEST = 16 * 1024 * 1024
_SECONDS = 10.0
_PAUSE = 1.0
_TRIES = 3
# Of all requests of one report. A comment of GitHub's largest change, with 2,500 comments, takes 30 requests.
MAX_TOTAL_SECONDS = 60.0
MAX_REQUESTS = 50
RETRYABLE_STATUSES = frozenset({429, 500, 502, 503, 504})
# The statuses of a rate limit: nothing was done. GitHub sends both (source: "Rate limits for the REST API").
_LIMITED = frozenset({403, 429})
# Of the server's own words that are shown, in characters. GitHub's longest, about IP allow lists, has some 150.
_MAX_SAID = 200
# Of the entries of one error that are read. GitLab sends one for each field that is wrong.
_MAX_ENTRIES = 3


class RestResponse(NamedTuple):
    """What came back: `data` is the JSON of the body, None if it is none; `following` the next page's URL.

    `date` is the server's own time of the answer, as HTTP has it.
    """

    status: int
    data: Any
    next_url: str = ""
    server_date: str = ""


class RestError(Exception):
    """No usable answer came; the text says why. `status` is 0 where there was none at all.

    `unsent`: no connection was made, so nothing arrived. `passing`: trying again may help. `said` is the server's own
    sentence, redacted and on one line. `wait` is how many seconds the server wants to be left alone, None if it does
    not say. `hint` is what to do about it.
    """

    def __init__(
        self,
        text: str,
        status: int = 0,
        *,
        unsent: bool = False,
        passing: bool = False,
        said: str = "",
        wait: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(text)
        self.status, self.unsent, self.passing = status, unsent, passing
        self.said, self.wait, self.hint = said, wait, hint

    @property
    def is_rate_limit(self) -> bool:
        """Whether the server refused the request because there were too many."""
        if self.status not in _LIMITED:
            return False
        return self.status == 429 or self.wait is not None or bool(re.search("rate limit|abuse", self.said.lower()))


class RestClient:
    """One interface at a base URL; every request has the same headers, and never goes to another host.

    From the first request on there are 60 seconds and 50 requests in all. `secrets` are removed from what the server
    says.
    """

    def __init__(
        self, base: str, headers: Mapping[str, str], clock: Clock, proxy: str = "", secrets: Sequence[Secret] = ()
    ) -> None:
        self._base, self._clock = base.rstrip("/"), clock
        self._headers = {"User-Agent": f"autonoma-ci/{__version__}", **headers}
        self._proxies = {"http": proxy} if proxy else find_proxies(base)
        self._secrets = tuple(secrets)
        self._requests, self._until = 0, inf
        self._has_waited = False

    def request(self, method: str, path: str, body: object = None) -> RestResponse:
        """Return the answer if it is a success, or else raise WebError.

        `path` may be the URL of a following page. What may be sent again is, after a short pause: everything
        but a POST that may have arrived, which would make a second thing of its kind. A rate limit is waited for once
        in all, if the time is enough.
        """
        return self._ask(method, path, body, once=method == "POST")

    def query_graphql(self, path: str, body: object) -> RestResponse:
        """Return the answer to a POST that changes nothing, such as a query of GraphQL, or raise WebError."""
        return self._ask("POST", path, body, once=False)

    def _ask(self, method: str, path: str, body: object, *, once: bool) -> RestResponse:
        tries = _TRIES
        while True:
            tries -= 1
            try:
                return self._once(method, self._url(path), body)
            except RestError as error:
                pause = self._pause_for_limit(error, once=once)
                if pause is None and (not tries or not error.passing or (once and not error.unsent)):
                    raise
            self._clock.sleep(_PAUSE if pause is None else pause)

    def _pause_for_limit(self, error: RestError, *, once: bool) -> float | None:
        """Return how long to wait before the next try, None for the usual rules; raise the error if it is too long."""
        # With 503, a request that must be sent once may have arrived.
        if error.wait is None or (error.status not in _LIMITED and once):
            return None
        pause = max(error.wait, _PAUSE)
        if self._has_waited or self._clock.monotonic() + pause >= self._until:
            raise error
        self._has_waited = True
        return pause

    def _seconds(self) -> float:
        """Return how long the next request may take; raise WebError if there may be none."""
        now = self._clock.monotonic()
        if not self._requests:
            self._until = now + MAX_TOTAL_SECONDS
        if now >= self._until:
            raise RestError(f"it took longer than {MAX_TOTAL_SECONDS:.0f} s")
        if self._requests >= MAX_REQUESTS:
            raise RestError(f"it took more than {MAX_REQUESTS} requests")
        self._requests += 1
        return min(_SECONDS, self._until - now)

    def _url(self, path: str) -> str:
        url = path if "://" in path else self._base + path
        try:
            here, there = urlsplit(self._base), urlsplit(url)
        except ValueError:
            raise RestError("the address of the next page is none") from None
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise RestError("the next page is on another host, which gets no token")
        return url

    def _once(self, method: str, url: str, body: object) -> RestResponse:
        data = None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if data else {}
        seconds = self._seconds()
        try:
            # A session for each request, and so a connection: a late response is never read as the next one.
            with total_timeout(seconds) as late, SafeSession() as session:
                try:
                    with session.request(
                        method,
                        url,
                        data=data,
                        headers={**self._headers, **kind},
                        timeout=seconds,
                        allow_redirects=False,  # a redirect would take the token to another host
                        stream=True,
                        proxies=self._proxies,
                    ) as response:
                        text = _text(response)
                except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                    release_frames(error)
                    raise _unanswered(
                        request_error_from(error, urlsplit(url).netloc, timed_out=late.is_set())
                    ) from None
        except RequestNotSentError as error:
            raise _unanswered(error) from None
        status = response.status_code
        if not 200 <= status < 300:
            raise self._refusal(response, text)
        following = response.links.get("next", {}).get("url", "")
        return RestResponse(status, _json(text), following, response.headers.get("Date", ""))

    def _refusal(self, response: requests.Response, text: bytes) -> RestError:
        """Return the error of a response that is no success, with what the server says about it."""
        status, said = response.status_code, ""
        # A server that fails says nothing about the request.
        if 400 <= status < 500:
            texts = ResponseSanitizer(lambda: Redactor(self._secrets))
            said = texts.clean(": ".join(each.rstrip(". ") for each in _sentences(_json(text))), _MAX_SAID)
            # GitLab repeats the status: `403 Forbidden`.
            said = re.sub(rf"^{status}\b[\s:-]*", "", said).rstrip(". ")
        wait = self._wait_of(status, response.headers)
        told = f"HTTP {status}: {said}" if said else f"HTTP {status}"
        return RestError(told, status, passing=status in RETRYABLE_STATUSES, said=said, wait=wait)

    def _wait_of(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Return for how many seconds the server wants no request, None if it does not say."""
        if status not in _LIMITED and status != 503:
            return None
        seconds = parse_retry_after(headers)
        reset = headers.get("X-RateLimit-Reset", "").strip()
        if seconds is not None or headers.get("X-RateLimit-Remaining", "").strip() != "0":
            return seconds
        if not re.fullmatch("[0-9]{1,12}", reset):
            return None
        try:
            # The server's own time, so that a wrong clock on this machine does no harm.
            now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
        except (ValueError, OverflowError):
            now = self._clock.unix_time()
        return max(0.0, int(reset) - now)


def _unanswered(failure: RequestNotSentError | ResponseLostError) -> RestError:
    if isinstance(failure, RequestNotSentError):
        return RestError(str(failure), unsent=True, passing=failure.retryable, hint=failure.hint)
    return RestError(str(failure), passing=True)


def _sentences(data: Any) -> Iterator[str]:
    """Yield what the body of an error says.

    - GitHub: `{"message": "Validation Failed", "errors": [{"message": "body is too long"}]}`
    - GitLab: `{"message": "403 Forbidden"}`, `{"message": {"note": ["is too long"]}}`
    - GitLab, about tokens: `{"error": "insufficient_scope", "error_description": "The request requires …"}`
    """
    if not isinstance(data, dict):
        return
    for name in ("message", "error", "error_description"):
        yield from _flat(data.get(name))
    errors = data.get("errors")
    for each in errors[:_MAX_ENTRIES] if isinstance(errors, list) else ():
        yield from _flat(each.get("message") if isinstance(each, dict) else each)


def _flat(value: object) -> Iterator[str]:
    """Yield the texts of a value: it is one itself, a list of some, or an object of fields with some."""
    if isinstance(value, dict):
        for name, inner in list(value.items())[:_MAX_ENTRIES]:
            yield from (f"{name} {text}" for text in _texts(inner))
    else:
        yield from _texts(value)


def _texts(value: object) -> list[str]:
    """Return the first texts of a list, or the value itself if it is one."""
    values: list[object] = value if isinstance(value, list) else [value]
    return [text for text in values[:_MAX_ENTRIES] if isinstance(text, str) and text]


def _text(response: requests.Response) -> bytes:
    chunks, size = [], 0
    for chunk in response.iter_content(64 * 1024):
        size += len(chunk)
        if size > _LARGEST:
            raise ValueError("too long")
        chunks.append(chunk)
    return b"".join(chunks)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
