"""The record read back: one definition, from which its JSON Schema is made too.

A record may come from an artifact or a cache, so it is as untrusted as an answer of the API.

The runs of a record, as they are read back: whatever is not as we write it is refused.
"""

from __future__ import annotations

import re
from datetime import datetime  # noqa: TC003 - pydantic reads the annotation
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
    Conclusion,
    Evidence,
    ExitReason,
    PreviousAttempt,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _run_key(text: str) -> str:
    """Return the text; raise ValueError if it is neither empty nor a run key."""
    try:
        return str(parse_run_key(text)) if text else ""
    except ValueError:
        # Python's own message quotes a part of the text.
        raise ValueError("not a run key") from None


_VARIABLE_MAC = re.compile("[0-9a-f]{32}")


def _variable_macs(value: object) -> dict[str, str]:
    """Return the value; raise ValueError at the first name or signature that has another form."""
    macs: dict[str, str] = {}
    for name, mac in value.items() if isinstance(value, dict) else [("", value)]:
        if not (isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS):
            raise ValueError("not the name of a variable")
        if not (isinstance(mac, str) and _VARIABLE_MAC.fullmatch(mac)):
            raise ValueError("not the signature of a variable")
        macs[name] = mac
    return macs


# A function of our own, since pydantic's error for each of very many wrong ones would fill the memory.
VariableMacs = Annotated[
    dict[str, str],
    PlainValidator(_variable_macs),
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
# Python's $ also matches before a line break at the end, and JSON Schema knows no other end.
Id = Annotated[str, StringConstraints(pattern=rf"^{_ID}\z"), WithJsonSchema({"type": "string", "pattern": f"^{_ID}$"})]
RunId = Annotated[
    str,
    StringConstraints(pattern=rf"^({_ID})?\z"),
    WithJsonSchema({"type": "string", "pattern": f"^({_ID})?$", "description": "Empty where it is not known."}),
]
Mac = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9a-f]{64})?\z"),
    WithJsonSchema({"type": "string", "pattern": "^([0-9a-f]{64})?$"}),
]
# A matrix may have very many axes, and each name takes up to 1,500 characters here. A record that we write ourselves
# must be one that we read.
_KEY_LIMIT = 1_000_000
Key = Annotated[
    str, StringConstraints(max_length=_KEY_LIMIT), AfterValidator(_run_key), WithJsonSchema({"type": "string"})
]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=10_000)]
# Only what we write there ourselves: nothing that leads elsewhere, and nothing that a browser runs.
_FILE = rf"evidence/{_ID}/(step-[0-9]{{3,9}}\.(png|jpg|gif|webp|avif)|video\.(webm|mp4))"
File = Annotated[
    str,
    StringConstraints(pattern=rf"^({_FILE})?\z"),
    WithJsonSchema({"type": "string", "pattern": f"^({_FILE})?$", "description": "A path in results-dir, or empty."}),
]


class ResultsSanitizers(NamedTuple):
    """Functions that return what may be shown of a record's texts, links and run ids."""

    # For texts of the API.
    redact: Callable[[str], str]
    # For the user's own names of runs.
    label: Callable[[str], str]
    link: Callable[[str], str]
    run_id: Callable[[str], str]


class ResultsModel(BaseModel):
    """What every part of the record has in common."""

    # A later version may know more; what it adds is none of this one's business.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class ResultsStep(ResultsModel):
    """One step of a run."""

    number: int = Field(ge=1)
    instruction: Text
    output: Text
    url: Text
    status: Text = Field(default="", description="The API's own word.")
    screenshot: File = ""

    def to_run_step(self, redact: Callable[[str], str]) -> RunStep:
        """Return it as the rest of the house has it."""
        instruction, output, url, status = map(redact, (self.instruction, self.output, self.url, self.status))
        return RunStep(self.number, instruction, output, url, status, self.screenshot)


