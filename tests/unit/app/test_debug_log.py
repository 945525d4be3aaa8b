"""Lines, redaction and life of the debug log."""

from __future__ import annotations

import io
import logging
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autonoma_ci.app.debug_log import DebugLog, log_inputs
from autonoma_ci.app.inputs import detect_ci
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.clock import Clock
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import Cancelled
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.startup import DebugLogger
from tests.support import github_parser
from tests.support.hostile import TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from autonoma_ci.ci.base import LogFormatter

TIME_RE = re.compile(r"(?:##\[debug\])?[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z ")
FORMATTERS = [load_system(rule).log_formatter for rule in DETECTION_RULES]
LOGGER = DebugLogger()
# The characters of credentials: printable ASCII without spaces.
SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="*"), min_size=6)


class FixedClock(Clock):
    """A clock that returns these times in UTC."""

    def __init__(self, *times: str) -> None:
        self._times = iter(times)

    def utc_iso_ms(self) -> str:
        return next(self._times)


@contextmanager
def open_log(
    out: io.StringIO,
    values: Iterable[str | Secret] = (),
    formatter: LogFormatter = PLAIN_LOG_FORMATTER,
    *,
    clock: Clock | None = None,
    holds_lines: bool = False,
) -> Iterator[DebugLog]:
    debug_log = DebugLog(out, formatter, values, clock or Clock())
    debug_log.attach()
    if not holds_lines:
        debug_log.redact_values((), are_complete=False)
    try:
        yield debug_log
    finally:
        debug_log.close()


def test_line_has_utc_time_and_text() -> None:
    """The time has milliseconds."""
    out = io.StringIO()
    with open_log(out, clock=FixedClock("2026-11-30T13:24:32.123Z")):
        LOGGER.debug("%s of %d", "one", 2)
    assert out.getvalue() == "2026-11-30T13:24:32.123Z one of 2\n"


def test_modules_log_until_log_is_closed() -> None:
    """A record before or after the debug log has no effect."""
    out = io.StringIO()
    LOGGER.debug("early")
    with open_log(out):
        LOGGER.debug("in between")
    LOGGER.debug("late")
    assert [TIME_RE.sub("", line) for line in out.getvalue().splitlines()] == ["in between"]


def test_libraries_log_nothing() -> None:
    """Records of libraries can contain headers with credentials."""
    out = io.StringIO()
    with open_log(out):
        logging.getLogger("urllib3.connectionpool").debug("header")
        logging.getLogger("autonoma_ci").debug("package")
        logging.getLogger().debug("root")
    assert out.getvalue() == ""


def test_lines_reach_no_handler() -> None:
    """A handler of the root logger would print lines without redaction."""
    records: list[logging.LogRecord] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    recorder = Recorder()
    logging.getLogger().addHandler(recorder)
    try:
        with open_log(io.StringIO()):
            LOGGER.debug("one")
    finally:
        logging.getLogger().removeHandler(recorder)
    assert records == []


def test_close_removes_sink() -> None:
    """The modules log to nothing, as before."""
    with open_log(io.StringIO()):
        assert DebugLogger.sink
    assert DebugLogger.sink is None


@given(TEXTS, SECRETS, TEXTS, st.sampled_from(FORMATTERS))
def test_no_line_holds_secret(prefix: str, value: str, suffix: str, formatter: LogFormatter) -> None:
    """Credentials and values of variables are removed in every CI system."""
    assume(value not in prefix + suffix)
    for values in ([Secret(value)], [value]):
        out = io.StringIO()
        with open_log(out, values, formatter):
            LOGGER.debug("%s", prefix + value + suffix)
        line = TIME_RE.sub("", out.getvalue(), count=1)
        assert value not in line.replace("\u200b", "")


@given(TEXTS, st.sampled_from(FORMATTERS))
def test_any_text_is_one_plain_line(text: str, formatter: LogFormatter) -> None:
    """No text forges another line or is a command."""
    out = io.StringIO()
    with open_log(out, (), formatter):
        LOGGER.debug("%s", text)
    line = out.getvalue().removesuffix("\n")
    assert len(line.splitlines()) == 1
    assert TIME_RE.match(line)
    plain_line = line.removeprefix("##[debug]")
    assert not re.search(r"##\w*\[|\x1b|\r", plain_line)
    assert github_parser.find_commands(plain_line) == []


