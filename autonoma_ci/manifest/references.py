"""Split a text of the manifest into plain text and `${...}`.

A default may contain references again: `${NAME:-${OTHER:-text}}`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Number of nested defaults. Each level is a recursive call, so the limit prevents a stack overflow. Real manifests need
# far fewer levels.
MAX_REFERENCE_DEPTH = 10
_TOKEN_RE = re.compile(r"\$\$|\$\{|[${}]")
_BODY_RE = re.compile(r"(?P<name>ci\.[a-z_]+|[A-Za-z_][A-Za-z0-9_]{0,254})(?P<operator>:[-?])?")
# A single `$` is often a mistake, so a literal dollar sign must be doubled.
_INVALID_REFERENCE = "is invalid. Write ${NAME} for a variable, or $$ for a dollar sign."
_GITHUB_EXPRESSION = "is a GitHub expression, which manifests do not support. Set a variable in env, and write ${NAME}."
_TOO_DEEP = f"is nested more than {MAX_REFERENCE_DEPTH} levels deep. Use fewer defaults."


class Reference(NamedTuple):
    """One `${...}` of a text."""

    source: str  # the complete text of the reference
    name: str = ""  # the environment variable, or a build fact with `ci.` before it
    operator: str = ""  # `-` for a default, `?` for an error message, or empty
    operand: str = ""  # the text after the operator, as written
    default: tuple[Piece, ...] = ()  # the pieces of the operand, if the operator is `-`
    # The reason why the reference is invalid. Then `source` is the only other field with text.
    error: str | None = None


Piece: TypeAlias = "str | Reference"


def parse_references(text: str) -> tuple[Piece, ...]:
    """Split a text into plain texts and references.

    Returns:
        The pieces in order, without empty ones. `$$` becomes a dollar sign.
    """
    return _Splitter(text).split(0, len(text), 0)


def iter_reference_names(pieces: Sequence[Piece]) -> Iterator[str]:
    """Yield the names of all references, including those in defaults."""
    for piece in pieces:
        if isinstance(piece, Reference) and piece.error is None:
            yield piece.name
            yield from iter_reference_names(piece.default)


class _Splitter:
    """Splits one text in linear time.

    All tokens and the ends of all references are found once, at the beginning.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(match.start(), match[0]) for match in _TOKEN_RE.finditer(text)]
        # The index of the token that closes a reference, by the index of the token that opens it.
        self._closing_by_opening = self._match_braces()

    def _match_braces(self) -> dict[int, int]:
        closing_by_opening: dict[int, int] = {}
        # For each open brace, the index of its token and whether that is `${`.
        open_tokens: list[tuple[int, bool]] = []
        for index, (_, symbol) in enumerate(self._tokens):
            if symbol in {"${", "{"}:
                open_tokens.append((index, symbol == "${"))
            elif symbol == "}" and open_tokens:
                opening, is_reference = open_tokens.pop()
                if is_reference:
                    closing_by_opening[opening] = index
        return closing_by_opening

    def split(self, start: int, end: int, depth: int) -> tuple[Piece, ...]:
        """Return the pieces of a part of the text.

        Args:
            start: Index of the first character.
            end: Index after the last character.
            depth: Number of defaults around this part.
        """
        pieces: list[Piece] = []
        index = self._find_first_token(start)
        position = start
        while index < len(self._tokens) and self._tokens[index][0] < end:
            token_start, symbol = self._tokens[index]
            if symbol in {"{", "}"}:
                index += 1
                continue
            pieces.append(self._text[position:token_start])
            closing = self._closing_by_opening.get(index) if symbol == "${" else None
            if symbol == "$$":
                pieces.append("$")
            elif closing is None or self._tokens[closing][0] >= end:
                pieces.append(Reference(self._text[token_start : min(token_start + 2, end)], error=_INVALID_REFERENCE))
            else:
                pieces.append(self._parse_reference(token_start, self._tokens[closing][0], depth))
                index = closing
            position = self._tokens[index][0] + len(self._tokens[index][1])
            index += 1
        pieces.append(self._text[position:end])
        return tuple(piece for piece in pieces if piece != "")

    def _find_first_token(self, start: int) -> int:
        return bisect_left(self._tokens, (start, ""))

    def _parse_reference(self, start: int, closing: int, depth: int) -> Reference:
        """Parse the reference between the indexes of its `${` and its `}`."""
        source = self._text[start : closing + 1]
        if source.startswith("${{"):
            return Reference(source, error=_GITHUB_EXPRESSION)
        match = _BODY_RE.match(self._text, start + 2, closing)
        if not match or (not match["operator"] and match.end() != closing):
            return Reference(source, error=_INVALID_REFERENCE)
        operand = self._text[match.end() : closing]
        operator = (match["operator"] or ":")[1:]
        if operator != "-":
            return Reference(source, match["name"], operator, operand)
        if depth == MAX_REFERENCE_DEPTH:
            return Reference(source, error=_TOO_DEEP)
        return Reference(source, match["name"], operator, operand, self.split(match.end(), closing, depth + 1))
