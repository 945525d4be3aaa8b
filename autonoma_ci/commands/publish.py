"""Writing a report everywhere: one that can't be made costs no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.errors import NO_MEMORY
from autonoma_ci.files import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.ci.system import Publisher
    from autonoma_ci.model import Report


class Published(NamedTuple):
    """What could not be written, one warning each, and the first bug that came up meanwhile."""

    warnings: list[str]
    bug: Exception | None


def publish(publishers: Iterable[Publisher], report: Report) -> Published:
    """Write the report anew to where each of them writes it; nothing is raised."""
    warnings: list[str] = []
    bug: Exception | None = None
    for publisher in publishers:
        try:
            warnings += publisher.publish(report)
        except OSError as error:
            # What a publisher needs is loaded when it is needed: with no file left to open, not even that can be had.
            warnings.append(f"A report could not be written ({reason_of(error)}).")
        except NO_MEMORY:
            warnings.append("A report could not be written (no memory is left).")
        except Exception as error:  # noqa: BLE001 - raised by the caller, once all is written
            bug = bug or error
    return Published(warnings, bug)
