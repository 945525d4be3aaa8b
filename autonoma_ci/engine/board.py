"""What is known of every run of the plan at this moment: the one place where it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autonoma_ci.model import Earlier, Outcome, Reason, State
from autonoma_ci.steps import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autonoma_ci.exchange import Details


class Board:
    """The outcomes in plan order; `origin` is the clock's time from which their `began` counts."""

    def __init__(self, outcomes: Iterable[Outcome], origin: float) -> None:
        self.outcomes = list(outcomes)
        self.origin = origin

    def change(self, position: int, **changes: Any) -> Outcome:
        """Note what is new of a run, and return all that is known of it now."""
        self.outcomes[position] = self.outcomes[position]._replace(**changes)
        return self.outcomes[position]

    def start_again(self, position: int) -> None:
        """Put the run that failed with the earlier ones, and a new one in its place."""
        was = self.outcomes[position]
        failed = Earlier(was.run_id, was.url, was.message, was.step, was.began, was.seconds, was.evidence)
        self.outcomes[position] = Outcome(was.request, title=was.title, earlier=(*was.earlier, failed))

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
