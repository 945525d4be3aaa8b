"""The log of received requests, shown without values of variables and credentials."""

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
    """One request and the status of its response.

    The repr leaves out headers and body, because they hold secrets.
    """

    method: str
    # The request's target with its query.
    path: str
    # Names are in lower case.
    headers: Mapping[str, str] = field(repr=False)
    # The parsed JSON, or None.
    body: object = field(repr=False)
    # HTTP status of the response.
    status: int

    @property
    def source(self) -> str:
        """The `source` in the body, or an empty text."""
        return source_of(self.body)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that the body sets."""
        return variable_names(self.body)

    def summary(self) -> dict[str, object]:
        """Return the fields that are safe to show, for JSON."""
        return {
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "source": self.source,
            "variables": list(self.variables),
        }

    def line(self) -> str:
        """Return the same fields as one safe log line."""
        words = [self.method, self.path, str(self.status)]
        words += [f"source={self.source}"] if self.source else []
        words += [f"variables={','.join(self.variables)}"] if self.variables else []
        return " ".join(map(sanitize, words))


def sanitize(text: str) -> str:
    """Return a text that is safe in a log line.

    The result is at most 200 characters and an ellipsis, without control characters and commands of CI systems.
    """
    shown = text if len(text) <= _MAX_TEXT_CHARS else text[:_MAX_TEXT_CHARS] + "…"
    # GitHub's runner interprets ##[name] as a command anywhere in a line.
    return "".join(c if c.isprintable() else "?" for c in shown).replace("##[", "##?")


class RequestLog:
    """A thread-safe log of all requests in the order of their responses."""

    def __init__(self, log: Callable[[str], None] | None) -> None:
        self._log = log
        self._received: list[RecordedRequest] = []
        self._post_counts: Counter[str] = Counter()
        self._lock = threading.RLock()  # the `log` callback may read this log

    def add(self, request: RecordedRequest) -> None:
        """Record one request and pass its line to the `log` callback."""
        with self._lock:
            self._received.append(request)
            if request.method == "POST":
                self._post_counts[request.path.partition("?")[0]] += 1
            if self._log:
                self._log(request.line())

    def all(self) -> list[RecordedRequest]:
        """Return all requests so far."""
        with self._lock:
            return list(self._received)

    def count_posts(self, path: str) -> int:
        """Return the number of POST requests for a path."""
        with self._lock:
            return self._post_counts[path]
