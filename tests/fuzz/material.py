"""Build responses, texts and reports from the bytes of a fuzz input."""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from requests.structures import CaseInsensitiveDict

from autonoma_ci.api.transport import HttpResponse, Transport
from autonoma_ci.models import (
    BuildContext,
    Conclusion,
    Evidence,
    ExitReason,
    PreviousAttempt,
    Report,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
    Verdict,
)
from autonoma_ci.net.errors import ResponseLostError
from autonoma_ci.redaction.redactor import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

# Never part of UTF-8, so that it parts texts and is in none.
PARTS = b"\xff"
SECRETS = (Secret("id-5e11ed"), Secret("secret-7ab1e5"))
VALUE = "value-0f-variable"


def text_of(data: bytes) -> str:
    """Return the text as the environment has it: what is not UTF-8 is lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def answer_of(data: bytes) -> HttpResponse:
    """Return an answer from a line with the status, a line for each header, an empty line and the body.

    A minus before the status is an answer that was cut short.
    """
    head, _, body = data.partition(b"\n\n")
    status, *lines = head.decode("latin-1").split("\n")
    headers = CaseInsensitiveDict(
        {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    )
    number = status.removeprefix("-")
    known = number.isascii() and number.isdigit() and len(number) == 3
    return HttpResponse(int(number) if known else 200, headers, body, is_complete=not status.startswith("-"))


class Scripted(Transport):
    """Gives the same answer to everything; to a second GET none comes."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__("https://api.example/api", SECRETS)
        self._answers = chain([answer], repeat(None))

    def post(self, path: str, payload: Mapping[str, object]) -> HttpResponse:
        return self._next()

    def get(self, path: str, limit: int = 0) -> HttpResponse:
        return self._next()

    def _next(self) -> HttpResponse:
        answer = next(self._answers)
        if answer is None:
            raise ResponseLostError("no answer came")
        return answer


class _Draw(NamedTuple):
    choices: list[int]
    texts: list[str]

    def one(self, of: Sequence[T]) -> T:
        return of[(self.choices.pop() if self.choices else 0) % len(of)]

    def number(self) -> int:
        return self.choices.pop() if self.choices else 0

    def text(self) -> str:
        return self.texts.pop() if self.texts else ""


def report_of(data: bytes) -> Report:
    """Return a report: the bytes before the first 0xFF choose what it is of, the parts after it are its texts."""
    choices, *texts = data.split(PARTS)
    draw = _Draw([*choices[:200]][::-1], [text_of(text) for text in texts[:200]][::-1])
    outcomes = tuple(_outcome(draw) for _ in range(draw.number() % 4))
    verdict = Verdict(draw.one(list(Conclusion)), draw.one(list(ExitReason)), draw.number())
    links = (draw.text(), draw.text())
    context = BuildContext("github", draw.text(), draw.text(), draw.text(), draw.text(), *links, draw.text())
    return Report(
        draw.text(),
        context,
        draw.text(),
        outcomes,
        draw.one([verdict, None]),
        results_dir=draw.text(),
        started_at=draw.text(),
        input_errors=() if outcomes else tuple(draw.text() for _ in range(draw.number() % 3)),
        web_base_url=draw.text(),
        waits_for_results=draw.one([True, False]),
        resume_command=draw.text(),
        plan_notes=tuple(draw.text() for _ in range(draw.number() % 3)),
        duration_seconds=float(draw.number()),
        attachments_root=draw.text(),
    )


def _outcome(draw: _Draw) -> RunResult:
    request = RunRequest(draw.one(list(TargetKind)), draw.text(), draw.text(), {draw.text(): VALUE})
    return RunResult(
        request,
        draw.one(list(RunState)),
        draw.one(list(ExitReason)),
        run_id=draw.text(),
        url=draw.text(),
        message=draw.text(),
        suggestion=draw.text(),
        duration_seconds=float(draw.number()),
        start_offset_seconds=float(draw.number()),
        title=draw.text(),
        step=_step(draw) if draw.number() % 2 else None,
        previous_attempts=tuple(_earlier(draw) for _ in range(draw.number() % 2)),
        evidence=_evidence(draw),
    )


def _step(draw: _Draw) -> RunStep:
    return RunStep(draw.number(), draw.text(), draw.text(), draw.text(), draw.text(), _file(draw))


def _file(draw: _Draw) -> str:
    return draw.one(["", "evidence/r-1/step-004.png", "evidence/r-1/video.webm"])


def _evidence(draw: _Draw) -> Evidence:
    return Evidence(tuple(_step(draw) for _ in range(draw.number() % 2)), _file(draw), draw.text())


def _earlier(draw: _Draw) -> PreviousAttempt:
    return PreviousAttempt(
        draw.text(), draw.text(), draw.text(), _step(draw), 0.0, float(draw.number()), _evidence(draw)
    )
