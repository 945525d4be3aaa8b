"""Detection of open blocks at the end of a Markdown file.

An open block would include the text that is appended to it.

Source: CommonMark 0.31.2, 4.5 "Fenced code blocks", and 4.6 "HTML blocks", kinds 1 and 2.
"""

from __future__ import annotations

import re

# Each search reads the bytes once: a file of 1 MiB needs a few hundredths of a second.
_BLOCK_BEGIN_RE = re.compile(
    rb"^ {0,3}(?:(?P<backticks>`{3,})[^`\n]*$|(?P<tildes>~{3,})|(?P<comment><!--)"
    rb"|<(?:pre|script|style|textarea)(?:[ \t>]|$))",
    re.MULTILINE | re.IGNORECASE,
)
_COMMENT_END_RE = re.compile(rb"-->")
_ELEMENT_END_RE = re.compile(rb"</(?:pre|script|style|textarea)>", re.IGNORECASE)


def ends_in_block(text: bytes) -> bool:
    """Return whether the text ends within an open block.

    Blocks are fenced code, comments and preformatted HTML.
    """
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    offset = 0
    while begin := _BLOCK_BEGIN_RE.search(text, offset):
        end = _find_end_pattern(begin).search(text, begin.end())
        if not end:
            return True
        # The rest of the line belongs to the block.
        offset = end.end()
    return False


def _find_end_pattern(begin: re.Match[bytes]) -> re.Pattern[bytes]:
    if fence := begin["backticks"] or begin["tildes"]:
        return re.compile(rb"^ {0,3}%b{%d,}[ \t]*$" % (fence[:1], len(fence)), re.MULTILINE)
    return _COMMENT_END_RE if begin["comment"] else _ELEMENT_END_RE
