"""Secret values: hidden wherever they might be printed, and removed from text that comes back from outside."""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING, final
from urllib.parse import quote, quote_plus, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HIDDEN = "***"
# A shorter value occurs in ordinary words, so it is replaced only where it stands alone.
_SHORT = 4
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
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __bool__(self) -> bool:
        return bool(self.__read())

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never written anywhere")


class _Shy(str):
    """A text that a traceback which shows local variables does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


class Redactor:
    """Replaces secret values, raw and in the forms they travel in, by `***`; it hides them as a Secret does.

    It is applied to every text from outside at the place where it comes in, so that nothing later on
    holds a secret. A value of fewer than four characters is replaced where it stands as a word.
    """

    __slots__ = ("__read",)

    def __init__(self, values: Iterable[str | Secret]) -> None:
        raw = {v.reveal() if isinstance(v, Secret) else v for v in values}
        found = {form for value in raw if value.strip() for form in _forms(value)}
        # Longest first: a value that contains another must go as a whole.
        forms = [_Shy(form) for form in sorted(found, key=lambda form: (-len(form), form))]
        plain = {_Shy(_unwrapped(line)) for value in raw for line in value.splitlines()}
        long = [value for value in plain if len(value) > _SHORT]
        self.__read: Callable[[], tuple[list[_Shy], list[_Shy]]] = lambda: (forms, long)

    @property
    def longest(self) -> int:
        """How many characters the longest form of a value has; 0 if there is none."""
        return max((len(form) for form in self.__read()[0]), default=0)

    def __call__(self, text: str) -> str:
        """Return `text` with every secret value replaced; all of it where one is wrapped up several times over."""
        forms, values = self.__read()
        # Raises for bytes, before a pattern, which the library's own frames would show, is held against them.
        low = str.lower(text)
        for form in forms:
            # The plain search is quick and nearly always says no; only a hit is worth a pattern. What
            # lower() makes of a letter outside ASCII can depend on the letters around it.
            if not form.isascii() or form.lower() in low:
                text, found = re.subn(_pattern(form), HIDDEN, text, flags=re.IGNORECASE)
                low = text.lower() if found else low
        unwrapped = _unwrapped(text)
        return HIDDEN if unwrapped != text and any(value in unwrapped for value in values) else text

    def holds(self, text: str) -> bool:
        """Say whether `text` has a secret value in it."""
        return self(text) != text

    def __repr__(self) -> str:
        return "Redactor(...)"

    def __reduce__(self) -> str:
        raise TypeError("a Redactor is never written anywhere")


NOTHING_SECRET = Redactor(())


def _forms(value: str) -> set[str]:
    # What an answer, a URL or an error text makes of a value; lines, because logs are cut at line ends; all
    # on one line, because headers have no other.
    lines = {line.strip() for line in value.splitlines() if line.strip()}
    plain = {value, value.strip(), " ".join(value.split()), *lines}
    forms = set(plain)
    for text in plain:
        data = text.encode("utf-8", "surrogatepass")
        forms |= {quote(data, safe=left) for left in _LEFT}
        forms |= {
            quote_plus(data),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
        }
        if len(data) >= _SHORT:
            forms |= {encode(data).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)}
            forms |= {data.hex(), *_inside_base64(data)}
    return {form for form in forms if form}


def _inside_base64(data: bytes) -> set[str]:
    """Return what base64 makes of the data in the middle of other data: one form for each place in a group of three."""
    forms = set()
    for offset, skipped in enumerate((0, 2, 3)):
        whole = (offset + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(bytes(offset) + data).decode()[skipped:whole]
            forms |= {form} if len(form) >= 2 * _SHORT else set()
    return forms


def _unwrapped(text: str) -> str:
    """Undo percent, HTML and backslash escapes, up to four deep: what is escaped twice has no form of its own."""
    for _ in range(4):
        plain = html.unescape(unquote_plus(text)).replace("\\", "")
        if plain == text:
            break
        text = plain
    return text


def _pattern(form: str) -> str:
    if len(form) >= _SHORT:
        return re.escape(form)
    return rf"(?<![^\W_]){re.escape(form)}(?![^\W_])"
