"""Parse and validate results.json, and generate its JSON Schema.

One definition serves both. A results.json can come from an artifact or a cache, so it is as untrusted as a response of
the API. A value of another form than autonoma-ci writes is rejected.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import from_json

from autonoma_ci.config.parsers import MAX_NAME_CHARS
from autonoma_ci.identity import RunKey, parse_run_key
from autonoma_ci.models import (
    MAX_STEPS,
    NO_EVIDENCE,
    NO_VARIABLES,
    AppVersion,
    ChangeSummary,
    Conclusion,
    Evidence,
    ExitReason,
    PlanFacts,
    PreviousAttempt,
    Quarantine,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# A results.json of 100 MiB that a job step writes has fewer values. In memory, each needs up to about 100 bytes.
_MAX_VALUES = 4_000_000
# A job step writes far fewer names into such an object.
_MAX_NAMES = 100
# A matrix may have a large number of axes, and the name of an axis has up to 1,500 characters here. autonoma-ci must
# be able to read each results.json that it writes.
_MAX_KEY_CHARS = 1_000_000
_VARIABLE_MAC_RE = re.compile("[0-9a-f]{32}")


def _check_run_key(text: str) -> str:
    """Return the text if it is empty or a run key.

    Raises:
        ValueError: The text has another form.
    """
    try:
        return str(parse_run_key(text)) if text else ""
    except ValueError:
        # Python's own message quotes a part of the text.
        raise ValueError("not a run key") from None


def _check_date(text: str) -> str:
    """Return the text if it is a date such as `2026-12-31`.

    Raises:
        ValueError: The text has another form.
    """
    try:
        is_date = date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_date = False
    if not is_date:
        # Python's own message quotes the text.
        raise ValueError("not a date")
    return text


def _check_variable_macs(value: object) -> dict[str, str]:
    """Return the value if all names and signatures have the right form.

    Raises:
        ValueError: A name or a signature has another form. Only the first one is reported.
    """
    macs: dict[str, str] = {}
    for name, mac in value.items() if isinstance(value, dict) else [("", value)]:
        if not (isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS):
            raise ValueError("not the name of a variable")
        if not (isinstance(mac, str) and _VARIABLE_MAC_RE.fullmatch(mac)):
            raise ValueError("not the signature of a variable")
        macs[name] = mac
    return macs


def _check_name_count(value: object) -> object:
    """Return the value if it has at most `_MAX_NAMES` names.

    The errors of a larger object could fill the memory.

    Raises:
        ValueError: The value is an object with more names.
    """
    if isinstance(value, dict) and len(value) > _MAX_NAMES:
        raise ValueError(f"more than {_MAX_NAMES} names")
    return value


LimitedNames = BeforeValidator(_check_name_count)
# Checked by a function in place of field types, because pydantic reports each wrong entry and the errors of a large
# object could fill the memory.
VariableMacs = Annotated[
    dict[str, str],
    PlainValidator(_check_variable_macs),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": MAX_NAME_CHARS},
            "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "description": "Signatures of the values of variables by name, or empty.",
        }
    ),
]
_ID = r"[A-Za-z0-9_-]{1,128}"
# Python's `$` also matches before a line break at the end of a text, so `\z` is used. JSON Schema has only `$`.
Id = Annotated[str, StringConstraints(pattern=rf"^{_ID}\z"), WithJsonSchema({"type": "string", "pattern": f"^{_ID}$"})]
RunId = Annotated[
    str,
    StringConstraints(pattern=rf"^({_ID})?\z"),
    WithJsonSchema({"type": "string", "pattern": f"^({_ID})?$", "description": "Empty if unknown."}),
]
Mac = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9a-f]{64})?\z"),
    WithJsonSchema({"type": "string", "pattern": "^([0-9a-f]{64})?$"}),
]
Digest = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9a-f]{64})?\z"),
    WithJsonSchema({"type": "string", "pattern": "^([0-9a-f]{64})?$"}),
]
Date = Annotated[str, AfterValidator(_check_date), WithJsonSchema({"type": "string", "format": "date"})]
ChangeSource = Annotated[
    str,
    StringConstraints(pattern=r"^(clone|api|list)?\z"),
    WithJsonSchema({"type": "string", "pattern": "^(clone|api|list)?$"}),
]
Key = Annotated[
    str,
    StringConstraints(max_length=_MAX_KEY_CHARS),
    AfterValidator(_check_run_key),
    WithJsonSchema({"type": "string"}),
]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=10_000)]
# Only the paths that autonoma-ci writes are valid. So a path can't lead out of the folder or name a file that a browser
# executes.
_FILE = rf"evidence/{_ID}/(step-[0-9]{{3,9}}\.(png|jpg|gif|webp|avif)|video\.(webm|mp4))"
File = Annotated[
    str,
    StringConstraints(pattern=rf"^({_FILE})?\z"),
    WithJsonSchema({"type": "string", "pattern": f"^({_FILE})?$", "description": "A path in results-dir, or empty."}),
]


class ResultsSanitizers(NamedTuple):
    """Functions that make the texts of results.json safe to show."""

    # For texts of the API.
    redact: Callable[[str], str]
    # For the names that users gave their runs.
    label: Callable[[str], str]
    # For links to runs.
    link: Callable[[str], str]
    # For ids of runs.
    run_id: Callable[[str], str]


class ResultsModel(BaseModel):
    """Base class of all parts of results.json."""

    # Members that a later version of autonoma-ci adds are ignored.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class ResultsStep(ResultsModel):
    """One step of a run."""

    number: int = Field(ge=1)
    instruction: Text
    output: Text
    url: Text
    status: Text = Field(default="", description="The status as the API returned it.")
    screenshot: File = ""

    def to_run_step(self, redact: Callable[[str], str]) -> RunStep:
        """Return the step with redacted texts."""
        instruction, output, url, status = map(redact, (self.instruction, self.output, self.url, self.status))
        return RunStep(self.number, instruction, output, url, status, self.screenshot)


class ResultsEvidence(ResultsModel):
    """The evidence of a run."""

    steps: list[ResultsStep] = Field(
        max_length=MAX_STEPS, fail_fast=True, description="Of a long run, only the first and the last steps."
    )
    video: File
    missing_reason: Text = Field(description="The missing files and the reasons.")

    def to_evidence(self, redact: Callable[[str], str]) -> Evidence:
        """Return the evidence with redacted texts."""
        return Evidence(tuple(step.to_run_step(redact) for step in self.steps), self.video, redact(self.missing_reason))


_NO_EVIDENCE = ResultsEvidence(steps=[], video="", missing_reason="")


class ResultsPreviousAttempt(ResultsModel):
    """A run that failed and was started again."""

    run_id: RunId
    url: Text
    message: Text
    start_offset_seconds: float = Field(ge=-1e9, le=1e9, description="From the step's start.")
    duration_seconds: Seconds
    step: ResultsStep | None
    evidence: ResultsEvidence = _NO_EVIDENCE

    def to_previous_attempt(self, offset_seconds: float, sanitizers: ResultsSanitizers) -> PreviousAttempt:
        """Return the attempt with safe texts.

        Args:
            offset_seconds: Added to the start of the attempt.
            sanitizers: Make the texts safe.
        """
        run_id, url = sanitizers.run_id(self.run_id), sanitizers.link(self.url)
        start_offset_seconds, message = self.start_offset_seconds + offset_seconds, sanitizers.redact(self.message)
        step = self.step.to_run_step(sanitizers.redact) if self.step else None
        evidence = _build_evidence(self, run_id, sanitizers)
        return PreviousAttempt(run_id, url, message, step, start_offset_seconds, self.duration_seconds, evidence)


class ResultsAppVersion(ResultsModel):
    """A version of an application."""

    application_id: Id
    version_id: Id


class ResultsQuarantine(ResultsModel):
    """The quarantine of a run."""

    until: Date = Field(description="The last day of the quarantine, in UTC.")
    reason: Text = Field(description="Why the run is in quarantine.")
    issue: Text = Field(default="", description="A link to the issue or its number, or empty.")

    def to_quarantine(self, redact: Callable[[str], str]) -> Quarantine:
        """Return the quarantine with redacted texts."""
        return Quarantine(self.until, redact(self.reason), redact(self.issue))


class ResultsChange(ResultsModel):
    """How the changed files of the build were found."""

    source: ChangeSource = Field(description="clone, api, list, or empty if no files were compared.")
    base: Text = Field(description="The commit that the build was compared with, or empty.")
    file_count: int | None = Field(ge=0, description="Number of changed files, null if unknown.")
    full_run_reason: Text | None = Field(description="Why `when` left out no entry, or null.")

    def to_change_summary(self, redact: Callable[[str], str]) -> ChangeSummary:
        """Return the summary with redacted texts."""
        reason = None if self.full_run_reason is None else redact(self.full_run_reason)
        return ChangeSummary(self.source, redact(self.base), self.file_count, reason)


class ResultsRun(ResultsModel):
    """One planned run with its result, without the values of its variables."""

    name: Text
    label: Text = Field(description="The name that the user gave the run, or empty.")
    owner: Text = Field(default="", description="Who is responsible for the run, or empty.")
    quarantine: ResultsQuarantine | None = Field(default=None, description="Set if a failure does not count.")
    title: Text = Field(description="The title of the test in Autonoma, or empty.")
    kind: TargetKind
    id: Id
    key: Key = Field(default="", description="Kind, id, place in the matrix, occurrence and environment.")
    request_mac: Mac = Field(default="", description="Signature of the request that starts the run, or empty.")
    mac: Mac = Field(default="", description="Signature of this run with its state, or empty.")
    state: RunState
    reason: ExitReason
    run_id: RunId
    url: Text
    message: Text
    suggestion: Text
    http_status: int = Field(ge=0, le=999, description="HTTP status of the last response, 0 without one.")
    attempts: int = Field(ge=0, description="Number of runs that were started, failed starts included.")
    start_requests: int = Field(ge=0, description="Number of start requests of the last attempt.")
    flaky: bool = Field(description="Passed after a failed attempt.")
    reused: bool = Field(description="Passed in an earlier attempt at the same build, and not started again.")
    has_contradiction: bool = Field(default=False, description="Status and details contradicted each other.")
    start_offset_seconds: float = Field(
        ge=-1e9, le=1e9, description="Time of the first start request, from the step's start."
    )
    duration_seconds: Seconds = Field(description="Until the start, or until the end if the step waits for results.")
    step: ResultsStep | None = Field(description="The test step that failed.")
    evidence: ResultsEvidence = _NO_EVIDENCE
    previous_attempts: list[ResultsPreviousAttempt] = Field(fail_fast=True)
    variables: list[Text] = Field(fail_fast=True, description="Only the names.")
    variable_macs: VariableMacs = {}
    application_version_id: Id | None
    application_versions: list[ResultsAppVersion] = Field(fail_fast=True)
    run_on_latest: bool

    def to_run_result(self, offset_seconds: float, sanitizers: ResultsSanitizers) -> RunResult:
        """Return the run with safe texts.

        Args:
            offset_seconds: Added to the start of each attempt, because offsets count from another job step.
            sanitizers: Make the texts safe.
        """
        redact, run_id = sanitizers.redact, sanitizers.run_id(self.run_id)
        pairs = [
            (sanitizers.run_id(version.application_id), sanitizers.run_id(version.version_id))
            for version in self.application_versions
        ]
        # An id that contains a credential is not shown.
        versions = tuple(AppVersion(*pair) for pair in pairs if all(pair))
        macs = {
            sanitizers.label(name): self.variable_macs[name] for name in self.variables if name in self.variable_macs
        }
        key = parse_run_key(self.key) if self.key else RunKey(self.kind, self.id)
        return RunResult(
            request=RunRequest(
                self.kind, self.id, sanitizers.label(self.label),
                dict.fromkeys(map(sanitizers.label, self.variables), ""),
                sanitizers.run_id(self.application_version_id or ""), versions, self.run_on_latest,
                key.matrix_place, key.occurrence, key.environment, sanitizers.label(self.owner),
                quarantine=self.quarantine.to_quarantine(sanitizers.label) if self.quarantine else None,
            ),
            state=self.state,
            reason=self.reason,
            run_id=run_id,
            url=sanitizers.link(self.url),
            message=redact(self.message),
            suggestion=redact(self.suggestion),
            http_status=self.http_status,
            start_requests=self.start_requests,
            duration_seconds=self.duration_seconds,
            start_offset_seconds=self.start_offset_seconds + offset_seconds,
            title=redact(self.title),
            step=self.step.to_run_step(redact) if self.step else None,
            previous_attempts=tuple(
                attempt.to_previous_attempt(offset_seconds, sanitizers) for attempt in self.previous_attempts
            ),
            reused=self.reused,
            evidence=_build_evidence(self, run_id, sanitizers),
            request_mac=self.request_mac,
            has_contradiction=self.has_contradiction,
            variable_macs=macs or NO_VARIABLES,
        )  # fmt: skip


class ResultsBuild(ResultsModel):
    """The build of the job step, with empty texts for unknown facts."""

    name: Text
    sha: Text
    branch: Text
    change: Text
    repository: Text
    build_url: Text
    deployment_url: Text
    build: Text = Field(description="The same in every attempt at the build.")
    attempt: Text


class Results(ResultsModel):
    """The content of results.json."""

    version: Literal[1]
    tool: Annotated[dict[str, Text], LimitedNames]
    title: Text
    job: Text = Field(default="", description="The job that started the runs.")
    part: Text = Field(default="", description="Distinguishes parallel jobs of one name, empty for a single job.")
    shard: Text = Field(default="", description="The share of the plan, such as 2/5. Empty for the complete plan.")
    step_id: Text = Field(default="", description="A random id of the step that started the runs.")
    started_at: datetime
    duration_seconds: Seconds
    waits_for_results: bool
    conclusion: Conclusion | None = Field(description="null while the step runs, or after a kill.")
    reason: ExitReason | None
    exit_code: int | None
    source: Text
    api_url: Text = Field(default="", description="Base URL of the API.")
    plan_digest: Digest = Field(default="", description="SHA-256 hash of the run keys of the whole plan, or empty.")
    changed_files: ResultsChange | None = Field(default=None, description="null if no entry depends on changed files.")
    quarantined_by_change: list[Text] = Field(
        default=[], fail_fast=True, description="Entries whose quarantine this change added or extended."
    )
    ci: ResultsBuild
    totals: Annotated[dict[str, int], LimitedNames]
    runs: list[ResultsRun] = Field(max_length=20_000, fail_fast=True)
    mac: Mac = Field(default="", description="Signature of all bytes, by a key of the client secret, or empty.")

    def to_plan_facts(self, redact: Callable[[str], str]) -> PlanFacts:
        """Return the facts of the plan with redacted texts.

        results.json has no notes about the plan.
        """
        return PlanFacts(
            plan_digest=self.plan_digest,
            change=self.changed_files.to_change_summary(redact) if self.changed_files else None,
            quarantined_by_change=tuple(map(redact, self.quarantined_by_change)),
        )


def parse_results(data: bytes) -> Results:
    """Return the parsed results.json.

    Raises:
        ValueError: The data is no valid results.json. The text of the error may quote the data.
    """
    # Counted before the data is parsed, because a few bytes in the file need many bytes in memory.
    if sum(map(data.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise ValueError(f"more than {_MAX_VALUES:,} values")
    try:
        document = from_json(data)
    except ValueError as error:
        raise ValueError(f"invalid JSON: {error}") from None
    try:
        # The parsed document is validated, because its errors refer to a part of it. If pydantic validated the JSON
        # itself, each error would contain a copy of the part.
        return Results.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        location = ".".join(str(part) for part in first["loc"])
        if not location:
            raise ValueError("no JSON object") from None
        if first["loc"] == ("version",) and first["type"] != "missing":
            raise ValueError("format of another version of autonoma-ci") from None
        if first["type"] == "value_error":
            # An error of a function in this module. Pydantic puts a prefix before its text.
            raise ValueError(f"{location}: {first['msg'].removeprefix('Value error, ')}") from None
        raise ValueError(f"{'missing' if first['type'] == 'missing' else 'invalid'} {location}") from None


def results_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of results.json."""
    return {"$schema": SCHEMA_DIALECT, **Results.model_json_schema()}


def _build_evidence(run: ResultsRun | ResultsPreviousAttempt, run_id: str, sanitizers: ResultsSanitizers) -> Evidence:
    # The paths of the files contain the run id. If the id is not shown, the paths are not shown either.
    return run.evidence.to_evidence(sanitizers.redact) if run_id == run.run_id else NO_EVIDENCE
