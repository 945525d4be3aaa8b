"""What CI systems take for a command: their grammars, written down from their sources and documentation.

GitHub's runner reads stdout and stderr alike. Everything here is for judging what we print and write.

Source: actions/runner, src/Runner.Common/ActionCommand.cs, src/Runner.Worker/FileCommandManager.cs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

REGISTERED = frozenset(
    {
        "add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "internal-set-repo-path",
        "notice", "remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning",
    }
)  # fmt: skip
_DOT_NET_LINES = re.compile(r"\r\n|\r|\n")
# Char.IsWhiteSpace, which is what TrimStart removes.
_DOT_NET_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # noqa: E501


@dataclass(frozen=True)
class Command:
    """One workflow command as the runner executes it."""

    name: str
    data: str
    properties: dict[str, str] = field(default_factory=dict)


class FileCommandError(Exception):
    """The runner would fail the step: it can't read what was written to the file."""


def lines(log: str) -> list[str]:
    """Return the lines of a log as .NET's ReadLine delivers them."""
    return _DOT_NET_LINES.split(log)


def commands(log: str) -> list[Command]:
    """Return every workflow command in a log, in both notations; at most one in each line."""
    return [command for line in lines(log) if (command := _current(line) or _legacy(line))]


def _current(line: str) -> Command | None:
    text = line.lstrip(_DOT_NET_SPACE)
    if not text.startswith("::"):
        return None
    head, separator, data = text[2:].partition("::")
    name, _, pairs = head.partition(" ")
    if not separator or name.lower() not in REGISTERED:
        return None
    properties = {}
    for pair in pairs.strip().split(","):
        key, equals, value = pair.partition("=")
        if equals:
            properties[key.strip()] = unescape(value.replace("%3A", ":").replace("%2C", ","))
    return Command(name.lower(), unescape(data), properties)


def _legacy(line: str) -> Command | None:
    start = line.find("##[")
    end = line.find("]", start) if start >= 0 else -1
    if end < 0:
        return None
    name = line[start + 3 : end].partition(" ")[0]
    return Command(name.lower(), line[end + 1 :]) if name.lower() in REGISTERED else None


def unescape(data: str) -> str:
    """Return the data of a command as it was meant."""
    return data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def masks(log: str) -> set[str]:
    """Return every value that the runner hides from then on: each mask, and each line of it."""
    data = [command.data for command in commands(log) if command.name == "add-mask"]
    return {part for text in data for part in (text, *text.splitlines()) if part.strip()}


def outputs(file: str) -> dict[str, str]:
    """Return the outputs that a GITHUB_OUTPUT file sets; raise FileCommandError where the runner refuses it."""
    found: dict[str, str] = {}
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
            found[name] = value
        elif arrows >= 0:
            name, _, delimiter = line.partition("<<")
            if not name or not delimiter or not newline:
                raise FileCommandError("a value without a name, a delimiter or a line of its own")
            found[name], rest = _until(delimiter, rest)
        else:
            raise FileCommandError("a line that is neither name=value nor name<<delimiter")
    return found


def _until(delimiter: str, text: str) -> tuple[str, str]:
    """Return the value that ends at a line with the delimiter alone, and what follows that line."""
    value: list[str] = []
    while text:
        line, newline, text = text.partition("\n")
        if line == delimiter:
            return "\n".join(value), text
        if not newline:
            raise FileCommandError("the value's last line does not end")
        value.append(line)
    raise FileCommandError("the delimiter does not come again")


# What other systems look for, each with the place where it looks.
_ELSEWHERE = {
    "azure": re.compile(r"##vso\[", re.IGNORECASE),
    "azure, for looks": re.compile(r"##\[(?:group|endgroup|section|error|warning|debug|command)\b", re.IGNORECASE),
    "teamcity": re.compile(r"##teamcity\["),
    "gitlab": re.compile(r"section_(?:start|end):\d+:[\w.-]+(?:\[[^\]]*\])?\r\x1b\[0K"),
    "a terminal": re.compile(r"[\x1b\x9b]"),
    "buildkite": re.compile(r"^[ \t]*(?:---|\+\+\+|~~~|\^\^\^ \+\+\+)", re.MULTILINE),
    # Source: travis-ci/travis-web, app/utils/log.js.
    "travis": re.compile(r"(?:fold|time):(?:start|end):[\w.-]", re.ASCII),
}


def elsewhere(log: str) -> list[str]:
    """Return the names of the other systems that would find something to act on in this log."""
    broken = "\n".join(lines(log))
    return [name for name, pattern in _ELSEWHERE.items() if pattern.search(log) or pattern.search(broken)]


def cells(row: str) -> list[str]:
    """Return the cells of a row of a GitHub table: a backslash takes the next character out of the grammar."""
    parts = [""]
    for piece in re.findall(r"\\.|.", row, re.DOTALL):
        if piece == "|":
            parts.append("")
        else:
            parts[-1] += piece
    if parts[0].strip() or parts[-1].strip():
        raise ValueError(f"a row begins and ends with a pipe, unlike {row!r}")
    return [part.strip() for part in parts[1:-1]]


# GitHub's references, and GitLab's: a person, an issue, a merge request, an epic, a label, a milestone, a snippet, an
# entity in brackets, an iteration, a project, a commit.
_REFERENCE = re.compile(
    r"""@[a-z0-9]|[#!&$]\d|[~%]["\w*]|\bG[HL]-\d|\[[a-z_]+:|\*iteration:|\w/[\w.-]+>|(?<!\w)[0-9a-f]{7,64}(?!\w)""",
    re.IGNORECASE,
)
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
# A URL is a link only if `//` follows the colon (GitHub Flavored Markdown, 6.9). This check is stricter: behind the
# colon it allows white space alone.
_ACTIVE = re.compile(r"[`*_\[\]<>|~]|^\s*(?:[#+=-]|\d+[.)])|https?:(?!\s)|www\.|@(?=\w)|#(?=\d)|[\r\n]")


def plain_text(markdown: str) -> str:
    """Return what a piece of GitHub Markdown shows; raise ValueError if any of it is markup, link or mention."""
    # Escaped characters can't take part in markup, so they are put aside as private ones while that is sought.
    aside = re.sub(
        r"\\(.)", lambda m: chr(0xF0000 + ord(m[1])) if m[1] in _PUNCTUATION else m[0], markdown, flags=re.DOTALL
    )
    entities = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
    shown = re.sub(
        r"&#?\w+;", lambda m: chr(0xF0000 + ord(entities[m[0]])) if m[0] in entities else "<unknown entity>", aside
    )
    if found := _ACTIVE.search(shown):
        raise ValueError(f"markup at {found.start()}: {found[0]!r} in {markdown!r}")
    text = re.sub(r"[\U000F0021-\U000F007E]", lambda m: chr(ord(m[0]) - 0xF0000), shown)
    # The page's own search for names of people and issues comes after the rendering.
    # The build's own commit is a reference on purpose.
    if mention := _REFERENCE.search(re.sub(r"(?<=, commit )[0-9a-f]{12}(?=[,)])", "", text)):
        raise ValueError(f"a mention: {mention[0]!r} in {markdown!r}")
    return text
