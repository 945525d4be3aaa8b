"""Comparable forms of texts, in which nothing counts that a reader may not see."""

from __future__ import annotations

import codecs
import html
import re
import sys
import unicodedata
from itertools import chain, compress, count, repeat
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus

from autonoma_ci.lazy_regex import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Folding(dict[int, str]):
    """The folded form of each character, computed when `str.translate` first needs it."""

    def __missing__(self, code: int) -> str:
        self[code] = self._fold(chr(code))
        return self[code]

    def _fold(self, letter: str) -> str:
        # Without marks at first, since U+0345, the iota below a letter, is a letter of its own in capitals.
        plain = "".join(filter(_is_no_mark, unicodedata.normalize("NFKD", letter)))
        return "".join(
            part for part in _compatible(plain) if _is_no_mark(part) and not (part.isspace() or _is_ignorable(part))
        )


class _Reduction(_Folding):
    """The reduced form of each character, which keeps white space and accents."""

    def _fold(self, letter: str) -> str:
        if letter.isspace():
            return " "
        return "" if _is_ignorable(letter) else _compatible(letter)


class _LineReduction(_Reduction):
    """The reduced form of each character, in which white space that is not shown as a space is a line break."""

    def _fold(self, letter: str) -> str:
        return "\n" if letter.isspace() and unicodedata.category(letter) != "Zs" else super()._fold(letter)


class _Cleaning(_Folding):
    """The form of each character after NFKC, without accents and without what is not shown."""

    def _fold(self, letter: str) -> str:
        return unicodedata.normalize("NFKC", letter) if _is_no_mark(letter) and not _is_ignorable(letter) else ""


def _is_ignorable(letter: str) -> bool:
    """Return whether a character is invisible or no character at all."""
    code = ord(letter)
    invalid = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    is_tag = 0xE0000 <= code <= 0xE0FFF
    return unicodedata.category(letter) in {"Cf", "Cc", "Cs"} or letter in _BLANK or invalid or is_tag


def _is_no_mark(letter: str) -> bool:
    return unicodedata.category(letter) not in {"Mn", "Me"}


def _compatible(letter: str) -> str:
    """Return the character in NFKD and in small letters."""
    # By way of capitals, which are the same for I, i and ı. A small letter may have another decomposition.
    small = unicodedata.normalize("NFKD", letter).upper().casefold()
    return unicodedata.normalize("NFKD", small).translate(_TYPOGRAPHIC)


# What typography and some keyboards put in the place of ASCII.
_TYPOGRAPHIC = {
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b"), "-"),
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bc\u00b4"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb"), '"'),
    **dict.fromkeys(map(ord, "\u2044\u2215"), "/"),
}


# The planes without letters, but for tags and noncharacters. All of them are compared as one character, since a table
# with an entry for each would take 200 MB.
_RARE = lazy_pattern(
    "".join(
        ["[\U000e1000-\U000efffd", *(f"{chr(p << 16)}-{chr((p << 16) + 0xFFFD)}" for p in (*range(3, 14), 15, 16)), "]"]
    )
)
_PRIVATE = "\ue000"
# Characters of other categories that are not shown: Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties,
# the Braille pattern without dots, and the replacement character, into which `text.one_line` turns controls.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0\ufffd") | frozenset(
    chr(code) for codes in (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xFFF0, 0xFFF9)) for code in codes
)
_BETWEEN_WORDS = lazy_pattern(r"(?<=[^\W_]) (?=[^\W_])")
_FOLDING, _REDUCTION, _LINE_REDUCTION, _CLEANING = _Folding(), _Reduction(), _LineReduction(), _Cleaning()
# The characters of windows-1252 for the bytes that Python keeps as halves of characters. Five bytes have none.
_SINGLE_BYTES = {0xDC00 + code: bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(0x80, 0x100)}
_ASCII_SMALL = bytes(range(128)).lower() + bytes(range(128, 256))
_ASCII_UNSEEN = bytes([*range(0x21), 0x7F])
_ASCII_SEEN = bytes(code not in _ASCII_UNSEEN for code in range(256))


