"""What shells, dotenv readers, GitLab and Jenkins get of outputs.env: plain values alike, arrays as README says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dotenv import dotenv_values

from autonoma_ci.ci.properties import parse
from autonoma_ci.report.outputs import DOTENV_LIMIT, OUTPUTS, dotenv, outputs
from tests.report.reports import ERROR, failed, lost, passed, report, started

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

README = Path(__file__).parents[2] / "README.md"
BASH = shutil.which("bash")
ARRAYS = {"AUTONOMA_RUN_IDS": "run-ids", "AUTONOMA_RUN_URLS": "run-urls"}
# `results` is too long for a variable, and `results-dir` is the name of an option.
PLAIN = {
    f"AUTONOMA_{output.name.upper().replace('-', '_')}": output.name
    for output in OUTPUTS
    if output.name not in {*ARRAYS.values(), "results", "results-dir"}
}
MADE = report([passed("a"), failed("b"), lost("c")], ERROR)


def by_bash(path: Path) -> Mapping[str, str]:
    assert BASH
    script = 'set -eu; . "$1"; for n in ${!AUTONOMA_*}; do printf "%s=%s\\0" "$n" "${!n}"; done'
    ran = subprocess.run([BASH, "--norc", "-c", script, "bash", path], capture_output=True, env={}, check=True)
    assert ran.stderr == b""
    return dict(pair.decode().split("=", 1) for pair in ran.stdout.split(b"\0") if pair)


def by_dotenv(path: Path) -> Mapping[str, str]:
    return {name: text or "" for name, text in dotenv_values(path).items()}


def by_gitlab(path: Path) -> Mapping[str, str]:
    """Read it as GitLab does. Source: its `ParseDotenvArtifactService`."""
    found = [re.fullmatch(r"(.*?)=(.*)", line) for line in path.read_text("utf-8").splitlines()]
    assert all(found)
    return {pair[1].strip(): pair[2].strip() for pair in found if pair}


def by_jenkins(path: Path) -> Mapping[str, str]:
    return parse(path.read_bytes())


NEEDS_BASH = pytest.mark.skipif(not BASH, reason="there is no bash")
READERS = [pytest.param(by_bash, marks=NEEDS_BASH), by_dotenv, by_gitlab, by_jenkins]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "outputs.env"
    made.write_text(dotenv(MADE), "utf-8")
    return made


@pytest.mark.parametrize("read", READERS)
def test_every_reader_has_all_names_and_the_plain_values(read: Callable[[Path], Mapping[str, str]], path: Path) -> None:
    found, expected = read(path), outputs(MADE)
    assert set(found) == {*PLAIN, *ARRAYS}
    assert {name: found[name] for name in PLAIN} == {name: expected[output] for name, output in PLAIN.items()}


@pytest.mark.parametrize("read", [by_dotenv, by_gitlab, by_jenkins])
def test_arrays_are_json_for_all_readers_but_shells(read: Callable[[Path], Mapping[str, str]], path: Path) -> None:
    found, expected = read(path), outputs(MADE)
    assert {name: found[name] for name in ARRAYS} == {name: expected[output] for name, output in ARRAYS.items()}
    assert json.loads(found["AUTONOMA_RUN_IDS"]) == ["run-a", "run-b"]


@NEEDS_BASH
def test_a_shell_removes_the_quotes_of_arrays(path: Path) -> None:
    """The README and the docstring say so, and where the arrays are."""
    found, expected = by_bash(path), outputs(MADE)
    assert {name: found[name] for name in ARRAYS} == {
        name: expected[output].replace('"', "") for name, output in ARRAYS.items()
    }
    readme = " ".join(README.read_text("utf-8").split())
    assert "A shell that reads the file removes the double quotes of the arrays `AUTONOMA_RUN_IDS` and" in readme
    assert "A shell removes the double quotes of an array" in (dotenv.__doc__ or "")


@pytest.mark.parametrize("read", READERS)
def test_a_second_file_leaves_nothing_of_the_first(read: Callable[[Path], Mapping[str, str]], path: Path) -> None:
    """Jobs of GitLab inherit the variables of several files, and a script may read several too."""
    many = report([started(f"id-{number}") for number in range(700)])
    before = read(path)
    path.write_text(dotenv(many), "utf-8")
    assert path.stat().st_size <= DOTENV_LIMIT
    found = {**before, **read(path)}
    assert found["AUTONOMA_RUN_ID"] == "run-id-0"
    assert found["AUTONOMA_TOTAL"] == "700"
    assert [found[name] for name in ARRAYS] == ["", ""]
