"""What an answer to a start means: whether the run started, and what to tell the user if it did not.

Source: the vendor's published OpenAPI description, its public API pages, and for the older spelling its own CI scripts.
"""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

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
    503: "The API says that it is not serving at the moment: try again later.",
}
_REFUSED = "The API refused the request; the run was not started."
# Nobody's answer has as many; to make millions of them takes seconds.
_VALUES = 1_000_000
# Where each kind's answer may name its run; the last spelling of a folder's is an older one.
_RUN_ID = {Kind.TEST: ("run_id",), Kind.TAG: ("tag_run_id",), Kind.FOLDER: ("folder_run_id", "folderRunID")}


def read(answer: Answer, request: RunRequest, redact: Redactor, api_host: str = "") -> Attempt:
    """Return what the answer means for the run; `api_host` is known to all, so a link may always name it."""
    fields = fields_of(answer)
    message = said(fields, Texts(lambda: redact))
    status = answer.status
    if 200 <= status < 300:
        return _started(answer, request, fields, message, redact, api_host)
    if 300 <= status < 400:
        return _redirected(answer, request, redact)
    told = f"HTTP {status}" + (f": {message}" if message else "")
    hint = _HINTS.get(status, _REFUSED).format(kind=request.kind)
    wait = retry_after(answer.headers)
    if status == 429 or (status == 503 and wait is not None):
        return Attempt(Delivery.BUSY, Reason.API, message=told, hint=hint, status=status, retry_after=wait)
    if status in {401, 403}:
        return Attempt(Delivery.REFUSED, Reason.UNAUTHORIZED, message=told, hint=hint, status=status)
    if 400 <= status < 500:
        reason = Reason.NOT_FOUND if status == 404 else Reason.API
        return Attempt(Delivery.REFUSED, reason, message=told, hint=hint, status=status)
    return Attempt(Delivery.OPEN, Reason.UNKNOWN, message=told, hint=MAY_HAVE_STARTED, status=status)


def said(fields: Mapping[str, object], texts: Texts) -> str:
    """Return what the API says of an error, redacted, on one line."""
    return texts.line(": ".join(text for name in ("error", "message") if (text := text_of(fields, name))), 500)


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


def _started(
    answer: Answer, request: RunRequest, fields: Mapping[str, object], message: str, redact: Redactor, api_host: str
) -> Attempt:
    url = text_of(fields, "url")
    host, _, path = url.partition("://")[2].partition("/")
    # What every link has tells nothing.
    own = path.removeprefix("run/") if host == api_host else url
    shown = url if link(url) and not redact.holds(own) else ""
    run_id = next((text for name in _RUN_ID[request.kind] if (text := text_of(fields, name))), "")
    if not run_id and shown:
        run_id = shown.rstrip("/").rpartition("/")[2]
    masked = redact.holds(run_id)
    run_id = run_id if ID.fullmatch(run_id) and not masked else ""
    if run_id or shown:
        return Attempt(Delivery.STARTED, Reason.OK, run_id, shown, message, status=answer.status)
    if masked:
        told = f"HTTP {answer.status}, but the run's id holds a value of a variable or a credential, so it is not shown"
        return Attempt(Delivery.OPEN, Reason.UNKNOWN, message=told, hint=MAY_HAVE_STARTED, status=answer.status)
    what = "cut short or too long" if not answer.complete else "not in the form that is known"
    told = f"HTTP {answer.status}, but the answer is {what} and names no run"
    return Attempt(Delivery.OPEN, Reason.UNKNOWN, message=told, hint=MAY_HAVE_STARTED, status=answer.status)


def _redirected(answer: Answer, request: RunRequest, redact: Redactor) -> Attempt:
    # The target may hold anything; its query may hold what was sent. The part before it says where to.
    location = answer.headers.get("Location", "").encode("latin-1", "replace").decode("utf-8", "replace")
    # A value may hold a question mark: what is left of it after a cut would not be recognised.
    base = redact(location).partition("?")[0].removesuffix(f"/{request.kind}/{request.id}/run")
    target = one_line(base, 200)
    message = f"HTTP {answer.status}: the API redirects" + (f" to {target}" if target else "")
    hint = (
        "Redirects are not followed, since they would take the credentials along. If you trust it, set api-url to it."
    )
    return Attempt(Delivery.REFUSED, Reason.API, message=message, hint=hint, status=answer.status)


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
