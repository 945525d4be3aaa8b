"""What is known of the build: the same facts in every CI system.

What a run did, step by step, and what was kept of it.

The frozen values that flow through the house: named tuples, since loading dataclasses takes too long.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.identity import Part, RunKey
from autonoma_ci.lazy_regex import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping


# Events of GitHub that run with all secrets of the repository, for changes that anybody may have made.
EVENTS_WITH_SECRETS = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
# In lower case: SHA-1 or SHA-256. Git has all zeros for no commit.
COMMIT_HASH_RE = lazy_pattern(r"(?!0+\Z)[0-9a-f]{40}(?:[0-9a-f]{24})?")
# Git's full names of branches and tags begin so.
REF_PREFIX_RE = lazy_pattern(r"refs/(?:heads|tags)/")
# Checkouts of a change request and detached heads have these names in place of a branch.
NOT_A_BRANCH_RE = lazy_pattern(r"refs/.*|(?:pull/)?[0-9]+/(?:merge|head)|pull/[0-9]+|HEAD")
CHANGE_NUMBER_RE = lazy_pattern(r"[1-9][0-9]{0,17}")
# In characters. No CI system makes a name or a link of this length.
MAX_FACT_CHARS = 2000


class BuildContext(NamedTuple):
    """Facts that the CI system states about a job.

    An empty text means that the fact is unknown.
    """

    ci_name: str = "cli"
    # The commit under test. For a change request this is its head, not the merge commit.
    sha: str = ""
    # A branch or tag, without `refs/heads/` or `refs/tags/`.
    branch: str = ""
    # The number of the pull or merge request.
    change_number: str = ""
    # The path of the repository, such as `owner/name`.
    repository: str = ""
    # The URLs contain no credentials.
    build_url: str = ""
    deployment_url: str = ""
    # The build (pipeline, workflow run), unique within the CI project. All jobs of the build share it,
    # and all attempts at these jobs.
    build_id: str = ""
    # Decimal digits. A job that runs again within its build has a higher number. Only the order has a
    # meaning: some systems count from 1, others have the number of the job's run here. Some count the
    # attempts at each job, so the numbers of two jobs say nothing of their order.
    build_attempt: str = ""
    # The event that started the job, as GitHub names it.
    trigger_event: str = ""
    # Whose changes get no secrets: `fork` or `dependabot`.
    secrets_withheld_from: str = ""
    # The job's name within the build: the same in all attempts, and in all builds of a pipeline. The
    # module of a system says where two jobs can share a name, such as the jobs of a matrix on GitHub.
    job_name: str = ""


# Of a run with more steps, the first and the last are kept; together they are enough to see why it failed.
MAX_STEPS = 200


class RunStep(NamedTuple):
    """One step of a run; `number` counts from 1, and the texts are from outside.

    `status` is the API's own word, `image` the path of its screenshot in results-dir; either may be empty.
    """

    number: int
    instruction: str = ""
    output: str = ""
    url: str = ""
    status: str = ""
    screenshot: str = ""


class Evidence(NamedTuple):
    """What was kept of one run: its steps, the path of its video in results-dir, and why some of it is missing."""

    steps: tuple[RunStep, ...] = ()
    video: str = ""
    missing_reason: str = ""

    @property
    def files(self) -> list[str]:
        """The paths of all files in results-dir, in the order of the steps."""
        return [path for path in (*(step.screenshot for step in self.steps), self.video) if path]


NO_EVIDENCE = Evidence()


WHOLE_BUILD = Part()
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class TargetKind(StrEnum):
    """What a run runs; the word is also the endpoint's first path segment."""

    TEST = "test"
    FOLDER = "folder"
    TAG = "tag"


class RunState(StrEnum):
    """Where one run stands, as reports show it."""

    PLANNED = "planned"
    STARTING = "starting"
    STARTED = "started"
    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"  # ended on the server, neither passed nor failed
    TIMED_OUT = "timed-out"  # still running at the deadline
    NOT_STARTED = "not-started"
    UNKNOWN = "unknown"  # it may have started; or, with a run id, how it ended is not known


class ExitReason(StrEnum):
    """Why the step ends as it does: the `reason` output."""

    OK = "ok"
    FAILED = "failed"
    INPUT = "input"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not-found"
    API = "api"
    QUOTA = "quota"  # the account's quota is used up: nothing further is started
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


# Characters of a variable's value, and of any text of a manifest.
MAX_VALUE_CHARS = 64 * 1024


class AppVersion(NamedTuple):
    """One version of one application, for folder and tag runs."""

    application_id: str
    version_id: str


