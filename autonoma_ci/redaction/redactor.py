"""Hide secret values, and remove them from text that comes from outside."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, final
from urllib.parse import quote, quote_plus

from autonoma_ci.redaction.normalize import (
    clean,
    decode_single_bytes,
    fold,
    fold_with_positions,
    fold_with_word_gaps,
    reduce,
    reduce_lines,
    reduce_with_positions,
    unescape,
    unescape_in_steps,
)
from autonoma_ci.startup import NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MASK = "***"
# In characters. A credential below this length matches ordinary text by accident.
WEAK_CREDENTIAL_LENGTH = 6
# In characters. A shorter value, such as `sandbox`, can occur in another text by chance.
MIN_RECOGNIZABLE_LENGTH = 8
# In characters. A credential of this length never appears in the user's texts by accident.
MIN_LONG_LENGTH = 12
# In characters. A shorter value occurs in ordinary words, so it is replaced only as a separate word.
_MIN_SUBSTRING_LENGTH = 4
# In letters. A shorter word occurs across the space between two ordinary words: `sand` in `this and that`.
_MIN_WORD_LENGTH = 9
# In characters. Ordinary texts begin or end with half of a shorter value. At least twice `_MIN_CUT_LENGTH`.
_MIN_SPLIT_LENGTH = 12
# In characters. A shorter member of a JSON value, or password of a URL, is an ordinary word or number: `true`, `admin`.
_MIN_PART_LENGTH = 6
# A longer JSON value is data rather than a secret, and processing its members takes time.
_MAX_JSON_CHARS = 16 * 1024
# Numbers of forms. An index finds more forms faster, and fewer forms slower. A short form needs a search by two
# patterns, so its limit is lower.
_MAX_UNINDEXED, _MAX_UNINDEXED_SHORT = 100, 10
# In characters. The shortest part of a value that is masked beside an ellipsis, and the search distance from the
# ellipsis. autonoma-ci itself cuts texts to at most 200 characters.
_MIN_CUT_LENGTH, _MAX_CUT_DISTANCE = 6, 400
# The forms of at most this many values are cached.
_MAX_CACHED_VALUES = 20
# A text with more ellipses that may contain a part of a value is masked completely. To check each takes too long.
_MAX_ELLIPSES = 200
_ELLIPSIS_RE = lazy_pattern(r"(…|\.{3})")
# Between two characters of a value, a tab or a line break can add spaces, a line end and indentation.
_LINE_GAP_PATTERN = r"(?: *\n[ \n]*)?"
# Characters that are written differently within quotes.
_QUOTED_DIFFERENTLY_RE = lazy_pattern(r"['\"=&<>]|[^\x00-\x7f]")
# The user and the password of a URL (RFC 3986, 3.2.1).
_USERINFO_RE = lazy_pattern(r"://([^\s/?#]*)@")
# A password with characters that a URL must encode, or in a connection string without a scheme. A port and a path are
# not a password.
_PASSWORD_RE = lazy_pattern(r"(?:://|^(?!mailto:))[^\s:/?#@]*:(?!//|\d+[/?#])(\S*)@")
# The value of a key of a query or connection string that is named like a secret, as in `?user=a&password=b`.
_SECRET_SETTING_RE = lazy_pattern(r"(?i)(?:pass|password|passwd|pwd|token|secret|key)\s*=\s*([^\s&;,'\"]+)")
# An escaped line break in a value of one line.
_ESCAPED_BREAK_RE = lazy_pattern(r"(?<!\\)(?:\\r)?\\n")
# A text in double quotes. The second group matches if the text is the key of a pair.
_QUOTED_TEXT_RE = lazy_pattern(r'"((?:[^"\\]|\\.)*+)(?:"(\s*:)?|$)', re.DOTALL)
# In levels of values within values.
_MAX_NESTING_DEPTH = 4
# Unnecessary escapes, which are those of ASCII letters, digits and invisible characters.
_NEEDLESS_ESCAPE_RE = lazy_pattern(
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
# Characters that stay unescaped: none, those of a path, of JavaScript's encodeURIComponent, and of its encodeURI.
_URL_SAFE_SETS = ("", "/", "!'()*", ";,/?:@&=+$!'()*#")


@final
class Secret:
    """A value that only `reveal` returns.

    Exception texts, dumps and comparisons do not show the value. Its repr, str and format are `***`, it can't be
    pickled, and it compares by identity.
    """

    __slots__ = ("__read",)

    def __init__(self, value: str) -> None:
        # A closure hides the value from every dump of this object's fields.
        self.__read: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """Return the secret value.

        Only the transport, the masks of CI systems, checks of its length and `Redactor` may call this.
        """
        return self.__read()

    def derive_key(self, purpose: str) -> bytes:
        """Derive a key of 32 bytes for one purpose.

        The value can't be computed from the key.
        """
        # Imported late, because many job steps sign nothing.
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


class _HiddenStr(str):
    """A string whose repr is `***`.

    A traceback with local variables does not show it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


