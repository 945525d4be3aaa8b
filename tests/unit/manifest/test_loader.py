"""The meaning of a manifest, and the errors of wrong ones."""

from __future__ import annotations

import pytest

from autonoma_ci.manifest.schema import Manifest
from tests.support.manifest_reader import collect_errors, read_manifest, read_single_test

# The published example.
EXAMPLE = """\
# yaml-language-server: $schema=autonoma.schema.json
version: 1
defaults:
  application_version_id: ${APP_VERSION_ID:-cm7dbowr80042waka7thyjhkq}
  variables:
    ENVIRONMENT: staging
    BASE_URL: https://pr-${NUMBER}.preview.example.com
tests:
  - g41k688vndxzt7kh4kq5m12s                # the short form
  - id: cm8d9gt6v000c9fe5glmyi33u
    name: Checkout pays by card
    groups: [smoke, checkout]
    variables: { NAME: CompanyName, RELEASE: 1.10 }
    matrix: { LOCALE: [en, fr] }            # one run per combination
folders:
  - id: cm7t223mk00154mzy2jwk2pqy
    name: private-listing-hub
tags:
  - cm9r0nog10012v301qtollv01
application_versions:
  - { application_id: cm9xyz12340567pqrs8tuvwxy, version_id: cm9abc34560789defg0hijklm }
"""


def test_published_example_is_read() -> None:
    """All values of the published example are read."""
    manifest = read_manifest(EXAMPLE, {"NUMBER": "7"})
    assert manifest.defaults.application_version_id == "cm7dbowr80042waka7thyjhkq"
    assert manifest.defaults.variables == {"ENVIRONMENT": "staging", "BASE_URL": "https://pr-7.preview.example.com"}
    short_entry, full_entry = manifest.tests
    assert (short_entry.id, short_entry.name, short_entry.groups) == ("g41k688vndxzt7kh4kq5m12s", "", [])
    assert (full_entry.id, full_entry.name) == ("cm8d9gt6v000c9fe5glmyi33u", "Checkout pays by card")
    assert full_entry.groups == ["smoke", "checkout"]
    assert full_entry.variables == {"NAME": "CompanyName", "RELEASE": "1.10"}
    assert full_entry.matrix == {"LOCALE": ["en", "fr"]}
    assert [(folder.id, folder.name) for folder in manifest.folders] == [
        ("cm7t223mk00154mzy2jwk2pqy", "private-listing-hub")
    ]
    assert [tag.id for tag in manifest.tags] == ["cm9r0nog10012v301qtollv01"]
    (version,) = manifest.application_versions
    assert (version.application_id, version.version_id) == ("cm9xyz12340567pqrs8tuvwxy", "cm9abc34560789defg0hijklm")
    assert [entry.id[:4] for entry in manifest.entries] == ["g41k", "cm8d", "cm7t", "cm9r"]


def test_manifest_repr_hides_values() -> None:
    """A manifest can be printed without the values of its variables."""
    text = "tests: [{id: a, variables: {A: sentinel}, matrix: {B: [sentinel]}}]\ndefaults: {variables: {C: sentinel}}"
    assert "sentinel" not in repr(read_manifest(text))


@pytest.mark.parametrize(
    "yaml_text",
    [
        *("1.10", "no", "yes", "on", "007", "1e5", "0x1F", "0o17", "012", "2024-01-01", "12:30:45", "1_000", ".inf"),
        *("true", "nullish", "'null'", '"~"', "''", '"a\\tb"', "=", "<<", "-", "-1", "+1", ".5", "é", "a b  c", "a#b"),
    ],
)
def test_scalars_stay_text(yaml_text: str) -> None:
    """No scalar becomes a number, a date or a boolean."""
    expected = {'"a\\tb"': "a\tb"}.get(yaml_text) or yaml_text.strip("'\"")
    text = f"id: abc\n    variables:\n      A: {yaml_text}\n    matrix:\n      B:\n        - {yaml_text}\n"
    if yaml_text == "-":
        text = text.replace("- -", "- '-'").replace("A: -", "A: '-'")
    test = read_single_test(f"tests:\n  - {text}")
    assert test.variables == {"A": expected}
    assert test.matrix == {"B": [expected]}


