"""Parse the API's responses to start, status, details and name requests.

A start response decides whether the run started, and which message and suggestion the user gets if it did not. A status
response contains the state of a run, a details response its steps and media, and a name response the name of a folder
or test.

Requests for lists of folders and tests use the same helpers for JSON, error texts, quotas and web pages.

Source: the vendor's published OpenAPI description, and its public API pages on starts, on a run's status and on its
details, of a folder and of a test. The older spelling of a run id comes from the vendor's own CI scripts.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from autonoma_ci.api.models import (
    HINT_MAY_HAVE_STARTED,
    PollResult,
    PollStatus,
    RunDetails,
    SignedUrl,
    StartResult,
    StartStatus,
)
from autonoma_ci.api.run_ids import START_FIELDS, find_linked_run, find_page_run, is_about_other_run, parse_run_id
from autonoma_ci.api.start_proof import RETRYABLE_STATUS, proves_not_started
from autonoma_ci.clock import round_to_ms
from autonoma_ci.config.parsers import ID_RE
from autonoma_ci.escaping import safe_url, sanitize_line, strip_query
from autonoma_ci.models import MAX_STEPS, ExitReason, RunRequest, RunStep, TargetKind
from autonoma_ci.redaction.normalize import decode, decode_header
from autonoma_ci.redaction.redactor import NO_SECRETS
from autonoma_ci.redaction.sanitizer import ResponseSanitizer
from autonoma_ci.startup import lazy_pattern
from autonoma_ci.urls import strip_login

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.api.transport import HttpResponse
    from autonoma_ci.redaction.redactor import Redactor


HINT_NOT_STARTED = "The run was not started."
HINT_UNREACHABLE = f"{HINT_NOT_STARTED} Check api-url, the network and any proxy."
HINT_CHECK_CREDENTIALS = "Check client-id and client-secret: both must be set, from the same account, and not revoked."
_HINT_BY_STATUS = {
    401: HINT_CHECK_CREDENTIALS,
    403: "The credentials are valid, but have no access to this id: use credentials of the account that owns the id.",
    404: "Check the id: the {kind} must exist in the account of these credentials.{tag}",
    422: "The API rejected the content of the request: check the application version and the variables' names.",
    429: "The API limits the rate of starts: try again later, or set a lower concurrency.",
    # This is the cause of the only 500 that proves that nothing was started (see start_proof).
    500: f"{HINT_NOT_STARTED} The account has no device farm: contact the administrator of the Autonoma account.",
}
# The contract has no GET for tags, so autonoma-ci can't check whether an id belongs to a tag.
_HINT_TAG_ID = " The id of a tag belongs in tag-ids, or under `tags` in a manifest."
MESSAGE_QUOTA_USED_UP = "the account's quota is used up"
HINT_ADD_QUOTA = "Add quota in Autonoma, or wait for its renewal, then run the job again. The credentials are valid."
MESSAGE_WEB_PAGE = "the response is a web page, not JSON"
MESSAGE_INVALID_RESPONSE = "the response is invalid"
MESSAGE_INCOMPLETE = "the response is incomplete or too long"
HINT_CHECK_API_URL = "Check api-url: use the URL of the API, such as https://autonoma.app/api."
# Words of a 403 about an exhausted quota. Source: the API's contract.
_QUOTA_RE = lazy_pattern(r"(?<![a-z])(?:quotas?|credits?|limits?|plans?|billing)(?![a-z])", re.IGNORECASE)
# Responses of a host that is not the API to the API's paths.
_WRONG_HOST_STATUSES = frozenset({404, 405})
_QUOTA_STATUSES = frozenset({402, 403})
_HTML_CONTENT_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_HTML_TAG_RE = lazy_pattern(rb"<(?:!doctype\s+html|html|head|body|title|script)\b", re.IGNORECASE)
# Begin and end of a comment or declaration before the first tag.
_HTML_PROLOGS = ((b"<!--", b"-->"), (b"<?xml", b"?>"))
# The first tag of a page is searched in these first bytes.
_MAX_SNIFF_BYTES = 4096
_HINT_REDIRECT = (
    "Redirects are not followed, because their target would get the credentials. Set api-url to a trusted target."
)
_MESSAGE_SURPLUS = "extra data after the response"
_HINT_REJECTED = f"The API rejected the request. {HINT_NOT_STARTED}"
_REASON_BY_STATUS = {401: ExitReason.UNAUTHORIZED, 403: ExitReason.UNAUTHORIZED, 404: ExitReason.NOT_FOUND}
_ERROR_FIELDS = ("error", "message")
# Fields that can contain the reason of a rejection. Source: the API, RFC 9457 and common gateways.
_REJECTION_FIELDS = (*_ERROR_FIELDS, "code", "detail", "reason", "title")
# Only the first characters of a message are searched for words about a quota.
_MAX_SEARCH_CHARS = 10_000
# A longer body that is not JSON is a page of a gateway, not a sentence of the API.
_MAX_PLAIN_TEXT_BYTES = 1_000
# Only the first items of a field that is a list are used.
_MAX_LIST_ITEMS = 10
# Enough to recognize a folder or test by its name.
_MAX_NAME_CHARS = 100
# The boundary between two words of a name such as `QuotaExceeded`.
_CAMEL_CASE_RE = lazy_pattern("(?<=[a-z])(?=[A-Z])")
# No real response has as many values, and parsing millions of them takes seconds. Commas are counted instead of values.
_MAX_JSON_COMMAS = 1_000_000
# The API documents pending, running, passed and failed. Similar APIs use the other names. `passed` has no synonyms,
# because an unknown name must never count as a success.
_FAILED_NAMES = frozenset({"failed", "failure", "error", "errored"})
_STOPPED_NAMES = frozenset({"cancelled", "canceled", "stopped", "skipped", "aborted", "terminated"})
_RUNNING_NAMES = frozenset(
    {"pending", "queued", "scheduled", "waiting", "created", "initializing", "starting", "started", "running"}
    | {"in_progress", "processing", "retrying"}
)
_STATUS_BY_NAME = {
    "passed": PollStatus.PASSED,
    **dict.fromkeys(_FAILED_NAMES, PollStatus.FAILED),
    **dict.fromkeys(_STOPPED_NAMES, PollStatus.STOPPED),
    **dict.fromkeys(_RUNNING_NAMES, PollStatus.RUNNING),
}


def parse_start_response(
    response: HttpResponse, request: RunRequest, redact: Redactor, credentials: Redactor, api_host: str = ""
) -> StartResult:
    """Return the meaning of a response to a start request.

    Args:
        response: The response.
        request: The run that the request was to start.
        redact: Removes credentials and the values of the run's variables. It is applied to free text.
        credentials: Finds credentials. Only these withhold an id or a link. The value of a variable, such as `run` or
            `https`, can occur in them by chance.
        api_host: The host of the API. It is not a secret, so a link may contain it whatever the credentials are.
    """
    status = response.status
    is_success = 200 <= status < 300
    fields = parse_json_object(response, lenient=is_success)
    message = format_api_error(fields, ResponseSanitizer(lambda: redact))
    if is_success:
        url = build_run_url(get_str_field(fields, "url"), redact, credentials, api_host)
        return _parse_success(response, fields, request.kind, url, message, credentials)
    message = f"HTTP {status}" + (f": {message}" if message else "")
    if 300 <= status < 400:
        message = f"HTTP {status}: the API redirects{_format_redirect_target(response, request, redact)}"
        hint = f"{HINT_MAY_HAVE_STARTED} {_HINT_REDIRECT}"
        return StartResult(
            StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=message, suggestion=hint, http_status=status
        )
    is_proven = proves_not_started(status, (get_str_field(fields, name) for name in _ERROR_FIELDS))
    # One of the two responses belongs to another request, and nothing shows which one.
    message += f" ({_MESSAGE_SURPLUS})" if response.has_surplus else ""
    # The missing rest of the body can contradict the status, so the start is not sent again.
    is_incomplete = status == RETRYABLE_STATUS and not response.is_complete
    message += f" ({MESSAGE_INCOMPLETE})" if is_incomplete else ""
    if response.has_surplus or is_incomplete or not is_proven:
        return StartResult(
            StartStatus.INDETERMINATE,
            ExitReason.UNKNOWN,
            message=message,
            suggestion=HINT_MAY_HAVE_STARTED,
            http_status=status,
        )
    if is_quota_exhausted(response, request.id):
        message = f"{MESSAGE_QUOTA_USED_UP} ({message})"
        return StartResult(
            StartStatus.REJECTED, ExitReason.QUOTA, message=message, suggestion=HINT_ADD_QUOTA, http_status=status
        )
    tag_hint = "" if request.kind is TargetKind.TAG else _HINT_TAG_ID
    hint = _HINT_BY_STATUS.get(status, _HINT_REJECTED).format(kind=request.kind, tag=tag_hint)
    if status in _WRONG_HOST_STATUSES and is_web_page(response):
        hint = f"The response is a web page, perhaps of another host. {HINT_CHECK_API_URL} {hint}"
    if status == RETRYABLE_STATUS:
        retry_after = parse_retry_after(response.headers)
        return StartResult(
            StartStatus.RATE_LIMITED,
            ExitReason.API,
            message=message,
            suggestion=hint,
            http_status=status,
            retry_after=retry_after,
        )
    reason = _REASON_BY_STATUS.get(status, ExitReason.API)
    return StartResult(StartStatus.REJECTED, reason, message=message, suggestion=hint, http_status=status)


def _parse_success(
    response: HttpResponse,
    fields: Mapping[str, object],
    kind: TargetKind,
    url: str,
    message: str,
    credentials: Redactor,
) -> StartResult:
    """Return the result of a start request with a 2xx response.

    The run counts as started only if the response contains exactly one run id.
    """
    field_ids = {parse_run_id(fields[name]) for name in START_FIELDS[kind] if fields.get(name) not in (None, "")}
    linked_id = find_linked_run(url, kind) if field_ids else find_page_run(url, kind)
    run_ids = field_ids | {linked_id} if linked_id else field_ids
    run_id = next(iter(run_ids), "")
    hint = HINT_MAY_HAVE_STARTED
    if not run_ids and is_web_page(response):
        reason, hint = MESSAGE_WEB_PAGE, f"{HINT_CHECK_API_URL} {HINT_MAY_HAVE_STARTED}"
    elif not response.is_complete:
        reason = f"{MESSAGE_INCOMPLETE}, without a run id"
    elif not run_ids:
        reason = "the response has no run id"
    elif any(credentials.contains_secret(name) for name in run_ids):
        reason = "the run id contains a credential and is hidden"
    elif not all(ID_RE.fullmatch(name) for name in run_ids):
        reason = "the run id is invalid"
    elif len(run_ids) > 1:
        reason = "the response has more than one run id"
    else:
        return StartResult(StartStatus.STARTED, ExitReason.OK, run_id, url, message, http_status=response.status)
    message = f"HTTP {response.status}, but {reason}"
    return StartResult(
        StartStatus.INDETERMINATE, ExitReason.UNKNOWN, message=message, suggestion=hint, http_status=response.status
    )


def _format_redirect_target(response: HttpResponse, request: RunRequest, redact: Redactor) -> str:
    """Return the target of a redirect for a message.

    An example is ` to https://host/path`. The text is empty without a target.
    """
    # The target is untrusted, and its query can repeat the request. Only the part before the query is shown.
    location = decode_header(response.headers.get("Location", ""))
    # A secret can contain a question mark. Redaction comes first, because it would not find the part before the cut.
    base = strip_query(_clean_url(location, 4000, ResponseSanitizer(lambda: redact)))
    target = sanitize_line(base.removesuffix(f"/{request.kind}/{request.id}/run"), 200)
    return f" to {target}" if target else ""


def parse_status_response(
    response: HttpResponse,
    redactor: Callable[[], Redactor],
    credentials: Redactor = NO_SECRETS,
    api_host: str = "",
    kind: TargetKind = TargetKind.TEST,
    run_id: str = "",
) -> PollResult:
    """Return the meaning of a response to a status request.

    Args:
        response: The response.
        redactor: Creates the redactor of the response's texts. It is called only if there is text.
        credentials: Finds credentials. A link with one of them is withheld.
        api_host: The host of the API, which is not a secret.
        kind: The target kind of the run.
        run_id: The id of the run in the request. A response about another run is not used.
    """
    http_status, fields, sanitizer = response.status, parse_json_object(response), ResponseSanitizer(redactor)
    if http_status == 200 and fields:
        result, url = _parse_status(fields.get("status"), sanitizer), get_str_field(fields, "url")
        linked_id = find_linked_run(url, kind)
        # A link that is not shown proves nothing. That check is slow, so the ids are compared first.
        has_other_link = linked_id not in {"", run_id} and build_run_url(url, credentials, credentials, api_host)
        if run_id and (has_other_link or is_about_other_run(fields, kind, run_id)):
            return PollResult(
                PollStatus.UNAVAILABLE, message="the response is about another run", http_status=http_status
            )
        # Only a reused run needs the link from here. For other runs, the start response contained it.
        needs_url = url and result.status is PollStatus.PASSED
        return result._replace(url=build_run_url(url, redactor(), credentials, api_host)) if needs_url else result
    message = f"HTTP {http_status}" + (f": {text}" if (text := format_api_error(fields, sanitizer)) else "")
    retry_after = parse_retry_after(response.headers)
    if is_quota_exhausted(response):
        # The run continues and the credentials are valid, so the next poll can succeed.
        return PollResult(
            PollStatus.UNAVAILABLE, message=f"{MESSAGE_QUOTA_USED_UP} ({message})", http_status=http_status
        )
    if http_status in {401, 403}:
        return PollResult(PollStatus.UNAUTHORIZED, message=message, http_status=http_status)
    if http_status == 404:
        return PollResult(PollStatus.NOT_FOUND, message=message, http_status=http_status)
    if http_status in {429, 503}:
        return PollResult(PollStatus.RATE_LIMITED, message=message, http_status=http_status, retry_after=retry_after)
    if 200 <= http_status < 300 and is_web_page(response):
        message = f"HTTP {http_status}, but {MESSAGE_WEB_PAGE}. {HINT_CHECK_API_URL.removesuffix('.')}"
    elif http_status == 200:
        message = f"HTTP 200, but {MESSAGE_INVALID_RESPONSE if response.is_complete else MESSAGE_INCOMPLETE}"
    return PollResult(PollStatus.UNAVAILABLE, message=message, http_status=http_status)


def _parse_status(value: object, sanitizer: ResponseSanitizer) -> PollResult:
    """Return the poll result for the `status` field of a response."""
    if not isinstance(value, str):
        return PollResult(PollStatus.UNRECOGNIZED, message="the response has no status", http_status=200)
    name = _normalize_status(value)
    if status := _STATUS_BY_NAME.get(name):
        return PollResult(status, name, http_status=200)
    shown_status = sanitizer.clean(value, 60)
    return PollResult(
        PollStatus.UNRECOGNIZED, shown_status, f"the response has an unknown status: '{shown_status}'", 200
    )


def _normalize_status(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def parse_details_response(
    response: HttpResponse, redactor: Callable[[], Redactor], run_id: str = "", test_id: str = ""
) -> RunDetails:
    """Return the details of a completed test run.

    Every field of the response can be missing. Details of another run or test are not used, and `contradiction` states
    the reason.
    """
    fields = parse_json_object(response)
    if response.status != 200 or not fields:
        return RunDetails(error=f"HTTP {response.status}" if response.status != 200 else MESSAGE_INVALID_RESPONSE)
    test = fields.get("test")
    test_ids = [fields.get("test_id"), test.get("id") if isinstance(test, dict) else None]
    for values, expected_id, subject in (([fields.get("id")], run_id, "run"), (test_ids, test_id, "test")):
        if expected_id and {parse_run_id(value) for value in values} - {"", expected_id}:
            error = f"the details are about another {subject}"
            return RunDetails(error=error, contradiction=error)
    raw_steps, raw_status = fields.get("steps"), fields.get("status")
    steps = raw_steps if isinstance(raw_steps, list) else []
    numbered_steps, sanitizer = _select_first_and_last_steps(steps), ResponseSanitizer(redactor)
    # The sanitizer has a budget of characters, so the most important texts come first.
    return RunDetails(
        title=sanitizer.clean(get_str_field(fields, "name"), 200).strip(),
        step=_find_last_failed_step(steps, sanitizer),
        duration_seconds=_parse_duration_seconds(
            get_str_field(fields, "created_at"), get_str_field(fields, "ended_at")
        ),
        steps=tuple(_parse_step(number, step, sanitizer, 300, 500) for number, step in numbered_steps),
        screenshot_urls={
            number: url for number, step in numbered_steps if (url := _parse_signed_url(step.get("image")))
        },
        video_url=_parse_signed_url(fields.get("video_url")),
        # The poll decides the state of a run. An unknown status here does not contradict it.
        status=_STATUS_BY_NAME.get(_normalize_status(raw_status)) if isinstance(raw_status, str) else None,
    )


def _select_first_and_last_steps(steps: list[object]) -> list[tuple[int, dict[str, object]]]:
    """Return the first and last steps with their numbers.

    Above `MAX_STEPS`, the steps in the middle are omitted.
    """
    numbers = [number for number, step in enumerate(steps, 1) if isinstance(step, dict)]
    half = MAX_STEPS // 2
    selected = numbers if len(numbers) <= MAX_STEPS else numbers[:half] + numbers[-half:]
    return [(number, step) for number in selected if isinstance(step := steps[number - 1], dict)]


def _find_last_failed_step(steps: list[object], sanitizer: ResponseSanitizer) -> RunStep | None:
    """Return the last failed step, which ended the run."""
    for number in range(len(steps), 0, -1):
        step = steps[number - 1]
        if isinstance(step, dict) and get_str_field(step, "status").strip().lower() in _FAILED_NAMES:
            return _parse_step(number, step, sanitizer, 500, 2000)
    return None


def _parse_step(
    number: int,
    step: dict[str, object],
    sanitizer: ResponseSanitizer,
    max_instruction_chars: int,
    max_output_chars: int,
) -> RunStep:
    """Return one step with redacted and shortened texts."""
    instruction = sanitizer.clean(get_str_field(step, "instruction"), max_instruction_chars).strip()
    output = sanitizer.clean(get_str_field(step, "output"), max_output_chars).strip()
    # Reports separate the link from other texts of the API, so its edges need no redaction.
    url = _clean_url(get_str_field(step, "url"), 2000, sanitizer, is_standalone=True)
    return RunStep(number, instruction, output, url, sanitizer.clean(get_str_field(step, "status"), 40).strip().lower())


def _clean_url(url: str, limit: int, sanitizer: ResponseSanitizer, *, is_standalone: bool = False) -> str:
    """Return a URL without login, redacted and cut to a limit."""
    # The end of a login that is cut would not be found.
    whole_url = strip_login(url) if len(url) > limit else url
    return strip_login(sanitizer.clean(whole_url, limit, is_standalone=is_standalone))


def _parse_signed_url(url: object) -> SignedUrl | None:
    return SignedUrl(url) if isinstance(url, str) and url else None


def _parse_duration_seconds(started_at: str, ended_at: str) -> float | None:
    try:
        seconds = (datetime.fromisoformat(ended_at) - datetime.fromisoformat(started_at)).total_seconds()
    except (ValueError, TypeError):  # invalid times, or only one has a time zone
        return None
    return round_to_ms(seconds) if seconds >= 0 else None


def parse_name(response: HttpResponse, target_id: str, redactor: Callable[[], Redactor]) -> str | None:
    """Return the redacted name of an id in the account.

    Returns:
        The name on one line, empty if there is none. None if the response does not confirm the id.

    """
    fields = parse_json_object(response)
    if response.status != 200 or get_str_field(fields, "id") != target_id:
        return None
    return ResponseSanitizer(redactor).clean(get_str_field(fields, "name"), _MAX_NAME_CHARS).strip()


def is_quota_exhausted(response: HttpResponse, target_id: str = "") -> bool:
    """Return whether a response reports an exhausted quota of the account.

    Status 402 always does. A 403 does so in a JSON field with a reason, or in a body that is one plain sentence.

    Args:
        response: The response.
        target_id: The id in the request. A message can repeat it, so its words are ignored.
    """
    if response.status not in _QUOTA_STATUSES:
        return False
    if response.status == 402:
        return True
    texts = [text[:_MAX_SEARCH_CHARS] for text in _find_error_texts(response)]
    if target_id:
        # Only between word boundaries, because a short id is part of many words.
        id_re = re.compile(rf"(?<![\w-]){re.escape(target_id)}(?![\w-])", re.IGNORECASE)
        texts = [id_re.sub(" ", text) for text in texts]
    return any(_QUOTA_RE.search(_CAMEL_CASE_RE.sub(" ", text)) for text in texts)


def _find_error_texts(response: HttpResponse) -> list[str]:
    """Return the texts in which a response can state a reason.

    These are the texts of its error fields, or a plain text body.
    """
    value = parse_json_body(response)
    if (
        value is None
        and response.is_complete
        and len(response.body) <= _MAX_PLAIN_TEXT_BYTES
        and not is_web_page(response)
    ):
        text = decode(response.body).strip()
        return [] if text.startswith("<") else [text]
    candidates = [value.get(name) for name in _REJECTION_FIELDS] if isinstance(value, dict) else [value]
    texts: list[object] = []
    for candidate in candidates:
        nested = [candidate.get(name) for name in _REJECTION_FIELDS] if isinstance(candidate, dict) else candidate
        # A body that is a list is ignored, because the API has none.
        texts += nested[:_MAX_LIST_ITEMS] if isinstance(nested, list) and isinstance(value, dict) else [nested]
    return [text for text in texts if isinstance(text, str)]


def is_web_page(response: HttpResponse) -> bool:
    """Return whether a response is HTML, by type or first bytes."""
    # A gateway can add a second type, separated by a comma.
    types = {text.strip() for text in re.split("[,;]", response.headers.get("Content-Type", "").lower())}
    return _starts_like_html(response.body[:_MAX_SNIFF_BYTES]) or (
        bool(types & _HTML_CONTENT_TYPES) and parse_json_body(response) is None
    )


def _starts_like_html(head: bytes) -> bool:
    head = head.removeprefix(BOM_UTF8).lstrip()
    while end := next((end for begin, end in _HTML_PROLOGS if head.startswith(begin)), b""):
        head = head.partition(end)[2].lstrip()
    # Most responses do not begin with a tag, and then the pattern is not compiled either.
    return head.startswith(b"<") and bool(_HTML_TAG_RE.match(head))


def format_api_error(fields: Mapping[str, object], sanitizer: ResponseSanitizer) -> str:
    """Return the error text of a response, redacted and on one line."""
    messages = [sanitizer.clean(get_str_field(fields, name), 500) for name in _ERROR_FIELDS]
    # Clean again, because a secret can begin in one field and end in the next.
    return sanitizer.clean(": ".join(filter(None, messages)), 500)


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait from `Retry-After`, or None.

    A date is compared with the response's own `Date`, so a wrong clock on this machine has no effect.
    Source: RFC 9110 §10.2.3.
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


def build_run_url(url: str, redact: Redactor, credentials: Redactor, api_host: str = "") -> str:
    """Return a link of the API without secrets.

    The text is empty if the link is invalid or contains a credential. A query or a fragment with a secret value is
    removed, because the path alone identifies the page.
    """
    host, _, path = url.partition("://")[2].partition("/")
    # The start of every link of the API is not a secret, unless a credential continues after it.
    url_end = path.removeprefix("run/") if host == api_host else url
    url_start = url.removesuffix(url_end)
    if not safe_url(url) or credentials(url) != credentials(url_start) + url_end:
        return ""
    shown_url = strip_query(url)
    return shown_url if redact.contains_secret(url[len(shown_url) :]) else url


def parse_json_object(response: HttpResponse, *, lenient: bool = False) -> Mapping[str, object]:
    """Return the fields of a complete JSON object, or no fields."""
    value = parse_json_body(response, lenient=lenient)
    return value if isinstance(value, dict) else {}


def get_str_field(fields: Mapping[str, object], name: str) -> str:
    """Return the text of a field, or an empty text."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def parse_json_body(response: HttpResponse, *, lenient: bool = False) -> object:
    """Return the value of a JSON body, or None if it is unusable.

    A body is unusable if it is incomplete, invalid or has too many values. It is also unusable if a key of an object
    has two values, because nothing shows which one is right.

    Args:
        response: The response.
        lenient: Accept control characters in texts, and bytes that are not UTF-8. Only responses to starts need it. A
            poll can be repeated, but a run would be lost if its start response could not be read.
    """
    if not response.is_complete or response.body.count(b",") > _MAX_JSON_COMMAS:
        return None
    try:
        body = _decode_body(response.body) if lenient else response.body
        return json.loads(body, object_pairs_hook=_build_json_object, strict=not lenient)
    except (ValueError, RecursionError):
        return None


def _decode_body(body: bytes) -> str:
    encoding = json.detect_encoding(body)
    return decode(body.removeprefix(BOM_UTF8)) if encoding.startswith("utf-8") else body.decode(encoding, "replace")


def _build_json_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object from its pairs of key and value.

    Raises:
        ValueError: A key has two values.
    """
    result = dict(pairs)
    if len(result) < len(pairs) and any(result[name] != value for name, value in pairs):
        raise ValueError("a key has two values")
    return result
