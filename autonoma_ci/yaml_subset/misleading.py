"""Find characters that editors and YAML interpret differently.

YAML 1.1 ends a line, and so a comment, at U+0085, U+2028, U+2029 and a single carriage return (section 4.1.4 of
https://yaml.org/spec/1.1/). Editors and code hosts show no new line there. Form feed and vertical tab are line ends in
other programs. Bidirectional controls show text in another order (https://trojansource.codes).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_BREAK_REASON = "editors and YAML disagree whether a new line begins here"
_ORDER_REASON = "it changes the order in which text is shown"
# The name of each character, its escape in double quotes, and the reason against it.
_CHARACTERS = {
    "\v": ("vertical tab", r"\v", _LINE_BREAK_REASON),
    "\f": ("form feed", r"\f", _LINE_BREAK_REASON),
    "\r": ("carriage return without line feed", r"\r", _LINE_BREAK_REASON),
    "\x85": ("next line", r"\u0085", _LINE_BREAK_REASON),
    "\u2028": ("line separator", r"\u2028", _LINE_BREAK_REASON),
    "\u2029": ("paragraph separator", r"\u2029", _LINE_BREAK_REASON),
    "\u202a": ("left-to-right embedding", r"\u202a", _ORDER_REASON),
    "\u202b": ("right-to-left embedding", r"\u202b", _ORDER_REASON),
    "\u202c": ("pop directional formatting", r"\u202c", _ORDER_REASON),
    "\u202d": ("left-to-right override", r"\u202d", _ORDER_REASON),
    "\u202e": ("right-to-left override", r"\u202e", _ORDER_REASON),
    "\u2066": ("left-to-right isolate", r"\u2066", _ORDER_REASON),
    "\u2067": ("right-to-left isolate", r"\u2067", _ORDER_REASON),
    "\u2068": ("first strong isolate", r"\u2068", _ORDER_REASON),
    "\u2069": ("pop directional isolate", r"\u2069", _ORDER_REASON),
}
_MISLEADING_RE = re.compile("\r(?!\n)|[\v\f\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def find_misleading_characters(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the message and position of each misleading character.

    Line and column count from 1, as in editors.
    """
    line, line_begin = 1, 0
    index = 0
    for match in _MISLEADING_RE.finditer(text):
        line += text.count("\n", index, match.start())
        index = match.start()
        line_begin = text.rfind("\n", line_begin, index) + 1 or line_begin
        name, escape, reason = _CHARACTERS[match[0]]
        remedy = f'remove it, or write "{escape}" in double quotes'
        yield f"{name} (U+{ord(match[0]):04X}): {reason}; {remedy}", (line, index - line_begin + 1)
