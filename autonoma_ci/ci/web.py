"""Requests to a CI system's own interfaces: few, bounded in time, to one host, and none that a redirect asks for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.api.connection import limited, line, proxies_for
from autonoma_ci.api.failures import NotSentError, lost, not_sent
from autonoma_ci.api.transport import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.engine.clock import Clock

# A hundred comments of the largest size.
_LARGEST = 16 * 1024 * 1024
_SECONDS = 10.0
_PAUSE = 1.0
_TRIES = 3
_PASSING = frozenset({429, 500, 502, 503, 504})


class Reply(NamedTuple):
    """What came back: `data` is the JSON of the body, None if it is none; `following` the next page's URL."""

    status: int
    data: Any
    following: str = ""


class WebError(Exception):
    """No usable answer came; the text says why. `status` is 0 where there was none at all."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Web:
    """One interface at a base URL; every request has the same headers, and never goes to another host."""

    def __init__(self, base: str, headers: Mapping[str, str], clock: Clock, proxy: str = "") -> None:
        self._base, self._clock = base.rstrip("/"), clock
        self._headers = {"User-Agent": f"autonoma-ci/{__version__}", **headers}
        self._proxies = {"http": proxy} if proxy else proxies_for(base)

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """Return the answer if it is a success, or else raise WebError.

        `path` may be the URL of a following page. What may be sent again is, after a short pause: everything
        but a POST, which would make a second thing of its kind.
        """
        tries = 1 if method == "POST" else _TRIES
        while True:
            tries -= 1
            try:
                return self._once(method, self._url(path), body)
            except WebError as error:
                if not tries or (error.status and error.status not in _PASSING):
                    raise
            self._clock.sleep(_PAUSE)

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
        try:
            # A session for each request, and so a connection: a late response is never read as the next one.
            with limited(_SECONDS) as late, Session() as session:
                try:
                    with session.request(
                        method,
                        url,
                        data=data,
                        headers={**self._headers, **kind},
                        timeout=_SECONDS,
                        allow_redirects=False,  # a redirect would take the token to another host
                        stream=True,
                        proxies=self._proxies,
                    ) as response:
                        text = _text(response)
                except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                    if late.is_set():
                        raise WebError("no answer came in time") from None
                    host = urlsplit(url).netloc
                    raise WebError(str(not_sent(error, host) if line.connecting else lost(error))) from None
        except NotSentError as error:
            raise WebError(str(error)) from None
        if not 200 <= response.status_code < 300:
            raise WebError(f"HTTP {response.status_code}", response.status_code)
        following = response.links.get("next", {}).get("url", "")
        return Reply(response.status_code, _json(text), following)


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