def decode(data: bytes) -> str:
    """Return the text of bytes in UTF-8. Other bytes are read as windows-1252, as browsers do.

    A replacement character in their place would take letters out of a value.
    """
    return decode_single_bytes(data.decode("utf-8", "surrogateescape"))


def decode_header(value: str) -> str:
    """Return the text of a header's value, of which http.client gives each byte as a character."""
    return decode(value.encode("latin-1", "replace"))


def decode_single_bytes(text: str) -> str:
    """Return the text with windows-1252 in the place of bytes that `surrogateescape` has kept."""
    return text.translate(_SINGLE_BYTES)


def fold(text: str) -> str:
    """Return a text in small letters and NFKD, without all that may not show.

    White space, accents, and invisible and control characters may not show.
    """
    # Raises for bytes.
    if str.isascii(text):
        # The same as below, in a tenth of the time.
        return text.encode().translate(_ASCII_SMALL, _ASCII_UNSEEN).decode()
    return _RARE.sub(_PRIVATE, text).translate(_FOLDING)


def drop_last_letters(text: str, number: int) -> str:
    """Return the text without its last `number` characters that `fold` keeps."""
    size = min(number, len(text))
    while len(fold(text[len(text) - size :])) < number:
        if size >= len(text):
            return ""
        size = min(2 * size, len(text))
    kept = len(text) - size
    return text[: kept + fold_with_positions(text[kept:])[-number]] if number else text


def clean(text: str) -> str:
    """Return a text in NFKC, without accents and without what is not shown."""
    return text if text.isascii() else _RARE.sub(_PRIVATE, text).translate(_CLEANING)


def fold_keeping_words(text: str) -> str:
    """Return the folded text with "|" between two words of a sentence."""
    return fold(_BETWEEN_WORDS.sub("|", text))


def fold_with_positions(text: str) -> list[int]:
    """Return for each character of the folded text where it comes from."""
    if text.isascii():
        return list(compress(range(len(text)), text.encode().translate(_ASCII_SEEN)))
    return _places(text, _FOLDING)


def reduce(text: str) -> str:
    """Return a text in small letters and NFKD, without invisible characters.

    White space becomes spaces.
    """
    return _RARE.sub(_PRIVATE, text).translate(_REDUCTION)


def reduce_lines(text: str) -> str:
    """Return the reduced text with a line break for each tab, line break and paragraph separator."""
    return _RARE.sub(_PRIVATE, text).translate(_LINE_REDUCTION)


def reduce_with_positions(text: str) -> list[int]:
    """Return for each character of the reduced text where it comes from."""
    return _places(text, _REDUCTION)


def _places(text: str, table: _Folding) -> list[int]:
    counts = map(len, map(table.__getitem__, map(ord, _RARE.sub(_PRIVATE, text))))
    return list(chain.from_iterable(map(repeat, count(), counts)))


def unescape(text: str) -> set[str]:
    """Undo the escapes of URLs, HTML, JSON, programming languages and terminals.

    Escapes within escapes are undone up to four deep. There may be several results: a `+` stands for itself or for a
    space, and a backslash before `n` for a line break in some languages and for the letter in others.
    """
    if not _ESCAPED.search(text):
        return {text}
    found = _unescape(text, unquote)
    if any("+" in plain for plain in found):
        found |= _unescape(text, unquote_plus)
    return found


def unescape_in_steps(text: str) -> set[str]:
    """Return the text, and its results after up to three steps. A step undoes one level of one kind of escapes.

    A value can look like an escape itself. It is among these results, while `unescape` undoes the value too.
    """
    found = latest = {text}
    for _ in range(_STEPS):
        latest = {plain for step in latest for plain in _undo_each(step)} - found
        found = found | latest
    return found