class _FormIndex(list[_HiddenStr]):
    """Forms of secret values with an index for fast search.

    A large manifest has thousands of values. To search all texts of the API for each value would take minutes.

    Args:
        forms: The forms. The list has the longest first.
        get_keys: Returns the keys of a form. A text that contains the form contains one of its keys.
        max_unindexed: At most this many forms are searched one by one, without an index.
    """

    __slots__ = ("_by_key", "_sizes")

    def __init__(self, forms: Iterable[str], get_keys: Callable[[str], Iterable[str]], max_unindexed: int) -> None:
        super().__init__(map(_HiddenStr, sorted(set(forms), key=lambda form: (-len(form), form))))
        self._by_key: dict[str, list[_HiddenStr]] = {}
        for form in self if len(self) > max_unindexed else ():
            for key in get_keys(form):
                self._by_key.setdefault(_HiddenStr(key), []).append(form)
        self._sizes = {len(key) for key in self._by_key}

    def find_candidates(self, text: str) -> Iterable[_HiddenStr]:
        """Return the forms that the text may contain.

        Each of them has a key in the text. Without an index, the result has all forms.
        """
        if not self._by_key:
            return self
        parts = {text[index : index + size] for size in self._sizes for index in range(len(text) - size + 1)}
        return {form for part in parts if part in self._by_key for form in self._by_key[part]}


class _SecretForms(NamedTuple):
    """The forms of the values that a `Redactor` looks for."""

    # Folded forms, the longest first.
    folded: _FormIndex
    # The short words of `folded`.
    words: frozenset[_HiddenStr]
    # Forms with too few characters to fold. They are compared with their white space and accents.
    short: _FormIndex
    # Folded forms to find in unescaped texts. The second list has the short words.
    escaped: _FormIndex
    escaped_words: _FormIndex
    # Values that are too short for these two. They are searched only in texts with unnecessary escapes.
    escaped_short: _FormIndex
    # Folded forms of which parts are replaced too.
    split: _FormIndex


