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
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from autonoma_ci.model import Context
from autonoma_ci.options import OPTIONS
from autonoma_ci.settings import closest
from autonoma_ci.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.manifest.document import Document, Path, Tree

FACTS = tuple(name for name in Context._fields if name != "ci")
# `$` at the end or before anything else is a mistake as often as it is meant: it must be doubled.
_PART = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<body>[^{}]*)\}|(?P<bare>))")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*|ci\.[a-z_]+)(?::(?P<mode>[-?])(?P<word>.*))?", re.DOTALL)
_OURS = tuple(name for o in OPTIONS if o.name.startswith("client-") for name in (*o.inputs, o.variable))
_SECRETIVE = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_?KEY|API_?KEY|CREDENTIAL", re.IGNORECASE)
# Values of these keys go to the API and nowhere else; all others are shown in logs and summaries.
_UNSHOWN = frozenset({"variables", "matrix"})


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
        """Replace every `${...}` in the document's values; return the text as written of each that had one."""
        written: dict[Path, str] = {}
        document.tree = self._walk(document, document.tree, (), written)
        return written

    def _walk(self, document: Document, tree: Tree, path: Path, written: dict[Path, str]) -> Tree:
        if isinstance(tree, dict):
            return {key: self._walk(document, value, (*path, key), written) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self._walk(document, value, (*path, i), written) for i, value in enumerate(tree)]
        if tree is None or "$" not in tree:
            return tree
        written[path] = tree
        return self._text(document, tree, path)

    def _text(self, document: Document, text: str, path: Path) -> str:
        def part(match: re.Match[str]) -> str:
            if match["dollar"]:
                return "$"
            body = _BODY.fullmatch(match["body"] or "")
            value, why = self._value(body, shown=_UNSHOWN.isdisjoint(path)) if body else (None, "")
            if value is None:
                shown = one_line(match[0], 60) if _UNSHOWN.isdisjoint(path) else match[0][:2]
                document.problem(path, why or f"'{shown}' is not ${{NAME}}: write $$ for a dollar sign")
                return "x"  # an id that passes, so that one mistake is told once
            return value

        return _PART.sub(part, text)

    def _value(self, body: re.Match[str], *, shown: bool) -> tuple[str | None, str]:
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
        if any(fnmatchcase(name, pattern) for pattern in (*_OURS, *self.tokens)):
            return f"${{{name}}} holds a credential of this job: a manifest can't name it"
        if shown and _SECRETIVE.search(name):
            return f"${{{name}}} looks like a secret and would be shown in logs here: use it in variables only"
        return ""
