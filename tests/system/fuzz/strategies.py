"""Build responses, texts and reports from the bytes of a fuzz input."""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from requests.structures import CaseInsensitiveDict

from autonoma_ci.api.transport import HttpResponse, Transport
from autonoma_ci.models import (
    BuildContext,
    ChangeSummary,
    Conclusion,
    Evidence,
    ExitReason,
    PreviousAttempt,
    Quarantine,
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
    status_text = status.removeprefix("-")
    is_valid_status = status_text.isascii() and status_text.isdigit() and len(status_text) == 3
    return HttpResponse(
        int(status_text) if is_valid_status else 200, headers, body, is_complete=not status.startswith("-")
    )


class ScriptedTransport(Transport):
    """Return one response, and lose the response to each later request."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__("https://api.example/api", SECRETS)
        self._responses = chain([response], repeat(None))

    def post(self, path: str, payload: Mapping[str, object]) -> HttpResponse:
        return self._next()

    def get(self, path: str, limit: int = 0) -> HttpResponse:
        return self._next()

    def _next(self) -> HttpResponse:
        response = next(self._responses)
        if response is None:
            raise ResponseLostError("no answer came")
        return response


class _InputReader(NamedTuple):
    choices: list[int]
    texts: list[str]

    def choose(self, options: Sequence[T]) -> T:
        return options[(self.choices.pop() if self.choices else 0) % len(options)]

    def read_number(self) -> int:
        return self.choices.pop() if self.choices else 0

    def read_text(self) -> str:
        return self.texts.pop() if self.texts else ""


def build_report(data: bytes) -> Report:
    """Build a report from bytes.

    The bytes before the first separator choose its values, and the parts after it are its texts.
    """
    choices, *texts = data.split(TEXT_SEPARATOR)
    reader = _InputReader([*choices[:200]][::-1], [decode_text(text) for text in texts[:200]][::-1])
    results = tuple(_build_result(reader) for _ in range(reader.read_number() % 4))
    verdict = Verdict(reader.choose(list(Conclusion)), reader.choose(list(ExitReason)), reader.read_number())
    links = (reader.read_text(), reader.read_text())
    context = BuildContext(
        "github",
        reader.read_text(),
        reader.read_text(),
        reader.read_text(),
        reader.read_text(),
        *links,
        reader.read_text(),
    )
    report = Report(
        reader.read_text(),
        context,
        reader.read_text(),
        results,
        reader.choose([verdict, None]),
        results_dir=reader.read_text(),
        started_at=reader.read_text(),
        input_errors=() if results else tuple(reader.read_text() for _ in range(reader.read_number() % 3)),
        web_base_url=reader.read_text(),
        waits_for_results=reader.choose([True, False]),
        resume_command=reader.read_text(),
        plan_notes=tuple(reader.read_text() for _ in range(reader.read_number() % 3)),
        duration_seconds=float(reader.read_number()),
        attachments_root=reader.read_text(),
        source_label=reader.read_text(),
        change_noun=reader.read_text(),
    )
    # Last, so that stored inputs keep their meaning.
    reason = reader.read_text()
    return report._replace(
        results=tuple(_add_manifest_facts(run, reader) for run in report.results),
        change=ChangeSummary("clone", reader.read_text(), reader.read_number(), reason or None),
        quarantined_by_change=tuple(reader.read_text() for _ in range(reader.read_number() % 3)),
    )


def _add_manifest_facts(run: RunResult, reader: _InputReader) -> RunResult:
    texts = reader.read_text(), reader.read_text(), reader.read_text()
    quarantine = Quarantine(*texts) if reader.read_number() % 2 else None
    return run._replace(
        request=run.request._replace(
            owner=reader.read_text(),
            environment=reader.read_text(),
            rerun_command=reader.read_text(),
            quarantine=quarantine,
        )
    )


def _build_result(reader: _InputReader) -> RunResult:
    request = RunRequest(
        reader.choose(list(TargetKind)), reader.read_text(), reader.read_text(), {reader.read_text(): VALUE}
    )
    return RunResult(
        request,
        reader.choose(list(RunState)),
        reader.choose(list(ExitReason)),
        run_id=reader.read_text(),
        url=reader.read_text(),
        message=reader.read_text(),
        suggestion=reader.read_text(),
        duration_seconds=float(reader.read_number()),
        start_offset_seconds=float(reader.read_number()),
        title=reader.read_text(),
        step=_build_step(reader) if reader.read_number() % 2 else None,
        previous_attempts=tuple(_build_attempt(reader) for _ in range(reader.read_number() % 2)),
        evidence=_build_evidence(reader),
    )


def _build_step(reader: _InputReader) -> RunStep:
    return RunStep(
        reader.read_number(),
        reader.read_text(),
        reader.read_text(),
        reader.read_text(),
        reader.read_text(),
        _choose_file(reader),
    )


def _choose_file(reader: _InputReader) -> str:
    return reader.choose(["", "evidence/r-1/step-004.png", "evidence/r-1/video.webm"])


def _build_evidence(reader: _InputReader) -> Evidence:
    return Evidence(
        tuple(_build_step(reader) for _ in range(reader.read_number() % 2)), _choose_file(reader), reader.read_text()
    )


def _build_attempt(reader: _InputReader) -> PreviousAttempt:
    return PreviousAttempt(
        reader.read_text(),
        reader.read_text(),
        reader.read_text(),
        _build_step(reader),
        0.0,
        float(reader.read_number()),
        _build_evidence(reader),
    )
