"""Variables of a manifest for a step that starts no runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.stated_variables import StatedVariables, collect_stated_variables
from autonoma_ci.models import BuildContext
from tests.support.processor_time import measure_processor_seconds

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {"WORD": "zq-word", "EMPTY": "", "OTHER": "zq-other", "LONG": "x" * 100_000, "TEST": "b"}


def list_variables(folder: Path, text: str) -> list[tuple[str, str, str | None]]:
    """Return the variables of this manifest, with their values in the clear."""
    variables = collect(folder, text).variables
    return [
        (variable.entry_id, variable.name, None if variable.value is None else variable.value.reveal())
        for variable in variables
    ]


def collect(folder: Path, text: str) -> StatedVariables:
    """Return the variables that this manifest states."""
    (folder / "m.yml").write_text(text, "utf-8")
    return collect_stated_variables("m.yml", str(folder), Interpolator(ENVIRON, BuildContext(branch="zq-branch")))


def test_all_entries_are_collected(tmp_path: Path) -> None:
    """Defaults, entries, matrix values, aliases and merge keys count."""
    text = """\
defaults: {variables: &a {A: 1.10, B: "${WORD}-${ci.branch}"}}
tests:
  - short-form
  - {id: a, groups: [x], variables: {<<: *a, A: yes}, matrix: {C: [1, "${WORD}"]}}
  - {id: "${TEST}", variables: {D: $$5}}
"""
    joined_value = "zq-word-zq-branch"
    assert list_variables(tmp_path, text) == [
        ("", "A", "1.10"),
        ("", "B", joined_value),
        ("a", "A", "yes"),
        ("a", "B", joined_value),
        ("a", "C", "1"),
        ("a", "C", "zq-word"),
        ("b", "D", "$5"),
    ]


@pytest.mark.parametrize("value", ["${MISSING}", "${MISSING:?why}", "$x", "${ci.sha}", "${AUTONOMA_CLIENT_SECRET}"])
def test_unknown_value_is_none(value: str, tmp_path: Path) -> None:
    """The name is collected, and other values of the entry are known."""
    text = f"tests: [{{id: a, variables: {{A: '{value}', B: b}}}}, {{id: '{value}', variables: {{C: c}}}}]"
    assert list_variables(tmp_path, text) == [("a", "A", None), ("a", "B", "b"), ("?", "C", "c")]


@pytest.mark.parametrize(
    "text", ["", "a", "[", "- {variables: [a]}", "variables: {A: {B: c}}", "a: b\n---\nc: d", "\0"]
)
def test_another_shape_is_no_error(text: str, tmp_path: Path) -> None:
    """Only texts are values."""
    assert [value for _, _, value in list_variables(tmp_path, text) if value is not None] == []


def test_missing_manifest_has_no_variables(tmp_path: Path) -> None:
    """A missing file, a folder and a link out of the working directory are no errors."""
    (tmp_path / "work").mkdir()
    (tmp_path / "outside.yml").write_text("variables: {A: b}", "utf-8")
    (tmp_path / "work" / "link.yml").symlink_to(tmp_path / "outside.yml")
    for path in ("nowhere.yml", ".", "link.yml"):
        assert (
            collect_stated_variables(path, str(tmp_path / "work"), Interpolator(ENVIRON, BuildContext()))
            == StatedVariables()
        )


@pytest.mark.parametrize(
    ("value", "is_known", "is_fact"),
    [
        ("${WORD:-none}", True, False),
        ("${MISSING:-none}", False, False),
        ("x-${EMPTY:-none}", False, False),
        ("${EMPTY}", False, False),
        ("${WORD}${MISSING:-}", False, False),
        ("${ci.branch}", True, True),
        ("${ci.branch:-none}${ci.branch}", True, True),
        ("${ci.sha:-none}", True, False),
        ("${ci.branch}-x", True, False),
        ("${ci.branch}${WORD}", True, False),
        ("$$", True, False),
    ],
)
def test_default_value_is_unknown(value: str, is_known: bool, is_fact: bool, tmp_path: Path) -> None:
    """The step that started the runs may have known the variable."""
    (variable,) = collect(tmp_path, f"variables: {{A: '{value}'}}").variables
    assert (variable.value is not None, variable.is_known, variable.is_fact) == (True, is_known, is_fact)


def test_entry_with_default_id_is_unknown(tmp_path: Path) -> None:
    """The id was different where the variable was set."""
    assert list_variables(tmp_path, "tests: [{id: '${MISSING:-b}', variables: {A: x}}]") == [("?", "A", "x")]


def test_names_and_groups_are_collected(tmp_path: Path) -> None:
    """Ids, build facts and defaults do not count."""
    text = """\
