"""The variables that a manifest states, each with its value as far as it can be known here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.config.parsers import UNKNOWN_ID
from autonoma_ci.errors import InputError
from autonoma_ci.manifest.interpolation import MAX_TEXT_CHARS, find_reference_names
from autonoma_ci.manifest.loader import read_manifest_text
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.yaml_subset.document import Document, LimitExceededError
from autonoma_ci.yaml_subset.parser import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.manifest.interpolation import Interpolator
    from autonoma_ci.yaml_subset.document import Tree

# The keys whose mappings hold variables.
_KEYS = ("variables", "matrix")
# The keys whose texts are shown with `${NAME}` in place of values.
_LABELS = ("name", "groups")


class StatedVariable(NamedTuple):
    """One variable of an entry; of a matrix, one of its values."""

    entry_id: str  # empty for a variable of all tests
    name: str
    value: Secret | None  # None if it can't be known here
    # Not if `${NAME}` has no value here: the step that started the runs can have had another one.
    is_known: bool
    is_fact: bool  # consists of facts of the build alone


class StatedVariables(NamedTuple):
    """The variables of a manifest, and the texts of the environment that are parts of values, names and groups.

    `missing` has the names of environment variables in names and groups whose values are not known here, each with the
    id of its entry.
    """

    variables: tuple[StatedVariable, ...] = ()
    parts: tuple[Secret, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


def collect_stated_variables(path: str, folder: str, interpolation: Interpolator) -> StatedVariables:
    """Return the variables of a manifest; none if it can't be read.

    Another job may lack an environment variable that `${...}` needs, so each value is interpolated on its own.
    """
    with suppress(InputError):
        document = parse_yaml(read_manifest_text(path, folder, path), path)
        reader = _Reader(interpolation)
        variables = tuple(reader.variables(document.tree))
        return StatedVariables(variables, tuple(map(Secret, sorted(reader.parts))), tuple(reader.missing))
    return StatedVariables()


class _Value(NamedTuple):
    text: Secret | None
    is_known: bool = False
    is_fact: bool = False
    missing: frozenset[str] = frozenset()


_NO_VALUE = _Value(None)


class _Reader:
    """Reads the variables of one manifest, which may have any shape."""

    def __init__(self, interpolation: Interpolator) -> None:
        self.parts: set[str] = set()
        # In the order of the manifest, each once.
        self.missing: dict[tuple[str, str], None] = {}
        self._interpolation = interpolation
        # What many aliases stand for is read once.
        self._values: dict[tuple[str, bool], _Value] = {}
        self._length = 0

    def variables(self, tree: Tree) -> Iterator[StatedVariable]:
        """Yield the variables in this part of the manifest."""
        if isinstance(tree, list):
            for item in tree:
                yield from self.variables(item)
        if not isinstance(tree, dict):
            return
        entry_id = self._entry_id(tree["id"]) if "id" in tree else ""
        for key, value in tree.items():
            if key in _LABELS:
                for text in value if isinstance(value, list) else [value]:
                    self.missing |= dict.fromkeys((entry_id, name) for name in sorted(self._value(text).missing))
            if key in _KEYS and isinstance(value, dict):
                yield from self._named(entry_id, value)
            else:
                yield from self.variables(value)

    def _named(self, entry_id: str, variables: dict[str, Tree]) -> Iterator[StatedVariable]:
        for name, stated in variables.items():
            for text in stated if isinstance(stated, list) else [stated]:
                value = self._value(text)
                yield StatedVariable(entry_id, name, value.text, is_known=value.is_known, is_fact=value.is_fact)

    def _entry_id(self, text: Tree) -> str:
        value = self._value(text, is_id=True)
        return value.text.reveal() if value.text and value.is_known else UNKNOWN_ID

    def _value(self, text: Tree, *, is_id: bool = False) -> _Value:
        """Return the text with each `${...}` replaced, as far as that is possible."""
        if not isinstance(text, str):
            return _NO_VALUE
        if "$" not in text:
            return _Value(Secret(text), is_known=True)
        if (text, is_id) not in self._values:
            self._values[text, is_id] = self._interpolated(text, is_id=is_id)
        return self._values[text, is_id]

    def _interpolated(self, text: str, *, is_id: bool) -> _Value:
        missing = find_reference_names(text)
        # Many short texts can each name a long variable.
        if self._length > MAX_TEXT_CHARS:
            return _Value(None, missing=missing)
        document = Document("", {"variables": text})
        with suppress(LimitExceededError):
            written = self._interpolation.apply(document)
            # Also of a text that can't be known as a whole. Ids are shown.
            self.parts |= frozenset() if is_id else written.parts
            missing = written.missing
            match document.tree:
                case {"variables": str(value)} if not document.errors:
                    self._length += len(value)
                    return _Value(Secret(value), not missing, bool(written.facts), missing)
        return _Value(None, missing=missing)
