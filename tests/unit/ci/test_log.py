"""Job log with secrets, and with broken or stalled streams."""

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
from tests.support import github_parser as runner
from tests.support.hostile import TEXTS

if TYPE_CHECKING:
    from typing import TextIO

    from autonoma_ci.ci.base import LogFormatter

# The characters of credentials: printable ASCII without spaces.
SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="*"), min_size=6)


# Texts that the log adds. A value of these characters can occur in the output by chance.
ADDED_TEXTS = "error group file line col title started"


@given(TEXTS, SECRETS, TEXTS, st.sampled_from([GITHUB.log_formatter, PLAIN_LOG_FORMATTER]))
def test_log_redacts_secret_in_any_escaping(prefix: str, value: str, suffix: str, formatter: LogFormatter) -> None:
    """No line, annotation or group shows a secret in any escaping."""
    out = io.StringIO()
    job_log = JobLog(out, formatter)
    job_log.redact_with(Redactor([Secret(value)]))
    text = prefix + value + suffix
    job_log.info(text)
    job_log.annotate("error", Diagnostic(text, text, 1, 2), text)
    with job_log.group(text):
        pass
    commands = runner.find_commands(out.getvalue())
    assert len(commands) == (3 if formatter is GITHUB.log_formatter else 0)
    lines = [
        out.getvalue(),
        *(command.data for command in commands),
        *(str(command.properties) for command in commands),
    ]
    if value not in prefix + suffix and not set(value) <= set(ADDED_TEXTS):
        assert all(value not in line.replace("\u200b", "") for line in lines)


@pytest.mark.parametrize("secret", ["file=a,b:c", "50%25,x:y", "::error::x", "##[error]x", "error"])
def test_log_redacts_command_like_secret(secret: str) -> None:
    """A secret that looks like a command leaves the log commands valid."""
    out = io.StringIO()
    job_log = JobLog(out, GITHUB.log_formatter)
    job_log.redact_with(Redactor([Secret(secret)]))
    job_log.annotate("error", Diagnostic(f"the value <{secret}> is bad", "a.yml", 3, 5), f"title {secret}")
    assert runner.find_commands(out.getvalue()) == [
        runner.Command(
            "error",
            "a.yml:3:5: the value <***> is bad",
            {"file": "a.yml", "line": "3", "col": "5", "title": "title ***"},
        )
    ]


def test_annotation_has_file_position() -> None:
    """An annotation has the file, line and column of its diagnostic."""
    assert GITHUB.log_formatter.annotation("warning", Diagnostic("text", "a, b.yml", 3, 5), "t: u") == (
        "::warning file=a%2C b.yml,line=3,col=5,title=t%3A u::a, b.yml:3:5: text"
    )
    assert GITHUB.log_formatter.annotation("notice", Diagnostic("text", "a.yml")) == "::notice file=a.yml::a.yml: text"
    assert GITHUB.log_formatter.annotation("error", Diagnostic("text")) == "::error::text"
    assert (
        PLAIN_LOG_FORMATTER.annotation("error", Diagnostic("text", "a.yml", 3, 5), "title")
        == "Error: title: a.yml:3:5: text"
    )


def test_group_closes_after_error() -> None:
    """A group is closed when its content raises an error."""
    out = io.StringIO()
    job_log = JobLog(out, GITHUB.log_formatter)
    with pytest.raises(RuntimeError, match="inside"), job_log.group("Plan"):
        raise RuntimeError("inside")
    assert out.getvalue() == "::group::Plan\n::endgroup::\n"


class BrokenStream(io.StringIO):
    """A stream whose reader has closed the pipe."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_log_ignores_broken_stream() -> None:
    """A broken or closed stream does not end the job."""
    closed = io.StringIO()
    closed.close()
    for stream in (BrokenStream(), closed):
        job_log = JobLog(stream, GITHUB.log_formatter)
        job_log.info("text")
        job_log.annotate("error", Diagnostic("text"))
        with job_log.group("title"):
            job_log.mask([Secret("long-enough")])


@given(SECRETS)
def test_mask_command_has_exact_value(value: str) -> None:
    """The mask command contains exactly the secret value."""
    out = io.StringIO()
    JobLog(out, GITHUB.log_formatter).mask([Secret(value)])
    assert runner.find_commands(out.getvalue()) == [runner.Command("add-mask", value)]


class StalledStream(OutputStream):
    """A stream whose blocking writes fail the test after a stall."""

    def __init__(self) -> None:
        super().__init__(None)
        self.texts: list[str] = []
        self.has_stalled = False

    def write(self, text: str) -> int:
        self.texts.append(text)
        return len(text)

    def write_through(self, text: str) -> None:
        if self.has_stalled:
            pytest.fail("a blocking write")
        self.texts.append(text)


def _write_then_cancel(job_log: JobLog, out: StalledStream) -> None:
    job_log.info("test a")
    out.has_stalled = True
    raise Cancelled(15)


def test_group_end_never_waits_after_error() -> None:
    """The end of a group does not wait for a stalled reader after a signal."""
    out = StalledStream()
    job_log = JobLog(cast("TextIO", out), GITHUB.log_formatter, is_product=True)
    with pytest.raises(Cancelled), job_log.group("Plan"):
        _write_then_cancel(job_log, out)
    assert out.texts == ["::group::Plan\n", "test a\n", "::endgroup::\n"]


def test_group_end_waits_in_product_log() -> None:
    """The last line of a product log is written with the blocking call."""
    out = StalledStream()
    job_log = JobLog(cast("TextIO", out), GITHUB.log_formatter, is_product=True)
    with pytest.raises(pytest.fail.Exception, match="a blocking write"), job_log.group("Plan"):
        out.has_stalled = True
