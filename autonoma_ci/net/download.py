"""Screenshots and videos from where the API says they are: another host, which gets no credentials.

Source: the vendor's public API pages, which give an address an hour; RFC 9110 for redirects and lengths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.escaping import LOOPBACK_HOST_RE
from autonoma_ci.net.connection import find_proxies, total_timeout
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import ResponseLostError, connect_error_from, release_frames, response_error_from
from autonoma_ci.net.session import SafeSession

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_REDIRECTS = 5
_CHUNK_BYTES = 64 * 1024
# Signed addresses are long, and nobody's are longer.
_MAX_URL_LENGTH = 16_000


class DownloadError(Exception):
    """Why a file could not be had, without its address; `again`: another address may do."""

    def __init__(self, text: str, *, retryable: bool = False) -> None:
        self.retryable = retryable
        super().__init__(text)


class FileTooLargeError(Exception):
    """Raised by who takes the pieces, once there are too many."""


def download(
    url: str,
    on_chunk: Callable[[bytes], None],
    max_bytes: int,
    timeout_seconds: float,
    *,
    allow_http_loopback: bool,
    connect_seconds: float = 10.0,
) -> str:
    """Hand what lies at this address to `take` piece by piece, and return its content type.

    Only https is followed, or with `local` http to this very machine, which a sandbox uses. At most
    `limit` bytes are asked for, and so many seconds given. Raises MediaError; what `take` raises, but for
    TooLargeError, passes through.
    """
    with SafeSession() as session, total_timeout(timeout_seconds) as timed_out:
        session.headers.update({"User-Agent": f"autonoma-ci/{__version__}", "Accept-Encoding": "identity"})
        try:
            return _follow_redirects(
                session, url, on_chunk, (max_bytes, allow_http_loopback, (connect_seconds, min(timeout_seconds, 20.0)))
            )
        except FileTooLargeError:
            raise DownloadError("larger than it may be") from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # Not even the host's name is told: the API may have put anything there.
            release_frames(error)
            failure = (
                connect_error_from(error, "its host")
                if connection_state.connecting or not connection_state.connect_attempted
                else response_error_from(error)
            )
            is_timeout = timed_out.is_set() or (isinstance(failure, ResponseLostError) and failure.timed_out)
            raise DownloadError("it took too long" if is_timeout else str(failure), retryable=True) from None


def _follow_redirects(
    session: SafeSession, url: str, on_chunk: Callable[[bytes], None], limits: tuple[int, bool, tuple[float, float]]
) -> str:
    max_bytes, allow_http_loopback, timeout = limits
    for _ in range(_MAX_REDIRECTS + 1):
        _check_url(url, allow_http_loopback=allow_http_loopback)
        proxies = find_proxies(url)
        with session.get(url, timeout=timeout, allow_redirects=False, stream=True, proxies=proxies) as response:
            target = response.headers.get("Location", "")
            if 300 <= response.status_code < 400 and target:
                url = urljoin(url, target)
                continue
            if response.status_code != 200:
                raise DownloadError(f"HTTP {response.status_code}", retryable=True)
            return _read_body(response, on_chunk, max_bytes)
    raise DownloadError(f"it redirects more than {_MAX_REDIRECTS} times")


def _check_url(url: str, *, allow_http_loopback: bool) -> None:
    """Raise MediaError if this address is not one to follow."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or len(url) > _MAX_URL_LENGTH or not url.isascii() or not url.isprintable() or "@" in parts.netloc:
        raise DownloadError("its address is none")
    if parts.scheme != "https" and not (
        parts.scheme == "http" and allow_http_loopback and LOOPBACK_HOST_RE.fullmatch(host)
    ):
        raise DownloadError("its address is not https")


def _read_body(response: requests.Response, on_chunk: Callable[[bytes], None], max_bytes: int) -> str:
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise DownloadError("it comes in an encoding that was not asked for")
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:18]) > max_bytes:
        raise DownloadError(f"larger than it may be ({int(length[:18]) / 1e6:,.1f} MB)")
    # As it is on the line: nothing is to be unpacked, and a body that is shorter than it said is an error.
    for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
        on_chunk(chunk)
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
