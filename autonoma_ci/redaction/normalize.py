"""Convert texts to comparable forms without invisible differences."""

from __future__ import annotations

import codecs
import html
import re
import sys
import unicodedata
from itertools import chain, compress, count, repeat
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus

from autonoma_ci.startup import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _FoldTable(dict[int, str]):
    """The folded form of each character.

    An entry is computed when `str.translate` first needs it.
    """

    def __missing__(self, code: int) -> str:
        self[code] = self._convert(chr(code))
        return self[code]

    def _convert(self, letter: str) -> str:
        # Marks are removed first, because U+0345, the iota below a letter, becomes a separate letter in uppercase.
        base = "".join(filter(_is_base_character, unicodedata.normalize("NFKD", letter)))
        return "".join(
            part
            for part in _fold_case(base)
            if _is_base_character(part) and not (part.isspace() or _is_ignorable(part))
        )


class _ReduceTable(_FoldTable):
    """The reduced form of each character, with white space and accents."""

    def _convert(self, letter: str) -> str:
        if letter.isspace():
            return " "
        return "" if _is_ignorable(letter) else _fold_case(letter)


class _ReduceLinesTable(_ReduceTable):
    """The reduced form of each character, with line breaks.

    White space that is not a space separator becomes a line break.
    """

    def _convert(self, letter: str) -> str:
        return "\n" if letter.isspace() and unicodedata.category(letter) != "Zs" else super()._convert(letter)


class _CleanTable(_FoldTable):
    """The NFKC form of each character, without accents and invisible characters."""

    def _convert(self, letter: str) -> str:
        return unicodedata.normalize("NFKC", letter) if _is_base_character(letter) and not _is_ignorable(letter) else ""


def _is_ignorable(letter: str) -> bool:
    """Return whether a character is invisible or a noncharacter."""
    code = ord(letter)
    invalid = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    is_tag = 0xE0000 <= code <= 0xE0FFF
    return unicodedata.category(letter) in {"Cf", "Cc", "Cs"} or letter in _BLANK_CHARACTERS or invalid or is_tag


def _is_base_character(letter: str) -> bool:
    return unicodedata.category(letter) not in {"Mn", "Me"}


def _fold_case(letter: str) -> str:
    """Return the character in NFKD and lowercase."""
    # Through uppercase, which is the same for I, i and ı. A lowercase letter may have another decomposition.
    lowercase = unicodedata.normalize("NFKD", letter).upper().casefold()
    return unicodedata.normalize("NFKD", lowercase).translate(_ASCII_EQUIVALENTS)


# Characters that typography and some keyboards use instead of ASCII.
_ASCII_EQUIVALENTS = {
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b"), "-"),
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bc\u00b4"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb"), '"'),
    **dict.fromkeys(map(ord, "\u2044\u2215"), "/"),
}


# The planes without letters, except tags and noncharacters. All of them are compared as one character, because a table
# with an entry for each would need 200 MB.
_RARE_RE = lazy_pattern(
    "".join(
        ["[\U000e1000-\U000efffd", *(f"{chr(p << 16)}-{chr((p << 16) + 0xFFFD)}" for p in (*range(3, 14), 15, 16)), "]"]
    )
)
_RARE_STAND_IN = "\ue000"
# Invisible characters of other categories: Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, the Braille
# pattern without dots, and the replacement character, by which `escaping.sanitize_line` replaces control characters.
_BLANK_CHARACTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0\ufffd") | frozenset(
    chr(code) for codes in (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xFFF0, 0xFFF9)) for code in codes
)
_WORD_GAP_RE = lazy_pattern(r"(?<=[^\W_]) (?=[^\W_])")
_FOLD_TABLE, _REDUCE_TABLE, _REDUCE_LINES_TABLE, _CLEAN_TABLE = (
    _FoldTable(),
    _ReduceTable(),
    _ReduceLinesTable(),
    _CleanTable(),
)
# The windows-1252 characters for the bytes that `surrogateescape` stores as surrogates. Five bytes have none.
_CP1252_BY_SURROGATE = {
    0xDC00 + code: bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(0x80, 0x100)
}
_ASCII_LOWERCASE = bytes(range(128)).lower() + bytes(range(128, 256))
_ASCII_DROPPED = bytes([*range(0x21), 0x7F])
_ASCII_IS_SHOWN = bytes(code not in _ASCII_DROPPED for code in range(256))


