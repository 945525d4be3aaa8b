"""`${...}` in a manifest's values: the environment and the CI system's facts, never a credential.

${NAME}            the variable's value; an error if it is not set
${NAME:-default}   the default if it is not set or empty
${NAME:?why}       an error that says why if it is not set or empty
${ci.sha}          a fact of the build, the same word in every CI system
$$                 a dollar sign
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING

from autonoma_ci.manifest.document import TooMuchError
from autonoma_ci.options import OPTIONS
from autonoma_ci.settings import closest
from autonoma_ci.text import one_line
from autonoma_ci.values import credential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.context import Context
    from autonoma_ci.manifest.document import Document, Path, Tree

# All that a manifest may depend on: another attempt at the same build must come to the same plan.
FACTS = ("sha", "branch", "change", "repository", "build_url", "deployment_url")
# `$` at the end or before anything else is a mistake as often as it is meant: it must be doubled.
_PART = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<body>[^{}]*)\}|(?P<bare>))")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*|ci\.[a-z_]+)(?::(?P<mode>[-?])(?P<word>.*))?", re.DOTALL)
_OURS = tuple(name for o in OPTIONS if o.parse is credential for name in (*o.inputs, o.variable))
_SECRETIVE = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_?KEY|API_?KEY|CREDENTIAL", re.IGNORECASE)
# Values of these keys go to the API and nowhere else; all others are shown in logs and summaries.
_UNSHOWN = frozenset({"variables", "matrix"})
# Far beyond any manifest; a hostile one could make gigabytes of a few lines.
PARTS_LIMIT = 100_000
LENGTH_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Interpolation:
    """What `${...}` may name: `tokens` are names and shell patterns of names that hold credentials.

    With `checking` (the validate command), a fact that only a CI system knows is not an error.
    """

    environ: Mapping[str, str] = field(repr=False)
    context: Context
    tokens: tuple[str, ...] = ()
    checking: bool = False

    def apply(self, document: Document) -> dict[Path, str]:
        """Replace every `${...}` in the document's values; return the text as written of each that had one.

        Raises TooMuchError, with a problem in the document, where a limit is passed.
        """
        filling = _Filling(self, document)
        document.tree = filling.walk(document.tree, ())
        return filling.written

    def value(self, body: re.Match[str], *, shown: bool) -> tuple[str | None, str]:
        """Return the value, or None and why there is none."""
        name, mode, word = body["name"], body["mode"], body["word"] or ""
        if name.startswith("ci."):
            value, why = self._fact(name.removeprefix("ci."))
        elif why := self._forbidden(name, shown=shown):
            return None, why
        else:
            value = self.environ.get(name)
            why = f"${{{name}}} is not set: set it, or write ${{{name}:-default}}"
        if mode and not value:
            return (word, "") if mode == "-" else (None, f"${{{name}}}: {one_line(word, 200) or 'it must be set'}")
        return value, why

    @cached_property
    def _credentials(self) -> re.Pattern[str]:
        # On Windows, a name in any case finds the variable.
        return re.compile("|".join(map(translate, (*_OURS, *self.tokens))), re.IGNORECASE)

    def _fact(self, name: str) -> tuple[str | None, str]:
        if name not in FACTS:
            near = closest(name, FACTS)
            hint = f"did you mean ${{ci.{near}}}?" if near else f"known are {', '.join(FACTS)}"
            return None, f"${{ci.{one_line(name, 40)}}} is no fact of a build: {hint}"
        value = str(getattr(self.context, name))
        if value or self.checking:
            return value or "unknown", ""
        return None, f"${{ci.{name}}} is not known here: run it in a CI system, or write ${{ci.{name}:-default}}"

    def _forbidden(self, name: str, *, shown: bool) -> str:
        if self._credentials.match(name):
            return f"${{{name}}} holds a credential of this job: a manifest can't name it"
        if shown and _SECRETIVE.search(name):
            return f"${{{name}}} looks like a secret and would be shown in logs here: use it in variables only"
        return ""


class _Filling:
    """One document whose values are being filled in; `written` has the text of each as it was."""

    def __init__(self, interpolation: Interpolation, document: Document) -> None:
        self.written: dict[Path, str] = {}
        self._interpolation, self._document = interpolation, document
        # What many aliases stand for is filled in once.
        self._filled: dict[tuple[str, bool], str] = {}
        self._parts = self._length = 0

    def walk(self, tree: Tree, path: Path) -> Tree:
        """Return this part of the document, filled in."""
        if isinstance(tree, dict):
            return {key: self.walk(value, (*path, key)) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.walk(value, (*path, i)) for i, value in enumerate(tree)]
        if tree is None or "$" not in tree:
            return tree
        self.written[path] = tree
        key = tree, _UNSHOWN.isdisjoint(path)
        if key not in self._filled:
            told = len(self._document.problems)
            text = _PART.sub(lambda match: self._part(match, path, shown=key[1]), tree)
            if len(self._document.problems) > told:
                return text
            self._filled[key] = text
        return self._filled[key]

    def _part(self, match: re.Match[str], path: Path, *, shown: bool) -> str:
        value: str | None = "$"
        why = ""
        if not match["dollar"]:
            body = _BODY.fullmatch(match["body"] or "")
            value, why = self._interpolation.value(body, shown=shown) if body else (None, "")
        if value is None:
            text = one_line(match[0], 60) if shown else match[0][:2]
            self._document.problem(path, why or f"'{text}' is not ${{NAME}}: write $$ for a dollar sign")
            return "x"  # an id that passes, so that one mistake is told once
        self._parts += 1
        self._length += len(value)
        if self._parts > PARTS_LIMIT or self._length > LENGTH_LIMIT:
            self._document.problem(path, "too much to fill in: use fewer ${...}, or shorter values")
            raise TooMuchError
        return value
