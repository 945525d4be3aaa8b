"""Send requests to the API and read responses within a time limit.

Each request has its own connection. A server or a gateway can send a response twice, too late, or with bytes after it.
On a reused connection, the next request would read these bytes as its own response. A run would get the id or the
verdict of another run, because HTTP/1.1 has no field that connects a response to its request.

The price was measured with 200 starts of 0.2 s, 8 at a time. With TLS and a round trip of 40 ms the duration is 8.7 s
instead of 6.4 s. On loopback it is 5.6 s instead of 5.4 s.

Each thread reuses its session, but no open connection. Creating a session costs a fifth of a request's processor time.

Source: the vendor's published OpenAPI description for the headers, RFC 9110 for repeatable requests, and RFC 9112 §9.6
for `Connection: close`.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.api.models import Timeouts
from autonoma_ci.api.start_proof import CONCLUSIVE_STATUSES
from autonoma_ci.net.connection import close_connection, find_proxies
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError, drop_tracebacks
from autonoma_ci.net.session import BodyTooLongError, SafeSession, build_request_error, read_body
from autonoma_ci.net.threads import PerThread
from autonoma_ci.net.total_timeout import deadlines, limit_total_time
from autonoma_ci.startup import DebugLogger, NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.redaction.redactor import Secret

_log = DebugLogger()
# Only details are longer.
MAX_BODY_BYTES = 1024 * 1024
# Details contain the HTML of the tested page for each step.
MAX_DETAILS_BYTES = 16 * MAX_BODY_BYTES
# In seconds. A GET can be repeated, which is better than a wait as long as for a start.
_GET_TIMEOUTS = Timeouts(read=20.0, total=30.0)
_STATUS_LINE_RE = lazy_pattern(rb"HTTP/1\.[01] [1-5][0-9]{2}[^\r\n]*\r?\n")
# Python raises these if memory or threads are exhausted.
_RESOURCE_ERRORS = (MemoryError, RuntimeError, SystemError)


class HttpResponse(NamedTuple):
    """A response of the API."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool  # False if the body was cut short, too long or too slow
    # More than CR and LF came after the rejection of a start, or its body can contain another response. Then the
    # rejection can belong to another request.
    has_surplus: bool = False

    def __repr__(self) -> str:
        # Headers and body can repeat secrets of the request.
        return f"HttpResponse(HTTP {self.status}, {len(self.body)} bytes)"


