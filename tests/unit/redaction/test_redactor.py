"""Secret values and their redaction from text."""

from __future__ import annotations

import base64
import copy
import hmac
import html
import inspect
import json
import logging
import math
import pickle
import pprint
import reprlib
import traceback
import unicodedata
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autonoma_ci.redaction.redactor import MASK, Redactor, Secret, build_credential_redactors
from tests.support.hostile import ANY_CHARACTER, TEXTS
from tests.support.processor_time import measure_processor_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = 's3cr3t/with+50%?&"quotes"\\\''


@dataclass(frozen=True)
class SecretHolder:
    secret: Secret


class SecretTuple(NamedTuple):
    secret: Secret


@pytest.mark.parametrize(
    "formatted",
    [
        repr(Secret(VALUE)),
        str(Secret(VALUE)),
        f"{Secret(VALUE)} {Secret(VALUE)!r} {Secret(VALUE)!s} {Secret(VALUE)!a} {Secret(VALUE):>40}",
        "{0} {0!r}".format(Secret(VALUE)),
        "%s %r" % (Secret(VALUE), Secret(VALUE)),  # noqa: UP031 - and this one
        repr([Secret(VALUE)]),
        str({"a": Secret(VALUE)}),
        repr(SecretHolder(Secret(VALUE))),
        repr(SecretTuple(Secret(VALUE))),
        str(ValueError(Secret(VALUE))),
        repr(ValueError(Secret(VALUE))),
        repr(dir(Secret(VALUE))),
        repr(Redactor([VALUE, Secret(VALUE)])),
    ],
)
def test_secret_is_hidden_in_formatting(formatted: str) -> None:
    """No formatting of an object with a secret shows its value."""
    assert VALUE not in formatted
    assert "s3cr3t" not in formatted


def test_secret_cannot_be_copied_or_dumped() -> None:
    """Pickle, copy, JSON and `vars` raise a TypeError without the value."""

    def dump_json(secret: Secret) -> object:
        return json.dumps({"secret": secret})

    for serialize in (pickle.dumps, copy.copy, copy.deepcopy, dump_json, vars):
        for holder in (Secret(VALUE), Redactor([Secret(VALUE)])):
            with pytest.raises(TypeError) as error_info:
                serialize(holder)  # type: ignore[arg-type] # a redactor is no secret, and is as silent
            assert "s3cr3t" not in str(error_info.value)
    with pytest.raises(TypeError, match=r"^a Secret is never written anywhere$"):
        pickle.dumps(Secret(VALUE))
    with pytest.raises(TypeError, match=r"^a Redactor is never written anywhere$"):
        pickle.dumps(Redactor([Secret(VALUE)]))
    with pytest.raises(TypeError):
        asdict(SecretHolder(Secret(VALUE)))


@pytest.mark.parametrize(
    "inspect_object",
    [inspect.getmembers, dir, pprint.pformat, lambda secret: secret.__getstate__(), reprlib.repr],
    ids=["getmembers", "dir", "pformat", "getstate", "reprlib"],
)
def test_secret_is_hidden_from_introspection(inspect_object: Callable[[object], object]) -> None:
    """Debuggers, crash reporters and object printers use these functions."""
    if inspect_object.__name__ != "<lambda>" or hasattr(object, "__getstate__"):
        assert "s3cr3t" not in repr(inspect_object(Secret(VALUE)))
        assert "s3cr3t" not in repr(inspect_object(Redactor([Secret(VALUE)])))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_refuses_secret(protocol: int) -> None:
    """Each pickle protocol refuses a secret and every object with one."""
    redactor = Redactor([Secret(VALUE)])
    for holder in (Secret(VALUE), SecretHolder(Secret(VALUE)), SecretTuple(Secret(VALUE)), [Secret(VALUE)], redactor):
        with pytest.raises(TypeError, match="never written anywhere"):
            pickle.dumps(holder, protocol)
    assert "s3cr3t" not in repr(SecretTuple(Secret(VALUE))._asdict())


