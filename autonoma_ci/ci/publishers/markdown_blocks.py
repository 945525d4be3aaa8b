"""Whether a Markdown file ends within a block that would take in what is appended to it.

Source: CommonMark 0.31.2, 4.5 "Fenced code blocks", and 4.6 "HTML blocks", kinds 1 and 2.
"""

from __future__ import annotations

import re

# Each search goes over the bytes once: a file of a MiB takes some hundredths of a second.
_BEGIN = re.compile(
    rb"^ {0,3}(?:(?P<backticks>`{3,})[^`\n]*$|(?P<tildes>~{3,})|(?P<comment><!--)"
    rb"|<(?:pre|script|style|textarea)(?:[ \t>]|$))",
    re.MULTILINE | re.IGNORECASE,
)
_COMMENT_END = re.compile(rb"-->")
_ELEMENT_END = re.compile(rb"</(?:pre|script|style|textarea)>", re.IGNORECASE)


def ends_in_block(text: bytes) -> bool:
    """Return whether a fenced code block, a comment or preformatted HTML is still open at the end of the text."""
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    at = 0
    while begin := _BEGIN.search(text, at):
        found = _end_of(begin).search(text, begin.end())
        if not found:
            return True
        # The rest of the line belongs to the block.
        at = found.end()
    return False


def _end_of(begin: re.Match[bytes]) -> re.Pattern[bytes]:
    if mark := begin["backticks"] or begin["tildes"]:
        return re.compile(rb"^ {0,3}%b{%d,}[ \t]*$" % (mark[:1], len(mark)), re.MULTILINE)
    return _COMMENT_END if begin["comment"] else _ELEMENT_END
