"""URLs that options give: the API's, which gets the credentials, and the page that is to be tested."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from autonoma_ci.errors import InputError
from autonoma_ci.text import LOOPBACK, one_line


def api_url(text: str) -> str:
    """Return the API's base URL without a slash at its end: https, or http to this very machine."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if "@" in parts.netloc or (not host and "@" in text):
        raise InputError(["the URL holds credentials: remove them, and give client-id and client-secret"])
    if not host or not re.fullmatch(r"[\x21-\x7e]+", text) or parts.query or parts.fragment:
        raise InputError(
            [f"'{one_line(re.split('[?#]', text)[0], 100)}' is not a base URL like https://autonoma.app/api"]
        )
    if parts.scheme == "https" or (parts.scheme == "http" and LOOPBACK.fullmatch(host)):
        return text.rstrip("/")
    raise InputError([f"'{one_line(text, 100)}' is not https: credentials would travel in the clear"])


def page_url(text: str) -> str:
    """Return the URL of a page, http or https; what may be secret in it is not repeated."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if "@" in parts.netloc or (not host and "@" in text):
        raise InputError(["the URL holds credentials: they would be shown in many places, and none are sent"])
    if parts.scheme not in {"http", "https"} or not host or not re.fullmatch(r"[\x21-\x7e]+", text):
        shown = one_line(re.split("[?#]", text)[0], 100)
        raise InputError([f"'{shown}' is not a URL like https://pr-12.preview.example.com"])
    return text
