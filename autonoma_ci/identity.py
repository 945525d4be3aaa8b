"""The identity of a run in its plan, and of a part.

Reused runs, comments, commit reports and build data depend on these identities. Data of one identity never counts for
another one, and never replaces its data.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from autonoma_ci.startup import NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# The values of a matrix can be long, but the titles of reports are short.
_MAX_HEADING_CHARS = 80
# Hexadecimal digits. With 256 parts, two headings are equal in one of 130,000 builds (256² / 2 / 16⁸).
_HEADING_DIGEST_DIGITS = 8
# A part with a redacted secret value and its hash (see `redact_part`).
_REDACTED_PART_RE = lazy_pattern(r"(.*) #[0-9a-f]{16}", re.DOTALL)


def short_digest(text: str, digits: int) -> str:
    """Return the start of the SHA-256 hash of a text.

    Args:
        text: The text. A lone surrogate counts as `?`.
        digits: The number of hexadecimal digits, at most 64.

    """
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:digits]


class RunKey(NamedTuple):
    """The identity of a run within a plan.

    It is equal in all attempts, and in all builds with the same plan.
    """

    # The target kind.
    kind: str
    id: str
    # The matrix combination as the positions of its values, such as `LOCALE=2,OS=1`. It has no values, because they can
    # be secret.
    matrix_place: str = ""
    # Counts the entries whose other fields are equal, from 1.
    occurrence: int = 1
    # The name of the environment of the plan, or empty.
    environment: str = ""

    def __str__(self) -> str:
        fields = (self.kind, self.id, self.matrix_place, str(self.occurrence), self.environment)
        return "/".join(quote(field, safe="=,", errors="surrogatepass") for field in fields)


def parse_run_key(text: str) -> RunKey:
    """Parse the text of a run key.

    Raises:
        ValueError: If `str` of a run key never returns this text.

    """
    fields = (unquote(field, errors="surrogatepass") for field in text.split("/"))
    kind, run_id, matrix_place, occurrence, environment = fields
    key = RunKey(kind, run_id, matrix_place, int(occurrence), environment)
    if str(key) != text:
        raise ValueError("not a run key")
    return key


class Part(NamedTuple):
    """The part of a build that one job step is."""

    job_name: str = ""
    # Distinguishes parallel jobs with the same name, such as the jobs of a matrix.
    part: str = ""
    # The share of the plan, such as `2/5`.
    shard: str = ""
    # The title of the summary.
    title: str = ""

    @property
    def display_name(self) -> str:
        """The name of the part in headings, empty for an unsplit build."""
        values, is_complete = _parse_values(self.part)
        heading = ", ".join(value for value in values if value != self.shard)
        mark = f"#{self.digest[:_HEADING_DIGEST_DIGITS]}"
        shard = f"shard {self.shard}"[: _MAX_HEADING_CHARS - len(f"{mark}, ")] if self.shard else ""
        # We truncate a long part before its shard, because each shard needs a distinct heading.
        max_chars = max(0, _MAX_HEADING_CHARS - len(f", {shard}" if shard else ""))
        if not is_complete or (self.part and not values) or len(heading) > max_chars:
            # The heading omits values, so the digest makes the headings of two parts different.
            heading = f"{heading[: max(0, max_chars - len(mark) - 1)]} {mark}".lstrip()
        return ", ".join(filter(None, [heading, shard]))

    @property
    def digest(self) -> str:
        """The hash of the part, in 16 hexadecimal digits."""
        return short_digest(json.dumps(self), 16)


def redact_part(part: Part, redact: Callable[[str], str], key: bytes) -> Part:
    """Return the part with a hash instead of its secret values.

    The jobs of a matrix over a secret value stay different parts. Without the key, the hash reveals nothing of a value.

    Args:
        part: The part from the options and the CI system.
        redact: Returns a text without the secret values in it.
        key: A key derived from the client secret, at most 64 bytes. Without a key there is no hash.

    """
    redacted = Part(*map(redact, part))
    if redacted == part or not key:
        return redacted
    digest = hashlib.blake2b(json.dumps(part).encode(), digest_size=8, key=key).hexdigest()
    return redacted._replace(part=f"{redacted.part} #{digest}")


def is_matrix(part: str) -> bool:
    """Return whether a part consists of the values of a matrix.

    The default of action.yml sets such a part, so the user did not choose it.
    """
    text, _ = _split_hash(part)
    return _parse_matrix(text) is not None


def _parse_values(part: str) -> tuple[list[str], bool]:
    """Return the values of a part for a heading.

    A JSON object, such as a matrix, has its scalar values. Any other text is one value.

    Returns:
        The values, and whether they show the complete part: nothing is redacted, and no value is a list or an object.

    """
    text, is_redacted = _split_hash(part)
    matrix = _parse_matrix(text)
    if matrix is None:
        return [text] if text else [], not is_redacted
    has_nested_value = any(isinstance(value, dict | list) for value in matrix.values())
    return list(_format_scalars(matrix.values())), not (is_redacted or has_nested_value)


def _split_hash(part: str) -> tuple[str, bool]:
    """Return the part without its `redact_part` hash, and whether it has one."""
    match = _REDACTED_PART_RE.fullmatch(part)
    return (match[1], True) if match else (part, False)


def _parse_matrix(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _format_scalars(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        if isinstance(value, bool):
            yield str(value).lower()
        elif isinstance(value, str | int | float) and value != "":
            yield str(value)