class ResultsEvidence(ResultsModel):
    """What was kept of a run."""

    steps: list[ResultsStep] = Field(
        max_length=MAX_STEPS, fail_fast=True, description="Of very many, the first and the last."
    )
    video: File
    missing_reason: Text = Field(description="What could not be kept, and why.")

    def to_evidence(self, redact: Callable[[str], str]) -> Evidence:
        """Return it as the rest of the house has it."""
        return Evidence(tuple(step.to_run_step(redact) for step in self.steps), self.video, redact(self.missing_reason))


_NOTHING = ResultsEvidence(steps=[], video="", missing_reason="")


class ResultsPreviousAttempt(ResultsModel):
    """A run that failed and was started again."""

    run_id: RunId
    url: Text
    message: Text
    start_offset_seconds: float = Field(ge=-1e9, le=1e9, description="From the step's start.")
    duration_seconds: Seconds
    step: ResultsStep | None
    evidence: ResultsEvidence = _NOTHING

    def to_previous_attempt(self, shift: float, checks: ResultsSanitizers) -> PreviousAttempt:
        """Return it as the rest of the house has it; `shift` seconds are added to the time at which it began."""
        run_id, url = checks.run_id(self.run_id), checks.link(self.url)
        began, message = self.start_offset_seconds + shift, checks.redact(self.message)
        step = self.step.to_run_step(checks.redact) if self.step else None
        evidence = _evidence(self, run_id, checks)
        return PreviousAttempt(run_id, url, message, step, began, self.duration_seconds, evidence)


class ResultsAppVersion(ResultsModel):
    """A version of an application."""

    application_id: Id
    version_id: Id


class ResultsRun(ResultsModel):
    """One planned run, and what became of it; values of variables are never kept."""

    name: Text
    label: Text = Field(description="The user's own name for it; empty if there is none.")
    title: Text = Field(description="The test's title in Autonoma, once it is known.")
    kind: TargetKind
    id: Id
    key: Key = Field(default="", description="Kind, id, place in the matrix, occurrence and environment.")
    request_mac: Mac = Field(default="", description="Signature of what was sent to start it, or empty.")
    mac: Mac = Field(default="", description="Signature of this run with its state, or empty.")
    state: RunState
    reason: ExitReason
    run_id: RunId
    url: Text
    message: Text
    suggestion: Text
    http_status: int = Field(ge=0, le=999, description="HTTP status of the last answer; 0 without one.")
    attempts: int = Field(ge=0, description="How many runs were started, or tried to be.")
    start_requests: int = Field(ge=0, description="How many requests were sent to start the last of them.")
    flaky: bool = Field(description="It passed only after it had failed.")
    reused: bool = Field(description="It passed in an earlier attempt at the same build and was not started again.")
    has_contradiction: bool = Field(default=False, description="Its status and its details contradicted each other.")
    start_offset_seconds: float = Field(
        ge=-1e9, le=1e9, description="When it was first asked for, from the step's start."
    )
    duration_seconds: Seconds = Field(description="Until it was started, or ended if it was waited for.")
    step: ResultsStep | None = Field(description="Where it failed.")
    evidence: ResultsEvidence = _NOTHING
    previous_attempts: list[ResultsPreviousAttempt] = Field(fail_fast=True)
    variables: list[Text] = Field(fail_fast=True, description="Names alone.")
    variable_macs: VariableMacs = {}
    application_version_id: Id | None
    application_versions: list[ResultsAppVersion] = Field(fail_fast=True)
    run_on_latest: bool

    def to_run_result(self, shift: float, checks: ResultsSanitizers) -> RunResult:
        """Return it as the rest of the house has it; `shift` seconds are added to the times at which runs began."""
        redact, run_id = checks.redact, checks.run_id(self.run_id)
        pairs = [(checks.run_id(v.application_id), checks.run_id(v.version_id)) for v in self.application_versions]
        # An id that holds a credential is not shown.
        versions = tuple(AppVersion(*pair) for pair in pairs if all(pair))
        macs = {checks.label(name): self.variable_macs[name] for name in self.variables if name in self.variable_macs}
        key = parse_run_key(self.key) if self.key else RunKey(self.kind, self.id)
        return RunResult(
            request=RunRequest(
                self.kind, self.id, checks.label(self.label), dict.fromkeys(map(checks.label, self.variables), ""),
                checks.run_id(self.application_version_id or ""), versions, self.run_on_latest,
                key.matrix_place, key.occurrence, key.environment,
            ),
            state=self.state,
            reason=self.reason,
            run_id=run_id,
            url=checks.link(self.url),
            message=redact(self.message),
            suggestion=redact(self.suggestion),
            http_status=self.http_status,
            start_requests=self.start_requests,
            duration_seconds=self.duration_seconds,
            start_offset_seconds=self.start_offset_seconds + shift,
            title=redact(self.title),
            step=self.step.to_run_step(redact) if self.step else None,
            previous_attempts=tuple(run.to_previous_attempt(shift, checks) for run in self.previous_attempts),
            reused=self.reused,
            evidence=_evidence(self, run_id, checks),
            request_mac=self.request_mac,
            has_contradiction=self.has_contradiction,
            variable_macs=macs or NO_VARIABLES,
        )  # fmt: skip