class Redactor:
    """Replaces secret values and their encoded forms by `***`.

    Apply it to every text from outside where the text enters the program. All later code then has no secrets.
    Texts are compared as `fold` returns them, because a later step or a reader drops white space and invisible
    characters. A value of fewer than four characters is replaced only as a separate word. Like a `Secret`, a redactor
    hides its values from repr, pickle and tracebacks.
    """

    __slots__ = ("__read",)

    def __init__(self, values: Iterable[str | Secret]) -> None:
        raw = {v.reveal() if isinstance(v, Secret) else v for v in values}
        all_values = frozenset(_add_nested_values(raw))
        forms = _build_forms_cached(all_values) if len(all_values) <= _MAX_CACHED_VALUES else _build_forms(all_values)
        self.__read: Callable[[], _SecretForms] = lambda: forms

    @property
    def max_variant_length(self) -> int:
        """Length of the longest form of a value in characters.

        It is 0 if there are no values.
        """
        forms = self.__read()
        return max((len(form) for form in (*forms.folded, *forms.short)), default=0)

    def __call__(self, text: str) -> str:
        """Replace every secret value in the text by `***`.

        If a value is hidden behind several escapes, `***` replaces the complete text.
        """
        forms = self.__read()
        previous, shown = text, _replace_values(text, forms)
        while len(shown) < len(previous) and any("*" in form for form in (*forms.folded, *forms.short)):
            # The inserted stars may be a part of another value.
            previous, shown = shown, _replace_values(shown, forms)
        if "…" in shown or "..." in shown:
            shown = _mask_cut_values(shown, forms)
        if _has_escaped_value(shown, forms):
            return MASK
        # The replaced text may be a part of an escaped value, and the rest of that value would remain.
        count = shown.count(MASK) - text.count(MASK)
        return MASK if shown != text and _has_escaped_value(text, forms, count) else shown

    def redact_edges(self, text: str) -> str:
        """Replace parts of secret values at both ends of the text.

        A part has at least half of the value. The rest may be in a text that is shown before or after this one.
        Values of fewer than 12 characters are ignored, because ordinary texts begin and end like them.
        """
        folded = fold(text)
        values = self.__read().split.find_candidates(folded)
        begin = max((_find_suffix_end(folded, value) for value in values), default=0)
        end = min((_find_prefix_begin(folded, value) for value in values), default=len(folded))
        if begin >= end:
            return MASK if folded else text
        positions = fold_with_positions(text) if begin or end < len(folded) else []
        head = (MASK, positions[begin - 1] + 1) if begin else ("", 0)
        tail = (MASK, positions[end]) if end < len(folded) else ("", len(text))
        return head[0] + text[head[1] : tail[1]] + tail[0]

    def contains_secret(self, text: str) -> bool:
        """Return whether the text contains a secret value."""
        return self(text) != text

    def __repr__(self) -> str:
        return "Redactor(...)"

    def __reduce__(self) -> str:
        raise TypeError("a Redactor is never written anywhere")


def _build_forms(raw: frozenset[str]) -> _SecretForms:
    forms = {form for value in raw for form in _build_encoded_variants(value)}
    lines = {line for value in raw for line in (value, *value.splitlines())}
    plain = {text for line in lines for text in (line, *unescape(line))}
    short = {value.strip() for value in raw if len(value.strip()) <= _MIN_SUBSTRING_LENGTH}
    # An encoded form can be escaped too, such as base64 with an escaped `/`. A short form occurs by chance.
    long = {form for form in forms if len(fold(form)) >= 2 * _MIN_SUBSTRING_LENGTH and not {"%", "\\"} & set(form)}
    encoded = {text for form in long for text in (form, *unescape(form))}
    # A value that contains white space is not a word.
    spaced = {fold(form) for form in forms if len(form.split()) > 1}
    words = {fold(form) for form in forms if _is_short_word(form)}
    return _SecretForms(
        _FormIndex(
            (form for form in map(fold, forms) if len(form) >= _MIN_SUBSTRING_LENGTH), _get_prefix_key, _MAX_UNINDEXED
        ),
        frozenset(map(_HiddenStr, words - spaced)),
        _FormIndex(
            (form for form in forms if len(fold(form)) < _MIN_SUBSTRING_LENGTH),
            _get_first_word_key,
            _MAX_UNINDEXED_SHORT,
        ),
        _FormIndex(
            (fold(text) for text in plain | encoded if not _is_short_word(text) and _is_long_enough(text)),
            _get_prefix_key,
            _MAX_UNINDEXED,
        ),
        _FormIndex(
            (fold(text) for text in plain if _is_short_word(text) and _is_long_enough(text)),
            _get_prefix_key,
            _MAX_UNINDEXED,
        ),
        _FormIndex((text for text in short if any(map(str.isalnum, text))), _get_first_word_key, _MAX_UNINDEXED_SHORT),
        _FormIndex(
            (value for value in map(fold, {*lines, *forms}) if len(value) >= _MIN_SPLIT_LENGTH),
            _get_split_keys,
            _MAX_UNINDEXED,
        ),
    )


# Requests for one run create redactors of the same values, so the forms are cached. Those of many values are not.
_build_forms_cached = lru_cache(16)(_build_forms)