def test_value_in_time_is_not_redacted() -> None:
    """A value such as a year leaves the time readable."""
    out = io.StringIO()
    with open_log(out, ["2026", "Z"], clock=FixedClock("2026-11-30T13:24:32.000Z")):
        LOGGER.debug("in 2026")
    assert out.getvalue() == "2026-11-30T13:24:32.000Z in ***\n"


def test_later_values_are_redacted_too() -> None:
    """The values of a manifest are known after the first lines."""
    out = io.StringIO()
    with open_log(out, [Secret("first-secret")]) as debug_log:
        debug_log.redact_values(["second-value"], are_complete=False)
        LOGGER.debug("first-secret second-value")
    assert TIME_RE.sub("", out.getvalue()) == "*** ***\n"


def test_lines_are_held_until_values_are_known() -> None:
    """An early line can contain the value of a manifest."""
    out = io.StringIO()
    clock = FixedClock(*(f"2026-11-30T13:24:0{second}.000Z" for second in range(3)))
    with open_log(out, clock=clock, holds_lines=True) as debug_log:
        LOGGER.debug("job=sentinel")
        LOGGER.debug("two")
        assert out.getvalue() == ""
        debug_log.redact_values(["sentinel"], are_complete=True)
        LOGGER.debug("three")
    assert out.getvalue().splitlines() == [
        "2026-11-30T13:24:00.000Z job=***",
        "2026-11-30T13:24:01.000Z two",
        "2026-11-30T13:24:02.000Z three",
    ]


def test_held_lines_are_dropped_at_early_end() -> None:
    """They can contain a value that was not read."""
    out = io.StringIO()
    with open_log(out, holds_lines=True):
        LOGGER.debug("job=sentinel")
        LOGGER.debug("two")
    assert TIME_RE.sub("", out.getvalue()) == "2 debug lines left out: values of variables are unknown.\n"


def test_held_lines_are_limited() -> None:
    """The last lines stay, in their order."""
    out = io.StringIO()
    with open_log(out, holds_lines=True) as debug_log:
        for number in range(1_001):
            LOGGER.debug("%d", number)
        debug_log.redact_values((), are_complete=True)
    lines = [TIME_RE.sub("", line) for line in out.getvalue().splitlines()]
    assert lines == [str(number) for number in range(1, 1_001)]


class InterruptedStream(io.StringIO):
    """A stream in whose first write a signal arrives."""

    has_signal = True

    def write(self, text: str) -> int:
        if self.has_signal:
            self.has_signal = False
            raise Cancelled(15)
        return super().write(text)


def test_close_prints_lines_after_signal() -> None:
    """The last lines show what the signal interrupted."""
    out = InterruptedStream()
    with open_log(out, holds_lines=True) as debug_log:
        for text in ("one", "two"):
            LOGGER.debug(text)
        with pytest.raises(Cancelled):
            debug_log.redact_values((), are_complete=True)
    assert TIME_RE.sub("", out.getvalue()) == "two\n"


