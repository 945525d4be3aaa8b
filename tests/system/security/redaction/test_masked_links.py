"""Ids and hosts that equal a masked value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support import github_parser as runner
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response
from tests.support.github_job import run_job

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fault_server import Connection


def build_start_response(url: str, run_id: str = "run-1") -> str:
    return json.dumps({"message": "Test started", "run_id": run_id, "url": url})


def list_warnings(log: str) -> list[str]:
    return [command.data for command in runner.find_commands(log) if command.name == "warning"]


def test_host_equal_to_client_id_warns(tmp_path: Path) -> None:
    """The warning says that the output run-ids is complete."""

    def handler(connection: Connection) -> bool:
        return send_response(200, build_start_response(f"http://{connection.request.headers['host']}/run/run-1"))(
            connection
        )

    with FaultServer(handler) as server:
        job = run_job(tmp_path, server.url, ["a"], extra_environ={"INPUT_CLIENT-ID": "127.0.0.1"})
    assert job.code == 0
    [warning] = list_warnings(job.log)
    assert "with a credential in the URL" in warning
    assert "run-ids is complete" in warning
    assert json.loads(job.outputs["run-ids"]) == ["run-1"]


def test_link_with_masked_value_is_omitted(tmp_path: Path) -> None:
    """The run has its id and no link."""
    with FaultServer(send_response(200, build_start_response("https://shop.autonoma.app/run/run-1"))) as server:
        job = run_job(tmp_path, server.url, ["a"], extra_environ={"INPUT_CLIENT-ID": "shop.autonoma"})
    assert job.code == 0
    [warning] = list_warnings(job.log)
    assert "without URL" in warning
    assert "a (run run-1)" in warning
    assert (job.outputs["run-id"], job.outputs["run-url"]) == ("run-1", "")


def test_id_with_credential_makes_run_unknown(tmp_path: Path) -> None:
    """The message of the run says that its id holds a credential."""
    with FaultServer(send_response(200, build_start_response("", "client-secret-of-the-test"))) as server:
        job = run_job(tmp_path, server.url, ["a"])
    assert job.code == 7
    assert "the run id contains a credential" in job.results_json["runs"][0]["message"]
    assert "client-secret-of-the-test" not in job.visible_text.replace("::add-mask::client-secret-of-the-test", "")
