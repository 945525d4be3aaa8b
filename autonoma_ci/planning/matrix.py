"""Combine the values of a test's matrix, and name each combination."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING
from unicodedata import normalize

from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from autonoma_ci.manifest.schema import Manifest, Test

# A longer value would fill the line of a run in the log.
_MAX_SHOWN_CHARS = 40


class Combination(NamedTuple):
    """One combination of the values of a matrix."""

    variables: Mapping[str, str]
    # The position on each axis, such as `LOCALE=2,OS=1`.
    place: str
    # The label of the combination for reports, such as `LOCALE=en, OS 1/2`. Empty if no axis has several values.
    label: str


class MatrixNamer:
    """Decides which values of a matrix the names of runs show.

    Args:
        manifest: Tells which values it states literally. Values of `${…}` are never shown.
        hidden_values: Values that are never shown, such as those of the option `variables`.
        contains_credential: Returns whether a text contains a credential of the step.

    """

    def __init__(
        self, manifest: Manifest, hidden_values: Collection[str], contains_credential: Callable[[str], bool]
    ) -> None:
        self._manifest, self._hidden_values, self._contains_credential = manifest, hidden_values, contains_credential
        # Cached, because many entries have the same axes, and the search for secrets needs 0.1 ms per value.
        self._can_show: dict[tuple[str, str], bool] = {}

    def combine(self, test: Test, axes: Mapping[str, Sequence[str]]) -> Iterator[Combination]:
        """Yield each combination of the values of these axes.

        Args:
            test: The test.
            axes: The values by the name of their axis. It is a part of the test's matrix.

        """
        labels = [self._label_axis(test, name, values) for name, values in axes.items() if len(values) > 1]
        if not _are_distinct(labels):
            labels = [_label_by_place(name, len(values)) for name, values in axes.items() if len(values) > 1]
        labels_by_axis = dict(zip((name for name, values in axes.items() if len(values) > 1), labels, strict=True))
        for positions in product(*(range(len(values)) for values in axes.values())):
            places = dict(zip(axes, positions, strict=True))
            yield Combination(
                {name: axes[name][position] for name, position in places.items()},
                ",".join(f"{name}={position + 1}" for name, position in places.items()),
                ", ".join(axis_labels[places[name]] for name, axis_labels in labels_by_axis.items()),
            )

    def _label_axis(self, test: Test, name: str, values: Sequence[str]) -> list[str]:
        """Return the label of each value of an axis."""
        by_place = _label_by_place(name, len(values))
        looks = [_normalize_look(value) for value in values]
        return [
            f"{name}={value}"
            if looks.count(looks[position]) == 1
            and self._manifest.is_literal_value(test, name, position)
            and self._is_shown(name, value)
            else by_place[position]
            for position, value in enumerate(values)
        ]

    def _is_shown(self, name: str, value: str) -> bool:
        if (name, value) not in self._can_show:
            self._can_show[name, value] = self._decide(name, value)
        return self._can_show[name, value]

    def _decide(self, name: str, value: str) -> bool:
        # White space at an end, or doubled, is invisible in a report.
        if not value or len(value) > _MAX_SHOWN_CHARS or not value.isprintable() or " ".join(value.split()) != value:
            return False
        if value in self._hidden_values or self._contains_credential(value):
            return False
        # Imported late, because compiling their patterns takes milliseconds.
        from autonoma_ci.manifest.secrets import detect_secret_kind, is_secret_name

        return not is_secret_name(name) and detect_secret_kind(value) is None


def _label_by_place(name: str, size: int) -> list[str]:
    return [f"{name} {position}/{size}" for position in range(1, size + 1)]


def _normalize_look(value: str) -> str:
    """Return a text that is equal for values that look equal."""
    return " ".join((value if value.isascii() else normalize("NFKC", value)).casefold().split())


def _are_distinct(labels: Sequence[Sequence[str]]) -> bool:
    """Return whether all combinations of these labels are different.

    A value can look like two labels, such as `a, B=1`.
    """
    if not any(", " in label or "]" in label for axis in labels for label in axis):
        return True
    combined = [", ".join(combination) for combination in product(*labels)]
    return len(set(combined)) == len(combined)
