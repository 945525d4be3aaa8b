"""Shared data types of builds, run requests, results, verdicts and reports.

The records are named tuples, because importing dataclasses is slow. The fixed choices are enums.
"""

from __future__ import annotations

import re
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from autonoma_ci.identity import Part, RunKey
from autonoma_ci.startup import NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping


# Events for which GitHub provides all secrets of the repository, although anybody can be the author of the change.
EVENTS_WITH_SECRETS = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
# SHA-1 or SHA-256 in lower case. Git uses all zeros for no commit.
COMMIT_HASH_RE = lazy_pattern(r"(?!0+\Z)[0-9a-f]{40}(?:[0-9a-f]{24})?")
# The prefix of a full branch or tag name in Git.
REF_PREFIX_RE = lazy_pattern(r"refs/(?:heads|tags)/")
# Checkouts of a change request and detached heads have such a name instead of a branch.
NOT_A_BRANCH_RE = lazy_pattern(r"refs/.*|(?:pull/)?[0-9]+/(?:merge|head)|pull/[0-9]+|HEAD")
CHANGE_NUMBER_RE = lazy_pattern(r"[1-9][0-9]{0,17}")
# How most CI systems name a change request.
PULL_REQUEST = "pull request"
# Maximum length of a build fact (a name or a URL), in characters.
MAX_FACT_CHARS = 2000
# Maximum length of one label of a host name. Source: RFC 1035, section 2.3.4.
MAX_LABEL_CHARS = 63


class UntrustedSource(Enum):
    """The source of a change whose jobs get no secrets, or only secrets of their own."""

    FORK = "fork"
    # A change of Dependabot on GitHub gets only Dependabot secrets.
    DEPENDABOT = "dependabot"


class BuildContext(NamedTuple):
    """Facts about a job, from the CI system.

    An empty text means that the fact is unknown. `secrets_withheld_from` is None if no secrets are withheld, or if this
    is unknown.
    """

    ci_name: str = "cli"
    # The commit under test. For a change request, this is its head and not the merge commit.
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
    # The id of the build (pipeline, workflow run), unique within the CI project. All jobs of the build share it, and
    # all their attempts.
    build_id: str = ""
    # Decimal digits. Each further attempt of a job has a higher number, and only this order has a meaning. Some systems
    # count from 1, others use the number of the job's run. Some count the attempts of each job, so the numbers of two
    # jobs are not comparable.
    build_attempt: str = ""
    # The event that started the job, in GitHub's names.
    trigger_event: str = ""
    # The source of the change if the CI system withholds secrets from it.
    secrets_withheld_from: UntrustedSource | None = None
    # The name of the job within the build, equal in all attempts and in all builds of a pipeline. The module of each CI
    # system documents where two jobs can share a name, such as the jobs of a matrix on GitHub.
    job_name: str = ""

    @property
    def branch_slug(self) -> str:
        """The branch as a label of a host name, such as `feature-cart` for `feature/Cart`.

        It equals `CI_COMMIT_REF_SLUG` of GitLab (https://docs.gitlab.com/ci/variables/predefined_variables/).
        """
        return re.sub("[^A-Za-z0-9]", "-", self.branch).lower()[:MAX_LABEL_CHARS].strip("-")


class BuildIdRules(NamedTuple):
    """The meaning of the build ids of a CI system.

    By default, all jobs of a build have one id, and no other build of the repository has it.
    """

    # Whether each job of a build has its own id, and no fact that the jobs share is known.
    is_per_job: bool = False
    # Whether the jobs of a build can be of several repositories. The id must then be unique in the complete system.
    spans_repositories: bool = False
    # Ids that many builds have.
    ambiguous_ids: frozenset[str] = frozenset()


# Maximum number of stored steps of a run. Of more steps, only the first and the last ones are stored.
MAX_STEPS = 200


class RunStep(NamedTuple):
    """One step of a run, with untrusted texts from the API."""

    # Counts from 1.
    number: int
    instruction: str = ""
    output: str = ""
    url: str = ""
    # The status in the words of the API, or empty.
    status: str = ""
    # The path of the screenshot in results-dir, or empty.
    screenshot: str = ""


class Evidence(NamedTuple):
    """The steps and the downloaded files of one run."""

    steps: tuple[RunStep, ...] = ()
    # The path of the video in results-dir, or empty.
    video: str = ""
    # Why files are missing, or empty.
    missing_reason: str = ""

    @property
    def files(self) -> list[str]:
        """The paths of all files in results-dir, in step order."""
        return [path for path in (*(step.screenshot for step in self.steps), self.video) if path]


NO_EVIDENCE = Evidence()


class ChangeBase(NamedTuple):
    """The commit that a build is compared with, from the CI system.

    The base of a change is the merge base of its head and of its target branch.
    """

    # Why the build has no base, so that everything runs. None if it has one.
    no_base_reason: str | None = None
    # The target branch of the change, or else the default branch. Empty if the CI system does not name it. Then it is
    # the default branch of the clone, and a build of that branch has no base.
    branch: str = ""
    # A commit of the target branch. Empty if the CI system does not name it.
    sha: str = ""
    # Whether `sha` is the base itself. Otherwise the base is the merge base of `sha` and the head.
    is_exact: bool = False


