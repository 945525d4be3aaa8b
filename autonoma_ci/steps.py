"""What a run did, step by step, and what was kept of it."""

from __future__ import annotations

from typing import NamedTuple

# Of a run with more steps, the first and the last are kept; together they are enough to see why it failed.
STEPS_LIMIT = 200


class Step(NamedTuple):
    """One step of a run; `number` counts from 1, and the texts are from outside.

    `status` is the API's own word, `image` the path of its screenshot in results-dir; either may be empty.
    """

    number: int
    instruction: str = ""
    output: str = ""
    url: str = ""
    status: str = ""
    image: str = ""


class Evidence(NamedTuple):
    """What was kept of one run: its steps, the path of its video in results-dir, and why some of it is missing."""

    steps: tuple[Step, ...] = ()
    video: str = ""
    missing: str = ""

    @property
    def files(self) -> list[str]:
        """The paths of all files in results-dir, in the order of the steps."""
        return [path for path in (*(step.image for step in self.steps), self.video) if path]


NO_EVIDENCE = Evidence()
