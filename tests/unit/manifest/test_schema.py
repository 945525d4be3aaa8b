"""The JSON Schema for editors agrees with the loader."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.errors import InputError
from autonoma_ci.manifest.schema import manifest_json_schema
from tests.support.manifest_reader import collect_errors, read_manifest

VERSIONS = "application_versions: [{application_id: a, version_id: b}]"
# Without booleans and fractions as ids, because an editor refuses them and the loader reads `true` as text.
_ids = st.sampled_from(["a", "b-1", "", "a/b", 1, -1, None, "x" * 129, "${A:-a}"])
_texts = st.sampled_from(["a", "a b", "a, b", "-x", "-1", "", "none", "x" * 101, "x" * 501, 1, 1.5, True, None])
_lists = _texts | st.lists(_texts, max_size=2)
_variables = _texts | st.dictionaries(st.sampled_from(["A", "B"]), _texts, max_size=2)
_matrix = _texts | st.dictionaries(st.sampled_from(["C", "D"]), _lists, max_size=2)
_patterns = st.sampled_from(["a", "docs/**", "-1", "a b", "a, b", 1, True, None]) | st.lists(
    st.sampled_from(["a", "docs/**", "!b", 1, None]).filter(lambda pattern: pattern != "!b"), max_size=2
)
_retries: st.SearchStrategy[object] = st.sampled_from([0, 10, 11, -1, "2", "a", "${R:-1}", None, True, [], 1.5])
_durations = st.sampled_from(["10m", "1h30m", None, ["1m"], 10])
_dates = st.sampled_from(["2026-12-31", "2020-01-01", "20261231", "31.12.2026", None, 2026])
_when = st.none() | _texts | st.fixed_dictionaries({}, optional={"changed": _patterns, "x-a": _texts, "b": _texts})
_quarantine = (
    st.none()
    | _texts
    | st.fixed_dictionaries({"until": _dates}, optional={"reason": _texts, "issue": _texts, "x-a": _texts})
)
_simple_fields = {
    "name": _texts,
    "groups": _lists,
    "x-note": _lists,
    "owner": _texts,
    "retries": _retries,
    "run_timeout": _durations,
    "when": _when,
    "quarantine": _quarantine,
}
_settings = st.sampled_from([True, False, "true", "no", None, 1])
_group_settings = st.none() | _texts | st.fixed_dictionaries({}, optional={"default": _settings, "x-a": _texts})
_environment = (
    st.none()
    | _texts
    | st.fixed_dictionaries(
        {},
        optional={
            "default": st.sampled_from([False, "false", "no"]),
            "variables": _variables,
            "wait_for_url": st.sampled_from(["https://example.com", "https://pr-${ci.change}.example.com", None, 1]),
        },
    )
)
_test_fields = {**_simple_fields, "variables": _variables, "matrix": _matrix, "application_version_id": _ids}
_version = st.fixed_dictionaries({"application_id": _ids}, optional={"version_id": _ids})
_defaults = st.fixed_dictionaries(
    {},
    optional={
        "variables": _variables,
        "application_version_id": _ids,
        "x-a": _texts,
        "retries": _retries,
        "run_timeout": _durations,
        "owner": _texts,
    },
)


def _list_entries(entry: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | _texts.filter(lambda text: not isinstance(text, bool)) | st.lists(entry, max_size=2)


_manifests = st.fixed_dictionaries(
    {"tests": _list_entries(_ids | st.fixed_dictionaries({"id": _ids}, optional=_test_fields))},
    optional={
        **dict.fromkeys(
            ("folders", "tags"), _list_entries(_ids | st.fixed_dictionaries({"id": _ids}, optional=_simple_fields))
        ),
        **dict.fromkeys(("version", "run_on_latest", "x-a"), _texts),
        "application_versions": _list_entries(_version),
        "defaults": _defaults | _texts,
        "always": _patterns,
        "groups": _lists | st.dictionaries(st.sampled_from(["G", "H"]), _group_settings, max_size=2),
        "environments": _lists | st.dictionaries(st.sampled_from(["E", "F"]), _environment, max_size=2),
    },
)


@pytest.mark.parametrize(
    "text",
    [
        *("run_on_latest: true", "run_on_latest: false", "run_on_latest: 'true'", f"{VERSIONS}\nrun_on_latest: false"),
        *(VERSIONS, "application_versions: []\nrun_on_latest: true"),
    ],
)
def test_run_on_latest_is_valid_in_both(text: str) -> None:
    """Schema and loader accept the same forms of run_on_latest and versions."""
    read_manifest(f"tags: [a]\n{text}")
    jsonschema.validate(yaml.safe_load(f"tags: [a]\n{text}"), manifest_json_schema())


def test_schema_has_dialect_and_titles() -> None:
    """The schema names its dialect and has a title for each kind of entry."""
    schema = manifest_json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert [schema["$defs"][name]["title"] for name in ("Test", "Folder", "Tag")] == ["Test", "Folder", "Tag"]


def test_entry_is_id_or_mapping_with_id() -> None:
    """An entry is an id or a mapping that has the key id."""
    for entry in ("a", "{id: a}"):
        jsonschema.validate(yaml.safe_load(f"tests: [{entry}]"), manifest_json_schema())
    for entry in ("{name: a}", "[a]", "'a/b'"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(f"tests: [{entry}]"), manifest_json_schema())


@pytest.mark.parametrize(
    "text", ["run_on_latest: maybe", "run_on_latest: 1", "run_on_latest: [true]", f"{VERSIONS}\nrun_on_latest: true"]
)
def test_invalid_run_on_latest_fails_in_both(text: str) -> None:
    """Schema and loader reject values that contradict each other."""
    assert len(collect_errors(f"tags: [a]\n{text}")) == 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(f"tags: [a]\n{text}"), manifest_json_schema())


@pytest.mark.parametrize(
    "text",
    [
        "tests:\nfolders:\ntags: [a]\ndefaults:\napplication_versions:",
        "tests: [{id: a, groups: smoke, matrix: {LOCALE: en}}]",
        "tests: [{id: a, groups: , variables: , matrix: }]",
        "defaults: {variables: }\ntests: [a]",
        "folders: [{id: a, groups: smoke}]",
        "groups:\nenvironments:\nalways:\ntests: [a]",
        "groups: {a: , b: {}, c: {default: false}}\ntests: [a]",
        "environments: {a: , b: {variables: }}\nalways: package-lock.json\ntests: [a]",
        "tests: [{id: a, when: {changed: docs/**, x-a: b}, quarantine: {until: '2026-12-31', reason: b, x-a: c}}]",
        "defaults: {retries: 2, run_timeout: 10m}\ntags: [{id: a, retries: 0, run_timeout: 1h}]",
        "x-common: {any: [thing]}\ntests: [{id: a, x-note: later}]\ndefaults: {x-y: z}",
    ],
)
def test_short_forms_are_valid_in_both(text: str) -> None:
    """Empty values, short forms and extensions are valid for loader and schema."""
    read_manifest(text)
    jsonschema.validate(yaml.safe_load(text), manifest_json_schema())


def test_short_forms_equal_long_forms() -> None:
    """A short form gives the same manifest as its long form."""
    short_form, long_form = (
        read_manifest("tests: [{id: a, groups: smoke, matrix: {LOCALE: en}, variables: }]\nfolders:"),
        read_manifest("tests: [{id: a, groups: [smoke], matrix: {LOCALE: [en]}}]"),
    )
    assert short_form.model_dump() == long_form.model_dump()


def test_x_key_among_variables_is_variable() -> None:
    """Elsewhere, a key that begins with x- is ignored."""
    assert read_manifest("tests: [{id: a, variables: {x-trace: 'on'}}]").tests[0].variables == {"x-trace": "on"}


def test_ignored_key_accepts_anything() -> None:
    """References in an ignored key stay as written, and its anchors can be used."""
    text = "x-base: &base {A: a}\nx-other: ['${UNSET}', {nmae: x}]\ntests: [{id: a, variables: *base}]"
    assert read_manifest(text).tests[0].variables == {"A": "a"}


@pytest.mark.slow
@given(_manifests)
def test_schema_and_loader_agree(manifest: object) -> None:
    """Any manifest is valid for the schema exactly if the loader accepts it."""
    try:
        read_manifest(json.dumps(manifest))
        is_accepted = True
    except InputError:
        is_accepted = False
    assert jsonschema.Draft202012Validator(manifest_json_schema()).is_valid(manifest) == is_accepted


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("tags: [a]\nrun_on_latest: true\napplication_versions:", True),
        ("tags: [{id: a, groups: 'smoke, nightly'}]", False),
        ("tags: [{id: a, groups: -smoke}]", False),
        ("tags: [{id: a, groups: ['']}]", False),
        ("tags: [{id: a, groups: none}]", False),
        (f"tags: [{{id: a, name: {'x' * 501}}}]", False),
        ("tests: [{id: a, matrix: {A: 'b c'}}]", False),
        ("tests: [{id: a, when: }]", False),
        ("tests: [{id: a, when: {}}]", False),
        ("tests: [{id: a, when: {changed: []}}]", False),
        ("tests: [{id: a, when: [docs/**]}]", False),
        ("tests: [{id: a, quarantine: true}]", False),
        ("tests: [{id: a, quarantine: {until: '2026-12-31'}}]", False),
        ("tests: [{id: a, quarantine: {reason: a}}]", False),
        ("tests: [{id: a, quarantine: {until: soon, reason: a}}]", False),
        ("tests: [{id: a, quarantine: {until: '2026-12-31', reason: ' '}}]", False),
        ("tests: [{id: a, retries: }]", False),
        ("tests: [{id: a, retries: 11}]", False),
        ("tests: [{id: a, run_timeout: 10}]", False),
        (f"tests: [{{id: a, owner: {'x' * 101}}}]", False),
        ("groups: [smoke]\ntests: [a]", False),
        ("groups: {none: {default: false}}\ntests: [a]", False),
        ("groups: {'${A}': {default: false}}\ntests: [a]", False),
        ("groups: {'': {default: false}}\ntests: [a]", False),
        ("environments: {' a': {}}\ntests: [a]", False),
        ("environments: {'${A}': {}}\ntests: [a]", False),
        ("environments: {a b: {}, none: {}}\ntests: [a]", True),
        ("environments: {a: {default: maybe}}\ntests: [a]", False),
        ("environments: {a: {wait: b}}\ntests: [a]", False),
        ("always: {a: b}\ntests: [a]", False),
    ],
)
def test_schema_and_loader_agree_on_texts(text: str, *, is_valid: bool) -> None:
    """Schema and loader both accept or both reject these manifests."""
    assert jsonschema.Draft202012Validator(manifest_json_schema()).is_valid(yaml.safe_load(text)) == is_valid
    if is_valid:
        read_manifest(text)
    else:
        assert collect_errors(text)
