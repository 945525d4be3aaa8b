"""Application versions that an option gives as YAML or JSON."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.errors import InputError
from autonoma_ci.model import AppVersion
from autonoma_ci.values import application_versions

WRONG = "an entry has application-id and version-id, and nothing else"


@pytest.mark.parametrize(
    "text",
    [
        "- application-id: a\n  version-id: 007\n- {application_id: a, version_id: b}",
        "- {version-id: '007', application_id: a}\n- &x {version-id: b, application-id: a}",
        '[{"application-id": "a", "version-id": "007"}, {"application_id": "a", "version_id": "b"}]',
    ],
)
def test_a_list_in_yaml_or_json_in_both_spellings(text: str) -> None:
    """Ids are text as written, and one application may have several versions."""
    assert application_versions(text) == (AppVersion("a", "007"), AppVersion("a", "b"))


def test_an_empty_list_is_no_versions() -> None:
    assert application_versions("[]") == ()


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("application-id: a\nversion-id: b", ["it is not a list of application-id and version-id"]),
        ("a=b", ["it is not a list of application-id and version-id"]),
        ("[a", ["line 2: not valid YAML"]),
        ("- a", [f"line 1: {WRONG}"]),
        ("- {application-id: a}", [f"line 1: {WRONG}"]),
        ("-\n- []", [f"line 1: {WRONG}", f"line 2: {WRONG}"]),
        ("- {application-id: a, version-id: b, name: c}", [f"line 1: {WRONG}"]),
        ("- {application-id: a, application_id: [b], version-id: c}", [f"line 1: {WRONG}", "line 1: an id is missing"]),
        ("- {application-id: a, version-id: [b]}", ["line 1: an id is missing"]),
        (
            "- {application-id: a/b, version-id: c d}\n- {application-id: e}\n- {application-id: '', version-id: f}",
            [
                "line 1: 'a/b' is not an id",
                "line 1: 'c d' is not an id",
                f"line 2: {WRONG}",
                "line 3: an id is missing",
            ],
        ),
    ],
)
def test_every_problem_is_told_at_once_with_its_line(text: str, problems: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        application_versions(text)
    told = [str(problem) for problem in refused.value.problems]
    assert len(told) == len(problems)
    assert all(line.startswith(start) for line, start in zip(told, problems, strict=True))


@given(st.text("-{}[]:, \nab&*'", max_size=30))
def test_any_text_is_versions_or_an_input_problem(text: str) -> None:
    with suppress(InputError):
        assert all(isinstance(version, AppVersion) for version in application_versions(text))
