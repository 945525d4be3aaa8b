r"""Check build facts in values that are URLs.

Anybody can choose the name of a branch, such as `a.evil.com/`. In `https://${ci.branch}.example.com`, this name would
lead the test, and its credentials, to another host. So a fact in the host must be one label.

Programs disagree about the end of a host. Browsers read `\` as `/`, ignore further slashes before the host, and remove
tabs and line breaks (https://url.spec.whatwg.org/#concept-basic-url-parser). The check takes the longest possible host,
so a backslash does not end it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.manifest.references import Reference
from autonoma_ci.models import MAX_LABEL_CHARS
from autonoma_ci.startup import NamedTuple, lazy_pattern
from autonoma_ci.urls import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autonoma_ci.manifest.references import Piece

# Facts that are complete URLs, so they can only be at the beginning of a value.
_URL_FACTS = frozenset({"ci.build_url", "ci.deployment_url"})
_LABEL_RE = lazy_pattern(rf"[A-Za-z0-9-]{{1,{MAX_LABEL_CHARS}}}")
# Browsers ignore control characters and spaces at the beginning, and tabs and line breaks everywhere.
_SCHEME = "[\\x00-\\x20]*{}(?:s[\\t\\n\\r]*)?:".format("".join(rf"{letter}[\t\n\r]*" for letter in "http"))
_WEB_URL_RE = lazy_pattern(_SCHEME, re.IGNORECASE)
# The scheme, all slashes after it, and the host.
_HOST_RE = lazy_pattern(rf"{_SCHEME}[/\\\t\n\r]*[^/?#]*", re.IGNORECASE)
# The characters of a URL without the parts that programs read differently.
_PLAIN_URL_RE = lazy_pattern(r"[!-\[\]-~]+")
_WAIT_URL_FORM = "Use https, or http for localhost, such as https://pr-${ci.change}.example.com."


class UrlPart(NamedTuple):
    """A part of an interpolated value."""

    text: str
    fact: str = ""  # the name of the build fact such as `ci.branch`, or empty for another text


def is_web_url(value: str) -> bool:
    """Return whether a browser reads a value as a URL with http or https."""
    return bool(_WEB_URL_RE.match(value))


def find_host_error(parts: Sequence[UrlPart]) -> str | None:
    """Return the problem of a build fact in the host of a URL, or None.

    Args:
        parts: All parts of a value for which `is_web_url` is true, in order.
    """
    host = _HOST_RE.match("".join(part.text for part in parts))
    start, host_end = 0, host.end() if host else 0
    for text, fact in parts:
        # A fact that begins at the end can contain the slash that ends the host.
        if start > host_end:
            break
        if fact and not (fact in _URL_FACTS and start == 0) and (reason := _find_fact_error(text, fact)) is not None:
            return reason
        start += len(text)
    return None


def _find_fact_error(text: str, fact: str) -> str | None:
    """Return the problem of a build fact that is inside of a host, or None."""
    if fact in _URL_FACTS:
        return f"${{{fact}}} is a complete URL. Write it at the beginning of the value."
    if _LABEL_RE.fullmatch(text):
        return None
    subject = f"${{{fact}}} is not one label of a host name in this job"
    if fact in {"ci.branch", "ci.branch_slug"}:
        return f"{subject}. Use ${{ci.branch_slug}} in a host."
    return f"{subject}. Use a fact such as ${{ci.branch_slug}} in a host."


def find_url_error(url: str) -> str | None:
    """Return the problem of a URL to wait for, or None."""
    parsed = parse_url(url)
    # An invalid URL can hold credentials too.
    if parsed.has_login if parsed else "@" in url:
        return "'wait_for_url' holds credentials before the host. Remove them, because logs show this URL."
    if not parsed or not parsed.is_encrypted_or_local or not _PLAIN_URL_RE.fullmatch(url):
        return f"invalid 'wait_for_url'. {_WAIT_URL_FORM}"
    return None


def find_stated_url_error(pieces: Sequence[Piece]) -> str | None:
    """Return the problem of a URL to wait for before its facts are inserted, or None.

    Args:
        pieces: The pieces of the text, without invalid references and environment variables.
    """
    parts = list(_iter_example_parts(pieces))
    return find_host_error(parts) or find_url_error("".join(part.text for part in parts))


def _iter_example_parts(pieces: Sequence[Piece]) -> Iterator[UrlPart]:
    for piece in pieces:
        if not isinstance(piece, Reference):
            yield UrlPart(piece)
        elif piece.name in _URL_FACTS:
            yield UrlPart("https://example.com", piece.name)
        else:
            yield UrlPart("1", piece.name)
