"""The record read back: one definition, from which its JSON Schema is made too.

A record may come from an artifact or a cache, so it is as untrusted as an answer of the API.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from autonoma_ci.model import (
    AppVersion,
    Conclusion,
    Earlier,
    Kind,
    Outcome,
    Reason,
    RunRequest,
    State,
    Step,
)
from autonoma_ci.text import link, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = r"[A-Za-z0-9_-]{1,128}"
# Python's $ also matches before a line break at the end, and JSON Schema knows no other end.
Id = Annotated[str, StringConstraints(pattern=rf"^{_ID}\z"), WithJsonSchema({"type": "string", "pattern": f"^{_ID}$"})]
RunId = Annotated[
    str,
    StringConstraints(pattern=rf"^({_ID})?\z"),
    WithJsonSchema({"type": "string", "pattern": f"^({_ID})?$", "description": "Empty where it is not known."}),
]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=10_000)]


class _Model(BaseModel):
    # A later version may know more; what it adds is none of this one's business.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class SavedStep(_Model):
    """The step at which a run failed."""

    number: int = Field(ge=1)
    instruction: Text
    output: Text
    url: Text


class SavedEarlier(_Model):
    """A run that failed and was started again."""

    run_id: RunId
    url: Text
    message: Text
    began_seconds: float = Field(ge=-1e9, le=1e9, description="From the step's start.")
    duration_seconds: Seconds
    step: SavedStep | None

    def earlier(self, shift: float, redact: Callable[[str], str]) -> Earlier:
        """Return it as the rest of the house has it."""
        began, url = self.began_seconds + shift, link(redact(self.url))
        return Earlier(self.run_id, url, redact(self.message), _step(self.step, redact), began, self.duration_seconds)


def _step(saved: SavedStep | None, redact: Callable[[str], str]) -> Step | None:
    if saved is None:
        return None
    return Step(saved.number, redact(saved.instruction), redact(saved.output), redact(saved.url))


class SavedVersion(_Model):
    """A version of an application."""

    application_id: Id
    version_id: Id


class SavedRun(_Model):
    """One planned run, and what became of it; values of variables are never kept."""

    name: Text
    label: Text = Field(description="The user's own name for it; empty if there is none.")
    title: Text = Field(description="The test's title in Autonoma, once it is known.")
    kind: Kind
    id: Id
    state: State
    reason: Reason
    run_id: RunId
    url: Text
    message: Text
    hint: Text
    status: int = Field(ge=0, le=999, description="HTTP status of the last answer; 0 without one.")
    attempts: int = Field(ge=0, description="How many runs were started, or tried to be.")
    tries: int = Field(ge=0, description="How many requests were sent to start the last of them.")
    flaky: bool = Field(description="It passed only after it had failed.")
    carried: bool = Field(description="It passed in an earlier attempt at the same build and was not started again.")
    began_seconds: float = Field(ge=-1e9, le=1e9, description="When it was first asked for, from the step's start.")
    duration_seconds: Seconds = Field(description="Until it was started, or ended if it was waited for.")
    step: SavedStep | None = Field(description="Where it failed.")
    earlier: list[SavedEarlier]
    variables: list[Text] = Field(description="Names alone.")
    application_version_id: Id | None
    application_versions: list[SavedVersion]
    run_on_latest: bool

    def outcome(self, shift: float, redact: Callable[[str], str]) -> Outcome:
        """Return it as the rest of the house has it; `shift` is added to the times at which runs began."""
        versions = tuple(AppVersion(v.application_id, v.version_id) for v in self.application_versions)
        return Outcome(
            request=RunRequest(
                self.kind, self.id, redact(self.label), dict.fromkeys(self.variables, ""),
                self.application_version_id or "", versions, self.run_on_latest,
            ),
            state=self.state,
            reason=self.reason,
            run_id=self.run_id,
            url=link(redact(self.url)),
            message=redact(self.message),
            hint=redact(self.hint),
            status=self.status,
            tries=self.tries,
            seconds=self.duration_seconds,
            began=self.began_seconds + shift,
            title=redact(self.title),
            step=_step(self.step, redact),
            earlier=tuple(run.earlier(shift, redact) for run in self.earlier),
            carried=self.carried,
        )  # fmt: skip


class SavedBuild(_Model):
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


class Saved(_Model):
    """What results.json holds."""

    version: Literal[1]
    tool: dict[str, Text]
    title: Text
    started_at: datetime
    duration_seconds: Seconds
    waited: bool
    conclusion: Conclusion | None = Field(description="null while the step goes on, or if it was killed.")
    reason: Reason | None
    exit_code: int | None
    source: Text
    ci: SavedBuild
    totals: dict[str, int]
    runs: list[SavedRun] = Field(max_length=20_000)


def parse(data: bytes) -> Saved:
    """Return the record; raise ValueError with a text for people if it is none."""
    try:
        return Saved.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = one_line(".".join(str(part) for part in first["loc"]), 100)
        raise ValueError(f"{place}: {one_line(first['msg'], 200)}" if place else one_line(first["msg"], 200)) from None


def json_schema() -> dict[str, Any]:
    """Return the record's JSON Schema."""
    return {"$schema": SCHEMA_DIALECT, **Saved.model_json_schema()}
