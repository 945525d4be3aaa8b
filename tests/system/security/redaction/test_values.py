"""Values of many forms that a server repeats."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from tests.system.security.redaction.echo_server import EchoResponse, EchoServer, run_echo_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

CLIENT_ID = "idZQ7w-_Kx4p9"
CLIENT_SECRET = "-secZQ8%3A,:]##[x]9fL2"
VALUES = {
    "plain": "plainZQ1value",
    "spaced": "pass ZQ2 word & more\ttab",
    "signed": "ZQ3+/=?&%25:,;|<b>`'\"\\end",
    "foreign": "pässwörd-ZQ4-€-пароль-🚀",
    "changing case": "İZQ5ΑΣ-ǅ-ß",
    "lines": "-----BEGIN ZQ6-----\nMIIEvQZQ6IBADAN+/==\r\n  ZQ6indented  \n-----END ZQ6-----\n",
    "short": "Zq7",
    "url": "https://user:ZQ9pass@pr-1.preview.example.com/path?token=ZQ9",
}
FORMS: dict[str, Callable[[str], str]] = {
    "raw": lambda text: text,
    "percent": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "path": quote,
    "json": lambda text: json.dumps(text)[1:-1],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "urlsafe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "login": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "html": html.escape,
    "percent twice": lambda text: quote(quote(text)),
}
GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"}
MANIFEST = """\
tests:
  - {id: one, name: First, variables: VARIABLES}
folders:
  - two
tags:
  - three
"""


def _build_environ(folder: Path, url: str) -> dict[str, str]:
    files = {name: str(folder / value) for name, value in GITHUB.items() if name != "GITHUB_ACTIONS"}
    return {
        "GITHUB_ACTIONS": "true",
        **files,
        "AUTONOMA_CLIENT_ID": CLIENT_ID,
        "AUTONOMA_CLIENT_SECRET": CLIENT_SECRET,
        "AUTONOMA_API_URL": url,
        "AUTONOMA_RESULTS_DIR": "results",
    }


def _run_manifest_job(folder: Path, respond: Callable[[Mapping[str, str], Any], EchoResponse]) -> tuple[int, str]:
    variables = {f"V{number}": value.replace("$", "$$") for number, value in enumerate(VALUES.values())}
    (folder / "autonoma.yml").write_text(
        MANIFEST.replace("VARIABLES", json.dumps(variables, ensure_ascii=False)), "utf-8"
    )
    with EchoServer(respond) as server:
        result = run_echo_job(folder, _build_environ(folder, server.url))
    assert set(result.files) >= {"output", "summary", "results.json", "outputs.env", "summary.md"}
    return result.code, result.all_text


def _assert_no_leaks(text: str) -> None:
    lower_text = text.lower()
    for value in (CLIENT_ID, CLIENT_SECRET, *VALUES.values()):
        for part in {value, *map(str.strip, value.splitlines())}:
            if len(part) > 3:
                for name, form in FORMS.items():
                    assert form(part).lower() not in lower_text, f"{part} as {name}"
    for number in range(1, 10):
        assert f"zq{number}" not in lower_text


def _get_sent_value(headers: Mapping[str, str], body: Any, name: str) -> str:
    """Return a value of the request, or nothing for the folder without variables."""
    values: dict[str, str] = {
        "client id": headers["autonoma-client-id"],
        "client secret": headers["autonoma-client-secret"],
        **dict(zip(VALUES, body.get("runtime_metadata", {}).values(), strict=False)),
    }
    return values.get(name, "")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [200, 307, 404, 422, 500])
def test_response_text_leaks_no_value(status: int, form: str, tmp_path: Path) -> None:
    """No encoding of a value in a response reaches an output."""

    def respond(headers: Mapping[str, str], body: Any) -> EchoResponse:
        sent_values = [_get_sent_value(headers, body, name) for name in ("client id", "client secret", *VALUES)]
        # Very short values are not recognizable in an encoding.
        text = " ".join(FORMS[form](value) if len(value) > 3 else value for value in sent_values)
        line = " ".join(text.split())
        return EchoResponse(
            status,
            {"error": text, "message": text, "url": "https://autonoma.app/run/r1", "run_id": "r1"},
            {"Location": f"https://user:{line}@example.com/{line}#{line}", "Retry-After": line, "X-Echo": line},
        )

    code, text = _run_manifest_job(tmp_path, respond)
    assert code in {0, 4, 5, 7}
    assert "V0" in text
    _assert_no_leaks(text)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        *(
            (url, name)
            for url in ("https://{}.example.com/run/r1", "https://autonoma.app/run/{}")
            for name in ("client id", "client secret")
        ),
        *(
            (url, name)
            for url in ("https://autonoma.app/run/told?key={}#{}", "{}")
            for name in ("client id", "client secret", *VALUES)
        ),
    ],
)
def test_response_link_leaks_no_secret(url: str, name: str, tmp_path: Path) -> None:
    """A link with a credential and a query with a value are left out, and the run id stays.

    A value in host or path can occur by chance, like `run`. See tests/system/security/redaction/test_ids_and_links.py.
    """

    def respond(headers: Mapping[str, str], body: Any) -> EchoResponse:
        value = _get_sent_value(headers, body, name)
        link = url.replace("{}", value if "example.com" in url else quote(value))
        return EchoResponse(
            200, {"message": "ok", "url": link, "run_id": "told", "tag_run_id": "told", "folderRunID": "told"}
        )

    code, text = _run_manifest_job(tmp_path, respond)
    assert code == 0
    assert "told" in text
    _assert_no_leaks(text)


@pytest.mark.parametrize("name", ["client id", "client secret"])
def test_run_id_leaks_no_credential(name: str, tmp_path: Path) -> None:
    """A run id that holds a credential is not shown."""

    def respond(headers: Mapping[str, str], body: Any) -> EchoResponse:
        value = _get_sent_value(headers, body, name)
        return EchoResponse(201, {"run_id": value, "tag_run_id": f"x-{value}", "folder_run_id": value.upper()})

    code, text = _run_manifest_job(tmp_path, respond)
    assert code == 7
    _assert_no_leaks(text)


def test_api_host_link_survives_equal_value(tmp_path: Path) -> None:
    """A link to the host of the API stays although a variable names the host."""
    (tmp_path / "autonoma.yml").write_text("tests:\n- {id: one, variables: {HOST: '127.0.0.1'}}", "utf-8")

    def respond(headers: Mapping[str, str], body: Any) -> EchoResponse:
        return EchoResponse(200, {"run_id": "r1", "url": f"http://{headers['Host']}/run/r1"})

    with EchoServer(respond) as server:
        result = run_echo_job(tmp_path, _build_environ(tmp_path, server.url))
    assert f"{server.url.removesuffix('/api')}/run/r1" in result.files["outputs.env"]
