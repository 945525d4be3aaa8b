"""What is known of every run of the plan at this moment: the one place where it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autonoma_ci.api.run_ids import find_linked_run
from autonoma_ci.models import Earlier, Evidence, Kind, Outcome, Reason, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autonoma_ci.api.models import Details

_CONTRADICTED = "Look at the run's page: the API gives two answers about it."


class Board:
    """The outcomes in plan order; `origin` is the clock's time from which their `began` counts.

    `earlier_ids` are the ids of runs that an earlier attempt at this build started. No new run has one of them.
    """

    def __init__(
        self, outcomes: Iterable[Outcome], origin: float, earlier_ids: frozenset[tuple[Kind, str]] = frozenset()
    ) -> None:
        self.outcomes = list(outcomes)
        self.origin = origin
        self._earlier_ids = earlier_ids
        self._claimed: set[tuple[Kind, str]] = set()

    def claim(self, kind: Kind, run_id: str, url: str = "") -> bool:
        """Register a run by its id and the id in its link; return False if another run has one of them already.

        A run without either is registered by its link.
        """
        names = _names_of(kind, run_id, url) or {(kind, url)}
        if names & self._claimed:
            return False
        self._claimed |= names
        return True

    def claim_start(self, kind: Kind, run_id: str, url: str) -> bool:
        """Register a run that was just started; return False if it is not a new one."""
        return not _names_of(kind, run_id, url) & self._earlier_ids and self.claim(kind, run_id, url)

    def change(self, position: int, **changes: Any) -> Outcome:
        """Note what is new of a run, and return all that is known of it now."""
        self.outcomes[position] = self.outcomes[position]._replace(**changes)
        return self.outcomes[position]

    def start_again(self, position: int) -> None:
        """Put the run that failed with the earlier ones, and a new one in its place."""
        was = self.outcomes[position]
        failed = Earlier(was.run_id, was.url, was.message, was.step, was.began, was.seconds, was.evidence)
        earlier = (*was.earlier, failed)
        self.outcomes[position] = Outcome(was.request, title=was.title, earlier=earlier, request_mac=was.request_mac)

    def take_back(self, position: int) -> Outcome:
        """Put the last run that failed in the place of one that could not be started after it."""
        was = self.outcomes[position]
        *earlier, last = was.earlier
        return self.change(
            position,
            state=State.FAILED,
            reason=Reason.FAILED,
            run_id=last.run_id,
            url=last.url,
            message=f"it could not be started again: {was.message}",
            step=last.step,
            began=last.began,
            seconds=last.seconds,
            earlier=tuple(earlier),
            evidence=last.evidence,
        )

    def explain(self, position: int, run_id: str, details: Details) -> None:
        """Note what the API tells of a run that ended; if it failed, it may have been started again since."""
        was = self.outcomes[position]
        title = details.title or was.title
        if was.run_id == run_id and details.seconds is not None:
            self.change(position, seconds=details.seconds)
        self._change_run(position, run_id, step=details.step, evidence=Evidence(details.steps))
        self.change(position, title=title)

    def contradict(self, position: int, ended: Outcome, why: str) -> Outcome:
        """Record that the API contradicts itself about a run that ended, and return the run as it is now.

        A pass is no pass then. The run may have been started again since.
        """
        changes: dict[str, Any] = {"message": why}
        if ended.state is State.PASSED:
            unknown = {"state": State.UNKNOWN, "reason": Reason.UNKNOWN, "hint": _CONTRADICTED, "doubted": True}
            changes.update(unknown)
        self._change_run(position, ended.run_id, **changes)
        return ended._replace(**changes)

    def keep(self, position: int, run_id: str, change: Callable[[Evidence], Evidence]) -> None:
        """Note what is new of the evidence of a run, which may have been started again since."""
        was = self.outcomes[position]
        runs: list[Outcome | Earlier] = [was, *was.earlier]
        found = [run.evidence for run in runs if run.run_id == run_id]
        if found:
            self._change_run(position, run_id, evidence=change(found[0]))

    def _change_run(self, position: int, run_id: str, **changes: Any) -> None:
        was = self.outcomes[position]
        if was.run_id == run_id:
            self.change(position, **changes)
            return
        earlier = (run._replace(**changes) if run.run_id == run_id else run for run in was.earlier)
        self.change(position, earlier=tuple(earlier))


def _names_of(kind: Kind, run_id: str, url: str) -> set[tuple[Kind, str]]:
    """Return the ids that a run is known by. The page of a tag run may be that of the run of a folder."""
    linked = ((of, find_linked_run(url, of)) for of in (kind, Kind.FOLDER))
    return {(of, name) for of, name in ((kind, run_id), *linked) if name}