@pytest.mark.parametrize("number", ["007", "1e5", "12345678901234567890", "1_0"])
def test_ids_stay_text(number: str) -> None:
    """An id that looks like a number is unchanged."""
    assert [test.id for test in read_manifest(f"tests: [{number}, {{id: {number}}}]").tests] == [number, number]


def test_block_scalars_have_lines() -> None:
    """A value may have several lines."""
    test = read_single_test(
        "tests:\n- id: a\n  variables:\n    A: |\n      one\n      two\n    B: >-\n      one\n      two\n"
    )
    assert test.variables == {"A": "one\ntwo\n", "B": "one two"}


@pytest.mark.parametrize("null", ["null", "Null", "NULL", "~", ""])
def test_missing_value_is_rejected(null: str) -> None:
    """An empty value must be written as an empty text."""
    assert collect_errors(f"tests:\n- id: a\n  variables:\n    A: {null}\n") == [
        "4:5: 'A' has no value. Write \"\" for an empty string."
    ]


@pytest.mark.parametrize("version", ["1", "'1'", '"1"'])
def test_version_is_one(version: str) -> None:
    """The version is 1 with any quotes, and 1 is the default."""
    assert read_manifest(f"version: {version}\ntests: [a]").version == read_manifest("tests: [a]").version == "1"


@pytest.mark.parametrize(
    ("yaml_text", "expected"),
    [("true", "true"), ("'true'", "true"), ("false", "false"), ("${LATEST}", "true"), ("${NO:-false}", "false")],
)
def test_run_on_latest_is_true_or_false(yaml_text: str, expected: str) -> None:
    """The value stays text, and false is the default."""
    assert read_manifest(f"tags: [a]\nrun_on_latest: {yaml_text}", {"LATEST": "true"}).run_on_latest == expected
    assert read_manifest("tags: [a]").run_on_latest == "false"
    versions = "application_versions: [{application_id: a, version_id: b}]\nrun_on_latest: false"
    assert len(read_manifest(versions).application_versions) == 1


def test_json_is_accepted() -> None:
    """JSON is YAML."""
    test = read_single_test('{"tests": [{"id": "a", "variables": {"A": 1.50, "B": true}}]}')
    assert test.variables == {"A": "1.50", "B": "true"}


def test_anchors_and_merge_keys_work() -> None:
    """A key of the mapping itself wins over merged keys, and the first merged key wins."""
    manifest = read_manifest(
        """\
defaults:
  variables: &base { A: base, B: base }
tests:
  - &first
    id: one
    variables: { B: own, <<: *base, C: own }
  - <<: *first
    id: two
  - id: three
    variables: { <<: [{ A: inline }, *base] }
  - id: &id four
    name: *id
"""
    )
    first, second, third, fourth = manifest.tests
    assert first.variables == {"A": "base", "B": "own", "C": "own"}
    assert (second.id, second.variables) == ("two", first.variables)
    assert third.variables == {"A": "inline", "B": "base"}
    assert fourth.name == fourth.id == "four"