def format_traceback(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def test_redactor_traceback_hides_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error at any place of a redaction shows no value in its traceback."""
    redact = Redactor([VALUE, "s3cr3t-ä", "s3c"])
    with pytest.raises(TypeError) as error_info:
        redact(b"no text")  # type: ignore[arg-type]
    tracebacks = format_traceback(error_info.value)
    for function_name in ("_build_pattern", "unescape", "reduce", "_find_suffix_end"):
        with monkeypatch.context() as patch:
            patch.setattr(f"autonoma_ci.redaction.redactor.{function_name}", math.sqrt)
            with pytest.raises(TypeError) as error_info:
                redact(redact.redact_edges("any text"))
        tracebacks += format_traceback(error_info.value)
    assert "=[***" in tracebacks
    assert "s3cr3t" not in tracebacks


def test_traceback_and_log_hide_secret(caplog: pytest.LogCaptureFixture) -> None:
    """A traceback with local variables and a log line show only the mask."""

    def fail(secret: Secret) -> None:
        raise RuntimeError("failed with", secret)

    try:
        fail(Secret(VALUE))
    except RuntimeError as error:
        text = format_traceback(error)
    assert "Secret(***)" in text
    assert "s3cr3t" not in text
    logging.getLogger("test").warning("with %s and %r", Secret(VALUE), Secret(VALUE))
    assert "s3cr3t" not in caplog.text


def test_secret_truth_value_and_reveal() -> None:
    """A secret states whether it is empty, and only `reveal` returns its value."""
    assert Secret(VALUE)
    assert not Secret("")
    assert Secret(VALUE).reveal() == VALUE
    assert Secret(VALUE) != Secret(VALUE)
    assert f"{Secret(VALUE):>5}" == f"  {MASK}"
    assert repr(Redactor([VALUE])) == "Redactor(...)"


def test_redactor_max_variant_length() -> None:
    """The redactor has the length of its longest encoded variant."""
    assert Redactor([]).max_variant_length == 0
    assert Redactor(["four", "Zq5%"]).max_variant_length == len("5a713525")
    assert Redactor(["é" * 9]).max_variant_length == len("%C3%A9" * 9)


@pytest.mark.parametrize(
    "encoded",
    [
        VALUE,
        VALUE.upper(),
        quote(VALUE),
        quote(VALUE, safe=""),
        quote(VALUE, safe="").lower(),
        quote_plus(VALUE),
        quote(VALUE, safe="!'()*"),
        quote(VALUE, safe=";,/?:@&=+$-_.!~*'()#"),
        json.dumps(VALUE),
        json.dumps({"key": VALUE}),
        base64.b64encode(VALUE.encode()).decode(),
        base64.b64encode(VALUE.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        VALUE.encode().hex(),
        VALUE.encode().hex().upper(),
        f"https://api.example/?q={quote_plus(VALUE)}&x=1",
    ],
)
def test_encoded_secret_is_redacted(encoded: str) -> None:
    """Each usual encoding of a secret is replaced."""
    redacted = Redactor([Secret(VALUE)])(f"before {encoded} after")
    assert "s3cr3t" not in redacted.lower()
    assert encoded.strip('"={}') not in redacted
    assert MASK in redacted
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")


@pytest.mark.parametrize("value", ["pässwörd €", "пароль", "密码密码", "İstanbul", "ΑΣΑΣ", "straße", "Kelvin"])
def test_non_ascii_secret_is_redacted(value: str) -> None:
    """A value outside of ASCII is replaced in each encoding."""
    redact = Redactor([value])
    for encoded in (value, quote(value), json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()):
        for text in (f"<{encoded}>", f"Α{encoded}Α", f"{encoded}{encoded}"):
            assert encoded not in redact(text)
            assert redact.contains_secret(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the value en is bad", "the value *** is bad"),
        ("'en', (en) en.", "'***', (***) ***."),
        ("then end when open", "then end when open"),
        ("EN", "***"),
        ("en1", "en1"),
    ],
)
def test_short_value_is_redacted_as_word(text: str, expected: str) -> None:
    """A short value is replaced only where it is a whole word."""
    assert Redactor(["en"])(text) == expected


@pytest.mark.parametrize("text", ["", "nothing of note", "HTTP 401: Unauthorized"])
def test_text_without_secret_is_kept(text: str) -> None:
    """Text without a secret is unchanged."""
    redact = Redactor([VALUE, "", "  ", "\n"])
    assert redact(text) == text
    assert not redact.contains_secret(text)


def test_each_line_of_secret_is_redacted() -> None:
    """A secret of several lines is replaced whole and line by line."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADAN\r\n  BgkqhkiG9w0B  \n-----END KEY-----\n"
    redact = Redactor([key])
    assert redact(key).strip() == MASK
    for line in ("MIIEvQIBADAN", "BgkqhkiG9w0B"):
        assert line not in redact(f"log: {line}")
    assert "MIIE" not in redact(json.dumps(key))
    assert "MIIE" not in redact(key.replace("\r\n", "\n"))


def test_longer_secret_is_redacted_first() -> None:
    """No rest of a secret is left where a shorter secret is part of it."""
    assert Redactor(["abcd", "abcdefgh"])("x abcdefgh y abcd") == "x *** y ***"


def test_replacement_can_complete_secret() -> None:
    """The search for the next secret is in the text after the replacement."""
    assert Redactor(["longsecret", "k***"])("klongsecret") == "***"


def test_multiline_secret_on_one_line_is_redacted() -> None:
    """A secret of several lines is replaced where its lines are joined."""
    assert Redactor(["abcd\n  efgh\n"])("header: abcd efgh!") == "header: ***!"


def test_non_utf8_secret_is_redacted() -> None:
    """The environment can hold any bytes. Python reads invalid ones as surrogates."""
    value = b"p\xe4ssword".decode("utf-8", "surrogateescape")
    assert Redactor([value])(f"<{value}>") == "<***>"


@pytest.mark.parametrize("value", [VALUE, 'p"ä€', "tab\there", '\\"'])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_secret_in_json_is_redacted_exactly(value: str, ascii_only: bool) -> None:
    """The replacement covers the escaped value and nothing else."""
    redacted = Redactor([value])(json.dumps({"key": value}, ensure_ascii=ascii_only))
    assert redacted == '{"key": "***"}'


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("value", ["s3cr3t-", "p@ssw0rd", "~~~???>>>ÿ"])
@pytest.mark.parametrize("before", ["", "u", "me", "me:", "user:"])
@pytest.mark.parametrize("after", ["", "!", "\n...and more"])
def test_secret_inside_base64_is_redacted(
    encode: Callable[[bytes], bytes], value: str, before: str, after: str
) -> None:
    """All characters with only bits of it are replaced, at any offset in a group of three bytes."""
    text = encode(f"{before}{value}{after}".encode()).decode()
    first = math.ceil(len(before) * 8 / 6)
    end = (len(before) + len(value.encode())) * 8 // 6
    redacted = Redactor([value])(text)
    assert redacted.startswith(text[:first] + MASK)
    assert redacted.removeprefix(text[:first] + MASK) in {text[end:], text[end + 1 :]}


def test_similar_base64_is_kept() -> None:
    """Only the last character differs."""
    redact = Redactor(["abcdeW"])
    assert redact("YWJjZGVX") == MASK
    assert redact("YWJjZGVW") == "YWJjZGVW"


def test_short_secret_in_base64_must_be_alone() -> None:
    """In other data, fewer than eight characters can be a coincidence."""
    assert Redactor(["abcdef"])(base64.b64encode(b"abcdef!").decode()) == "***IQ=="
    redact = Redactor(["abcd"])
    assert redact("key YWJjZA end") == "key *** end"
    assert redact("key YWJjZA== end") == "key ***== end"
    assert redact(base64.b64encode(b"abcdxyz").decode()) == base64.b64encode(b"abcdxyz").decode()


@pytest.mark.parametrize("value", ["s3cr3t/with+50%", 'quo"ted', "five5"])
@pytest.mark.parametrize(
    "wrap", [lambda text: quote(text, safe=""), json.dumps, lambda text: "".join(f"\\{c}" for c in text)]
)
def test_nested_escapes_are_redacted(value: str, wrap: Callable[[str], str]) -> None:
    """A text with a secret in several levels of escapes is replaced."""
    text = wrap(wrap(f"before {value} after"))
    assert MASK in Redactor(["another one", value])(text)
    assert value not in html.unescape(unquote(Redactor([value])(text))).replace("\\", "")


def test_four_levels_of_escapes_are_decoded() -> None:
    """A secret in a fifth level of escapes is not found."""
    text = "a&b=c"
    for _ in range(4):
        text = quote(text, safe="")
        assert MASK in Redactor(["a&b=c"])(text)
    assert Redactor(["a&b=c"])(quote(text)) == quote(text)


def test_four_character_secret_skips_escapes() -> None:
    """Only secrets of five characters or more are sought in decoded text."""
    assert Redactor(["abcd"])("\\a\\b\\c\\d") == "\\a\\b\\c\\d"
    assert Redactor(["abcde"])("\\a\\b\\c\\d\\e") == MASK


def test_escapes_without_secret_are_kept() -> None:
    """Escaped text without a secret is unchanged."""
    assert Redactor([VALUE])("50%25 &amp; \\n") == "50%25 &amp; \\n"


def test_secret_is_literal() -> None:
    """Characters with a meaning in regular expressions are ordinary in a secret."""
    redact = Redactor([".*+?[a](b)^$\\d"])
    assert redact("any text") == "any text"
    assert redact("x.*+?[a](b)^$\\dx") == "x***x"


# Characters that readers do not see or drop


GAPS = (
    *(
        "\u200b",
        "\xad",
        "\u202e",
        "\u2066",
        "\U000e0041",
        "\U000e0101",
        "\u034f",
        "\u3164",
        "\ufe0f",
        "\u2800",
        "\u0301",
    ),
    *("\t", "\n", "\r\n    ", "\x0b", "\x85", "\u2028", "\xa0", "   ", "\x00", "\x7f", "\ufffd", "\ud800"),
)


@pytest.mark.parametrize("gap", GAPS, ids=ascii)
@pytest.mark.parametrize("value", ["abcd1234", "qxzj", "pass word", "pässwörd"])
def test_secret_with_gaps_is_redacted(value: str, gap: str) -> None:
    """A gap can be at one place, at each place or around the value. The gaps around it stay."""
    redact = Redactor([value])
    assert redact(f"a {value[:3]}{gap}{value[3:]} b") == "a *** b"
    assert redact(f"a {gap.join(value)} b") == "a *** b"
    assert redact(f"a{gap}{value}{gap}b") == f"a{gap}***{gap}b"
    assert redact.contains_secret(gap.join(value.upper()))


def test_compatible_characters_are_redacted() -> None:
    """Full-width, bold and circled letters count as their plain letters."""
    assert Redactor(["abcd1234"])("ａｂｃｄ１２３４ 𝐚𝐛𝐜𝐝𝟏𝟐𝟑𝟒 ⓐⓑⓒⓓ①②③④") == "*** *** ***"
    assert Redactor(["ａｂｃｄ"])("<abcd>") == "<***>"
    assert Redactor(["é-café"])("e\u0301-cafe\u0301 É-CAFÉ") == "***\u0301 ***"


@pytest.mark.parametrize("encode", [quote, base64.b64encode, bytes.hex], ids=["percent", "base64", "hex"])
def test_encoded_secret_with_gaps_is_redacted(encode: Callable[[bytes], str | bytes]) -> None:
    """Encoders cut long lines, and headers are folded."""
    encoded = encode(VALUE.encode())
    text = encoded if isinstance(encoded, str) else encoded.decode()
    assert Redactor([VALUE])(f"a {text[:20]}\r\n  {text[20:]} b").strip("=b ") == "a ***"


@pytest.mark.parametrize(
    "text",
    [
        "abcd&#8203;1234", "abcd&shy;1234", "abcd%E2%80%8B1234", "abcd%0A1234", "abcd\\u200b1234", "\\u0061bcd1234",
        "abcd\\\\u200b1234", "abcd\\n1234", "abcd\\n    1234", "ab\\x63d1234", "abcd\\342\\200\\2131234",
        "%u0061bcd1234",
        "ab\\u{200b}cd1234", "abcd\x1b[0m1234", "abcd\\u001b[31m1234", "&#97;&#98;cd1234", "abcd%26%238203;1234",
    ],
)  # fmt: skip
def test_text_with_escaped_secret_is_masked(text: str) -> None:
    """The whole text is replaced, because the position in it is unknown."""
    assert Redactor(["abcd1234"])(f"before {text} after") == MASK


# Each of these characters can begin an escape, end one, or stand for another character.
ESCAPE_LIKE_TEXTS = st.text("a12\\%+&#;x/=<>", min_size=5, max_size=10).filter(lambda text: any(map(str.isalnum, text)))
ENCODINGS: dict[str, Callable[[str], str]] = {
    "URL": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "URL within a URL": lambda text: quote(quote(text)),
    "HTML": html.escape,
    "HTML of a URL": lambda text: html.escape(quote(text)),
    "URL of HTML": lambda text: quote(html.escape(text)),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON within JSON": lambda text: json.dumps(json.dumps(text))[3:-3],
    "URL of JSON": lambda text: quote(json.dumps(text)[1:-1]),
    "every byte of a URL": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "every character of JSON": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "every character of JSON of a URL": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in quote(text)),
    "HTML within JSON": lambda text: json.dumps(html.escape(text))[1:-1].replace("&", "\\u0026"),
    "every character of HTML": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENCODINGS)
