"""Comparison of reported runs with what really happened."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.system.soak.ground_truth import FINAL_STATES, KnownResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from autonoma_ci.models import RunResult
    from tests.system.soak.ground_truth import GroundTruth, StartRecord

_OPEN_STATES = {"timed-out", "unknown"}


class ReportedRun(NamedTuple):
    """The report of one planned run."""

    target_id: str
    state: str
    run_id: str
    previous_ids: tuple[str, ...] = ()  # ids of the failed attempts
    suggestion: str = ""


def read_run_result(run: RunResult) -> ReportedRun:
    """Read the report of a run from the engine."""
    return ReportedRun(
        run.request.id,
        run.state,
        run.run_id,
        tuple(attempt.run_id for attempt in run.previous_attempts),
        run.suggestion,
    )


def read_results_run(run: Mapping[str, Any]) -> ReportedRun:
    """Read the report of a run from results.json."""
    return ReportedRun(
        run["id"],
        run["state"],
        run["run_id"],
        tuple(attempt["run_id"] for attempt in run["previous_attempts"]),
        run["suggestion"],
    )


class CheckResult(NamedTuple):
    """The result of a comparison."""

    errors: list[str]  # one line for each error
    unseen_count: int  # runs that may have started by a request that the ground truth lacks


def check_runs(
    ground_truth: GroundTruth, planned_ids: Sequence[str], runs: Iterable[ReportedRun], retries: int
) -> CheckResult:
    """Compare all reported runs with the ground truth."""
    runs = list(runs)
    errors = [
        f"{target_id}: POSTs for what nobody planned" for target_id in set(ground_truth.starts) - set(planned_ids)
    ]
    if [run.target_id for run in runs] != list(planned_ids):
        errors.append(f"{len(planned_ids)} runs were planned, and others or {len(runs)} are reported")
    unseen_count = 0
    for run in runs:
        posts = ground_truth.starts.get(run.target_id, [])
        run_errors = chain(
            _check_starts(ground_truth, posts, retries),
            _check_ids(ground_truth, posts, run),
            _check_state(ground_truth, posts, run),
        )
        errors += [f"{run.target_id}: {text}" for text in run_errors]
        last_result = posts[-1].known_result if posts else KnownResult.RETRYABLE
        if run.state == "unknown" and not run.run_id and last_result in {KnownResult.RETRYABLE, KnownResult.STARTED}:
            unseen_count += 1
    return CheckResult(errors, unseen_count)


def _check_starts(ground_truth: GroundTruth, posts: Sequence[StartRecord], retries: int) -> Iterator[str]:
    """Yield an error for each wrong start request."""
    for number, post in enumerate(posts[:-1], 1):
        if post.known_result in {KnownResult.INDETERMINATE, KnownResult.REJECTED}:
            yield f"POST {number} of {len(posts)} may have arrived, or was refused, and was sent again"
        if post.known_result is KnownResult.STARTED and ground_truth.final_states.get(post.run_id) != "failed":
            yield f"{post.run_id} was not known to have failed, and was started again"
    if sum(post.known_result is KnownResult.STARTED for post in posts) > 1 + retries:
        yield "it was started more often than was asked for"


def _check_ids(ground_truth: GroundTruth, posts: Sequence[StartRecord], run: ReportedRun) -> Iterator[str]:
    """Yield an error for each lost, invented or falsely failed run."""
    ids = {*run.previous_ids, run.run_id} - {""}
    for post in posts:
        if post.known_result is KnownResult.STARTED and post.run_id not in ids:
            yield f"{post.run_id} was started, and is lost"
    for run_id in ids - {post.run_id for post in posts}:
        yield f"{run_id} is reported, and was never started"
    for run_id in run.previous_ids:
        if ground_truth.final_states.get(run_id) != "failed":
            yield f"{run_id} was not known to have failed"


def _check_state(ground_truth: GroundTruth, posts: Sequence[StartRecord], run: ReportedRun) -> Iterator[str]:
    """Yield an error if the reported state is false."""
    last_result = posts[-1].known_result if posts else KnownResult.RETRYABLE
    final_state = ground_truth.final_states.get(run.run_id)
    if last_result is KnownResult.INDETERMINATE and (run.run_id or run.state != "unknown"):
        yield f"its last POST may have arrived, and it is called {run.state}"
    elif last_result is KnownResult.REJECTED and run.state not in {"not-started", "failed"}:
        yield f"its last POST was refused for good, and it is called {run.state}"
    elif run.state in FINAL_STATES.values():
        if not run.run_id or run.state != final_state:
            yield f"it is called {run.state}, and what was told is {final_state}"
    elif run.state == "not-started":
        if any(post.run_id for post in posts):
            yield "it is called not started, and was"
    elif run.state not in _OPEN_STATES:
        yield f"it ends as {run.state}"
    elif run.run_id and final_state:
        yield f"it is called {run.state}, and was told to be {final_state}"
    elif not run.run_id and "may have started" not in run.suggestion:
        yield f"nobody is told that it may have started: {run.suggestion!r}"


def count_states(runs: Iterable[ReportedRun]) -> Counter[str]:
    """Count the runs by state.

    Unknown runs without an id count as "may have started".
    """
    return Counter("may have started" if run.state == "unknown" and not run.run_id else run.state for run in runs)
