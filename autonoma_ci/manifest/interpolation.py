"""Replace `${NAME}` and `${ci.*}` in the values of a manifest.

    ${NAME}            the variable's value, or an error if it is not set
    ${NAME:-default}   the default if the variable is not set or empty
    ${NAME:?message}   an error with this message if the variable is not set or empty
    ${ci.sha}          a build fact, with the same name in every CI system
    $$                 a dollar sign

A default may contain all of these again, such as ${NAME:-${OTHER:-text}}. A credential is never inserted.

Names, groups and other shown texts of entries keep `${NAME}`, because reports must not show the value. Patterns and
dates are literal. Of the environments, only the selected one is interpolated, because a fact of another one can be
unknown in this job.
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
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.manifest.references import Reference, iter_reference_names, parse_references
from autonoma_ci.manifest.url_values import UrlPart, find_host_error, find_stated_url_error, find_url_error, is_web_url
from autonoma_ci.redaction.redactor import MIN_RECOGNIZABLE_LENGTH, NO_SECRETS, Redactor
from autonoma_ci.yaml_subset.document import LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from autonoma_ci.manifest.references import Piece
    from autonoma_ci.models import BuildContext
    from autonoma_ci.yaml_subset.document import Document, KeyPath, YamlValue

# The build facts, with their fields in `BuildContext`. Every attempt of a build must compute the same plan, so only
# facts that all attempts share are allowed.
CI_FIELDS = {
    "sha": "sha",
    "branch": "branch",
    "branch_slug": "branch_slug",
    "change": "change_number",
    "repository": "repository",
    "build_url": "build_url",
    "deployment_url": "deployment_url",
}
# The options that set facts, by the fields in `BuildContext`.
_FACT_OPTIONS = {**BUILD_FACT_OPTIONS, "branch_slug": BUILD_FACT_OPTIONS["branch"]}
_ONLY_FACTS_RE = re.compile(r"(?:\$\{ci\.[^{}]*\})+")
_CREDENTIAL_NAMES = tuple(name for option in OPTIONS if option.is_credential for name in option.all_env_names)
# The environment variables of options begin with one of these. The option `variables` contains values.
_OPTION_NAME_RE = re.compile("AUTONOMA_|INPUT_", re.IGNORECASE)
# On Windows, names of environment variables are case-insensitive.
_NAME_FLAGS = re.IGNORECASE if os.name == "nt" else re.NOFLAG
# Values of these keys are sent to the API only.
_API_ONLY_KEYS = frozenset({"variables", "matrix"})
# Replaces a reference with an error. It is a valid id, so that one mistake is reported once.
_PLACEHOLDER_ID = "x"
_ENTRY_LISTS = frozenset({"tests", "folders", "tags"})
# The mappings whose keys are names.
_NAMES_AT_TOP = (("groups",), ("environments",))
# Far beyond any real manifest. Without limits, a few hostile lines could expand to gigabytes.
MAX_VALUE_PARTS = 100_000
MAX_TEXT_CHARS = 16 * 1024 * 1024


class _TextUse(Enum):
    """How autonoma-ci uses a text of the manifest."""

    SENT = "sent to the API, never shown"
    NAME = "shown as a text about an entry, such as its name"
    GROUP = "compared with the option groups, and shown"
    SHOWN = "shown, such as an id"
    PATTERN = "compared with paths, without interpolation"
    DATE = "a date, without interpolation"
    URL = "requested before the first run, with build facts only"


# The use of texts below these keys of an entry.
_USES_IN_ENTRY = {
    "name": _TextUse.NAME,
    "groups": _TextUse.GROUP,
    "owner": _TextUse.NAME,
    "when": _TextUse.PATTERN,
    "quarantine": _TextUse.NAME,
}


_LITERAL_USES = frozenset({_TextUse.PATTERN, _TextUse.DATE})
# Uses whose texts can be a URL.
_VALUE_USES = frozenset({_TextUse.SENT, _TextUse.URL})


class InterpolatedDocument(NamedTuple):
    """The sources and original texts of an interpolated document."""

    texts: dict[KeyPath, str]  # each text with a `$` as the manifest states it, by path
    groups: dict[KeyPath, str]  # the value of each group with a `$`, by path
    # Each environment value that is inserted into a value, a name or a group.
    environment_texts: frozenset[str] = frozenset()
    # The values that consist of build facts alone.
    fact_values: frozenset[str] = frozenset()
    # The environment variables without an inserted value, such as unset ones.
    unresolved_names: frozenset[str] = frozenset()
    # The inserted build facts, as fields of `BuildContext` and their values.
    build_facts: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"InterpolatedDocument({len(self.texts)} texts)"


class HiddenValues:
    """Values that an id must not contain.

    Short values, such as `en` or `staging`, are ignored, because an id can contain them by chance.
    """

    def __init__(self, values: Iterable[str]) -> None:
        # A closure keeps the values out of repr and debug output.
        self.occur_in: Callable[[str], bool] = Redactor(
            value for value in values if len(value) >= MIN_RECOGNIZABLE_LENGTH
        ).contains_secret


NO_HIDDEN_VALUES = HiddenValues(())


@dataclass(frozen=True)
class Interpolator:
    """Replaces `${...}` and decides which variables a manifest may read."""

    # The environment.
    environ: Mapping[str, str] = field(repr=False)
    # The build, for `${ci.*}`.
    context: BuildContext
    # Names and shell patterns of names that contain credentials of a CI system.
    secret_variables: tuple[str, ...] = ()
    # An unknown build fact is not an error, as for the command `validate`.
    validate_only: bool = False
    # The option `allow-env` with names and shell patterns. None allows all names that do not look like secrets.
    allowed: tuple[str, ...] | None = None
    # The credentials of this job step. A value must not contain one.
    credentials: Redactor = NO_SECRETS
    # The values of the option `variables`. A shown text must not contain one.
    variables: HiddenValues = NO_HIDDEN_VALUES
    # The option `environment`. Empty selects the environment with `default: true`.
    environment: str = ""
    # The reason why a name must not be read, or None, by name and by whether its value would be shown.
    _refusals: dict[tuple[str, bool], str | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def apply(self, document: Document) -> InterpolatedDocument:
        """Replace every `${...}` in the document's values.

        Args:
            document: The parsed manifest. Its tree is replaced, and errors are added to it.

        Raises:
            LimitExceededError: The document has too many references or too much text. It contains the error.
        """
        substitution = _Substitution(self, document)
        document.tree = substitution.walk(document.tree, (), _TextUse.SHOWN)
        return substitution.build_result()

    def is_set(self, name: str) -> bool:
        """Return whether an environment variable or a build fact has a value.

        A default of the manifest does not count. The name of a fact begins with `ci.`, such as `ci.sha`.
        """
        if name.startswith("ci."):
            return bool(self._get_fact(name.removeprefix("ci.")))
        return bool(self.environ.get(name))

    def resolve(self, reference: Reference, *, shown: bool) -> tuple[str | None, str | None]:
        """Return the value of a reference, or why it has none.

        Args:
            reference: A valid reference.
            shown: Whether logs and reports show the value.

        Returns:
            The value, and the reason why it is missing. Both are None if the default applies.
        """
        name, operator = reference.name, reference.operator
        if name.startswith("ci."):
            value, reason = self._resolve_ci_field(name.removeprefix("ci."))
        elif (refusal := self._get_refusal(name, shown=shown)) is not None:
            return None, refusal
        else:
            value, reason = self.environ.get(name), None
            if value is None:
                reason = f"{_format_reference(name)} is not set. Set it, or write ${{{name}:-default}}."
        if operator == "-" and not value:
            return None, None
        if operator and not value:
            return None, f"{_format_reference(name)}: {sanitize_line(reference.operand, 200) or 'must be set'}"
        return value, reason

    @cached_property
    def _forbidden_names_re(self) -> re.Pattern[str]:
        return re.compile("|".join(map(translate, (*_CREDENTIAL_NAMES, *self.secret_variables))), re.IGNORECASE)

    @cached_property
    def _allowed_patterns_re(self) -> re.Pattern[str]:
        return re.compile("|".join(map(translate, self.allowed or ())) or "(?!)", _NAME_FLAGS)

    @cached_property
    def _allowed_exact_names_re(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self.allowed or ())), _NAME_FLAGS)

    def _resolve_ci_field(self, name: str) -> tuple[str | None, str | None]:
        if name not in CI_FIELDS:
            from autonoma_ci.config.suggestions import find_closest_match

            suggestion = find_closest_match(name, tuple(CI_FIELDS))
            hint = f"Did you mean '${{ci.{suggestion}}}'?" if suggestion else f"Use one of: {', '.join(CI_FIELDS)}."
            return None, f"unknown build fact: '${{ci.{sanitize_line(name, 40)}}}'. {hint}"
        value = self._get_fact(name)
        if value or self.validate_only:
            return value or "unknown", None
        option = _FACT_OPTIONS.get(CI_FIELDS[name])
        advice = f"Set the option {option}" if option else "Run in a CI system"
        return None, f"${{ci.{name}}} is unknown in this job. {advice}, or write ${{ci.{name}:-default}}."

    def _get_fact(self, name: str) -> str:
        """Return a build fact, or an empty text if it is unknown."""
        if name == "branch_slug":
            return self.context.branch_slug
        return str(getattr(self.context, CI_FIELDS.get(name, ""), ""))

    def _get_refusal(self, name: str, *, shown: bool) -> str | None:
        # Cached, because a manifest can name one variable thousands of times, and its value can be long.
        if (name, shown) not in self._refusals:
            self._refusals[name, shown] = self._find_refusal(name, shown=shown)
        return self._refusals[name, shown]

    def _find_refusal(self, name: str, *, shown: bool) -> str | None:
        # Imported late, because compiling their patterns takes milliseconds. Many manifests read no environment.
        from autonoma_ci.manifest.secrets import detect_secret_kind, is_secret_name

        reference, value = _format_reference(name), self.environ.get(name, "")
        if self._forbidden_names_re.match(name) or self.credentials.contains_secret(value):
            return f"{reference} contains a credential of this job. Use another variable."
        if _OPTION_NAME_RE.match(name):
            return f"{reference} is an option of this step. Use another variable."
        if shown and self.variables.occur_in(value):
            return (
                f"{reference} contains a value of the option variables, but ids are shown in logs. Use another value."
            )
        remedy = f"To allow it, add `allow-env: {name}` to the step."
        kind = detect_secret_kind(value)
        finding = f"contains {kind}" if kind is not None else "looks like a secret" if is_secret_name(name) else None
        if finding is not None and shown:
            suggestion = f"Use another variable. `allow-env: {name}` allows it in variables only."
            return f"{reference} {finding}, but ids are shown in logs. {suggestion}"
        if self.allowed is not None and self._allowed_exact_names_re.fullmatch(name):
            return None
        if finding is not None:
            return f"{reference} {finding}. {remedy}"
        if self.allowed is not None and not self._allowed_patterns_re.match(name):
            return f"{reference} is not in allow-env. {remedy}"
        return None


class _Substitution:
    """Replaces the references of one document."""

    def __init__(self, interpolator: Interpolator, document: Document) -> None:
        self._interpolator, self._document = interpolator, document
        self._texts: dict[KeyPath, str] = {}
        self._groups: dict[KeyPath, str] = {}
        self._environment_texts: set[str] = set()
        # Values that consist of build facts alone, and all other values.
        self._fact_values: set[str] = set()
        self._other_values: set[str] = set()
        self._unresolved_names: set[str] = set()
        # The fields of `BuildContext` whose values are inserted.
        self._build_fields: set[str] = set()
        # Cached, because many aliases can share one text.
        self._substituted: dict[tuple[str, _TextUse], tuple[str, str]] = {}
        self._part_count = self._char_count = 0
        self._selected_environment = find_selected_environment(document.tree, interpolator.environment)

    def build_result(self) -> InterpolatedDocument:
        """Return the sources and original texts of the document."""
        # A text that also occurs as another value is not a fact.
        fact_values = frozenset(self._fact_values - self._other_values)
        return InterpolatedDocument(
            self._texts,
            self._groups,
            frozenset(self._environment_texts),
            fact_values,
            frozenset(self._unresolved_names),
            tuple((name, str(getattr(self._interpolator.context, name))) for name in sorted(self._build_fields)),
        )

    def walk(self, tree: YamlValue, path: KeyPath, use: _TextUse) -> YamlValue:
        """Return a part of the document with its references replaced.

        Args:
            tree: The part of the document.
            path: Its path.
            use: Its use.

        Raises:
            LimitExceededError: The document has too many references or too much text.
        """
        if isinstance(tree, str):
            if use in _LITERAL_USES:
                return self._check_literal(tree, path, use)
            if use is _TextUse.URL:
                return self._substitute_url(tree, path)
            if "$" in tree:
                return self._substitute_text(tree, path, use)
            if use is _TextUse.SENT:
                self._other_values.add(tree)
            return tree
        if isinstance(tree, dict):
            return {key: self._walk_value(value, path, key, use) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.walk(value, (*path, i), use) for i, value in enumerate(tree)]
        return None

    def _walk_value(self, value: YamlValue, path: KeyPath, key: str, use: _TextUse) -> YamlValue:
        if path == ("environments",) and not self._interpolator.validate_only and key != self._selected_environment:
            self._check_references(value, (*path, key))
            return value
        return self.walk(value, (*path, key), _get_use_below(path, key, use))

    def _check_references(self, tree: YamlValue, path: KeyPath) -> None:
        """Add an error for each invalid reference in an environment that is not selected."""
        if isinstance(tree, dict):
            for key, value in tree.items():
                self._check_references(value, (*path, key))
        elif isinstance(tree, str) and not (path[2:] == ("wait_for_url",) and self._add_url_error(tree, path)):
            for reference in parse_references(tree) if "$" in tree else ():
                if isinstance(reference, Reference) and reference.error is not None:
                    self._document.add_error(path, self._format_reference_error(reference, _TextUse.SENT))

    def _check_literal(self, text: str, path: KeyPath, use: _TextUse) -> str:
        """Return a text without interpolation."""
        if use is _TextUse.PATTERN and "${" in text:
            quoted = f"'{sanitize_line(text, 60)}'"
            self._document.add_error(path, f"${{…}} is not replaced in patterns: {quoted}. Write the path itself.")
            return _PLACEHOLDER_ID
        return text

    def _add_url_error(self, text: str, path: KeyPath) -> bool:
        """Add the error of a `wait_for_url` before interpolation.

        Returns:
            Whether it has one. Invalid references are not checked here.
        """
        pieces = parse_references(text)
        names = sorted({name for name in iter_reference_names(pieces) if not name.startswith("ci.")})
        if names:
            reference = _format_reference(names[0])
            reason: str | None = f"{reference} is not allowed in 'wait_for_url'. Use facts such as ${{ci.change}}."
        elif any(isinstance(piece, Reference) and piece.error is not None for piece in pieces):
            return False
        else:
            reason = find_stated_url_error(pieces)
        if reason is not None:
            self._document.add_error(path, reason)
        return reason is not None

    def _substitute_url(self, text: str, path: KeyPath) -> str:
        """Return a `wait_for_url` with its facts."""
        if self._add_url_error(text, path):
            return ""
        if "$" not in text:
            return text
        previous_error_count = len(self._document.errors)
        url = self._substitute_text(text, path, _TextUse.URL)
        if len(self._document.errors) > previous_error_count:
            return ""
        # In the command `validate`, a fact can be unknown.
        if not self._interpolator.validate_only and (reason := find_url_error(url)) is not None:
            self._document.add_error(path, reason)
            return ""
        return url

    def _substitute_text(self, text: str, path: KeyPath, use: _TextUse) -> str:
        self._texts[path] = text
        if (text, use) not in self._substituted:
            previous_error_count = len(self._document.errors)
            pieces = parse_references(text)
            result = self._substitute_pieces(pieces, path, use)
            if use in _VALUE_USES and len(self._document.errors) == previous_error_count:
                self._check_host(pieces, result[0], path)
            if len(self._document.errors) > previous_error_count:
                return result[0]
            self._substituted[text, use] = result
            if use is _TextUse.SENT:
                (self._fact_values if self._has_only_facts(text) else self._other_values).add(result[0])
        value, shown = self._substituted[text, use]
        if use is _TextUse.GROUP:
            self._groups[path] = value
        return shown if use in {_TextUse.NAME, _TextUse.GROUP} else value

    def _has_only_facts(self, text: str) -> bool:
        if not _ONLY_FACTS_RE.fullmatch(text):
            return False
        names = [piece.name for piece in parse_references(text) if isinstance(piece, Reference)]
        return all(map(self._interpolator.is_set, names))

    def _check_host(self, pieces: Sequence[Piece], value: str, path: KeyPath) -> None:
        """Add an error if a build fact changes the host of a URL outside of its own label."""
        if is_web_url(value) and (reason := find_host_error(list(self._iter_parts(pieces)))) is not None:
            self._document.add_error(path, reason)

    def _iter_parts(self, pieces: Sequence[Piece]) -> Iterator[UrlPart]:
        """Yield the parts of a text that had no errors."""
        for piece in pieces:
            if isinstance(piece, str):
                yield UrlPart(piece)
                continue
            value, _ = self._interpolator.resolve(piece, shown=False)
            if value is None:
                yield from self._iter_parts(piece.default)
            else:
                yield UrlPart(value, piece.name if piece.name.startswith("ci.") else "")

    def _substitute_pieces(self, pieces: Sequence[Piece], path: KeyPath, use: _TextUse) -> tuple[str, str]:
        # A piece `$` comes from `$$`.
        self._part_count += sum(isinstance(piece, Reference) or piece == "$" for piece in pieces)
        self._check_limits(path)
        results = [
            (piece, piece) if isinstance(piece, str) else self._substitute_reference(piece, path, use)
            for piece in pieces
        ]
        return "".join(value for value, _ in results), "".join(shown for _, shown in results)

    def _substitute_reference(self, reference: Reference, path: KeyPath, use: _TextUse) -> tuple[str, str]:
        if reference.error is not None:
            self._document.add_error(path, self._format_reference_error(reference, use))
            return _PLACEHOLDER_ID, _PLACEHOLDER_ID
        value, reason = self._interpolator.resolve(reference, shown=use is _TextUse.SHOWN)
        label = "" if reference.name.startswith("ci.") else _format_reference(reference.name)
        if label and (value is None or not self._interpolator.is_set(reference.name)):
            # The variable can be set in another job.
            self._unresolved_names.add(reference.name)
        elif label and value and use is not _TextUse.SHOWN:
            self._environment_texts.add(value)
        elif not label and value:
            # The slug comes from the branch.
            name = reference.name.removeprefix("ci.")
            self._build_fields.add("branch" if name == "branch_slug" else CI_FIELDS[name])
        if reason is not None:
            self._document.add_error(path, reason)
            return _PLACEHOLDER_ID, _PLACEHOLDER_ID
        if value is None:
            value, shown = self._substitute_pieces(reference.default, path, use)
        else:
            shown = value
        self._char_count += len(value)
        self._check_limits(path)
        return value, label or shown

    def _check_limits(self, path: KeyPath) -> None:
        if self._part_count > MAX_VALUE_PARTS or self._char_count > MAX_TEXT_CHARS:
            self._document.add_error(path, "too many ${...} or too long values. Use fewer ${...} or shorter values.")
            raise LimitExceededError

    def _format_reference_error(self, reference: Reference, use: _TextUse) -> str:
        # The text after `${` can be a part of a hidden value.
        shown_begin = "${" if reference.source.startswith("${") else "$"
        text = shown_begin if use is _TextUse.SENT else sanitize_line(reference.source, 60)
        return f"'{text}' {reference.error}"


def _get_use_below(path: KeyPath, key: str, use: _TextUse) -> _TextUse:
    """Return the use of the texts below a key.

    Args:
        path: The path of the mapping that has the key.
        key: The key.
        use: The use of the mapping.
    """
    if path in _NAMES_AT_TOP:
        # The key is the name of a group or of an environment.
        return use
    if key in _API_ONLY_KEYS or use is _TextUse.SENT:
        return _TextUse.SENT
    if not path:
        return _TextUse.PATTERN if key == "always" else use
    if path[0] == "environments" and len(path) == 2:
        return _TextUse.URL if key == "wait_for_url" else use
    if path[0] not in _ENTRY_LISTS:
        return use
    if len(path) == 3 and path[2] == "quarantine" and key == "until":
        return _TextUse.DATE
    return _USES_IN_ENTRY.get(key, use) if len(path) == 2 else use


def find_selected_environment(tree: YamlValue, name: str) -> str:
    """Return the name of the environment that applies, or an empty text.

    Args:
        tree: The tree of the manifest. It can be invalid.
        name: The option `environment`, or an empty text.
    """
    if name or not isinstance(tree, dict) or not isinstance(environments := tree.get("environments"), dict):
        return name
    defaults = (
        key
        for key, settings in environments.items()
        if isinstance(settings, dict) and settings.get("default") == "true"
    )
    return next(defaults, "")


def find_reference_names(text: str) -> frozenset[str]:
    """Return the names of the environment variables in a text's `${...}`."""
    return frozenset(name for name in iter_reference_names(parse_references(text)) if not name.startswith("ci."))


def _format_reference(name: str) -> str:
    """Return `${NAME}` as messages and reports show it."""
    return f"${{{name}}}"
