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
from tests.support.ci_environments import Log
from tests.support.grammars import LogCommand
from tests.support.hostile import TEXTS

if TYPE_CHECKING:
    from autonoma_ci.ci.base import LogFormatter


class Case(NamedTuple):
    """One system: how it is spoken to, and how it reads a log."""

    name: str
    dialect: LogFormatter
    log: Log


SYSTEMS = {row.name: load_system(row) for row in DETECTION_RULES}
CASES = (
    *(
        Case(case.expected.ci_name, SYSTEMS[case.expected.ci_name].log_formatter, case.log)
        for case in environments.ROWS
        if case.log
    ),
    Case("plain", PLAIN_LOG_FORMATTER, Log(lambda _: [])),
)
every_system = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
LEVELS = st.sampled_from(["error", "warning"])
PLACES = st.builds(Diagnostic, TEXTS, TEXTS, st.integers(0, 9), st.integers(0, 9))


def names(orders: list[LogCommand]) -> tuple[str, ...]:
    return tuple(order.name for order in orders)


def others(case: Case, log: str) -> list[str]:
    """Return which of the other systems would find an order in this log."""
    found = [other.name for other in CASES if other is not case and other.log.read(log)]
    # Both of Microsoft's systems know `##[group]`, and a job is never in both.
    return found + (["github"] if case.name != "azure" and runner.find_commands(log) else [])


def test_table_covers_every_log_grammar() -> None:
    """The grammar of GitHub is in `runner`, also for systems that use its formatter."""
    takes = {name for name, system in SYSTEMS.items() if system.log_formatter is not PLAIN_LOG_FORMATTER}
    assert takes == {name for name in takes if SYSTEMS[name].log_formatter is SYSTEMS["github"].log_formatter} | {
        case.name for case in CASES[:-1]
    }


@pytest.mark.slow
@every_system
@given(title=TEXTS, text=TEXTS)
def test_group_with_any_text_is_one_group(case: Case, title: str, text: str) -> None:
    """The text of a group is no command in any CI system."""
    out = io.StringIO()
    console = JobLog(out, case.dialect)
    with console.group(title):
        console.info(text)
    assert names(case.log.read(out.getvalue())) == case.log.group
    assert not others(case, out.getvalue())


@pytest.mark.slow
@every_system
@given(level=LEVELS, problem=PLACES, title=TEXTS)
def test_annotation_is_one_command(case: Case, level: str, problem: Diagnostic, title: str) -> None:
    """An annotation with any text is exactly one command of its CI system."""
    out = io.StringIO()
    JobLog(out, case.dialect).annotate(level, problem, title)
    assert names(case.log.read(out.getvalue())) == case.log.issue
    assert out.getvalue().count("\n") == 1 + len(problem.excerpt)
    assert not others(case, out.getvalue())


@every_system
def test_group_ends_share_unique_key(case: Case) -> None:
    """Begin and end of a group share a key that no other group has."""
    out = io.StringIO()
    console = JobLog(out, case.dialect)
    for _ in range(2):
        with console.group("Starting 2 runs"):
            console.info("one")
    orders = case.log.read(out.getvalue())
    keys = [order.values.get("key") for order in orders if "key" in order.values]
    assert keys[0::2] == keys[1::2]
    assert len(set(keys)) == len(keys) // 2
    assert "Starting 2 runs" in out.getvalue()


@every_system
@given(value=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6))
def test_mask_has_exact_value_or_is_empty(case: Case, value: str) -> None:
    """A mask command contains exactly the value, and systems without masks print nothing."""
    out = io.StringIO()
    JobLog(out, case.dialect).mask([Secret(value)])
    if case.log.mask:
        assert case.log.read(out.getvalue()) == [LogCommand(case.log.mask, data=value)]
    else:
        assert out.getvalue() == ""