def test_signal_keeps_order_and_frees_lock() -> None:
    """Other threads can log after a signal in a line."""
    out = InterruptedStream()
    with open_log(out, holds_lines=True) as debug_log:
        for text in ("one", "two"):
            LOGGER.debug(text)
        with pytest.raises(Cancelled):
            debug_log.redact_values((), are_complete=True)
        thread = threading.Thread(target=LOGGER.debug, args=("three",), daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
    assert [TIME_RE.sub("", line) for line in out.getvalue().splitlines()] == ["two", "three"]


class BrokenValue:
    """A value whose text raises an error."""

    def __str__(self) -> str:
        raise RuntimeError("sentinel")


class BrokenStream(io.StringIO):
    """A stream that raises an unexpected error."""

    def write(self, text: str) -> int:
        raise RuntimeError("sentinel")


@pytest.mark.parametrize("stream", [io.StringIO(), BrokenStream()], ids=["value", "stream"])
def test_handler_error_is_silent(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """An error in the log changes neither the job nor its output."""
    with open_log(stream):
        LOGGER.debug("%s", BrokenValue())
        LOGGER.debug("%d", BrokenValue())
        LOGGER.debug("two")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert "sentinel" not in stream.getvalue()


def test_full_buffer_omits_and_counts_lines() -> None:
    """The number of omitted lines is printed at the end."""

    class FullStream(io.StringIO):
        has_spare_capacity = False

    out = FullStream()
    with open_log(out):
        LOGGER.debug("one")
        LOGGER.debug("two")
    assert re.fullmatch("2 debug lines were [^\n]+\n", out.getvalue())


def test_message_of_error_is_redacted() -> None:
    """The message has neither values of variables nor of the environment."""
    with open_log(io.StringIO(), [Secret("client-secret")]) as debug_log:
        debug_log.redact_values(["value-of-manifest"], are_complete=True)
        message = debug_log.redact_message(
            "client-secret value-of-manifest job-token-of-ci word", {"TOKEN": "job-token-of-ci", "SHORT": "word"}
        )
    assert message == "*** *** *** word"


@pytest.mark.parametrize(
    ("message", "environ", "shown"),
    [
        ("GET https://cdn.example/x.png?X-Amz-Signature=dead&T=tok failed", {}, "GET https://cdn.example/x.png failed"),
        ("url: /x.png?X-Amz-Signature=deadbeef", {}, "url: /x.png"),
        ("https://host/page#token=deadbeef", {}, "https://host/page"),
        ("https://user:pa/ss?w@rd@host:8443/x", {}, "https://***@host:8443/x"),
        ("//user:password@host", {}, "//***@host"),
        ("issue #12 in 3 s?", {}, "issue #12 in 3 s?"),
        ("is hunter7 valid", {"PASS": "hunter7"}, "is *** valid"),
        ("short", {"PASS": "short"}, "short"),
        ("pw=partsecret1", {"CFG": "host=a pw=partsecret1"}, "pw=***"),
        ("_authToken npm_abcdef1234567", {"NPM": "//r/:_authToken=npm_abcdef1234567"}, "*** ***"),
        ("user: dockpass99", {"DOCKER": "me:dockpass99"}, "user: ***"),
        ("bad port Secret12", {"HTTPS_PROXY": "http://user:Secret12/rest@proxy:3128"}, "bad port ***"),
        ("key ghp_abcdef123456", {"KEYS": "a|ghp_abcdef123456|b"}, "key ***"),
        ("one-value two-value", {"LIST": "one-value,two-value;x"}, "*** ***"),
        ("quoted-value", {"CFG": "a='quoted-value'"}, "***"),
        ("KeyError 'line one secretA'", {"PEM": "line one secretA\nline two secretB"}, "KeyError '***'"),
    ],
)
def test_message_hides_parts_of_environment(message: str, environ: dict[str, str], shown: str) -> None:
    """The message can be pasted into a public issue."""
    with open_log(io.StringIO()) as debug_log:
        debug_log.redact_values((), are_complete=True)
        assert debug_log.redact_message(message, environ) == shown


def test_message_is_hidden_with_huge_environment() -> None:
    """Some of the values would not be searched."""
    with open_log(io.StringIO()) as debug_log:
        debug_log.redact_values((), are_complete=True)
        assert debug_log.redact_message("text", {"A": " ".join(map(str, range(100_000, 105_001)))}) == ""
        assert debug_log.redact_message("text", {"A": " ".join(map(str, range(100_000, 100_100)))}) == "text"


def test_message_is_hidden_with_unknown_values() -> None:
    """The manifest can have values that are not known."""
    with open_log(io.StringIO()) as debug_log:
        assert debug_log.redact_message("a message", {}) == ""
        debug_log.redact_values(["one"], are_complete=False)
        assert debug_log.redact_message("a message", {}) == ""


def test_inputs_are_logged_without_values() -> None:
    """The log names the system, its variable, the build and the options."""
    out = io.StringIO()
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_JOB": "e2e", "GITHUB_REPOSITORY": "acme/shop"}
    settings = Settings(spellings={"test-ids": "--test-ids", "wait": "AUTONOMA_WAIT"})
    with open_log(out):
        log_inputs(settings, detect_ci(environ), environ)
    assert [TIME_RE.sub("", line) for line in out.getvalue().splitlines()] == [
        "CI system: github (from GITHUB_ACTIONS)",
        "Build: ci_name=github, repository=acme/shop, job_name=e2e",
        "Options: --test-ids, AUTONOMA_WAIT",
    ]


def test_inputs_outside_of_ci_are_logged() -> None:
    """Without variables, the log says so."""
    out = io.StringIO()
    with open_log(out):
        log_inputs(Settings(), detect_ci({}), {})
    assert [TIME_RE.sub("", line) for line in out.getvalue().splitlines()] == [
        "CI system: cli (no variable of a CI system)", "Build: ci_name=cli", "Options: none"
    ]  # fmt: skip