@example("777++", {1})
@example(r"1\2\3", {1})
@example("%41%42", {1})
@given(ESCAPE_LIKE_TEXTS, st.sets(st.integers(0, 9)))
def test_secret_like_escape_is_found(kind: str, value: str, gap_positions: set[int]) -> None:
    """An invisible character precedes the character at each of `gap_positions`."""
    text = "".join(("\u200b" if position in gap_positions else "") + letter for position, letter in enumerate(value))
    assert Redactor([value]).contains_secret(f"x={ENCODINGS[kind](text)}")


def test_escaped_secret_leaves_no_rest() -> None:
    """The replaced text can be the end of one secret and the beginning of another."""
    assert Redactor(["aaaa a"])("aaaa%2520aaaaa%2520a") == MASK
    assert Redactor(["abcd/1234"])("no abcd/1234 &amp; abcd%2F1234") == "no *** &amp; ***"
    assert Redactor(["a    b"])("a%2520%2520%2520%2520b") == MASK


def test_short_word_is_not_found_across_words() -> None:
    """Sentences have single spaces between letters. Any other gap is unusual."""
    redact = Redactor(["sand"])
    assert redact("this and that") == "this and that"
    assert redact("this and &amp; that") == "this and &amp; that"
    assert redact("sand, sa\nnd, sa  nd, s a n d") == "***, ***, ***, ***"
    assert Redactor(["s4nd"])("s4 nd") == "***"
    assert Redactor(["a sand"])("a sand, asand") == "***, ***"
    assert Redactor(["sandcastle"])("sand castle") == "***"