def _undo_each(text: str) -> Iterator[str]:
    """Yield the text without one level of each kind of escapes that it may have."""
    if "%" in text:
        yield unquote(text)
    if "+" in text:
        yield unquote_plus(text)
    if "&" in text:
        yield _unescape_html(text)
    if "\\" in text or "%u" in text:
        yield _LEVEL.sub(_decode_level, text)


def _unescape_html(text: str) -> str:
    """Undo one level of the escapes of HTML.

    `html.unescape` raises ValueError for numbers of more than 4,300 digits, so long ones are made short: without the
    zeros before them, and above the last character.
    """
    if _LONG_REFERENCE.search(text):
        text = _LONG_REFERENCE.sub("&#99999999", _LEADING_ZEROS.sub("&#", text))
    return html.unescape(text)


def _unescape(text: str, unescape_url: Callable[[str], str]) -> set[str]:
    """Undo all escapes, those of a URL by the given function."""
    for _ in range(_DEPTH):
        plain = _unescape_html(unescape_url(text))
        if "\\" in plain or "%u" in plain:
            # An escape within escapes has several backslashes.
            plain = _ESCAPE.sub(_decode, _BACKSLASHES.sub(r"\\", plain)).replace("\\", "")
        if "\x1b" in plain or "\x9b" in plain:
            plain = _TERMINAL.sub("", plain)
        if plain == text:
            break
        text = plain
    return {text.replace(_EITHER, ""), re.sub(f"{_EITHER}.", "", text)} if _EITHER in text else {text}


# How deep escapes within escapes are undone, all kinds at once.
_DEPTH = 4
# How many levels are undone one by one. More take too long where a text has each kind within each other.
_STEPS = 3
_ESCAPED = re.compile(r"[%&+\\\x1b\x9b]")
_BACKSLASHES = lazy_pattern(r"\\{2,}")
_CODES = r"""
      (?P<utf16> (?: [\\%]u [0-9a-fA-F]{4} )+ )          # JSON, Java, Python, JavaScript: \u0061; its `escape`: %u0061
    | (?P<utf8> (?: \\ (?: x[0-9a-fA-F]{2} | [0-3][0-7]{2} ) )+ )                     # C, Python: \x61, \141
    | \\u\{ 0* (?P<code> [0-9a-fA-F]{1,6} ) \}          # JavaScript, Rust: \u{61}
    | \\U00 (?P<number> [0-9a-fA-F]{6} )                # Python: \U00000061
"""
_ESCAPE = lazy_pattern(_CODES + r"| \\ (?P<letter> [abefnrtv0] )", re.VERBOSE)
# One level alone: a backslash that begins no escape stays.
_LEVEL = lazy_pattern(_CODES + r"""| \\ (?P<same> [\\"'/] ) | \\ (?P<control> [bfnrt] )""", re.VERBOSE)
_LONG_REFERENCE = lazy_pattern("&#[0-9]{8,}")
_LEADING_ZEROS = lazy_pattern("&#0+(?=[0-9])")
# Colours and titles (ECMA-48, "CSI" and "OSC").
_TERMINAL = lazy_pattern(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*\x07?")
# The codec is loaded now. A process that can't open files any more still reads the response to a start.
_UTF_16 = codecs.lookup("utf-16-be").name
# Stands before a letter that may be a part of an escape. No valid text has it.
_EITHER = "\udfff"


def _decode_level(found: re.Match[str]) -> str:
    # Control characters are white space or invisible, so a space stands for each.
    return found["same"] or (" " if found["control"] else _decode(found))


def _decode(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found[0]
    if kind == "letter":
        return _EITHER + found["letter"]
    if kind == "utf16":
        return bytes.fromhex(text.replace("\\u", "").replace("%u", "")).decode(_UTF_16, "surrogatepass")
    if kind == "utf8":
        numbers = text.replace("\\x", "\\0x").split("\\")[1:]
        data = bytes(int(number, 16 if "x" in number else 8) for number in numbers)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    code = int(found["code"] or found["number"], 16)
    return chr(code) if code <= sys.maxunicode else ""
