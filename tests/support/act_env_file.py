"""Port of act's parser of GITHUB_OUTPUT, with its line limit before July 2025.

The runners of Gitea and Forgejo are built on act, and had the limit for longer.

Source: nektos/act, pkg/container/parse_env_file.go; Go's documentation, `bufio.Scanner` (`MaxScanTokenSize`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# In bytes, with the line break.
MAX_LINE_BYTES = 64 * 1024


class LostOutputsError(Exception):
    """The step would lose its outputs, or fail."""


def read_env_file(data: bytes) -> dict[str, str]:
    """Parse the outputs of a file.

    Raises:
        LostOutputsError: A line is too long or invalid.

    """
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if any(len(line) >= MAX_LINE_BYTES for line in lines):
        raise LostOutputsError("a line is too long")
    outputs: dict[str, str] = {}
    remaining_lines = iter(lines)
    for line in remaining_lines:
        text = line.decode()
        equals, arrows = text.find("="), text.find("<<")
        if equals >= 0 and (arrows < 0 or equals < arrows):
            name, _, value = text.partition("=")
        elif arrows >= 0:
            name, _, delimiter = text.partition("<<")
            value = _read_value(delimiter, remaining_lines)
        else:
            raise LostOutputsError(f"invalid format: {text[:40]!r}")
        outputs[name] = value
    return outputs


def _read_value(delimiter: str, remaining_lines: Iterator[bytes]) -> str:
    """Return the value before the delimiter, without its first empty lines."""
    content = ""
    for line in remaining_lines:
        if line.decode() == delimiter:
            return content
        content += ("\n" if content else "") + line.decode()
    raise LostOutputsError(f"no delimiter {delimiter}")
