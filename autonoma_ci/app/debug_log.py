"""The debug log of a command, with UTC times and without secrets.

All modules log to loggers below `autonoma_ci`. Loggers of libraries are not used, because they can log credentials.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from autonoma_ci.ci.detection import list_detection_variables
from autonoma_ci.ci.log import JobLog
from autonoma_ci.redaction.redactor import MIN_RECOGNIZABLE_LENGTH, Redactor
from autonoma_ci.startup import LazyLogger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.ci.base import LogFormatter
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import BuildContext
    from autonoma_ci.redaction.redactor import Secret

_LOGGER_NAME = "autonoma_ci"
_log = LazyLogger(__name__)


class DebugLog(logging.Handler):
    """Writes debug records to the log of the job.

    Args:
        stream: The stream of all log lines.
        formatter: Formats lines for the CI system.
        values: The credentials, and the values of variables that are known so far.
    """

    def __init__(self, stream: TextIO, formatter: LogFormatter, values: Iterable[str | Secret]) -> None:
        super().__init__(logging.DEBUG)
        self._log = JobLog(stream, formatter, omittable="debug line")
        self._values = list(values)
        self._log.redact_with(Redactor(self._values))
        self._knows_all_values = False

    def attach(self) -> None:
        """Receive the records of all modules from now on."""
        logger = logging.getLogger(_LOGGER_NAME)
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        LazyLogger.get_logger = logging.getLogger

    def close(self) -> None:
        """Print the number of omitted lines, and receive no more records."""
        LazyLogger.get_logger = None
        logger = logging.getLogger(_LOGGER_NAME)
        logger.removeHandler(self)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
        self._log.show_omitted_count()
        super().close()

    def redact_values(self, values: Iterable[str | Secret], *, are_complete: bool) -> None:
        """Redact these values of variables too.

        Args:
            values: The values.
            are_complete: Whether no value of a variable is unknown.

        """
        self._values += values
        self._log.redact_with(Redactor(self._values))
        self._knows_all_values = are_complete

    def redact_message(self, message: str, environ: Mapping[str, str]) -> str:
        """Return the redacted message of an internal error.

        The message can be any text of the program, so it has no longer value of the environment either.

        Returns:
            The message, or an empty text if a value of a variable can be unknown.

        """
        if not self._knows_all_values:
            return ""
        texts = [text for text in environ.values() if len(text) >= MIN_RECOGNIZABLE_LENGTH]
        return Redactor([*self._values, *texts])(message)

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record as one line."""
        # The job matters more than its log. Without an error message, because it could contain values.
        with suppress(Exception):
            time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
            self._log.debug(time.replace("+00:00", "Z"), record.getMessage())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - signature of logging.Handler
        """Print no traceback, because it could contain values."""


def log_inputs(settings: Settings, ci: CIEnvironment, environ: Mapping[str, str]) -> None:
    """Log the CI system, the build and the options of a command."""
    variables = ", ".join(list_detection_variables(environ)) or "no variable"
    _log.debug("CI system: %s (from %s)", ci.source, variables)
    _log.debug("Build: %s", _format_facts(ci.build_context))
    _log.debug("Options: %s", ", ".join(sorted(settings.spellings.values())) or "none")


def _format_facts(context: BuildContext) -> str:
    facts = context._asdict()
    return ", ".join(f"{name}={fact}" for name, fact in facts.items() if isinstance(fact, str) and fact)
