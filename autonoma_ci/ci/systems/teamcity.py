"""TeamCity. Source: JetBrains's documentation, "List of predefined build parameters".

Branch and pull request are configuration parameters, which are no variables: they are in a file that
is named in the file that a variable names.

TeamCity's service messages.

Source: JetBrains's documentation, "Service messages": the identity of a build problem is a Java identifier of at most
60 characters, and a file to import is in the checkout directory, with a path that is relative to it.

Java's `.properties` files, as far as TeamCity writes them.

Source: Java's documentation of `Properties.load`.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import Plain, System
from autonoma_ci.ci.env import branch, change, clean, commit, place, reader, repository, web_url
from autonoma_ci.escaping import teamcity
from autonoma_ci.fs.files import read_regular
from autonoma_ci.models import Context
from autonoma_ci.reports.outputs import VARIABLE_LIMIT, is_exact_in_log, variables, warn_of_left_out, without_refused
from autonoma_ci.reports.summary import headline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.base import Section, Target
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.errors import Problem
    from autonoma_ci.models import Report

_STATUS = {"error": "ERROR", "warning": "WARNING", "notice": "NORMAL"}


class Messages(Plain):
    """Lines of the form `##teamcity[name key='value']`."""

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the message that opens a block."""
        return (message("blockOpened", name=section.title),)

    def end_group(self, section: Section) -> tuple[str, ...]:
        """Return the message that closes it."""
        return (message("blockClosed", name=section.title),)

    def issue(self, level: str, problem: Problem, title: str = "") -> str:
        """Return a line of the build log with the status of its level."""
        return message("message", text=f"{title}: {problem}" if title else str(problem), status=_STATUS[level])


def message(name: str, /, limit: int = 3900, **values: str) -> str:
    """Return one service message, with values of at most `limit` characters; TeamCity keeps 4,000 of a description."""
    pairs = [f"{key}='{teamcity(value, limit)}'" for key, value in values.items()]
    return f"##teamcity[{name} {' '.join(pairs)}]"


class Build:
    """Sets parameters, status and problem of the build, and hands over the tests, once the step ends."""

    def __init__(self, target: Target, checkout: str) -> None:
        self._target, self._checkout = target, checkout

    def publish(self, report: Report) -> list[str]:
        """Print the messages; return what has no room in them."""
        if not report.verdict:
            return []
        # Between two percent signs is the name of a parameter, which may hold a secret.
        # Source: JetBrains's documentation, "Configuring Build Parameters" and "Kotlin DSL".
        values = without_refused(variables(report), lambda text: is_exact_in_log(text) and text.count("%") < 2)
        lines = [
            message("setParameter", VARIABLE_LIMIT, name=f"env.{name}", value=text) for name, text in values.items()
        ]
        whole = f"{report.heading}: {headline(report)}"
        if report.results_dir:
            lines.append(message("importData", type="junit", path=self._in_checkout(report.results_dir, "junit.xml")))
        # The placeholder keeps what the build says by itself, such as its count of tests.
        lines.append(message("buildStatus", text=f"{{build.status.text}}; {whole}"))
        if report.verdict.exit_code:
            # A problem of the same identity is the same problem in the next build.
            identity = hashlib.sha256(report.heading.encode("utf-8", "replace")).hexdigest()[:16]
            lines.append(message("buildProblem", description=whole, identity=f"autonoma_{identity}"))
        self._target.say(lines)
        return warn_of_left_out(report, values, "The parameters for later steps")

    def _in_checkout(self, *parts: str) -> str:
        """Return the path of a file from the checkout, or an absolute path outside of it."""
        path = Path(self._target.folder, *parts).absolute()
        # A step begins in the checkout, unless it has a working directory of its own.
        checkout = self._checkout or self._target.folder
        try:
            return Path(os.path.realpath(path)).relative_to(os.path.realpath(checkout)).as_posix()
        except ValueError:
            return str(path)


MESSAGES = Messages()


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


_LARGEST = 4 * 1024 * 1024
_CONFIGURATION = "teamcity.configuration.properties.file"
_BATCHES = "teamcity.build.parallelTests"
_CHECKOUT = "teamcity.build.checkoutDir"
_PULL = re.compile(r"(?:refs/)?(?:pull|pull-requests|merge-requests)/([0-9]+)(?:/.*)?")


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a build out of its variables and its files of parameters."""
    properties = _properties(environ)
    get, parameter = reader(environ), reader(_parameters(properties))
    built = parameter("teamcity.build.branch")
    pull = _PULL.fullmatch(built)
    number = change(parameter("teamcity.pullRequest.number"), pull[1] if pull else "")
    # The main branch is called that wherever the branches of a build configuration are not named in full.
    named = parameter("vcsroot.branch") if built in {"", "<default>"} else built
    return Context(
        ci="teamcity",
        sha=commit(get("BUILD_VCS_NUMBER"), _only_root(environ)),
        branch=branch(parameter("teamcity.pullRequest.source.branch") if number else named),
        change=number,
        repository=repository(parameter("vcsroot.url")),
        build_url=web_url(get("BUILD_URL")),
        # BUILD_NUMBER is free text, and unique in no more than one build configuration.
        build=reader(properties)("teamcity.build.id"),
        # Each build configuration of a build chain has builds of its own, and so has each rerun. So there are
        # no attempts.
        job=get("TEAMCITY_BUILDCONF_NAME"),
    )


def _properties(environ: Mapping[str, str]) -> dict[str, str]:
    path = environ.get("TEAMCITY_BUILD_PROPERTIES_FILE", "")
    return parse(read_regular(path, _LARGEST)) if path else {}


def _parameters(properties: Mapping[str, str]) -> dict[str, str]:
    path = properties.get(_CONFIGURATION, "")
    return parse(read_regular(path, _LARGEST)) if path else {}


def _only_root(environ: Mapping[str, str]) -> str:
    # With several repositories there is one variable for each, and no saying which is under test.
    revisions = {clean(value) for name, value in environ.items() if name.startswith("BUILD_VCS_NUMBER_")}
    return revisions.pop() if len(revisions) == 1 else ""


def parallel(environ: Mapping[str, str]) -> Shard | None:
    """Return which batch of TeamCity's parallel tests this build is."""
    get = reader(_parameters(_properties(environ)))
    return place(get(f"{_BATCHES}.currentBatch"), get(f"{_BATCHES}.totalBatches"), first=1)


def build(target: Target) -> tuple[Build]:
    """Return the publisher of parameters, status and problem."""
    return (Build(target, _properties(target.environ).get(_CHECKOUT, "")),)


SYSTEM = System(
    context=context,
    tokens=("TEAMCITY_*TOKEN*", "TEAMCITY_*PASSWORD*", "TEAMCITY_AUTH_*"),
    dialect=MESSAGES,
    publishers=build,
    parallel=parallel,
)
