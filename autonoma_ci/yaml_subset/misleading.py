"""Find characters that show a reviewer another file than the one that is read.

YAML 1.1 ends a line, and so a comment, at U+0085, U+2028, U+2029 and a single carriage return (section 4.1.4 of
https://yaml.org/spec/1.1/). Editors and code hosts show no new line there. Form feed and vertical tab are line ends to
other programs. Bidirectional controls show text in another order (https://trojansource.codes).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BREAK = "editors and YAML disagree whether a new line begins here"
_ORDER = "it changes the order in which text is shown"
# The name of each character, how it is written in double quotes, and what is wrong with it.
_CHARACTERS = {
    "\v": ("vertical tab", r"\v", _BREAK),
    "\f": ("form feed", r"\f", _BREAK),
    "\r": ("carriage return without line feed", r"\r", _BREAK),
    "\x85": ("next line", r"\u0085", _BREAK),
    "\u2028": ("line separator", r"\u2028", _BREAK),
    "\u2029": ("paragraph separator", r"\u2029", _BREAK),
    "\u202a": ("left-to-right embedding", r"\u202a", _ORDER),
    "\u202b": ("right-to-left embedding", r"\u202b", _ORDER),
    "\u202c": ("pop directional formatting", r"\u202c", _ORDER),
    "\u202d": ("left-to-right override", r"\u202d", _ORDER),
    "\u202e": ("right-to-left override", r"\u202e", _ORDER),
    "\u2066": ("left-to-right isolate", r"\u2066", _ORDER),
    "\u2067": ("right-to-left isolate", r"\u2067", _ORDER),
    "\u2068": ("first strong isolate", r"\u2068", _ORDER),
    "\u2069": ("pop directional isolate", r"\u2069", _ORDER),
}
_FIND = re.compile("\r(?!\n)|[\v\f\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def find_misleading_character(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield a problem for each such character, with its line and column as editors count them, from 1."""
    line, begin = 1, 0
    end = 0
    for found in _FIND.finditer(text):
        line += text.count("\n", end, found.start())
        end = found.start()
        begin = text.rfind("\n", begin, end) + 1 or begin
        name, escape, why = _CHARACTERS[found[0]]
        cure = f'remove it, or write "{escape}" in double quotes'
        yield f"{name} (U+{ord(found[0]):04X}): {why}; {cure}", (line, end - begin + 1)
