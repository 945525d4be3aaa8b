"""Every stored input goes through its harness, as make fuzz would have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.harnesses import HARNESSES, check

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(CORPUS.glob("*/*"))


def test_every_harness_has_seeds_and_nothing_else_has() -> None:
    assert {path.parent.name for path in INPUTS} == {*HARNESSES}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_stored_input_gives_a_value_or_an_error_of_ours_within_a_second(path: Path) -> None:
    check(path.parent.name, path.read_bytes())
