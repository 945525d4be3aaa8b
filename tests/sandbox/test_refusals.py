"""What the sandbox refuses: credentials, ids that ask for it, paths and bodies."""

from __future__ import annotations

import time

import pytest
import requests

from autonoma_ci.sandbox import SCENARIO_IDS, Sandbox
from tests.sandbox.caller import CREDENTIALS, Caller

UNAUTHORIZED = {"error": "Unauthorized", "message": "Invalid authentication credentials"}


def ask(sandbox: Sandbox, headers: dict[str, str], path: str = "/folder") -> requests.Response:
    return requests.get(sandbox.url + path, headers=headers, timeout=60)


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("value", [None, ""])
def test_a_credential_that_is_missing_or_empty_is_401(sandbox: Sandbox, name: str, value: str | None) -> None:
    headers = {k: v for k, v in {**CREDENTIALS, name: value}.items() if v is not None}
    answer = ask(sandbox, headers)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_without_credentials_nobody_learns_which_paths_there_are(sandbox: Sandbox) -> None:
    assert ask(sandbox, {}, "/no/such/path").status_code == 401


def test_configured_credentials_are_the_only_ones_taken() -> None:
    with Sandbox(client_id="me", client_secret="mine") as sandbox:
        pairs = [("me", "mine"), ("me", "yours"), ("you", "mine"), ("you", "yours")]
        statuses = [
            ask(sandbox, {"autonoma-client-id": name, "autonoma-client-secret": secret}).status_code
            for name, secret in pairs
        ]
    assert statuses == [200, 401, 401, 401]


@pytest.mark.parametrize("kind", ["test", "folder", "tag"])
@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_id_can_ask_for_a_status_every_time(caller: Caller, sandbox: Sandbox, kind: str, status: int) -> None:
    subject = f"sandbox-{status}"
    assert [caller.start(subject, kind=kind).status_code for _ in range(3)] == [status] * 3
    assert sandbox.count_starts(subject) == 3


FOLDER, TEST, TAG = "cm7t223mk00154mzy2jwk2pqy", "g41k688vndxzt7kh4kq5m12s", "cm9r0nog10012v301qtollv01"


@pytest.mark.parametrize("kind", ["test", "folder", "tag"])
def test_known_id_starts_as_its_own_kind_alone(caller: Caller, kind: str) -> None:
    """As in the API, so that a mistake can be rehearsed. An unknown id starts as any kind."""
    known = {"folder": FOLDER, "test": TEST, "tag": TAG}
    statuses = {of: caller.start(subject, kind=kind).status_code for of, subject in known.items()}
    assert statuses == {of: 200 if of == kind else 404 for of in known}
    assert caller.start("anything", kind=kind).status_code == 200
    assert caller.start("sandbox-fails", kind=kind).status_code == 200


def test_folder_and_test_of_the_account_can_be_had(caller: Caller) -> None:
    assert caller.get(f"/folder/{FOLDER}").json()["name"] == "private-listing-hub"
    found = caller.get(f"/test/{TEST}").json()
    assert (found["name"], found["folder"]) == ("A seller lists a flat", {"id": FOLDER, "name": "private-listing-hub"})
    assert [caller.get(path).status_code for path in (f"/folder/{TEST}", f"/test/{FOLDER}", f"/test/{TAG}")] == [
        404
    ] * 3


def test_listed_folders_are_the_known_ones() -> None:
    listed = [{"id": "f", "name": "F", "tests": [{"id": "t", "name": "T"}]}]
    with Sandbox(folders=listed) as sandbox, Caller(sandbox) as caller:
        assert [caller.start(subject).status_code for subject in ("f", "t", FOLDER)] == [404, 200, 200]
        assert caller.get("/test/t").json()["folder"] == {"id": "f", "name": "F"}


@pytest.mark.parametrize(
    ("subject", "status", "text"),
    [
        ("sandbox-quota", 402, "Insufficient quota"),
        ("sandbox-quota-2", 402, "Insufficient quota"),
        ("sandbox-device-farm", 500, "Device Farm Project ARN is not configured"),
        ("sandbox-web-page", 200, "<!DOCTYPE html>"),
    ],
)
def test_special_answer_is_to_starts_alone(caller: Caller, subject: str, status: int, text: str) -> None:
    """No run is started."""
    for kind in ("test", "folder", "tag"):
        found = caller.start(subject, kind=kind)
        assert (found.status_code, text in found.text) == (status, True)
    assert caller.get(f"/run/{subject}/status").status_code == 404


def test_listed_folder_without_an_id_is_listed_alone() -> None:
    """For rehearsing what a list may lack."""
    listed: list[dict[str, object]] = [{"name": "F"}, {"id": None}, {"id": "f", "tests": [{"name": "T"}, {"id": 1}]}]
    with Sandbox(folders=listed) as sandbox, Caller(sandbox) as caller:
        assert caller.get("/folder").json() == listed
        assert caller.get("/folder/f").json() == listed[2]
        assert caller.get("/folder/x").status_code == 404


def test_unknown_contract_is_refused() -> None:
    with pytest.raises(ValueError, match="2025-06, 2026-01"):
        Sandbox(contract="2024-01")