def test_short_secret_ignores_invisible() -> None:
    """A short secret is found with invisible characters in it."""
    redact = Redactor(["en", "é", "a b"])
    assert redact("the e\u200bn, \uff45n e\u0301 is") == "the ***, *** *** is"
    assert redact("e\u0301n, een, een\u0301, en\u0301") == "e\u0301n, een, een\u0301, en\u0301"
    assert redact("a\t\u200bb") == "***"


@pytest.mark.parametrize("value", ["\u200b" * 5, "\u0301\u0302\u0303\u0304", "´´´´", "\udc80" * 4])
def test_invisible_secret_is_redacted(value: str) -> None:
    """A secret of invisible characters is replaced, and other text is unchanged."""
    redact = Redactor([value])
    assert redact(f"a{value}b") == "a***b"
    assert redact("any &amp; text") == "any &amp; text"


def test_overlapping_secrets_are_one_mask() -> None:
    """Two secrets that overlap are replaced by one mask."""
    assert Redactor(["abcdef", "defghi"])("x abcde\u200bfghi y") == "x *** y"


LONG_VALUE = "abcdefgh12345678"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Type {LONG_VALUE[:8]}", "Type ***"),
        (f"Type {LONG_VALUE[:15]}\n", "Type ***"),
        (f"{LONG_VALUE[8:]} is wrong", "*** is wrong"),
        (f"{LONG_VALUE[3:].upper()} is wrong", "*** is wrong"),
        ("Type abcd\u200bef  gh1", "Type ***"),
        (LONG_VALUE[:9], "***"),
        (f"{LONG_VALUE[8:]} or {LONG_VALUE[:8]}", "*** or ***"),
        (f"Type {LONG_VALUE[:7]}", f"Type {LONG_VALUE[:7]}"),
        (f"{LONG_VALUE[9:]} is wrong", f"{LONG_VALUE[9:]} is wrong"),
        (f"Type {LONG_VALUE[:8]} now", f"Type {LONG_VALUE[:8]} now"),
        ("", ""),
        ("no part", "no part"),
    ],
)
def test_half_secret_at_edge_is_redacted(text: str, expected: str) -> None:
    """Half of a long secret at either end of a text is replaced."""
    assert Redactor([LONG_VALUE, "another-value-1"]).redact_edges(text) == expected


