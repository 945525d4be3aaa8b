"""Secrets that can be told from all other text, and a search for them in every form that a text can hide them in."""

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
# What the CI system keeps in variables of its own.
OF_THE_JOB = "Zq4job-Hh6jGg3dEe9w"
VALUES = {
    # With "pass" in it, an id that ends in "q5" before the word "passed" would be taken for a part.
    "WORDS": "Zq5pa7s w0rd & more\ttab+50%",
    "LINES": "-----BEGIN Zq6-----\nZq6IEvQIBADANBg+/==\r\n  Zq6kqhkiG9w0B  \n-----END Zq6-----\n",
    "FOREIGN": "Zq7pässwörd-€-пароль-🚀",
    # With a character that no id has by chance.
    "SHORT": "Zq~",
}
SECRETS = {
    "client id": CLIENT_ID,
    "client secret": CLIENT_SECRET,
    "token": TOKEN,
    "job token": OF_THE_JOB,
    **{f"variable {name}": value for name, value in VALUES.items()},
}
# A part of this length is no accident, and somebody's way in.
_PART = 6
_LONG = 8


def _shifted(more: int) -> Callable[[str], str]:
    return lambda text: base64.b64encode(b"x" * more + text.encode()).decode()


# The forms in which a server may repeat what it was sent.
ECHOES: Mapping[str, Callable[[str], str]] = {
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
    "base64": _shifted(0),
    "base64, one later": _shifted(1),
    "base64, two later": _shifted(2),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(b"x" + text.encode()).decode(),
    "zero width": "\u200b".join,
    "bidi marks and tags": "\u2066\U000e0041".join,
    "escaped zero width": "\\u200b".join,
    "tabs": lambda text: _pieces(text, "\t"),
    "wrapped": lambda text: _pieces(text, "\r\n    "),
    "wide": lambda text: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
}


def _pieces(text: str, between: str) -> str:
    return between.join(text[place : place + 5] for place in range(0, len(text), 5))


def echo(form: str, texts: Iterable[str]) -> str:
    """Return these texts in one form; what is too short to be told from others is as it is."""
    return " ".join(ECHOES[form](text) if len(text) >= _LONG else text for text in texts)


def _seen(text: str) -> str:
    """Return a text in NFKC, without invisible characters and white space."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(
        letter for letter in text if not letter.isspace() and unicodedata.category(letter) not in {"Cf", "Cc"}
    )


def _needles(value: str) -> set[str]:
    """Return texts of which none may occur in anything that we print or write, in small letters."""
    lines = {line.strip() for line in value.splitlines() if line.strip()}
    # The frame of a key is the same in all keys.
    secret = {line for line in lines if "-----" not in line}
    found = {value.strip(), *secret}
    for text in secret:
        found |= {text[place : place + _PART] for place in range(len(text) - _PART + 1)}
        found |= {text[::-1][place : place + _PART] for place in range(len(text) - _PART + 1)}
    for text in {value, *lines}:
        data = text.encode()
        # The hexadecimal digits of a short text occur in the digests of a record by chance.
        forms = (form for name, form in ECHOES.items() if name != "hex" or len(data) >= _LONG)
        found |= {escape(text), escape(text, {"'": "&apos;", '"': "&quot;"}), *(form(text) for form in forms)}
        if len(data) >= _LONG:
            found |= {part for more in range(3) for part in _inside(data, more)}
    # As a reader sees them who does not care how lines are wrapped.
    for text in map(_seen, secret):
        found |= {text[place : place + 2 * _PART] for place in range(max(1, len(text) - 2 * _PART + 1))}
    return {text.lower() for text in found if len(text) >= _PART} | {value.lower()}


def _inside(data: bytes, more: int) -> Iterator[str]:
    """Yield the part of both base64 alphabets that is the same whatever is around the data."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(bytes(more) + data).decode()[(0, 2, 3)[more] : (more + len(data)) * 8 // 6]


NEEDLES = {name: _needles(value) for name, value in SECRETS.items()}


def found(texts: Mapping[str, str], *allowed: str) -> list[str]:
    """Return which secret is in which of the texts, and as what; those named in `allowed` are not looked for."""
    return [
        f"{name} in {place} as {needle!r}"
        for place, text in texts.items()
        for haystack in _plain(text)
        for name, needles in NEEDLES.items()
        if name not in allowed
        for needle in needles
        if needle in haystack
    ]


def _plain(text: str) -> set[str]:
    """Return a text as it stands, and without what the writers of each format put between its characters."""
    low = text.lower()
    bare = re.sub("[\u200b\\\\]", "", low)
    plain = {low, bare, html.unescape(bare), unquote_plus(bare)}
    return plain | {_seen(text) for text in (*plain, re.sub(r"\\u200b|\\[rnt]", "", low))}
