"""Ids of another target kind in a whole step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.fault_server import FaultServer
from tests.support.faults import close, send_response
from tests.support.invoke_command import CREDENTIALS, invoke

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.fault_server import Connection, RequestHandler

FOLDER, TEST, TAG = "cm7t223mk00154mzy2jwk2pqy", "g41k688vndxzt7kh4kq5m12s", "cm9r0nog10012v301qtollv01"
TEST_TITLE = "List a flat"
NOT_FOUND_BODY = '{"error": "Not found", "message": "no such thing"}'


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (("--test-ids", FOLDER), f"{FOLDER} is the id of the folder private-listing-hub. Put it into --folder-ids."),
        (("--tag-ids", FOLDER), f"{FOLDER} is the id of the folder private-listing-hub. Put it into --folder-ids."),
        (("--folder-ids", TEST), f"{TEST} is the id of the test {TEST_TITLE}. Put it into --test-ids."),
        (("--tag-ids", TEST), f"{TEST} is the id of the test {TEST_TITLE}. Put it into --test-ids."),
        (("--test-ids", TAG), "The id of a tag belongs in tag-ids, or under `tags` in a manifest."),
        (("--folder-ids", TAG), "The id of a tag belongs in tag-ids, or under `tags` in a manifest."),
    ],
)
def test_misplaced_id_is_explained(options: tuple[str, ...], advice: str, tmp_path: Path) -> None:
    """Log and results.json explain it, the exit code is 4, and each run is sent once."""
    with Sandbox(pace=0) as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url, "AUTONOMA_RESULTS_DIR": "r"}
        result = invoke(tmp_path, *options, environ=environ)
        assert sandbox.count_starts(options[1]) == 1
    assert result.code == 4
    assert advice in result.output
    (run,) = json.loads((tmp_path / "r" / "results.json").read_text("utf-8"))["runs"]
    assert advice in run["suggestion"]


@pytest.mark.parametrize(
    ("environ", "advice"),
    [
        ({"AUTONOMA_TEST_IDS": FOLDER}, "Put it into AUTONOMA_FOLDER_IDS."),
        ({"GITHUB_ACTIONS": "true", "INPUT_TEST-IDS": FOLDER}, "Put it into folder-ids."),
    ],
)
def test_misplaced_id_names_option_as_written(environ: Mapping[str, str], advice: str, tmp_path: Path) -> None:
    """The advice names the variable or the input that the user wrote."""
    with Sandbox(pace=0) as sandbox:
        result = invoke(tmp_path, "run", environ={**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url, **environ})
    assert advice in result.output


def test_misplaced_id_names_manifest_key(tmp_path: Path) -> None:
    """The advice names the key of the manifest."""
    (tmp_path / "autonoma.yml").write_text(f"tests: [{FOLDER}]\nfolders: [{TEST}]\n", "utf-8")
    with Sandbox(pace=0) as sandbox:
        result = invoke(tmp_path, "run", environ={**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url})
    assert (
        f"{FOLDER} is the id of the folder private-listing-hub. Put it under folders in the manifest." in result.output
    )
    assert f"{TEST} is the id of the test {TEST_TITLE}. Put it under tests in the manifest." in result.output


def test_known_ids_need_no_lookup(tmp_path: Path) -> None:
    """Without HTTP 404, the step sends start requests only."""
    with Sandbox(pace=0) as sandbox:
        invoke(tmp_path, "--test-ids", "a,sandbox-500", environ={**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url})
        assert {request.method for request in sandbox.received} == {"POST"}


def reject_starts(body: object) -> RequestHandler:
    """Reject start requests, and respond to other requests with this body."""

    def handler(connection: Connection) -> bool:
        is_start = connection.request.method == "POST"
        return (
            send_response(404, NOT_FOUND_BODY)(connection)
            if is_start
            else send_response(200, json.dumps(body))(connection)
        )

    return handler


def test_name_in_advice_is_sanitized(tmp_path: Path) -> None:
    """The name shows no secret, stays on one line, and is no command of the runner."""
    secret = CREDENTIALS["AUTONOMA_CLIENT_SECRET"]
    name = f"x\n::error::mine\r##[group]y \x1b[31m {secret} the-value " + "z" * 5000
    with FaultServer(reject_starts({"id": "a", "name": name})) as server:
        more = {"AUTONOMA_API_URL": server.url, "AUTONOMA_VARIABLES": "V=the-value", "GITHUB_ACTIONS": "true"}
        result = invoke(tmp_path, "--test-ids", "a", environ={**CREDENTIALS, **more})
    output = result.output.replace(f"::add-mask::{secret}", "")
    assert "a is the id of the folder x" in output
    assert secret not in output
    assert "the-value" not in output
    assert not any(line.startswith(("::error::mine", "##[group]")) for line in output.splitlines())
    assert "\x1b" not in output
    assert "z" * 200 not in output


@pytest.mark.slow
@pytest.mark.parametrize(
    "handler",
    [
        reject_starts({}),
        reject_starts([]),
        reject_starts({"id": "another", "name": "x"}),
        reject_starts({"id": 1, "name": "x"}),
        lambda connection: (
            send_response(404, NOT_FOUND_BODY)(connection) if connection.request.method == "POST" else close(connection)
        ),
        send_response(404, NOT_FOUND_BODY),
    ],
    ids=["empty", "a list", "another id", "no text", "no answer", "not there"],
)
def test_failed_lookup_changes_nothing(handler: RequestHandler, tmp_path: Path) -> None:
    """Without a usable response, the advice is that of HTTP 404."""
    with FaultServer(handler) as server:
        result = invoke(tmp_path, "--test-ids", "a", environ={**CREDENTIALS, "AUTONOMA_API_URL": server.url})
        assert server.post_counts == {"a": 1}
    assert result.code == 4
    assert "must exist in the account of these credentials" in result.output
