"""Requests that the sandbox rejects, and scripted ids."""

from __future__ import annotations

import time

import pytest
import requests

from autonoma_ci.sandbox import Sandbox
from tests.support.sandbox_client import CREDENTIALS, SandboxClient

UNAUTHORIZED = {"error": "Unauthorized", "message": "Invalid authentication credentials"}


def send_request(sandbox: Sandbox, headers: dict[str, str], path: str = "/folder") -> requests.Response:
    return requests.get(sandbox.url + path, headers=headers, timeout=60)


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("value", [None, ""])
def test_missing_credential_is_401(sandbox: Sandbox, name: str, value: str | None) -> None:
    """Each credential is needed, and must not be empty."""
    headers = {k: v for k, v in {**CREDENTIALS, name: value}.items() if v is not None}
    response = send_request(sandbox, headers)
    assert (response.status_code, response.json()) == (401, UNAUTHORIZED)


def test_credentials_are_checked_before_path(sandbox: Sandbox) -> None:
    """Without credentials, responses do not reveal which paths exist."""
    assert send_request(sandbox, {}, "/no/such/path").status_code == 401


def test_configured_credentials_are_required() -> None:
    """A sandbox with configured credentials rejects all others."""
    with Sandbox(client_id="me", client_secret="mine") as sandbox:
        pairs = [("me", "mine"), ("me", "yours"), ("you", "mine"), ("you", "yours")]
        statuses = [
            send_request(sandbox, {"autonoma-client-id": name, "autonoma-client-secret": secret}).status_code
            for name, secret in pairs
        ]
    assert statuses == [200, 401, 401, 401]


@pytest.mark.parametrize("kind", ["test", "folder", "tag"])
@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_scripted_id_sets_status(client: SandboxClient, sandbox: Sandbox, kind: str, status: int) -> None:
    """The number in a scripted id is the status of each of its start requests."""
    target_id = f"sandbox-{status}"
    assert [client.request_start(target_id, kind=kind).status_code for _ in range(3)] == [status] * 3
    assert sandbox.count_starts(target_id) == 3


FOLDER, TEST, TAG = "cm7t223mk00154mzy2jwk2pqy", "g41k688vndxzt7kh4kq5m12s", "cm9r0nog10012v301qtollv01"


@pytest.mark.parametrize("kind", ["test", "folder", "tag"])
def test_known_id_starts_as_its_kind_only(client: SandboxClient, kind: str) -> None:
    """As in the API, a known id has one kind, and an unknown id starts as any kind."""
    known_ids = {"folder": FOLDER, "test": TEST, "tag": TAG}
    statuses = {
        id_kind: client.request_start(target_id, kind=kind).status_code for id_kind, target_id in known_ids.items()
    }
    assert statuses == {id_kind: 200 if id_kind == kind else 404 for id_kind in known_ids}
    assert client.request_start("anything", kind=kind).status_code == 200
    assert client.request_start("sandbox-fails", kind=kind).status_code == 200


def test_known_folder_and_test_have_details(client: SandboxClient) -> None:
    """A folder and a test have details, each only under the path of its kind."""
    assert client.get(f"/folder/{FOLDER}").json()["name"] == "private-listing-hub"
    details = client.get(f"/test/{TEST}").json()
    assert (details["name"], details["folder"]) == (
        "List a flat",
        {"id": FOLDER, "name": "private-listing-hub"},
    )
    assert [client.get(path).status_code for path in (f"/folder/{TEST}", f"/test/{FOLDER}", f"/test/{TAG}")] == [
        404
    ] * 3


def test_configured_folders_replace_defaults() -> None:
    """Configured folders and their tests are known, and the default ones are not."""
    folders = [{"id": "f", "name": "F", "tests": [{"id": "t", "name": "T"}]}]
    with Sandbox(folders=folders) as sandbox, SandboxClient(sandbox) as client:
        assert [client.request_start(target_id).status_code for target_id in ("f", "t", FOLDER)] == [404, 200, 200]
        assert client.get("/test/t").json()["folder"] == {"id": "f", "name": "F"}


@pytest.mark.parametrize(
    ("target_id", "status", "text"),
    [
        ("sandbox-quota", 402, "Insufficient quota"),
        ("sandbox-quota-2", 402, "Insufficient quota"),
        ("sandbox-device-farm", 500, "Device Farm Project ARN is not configured"),
        ("sandbox-web-page", 200, "<!DOCTYPE html>"),
    ],
)
def test_scripted_response_starts_no_run(client: SandboxClient, target_id: str, status: int, text: str) -> None:
    """A scripted id has no run."""
    for kind in ("test", "folder", "tag"):
        response = client.request_start(target_id, kind=kind)
        assert (response.status_code, text in response.text) == (status, True)
    assert client.get(f"/run/{target_id}/status").status_code == 404


def test_folder_without_id_is_only_listed() -> None:
    """Lists of the API can lack ids and names."""
    folders: list[dict[str, object]] = [{"name": "F"}, {"id": None}, {"id": "f", "tests": [{"name": "T"}, {"id": 1}]}]
    with Sandbox(folders=folders) as sandbox, SandboxClient(sandbox) as client:
        assert client.get("/folder").json() == folders
        assert client.get("/folder/f").json() == folders[2]
        assert client.get("/folder/x").status_code == 404


