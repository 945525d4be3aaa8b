"""Waiting until a page answers, before anything is started; it gets no credentials and no second thought.

Source: RFC 9110, for what is a success, a redirect and an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.escaping import duration, one_line, without_query
from autonoma_ci.net.background import in_background
from autonoma_ci.net.connection import limited, proxies_for
from autonoma_ci.net.errors import LostError, NotSentError, release_frames
from autonoma_ci.net.session import Session, failure_of
from autonoma_ci.redaction.normalize import decode_header
from autonoma_ci.redaction.redactor import NOTHING_SECRET
from autonoma_ci.redaction.sanitizer import Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.redaction.redactor import Redactor

_REDIRECTS = 10
# For one try; a page that takes longer to answer is not up.
_TRY = 10.0
_LATE = "no answer came in time"
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 5.0
_TELL_EVERY = 30.0


class Unready(NamedTuple):
    """Why a page is not up, and what to do if a further try would fail too."""

    why: str
    hint: str = ""


def wait_for_url(
    url: str,
    seconds: float,
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
    tell: Callable[[str], None],
    redact: Redactor = NOTHING_SECRET,
) -> Unready | None:
    """Return None once the page answers below 400, or why it did not within so many seconds.

    Redirects are followed, since nothing secret is sent. `tell` gets a line at first and now and then. `redact` removes
    credentials and values of variables from what the page and a proxy say. The address itself is shown as it was given.
    """
    began = told = monotonic()
    pause, shown = _FIRST_PAUSE, _shown(url)
    while True:
        left = began + seconds - monotonic()
        found = _try(url, min(_TRY, max(left, 1.0)), redact)
        now = monotonic()
        if not found:
            return None
        why, hint = (Texts(lambda: redact).line(text, 500) for text in found)
        if now + pause >= began + seconds:
            return Unready(f"{shown} did not come up within {duration(seconds)}: {why}", hint)
        if pause == _FIRST_PAUSE or now - told >= _TELL_EVERY:
            told = now
            more = f"{why}. {hint}" if hint else why
            tell(f"Waiting for {shown}, up to {duration(began + seconds - now)} more: {more}")
        sleep(pause)
        pause = min(_LONGEST_PAUSE, 1.5 * pause)


def _try(url: str, seconds: float, redact: Redactor) -> Unready | None:
    """Do the same as `_visit`, but give up in time even while a name is resolved."""
    try:
        return in_background(lambda: _visit(url, seconds, redact), seconds)
    except TimeoutError:
        return Unready(_LATE)


def _visit(url: str, seconds: float, redact: Redactor) -> Unready | None:
    """Return None if the page answers below 400, or else what happened."""
    try:
        with Session() as session, limited(seconds) as late:
            session.headers["User-Agent"] = f"autonoma-ci/{__version__}"
            try:
                why = _follow(session, url, seconds, redact)
                found = Unready(why) if why else None
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                release_frames(error)
                host = urlsplit(url).netloc
                found = _unready(failure_of(error, host))
            return Unready(_LATE) if late.is_set() else found
    except NotSentError as error:
        return _unready(error)


def _unready(error: NotSentError | LostError) -> Unready:
    hint = error.hint if isinstance(error, NotSentError) and not error.passing else ""
    return Unready(str(error), hint)


def _follow(session: Session, url: str, seconds: float, redact: Redactor) -> str:
    for _ in range(_REDIRECTS + 1):
        with session.get(
            url,
            timeout=seconds,
            allow_redirects=False,
            stream=True,  # the body is of no interest, and may be endless
            proxies=proxies_for(url),
        ) as response:
            status, location = response.status_code, response.headers.get("Location", "")
        # As browsers and requests read it.
        target = decode_header(location)
        if status < 300 or (status < 400 and not target):
            return ""
        if status >= 400:
            return f"HTTP {status}"
        following = urljoin(url, target)
        scheme = urlsplit(following).scheme
        if scheme not in {"http", "https"} or (scheme == "http" and url.startswith("https:")):
            return f"HTTP {status}, which leads to {_shown(redact(following))}: not https any more"
        url = following
    return f"it redirects more than {_REDIRECTS} times"


def _shown(url: str) -> str:
    # What comes after the path may hold a token.
    scheme, slashes, rest = without_query(url).partition("://")
    host, slash, path = rest.partition("/")
    return one_line(f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}".rstrip("/"), 200)