class ComparedFiles(NamedTuple):
    """The files that differ between a build and its base, from the clone or the API.

    They are relative to the top of the repository. The paths are untrusted texts. A renamed file has both of its paths.
    """

    paths: frozenset[str]
    # The commit that the build is compared with, the first one if there are several.
    base: str
    # The paths that can be submodules. Which of their files changed is unknown.
    submodules: frozenset[str] = frozenset()


class ChangeSummary(NamedTuple):
    """How the changed files of the build were found, for reports."""

    # `clone`, `api` or `list`. Empty if no files were compared.
    source: str = ""
    # The commit that the build was compared with, or empty.
    base: str = ""
    # The number of changed files. None if it is unknown.
    file_count: int | None = None
    # Why all entries were selected, or None.
    full_run_reason: str | None = None


class Quarantine(NamedTuple):
    """The quarantine of a run. A failure of the run does not count."""

    # A date in UTC, in ISO 8601. It is the last day of the quarantine.
    until: str
    # Untrusted texts of the manifest.
    reason: str
    issue: str = ""


ENTIRE_BUILD = Part()
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class TargetKind(StrEnum):
    """The kind of target that a run executes.

    Each value is also the first path segment of the API endpoint.
    """

    TEST = "test"
    FOLDER = "folder"
    TAG = "tag"


class RunState(StrEnum):
    """The state of a run, as in all reports."""

    PLANNED = "planned"
    STARTING = "starting"
    STARTED = "started"
    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"  # ended on the server, neither passed nor failed
    TIMED_OUT = "timed-out"  # still running at the deadline or at its run_timeout
    NOT_STARTED = "not-started"
    UNKNOWN = "unknown"  # without a run id, it may have started; with a run id, its result is unknown


# The start request has no result yet.
PENDING_STATES = frozenset({RunState.PLANNED, RunState.STARTING})
# The run may go on in Autonoma after the job step.
CONTINUING_STATES = frozenset({RunState.STARTED, RunState.TIMED_OUT, RunState.UNKNOWN})
# In quarantine, a run in one of these states does not fail the job step.
UNCOUNTED_STATES = frozenset({RunState.FAILED, RunState.STOPPED, RunState.TIMED_OUT})
# The API reported the end of the run.
ENDED_STATES = frozenset({RunState.PASSED, RunState.FAILED, RunState.STOPPED})


class ExitReason(StrEnum):
    """The reason for the exit code, as in the output `reason`."""

    OK = "ok"
    FAILED = "failed"
    FLAKY = "flaky"  # passed only in a retry, and the option on-flaky is `fail`
    INPUT = "input"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not-found"
    API = "api"
    QUOTA = "quota"  # the account's quota is used up, so no further run is started
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Conclusion(StrEnum):
    """The conclusion of a job step, as in the output `conclusion`."""

    STARTED = "started"
    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    ERROR = "error"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


# Maximum length of a variable's value and of each text in a manifest, in characters.
MAX_VALUE_CHARS = 64 * 1024


class AppVersion(NamedTuple):
    """One version of one application, for folder and tag runs."""

    application_id: str
    version_id: str


class RunRequest(NamedTuple):
    """One run to start.

    Its repr never contains values of variables.
    """

    kind: TargetKind
    id: str
    # The user's name for the run, or empty.
    name: str = ""
    variables: Mapping[str, str] = NO_VARIABLES
    # The version of the application, for test runs only.
    application_version_id: str = ""
    # The versions of several applications, for folder and tag runs only.
    application_versions: tuple[AppVersion, ...] = ()
    run_on_latest: bool = False
    # The positions of the matrix values, as in `RunKey`.
    matrix_place: str = ""
    # The number among entries with an equal key, from 1.
    occurrence: int = 1
    # The name of the environment of the plan, or empty.
    environment: str = ""
    # Who is responsible for the run, or empty. An untrusted text of the manifest.
    owner: str = ""
    # How often the run is started again after a failure.
    retries: int = 0
    # The maximum duration of one attempt in seconds. None means no limit of its own.
    run_timeout_seconds: float | None = None
    # The quarantine in effect. None if the result counts.
    quarantine: Quarantine | None = None
    # The command that runs only this entry again, or empty. It has no names of runs and no values of variables.
    rerun_command: str = ""

    def __repr__(self) -> str:
        return f"RunRequest({self.kind} {self.id}, variables {', '.join(self.variables)})"

    @property
    def key(self) -> RunKey:
        """The identity of the run within the plan."""
        return RunKey(self.kind, self.id, self.matrix_place, self.occurrence, self.environment)

    @property
    def display_name(self) -> str:
        """The name of the run in reports, or else its id."""
        return self.name or self.id


