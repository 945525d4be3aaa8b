"""The entries that a change put in quarantine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.planning.new_quarantine import find_new_quarantines
from autonoma_ci.yaml_subset.parser import parse_yaml

UNTIL = "quarantine: { until: %s, reason: late }"
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from("abc")},
        optional={"quarantine": st.fixed_dictionaries({"until": st.sampled_from(["2026-12-01", "2026-12-31", "x"])})},
    ),
    max_size=5,
)


def find(base: str, current: str) -> list[tuple[str, int]]:
    """Return the new quarantines of two manifests."""
    documents = [parse_yaml(text, "") for text in (base, current)]
    assert not any(document.errors for document in documents)
    return find_new_quarantines(*(document.tree for document in documents))


def entry(until: str = "2026-12-01", entry_id: str = "a") -> str:
    return f"{{ id: {entry_id}, {UNTIL % until} }}"


@pytest.mark.parametrize(
    ("base", "current", "expected"),
    [
        ("tests: [a]", f"tests: [{entry()}]", [("tests", 0)]),
        ("tests: [{ id: a, quarantine: }]", f"tests: [{entry()}]", [("tests", 0)]),
        (f"tests: [{entry()}]", f"tests: [{entry()}]", []),
        (f"tests: [{entry()}]", f"tests: [{entry('2026-12-31')}]", [("tests", 0)]),
        (f"tests: [{entry('2026-12-31')}]", f"tests: [{entry()}]", []),
        (f"tests: [{entry()}]", "tests: [a]", []),
        (f"tests: [{entry('someday')}]", f"tests: [{entry()}]", [("tests", 0)]),
        ("tests: [b]", f"tests: [b, {entry()}]", [("tests", 1)]),
        (f"tests: [{entry()}, b]", f"tests: [b, {entry()}]", []),
        (f"tests: [{entry()}]", f"folders: [{entry()}]", [("folders", 0)]),
        (f"tests: [a, {entry()}]", f"tests: [{entry()}, {entry()}]", [("tests", 0)]),
        ("tags: [a]", f"tags: [{entry()}]", [("tags", 0)]),
        ("", f"tests: [{entry()}]", [("tests", 0)]),
        ("", f"tests: [{{ name: without an id, {UNTIL % '2026-12-01'} }}, [a], {entry()}]", [("tests", 2)]),
        ("- a", f"tests: [{entry()}]", [("tests", 0)]),
        ("tests: text", f"tests: [{entry()}]", [("tests", 0)]),
        (f"tests: [{entry()}]", "", []),
    ],
)
def test_new_and_extended_quarantines_are_found(base: str, current: str, expected: list[tuple[str, int]]) -> None:
    """A quarantine is new if the entry had none, or if it ends later."""
    assert find(base, current) == expected


def test_ids_with_references_are_compared_as_written() -> None:
    """The values of `${NAME}` at the base are unknown."""
    current_entry = entry(entry_id="'${ID}'")
    current = f"tests: [{current_entry}]"
    assert find("tests: [{ id: '${ID}' }]", current) == [("tests", 0)]
    assert find(current, current) == []


@given(ENTRIES, ENTRIES)
def test_unchanged_manifest_has_no_new_quarantine(first: list[object], second: list[object]) -> None:
    """Only entries in quarantine are found, and none without a change."""
    current = {"tests": second}
    assert find_new_quarantines(current, current) == []  # type: ignore[arg-type]
    for kind, index in find_new_quarantines({"tests": first}, current):  # type: ignore[dict-item, arg-type]
        assert kind == "tests"
        assert "quarantine" in second[index]  # type: ignore[operator]
