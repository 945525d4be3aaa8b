"""Collect the variables of a manifest with their values in this job."""

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
    from autonoma_ci.yaml_subset.document import YamlValue

# The keys whose mappings contain variables.
_VARIABLE_KEYS = ("variables", "matrix")
# The keys whose texts reports show with `${NAME}` in place of values.
_LABEL_KEYS = ("name", "groups", "owner", "reason", "issue")
# The keys at the top of the manifest whose keys are names. A name can equal another key, such as `variables`.
_NAMES_AT_TOP = ("groups", "environments")


class StatedVariable(NamedTuple):
    """One variable of an entry, or one value of its matrix."""

    entry_id: str  # empty for a variable of all tests
    name: str
    value: Secret | None  # None if this job can't compute it
    # False if `${NAME}` is not set in this job, because the job step that started the runs may have a value for it.
    is_known: bool
    is_fact: bool  # the value consists of build facts alone


class StatedVariables(NamedTuple):
    """The variables of a manifest and the environment values in it."""

    variables: tuple[StatedVariable, ...] = ()
    environment_texts: tuple[Secret, ...] = ()  # the environment values in variables, names and groups
    # The entry id and name of each environment variable in a name or a group that has no value in this job.
    unresolved_names: tuple[tuple[str, str], ...] = ()


def collect_stated_variables(path: str, directory: str, interpolator: Interpolator) -> StatedVariables:
    """Collect the variables of a manifest.

    This job may lack an environment variable that `${...}` needs, so each value is interpolated separately.

    Args:
        path: The path of the manifest.
        directory: The directory that the path is relative to.
        interpolator: Replaces `${...}`.

    Returns:
        The variables, or none if the manifest can't be read.
    """
    with suppress(InputError):
        document = parse_yaml(read_manifest_text(path, directory, path), path)
        reader = _VariableReader(interpolator)
        variables = tuple(reader.find_all(document.tree))
        return StatedVariables(
            variables, tuple(map(Secret, sorted(reader.environment_texts))), tuple(reader.unresolved_names)
        )
    return StatedVariables()


class _InterpolatedText(NamedTuple):
    """A text of the manifest with its references replaced."""

    text: Secret | None
    is_known: bool = False
    is_fact: bool = False
    unresolved_names: frozenset[str] = frozenset()


_NO_VALUE = _InterpolatedText(None)


class _VariableReader:
    """Reads the variables of one manifest.

    The manifest can be invalid, so its tree may have any shape.
    """

    def __init__(self, interpolator: Interpolator) -> None:
        self.environment_texts: set[str] = set()
        # An ordered set, in the order of the manifest.
        self.unresolved_names: dict[tuple[str, str], None] = {}
        self._interpolator = interpolator
        # Cached, because many aliases can share one text.
        self._cache: dict[tuple[str, bool], _InterpolatedText] = {}
        self._char_count = 0

    def find_all(self, tree: YamlValue) -> Iterator[StatedVariable]:
        """Yield all variables of the manifest, with those of each environment."""
        if not isinstance(tree, dict):
            yield from self.find_variables(tree)
            return
        yield from self.find_variables({key: value for key, value in tree.items() if key not in _NAMES_AT_TOP})
        for kind in _NAMES_AT_TOP:
            settings = tree.get(kind)
            for value in settings.values() if isinstance(settings, dict) else ():
                yield from self.find_variables(value)

    def find_variables(self, tree: YamlValue, entry_id: str = "") -> Iterator[StatedVariable]:
        """Yield the variables in this part of the manifest.

        Args:
            tree: The part of the manifest.
            entry_id: The id of the entry around it, or an empty text.
        """
        if isinstance(tree, list):
            for item in tree:
                yield from self.find_variables(item, entry_id)
        if not isinstance(tree, dict):
            return
        entry_id = self._read_entry_id(tree["id"]) if "id" in tree else entry_id
        for key, value in tree.items():
            if key in _LABEL_KEYS:
                for text in value if isinstance(value, list) else [value]:
                    self.unresolved_names |= dict.fromkeys(
                        (entry_id, name) for name in sorted(self._interpolate_cached(text).unresolved_names)
                    )
            if key in _VARIABLE_KEYS and isinstance(value, dict):
                yield from self._read_mapping(entry_id, value)
            else:
                yield from self.find_variables(value, entry_id)

    def _read_mapping(self, entry_id: str, variables: dict[str, YamlValue]) -> Iterator[StatedVariable]:
        for name, stated in variables.items():
            for text in stated if isinstance(stated, list) else [stated]:
                value = self._interpolate_cached(text)
                yield StatedVariable(entry_id, name, value.text, is_known=value.is_known, is_fact=value.is_fact)

    def _read_entry_id(self, text: YamlValue) -> str:
        value = self._interpolate_cached(text, is_id=True)
        return value.text.reveal() if value.text and value.is_known else UNKNOWN_ID

    def _interpolate_cached(self, text: YamlValue, *, is_id: bool = False) -> _InterpolatedText:
        """Return the text with each `${...}` replaced if possible."""
        if not isinstance(text, str):
            return _NO_VALUE
        if "$" not in text:
            return _InterpolatedText(Secret(text), is_known=True)
        if (text, is_id) not in self._cache:
            self._cache[text, is_id] = self._interpolate(text, is_id=is_id)
        return self._cache[text, is_id]

    def _interpolate(self, text: str, *, is_id: bool) -> _InterpolatedText:
        unresolved_names = find_reference_names(text)
        # Many short texts can each name a long variable.
        if self._char_count > MAX_TEXT_CHARS:
            return _InterpolatedText(None, unresolved_names=unresolved_names)
        document = Document("", {"variables": text})
        with suppress(LimitExceededError):
            interpolated = self._interpolator.apply(document)
            # Also for a text without a known value. Ids are shown, so their environment values are not secret.
            self.environment_texts |= frozenset() if is_id else interpolated.environment_texts
            unresolved_names = interpolated.unresolved_names
            match document.tree:
                case {"variables": str(value)} if not document.errors:
                    self._char_count += len(value)
                    return _InterpolatedText(
                        Secret(value), not unresolved_names, bool(interpolated.fact_values), unresolved_names
                    )
        return _InterpolatedText(None, unresolved_names=unresolved_names)
