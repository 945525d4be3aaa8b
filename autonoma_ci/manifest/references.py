"""Split a text of the manifest into plain text and `${...}`.

A default may hold references again: `${NAME:-${OTHER:-text}}`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Far beyond any manifest. Each level is one call, so that a hostile text can't fill the stack.
MAX_REFERENCE_DEPTH = 10
_TOKEN = re.compile(r"\$\$|\$\{|[${}]")
_BODY = re.compile(r"(?P<name>ci\.[a-z_]+|[A-Za-z_][A-Za-z0-9_]{0,254})(?P<mode>:[-?])?")
# `$` at the end or before anything else is a mistake as often as it is meant, so it must be doubled.
_NO_REFERENCE = "is not ${NAME}: write ${NAME} for a variable, or $$ for a dollar sign"
_EXPRESSION = "is an expression of GitHub, which a manifest can't hold: set a variable in env, and write ${NAME}"
_TOO_DEEP = f"is nested more than {MAX_REFERENCE_DEPTH} levels deep: use fewer defaults"


class Reference(NamedTuple):
    """One `${...}`.

    `source` is the whole text of it. `name` is the variable or fact. `mode` is `-` for a default, `?` for a message, or
    empty. `word` is what follows the mode as written, and `default` is the same in pieces. `problem` says why the text
    is no reference; the other fields are empty then.
    """

    source: str
    name: str = ""
    mode: str = ""
    operator: str = ""
    default: tuple[Piece, ...] = ()
    error: str = ""


Piece: TypeAlias = "str | Reference"


def parse_references(text: str) -> tuple[Piece, ...]:
    """Return the pieces of a text, in which `$$` is a dollar sign."""
    return _Splitter(text).split(0, len(text), 0)


def find_names(pieces: Sequence[Piece]) -> Iterator[str]:
    """Yield the names of all references, also of those in defaults."""
    for piece in pieces:
        if isinstance(piece, Reference) and not piece.error:
            yield piece.name
            yield from find_names(piece.default)


class _Splitter:
    """Splits one text; each token is found once, and each reference knows its end from the start."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(found.start(), found[0]) for found in _TOKEN.finditer(text)]
        # The index of the token that ends a reference, by the index of the token that opens it.
        self._ends = self._match_ends()

    def _match_ends(self) -> dict[int, int]:
        ends: dict[int, int] = {}
        # Of what is open: the index of its token, and whether that is `${`.
        open_: list[tuple[int, bool]] = []
        for index, (_, sign) in enumerate(self._tokens):
            if sign in {"${", "{"}:
                open_.append((index, sign == "${"))
            elif sign == "}" and open_:
                begin, is_reference = open_.pop()
                if is_reference:
                    ends[begin] = index
        return ends

    def split(self, begin: int, end: int, depth: int) -> tuple[Piece, ...]:
        """Return the pieces of a part of the text."""
        pieces: list[Piece] = []
        index = self._first_token(begin)
        at = begin
        while index < len(self._tokens) and self._tokens[index][0] < end:
            start, sign = self._tokens[index]
            if sign in {"{", "}"}:
                index += 1
                continue
            pieces.append(self._text[at:start])
            last = self._ends.get(index) if sign == "${" else None
            if sign == "$$":
                pieces.append("$")
            elif last is None or self._tokens[last][0] >= end:
                pieces.append(Reference(self._text[start : min(start + 2, end)], error=_NO_REFERENCE))
            else:
                pieces.append(self._reference(start, self._tokens[last][0], depth))
                index = last
            at = self._tokens[index][0] + len(self._tokens[index][1])
            index += 1
        pieces.append(self._text[at:end])
        return tuple(piece for piece in pieces if piece != "")

    def _first_token(self, begin: int) -> int:
        return bisect_left(self._tokens, (begin, ""))

    def _reference(self, start: int, end: int, depth: int) -> Reference:
        source = self._text[start : end + 1]
        if source.startswith("${{"):
            return Reference(source, error=_EXPRESSION)
        found = _BODY.match(self._text, start + 2, end)
        if not found or (not found["mode"] and found.end() != end):
            return Reference(source, error=_NO_REFERENCE)
        word = self._text[found.end() : end]
        mode = (found["mode"] or ":")[1:]
        if mode != "-":
            return Reference(source, found["name"], mode, word)
        if depth == MAX_REFERENCE_DEPTH:
            return Reference(source, error=_TOO_DEEP)
        return Reference(source, found["name"], mode, word, self.split(found.end(), end, depth + 1))
