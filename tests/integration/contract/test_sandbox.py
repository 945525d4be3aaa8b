"""Test that each response of the sandbox matches the contract."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import SCENARIO_IDS, Sandbox
from autonoma_ci.sandbox.contract import KINDS
from tests.integration.contract.openapi import ContractError, check_prepared_request, check_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

JSON = {"Content-Type": "application/json"}
RUN_FIELD = {"2025-06": "run_id", "2026-01": "runID"}
# The only scenario whose response is outside of the contract.
WEB_PAGE = "sandbox-web-page"
VERSIONS = [{"application_id": "a1", "application_version_ids": ["v1", "v2"]}]


def start_bodies(kind: str, subject: str) -> list[Mapping[str, object] | None]:
    id_body = {"id": subject} if kind == "test" else {}
    full_bodies: dict[str, list[Mapping[str, object]]] = {
        "test": [
            {"source": "gitlab", "application_version_id": "v1", "runtime_metadata": {"A": "1", "": ""}},
            {"run_on_latest": True},
        ],
        "tag": [{"source": "jenkins", "application_versions": VERSIONS}, {"run_on_latest": True}],
        "folder": [{"source": "cli", "recursive": True, "application_versions": VERSIONS}, {"run_on_latest": True}],
    }
    return [None, id_body, *({**id_body, **body} for body in full_bodies[kind])]


@pytest.mark.slow
@pytest.mark.parametrize(
    "subject", ["g41k688vndxzt7kh4kq5m12s", *sorted(SCENARIO_IDS.keys() - {WEB_PAGE}), "sandbox-fails-2"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_start_response_matches_contract(
    sandbox: Sandbox, session: requests.Session, contract: str, kind: str, subject: str
) -> None:
    """Each response to a start matches the contract."""
    for body in start_bodies(kind, subject):
        response = session.post(f"{sandbox.url}/{kind}/{subject}/run", json=body, timeout=60)
        check_prepared_request(response.request, contract)
        check_response(response, contract)
        assert response.status_code != 422


@pytest.mark.parametrize("kind", KINDS)
def test_web_page_is_outside_contract(sandbox: Sandbox, session: requests.Session, contract: str, kind: str) -> None:
    """The id simulates another host, so its response is not described."""
    response = session.post(f"{sandbox.url}/{kind}/{WEB_PAGE}/run", timeout=60)
    check_prepared_request(response.request, contract)
    with pytest.raises(ContractError):
        check_response(response, contract)


@pytest.mark.parametrize("kind", KINDS)
def test_start_fields_match_revision(sandbox: Sandbox, session: requests.Session, contract: str, kind: str) -> None:
    """A start response has the fields of its revision."""
    response = session.post(f"{sandbox.url}/{kind}/abc/run", timeout=60)
    later_fields = {"runID", "runGroupID"} if kind == "test" else {"folderRunID"}
    fields = later_fields if contract == "2026-01" else {"run_id" if kind == "test" else f"{kind}_run_id"}
    assert response.status_code == (201 if contract == "2026-01" else 200)
    assert response.json().keys() == {"message", "url", *fields}


@pytest.mark.parametrize("kind", KINDS)
def test_long_source_is_rejected_since_2026(
    sandbox: Sandbox, session: requests.Session, contract: str, kind: str
) -> None:
    """The later revision accepts at most 10 characters."""
    body = {"id": "abc"} if kind == "test" else {}
    statuses = []
    for source in ("x" * 10, "github-actions"):
        response = session.post(f"{sandbox.url}/{kind}/abc/run", json={**body, "source": source}, timeout=60)
        check_response(response, contract)
        statuses.append(response.status_code)
    assert statuses == ([201, 400] if contract == "2026-01" else [200, 200])
    expectation = pytest.raises(ContractError) if contract == "2026-01" else nullcontext()
    with expectation:
        check_prepared_request(response.request, contract)


@pytest.mark.parametrize("kind", KINDS)
def test_quota_status_matches_revision(sandbox: Sandbox, session: requests.Session, contract: str, kind: str) -> None:
    """A used-up quota has the HTTP status of its revision."""
    response = session.post(f"{sandbox.url}/{kind}/sandbox-quota/run", timeout=60)
    check_response(response, contract)
    assert response.status_code == (403 if contract == "2026-01" else 402)
    assert response.json()["message"] == "Insufficient quota"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/folder/cm7t223mk00154mzy2jwk2pqy", 200),
        ("/test/g41k688vndxzt7kh4kq5m12s", 200),
        ("/test/cm7t223mk00154mzy2jwk2pqy", 404),
        ("/folder/g41k688vndxzt7kh4kq5m12s", 404),
        ("/folder/abc", 404),
        ("/test/abc", 404),
        ("/test/sandbox-401", 401),
    ],
)
def test_entry_response_matches_contract(
    sandbox: Sandbox, session: requests.Session, contract: str, path: str, status: int
) -> None:
    """Each response about a test or folder matches the contract."""
    response = session.get(sandbox.url + path, timeout=60)
    check_prepared_request(response.request, contract)
    check_response(response, contract)
    assert response.status_code == status


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["never-started", *SCENARIO_IDS])
@pytest.mark.parametrize("path", ["/run/{}/status", "/run/folder/{}/status", "/run/tag/{}/status", "/run/{}"])
def test_unknown_run_response_matches_contract(
    sandbox: Sandbox, session: requests.Session, contract: str, path: str, subject: str
) -> None:
    """Each response about an unknown run id matches the contract."""
    response = session.get(sandbox.url + path.format(subject), timeout=60)
    check_prepared_request(response.request, contract)
    check_response(response, contract)
    assert response.status_code != 200


@pytest.mark.slow
@pytest.mark.parametrize("age", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("subject", ["cm8d9gt6v000c9fe5glmyi33u", "abc", "sandbox-fails", "sandbox-stays"])
@pytest.mark.parametrize("query", ["", "?steps=true&media=true", "?steps=false&media=false"])
def test_run_response_matches_at_each_age(
    session: requests.Session, contract: str, subject: str, age: float, query: str
) -> None:
    """Status and details match the contract at each age of the run."""
    clock_time = 0.0
    with Sandbox(clock=lambda: clock_time, contract=contract) as sandbox:
        run_id = session.post(f"{sandbox.url}/test/{subject}/run", json={"id": subject}, timeout=60).json()[
            RUN_FIELD[contract]
        ]
        clock_time = age
        for path in (f"/run/{run_id}/status", f"/run/{run_id}{query}"):
            response = session.get(sandbox.url + path, timeout=60)
            check_prepared_request(response.request, contract)
            check_response(response, contract)
            assert response.status_code == 200


@pytest.mark.parametrize("kind", ["folder", "tag"])
def test_group_status_matches_contract(sandbox: Sandbox, session: requests.Session, contract: str, kind: str) -> None:
    """The status of a folder or tag run matches the contract."""
    field = "folderRunID" if contract == "2026-01" else f"{kind}_run_id"
    run_id = session.post(f"{sandbox.url}/{kind}/abc/run", timeout=60).json()[field]
    response = session.get(f"{sandbox.url}/run/{kind}/{run_id}/status", timeout=60)
    check_prepared_request(response.request, contract)
    check_response(response, contract)
    assert response.status_code == 200


@pytest.mark.parametrize("query", ["", "?limit=1", "?limit=100&offset=0", "?limit=1&offset=2", "?offset=1000"])
def test_folder_page_matches_contract(sandbox: Sandbox, session: requests.Session, contract: str, query: str) -> None:
    """Each page of the folder list matches the contract."""
    response = session.get(f"{sandbox.url}/folder{query}", timeout=60)
    check_prepared_request(response.request, contract)
    check_response(response, contract)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/folder?limit=0",
        "/folder?limit=101",
        "/folder?limit=x",
        "/folder?offset=-1",
        "/run/{}?steps=yes",
        "/run/{}?media=1",
    ],
)
def test_invalid_query_gets_described_error(
    sandbox: Sandbox, session: requests.Session, contract: str, path: str
) -> None:
    """The rejection of an invalid query matches the contract."""
    run_id = session.post(f"{sandbox.url}/test/abc/run", timeout=60).json()[RUN_FIELD[contract]]
    response = session.get(sandbox.url + path.format(run_id), timeout=60)
    with pytest.raises(ContractError):
        check_prepared_request(response.request, contract)
    check_response(response, contract)
    assert response.status_code == 422


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/test/abc/run", {"autonoma-client-id": ""}, b"", 401),
        ("/test/abc/run", {"autonoma-client-secret": ""}, b"", 401),
        ("/test/a.b/run", {}, b"", 404),
        ("/tag/abc/run", {}, b"{", 400),
        ("/folder/abc/run", {}, b"[]", 422),
        ("/test/abc/run", {"Content-Type": "text/plain"}, b'{"id": "abc"}', 415),
        ("/test/abc/run", {}, b" " * 1_048_577, 413),
    ],
)
def test_invalid_request_gets_described_error(
    sandbox: Sandbox,
    session: requests.Session,
    contract: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
) -> None:
    """The rejection of an invalid request matches the contract."""
    response = session.post(sandbox.url + path, data=body, headers={**JSON, **headers}, timeout=60)
    check_response(response, contract)
    assert response.status_code == status
    if status != 413:  # a schema cannot limit the length of a body
        with pytest.raises(ContractError):
            check_prepared_request(response.request, contract)


def test_unknown_length_gets_described_error(sandbox: Sandbox, session: requests.Session, contract: str) -> None:
    """The rejection of a body without a length matches the contract."""
    response = session.post(f"{sandbox.url}/test/abc/run", data=iter([b"{}"]), headers=JSON, timeout=60)
    check_response(response, contract)
    assert response.status_code == 411