@st.composite
def draw_value_and_partial_text(draw: st.DrawFn) -> tuple[str, str]:
    """Return a value that repeats itself, and a text with parts of it at both ends."""
    value = draw(st.text("ab", min_size=12, max_size=17))
    suffix_start, prefix_length = draw(st.integers(0, len(value))), draw(st.integers(0, len(value)))
    return value, value[suffix_start:] + draw(st.text("ab-", max_size=3)) + value[:prefix_length]


def redact_edges_simply(value: str, text: str) -> str:
    sizes = range((len(value) + 1) // 2, min(len(value) - 1, len(text)) + 1)
    start = max((size for size in sizes if value.endswith(text[:size])), default=0)
    end = len(text) - max((size for size in sizes if value.startswith(text[-size:])), default=0)
    if start >= end:
        return MASK if text else ""
    return MASK * bool(start) + text[start:end] + MASK * (end < len(text))


@pytest.mark.parametrize("other_values", [[], [f"other-value-{number}" for number in range(200)]], ids=["one", "many"])
@given(draw_value_and_partial_text())
@example(("ababababababab", "ababababababab"))
@example(("aaaaaaaaaaaab", "-aaaaaaaaaaaab"))
def test_longest_part_at_edge_is_redacted(other_values: list[str], case: tuple[str, str]) -> None:
    """The longest part of the value is replaced, but not more than the value has, less one character."""
    value, text = case
    assert Redactor([value, *other_values]).redact_edges(text) == redact_edges_simply(value, text)


def test_half_short_secret_at_edge_is_kept() -> None:
    """Half of a short secret at the end of a text is unchanged."""
    assert Redactor(["abcdef12345"]).redact_edges("abcdef1234") == "abcdef1234"
    assert Redactor(["ababababababab"]).redact_edges("x abababababab") == "x ***"
    assert Redactor(()).redact_edges("any text") == "any text"


SECRETS = st.text(ANY_CHARACTER, min_size=4, max_size=12).filter(
    lambda value: len(value.strip()) >= 4 and value not in MASK * 4
)


@given(TEXTS, SECRETS, TEXTS)
@example("", "İİİİ", "")
@example("Α", "ΑΣΑΣ", "Α")
@example("", "****a", "*")
def test_any_secret_in_any_text_is_redacted(before: str, value: str, after: str) -> None:
    """No encoding of a secret is in the redacted text."""
    redact = Redactor([value])
    for encoded in (value, quote(value.encode("utf-8", "surrogatepass")), json.dumps(value)[1:-1]):
        text = before + encoded + after
        assert redact(text) != text
        if "*" not in value:
            assert encoded not in redact(text)


@given(st.lists(SECRETS, min_size=1, max_size=3), TEXTS)
def test_redaction_is_idempotent(values: list[str], text: str) -> None:
    """A second redaction changes nothing."""
    redact = Redactor([value for value in values if "*" not in value])
    assert redact(redact(text)) == redact(text)


ESCAPES = {
    "percent": lambda letter: f"%{ord(letter):02X}",
    "HTML": lambda letter: f"&#{ord(letter)};",
    "HTML, hexadecimal": lambda letter: f"&#x{ord(letter):x};",
    "JSON": lambda letter: f"\\u{ord(letter):04x}",
}
FULL_WIDTH_CODES = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@pytest.mark.parametrize("gap", ["\u200b", "\u00ad", "\U000e0041", "\u0301", "\u034f"])
@pytest.mark.parametrize("kind", ESCAPES)
def test_escape_with_gaps_is_decoded(kind: str, gap: str) -> None:
    """Invisible characters are dropped later, and the escape is complete then."""
    text = gap.join("".join(map(ESCAPES[kind], "Zebra7-Quartz")))
    assert Redactor(["Zebra7-Quartz"])(text) == MASK


@pytest.mark.parametrize("kind", ESCAPES)
def test_escape_in_compatible_characters(kind: str) -> None:
    """NFKC converts the characters to an escape."""
    text = "".join(map(ESCAPES[kind], "Zebra7-Quartz")).translate(FULL_WIDTH_CODES)
    assert Redactor(["Zebra7-Quartz"])(text) == MASK


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("zebra-quartz-77", "zebra\u2011quartz\u201377"),
        ("it's-mine-77", "it\u2019s-mine-77"),
        ('say "77" now', "say \u201c77\u201d now"),
        ("zebra/quartz/77", "zebra\u2044quartz\u221577"),
    ],
)
def test_typographic_characters_match_ascii(value: str, text: str) -> None:
    """Word processors and web pages replace ASCII characters by them."""
    assert Redactor([value])(f"typed {text} here") == f"typed {MASK} here"


def test_escaped_base64_is_redacted() -> None:
    """Base64 in a URL has URL escapes."""
    value = "a?b>~c~long-value>>>?"
    text = quote(base64.b64encode(value.encode()).decode(), safe="")
    assert "%2F" in text
    assert Redactor([value])(f"x {text}") == MASK


@pytest.mark.parametrize("length", range(6, 14))
def test_start_of_truncated_secret_is_redacted(length: int) -> None:
    """A text that was truncated before the redaction ends in an ellipsis."""
    truncated = "Zebra7-Quartz-1"[:length]
    assert Redactor(["Zebra7-Quartz-1"])(f"'{truncated}…' is no number") == f"'{MASK}…' is no number"


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: quote(text, safe=""),
        lambda text: json.dumps(text)[1:-1],
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(f"joe:{text}".encode()).decode(),
        lambda text: text.encode().hex(),
    ],
    ids=["URL", "JSON", "base64", "basic", "hex"],
)
def test_truncated_encoded_value_is_redacted(encode: Callable[[str], str]) -> None:
    """Browsers and test tools truncate URLs and headers, so half of the encoded value counts at an edge."""
    redact = Redactor(['p@ss/"word9-kx7qz-hunter2'])
    text = encode('p@ss/"word9-kx7qz-hunter2')[:-6]
    assert text[8:] not in redact(f"Opened x.test/?a={text}…")
    assert text[8:] not in redact.redact_edges(f"Opened x.test/?a={text}")


