"""Split a text of the manifest into plain text and `${...}`.

A default may contain references again: `${NAME:-${OTHER:-text}}`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# In levels, far beyond any real manifest. Each level is one call, so a hostile text can't overflow the stack.
MAX_REFERENCE_DEPTH = 10
_TOKEN_RE = re.compile(r"\$\$|\$\{|[${}]")
_BODY_RE = re.compile(r"(?P<name>ci\.[a-z_]+|[A-Za-z_][A-Za-z0-9_]{0,254})(?P<mode>:[-?])?")
# A single `$` is often a mistake, so a literal dollar sign must be doubled.
_INVALID_REFERENCE = "is not ${NAME}: write ${NAME} for a variable, or $$ for a dollar sign"
_GITHUB_EXPRESSION = "is an expression of GitHub, which a manifest can't hold: set a variable in env, and write ${NAME}"
_TOO_DEEP = f"is nested more than {MAX_REFERENCE_DEPTH} levels deep: use fewer defaults"


class Reference(NamedTuple):
    """One `${...}` of a text."""

    source: str  # the complete text of the reference
    name: str = ""  # the environment variable, or a build fact with `ci.` before it
    mode: str = ""  # `-` for a default, `?` for an error message, or empty
    operand: str = ""  # the text behind the mode, as written
    default: tuple[Piece, ...] = ()  # the same text in pieces, if the mode is `-`
    error: str = ""  # the reason why the text is not a valid reference. All fields but `source` are empty then


Piece: TypeAlias = "str | Reference"


def parse_references(text: str) -> tuple[Piece, ...]:
    """Split a text into plain texts and references.

    Returns:
        The pieces in order, without empty ones. `$$` becomes a dollar sign.
    """
    return _Splitter(text).split(0, len(text), 0)


def find_names(pieces: Sequence[Piece]) -> Iterator[str]:
    """Yield the names of all references, including those in defaults."""
    for piece in pieces:
        if isinstance(piece, Reference) and not piece.error:
            yield piece.name
            yield from find_names(piece.default)


class _Splitter:
    """Splits one text in linear time.

    All tokens and the ends of all references are found once, at the beginning.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(match.start(), match[0]) for match in _TOKEN_RE.finditer(text)]
        # The index of the token that closes a reference, by the index of the token that opens it.
        self._ends = self._match_ends()

    def _match_ends(self) -> dict[int, int]:
        ends: dict[int, int] = {}
        # For each open brace, the index of its token and whether that is `${`.
        open_tokens: list[tuple[int, bool]] = []
        for index, (_, sign) in enumerate(self._tokens):
            if sign in {"${", "{"}:
                open_tokens.append((index, sign == "${"))
            elif sign == "}" and open_tokens:
                begin, is_reference = open_tokens.pop()
                if is_reference:
                    ends[begin] = index
        return ends

    def split(self, begin: int, end: int, depth: int) -> tuple[Piece, ...]:
        """Return the pieces of a part of the text.

        Args:
            begin: Index of the first character.
            end: Index behind the last character.
            depth: Number of defaults around this part.
        """
        pieces: list[Piece] = []
        index = self._find_first_token(begin)
        position = begin
        while index < len(self._tokens) and self._tokens[index][0] < end:
            start, sign = self._tokens[index]
            if sign in {"{", "}"}:
                index += 1
                continue
            pieces.append(self._text[position:start])
            closing = self._ends.get(index) if sign == "${" else None
            if sign == "$$":
                pieces.append("$")
            elif closing is None or self._tokens[closing][0] >= end:
                pieces.append(Reference(self._text[start : min(start + 2, end)], error=_INVALID_REFERENCE))
            else:
                pieces.append(self._parse_reference(start, self._tokens[closing][0], depth))
                index = closing
            position = self._tokens[index][0] + len(self._tokens[index][1])
            index += 1
        pieces.append(self._text[position:end])
        return tuple(piece for piece in pieces if piece != "")

    def _find_first_token(self, begin: int) -> int:
        return bisect_left(self._tokens, (begin, ""))

    def _parse_reference(self, start: int, end: int, depth: int) -> Reference:
        source = self._text[start : end + 1]
        if source.startswith("${{"):
            return Reference(source, error=_GITHUB_EXPRESSION)
        match = _BODY_RE.match(self._text, start + 2, end)
        if not match or (not match["mode"] and match.end() != end):
            return Reference(source, error=_INVALID_REFERENCE)
        operand = self._text[match.end() : end]
        mode = (match["mode"] or ":")[1:]
        if mode != "-":
            return Reference(source, match["name"], mode, operand)
        if depth == MAX_REFERENCE_DEPTH:
            return Reference(source, error=_TOO_DEEP)
        return Reference(source, match["name"], mode, operand, self.split(match.end(), end, depth + 1))
