"""Normalization of text for comparison with secret values."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.escaping import sanitize_line
from autonoma_ci.redaction.normalize import (
    decode,
    drop_last_letters,
    fold,
    fold_with_positions,
    fold_with_word_gaps,
    reduce,
    reduce_lines,
    reduce_with_positions,
    unescape,
    unescape_in_steps,
)
from tests.support.hostile import TEXTS
from tests.support.processor_time import measure_processor_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SEPARATOR = "\ue001"
# Without code points beyond the first plane that have no meaning.
ALL_CHARACTERS = [
    letter
    for letter in map(chr, range(sys.maxunicode + 1))
    if letter != SEPARATOR and (letter < "\U00010000" or unicodedata.category(letter) not in {"Co", "Cn"})
] + [chr(code) for code in range(0xE0000, 0xE1000)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc 123", "abc123"),
        ("ABC-Ä", "abc-a"),
        ("a\u200bb\xadc\u202ed\U000e0041e\ufe0ff", "abcdef"),
        ("a\tb\r\n  c\u2028d\x00e\ufffdf", "abcdef"),
        ("ａｂｃ１２３", "abc123"),
        ("a\u0301e\u0308", "ae"),
        ("straße İı", "strasseii"),
        ("㎏…", "kg..."),
        ("\U0001f680", "\U0001f680"),
    ],
)
def test_fold_keeps_visible_letters(text: str, expected: str) -> None:
    """The result has the visible letters in one normal form."""
    assert fold(text) == expected


def list_changed_characters(texts: Iterable[str]) -> list[str]:
    """Return the characters whose folded form differs from that of the text at the same position."""
    folded_lists = [fold(SEPARATOR.join(characters)).split(SEPARATOR) for characters in (ALL_CHARACTERS, texts)]
    return [
        character for character, first, second in zip(ALL_CHARACTERS, *folded_lists, strict=True) if first != second
    ]


@pytest.mark.slow
def test_fold_drops_like_sanitize_line() -> None:
    """A value that `sanitize_line` joins again is found before."""
    visible_text = sanitize_line(SEPARATOR.join(ALL_CHARACTERS), 10_000_000)
    assert list_changed_characters(visible_text.split(SEPARATOR)) == []


@pytest.mark.slow
def test_fold_ignores_normalization() -> None:
    """NFKC, NFD and case make no difference. A capital iota subscript is a separate letter."""
    assert list_changed_characters(unicodedata.normalize("NFKC", letter) for letter in ALL_CHARACTERS) == []
    assert list_changed_characters(unicodedata.normalize("NFD", letter) for letter in ALL_CHARACTERS) == []
    iotas = [letter for letter in ALL_CHARACTERS if "\u0345" in unicodedata.normalize("NFD", letter)]
    assert list_changed_characters(map(str.upper, ALL_CHARACTERS)) == iotas
    assert list_changed_characters(map(str.lower, ALL_CHARACTERS)) == []


@given(TEXTS, TEXTS)
def test_fold_concatenates(first: str, second: str) -> None:
    """The result for two texts is the concatenation of both results."""
    assert fold(first + second) == fold(first) + fold(second)
    assert reduce(first + second) == reduce(first) + reduce(second)


@given(TEXTS)
def test_positions_map_to_original(text: str) -> None:
    """Each folded letter has the position of its character in the text."""
    assert len(fold_with_positions(text)) == len(fold(text))
    assert len(reduce_with_positions(text)) == len(reduce(text))
    for position, letter in zip(fold_with_positions(text), fold(text), strict=True):
        assert letter in fold(text[position])
    for position, letter in zip(reduce_with_positions(text), reduce(text), strict=True):
        assert letter in reduce(text[position])


def test_reduce_keeps_spaces_and_accents() -> None:
    """Only case and invisible characters are removed."""
    assert reduce("A\tb\u200b É") == "a b e\u0301"


def test_reduce_lines_keeps_line_breaks() -> None:
    """The result is that of `reduce`, with line breaks."""
    text = "A\tb\u200b\r\n \u2028\xa0\u3000\x85É"
    assert reduce_lines(text) == "a\nb\n\n \n  \ne\u0301"
    assert reduce_lines(text).replace("\n", " ") == reduce(text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("pässwörd €".encode(), "pässwörd €"),
        ("pässwörd €".encode("cp1252"), "pässwörd €"),
        ("ä".encode() + "ä".encode("latin-1"), "ää"),
        (b"a\xe2\x82", "aâ\u201a"),
        (b"\x81\xff", "\x81ÿ"),
        (b"", ""),
    ],
)
def test_decode_keeps_every_byte(data: bytes, text: str) -> None:
    """Invalid UTF-8 decodes to letters of another encoding."""
    assert decode(data) == text


def test_fold_with_word_gaps_separates_words() -> None:
    """A single space between two letters separates words."""
    assert fold_with_word_gaps("this and\tthat  (or) so") == "this|andthat(or)so"


@given(TEXTS, st.integers(0, 20))
def test_drop_last_letters_drops_visible(text: str, number: int) -> None:
    """The function drops as many visible letters as the number says."""
    shortened = drop_last_letters(text, number)
    assert text.startswith(shortened)
    dropped = text[len(shortened) :]
    assert len(fold(dropped)) >= min(number, len(fold(text)))
    # Without its first character, the dropped text has too few letters.
    assert len(fold(dropped[1:])) < max(number, 1) or shortened == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a%E2%80%8Bb%20c", "a\u200bb c"),
        ("a&#8203;b&shy;c&#x200b;d&ZeroWidthSpace;", "a\u200bb\xadc\u200bd\u200b"),
        (r"\u0061\u200b\ud83d\ude80", "a\u200b\U0001f680"),
        (r"\\u0061 \\\\u0062", "a b"),
        ("%u0061", "a"),
        (r"\x61\xe2\x80\x8b\xe9", "aâ\x80\x8bé"),
        (r"\x61\xe2\x80\x8b", "a\u200b"),
        (r"\141\342\200\213", "a\u200b"),
        (r"\u{61}\u{1F680}\U00000062", "a\U0001f680b"),
        ("a\x1b[1;31mb\x9b0mc\x1b]0;title\x07d", "abcd"),
        (r"\u001b[31ma", "a"),
        ("%2526%2523%2538%2532%2530%2533%253B", "\u200b"),
        (r"\u{110000}\U00110000", ""),
        (r"C:\-\.", "C:-."),
    ],
)
def test_unescape_decodes_escapes(text: str, expected: str) -> None:
    """Each kind of escape is decoded."""
    assert unescape(text) == {expected}


def test_unescape_has_both_letter_meanings() -> None:
    """A letter after a backslash is a control character or itself."""
    assert unescape(r"ab\ncd") == {"abcd", "abncd"}
    assert unescape("nothing") == {"nothing"}


def test_unescape_has_both_plus_meanings() -> None:
    """In a URL, a plus sign is a space or itself."""
    assert unescape("a%E2%80%8Bb+c") == {"a\u200bb c", "a\u200bb+c"}
    assert unescape(r"a\u002bc") == {"a c", "a+c"}


@pytest.mark.parametrize(
    ("text", "expected_steps"),
    [
        ("nothing", set()),
        ("%2526%2523%2538%2532%2530%2533%253B", {"%26%23%38%32%30%33%3B", "&#8203;", "\u200b"}),
        (r"\\u0061 \\\\u0062", {r"\u0061 \\u0062", r"a \u0062", "a b"}),
        ("&amp;#65;%2541", {"&amp;#65;%41", "&amp;#65;A", "&#65;%2541", "A%2541", "&#65;%41", "A%41", "&#65;A"}),
        ("1%5C%32", {r"1\2"}),
        (r"1\\\u0032", {r"1\2"}),
        ("1%2B+", {"1++", "1+ ", "1  "}),
        (r"\\\"\'\/\n\x41\141\u{61}\U00000061\a%u0061", {"\\\"'/ Aaaa\\aa", "\"'/ Aaaa\\aa"}),
    ],
)
def test_unescape_in_steps_by_level(text: str, expected_steps: set[str]) -> None:
    """Each step decodes one level of escapes."""
    assert unescape_in_steps(text) - {text} == expected_steps


@pytest.mark.parametrize("decode_escapes", [unescape, unescape_in_steps])
@pytest.mark.parametrize("number", ["9" * 4_301, "0" * 4_301 + "9" * 9])
def test_unescape_accepts_long_reference(decode_escapes: Callable[[str], set[str]], number: str) -> None:
    """Python refuses to parse a number of more than 4,300 digits."""
    assert "a\ufffdb" in decode_escapes(f"a&#{number};b")
    assert "aAb" in decode_escapes(f"a&#{'0' * 5_000}65;b")


@given(TEXTS)
def test_unescape_accepts_any_text(text: str) -> None:
    """Any text is decoded without an error."""
    assert unescape(text)
    assert text in unescape_in_steps(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    ["\\", "\\u", "%u", "\\\\u0061", "\\u{0", "\\x6", "\\n", "\x1b[", "\x1b]", "\x9b0", "&", "&#", "%", "%4", "+"],
)
def test_unescape_takes_linear_time(piece: str) -> None:
    """A million characters take a few seconds. Quadratic time would be hours."""

    def unescape_all() -> None:
        for text in (piece * (1_000_000 // len(piece)), f"\\u{{{'0' * 1_000_000}", f"&#{'0' * 1_000_000}"):
            unescape(text)
            unescape_in_steps(text)

    assert measure_processor_seconds(unescape_all, 60) < 60
