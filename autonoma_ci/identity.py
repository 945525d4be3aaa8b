"""Tell runs apart, and the parts of a build that run in jobs of their own.

Both identities are defined here once. Carrying a pass, comments, reports of a commit and data of a build stand on
them: what belongs to one identity never counts for, or replaces, what belongs to another.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from autonoma_ci.lazy_regex import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Of a heading: what a matrix says of itself may be long, and the titles of reports are not.
_SHOWN_LIMIT = 80
# Of a digest in a heading. Two of 256 parts have the same heading in one of 130,000 builds (256² / 2 / 16⁸).
_HEADING_DIGITS = 8
# What is left of a part with secret values: see `redact_part`.
_REDACTED = lazy_pattern(r"(.*) #[0-9a-f]{16}", re.DOTALL)


class RunKey(NamedTuple):
    """Which run of a plan this is; the same in every attempt, and in every build with the same plan.

    `place` is the combination of a matrix by the positions of its values, such as `LOCALE=2,OS=1`; values are
    not in it, since they may be secret. `occurrence` counts entries that have all other fields in common, from 1.
    `environment` is the name of the environment that the plan was made for, empty without one.
    """

    kind: str
    id: str
    matrix_place: str = ""
    occurrence: int = 1
    environment: str = ""

    def __str__(self) -> str:
        fields = (self.kind, self.id, self.matrix_place, str(self.occurrence), self.environment)
        return "/".join(quote(field, safe="=,", errors="surrogatepass") for field in fields)


def parse_run_key(text: str) -> RunKey:
    """Return the key that `str` made the text of; raise ValueError for any other text."""
    fields = (unquote(field, errors="surrogatepass") for field in text.split("/"))
    kind, run_id, place, occurrence, environment = fields
    key = RunKey(kind, run_id, place, int(occurrence), environment)
    if str(key) != text:
        raise ValueError("not a run key")
    return key


class Part(NamedTuple):
    """Which part of a build this step is.

    `job` is the job's name, `part` tells parallel jobs with the same name apart, `shard` is the share of the plan
    such as `2/5`, `title` is the summary's title.
    """

    job_name: str = ""
    part: str = ""
    shard: str = ""
    title: str = ""

    @property
    def display_name(self) -> str:
        """What a heading says of the part; empty for a step that is the whole."""
        names, whole = _names(self.part)
        shown = ", ".join(name for name in names if name != self.shard)
        mark = f"#{self.digest[:_HEADING_DIGITS]}"
        shard = f"shard {self.shard}"[: _SHOWN_LIMIT - len(f"{mark}, ")] if self.shard else ""
        # A long part is cut before its shard, or two shards of it would have one heading.
        room = max(0, _SHOWN_LIMIT - len(f", {shard}" if shard else ""))
        if not whole or (self.part and not names) or len(shown) > room:
            # Two parts that differ in what is not shown must not have one heading.
            shown = f"{shown[: max(0, room - len(mark) - 1)]} {mark}".lstrip()
        return ", ".join(filter(None, [shown, shard]))

    @property
    def digest(self) -> str:
        """A short name of the part that no other part has, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()[:16]


def redact_part(part: Part, redact: Callable[[str], str], key: bytes) -> Part:
    """Return the part without secret values, and with a keyed hash of what they were.

    The legs of a matrix over a secret value stay different parts. The hash shows nothing of the value without the key.

    Args:
        part: The part as the options and the CI system have it.
        redact: Returns a text without the secret values in it.
        key: A key that is derived from the client secret, at most 64 bytes. Without one there is no hash.

    """
    shown = Part(*map(redact, part))
    if shown == part or not key:
        return shown
    whole = hashlib.blake2b(json.dumps(part).encode(), digest_size=8, key=key).hexdigest()
    return shown._replace(part=f"{shown.part} #{whole}")


def is_matrix(part: str) -> bool:
    """Return whether a part is the values of a matrix.

    action.yml gives them by default, so nobody chose such a part.
    """
    text, _ = _without_hash(part)
    return _matrix_in(text) is not None


def _names(part: str) -> tuple[list[str], bool]:
    """Return the scalar values of a JSON object, such as a matrix, and whether it has no lists and objects.

    Any other text is a name itself.
    """
    text, redacted = _without_hash(part)
    matrix = _matrix_in(text)
    if matrix is None:
        return [text] if text else [], not redacted
    nested = any(isinstance(value, dict | list) for value in matrix.values())
    return list(_scalars(matrix.values())), not (redacted or nested)


def _without_hash(part: str) -> tuple[str, bool]:
    """Return the part without the hash of `redact_part`, and whether it had one."""
    redacted = _REDACTED.fullmatch(part)
    return (redacted[1], True) if redacted else (part, False)


def _matrix_in(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _scalars(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        if isinstance(value, bool):
            yield str(value).lower()
        elif isinstance(value, str | int | float) and value != "":
            yield str(value)
