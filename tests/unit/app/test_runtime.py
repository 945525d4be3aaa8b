"""Tests of the environment, streams and clock of a command."""

from __future__ import annotations

import io

from autonoma_ci.api.models import Timeouts
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.starter import StartPolicy
from tests.support.fake_clock import FakeClock


def test_runtime_has_default_parts() -> None:
    """Without further arguments, the parts are those of a real job."""
    out, err = io.StringIO(), io.StringIO()
    runtime = Runtime({"A": "b"}, out, err)
    assert (runtime.environ, runtime.working_directory) == ({"A": "b"}, ".")
    assert (runtime.out, runtime.err, runtime.stdin) == (out, err, None)
    assert (runtime.timeouts, runtime.start_policy, runtime.poll_policy) == (Timeouts(), StartPolicy(), None)
    assert runtime.clock.monotonic() <= runtime.clock.monotonic()


def test_runtime_installs_no_signal_handlers() -> None:
    """Only the process itself installs signal handlers."""
    runtime = Runtime({}, io.StringIO(), io.StringIO())
    assert not runtime.install_signal_handlers
    assert not runtime.signals.received


def test_runtimes_share_no_signals() -> None:
    """Each runtime has its own signal handler."""
    first, second = (Runtime({}, io.StringIO(), io.StringIO()) for _ in range(2))
    first.signals.end()
    first.signals.handle(15, None)
    assert (first.signals.received, second.signals.received) == (True, False)


def test_runtime_copy_has_new_environment() -> None:
    """The copy has its own environment and folder, and the original stays unchanged."""
    runtime = Runtime({"A": "b"}, io.StringIO(), io.StringIO(), "one")
    copy = runtime.with_environment({"C": "d"}, "two")
    assert (copy.environ, copy.working_directory) == ({"C": "d"}, "two")
    assert (runtime.environ, runtime.working_directory) == ({"A": "b"}, "one")


def test_runtime_copy_shares_other_parts() -> None:
    """Streams, clock, policies and signals are those of the original."""
    runtime = Runtime(
        {}, io.StringIO(), io.StringIO(), stdin=io.StringIO(), clock=FakeClock(), timeouts=Timeouts(read=1.0),
        start_policy=StartPolicy(concurrency=3), poll_policy=PollPolicy(timeout=5.0),
    )  # fmt: skip
    copy = runtime.with_environment({}, ".")
    for name in ("out", "err", "stdin", "clock", "timeouts", "start_policy", "poll_policy", "signals"):
        assert getattr(copy, name) is getattr(runtime, name), name


def test_runtime_copy_installs_no_handlers() -> None:
    """The signal handlers of the original are installed already."""
    runtime = Runtime({}, io.StringIO(), io.StringIO(), install_signal_handlers=True)
    assert not runtime.with_environment({}, ".").install_signal_handlers


def test_runtime_copy_shares_stdin() -> None:
    """A runtime with another environment has the same standard input."""
    stdin = io.StringIO()
    assert Runtime({}, io.StringIO(), io.StringIO(), stdin=stdin).with_environment({}, ".").stdin is stdin
