"""Test each stored fuzz input with its harness."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.fuzz.harnesses import HARNESSES, check_input

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(CORPUS.glob("*/*"))


def test_each_harness_has_seeds() -> None:
    """The folders of the corpus match the harnesses."""
    assert {path.parent.name for path in INPUTS} == {*HARNESSES}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_stored_input_is_handled_in_time(path: Path) -> None:
    """A stored input gives a value or one of our errors within a second."""
    check_input(path.parent.name, path.read_bytes())
