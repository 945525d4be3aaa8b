"""Download screenshots and videos from their signed URLs.

They are on another host, which gets no credentials.

Source: the vendor's public API pages, by which a URL is valid for an hour, and RFC 9110 for redirects and lengths.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import (
    RequestNotSentError,
    ResponseLostError,
    build_connect_error,
    build_response_error,
    drop_tracebacks,
)
from autonoma_ci.net.redirects import TooManyRedirectsError, follow_redirects
from autonoma_ci.net.session import BodyTooLongError, SafeSession, read_body
from autonoma_ci.net.total_timeout import limit_total_time
from autonoma_ci.startup import DebugLogger, lazy_pattern
from autonoma_ci.urls import check_url

if TYPE_CHECKING:
    from collections.abc import Callable

_log = DebugLogger()
_MAX_REDIRECTS = 5
# Printable ASCII characters and spaces. Signed URLs are long, but no real one has more characters.
_URL_RE = lazy_pattern("[ -~]{1,16000}")


class DownloadError(Exception):
    """A failed download, without the URL in its text.

    Args:
        text: The reason.
        retryable: A new signed URL can help.
    """

    def __init__(self, text: str, *, retryable: bool = False) -> None:
        self.retryable = retryable
        super().__init__(text)


def download_file(
    url: str,
    on_chunk: Callable[[bytes], None],
    max_bytes: int,
    timeout_seconds: float,
    *,
    allow_http_loopback: bool,
    connect_seconds: float = 10.0,
) -> str:
    """Download a URL in chunks and return its content type.

    Args:
        url: The signed URL. It must be https.
        on_chunk: Receives each chunk within the limit. Its errors are raised here.
        max_bytes: A longer file is an error.
        timeout_seconds: Maximum duration of the download.
        allow_http_loopback: Allow http to this machine, which a sandbox uses.
        connect_seconds: Maximum duration of a connection attempt.

    Raises:
        DownloadError: The URL is invalid, the request failed or the file is too large.
    """
    # Path and query of a signed URL give access to the file, so they are not logged.
    parts, started_at = check_url(url, _URL_RE), time.monotonic()
    host = parts.host if parts else "an invalid URL"
    _log.debug("GET a file from %s", host)
    try:
        content_type = _download_file(
            url,
            on_chunk,
            max_bytes,
            timeout_seconds,
            allow_http_loopback=allow_http_loopback,
            connect_seconds=connect_seconds,
        )
    except DownloadError as error:
        _log.debug("GET a file from %s failed (%.3f s): %s", host, time.monotonic() - started_at, error)
        raise
    _log.debug("GET a file from %s: HTTP 200 (%.3f s)", host, time.monotonic() - started_at)
    return content_type


def _download_file(
    url: str,
    on_chunk: Callable[[bytes], None],
    max_bytes: int,
    timeout_seconds: float,
    *,
    allow_http_loopback: bool,
    connect_seconds: float,
) -> str:
    """Download a URL in chunks and return its content type.

    Raises:
        DownloadError: The URL is invalid, the request failed or the file is too large.
    """
    try:
        with SafeSession() as session, limit_total_time(timeout_seconds) as timed_out:
            session.headers.update({"User-Agent": f"autonoma-ci/{__version__}", "Accept-Encoding": "identity"})
            try:
                _check_url(url, allow_http_loopback=allow_http_loopback)
                return follow_redirects(
                    session,
                    url,
                    (connect_seconds, min(timeout_seconds, 20.0)),
                    _MAX_REDIRECTS,
                    lambda redirect: _check_url(redirect.next_url, allow_http_loopback=allow_http_loopback),
                    lambda response: _read_file(response, on_chunk, max_bytes),
                )
            except TooManyRedirectsError as error:
                raise DownloadError(str(error)) from None
            except BodyTooLongError:
                raise DownloadError("larger than the limit") from None
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                # The text omits even the host's name, because the URL comes from the API and can contain anything.
                drop_tracebacks(error)
                failure = (
                    build_connect_error(error, "the host")
                    if connection_state.nothing_sent
                    else build_response_error(error)
                )
                is_timeout = timed_out.is_set() or (isinstance(failure, ResponseLostError) and failure.timed_out)
                raise DownloadError("timed out" if is_timeout else str(failure), retryable=True) from None
    except RequestNotSentError as error:
        raise DownloadError(str(error), retryable=error.retryable) from None


def _check_url(url: str, *, allow_http_loopback: bool) -> None:
    """Check that a URL may be requested.

    Raises:
        DownloadError: It is invalid, or its scheme is forbidden.
    """
    parts = check_url(url, _URL_RE)
    if not parts:
        raise DownloadError("invalid media URL")
    if parts.scheme != "https" and not (allow_http_loopback and parts.is_encrypted_or_local):
        raise DownloadError("invalid media URL: the scheme is not https")


def _read_file(response: requests.Response, on_chunk: Callable[[bytes], None], max_bytes: int) -> str:
    """Pass the body on in chunks and return its content type.

    Raises:
        DownloadError: The status is not 200, or the body is encoded or has a too long `Content-Length`.
        BodyTooLongError: The body is too long.
    """
    if response.status_code != 200:
        raise DownloadError(f"HTTP {response.status_code}", retryable=True)
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise DownloadError("unexpected Content-Encoding")
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:18]) > max_bytes:
        raise DownloadError(f"larger than the limit (file size {int(length[:18]) / 1e6:,.1f} MB)")
    read_body(response, max_bytes, on_chunk)
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
