"""What an answer to a start means: whether the run started, and what to tell the user if it did not.

Source: the vendor's published OpenAPI description, its public API pages, and for the older spelling its own CI scripts.

What an answer to the question how a run stands, or what it did, means.

Source: the vendor's public API pages, on how a run stands and on its details.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from autonoma_ci.api.models import PollResult, PollStatus, RunDetails, SignedUrl, StartResult, StartStatus
from autonoma_ci.api.run_ids import START_FIELDS, find_linked_run, find_page_run, names_other_run, parse_run_id
from autonoma_ci.api.start_proof import RETRYABLE_STATUS, proves_not_started
from autonoma_ci.config.parsers import ID_RE
from autonoma_ci.escaping import safe_url, sanitize_line, strip_query
from autonoma_ci.lazy_regex import lazy_pattern
from autonoma_ci.models import MAX_STEPS, ExitReason, RunRequest, RunStep, TargetKind
from autonoma_ci.redaction.normalize import decode, decode_header
from autonoma_ci.redaction.redactor import NO_SECRETS
from autonoma_ci.redaction.sanitizer import ResponseSanitizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.api.transport import HttpResponse
    from autonoma_ci.redaction.redactor import Redactor


HINT_MAY_HAVE_STARTED = (
    "The run may have started: look for it in Autonoma before starting it again. It is not sent again."
)
HINT_NOT_STARTED = "The run was not started."
HINT_UNREACHABLE = f"{HINT_NOT_STARTED} Check api-url, the network, and the proxy if there is one."
_HINTS = {
    401: "Check client-id and client-secret: both must be set, from the same account, and not revoked.",
    403: "The credentials are known but may not do this: check that they belong to the account that owns the id.",
    404: "Check the id: it must belong to the account of these credentials, and to a {kind} that still exists.{tag}",
    422: "The API refused the request's content: check the application version and the variables' names.",
    429: "The API limits how fast runs may be started: try again later, or set a lower concurrency.",
    # The only 500 that proves that nothing was started has this cause.
    500: f"{HINT_NOT_STARTED} The account has no device farm: contact the administrator of the Autonoma account.",
}
# A tag has no GET in the contract, so whether an id is a tag's is not known.
_MAY_BE_TAG = " If it is the id of a tag, put it into tag-ids, in a manifest under tags."
MESSAGE_QUOTA_USED_UP = "the account's quota is used up"
HINT_ADD_QUOTA = "Add quota in Autonoma, or wait until it is renewed, then run the job again. The credentials are fine."
MESSAGE_WEB_PAGE = "this host serves a web page, not the API"
HINT_CHECK_API_URL = "Check api-url: it must be the address of the API, such as https://autonoma.app/api."
# The words with which a 403 says that the account's budget is used up (the API's contract).
_OF_QUOTA = lazy_pattern(r"(?<![a-z])(?:quotas?|credits?|limits?|plans?|billing)(?![a-z])", re.IGNORECASE)
# What a host that is not the API says of the API's paths.
_OF_PATHS = frozenset({404, 405})
_QUOTA_STATUSES = frozenset({402, 403})
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|title|script)\b", re.IGNORECASE)
# What may come before the first tag: its beginning and its end.
_BEFORE_HTML = ((b"<!--", b"-->"), (b"<?xml", b"?>"))
# In bytes: where the first tag of a page is looked for.
_HEAD = 4096
_NOT_FOLLOWED = (
    "Redirects are not followed, since they would take the credentials along. If you trust the target, set api-url to "
    "it."
)
_INCOMPLETE = "the answer is cut short or too long"
_SURPLUS = "further bytes came behind the answer"
_REFUSED = "The API refused the request; the run was not started."
_REASONS = {401: ExitReason.UNAUTHORIZED, 403: ExitReason.UNAUTHORIZED, 404: ExitReason.NOT_FOUND}
_ERROR_FIELDS = ("error", "message")
# Where a refusal may say why: the API's fields, and those of RFC 9457 and of gateways.
_REFUSAL_FIELDS = (*_ERROR_FIELDS, "code", "detail", "reason", "title")
# In characters of a message: where a word of quota is looked for.
_SEARCHED = 10_000
# In bytes: a longer body that is not JSON is a page of a gateway, not a sentence of the API.
_MAX_SENTENCE = 1_000
# Of a field that is a list.
_MAX_TEXTS = 10
# Where a word of a name begins, such as `QuotaExceeded`.
_CAMEL_CASE = lazy_pattern("(?<=[a-z])(?=[A-Z])")
# Nobody's answer has as many; to make millions of them takes seconds.
_VALUES = 1_000_000


def parse_start_response(
    answer: HttpResponse, request: RunRequest, redact: Redactor, credentials: Redactor, api_host: str = ""
) -> StartResult:
    """Return what the response to a start means for the run.

    Args:
        answer: The response.
        request: The run that was to be started.
        redact: Removes credentials and the values of the run's variables. It is applied to free text.
        credentials: Finds credentials. An id or a link is withheld only for one of these: a variable's value, such as
            `run` or `https`, occurs in them by chance.
        api_host: The host of the API. It is no secret, so a link may name it whatever the credentials are.
    """
    status = answer.status
    is_success = 200 <= status < 300
    fields = json_object(answer, lenient=is_success)
    message = api_error_message(fields, ResponseSanitizer(lambda: redact))
    if is_success:
        url = build_run_url(str_field(fields, "url"), redact, credentials, api_host)
        return _started(answer, fields, request.kind, url, message, credentials)
    told = f"HTTP {status}" + (f": {message}" if message else "")
    if 300 <= status < 400:
        told = f"HTTP {status}: the API redirects{_target(answer, request, redact)}"
        hint = f"{HINT_MAY_HAVE_STARTED} {_NOT_FOLLOWED}"
        return StartResult(
            StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=told, suggestion=hint, http_status=status
        )
    proved = proves_not_started(status, (str_field(fields, name) for name in _ERROR_FIELDS))
    # One of two responses belongs to another request, and which one is not known.
    told += f"; {_SURPLUS}" if answer.has_surplus else ""
    # What the rest of an incomplete refusal would have said is not known: enough not to send the start again.
    incomplete = status == RETRYABLE_STATUS and not answer.is_complete
    told += f"; {_INCOMPLETE}" if incomplete else ""
    if answer.has_surplus or incomplete or not proved:
        return StartResult(
            StartStatus.INDETERMINATE,
            ExitReason.UNKNOWN,
            message=told,
            suggestion=HINT_MAY_HAVE_STARTED,
            http_status=status,
        )
    if names_quota(answer, request.id):
        told = f"{MESSAGE_QUOTA_USED_UP} ({told})"
        return StartResult(
            StartStatus.REJECTED, ExitReason.QUOTA, message=told, suggestion=HINT_ADD_QUOTA, http_status=status
        )
    tag = "" if request.kind is TargetKind.TAG else _MAY_BE_TAG
    hint = _HINTS.get(status, _REFUSED).format(kind=request.kind, tag=tag)
    if status in _OF_PATHS and is_web_page(answer):
        hint = f"The answer is a web page, so this may be another host. {HINT_CHECK_API_URL} {hint}"
    if status == RETRYABLE_STATUS:
        wait = parse_retry_after(answer.headers)
        return StartResult(
            StartStatus.RATE_LIMITED,
            ExitReason.API,
            message=told,
            suggestion=hint,
            http_status=status,
            retry_after=wait,
        )
    reason = _REASONS.get(status, ExitReason.API)
    return StartResult(StartStatus.REJECTED, reason, message=told, suggestion=hint, http_status=status)


def names_quota(answer: HttpResponse, subject: str = "") -> bool:
    """Return whether a refusal says that the account's quota is used up.

    Status 402 says so itself. A 403 says so in a field of its JSON that gives a reason, or in a body that is one plain
    sentence.

    Args:
        answer: The response.
        subject: The id that was asked for. A message may repeat it, and its words do not count.
    """
    if answer.status not in _QUOTA_STATUSES:
        return False
    if answer.status == 402:
        return True
    texts = [text[:_SEARCHED] for text in _sentences(answer)]
    if subject:
        # As a whole word: a short id is a part of many words.
        own = re.compile(rf"(?<![\w-]){re.escape(subject)}(?![\w-])", re.IGNORECASE)
        texts = [own.sub(" ", text) for text in texts]
    return any(_OF_QUOTA.search(_CAMEL_CASE.sub(" ", text)) for text in texts)


def _sentences(answer: HttpResponse) -> list[str]:
    """Return what a refusal says: the texts of its error fields, or a body that is a text itself."""
    value = parse_json_body(answer)
    if value is None and answer.is_complete and len(answer.body) <= _MAX_SENTENCE and not is_web_page(answer):
        text = decode(answer.body).strip()
        return [] if text.startswith("<") else [text]
    found = [value.get(name) for name in _REFUSAL_FIELDS] if isinstance(value, dict) else [value]
    texts: list[object] = []
    for each in found:
        inner = [each.get(name) for name in _REFUSAL_FIELDS] if isinstance(each, dict) else each
        # A list of the whole body says nothing: the API has none.
        texts += inner[:_MAX_TEXTS] if isinstance(inner, list) and isinstance(value, dict) else [inner]
    return [text for text in texts if isinstance(text, str)]


def is_web_page(answer: HttpResponse) -> bool:
    """Return whether a response is HTML, by its type or its beginning."""
    # A gateway may add a second type, which the header's value then has behind a comma.
    types = {text.strip() for text in re.split("[,;]", answer.headers.get("Content-Type", "").lower())}
    return _begins_like_html(answer.body[:_HEAD]) or (bool(types & _HTML_TYPES) and parse_json_body(answer) is None)


def _begins_like_html(head: bytes) -> bool:
    head = head.removeprefix(BOM_UTF8).lstrip()
    while end := next((end for begin, end in _BEFORE_HTML if head.startswith(begin)), b""):
        head = head.partition(end)[2].lstrip()
    return bool(_HTML.match(head))


def api_error_message(fields: Mapping[str, object], texts: ResponseSanitizer) -> str:
    """Return what the API says of an error, redacted, on one line."""
    shown = [texts.clean(str_field(fields, name), 500) for name in _ERROR_FIELDS]
    # Once more, since a value may begin in one field and end in the next.
    return texts.clean(": ".join(filter(None, shown)), 500)


def parse_json_body(answer: HttpResponse, *, lenient: bool = False) -> object:
    """Return the value of a body that is JSON; None if it is none, or is not all there, or has too many values.

    An object that gives one key two values is no JSON here: which of them counts is not known.

    Args:
        answer: The response.
        lenient: Read texts with control characters, or with bytes that are not UTF-8. A poll is repeated instead. A
            start is not, and its run would be lost.
    """
    if not answer.is_complete or answer.body.count(b",") > _VALUES:
        return None
    try:
        body = _decode(answer.body) if lenient else answer.body
        return json.loads(body, object_pairs_hook=_make_object, strict=not lenient)
    except (ValueError, RecursionError):
        return None


def _decode(body: bytes) -> str:
    encoding = json.detect_encoding(body)
    return decode(body.removeprefix(BOM_UTF8)) if encoding.startswith("utf-8") else body.decode(encoding, "replace")


def _make_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object; raise ValueError if it gives one key two values."""
    found = dict(pairs)
    if len(found) < len(pairs) and any(found[name] != value for name, value in pairs):
        raise ValueError("a key has two values")
    return found


