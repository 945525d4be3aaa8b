"""Immutable inputs and results of requests to the API."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from autonoma_ci.models import ExitReason
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import RunStep

NO_SCREENSHOT_URLS: Mapping[int, SignedUrl] = MappingProxyType({})
HINT_MAY_HAVE_STARTED = "The run may have started: look for it in Autonoma before starting it again."


class StartStatus(StrEnum):
    """Result of one start request.

    It alone decides whether the request is sent again.
    """

    STARTED = "started"
    REJECTED = "rejected"  # the server rejected the request: final
    RATE_LIMITED = "rate-limited"  # HTTP 429: may be sent again
    NOT_SENT = "not-sent"  # no connection was made: may be sent again
    CANNOT_SEND = "cannot-send"  # no connection was made, and another attempt would fail too
    INDETERMINATE = "indeterminate"  # the run may have started: never sent again


class StartResult(NamedTuple):
    """Result of one start request with its texts.

    The texts come from outside. They are redacted and on one line each, but not escaped for any sink.
    """

    status: StartStatus
    reason: ExitReason = ExitReason.OK
    run_id: str = ""
    url: str = ""  # the run's link
    message: str = ""  # the API's message, or the failure
    suggestion: str = ""  # likely cause and remedy, in complete sentences
    http_status: int = 0  # 0 without a response
    retry_after: float | None = None  # in seconds, None if the server named no time


class Timeouts(NamedTuple):
    """Timeouts of one request, in seconds."""

    connect: float = 10.0
    read: float = 60.0  # between two chunks of a response
    total: float = 90.0  # for the complete request


class PollStatus(StrEnum):
    """Result of one poll."""

    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"  # cancelled, stopped or skipped on the server
    RUNNING = "running"
    UNRECOGNIZED = "unrecognized"  # HTTP 200, but the status is missing or unknown
    NOT_FOUND = "not-found"  # HTTP 404: the run is unknown, or not known yet
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate-limited"  # HTTP 429 or 503: poll less often
    UNAVAILABLE = "unavailable"  # no usable response


class PollResult(NamedTuple):
    """Result of one poll with its texts.

    The texts are redacted and on one line each, but not escaped for any sink.
    """

    status: PollStatus
    raw_status: str = ""  # the server's own name of the status
    message: str = ""  # the failure
    http_status: int = 0  # 0 without a response
    retry_after: float | None = None  # in seconds, None if the server named no time
    url: str = ""  # the run's link
    suggestion: str = ""  # remedy for the failure, in complete sentences


class SignedUrl(NamedTuple):
    """Signed URL of a screenshot or video.

    It is valid for an hour and needs no credentials, so `repr` hides it.
    """

    url: str

    def __repr__(self) -> str:
        return "SignedUrl(...)"


class RunDetails(NamedTuple):
    """Details of a run that ended."""

    title: str = ""
    step: RunStep | None = None  # the step that failed
    duration_seconds: float | None = None  # by the server's clock, None if unknown
    error: str | None = None  # the reason why there are no details
    steps: tuple[RunStep, ...] = ()
    screenshot_urls: Mapping[int, SignedUrl] = NO_SCREENSHOT_URLS  # by step number
    video_url: SignedUrl | None = None  # None if there is no video
    status: PollStatus | None = None  # the run's status in the details, None if missing or unknown
    contradiction: str | None = None  # a mismatch with the requested run, such as the id of another test


class EvidenceFile(NamedTuple):
    """One screenshot or video to download."""

    run_id: str
    step_number: int | None  # None for the video
    signed_url: SignedUrl
    low_priority: bool = False  # other files are downloaded first
    number_width: int = 3  # digits of the step number in the file's name, so that names sort like steps


class DownloadResult(NamedTuple):
    """Result of the download of one file."""

    path: str = ""  # relative to results-dir, empty after a failure
    error: str | None = None
    retryable: bool = False  # a later download with a new signed URL can succeed