def decode(data: bytes) -> str:
    """Decode UTF-8, and other bytes as windows-1252 like browsers.

    Replacement characters instead would remove letters from a secret value.
    """
    return decode_single_bytes(data.decode("utf-8", "surrogateescape"))


def decode_header(value: str) -> str:
    """Decode the value of an HTTP header.

    `http.client` returns each byte of a header as one character.
    """
    return decode(value.encode("latin-1", "replace"))


def decode_single_bytes(text: str) -> str:
    """Replace bytes stored by `surrogateescape` with windows-1252 characters."""
    return text.translate(_CP1252_BY_SURROGATE)


def fold(text: str) -> str:
    """Return a text in lowercase and NFKD, with visible characters only.

    White space, accents, and invisible and control characters are removed.
    """
    # `str.isascii` raises a TypeError for bytes.
    if str.isascii(text):
        # The result is the same as below, in a tenth of the time.
        return text.encode().translate(_ASCII_LOWERCASE, _ASCII_DROPPED).decode()
    return _RARE_RE.sub(_RARE_STAND_IN, text).translate(_FOLD_TABLE)


def drop_last_letters(text: str, letter_count: int) -> str:
    """Remove characters from the end of a text.

    Args:
        text: The text.
        letter_count: Number of characters to remove. Only characters that remain after `fold` count.
    """
    tail_length = min(letter_count, len(text))
    while len(fold(text[len(text) - tail_length :])) < letter_count:
        if tail_length >= len(text):
            return ""
        tail_length = min(2 * tail_length, len(text))
    prefix_length = len(text) - tail_length
    return text[: prefix_length + fold_with_positions(text[prefix_length:])[-letter_count]] if letter_count else text


def clean(text: str) -> str:
    """Return a text in NFKC without accents and invisible characters."""
    return text if text.isascii() else _RARE_RE.sub(_RARE_STAND_IN, text).translate(_CLEAN_TABLE)


def fold_with_word_gaps(text: str) -> str:
    """Return the folded text with "|" between two words of a sentence."""
    return fold(_WORD_GAP_RE.sub("|", text))


def fold_with_positions(text: str) -> list[int]:
    """Return the source index of each character of the folded text."""
    if text.isascii():
        return list(compress(range(len(text)), text.encode().translate(_ASCII_IS_SHOWN)))
    return _source_positions(text, _FOLD_TABLE)


def reduce(text: str) -> str:
    """Return a text in lowercase and NFKD without invisible characters.

    Each white space character becomes a space.
    """
    return _RARE_RE.sub(_RARE_STAND_IN, text).translate(_REDUCE_TABLE)


def reduce_lines(text: str) -> str:
    """Return the reduced text with line breaks.

    Each tab, line break and paragraph separator becomes a line break.
    """
    return _RARE_RE.sub(_RARE_STAND_IN, text).translate(_REDUCE_LINES_TABLE)


def reduce_with_positions(text: str) -> list[int]:
    """Return the source index of each character of the reduced text."""
    return _source_positions(text, _REDUCE_TABLE)


def _source_positions(text: str, table: _FoldTable) -> list[int]:
    counts = map(len, map(table.__getitem__, map(ord, _RARE_RE.sub(_RARE_STAND_IN, text))))
    return list(chain.from_iterable(map(repeat, count(), counts)))


def unescape(text: str) -> set[str]:
    """Undo the escapes of URLs, HTML, JSON, programming languages and terminals.

    Escapes within escapes are undone up to four levels. There may be several results. A `+` is itself or a space.
    A backslash before `n` is a line break in some languages and the letter in others.
    """
    if not _ESCAPE_START_RE.search(text):
        return {text}
    results = _unescape_all_levels(text, unquote)
    if any("+" in plain for plain in results):
        results |= _unescape_all_levels(text, unquote_plus)
    return results


def unescape_in_steps(text: str) -> set[str]:
    """Return the text and its results after up to three unescape steps.

    A step undoes one level of one kind of escapes. A value can look like an escape itself. These results contain such a
    value, but `unescape` changes it.
    """
    results = latest = {text}
    for _ in range(_MAX_UNESCAPE_STEPS):
        latest = {plain for step in latest for plain in _unescape_one_level(step)} - results
        results = results | latest
    return results


def _unescape_one_level(text: str) -> Iterator[str]:
    """Yield the text after undoing one level of each kind of escape."""
    if "%" in text:
        yield unquote(text)
    if "+" in text:
        yield unquote_plus(text)
    if "&" in text:
        yield _unescape_html(text)
    if "\\" in text or "%u" in text:
        yield _ONE_LEVEL_RE.sub(_decode_one_level, text)