def json_object(answer: HttpResponse, *, lenient: bool = False) -> Mapping[str, object]:
    """Return the fields of an answer that is a whole JSON object; none of any other."""
    found = parse_json_body(answer, lenient=lenient)
    return found if isinstance(found, dict) else {}


def str_field(fields: Mapping[str, object], name: str) -> str:
    """Return a field that is text; an empty one if it is missing or anything else."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def build_run_url(url: str, redact: Redactor, credentials: Redactor, api_host: str = "") -> str:
    """Return a link of the API as it may be shown; an empty text if it is no link, or holds a credential.

    A query or a fragment that holds a value is left out: what names the page is the path.
    """
    host, _, path = url.partition("://")[2].partition("/")
    # What every link of the API begins with is no secret, unless a credential goes on behind it.
    own = path.removeprefix("run/") if host == api_host else url
    beginning = url.removesuffix(own)
    if not safe_url(url) or credentials(url) != credentials(beginning) + own:
        return ""
    page = strip_query(url)
    return page if redact.contains_secret(url[len(page) :]) else url


def _started(
    answer: HttpResponse, fields: Mapping[str, object], kind: TargetKind, url: str, message: str, credentials: Redactor
) -> StartResult:
    """Return what a 2xx means: the run started only if the response names it, and names one run alone."""
    named = {parse_run_id(fields[name]) for name in START_FIELDS[kind] if fields.get(name) not in (None, "")}
    linked = find_linked_run(url, kind) if named else find_page_run(url, kind)
    ids = named | {linked} if linked else named
    run_id = next(iter(ids), "")
    hint = HINT_MAY_HAVE_STARTED
    if not ids and is_web_page(answer):
        why, hint = MESSAGE_WEB_PAGE, f"{HINT_CHECK_API_URL} {HINT_MAY_HAVE_STARTED}"
    elif not answer.is_complete:
        why = f"{_INCOMPLETE} and names no run"
    elif not ids:
        why = "the answer is not in the form that is known and names no run"
    elif any(credentials.contains_secret(name) for name in ids):
        why = "the run's id holds a credential, so it is not shown"
    elif not all(ID_RE.fullmatch(name) for name in ids):
        why = "the run's id is invalid"
    elif len(ids) > 1:
        why = "the answer names two runs"
    else:
        return StartResult(StartStatus.STARTED, ExitReason.OK, run_id, url, message, http_status=answer.status)
    told = f"HTTP {answer.status}, but {why}"
    return StartResult(
        StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=told, suggestion=hint, http_status=answer.status
    )


def _target(answer: HttpResponse, request: RunRequest, redact: Redactor) -> str:
    # The target may hold anything; its query may hold what was sent. The part before it says where to.
    location = decode_header(answer.headers.get("Location", ""))
    # A value may hold a question mark: what is left of it after a cut would not be recognised.
    base = ResponseSanitizer(lambda: redact).clean(location, 4000).partition("?")[0]
    target = sanitize_line(base.removesuffix(f"/{request.kind}/{request.id}/run"), 200)
    return f" to {target}" if target else ""


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
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


# The API names pending, running, passed and failed; the others are what its relatives say. Passed has no relatives.
_FAILED = frozenset({"failed", "failure", "error", "errored"})
_STOPPED = frozenset({"cancelled", "canceled", "stopped", "skipped", "aborted", "terminated"})
_GOING_ON = frozenset(
    {"pending", "queued", "scheduled", "waiting", "created", "initializing", "starting", "started", "running"}
    | {"in_progress", "processing", "retrying"}
)
_WORDS = {
    "passed": PollStatus.PASSED,
    **dict.fromkeys(_FAILED, PollStatus.FAILED),
    **dict.fromkeys(_STOPPED, PollStatus.STOPPED),
    **dict.fromkeys(_GOING_ON, PollStatus.RUNNING),
}


def parse_status_response(
    answer: HttpResponse,
    redactor: Callable[[], Redactor],
    credentials: Redactor = NO_SECRETS,
    api_host: str = "",
    kind: TargetKind = TargetKind.TEST,
    run_id: str = "",
) -> PollResult:
    """Return what the response to a request for a run's status means.

    Args:
        answer: The response.
        redactor: Makes what removes secrets from its texts, if it has any.
        credentials: Finds credentials, for which the run's link is withheld.
        api_host: The host of the API, which is no secret.
        kind: What the run runs.
        run_id: The run that was asked for. A response that names another one is not used.
    """
    code, fields, texts = answer.status, json_object(answer), ResponseSanitizer(redactor)
    if code == 200 and fields:
        found, url = _parse_status(fields.get("status"), texts), str_field(fields, "url")
        linked = find_linked_run(url, kind)
        # A link that is not shown says nothing. That check is slow, so the ids are compared first.
        other_link = linked not in {"", run_id} and build_run_url(url, credentials, credentials, api_host)
        if run_id and (other_link or names_other_run(fields, kind, run_id)):
            return PollResult(PollStatus.UNAVAILABLE, message="the response is about another run", http_status=code)
        # Only a run that passed before needs its link: of the others it is known since the start.
        wanted = url and found.status is PollStatus.PASSED
        return found._replace(url=build_run_url(url, redactor(), credentials, api_host)) if wanted else found
    message = f"HTTP {code}" + (f": {text}" if (text := api_error_message(fields, texts)) else "")
    wait = parse_retry_after(answer.headers)
    if names_quota(answer):
        # The run goes on, and the credentials are fine: the next poll may succeed.
        return PollResult(PollStatus.UNAVAILABLE, message=f"{MESSAGE_QUOTA_USED_UP} ({message})", http_status=code)
    if code in {401, 403}:
        return PollResult(PollStatus.UNAUTHORIZED, message=message, http_status=code)
    if code == 404:
        return PollResult(PollStatus.NOT_FOUND, message=message, http_status=code)
    if code in {429, 503}:
        return PollResult(PollStatus.RATE_LIMITED, message=message, http_status=code, retry_after=wait)
    if 200 <= code < 300 and is_web_page(answer):
        message = f"HTTP {code}, but {MESSAGE_WEB_PAGE}. {HINT_CHECK_API_URL.removesuffix('.')}"
    elif code == 200:
        message = "HTTP 200, but the answer is " + (
            "not in the form that is known" if answer.is_complete else "cut short"
        )
    return PollResult(PollStatus.UNAVAILABLE, message=message, http_status=code)


def _parse_status(value: object, texts: ResponseSanitizer) -> PollResult:
    if not isinstance(value, str):
        return PollResult(PollStatus.UNRECOGNIZED, message="the API names no status", http_status=200)
    word = _normalized(value)
    if known := _WORDS.get(word):
        return PollResult(known, word, http_status=200)
    shown = texts.clean(value, 60)
    return PollResult(PollStatus.UNRECOGNIZED, shown, f"the API says '{shown}', which is no status that is known", 200)


def _normalized(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def parse_details_response(
    answer: HttpResponse, redactor: Callable[[], Redactor], run_id: str = "", test_id: str = ""
) -> RunDetails:
    """Return what the API tells of a run of a test that ended; every field may be missing.

    Details that name another run or test are not used. `contradiction` says so.
    """
    fields = json_object(answer)
    if answer.status != 200 or not fields:
        return RunDetails(error=f"HTTP {answer.status}" if answer.status != 200 else "not in the form that is known")
    test = fields.get("test")
    tests = [fields.get("test_id"), test.get("id") if isinstance(test, dict) else None]
    for values, wanted, what in (([fields.get("id")], run_id, "run"), (tests, test_id, "test")):
        if wanted and {parse_run_id(value) for value in values} - {"", wanted}:
            why = f"the details are of another {what}"
            return RunDetails(error=why, contradiction=why)
    listed, word = fields.get("steps"), fields.get("status")
    steps = listed if isinstance(listed, list) else []
    kept, texts = _sample_steps(steps), ResponseSanitizer(redactor)
    # In the order in which they matter: of very much text the last is left out.
    return RunDetails(
        title=texts.clean(str_field(fields, "name"), 200).strip(),
        step=_failing(steps, texts),
        duration_seconds=_seconds(str_field(fields, "created_at"), str_field(fields, "ended_at")),
        steps=tuple(_step(number, step, texts, 300, 500) for number, step in kept),
        media_urls=_media(kept, fields.get("video_url")),
        # The status decides what a run is. A word that is not known does not contradict it.
        status=_WORDS.get(_normalized(word)) if isinstance(word, str) else None,
    )


def _sample_steps(steps: list[object]) -> list[tuple[int, dict[str, object]]]:
    """Return the steps with their numbers; of very many the first and the last."""
    known = [number for number, step in enumerate(steps, 1) if isinstance(step, dict)]
    half = MAX_STEPS // 2
    kept = known if len(known) <= MAX_STEPS else known[:half] + known[-half:]
    return [(number, step) for number in kept if isinstance(step := steps[number - 1], dict)]


def _failing(steps: list[object], texts: ResponseSanitizer) -> RunStep | None:
    """Return the last step that failed: the one that ended the run."""
    for number in range(len(steps), 0, -1):
        step = steps[number - 1]
        if isinstance(step, dict) and str_field(step, "status").strip().lower() in _FAILED:
            return _step(number, step, texts, 500, 2000)
    return None


def _step(number: int, step: dict[str, object], texts: ResponseSanitizer, longest: int, output: int) -> RunStep:
    told = texts.clean(str_field(step, "instruction"), longest).strip()
    seen = texts.clean(str_field(step, "output"), output).strip()
    # Reports put a word before a step's link.
    url = texts.clean(str_field(step, "url"), 2000, apart=True)
    return RunStep(number, told, seen, url, texts.clean(str_field(step, "status"), 40).strip().lower())


def _media(kept: list[tuple[int, dict[str, object]]], video: object) -> dict[int, SignedUrl]:
    found = {number: step.get("image") for number, step in kept} | {0: video}
    return {number: SignedUrl(url) for number, url in found.items() if isinstance(url, str) and url}


def _seconds(begun: str, ended: str) -> float | None:
    try:
        seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()
    except (ValueError, TypeError):  # no times, or one with a time zone and one without
        return None
    return seconds if seconds >= 0 else None
