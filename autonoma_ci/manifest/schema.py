"""Define the manifest for validation and for its JSON Schema."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from autonoma_ci.config.parsers import parse_duration
from autonoma_ci.config.settings import NO_GROUPS
from autonoma_ci.yaml_subset.document import YamlValue  # noqa: TC001 - pydantic reads the annotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# In runs of one test.
MAX_MATRIX_COMBINATIONS = 1000
# The parser returns scalars as strings. An editor that checks the file sees numbers and booleans.
SCALAR_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean"]}
ID_SCHEMA: dict[str, Any] = {
    "type": ["string", "integer"],
    "pattern": r"^([A-Za-z0-9_-]{1,128}|.*\$\{.*)$",
    "description": "Letters, digits, - and _. `${...}` is replaced first.",
}
Text = Annotated[str, WithJsonSchema(SCALAR_SCHEMA)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}\z"), WithJsonSchema(ID_SCHEMA)]
Name = Annotated[str, StringConstraints(max_length=500), WithJsonSchema({**SCALAR_SCHEMA, "maxLength": 500})]
YamlBool = Annotated[Literal["true", "false"], WithJsonSchema({"enum": [True, False, "true", "false"]})]
# The loader rejects `none` with a message, because a group can also get its name from `${NAME}`.
_GROUP_SCHEMA: dict[str, Any] = {**SCALAR_SCHEMA, "minLength": 1, "maxLength": 100, "not": {"const": NO_GROUPS}}
Group = Annotated[str, StringConstraints(min_length=1, max_length=100), WithJsonSchema(_GROUP_SCHEMA)]
# A text that counts as a list of one value, such as -1 or `${NAME:-a b}`. `-smoke` is an entry without a space.
GROUP_NAME_PATTERN = r"(?!-\D|-$)[^\s,]+|\$\{[^{}]*\}"
# Keys whose value is a list or a mapping. A missing value counts as empty.
ENTRY_COLLECTIONS = frozenset(
    {"tests", "folders", "tags", "application_versions", "defaults", "groups", "variables", "matrix"}
)
# For editors. The loader reports it with a message and a position.
EXCLUSIVE_SCHEMA: dict[str, Any] = {
    "not": {
        "required": ["application_versions", "run_on_latest"],
        "properties": {
            "application_versions": {"type": "array", "minItems": 1},
            "run_on_latest": {"enum": [True, "true"]},
        },
    }
}
Variables = Annotated[dict[str, Text], Field(repr=False)]


Retries = Annotated[int, Field(ge=0, le=10), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 10})]
# In seconds.
Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema({"type": "string"})]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class When(_StrictModel):
    """When an entry runs."""

    changed: list[Pattern] = Field(
        min_length=1, description="Run only if a changed file matches. Patterns as in a gitignore file."
    )


class EntryQuarantine(_StrictModel):
    """The quarantine of an entry that is known to fail."""

    until: date = Field(description="The last day of the quarantine in UTC, at most 90 days ahead.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    issue: Annotated[str, StringConstraints(max_length=500)] = ""


class GroupSettings(_StrictModel):
    """The settings of a group."""

    default: YamlBool = Field("true", description="Whether its entries run without the option `groups`.")


class Environment(_StrictModel):
    """An environment under test."""

    default: YamlBool = Field("false", description="Whether it applies without the option `environment`.")
    variables: Variables = Field(default_factory=dict, description="Values of variables in this environment.")
    wait_for_url: Annotated[str, StringConstraints(max_length=2000)] = Field(
        "", description="Before any run is started, wait until this URL responds."
    )


class _Entry(_StrictModel):
    """The common fields of all entries.

    A manifest can also write an entry as its id alone.
    """

    id: Id
    name: Name = Field("", description="Name in reports. Default: the id.")
    groups: list[Group] = Field(default_factory=list, description="Groups of the entry, for the option `groups`.")
    owner: Annotated[str, StringConstraints(max_length=100)] = Field("", description="Who is responsible.")
    retries: Retries | None = Field(None, description="How often a failed run is started again.")
    run_timeout: Duration | None = Field(None, description="Maximum duration of one attempt.")
    when: When | None = Field(None, description="When the entry runs.")
    quarantine: EntryQuarantine | None = Field(None, description="Set if the entry is known to fail.")

    @model_validator(mode="before")
    @classmethod
    def _expand_id(cls, value: YamlValue) -> YamlValue:
        return {"id": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, Any]:
        full = handler.resolve_ref_schema(handler(core))
        return {"title": full["title"], "anyOf": [ID_SCHEMA, full]}


AnyEntry = TypeVar("AnyEntry", bound=_Entry)


class Test(_Entry):
    """A test, with one run per combination of its matrix."""

    application_version_id: Id = Field("", description="The application version to test.")
    variables: Variables = Field(
        default_factory=dict, description="Values of variables that are saved in Autonoma, for this run only."
    )
    matrix: dict[str, Annotated[list[Text], Field(min_length=1)]] = Field(
        default_factory=dict, repr=False, description="One run per combination of these variables' values."
    )


class Folder(_Entry):
    """A folder with all tests in it and below it."""


class Tag(_Entry):
    """A tag with all tests that have it."""


class Defaults(_StrictModel):
    """Values for all tests that do not set their own."""

    application_version_id: Id = Field("", description="The application version to test.")
    variables: Variables = Field(
        default_factory=dict, description="Values of variables that are saved in Autonoma, for all tests."
    )
    retries: Retries | None = Field(None, description="How often a failed run is started again.")
    run_timeout: Duration | None = Field(None, description="Maximum duration of one attempt.")


class ApplicationVersion(_StrictModel):
    """A version of an application, for runs of folders and tags."""

    application_id: Id
    version_id: Id


class Manifest(_StrictModel):
    """The tests, folders and tags that autonoma-ci runs."""

    model_config = ConfigDict(json_schema_extra=EXCLUSIVE_SCHEMA)

    version: Annotated[Literal["1"], WithJsonSchema({"enum": [1, "1"]})] = "1"
    groups: dict[Group, GroupSettings] = Field(default_factory=dict, description="Settings of groups, by name.")
    environments: dict[Group, Environment] = Field(
        default_factory=dict, description="Environments, for the option `environment`."
    )
    always: list[Pattern] = Field(
        default_factory=list, description="A change of these files selects every entry. Patterns as in `when`."
    )
    defaults: Defaults = Field(default_factory=Defaults)
    tests: list[Test] = Field(default_factory=list)
    folders: list[Folder] = Field(default_factory=list)
    tags: list[Tag] = Field(default_factory=list)
    application_versions: list[ApplicationVersion] = Field(
        default_factory=list, description="Application versions for folders and tags."
    )
    run_on_latest: YamlBool = Field(
        "false", description="Run folders and tags against the latest version of each application."
    )
    _environment_texts: frozenset[str] = PrivateAttr(frozenset())
    _fact_values: frozenset[str] = PrivateAttr(frozenset())
    _file: str = PrivateAttr("")  # the path as messages show it
    _line: int = PrivateAttr(0)  # the line of `tests:`, or 0 if there is none
    # The groups of entries with `${NAME}` in one, by the `id()` of the entry, which lives as long as the manifest. The
    # entries have no attribute for it, because pydantic needs microseconds to read each private attribute.
    _group_values: dict[int, list[str]] = PrivateAttr(default_factory=dict)

    # The selected environment and its name.
    _selected_environment: tuple[str, Environment] | None = PrivateAttr(None)
    # The matrix values without `${…}`, as axis and position, by the `id()` of the test.
    _stated_values: dict[int, frozenset[tuple[str, int]]] = PrivateAttr(default_factory=dict)

    @property
    def entries(self) -> list[Test | Folder | Tag]:
        """All entries in the order of their starts."""
        return [*self.tests, *self.folders, *self.tags]

    @property
    def environment_texts(self) -> frozenset[str]:
        """The environment values in variables, names and groups.

        They must not be shown.
        """
        return self._environment_texts

    @property
    def fact_values(self) -> frozenset[str]:
        """The values that consist of build facts alone.

        They are not secret.
        """
        return self._fact_values

    @property
    def selected_environment(self) -> tuple[str, Environment] | None:
        """The name and the settings of the environment that applies, or None."""
        return self._selected_environment

    def select_environment(self, name: str) -> None:
        """Select the environment of this name, or the default one without a name.

        An unknown name selects none.
        """
        defaults = (key for key, environment in self.environments.items() if environment.default == "true")
        chosen = name or next(defaults, "")
        selected = self.environments.get(chosen)
        self._selected_environment = (chosen, selected) if selected else None

    def is_stated_value(self, test: Test, axis: str, position: int) -> bool:
        """Return whether the manifest states a value of a matrix literally.

        Args:
            test: The test with the matrix.
            axis: The name of the variable.
            position: The position of the value on its axis, from 0.

        """
        return (axis, position) in self._stated_values.get(id(test), frozenset())

    @property
    def file(self) -> str:
        """The path of the file as messages show it.

        It is empty if the manifest does not come from a file.
        """
        return self._file

    @property
    def line(self) -> int:
        """The line of the key `tests`, from 1.

        It is 0 if the line is unknown.
        """
        return self._line

    def with_group_values(self, entries: Iterable[AnyEntry]) -> Iterator[tuple[AnyEntry, list[str]]]:
        """Yield each entry with its groups as the option `groups` compares them.

        These groups contain the values of `${NAME}` and must not be shown.
        """
        values = self._group_values
        for entry in entries:
            yield entry, values.get(id(entry), entry.groups)

    def set_group_values(self, entry: _Entry, values: list[str]) -> None:
        """Set the values of an entry's groups.

        Reports show these groups with `${NAME}`.
        """
        self._group_values[id(entry)] = values

    def set_stated_values(self, test: Test, values: frozenset[tuple[str, int]]) -> None:
        """Set the matrix values that the manifest states literally.

        Each is an axis and a position from 0.
        """
        self._stated_values[id(test)] = values

    def set_location(self, file: str, line: int) -> None:
        """Set the file and the line of the entries."""
        self._file, self._line = file, line

    def set_value_sources(self, environment_texts: frozenset[str], fact_values: frozenset[str]) -> None:
        """Set the environment values and build facts in the manifest."""
        self._environment_texts, self._fact_values = environment_texts, fact_values


def manifest_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the manifest for editors and validators."""
    schema = {"$schema": SCHEMA_DIALECT, **Manifest.model_json_schema()}
    for part in (schema, *schema["$defs"].values()):
        # An entry is its id alone or an object.
        for model in part.get("anyOf", [part]):
            if model.get("type") == "object":
                _allow_short_forms(model)
    return schema


def _allow_short_forms(model: dict[str, Any]) -> None:
    """Allow the short forms that the loader expands.

    They are collections without content, single words in place of lists, and ignored keys.
    """
    model["patternProperties"] = {"^x-": {}}
    properties: dict[str, Any] = model["properties"]
    if "items" in properties.get("groups", {}):
        properties["groups"] = _allow_single_value(properties["groups"])
    if "matrix" in properties:
        properties["matrix"]["additionalProperties"] = _allow_single_value(properties["matrix"]["additionalProperties"])
    for name in ENTRY_COLLECTIONS & properties.keys():
        properties[name] = {"anyOf": [properties[name], {"type": "null"}]}


def _allow_single_value(schema: dict[str, Any]) -> dict[str, Any]:
    single_value = schema["items"] | {"pattern": f"^({GROUP_NAME_PATTERN})$"}
    return {"anyOf": [schema, single_value]}
