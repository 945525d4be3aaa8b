"""Recognizable secrets, and a search for them in every encoding."""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote_plus
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CLIENT_ID = "Zq1id-kX7_p9Wv2T/+=&x"
CLIENT_SECRET = "-Zq2sec%3A,:]##[w]9fL2'\"<y&"
TOKEN = "Zq3glpat-Rr8sUu5mNn1e"
# A credential in variables of the CI system.
JOB_TOKEN = "Zq4job-Hh6jGg3dEe9w"
VARIABLE_VALUES = {
    # Not "pass", because an id that ends in "q5" before the word "passed" would match a part.
    "WORDS": "Zq5pa7s w0rd & more\ttab+50%",
    "LINES": "-----BEGIN Zq6-----\nZq6IEvQIBADANBg+/==\r\n  Zq6kqhkiG9w0B  \n-----END Zq6-----\n",
    "FOREIGN": "Zq7pässwörd-€-пароль-🚀",
    # No id has this character.
    "SHORT": "Zq~",
}
SECRETS = {
    "client id": CLIENT_ID,
    "client secret": CLIENT_SECRET,
    "token": TOKEN,
    "job token": JOB_TOKEN,
    **{f"variable {name}": value for name, value in VARIABLE_VALUES.items()},
}
# A part of this length does not occur by chance and can help an attacker.
_MIN_PART_CHARS = 6
_MIN_ENCODED_CHARS = 8


def _encode_base64_after(offset: int) -> Callable[[str], str]:
    return lambda text: base64.b64encode(b"x" * offset + text.encode()).decode()


# The encodings in which a server can repeat a request.
ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "percent": lambda text: quote(text, safe=""),
    "path": quote,
    "form": quote_plus,
    "percent twice": lambda text: quote(quote(text)),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "HTML": html.escape,
    "hex": lambda text: text.encode().hex(),
    "base64": _encode_base64_after(0),
    "base64, one later": _encode_base64_after(1),
    "base64, two later": _encode_base64_after(2),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(b"x" + text.encode()).decode(),
    "zero width": "\u200b".join,
    "bidi marks and tags": "\u2066\U000e0041".join,
    "escaped zero width": "\\u200b".join,
    "tabs": lambda text: _join_pieces(text, "\t"),
    "wrapped": lambda text: _join_pieces(text, "\r\n    "),
    "wide": lambda text: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
}


def _join_pieces(text: str, separator: str) -> str:
    return separator.join(text[index : index + 5] for index in range(0, len(text), 5))


def encode_texts(form: str, texts: Iterable[str]) -> str:
    """Encode all texts in one form, except very short ones."""
    return " ".join(ENCODINGS[form](text) if len(text) >= _MIN_ENCODED_CHARS else text for text in texts)


def _normalize(text: str) -> str:
    """Normalize a text to NFKC without invisible characters and white space."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(
        letter for letter in text if not letter.isspace() and unicodedata.category(letter) not in {"Cf", "Cc"}
    )


def _build_needles(value: str) -> set[str]:
    """Return lower-case texts that no output may contain."""
    lines = {line.strip() for line in value.splitlines() if line.strip()}
    # The frame lines are equal in all keys.
    secret_lines = {line for line in lines if "-----" not in line}
    needles = {value.strip(), *secret_lines}
    for text in secret_lines:
        needles |= {text[index : index + _MIN_PART_CHARS] for index in range(len(text) - _MIN_PART_CHARS + 1)}
        needles |= {text[::-1][index : index + _MIN_PART_CHARS] for index in range(len(text) - _MIN_PART_CHARS + 1)}
    for text in {value, *lines}:
        data = text.encode()
        # Digests in a results.json contain the hexadecimal digits of a short text by chance.
        forms = (form for name, form in ENCODINGS.items() if name != "hex" or len(data) >= _MIN_ENCODED_CHARS)
        needles |= {escape(text), escape(text, {"'": "&apos;", '"': "&quot;"}), *(form(text) for form in forms)}
        if len(data) >= _MIN_ENCODED_CHARS:
            needles |= {part for offset in range(3) for part in _iterate_base64_parts(data, offset)}
    # Longer parts, regardless of line breaks.
    for text in map(_normalize, secret_lines):
        needles |= {
            text[index : index + 2 * _MIN_PART_CHARS] for index in range(max(1, len(text) - 2 * _MIN_PART_CHARS + 1))
        }
    return {text.lower() for text in needles if len(text) >= _MIN_PART_CHARS} | {value.lower()}


def _iterate_base64_parts(data: bytes, offset: int) -> Iterator[str]:
    """Yield the base64 text that does not depend on surrounding data."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(bytes(offset) + data).decode()[(0, 2, 3)[offset] : (offset + len(data)) * 8 // 6]


SECRET_PARTS = {name: _build_needles(value) for name, value in SECRETS.items()}


def find_leaks(texts: Mapping[str, str], *allowed: str) -> list[str]:
    """Return each secret found in a text, with its source and form.

    Args:
        texts: The texts by source.
        allowed: Names of secrets to ignore.
    """
    return [
        f"{name} in {source} as {needle!r}"
        for source, text in texts.items()
        for haystack in _decode_text(text)
        for name, needles in SECRET_PARTS.items()
        if name not in allowed
        for needle in needles
        if needle in haystack
    ]


def _decode_text(text: str) -> set[str]:
    """Return a text with and without the escapes of each output format."""
    lower_text = text.lower()
    unescaped = re.sub("[\u200b\\\\]", "", lower_text)
    variants = {lower_text, unescaped, html.unescape(unescaped), unquote_plus(unescaped)}
    return variants | {_normalize(text) for text in (*variants, re.sub(r"\\u200b|\\[rnt]", "", lower_text))}
