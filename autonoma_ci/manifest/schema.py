"""Define the manifest for validation and for its JSON Schema."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from autonoma_ci.config.parsers import parse_duration, parse_int, quote_name
from autonoma_ci.config.settings import NO_GROUPS
from autonoma_ci.errors import InputError
from autonoma_ci.manifest.patterns import MAX_PATTERN_CHARS, find_pattern_error, find_pattern_list_error
from autonoma_ci.startup import lazy_pattern
from autonoma_ci.yaml_subset.document import YamlValue, explain_non_string

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
# For the keys of `groups` and `environments`.
_NAME_SCHEMAS: dict[str, dict[str, Any]] = {
    "groups": {"minLength": 1, "maxLength": 100, "pattern": rf"^(?!{NO_GROUPS}$)(?!.*\$\{{)"},
    "environments": {"maxLength": 100, "pattern": r"^(?!.*\$\{)\S(.*\S)?$"},
}
# A text that counts as a list of one value, such as -1 or `${NAME:-a b}`. `-smoke` is an entry without a space.
GROUP_NAME_PATTERN = r"(?!-\D|-$)[^\s,]+|\$\{[^{}]*\}"
# Keys whose value is a list or a mapping. A missing value counts as empty.
ENTRY_COLLECTIONS = frozenset(
    {
        *("tests", "folders", "tags", "application_versions", "defaults", "groups", "variables", "matrix"),
        *("environments", "always"),
    }
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

# A longer quarantine hides a broken test for too long.
MAX_QUARANTINE_DAYS = 90
MAX_RETRIES = 10
# Without them, a name cannot be a value of the option `environment`.
_ENVIRONMENT_NAME_RE = lazy_pattern(r"\S(?:.*\S)?")
_NO_VALUE_ADVICE = "Write one, or remove the key."
_ISO_DATE_RE = lazy_pattern(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _check_string(value: YamlValue, advice: str = _NO_VALUE_ADVICE) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"has no value. {advice}" if value is None else explain_non_string(value))


def _read_with(parse: Callable[[str], object]) -> BeforeValidator:
    """Return a validator that reports the error of a parser of options."""

    def read(value: YamlValue | float) -> object:
        if isinstance(value, (int, float)):
            # A manifest that does not come from YAML.
            return value
        try:
            return parse(_check_string(value))
        except InputError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(read)


def _parse_until(value: YamlValue | date, info: ValidationInfo) -> date:
    """Return the last day of a quarantine.

    The context of the validation has the current date in UTC.

    Raises:
        ValueError: The text is no date, or too far ahead.
    """
    if isinstance(value, date):
        # A manifest that does not come from YAML.
        return value
    context: Any = info.context
    today: date = context["today"]
    last_day = today + timedelta(days=MAX_QUARANTINE_DAYS)
    example = today + timedelta(days=MAX_QUARANTINE_DAYS // 3)
    text = _check_string(value, f"Write a date, such as {example}.")
    try:
        # Since Python 3.11, `fromisoformat` also accepts other forms, such as weeks.
        until = date.fromisoformat(text) if _ISO_DATE_RE.fullmatch(text) else None
    except ValueError:
        until = None
    if until is None:
        raise ValueError(f"invalid date: {quote_name(text)}. Write it as YYYY-MM-DD, such as {example}.")
    if until > last_day:
        raise ValueError(f"more than {MAX_QUARANTINE_DAYS} days ahead: {until}. Use {last_day} or earlier.")
    return until


def _check_pattern(value: YamlValue) -> YamlValue:
    if isinstance(value, str) and (error := find_pattern_error(value)) is not None:
        raise ValueError(error)
    return value


def _check_patterns(value: list[str]) -> list[str]:
    if (error := find_pattern_list_error(value)) is not None:
        raise ValueError(error)
    return value


def _check_environment_name(name: str) -> str:
    if not _ENVIRONMENT_NAME_RE.fullmatch(name) or not name.isprintable():
        raise ValueError(f"invalid name of an environment: {quote_name(name)}. Use a short name, such as staging.")
    return _check_literal_name(name)


def _check_literal_name(name: str) -> str:
    if "${" in name:
        raise ValueError(f"${{…}} is not replaced in this name: {quote_name(name)}. Write the name itself.")
    return name


def _fail_on_null(value: YamlValue) -> YamlValue:
    if value is None:
        raise ValueError(f"has no value. {_NO_VALUE_ADVICE}")
    return value


_RETRIES_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": MAX_RETRIES},
        {"type": "string", "pattern": r"^(0*([0-9]|10)|.*\$\{.*)$"},
    ]
}
Retries = Annotated[
    int | None, _read_with(lambda text: parse_int(0, MAX_RETRIES, text)), WithJsonSchema(_RETRIES_SCHEMA)
]
# In seconds.
Duration = Annotated[float | None, _read_with(parse_duration), WithJsonSchema({"type": "string"})]
Pattern = Annotated[
    str,
    BeforeValidator(_check_pattern),
    WithJsonSchema({**SCALAR_SCHEMA, "minLength": 1, "maxLength": MAX_PATTERN_CHARS}),
]
_Owner = Annotated[str, StringConstraints(max_length=100), WithJsonSchema({**SCALAR_SCHEMA, "maxLength": 100})]
_LongText = Annotated[str, StringConstraints(max_length=500), WithJsonSchema({**SCALAR_SCHEMA, "maxLength": 500})]
_Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500, strip_whitespace=True),
    BeforeValidator(partial(_check_string, advice="Write why the entry is in quarantine.")),
    WithJsonSchema({**SCALAR_SCHEMA, "pattern": r"\S", "maxLength": 500}),
]
_Until = Annotated[
    date,
    BeforeValidator(_parse_until),
    WithJsonSchema({"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}),
]
_GroupName = Annotated[Group, AfterValidator(_check_literal_name)]
_EnvironmentName = Annotated[Group, AfterValidator(_check_environment_name)]


class _StrictModel(BaseModel):
    # The defaults `[]` and `{}` are copied for each entry. For `default_factory=dict`, pydantic needs milliseconds to
    # find the signature of `dict`. It builds the validators of all models with that of `Manifest`, which is faster than
    # one by one.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class When(_StrictModel):
    """When an entry runs."""

    changed: Annotated[list[Pattern], AfterValidator(_check_patterns)] = Field(
        min_length=1,
        description="Run only if a changed file matches. Patterns as in a gitignore file, from the top of the "
        "repository. The last pattern that matches a file decides.",
    )


class EntryQuarantine(_StrictModel):
    """The quarantine of an entry that is known to fail."""

    until: _Until = Field(
        description=f"Last day in UTC, at most {MAX_QUARANTINE_DAYS} days ahead. After it, the result counts again."
    )
    reason: _Reason = Field(description="Why the entry is in quarantine.")
    issue: _LongText = Field("", description="Link or number of the issue.")


class GroupSettings(_StrictModel):
    """The settings of a group."""

    default: YamlBool = Field(
        "true", description="`false`: its entries run only if the option `groups` names the group."
    )


class Environment(_StrictModel):
    """An environment under test."""

    default: YamlBool = Field("false", description="`true` for the one without the option `environment`.")
    variables: Variables = Field({}, description="Values of variables in this environment.")
    wait_for_url: Annotated[str, StringConstraints(max_length=2000)] = Field(
        "",
        description="Before any run is started, wait until this URL responds. Only `${ci.*}` is replaced in it. The "
        "option `wait-for-url` wins.",
    )


class _Entry(_StrictModel):
    """The common fields of all entries.

    A manifest can also write an entry as its id alone.
    """

    id: Id
    name: Name = Field("", description="Name in reports. Default: the id.")
    groups: list[Group] = Field([], description="Groups of the entry, for the option `groups`.")
    owner: _Owner = Field("", description="Who is responsible. Shown in reports.")
    retries: Retries = Field(None, description="With `wait`: start a failed run again, up to 10 times.")
    run_timeout: Duration = Field(None, description="With `wait`: maximum duration of one attempt, such as `10m`.")
    when: Annotated[When | None, BeforeValidator(_fail_on_null)] = Field(None, description="When the entry runs.")
    quarantine: Annotated[EntryQuarantine | None, BeforeValidator(_fail_on_null)] = Field(
        None, description="For an entry that is known to fail: its failure does not count."
    )

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
    variables: Variables = Field({}, description="Values of variables that are saved in Autonoma, for this run only.")
    matrix: dict[str, Annotated[list[Text], Field(min_length=1)]] = Field(
        {}, repr=False, description="One run per combination of these variables' values."
    )


class Folder(_Entry):
    """A folder with all tests in it and below it."""


class Tag(_Entry):
    """A tag with all tests that have it."""


class Defaults(_StrictModel):
    """Values for all tests that do not set their own."""

    application_version_id: Id = Field("", description="The application version to test.")
    variables: Variables = Field({}, description="Values of variables that are saved in Autonoma, for all tests.")
    retries: Retries = Field(None, description="As in an entry, for all entries.")
    run_timeout: Duration = Field(None, description="As in an entry, for all entries.")


class ApplicationVersion(_StrictModel):
    """A version of an application, for runs of folders and tags."""

    application_id: Id
    version_id: Id


class Manifest(_StrictModel):
    """The tests, folders and tags that autonoma-ci runs."""

    model_config = ConfigDict(json_schema_extra=EXCLUSIVE_SCHEMA, defer_build=False)

    version: Annotated[Literal["1"], WithJsonSchema({"enum": [1, "1"]})] = "1"
    groups: dict[_GroupName, GroupSettings] = Field({}, description="Settings of groups, by name.")
    environments: dict[_EnvironmentName, Environment] = Field(
        {}, description="Environments, for the option `environment`."
    )
    always: Annotated[list[Pattern], AfterValidator(_check_patterns)] = Field(
        [],
        description="A change of these files, or of the manifest, selects every entry. Patterns as in `when`.",
    )
    defaults: Defaults = Field(default_factory=Defaults)
    tests: list[Test] = Field([])
    folders: list[Folder] = Field([])
    tags: list[Tag] = Field([])
    application_versions: list[ApplicationVersion] = Field([], description="Application versions for folders and tags.")
    run_on_latest: YamlBool = Field(
        "false", description="Run folders and tags against the latest version of each application."
    )
    _environment_texts: frozenset[str] = PrivateAttr(frozenset())
    _fact_values: frozenset[str] = PrivateAttr(frozenset())
    _build_facts: tuple[tuple[str, str], ...] = PrivateAttr(())
    _file: str = PrivateAttr("")  # the path as messages show it
    _line: int = PrivateAttr(0)  # the line of `tests:`, or 0 if there is none
    # The groups of entries with `${NAME}` in one, by the `id()` of the entry, which lives as long as the manifest. The
    # entries have no attribute for it, because pydantic needs microseconds to read each private attribute.
    _group_values: dict[int, list[str]] = PrivateAttr(default_factory=dict)
    # The matrix values without `${…}`, as axis and position, by the `id()` of the test.
    _literal_values: dict[int, frozenset[tuple[str, int]]] = PrivateAttr(default_factory=dict)
    # The selected environment and its name.
    _selected_environment: tuple[str, Environment] | None = PrivateAttr(None)

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
    def build_facts(self) -> tuple[tuple[str, str], ...]:
        """The build facts in the manifest, as fields of `BuildContext` and values."""
        return self._build_facts

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

    @property
    def selected_environment(self) -> tuple[str, Environment] | None:
        """The name and the settings of the environment that applies, or None."""
        return self._selected_environment

    def select_environment(self, name: str) -> None:
        """Select the environment of this name.

        An unknown name selects none.
        """
        selected = self.environments.get(name)
        self._selected_environment = (name, selected) if selected else None

    def is_literal_value(self, test: Test, axis: str, position: int) -> bool:
        """Return whether the manifest states a value of a matrix literally.

        Args:
            test: The test with the matrix.
            axis: The name of the variable.
            position: The position of the value on its axis, from 0.
        """
        return (axis, position) in self._literal_values.get(id(test), ())

    def set_literal_values(self, test: Test, values: frozenset[tuple[str, int]]) -> None:
        """Set the matrix values of a test that have no `${…}`, as axis and position."""
        self._literal_values[id(test)] = values

    def set_location(self, file: str, line: int) -> None:
        """Set the file and the line of the entries."""
        self._file, self._line = file, line

    def set_value_sources(
        self,
        environment_texts: frozenset[str],
        fact_values: frozenset[str],
        build_facts: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Set the environment values and build facts in the manifest."""
        self._environment_texts, self._fact_values = environment_texts, fact_values
        self._build_facts = build_facts


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
    for name in ("when", "quarantine", "retries", "run_timeout"):
        if name in properties:
            properties[name] = _forbid_null(properties[name])
    for name in ("groups", "changed", "always"):
        if "items" in properties.get(name, {}):
            properties[name] = _allow_single_value(properties[name])
    if "matrix" in properties:
        properties["matrix"]["additionalProperties"] = _allow_single_value(properties["matrix"]["additionalProperties"])
    # The settings of each group and of each environment.
    for name in ("groups", "environments"):
        if "additionalProperties" in properties.get(name, {}):
            properties[name]["additionalProperties"] = _allow_null(properties[name]["additionalProperties"])
            properties[name]["propertyNames"] = _NAME_SCHEMAS[name]
    for name in ENTRY_COLLECTIONS & properties.keys():
        properties[name] = _allow_null(properties[name])


def _allow_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _forbid_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key that may be missing, but not without a value."""
    without_default = {key: value for key, value in schema.items() if key != "default"}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return without_default
    del without_default["anyOf"]
    return {**choices[0], **without_default}


def _allow_single_value(schema: dict[str, Any]) -> dict[str, Any]:
    single_value = schema["items"] | {"pattern": f"^({GROUP_NAME_PATTERN})$"}
    return {"anyOf": [schema, single_value]}