def test_quoted_merge_key_is_name() -> None:
    """A quoted `<<` is a variable with that name."""
    assert read_single_test("tests: [{id: a, variables: {'<<': x}}]").variables == {"<<": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tets: [a]", ["1:1: unknown key: 'tets'. Did you mean 'tests'?"]),
        ("tests: [a]\nfoldres: []", ["2:1: unknown key: 'foldres'. Did you mean 'folders'?"]),
        ("tests:\n  - id: a\n    varaibles: {}", ["3:5: unknown key: 'varaibles'. Did you mean 'variables'?"]),
        (
            "tests:\n  - id: a\n    zebra: {}",
            ["3:5: unknown key: 'zebra'. Use application_version_id, groups, id, matrix, "],
        ),
        (
            "tests:\n- {id: a, 'application version id': v}",
            ["2:11: unknown key: 'application version id'. Did you mean 'application_version_id'?"],
        ),
        ("tests:\n  - name: x", ["2:5: missing key: 'id'. Add it."]),
        ("tests:\n  - a/b", ["2:5: invalid id: 'a/b' contains '/'. Use only letters, digits, - and _."]),
        ("tests:\n  - id: a b", ["2:5: invalid id: 'a b' contains a space. Use only letters, digits, - and _."]),
        ("tests:\n  - id: ''", ["2:5: missing id. Write an id, or remove the entry."]),
        ("tests:\n  -", ["2:4: the entry is empty. Write an id, or remove it."]),
        ("tests:\n  - [a]", ["2:5: the entry must be a mapping"]),
        ("tests: a", ["1:1: 'tests' must be a list. Begin each entry with `- `."]),
        ("tests:\n  -a", ["1:1: 'tests' must be a list. Write a space after each '-'."]),
        ("tests: {id: a}", ["1:1: 'tests' must be a list. Begin each entry with `- `."]),
        ("tests: {login: a}", ["1:1: 'tests' must be a list. Write each entry as `- id: ID` and `name: TEXT`."]),
        (
            "application_versions: {application_id: a}",
            [
                (
                    "1:1: 'application_versions' must be a list. "
                    "Write each entry as `- application_id: ID` and `version_id: ID`."
                )
            ],
        ),
        ("tests:\n- id: a\n  matrix: {A: []}", ["3:12: 'A' is empty. List at least one value."]),
        ("tests:\n- id: a\n  matrix: {A: }", ["3:12: 'A' must be a list. Begin each entry with `- `."]),
        ("tests:\n- id: a\n  matrix: [A]", ["3:3: 'matrix' must be a mapping"]),
        ("tests:\n- id: a\n  variables: A", ["3:3: 'variables' must be a mapping"]),
        ("tests:\n- id: a\n  variables: {A: [x]}", ["3:15: 'A' is a list. Use a string."]),
        ("tests:\n- id: a\n  variables: {A: {b: x}}", ["3:15: 'A' is a mapping. Use a string."]),
        ("tests:\n- id: a\n  matrix: {A: [x, [y]]}", ["3:19: the entry is a list. Use a string."]),
        (
            "folders:\n- {id: a, groups: [x, none]}\ntags: [{id: b, groups: [none]}]",
            ["2:23: invalid group name: 'none'", "3:25: invalid group name: 'none'"],
        ),
        ("tests:\n- id: a\n  groups: ['']", ["3:12: the entry is empty or too long"]),
        ("version: 2\ntests: [a]", ["1:1: unsupported manifest version. Write `version: 1`."]),
        ("version: 1.0\ntests: [a]", ["1:1: unsupported manifest version. Write `version: 1`."]),
        ("tests:\n- a\ntests:\n- b", ["3:1: duplicate key: 'tests', first on line 1. Remove one."]),
        ("tests: [{id: a, id: b}]", ["1:17: duplicate key: 'id', first on line 1. Remove one."]),
        (
            "tests: [a]\n---\ntests: [b]",
            ["2:1: a second document starts here. Use one document, and remove the line ---."],
        ),
        ("tests: [a]\n...\n---\n", ["3:1: a second document starts here. Use one document, and remove the line ---."]),
        ("application_versions: [{application_id: a}]\ntests: [a]", ["1:24: missing key: 'version_id'. Add it."]),
        ("tags: [a]\nrun_on_latest: yes", ["2:1: invalid value of 'run_on_latest'. Use true or false."]),
        ("tags: [a]\nrun_on_latest:", ["2:1: invalid value of 'run_on_latest'. Use true or false."]),
        ("tags: [a]\nrun_on_latest: [true]", ["2:1: invalid value of 'run_on_latest'. Use true or false."]),
        ("tags: [a]\nrun_on_lates: true", ["2:1: unknown key: 'run_on_lates'. Did you mean 'run_on_latest'?"]),
        (
            "tags: [a/b]\nrun_on_latest: 1\nversion: 2",
            [
                "1:8: invalid id: 'a/b' contains '/'.",
                "2:1: invalid value of 'run_on_latest'. Use true or false.",
                "3:1: unsupported manifest version",
            ],
        ),
        (
            "application_versions: [{application_id: a, version_id: b}]\ntags: [a]\nrun_on_latest: true",
            ["3:1: 'run_on_latest' and 'application_versions' exclude each other. Remove one."],
        ),
        (
            "tests:\n- id: a\n  variables: {A: x}\n  matrix: {A: [y]}",
            ["4:12: 'A' is in both variables and matrix. Remove one."],
        ),
        (
            "tests:\n- id: a\n  variables: {'A=B': x}",
            ["3:15: 'A=B': invalid name. Use 1 to 128 printable characters without '='."],
        ),
        (
            "defaults: {variables: {'': x}}\ntests: [a]",
            ["1:24: '': invalid name. Use 1 to 128 printable characters without '='."],
        ),
        ("- a", ["1:1: the manifest is a list. Start with `tests:` and a list of ids"]),
        ("abc", ["1:1: the manifest is a string. Start with `tests:` and a list of ids"]),
        ("", ["1:1: the manifest is empty. Start with `tests:` and a list of ids"]),
        ("# a\n", ["1:1: the manifest is empty. Start with `tests:` and a list of ids"]),
        ("---\n...\n", ["1:1: the manifest is empty. Start with `tests:` and a list of ids"]),
        ("null", ["1:1: the manifest is empty. Start with `tests:` and a list of ids"]),
        ("tests: [*a]", ["1:9: unknown alias (`*` and a word)"]),
        ("tests: &a [*a]", ["1:12: unknown alias (`*` and a word)"]),
        ("tests: !!seq [a]", ["1:8: a tag (`!` and a word) is not supported"]),
        (
            "tests: [!!python/object/apply:os.system [x]]",
            ["1:9: a tag (`!` and a word) is not supported", "1:9: the entry must be a mapping"],
        ),
        ("tests: [! a]", ["1:9: a tag (`!` and a word) is not supported"]),
        ("!x tests: [a]", ["1:1: a tag on a key is not supported. Remove it."]),
        ("? [a]\n: b", ["1:3: a key must be a string"]),
        ("tests: [a]\n<<: x", ["2:1: `<<` needs a mapping. Use an alias of a mapping, or a list of such aliases."]),
        ("tests: [a", ["1:8: invalid YAML: missing closing bracket for '['. Close the bracket."]),
        ("tests: [${A}]", ['1:10: invalid YAML: ${…} without quotes inside { } or [ ]. Write "${NAME}".']),
        ("tests:\n\t- a", ["2:1: invalid YAML: tab in the indentation. Indent with spaces."]),
    ],
)
def test_mistake_has_position_and_suggestion(text: str, expected: list[str]) -> None:
    """Each error has line, column and a suggestion."""
    errors = collect_errors(text)
    assert len(errors) == len(expected)
    for line, start in zip(errors, expected, strict=True):
        assert line.startswith(start)


