"""What is in the image, what is not, and who may change it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.container.image import Image, Job

pytestmark = pytest.mark.image
# Bytes 4 to 8 of a bytecode file: 1 says that it goes by its source's hash, and that nobody compares it.
_UNCHECKED = """
import importlib.util, pathlib, sysconfig
for file in pathlib.Path(sysconfig.get_path("purelib")).rglob("*.py"):
    compiled = pathlib.Path(importlib.util.cache_from_source(file))
    if not compiled.exists() or compiled.read_bytes()[4:8] != bytes([1, 0, 0, 0]):
        print(file)
"""
_STANDARD = """
import sys, pathlib, importlib
import autonoma_ci.cli, json, junitparser, requests, yaml, pydantic
for module in list(sys.modules.values()):
    file = getattr(module, "__cached__", None)
    if file and not pathlib.Path(file).exists():
        print(file)
"""


def _shell(image: Image, script: str, *options: str) -> str:
    result = image.run(list(options), "sh", "-c", script)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_no_file_of_ours_can_be_changed_by_anybody_but_root(image: Image) -> None:
    assert _shell(image, "find /opt/autonoma-ci ! -type l '(' -perm /022 -o ! -user root -o ! -group root ')'") == ""


@pytest.mark.parametrize("user", ["1000:1000", "65534:65534"])
def test_every_file_can_be_read_by_any_user(image: Image, user: str) -> None:
    assert _shell(image, "find /opt/autonoma-ci ! -readable -o -type d ! -executable", "-u", user) == ""


def test_nothing_that_only_a_build_needs_is_left_in_it(image: Image) -> None:
    assert (
        _shell(image, "ls -d /build ~/.cache /opt/autonoma-ci/bin/pip* /opt/autonoma-ci/tests 2>/dev/null; true") == ""
    )
    assert _shell(image, "for tool in cc gcc g++ make git; do command -v $tool; done; true") == ""


def test_our_bytecode_is_there_and_not_compared_with_its_source(image: Image) -> None:
    assert image.run([], "sh", "-c", f"/opt/autonoma-ci/bin/python -I -c '{_UNCHECKED}'").stdout == ""


def test_a_start_as_any_user_finds_the_bytecode_of_everything_it_imports(image: Image) -> None:
    script = f"/opt/autonoma-ci/bin/python -I -B -c '{_STANDARD}'"
    assert _shell(image, script, "-u", "1000:1000") == ""


def test_the_user_s_own_python_is_not_ours(image: Image, job: Job) -> None:
    assert _shell(image, "command -v python", *job.as_gitlab()).strip() == "/usr/local/bin/python"


def test_the_labels_say_what_it_is(image: Image) -> None:
    inspect = [*image.docker, "inspect", "--format", "{{json .Config.Labels}}", image.tag]
    result = subprocess.run(inspect, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip("this docker command does not inspect images")
    labels = json.loads(result.stdout)
    names = {name.removeprefix("org.opencontainers.image.") for name in labels}
    assert {"title", "description", "licenses", "version", "revision", "source"} <= names
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert labels["org.opencontainers.image.version"]
