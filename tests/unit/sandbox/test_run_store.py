"""Status, details and steps of a run over time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.sandbox_client import SandboxClient, SettableClock

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_states(client: SandboxClient, clock: SettableClock, run_id: str, ages: Sequence[float]) -> list[str]:
    created_at = clock.now
    observed_states = []
    for age in ages:
        clock.now = created_at + age
        observed_states.append(client.read_status(run_id))
    return observed_states


def test_run_goes_from_pending_to_passed(client: SandboxClient, clock: SettableClock) -> None:
    """The status changes from pending to running after 1 s and to passed after 3 s."""
    run_id = client.start_test("checkout")
    assert read_states(client, clock, run_id, [0, 0.99, 1, 2.99, 3, 1e6]) == [
        "pending", "pending", "running", "running", "passed", "passed",
    ]  # fmt: skip


@pytest.mark.parametrize("target_id", ["sandbox-fails", "sandbox-fails-2"])
def test_scripted_failure_ends_as_failed(client: SandboxClient, clock: SettableClock, target_id: str) -> None:
    """A scripted failure is pending and running before it fails."""
    assert read_states(client, clock, client.start_test(target_id), [0, 1, 3]) == ["pending", "running", "failed"]


def test_endless_run_never_ends(client: SandboxClient, clock: SettableClock) -> None:
    """The run of this scripted id is still running after 30 years."""
    run_id = client.start_test("sandbox-stays")
    assert read_states(client, clock, run_id, [0, 3, 1e9]) == ["pending", "running", "running"]
    assert client.get(f"/run/{run_id}").json()["ended_at"] is None


def test_flaky_id_fails_once(client: SandboxClient, clock: SettableClock) -> None:
    """The first run of a flaky id fails and the next runs pass."""
    runs = [
        client.start_test(target_id)
        for target_id in ("sandbox-flaky", "sandbox-flaky", "sandbox-flaky-b", "sandbox-flaky-b")
    ]
    clock.now += 3
    assert [client.read_status(run_id) for run_id in runs] == ["failed", "passed", "failed", "passed"]


@pytest.mark.parametrize(("pace", "ages"), [(0.0, (0, 0, 0)), (0.5, (0.4, 0.5, 1.5)), (10.0, (9.9, 10, 30))])
def test_pace_scales_times(pace: float, ages: Sequence[float]) -> None:
    """The pace is the factor of all times, and with 0 a run passes at once."""
    clock = SettableClock(0.0)
    with Sandbox(pace=pace, clock=clock) as sandbox, SandboxClient(sandbox) as client:
        expected = ["passed"] * 3 if pace == 0 else ["pending", "running", "passed"]
        assert read_states(client, clock, client.start_test("checkout"), ages) == expected


@pytest.mark.parametrize("pace", [-1.0, float("nan"), float("inf")])
def test_invalid_pace_is_rejected(pace: float) -> None:
    """A pace that is negative or not finite is an error."""
    with pytest.raises(ValueError, match="pace"):
        Sandbox(pace=pace)


@pytest.mark.parametrize("kind", ["folder", "tag"])
def test_folder_and_tag_runs_have_own_urls(client: SandboxClient, clock: SettableClock, kind: str) -> None:
    """Status and link of these runs contain their kind."""
    response = client.request_start("sandbox-fails", kind=kind, run_on_latest=True).json()
    run_id = response[f"{kind}_run_id"]
    clock.now += 3
    status = client.get(f"/run/{kind}/{run_id}/status").json()
    assert status == {"status": "failed", "url": response["url"]}
    assert response["url"] == f"{client.origin}/run/{kind}/{run_id}"
    assert client.get(f"/run/{run_id}/status").status_code == 404


def test_details_have_request_and_times(client: SandboxClient, clock: SettableClock) -> None:
    """Details have the start request and the times of the run."""
    run_id = client.start_test("cm8d9gt6v000c9fe5glmyi33u", source="gitlab", application_version_id="v1")
    before = client.get(f"/run/{run_id}").json()
    clock.now += 3
    after = client.get(f"/run/{run_id}").json()
    assert (before["status"], before["ended_at"]) == ("pending", None)
    created_at, ended_at = (datetime.fromisoformat(after[key]) for key in ("created_at", "ended_at"))
    assert ended_at - created_at == timedelta(seconds=3)
    assert after["created_at"] == before["created_at"]
    assert (after["test_id"], after["name"]) == ("cm8d9gt6v000c9fe5glmyi33u", "Checkout pays by card")
    assert after["folder"]["name"] == "checkout"
    assert after["metadata"]["source"] == "gitlab"
    assert after["metadata"]["application_version_id"] == "v1"


def test_steps_and_media_are_optional(client: SandboxClient, clock: SettableClock) -> None:
    """Details have steps and images only if the request asks for them."""
    run_id = client.start_test("checkout")
    clock.now += 3
    assert "steps" not in client.get(f"/run/{run_id}").json()
    steps_without_media = client.get(f"/run/{run_id}", steps="true").json()["steps"]
    steps_with_media = client.get(f"/run/{run_id}", steps="true", media="true").json()["steps"]
    assert len(steps_without_media) == len(steps_with_media) == 4
    assert {step["image"] for step in steps_without_media} == {None}
    assert len({step["image"] for step in steps_with_media}) == 4
    assert {step["status"] for step in steps_with_media} == {"passed"}
    assert client.get(f"/run/{run_id}", steps="1").status_code == 422


def test_steps_grow_with_time(client: SandboxClient, clock: SettableClock) -> None:
    """A run has more steps after some time."""
    run_id = client.start_test("checkout")
    counts = []
    for _ in range(4):
        counts.append(len(client.get(f"/run/{run_id}", steps="true").json()["steps"]))
        clock.now += 1
    assert counts == [0, 2, 2, 4]


def test_last_step_of_failed_run_has_reason(client: SandboxClient, clock: SettableClock) -> None:
    """Only the last step of a failed run has failed, and its output is the reason."""
    run_id = client.start_test("sandbox-fails")
    clock.now += 3
    *earlier_steps, last_step = client.get(f"/run/{run_id}", steps="true").json()["steps"]
    assert {step["status"] for step in earlier_steps} == {"passed"}
    assert last_step["status"] == "failed"
    assert "Something went wrong" in last_step["output"]


def test_run_ids_are_unique(client: SandboxClient) -> None:
    """Each run has another id of 25 letters and digits."""
    ids = {client.start_test("checkout") for _ in range(20)}
    assert len(ids) == 20
    assert all(len(run_id) == 25 and run_id.isalnum() for run_id in ids)


def test_folders_are_paged(client: SandboxClient) -> None:
    """Limit and offset select a part of the folders."""
    all_folders = client.get("/folder").json()
    pages = [client.get("/folder", limit=1, offset=n).json() for n in range(len(all_folders) + 1)]
    assert [folder for page in pages for folder in page] == all_folders
    assert [len(page) for page in pages] == [1, 1, 1, 0]
    assert all(test["name"] and test["id"] for folder in all_folders for test in folder["tests"])


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"limit": ""}, {"offset": -1}, {"offset": "9" * 5000}]
)
def test_invalid_page_is_rejected(client: SandboxClient, query: dict[str, object]) -> None:
    """A limit or offset outside of its range gets status 422."""
    assert client.get("/folder", **query).status_code == 422
