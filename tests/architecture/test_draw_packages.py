"""The package chart in docs/contributing/architecture.md."""

from __future__ import annotations

from tests.architecture.draw_packages import DOCUMENT, drop_implied_imports, insert_chart


def test_chart_is_up_to_date() -> None:
    """The chart in the document equals the generated chart."""
    text = DOCUMENT.read_text("utf-8")
    assert insert_chart(text) == text, "run `make architecture`"


def test_implied_imports_are_dropped() -> None:
    """An import that follows from others has no arrow."""
    imports = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert drop_implied_imports(imports) == {"a": {"b"}, "b": {"c"}, "c": set()}
