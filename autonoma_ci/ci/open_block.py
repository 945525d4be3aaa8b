"""Whether a Markdown file ends within a block that would take in what is appended to it.

Source: CommonMark 0.31.2, 4.5 "Fenced code blocks", and 4.6 "HTML blocks", kinds 1 and 2.
"""

from __future__ import annotations

import re

_FENCE = re.compile(rb" {0,3}(?:(`{3,})[^`]*|(~{3,}).*)\Z", re.DOTALL)
_COMMENT = re.compile(rb" {0,3}<!--")
_ELEMENT = re.compile(rb" {0,3}<(?:pre|script|style|textarea)(?:[ \t>]|\Z)", re.IGNORECASE)
_ELEMENT_END = re.compile(rb"</(?:pre|script|style|textarea)>", re.IGNORECASE)
_COMMENT_END = re.compile(rb"-->")


def ends_in_block(text: bytes) -> bool:
    """Return whether a fenced code block, a comment or preformatted HTML is still open at the end of the text."""
    end: re.Pattern[bytes] | None = None
    for line in text.splitlines():
        if end:
            if end.search(line):
                end = None
        elif fence := _FENCE.match(line):
            mark = fence[1] or fence[2]
            end = re.compile(rb"\A {0,3}%b{%d,}[ \t]*\Z" % (mark[:1], len(mark)))
        elif _COMMENT.match(line):
            end = None if _COMMENT_END.search(line) else _COMMENT_END
        elif _ELEMENT.match(line):
            end = None if _ELEMENT_END.search(line) else _ELEMENT_END
    return end is not None
