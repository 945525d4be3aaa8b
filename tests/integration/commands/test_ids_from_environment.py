"""Ids that hold a value of the option `variables`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from pathlib import Path

VALUE = "zebra42xq"
MANIFESTS = {
    "test": "tests: ['${PREVIEW}']",
    "id": "tests: [{id: '${PREVIEW}'}]",
    "folder": "folders: ['${PREVIEW}']",
    "tag": "tags: [{id: '${PREVIEW:-none}'}]",
    "version": "tests: [{id: a, application_version_id: '${PREVIEW}'}]",
    "versions": "folders: [a]\napplication_versions: [{application_id: a, version_id: '${PREVIEW}'}]",
    "defaults": "defaults: {application_version_id: '${PREVIEW}'}\ntests: [a]",
}


def run_with_manifest(folder: Path, text: str, preview: str, *argv: str, **environ: str) -> CommandResult:
    """Run a command with this manifest and this value of PREVIEW."""
    (folder / "autonoma.yml").write_text(text, "utf-8")
    return invoke(folder, *(argv or ("run", "--dry-run")), environ={**CREDENTIALS, "PREVIEW": preview, **environ})


@pytest.mark.parametrize("name", MANIFESTS)
@pytest.mark.parametrize("command", [("run", "--dry-run"), ("validate",)], ids=["run", "validate"])
def test_id_with_option_value_is_refused(command: tuple[str, ...], name: str, tmp_path: Path) -> None:
    """The error has position and solution, but no value, and `allow-env` does not permit it."""
    for allowed in ("", "PREVIEW"):
        environ = {"AUTONOMA_VARIABLES": f"PASSWORD={VALUE}", "AUTONOMA_ALLOW_ENV": allowed}
        result = run_with_manifest(tmp_path, MANIFESTS[name], VALUE, *command, **environ)
        assert result.code == 2, result.output
        assert "autonoma.yml:" in result.err
        assert "${PREVIEW} contains a value of the option variables, but ids are shown in logs." in result.err
        assert VALUE not in result.output


def test_id_containing_option_value_is_refused(tmp_path: Path) -> None:
    """An id that contains the value is refused, too."""
    result = run_with_manifest(
        tmp_path, "tests: ['${PREVIEW}']", f"pre-{VALUE}", "run", "--dry-run", "--var", f"PASSWORD={VALUE}"
    )
    assert (result.code, "contains a value of the option variables" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("preview", "value"),
    [("checkout-en", "en"), ("staging", "staging"), ("test-1", "1"), ("checkout", ""), ("check", "checkout-1")],
    ids=repr,
)
def test_id_with_short_value_is_accepted(preview: str, value: str, tmp_path: Path) -> None:
    """Short values occur in ordinary ids, and a tag can be named like the environment."""
    result = run_with_manifest(
        tmp_path, "tests: ['${PREVIEW}']", preview, "run", "--dry-run", "--var", f"LOCALE={value}"
    )
    assert (result.code, preview in result.out) == (0, True), result.output


def test_option_value_as_variable_is_hidden(tmp_path: Path) -> None:
    """Variables are not shown, and a name shows `${PREVIEW}`."""
    text = "tests: [{id: a, name: 'As ${PREVIEW}', variables: {PREVIEW: '${PREVIEW}'}}]"
    result = run_with_manifest(tmp_path, text, VALUE, "run", "--dry-run", "--var", f"PASSWORD={VALUE}")
    assert (result.code, VALUE in result.output) == (0, False), result.output
