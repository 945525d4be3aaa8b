"""`${...}` in a manifest's values: the environment and the CI system's facts, never a credential.

${NAME}            the variable's value; an error if it is not set
${NAME:-default}   the default if it is not set or empty
${NAME:?why}       an error that says why if it is not set or empty
${ci.sha}          a fact of the build, the same word in every CI system
$$                 a dollar sign

A default may hold all of these again, such as ${NAME:-${OTHER:-text}}.

Names and groups of entries show `${NAME}` in place of the value, since reports and messages show them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.config.options import BUILD_FACT_OPTIONS, OPTIONS
from autonoma_ci.config.settings import closest_match
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.manifest.references import Reference, find_names, parse_references
from autonoma_ci.redaction.redactor import NO_SECRETS, Redactor
from autonoma_ci.yaml_subset.document import LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from autonoma_ci.manifest.references import Piece
    from autonoma_ci.models import BuildContext
    from autonoma_ci.yaml_subset.document import Document, KeyPath, Tree

# All that a manifest may depend on: another attempt at the same build must come to the same plan.
CI_FIELDS = {
    "sha": "sha",
    "branch": "branch",
    "change": "change_number",
    "repository": "repository",
    "build_url": "build_url",
    "deployment_url": "deployment_url",
}
_ONLY_FACTS = re.compile(r"(?:\$\{ci\.[^{}]*\})+")
_CREDENTIALS = tuple(name for option in OPTIONS if option.is_credential for name in option.all_env_names)
# Options: `variables` holds values, and each option has a name with one of these.
_OPTION_NAME = re.compile("AUTONOMA_|INPUT_", re.IGNORECASE)
# On Windows, a name in any case finds the variable.
_CASE = re.IGNORECASE if os.name == "nt" else re.NOFLAG
# Values of these keys go to the API and nowhere else.
_SENT = frozenset({"variables", "matrix"})
# Characters of a value that no other text has by accident.
_RECOGNIZABLE = 8
_ENTRIES = frozenset({"tests", "folders", "tags"})
# Far beyond any manifest; a hostile one could make gigabytes of a few lines.
MAX_VALUE_PARTS = 100_000
MAX_TEXT_CHARS = 16 * 1024 * 1024


class _Use(Enum):
    """What becomes of a text of the manifest."""

    SENT = "sent to the API, never shown"
    NAME = "shown as the name of an entry"
    GROUP = "compared with the option groups, and shown"
    SHOWN = "shown, such as an id"


# The use of a text below these keys of an entry.
_USES_IN_ENTRY = {"name": _Use.NAME, "groups": _Use.GROUP}


class InterpolatedDocument(NamedTuple):
    """What the interpolation of a document leaves to know.

    `texts` has each text with a `$` as the manifest states it, `groups` the value of each group with a `$`, by path.
    `parts` has each text of the environment that stands in a value, a name or a group. `facts` has the values that
    consist of facts of the build alone. `missing` has the environment variables of which no value of their own stands
    there, such as one that is not set.
    """

    texts: dict[KeyPath, str]
    groups: dict[KeyPath, str]
    parts: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Written({len(self.texts)} texts)"


class HiddenValues:
    """Values that no id may contain.

    A short value, such as `en` or `staging`, is also the id of something by chance or on purpose, so it does not count.
    """

    def __init__(self, values: Iterable[str]) -> None:
        # A closure, so that no list of this object's fields shows the values.
        self.stand_in: Callable[[str], bool] = Redactor(
            value for value in values if len(value) >= _RECOGNIZABLE
        ).contains_secret


NO_HIDDEN_VALUES = HiddenValues(())


@dataclass(frozen=True)
class Interpolator:
    """What `${...}` may read.

    Args:
        environ: The environment.
        context: The build.
        tokens: Names and shell patterns of names that hold credentials of a CI system.
        checking: A fact that only a CI system knows is not an error, as for the command `validate`.
        allowed: The option `allow-env`: names and shell patterns. None allows all names that do not look like secrets.
        credentials: The credentials of this step. No value may contain one.
        variables: The values of the option `variables`. Nothing that is shown may contain one.

    """

    environ: Mapping[str, str] = field(repr=False)
    context: BuildContext
    secret_variables: tuple[str, ...] = ()
    validate_only: bool = False
    allowed: tuple[str, ...] | None = None
    credentials: Redactor = NO_SECRETS
    variables: HiddenValues = NO_HIDDEN_VALUES
    # Why a name must not be read, by name and by whether its value would be shown.
    _refusals: dict[tuple[str, bool], str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def apply(self, document: Document) -> InterpolatedDocument:
        """Replace every `${...}` in the document's values.

        Raises TooMuchError, with a problem in the document, where a limit is passed.
        """
        filling = _Substitution(self, document)
        document.tree = filling.walk(document.tree, (), _Use.SHOWN)
        return filling.written()

    def is_set(self, name: str) -> bool:
        """Say whether a variable, or a fact such as `ci.sha`, has a text here that is not the manifest's default."""
        if name.startswith("ci."):
            return bool(getattr(self.context, CI_FIELDS.get(name.removeprefix("ci."), ""), ""))
        return bool(self.environ.get(name))

    def value(self, reference: Reference, *, shown: bool) -> tuple[str | None, str]:
        """Return the value, or None and why there is none. The reason is empty where the default counts."""
        name, mode = reference.name, reference.mode
        if name.startswith("ci."):
            value, why = self._ci_field(name.removeprefix("ci."))
        elif why := self._refusal(name, shown=shown):
            return None, why
        else:
            value = self.environ.get(name)
            why = f"{_reference(name)} is not set: set it, or write ${{{name}:-default}}"
        if mode == "-" and not value:
            return None, ""
        if mode and not value:
            return None, f"{_reference(name)}: {sanitize_line(reference.operator, 200) or 'it must be set'}"
        return value, why

    @cached_property
    def _secret_error(self) -> re.Pattern[str]:
        return re.compile("|".join(map(translate, (*_CREDENTIALS, *self.secret_variables))), re.IGNORECASE)

    @cached_property
    def _allowed_names(self) -> re.Pattern[str]:
        return re.compile("|".join(map(translate, self.allowed or ())) or "(?!)", _CASE)

    @cached_property
    def _allowed_secrets(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self.allowed or ())), _CASE)

    def _ci_field(self, name: str) -> tuple[str | None, str]:
        if name not in CI_FIELDS:
            near = closest_match(name, tuple(CI_FIELDS))
            hint = f"did you mean ${{ci.{near}}}?" if near else f"known are {', '.join(CI_FIELDS)}"
            return None, f"${{ci.{sanitize_line(name, 40)}}} is no fact of a build: {hint}"
        value = str(getattr(self.context, CI_FIELDS[name]))
        if value or self.validate_only:
            return value or "unknown", ""
        option = BUILD_FACT_OPTIONS.get(CI_FIELDS[name])
        how = f"give the option {option}" if option else "run it in a CI system"
        return None, f"${{ci.{name}}} is not known here: {how}, or write ${{ci.{name}:-default}}"

    def _refusal(self, name: str, *, shown: bool) -> str:
        # A text can name one variable thousands of times, and its value can be long.
        if (name, shown) not in self._refusals:
            self._refusals[name, shown] = self._why_refused(name, shown=shown)
        return self._refusals[name, shown]

    def _why_refused(self, name: str, *, shown: bool) -> str:
        # Loaded only where a manifest reads the environment: their patterns take milliseconds.
        from autonoma_ci.manifest.secret_names import is_secret_name
        from autonoma_ci.manifest.secret_values import detect_secret_kind

        reference, value = _reference(name), self.environ.get(name, "")
        if self._secret_error.match(name) or self.credentials.contains_secret(value):
            return f"{reference} holds a credential of this job: a manifest can't name it"
        if _OPTION_NAME.match(name):
            return f"{reference} is an option of this step: a manifest can't name it; use a variable of another name"
        if shown and self.variables.stand_in(value):
            why = "and ids are shown in logs: use a variable with another value"
            return f"{reference} holds a value of the option variables, {why}"
        cure = f"if the manifest may read it, add `allow-env: {name}` to the step"
        kind = detect_secret_kind(value)
        secret = f"holds {kind}" if kind else "looks like a secret" if is_secret_name(name) else ""
        if secret and shown:
            why = "and ids are shown in logs: use a variable of another name"
            return f"{reference} {secret}, {why}; with `allow-env: {name}`, variables may read it"
        if self.allowed is not None and self._allowed_secrets.fullmatch(name):
            return ""
        if secret:
            return f"{reference} {secret}: {cure}"
        if self.allowed is not None and not self._allowed_names.match(name):
            return f"{reference} is not in allow-env: {cure}"
        return ""


