"""Parsers of GitHub's workflow commands, outputs and Markdown.

The tests check our log and files with them. The runner reads standard output and standard error alike.

Source: actions/runner, src/Runner.Common/ActionCommand.cs, src/Runner.Worker/FileCommandManager.cs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

REGISTERED_COMMANDS = frozenset(
    {
        "add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "internal-set-repo-path",
        "notice", "remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning",
    }
)  # fmt: skip
_DOT_NET_LINE_BREAK_RE = re.compile(r"\r\n|\r|\n")
# Char.IsWhiteSpace, which TrimStart removes.
_DOT_NET_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # noqa: E501


@dataclass(frozen=True)
class Command:
    """One workflow command as the runner executes it."""

    name: str
    data: str
    properties: dict[str, str] = field(default_factory=dict)


class FileCommandError(Exception):
    """The runner cannot read the file and would fail the step."""


def split_lines(log: str) -> list[str]:
    """Return the lines of a log as .NET's ReadLine delivers them."""
    return _DOT_NET_LINE_BREAK_RE.split(log)


def find_commands(log: str) -> list[Command]:
    """Return the workflow commands of a log, at most one for each line."""
    return [command for line in split_lines(log) if (command := _parse_command(line) or _parse_legacy_command(line))]


def _parse_command(line: str) -> Command | None:
    text = line.lstrip(_DOT_NET_SPACE)
    if not text.startswith("::"):
        return None
    head, separator, data = text[2:].partition("::")
    name, _, pairs = head.partition(" ")
    if not separator or name.lower() not in REGISTERED_COMMANDS:
        return None
    properties = {}
    for pair in pairs.strip().split(","):
        key, equals, value = pair.partition("=")
        if equals:
            properties[key.strip()] = decode_data(value.replace("%3A", ":").replace("%2C", ","))
    return Command(name.lower(), decode_data(data), properties)


def _parse_legacy_command(line: str) -> Command | None:
    start = line.find("##[")
    end = line.find("]", start) if start >= 0 else -1
    if end < 0:
        return None
    name = line[start + 3 : end].partition(" ")[0]
    return Command(name.lower(), line[end + 1 :]) if name.lower() in REGISTERED_COMMANDS else None


def decode_data(data: str) -> str:
    """Decode the data of a command."""
    return data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def find_masks(log: str) -> set[str]:
    """Return the values that the runner hides, with each line of a mask."""
    data = [command.data for command in find_commands(log) if command.name == "add-mask"]
    return {part for text in data for part in (text, *text.splitlines()) if part.strip()}


def parse_outputs(file: str) -> dict[str, str]:
    """Parse the outputs of a GITHUB_OUTPUT file.

    Raises:
        FileCommandError: The runner would refuse the file.

    """
    outputs: dict[str, str] = {}
    rest = file
    while rest:
        line, newline, rest = rest.partition("\n")
        if not line:
            continue
        equals, arrows = line.find("="), line.find("<<")
        if equals >= 0 and (arrows < 0 or equals < arrows):
            name, _, value = line.partition("=")
            if not name:
                raise FileCommandError("a line without a name")
            outputs[name] = value
        elif arrows >= 0:
            name, _, delimiter = line.partition("<<")
            if not name or not delimiter or not newline:
                raise FileCommandError("a value without a name, a delimiter or a line of its own")
            outputs[name], rest = _read_value(delimiter, rest)
        else:
            raise FileCommandError("a line that is neither name=value nor name<<delimiter")
    return outputs


def _read_value(delimiter: str, text: str) -> tuple[str, str]:
    """Return the value before the delimiter, and the text after it."""
    value: list[str] = []
    while text:
        line, newline, text = text.partition("\n")
        if line == delimiter:
            return "\n".join(value), text
        if not newline:
            raise FileCommandError("the value's last line does not end")
        value.append(line)
    raise FileCommandError("the delimiter does not come again")


