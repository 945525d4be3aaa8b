"""Tests of the command `validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.invoke_command import invoke
from tests.support.manifests import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path


def test_validate_needs_no_credentials(tmp_path: Path) -> None:
    """The command works without credentials and without a CI system."""
    (tmp_path / "autonoma.yaml").write_text(MANIFEST, "utf-8")
    result = invoke(tmp_path, "validate")
    assert (result.code, result.err) == (0, "")
    assert result.out == "autonoma.yaml is valid: 2 tests, 1 folder, 1 tag (5 runs in total).\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "Missing manifest: autonoma.yml or autonoma.yaml"),
        (["nowhere.yml"], "nowhere.yml: the file is missing"),
        (["bad.yml"], "bad.yml:1:1: unknown key: 'test'. Did you mean 'tests'?"),
        (["bad.yml", "more"], "Unexpected argument"),
    ],
)
def test_validate_prints_errors(argv: list[str], message: str, tmp_path: Path) -> None:
    """Each problem of the manifest has its position and a suggestion."""
    (tmp_path / "bad.yml").write_text("test: [a]\n", "utf-8")
    result = invoke(tmp_path, "validate", *argv)
    assert result.code == 2
    assert message in result.err


def test_validate_annotates_on_github(tmp_path: Path) -> None:
    """Problems of a manifest are annotations of its lines."""
    (tmp_path / "bad.yml").write_text("tests:\n  - a/b\n", "utf-8")
    result = invoke(tmp_path, "validate", "bad.yml", environ={"GITHUB_ACTIONS": "true"})
    assert result.err.startswith("::error file=bad.yml,line=2,col=5::bad.yml:2:5: invalid id: 'a/b' contains")


@pytest.mark.slow
def test_validate_reads_10000_tests(tmp_path: Path) -> None:
    """A manifest can list 10,000 tests."""
    entries = [
        f"  - {{id: t{n}, name: Test {n}, groups: [g{n % 9}], variables: {{USER: u{n}}}}}" for n in range(10_000)
    ]
    (tmp_path / "big.yml").write_text("\n".join(["tests:", *entries]), "utf-8")
    assert "10,000 tests" in invoke(tmp_path, "validate", "big.yml").out


def test_validate_names_given_file(tmp_path: Path) -> None:
    """The path of the command line precedes the default manifest."""
    (tmp_path / "autonoma.yml").write_text("tests: [a/b]", "utf-8")
    (tmp_path / "other.yml").write_text("tests: [a]", "utf-8")
    result = invoke(tmp_path, "validate", "other.yml")
    assert (result.code, result.out) == (0, "other.yml is valid: 1 test, 0 folders, 0 tags (1 run in total).\n")


def test_validate_prefers_first_default(tmp_path: Path) -> None:
    """With both default names, the file is the one that `run` reads."""
    (tmp_path / "autonoma.yml").write_text("tests: [a]", "utf-8")
    (tmp_path / "autonoma.yaml").write_text("tests: [a/b]", "utf-8")
    assert invoke(tmp_path, "validate").out.startswith("autonoma.yml is valid")


@pytest.mark.parametrize(
    ("argv", "environ", "error"),
    [
        (("--allow-env", "A!"), {}, "--allow-env: invalid name or pattern: 'A!'"),
        ((), {"AUTONOMA_ALLOW_ENV": "A!"}, "AUTONOMA_ALLOW_ENV: invalid name or pattern: 'A!'"),
        (("--change", "x"), {}, "--change: invalid number: 'x'"),
    ],
)
def test_validate_refuses_invalid_option(
    argv: tuple[str, ...], environ: dict[str, str], error: str, tmp_path: Path
) -> None:
    """An invalid option is an error before the manifest is read."""
    (tmp_path / "autonoma.yml").write_text("tests: [a/b]", "utf-8")
    result = invoke(tmp_path, "validate", *argv, environ=environ)
    assert (result.code, result.out) == (2, "")
    assert [text for text in result.errors if text.startswith(error)] == result.errors


def test_validate_ignores_options_of_run(tmp_path: Path) -> None:
    """An invalid option of another command has no effect."""
    (tmp_path / "autonoma.yml").write_text("tests: [a]", "utf-8")
    environ = {"AUTONOMA_TIMEOUT": "never", "AUTONOMA_RETRIES": "-1", "AUTONOMA_GROUPS": "none-of-these"}
    assert invoke(tmp_path, "validate", environ=environ).code == 0


def test_validate_counts_matrix_runs(tmp_path: Path) -> None:
    """A matrix has one run for each combination."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, matrix: {A: [x, y], B: [u, v, w]}}]", "utf-8")
    assert invoke(tmp_path, "validate").out.endswith("1 test, 0 folders, 0 tags (6 runs in total).\n")


def test_validate_reports_every_problem(tmp_path: Path) -> None:
    """Each problem has its own line with its position."""
    (tmp_path / "autonoma.yml").write_text("tests:\n  - a/b\n  - id: c\n    nam: d\n", "utf-8")
    result = invoke(tmp_path, "validate")
    assert result.code == 2
    assert [error.split(": ")[0] for error in result.errors] == ["autonoma.yml:2:5", "autonoma.yml:4:5"]


def test_validate_hides_value_of_credential(tmp_path: Path) -> None:
    """A manifest with a credential is refused, and the error does not show it."""
    secret = "s3cret-value-of-client"
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, variables: {A: '${TOKEN_OF_JOB}'}}]", "utf-8")
    environ = {"AUTONOMA_CLIENT_SECRET": secret, "TOKEN_OF_JOB": secret}
    result = invoke(tmp_path, "validate", "--allow-env", "TOKEN_OF_JOB", environ=environ)
    assert result.code == 2
    assert secret not in result.output


def test_validate_path_has_no_controls(tmp_path: Path) -> None:
    """The name of the file is no command of a terminal."""
    (tmp_path / "a\x1b[31m.yml").write_text("tests: [a]", "utf-8")
    assert "\x1b" not in invoke(tmp_path, "validate", "a\x1b[31m.yml").output


def test_validate_writes_nothing(tmp_path: Path) -> None:
    """Neither results nor outputs of a job are written."""
    (tmp_path / "autonoma.yml").write_text("tests: [a]", "utf-8")
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "out"), "AUTONOMA_RESULTS_DIR": "r"}
    assert invoke(tmp_path, "validate", environ=environ).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["autonoma.yml"]


def test_validate_warns_of_ended_quarantine(tmp_path: Path) -> None:
    """The manifest is valid, but the result of the entry counts again."""
    text = "tests: [{id: a, name: Sign in, quarantine: {until: 2025-01-31, reason: late mail}}]"
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    result = invoke(tmp_path, "validate")
    assert result.code == 0
    assert result.out.startswith("Warning: Quarantine ended, so each result counts again: 'Sign in' (2025-01-31). ")