def test_ordinary_ellipsis_is_kept() -> None:
    """Words before an ellipsis are unchanged."""
    assert Redactor(["Zebra7-Quartz-1"])("a zebra… and so on…") == "a zebra… and so on…"


@pytest.mark.parametrize(
    ("value", "text"),
    [("homepage", "Open the home page"), ('{\n "a": 1\n}', "a { b }"), ("checkout", "Check out the cart")],
)
def test_ordinary_words_are_kept(value: str, text: str) -> None:
    """A value of two short words and a bracket of a value match no ordinary text."""
    assert Redactor([value])(text) == text


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("value", ["pässwörd-xk7q", "пароль-xk7q", "ключ🔑7"])
def test_mojibake_of_secret_is_redacted(value: str, encoding: str) -> None:
    """UTF-8 that was decoded in another encoding is replaced."""
    text = value.encode().decode(encoding, "replace")
    assert Redactor([value])(f"no {text} here") == f"no {MASK} here"


def test_surrogate_byte_matches_latin_letter() -> None:
    """An undecodable byte of a value matches its letter in Latin-1."""
    value = b"p\xe4ssword".decode("utf-8", "surrogateescape")
    assert Redactor([value])("<pässword>") == "<***>"


@pytest.mark.parametrize("value", ["密码", "密码密码", "äé"])
def test_mojibake_keeps_ordinary_words(value: str) -> None:
    """Without accents and control characters, only a few letters of the value remain."""
    text = "a AC acac, an ace"
    assert Redactor([value])(text) == text


SECRET_MEMBERS = {
    "user": "joe",
    "admin": True,
    "role": "admin",
    "password": "kx7qz-hunter2",
    "pin": 4711992,
    "more": [{"url": "https://joe:pw%2112345@pr.test"}, json.dumps({"inner": "zebra-quartz"})],
    "key": "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----",
}


@pytest.mark.parametrize(
    "member", ["kx7qz-hunter2", "4711992", "pw%2112345", "pw!12345", "zebra-quartz", "MIIEvQIBADANBgkq"]
)
def test_json_member_of_secret_is_redacted(member: str) -> None:
    """Each member of a JSON secret is a secret."""
    assert Redactor([json.dumps(SECRET_MEMBERS)])(f"type {member} here") == f"type {MASK} here"
    assert MASK in Redactor([json.dumps([SECRET_MEMBERS], indent=2)])(f"type {member} here")


@pytest.mark.parametrize(
    "value",
    [
        '{"user": "joe", "pass": "kx7qz-hunter2"}',
        '{"key": "a line\nand one more", "pass": "kx7qz-hunter2"}',
        '{"key": "a\ttab", "pass": "kx7qz-hunter2"}',
        '{"pass": "kx7qz-hunter2", "pass": "another-4711"}',
        '\ufeff{"pass": "kx7qz-hunter2"}',
        ' {"pass": "another-4711"}\n{"pass": "kx7qz-hunter2"}\n',
        '"kx7qz-hunter2"',
        '{"pass": "kx7qz-hunter2",}',
        '{"pass": "kx7qz-hunter2", // a comment\n}',
        '{"pass": "kx7qz-hunter2',
        '["\\"", "kx7qz-hunter2", ]',
    ],
)
def test_lenient_json_member_is_redacted(value: str) -> None:
    """Programs accept invalid JSON, and shells and CI systems insert line breaks."""
    assert Redactor([value])("type kx7qz-hunter2 here") == f"type {MASK} here"


def test_lenient_json_key_is_kept() -> None:
    """A key of invalid JSON is no secret."""
    assert Redactor(['{"base_url" : "kx7qz-hunter2",}'])("the base_url of it") == "the base_url of it"


def test_unclosed_quotes_take_linear_time() -> None:
    """Quadratic time would be 30 s instead of 0.01 s."""
    value = "[" + '\\"' * 8_000
    assert measure_processor_seconds(lambda: Redactor([value]), 5) < 5


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nQ29uZ3JhdHVsYXRpb25z\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        (PEM.replace("\n", "\\n"), "MIIEvQIBADANBgkqhkiG9w0BAQEF"),
        (PEM.replace("\n", "\\r\\n"), "Q29uZ3JhdHVsYXRpb25z"),
        (json.dumps({"private_key": PEM}), "MIIEvQIBADANBgkqhkiG9w0BAQEF"),
        (json.dumps({"private_key": PEM.replace("\n", "\\n")}), "MIIEvQIBADANBgkqhkiG9w0BAQEF"),
        ("p%40ss-word9x%2Fq", "p@ss-word9x/q"),
        ("p%2540ss-word9x%252Fq", "p@ss-word9x/q"),
        ("https://pr.test/?token=ab%2Fcd9x%3D%3D", "https://pr.test/?token=ab/cd9x=="),
        ("https://pr.test/?token=ab%2Fcd9x%3D%3D", "ab%2Fcd9x%3D%3D"),
        ("kx7&amp;hunter2-77", "kx7&hunter2-77"),
        ("kx7\\u0026hunter2-77", "kx7&hunter2-77"),
        ('{"pass": "kx7&amp;hunter2-77"}', "kx7&hunter2-77"),
    ],
)
def test_secret_without_escapes_is_redacted(value: str, decoded: str) -> None:
    """A page or a program decodes the escapes before it shows the value."""
    assert Redactor([value])(f"It shows {decoded} here") == f"It shows {MASK} here"


