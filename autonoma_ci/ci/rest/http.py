"""HTTP client for the API of a CI system.

A client sends few requests, all to one host, within a fixed time. It does not follow redirects.

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
from autonoma_ci.config.parsers import parse_api_base_url
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.net.connection import find_proxies
from autonoma_ci.net.errors import RequestNotSentError, drop_tracebacks
from autonoma_ci.net.session import SafeSession, build_request_error, read_body
from autonoma_ci.net.total_timeout import limit_total_time
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.redaction.sanitizer import ResponseSanitizer
from autonoma_ci.startup import DebugLogger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from autonoma_ci.clock import Clock
    from autonoma_ci.net.errors import ResponseLostError
    from autonoma_ci.redaction.redactor import Secret

_log = DebugLogger()
# 16 MiB are enough for a page of 100 comments of the maximum size.
_MAX_RESPONSE_BYTES = 16 * 1024 * 1024
_REQUEST_TIMEOUT_SECONDS = 10.0
_RETRY_DELAY_SECONDS = 1.0
_MAX_ATTEMPTS = 3
# Limits for all requests of one client. GitHub allows 2,500 comments on a change: to update one needs 30 requests.
MAX_TOTAL_SECONDS = 60.0
MAX_REQUESTS = 50
RETRYABLE_STATUSES = frozenset({429, 500, 502, 503, 504})
# HTTP statuses of a rate limit: the request has no effect. GitHub sends both (source: "Rate limits for the REST API").
_RATE_LIMIT_STATUSES = frozenset({403, 429})
# GitHub's longest message, about IP allow lists, has about 150 characters.
_MAX_MESSAGE_CHARS = 200
# Entries of one error that we read. GitLab sends one for each invalid field.
_MAX_ERROR_ENTRIES = 3


class RestLimits(NamedTuple):
    """The limits of one client.

    The time and the number of requests in total count from the first request on.
    """

    total_seconds: float
    request_seconds: float
    total_requests: int
    # Of one request, including the first one.
    attempts: int


class RestResponse(NamedTuple):
    """A response with a success status."""

    status: int
    data: Any  # the parsed JSON body, None if the body is not JSON
    next_url: str = ""  # URL of the next page, empty on the last page
    server_date: str = ""  # time of the response on the server, in the format of the `Date` header


class RestError(Exception):
    """A request without a usable response.

    Args:
        text: The reason, as part of a warning.
        status: The HTTP status, 0 without a response.
        is_unsent: Whether no connection was made, so that nothing arrived.
        is_retryable: Whether a retry may help.
        server_message: The error message of the server, redacted and on one line.
        wait_seconds: How long the server wants no request, None if unknown.
        hint: What to do about the error, empty if unknown.
    """

    def __init__(
        self,
        text: str,
        status: int = 0,
        *,
        is_unsent: bool = False,
        is_retryable: bool = False,
        server_message: str = "",
        wait_seconds: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(text)
        self.status, self.is_unsent, self.is_retryable = status, is_unsent, is_retryable
        self.server_message, self.wait_seconds, self.hint = server_message, wait_seconds, hint

    @property
    def is_rate_limit(self) -> bool:
        """Whether the server refused the request because of a rate limit."""
        if self.status not in _RATE_LIMIT_STATUSES:
            return False
        return (
            self.status == 429
            or self.wait_seconds is not None
            or bool(re.search("rate limit|abuse", self.server_message.lower()))
        )


def api_base_url(get: Callable[[str], str], name: str, alternative: str) -> str:
    """Return the API base URL of a variable.

    Args:
        get: Returns the value of a variable.
        name: The variable.
        alternative: What the user can do instead of serving the API over https, as in `turn comment off`.

    Returns:
        The URL, or an empty text if it is invalid.

    Raises:
        InputError: The URL is plain HTTP, which would reveal the token.
    """
    text = get(name)
    try:
        return parse_api_base_url(text)
    except InputError:
        if not text.lower().startswith("http://"):
            return ""
    # A URL with credentials is left out of the message.
    displayed_url = "" if "@" in text else f" ({sanitize_line(re.split('[?#]', text)[0], 100)})"
    problem = f"{name} is plain HTTP{displayed_url}, but the token needs https"
    raise InputError([f"{problem}. Serve the API over https, or {alternative}"])


class RestClient:
    """A client for one API at a base URL.

    All requests have the same headers and go to one host. Without `limits`, the client has 60 seconds and 50 requests
    in total.

    Args:
        base_url: The base URL of the API.
        headers: The headers of each request.
        clock: The clock of timeouts and delays.
        proxy: URL of a proxy for plain HTTP, empty for the proxies of the environment.
        secrets: Values to remove from error messages of the server.
        limits: The limits of time and requests, None for the default ones.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        clock: Clock,
        proxy: str = "",
        secrets: Sequence[Secret] = (),
        limits: RestLimits | None = None,
    ) -> None:
        self._base_url, self._clock = base_url.rstrip("/"), clock
        self._headers = {"User-Agent": f"autonoma-ci/{__version__}", **headers}
        self._proxies = {"http": proxy} if proxy else find_proxies(base_url)
        self._secrets = tuple(secrets)
        self._limits = limits or RestLimits(MAX_TOTAL_SECONDS, _REQUEST_TIMEOUT_SECONDS, MAX_REQUESTS, _MAX_ATTEMPTS)
        self._request_count, self._deadline = 0, inf
        self._has_waited_for_limit = False

    def request(self, method: str, path: str, body: object = None) -> RestResponse:
        """Send a request and return its successful response.

        Retries follow after a short delay. A POST that may have arrived is not sent again, because it could create a
        second comment. The client waits for a rate limit once in total, if the time is enough.

        Args:
            method: The HTTP method.
            path: The path below the base URL, or the complete URL of a next page.
            body: The JSON body, None for no body.

        Raises:
            RestError: There is no successful response.
        """
        return self._send_with_retries(method, path, body, at_most_once=method == "POST")

    def query_graphql(self, path: str, body: object) -> RestResponse:
        """Send a read-only POST and return its response.

        Raises:
            RestError: There is no successful response.
        """
        return self._send_with_retries("POST", path, body, at_most_once=False)

    def _send_with_retries(self, method: str, path: str, body: object, *, at_most_once: bool) -> RestResponse:
        attempts_left = self._limits.attempts
        while True:
            attempts_left -= 1
            try:
                return self._send_once(method, self._resolve_url(path), body)
            except RestError as error:
                delay = self._compute_rate_limit_delay(error, at_most_once=at_most_once)
                if delay is None and (
                    not attempts_left or not error.is_retryable or (at_most_once and not error.is_unsent)
                ):
                    raise
                delay = _RETRY_DELAY_SECONDS if delay is None else delay
                _log.debug("Retry of %s in %.1f s: %s", method, delay, error)
            self._clock.sleep(delay)

    def _compute_rate_limit_delay(self, error: RestError, *, at_most_once: bool) -> float | None:
        """Return the seconds until the next attempt after a rate limit.

        Returns None without a rate limit.

        Raises:
            RestError: The delay is too long, or the client has waited for a rate limit before.
        """
        # With HTTP 503, a request that must not be sent twice may have arrived.
        if error.wait_seconds is None or (error.status not in _RATE_LIMIT_STATUSES and at_most_once):
            return None
        delay = max(error.wait_seconds, _RETRY_DELAY_SECONDS)
        if self._has_waited_for_limit or self._clock.monotonic() + delay >= self._deadline:
            raise error
        self._has_waited_for_limit = True
        return delay

    def _reserve_request(self) -> float:
        """Count a request and return its timeout in seconds.

        Raises:
            RestError: The time or the number of requests is used up.
        """
        now = self._clock.monotonic()
        if not self._request_count:
            self._deadline = now + self._limits.total_seconds
        if now >= self._deadline:
            raise RestError(f"time limit of {self._limits.total_seconds:.0f} s exceeded")
        if self._request_count >= self._limits.total_requests:
            raise RestError(f"limit of {self._limits.total_requests} requests exceeded")
        self._request_count += 1
        return min(self._limits.request_seconds, self._deadline - now)

    def _resolve_url(self, path: str) -> str:
        url = path if "://" in path else self._base_url + path
        try:
            base, target = urlsplit(self._base_url), urlsplit(url)
        except ValueError:
            raise RestError("invalid URL of the next page") from None
        if (base.scheme, base.netloc) != (target.scheme, target.netloc):
            raise RestError("the next page is on another host, which gets no token")
        return url

    def _send_once(self, method: str, url: str, body: object) -> RestResponse:
        """Send a request and log it.

        Raises:
            RestError: There is no successful response.
        """
        # Without the query, which can hold a token.
        parts, started_at = urlsplit(url), self._clock.monotonic()
        target = f"{parts.hostname}{parts.path}"
        _log.debug("%s %s", method, target)
        try:
            response, size = self._exchange(method, url, body)
        except RestError as error:
            _log.debug("%s %s failed (%.3f s): %s", method, target, self._clock.monotonic() - started_at, error)
            raise
        seconds = self._clock.monotonic() - started_at
        _log.debug("%s %s: HTTP %d (%d bytes, %.3f s)", method, target, response.status, size, seconds)
        return response

    def _exchange(self, method: str, url: str, body: object) -> tuple[RestResponse, int]:
        """Send a request, and return the response and the size of its body.

        Raises:
            RestError: There is no successful response.
        """  # noqa: DOC501 - a function builds the raised error
        data = None if body is None else json.dumps(body).encode()
        content_type = {"Content-Type": "application/json"} if data else {}
        seconds = self._reserve_request()
        try:
            # Each request has a new session and connection, so a late response is never read as the next one.
            with limit_total_time(seconds) as is_late, SafeSession() as session:
                try:
                    with session.request(
                        method,
                        url,
                        data=data,
                        headers={**self._headers, **content_type},
                        timeout=seconds,
                        allow_redirects=False,  # a redirect could send the token to another host
                        stream=True,
                        proxies=self._proxies,
                    ) as response:
                        chunks: list[bytes] = []
                        read_body(response, _MAX_RESPONSE_BYTES, chunks.append)
                except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                    drop_tracebacks(error)
                    raise _convert_request_error(
                        build_request_error(error, urlsplit(url).netloc, timed_out=is_late.is_set())
                    ) from None
        except RequestNotSentError as error:
            raise _convert_request_error(error) from None
        status, text = response.status_code, b"".join(chunks)
        if not 200 <= status < 300:
            raise self._build_status_error(response, text)
        next_url = response.links.get("next", {}).get("url", "")
        return RestResponse(status, _parse_json(text), next_url, response.headers.get("Date", "")), len(text)

    def _build_status_error(self, response: requests.Response, text: bytes) -> RestError:
        """Return the error for a response with an error status."""
        status, message = response.status_code, ""
        # The message of a failing server is not about the request.
        if 400 <= status < 500:
            sanitizer = ResponseSanitizer(lambda: Redactor(self._secrets))
            message = sanitizer.clean(
                ": ".join(part.rstrip(". ") for part in _extract_messages(_parse_json(text))), _MAX_MESSAGE_CHARS
            )
            # GitLab repeats the status in its message, such as `403 Forbidden`.
            message = re.sub(rf"^{status}\b[\s:-]*", "", message).rstrip(". ")
        wait_seconds = self._parse_wait_seconds(status, response.headers)
        description = f"HTTP {status}: {message}" if message else f"HTTP {status}"
        return RestError(
            description,
            status,
            is_retryable=status in RETRYABLE_STATUSES,
            server_message=message,
            wait_seconds=wait_seconds,
        )

    def _parse_wait_seconds(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Return the seconds for which the server wants no request, or None."""
        if status not in _RATE_LIMIT_STATUSES and status != 503:
            return None
        seconds = parse_retry_after(headers)
        reset = headers.get("X-RateLimit-Reset", "").strip()
        if seconds is not None or headers.get("X-RateLimit-Remaining", "").strip() != "0":
            return seconds
        if not re.fullmatch("[0-9]{1,12}", reset):
            return None
        try:
            # The server's time makes the result independent of a wrong clock on this machine.
            now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
        except (ValueError, OverflowError):
            now = self._clock.unix_time()
        return max(0.0, int(reset) - now)


def _convert_request_error(failure: RequestNotSentError | ResponseLostError) -> RestError:
    if isinstance(failure, RequestNotSentError):
        return RestError(str(failure), is_unsent=True, is_retryable=failure.retryable, hint=failure.hint)
    return RestError(str(failure), is_retryable=True)


def _extract_messages(data: Any) -> Iterator[str]:
    """Yield the messages in the JSON body of an error.

    - GitHub: `{"message": "Validation Failed", "errors": [{"message": "body is too long"}]}`
    - GitLab: `{"message": "403 Forbidden"}`, `{"message": {"note": ["is too long"]}}`
    - GitLab, about tokens: `{"error": "insufficient_scope", "error_description": "The request requires …"}`
    """
    if not isinstance(data, dict):
        return
    for name in ("message", "error", "error_description"):
        yield from _flatten_messages(data.get(name))
    errors = data.get("errors")
    for entry in errors[:_MAX_ERROR_ENTRIES] if isinstance(errors, list) else ():
        yield from _flatten_messages(entry.get("message") if isinstance(entry, dict) else entry)


def _flatten_messages(value: object) -> Iterator[str]:
    """Yield the texts of a JSON value.

    The value is a text, a list of texts or an object of fields. A text of a field begins with the name of the field.
    """
    if isinstance(value, dict):
        for name, field_value in list(value.items())[:_MAX_ERROR_ENTRIES]:
            yield from (f"{name} {text}" for text in _list_texts(field_value))
    else:
        yield from _list_texts(value)


def _list_texts(value: object) -> list[str]:
    """Return the first texts of a list, or of a single text."""
    values: list[object] = value if isinstance(value, list) else [value]
    return [text for text in values[:_MAX_ERROR_ENTRIES] if isinstance(text, str) and text]


def _parse_json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
