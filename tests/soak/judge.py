"""Whether what was reported of each planned run is what really happened: none lost, none started twice."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.soak.ledger import ENDS, Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from autonoma_ci.models import RunResult
    from tests.soak.ledger import Ledger, Post

_OPEN = {"timed-out", "unknown"}


class Found(NamedTuple):
    """What was reported of one planned run; `earlier` are the ids of those that failed and were started again."""

    subject: str
    state: str
    run_id: str
    earlier: tuple[str, ...] = ()
    hint: str = ""


def of_outcome(run: RunResult) -> Found:
    """Return what the engine says of a run."""
    return Found(
        run.request.id, run.state, run.run_id, tuple(each.run_id for each in run.previous_attempts), run.suggestion
    )


def of_record(run: Mapping[str, Any]) -> Found:
    """Return what results.json says of a run."""
    return Found(
        run["id"],
        run["state"],
        run["run_id"],
        tuple(each["run_id"] for each in run["previous_attempts"]),
        run["suggestion"],
    )


class Judged(NamedTuple):
    """What is wrong, a line each; `unseen` are the runs that may have started by a POST that never reached us."""

    complaints: list[str]
    unseen: int


def judge(ledger: Ledger, planned: Sequence[str], runs: Iterable[Found], retries: int) -> Judged:
    """Compare all runs with what really happened."""
    runs = list(runs)
    complaints = [f"{subject}: POSTs for what nobody planned" for subject in set(ledger.posts) - set(planned)]
    if [run.subject for run in runs] != list(planned):
        complaints.append(f"{len(planned)} runs were planned, and others or {len(runs)} are reported")
    unseen = 0
    for run in runs:
        posts = ledger.posts.get(run.subject, [])
        told = chain(_sent(ledger, posts, retries), _kept(ledger, posts, run), _called(ledger, posts, run))
        complaints += [f"{run.subject}: {text}" for text in told]
        last = posts[-1].told if posts else Told.AGAIN
        if run.state == "unknown" and not run.run_id and last in {Told.AGAIN, Told.STARTED}:
            unseen += 1
    return Judged(complaints, unseen)


def _sent(ledger: Ledger, posts: Sequence[Post], retries: int) -> Iterator[str]:
    """Say which POSTs should not have been sent."""
    for number, post in enumerate(posts[:-1], 1):
        if post.told in {Told.NOTHING, Told.NO}:
            yield f"POST {number} of {len(posts)} may have arrived, or was refused, and was sent again"
        if post.told is Told.STARTED and ledger.ends.get(post.run_id) != "failed":
            yield f"{post.run_id} was not known to have failed, and was started again"
    if sum(post.told is Told.STARTED for post in posts) > 1 + retries:
        yield "it was started more often than was asked for"


def _kept(ledger: Ledger, posts: Sequence[Post], run: Found) -> Iterator[str]:
    """Say which runs are lost, made up, or wrongly called failed."""
    ids = {*run.earlier, run.run_id} - {""}
    for post in posts:
        if post.told is Told.STARTED and post.run_id not in ids:
            yield f"{post.run_id} was started, and is lost"
    for run_id in ids - {post.run_id for post in posts}:
        yield f"{run_id} is reported, and was never started"
    for run_id in run.earlier:
        if ledger.ends.get(run_id) != "failed":
            yield f"{run_id} was not known to have failed"


def _called(ledger: Ledger, posts: Sequence[Post], run: Found) -> Iterator[str]:
    """Say why its state is not the true one."""
    last = posts[-1].told if posts else Told.AGAIN
    known = ledger.ends.get(run.run_id)
    if last is Told.NOTHING and (run.run_id or run.state != "unknown"):
        yield f"its last POST may have arrived, and it is called {run.state}"
    elif last is Told.NO and run.state not in {"not-started", "failed"}:
        yield f"its last POST was refused for good, and it is called {run.state}"
    elif run.state in ENDS.values():
        if not run.run_id or run.state != known:
            yield f"it is called {run.state}, and what was told is {known}"
    elif run.state == "not-started":
        if any(post.run_id for post in posts):
            yield "it is called not started, and was"
    elif run.state not in _OPEN:
        yield f"it ends as {run.state}"
    elif run.run_id and known:
        yield f"it is called {run.state}, and was told to be {known}"
    elif not run.run_id and "may have started" not in run.hint:
        yield f"nobody is told that it may have started: {run.hint!r}"


def states(runs: Iterable[Found]) -> Counter[str]:
    """Return how many runs have which state; those that may have started are apart from the other unknown ones."""
    return Counter("may have started" if run.state == "unknown" and not run.run_id else run.state for run in runs)