def _add_nested_values(values: set[str]) -> set[str]:
    """Return the values together with the values within them.

    A text can show a nested value alone, such as a password of a URL, or a value without its own escapes.
    """
    results = new = {value for value in values if value.strip()}
    for _ in range(_MAX_NESTING_DEPTH):
        parts = {
            part
            for value in new
            for part in (*_find_unescaped(value), *_find_passwords(value), *_find_json_members(value))
        }
        new = {part for part in parts if len(part.strip()) >= _MIN_PART_LENGTH} - results
        if not new:
            break
        results = results | new
    return results


def _find_unescaped(value: str) -> Iterator[str]:
    """Yield an escaped value without its escapes.

    An example is a private key in one line with escapes for its line breaks.
    """
    if "\\" in value or "%" in value or "&" in value:
        yield from (text for text in unescape(_ESCAPED_BREAK_RE.sub("\n", value)) if not _is_short_word(text))


def _find_passwords(value: str) -> Iterator[str]:
    """Yield the passwords of URLs and of connection strings."""
    if "@" in value:
        for userinfo in _USERINFO_RE.findall(value):
            user, _, password = userinfo.partition(":")
            yield password
            # A user name can be a token, with no password or a fixed word as one. Other users are words like `deploy`.
            if not user.isalpha() and (not password or len(user) >= _MIN_SPLIT_LENGTH):
                yield user
        yield from _PASSWORD_RE.findall(value)
    if "=" in value:
        yield from (text for text in _SECRET_SETTING_RE.findall(value) if not _is_short_word(text))


def _find_json_members(value: str) -> Iterator[str]:
    """Yield the texts and numbers within a JSON value.

    Of invalid JSON, such as lines of JSON, yield the quoted texts that are not keys.
    """
    text = value.strip().removeprefix("\ufeff")
    if len(text) > _MAX_JSON_CHARS or text[:1] not in {"{", "[", '"'}:
        return
    try:
        # Numbers stay text, because Python can't convert long ones. `strict=False` allows line breaks and tabs within
        # texts, and the hook returns each value of a duplicate key. Other programs accept both.
        members = [json.loads(text, parse_int=str, parse_float=str, strict=False, object_pairs_hook=_drop_keys)]
    except (ValueError, RecursionError):
        members = [quoted_text for quoted_text, is_key in _QUOTED_TEXT_RE.findall(text) if not is_key]
    for member in members:
        if isinstance(member, list):
            members.extend(member)
        elif isinstance(member, str) and not _is_short_word(member):
            yield member


def _drop_keys(pairs: list[tuple[str, object]]) -> list[object]:
    return [value for _, value in pairs]


def _is_short_word(form: str) -> bool:
    return form.isalpha() and len(form) < _MIN_WORD_LENGTH


def _is_long_enough(text: str) -> bool:
    # Where any text can be an escape, a shorter value occurs by chance.
    return len(text) > _MIN_SUBSTRING_LENGTH and len(fold(text)) >= _MIN_SUBSTRING_LENGTH


def _get_prefix_key(form: str) -> tuple[str, ...]:
    return (form[:_MIN_SUBSTRING_LENGTH],)


def _get_first_word_key(form: str) -> tuple[str, ...]:
    # The first word only, because a text can have more spaces between two words.
    return _get_prefix_key(reduce(form).partition(" ")[0])


def _get_split_keys(value: str) -> tuple[str, ...]:
    # A text ends with the beginning of the value, or begins with its end. At an ellipsis such a part has at least
    # `_MIN_CUT_LENGTH` characters. At an edge of the text it has half of the value, which is never shorter.
    return (*_get_prefix_key(value), *_get_prefix_key(value[-_MIN_CUT_LENGTH:]))


