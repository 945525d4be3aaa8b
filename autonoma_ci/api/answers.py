"""What an answer to a start means: whether the run started, and what to tell the user if it did not.

Source: the vendor's published OpenAPI description, its public API pages, and for the older spelling its own CI scripts.
"""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from autonoma_ci.api.start_proof import SEND_AGAIN, proves_not_started
from autonoma_ci.api.texts import Texts
from autonoma_ci.exchange import Attempt, Delivery
from autonoma_ci.model import Kind, Reason, RunRequest
from autonoma_ci.text import link, one_line
from autonoma_ci.values import ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.api.transport import Answer
    from autonoma_ci.secret import Redactor

MAY_HAVE_STARTED = (
    "The run may have started: look for it in Autonoma before starting it again. It was not sent a second time."
)
UNREACHABLE = "The run was not started. Check api-url, the network, and the proxy if there is one."
_HINTS = {
    401: "Check client-id and client-secret: both must be set, from the same account, and not revoked.",
    403: "The credentials are known but may not do this: check that they belong to the account that owns the id.",
    404: "Check the id: it must belong to the account of these credentials, and to a {kind} that still exists.",
    422: "The API refused the request's content: check the application version and the variables' names.",
    429: "The API limits how fast runs may be started: try again later, or set a lower concurrency.",
}
_NOT_FOLLOWED = (
    "Redirects are not followed, since they would take the credentials along. If you trust the target, set api-url to "
    "it."
)
_REFUSED = "The API refused the request; the run was not started."
_REASONS = {401: Reason.UNAUTHORIZED, 403: Reason.UNAUTHORIZED, 404: Reason.NOT_FOUND}
_ERROR_FIELDS = ("error", "message")
# Nobody's answer has as many; to make millions of them takes seconds.
_VALUES = 1_000_000
# Where each kind's answer may name its run; the last spelling of a folder's is an older one.
_RUN_ID = {Kind.TEST: ("run_id",), Kind.TAG: ("tag_run_id",), Kind.FOLDER: ("folder_run_id", "folderRunID")}


def read(answer: Answer, request: RunRequest, redact: Redactor, credentials: Redactor, api_host: str = "") -> Attempt:
    """Return what the response to a start means for the run.

    Args:
        answer: The response.
        request: The run that was to be started.
        redact: Removes credentials and the values of the run's variables. It is applied to free text.
        credentials: Finds credentials. An id or a link is withheld only for one of these: a variable's value, such as
            `run` or `https`, occurs in them by chance.
        api_host: The host of the API. It is no secret, so a link may name it whatever the credentials are.
    """
    fields, status = fields_of(answer), answer.status
    message = said(fields, Texts(lambda: redact))
    url = shown_link(text_of(fields, "url"), redact, credentials, api_host)
    run_id = next((text for name in _RUN_ID[request.kind] if (text := text_of(fields, name))), "")
    if 200 <= status < 300:
        return _started(answer, run_id, url, message, credentials)
    told = f"HTTP {status}" + (f": {message}" if message else "")
    if 300 <= status < 400:
        told = f"HTTP {status}: the API redirects{_target(answer, request, redact)}"
        hint = f"{MAY_HAVE_STARTED} {_NOT_FOLLOWED}"
        return Attempt(Delivery.OPEN, Reason.UNKNOWN, message=told, hint=hint, status=status)
    if not proves_not_started(status, (text_of(fields, name) for name in _ERROR_FIELDS)):
        return Attempt(Delivery.OPEN, Reason.UNKNOWN, message=told, hint=MAY_HAVE_STARTED, status=status)
    hint = _HINTS.get(status, _REFUSED).format(kind=request.kind)
    if status == SEND_AGAIN:
        wait = retry_after(answer.headers)
        return Attempt(Delivery.BUSY, Reason.API, message=told, hint=hint, status=status, retry_after=wait)
    reason = _REASONS.get(status, Reason.API)
    return Attempt(Delivery.REFUSED, reason, message=told, hint=hint, status=status)


def said(fields: Mapping[str, object], texts: Texts) -> str:
    """Return what the API says of an error, redacted, on one line."""
    return texts.line(": ".join(text for name in _ERROR_FIELDS if (text := text_of(fields, name))), 500)


def value_of(answer: Answer) -> object:
    """Return the value of a body that is JSON; None if it is none, or is not all there, or has too many values."""
    if not answer.complete or answer.body.count(b",") > _VALUES:
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def fields_of(answer: Answer) -> Mapping[str, object]:
    """Return the fields of an answer that is a whole JSON object; none of any other."""
    found = value_of(answer)
    return found if isinstance(found, dict) else {}


def text_of(fields: Mapping[str, object], name: str) -> str:
    """Return a field that is text; an empty one if it is missing or anything else."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def shown_link(url: str, redact: Redactor, credentials: Redactor, api_host: str = "") -> str:
    """Return a link of the API as it may be shown; an empty text if it is no link, or holds a credential.

    A query or a fragment that holds a value is left out: what names the page is the path.
    """
    host, _, path = url.partition("://")[2].partition("/")
    # What every link has tells nothing.
    own = path.removeprefix("run/") if host == api_host else url
    if not link(url) or credentials.holds(own):
        return ""
    page = page_of(url)
    return page if redact.holds(url[len(page) :]) else url


def _started(answer: Answer, run_id: str, url: str, message: str, credentials: Redactor) -> Attempt:
    if not run_id and url:
        run_id = page_of(url).rstrip("/").rpartition("/")[2]
    shown_id = _usable(run_id, credentials)
    if shown_id or url:
        return Attempt(Delivery.STARTED, Reason.OK, shown_id, url, message, status=answer.status)
    if credentials.holds(run_id):
        told = f"HTTP {answer.status}, but the run's id holds a credential, so it is not shown"
    else:
        what = "cut short or too long" if not answer.complete else "not in the form that is known"
        told = f"HTTP {answer.status}, but the answer is {what} and names no run"
    return Attempt(Delivery.OPEN, Reason.UNKNOWN, message=told, hint=MAY_HAVE_STARTED, status=answer.status)


def _usable(run_id: str, credentials: Redactor) -> str:
    return run_id if ID.fullmatch(run_id) and not credentials.holds(run_id) else ""


def page_of(url: str) -> str:
    """Return the URL without query and fragment."""
    return re.split(r"[?#]", url)[0]


def _target(answer: Answer, request: RunRequest, redact: Redactor) -> str:
    # The target may hold anything; its query may hold what was sent. The part before it says where to.
    location = answer.headers.get("Location", "").encode("latin-1", "replace").decode("utf-8", "replace")
    # A value may hold a question mark: what is left of it after a cut would not be recognised.
    base = redact(location).partition("?")[0].removesuffix(f"/{request.kind}/{request.id}/run")
    target = one_line(base, 200)
    return f" to {target}" if target else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that Retry-After names (RFC 9110 §10.2.3); None if it names none.

    A date is counted from the answer's own Date, so that a wrong clock on this machine does no harm.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
