"""The debug log of a command, with UTC times and without secrets.

Libraries do not write to it, because they can log credentials.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from autonoma_ci.ci.detection import list_detection_variables
from autonoma_ci.ci.log import JobLog
from autonoma_ci.redaction.redactor import MASK, WEAK_CREDENTIAL_LENGTH, Redactor
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.startup import DebugLogger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.ci.base import LogFormatter
    from autonoma_ci.clock import Clock
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import BuildContext
    from autonoma_ci.redaction.redactor import Secret

_log = DebugLogger()
# A job step writes about ten lines before it knows the values of variables. Of more lines, the last ones stay.
_MAX_HELD_LINES = 1_000
# The separators of names and values in a variable of the environment.
_SEPARATOR_RE = re.compile(r"[\s=:,;/@|#&%?]+")
# To prepare the redaction of 5,000 values takes 1.3 s. With more values, the message of an error is left out.
_MAX_ENVIRONMENT_VALUES = 5_000
_WORD_RE = re.compile(r"\S+")
# The query or fragment of a URL. Errors of libraries also show URLs without scheme and host.
_QUERY_RE = re.compile(r"(?<=.)[?#].+")


class DebugLog:
    """Writes the debug log of all modules to the log of the job.

    Lines are held in memory until `redact_values` is called, because they can contain the value of a variable.

    Args:
        stream: The stream of all log lines.
        formatter: Formats lines for the CI system.
        values: The credentials, and the values of variables that are known so far.
        clock: The time of lines.
    """

    def __init__(
        self,
        stream: TextIO,
        formatter: LogFormatter,
        values: Iterable[str | Secret],
        clock: Clock,
    ) -> None:
        self._log = JobLog(stream, formatter, omittable="debug line")
        self._values = list(values)
        self._clock = clock
        self._knows_all_values = False
        # Threads write lines too. Only `with` acquires the lock, because a signal can raise an error at any time.
        self._lock = threading.Lock()
        # Lines that are not printed yet, with their times.
        self._lines: deque[tuple[str, str]] = deque(maxlen=_MAX_HELD_LINES)
        self._holds_lines = True

    def attach(self) -> None:
        """Receive the lines of all modules from now on."""
        DebugLogger.sink = self.write

    def close(self) -> None:
        """Print the number of omitted lines, and receive no more lines."""
        DebugLogger.sink = None
        with self._lock:
            if self._holds_lines:
                self._drop_lines()
            else:
                self._print_lines()
        self._log.show_omitted_count()

    def redact_values(self, values: Iterable[str | Secret], *, are_complete: bool) -> None:
        """Redact these values of variables too, and print all lines.

        Lines from before are left out if a value is unknown.

        Args:
            values: The values.
            are_complete: Whether no value of a variable is unknown.

        """
        self._values += values
        self._log.redact_with(Redactor(self._values))
        self._knows_all_values = are_complete
        with self._lock:
            if self._holds_lines and not are_complete:
                self._drop_lines()
            self._holds_lines = False
            self._print_lines()

    def redact_message(self, message: str, environ: Mapping[str, str]) -> str:
        """Return the redacted message of an internal error.

        The message can be any text of the program, and it can be pasted into a public issue. So the
        longer values of the environment are redacted, and recognized URLs lose user info, query and fragment.

        Returns:
            The message. It is empty if a value of a variable can be unknown, or if the environment has too many values.

        """
        if not self._knows_all_values:
            return ""
        environment_values = _list_environment_values(environ)
        if len(environment_values) > _MAX_ENVIRONMENT_VALUES:
            return ""
        redacted = Redactor([*self._values, *environment_values])(message)
        # Afterwards, because the redactor would not find the rest of a value.
        return _WORD_RE.sub(lambda match: _strip_url(match[0]), redacted)

    def write(self, text: str) -> None:
        """Print one line, or hold it with its time."""
        with self._lock:
            self._lines.append((self._clock.utc_iso_ms(), text))
            if not self._holds_lines:
                self._print_lines()

    def _drop_lines(self) -> None:
        # Each line could show a value that is unknown.
        if self._lines:
            lines = pluralize(len(self._lines), "debug line")
            self._lines.clear()
            self._log.debug(self._clock.utc_iso_ms(), f"{lines} left out: values of variables are unknown.")

    def _print_lines(self) -> None:
        # After a signal, the next call prints the lines that this call left.
        while self._lines:
            # The job matters more than its log. Without an error message, because it could contain values.
            with suppress(Exception):
                self._log.debug(*self._lines.popleft())


def _strip_url(word: str) -> str:
    """Return a word without user info, query and fragment of a URL."""
    before, slashes, rest = word.partition("//")
    # A password can contain each character that ends the user info of a valid URL.
    rest = f"{MASK}@{rest.rpartition('@')[2]}" if "@" in rest else rest
    return _QUERY_RE.sub("", f"{before}{slashes}{rest}")


def _list_environment_values(environ: Mapping[str, str]) -> set[str]:
    """Return the longer values of the environment, and their parts.

    A program can show only one part of a value, such as a password.
    """
    values = set(environ.values())
    parts = {part.strip("'\"") for value in values for part in _SEPARATOR_RE.split(value)}
    return {text for text in values | parts if len(text) >= WEAK_CREDENTIAL_LENGTH}


def log_inputs(settings: Settings, ci: CIEnvironment, environ: Mapping[str, str]) -> None:
    """Log the CI system, the build and the options of a command."""
    variables = ", ".join(list_detection_variables(environ))
    _log.debug("CI system: %s (%s)", ci.source, f"from {variables}" if variables else "no variable of a CI system")
    _log.debug("Build: %s", _format_facts(ci.build_context))
    _log.debug("Options: %s", ", ".join(sorted(settings.spellings.values())) or "none")


def _format_facts(context: BuildContext) -> str:
    facts = context._asdict()
    return ", ".join(f"{name}={fact}" for name, fact in facts.items() if isinstance(fact, str) and fact)
