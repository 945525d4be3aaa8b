"""Texts, classes and exit codes of exceptions."""

from __future__ import annotations

import pytest

from autonoma_ci.errors import (
    MEMORY_ERRORS,
    ApiError,
    AutonomaError,
    Cancelled,
    Diagnostic,
    HelpPrinted,
    InputError,
    OutputError,
)


@pytest.mark.parametrize(
    ("diagnostic", "text"),
    [
        (Diagnostic("unknown option"), "unknown option"),
        (Diagnostic("unknown key", "autonoma.yml"), "autonoma.yml: unknown key"),
        (Diagnostic("unknown key", "autonoma.yml", 3, 5), "autonoma.yml:3:5: unknown key"),
        (Diagnostic("unknown key", "autonoma.yml", 0, 5), "autonoma.yml: unknown key"),
        (Diagnostic("unknown option", "", 3, 5), "unknown option"),
        (Diagnostic("unknown key", "a.yml", 1, 1, ("line", "^"), "sub/a.yml"), "a.yml:1:1: unknown key"),
    ],
)
def test_diagnostic_text_has_position(diagnostic: Diagnostic, text: str) -> None:
    """The text has the file and the position as far as they are known."""
    assert str(diagnostic) == text


def test_input_error_has_all_diagnostics() -> None:
    """Texts become diagnostics, and the message has one line for each of them."""
    problems: list[Diagnostic | str] = ["no client-id", Diagnostic("unknown key", "autonoma.yml", 3, 5)]
    error = InputError(problem for problem in problems)
    assert error.diagnostics == (Diagnostic("no client-id"), problems[1])
    assert str(error) == "no client-id\nautonoma.yml:3:5: unknown key"


def test_input_error_without_diagnostics() -> None:
    """Without diagnostics the message is empty."""
    assert (InputError([]).diagnostics, str(InputError([]))) == ((), "")


def test_api_error_has_exit_code() -> None:
    """The message and the exit code are those of the caller."""
    error = ApiError("HTTP 401: check the credentials", 3)
    assert (str(error), error.exit_code) == ("HTTP 401: check the credentials", 3)


@pytest.mark.parametrize("error", [InputError(["a"]), ApiError("a", 5), OutputError("a"), HelpPrinted("a")])
def test_user_errors_have_common_class(error: Exception) -> None:
    """One handler is enough for all errors that a user can fix."""
    assert isinstance(error, AutonomaError)


@pytest.mark.parametrize(("signal", "text"), [(2, "cancelled by signal 2"), (15, "cancelled by signal 15")])
def test_cancelled_passes_error_handlers(signal: int, text: str) -> None:
    """Like KeyboardInterrupt, it passes code that continues after any Exception."""
    error = Cancelled(signal)
    assert not isinstance(error, Exception)
    assert (str(error), error.signal) == (text, signal)


@pytest.mark.parametrize("error", [MemoryError, SystemError])
def test_memory_errors_are_caught(error: type[Exception]) -> None:
    """Python raises both for a lack of memory."""
    assert issubclass(error, MEMORY_ERRORS)
