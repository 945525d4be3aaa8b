"""Log commands in the grammar of each CI system."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.ci.log import JobLog
from autonoma_ci.errors import Diagnostic
from autonoma_ci.redaction.redactor import Secret
from tests.support import ci_environments as environments
from tests.support import github_parser as runner
from tests.support.ci_environments import LogFormat
from tests.support.grammars import LogCommand
from tests.support.hostile import TEXTS

if TYPE_CHECKING:
    from autonoma_ci.ci.base import LogFormatter


class Case(NamedTuple):
    """The log formatter of a CI system and the parser of its log."""

    name: str
    formatter: LogFormatter
    log: LogFormat


SYSTEMS = {row.name: load_system(row) for row in DETECTION_RULES}
CASES = (
    *(
        Case(case.expected.ci_name, SYSTEMS[case.expected.ci_name].log_formatter, case.log)
        for case in environments.JOB_CASES
        if case.log
    ),
    Case("plain", PLAIN_LOG_FORMATTER, LogFormat(lambda _: [])),
)
for_each_system = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
LEVELS = st.sampled_from(["error", "warning"])
DIAGNOSTICS = st.builds(Diagnostic, TEXTS, TEXTS, st.integers(0, 9), st.integers(0, 9))


def get_names(commands: list[LogCommand]) -> tuple[str, ...]:
    return tuple(command.name for command in commands)


def find_other_systems(case: Case, log: str) -> list[str]:
    """Return the other systems that find a command in this log."""
    system_names = [other.name for other in CASES if other is not case and other.log.parse(log)]
    # Both of Microsoft's systems know `##[group]`, and a job is never in both.
    return system_names + (["github"] if case.name != "azure" and runner.find_commands(log) else [])


def test_table_covers_every_log_grammar() -> None:
    """The grammar of GitHub is in `runner`, also for systems that use its formatter."""
    systems_with_commands = {
        name for name, system in SYSTEMS.items() if system.log_formatter is not PLAIN_LOG_FORMATTER
    }
    assert systems_with_commands == {
        name for name in systems_with_commands if SYSTEMS[name].log_formatter is SYSTEMS["github"].log_formatter
    } | {case.name for case in CASES[:-1]}


@pytest.mark.slow
@for_each_system
@given(title=TEXTS, text=TEXTS)
def test_group_with_any_text_is_one_group(case: Case, title: str, text: str) -> None:
    """The text of a group is no command in any CI system."""
    out = io.StringIO()
    job_log = JobLog(out, case.formatter)
    with job_log.group(title):
        job_log.info(text)
    assert get_names(case.log.parse(out.getvalue())) == case.log.group_commands
    assert not find_other_systems(case, out.getvalue())


@pytest.mark.slow
@for_each_system
@given(level=LEVELS, diagnostic=DIAGNOSTICS, title=TEXTS)
def test_annotation_is_one_command(case: Case, level: str, diagnostic: Diagnostic, title: str) -> None:
    """An annotation with any text is exactly one command of its CI system."""
    out = io.StringIO()
    JobLog(out, case.formatter).annotate(level, diagnostic, title)
    assert get_names(case.log.parse(out.getvalue())) == case.log.issue_commands
    assert out.getvalue().count("\n") == 1 + len(diagnostic.excerpt)
    assert not find_other_systems(case, out.getvalue())


@pytest.mark.slow
@for_each_system
@given(text=TEXTS)
def test_debug_line_with_any_text_is_no_command(case: Case, text: str) -> None:
    """A line of the debug log is plain, except that Azure has its own form."""
    out = io.StringIO()
    JobLog(out, case.formatter).debug("2026-11-30T13:24:32.123Z", text)
    names = get_names(case.log.parse(out.getvalue()))
    assert names == (("debug",) if case.name == "azure" else ())
    assert len(out.getvalue().splitlines()) == 1
    assert not find_other_systems(case, out.getvalue())


@for_each_system
def test_group_ends_share_unique_key(case: Case) -> None:
    """Begin and end of a group share a key that no other group has."""
    out = io.StringIO()
    job_log = JobLog(out, case.formatter)
    for _ in range(2):
        with job_log.group("Starting 2 runs"):
            job_log.info("one")
    commands = case.log.parse(out.getvalue())
    keys = [command.values.get("key") for command in commands if "key" in command.values]
    assert keys[0::2] == keys[1::2]
    assert len(set(keys)) == len(keys) // 2
    assert "Starting 2 runs" in out.getvalue()


@for_each_system
@given(value=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6))
def test_mask_has_exact_value_or_is_empty(case: Case, value: str) -> None:
    """A mask command contains exactly the value, and systems without masks print nothing."""
    out = io.StringIO()
    JobLog(out, case.formatter).mask([Secret(value)])
    if case.log.mask_command:
        assert case.log.parse(out.getvalue()) == [LogCommand(case.log.mask_command, data=value)]
    else:
        assert out.getvalue() == ""
