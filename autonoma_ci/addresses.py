"""URLs that options give: the API's, which gets the credentials, and the page that is to be tested."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from autonoma_ci.errors import InputError
from autonoma_ci.text import LOOPBACK, one_line

_PLAIN = re.compile(r"[\x21-\x7e]+")


def api_url(text: str) -> str:
    """Return the API's base URL without a slash at its end: https, or http to this very machine.

    Raises InputError for any other; credentials in it are not repeated.
    """
    parts = _split(text, "remove them, and give client-id and client-secret")
    host = parts.hostname or ""
    if not host or not _PLAIN.fullmatch(text) or parts.query or parts.fragment:
        raise InputError([f"'{_before_query(text)}' is not a base URL like https://autonoma.app/api"])
    if parts.scheme == "https" or (parts.scheme == "http" and LOOPBACK.fullmatch(host)):
        return text.rstrip("/")
    raise InputError([f"'{one_line(text, 100)}' is not https: credentials would travel in the clear"])


def page_url(text: str) -> str:
    """Return the URL of a page, http or https; raise InputError for any other.

    What may be secret in it is not repeated.
    """
    parts = _split(text, "they would be shown in many places, and none are sent")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _PLAIN.fullmatch(text):
        raise InputError([f"'{_before_query(text)}' is not a URL like https://pr-12.preview.example.com"])
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


def _before_query(text: str) -> str:
    return one_line(re.split("[?#]", text)[0], 100)
