"""Secret values: hidden wherever they might be printed, and removed from text that comes back from outside."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, final
from urllib.parse import quote, quote_plus

from autonoma_ci.lazy_regex import lazy_pattern
from autonoma_ci.redaction.normalize import (
    clean,
    decode_single_bytes,
    fold,
    fold_keeping_words,
    fold_with_positions,
    reduce,
    reduce_lines,
    reduce_with_positions,
    unescape,
    unescape_in_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MASK = "***"
# A shorter value occurs in ordinary words, so it is replaced only where it stands alone.
_SHORT = 4
# A shorter word occurs across the space between two ordinary words: `sand` in `this and that`.
_WORD = 9
# Half of a shorter value occurs at the begin or the end of ordinary texts.
_SPLIT = 12
# A shorter member of a JSON value, or password of a URL, is an ordinary word or number: `true`, `admin`.
_PART = 6
# In characters. A longer JSON value is data rather than a secret, and each of its members takes time.
_MAX_JSON = 16 * 1024
# More forms than these are found by an index, which is slower for few. A short form is looked for by two patterns.
_FEW, _FEW_SHORT = 100, 10
# In characters: the least part of a value that is looked for at an ellipsis, and how far from it. No text of ours that
# is cut is longer than 200.
_CUT, _CUT_TAIL = 6, 400
# Up to so many values, what is made of them is kept.
_FEW_VALUES = 20
# A text that may hold a part of a value, and has more ellipses, is hidden as a whole: to look at each takes too long.
_MAX_CUTS = 200
_ELLIPSIS = lazy_pattern(r"(…|\.{3})")
# What a tab or a line break makes of a text: spaces at an end of the line, and indentation.
_GAP = r"(?: *\n[ \n]*)?"
# What is written otherwise within quotes.
_TO_QUOTE = lazy_pattern(r"['\"=&<>]|[^\x00-\x7f]")
# The user and the password of a URL (RFC 3986, 3.2.1).
_USERINFO = lazy_pattern(r"://([^\s/?#]*)@")
# A password with what a URL must encode, or in a connection string without a scheme. A port and a path are no password.
_PASSWORD = lazy_pattern(r"(?:://|^(?!mailto:))[^\s:/?#@]*:(?!//|\d+[/?#])(\S*)@")
# The value of a query's or a connection string's key that is named like a secret, as in `?user=a&password=b`.
_SETTING = lazy_pattern(r"(?i)(?:pass|password|passwd|pwd|token|secret|key)\s*=\s*([^\s&;,'\"]+)")
# A line break in a value that is kept in one line.
_ESCAPED_BREAK = lazy_pattern(r"(?<!\\)(?:\\r)?\\n")
# A text in double quotes, and whether it is the key of a pair.
_QUOTED = lazy_pattern(r'"((?:[^"\\]|\\.)*+)(?:"(\s*:)?|$)', re.DOTALL)
# How deep values within values are looked for.
_DEPTH = 4
# Escapes that nobody needs: those of ASCII's letters and digits, and of characters that are not shown.
_NEEDLESS = lazy_pattern(
    r"""
    [%&\\] (?:
        (?: (?:25)* | u00 | x | u\{0* | \#x0* ) (?: 3[0-9] | [46][1-9a-f] | [57][0-9a] )
      | (?: u\{? | \#x ) (?: 200[b-f] | 2060 | feff | 0*ad )
      | \#0* (?: 4[89] | 5[0-7] | 6[5-9] | [78][0-9] | 90 | 9[7-9] | 1[01][0-9] | 12[0-2] ) \b
      | \#0* (?: 173 | 820[3-7] | 8288 | 65279 ) \b
      | (?: shy | zwj | zwnj | ZeroWidthSpace ) ;
      | (?:25)* (?: e2%(?:25)*80%(?:25)*8[b-f] | c2%(?:25)*ad )
      | (?: 0[67] | 1[0-7] ) [0-7]
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What is left as it is in a path, by JavaScript's encodeURIComponent, and by its encodeURI.
_LEFT = ("", "/", "!'()*", ";,/?:@&=+$!'()*#")


@final
class Secret:
    """A value that only the transport may read, through `reveal`.

    Its repr, str and format hide it, it cannot be pickled, and it compares by identity, so that no
    exception text, dump or comparison shows it.
    """

    __slots__ = ("__read",)

    def __init__(self, value: str) -> None:
        # Not the value itself: whoever lists an object's fields shows them.
        self.__read: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """Return the value itself; for the transport, the masks, its length and `Redactor` alone."""
        return self.__read()

    def derive_key(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for one purpose, from which the value can't be computed."""
        # Loaded only where there is something to sign.
        import hmac

        return hmac.digest(self.__read().encode("utf-8", "surrogatepass"), purpose.encode(), "sha256")

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self.__read())

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never written anywhere")


class _Shy(str):
    """A text that a traceback which shows local variables does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


class _Index(list[_Shy]):
    """Forms of values, with a quick way to those that a text can hold.

    A large manifest has thousands of values, which would take minutes to look for one by one in all texts of the API.
    """

    __slots__ = ("_by_key", "_sizes")

    def __init__(self, forms: Iterable[str], keys: Callable[[str], Iterable[str]], few: int) -> None:
        # The longest first.
        super().__init__(map(_Shy, sorted(set(forms), key=lambda form: (-len(form), form))))
        self._by_key: dict[str, list[_Shy]] = {}
        for form in self if len(self) > few else ():
            for key in keys(form):
                self._by_key.setdefault(_Shy(key), []).append(form)
        self._sizes = {len(key) for key in self._by_key}

    def within(self, text: str) -> Iterable[_Shy]:
        """Return all forms of which a key is in the text: those that it can hold, and few others."""
        if not self._by_key:
            return self
        parts = {text[place : place + size] for size in self._sizes for place in range(len(text) - size + 1)}
        return {form for part in parts if part in self._by_key for form in self._by_key[part]}


class _Values(NamedTuple):
    """The forms of the values that a `Redactor` looks for."""

    # Folded, the longest first.
    folded: _Index
    # Those of `folded` that are short words.
    words: frozenset[_Shy]
    # With too few characters to be folded. They are compared with their white space and accents.
    short: _Index
    # Folded, to look for where escapes are undone. Those in the second list are short words.
    escaped: _Index
    escaped_words: _Index
    # Too short for these two. They are looked for in a text with escapes that nobody needs.
    escaped_short: _Index
    # Folded. Parts of them are replaced too.
    split: _Index


class Redactor:
    """Replaces secret values, raw and in the forms they travel in, by `***`; it hides them as a Secret does.

    It is applied to every text from outside at the place where it comes in, so that nothing later on holds a secret.
    Texts are compared as `fold` returns them, since a later step or a reader drops white space and invisible
    characters. A value of fewer than four characters is replaced where it stands as a word.
    """

    __slots__ = ("__read",)

    def __init__(self, values: Iterable[str | Secret]) -> None:
        raw = {v.reveal() if isinstance(v, Secret) else v for v in values}
        whole = frozenset(_with_parts(raw))
        known = _values_of_few(whole) if len(whole) <= _FEW_VALUES else _values_of(whole)
        self.__read: Callable[[], _Values] = lambda: known

    @property
    def max_variant_length(self) -> int:
        """How many characters the longest form of a value has; 0 if there is none."""
        known = self.__read()
        return max((len(form) for form in (*known.folded, *known.short)), default=0)

    def __call__(self, text: str) -> str:
        """Return `text` with every secret value replaced; all of it where one is wrapped up several times over."""
        known = self.__read()
        before, shown = text, _replaced(text, known)
        while len(shown) < len(before) and any("*" in form for form in (*known.folded, *known.short)):
            # The stars in the place of one value may be a part of another.
            before, shown = shown, _replaced(shown, known)
        if "…" in shown or "..." in shown:
            shown = _without_cut_values(shown, known)
        if _holds_escaped(shown, known):
            return MASK
        # What was replaced may have been a part of an escaped value, whose rest is left.
        count = shown.count(MASK) - text.count(MASK)
        return MASK if shown != text and _holds_escaped(text, known, count) else shown

    def redact_edges(self, text: str) -> str:
        """Return `text` without a part of a value at its begin or its end, of at least half of the value.

        The rest of the value may be in a text that is shown before or after this one. Values of fewer than 12
        characters are not looked for, since ordinary texts begin and end like them.
        """
        folded = fold(text)
        values = self.__read().split.within(folded)
        begin = max((_end_of_suffix(folded, value) for value in values), default=0)
        end = min((_begin_of_prefix(folded, value) for value in values), default=len(folded))
        if begin >= end:
            return MASK if folded else text
        places = fold_with_positions(text) if begin or end < len(folded) else []
        first = (MASK, places[begin - 1] + 1) if begin else ("", 0)
        last = (MASK, places[end]) if end < len(folded) else ("", len(text))
        return first[0] + text[first[1] : last[1]] + last[0]

    def contains_secret(self, text: str) -> bool:
        """Say whether `text` has a secret value in it."""
        return self(text) != text

    def __repr__(self) -> str:
        return "Redactor(...)"

    def __reduce__(self) -> str:
        raise TypeError("a Redactor is never written anywhere")


def _values_of(raw: frozenset[str]) -> _Values:
    forms = {form for value in raw for form in _forms(value)}
    lines = {line for value in raw for line in (value, *value.splitlines())}
    plain = {text for line in lines for text in (line, *unescape(line))}
    short = {value.strip() for value in raw if len(value.strip()) <= _SHORT}
    # Such as base64 with its `/` escaped. A short form occurs by chance.
    long = {form for form in forms if len(fold(form)) >= 2 * _SHORT and not {"%", "\\"} & set(form)}
    encoded = {text for form in long for text in (form, *unescape(form))}
    # A value with white space of its own is no word.
    spaced = {fold(form) for form in forms if len(form.split()) > 1}
    words = {fold(form) for form in forms if _is_word(form)}
    return _Values(
        _Index((form for form in map(fold, forms) if len(form) >= _SHORT), _first, _FEW),
        frozenset(map(_Shy, words - spaced)),
        _Index((form for form in forms if len(fold(form)) < _SHORT), _short_key, _FEW_SHORT),
        _Index((fold(text) for text in plain | encoded if not _is_word(text) and _is_long(text)), _first, _FEW),
        _Index((fold(text) for text in plain if _is_word(text) and _is_long(text)), _first, _FEW),
        _Index((text for text in short if any(map(str.isalnum, text))), _short_key, _FEW_SHORT),
        _Index((value for value in map(fold, {*lines, *forms}) if len(value) >= _SPLIT), _split_keys, _FEW),
    )


# A step makes a dozen redactors of its credentials. What it knows of them is made once, that of many values never kept.
_values_of_few = lru_cache(16)(_values_of)


def _with_parts(values: set[str]) -> set[str]:
    """Return the values with what a text may show of one alone, or without the escapes that it has itself."""
    found = new = {value for value in values if value.strip()}
    for _ in range(_DEPTH):
        parts = {part for value in new for part in (*_unescaped(value), *_passwords(value), *_members(value))}
        new = {part for part in parts if len(part.strip()) >= _PART} - found
        if not new:
            break
        found = found | new
    return found


def _unescaped(value: str) -> Iterator[str]:
    """Yield a value that is escaped without its escapes, such as a key in one line with escapes for line breaks."""
    if "\\" in value or "%" in value or "&" in value:
        yield from (text for text in unescape(_ESCAPED_BREAK.sub("\n", value)) if not _is_word(text))


def _passwords(value: str) -> Iterator[str]:
    """Yield the passwords of URLs and of connection strings."""
    if "@" in value:
        for userinfo in _USERINFO.findall(value):
            user, _, password = userinfo.partition(":")
            yield password
            # A token has no password, or a fixed word as one. Other users are words like `deploy`.
            if not user.isalpha() and (not password or len(user) >= _SPLIT):
                yield user
        yield from _PASSWORD.findall(value)
    if "=" in value:
        yield from (text for text in _SETTING.findall(value) if not _is_word(text))


def _members(value: str) -> Iterator[str]:
    """Yield the texts and numbers of JSON, or the quoted texts of what is nearly JSON, such as lines of JSON."""
    text = value.strip().removeprefix("\ufeff")
    if len(text) > _MAX_JSON or text[:1] not in {"{", "[", '"'}:
        return
    try:
        # Numbers as they are written, since long ones can't be converted. Line breaks and tabs within texts, and each
        # value of a key that is there twice: programs accept both.
        found = [json.loads(text, parse_int=str, parse_float=str, strict=False, object_pairs_hook=_values_of_pairs)]
    except (ValueError, RecursionError):
        found = [quoted for quoted, key in _QUOTED.findall(text) if not key]
    for member in found:
        if isinstance(member, list):
            found.extend(member)
        elif isinstance(member, str) and not _is_word(member):
            yield member


def _values_of_pairs(pairs: list[tuple[str, object]]) -> list[object]:
    return [value for _, value in pairs]


def _is_word(form: str) -> bool:
    return form.isalpha() and len(form) < _WORD


def _is_long(text: str) -> bool:
    # A shorter one occurs by chance where everything is taken for an escape.
    return len(text) > _SHORT and len(fold(text)) >= _SHORT


def _first(form: str) -> tuple[str, ...]:
    return (form[:_SHORT],)


def _short_key(form: str) -> tuple[str, ...]:
    # A text can have more spaces between two words.
    return _first(reduce(form).partition(" ")[0])


def _split_keys(value: str) -> tuple[str, ...]:
    # Half of the value is at the begin or the end of a text, or less of it at an ellipsis.
    return *_first(value), *_first(value[-((len(value) + 1) // 2) :]), *_first(value[-_CUT:])


def _forms(value: str) -> set[str]:
    # What an answer, a URL or an error text makes of a value; lines, because logs are cut at line ends; all
    # on one line, because headers have no other.
    # A short line, such as a bracket, says nothing of the value.
    lines = {line.strip() for line in value.splitlines() if len(fold(line)) >= _SHORT}
    plain = {value, value.strip(), " ".join(value.split()), *lines}
    # Base64 without its padding, which is taken for a separator behind a name.
    plain |= {bare for text in plain if text.endswith("=") and len(fold(bare := text.rstrip("="))) >= _SPLIT}
    # A letter with an iota below it is two letters in capitals.
    forms = plain | {text.upper() for text in plain if not text.isascii()}
    for text in plain:
        data = text.encode("utf-8", "surrogatepass")
        forms |= {quote(data, safe=left) for left in _LEFT}
        forms |= {
            quote_plus(data),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
        }
        if _TO_QUOTE.search(text) and any(map(str.isalnum, text)):
            forms |= {*_quoted_forms(text), *_misread_forms(text, data)}
        if len(data) >= _SHORT:
            forms |= {encode(data).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)}
            forms |= {data.hex(), *_inside_base64(data)}
    return {form for form in forms if form}


def _quoted_forms(text: str) -> Iterator[str]:
    """Yield the text within quotes of SQL, CSV, shells and PowerShell, in quoted-printable, and in HTML."""
    if "'" in text:
        yield from (text.replace("'", other) for other in ("''", "'\\''", "'\"'\"'"))
    if '"' in text:
        yield from (text.replace('"', other) for other in ('""', '`"', '"\'"\'"'))
    if "=" in text or not text.isascii():
        # RFC 2045, 6.7.
        data = text.encode("utf-8", "surrogatepass")
        yield "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x3D else f"={byte:02X}" for byte in data)
    if not _is_long(text):
        # In a longer text, these escapes are undone.
        yield from (html.escape(text), html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))


def _misread_forms(text: str, data: bytes) -> Iterator[str]:
    """Yield what is made of a text whose bytes are read in another encoding."""
    if text.isascii():
        return
    yield decode_single_bytes(text)
    for form in (data.decode("latin-1"), data.decode("cp1252", "replace")):
        folded = fold(form)
        # A few letters without their accents may be an ordinary word.
        if len(folded) >= (_WORD if folded.isascii() else _SHORT):
            yield form


def _inside_base64(data: bytes) -> set[str]:
    """Return what base64 makes of the data in the middle of other data: one form for each place in a group of three."""
    forms = set()
    for offset, skipped in enumerate((0, 2, 3)):
        whole = (offset + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(bytes(offset) + data).decode()[skipped:whole]
            forms |= {form} if len(form) >= 2 * _SHORT else set()
    return forms


def _replaced(text: str, known: _Values) -> str:
    parts, done = [], 0
    for begin, end in sorted([*_long_spans(text, known), *_short_spans(text, known)]):
        if begin >= done:
            parts += [text[done:begin], MASK]
        done = max(done, end)
    return "".join([*parts, text[done:]])


def _without_cut_values(text: str, known: _Values) -> str:
    """Return the text without a part of a value before or behind an ellipsis, which stands for the rest of it."""
    folded = fold(text)
    values = [value for value in known.split.within(folded) if value[:_CUT] in folded or value[-_CUT:] in folded]
    if not values:
        return text
    # Every second part is an ellipsis.
    parts = _ELLIPSIS.split(text)
    if len(parts) > 2 * _MAX_CUTS:
        return MASK
    for number in range(1, len(parts), 2):
        before, ellipsis, after = parts[number - 1 : number + 2]
        parts[number - 1] = _without_begin(before, values, words=ellipsis == "…")
        # A sentence goes on behind a space.
        parts[number + 1] = _without_rest(after, values) if after[:1].strip() else after
    return "".join(parts)


def _without_begin(text: str, values: list[_Shy], *, words: bool) -> str:
    """Return the text without the begin of a value at its end, with `words` also one that is letters alone."""
    end = text[-_CUT_TAIL:]
    folded = fold(end)
    begins = (_begin_of_prefix(folded, value, _CUT) for value in values)
    begin = min((begin for begin in begins if words or not folded[begin:].isalpha()), default=len(folded))
    if begin == len(folded):
        return text
    return text[: len(text) - len(end)] + end[: fold_with_positions(end)[begin]] + MASK


def _without_rest(text: str, values: list[_Shy]) -> str:
    """Return the text without the rest of a value at its begin, unless that is letters alone."""
    begin = text[:_CUT_TAIL]
    folded = fold(begin)
    ends = (_end_of_suffix(folded, value, _CUT) for value in values)
    end = max((end for end in ends if not folded[:end].isalpha()), default=0)
    return MASK + text[fold_with_positions(begin)[end - 1] + 1 :] if end else text


def _long_spans(text: str, known: _Values) -> Iterator[tuple[int, int]]:
    folded = fold(text)
    places: list[int] = []
    for form in known.folded.within(folded):
        begin = folded.find(form)
        while begin >= 0:
            places = places or fold_with_positions(text)
            span = places[begin], places[begin + len(form) - 1] + 1
            if form not in known.words or not _TWO_WORDS.fullmatch(text, *span):
                yield span
            begin = folded.find(form, begin + 1)


def _short_spans(text: str, known: _Values) -> Iterator[tuple[int, int]]:
    broken = reduce_lines(text) if known.short else ""
    spaced = broken.replace("\n", " ")
    places: list[int] = []
    for form in known.short.within(spaced):
        pattern = _pattern(reduce(form))
        # A longer value of which that little shows is made of invisible characters, and only looked for as it is.
        if pattern and (len(form) < _SHORT or len(reduce(form)) >= _SHORT):
            for found in re.finditer(pattern, spaced):
                places = places or reduce_with_positions(text)
                yield places[found.start()], places[found.end() - 1] + 1
        for found in re.finditer(_pattern(form), text, re.IGNORECASE):
            yield found.span()
    if "\n" in broken:
        yield from _broken_spans(text, broken, known)


def _broken_spans(text: str, broken: str, known: _Values) -> Iterator[tuple[int, int]]:
    """Yield where a short form is that has tabs or line breaks between its characters."""
    # Only the ends of the lines count. The longest form comes first, and a character can be two after NFKD.
    reach = 2 * len(known.short[0])
    lines = map(str.strip, broken.split("\n"))
    ends = [line if len(line) <= 2 * reach else f"{line[:reach]}\n{line[-reach:]}" for line in lines]
    joined, apart = "".join(ends), "\n".join(ends)
    for form in known.short.within(joined):
        reduced = _Shy(reduce(form))
        if len(reduced) > 1 and (" " in reduced or joined.count(reduced) > apart.count(reduced)):
            places = reduce_with_positions(text)
            for found in re.finditer(_pattern(reduced, _GAP), broken):
                yield places[found.start()], places[found.end() - 1] + 1


def _pattern(form: str, gap: str = "") -> _Shy:
    """Return a pattern of a form, with a pattern of what may be between two of its characters."""
    space = r"[ \n]+" if gap else r"\ +"
    escaped = _Shy(gap.join(map(re.escape, form)).replace(r"\ ", space))
    if not form or len(form) >= _SHORT:
        return escaped
    # An accent belongs to the letter before it.
    return _Shy(rf"(?<![^\W_])(?<![\u0300-\u036f]){escaped}(?![^\W_]|[\u0300-\u036f])")


# Two words of a sentence.
_TWO_WORDS = lazy_pattern(r"[^\W_]+ [^\W_]+")


def _end_of_suffix(folded: str, value: _Shy, least: int = 0) -> int:
    """Return how many characters the end of the value has with which the text begins.

    It must have `least` characters, or half of the value.
    """
    half = least or (len(value) + 1) // 2
    place = folded.rfind(value[-half:], 0, len(value) - 1)
    while place >= 0:
        if value.endswith(folded[: place + half]):
            return place + half
        place = folded.rfind(value[-half:], 0, place + half - 1)
    return 0


def _begin_of_prefix(folded: str, value: _Shy, least: int = 0) -> int:
    """Return where the begin of the value is with which the text ends, else the text's length.

    It must have `least` characters, or half of the value.
    """
    half = least or (len(value) + 1) // 2
    place = folded.find(value[:half], max(0, len(folded) - len(value) + 1))
    while place >= 0:
        if value.startswith(folded[place:]):
            return place
        place = folded.find(value[:half], place + 1)
    return len(folded)


def _holds_escaped(text: str, known: _Values, count: int = 0) -> bool:
    """Return whether a value occurs more than `count` times where the escapes of the text are undone."""
    cleaned = clean(text)
    unescaped = {plain for whole in {text, cleaned} for plain in (*unescape(whole), *unescape_in_steps(whole))}
    changed = unescaped - {text, cleaned}
    has_needless = bool(changed and known.escaped_short) and any(map(_NEEDLESS.search, {text, cleaned}))
    for plain in changed:
        folded, apart = fold(plain), fold_keeping_words(plain) if known.escaped_words else ""
        if any(folded.count(value) > count for value in known.escaped.within(folded)) or any(
            apart.count(value) > count for value in known.escaped_words.within(apart)
        ):
            return True
        if any(plain.count(value) > count for value in known.short if len(value) > _SHORT):
            return True
        if has_needless:
            spaced = reduce(plain)
            patterns = (_pattern(reduce(value)) for value in known.escaped_short.within(spaced))
            if any(len(re.findall(pattern, spaced)) > count for pattern in patterns if pattern):
                return True
    return False


NO_SECRETS = Redactor(())