def _build_encoded_variants(value: str) -> set[str]:
    # Responses, URLs and error texts change the form of a value. Logs are cut at line ends, so each line counts.
    # Headers have one line, so all words are joined. A short line, such as a bracket, does not identify the value.
    lines = {line.strip() for line in value.splitlines() if len(fold(line)) >= _MIN_SUBSTRING_LENGTH}
    plain_texts = {value, value.strip(), " ".join(value.split()), *lines}
    # Base64 without its padding, because some programs treat `=` as a separator behind a name.
    plain_texts |= {
        bare for text in plain_texts if text.endswith("=") and len(fold(bare := text.rstrip("="))) >= _MIN_SPLIT_LENGTH
    }
    # A letter with an iota below it becomes two letters in uppercase.
    forms = plain_texts | {text.upper() for text in plain_texts if not text.isascii()}
    for text in plain_texts:
        data = text.encode("utf-8", "surrogatepass")
        forms |= {quote(data, safe=safe) for safe in _URL_SAFE_SETS}
        forms |= {
            quote_plus(data),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
        }
        if _QUOTED_DIFFERENTLY_RE.search(text) and any(map(str.isalnum, text)):
            forms |= {*_build_quoted_forms(text), *_build_misread_forms(text, data)}
        if len(data) >= _MIN_SUBSTRING_LENGTH:
            forms |= {encode(data).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)}
            forms |= {data.hex(), *_build_base64_fragments(data)}
    return {form for form in forms if form}


def _build_quoted_forms(text: str) -> Iterator[str]:
    """Yield the text as other formats quote it.

    The formats are SQL, CSV, shells, PowerShell, quoted-printable and HTML.
    """
    if "'" in text:
        yield from (text.replace("'", escaped_quote) for escaped_quote in ("''", "'\\''", "'\"'\"'"))
    if '"' in text:
        yield from (text.replace('"', escaped_quote) for escaped_quote in ('""', '`"', '"\'"\'"'))
    if "=" in text or not text.isascii():
        # Source: RFC 2045, 6.7 (quoted-printable).
        data = text.encode("utf-8", "surrogatepass")
        yield "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x3D else f"={byte:02X}" for byte in data)
    if not _is_long_enough(text):
        # Longer values are found by unescaping the text instead.
        yield from (html.escape(text), html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))


def _build_misread_forms(text: str, data: bytes) -> Iterator[str]:
    """Yield the text as a wrong encoding decodes its bytes."""
    if text.isascii():
        return
    yield decode_single_bytes(text)
    for form in (data.decode("latin-1"), data.decode("cp1252", "replace")):
        folded = fold(form)
        # A few letters without accents may be an ordinary word.
        if len(folded) >= (_MIN_WORD_LENGTH if folded.isascii() else _MIN_SUBSTRING_LENGTH):
            yield form


