"""TeamCity with its build facts and service messages.

Source:

- JetBrains's documentation, "List of predefined build parameters" (facts of the build). Branch and pull request are
  configuration parameters, which are not variables. TEAMCITY_BUILD_PROPERTIES_FILE names a file. That file names a
  second file, which has the configuration parameters.
- JetBrains's documentation, "Service messages" (log, parameters and status). The identity of a build problem is a Java
  identifier of at most 60 characters. A file to import is in the checkout directory, and its path is relative to it.
- Java's documentation of `Properties.load` (both files).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, PlainLogFormatter
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason
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
from autonoma_ci.fs.files import read_whole_file
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
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import LogGroup, PublishContext, ReportPublisher
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.models import Report

# TeamCity stores 4,000 characters of a description.
_MAX_MESSAGE_VALUE_CHARS = 3900
_MESSAGE_STATUS = {"error": "ERROR", "warning": "WARNING", "notice": "NORMAL"}
_MAX_PROPERTIES_BYTES = 4 * 1024 * 1024
# Names in the files of properties.
_PARAMETERS_FILE = "teamcity.configuration.properties.file"
_PARALLEL_TESTS = "teamcity.build.parallelTests"
_CHECKOUT_DIR = "teamcity.build.checkoutDir"
_CHANGE_BRANCH_RE = re.compile(r"(?:refs/)?(?:pull|pull-requests|merge-requests)/([0-9]+)(?:/.*)?")
# The syntax of Java's properties.
_CONTINUATION_RE = re.compile(r"(?<!\\)((?:\\\\)*)\\\n[ \t\f]*")
_PROPERTY_RE = re.compile(r"[ \t\f]*((?:[^\\:= \t\f]|\\.)+)(?:[ \t\f]*[:=]?[ \t\f]*)(.*)")
_ESCAPE_RE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED_CHARACTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class TeamCityLogFormatter(PlainLogFormatter):
    """Formats service messages, which are lines such as `##teamcity[name key='value']`."""

    def group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the message that opens a block."""
        return (format_service_message("blockOpened", name=log_group.title),)

    def end_group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the message that closes a block."""
        return (format_service_message("blockClosed", name=log_group.title),)

    def annotation(self, level: str, diagnostic: Diagnostic, title: str = "") -> str:
        """Return a log line with the status of its level."""
        text = f"{title}: {diagnostic}" if title else str(diagnostic)
        return format_service_message("message", text=text, status=_MESSAGE_STATUS[level])


class TeamCity(CISystem):
    """TeamCity, with blocks, parameters, a build status, tests and parallel tests."""

    display_name = "TeamCity"
    secrets_help = "Add {names} as parameters of type Password, such as env.AUTONOMA_CLIENT_ID"
    secret_variables = ("TEAMCITY_*TOKEN*", "TEAMCITY_*PASSWORD*", "TEAMCITY_AUTH_*")
    log_formatter = TeamCityLogFormatter()

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build from variables and files of properties."""
        properties = _read_build_properties(environ)
        get, get_parameter = env_reader(environ), env_reader(_read_configuration_parameters(properties))
        branch = get_parameter("teamcity.build.branch")
        change = _CHANGE_BRANCH_RE.fullmatch(branch)
        change_number = first_number(get_parameter("teamcity.pullRequest.number"), change[1] if change else "")
        # `<default>` is the main branch, if the build configuration does not have the full names of branches.
        branch = get_parameter("vcsroot.branch") if branch in {"", "<default>"} else branch
        return BuildContext(
            ci_name="teamcity",
            sha=first_commit(get("BUILD_VCS_NUMBER"), _read_single_revision(environ)),
            branch=first_branch(get_parameter("teamcity.pullRequest.source.branch") if change_number else branch),
            change_number=change_number,
            repository=first_repository(get_parameter("vcsroot.url")),
            build_url=first_web_url(get("BUILD_URL")),
            # BUILD_NUMBER is free text, and unique only within one build configuration.
            build_id=env_reader(properties)("teamcity.build.id"),
            # Each build configuration of a build chain has its own builds, and so has each rerun. So there are no
            # attempts.
            job_name=get("TEAMCITY_BUILDCONF_NAME"),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request or the default branch from the configuration parameters."""
        get = env_reader(_read_configuration_parameters(_read_build_properties(environ)))
        # A build that no user triggered has no such parameter, or the text `n/a`.
        if get("teamcity.build.triggeredBy.username") not in {"", "n/a"}:
            return BaseFacts(NoBaseReason.MANUAL)
        if get("teamcity.build.triggeredBy").startswith("Schedule Trigger"):
            return BaseFacts(NoBaseReason.SCHEDULE)
        branch = get("teamcity.build.branch")
        if branch.startswith("refs/tags/"):
            return BaseFacts(NoBaseReason.TAG)
        is_change = bool(get("teamcity.pullRequest.number") or _CHANGE_BRANCH_RE.fullmatch(branch))
        if get("teamcity.build.branch.is_default") == "true" and not is_change:
            return BaseFacts(NoBaseReason.DEFAULT_BRANCH)
        return BaseFacts(
            is_change=is_change,
            target_branch=first_branch(get("teamcity.pullRequest.target.branch")),
            default_branch=first_branch(get("vcsroot.branch")),
        )

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher of parameters, tests, status and problem."""
        checkout_dir = _read_build_properties(context.environ).get(_CHECKOUT_DIR, "")
        return (TeamCityPublisher(context, checkout_dir),)

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:
        """Return the batch of TeamCity's parallel tests that this build runs."""
        get = env_reader(_read_configuration_parameters(_read_build_properties(environ)))
        return shard_from_index(get(f"{_PARALLEL_TESTS}.currentBatch"), get(f"{_PARALLEL_TESTS}.totalBatches"), first=1)


def _read_single_revision(environ: Mapping[str, str]) -> str:
    # Each repository has its own variable. With several repositories, the one under test is unknown.
    revisions = {sanitize(value) for name, value in environ.items() if name.startswith("BUILD_VCS_NUMBER_")}
    return revisions.pop() if len(revisions) == 1 else ""


def _read_build_properties(environ: Mapping[str, str]) -> dict[str, str]:
    return _read_properties_file(environ.get("TEAMCITY_BUILD_PROPERTIES_FILE", ""))


def _read_configuration_parameters(properties: Mapping[str, str]) -> dict[str, str]:
    """Read the configuration parameters from the file that the properties name."""
    return _read_properties_file(properties.get(_PARAMETERS_FILE, ""))


def _read_properties_file(path: str) -> dict[str, str]:
    """Read a `.properties` file, which has no properties if it is unreadable."""
    data = read_whole_file(path, _MAX_PROPERTIES_BYTES) if path else None
    return parse_java_properties(data) if data else {}


def parse_java_properties(data: bytes) -> dict[str, str]:
    """Return names and values of a `.properties` file.

    Invalid lines are ignored, and the last value of a name counts. The parser handles the syntax that TeamCity writes.
    """
    # Java writes Latin-1, with escapes for all other characters.
    text = re.sub(r"\r\n?", "\n", data.decode("latin-1"))
    lines = _CONTINUATION_RE.sub(r"\1", text).split("\n")
    matches = (_PROPERTY_RE.fullmatch(line) for line in lines if not line.lstrip(" \t\f").startswith(("#", "!")))
    return {_unescape(match[1]): _unescape(match[2]) for match in matches if match}


def _unescape(text: str) -> str:
    text = _ESCAPE_RE.sub(_decode_escape, text)
    # Two escapes (a surrogate pair) make one character such as an emoji. Half a pair becomes a replacement character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _decode_escape(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED_CHARACTERS.get(code, code)


def format_service_message(name: str, /, max_chars: int = _MAX_MESSAGE_VALUE_CHARS, **values: str) -> str:
    """Return one service message, with values of at most `max_chars` characters."""
    pairs = [f"{key}='{escape_teamcity(value, max_chars)}'" for key, value in values.items()]
    return f"##teamcity[{name} {' '.join(pairs)}]"


class TeamCityPublisher:
    """Sets parameters, status and problem of the build, and imports the tests.

    It does so once, at the end of the step.
    """

    def __init__(self, context: PublishContext, checkout_dir: str) -> None:
        self._context, self._checkout_dir = context, checkout_dir

    def publish(self, report: Report) -> list[str]:
        """Print the messages, and return warnings about missing data."""
        if not report.verdict:
            return []
        # TeamCity reads a text between two percent signs as the name of a parameter, which can hold a secret.
        # Source: JetBrains's documentation, "Configuring Build Parameters" and "Kotlin DSL".
        values = select_accepted(output_variables(report), lambda text: is_exact_in_log(text) and text.count("%") < 2)
        lines = [
            format_service_message("setParameter", MAX_VARIABLE_CHARS, name=f"env.{name}", value=text)
            for name, text in values.items()
        ]
        headline = f"{report.heading}: {format_headline(report)}"
        if report.results_dir:
            path = self._relative_to_checkout(report.results_dir, "junit.xml")
            lines.append(format_service_message("importData", type="junit", path=path))
        # The placeholder adds the status text of the build itself, such as its count of tests.
        lines.append(format_service_message("buildStatus", text=f"{{build.status.text}}; {headline}"))
        if report.verdict.exit_code:
            # A problem with the same identity counts as the same problem in the next build.
            identity = f"autonoma_{report.part.digest}"
            lines.append(format_service_message("buildProblem", description=headline, identity=identity))
        self._context.write_lines(lines)
        return omitted_variables_warning(report, values, "The parameters for later steps")

    def _relative_to_checkout(self, *parts: str) -> str:
        """Return the path of a file from the checkout.

        A file outside of the checkout has an absolute path.
        """
        path = Path(self._context.working_directory, *parts).absolute()
        # If TeamCity does not name the checkout, the working directory is used.
        checkout_dir = self._checkout_dir or self._context.working_directory
        try:
            return Path(os.path.realpath(path)).relative_to(os.path.realpath(checkout_dir)).as_posix()
        except (OSError, ValueError):
            return str(path)


SYSTEM = TeamCity()
