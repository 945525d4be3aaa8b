"""Application versions and variables as YAML or JSON in options."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config import parsers
from autonoma_ci.config.parsers import parse_application_versions
from autonoma_ci.errors import InputError
from autonoma_ci.models import AppVersion
from autonoma_ci.yaml_subset.inline import parse_option_yaml, parse_yaml_mapping

WRONG_KEYS = "invalid keys. Use application-id and version-id only."
CONTROL_CHARACTER = "invalid YAML: forbidden control character. Remove it, and save the file as UTF-8."


@pytest.mark.parametrize(
    "text",
    [
        "- application-id: a\n  version-id: 007\n- {application_id: a, version_id: b}",
        "- {version-id: '007', application_id: a}\n- &x {version-id: b, application-id: a}",
        '[{"application-id": "a", "version-id": "007"}, {"application_id": "a", "version_id": "b"}]',
    ],
)
def test_versions_accept_yaml_and_json(text: str) -> None:
    """Ids stay text as written, and one application can have several versions."""
    assert parse_application_versions(text) == (AppVersion("a", "007"), AppVersion("a", "b"))


def test_empty_list_has_no_versions() -> None:
    """An empty list is valid."""
    assert parse_application_versions("[]") == ()


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("application-id: a\nversion-id: b", ["invalid list. Write `- {application-id: ID, version-id: ID}`."]),
        ("a=b", ["invalid list. Write `- {application-id: ID, version-id: ID}`."]),
        ("[a", ["line 1: invalid YAML: missing closing bracket for '['"]),
        ("- a", [f"line 1: {WRONG_KEYS}"]),
        ("- {application-id: a}", [f"line 1: {WRONG_KEYS}"]),
        ("-\n- []", [f"line 1: {WRONG_KEYS}", f"line 2: {WRONG_KEYS}"]),
        ("- {application-id: a, version-id: b, name: c}", [f"line 1: {WRONG_KEYS}"]),
        (
            "- {application-id: a, application_id: [b], version-id: c}",
            [f"line 1: {WRONG_KEYS}", "line 1: missing id."],
        ),
        ("- {application-id: a, version-id: [b]}", ["line 1: missing id."]),
        (
            "- {application-id: a/b, version-id: c d}\n- {application-id: e}\n- {application-id: '', version-id: f}",
            [
                "line 1: invalid id: 'a/b' contains",
                "line 1: invalid id: 'c d' contains",
                f"line 2: {WRONG_KEYS}",
                "line 3: missing id.",
            ],
        ),
    ],
)
def test_all_version_errors_have_lines(text: str, problems: list[str]) -> None:
    """All errors of an option are reported together."""
    with pytest.raises(InputError) as error_info:
        parse_application_versions(text)
    messages = [str(problem) for problem in error_info.value.diagnostics]
    assert len(messages) == len(problems)
    assert all(line.startswith(start) for line, start in zip(messages, problems, strict=True))


@given(st.text("-{}[]:, \nab&*'", max_size=30))
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    """Any text gives application versions or an input error."""
    with suppress(InputError):
        assert all(isinstance(version, AppVersion) for version in parse_application_versions(text))


def test_mapping_values_stay_text() -> None:
    """A value that looks like a number stays as it is written."""
    assert parse_yaml_mapping("A: 1.10\nB: ''") == ({"A": "1.10", "B": ""}, [])


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("- a", ["not a mapping. Write NAME=value lines, or `NAME: value` lines."]),
        ("A: b\nA: c", ["line 2: duplicate key: 'A', first on line 1. Remove one."]),
        ("B: x\nA: [b]", ["line 2: 'A' is a list. Use a string."]),
        ("A: {b: c}", ["line 1: 'A' is a mapping. Use a string."]),
        ("A:\nB:", [f"line {n}: '{k}' has no value. Write \"\" for an empty string." for n, k in ((1, "A"), (2, "B"))]),
        (f"{'N' * 60}: []", [f"line 1: '{'N' * 60}' is a list. Use a string."]),
        (f"{'N' * 61}: []", [f"line 1: '{'N' * 59}…' is a list. Use a string."]),
        ("A: \x01", [f"line 1: {CONTROL_CHARACTER}"]),
        ("A: [b", ["line 1: invalid YAML: missing closing bracket for '['. Close the bracket."]),
    ],
)
def test_mapping_errors_have_lines(text: str, problems: list[str]) -> None:
    """Each error of a mapping starts with its line."""
    assert [str(problem).partition(";")[0] for problem in parse_yaml_mapping(text)[1]] == problems


def test_valid_values_are_read_beside_errors() -> None:
    """Valid values of a mapping are returned together with all errors."""
    values, problems = parse_yaml_mapping("A: 1\nB: [x]\nC:\nA: 2")
    assert values["A"] == "2"
    assert [str(problem).partition(":")[0] for problem in problems] == ["line 4", "line 2", "line 3"]


def test_list_error_has_line() -> None:
    """An error about a control character starts with its line."""
    errors = parse_option_yaml("- \x01").errors
    assert [str(problem) for problem in errors] == [f"line 1: {CONTROL_CHARACTER}"]


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("\\ud83d\\ude80", "\U0001f680"),
        ("\\uD800\\uDC00\\uDBFF\\uDFFF", "\U00010000\U0010ffff"),
        ("\\\\ud83d\\\\ude80", "\\ud83d\\ude80"),
        ("\\\\\\ud83d\\ude81", "\\\U0001f681"),
    ],
)
def test_json_surrogate_pair_is_joined(escaped: str, text: str) -> None:
    """JSON may write a character as two escaped surrogates."""
    assert parse_yaml_mapping(f'{{"A": "{escaped}"}}') == ({"A": text}, [])


def test_option_line_is_not_file_line() -> None:
    """An annotation would point to a file that does not exist."""
    with pytest.raises(InputError) as error_info:
        parsers.parse_variables("NAME: sentinel: x")
    [problem] = error_info.value.diagnostics
    assert (problem.file, problem.line, problem.column) == ("", 0, 0)
    assert problem.message == "line 1: invalid YAML: second colon in a value without quotes. Put the value in quotes."
    assert problem.excerpt == ("   1 | ···:···", "     |    ^")
