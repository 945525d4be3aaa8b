"""Tell runs apart, and the parts of a build that run in jobs of their own.

Both identities are defined here once. Carrying a pass, comments, reports of a commit and data of a build stand on
them: what belongs to one identity never counts for, or replaces, what belongs to another.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

# Of a heading: what a matrix says of itself may be long, and the titles of reports are not.
_SHOWN_LIMIT = 80


class RunKey(NamedTuple):
    """Which run of a plan this is; the same in every attempt, and in every build with the same plan.

    `place` is the combination of a matrix by the positions of its values, such as `LOCALE=2,OS=1`; values are
    not in it, since they may be secret. `occurrence` counts entries that have all other fields in common, from 1.
    `environment` is the name of the environment that the plan was made for, empty without one.
    """

    kind: str
    id: str
    place: str = ""
    occurrence: int = 1
    environment: str = ""

    def __str__(self) -> str:
        fields = (self.kind, self.id, self.place, str(self.occurrence), self.environment)
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

    job: str = ""
    part: str = ""
    shard: str = ""
    title: str = ""

    @property
    def shown(self) -> str:
        """What a heading says of the part; empty for a step that is the whole."""
        names = _names(self.part)
        shown = ", ".join(name for name in names if name != self.shard)
        shard = f"shard {self.shard}"[:_SHOWN_LIMIT] if self.shard else ""
        # A long part is cut before its shard, or two shards of it would have one heading.
        room = max(0, _SHOWN_LIMIT - len(f", {shard}" if shard else ""))
        if (self.part and not names) or len(shown) > room:
            # Two parts that differ in what is not shown must not have one heading.
            mark = f"#{self.digest[:4]}"
            shown = f"{shown[: max(0, room - len(mark) - 1)]} {mark}".lstrip()
        return ", ".join(filter(None, [shown, shard]))

    @property
    def digest(self) -> str:
        """A short name of the part that no other part has, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()[:16]


def _names(part: str) -> list[str]:
    """Return the scalar values of a JSON object, such as a matrix; any other text is a name itself."""
    try:
        found = json.loads(part)
    except (ValueError, RecursionError):
        return [part] if part else []
    if not isinstance(found, dict):
        return [part]
    return list(_scalars(found.values()))


def _scalars(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        if isinstance(value, bool):
            yield str(value).lower()
        elif isinstance(value, str | int | float) and value != "":
            yield str(value)
