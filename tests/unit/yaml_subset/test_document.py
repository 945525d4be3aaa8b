"""Tests of a parsed document with its positions and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import Diagnostic
from autonoma_ci.yaml_subset.document import MAX_ERRORS, Document, LimitExceededError, explain_non_string

if TYPE_CHECKING:
    from autonoma_ci.yaml_subset.document import KeyPath, YamlValue

POSITIONS: dict[KeyPath, tuple[int, int]] = {(): (1, 1), ("a",): (2, 3), ("a", 0): (3, 5), ("a", 0, "b"): (3, 9)}


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ((), (1, 1)),
        (("a",), (2, 3)),
        (("a", 0, "b"), (3, 9)),
        (("a", 0, "c"), (3, 5)),
        (("a", 1, "b"), (2, 3)),
        (("c", "d"), (1, 1)),
        (("a", "0"), (2, 3)),
    ],
)
def test_unknown_part_has_nearest_position(path: KeyPath, position: tuple[int, int]) -> None:
    """A part without a position has that of the nearest part around it."""
    assert Document("m.yml", positions=dict(POSITIONS)).find_position(path) == position


@pytest.mark.parametrize("path", [(), ("a",), ("a", 1)])
def test_empty_document_has_no_position(path: KeyPath) -> None:
    """Without any position, both numbers are 0."""
    assert Document("m.yml").find_position(path) == (0, 0)


def test_error_has_file_and_position() -> None:
    """An error of a part has the file's name and the position of the part."""
    document = Document("m.yml", positions=dict(POSITIONS))
    document.add_error(("a", 0, "b"), "first")
    document.add_error_at("second", (7, 8))
    assert document.errors == [Diagnostic("first", "m.yml", 3, 9), Diagnostic("second", "m.yml", 7, 8)]


@pytest.mark.parametrize("file", ["m.yml", ""])
def test_last_error_ends_document(file: str) -> None:
    """At the limit, one more error states that there are others."""
    document = Document(file)
    for _ in range(MAX_ERRORS - 1):
        document.add_error((), "wrong")
    assert len(document.errors) == MAX_ERRORS - 1
    with pytest.raises(LimitExceededError):
        document.add_error((), "wrong")
    assert len(document.errors) == MAX_ERRORS + 1
    assert document.errors[-2].message == "wrong"
    assert document.errors[-1] == Diagnostic("too many problems: only the first 1,000 are listed.", file)


def test_repr_hides_values() -> None:
    """The tree can have secrets of an option, so no traceback shows it."""
    document = Document("m.yml", {"PASSWORD": "s3cret-value"}, dict(POSITIONS))
    assert "s3cret-value" not in repr(document)
    assert "m.yml" in repr(document)


def test_documents_share_no_state() -> None:
    """A new document has no errors and no positions of another one."""
    document = Document("a.yml")
    document.add_error_at("wrong", (1, 1))
    document.positions["a",] = (1, 1)
    assert (Document("b.yml").errors, Document("b.yml").positions, Document("b.yml").tree) == ([], {}, None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, 'has no value. Write "" for an empty string.'),
        ([], "is a list. Use a string."),
        (["s3cret-value"], "is a list. Use a string."),
        ({}, "is a mapping. Use a string."),
        ({"a": "s3cret-value"}, "is a mapping. Use a string."),
    ],
)
def test_type_error_names_type(value: YamlValue, message: str) -> None:
    """The message has the type of the value and not the value."""
    assert explain_non_string(value) == message
