"""Wait until a URL responds before runs are started.

The requests contain no credentials.

Source: RFC 9110 for successes, redirects and errors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.escaping import format_duration, sanitize_line, strip_query
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError, drop_tracebacks
from autonoma_ci.net.redirects import TooManyRedirectsError, follow_redirects
from autonoma_ci.net.session import SafeSession, build_request_error
from autonoma_ci.net.threads import run_in_background
from autonoma_ci.net.total_timeout import limit_total_time
from autonoma_ci.redaction.normalize import decode_header
from autonoma_ci.redaction.redactor import NO_SECRETS
from autonoma_ci.redaction.sanitizer import ResponseSanitizer
from autonoma_ci.startup import DebugLogger
from autonoma_ci.urls import parse_url, strip_login

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.net.redirects import Redirect
    from autonoma_ci.redaction.redactor import Redactor

_RedirectCheck: TypeAlias = "Callable[[Redirect], str | None]"
_log = DebugLogger()
_MAX_REDIRECTS = 10
# For one attempt. A page with a slower response is not ready.
_ATTEMPT_SECONDS = 10.0
_MESSAGE_TIMEOUT = "no response in time"
_FIRST_DELAY_SECONDS, _MAX_DELAY_SECONDS = 1.0, 5.0
_LOG_INTERVAL_SECONDS = 30.0


class _ForbiddenRedirectError(Exception):
    """A redirect to a forbidden URL. Its text is the reason."""


class UrlNotReady(NamedTuple):
    """The reason why a URL is not ready."""

    reason: str
    suggestion: str = ""  # set if another attempt would fail too


def wait_for_url(
    url: str,
    timeout_seconds: float,
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
    log: Callable[[str], None],
    redact: Redactor = NO_SECRETS,
    *,
    same_host_only: bool = False,
) -> UrlNotReady | None:
    """Request a URL until its status is below 400.

    Redirects to other hosts are followed too, because the requests contain no secrets.

    Args:
        url: The URL. It is shown without login and query, but not redacted.
        timeout_seconds: Maximum duration.
        monotonic: Returns the time in seconds.
        sleep: Waits for a number of seconds.
        log: Receives a line after the first failure, and then every 30 s.
        redact: Removes credentials and values of variables from texts of the page and of a proxy.
        same_host_only: Refuse redirects to another host, for a URL that another person may have chosen.

    Returns:
        None if the URL is ready, otherwise the last reason why it is not.
    """
    started_at = logged_at = monotonic()
    delay, shown_url = _FIRST_DELAY_SECONDS, _redacted_url(url)
    explain_redirect = partial(_explain_forbidden_redirect, redact, same_host_only=same_host_only)
    while True:
        sent_at = monotonic()
        seconds_left = started_at + timeout_seconds - sent_at
        _log.debug("GET %s", shown_url)
        not_ready = _probe_in_background(url, min(_ATTEMPT_SECONDS, max(seconds_left, 1.0)), explain_redirect)
        now = monotonic()
        if not not_ready:
            _log.debug("GET %s: ready (%.3f s)", shown_url, now - sent_at)
            return None
        reason, hint = (ResponseSanitizer(lambda: redact).clean(text, 500) for text in not_ready)
        _log.debug("GET %s: not ready (%.3f s): %s", shown_url, now - sent_at, reason)
        if now + delay >= started_at + timeout_seconds:
            return UrlNotReady(f"{shown_url} was not ready within {format_duration(timeout_seconds)}: {reason}", hint)
        if delay == _FIRST_DELAY_SECONDS or now - logged_at >= _LOG_INTERVAL_SECONDS:
            logged_at = now
            detail = f"{reason}. {hint}" if hint else reason
            log(f"Waiting for {shown_url}, up to {format_duration(started_at + timeout_seconds - now)} more: {detail}")
        _log.debug("Retry of GET %s in %.1f s", shown_url, delay)
        sleep(delay)
        delay = min(_MAX_DELAY_SECONDS, 1.5 * delay)


def _probe_in_background(url: str, seconds: float, explain_redirect: _RedirectCheck) -> UrlNotReady | None:
    """Call `_probe` with a timeout that also limits name resolution."""
    try:
        return run_in_background(lambda: _probe(url, seconds, explain_redirect), seconds)
    except TimeoutError:
        return UrlNotReady(_MESSAGE_TIMEOUT)


def _probe(url: str, seconds: float, explain_redirect: _RedirectCheck) -> UrlNotReady | None:
    """Send one request and return None if its status is below 400."""
    try:
        with SafeSession() as session, limit_total_time(seconds) as timed_out:
            session.headers["User-Agent"] = f"autonoma-ci/{__version__}"
            try:
                reason = _request_page(session, url, seconds, explain_redirect)
                not_ready = UrlNotReady(reason) if reason else None
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                drop_tracebacks(error)
                host = urlsplit(url).netloc
                not_ready = _build_not_ready(build_request_error(error, host))
            return UrlNotReady(_MESSAGE_TIMEOUT) if timed_out.is_set() else not_ready
    except RequestNotSentError as error:
        return _build_not_ready(error)


def _build_not_ready(error: RequestNotSentError | ResponseLostError) -> UrlNotReady:
    hint = error.hint if isinstance(error, RequestNotSentError) and not error.retryable else ""
    return UrlNotReady(str(error), hint)


def _request_page(session: SafeSession, url: str, seconds: float, explain_redirect: _RedirectCheck) -> str | None:
    """Request a URL and its redirects.

    Args:
        session: The session of all requests.
        url: The URL.
        seconds: The timeout of each request.
        explain_redirect: Returns why a redirect is not followed, or None.

    Returns:
        The reason why it is not ready, or None.
    """

    def check_redirect(redirect: Redirect) -> None:
        if reason := explain_redirect(redirect):
            raise _ForbiddenRedirectError(reason)

    try:
        status = follow_redirects(
            session,
            url,
            seconds,
            _MAX_REDIRECTS,
            check_redirect,
            lambda response: response.status_code,
            # Browsers and requests decode it in the same way.
            decode_header,
        )
    except _ForbiddenRedirectError as error:
        return str(error)
    except TooManyRedirectsError as error:
        # Of two reasons, the forbidden redirect is more useful.
        return explain_redirect(error.redirect) or str(error)
    return f"HTTP {status}" if status >= 400 else None


def _explain_forbidden_redirect(redact: Redactor, redirect: Redirect, *, same_host_only: bool) -> str | None:
    """Return why a redirect is not followed, or None if it is allowed."""
    scheme = urlsplit(redirect.next_url).scheme
    is_downgrade = scheme == "http" and urlsplit(redirect.url).scheme == "https"
    if scheme not in {"http", "https"} or is_downgrade:
        return f"HTTP {redirect.status}: insecure redirect to {_redacted_url(redact(redirect.next_url))}"
    if same_host_only and not _has_same_host(redirect):
        return f"HTTP {redirect.status}: redirect to another host, {_redacted_url(redact(redirect.next_url))}"
    return None


def _has_same_host(redirect: Redirect) -> bool:
    url, next_url = parse_url(redirect.url), parse_url(redirect.next_url)
    # Programs read the host before a backslash differently.
    is_plain = next_url is not None and not next_url.has_login and "\\" not in redirect.next_url
    return is_plain and url is not None and next_url is not None and url.host == next_url.host


def _redacted_url(url: str) -> str:
    # The query, the fragment and the login can contain a secret. A password can contain a question mark.
    return sanitize_line(strip_query(strip_login(url)).rstrip("/"), 200)
