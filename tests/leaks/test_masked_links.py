"""An id or a host that equals something masked: the run is not lost, and its id stays usable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support import runner
from tests.support.fault_server import FaultServer
from tests.support.faults import answer
from tests.support.job import run_job

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fault_server import Wire


def started(url: str, run_id: str = "run-1") -> str:
    return json.dumps({"message": "Test started", "run_id": run_id, "url": url})


def warnings(log: str) -> list[str]:
    return [command.data for command in runner.commands(log) if command.name == "warning"]


def test_a_host_that_equals_the_client_id_is_told_and_the_ids_are_whole(tmp_path: Path) -> None:
    def act(wire: Wire) -> bool:
        return answer(200, started(f"http://{wire.request.headers['host']}/run/run-1"))(wire)

    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ["a"], more={"INPUT_CLIENT-ID": "127.0.0.1"})
    assert job.code == 0
    [warning] = warnings(job.log)
    assert "whose link has a credential's value in it" in warning
    assert "the output run-ids is whole" in warning
    assert json.loads(job.outputs["run-ids"]) == ["run-1"]


def test_a_link_with_a_masked_value_is_left_out_and_the_id_is_kept(tmp_path: Path) -> None:
    with FaultServer(answer(200, started("https://shop.autonoma.app/run/run-1"))) as server:
        job = run_job(tmp_path, server.url, ["a"], more={"INPUT_CLIENT-ID": "shop.autonoma"})
    assert job.code == 0
    [warning] = warnings(job.log)
    assert "without a link" in warning
    assert "a is run-1" in warning
    assert (job.outputs["run-id"], job.outputs["run-url"]) == ("run-1", "")


def test_an_id_that_cant_be_shown_says_why_the_run_is_unknown(tmp_path: Path) -> None:
    with FaultServer(answer(200, started("", "client-secret-of-the-test"))) as server:
        job = run_job(tmp_path, server.url, ["a"])
    assert job.code == 7
    assert "the run's id holds a credential" in job.record["runs"][0]["message"]
    assert "client-secret-of-the-test" not in job.everything.replace("::add-mask::client-secret-of-the-test", "")