# The patterns of commands of other systems, and the characters that a terminal executes.
_FOREIGN_COMMANDS = {
    "azure": re.compile(r"##vso\[", re.IGNORECASE),
    "azure, for looks": re.compile(r"##\[(?:group|endgroup|section|error|warning|debug|command)\b", re.IGNORECASE),
    "teamcity": re.compile(r"##teamcity\["),
    "gitlab": re.compile(r"section_(?:start|end):\d+:[\w.-]+(?:\[[^\]]*\])?\r\x1b\[0K"),
    "a terminal": re.compile(r"[\x1b\x9b]"),
    "buildkite": re.compile(r"^[ \t]*(?:---|\+\+\+|~~~|\^\^\^ \+\+\+)", re.MULTILINE),
    # Source: travis-ci/travis-web, app/utils/log.js.
    "travis": re.compile(r"(?:fold|time):(?:start|end):[\w.-]", re.ASCII),
}


def find_foreign_commands(log: str) -> list[str]:
    """Return the names of other systems that would execute part of the log."""
    normalized_log = "\n".join(split_lines(log))
    return [
        name for name, pattern in _FOREIGN_COMMANDS.items() if pattern.search(log) or pattern.search(normalized_log)
    ]


def split_cells(row: str) -> list[str]:
    """Return the cells of a row of a GitHub table.

    A backslash escapes the next character.
    """
    parts = [""]
    for piece in re.findall(r"\\.|.", row, re.DOTALL):
        if piece == "|":
            parts.append("")
        else:
            parts[-1] += piece
    if parts[0].strip() or parts[-1].strip():
        raise ValueError(f"a row begins and ends with a pipe, unlike {row!r}")
    return [part.strip() for part in parts[1:-1]]


# References of GitHub and GitLab to users, issues, merge requests, epics, labels, milestones, snippets, entities in
# brackets, iterations, projects and commits.
_REFERENCE_RE = re.compile(
    r"""@[a-z0-9]|[#!&$]\d|[~%]["\w*]|\bG[HL]-\d|\[[a-z_]+:|\*iteration:|\w/[\w.-]+>|(?<!\w)[0-9a-f]{7,64}(?!\w)""",
    re.IGNORECASE,
)
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
# A URL is a link only if `//` follows the colon (GitHub Flavored Markdown, 6.9). This check is stricter, because it
# allows only white space after the colon.
_MARKUP_RE = re.compile(r"[`*_\[\]<>|~]|^\s*(?:[#+=-]|\d+[.)])|https?:(?!\s)|www\.|@(?=\w)|#(?=\d)|[\r\n]")


def render_plain_text(markdown: str) -> str:
    """Return the visible text of a piece of GitHub Markdown.

    Raises:
        ValueError: The text has markup, a link or a mention.

    """
    # Escaped characters cannot be markup, so they become private characters during the search.
    protected_text = re.sub(
        r"\\(.)", lambda m: chr(0xF0000 + ord(m[1])) if m[1] in _PUNCTUATION else m[0], markdown, flags=re.DOTALL
    )
    entities = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
    decoded_text = re.sub(
        r"&#?\w+;",
        lambda m: chr(0xF0000 + ord(entities[m[0]])) if m[0] in entities else "<unknown entity>",
        protected_text,
    )
    if markup := _MARKUP_RE.search(decoded_text):
        raise ValueError(f"markup at {markup.start()}: {markup[0]!r} in {markdown!r}")
    text = re.sub(r"[\U000F0021-\U000F007E]", lambda m: chr(ord(m[0]) - 0xF0000), decoded_text)
    # GitHub searches for mentions after the rendering. The commit of the build is a reference on purpose.
    if mention := _REFERENCE_RE.search(re.sub(r"(?<=, commit )[0-9a-f]{12}(?=[,)])", "", text)):
        raise ValueError(f"a mention: {mention[0]!r} in {markdown!r}")
    return text
