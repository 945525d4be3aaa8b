"""Orders in junit.xml to show a run's files beside its test case, for GitLab and for Jenkins' plugin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.model import Outcome

# Nothing that could end the order, or begin another.
_FOLDER = re.compile(r"[\w@%+=:,./\\ -]{1,1000}")


def attachments(outcome: Outcome, folder: str) -> Iterator[str]:
    """Yield the orders to show the run's files, each on a line of its own.

    The most useful file comes first: GitLab takes one, and Jenkins has room for a few of a run that passed. That is the
    image of the failing step, or else the video and the end of the run.
    """
    evidence = outcome.evidence
    failing = [step.image for step in evidence.steps if outcome.step and step.number == outcome.step.number]
    images = [step.image for step in evidence.steps]
    files = [*failing, *images, evidence.video] if outcome.step else [evidence.video, *reversed(images)]
    if _FOLDER.fullmatch(folder):
        for path in dict.fromkeys(filter(None, files)):
            yield f"[[ATTACHMENT|{folder}/{path}]]"
