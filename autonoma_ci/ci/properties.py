"""Java's `.properties` files, as far as TeamCity writes them.

Source: Java's documentation of `Properties.load`.
"""

from __future__ import annotations

import re

_CONTINUED = re.compile(r"(?<!\\)((?:\\\\)*)\\\n[ \t\f]*")
_LINE = re.compile(r"[ \t\f]*((?:[^\\:= \t\f]|\\.)+)(?:[ \t\f]*[:=]?[ \t\f]*)(.*)")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_CHARACTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse(data: bytes) -> dict[str, str]:
    """Return the names and values; lines that make no sense are passed over, and the last of a name wins."""
    # Java writes Latin-1, with everything else escaped.
    text = re.sub(r"\r\n?", "\n", data.decode("latin-1"))
    lines = _CONTINUED.sub(r"\1", text).split("\n")
    found = (_LINE.fullmatch(line) for line in lines if not line.lstrip(" \t\f").startswith(("#", "!")))
    return {_plain(pair[1]): _plain(pair[2]) for pair in found if pair}


def _plain(text: str) -> str:
    text = _ESCAPE.sub(_character, text)
    # Two escapes make one character outside the basic plane; half a pair is no character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _CHARACTERS.get(code, code)