def _unescape_html(text: str) -> str:
    """Undo one level of HTML escapes.

    `html.unescape` raises ValueError for numbers of more than 4,300 digits. So leading zeros are removed, and other
    long numbers become one number above the last character.
    """
    if _LONG_REFERENCE_RE.search(text):
        text = _LONG_REFERENCE_RE.sub("&#99999999", _LEADING_ZEROS_RE.sub("&#", text))
    return html.unescape(text)


def _unescape_all_levels(text: str, unescape_url: Callable[[str], str]) -> set[str]:
    """Undo all escapes of a text.

    Args:
        text: The text.
        unescape_url: Undoes the escapes of a URL.
    """
    for _ in range(_MAX_UNESCAPE_DEPTH):
        plain = _unescape_html(unescape_url(text))
        if "\\" in plain or "%u" in plain:
            # An escape within escapes has several backslashes.
            plain = _ESCAPE_RE.sub(_decode_escape, _BACKSLASHES_RE.sub(r"\\", plain)).replace("\\", "")
        if "\x1b" in plain or "\x9b" in plain:
            plain = _TERMINAL_SEQUENCE_RE.sub("", plain)
        if plain == text:
            break
        text = plain
    return (
        {text.replace(_AMBIGUOUS_MARK, ""), re.sub(f"{_AMBIGUOUS_MARK}.", "", text)}
        if _AMBIGUOUS_MARK in text
        else {text}
    )


# In levels of escapes within escapes, all kinds at once.
_MAX_UNESCAPE_DEPTH = 4
# In levels, undone one kind at a time. More levels take too long for a text with all kinds nested.
_MAX_UNESCAPE_STEPS = 3
_ESCAPE_START_RE = re.compile(r"[%&+\\\x1b\x9b]")
_BACKSLASHES_RE = lazy_pattern(r"\\{2,}")
_CHARACTER_CODES = r"""
      (?P<utf16> (?: [\\%]u [0-9a-fA-F]{4} )+ )          # JSON, Java, Python, JavaScript: \u0061; its `escape`: %u0061
    | (?P<utf8> (?: \\ (?: x[0-9a-fA-F]{2} | [0-3][0-7]{2} ) )+ )                     # C, Python: \x61, \141
    | \\u\{ 0* (?P<code> [0-9a-fA-F]{1,6} ) \}          # JavaScript, Rust: \u{61}
    | \\U00 (?P<number> [0-9a-fA-F]{6} )                # Python: \U00000061
"""
_ESCAPE_RE = lazy_pattern(_CHARACTER_CODES + r"| \\ (?P<letter> [abefnrtv0] )", re.VERBOSE)
# One level only. A backslash that begins no escape stays.
_ONE_LEVEL_RE = lazy_pattern(_CHARACTER_CODES + r"""| \\ (?P<same> [\\"'/] ) | \\ (?P<control> [bfnrt] )""", re.VERBOSE)
_LONG_REFERENCE_RE = lazy_pattern("&#[0-9]{8,}")
_LEADING_ZEROS_RE = lazy_pattern("&#0+(?=[0-9])")
# Colors and titles. Source: ECMA-48, "CSI" and "OSC".
_TERMINAL_SEQUENCE_RE = lazy_pattern(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*\x07?")
# The codec is loaded at import. A process that can't open more files can then still decode the response to a start.
_UTF_16 = codecs.lookup("utf-16-be").name
# Marks a letter that may be a part of an escape. Valid text never contains this surrogate.
_AMBIGUOUS_MARK = "\udfff"


def _decode_one_level(match: re.Match[str]) -> str:
    # A space replaces each control character, because these are white space or invisible.
    return match["same"] or (" " if match["control"] else _decode_escape(match))


def _decode_escape(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match[0]
    if kind == "letter":
        return _AMBIGUOUS_MARK + match["letter"]
    if kind == "utf16":
        return bytes.fromhex(text.replace("\\u", "").replace("%u", "")).decode(_UTF_16, "surrogatepass")
    if kind == "utf8":
        numbers = text.replace("\\x", "\\0x").split("\\")[1:]
        data = bytes(int(number, 16 if "x" in number else 8) for number in numbers)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    code = int(match["code"] or match["number"], 16)
    return chr(code) if code <= sys.maxunicode else ""
