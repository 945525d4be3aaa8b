"""Test that response texts are shortened and redacted in limited time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autonoma_ci.api.account import list_folders
from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.transport import MAX_BODY_BYTES, MAX_DETAILS_BYTES, HttpResponse
from autonoma_ci.errors import ApiError
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.redaction.sanitizer import ResponseSanitizer
from tests.support.processor_time import measure_processor_seconds
from tests.system.fuzz.strategies import SECRETS, ScriptedTransport

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST = RunRequest(TargetKind.TEST, "an-id", variables={f"NAME{n}": f"a value of variable {n}" for n in range(20)})
# Processor time. Each response takes about 1 s on a fast machine.
MAX_CPU_SECONDS = 20
ESCAPED_TEXT = "%41&amp;\\"


def parse_start(response: HttpResponse) -> object:
    return AutonomaClient(ScriptedTransport(response), "test", SECRETS).start(REQUEST)


def parse_status(response: HttpResponse) -> object:
    return AutonomaClient(ScriptedTransport(response), "test", SECRETS).poll_status(REQUEST, "a-run")


def parse_details(response: HttpResponse) -> object:
    return AutonomaClient(ScriptedTransport(response), "test", SECRETS).fetch_details(REQUEST, "a-run", media=True)


def parse_folders(response: HttpResponse) -> object:
    try:
        return list_folders(ScriptedTransport(response), Redactor(SECRETS), lambda seconds: None)
    except ApiError as error:
        return error


def fill_body(limit: int, before: str, piece: str, after: str, between: str = "") -> bytes:
    """Return a body with as many pieces as the limit allows, between two texts."""
    number = (limit - len(before) - len(after) + len(between)) // (len(piece) + len(between))
    body = (before + between.join([piece] * number) + after).encode()
    assert limit - len(piece) - len(between) <= len(body) <= limit
    return body


ESCAPES = json.dumps(ESCAPED_TEXT)[1:-1]
STEP = json.dumps(dict.fromkeys(("instruction", "output", "url", "status"), ESCAPED_TEXT * 2100))
TEST = json.dumps({"id": "a", "name": f"\u200b{ESCAPED_TEXT}"})
RARE_CHARACTERS = json.dumps({"output": "\U000f1234\u0301\U0002f800" * 2000})
LONGEST_RESPONSES = {
    **{
        f"a start's {field}": (parse_start, code, fill_body(MAX_BODY_BYTES, f'{{"{field}": "', ESCAPES, '"}'))
        for field, code in {"run_id": 200, "url": 200, "message": 200, "error": 500}.items()
    },
    "a start's values": (parse_start, 200, fill_body(MAX_BODY_BYTES, "[", "[]", "]", ",")),
    "a status": (parse_status, 200, fill_body(MAX_BODY_BYTES, '{"status": "', ESCAPES, '"}')),
    "a status' message": (parse_status, 500, fill_body(MAX_BODY_BYTES, '{"message": "', ESCAPES, '"}')),
    "a name": (parse_details, 200, fill_body(MAX_DETAILS_BYTES, '{"name": "', ESCAPES, '"}')),
    "an output": (
        parse_details, 200, fill_body(MAX_DETAILS_BYTES, '{"steps": [{"status": "failed", "output": "', ESCAPES, '"}]}')
    ),
    "long steps": (parse_details, 200, fill_body(MAX_DETAILS_BYTES, '{"steps": [', STEP, "]}", ",")),
    "empty steps": (parse_details, 200, fill_body(MAX_DETAILS_BYTES, '{"steps": [', "{}", "]}", ",")),
    "steps that are none": (parse_details, 200, fill_body(MAX_DETAILS_BYTES, '{"steps": [', "[]", "]}", ",")),
    "a million steps": (parse_details, 200, b'{"steps": [' + b"{}," * 999_999 + b"{}]}"),
    "a folder's name": (parse_folders, 200, fill_body(MAX_DETAILS_BYTES, '[{"id": "a", "name": "', ESCAPES, '"}]')),
    "folders that are none": (parse_folders, 200, fill_body(MAX_DETAILS_BYTES, "[", "[]", "]", ",")),
    "tests": (
        parse_folders, 200, fill_body(MAX_DETAILS_BYTES, '[{"id": "a", "name": "a", "tests": [', TEST, "]}]", ",")
    ),
    "a value's letters": (
        parse_details, 200,
        fill_body(MAX_DETAILS_BYTES, '{"steps": [{"status": "failed", "output": "', "a value of \\u200b", '"}]}')
    ),
    "rare characters": (
        parse_details, 200, fill_body(MAX_DETAILS_BYTES, '{"steps": [', RARE_CHARACTERS, "]}", ",")
    ),
    "no list of folders": (parse_folders, 500, fill_body(MAX_DETAILS_BYTES, '{"message": "', ESCAPES, '"}')),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", LONGEST_RESPONSES)
def test_longest_response_is_parsed_in_time(name: str) -> None:
    """The longest possible response is parsed within its CPU limit."""
    parse, code, body = LONGEST_RESPONSES[name]
    assert (
        measure_processor_seconds(lambda: parse(HttpResponse(code, {}, body, is_complete=True)), MAX_CPU_SECONDS)
        < MAX_CPU_SECONDS
    )


def test_sanitizer_has_budget() -> None:
    """The sanitizer returns an ellipsis once its budget is used up."""
    sanitizer = ResponseSanitizer(lambda: Redactor(["a secret"]))
    texts = [sanitizer.clean("x" * 30_000, 7000) for _ in range(200)]
    assert texts[0] == "x" * 6999 + "…"
    assert texts[-1] == "…"
    assert sanitizer.is_budget_exhausted


@pytest.mark.slow
def test_huge_folder_list_is_error() -> None:
    """A folder list with too much text is an error."""
    assert "Invalid list of folders: too long" in str(
        parse_folders(HttpResponse(200, {}, LONGEST_RESPONSES["tests"][2], is_complete=True))
    )


def test_empty_text_skips_redaction() -> None:
    """An empty text is returned without a redactor."""

    def fail_to_build() -> Redactor:
        raise AssertionError

    assert ResponseSanitizer(fail_to_build).clean("", 100) == ""


@pytest.mark.parametrize("length", [9, 10, 11, 40, 41, 100])
def test_long_text_ends_in_ellipsis(length: int) -> None:
    """A text over its limit ends in an ellipsis."""
    assert ResponseSanitizer(lambda: Redactor(())).clean("x" * length, 10) == (
        "x" * length if length <= 10 else "x" * 9 + "…"
    )


@pytest.mark.parametrize("gap", ["\u200b" * 3, "\t", "\r\n", "\U000e0041\xad"], ids=ascii)
@pytest.mark.parametrize("before", range(0, 60, 7))
def test_secret_with_gaps_at_cut_is_hidden(gap: str, before: int) -> None:
    """Invisible characters inside a secret expose no part of it at the cut."""
    secret = "qwrtpsdfghjk"
    text = "X" * (before * 10) + gap.join(f"{secret} " * 400)
    sanitized = ResponseSanitizer(lambda: Redactor([secret])).clean(text, 200)
    assert not {*secret} & {*sanitized}
    assert sanitized.endswith("…")


def test_partial_secret_at_edge_is_hidden() -> None:
    """A partial secret is hidden, because another field can contain the rest."""
    sanitizer = ResponseSanitizer(lambda: Redactor(["abcdefgh12345678"]))
    assert sanitizer.clean("Type abcdefgh123\n", 200) == "Type ***"
    assert sanitizer.clean("efgh12345678 is wrong", 200) == "*** is wrong"
    assert sanitizer.clean("efgh12345678 is wrong", 200, is_standalone=True) == "efgh12345678 is wrong"


def test_secret_across_lines_is_redacted() -> None:
    """A secret that spans a line end is redacted before lines are joined."""
    sanitizer = ResponseSanitizer(lambda: Redactor(["sand"]))
    assert sanitizer.clean("this and sa\nnd", 200) == "this and ***"


ENCODINGS: list[Callable[[str], str]] = [
    str,
    quote,
    lambda text: text.encode().hex(),
    lambda text: json.dumps(text)[1:-1],
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    lambda text: "".join(f"\\{letter}" for letter in text),
]
# Without digits, capitals and percent signs, because a rest of an escape can have them and reveals nothing.
LETTERS = "abcdef/ &é"
SECRET = st.text(LETTERS, min_size=6, max_size=30).filter(lambda value: len(value.strip()) > 5)


@pytest.mark.slow
@given(st.lists(SECRET, min_size=1, max_size=3), st.sampled_from(ENCODINGS), st.lists(st.sampled_from("XSS")))
@example(["abcdef" * 5], str, ["S"])
@example(["abcdef" * 5], quote, ["X", "S"])
@example(["abcdef", "abcdefabcdef"], str, [])
def test_secret_is_hidden_at_any_cut(values: list[str], encode: Callable[[str], str], pieces: list[str]) -> None:
    """A cut at any position of the text exposes no part of a secret.

    A space before or after a value reveals nothing.
    """
    redactor, secret, limit = Redactor(values), encode(values[0]), 200
    # The text has secrets beyond its first cut, and the gap moves the cut to each position of a secret.
    repeated_text = "".join(secret if piece == "S" else "X" for piece in [*pieces, "S"])
    repeated_text *= (4 * limit + 10 * redactor.max_variant_length) // len(repeated_text) + 2
    for gap in range(len(secret)):
        assert not ({*LETTERS} - {" "}) & {*ResponseSanitizer(lambda: redactor).clean("X" * gap + repeated_text, limit)}
