"""What one exchange with the API came to: frozen values, one for each kind of request."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.models import ExitReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import RunStep

NO_MEDIA_URLS: Mapping[int, SignedUrl] = MappingProxyType({})


class StartStatus(StrEnum):
    """What is known of one request to start a run; it alone decides whether to send again."""

    STARTED = "started"
    REJECTED = "refused"  # the server said no: final
    RATE_LIMITED = "busy"  # the server said not now (429): may be sent again
    NOT_SENT = "not-sent"  # no connection was made: may be sent again
    CANNOT_SEND = "unsendable"  # no connection was made, and trying again would not change that
    INDETERMINATE = "open"  # it may have arrived and been acted on: never sent again


class StartResult(NamedTuple):
    """One request to start a run, and what came of it.

    `retry_after` is in seconds; None means that the server named no time. `status` is 0 without an
    answer. The texts come from outside: redacted, one line each, but not yet escaped for any sink.
    """

    status: StartStatus
    reason: ExitReason = ExitReason.OK
    run_id: str = ""
    url: str = ""
    message: str = ""
    suggestion: str = ""
    http_status: int = 0
    retry_after: float | None = None


class Timeouts(NamedTuple):
    """In seconds: to connect, between two pieces of an answer, and for one request in all."""

    connect: float = 10.0
    read: float = 60.0
    total: float = 90.0


class PollStatus(StrEnum):
    """What one question for a run's status came to."""

    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"  # cancelled, stopped or skipped on the server
    RUNNING = "going-on"
    UNRECOGNIZED = "strange"  # an answer, and a word that is not known, or none
    NOT_FOUND = "missing"  # the server does not know the run, or not yet
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "busy"  # not now (429, 503): ask less
    UNAVAILABLE = "trouble"  # no usable answer


class PollResult(NamedTuple):
    """What the server said when it was asked how a run stands.

    `word` is its own word, `message` what went wrong; both are redacted, one line, and not yet escaped.
    `retry_after` is in seconds; None means that the server named no time. `url` is the run's link. `hint` is what to do
    about what went wrong, in whole sentences.
    """

    status: PollStatus
    raw_status: str = ""
    message: str = ""
    http_status: int = 0
    retry_after: float | None = None
    url: str = ""
    suggestion: str = ""


class SignedUrl(NamedTuple):
    """Where a screenshot or the video of a run is to be had for an hour; whoever has the address may have it."""

    url: str

    def __repr__(self) -> str:
        return "Media(...)"


class RunDetails(NamedTuple):
    """What the server tells of a run that ended; `problem` says why it tells nothing.

    `step` is where it failed, `seconds` how long the run took by the server's own clock, or None if it
    does not say. `media` are the screenshots by the number of their step, and the video as number 0.
    `said` is the run's status by these details, None if they have none that is known. `contradiction` says
    what does not fit the run that was asked for, such as the id of another test.
    """

    title: str = ""
    step: RunStep | None = None
    duration_seconds: float | None = None
    error: str = ""
    steps: tuple[RunStep, ...] = ()
    media_urls: Mapping[int, SignedUrl] = NO_MEDIA_URLS
    status: PollStatus | None = None
    contradiction: str = ""


class EvidenceFile(NamedTuple):
    """One file to fetch: the step's number or 0 for the video; `spare` if other files matter more.

    `digits` is how many the number has in the file's name, so that names are in the order of the steps.
    """

    run_id: str
    step_number: int
    signed_url: SignedUrl
    low_priority: bool = False
    number_width: int = 3


class DownloadResult(NamedTuple):
    """What came of fetching a file: its path in results-dir, or what went wrong.

    `again`: with a new address it may succeed.
    """

    path: str = ""
    error: str = ""
    retryable: bool = False