def _evidence(run: ResultsRun | ResultsPreviousAttempt, run_id: str, checks: ResultsSanitizers) -> Evidence:
    # The paths of the files name the run, so they go with an id that is withheld.
    return run.evidence.to_evidence(checks.redact) if run_id == run.run_id else NO_EVIDENCE


SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# A record of 100 MiB that a step writes has fewer. In memory, each takes up to about 100 bytes.
_MAX_VALUES = 4_000_000
# Far more than a step writes.
_MAX_NAMES = 100


def _few(value: object) -> object:
    """Return the value; raise ValueError if it has so many names that the errors alone would fill the memory."""
    if isinstance(value, dict) and len(value) > _MAX_NAMES:
        raise ValueError(f"more than {_MAX_NAMES} names")
    return value


Few = BeforeValidator(_few)


class ResultsBuild(ResultsModel):
    """The build that the step belongs to; empty texts where the CI system does not say."""

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
    """What results.json holds."""

    version: Literal[1]
    tool: Annotated[dict[str, Text], Few]
    title: Text
    job: Text = Field(default="", description="The job that started the runs.")
    part: Text = Field(default="", description="What tells parallel jobs of one name apart; empty if there are none.")
    shard: Text = Field(default="", description="The share of the plan, such as 2/5; empty for all of it.")
    step_id: Text = Field(default="", description="A random id of the step that started the runs.")
    started_at: datetime
    duration_seconds: Seconds
    waits_for_results: bool
    conclusion: Conclusion | None = Field(description="null while the step goes on, or if it was killed.")
    reason: ExitReason | None
    exit_code: int | None
    source: Text
    ci: ResultsBuild
    totals: Annotated[dict[str, int], Few]
    runs: list[ResultsRun] = Field(max_length=20_000, fail_fast=True)
    mac: Mac = Field(default="", description="Signature of all bytes, by a key of the client secret, or empty.")


def parse_results(data: bytes) -> Results:
    """Return the record; raise ValueError with a text that may quote the record if it is none."""
    # Counted before anything is made of it: a few bytes in the file are many in memory.
    if sum(map(data.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise ValueError(f"more than {_MAX_VALUES:,} values")
    try:
        document = from_json(data)
    except ValueError as error:
        raise ValueError(f"Invalid JSON: {error}") from None
    try:
        # Each error refers to a part of the document. Of JSON, each would hold a copy of the part.
        return Results.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if not place:
            raise ValueError("it holds no JSON object") from None
        if first["loc"] == ("version",) and first["type"] != "missing":
            raise ValueError("it has the format of another version of autonoma-ci") from None
        if first["type"] == "value_error":
            # Of a check of ours, whose text has pydantic's words in front.
            raise ValueError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
        raise ValueError(
            f"{place} {'is missing' if first['type'] == 'missing' else 'has an unexpected value'}"
        ) from None


def results_json_schema() -> dict[str, Any]:
    """Return the record's JSON Schema."""
    return {"$schema": SCHEMA_DIALECT, **Results.model_json_schema()}