class Transport:
    """Sends requests to the API from any number of threads.

    A POST is sent at most once.

    Args:
        base_url: The URL of the API, without a path of an endpoint.
        credentials: Client id and client secret, in this order.
        timeouts: Limits of a request. A GET has lower limits.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Sequence[Secret],
        timeouts: Timeouts | None = None,
    ) -> None:
        self.base_url = base_url
        self.timeouts = timeouts or Timeouts()
        self._get_timeouts = self.timeouts._replace(
            read=min(self.timeouts.read, _GET_TIMEOUTS.read), total=min(self.timeouts.total, _GET_TIMEOUTS.total)
        )
        self._credentials = tuple(credentials)
        self._sessions = PerThread(SafeSession)
        # Start this thread before the workers. If the number of threads is limited, they would leave none for it.
        with suppress(RuntimeError, MemoryError):
            deadlines.start()

    def post(self, path: str, payload: Mapping[str, object]) -> HttpResponse:
        """Send one POST request.

        Raises:
            RequestNotSentError: No connection was made.
            ResponseLostError: A connection was made, but no usable response came.
        """
        return self._send("POST", path, json.dumps(payload).encode(), self.timeouts, MAX_BODY_BYTES)

    def get(self, path: str, max_bytes: int = MAX_BODY_BYTES) -> HttpResponse:
        """Send one GET request.

        A body above `max_bytes` is incomplete.

        Raises:
            RequestNotSentError: No connection was made.
            ResponseLostError: A connection was made, but no usable response came.
        """
        return self._send("GET", path, b"", self._get_timeouts, max_bytes)

    @cached_property
    def _environment_settings(self) -> Any:
        """Settings of the environment, such as a proxy.

        They are read once, because reading them is slow.
        """
        return self._sessions.value.merge_environment_settings(
            self.base_url, find_proxies(self.base_url), stream=True, verify=None, cert=None
        )

    def _build_headers(self) -> dict[str, str]:
        client_id, client_secret = self._credentials
        return {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Type": "application/json",
            "User-Agent": f"autonoma-ci/{__version__}",
            "autonoma-client-id": client_id.reveal(),
            "autonoma-client-secret": client_secret.reveal(),
        }

    def _send(self, method: str, path: str, body: bytes, timeouts: Timeouts, max_bytes: int) -> HttpResponse:
        """Send one request and log it.

        Raises:
            RequestNotSentError: No connection was made.
            ResponseLostError: A connection was made, but no usable response came.
        """
        started_at = time.monotonic()
        _log.debug("%s %s", method, path)
        try:
            response = self._exchange(method, path, body, timeouts, max_bytes)
        except (RequestNotSentError, ResponseLostError) as error:
            _log.debug("%s %s failed (%.3f s): %s", method, path, time.monotonic() - started_at, error)
            raise
        size, seconds = len(response.body), time.monotonic() - started_at
        suffix = "" if response.is_complete else ", incomplete"
        _log.debug("%s %s: HTTP %d (%d bytes%s, %.3f s)", method, path, response.status, size, suffix, seconds)
        return response

    def _exchange(self, method: str, path: str, body: bytes, timeouts: Timeouts, max_bytes: int) -> HttpResponse:
        """Send one request on its own connection.

        Raises:
            RequestNotSentError: No connection was made.
            ResponseLostError: A connection was made, but no usable response came.
        """  # noqa: DOC501 - TimeoutError is caught within
        with limit_total_time(timeouts.total) as timed_out:
            if method == "POST":
                connection_state.exclusive_statuses = CONCLUSIVE_STATUSES
            try:
                request = _prepare_request(method, self.base_url + path, self._build_headers(), body)
                with self._sessions.value.send(
                    request,
                    timeout=(timeouts.connect, timeouts.read),
                    allow_redirects=False,  # a redirect would send the credentials to another host
                    **self._environment_settings,
                ) as response:
                    content, is_complete = _read_content(response, max_bytes)
                    if timed_out.is_set() and not _has_known_length(response):
                        # The timeout ended the connection, and so the body.
                        is_complete = False
                    has_surplus = bool(connection_state.surplus_bytes)
                    if method == "POST" and response.status_code in CONCLUSIVE_STATUSES:
                        if timed_out.is_set():
                            # The connection was aborted, so it is unknown whether another response would follow.
                            raise TimeoutError
                        has_surplus = has_surplus or _may_hold_response(response, content, is_complete=is_complete)
                    return HttpResponse(response.status_code, response.headers, content, is_complete, has_surplus)
            except (requests.RequestException, HTTPError, OSError, ValueError, *_RESOURCE_ERRORS) as error:
                failure = build_request_error(error, urlsplit(self.base_url).netloc, timed_out=timed_out.is_set())
                drop_tracebacks(error)
            finally:
                close_connection()
        try:
            # Raised outside of the handler, because the library's error must not be its context. Its text can contain a
            # header.
            raise failure
        finally:
            # The traceback references this frame and the frame references it. Only the garbage collector frees a cycle.
            del failure


def _prepare_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> requests.PreparedRequest:
    """Return a request without cookies and without a login.

    `requests.Request.prepare` creates a cookie jar for each request, and reads a login from the URL.
    """
    request = requests.PreparedRequest()
    request.prepare_method(method)
    request.prepare_url(url, None)
    request.prepare_headers(headers)
    request.prepare_body(body, None)
    return request


def _read_content(response: requests.Response, max_bytes: int) -> tuple[bytes, bool]:
    """Return the body and whether it is complete."""
    chunks: list[bytes] = []
    try:
        read_body(response, max_bytes, chunks.append)
    except BodyTooLongError:
        return b"", False
    except (requests.RequestException, OSError, ValueError) as error:
        drop_tracebacks(error)
        return b"".join(chunks), False
    return b"".join(chunks), True


def _may_hold_response(response: requests.Response, content: bytes, *, is_complete: bool) -> bool:
    """Return whether a body can contain another response.

    It can if it is incomplete, or if only the end of the connection ends it.
    """
    return not is_complete or (not _has_known_length(response) and bool(_STATUS_LINE_RE.search(content)))


def _has_known_length(response: requests.Response) -> bool:
    lengths = response.raw.headers.getlist("Content-Length")
    # http.client ignores a length in another form.
    return response.raw.chunked or (bool(lengths) and all(length.isascii() and length.isdigit() for length in lengths))
