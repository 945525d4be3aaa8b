"""The log: no secret in any line, and no stream that ends the job."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.ci.systems.github import SYSTEM as GITHUB
from autonoma_ci.errors import Cancelled, Diagnostic
from autonoma_ci.redaction.redactor import Redactor, Secret
from autonoma_ci.streams import OutputStream
from tests.support import runner
from tests.support.hostile import TEXTS

if TYPE_CHECKING:
    from typing import TextIO

    from autonoma_ci.ci.base import LogFormatter

# What credentials may hold: printable ASCII without spaces.
SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="*"), min_size=6)


@given(TEXTS, SECRETS, TEXTS, st.sampled_from([GITHUB.log_formatter, PLAIN_LOG_FORMATTER]))
def test_no_line_issue_or_group_shows_a_secret_however_it_is_escaped(
    before: str, value: str, after: str, dialect: LogFormatter
) -> None:
    out = io.StringIO()
    console = JobLog(out, dialect)
    console.redact_with(Redactor([Secret(value)]))
    text = before + value + after
    console.info(text)
    console.annotate("error", Diagnostic(text, text, 1, 2), text)
    with console.group(text):
        pass
    found = runner.commands(out.getvalue())
    assert len(found) == (3 if dialect is GITHUB.log_formatter else 0)
    shown = [out.getvalue(), *(command.data for command in found), *(str(command.properties) for command in found)]
    if value not in before + after and not set(value) <= set("error group file line col title started"):
        assert all(value not in line.replace("\u200b", "") for line in shown)


@pytest.mark.parametrize("secret", ["file=a,b:c", "50%25,x:y", "::error::x", "##[error]x", "error"])
def test_a_secret_that_reads_like_a_command_spoils_no_command(secret: str) -> None:
    out = io.StringIO()
    console = JobLog(out, GITHUB.log_formatter)
    console.redact_with(Redactor([Secret(secret)]))
    console.annotate("error", Diagnostic(f"the value <{secret}> is bad", "a.yml", 3, 5), f"title {secret}")
    assert runner.commands(out.getvalue()) == [
        runner.Command(
            "error",
            "a.yml:3:5: the value <***> is bad",
            {"file": "a.yml", "line": "3", "col": "5", "title": "title ***"},
        )
    ]


def test_a_place_in_a_file_becomes_the_place_of_the_annotation() -> None:
    assert GITHUB.log_formatter.annotation("warning", Diagnostic("text", "a, b.yml", 3, 5), "t: u") == (
        "::warning file=a%2C b.yml,line=3,col=5,title=t%3A u::a, b.yml:3:5: text"
    )
    assert GITHUB.log_formatter.annotation("notice", Diagnostic("text", "a.yml")) == "::notice file=a.yml::a.yml: text"
    assert GITHUB.log_formatter.annotation("error", Diagnostic("text")) == "::error::text"
    assert (
        PLAIN_LOG_FORMATTER.annotation("error", Diagnostic("text", "a.yml", 3, 5), "title")
        == "Error: title: a.yml:3:5: text"
    )


def test_a_group_is_closed_when_what_is_in_it_fails() -> None:
    out = io.StringIO()
    console = JobLog(out, GITHUB.log_formatter)
    with pytest.raises(RuntimeError, match="inside"), console.group("Plan"):
        raise RuntimeError("inside")
    assert out.getvalue() == "::group::Plan\n::endgroup::\n"


class Broken(io.StringIO):
    """A log that nobody reads any more."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_log_that_is_gone_does_not_end_the_job() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        console = JobLog(stream, GITHUB.log_formatter)
        console.info("text")
        console.annotate("error", Diagnostic("text"))
        with console.group("title"):
            console.mask([Secret("long-enough")])


@given(SECRETS)
def test_a_mask_hides_the_value_that_it_names_and_nothing_else(value: str) -> None:
    out = io.StringIO()
    JobLog(out, GITHUB.log_formatter).mask([Secret(value)])
    assert runner.commands(out.getvalue()) == [runner.Command("add-mask", value)]


class Stalled(OutputStream):
    """Standard output, whose reader stalls once it is told to."""

    def __init__(self) -> None:
        super().__init__(None)
        self.texts: list[str] = []
        self.is_stalled_now = False

    def write(self, text: str) -> int:
        self.texts.append(text)
        return len(text)

    def write_through(self, text: str) -> None:
        if self.is_stalled_now:
            pytest.fail("it waits for ever")
        self.texts.append(text)


def _interrupt(console: JobLog, out: Stalled) -> None:
    console.info("test a")
    out.is_stalled_now = True
    raise Cancelled(15)


def test_the_end_of_a_group_waits_for_no_reader_after_an_error() -> None:
    """The signal that has ended the wait for the reader would not end another one."""
    out = Stalled()
    console = JobLog(cast("TextIO", out), GITHUB.log_formatter, is_product=True)
    with pytest.raises(Cancelled), console.group("Plan"):
        _interrupt(console, out)
    assert out.texts == ["::group::Plan\n", "test a\n", "::endgroup::\n"]


def test_a_product_whose_end_of_a_group_is_lost_is_an_error() -> None:
    """It is not whole, even if all else was written."""
    out = Stalled()
    console = JobLog(cast("TextIO", out), GITHUB.log_formatter, is_product=True)
    with pytest.raises(pytest.fail.Exception, match="for ever"), console.group("Plan"):
        out.is_stalled_now = True
