"""Parsers of the log commands of CI systems, from their documentation and sources.

The tests check our log with them. GitHub's grammar is in `runner`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LogCommand:
    """One log command with its properties and the text after it."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    data: str = ""


_AZURE_RE = re.compile(r"##vso\[([^\]]*)\](.*)", re.IGNORECASE)
_AZURE_FORMATTING_RE = re.compile(r"##\[(\w+)\](.*)")
_TEAMCITY_RE = re.compile(r"^\s*##teamcity\[(.*)\]\s*$")
_TEAMCITY_VALUE_RE = re.compile(r"\s+([\w-]+)='((?:\|.|[^|'])*)'")
_GITLAB_RE = re.compile(r"\x1b\[0Ksection_(start|end):(\d+):([\w.-]+)((?:\[[^\]]*\])?)\r\x1b\[0K(.*)")
_BUILDKITE_PATTERN = r"^\s*(---|\+\+\+|~~~|\^\^\^ \+\+\+)(.*)"
# Anywhere in a line. Source: travis-ci/travis-web, app/utils/log.js, `FOLD` and `TIME`.
_TRAVIS_RE = re.compile(r"((?:fold|time):(?:start|end)):([\w.-]+)", re.ASCII)


def find_azure_commands(log: str) -> list[LogCommand]:
    """Return the logging and formatting commands at any place of a line."""
    commands = []
    for line in re.split(r"\r\n|\r|\n", log):
        if command := _AZURE_RE.search(line):
            name, _, properties = command[1].partition(" ")
            pairs = (pair.partition("=") for pair in properties.split(";") if pair)
            commands.append(
                LogCommand(name, {key: _unescape_azure(value) for key, _, value in pairs}, _unescape_azure(command[2]))
            )
        elif formatting := _AZURE_FORMATTING_RE.search(line):
            commands.append(LogCommand(formatting[1], data=formatting[2]))
    return commands


def _unescape_azure(text: str) -> str:
    for escape, character in (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")):
        text = text.replace(escape, character)
    return text


def find_teamcity_messages(log: str) -> list[LogCommand]:
    """Return the service messages.

    Raises:
        ValueError: TeamCity would refuse a message.

    """
    messages = []
    for line in re.split(r"[\r\n]", log):
        if not line.lstrip().startswith("##teamcity["):
            continue
        message = _TEAMCITY_RE.match(line)
        if not message:
            raise ValueError(f"a message that does not end: {line!r}")
        name, remaining_text = re.match(r"(\w+)(.*)", message[1]).groups()  # type: ignore[union-attr]
        values = {}
        while remaining_text.strip():
            pair = _TEAMCITY_VALUE_RE.match(remaining_text)
            if not pair:
                raise ValueError(f"a message that can't be read: {line!r}")
            values[pair[1]] = re.sub(r"\|(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), pair[2])
            if re.search(r"(?<!\|)(?:\|\|)*[\[\]]", pair[2]):
                raise ValueError(f"a bracket without its escape: {line!r}")
            remaining_text = remaining_text[pair.end() :]
        messages.append(LogCommand(name, values))
    return messages


def find_gitlab_sections(log: str) -> list[LogCommand]:
    """Return the starts and ends of sections."""
    return [
        LogCommand(f"section_{match[1]}", {"key": match[3], "at": match[2]}, match[5])
        for match in _GITLAB_RE.finditer(log)
    ]


def find_by_line(pattern: str, log: str) -> list[LogCommand]:
    """Return a command for each line that matches.

    The two groups of the pattern are the name and the text after it.
    """
    return [
        LogCommand(match[1], data=match[2].strip())
        for line in re.split(r"[\r\n]", log)
        if (match := re.match(pattern, line))
    ]


def find_buildkite_headings(log: str) -> list[LogCommand]:
    """Return the headings."""
    return find_by_line(_BUILDKITE_PATTERN, log)


def find_travis_folds(log: str) -> list[LogCommand]:
    """Return the starts and ends of folds and timers."""
    return [LogCommand(match[1], {"key": match[2]}) for match in _TRAVIS_RE.finditer(log)]
