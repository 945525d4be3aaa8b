"""Tests of the checks of request bodies."""

from __future__ import annotations

import pytest

from autonoma_ci.sandbox.contract import (
    DEFAULT_REVISION,
    KINDS,
    REVISIONS,
    body_error,
    is_id,
    parse_json,
    source_of,
    variable_names,
)

SECRET = "s3cret-value"
VERSION = {"application_id": "a1", "application_version_ids": ["v1", "v2"]}
VERSIONS_PROBLEM = (
    "`application_versions` must be a list of objects with the string `application_id` and the list of strings "
    "`application_version_ids`"
)
VALID: list[tuple[str, object]] = [
    ("test", {"id": "abc"}),
    ("test", {"id": "abc", "source": "", "application_version_id": "v1", "runtime_metadata": {"A": "1", "": ""}}),
    ("test", {"id": "abc", "run_on_latest": True, "runtime_metadata": {}}),
    ("tag", {}),
    ("tag", {"source": "cli", "application_versions": []}),
    ("tag", {"application_versions": [VERSION, {**VERSION, "application_version_ids": []}]}),
    ("tag", {"run_on_latest": True}),
    ("folder", {}),
    ("folder", {"recursive": True, "source": "cli", "application_versions": [VERSION]}),
    ("folder", {"recursive": True, "run_on_latest": True}),
]
INVALID: list[tuple[str, object, str]] = [
    ("test", {}, "`id` is required"),
    ("test", {"source": "cli"}, "`id` is required"),
    ("test", {"id": "abd"}, "`id` must be the id in the path"),
    ("test", {"id": ""}, "`id` must be the id in the path"),
    ("test", {"id": None}, "`id` must be a string"),
    ("test", {"id": 1}, "`id` must be a string"),
    ("test", {"id": "abc", "source": ["cli"]}, "`source` must be a string"),
    ("test", {"id": "abc", "application_version_id": None}, "`application_version_id` must be a string"),
    ("test", {"id": "abc", "runtime_metadata": []}, "`runtime_metadata` must be an object"),
    ("test", {"id": "abc", "runtime_metadata": "A=1"}, "`runtime_metadata` must be an object"),
    ("test", {"id": "abc", "recursive": True}, "unknown field 'recursive'"),
    ("test", {"id": "abc", "application_versions": [VERSION]}, "unknown field 'application_versions'"),
    ("tag", {"id": "abc"}, "unknown field 'id'"),
    ("tag", {"recursive": True}, "unknown field 'recursive'"),
    ("tag", {"runtime_metadata": {}}, "unknown field 'runtime_metadata'"),
    ("folder", {"application_version_id": "v1"}, "unknown field 'application_version_id'"),
    ("folder", {"recursive": False}, "`recursive` can only be true"),
    ("folder", {"recursive": 1}, "`recursive` can only be true"),
    ("folder", {"run_on_latest": "true"}, "`run_on_latest` can only be true"),
    ("tag", {"run_on_latest": None}, "`run_on_latest` can only be true"),
]
NO_VERSIONS: list[object] = [
    None, {}, "v1", ["v1"], [None], [{}], [VERSION, {}], [{**VERSION, "more": "x"}], [{**VERSION, "application_id": 1}],
    [{"application_id": "a1"}], [{**VERSION, "application_version_ids": "v1"}],
    [{**VERSION, "application_version_ids": ["v1", 2]}], [{**VERSION, "application_version_ids": None}],
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), VALID)
def test_valid_body_has_no_error(kind: str, body: object) -> None:
    """A body within the contract is accepted."""
    assert body_error(kind, "abc", body) is None


@pytest.mark.parametrize(("kind", "body", "problem"), INVALID)
def test_invalid_body_names_field(kind: str, body: object, problem: str) -> None:
    """The error names the field and the reason."""
    assert body_error(kind, "abc", body) == problem


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [None, [], "abc", 1, 1.5, True])
def test_body_without_fields_is_error(kind: str, body: object) -> None:
    """A body must be an object for each kind."""
    assert body_error(kind, "abc", body) == "the body must be an object"


@pytest.mark.parametrize("kind", ["tag", "folder"])
@pytest.mark.parametrize("versions", NO_VERSIONS)
def test_malformed_versions_are_error(kind: str, versions: object) -> None:
    """Versions of another form than the contract's are rejected."""
    assert body_error(kind, "abc", {"application_versions": versions}) == VERSIONS_PROBLEM


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("test", {"id": "abc", "application_version_id": "v1", "run_on_latest": True}),
        ("folder", {"run_on_latest": True, "application_versions": []}),
        ("tag", {"application_versions": [VERSION], "run_on_latest": True}),
    ],
)
def test_latest_with_versions_is_error(kind: str, body: object) -> None:
    """The latest version excludes other versions."""
    assert body_error(kind, "abc", body) == "`run_on_latest` and versions exclude each other"


