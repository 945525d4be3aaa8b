"""What an answer to the question how a run stands, or what it did, means.

Source: the vendor's public API pages, on how a run stands and on its details.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from autonoma_ci.api.answers import (
    CHECK_URL,
    QUOTA_USED_UP,
    WEB_PAGE,
    fields_of,
    is_web_page,
    names_quota,
    retry_after,
    said,
    shown_link,
    text_of,
)
from autonoma_ci.api.run_ids import find_linked_run, names_other_run, read_id
from autonoma_ci.api.texts import Texts
from autonoma_ci.exchange import Details, Media, Said, Status
from autonoma_ci.model import Kind
from autonoma_ci.secret import NOTHING_SECRET
from autonoma_ci.steps import STEPS_LIMIT, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.api.transport import Answer
    from autonoma_ci.secret import Redactor

# The API names pending, running, passed and failed; the others are what its relatives say. Passed has no relatives.
_FAILED = frozenset({"failed", "failure", "error", "errored"})
_STOPPED = frozenset({"cancelled", "canceled", "stopped", "skipped", "aborted", "terminated"})
_GOING_ON = frozenset(
    {"pending", "queued", "scheduled", "waiting", "created", "initializing", "starting", "started", "running"}
    | {"in_progress", "processing", "retrying"}
)
_WORDS = {
    "passed": Said.PASSED,
    **dict.fromkeys(_FAILED, Said.FAILED),
    **dict.fromkeys(_STOPPED, Said.STOPPED),
    **dict.fromkeys(_GOING_ON, Said.GOING_ON),
}


def status(
    answer: Answer,
    redactor: Callable[[], Redactor],
    credentials: Redactor = NOTHING_SECRET,
    api_host: str = "",
    kind: Kind = Kind.TEST,
    run_id: str = "",
) -> Status:
    """Return what the response to a request for a run's status means.

    Args:
        answer: The response.
        redactor: Makes what removes secrets from its texts, if it has any.
        credentials: Finds credentials, for which the run's link is withheld.
        api_host: The host of the API, which is no secret.
        kind: What the run runs.
        run_id: The run that was asked for. A response that names another one is not used.
    """
    code, fields, texts = answer.status, fields_of(answer), Texts(redactor)
    if code == 200 and fields:
        found, url = _word(fields.get("status"), texts), text_of(fields, "url")
        linked = find_linked_run(url, kind)
        # A link that is not shown says nothing. That check is slow, so the ids are compared first.
        other_link = linked not in {"", run_id} and shown_link(url, credentials, credentials, api_host)
        if run_id and (other_link or names_other_run(fields, kind, run_id)):
            return Status(Said.TROUBLE, message="the response is about another run", status=code)
        # Only a run that passed before needs its link: of the others it is known since the start.
        wanted = url and found.said is Said.PASSED
        return found._replace(url=shown_link(url, redactor(), credentials, api_host)) if wanted else found
    message = f"HTTP {code}" + (f": {text}" if (text := said(fields, texts)) else "")
    wait = retry_after(answer.headers)
    if names_quota(answer):
        # The run goes on, and the credentials are fine: the next poll may succeed.
        return Status(Said.TROUBLE, message=f"{QUOTA_USED_UP} ({message})", status=code)
    if code in {401, 403}:
        return Status(Said.UNAUTHORIZED, message=message, status=code)
    if code == 404:
        return Status(Said.MISSING, message=message, status=code)
    if code in {429, 503}:
        return Status(Said.BUSY, message=message, status=code, retry_after=wait)
    if 200 <= code < 300 and is_web_page(answer):
        message = f"HTTP {code}, but {WEB_PAGE}. {CHECK_URL.removesuffix('.')}"
    elif code == 200:
        message = "HTTP 200, but the answer is " + ("not in the form that is known" if answer.complete else "cut short")
    return Status(Said.TROUBLE, message=message, status=code)


def _word(value: object, texts: Texts) -> Status:
    if not isinstance(value, str):
        return Status(Said.STRANGE, message="the API names no status", status=200)
    word = _normalized(value)
    if known := _WORDS.get(word):
        return Status(known, word, status=200)
    shown = texts.line(value, 60)
    return Status(Said.STRANGE, shown, f"the API says '{shown}', which is no status that is known", 200)


def _normalized(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def details(answer: Answer, redactor: Callable[[], Redactor], run_id: str = "", test_id: str = "") -> Details:
    """Return what the API tells of a run of a test that ended; every field may be missing.

    Details that name another run or test are not used. `contradiction` says so.
    """
    fields = fields_of(answer)
    if answer.status != 200 or not fields:
        return Details(problem=f"HTTP {answer.status}" if answer.status != 200 else "not in the form that is known")
    test = fields.get("test")
    tests = [fields.get("test_id"), test.get("id") if isinstance(test, dict) else None]
    for values, wanted, what in (([fields.get("id")], run_id, "run"), (tests, test_id, "test")):
        if wanted and {read_id(value) for value in values} - {"", wanted}:
            why = f"the details are of another {what}"
            return Details(problem=why, contradiction=why)
    listed, word = fields.get("steps"), fields.get("status")
    steps = listed if isinstance(listed, list) else []
    kept, texts = _kept(steps), Texts(redactor)
    # In the order in which they matter: of very much text the last is left out.
    return Details(
        title=texts.line(text_of(fields, "name"), 200).strip(),
        step=_failing(steps, texts),
        seconds=_seconds(text_of(fields, "created_at"), text_of(fields, "ended_at")),
        steps=tuple(_step(number, step, texts, 300, 500) for number, step in kept),
        media=_media(kept, fields.get("video_url")),
        # The status decides what a run is. A word that is not known does not contradict it.
        said=_WORDS.get(_normalized(word)) if isinstance(word, str) else None,
    )


def _kept(steps: list[object]) -> list[tuple[int, dict[str, object]]]:
    """Return the steps with their numbers; of very many the first and the last."""
    known = [number for number, step in enumerate(steps, 1) if isinstance(step, dict)]
    half = STEPS_LIMIT // 2
    kept = known if len(known) <= STEPS_LIMIT else known[:half] + known[-half:]
    return [(number, step) for number in kept if isinstance(step := steps[number - 1], dict)]


def _failing(steps: list[object], texts: Texts) -> Step | None:
    """Return the last step that failed: the one that ended the run."""
    for number in range(len(steps), 0, -1):
        step = steps[number - 1]
        if isinstance(step, dict) and text_of(step, "status").strip().lower() in _FAILED:
            return _step(number, step, texts, 500, 2000)
    return None


def _step(number: int, step: dict[str, object], texts: Texts, longest: int, output: int) -> Step:
    told = texts.line(text_of(step, "instruction"), longest).strip()
    seen = texts.line(text_of(step, "output"), output).strip()
    # Reports put a word before a step's link.
    url = texts.line(text_of(step, "url"), 2000, apart=True)
    return Step(number, told, seen, url, texts.line(text_of(step, "status"), 40).strip().lower())


def _media(kept: list[tuple[int, dict[str, object]]], video: object) -> dict[int, Media]:
    found = {number: step.get("image") for number, step in kept} | {0: video}
    return {number: Media(url) for number, url in found.items() if isinstance(url, str) and url}


def _seconds(begun: str, ended: str) -> float | None:
    try:
        seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()
    except (ValueError, TypeError):  # no times, or one with a time zone and one without
        return None
    return seconds if seconds >= 0 else None
