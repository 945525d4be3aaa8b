"""Send one request and read its response within a bounded time, through the session class of all requests.

Each request has a connection of its own. A server or a gateway can send a response twice, or too late, or with bytes
behind it. On a kept connection the next request would read that as its own response: a run would get another run's id
or verdict. Nothing in HTTP/1.1 tells the two apart. The price, measured with 200 starts of 0.2 s, 8 at a time: over a
round trip of 40 ms with TLS 8.7 s instead of 6.4 s, on loopback 5.6 s instead of 5.4 s.

Each thread keeps its session, but no open connection: to make a session takes a fifth of a request's processor time.

Source: the vendor's published OpenAPI description for the headers, RFC 9110 for what may be sent again, and RFC 9112
§9.6 for `Connection: close`.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.api.models import Timeouts
from autonoma_ci.api.start_proof import CONCLUSIVE_STATUSES
from autonoma_ci.net.connection import close_connection, deadlines, find_proxies, total_timeout
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import release_frames
from autonoma_ci.net.session import SafeSession, request_error_from
from autonoma_ci.net.threads import PerThread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.redaction.redactor import Secret

# In bytes: nothing that the API says is as long, except for details.
MAX_BODY_BYTES = 1024 * 1024
# Details hold the page's own HTML for each step.
MAX_DETAILS_BYTES = 16 * MAX_BODY_BYTES
# A question may be asked again: better than to wait for as long as the start of a run may take.
_GET_TIMEOUTS = Timeouts(read=20.0, total=30.0)
_STATUS_LINE_RE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2}[^\r\n]*\r?\n")
# What Python raises where memory or threads are used up.
_RESOURCE_ERRORS = (MemoryError, RuntimeError, SystemError)


class HttpResponse(NamedTuple):
    """A response. `complete` is False if the body was cut short, too long or too slow.

    `surplus` says whether more than CR and LF came behind the refusal of a start, or another response may be within its
    body. Then the refusal may be that of another request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool
    has_surplus: bool = False

    def __repr__(self) -> str:
        # Headers and body may repeat what was sent.
        return f"Answer(HTTP {self.status}, {len(self.body)} bytes)"


class Transport:
    """Sends requests, a POST at most once, from any number of threads; `credentials` are client id and secret."""

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
        # Before there are threads that send: where their number is limited, they would leave none for this one.
        with suppress(RuntimeError, MemoryError):
            deadlines.start()

    def post(self, path: str, payload: Mapping[str, object]) -> HttpResponse:
        """Send one POST; raise NotSentError or LostError if there is no response."""
        return self._send("POST", path, json.dumps(payload).encode(), self.timeouts, MAX_BODY_BYTES)

    def get(self, path: str, max_bytes: int = MAX_BODY_BYTES) -> HttpResponse:
        """Send one GET; raise NotSentError or LostError if there is no response.

        A body above `limit` bytes is not complete.
        """
        return self._send("GET", path, b"", self._get_timeouts, max_bytes)

    @cached_property
    def _environment_settings(self) -> Any:
        """Settings of the environment, such as a proxy. They are read once, since that takes long."""
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
        with total_timeout(timeouts.total) as timed_out:
            if method == "POST":
                connection_state.exclusive_statuses = CONCLUSIVE_STATUSES
            try:
                request = _prepare_request(method, self.base_url + path, self._build_headers(), body)
                with self._sessions.value.send(
                    request,
                    timeout=(timeouts.connect, timeouts.read),
                    allow_redirects=False,  # a redirect would take the credentials to another host
                    **self._environment_settings,
                ) as response:
                    content, is_complete = _read_body(response, max_bytes)
                    if timed_out.is_set() and not _has_known_length(response):
                        # It ended where we ended the connection.
                        is_complete = False
                    has_surplus = bool(connection_state.surplus_bytes)
                    if method == "POST" and response.status_code in CONCLUSIVE_STATUSES:
                        if timed_out.is_set():
                            # What follows behind it can't be known any more.
                            raise TimeoutError
                        has_surplus = has_surplus or _may_hold_response(response, content, is_complete=is_complete)
                    return HttpResponse(response.status_code, response.headers, content, is_complete, has_surplus)
            except (requests.RequestException, HTTPError, OSError, ValueError, *_RESOURCE_ERRORS) as error:
                failure = request_error_from(error, urlsplit(self.base_url).netloc, timed_out=timed_out.is_set())
                release_frames(error)
            finally:
                close_connection()
        try:
            # Raised only here, so that the library's own error, whose text may hold a header, is not its context.
            raise failure
        finally:
            # Its traceback leads to this frame, and the frame to it: a cycle, which only the collector could free.
            del failure


def _prepare_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> requests.PreparedRequest:
    """Return a request that has neither cookies nor a login, whatever the URL and the environment have."""
    # `requests.Request.prepare` makes a cookie jar for each request, and takes a login from the URL.
    request = requests.PreparedRequest()
    request.prepare_method(method)
    request.prepare_url(url, None)
    request.prepare_headers(headers)
    request.prepare_body(body, None)
    return request


def _read_body(response: requests.Response, max_bytes: int) -> tuple[bytes, bool]:
    chunks: list[bytes] = []
    size = 0
    try:
        for chunk in response.iter_content(16 * 1024):
            size += len(chunk)
            if size > max_bytes:
                return b"", False
            chunks.append(chunk)
    except (requests.RequestException, OSError, ValueError) as error:
        release_frames(error)
        return b"".join(chunks), False
    return b"".join(chunks), True


def _may_hold_response(response: requests.Response, content: bytes, *, is_complete: bool) -> bool:
    """Return whether a body may have another response: if it is not whole, or if only the connection's end ends it."""
    return not is_complete or (not _has_known_length(response) and bool(_STATUS_LINE_RE.search(content)))


def _has_known_length(response: requests.Response) -> bool:
    lengths = response.raw.headers.getlist("Content-Length")
    # A length in another form is none for http.client.
    return response.raw.chunked or (bool(lengths) and all(one.isascii() and one.isdigit() for one in lengths))