tests:
  - {id: "${TEST}", variables: {A: "joe:${WORD}:${MISSING}", B: "${ci.branch}${MISSING:-none}"}}
  - {id: b, name: "x ${OTHER}", groups: ["${LONG}"]}
"""
    assert [secret_text.reveal() for secret_text in collect(tmp_path, text).environment_texts] == sorted(
        [ENVIRON["LONG"], "zq-other", "zq-word"]
    )


def test_values_are_limited(tmp_path: Path) -> None:
    """Short texts that refer to a long variable do not fill the memory."""
    lines = "".join(f"  V{number}: 'n{number}${{LONG}}'\n" for number in range(2000))
    variables = list_variables(tmp_path, f"variables:\n{lines}")
    assert len(variables) == 2000
    assert sum(len(value or "") for _, _, value in variables) < 17 * 1024 * 1024


def build_nested_strategy(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(["id", "variables", "matrix", "tests", "a"])
    return st.lists(inner) | st.dictionaries(keys, inner)


@pytest.mark.slow
@given(st.recursive(st.none() | st.text(max_size=9), build_nested_strategy))
def test_any_shape_is_read(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    """A variable is a text or unknown, and no exception is raised."""
    for _, name, value in list_variables(tmp_path_factory.getbasetemp(), json.dumps(document)):
        assert isinstance(name, str)
        assert value is None or isinstance(value, str)


def test_missing_label_variables_are_listed(tmp_path: Path) -> None:
    """Only variables of names and groups are listed."""
    text = """\
tests:
  - {id: a, name: "${MISSING} ${WORD} ${ci.sha:-none}", groups: ["${EMPTY:-x}${OTHER}"], variables: {A: "${FURTHER}"}}
  - {id: "${MISSING:-b}", name: "${CI_JOB_TOKEN:-none} $MISSING"}
"""
    assert collect(tmp_path, text).unresolved_names == (("a", "MISSING"), ("a", "EMPTY"), ("?", "CI_JOB_TOKEN"))


def test_label_after_limit_is_missing(tmp_path: Path) -> None:
    """After the limit, values of names and groups are unknown."""
    lines = "".join(f"  V{number}: 'n{number}${{LONG}}'\n" for number in range(200))
    text = f"defaults:\n variables:\n{lines}tests: [{{id: a, name: 'As ${{WORD}}'}}]"
    assert collect(tmp_path, text).unresolved_names == (("a", "WORD"),)


@pytest.mark.parametrize("piece", ["$$", "${UNSET:-}", "${WORD:+}"])
def test_aliased_text_is_read_once(tmp_path: Path, piece: str) -> None:
    """A text with many aliases takes bounded time."""
    text = f"x-a: &a '{piece * 3_000}'\ntests:\n- id: a\n  name: *a\n  matrix:\n    A: [" + "*a," * 20_000 + "]\n"
    assert measure_processor_seconds(lambda: collect(tmp_path, text), 15.0) < 15.0


def test_variables_of_each_environment_are_collected(tmp_path: Path) -> None:
    """The runs can have used any environment, and its name can equal a key."""
    text = """\
groups: {variables: {default: false}}
environments:
  staging: {default: true, variables: {A: "${WORD}"}}
  variables: {variables: {A: "${MISSING}", B: "https://${ci.branch}.example.com"}}
  matrix:
tests: [a]
"""
    assert list_variables(tmp_path, text) == [
        ("", "A", "zq-word"),
        ("", "A", None),
        ("", "B", "https://zq-branch.example.com"),
    ]
    assert [text.reveal() for text in collect(tmp_path, text).environment_texts] == ["zq-word"]


@pytest.mark.parametrize("key", ["owner: %s", "quarantine: {reason: %s}", "quarantine: {issue: %s}"])
def test_shown_texts_name_unknown_variables(key: str, tmp_path: Path) -> None:
    """A text about an entry can contain a value that this job does not know."""
    text = "tests: [{id: a, " + key % "'${MISSING} and ${WORD}'" + "}]"
    collected = collect(tmp_path, text)
    assert collected.unresolved_names == (("a", "MISSING"),)
    assert [value.reveal() for value in collected.environment_texts] == ["zq-word"]
