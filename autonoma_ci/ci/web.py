"""Requests to a CI system's own interfaces: few, bounded in time, to one host, and none that a redirect asks for."""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.api.connection import limited, proxies_for
from autonoma_ci.api.failures import NotSentError, lost, not_sent, release_frames
from autonoma_ci.api.line import line
from autonoma_ci.api.transport import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.engine.clock import Clock

# A hundred comments of the largest size.
_LARGEST = 16 * 1024 * 1024
_SECONDS = 10.0
_PAUSE = 1.0
_TRIES = 3
# Of all requests of one report. A comment of GitHub's largest change, with 2,500 comments, takes 30 requests.
MAX_SECONDS = 60.0
MAX_REQUESTS = 50
_PASSING = frozenset({429, 500, 502, 503, 504})


class Reply(NamedTuple):
    """What came back: `data` is the JSON of the body, None if it is none; `following` the next page's URL.

    `date` is the server's own time of the answer, as HTTP has it.
    """

    status: int
    data: Any
    following: str = ""
    date: str = ""


class WebError(Exception):
    """No usable answer came; the text says why. `status` is 0 where there was none at all.

    `unsent`: no connection was made, so nothing arrived. `passing`: trying again may help.
    """

    def __init__(self, text: str, status: int = 0, *, unsent: bool = False, passing: bool = False) -> None:
        super().__init__(text)
        self.status, self.unsent, self.passing = status, unsent, passing


class Web:
    """One interface at a base URL; every request has the same headers, and never goes to another host.

    From the first request on there are 60 seconds and 50 requests in all.
    """

    def __init__(self, base: str, headers: Mapping[str, str], clock: Clock, proxy: str = "") -> None:
        self._base, self._clock = base.rstrip("/"), clock
        self._headers = {"User-Agent": f"autonoma-ci/{__version__}", **headers}
        self._proxies = {"http": proxy} if proxy else proxies_for(base)
        self._requests, self._until = 0, inf

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """Return the answer if it is a success, or else raise WebError.

        `path` may be the URL of a following page. What may be sent again is, after a short pause: everything
        but a POST that may have arrived, which would make a second thing of its kind.
        """
        tries = _TRIES
        while True:
            tries -= 1
            try:
                return self._once(method, self._url(path), body)
            except WebError as error:
                if not tries or not error.passing or (method == "POST" and not error.unsent):
                    raise
            self._clock.sleep(_PAUSE)

    def _seconds(self) -> float:
        """Return how long the next request may take; raise WebError if there may be none."""
        now = self._clock.monotonic()
        if not self._requests:
            self._until = now + MAX_SECONDS
        if now >= self._until:
            raise WebError(f"it took longer than {MAX_SECONDS:.0f} s")
        if self._requests >= MAX_REQUESTS:
            raise WebError(f"it took more than {MAX_REQUESTS} requests")
        self._requests += 1
        return min(_SECONDS, self._until - now)

    def _url(self, path: str) -> str:
        url = path if "://" in path else self._base + path
        try:
            here, there = urlsplit(self._base), urlsplit(url)
        except ValueError:
            raise WebError("the address of the next page is none") from None
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise WebError("the next page is on another host, which gets no token")
        return url

    def _once(self, method: str, url: str, body: object) -> Reply:
        data = None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if data else {}
        seconds = self._seconds()
        try:
            # A session for each request, and so a connection: a late response is never read as the next one.
            with limited(seconds) as late, Session() as session:
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
                    if line.connecting:
                        raise not_sent(error, urlsplit(url).netloc) from None
                    why = "no answer came in time" if late.is_set() else str(lost(error))
                    raise WebError(why, passing=True) from None
        except NotSentError as error:
            raise WebError(str(error), unsent=True, passing=error.passing) from None
        status = response.status_code
        if not 200 <= status < 300:
            raise WebError(f"HTTP {status}", status, passing=status in _PASSING)
        following = response.links.get("next", {}).get("url", "")
        return Reply(status, _json(text), following, response.headers.get("Date", ""))


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
