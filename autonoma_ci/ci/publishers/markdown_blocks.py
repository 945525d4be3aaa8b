"""Detect whether a Markdown file ends inside an open block.

Text that is appended to such a file becomes a part of the block.

Source: CommonMark 0.31.2, 4.5 "Fenced code blocks", and 4.6 "HTML blocks", kinds 1 and 2.
"""

from __future__ import annotations

import re

# Each search reads a byte once, so a file of 1 MiB needs a few hundredths of a second.
_OPENING_RE = re.compile(
    rb"^ {0,3}(?:(?P<backticks>`{3,})[^`\n]*$|(?P<tildes>~{3,})|(?P<comment><!--)"
    rb"|<(?:pre|script|style|textarea)(?:[ \t>]|$))",
    re.MULTILINE | re.IGNORECASE,
)
_COMMENT_CLOSING_RE = re.compile(rb"-->")
_ELEMENT_CLOSING_RE = re.compile(rb"</(?:pre|script|style|textarea)>", re.IGNORECASE)


def ends_in_open_block(data: bytes) -> bool:
    """Return whether Markdown ends inside an open block.

    Blocks are fenced code, comments and preformatted HTML.
    """
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    offset = 0
    while opening := _OPENING_RE.search(data, offset):
        closing = _get_closing_pattern(opening).search(data, opening.end())
        if not closing:
            return True
        # The block includes the rest of this line. No block opens there, because the pattern needs the start of a line.
        offset = closing.end()
    return False


def _get_closing_pattern(opening: re.Match[bytes]) -> re.Pattern[bytes]:
    if fence := opening["backticks"] or opening["tildes"]:
        return re.compile(rb"^ {0,3}%b{%d,}[ \t]*$" % (fence[:1], len(fence)), re.MULTILINE)
    return _COMMENT_CLOSING_RE if opening["comment"] else _ELEMENT_CLOSING_RE