class PreviousAttempt(NamedTuple):
    """A failed run that was retried.

    The fields are those of `RunResult`.
    """

    run_id: str = ""
    url: str = ""
    message: str = ""
    step: RunStep | None = None
    start_offset_seconds: float = 0.0
    duration_seconds: float = 0.0
    evidence: Evidence = NO_EVIDENCE


class RunResult(NamedTuple):
    """The state and the result of one run of the plan.

    Its texts come from the API. They contain no secrets, but each sink must escape them.
    """

    request: RunRequest
    state: RunState = RunState.PLANNED
    # Why the run was not started, or why its result is not known.
    reason: ExitReason = ExitReason.OK
    run_id: str = ""
    url: str = ""
    # What happened, in one sentence.
    message: str = ""
    # How the user can fix it.
    suggestion: str = ""
    # The HTTP status of the last response, or 0.
    http_status: int = 0
    # How many start requests were sent.
    start_requests: int = 0
    # The seconds from the first start request to the start of the run, or to its end if the step waits for it.
    duration_seconds: float = 0.0
    # When the first start request was sent, in seconds after the start of the job step. It is negative if an earlier
    # job step started the run.
    start_offset_seconds: float = 0.0
    # The name of the test on Autonoma.
    title: str = ""
    # The step at which the run failed.
    step: RunStep | None = None
    # The failed runs before this retry.
    previous_attempts: tuple[PreviousAttempt, ...] = ()
    # Whether the run passed in an earlier build attempt and was not started now.
    reused: bool = False
    evidence: Evidence = NO_EVIDENCE
    # The signature of the start request, or empty if nothing is signed.
    request_mac: str = ""
    # Whether status and details contradicted each other. Such a run passes only if its details agree with its status.
    has_contradiction: bool = False
    # The signatures of the variables' values, by name.
    variable_macs: Mapping[str, str] = NO_VARIABLES

    @property
    def display_name(self) -> str:
        """The user's name for the run, or else its title or id."""
        return self.request.name or self.title or self.request.id

    @property
    def attempt_count(self) -> int:
        """The number of attempts, including a start that failed."""
        return len(self.previous_attempts) + (1 if self.start_requests or self.run_id else 0)

    @property
    def is_flaky(self) -> bool:
        """Whether the run passed in a retry."""
        return self.state is RunState.PASSED and bool(self.previous_attempts)

    @property
    def is_quarantined_failure(self) -> bool:
        """Whether the run failed and does not count."""
        return bool(self.request.quarantine) and self.state in UNCOUNTED_STATES


class Verdict(NamedTuple):
    """The conclusion, exit reason and exit code of a job step."""

    conclusion: Conclusion
    reason: ExitReason
    exit_code: int


class PlanFacts(NamedTuple):
    """Facts about the plan, for reports. Its fields are also fields of `Report`."""

    # Notes about the selection of runs.
    plan_notes: tuple[str, ...] = ()
    # The SHA-256 hash of the run keys of the whole plan before the shard, in hexadecimal digits. Empty without a plan.
    plan_digest: str = ""
    # How the changed files were found. None if no entry depends on them.
    change: ChangeSummary | None = None
    # The names of the entries whose quarantine this change added or extended.
    quarantined_by_change: tuple[str, ...] = ()


NO_PLAN_FACTS = PlanFacts()


class Report(NamedTuple):
    """The verdict with all run results, as publishers get it."""

    title: str
    context: BuildContext
    # The value of the API's `source` field.
    source: str
    # Empty if there are input errors.
    results: tuple[RunResult, ...]
    # None until the job step ends.
    verdict: Verdict | None = None
    # The path as the user wrote it.
    results_dir: str = ""
    # ISO 8601 in UTC.
    started_at: str = ""
    input_errors: tuple[str, ...] = ()
    # The page to open for a run without a link.
    web_base_url: str = ""
    waits_for_results: bool = False
    # The command that waits for the runs that have not ended.
    resume_command: str = ""
    # As in `PlanFacts`.
    plan_notes: tuple[str, ...] = ()
    plan_digest: str = ""
    change: ChangeSummary | None = None
    quarantined_by_change: tuple[str, ...] = ()
    # The duration of the job step until now.
    duration_seconds: float = 0.0
    # Why there was nothing to do, or None.
    skip_reason: str | None = None
    # The path at which the CI system finds results-dir, if it shows the files that junit.xml names.
    attachments_root: str = ""
    # Which part of the build this job step runs.
    part: Part = ENTIRE_BUILD
    # A random id. Only a job step that resumes waiting has the same id as an earlier one.
    step_id: str = ""
    # For a job step that resumes waiting, the build attempt that started the runs. Otherwise empty.
    started_in_attempt: str = ""
    # The name of the system that started the runs, or `source` if no system has this name.
    source_label: str = ""
    # How the CI system names a change request.
    change_noun: str = PULL_REQUEST
    api_url: str = ""
    # The names of the variables that options set. The commands that run a failure again leave these variables out.
    option_variables: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The title, with the part if the build has several."""
        return f"{self.title} ({self.part.display_name})" if self.part.display_name else self.title
