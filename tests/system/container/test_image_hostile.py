"""The image in a checkout with modules named like ours and Python's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.container.image import Image, JobFolders

pytestmark = pytest.mark.image
_HOSTILE_FILES = [
    "autonoma_ci/__init__.py",
    "autonoma_ci/cli.py",
    "json.py",
    "os.py",
    "pydantic.py",
    "requests.py",
    "signal.py",
    "sitecustomize.py",
    "typing.py",
    "usercustomize.py",
    "yaml/__init__.py",
]
_VARIABLES = {
    "PYTHONPATH": ".",
    "PYTHONHOME": ".",
    "PYTHONSTARTUP": "json.py",
    "PYTHONUSERBASE": ".",
    "PYTHONINSPECT": "1",
}
_COMMANDS = [(), ("run",), ("sh", "-c", "autonoma-ci run"), ("bash", "-c", "cd / && cd - && exec autonoma-ci")]


@pytest.fixture
def marker(folders: JobFolders) -> Path:
    for name in _HOSTILE_FILES:
        file = folders.workspace / name
        file.parent.mkdir(exist_ok=True)
        file.write_text('open("/github/workspace/taken", "a").write(__name__)\n')
    return folders.workspace / "taken"


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_checkout_modules_are_not_imported(
    image: Image, folders: JobFolders, marker: Path, command: tuple[str, ...]
) -> None:
    """No command imports a module of the checkout, and each ends with an input error."""
    variables = [part for name, value in _VARIABLES.items() for part in ("-e", f"{name}={value}")]
    result = image.run([*folders.github_options(), *variables], *command)
    assert not marker.exists(), marker.read_text()
    assert result.returncode == 2, result.stdout + result.stderr  # an input error, because the job has no credentials


def test_careless_python_imports_them(image: Image, folders: JobFolders, marker: Path) -> None:
    """Otherwise the other test could pass with harmless files."""
    image.run(folders.github_options(), "sh", "-c", "PYTHONPATH=. /opt/autonoma-ci/bin/python -c 'import json'")
    assert "sitecustomize" in marker.read_text()
    assert "json" in marker.read_text()
