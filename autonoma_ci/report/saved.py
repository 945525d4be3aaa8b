"""The record read back: one definition, from which its JSON Schema is made too.

A record may come from an artifact or a cache, so it is as untrusted as an answer of the API.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import from_json

from autonoma_ci.model import Conclusion, Reason  # noqa: TC001 - pydantic reads the annotations
from autonoma_ci.report.saved_runs import Mac, Model, SavedRun, Seconds, Text

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


class SavedBuild(Model):
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


class Saved(Model):
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
    waited: bool
    conclusion: Conclusion | None = Field(description="null while the step goes on, or if it was killed.")
    reason: Reason | None
    exit_code: int | None
    source: Text
    ci: SavedBuild
    totals: Annotated[dict[str, int], Few]
    runs: list[SavedRun] = Field(max_length=20_000, fail_fast=True)
    mac: Mac = Field(default="", description="Signature of all bytes, by a key of the client secret, or empty.")


def parse(data: bytes) -> Saved:
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
        return Saved.model_validate(document)
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


def json_schema() -> dict[str, Any]:
    """Return the record's JSON Schema."""
    return {"$schema": SCHEMA_DIALECT, **Saved.model_json_schema()}
