"""The page that is to be tested: which URLs are taken, and what is said of the rest."""

from __future__ import annotations

import pytest

from autonoma_ci.addresses import page_url
from autonoma_ci.errors import InputError


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://pr-12.preview.example.com",
            "http://localhost:3000/health?full=1",
            "http://10.0.0.7/",
            "HTTPS://a.b",
        ),
        *("http://[::1]:8080/x#top", "https://example.com/a@b"),
    ],
)
def test_a_page_is_http_or_https_on_any_host(text: str) -> None:
    """A preview is the user's own: nothing secret is sent to it, so it need not be https."""
    assert page_url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "example.com",
            "/health",
            "https://",
            "https:///x",
            "file:///etc/passwd",
            "ftp://example.com",
            "javascript:1",
        ),
        *("https://a b.example", "https://exa\nmple.com", "https://\u00e4.example", "https://[", "https://a:99999/"),
    ],
)
def test_what_is_no_page_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"is not a URL like https://pr-12\.preview\.example\.com") as refused:
        page_url(text)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "text",
    ["https://sentinel:pw@example.com", "http://sentinel@h/", "https://sentinel:@h", "https://u:sentinel@[", "@"],
)
def test_credentials_in_the_url_of_a_page_are_refused_unseen(text: str) -> None:
    with pytest.raises(InputError, match="the URL holds credentials") as refused:
        page_url(text)
    assert "sentinel" not in str(refused.value)


def test_a_query_may_hold_a_secret_and_is_not_repeated() -> None:
    with pytest.raises(InputError) as refused:
        page_url("ftp://example.com/x?token=sentinel#sentinel")
    assert "sentinel" not in str(refused.value)
