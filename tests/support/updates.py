"""Comparison of the updates that stages of the engine return."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.engine.updates import Update


def assert_updates(updates: Iterable[Update], expected: Iterable[Update]) -> None:
    """Compare updates with their classes, because named tuples of two classes are equal if their values are."""
    assert [(type(update), *update) for update in updates] == [(type(update), *update) for update in expected]