class _Substitution:
    """One document whose values are being filled in."""

    def __init__(self, interpolation: Interpolator, document: Document) -> None:
        self._interpolation, self._document = interpolation, document
        self._texts: dict[KeyPath, str] = {}
        self._groups: dict[KeyPath, str] = {}
        self._parts_of_values: set[str] = set()
        # Values that consist of facts of the build alone, and all others.
        self._facts: set[str] = set()
        self._others: set[str] = set()
        self._missing: set[str] = set()
        # What many aliases stand for is filled in once.
        self._filled: dict[tuple[str, _Use], tuple[str, str]] = {}
        self._parts = self._length = 0

    def written(self) -> InterpolatedDocument:
        """Return what is left to know."""
        # The same text can also be a value of its own.
        facts = frozenset(self._facts - self._others)
        return InterpolatedDocument(
            self._texts, self._groups, frozenset(self._parts_of_values), facts, frozenset(self._missing)
        )

    def walk(self, tree: Tree, path: KeyPath, use: _Use) -> Tree:
        """Return this part of the document, filled in. `use` is that of the part."""
        if isinstance(tree, str):
            if "$" in tree:
                return self._filled_text(tree, path, use)
            if use is _Use.SENT:
                self._others.add(tree)
            return tree
        if isinstance(tree, dict):
            return {key: self.walk(value, (*path, key), _use_below(path, key, use)) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.walk(value, (*path, i), use) for i, value in enumerate(tree)]
        return None

    def _filled_text(self, text: str, path: KeyPath, use: _Use) -> str:
        self._texts[path] = text
        if (text, use) not in self._filled:
            told = len(self._document.errors)
            filled = self._fill(text, path, use)
            if len(self._document.errors) > told:
                return filled[0]
            self._filled[text, use] = filled
            if use is _Use.SENT:
                (self._facts if self._is_of_facts(text) else self._others).add(filled[0])
        value, shown = self._filled[text, use]
        if use is _Use.GROUP:
            self._groups[path] = value
        return shown if use in {_Use.NAME, _Use.GROUP} else value

    def _is_of_facts(self, text: str) -> bool:
        if not _ONLY_FACTS.fullmatch(text):
            return False
        names = [piece.name for piece in parse_references(text) if isinstance(piece, Reference)]
        return all(map(self._interpolation.is_set, names))

    def _fill(self, text: str, path: KeyPath, use: _Use) -> tuple[str, str]:
        """Return the text with the values, and the text with what is shown of them."""
        return self._fill_pieces(parse_references(text), path, use)

    def _fill_pieces(self, pieces: Sequence[Piece], path: KeyPath, use: _Use) -> tuple[str, str]:
        # A dollar sign that stands alone was doubled.
        self._parts += sum(isinstance(piece, Reference) or piece == "$" for piece in pieces)
        self._check_limits(path)
        filled = [(piece, piece) if isinstance(piece, str) else self._part(piece, path, use) for piece in pieces]
        return "".join(value for value, _ in filled), "".join(shown for _, shown in filled)

    def _part(self, part: Reference, path: KeyPath, use: _Use) -> tuple[str, str]:
        if part.error:
            self._document.add_error(path, self._invalid(part, use))
            return "x", "x"  # an id that passes, so that one mistake is told once
        value, why = self._interpolation.value(part, shown=use is _Use.SHOWN)
        is_default = value is None and not why
        reference = "" if part.name.startswith("ci.") else _reference(part.name)
        if reference and (value is None or not self._interpolation.is_set(part.name)):
            # Another job can have it.
            self._missing.add(part.name)
        elif reference and value and use is not _Use.SHOWN:
            self._parts_of_values.add(value)
        if is_default:
            value, shown = self._fill_pieces(part.default, path, use)
        elif value is None:
            self._document.add_error(path, why)
            return "x", "x"
        else:
            shown = value
        self._length += len(value)
        self._check_limits(path)
        return value, reference or shown

    def _check_limits(self, path: KeyPath) -> None:
        if self._parts > MAX_VALUE_PARTS or self._length > MAX_TEXT_CHARS:
            self._document.add_error(path, "too much to fill in: use fewer ${...}, or shorter values")
            raise LimitExceededError

    def _invalid(self, part: Reference, use: _Use) -> str:
        # The rest can be a part of a value.
        begin = "${" if part.source.startswith("${") else "$"
        text = begin if use is _Use.SENT else sanitize_line(part.source, 60)
        return f"'{text}' {part.error}"


def _use_below(path: KeyPath, key: str, use: _Use) -> _Use:
    """Return the use of what stands below a key. `path` and `use` are those of the mapping that has the key."""
    if key in _SENT or use is _Use.SENT:
        return _Use.SENT
    is_entry = len(path) == 2 and path[0] in _ENTRIES
    return _USES_IN_ENTRY.get(key, use) if is_entry else use


def find_reference_names(text: str) -> frozenset[str]:
    """Return the names of the environment variables in a text's `${...}`."""
    return frozenset(name for name in find_names(parse_references(text)) if not name.startswith("ci."))


def _reference(name: str) -> str:
    """Return `${NAME}` as messages and reports show it."""
    return f"${{{name}}}"
