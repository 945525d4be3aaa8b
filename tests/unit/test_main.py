"""Tests of the entry point of `python -m autonoma_ci`."""

from __future__ import annotations

import gc
import os
import runpy
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from autonoma_ci import __main__ as entry_point
from autonoma_ci import cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ProcessEnded(BaseException):
    """The end of the process, with its exit code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


@pytest.fixture(autouse=True)
def _process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the end of the process be an exception, and restore what an entry point sets."""

    def raise_process_ended(code: int) -> NoReturn:
        raise ProcessEnded(code)

    handlers = [(number, signal.getsignal(number)) for number in HANDLED_SIGNALS]
    threshold = gc.get_threshold()
    monkeypatch.setattr(os, "_exit", raise_process_ended)
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "")
    yield
    for number, handler in handlers:
        signal.signal(number, handler)
    gc.set_threshold(*threshold)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Replace the command line, and return the signal handlers of each call."""
    calls: list[list[Any]] = []
    monkeypatch.setattr(cli, "main", lambda: calls.append([signal.getsignal(number) for number in HANDLED_SIGNALS]))
    return calls


def run_as_module() -> None:
    """Run the file like `python -m autonoma_ci`."""
    runpy.run_path(entry_point.__file__, run_name="__main__")


@pytest.mark.usefixtures("calls")
def test_plugins_of_pydantic_are_disabled() -> None:
    """No installed package can add code to the models."""
    entry_point.main()
    assert os.environ["PYDANTIC_DISABLE_PLUGINS"] == "__all__"


@pytest.mark.parametrize("start", [entry_point.main, run_as_module])
def test_entry_point_handles_signals_first(start: Callable[[], None], calls: list[list[Any]]) -> None:
    """The handlers are in place before the command line runs."""
    before = [signal.getsignal(number) for number in HANDLED_SIGNALS]
    start()
    ((interrupt, terminate),) = calls
    assert interrupt is terminate
    assert interrupt not in before


def test_garbage_is_collected_rarely(calls: list[list[Any]]) -> None:
    """The imports of a short job cause no collection of garbage."""
    entry_point.main()
    assert gc.get_threshold()[0] == 50_000
    assert calls


@pytest.mark.parametrize("number", HANDLED_SIGNALS)
def test_early_signal_ends_process(number: signal.Signals, calls: list[list[Any]]) -> None:
    """Nothing is sent yet, so the process ends at once with the exit code of the signal."""
    entry_point.main()
    handler = signal.getsignal(number)
    assert callable(handler)
    with pytest.raises(ProcessEnded) as result:
        handler(number, None)
    assert result.value.code == 128 + number


def test_ignored_interrupt_stays_ignored(calls: list[list[Any]]) -> None:
    """A shell ignores SIGINT for background commands, and SIGTERM still ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    entry_point.main()
    ((interrupt, terminate),) = calls
    assert interrupt is signal.SIG_IGN
    assert callable(terminate)


def test_failed_import_exits_70(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would exit with 1, which is the exit code of runs that did not pass."""
    error_types: list[type[BaseException]] = []
    monkeypatch.setitem(sys.modules, "autonoma_ci.cli", None)
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_: error_types.append(kind))
    with pytest.raises(ProcessEnded) as result:
        entry_point.main()
    assert result.value.code == 70
    assert error_types == [ModuleNotFoundError]


def test_failed_traceback_exits_70(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory, even the traceback can fail."""

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setitem(sys.modules, "autonoma_ci.cli", None)
    monkeypatch.setattr(sys, "excepthook", fail)
    with pytest.raises(ProcessEnded) as result:
        entry_point.main()
    assert result.value.code == 70


def test_import_has_no_effect(calls: list[list[Any]]) -> None:
    """Only the process itself runs the command line."""
    before = [signal.getsignal(number) for number in HANDLED_SIGNALS]
    runpy.run_path(entry_point.__file__, run_name="autonoma_ci.__main__")
    assert calls == []
    assert [signal.getsignal(number) for number in HANDLED_SIGNALS] == before
