"""Redaction with an index of thousands of values."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.redaction.redactor import Redactor

# Letters, invisible characters, escapes, and characters that folding changes.
PIECES = st.text("abA1 -%&\\\u200b\u00e9\n*", min_size=1, max_size=6)
VALUES = st.lists(st.one_of(PIECES, st.text("ab", min_size=12, max_size=20)), min_size=1, max_size=8)


def redact_with_limit(values: list[str], text: str, max_unindexed: int) -> tuple[str, str]:
    """Redact a text and its edges, with an index for more than `max_unindexed` forms."""
    name = "autonoma_ci.redaction.redactor._MAX_UNINDEXED"
    with patch(name, max_unindexed), patch(f"{name}_SHORT", max_unindexed):
        redact = Redactor(values)
        return redact(text), redact.redact_edges(text)


@given(VALUES, st.data())
def test_index_keeps_results(values: list[str], data: st.DataObject) -> None:
    """The result is the same for any values at any place of a text."""
    parts = data.draw(st.lists(st.one_of(st.sampled_from(values), PIECES, st.sampled_from(values).map(second_half))))
    for text in ("".join(parts), " ".join(parts), "%20".join(parts)):
        assert redact_with_limit(values, text, 0) == redact_with_limit(values, text, 1_000_000)


def second_half(value: str) -> str:
    return value[len(value) // 2 :]


def test_index_skips_absent_values() -> None:
    """A text without any of 3,000 values needs no search for each of them."""
    search_terms: list[str] = []

    class SearchedText(str):
        """A text that records the terms of its searches."""

        __slots__ = ()

        def find(self, *args: object) -> int:
            search_terms.append(str(args[0]))
            return super().find(*args)  # type: ignore[arg-type]

    values = [f"value-{number}-of-{number:x}" for number in range(3000)] + [str(number) for number in range(1000)]
    redact = Redactor(values)
    with patch("autonoma_ci.redaction.redactor.fold", lambda text: SearchedText(text.lower().replace(" ", ""))):
        assert redact("The page shows three items, and a total of 49.90 and 7777") == (
            "The page shows three items, and a total of ***.*** and 7777"
        )
    assert len(search_terms) < 100
