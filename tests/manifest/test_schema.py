"""The JSON Schema, for editors: it sees numbers and booleans where the reader sees text."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from autonoma_ci.manifest.schema import json_schema
from tests.manifest.reading import problems, read

VERSIONS = "application_versions: [{application_id: a, version_id: b}]"


@pytest.mark.parametrize(
    "text",
    [
        *("run_on_latest: true", "run_on_latest: false", "run_on_latest: 'true'", f"{VERSIONS}\nrun_on_latest: false"),
        *(VERSIONS, "application_versions: []\nrun_on_latest: true"),
    ],
)
def test_both_take_what_folders_and_tags_run_against(text: str) -> None:
    read(f"tags: [a]\n{text}")
    jsonschema.validate(yaml.safe_load(f"tags: [a]\n{text}"), json_schema())


def test_the_schema_names_its_dialect_and_each_kind_of_entry() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert [schema["$defs"][name]["title"] for name in ("Test", "Folder", "Tag")] == ["Test", "Folder", "Tag"]


def test_an_entry_is_an_id_or_a_mapping_with_one() -> None:
    for entry in ("a", "{id: a}"):
        jsonschema.validate(yaml.safe_load(f"tests: [{entry}]"), json_schema())
    for entry in ("{name: a}", "[a]", "'a/b'"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(f"tests: [{entry}]"), json_schema())


@pytest.mark.parametrize(
    "text", ["run_on_latest: maybe", "run_on_latest: 1", "run_on_latest: [true]", f"{VERSIONS}\nrun_on_latest: true"]
)
def test_both_refuse_what_can_not_be_meant(text: str) -> None:
    assert len(problems(f"tags: [a]\n{text}")) == 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(f"tags: [a]\n{text}"), json_schema())


@pytest.mark.parametrize(
    "text",
    [
        "tests:\nfolders:\ntags: [a]\ndefaults:\napplication_versions:",
        "tests: [{id: a, groups: smoke, matrix: {LOCALE: en}}]",
        "tests: [{id: a, groups: , variables: , matrix: }]",
        "defaults: {variables: }\ntests: [a]",
        "folders: [{id: a, groups: smoke}]",
        "x-common: {any: [thing]}\ntests: [{id: a, x-note: later}]\ndefaults: {x-y: z}",
    ],
)
def test_both_take_short_forms(text: str) -> None:
    read(text)
    jsonschema.validate(yaml.safe_load(text), json_schema())


def test_short_forms_mean_the_long_ones() -> None:
    short, long = (
        read("tests: [{id: a, groups: smoke, matrix: {LOCALE: en}, variables: }]\nfolders:"),
        read("tests: [{id: a, groups: [smoke], matrix: {LOCALE: [en]}}]"),
    )
    assert short == long


def test_key_that_begins_with_x_is_a_variable_among_variables() -> None:
    assert read("tests: [{id: a, variables: {x-trace: 'on'}}]").tests[0].variables == {"x-trace": "on"}


def test_ignored_key_may_hold_anything() -> None:
    """Not even a reference in it is filled in, but an alias of it can be used."""
    text = "x-base: &base {A: a}\nx-other: ['${UNSET}', {nmae: x}]\ntests: [{id: a, variables: *base}]"
    assert read(text).tests[0].variables == {"A": "a"}