@pytest.mark.parametrize("status", [429, 503])
def test_an_id_can_ask_to_be_put_off_once(caller: Caller, status: int) -> None:
    answers = [caller.start(f"sandbox-{status}{end}") for end in ("", "", "", "-other", "-other")]
    assert [answer.status_code for answer in answers] == [status, 200, 200, status, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["1", None, None, "1", None]


def test_an_id_can_ask_to_be_put_off_for_ever(caller: Caller) -> None:
    answers = [caller.start("sandbox-429-always") for _ in range(3)]
    assert [(a.status_code, a.headers["Retry-After"]) for a in answers] == [(429, "1")] * 3


def test_a_fault_of_the_server_names_no_time_to_come_back(caller: Caller) -> None:
    assert "Retry-After" not in caller.start("sandbox-500").headers


def test_scripted_ids_answer_so_in_status_requests_too(caller: Caller) -> None:
    for status in (401, 403, 404, 429, 500, 503):
        assert caller.get(f"/run/sandbox-{status}/status").status_code == status
        assert caller.get(f"/run/sandbox-{status}").status_code == status
        assert caller.get(f"/run/tag/sandbox-{status}/status").status_code == status


def test_a_slow_answer_takes_three_seconds_times_the_pace_and_the_run_starts_before_it() -> None:
    took = []
    with Sandbox(pace=0.02) as sandbox, Caller(sandbox) as caller:
        for _ in range(3):
            began = time.monotonic()
            answer = caller.start("sandbox-slow")
            took.append(time.monotonic() - began)
            # The 0.06 s of its run are over as well.
            assert caller.status(answer.json()["run_id"]) == "passed"
    # Without the pace, each takes 3 s. On a busy machine one may.
    assert 0.06 <= min(took) < 2.9


def test_a_client_that_gives_up_on_a_slow_answer_has_been_counted() -> None:
    with Sandbox(pace=10) as sandbox:
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{sandbox.url}/test/sandbox-slow/run", headers=CREDENTIALS, timeout=0.2)
        # A busy machine may read the request only after the client has given up.
        until = time.monotonic() + 60
        while not sandbox.count_starts("sandbox-slow") and time.monotonic() < until:
            time.sleep(0.01)
        assert sandbox.count_starts("sandbox-slow") == 1


def test_every_scripted_id_is_described_in_words() -> None:
    assert len(SCENARIO_IDS) == 16
    assert all(name.startswith("sandbox-") and words for name, words in SCENARIO_IDS.items())


def test_an_id_that_only_begins_alike_is_an_ordinary_one(caller: Caller) -> None:
    assert caller.start("sandbox-4040").status_code == 200
    assert caller.start("my-sandbox-404").status_code == 200


@pytest.mark.parametrize("subject", ["a.b", "a%20b", "%0Ax", "%E2%82%AC", "x" * 129, "", ".."])
def test_an_id_that_is_none_is_not_found(sandbox: Sandbox, subject: str) -> None:
    # Prepared by hand: requests would tidy the address up.
    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request("POST", f"{sandbox.url}/x", headers=CREDENTIALS))
        prepared.url = f"{sandbox.url}/test/{subject}/run"
        answer = session.send(prepared, timeout=60)
    assert answer.status_code == 404
    assert answer.json()["error"] == "Not found"


@pytest.mark.parametrize("path", ["", "/", "/test", "/tests/a/run", "/test/a/run/", "/run", "/run/folder/a/b/status"])
def test_a_path_that_the_api_does_not_have_is_404(caller: Caller, path: str) -> None:
    assert caller.get(path).status_code == 404


def test_another_method_is_405_and_names_the_right_one(caller: Caller) -> None:
    answer = caller.get("/test/abc/run")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert caller.session.delete(f"{caller.url}/folder", timeout=60).headers["Allow"] == "GET"


def test_a_run_that_was_never_started_is_not_found_in_the_contracts_words(caller: Caller) -> None:
    answer = caller.get("/run/cm0000/status")
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "Not found", "message": "Resource with id `cm0000` not found"},
    )


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b'{"id": NaN}', b"[" * 100_000, b'{"id": "abc"} x', b"1" * 5000, b"\xef\xbb\xbf{}"],
    ids=["cut", "not UTF-8", "NaN", "deep", "more", "long number", "byte order mark"],
)
def test_a_body_that_is_not_json_is_400(caller: Caller, sandbox: Sandbox, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = caller.session.post(f"{caller.url}/test/abc/run", data=body, headers=headers, timeout=60)
    assert answer.status_code == 400
    assert sandbox.received[-1].body is None


def test_a_body_of_another_type_is_415(caller: Caller) -> None:
    answer = caller.session.post(
        f"{caller.url}/test/abc/run", data='{"id": "abc"}', headers={"Content-Type": "text/plain"}, timeout=60
    )
    assert answer.status_code == 415


def test_a_refusal_says_which_field_but_never_quotes_a_value(caller: Caller) -> None:
    answer = caller.start("abc", runtime_metadata={"PASSWORD": ["hunter2"]})
    assert answer.status_code == 422
    assert "'PASSWORD'" in answer.text
    assert "hunter2" not in answer.text
