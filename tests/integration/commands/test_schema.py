"""Tests of the command `schema`."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.manifest.schema import manifest_json_schema
from tests.support.invoke_command import invoke
from tests.support.manifests import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path


def test_schema_accepts_valid_manifest(tmp_path: Path) -> None:
    """The printed JSON schema is valid and accepts what the loader accepts."""
    schema = json.loads(invoke(tmp_path, "schema").out)
    assert schema == manifest_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(MANIFEST), schema)


def test_schema_of_results_by_name(tmp_path: Path) -> None:
    """The command prints the schema of results.json and refuses unknown names."""
    assert "runs" in json.loads(invoke(tmp_path, "schema", "results").out)["required"]
    result = invoke(tmp_path, "schema", "reports")
    assert (result.code, result.out) == (2, "")
    assert result.err == "Error: Unknown schema. Use manifest or results.\n"


@pytest.mark.parametrize(
    "text", ["test: [a]", "tests: [{name: x}]", "tests: [a/b]", "tests: [{id: a, variables: {A: [1]}}]", "tests: a",
             "version: 2", "tests: [{id: a, matrix: {A: []}}]", "tests: [{id: a, nam: b}]"]
)  # fmt: skip
def test_schema_refuses_invalid_manifest(text: str, tmp_path: Path) -> None:
    """The JSON schema refuses what the loader refuses."""
    (tmp_path / "bad.yml").write_text(text, "utf-8")
    assert invoke(tmp_path, "validate", "bad.yml").code == 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), manifest_json_schema())


@pytest.mark.parametrize("argv", [(), ("manifest",), ("results",)])
def test_schema_is_json_alone(argv: tuple[str, ...], tmp_path: Path) -> None:
    """The output is one JSON object that ends with a line break, and no file is written."""
    result = invoke(tmp_path, "schema", *argv)
    assert (result.code, result.err) == (0, "")
    assert isinstance(json.loads(result.out), dict)
    assert result.out.endswith("}\n")
    assert list(tmp_path.iterdir()) == []


def test_schema_default_is_manifest(tmp_path: Path) -> None:
    """Without a name, the schema is that of the manifest."""
    assert invoke(tmp_path, "schema").out == invoke(tmp_path, "schema", "manifest").out
    assert invoke(tmp_path, "schema").out != invoke(tmp_path, "schema", "results").out


@pytest.mark.parametrize("name", ["", "Manifest", "s3cret-value", "\x1b[31m"])
def test_schema_error_has_no_argument(name: str, tmp_path: Path) -> None:
    """An unknown name can be any text, so the error does not repeat it."""
    result = invoke(tmp_path, "schema", name)
    assert (result.code, result.out) == (2, "")
    assert result.err == "Error: Unknown schema. Use manifest or results.\n"


def test_schema_refuses_second_argument(tmp_path: Path) -> None:
    """One schema is printed at a time."""
    result = invoke(tmp_path, "schema", "manifest", "results")
    assert (result.code, result.out) == (2, "")
    assert "Unexpected argument. The command schema accepts one argument." in result.err


class ClosedOutput(io.StringIO):
    """An output whose reader is gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_schema_without_reader_exits_2(tmp_path: Path) -> None:
    """An incomplete schema is no success."""
    err = io.StringIO()
    assert cli.run_command(["schema"], Runtime({}, ClosedOutput(), err, str(tmp_path))) == 2
    assert err.getvalue() == (
        "Error: Standard output could not be written (Broken pipe). Check the redirection of standard output.\n"
    )