def test_all_mistakes_are_listed_in_order() -> None:
    """All errors of a file are reported together from top to bottom."""
    text = """\
version: 3
tets: [a]
tests:
  - id: x/y
  - id: a
    variables: { A: null, B: [1], C: ok, C: ok }
  - name: nameless
    groups: smoke
folders:
  - ${NOT_SET}
  - id: ok
    matrix: { A: [b] }
tags: !mine [t]
"""
    errors = collect_errors(text)
    assert [line.partition(": ")[0] for line in errors] == [
        *("1:1", "2:1", "4:5", "6:18", "6:27", "6:42", "7:5", "10:5", "12:5", "13:7")
    ]


def test_interpolated_id_is_hidden_in_errors() -> None:
    """An invalid id from the environment is shown as its reference."""
    assert collect_errors("tests:\n- ${WHAT}", {"WHAT": "sentinel/secret"}) == [
        "2:3: invalid id: the value of '${WHAT}'. Use letters, digits, - and _."
    ]


def test_interpolated_id_is_shortened() -> None:
    """Errors show at most 60 characters of an interpolated id."""
    for suffix, shortened in (("x" * 53, "${WHAT}" + "x" * 53), ("x" * 54, "${WHAT}" + "x" * 52 + "…")):
        assert collect_errors(f"tests:\n- id: ${{WHAT}}{suffix}", {"WHAT": "/"}) == [
            f"2:3: invalid id: the value of '{shortened}'. Use letters, digits, - and _."
        ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"tests:\n- id: a\n  name: {'n' * 501}", "3:3: 'name' is empty or too long. Use a short string."),
        (f"tests:\n- id: a\n  groups: [{'g' * 101}]", "3:12: the entry is empty or too long. Use a short string."),
        (f"tests:\n- id: a\n  matrix: {{{'N' * 60}: []}}", f"3:12: '{'N' * 60}' is empty. List at least one value."),
        (
            f"tests:\n- id: a\n  matrix: {{{'N' * 61}: []}}",
            f"3:12: '{'N' * 59}…' is empty. List at least one value.",
        ),
        (
            "tests:\n- id: a\n  matrix: {'A=B': [x]}",
            "3:12: 'A=B': invalid name. Use 1 to 128 printable characters without '='.",
        ),
        (
            "defaults: {variables: {A: x}}\ntests:\n- id: a\n  variables: {A: x, 'B=C': x}",
            "4:21: 'B=C': invalid name. Use 1 to 128 printable characters without '='.",
        ),
        (f"{'k' * 60}: a\n{'k' * 60}: a", f"2:1: duplicate key: '{'k' * 60}', first on line 1. Remove one."),
        (f"{'k' * 61}: a\n{'k' * 61}: a", f"2:1: duplicate key: '{'k' * 59}…', first on line 1. Remove one."),
    ],
)
def test_late_mistake_is_reported(text: str, expected: str) -> None:
    """Long texts and nested mappings are checked too."""
    assert expected in collect_errors(text)


