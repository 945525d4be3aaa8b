"""The frozen values that flow through the house; no input, no output, no decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """What a run runs; the word is also the endpoint's first path segment."""

    TEST = "test"
    FOLDER = "folder"
    TAG = "tag"


class State(StrEnum):
    """Where one run stands, as reports show it."""

    PLANNED = "planned"
    STARTING = "starting"
    STARTED = "started"
    NOT_STARTED = "not-started"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why the step ends as it does: the `reason` output."""

    OK = "ok"
    FAILED = "failed"
    INPUT = "input"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not-found"
    API = "api"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Conclusion(StrEnum):
    """How the step ends, in one word: the `conclusion` output."""

    STARTED = "started"
    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    ERROR = "error"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Context:
    """What the CI system says of the build; an empty text means that it does not say.

    `sha` is the commit under test (of a change request: its head, not the merge commit), `branch` is
    without `refs/heads/`, `change` is the number of the pull or merge request, `repository` is
    `owner/name`, and the two URLs hold no credentials.
    """

    ci: str = "none"
    sha: str = ""
    branch: str = ""
    change: str = ""
    repository: str = ""
    build_url: str = ""
    deployment_url: str = ""


@dataclass(frozen=True)
class AppVersion:
    """One version of one application, for folder and tag runs."""

    application_id: str
    version_id: str


@dataclass(frozen=True)
class RunRequest:
    """One run to start. `name` is the user's own label; values of variables never show in its repr."""

    kind: Kind
    id: str
    name: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    application_version_id: str = ""
    application_versions: tuple[AppVersion, ...] = ()

    @property
    def label(self) -> str:
        """What reports call the run: its name, or else its id."""
        return self.name or self.id


class Delivery(StrEnum):
    """What is known of one request to start a run; it alone decides whether to send again."""

    STARTED = "started"
    REFUSED = "refused"  # the server said no: final
    BUSY = "busy"  # the server said not now (429, or 503 with Retry-After): may be sent again
    NOT_SENT = "not-sent"  # no connection was made: may be sent again
    UNSENDABLE = "unsendable"  # no connection was made, and trying again would not change that
    OPEN = "open"  # it may have arrived and been acted on: never sent again


@dataclass(frozen=True)
class Attempt:
    """One request to start a run, and what came of it.

    `retry_after` is in seconds; None means that the server named no time. `status` is 0 without an
    answer. The texts come from outside: redacted, one line each, but not yet escaped for any sink.
    """

    delivery: Delivery
    reason: Reason = Reason.OK
    run_id: str = ""
    url: str = ""
    message: str = ""
    hint: str = ""
    status: int = 0
    retry_after: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one planned run.

    `reason` says why it was not started (`ok` while there is nothing to say), `status` is the HTTP
    status of the last answer or 0, `attempts` counts the requests that were tried, `seconds` the time
    from the first of them to the end. Texts are from outside: free of secrets, unsafe for any sink.
    """

    request: RunRequest
    state: State = State.PLANNED
    reason: Reason = Reason.OK
    run_id: str = ""
    url: str = ""
    message: str = ""
    hint: str = ""
    status: int = 0
    attempts: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What the whole step comes to."""

    conclusion: Conclusion
    reason: Reason
    exit_code: int


@dataclass(frozen=True)
class Report:
    """Everything that a report shows; `verdict` is None while runs are still being started.

    `started_at` is ISO 8601 in UTC; `results_dir` is the path as the user gave it; `problems` are what
    was wrong with the input, in which case there are no outcomes.
    """

    title: str
    context: Context
    source: str
    outcomes: tuple[Outcome, ...]
    verdict: Verdict | None = None
    results_dir: str = ""
    started_at: str = ""
    problems: tuple[str, ...] = ()
