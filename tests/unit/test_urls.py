"""Tests of URLs from untrusted text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autonoma_ci.urls import Url, check_url, join_host_and_port, parse_origin, parse_url, strip_login
from tests.support.hostile import ANY_CHARACTER


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://shop.test", Url("https", "shop.test", None, "", "", "", has_login=False)),
        ("HTTPS://Shop.TEST:8443/A/b?c=D#e", Url("https", "shop.test", 8443, "/A/b", "c=D", "e", has_login=False)),
        ("http://[2001:DB8::1]:80/", Url("http", "2001:db8::1", 80, "/", "", "", has_login=False)),
        ("https://user:s3cret-value@shop.test/", Url("https", "shop.test", None, "/", "", "", has_login=True)),
        ("https://@shop.test/a@b", Url("https", "shop.test", None, "/a@b", "", "", has_login=True)),
        ("https://shop.test/a@b?c@d", Url("https", "shop.test", None, "/a@b", "c@d", "", has_login=False)),
        ("//shop.test/a", Url("", "shop.test", None, "/a", "", "", has_login=False)),
        ("ftp://shop.test:65535/", Url("ftp", "shop.test", 65535, "/", "", "", has_login=False)),
        ("https://shop.test:/", Url("https", "shop.test", None, "/", "", "", has_login=False)),
        ("https://shop.test:0/", Url("https", "shop.test", 0, "/", "", "", has_login=False)),
    ],
)
def test_url_with_host_is_parsed(text: str, url: Url) -> None:
    """Scheme and host are in lower case, and the other parts do not change."""
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "shop.test", "shop.test:443", "/path", "?query", "https:", "https://", "https:///path", "https://:443/",
        "https://user@/", "https://shop.test:65536/", "https://shop.test:-1/", "https://shop.test:port/",
        "https://shop.test:４４３/", "https://[::1", "https://[shop.test]/", "https://shop℀.test/",
        "mailto:a@shop.test", "javascript:alert(1)", "data:text/html,<b>", "\0", "https:/shop.test",
        "\\\\shop.test\\share",
    ],
)  # fmt: skip
def test_text_without_host_is_no_url(text: str) -> None:
    """A text without a host or with an invalid port has neither URL nor origin."""
    assert parse_url(text) is None
    assert parse_origin(text) is None


@given(st.text(ANY_CHARACTER, max_size=40).map("https://{}".format))
def test_hostile_text_never_raises(text: str) -> None:
    """Any text is a URL with a host or none."""
    url = parse_url(text)
    assert url is None or url.host


NO_SPACE = re.compile("[^ ]{1,40}")
ASCII_HOST = re.compile(r"[\w.:-]+", re.ASCII)


@pytest.mark.parametrize(
    ("text", "allowed_host", "allow_login", "is_allowed"),
    [
        ("https://shop.test/a?b#c", None, False, True),
        ("https://shop.test/a?b#c", ASCII_HOST, False, True),
        ("https://[2001:db8::1]:8443/", ASCII_HOST, False, True),
        ("ftp://shop.test/", ASCII_HOST, False, True),
        ("//shop.test/", ASCII_HOST, False, True),
        # Characters and length
        ("https://shop.test/a b", None, False, False),
        (" https://shop.test/", None, False, False),
        ("https://shop.test/ ", None, False, False),
        ("https://shop.test/".ljust(40, "x"), None, False, True),
        ("https://shop.test/".ljust(41, "x"), None, False, False),
        # Host
        ("https://sh\u00f6p.test/", None, False, True),
        ("https://sh\u00f6p.test/", ASCII_HOST, False, False),
        ("https://a$shop.test/", ASCII_HOST, False, False),
        ("https://shop.test$/", ASCII_HOST, False, False),
        # Login
        ("https://user:s3cret-value@shop.test/", None, False, False),
        ("https://user:s3cret-value@shop.test/", None, True, True),
        ("https://@shop.test/", ASCII_HOST, False, False),
        ("https://@shop.test/", ASCII_HOST, True, True),
        ("https://@shop$.test/", ASCII_HOST, True, False),
        # No URL with a host and a valid port
        ("", None, True, False),
        ("shop.test", None, True, False),
        ("https:///path", None, True, False),
        ("https://user@/", None, True, False),
        ("https://shop.test:65536/", None, True, False),
    ],
)
def test_forbidden_url_is_refused(
    text: str, allowed_host: re.Pattern[str] | None, allow_login: bool, is_allowed: bool
) -> None:
    """A URL has the parts that parse_url returns, or it breaks a rule of its caller."""
    url = check_url(text, NO_SPACE, allowed_host, allow_login=allow_login)
    assert url == (parse_url(text) if is_allowed else None)
    assert bool(url) == is_allowed


def test_login_is_refused_by_default() -> None:
    """A caller that names no rule for logins accepts none."""
    assert check_url("https://user@shop.test/", NO_SPACE) is None


@given(st.text(ANY_CHARACTER, max_size=40).map("https://{}".format))
def test_checked_hostile_text_keeps_rules(text: str) -> None:
    """Any text that passes the check has only allowed characters and no login."""
    if url := check_url(text, NO_SPACE, ASCII_HOST):
        assert NO_SPACE.fullmatch(text)
        assert ASCII_HOST.fullmatch(url.host)
        assert not url.has_login


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Shop.test/a?b#c", "https://shop.test"),
        ("https://shop.test:443", "https://shop.test"),
        ("http://shop.test:80", "http://shop.test"),
        ("https://shop.test:80", "https://shop.test:80"),
        ("http://shop.test:443", "http://shop.test:443"),
        ("ftp://shop.test:21", "ftp://shop.test:21"),
        ("https://shop.test.:8443/", "https://shop.test:8443"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
        ("https://[::1]/", "https://[::1]"),
        ("https://user:s3cret-value@shop.test", None),
        ("https://@shop.test", None),
        ("https://./", None),
    ],
)
def test_origin_of_url(text: str, origin: str | None) -> None:
    """The origin has no default port, and a URL with a login has none."""
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    ("scheme", "host", "is_http_or_https", "is_encrypted_or_local"),
    [
        ("https", "shop.test", True, True),
        ("http", "shop.test", True, False),
        ("http", "localhost", True, True),
        ("http", "LOCALHOST", True, True),
        ("http", "127.0.0.1", True, True),
        ("http", "127.255.10.9", True, True),
        ("http", "[::1]", True, True),
        ("http", "127.1", True, False),
        ("http", "128.0.0.1", True, False),
        ("http", "0.0.0.0", True, False),
        ("http", "[::2]", True, False),
        ("http", "127.0.0.1.shop.test", True, False),
        ("http", "localhost.shop.test", True, False),
        ("http", "not-localhost", True, False),
        ("ftp", "localhost", False, False),
        ("ws", "127.0.0.1", False, False),
    ],
)
def test_http_is_for_loopback_only(scheme: str, host: str, is_http_or_https: bool, is_encrypted_or_local: bool) -> None:
    """Requests without encryption stay on this machine."""
    url = parse_url(f"{scheme}://{host}/")
    assert url
    assert (url.is_http_or_https, url.is_encrypted_or_local) == (is_http_or_https, is_encrypted_or_local)


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("shop.test", None, "shop.test"),
        ("shop.test", 0, "shop.test:0"),
        ("shop.test", 8443, "shop.test:8443"),
        ("::1", None, "[::1]"),
        ("::1", 8443, "[::1]:8443"),
    ],
)
def test_host_and_port_are_joined(host: str, port: int | None, text: str) -> None:
    """An IPv6 address has brackets."""
    assert join_host_and_port(host, port) == text


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("https://shop.test:8443/a?b#c", "https://shop.test:8443/a?b#c"),
        ("https://user:s3cret-value@shop.test:8443/a?b#c", "https://shop.test:8443/a?b#c"),
        ("https://s3cret-value@shop.test", "https://shop.test"),
        ("https://user@name:s3cret-value@shop.test/a@b", "https://shop.test/a@b"),
        ("https://user:s3cret/value@shop.test/a", "https://shop.test/a"),
        ("https://user:s3cret?value#1@shop.test/a", "https://shop.test/a"),
        ("https://user@name:s3cret/value@shop.test/a", "https://shop.test/a"),
        ("https:\\\\user:s3cret-value@shop.test\\a", "shop.test\\a"),
        ("//user:s3cret-value@shop.test/a", "//shop.test/a"),
        ("user:s3cret-value@shop.test/a", "shop.test/a"),
        ("ht\ntps://user:s3cret-value@shop.test/a", "ht\ntps://shop.test/a"),
        ("https://user:s3cret-value@[::1]:80/", "https://[::1]:80/"),
        ("https://shop.test/@name/a", "https://shop.test/@name/a"),
        ("shop.test/@name/a", "shop.test/@name/a"),
        ("page?email=a@b.test", "page?email=a@b.test"),
        ("https:/user:s3cret-value@shop.test//a", "shop.test//a"),
        ("http:user:s3cret-value@shop.test//a", "shop.test//a"),
        ("\\\\user:s3cret-value@shop.test//a", "shop.test//a"),
        ("/\\user:s3cret-value@shop.test//a", "shop.test//a"),
        ("user:s3cret-value@shop.test//a", "shop.test//a"),
        ("/@name/a", "/@name/a"),
        ("", ""),
    ],
)
def test_login_is_stripped(text: str, stripped: str) -> None:
    """Scheme, host, port and path stay."""
    assert strip_login(text) == stripped


@given(st.text("@:/?#\\[]a1 \t\n"))
@example("https://a:1@a:1@a")
def test_any_text_is_stripped_of_its_login(text: str) -> None:
    """The result has no login, also of an invalid URL."""
    for prefix in ("https://", "//", ""):
        url = parse_url(strip_login(prefix + text))
        assert not url or not url.has_login
