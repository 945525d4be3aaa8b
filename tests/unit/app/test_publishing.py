"""Independent publishers of a report."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from autonoma_ci.app.publishing import publish_all
from tests.support.reports import report

if TYPE_CHECKING:
    from autonoma_ci.models import Report


class _Publisher:
    """A publisher that counts its calls, and warns or fails."""

    def __init__(self, wrong: Exception | None = None, *warnings: str) -> None:
        self.asked, self._wrong, self._warnings = 0, wrong, warnings

    def publish(self, report: Report) -> tuple[str, ...]:
        self.asked += 1
        if self._wrong:
            raise self._wrong
        return self._warnings


def test_publish_returns_warnings_in_order() -> None:
    """All warnings are returned in the order of the publishers."""
    published = publish_all([_Publisher(None, "a", "b"), _Publisher(), _Publisher(None, "c")], report())
    assert published == (["a", "b", "c"], None)


def test_publish_os_error_is_warning() -> None:
    """An error of the operating system becomes a warning with its reason."""
    refused = OSError(errno.EMFILE, "Too many open files", "/some/where")
    published = publish_all([_Publisher(refused), _Publisher(None, "c")], report())
    assert published == (["A report could not be written (Too many open files).", "c"], None)


def test_publish_returns_first_bug_last() -> None:
    """The first internal error is returned after all publishers have run."""
    bugs = RuntimeError("first"), ValueError("second")
    publishers = [_Publisher(bugs[0]), _Publisher(None, "a"), _Publisher(bugs[1]), _Publisher()]
    published = publish_all(publishers, report())
    assert published.internal_error is bugs[0]
    assert published.warnings == ["a"]
    assert [publisher.asked for publisher in publishers] == [1, 1, 1, 1]
