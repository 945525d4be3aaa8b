"""Validation of the API URL and of the URL to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.config.parsers import parse_api_base_url, parse_http_url
from autonoma_ci.errors import InputError
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response
from tests.support.invoke_command import CREDENTIALS, invoke

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = "https://pr-12.preview.example.com"


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
def test_page_url_is_http_or_https(text: str) -> None:
    """The page to test can be on any host, and needs no https because no secret is sent to it."""
    assert parse_http_url(EXAMPLE, text) == text


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
def test_invalid_page_url_is_refused(text: str) -> None:
    """Any other text is an input error on one line."""
    with pytest.raises(
        InputError, match=r"^invalid URL: '.*'\. Use a URL such as https://pr-12\.preview\.example\.com\.$"
    ) as caught:
        parse_http_url(EXAMPLE, text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    ["https://sentinel:pw@example.com", "http://sentinel@h/", "https://sentinel:@h", "https://u:sentinel@[", "@"],
)
def test_page_url_with_credentials_is_refused(text: str) -> None:
    """The error does not repeat the credentials."""
    with pytest.raises(InputError, match="the URL holds credentials") as caught:
        parse_http_url(EXAMPLE, text)
    assert "sentinel" not in str(caught.value)


def test_page_url_error_hides_query() -> None:
    """The error about an invalid URL does not repeat its query or fragment."""
    with pytest.raises(InputError) as caught:
        parse_http_url(EXAMPLE, "ftp://example.com/x?token=sentinel#sentinel")
    assert "sentinel" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://api.autonoma.app",
        "https://API.Autonoma.APP/api",
        "https://api.autonoma.app./api/",
        "https://api.autonoma.app:443",
        "https://api.autonoma.app:8443/anything",
        "https://api%2eautonoma%2Eapp/api",
        "https://autonoma.app/v1",
        "https://autonoma.app/api/v1/",
        "https://autonoma.app/v1//",
        "https://autonoma.app/V1",
        "https://autonoma.app/%76%31",
        "https://autonoma.app/%2576%2531",
        "https://autonoma.app/api%2Fv1%2f",
        "https://autonoma.app/v1/.",
        "https://autonoma.app/api/../v1/x/..",
        "https://autonoma.app/v1/%2e/",
        "https://autonoma.app/v1/%20",
        "https://autonoma.app/v1;x=1",
        "https://gateway.example.com/autonoma/v1",
        "http://127.0.0.1:8787/v1",
    ],
)
def test_other_product_api_is_refused(text: str) -> None:
    """The error names the other product and the correct URL."""
    with pytest.raises(InputError) as error:
        parse_api_base_url(text)
    (problem,) = error.value.diagnostics
    assert str(problem)[:80].startswith("URL of another product of Autonoma. Use https://autonoma.app/api. ")
    assert "planner" in str(problem)
    assert "AUTONOMA_API_URL" in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "https://autonoma.app/api",
        "https://autonoma.app/v1/..",
        "https://autonoma.app/v1/autonoma",
        "https://autonoma.app/v10",
        "https://autonoma.app/dev1",
        "https://my-api.autonoma.app/api",
        "https://api.autonoma.app.example.com/api",
        "http://localhost:8787/api",
    ],
)
def test_similar_api_url_is_accepted(text: str) -> None:
    """A URL that only resembles the other product's API is valid."""
    assert parse_api_base_url(text) == text


@pytest.mark.parametrize("command", [("run", "--test-ids", "a"), ("list",), ("init", "--all")])
@pytest.mark.parametrize("as_flag", [True, False])
def test_other_product_gets_no_request(command: tuple[str, ...], as_flag: bool, tmp_path: Path) -> None:
    """No command sends a request, so no credential either."""
    with FaultServer(send_response(200, "{}")) as server:
        url = f"{server.url}/v1"
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": f"{server.url}/api" if as_flag else url}
        flags = ("--api-url", url) if as_flag else ()
        result = invoke(tmp_path, *command, *flags, environ=environ)
        assert server.received_requests == []
    assert result.code == 2
    spelling = "--api-url" if as_flag else "AUTONOMA_API_URL"
    assert any(error.startswith(f"{spelling}: URL of another product of Autonoma.") for error in result.errors)
