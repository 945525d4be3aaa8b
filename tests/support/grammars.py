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


_AZURE = re.compile(r"##vso\[([^\]]*)\](.*)", re.IGNORECASE)
_AZURE_LOOKS = re.compile(r"##\[(\w+)\](.*)")
_TEAMCITY = re.compile(r"^\s*##teamcity\[(.*)\]\s*$")
_TEAMCITY_VALUE = re.compile(r"\s+([\w-]+)='((?:\|.|[^|'])*)'")
_GITLAB = re.compile(r"\x1b\[0Ksection_(start|end):(\d+):([\w.-]+)((?:\[[^\]]*\])?)\r\x1b\[0K(.*)")
_BUILDKITE = r"^\s*(---|\+\+\+|~~~|\^\^\^ \+\+\+)(.*)"
# Anywhere in a line. Source: travis-ci/travis-web, app/utils/log.js, `FOLD` and `TIME`.
_TRAVIS = re.compile(r"((?:fold|time):(?:start|end)):([\w.-]+)", re.ASCII)


def find_azure_commands(log: str) -> list[LogCommand]:
    """Return the logging and formatting commands at any place of a line."""
    found = []
    for line in re.split(r"\r\n|\r|\n", log):
        if command := _AZURE.search(line):
            name, _, properties = command[1].partition(" ")
            pairs = (pair.partition("=") for pair in properties.split(";") if pair)
            found.append(LogCommand(name, {key: _azure(value) for key, _, value in pairs}, _azure(command[2])))
        elif looks := _AZURE_LOOKS.search(line):
            found.append(LogCommand(looks[1], data=looks[2]))
    return found


def _azure(text: str) -> str:
    for escape, character in (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")):
        text = text.replace(escape, character)
    return text


def find_teamcity_messages(log: str) -> list[LogCommand]:
    """Return the service messages.

    Raises:
        ValueError: TeamCity would refuse a message.

    """
    found = []
    for line in re.split(r"[\r\n]", log):
        if not line.lstrip().startswith("##teamcity["):
            continue
        message = _TEAMCITY.match(line)
        if not message:
            raise ValueError(f"a message that does not end: {line!r}")
        name, rest = re.match(r"(\w+)(.*)", message[1]).groups()  # type: ignore[union-attr]
        values = {}
        while rest.strip():
            pair = _TEAMCITY_VALUE.match(rest)
            if not pair:
                raise ValueError(f"a message that can't be read: {line!r}")
            values[pair[1]] = re.sub(r"\|(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), pair[2])
            if re.search(r"(?<!\|)(?:\|\|)*[\[\]]", pair[2]):
                raise ValueError(f"a bracket without its escape: {line!r}")
            rest = rest[pair.end() :]
        found.append(LogCommand(name, values))
    return found


def find_gitlab_sections(log: str) -> list[LogCommand]:
    """Return the starts and ends of sections."""
    return [LogCommand(f"section_{m[1]}", {"key": m[3], "at": m[2]}, m[5]) for m in _GITLAB.finditer(log)]


def find_by_line(pattern: str, log: str) -> list[LogCommand]:
    """Return a command for each line that matches.

    The two groups of the pattern are the name and the text after it.
    """
    return [LogCommand(m[1], data=m[2].strip()) for line in re.split(r"[\r\n]", log) if (m := re.match(pattern, line))]


def find_buildkite_headings(log: str) -> list[LogCommand]:
    """Return the headings."""
    return find_by_line(_BUILDKITE, log)


def find_travis_folds(log: str) -> list[LogCommand]:
    """Return the starts and ends of folds and timers."""
    return [LogCommand(found[1], {"key": found[2]}) for found in _TRAVIS.finditer(log)]
