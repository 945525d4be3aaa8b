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

# This byte is never part of UTF-8, so it can separate texts.
TEXT_SEPARATOR = b"\xff"
SECRETS = (Secret("id-5e11ed"), Secret("secret-7ab1e5"))
VALUE = "value-0f-variable"


def decode_text(data: bytes) -> str:
    """Decode text like an environment variable, with surrogates for invalid bytes."""
    return data.decode("utf-8", "surrogateescape")


def build_response(data: bytes) -> HttpResponse:
    """Build a response from lines of text.

    The lines are the status, the headers, an empty line and the body. A minus before the status stands for an
    incomplete response.
    """
    head, _, body = data.partition(b"\n\n")
    status, *lines = head.decode("latin-1").split("\n")
    headers = CaseInsensitiveDict(
        {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    )
    number = status.removeprefix("-")
    known = number.isascii() and number.isdigit() and len(number) == 3
    return HttpResponse(int(number) if known else 200, headers, body, is_complete=not status.startswith("-"))


class ScriptedTransport(Transport):
    """Return one response, and lose the response to each later request."""

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


class _InputReader(NamedTuple):
    choices: list[int]
    texts: list[str]

    def choose(self, of: Sequence[T]) -> T:
        return of[(self.choices.pop() if self.choices else 0) % len(of)]

    def read_number(self) -> int:
        return self.choices.pop() if self.choices else 0

    def read_text(self) -> str:
        return self.texts.pop() if self.texts else ""


def build_report(data: bytes) -> Report:
    """Build a report from bytes.

    The bytes before the first separator choose its values, and the parts after it are its texts.
    """
    choices, *texts = data.split(TEXT_SEPARATOR)
    draw = _InputReader([*choices[:200]][::-1], [decode_text(text) for text in texts[:200]][::-1])
    outcomes = tuple(_build_result(draw) for _ in range(draw.read_number() % 4))
    verdict = Verdict(draw.choose(list(Conclusion)), draw.choose(list(ExitReason)), draw.read_number())
    links = (draw.read_text(), draw.read_text())
    context = BuildContext(
        "github", draw.read_text(), draw.read_text(), draw.read_text(), draw.read_text(), *links, draw.read_text()
    )
    return Report(
        draw.read_text(),
        context,
        draw.read_text(),
        outcomes,
        draw.choose([verdict, None]),
        results_dir=draw.read_text(),
        started_at=draw.read_text(),
        input_errors=() if outcomes else tuple(draw.read_text() for _ in range(draw.read_number() % 3)),
        web_base_url=draw.read_text(),
        waits_for_results=draw.choose([True, False]),
        resume_command=draw.read_text(),
        plan_notes=tuple(draw.read_text() for _ in range(draw.read_number() % 3)),
        duration_seconds=float(draw.read_number()),
        attachments_root=draw.read_text(),
    )


def _build_result(draw: _InputReader) -> RunResult:
    request = RunRequest(draw.choose(list(TargetKind)), draw.read_text(), draw.read_text(), {draw.read_text(): VALUE})
    return RunResult(
        request,
        draw.choose(list(RunState)),
        draw.choose(list(ExitReason)),
        run_id=draw.read_text(),
        url=draw.read_text(),
        message=draw.read_text(),
        suggestion=draw.read_text(),
        duration_seconds=float(draw.read_number()),
        start_offset_seconds=float(draw.read_number()),
        title=draw.read_text(),
        step=_build_step(draw) if draw.read_number() % 2 else None,
        previous_attempts=tuple(_build_attempt(draw) for _ in range(draw.read_number() % 2)),
        evidence=_build_evidence(draw),
    )


def _build_step(draw: _InputReader) -> RunStep:
    return RunStep(
        draw.read_number(), draw.read_text(), draw.read_text(), draw.read_text(), draw.read_text(), _choose_file(draw)
    )


def _choose_file(draw: _InputReader) -> str:
    return draw.choose(["", "evidence/r-1/step-004.png", "evidence/r-1/video.webm"])


def _build_evidence(draw: _InputReader) -> Evidence:
    return Evidence(
        tuple(_build_step(draw) for _ in range(draw.read_number() % 2)), _choose_file(draw), draw.read_text()
    )


def _build_attempt(draw: _InputReader) -> PreviousAttempt:
    return PreviousAttempt(
        draw.read_text(),
        draw.read_text(),
        draw.read_text(),
        _build_step(draw),
        0.0,
        float(draw.read_number()),
        _build_evidence(draw),
    )
