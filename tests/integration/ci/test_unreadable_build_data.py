"""Build data that could not be read, and its warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.identity import Part
from tests.support.reports import PASSED, passed, report

if TYPE_CHECKING:
    from collections.abc import Iterable


MADE = report([passed("a")], PASSED)._replace(
    part=Part(title="Autonoma tests"), step_id="a" * 16, waits_for_results=True
)
UNREAD = "could not be read"
OTHERS = "Another step"


class Server:
    """The build's data. The looks with these numbers, from 0, hang."""

    def __init__(self, hanging: Iterable[int]) -> None:
        self._hanging, self._looks = set(hanging), 0
        self.data: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        self._looks += 1
        return None if self._looks - 1 in self._hanging else self.data.get(name, "none")

    def put(self, name: str, text: str) -> str:
        self.data[name] = text
        return ""