def test_ordinary_json_member_is_kept() -> None:
    """Short and ordinary members of a JSON secret are unchanged."""
    text = "The admin user joe has a password and a role: true"
    assert Redactor([json.dumps(SECRET_MEMBERS)])(text) == text


def test_word_of_json_value_is_kept() -> None:
    """Plain words of a JSON secret are unchanged."""
    text = "On monday, open chrome and buy premium"
    assert Redactor(['{"browser": "chrome", "plan": "premium"}', '["monday"]'])(text) == text


@pytest.mark.parametrize("value", ["[" * 60_000, '{"a":', "[1, 2", '{"a": NaN}', f'["{"9" * 6}", {"9" * 9_000}]'])
def test_broken_json_value_is_redacted(value: str) -> None:
    """A value that is almost JSON is replaced as a whole."""
    assert Redactor([value])(f"a {value} b") == f"a {MASK} b"


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("https://joe:kx7qzhunter2@pr.test/", "joe kx7qzhunter2", "joe ***"),
        ("postgres://joe:a%2Fb%40cde@db/x", "a/b@cde, a%2Fb%40cde", "***, ***"),
        ("a=https://x.test\nb=https://joe:p@ss:word1@pr.test", "no p@ss:word1", "no ***"),
        ("https://ghp_12345678@git.test/x", "no ghp_12345678", "no ***"),
        ("https://ghp_12345678:@git.test/x", "no ghp_12345678", "no ***"),
        ("ssh://deploy@git.test/x", "deploy git.test", "deploy git.test"),
        ("https://admin:admin@pr.test/", "admin", "admin"),
        ("https://pr.test/a@b", "pr.test a", "pr.test a"),
        ("https://pr.test:3000/users/@me", "pr.test:3000/users/list", "pr.test:3000/users/list"),
        ("https://pr.test/?x=john.smith@pr.test", "john.smith", "john.smith"),
        ("mailto:john.smith@pr.test", "john.smith", "john.smith"),
        ("john.smith@pr.test", "john.smith", "john.smith"),
        ("postgres://joe:kx7q/z-hunter2@db/x", "kx7q/z-hunter2", "***"),
        ("postgres://joe:kx7q#z-hunter2@db/x", "kx7q#z-hunter2", "***"),
        ("a://joe:hunter71@a/x,a://joe:hunter72@b/x", "hunter71 hunter72", "*** ***"),
        ("redis://:hunter71@db", "hunter71", "***"),
        ("joe:hunter71@tcp(db:3306)/x", "hunter71", "***"),
        ("https://joe:kx7q%252Fz9@pr.test", "kx7q/z9 kx7q%2Fz9", "*** ***"),
        ("https://ghp_1234567890:x-oauth-basic@git.test", "ghp_1234567890", "***"),
        ("jdbc:postgresql://db/x?user=joe&password=hunter71", "hunter71", "***"),
        ("Server=db;User=joe;Password=hunter71;", "joe hunter71", "joe ***"),
        ("https://pr.test/?key=primary", "the primary one", "the primary one"),
    ],
)
def test_url_password_is_redacted(value: str, text: str, expected: str) -> None:
    """The password of a URL is a secret."""
    assert Redactor([value])(text) == expected


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("042", "code 04\n2 is", "code *** is"),
        ("k7", "code k\n7 is", "code *** is"),
        ("a 7", "code a  7 is", "code *** is"),
        ("042", "code\n0\r\n    4\t2", "code\n***"),
        ("K9!", "K\u2028 9!", "***"),
        ("P4$", "P\n4$ and P4$", "*** and ***"),
        ("กิ่1", "กิ่\n1", "***"),
        ("a b1", "a\nb\n1", "***"),
        ("042", "0 42 runs", "0 42 runs"),
        ("042", "0\xa042 runs, 1\u202f042", "0\xa042 runs, 1\u202f***"),
        ("042", "10\n42 runs, 0\n421", "10\n42 runs, 0\n421"),
        ("en", "the\nn", "the\nn"),
    ],
)
def test_short_value_across_lines_is_redacted(value: str, text: str, expected: str) -> None:
    """Ordinary text has single spaces only."""
    assert Redactor([value])(text) == expected
    assert Redactor([value, *map(str, range(100, 200))])(text) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4711", "%34%37%31%31"),
        ("4711", "4&#55;11"),
        ("4711", "4%E2%80%8B711"),
        ("4711", r"4\u200b711"),
        ("4711", "%25347%2531%2531"),
        ("042", "pin=&#48;42"),
        ("042", r"\u00304\x32"),
        ("a<b", "%61&lt;b"),
        ("en", "lang%3D%65n"),
    ],
)
def test_short_value_in_needless_escapes(value: str, text: str) -> None:
    """Letters, digits and invisible characters need no escape, so such escapes are suspicious."""
    assert Redactor([value])(f"code {text} is") == MASK
    assert Redactor([value, *map(str, range(100, 200))])(f"code {text} is") == MASK


