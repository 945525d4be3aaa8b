"""Files, permissions, bytecode and labels of the image."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.container.image import Image, JobFolders

pytestmark = pytest.mark.image
# Bytes 4 to 8 of a bytecode file. 1 means unchecked and hash-based (PEP 552).
_CHECKED_BYTECODE_SCRIPT = """
import importlib.util, pathlib, sysconfig
for file in pathlib.Path(sysconfig.get_path("purelib")).rglob("*.py"):
    compiled = pathlib.Path(importlib.util.cache_from_source(file))
    if not compiled.exists() or compiled.read_bytes()[4:8] != bytes([1, 0, 0, 0]):
        print(file)
"""
_MISSING_BYTECODE_SCRIPT = """
import sys, pathlib, importlib
import autonoma_ci.cli, json, junitparser, requests, yaml, pydantic
for module in list(sys.modules.values()):
    file = getattr(module, "__cached__", None)
    if file and not pathlib.Path(file).exists():
        print(file)
"""


def _run_shell(image: Image, script: str, *options: str) -> str:
    result = image.run(list(options), "sh", "-c", script)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_only_root_can_change_files(image: Image) -> None:
    """The files belong to root, and nobody else can write to them."""
    assert (
        _run_shell(image, "find /opt/autonoma-ci ! -type l '(' -perm /022 -o ! -user root -o ! -group root ')'") == ""
    )


@pytest.mark.parametrize("user", ["1000:1000", "65534:65534"])
def test_all_users_can_read_files(image: Image, user: str) -> None:
    """Any user can read all files and enter all folders."""
    assert _run_shell(image, "find /opt/autonoma-ci ! -readable -o -type d ! -executable", "-u", user) == ""


def test_build_tools_are_not_included(image: Image) -> None:
    """The image has no pip, compiler, tests or cache of the build."""
    assert (
        _run_shell(image, "ls -d /build ~/.cache /opt/autonoma-ci/bin/pip* /opt/autonoma-ci/tests 2>/dev/null; true")
        == ""
    )
    assert _run_shell(image, "for tool in cc gcc g++ make git; do command -v $tool; done; true") == ""


def test_bytecode_is_unchecked_hash_based(image: Image) -> None:
    """Python loads our bytecode without a comparison with its source."""
    assert _run_shell(image, f"/opt/autonoma-ci/bin/python -I -c '{_CHECKED_BYTECODE_SCRIPT}'") == ""


def test_bytecode_exists_for_all_imports(image: Image) -> None:
    """A start as any user finds bytecode for all imported modules."""
    script = f"/opt/autonoma-ci/bin/python -I -B -c '{_MISSING_BYTECODE_SCRIPT}'"
    assert _run_shell(image, script, "-u", "1000:1000") == ""


def test_default_python_is_not_ours(image: Image, folders: JobFolders) -> None:
    """The command `python` starts the Python of the base image."""
    assert _run_shell(image, "command -v python", *folders.gitlab_options()).strip() == "/usr/local/bin/python"


def test_labels_are_complete(image: Image) -> None:
    """The image has all labels, with a license and a version."""
    inspect = [*image.docker, "inspect", "--format", "{{json .Config.Labels}}", image.tag]
    result = subprocess.run(inspect, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip("this docker command does not inspect images")
    labels = json.loads(result.stdout)
    names = {name.removeprefix("org.opencontainers.image.") for name in labels}
    assert {"title", "description", "licenses", "version", "revision", "source"} <= names
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert labels["org.opencontainers.image.version"]
