"""A run's life: what its status, its details and its page say as time goes by."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.sandbox.caller import Caller, Clock

if TYPE_CHECKING:
    from collections.abc import Sequence


def states(caller: Caller, clock: Clock, run_id: str, ages: Sequence[float]) -> list[str]:
    born = clock.now
    seen = []
    for age in ages:
        clock.now = born + age
        seen.append(caller.status(run_id))
    return seen


def test_a_run_goes_from_pending_over_running_to_passed(caller: Caller, clock: Clock) -> None:
    run_id = caller.run("checkout")
    assert states(caller, clock, run_id, [0, 0.99, 1, 2.99, 3, 1e6]) == [
        "pending", "pending", "running", "running", "passed", "passed",
    ]  # fmt: skip


@pytest.mark.parametrize("subject", ["sandbox-fails", "sandbox-fails-2"])
def test_a_run_that_is_to_fail_does_so_at_its_end(caller: Caller, clock: Clock, subject: str) -> None:
    assert states(caller, clock, caller.run(subject), [0, 1, 3]) == ["pending", "running", "failed"]


def test_a_run_that_stays_never_ends(caller: Caller, clock: Clock) -> None:
    run_id = caller.run("sandbox-stays")
    assert states(caller, clock, run_id, [0, 3, 1e9]) == ["pending", "running", "running"]
    assert caller.get(f"/run/{run_id}").json()["ended_at"] is None


def test_a_flaky_test_fails_once_for_each_id_and_then_passes(caller: Caller, clock: Clock) -> None:
    runs = [caller.run(subject) for subject in ("sandbox-flaky", "sandbox-flaky", "sandbox-flaky-b", "sandbox-flaky-b")]
    clock.now += 3
    assert [caller.status(run_id) for run_id in runs] == ["failed", "passed", "failed", "passed"]


@pytest.mark.parametrize(("pace", "ages"), [(0.0, (0, 0, 0)), (0.5, (0.4, 0.5, 1.5)), (10.0, (9.9, 10, 30))])
def test_the_pace_stretches_a_life(pace: float, ages: Sequence[float]) -> None:
    clock = Clock(0.0)
    with Sandbox(pace=pace, clock=clock) as sandbox, Caller(sandbox) as caller:
        expected = ["passed"] * 3 if pace == 0 else ["pending", "running", "passed"]
        assert states(caller, clock, caller.run("checkout"), ages) == expected


@pytest.mark.parametrize("pace", [-1.0, float("nan"), float("inf")])
def test_a_pace_that_is_no_span_of_time_is_refused(pace: float) -> None:
    with pytest.raises(ValueError, match="pace"):
        Sandbox(pace=pace)


@pytest.mark.parametrize("kind", ["folder", "tag"])
def test_runs_of_folders_and_tags_live_too_under_their_own_address(caller: Caller, clock: Clock, kind: str) -> None:
    answer = caller.start("sandbox-fails", kind=kind, run_on_latest=True).json()
    run_id = answer[f"{kind}_run_id"]
    clock.now += 3
    told = caller.get(f"/run/{kind}/{run_id}/status").json()
    assert told == {"status": "failed", "url": answer["url"]}
    assert answer["url"] == f"{caller.origin}/run/{kind}/{run_id}"
    assert caller.get(f"/run/{run_id}/status").status_code == 404


def test_details_tell_what_was_asked_for_and_when(caller: Caller, clock: Clock) -> None:
    run_id = caller.run("cm8d9gt6v000c9fe5glmyi33u", source="gitlab", application_version_id="v1")
    before = caller.get(f"/run/{run_id}").json()
    clock.now += 3
    after = caller.get(f"/run/{run_id}").json()
    assert (before["status"], before["ended_at"]) == ("pending", None)
    created, ended = (datetime.fromisoformat(after[key]) for key in ("created_at", "ended_at"))
    assert ended - created == timedelta(seconds=3)
    assert after["created_at"] == before["created_at"]
    assert (after["test_id"], after["name"]) == ("cm8d9gt6v000c9fe5glmyi33u", "Checkout pays by card")
    assert after["folder"]["name"] == "checkout"
    assert after["metadata"]["source"] == "gitlab"
    assert after["metadata"]["application_version_id"] == "v1"


def test_steps_and_media_come_only_when_asked_for(caller: Caller, clock: Clock) -> None:
    run_id = caller.run("checkout")
    clock.now += 3
    assert "steps" not in caller.get(f"/run/{run_id}").json()
    bare = caller.get(f"/run/{run_id}", steps="true").json()["steps"]
    full = caller.get(f"/run/{run_id}", steps="true", media="true").json()["steps"]
    assert len(bare) == len(full) == 4
    assert {step["image"] for step in bare} == {None}
    assert len({step["image"] for step in full}) == 4
    assert {step["status"] for step in full} == {"passed"}
    assert caller.get(f"/run/{run_id}", steps="1").status_code == 422


def test_steps_come_as_the_run_gets_on(caller: Caller, clock: Clock) -> None:
    run_id = caller.run("checkout")
    counts = []
    for _ in range(4):
        counts.append(len(caller.get(f"/run/{run_id}", steps="true").json()["steps"]))
        clock.now += 1
    assert counts == [0, 2, 2, 4]


def test_the_last_step_of_a_failed_run_says_why(caller: Caller, clock: Clock) -> None:
    run_id = caller.run("sandbox-fails")
    clock.now += 3
    *others, last = caller.get(f"/run/{run_id}", steps="true").json()["steps"]
    assert {step["status"] for step in others} == {"passed"}
    assert last["status"] == "failed"
    assert "Something went wrong" in last["output"]


def test_run_ids_are_new_each_time(caller: Caller) -> None:
    ids = {caller.run("checkout") for _ in range(20)}
    assert len(ids) == 20
    assert all(len(run_id) == 25 and run_id.isalnum() for run_id in ids)


def test_folders_come_in_pages(caller: Caller) -> None:
    whole = caller.get("/folder").json()
    pages = [caller.get("/folder", limit=1, offset=n).json() for n in range(len(whole) + 1)]
    assert [folder for page in pages for folder in page] == whole
    assert [len(page) for page in pages] == [1, 1, 1, 0]
    assert all(test["name"] and test["id"] for folder in whole for test in folder["tests"])


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"limit": ""}, {"offset": -1}, {"offset": "9" * 5000}]
)
def test_a_page_that_can_not_be_is_refused(caller: Caller, query: dict[str, object]) -> None:
    assert caller.get("/folder", **query).status_code == 422
