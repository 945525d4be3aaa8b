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

from autonoma_ci.ci.base import CISystem, PlainLogFormatter
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    sanitize,
    shard_from_index,
)
from autonoma_ci.escaping import escape_teamcity
from autonoma_ci.fs.files import read_regular_file
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.outputs import (
    MAX_VARIABLE_CHARS,
    is_exact_in_log,
    omitted_variables_warning,
    output_variables,
    select_accepted,
)
from autonoma_ci.reports.summary import format_headline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.base import LogGroup, PublishContext
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.models import Report

_STATUS = {"error": "ERROR", "warning": "WARNING", "notice": "NORMAL"}


class TeamCityLogFormatter(PlainLogFormatter):
    """Lines of the form `##teamcity[name key='value']`."""

    def group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the message that opens a block."""
        return (service_message("blockOpened", name=section.title),)

    def end_group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the message that closes it."""
        return (service_message("blockClosed", name=section.title),)

    def annotation(self, level: str, problem: Diagnostic, title: str = "") -> str:
        """Return a line of the build log with the status of its level."""
        return service_message("message", text=f"{title}: {problem}" if title else str(problem), status=_STATUS[level])


def service_message(name: str, /, limit: int = 3900, **values: str) -> str:
    """Return one service message, with values of at most `limit` characters; TeamCity keeps 4,000 of a description."""
    pairs = [f"{key}='{escape_teamcity(value, limit)}'" for key, value in values.items()]
    return f"##teamcity[{name} {' '.join(pairs)}]"


class TeamCityPublisher:
    """Sets parameters, status and problem of the build, and hands over the tests, once the step ends."""

    def __init__(self, target: PublishContext, checkout: str) -> None:
        self._target, self._checkout = target, checkout

    def publish(self, report: Report) -> list[str]:
        """Print the messages; return what has no room in them."""
        if not report.verdict:
            return []
        # Between two percent signs is the name of a parameter, which may hold a secret.
        # Source: JetBrains's documentation, "Configuring Build Parameters" and "Kotlin DSL".
        values = select_accepted(output_variables(report), lambda text: is_exact_in_log(text) and text.count("%") < 2)
        lines = [
            service_message("setParameter", MAX_VARIABLE_CHARS, name=f"env.{name}", value=text)
            for name, text in values.items()
        ]
        whole = f"{report.heading}: {format_headline(report)}"
        if report.results_dir:
            lines.append(
                service_message("importData", type="junit", path=self._in_checkout(report.results_dir, "junit.xml"))
            )
        # The placeholder keeps what the build says by itself, such as its count of tests.
        lines.append(service_message("buildStatus", text=f"{{build.status.text}}; {whole}"))
        if report.verdict.exit_code:
            # A problem of the same identity is the same problem in the next build.
            identity = hashlib.sha256(report.heading.encode("utf-8", "replace")).hexdigest()[:16]
            lines.append(service_message("buildProblem", description=whole, identity=f"autonoma_{identity}"))
        self._target.write_lines(lines)
        return omitted_variables_warning(report, values, "The parameters for later steps")

    def _in_checkout(self, *parts: str) -> str:
        """Return the path of a file from the checkout, or an absolute path outside of it."""
        path = Path(self._target.working_directory, *parts).absolute()
        # A step begins in the checkout, unless it has a working directory of its own.
        checkout = self._checkout or self._target.working_directory
        try:
            return Path(os.path.realpath(path)).relative_to(os.path.realpath(checkout)).as_posix()
        except ValueError:
            return str(path)


LOG_FORMATTER = TeamCityLogFormatter()


_CONTINUED = re.compile(r"(?<!\\)((?:\\\\)*)\\\n[ \t\f]*")
_LINE = re.compile(r"[ \t\f]*((?:[^\\:= \t\f]|\\.)+)(?:[ \t\f]*[:=]?[ \t\f]*)(.*)")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_CHARACTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_java_properties(data: bytes) -> dict[str, str]:
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


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a build out of its variables and its files of parameters."""
    properties = _properties(environ)
    get, parameter = env_reader(environ), env_reader(_parameters(properties))
    built = parameter("teamcity.build.branch")
    pull = _PULL.fullmatch(built)
    number = first_number(parameter("teamcity.pullRequest.number"), pull[1] if pull else "")
    # The main branch is called that wherever the branches of a build configuration are not named in full.
    named = parameter("vcsroot.branch") if built in {"", "<default>"} else built
    return BuildContext(
        ci_name="teamcity",
        sha=first_commit(get("BUILD_VCS_NUMBER"), _only_root(environ)),
        branch=first_branch(parameter("teamcity.pullRequest.source.branch") if number else named),
        change_number=number,
        repository=first_repository(parameter("vcsroot.url")),
        build_url=first_web_url(get("BUILD_URL")),
        # BUILD_NUMBER is free text, and unique in no more than one build configuration.
        build_id=env_reader(properties)("teamcity.build.id"),
        # Each build configuration of a build chain has builds of its own, and so has each rerun. So there are
        # no attempts.
        job_name=get("TEAMCITY_BUILDCONF_NAME"),
    )


def _properties(environ: Mapping[str, str]) -> dict[str, str]:
    path = environ.get("TEAMCITY_BUILD_PROPERTIES_FILE", "")
    return parse_java_properties(read_regular_file(path, _LARGEST)) if path else {}


def _parameters(properties: Mapping[str, str]) -> dict[str, str]:
    path = properties.get(_CONFIGURATION, "")
    return parse_java_properties(read_regular_file(path, _LARGEST)) if path else {}


def _only_root(environ: Mapping[str, str]) -> str:
    # With several repositories there is one variable for each, and no saying which is under test.
    revisions = {sanitize(value) for name, value in environ.items() if name.startswith("BUILD_VCS_NUMBER_")}
    return revisions.pop() if len(revisions) == 1 else ""


def detect_shard(environ: Mapping[str, str]) -> Shard | None:
    """Return which batch of TeamCity's parallel tests this build is."""
    get = env_reader(_parameters(_properties(environ)))
    return shard_from_index(get(f"{_BATCHES}.currentBatch"), get(f"{_BATCHES}.totalBatches"), first=1)


def create_publishers(target: PublishContext) -> tuple[TeamCityPublisher]:
    """Return the publisher of parameters, status and problem."""
    return (TeamCityPublisher(target, _properties(target.environ).get(_CHECKOUT, "")),)


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=("TEAMCITY_*TOKEN*", "TEAMCITY_*PASSWORD*", "TEAMCITY_AUTH_*"),
    log_formatter=LOG_FORMATTER,
    create_publishers=create_publishers,
    detect_shard=detect_shard,
)