@pytest.mark.parametrize("status", [429, 503])
def test_scripted_id_is_delayed_once(client: SandboxClient, status: int) -> None:
    """The first start has a Retry-After header and the second one succeeds."""
    responses = [client.request_start(f"sandbox-{status}{suffix}") for suffix in ("", "", "", "-other", "-other")]
    assert [response.status_code for response in responses] == [status, 200, 200, status, 200]
    assert [response.headers.get("Retry-After") for response in responses] == ["1", None, None, "1", None]


def test_scripted_id_is_always_delayed(client: SandboxClient) -> None:
    """Each start of this id gets status 429, which asks for a delay of 1 s."""
    responses = [client.request_start("sandbox-429-always") for _ in range(3)]
    assert [(response.status_code, response.headers["Retry-After"]) for response in responses] == [(429, "1")] * 3


def test_server_error_has_no_retry_after(client: SandboxClient) -> None:
    """A response with status 500 has no delay."""
    assert "Retry-After" not in client.request_start("sandbox-500").headers


def test_scripted_ids_apply_to_status_too(client: SandboxClient) -> None:
    """Status and details of a scripted id have its HTTP status too."""
    for status in (401, 403, 404, 429, 500, 503):
        assert client.get(f"/run/sandbox-{status}/status").status_code == status
        assert client.get(f"/run/sandbox-{status}").status_code == status
        assert client.get(f"/run/tag/sandbox-{status}/status").status_code == status


def test_slow_response_scales_with_pace() -> None:
    """The run starts before the slow response, which takes 3 s times the pace."""
    durations = []
    with Sandbox(pace=0.02) as sandbox, SandboxClient(sandbox) as client:
        for _ in range(3):
            started_at = time.monotonic()
            response = client.request_start("sandbox-slow")
            durations.append(time.monotonic() - started_at)
            # The run ended too, because it takes 0.06 s.
            assert client.read_status(response.json()["run_id"]) == "passed"
    # Without the pace, each response takes 3 s. One may take as long on a busy machine.
    assert 0.06 <= min(durations) < 2.9


def test_timed_out_start_counts() -> None:
    """A client that gives up before a slow response has started a run."""
    with Sandbox(pace=10) as sandbox:
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{sandbox.url}/test/sandbox-slow/run", headers=CREDENTIALS, timeout=0.2)
        # A busy machine may read the request only after the client has given up.
        deadline = time.monotonic() + 60
        while not sandbox.count_starts("sandbox-slow") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sandbox.count_starts("sandbox-slow") == 1


def test_similar_id_is_not_scripted(client: SandboxClient) -> None:
    """An id that only begins like a scripted id is an ordinary one."""
    assert client.request_start("sandbox-4040").status_code == 200
    assert client.request_start("my-sandbox-404").status_code == 200


@pytest.mark.parametrize("target_id", ["a.b", "a%20b", "%0Ax", "%E2%82%AC", "x" * 129, "", ".."])
def test_invalid_id_is_404(sandbox: Sandbox, target_id: str) -> None:
    """An id with invalid characters or length is not found."""
    # Prepared manually, because requests would normalize the URL.
    with requests.Session() as session:
        prepared_request = session.prepare_request(requests.Request("POST", f"{sandbox.url}/x", headers=CREDENTIALS))
        prepared_request.url = f"{sandbox.url}/test/{target_id}/run"
        response = session.send(prepared_request, timeout=60)
    assert response.status_code == 404
    assert response.json()["error"] == "Not found"


@pytest.mark.parametrize("path", ["", "/", "/test", "/tests/a/run", "/test/a/run/", "/run", "/run/folder/a/b/status"])
def test_unknown_path_is_404(client: SandboxClient, path: str) -> None:
    """A path outside of the API is not found."""
    assert client.get(path).status_code == 404


def test_wrong_method_is_405(client: SandboxClient) -> None:
    """The response to a wrong method names the allowed one."""
    response = client.get("/test/abc/run")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert client.session.delete(f"{client.url}/folder", timeout=60).headers["Allow"] == "GET"


def test_unknown_run_is_404_as_in_contract(client: SandboxClient) -> None:
    """The body of the response is that of the API."""
    response = client.get("/run/cm0000/status")
    assert (response.status_code, response.json()) == (
        404,
        {"error": "Not found", "message": "Resource with id `cm0000` not found"},
    )


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b'{"id": NaN}', b"[" * 100_000, b'{"id": "abc"} x', b"1" * 5000, b"\xef\xbb\xbf{}"],
    ids=["cut", "not UTF-8", "NaN", "deep", "more", "long number", "byte order mark"],
)
def test_malformed_json_is_400(client: SandboxClient, sandbox: Sandbox, body: bytes) -> None:
    """A body that is not JSON is refused, and the listed request has no body."""
    headers = {"Content-Type": "application/json"}
    response = client.session.post(f"{client.url}/test/abc/run", data=body, headers=headers, timeout=60)
    assert response.status_code == 400
    assert sandbox.received[-1].body is None


def test_wrong_content_type_is_415(client: SandboxClient) -> None:
    """A JSON body needs the content type of JSON."""
    response = client.session.post(
        f"{client.url}/test/abc/run", data='{"id": "abc"}', headers={"Content-Type": "text/plain"}, timeout=60
    )
    assert response.status_code == 415


def test_validation_error_names_field_only(client: SandboxClient) -> None:
    """The error has the name of the field and no value."""
    response = client.request_start("abc", runtime_metadata={"PASSWORD": ["hunter2"]})
    assert response.status_code == 422
    assert "'PASSWORD'" in response.text
    assert "hunter2" not in response.text