def test_merge_errors_are_all_reported() -> None:
    """Each merged value that is not a mapping has its own error."""
    errors = collect_errors("tests: [a]\n<<: [x, y]")
    assert errors == ["2:1: `<<` needs a mapping. Use an alias of a mapping, or a list of such aliases."] * 2


def test_key_can_be_alias() -> None:
    """An alias can also be the merge key."""
    test = read_single_test("tests: [{id: a, name: &name X, variables: {*name : x, Y: &merge '<<', *merge : {Z: z}}}]")
    assert test.variables == {"X": "x", "Y": "<<", "Z": "z"}


def test_errors_hide_values() -> None:
    """An error about a variable or an axis does not show its value."""
    text = """\
defaults: { variables: { A: [sentinel], B: !sentinel sentinel, C: &sentinel sentinel, D: { sentinel: x } } }
tests:
  - id: a
    variables: { A: "${sentinel-}", B: "${sentinel", C: "$sentinel", D: '${BAD:?}' }
    matrix: { A: [sentinel, [sentinel]], B: sentinel, C: ["${sentinel sentinel}"] }
"""
    assert "sentinel" not in "\n".join(collect_errors(text)).lower()


def test_errors_have_no_control_characters() -> None:
    """Text from the file cannot run a command of the CI system or move the cursor."""
    text = 'tests: [{id: a, "\\e[31m\\n::error::x": b}, "a\\e[2Jb\\r##[error]"]'
    for line in collect_errors(text):
        assert line.isprintable()


def test_empty_manifest_has_defaults() -> None:
    """The plan decides whether an empty manifest is an error."""
    assert read_manifest("version: 1").model_dump() == Manifest().model_dump()
