"""The hook that other repositories use with pre-commit.

The tests do the same as `pre-commit try-repo`: clone, install into an environment, run the entry with matching files.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.generate_docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

[HOOK] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def program_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install a clone of this repository, and return the folder of its programs."""
    folder = tmp_path_factory.mktemp("hook")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, capture_output=True, timeout=60)
    # Without pip, because its installation takes 10 s.
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    [site_packages] = (folder / "venv" / "lib").glob("python3*/site-packages")
    # The libraries and the build backend are from the test environment.
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    env = {"PATH": os.environ["PATH"]}
    subprocess.run([*pip, "install", *options, str(clone)], env=env, check=True, capture_output=True, timeout=120)
    assert (python.parent / "autonoma-ci").exists()
    return python.parent


def run_hook(program_folder: Path, folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run the entry of the hook with files, as pre-commit does."""
    env = {"PATH": f"{program_folder}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(program_folder.parent)}
    command = [*shlex.split(HOOK["entry"]), *HOOK.get("args", []), *files]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a folder with a valid and an invalid manifest."""
    (tmp_path / "autonoma.yml").write_text("version: 1\ntests: [sandbox-one]\n", "utf-8")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "autonoma.yaml").write_text("version: 1\ntest: [sandbox-one]\n", "utf-8")
    return tmp_path


def test_valid_manifest_passes_hook(program_folder: Path, repository: Path) -> None:
    """The hook passes if each manifest is valid."""
    result = run_hook(program_folder, repository, "autonoma.yml", "autonoma.yml")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("autonoma.yml is valid") == 2


@pytest.mark.parametrize("files", [("web/autonoma.yaml", "autonoma.yml"), ("autonoma.yml", "web/autonoma.yaml")])
def test_invalid_manifest_fails_hook(files: tuple[str, str], program_folder: Path, repository: Path) -> None:
    """The hook checks each file, and fails if one of them is invalid."""
    result = run_hook(program_folder, repository, *files)
    assert result.returncode == 2
    assert "autonoma.yml is valid" in result.stdout
    assert "web/autonoma.yaml:2:1" in result.stderr


def test_hook_selects_manifests() -> None:
    """The hook checks the default manifests of each folder, and no other file."""
    manifests = ["autonoma.yml", "autonoma.yaml", "services/web/autonoma.yml"]
    other_files = ["autonoma.json", "my-autonoma.yml", "autonoma.yml.orig", "autonoma-yml", "autonoma.yml/README.md"]
    assert [name for name in [*manifests, *other_files] if re.search(HOOK["files"], name)] == manifests


def test_hook_definition_is_complete() -> None:
    """The definition has the keys that pre-commit requires."""
    assert {"id", "name", "entry", "language", "files"} <= set(HOOK)
    assert (HOOK["id"], HOOK["language"]) == ("autonoma-validate", "python")