@pytest.mark.parametrize("value", [None, 1, True, ["s3cret-value"], {"s3cret-value": "s3cret-value"}])
def test_variable_error_hides_value(value: object) -> None:
    """The error about a variable has its name and not its value."""
    problem = body_error("test", "abc", {"id": "abc", "runtime_metadata": {"A": "x", "PASSWORD": value}})
    assert problem == "`runtime_metadata` must contain only strings, unlike 'PASSWORD'"


@pytest.mark.parametrize(
    "body",
    [{"id": SECRET}, {"id": "abc", "source": [SECRET]}, {"id": "abc", "runtime_metadata": SECRET}, [SECRET], SECRET],
)
def test_body_error_hides_values(body: object) -> None:
    """No value of a body is in the error."""
    problem = body_error("test", "abc", body)
    assert problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    ("name", "expected_name"),
    [
        ("x" * 80, f"'{'x' * 80}'"),
        ("x" * 81, f"'{'x' * 80}…'"),
        ("x" * 100_000, f"'{'x' * 80}…'"),
        ("a\x1b[31m\n::error::", "'a\\x1b[31m\\n::error::'"),
        ("\ud800", "'\\ud800'"),
    ],
    ids=["80", "81", "100000", "controls", "surrogate"],
)
def test_field_name_is_short_and_printable(name: str, expected_name: str) -> None:
    """A long or hostile name of a field or variable is cut and escaped."""
    assert body_error("tag", "abc", {name: 1}) == f"unknown field {expected_name}"
    problem = body_error("test", "abc", {"id": "abc", "runtime_metadata": {name: 1}})
    assert problem == f"`runtime_metadata` must contain only strings, unlike {expected_name}"


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, null, true, "\xc3\xa9"]}\n', {"a": [1, None, True, "é"]}),
        (b"null", None),
        (b'"\\ud800"', "\ud800"),
    ],
)
def test_json_body_is_parsed(raw: bytes, value: object) -> None:
    """A valid JSON body of any type is returned as a value."""
    assert parse_json(raw) == value


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "the body is invalid JSON"),
        (b'{"password": "s3cret-value"', "the body is invalid JSON"),
        (b'{"a": s3cret-value}', "the body is invalid JSON"),
        (b'{"id": NaN}', "the body is invalid JSON"),
        (b"Infinity", "the body is invalid JSON"),
        (b"[-Infinity]", "the body is invalid JSON"),
        (b"{} x", "the body is invalid JSON"),
        (b"\xef\xbb\xbf{}", "the body is invalid JSON"),
        (b"1" * 5000, "the body is invalid JSON"),
        (b'"s3cret-value\xff"', "the body is invalid UTF-8"),
        (b"[" * 100_000, "the body is nested too deeply"),
    ],
    ids=["empty", "cut", "no text", "NaN", "Infinity", "-Infinity", "more", "mark", "long number", "bytes", "deep"],
)
def test_malformed_body_is_value_error(raw: bytes, problem: str) -> None:
    """The error has the reason, and neither it nor its output has the body."""
    with pytest.raises(ValueError, match=f"^{problem}$") as error_info:
        parse_json(raw)
    assert type(error_info.value) is ValueError
    assert error_info.value.__suppress_context__


@pytest.mark.parametrize("text", ["a", "abc-DEF_019", "x" * 128])
def test_id_of_valid_form_is_accepted(text: str) -> None:
    """An id has 1 to 128 letters, digits, hyphens and underscores."""
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "x" * 129, "a.b", "a/b", "a b", "abc\n", "é", "٣", "<b>", "a\0"])
def test_id_of_other_form_is_rejected(text: str) -> None:
    """A text that is too long or has other characters is not an id."""
    assert not is_id(text)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"runtime_metadata": {"B": "2", "A": "1"}}, ("B", "A")),
        ({"runtime_metadata": {}}, ()),
        ({"runtime_metadata": ["A"]}, ()),
        ({"runtime_metadata": None}, ()),
        ({}, ()),
        (["runtime_metadata"], ()),
        (None, ()),
        ("runtime_metadata", ()),
    ],
)
def test_variable_names_of_any_body(body: object, names: tuple[str, ...]) -> None:
    """A body of any type has names only from an object of variables."""
    assert variable_names(body) == names


@pytest.mark.parametrize(
    ("body", "source"),
    [({"source": "cli"}, "cli"), ({"source": 1}, ""), ({"source": None}, ""), ({}, ""), ([], ""), (None, "")],
)
def test_source_of_any_body(body: object, source: str) -> None:
    """A body of any type has a source only if it is a text."""
    assert source_of(body) == source


def test_each_revision_has_all_kinds() -> None:
    """Each revision has a field for the run id of each kind."""
    assert DEFAULT_REVISION in REVISIONS
    for revision in REVISIONS.values():
        assert revision.run_fields.keys() == set(KINDS)
