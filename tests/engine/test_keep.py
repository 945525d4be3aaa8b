"""Keeping screenshots and videos, on a clock that is turned by hand: which, in what order, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import Details, Item, Kept, Media
from autonoma_ci.engine.evidence import Keeping
from autonoma_ci.engine.poller import Waiting
from autonoma_ci.engine.workers import Interrupt
from autonoma_ci.models import Kind, State, Step
from tests.engine.test_wait import FAILED, PASSED, STOPPED, Job, takes

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.api.models import Status
    from tests.support.fake_clock import Run

FAILING = Step(2, "Pay", "No button")
STEPS = (Step(1, "Open"), FAILING, Step(3, "Close"))
MEDIA = {number: Media(f"https://media.test/{number}") for number in (0, 1, 2, 3)}
FOUND = Details("Checkout", FAILING, None, "", STEPS, MEDIA)


def shown(
    seconds: float = 10, end: Status = FAILED, keeps: Callable[[Item, int], Kept] | None = None, delay: float = 0.05
) -> Run:
    """Return a run with three steps and a video."""
    run = takes(seconds, end, delay)._replace(details=FOUND)
    return run._replace(keeps=keeps) if keeps else run


def numbers(job: Job) -> list[int]:
    return [item.number for item in job.workers.fetched]


@pytest.mark.parametrize(
    ("of", "end", "count"),
    [("failed", FAILED, 4), ("failed", STOPPED, 4), ("failed", PASSED, 0), ("all", PASSED, 4), ("all", FAILED, 4)],
)
def test_files_are_kept_of_the_runs_that_are_wanted(of: str, end: Status, count: int) -> None:
    job = Job(shown(end=end), keeping=Keeping(of)).run()
    assert len(numbers(job)) == count
    assert len(job.first.evidence.files) == count


def test_without_evidence_nothing_is_fetched_and_no_addresses_are_asked_for() -> None:
    job = Job(shown()).run()
    assert numbers(job) == []
    assert [step.instruction for step in job.first.evidence.steps] == ["Open", "Pay", "Close"]


def test_what_shows_the_failure_comes_first_and_the_video_last() -> None:
    assert numbers(Job(shown(), keeping=Keeping(at_once=1)).run()) == [2, 1, 3, 0]


def test_files_of_failures_go_before_those_of_passes() -> None:
    job = Job(shown(end=PASSED), shown(10), keeping=Keeping("all", at_once=1)).run()
    spare = [item.spare for item in job.workers.fetched]
    assert spare.count(False) == 4
    assert spare[1:5] == [False] * 4, "only the one that was under way already may go before"


def test_each_file_is_noted_at_its_step() -> None:
    evidence = Job(shown(), keeping=Keeping()).run().first.evidence
    assert [step.image for step in evidence.steps] == [f"evidence/run-0-1/{number}" for number in (1, 2, 3)]
    assert (evidence.video, evidence.missing) == ("evidence/run-0-1/0", "")


def test_only_so_many_files_are_fetched_at_a_time() -> None:
    job = Job(*[shown() for _ in range(8)], keeping=Keeping(at_once=3)).run()
    assert len(numbers(job)) == 32
    assert job.workers.fetches_at_once == 3


def test_each_attempt_has_its_own_evidence() -> None:
    job = Job([shown(), shown()], waiting=Waiting(retries=1), keeping=Keeping()).run()
    assert job.first.earlier[0].evidence.files[0] == "evidence/run-0-1/1"
    assert job.first.evidence.files[0] == "evidence/run-0-2/1"


@pytest.mark.parametrize("kind", [Kind.FOLDER, Kind.TAG])
def test_only_runs_of_tests_have_evidence(kind: Kind) -> None:
    assert numbers(Job(shown(), kind=kind, keeping=Keeping("all")).run()) == []


def expired(item: Item, time: int) -> Kept:
    return Kept(problem="HTTP 403", again=True) if time == 1 else Kept(f"evidence/{item.number}")


def test_addresses_that_expired_are_asked_for_anew_once_for_all_files_of_a_run() -> None:
    job = Job(shown(keeps=expired), keeping=Keeping()).run()
    assert len(job.workers.refreshed) == 1
    assert len(job.first.evidence.files) == 4
    assert job.first.evidence.missing == ""


def test_the_second_time_an_address_is_the_new_one() -> None:
    job = Job(shown(keeps=lambda item, _: Kept(problem="HTTP 403", again="old" in item.media.url)), keeping=Keeping())
    explain = job.workers.explain

    def old(position: int, request: object, run_id: str, *, media: bool = False) -> None:
        born, run = job.workers._run(position, run_id)
        stale = run._replace(details=FOUND._replace(media={2: Media("https://media.test/old")}))
        job.workers._born[position, run_id] = born, stale
        explain(position, job.first.request, run_id, media=media)
        job.workers._born[position, run_id] = born, run

    job.workers.explain = old  # type: ignore[method-assign]
    job.run()
    assert [item.media.url for item in job.workers.fetched] == ["https://media.test/old", "https://media.test/2"]


def test_what_goes_wrong_twice_is_told_with_its_count_and_changes_no_verdict() -> None:
    job = Job(shown(keeps=lambda *_: Kept(problem="HTTP 404", again=True)), keeping=Keeping()).run()
    assert len(numbers(job)) == 8
    assert job.first.evidence.missing == "4 of its files: HTTP 404"
    assert (job.states, job.code) == ([State.FAILED], 1)
    passed = Job(shown(end=PASSED, keeps=lambda *_: Kept(problem="no room")), keeping=Keeping("all")).run()
    assert (passed.states, passed.code) == ([State.PASSED], 0)


def test_what_another_address_would_not_mend_is_not_asked_for_again() -> None:
    job = Job(shown(keeps=lambda *_: Kept(problem="larger than it may be")), keeping=Keeping()).run()
    assert len(numbers(job)) == 4
    assert job.workers.refreshed == []


def test_details_that_can_not_be_had_leave_a_word() -> None:
    job = Job(takes(10, FAILED), keeping=Keeping()).run()
    assert job.first.evidence.missing == "its details could not be had: HTTP 500"


def test_details_of_a_pass_whose_files_are_wanted_are_worth_another_question() -> None:
    assert len(Job(takes(10), keeping=Keeping("all")).run().workers.explained) == 3


def test_files_that_never_come_hold_up_the_step_for_a_limited_time() -> None:
    job = Job(shown(keeps=expired), keeping=Keeping(closing=60))
    job.workers.fetch = lambda position, item: None  # type: ignore[method-assign]
    job.run()
    assert 60 <= job.seconds <= 80
    assert job.first.evidence.missing == "4 of its files: they took too long"


def test_files_are_fetched_while_other_runs_go_on() -> None:
    """Their addresses are good for an hour, and a wait may be longer."""
    job = Job(shown(10), takes(3000), waiting=Waiting(timeout=4000), keeping=Keeping())
    fetch, at = job.workers.fetch, []

    def noted(position: int, item: Item) -> None:
        at.append(job.seconds)
        fetch(position, item)

    job.workers.fetch = noted  # type: ignore[method-assign]
    job.run()
    assert len(at) == 4
    assert max(at) < 30


def test_a_signal_ends_it_and_says_what_is_missing() -> None:
    job = Job(shown(delay=1.0), keeping=Keeping(at_once=1))
    fetch = job.workers.fetch

    def once(position: int, item: Item) -> None:
        fetch(position, item)
        job.clock.later(0.5, Interrupt(15))

    job.workers.fetch = once  # type: ignore[method-assign]
    job.run()
    assert job.engine.interrupt == 15
    assert job.first.evidence.missing == "4 of its files: the job was cancelled"
    assert job.seconds < 20


def test_the_deadline_of_the_wait_leaves_time_for_what_ended_before() -> None:
    job = Job(shown(10), takes(1e9), waiting=Waiting(timeout=20), keeping=Keeping()).run()
    assert job.states == [State.FAILED, State.TIMED_OUT]
    assert len(job.first.evidence.files) == 4


def test_many_runs_that_end_at_once_all_have_their_turn() -> None:
    """Eight are asked for at a time, and each question takes two seconds here: the last waits for a minute."""
    job = Job(*[shown(10, delay=2.0) for _ in range(300)], keeping=Keeping(at_once=64)).run()
    assert all(len(outcome.evidence.files) == 4 for outcome in job.board.outcomes)


def test_details_that_never_come_hold_up_the_step_for_a_limited_time() -> None:
    job = Job(*[shown() for _ in range(300)], keeping=Keeping(closing=60))
    job.workers.explain = lambda *_, **__: None  # type: ignore[method-assign]
    job.run()
    assert job.seconds <= 90
    assert all("could not be had" in outcome.evidence.missing for outcome in job.board.outcomes)
    assert job.states == [State.FAILED] * 300


@pytest.mark.parametrize(("last", "digits"), [(3, 3), (999, 3), (1000, 4), (12_345, 5)])
def test_names_of_files_are_in_the_order_of_the_steps(last: int, digits: int) -> None:
    found = FOUND._replace(media={number: Media("https://media.test/") for number in (1, last)})
    job = Job(takes(10, FAILED)._replace(details=found), keeping=Keeping()).run()
    assert {item.digits for item in job.workers.fetched} == {digits}
