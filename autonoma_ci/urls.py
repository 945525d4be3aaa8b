"""Check URLs from untrusted text, split them into parts, and normalize their origin."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from autonoma_ci.startup import NamedTuple, lazy_pattern

LOOPBACK_HOST_RE = lazy_pattern(r"localhost|127(?:\.\d{1,3}){3}|::1", re.IGNORECASE)
# The end of the host in a URL. Browsers read a backslash as a slash.
_HOST_END_RE = lazy_pattern(r"[/?#\\]")
# A reference to a path on the same host.
# A scheme, also with the white space that browsers ignore.
_SCHEME_RE = lazy_pattern(r"(?:\s*[A-Za-z][A-Za-z0-9+.\s-]*:)?\s*")
_ABSOLUTE_PATH_RE = lazy_pattern(r"/[^\s/\\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """The parts of a URL with a host."""

    scheme: str  # in lower case, empty if the text has none
    host: str  # in lower case, an IPv6 address without brackets
    port: int | None  # None if the text has none
    path: str
    query: str
    fragment: str
    has_login: bool  # whether an `@` is before the path, also without a user name

    @property
    def is_http_or_https(self) -> bool:
        """Whether the scheme is http or https."""
        return self.scheme in {"http", "https"}

    @property
    def is_encrypted_or_local(self) -> bool:
        """Whether the URL is https, or http to a loopback host."""
        return self.scheme == "https" or (self.scheme == "http" and bool(LOOPBACK_HOST_RE.fullmatch(self.host)))

    @property
    def origin(self) -> str | None:
        """The scheme, host and port, without the default port.

        It is None if the URL holds a login, because that can be a credential.
        """
        # A dot at the end of a host is valid, and has no effect here.
        host = self.host.rstrip(".")
        if not host or self.has_login:
            return None
        port = None if self.port == _DEFAULT_PORTS.get(self.scheme) else self.port
        return f"{self.scheme}://{join_host_and_port(host, port)}"


def parse_url(text: str) -> Url | None:
    """Return the parts of a URL, or None if it is invalid.

    A valid URL has a host, and its port is a valid number or missing.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    return Url(parts.scheme, host, port, parts.path, parts.query, parts.fragment, "@" in parts.netloc)


def check_url(
    text: str, allowed_text: re.Pattern[str], allowed_host: re.Pattern[str] | None = None, *, allow_login: bool = False
) -> Url | None:
    """Return the parts of a URL, or None if it is invalid or forbidden.

    Each scheme is accepted. Callers check it by the properties of `Url`.

    Args:
        text: The URL.
        allowed_text: Matches all of the text. It limits the characters and the length.
        allowed_host: Matches all of the host, None for any host.
        allow_login: Accept a user name and a password.
    """
    if not allowed_text.fullmatch(text):
        return None
    url = parse_url(text)
    if not url or (url.has_login and not allow_login):
        return None
    return url if allowed_host is None or allowed_host.fullmatch(url.host) else None


def parse_origin(text: str) -> str | None:
    """Return the origin of a URL, or None if it has none."""
    url = parse_url(text)
    return url.origin if url else None


def strip_login(text: str) -> str:
    """Return a URL or a relative reference without user and password."""
    if "@" not in text or _ABSOLUTE_PATH_RE.match(text):
        return text
    before, slashes, rest = text.partition("//")
    if not slashes or not _SCHEME_RE.fullmatch(before):
        # The slashes can come after a login.
        before, slashes, rest = "", "", text
    host = _HOST_END_RE.split(rest, maxsplit=1)[0]
    stripped = f"{before}{slashes}{host.rpartition('@')[2]}{rest[len(host) :]}"
    url = parse_url(stripped)
    if url and not url.has_login:
        return stripped
    if not slashes and host and ":" not in host and "@" not in host:
        # A relative reference, such as users/@name, has no password.
        return text
    # In an invalid URL, the password can contain each of the characters that end a host.
    return f"{before}{slashes}{rest.rpartition('@')[2]}"


def join_host_and_port(host: str, port: int | None) -> str:
    """Return a host and its port as in a URL, with brackets for IPv6."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"
