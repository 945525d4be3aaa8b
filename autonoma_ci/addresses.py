"""URLs that options give: the API's, which gets the credentials, and the page that is to be tested."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

from autonoma_ci.context import MAX_FACT_LENGTH
from autonoma_ci.errors import InputError
from autonoma_ci.patterns import lazy_pattern
from autonoma_ci.text import LOOPBACK, one_line, without_query

# The vendor's newer product has another API, at this host and below /v1 (docs of that product). Its planner reads
# AUTONOMA_API_URL too.
_OTHER_HOST = "api.autonoma.app"
_OTHER_PRODUCT = (
    "this is the API of Autonoma's other product: use https://autonoma.app/api. The host api.autonoma.app and paths "
    "that end in /v1 belong to Autonoma's planner, which takes bearer keys. The planner reads AUTONOMA_API_URL too: if "
    "it needs that variable, give the URL here by --api-url or the input api-url"
)
# A path that is encoded more often stays as it is.
_MAX_DECODINGS = 5
_PLAIN = lazy_pattern(r"[\x21-\x7e]+")


def api_url(text: str) -> str:
    """Return the API's base URL without a slash at its end: https, or http to this very machine.

    Raises InputError for any other, and for that of the vendor's other product. Credentials in it are not repeated.
    """
    parts = _split(text, "remove them, and give client-id and client-secret")
    host = parts.hostname or ""
    if not host or not _PLAIN.fullmatch(text) or parts.query or parts.fragment:
        raise InputError([f"'{one_line(without_query(text), 100)}' is not a base URL like https://autonoma.app/api"])
    if unquote(host).lower().rstrip(".") == _OTHER_HOST or _last_segment(parts.path) == "v1":
        # The URL is not repeated: its path may hold a key of that product.
        raise InputError([_OTHER_PRODUCT])
    if parts.scheme == "https" or (parts.scheme == "http" and LOOPBACK.fullmatch(host)):
        return text.rstrip("/")
    raise InputError([f"'{one_line(text, 100)}' is not https: credentials would travel in the clear"])


def build_url(text: str) -> str:
    """Return the link to a build.

    Raises:
        InputError: The text is no URL of a page, or is longer than records allow.

    """
    if len(text) > MAX_FACT_LENGTH:
        raise InputError([f"the URL is longer than {MAX_FACT_LENGTH:,} characters: give a shorter link to the build"])
    return page_url("https://ci.example.com/builds/12", text)


def page_url(example: str, text: str) -> str:
    """Return the URL of a page, http or https; raise InputError for any other.

    What may be secret in it is not repeated. The message shows the example.
    """
    parts = _split(text, "remove them, as the URL is shown in logs and reports")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _PLAIN.fullmatch(text):
        raise InputError([f"'{one_line(without_query(text), 100)}' is not a URL like {example}"])
    return text


def _split(text: str, why_no_credentials: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if "@" in parts.netloc or (not host and "@" in text):
        raise InputError([f"the URL holds credentials: {why_no_credentials}"])
    return parts


def _last_segment(path: str) -> str:
    """Return the last segment of a path as a server may read it: decoded, without dot segments, in lower case."""
    for _ in range(_MAX_DECODINGS):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    found: list[str] = []
    for segment in re.split(r"[/\\]", path):
        # What follows a semicolon are parameters of the segment (RFC 3986 §3.3).
        name = segment.partition(";")[0].strip()
        if name == "..":
            del found[-1:]
        elif name not in {"", "."}:
            found.append(name)
    return found[-1].lower() if found else ""
