"""Combinations of matrix values and their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.planning.matrix import MatrixNamer

HIDDEN, CREDENTIAL = "hidden-value", "credential"


def list_labels(axes: dict[str, list[str]], unstated: frozenset[tuple[str, int]] = frozenset()) -> list[str]:
    """Return the labels of all combinations.

    Args:
        axes: The values by axis.
        unstated: Axis and position of the values that come from `${…}`.

    """
    manifest = Manifest.model_validate({"tests": [{"id": "t", "matrix": axes}]})
    (test,) = manifest.tests
    stated = {(name, position) for name, values in axes.items() for position in range(len(values))}
    manifest.set_literal_values(test, frozenset(stated - unstated))
    namer = MatrixNamer(manifest, {HIDDEN}, lambda text: CREDENTIAL in text)
    return [combination.label for combination in namer.combine(test, axes)]


def test_literal_values_are_shown() -> None:
    """An axis with one value has no label."""
    assert list_labels({"LOCALE": ["en", "fr-CA"], "OS": ["linux"], "SIZE": ["1 280", "640"]}) == [
        "LOCALE=en, SIZE=1 280",
        "LOCALE=en, SIZE=640",
        "LOCALE=fr-CA, SIZE=1 280",
        "LOCALE=fr-CA, SIZE=640",
    ]
    assert list_labels({"LOCALE": ["en"]}) == [""]


def test_value_of_reference_has_place() -> None:
    """A value from `${NAME}` is never shown."""
    assert list_labels({"LOCALE": ["en", "fr"]}, frozenset({("LOCALE", 1)})) == ["LOCALE=en", "LOCALE 2/2"]


def test_value_without_loader_has_place() -> None:
    """A manifest that was not read from a file states no value."""
    axes = {"LOCALE": ["en", "fr"]}
    manifest = Manifest.model_validate({"tests": [{"id": "t", "matrix": axes}]})
    combinations = MatrixNamer(manifest, (), lambda _: False).combine(manifest.tests[0], axes)
    assert [combination.label for combination in combinations] == ["LOCALE 1/2", "LOCALE 2/2"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        " fr",
        "e  n",
        "x" * 41,
        "a\tb",
        "a\x1b[31m",
        "a\u202eb",
        "a\u200bb",
        HIDDEN,
        f"x{CREDENTIAL}y",
        "ghp_0123456789abcdefghij0123456789abcdef",
        "https://user:pass@host.example",
    ],
)
def test_unfit_value_has_place(value: str) -> None:
    """Empty, long, invisible and secret values are not shown."""
    assert list_labels({"A": ["en", value]}) == ["A=en", "A 2/2"]


@pytest.mark.parametrize("name", ["PASSWORD", "API_KEY", "loginToken"])
def test_secret_name_has_places(name: str) -> None:
    """The values of a variable that looks like a secret are not shown."""
    assert list_labels({name: ["one", "two"]}) == [f"{name} 1/2", f"{name} 2/2"]


@pytest.mark.parametrize("values", [["en", "EN"], ["a", "ａ"], ["a b", "a b"]])
def test_values_of_equal_look_have_places(values: list[str]) -> None:
    """Two combinations never look equal."""
    assert list_labels({"A": values}) == ["A 1/2", "A 2/2"]


def test_value_like_labels_has_places() -> None:
    """A value with the text of another label makes the whole name ambiguous."""
    axes = {"A": ["x", "x, B=1"], "B": ["1", "1, B=1"]}
    assert list_labels(axes) == ["A 1/2, B 1/2", "A 1/2, B 2/2", "A 2/2, B 1/2", "A 2/2, B 2/2"]


VALUES = st.lists(st.text("ab,= B1]Aé", max_size=6), min_size=1, max_size=4)


@given(st.dictionaries(st.sampled_from(["A", "B", "C"]), VALUES, max_size=3))
def test_combinations_have_different_labels(axes: dict[str, list[str]]) -> None:
    """The labels of an entry are unique, and each value is shown in full or not at all."""
    labels = list_labels(axes)
    assert len(set(labels)) == len(labels)