class RunRequest(NamedTuple):
    """One run to start. `name` is the user's own label; values of variables never show in its repr.

    `place`, `occurrence` and `environment` are as in `RunKey`.
    """

    kind: TargetKind
    id: str
    name: str = ""
    variables: Mapping[str, str] = NO_VARIABLES
    application_version_id: str = ""
    application_versions: tuple[AppVersion, ...] = ()
    run_on_latest: bool = False
    matrix_place: str = ""
    occurrence: int = 1
    environment: str = ""

    def __repr__(self) -> str:
        return f"RunRequest({self.kind} {self.id}, variables {', '.join(self.variables)})"

    @property
    def key(self) -> RunKey:
        """Which run of the plan this is."""
        return RunKey(self.kind, self.id, self.matrix_place, self.occurrence, self.environment)

    @property
    def display_name(self) -> str:
        """What reports call the run: its name, or else its id."""
        return self.name or self.id


class PreviousAttempt(NamedTuple):
    """A run that failed and was started again; the fields are as in Outcome, times in seconds."""

    run_id: str = ""
    url: str = ""
    message: str = ""
    step: RunStep | None = None
    start_offset_seconds: float = 0.0
    duration_seconds: float = 0.0
    evidence: Evidence = NO_EVIDENCE


class RunResult(NamedTuple):
    """What became of one planned run; texts are from outside: free of secrets, unsafe for any sink.

    `reason` says why it was not started, or why its end is not known; `status` is the HTTP status of the
    last answer or 0, `tries` counts the requests to start it. `began` is when it was first asked for, in
    seconds after the step's start (negative if an earlier step did), `seconds` the time from then until
    it was started, or ended if it was waited for. `earlier` are the runs that failed before it was
    started again; `carried`: it passed in an earlier attempt at the same build, and was not started now.
    `request_mac` is the signature of what is sent to start it, empty where nothing is signed. `variable_macs` are the
    signatures of its variables' values, by name. `doubted`: status and details contradicted each other, so it passes
    only with details that fit.
    """

    request: RunRequest
    state: RunState = RunState.PLANNED
    reason: ExitReason = ExitReason.OK
    run_id: str = ""
    url: str = ""
    message: str = ""
    suggestion: str = ""
    http_status: int = 0
    start_requests: int = 0
    duration_seconds: float = 0.0
    start_offset_seconds: float = 0.0
    title: str = ""
    step: RunStep | None = None
    previous_attempts: tuple[PreviousAttempt, ...] = ()
    reused: bool = False
    evidence: Evidence = NO_EVIDENCE
    request_mac: str = ""
    has_contradiction: bool = False
    variable_macs: Mapping[str, str] = NO_VARIABLES

    @property
    def display_name(self) -> str:
        """What reports call the run: the user's name for it, or else its title, or else its id."""
        return self.request.name or self.title or self.request.id

    @property
    def attempt_count(self) -> int:
        """How many runs were started, or tried to be."""
        return len(self.previous_attempts) + (1 if self.start_requests or self.run_id else 0)

    @property
    def is_flaky(self) -> bool:
        """Whether it passed only after it had failed."""
        return self.state is RunState.PASSED and bool(self.previous_attempts)


class Verdict(NamedTuple):
    """What the whole step comes to."""

    conclusion: Conclusion
    reason: ExitReason
    exit_code: int


class Report(NamedTuple):
    """Everything that a report shows; `verdict` is None while the step goes on.

    `started_at` is ISO 8601 in UTC; `results_dir` is the path as the user gave it; `problems` are what
    was wrong with the input, in which case there are no outcomes; `site` is the web address to look at
    for a run without a link. `waited`: the runs are waited for; `later` is the command that does so for
    those still open; `notes` tell of the choice of runs; `seconds` is how long the step took so far;
    `skipped` says why there was nothing to be done at all; `attachments` is where the CI system finds the
    results-dir, if it shows files that junit.xml names. `part` is the part of the build that this step is;
    `step_id` is a random id that no other step has, but for one that goes on with this step's record. `attempt` is
    then the attempt at the job in which the runs were started, otherwise empty.
    """

    title: str
    context: BuildContext
    source: str
    results: tuple[RunResult, ...]
    verdict: Verdict | None = None
    results_dir: str = ""
    started_at: str = ""
    input_errors: tuple[str, ...] = ()
    web_base_url: str = ""
    waits_for_results: bool = False
    resume_command: str = ""
    plan_notes: tuple[str, ...] = ()
    duration_seconds: float = 0.0
    skip_reason: str = ""
    attachments_root: str = ""
    part: Part = WHOLE_BUILD
    step_id: str = ""
    started_in_attempt: str = ""

    @property
    def heading(self) -> str:
        """The title, with the part of the build where it has several."""
        return f"{self.title} ({self.part.display_name})" if self.part.display_name else self.title