@pytest.mark.parametrize("text", ["a&lt;b", "&quot;a&lt;b&quot;"])
def test_short_value_in_html_is_redacted(text: str) -> None:
    """A short value is replaced in its HTML form."""
    assert Redactor(["a<b"])(text) == text.replace("a&lt;b", MASK)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4711", "47+11 or 47%2011"),
        ("ode", r"C:\node"),
        ("1", "Step%201"),
        ("en", "lang%3Den"),
        ("042", "%3442 and 0%3421"),
    ],
)
def test_ordinary_escapes_are_kept(value: str, text: str) -> None:
    """A short value does not match ordinary escapes."""
    assert Redactor([value])(text) == text


@pytest.mark.parametrize("change_case", [str, str.upper])
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_iota_subscript_is_matched(
    form: Literal["NFC", "NFD", "NFKC", "NFKD"], change_case: Callable[[str], str]
) -> None:
    """In capitals, an iota subscript is a separate letter."""
    value = "ᾳβῃκωδικῷς77"
    assert Redactor([value])(change_case(unicodedata.normalize(form, value))) == MASK
    assert Redactor(["password"])("p\u0345ass\u0345word") == MASK


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("kx7'hunter2", "'kx7''hunter2'", "'***'"),
        ("kx7'hunter2", r"'kx7'\''hunter2'", "'***'"),
        ("kx7'hunter2", "'kx7'\"'\"'hunter2'", "'***'"),
        ('kx7"hunter2', '"kx7""hunter2"', '"***"'),
        ('kx7"hunter2', '"kx7`"hunter2"', '"***"'),
        ('kx7"hunter2', '"kx7"\'"\'"hunter2"', '"***"'),
        ("kx7qz=hunter2", "kx7qz=3Dhunter2", "***"),
        ("pässwört-7", "p=C3=A4ssw=C3=B6rt-7", "***"),
    ],
)
def test_quoted_value_is_redacted(value: str, text: str, expected: str) -> None:
    """SQL, CSV, shells, PowerShell and mail have different quotes."""
    assert Redactor([value])(text) == expected


FULL_VALUE = "kx7qz-hunter2-77"


@pytest.mark.parametrize("other_values", [[], [f"other-value-{number}" for number in range(200)]], ids=["one", "many"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value kx7qz-hunter2... too long", "value ***... too long"),
        ("value kx7qz-h....", "value ***...."),
        ("ends with …7qz-hunter2-77", "ends with …***"),
        ("ends with ...ter2-77, yes", "ends with ...***, yes"),
        ("kx7qz-h…ter2-77", "***…***"),
        ("a kx7qz... b", "a kx7qz... b"),
        ("… ter2-77", "… ter2-77"),
        ("open kx7qz-h… now", "open ***… now"),
        ("…er-77", "…er-77"),
    ],
)
def test_partial_value_at_ellipsis_is_redacted(text: str, expected: str, other_values: list[str]) -> None:
    """A truncated value beside an ellipsis is replaced."""
    assert Redactor([FULL_VALUE, *other_values])(text) == expected


@pytest.mark.parametrize("count", [0, 1, 30, 150, 199, 200, 1000])
def test_partial_value_after_dots_is_redacted(count: int) -> None:
    """Many dots in a text do not hide a truncated value."""
    redacted = Redactor([FULL_VALUE])("Loading... " * count + f"typed {FULL_VALUE[:-2]}… into")
    assert "hunter2" not in redacted
    assert redacted.endswith(MASK if count >= 200 else "***… into")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("checkout-service-7", "Opening checkout..."),
        ("autonoma-checkout", "Loading...checkout"),
        ("autonoma-checkout-7", "Loading... checkout-7"),
    ],
)
def test_word_at_three_dots_is_kept(value: str, text: str) -> None:
    """A word beside three dots is unchanged."""
    assert Redactor([value])(text) == text


def test_word_at_ellipsis_is_redacted() -> None:
    """Only programs that cut a text write this character, so six letters before it are a part of the value."""
    redact = Redactor(["checkout-service-7"])
    assert redact("Opening checkout… now") == "Opening ***… now"
    assert redact("Opening check… now") == "Opening check… now"


def test_key_of_any_value_is_derived() -> None:
    """A value from the environment can hold bytes that are not UTF-8."""
    assert Secret("caf\udce9").derive_key("a purpose") == hmac.digest(b"caf\xed\xb3\xa9", b"a purpose", "sha256")


@pytest.mark.parametrize(
    ("credential", "removed_by"),
    [
        ("s3cret-", (True, False, False)),
        ("s3cret-v", (True, True, False)),
        ("s3cret-valu", (True, True, False)),
        ("s3cret-value", (True, True, True)),
    ],
)
def test_credential_redactors_differ_in_length(credential: str, removed_by: tuple[bool, ...]) -> None:
    """A short credential stays in the user's own texts."""
    redactors = build_credential_redactors((Secret(credential), Secret("")))
    assert tuple(redact.contains_secret(f"a {credential} b") for redact in redactors) == removed_by
    assert credential not in repr(redactors)


def test_credential_redactors_are_built_once() -> None:
    """The same credentials have the same redactors, and no credentials remove nothing."""
    credentials = (Secret("s3cret-value"),)
    assert build_credential_redactors(credentials) is build_credential_redactors(credentials)
    assert all(redact("a s3cret-value b") == "a s3cret-value b" for redact in build_credential_redactors(()))
