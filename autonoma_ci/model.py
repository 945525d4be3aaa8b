"""The frozen values that flow through the house; no input, no output, no decisions.

They are named tuples: the module behind dataclasses takes longer to load than starting a run may take
beside a bare script.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


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


class Context(NamedTuple):
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


class AppVersion(NamedTuple):
    """One version of one application, for folder and tag runs."""

    application_id: str
    version_id: str


class RunRequest(NamedTuple):
    """One run to start. `name` is the user's own label; values of variables never show in its repr."""

    kind: Kind
    id: str
    name: str = ""
    variables: Mapping[str, str] = NO_VARIABLES
    application_version_id: str = ""
    application_versions: tuple[AppVersion, ...] = ()

    def __repr__(self) -> str:
        return f"RunRequest({self.kind} {self.id}, variables {', '.join(self.variables)})"

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


class Attempt(NamedTuple):
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


class Timeouts(NamedTuple):
    """In seconds: to connect, between two pieces of an answer, and for one request in all."""

    connect: float = 10.0
    read: float = 60.0
    total: float = 90.0


class Outcome(NamedTuple):
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


class Verdict(NamedTuple):
    """What the whole step comes to."""

    conclusion: Conclusion
    reason: Reason
    exit_code: int


class Report(NamedTuple):
    """Everything that a report shows; `verdict` is None while runs are still being started.

    `started_at` is ISO 8601 in UTC; `results_dir` is the path as the user gave it; `problems` are what
    was wrong with the input, in which case there are no outcomes; `site` is the web address to look at
    for a run without a link.
    """

    title: str
    context: Context
    source: str
    outcomes: tuple[Outcome, ...]
    verdict: Verdict | None = None
    results_dir: str = ""
    started_at: str = ""
    problems: tuple[str, ...] = ()
    site: str = ""
