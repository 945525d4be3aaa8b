"""What the sandbox received, and how it says so without values of variables and without credentials."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autonoma_ci.sandbox.contract import source_of, variable_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_TEXT_CHARS = 200


@dataclass(frozen=True)
class RecordedRequest:
    """One request and the status it was answered with.

    `path` is the request's target with its query, `headers` have lower-case names, `body` is the
    parsed JSON or None. Neither headers nor body show in the repr.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: object = field(repr=False)
    status: int

    @property
    def source(self) -> str:
        """Who asked, by the body's own word, or an empty text."""
        return source_of(self.body)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that the body sets."""
        return variable_names(self.body)

    def summary(self) -> dict[str, object]:
        """Return what may be shown to anybody, for JSON."""
        return {
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "source": self.source,
            "variables": list(self.variables),
        }

    def line(self) -> str:
        """Return the same as one line of a log, safe to print."""
        words = [self.method, self.path, str(self.status)]
        words += [f"source={self.source}"] if self.source else []
        words += [f"variables={','.join(self.variables)}"] if self.variables else []
        return " ".join(map(sanitize, words))


def sanitize(text: str) -> str:
    """Return `text` as part of one log line: not too long, no control characters, nothing a CI system runs."""
    shown = text if len(text) <= _MAX_TEXT_CHARS else text[:_MAX_TEXT_CHARS] + "…"
    # GitHub's runner takes ##[name] for a command wherever it stands in a line.
    return "".join(c if c.isprintable() else "?" for c in shown).replace("##[", "##?")


class RequestLog:
    """Everything that was received, in the order of the answers; safe to use from many threads."""

    def __init__(self, log: Callable[[str], None] | None) -> None:
        self._log = log
        self._received: list[RecordedRequest] = []
        self._post_counts: Counter[str] = Counter()
        self._lock = threading.RLock()  # a log may ask for what was received

    def add(self, request: RecordedRequest) -> None:
        """Note one request, and tell the log."""
        with self._lock:
            self._received.append(request)
            if request.method == "POST":
                self._post_counts[request.path.partition("?")[0]] += 1
            if self._log:
                self._log(request.line())

    def all(self) -> list[RecordedRequest]:
        """Return what was received so far."""
        with self._lock:
            return list(self._received)

    def count_posts(self, path: str) -> int:
        """Return how many POST requests there were for `path`."""
        with self._lock:
            return self._post_counts[path]
