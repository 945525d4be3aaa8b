"""Follow redirects, only for requests that carry no credentials.

The session follows none itself, because each next URL must be checked first.

Source: RFC 9110 for redirects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urljoin

from autonoma_ci.net.connection import find_proxies

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from autonoma_ci.net.session import SafeSession

_T = TypeVar("_T")


class Redirect(NamedTuple):
    """A response that leads to another URL."""

    status: int
    url: str  # of the request
    next_url: str


class TooManyRedirectsError(Exception):
    """More redirects than the limit.

    Args:
        max_redirects: The limit.
        redirect: The redirect above the limit. It was neither checked nor followed.
    """

    def __init__(self, max_redirects: int, redirect: Redirect) -> None:
        self.redirect = redirect
        super().__init__(f"more than {max_redirects} redirects")


def follow_redirects(
    session: SafeSession,
    url: str,
    timeout: float | tuple[float, float],
    max_redirects: int,
    check_redirect: Callable[[Redirect], None],
    read_response: Callable[[requests.Response], _T],
    decode_location: Callable[[str], str] = str,
) -> _T:
    """Request a URL and its redirects, and read the last response.

    The bodies of redirects are not read, because they are not needed and can be endless. Each URL has its own proxy.

    Args:
        session: The session of all requests.
        url: The first URL. The caller has checked it.
        timeout: Seconds of each request, or of its connection attempt and of its reads.
        max_redirects: The number of redirects to follow.
        check_redirect: Called before the next request. It raises an error if the next URL is forbidden.
        read_response: Called with the last response while its connection is open.
        decode_location: Decodes the header `Location`.

    Returns:
        The result of `read_response`.

    Raises:
        TooManyRedirectsError: There are more redirects than `max_redirects`.
        requests.RequestException: A request failed.
        ValueError: A URL is invalid.
    """
    redirects_left = max_redirects
    while True:
        with session.get(
            url, timeout=timeout, allow_redirects=False, stream=True, proxies=find_proxies(url)
        ) as response:
            status = response.status_code
            location = decode_location(response.headers.get("Location", ""))
            if not (300 <= status < 400 and location):
                return read_response(response)
        redirect = Redirect(status, url, urljoin(url, location))
        if not redirects_left:
            raise TooManyRedirectsError(max_redirects, redirect)
        redirects_left -= 1
        check_redirect(redirect)
        url = redirect.next_url