def _build_base64_fragments(data: bytes) -> set[str]:
    """Return the base64 forms of data within other data.

    Base64 encodes groups of three bytes, so there is one form for each position of the data in a group.
    """
    forms = set()
    for offset, begin in enumerate((0, 2, 3)):
        end = (offset + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(bytes(offset) + data).decode()[begin:end]
            forms |= {form} if len(form) >= 2 * _MIN_SUBSTRING_LENGTH else set()
    return forms


def _replace_values(text: str, forms: _SecretForms) -> str:
    parts, position = [], 0
    for begin, end in sorted([*_find_long_spans(text, forms), *_find_short_spans(text, forms)]):
        if begin >= position:
            parts += [text[position:begin], MASK]
        position = max(position, end)
    return "".join([*parts, text[position:]])


def _mask_cut_values(text: str, forms: _SecretForms) -> str:
    """Mask parts of values beside an ellipsis.

    The ellipsis replaces the rest of the value.
    """
    folded = fold(text)
    values = [
        value
        for value in forms.split.find_candidates(folded)
        if value[:_MIN_CUT_LENGTH] in folded or value[-_MIN_CUT_LENGTH:] in folded
    ]
    if not values:
        return text
    # Parts with an odd index are ellipses.
    parts = _ELLIPSIS_RE.split(text)
    if len(parts) > 2 * _MAX_ELLIPSES + 1:
        return MASK
    for index in range(1, len(parts), 2):
        before, ellipsis, after = parts[index - 1 : index + 2]
        parts[index - 1] = _mask_cut_prefix(before, values, mask_words=ellipsis == "…")
        # A space behind the ellipsis begins ordinary text of a sentence.
        parts[index + 1] = _mask_cut_suffix(after, values) if after[:1].strip() else after
    return "".join(parts)


def _mask_cut_prefix(text: str, values: list[_HiddenStr], *, mask_words: bool) -> str:
    """Mask the beginning of a value at the end of the text.

    Args:
        text: The text before an ellipsis.
        values: The values that it may contain.
        mask_words: Also mask a part that has letters only.
    """
    tail = text[-_MAX_CUT_DISTANCE:]
    folded = fold(tail)
    begins = (_find_prefix_begin(folded, value, _MIN_CUT_LENGTH) for value in values)
    begin = min((begin for begin in begins if mask_words or not folded[begin:].isalpha()), default=len(folded))
    if begin == len(folded):
        return text
    return text[: len(text) - len(tail)] + tail[: fold_with_positions(tail)[begin]] + MASK


def _mask_cut_suffix(text: str, values: list[_HiddenStr]) -> str:
    """Mask the end of a value at the beginning of the text.

    A part that has letters only stays, because it may be an ordinary word.
    """
    head = text[:_MAX_CUT_DISTANCE]
    folded = fold(head)
    ends = (_find_suffix_end(folded, value, _MIN_CUT_LENGTH) for value in values)
    end = max((end for end in ends if not folded[:end].isalpha()), default=0)
    return MASK + text[fold_with_positions(head)[end - 1] + 1 :] if end else text


def _find_long_spans(text: str, forms: _SecretForms) -> Iterator[tuple[int, int]]:
    folded = fold(text)
    positions: list[int] = []
    for form in forms.folded.find_candidates(folded):
        begin = folded.find(form)
        while begin >= 0:
            positions = positions or fold_with_positions(text)
            span = positions[begin], positions[begin + len(form) - 1] + 1
            if form not in forms.words or not _TWO_WORDS_RE.fullmatch(text, *span):
                yield span
            begin = folded.find(form, begin + 1)


def _find_short_spans(text: str, forms: _SecretForms) -> Iterator[tuple[int, int]]:
    broken = reduce_lines(text) if forms.short else ""
    spaced = broken.replace("\n", " ")
    positions: list[int] = []
    for form in forms.short.find_candidates(spaced):
        pattern = _build_pattern(reduce(form))
        # A longer value with so few visible characters consists of invisible ones. It is searched only in its raw form.
        if pattern and (len(form) < _MIN_SUBSTRING_LENGTH or len(reduce(form)) >= _MIN_SUBSTRING_LENGTH):
            for match in re.finditer(pattern, spaced):
                positions = positions or reduce_with_positions(text)
                yield positions[match.start()], positions[match.end() - 1] + 1
        for match in re.finditer(_build_pattern(form), text, re.IGNORECASE):
            yield match.span()
    if "\n" in broken:
        yield from _find_broken_spans(text, broken, forms)


def _find_broken_spans(text: str, broken: str, forms: _SecretForms) -> Iterator[tuple[int, int]]:
    """Yield the spans of short forms with tabs or line breaks inside."""
    # Only the ends of the lines count. The longest form is the first, and NFKD can turn a character into two.
    reach = 2 * len(forms.short[0])
    lines = map(str.strip, broken.split("\n"))
    ends = [line if len(line) <= 2 * reach else f"{line[:reach]}\n{line[-reach:]}" for line in lines]
    joined, separate = "".join(ends), "\n".join(ends)
    for form in forms.short.find_candidates(joined):
        reduced = _HiddenStr(reduce(form))
        if len(reduced) > 1 and (" " in reduced or joined.count(reduced) > separate.count(reduced)):
            positions = reduce_with_positions(text)
            for match in re.finditer(_build_pattern(reduced, _LINE_GAP_PATTERN), broken):
                yield positions[match.start()], positions[match.end() - 1] + 1


def _build_pattern(form: str, gap: str = "") -> _HiddenStr:
    """Build a regular expression that matches a form.

    Args:
        form: The form.
        gap: A pattern that matches between any two of its characters.
    """
    space = r"[ \n]+" if gap else r"\ +"
    escaped = _HiddenStr(gap.join(map(re.escape, form)).replace(r"\ ", space))
    if not form or len(form) >= _MIN_SUBSTRING_LENGTH:
        return escaped
    # A short form must be a separate word. An accent belongs to the letter before it.
    return _HiddenStr(rf"(?<![^\W_])(?<![\u0300-\u036f]){escaped}(?![^\W_]|[\u0300-\u036f])")


# Two words of a sentence.
_TWO_WORDS_RE = lazy_pattern(r"[^\W_]+ [^\W_]+")


def _find_suffix_end(folded: str, value: _HiddenStr, min_length: int = 0) -> int:
    """Find the end of a value at the beginning of the text.

    Args:
        folded: The folded text.
        value: The folded value.
        min_length: Least number of characters. 0 requires half of the value.

    Returns:
        The number of characters of the value, or 0.
    """
    required_length = min_length or (len(value) + 1) // 2
    index = folded.rfind(value[-required_length:], 0, len(value) - 1)
    while index >= 0:
        if value.endswith(folded[: index + required_length]):
            return index + required_length
        index = folded.rfind(value[-required_length:], 0, index + required_length - 1)
    return 0


def _find_prefix_begin(folded: str, value: _HiddenStr, min_length: int = 0) -> int:
    """Find the beginning of a value at the end of the text.

    Args:
        folded: The folded text.
        value: The folded value.
        min_length: Least number of characters. 0 requires half of the value.

    Returns:
        The index of the value's first character, or the length of the text.
    """
    required_length = min_length or (len(value) + 1) // 2
    index = folded.find(value[:required_length], max(0, len(folded) - len(value) + 1))
    while index >= 0:
        if value.startswith(folded[index:]):
            return index
        index = folded.find(value[:required_length], index + 1)
    return len(folded)


def _has_escaped_value(text: str, forms: _SecretForms, count: int = 0) -> bool:
    """Return whether an unescaped text contains a value more than `count` times."""
    cleaned = clean(text)
    unescaped = {plain for form in {text, cleaned} for plain in (*unescape(form), *unescape_in_steps(form))}
    changed = unescaped - {text, cleaned}
    has_needless_escapes = bool(changed and forms.escaped_short) and any(
        map(_NEEDLESS_ESCAPE_RE.search, {text, cleaned})
    )
    for plain in changed:
        folded, with_gaps = fold(plain), fold_with_word_gaps(plain) if forms.escaped_words else ""
        if any(folded.count(value) > count for value in forms.escaped.find_candidates(folded)) or any(
            with_gaps.count(value) > count for value in forms.escaped_words.find_candidates(with_gaps)
        ):
            return True
        if any(plain.count(value) > count for value in forms.short if len(value) > _MIN_SUBSTRING_LENGTH):
            return True
        if has_needless_escapes:
            spaced = reduce(plain)
            patterns = (_build_pattern(reduce(value)) for value in forms.escaped_short.find_candidates(spaced))
            if any(len(re.findall(pattern, spaced)) > count for pattern in patterns if pattern):
                return True
    return False


NO_SECRETS = Redactor(())


class CredentialRedactors(NamedTuple):
    """The redactors of a job step's credentials, one for each minimum length."""

    # For texts from outside, logs and reports.
    of_all: Redactor
    # For the source and values of the manifest.
    of_recognizable: Redactor
    # For other texts of the user and the CI system. A short credential can be an ordinary word in them.
    of_long: Redactor


# Cached, because each part of a job step needs them.
@lru_cache(4)
def build_credential_redactors(credentials: tuple[Secret, ...]) -> CredentialRedactors:
    """Return the redactors of these credentials."""
    of_all, of_recognizable, of_long = (
        Redactor(secret for secret in credentials if len(secret.reveal()) >= length)
        for length in (0, MIN_RECOGNIZABLE_LENGTH, MIN_LONG_LENGTH)
    )
    return CredentialRedactors(of_all, of_recognizable, of_long)
