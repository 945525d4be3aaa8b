"""The file in which GitHub Actions, and those who speak its language, describe what started the job.

Source: GitHub's documentation, "Webhook events and payloads".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import clean
from autonoma_ci.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

# GitHub's documentation caps a webhook's payload at 25 MB.
LARGEST = 25 * 1024 * 1024


class Event:
    """What started the job, as far as it is known: every question has an answer, perhaps an empty one.

    The file is optional and untrusted: it may be missing, of any type, size and content.
    """

    def __init__(self, data: object) -> None:
        self.data = data

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Event:
        """Read the file that `GITHUB_EVENT_PATH` names; anything unreadable is an event without facts."""
        path = environ.get("GITHUB_EVENT_PATH", "")
        try:
            return cls(json.loads(read_regular(path, LARGEST) if path else b"{}"))
        except (ValueError, RecursionError):
            return cls(None)

    def has(self, *path: str) -> bool:
        """Say whether there is something at this path of keys: anything but null."""
        return self._at(path) is not None

    def text(self, *path: str) -> str:
        """Return the text or number at this path of keys, cleaned, or an empty text."""
        value = self._at(path)
        if isinstance(value, int) and not isinstance(value, bool):
            # A number this long is none of GitHub's, and Python refuses to print longer ones.
            return str(value) if value.bit_length() < 64 else ""
        return clean(value)

    def only(self, *path: str) -> Event:
        """Return the one entry of the list at this path of keys; an event without facts for any other length."""
        value = self._at(path)
        return Event(value[0] if isinstance(value, list) and len(value) == 1 else None)

    def _at(self, path: tuple[str, ...]) -> object:
        value = self.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value
