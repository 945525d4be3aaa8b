"""The packages for PyPI: the same files whoever builds them, with the program in them and nothing else."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email import message_from_bytes
from functools import partial
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import __version__
from tests.support.tables import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = ("LICENSE", "README.md", "pyproject.toml", ".gitignore", "autonoma_ci")
NAME = f"autonoma_ci-{__version__}"
PROGRAM = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "autonoma_ci").rglob("*")
    if path.is_file() and path.parent.name != "__pycache__"
}


def recipe() -> list[str]:
    """Return what `make dist` gives to Python, where the time of the commit stands in the environment."""
    told = subprocess.check_output(["make", "-n", "dist"], cwd=ROOT, text=True)
    [line] = re.findall(r'^SOURCE_DATE_EPOCH="\$\(git log -1 --format=%ct\)" \S+/python (.+)$', told, re.MULTILINE)
    return shlex.split(line)


def built(folder: Path, *, umask: int, changed: int, **environ: str) -> dict[str, bytes]:
    """Build both packages from a checkout of this umask and time, and return them by name."""
    folder.mkdir()
    for name in SOURCES:
        put = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        put(ROOT / name, folder / name)
    # What lies about in a checkout, and is nobody's business.
    (folder / "tests").mkdir()
    (folder / "autonoma_ci" / "__pycache__").mkdir(exist_ok=True)
    for name in ("tests/test_it.py", "notes.txt", ".env", "autonoma_ci/__pycache__/cli.cpython-311.pyc"):
        (folder / name).write_text("SECRET = 1\n")
    for path in [folder, *folder.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (changed, changed))
    env = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1700000000", **environ}
    command = [sys.executable, *recipe()]
    subprocess.run(command, cwd=folder, env=env, umask=umask, check=True, capture_output=True, timeout=120)
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both packages, and return their folder."""
    folder = tmp_path_factory.mktemp("packages") / "ours"
    built(folder, umask=0o022, changed=1_700_000_000, TZ="UTC", LC_ALL="C.UTF-8")
    return folder / "dist"


def test_another_checkout_makes_the_same_packages(ours: Path, tmp_path: Path) -> None:
    theirs = built(
        tmp_path / "theirs-elsewhere", umask=0o077, changed=981_173_106, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7"
    )
    assert sorted(theirs) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]
    assert theirs == {path.name: path.read_bytes() for path in ours.iterdir()}


def test_the_wheel_has_the_program_its_licence_and_its_version_and_nothing_else(ours: Path) -> None:
    with zipfile.ZipFile(ours / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        metadata = message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
    about = {
        f"{NAME}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }
    assert names == PROGRAM | about
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == (
        "autonoma-ci",
        __version__,
        "MIT",
    )


def test_the_source_package_has_what_the_wheel_is_made_of_and_nothing_else(ours: Path) -> None:
    with tarfile.open(ours / f"{NAME}.tar.gz") as source:
        names = {member.name.removeprefix(f"{NAME}/") for member in source.getmembers() if member.isfile()}
    assert names == PROGRAM | {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}


def test_the_installed_wheel_runs_and_shows_the_demo(ours: Path, tmp_path: Path) -> None:
    """The libraries are those of the tests; the program is that of the wheel."""
    # Without a pip of its own, which takes 10 s to install.
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    wheel = str(ours / f"{NAME}-py3-none-any.whl")
    # No variables that change what Python does, such as PYTHONPATH.
    env = {"PATH": os.environ["PATH"]}
    run = partial(subprocess.run, cwd=tmp_path, env=env, check=True, capture_output=True, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], timeout=120)
    [site] = (tmp_path / "venv" / "lib").glob("python3*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = [str(python), "-c", "import autonoma_ci; print(autonoma_ci.__file__)"]
    assert str(site) in run(where).stdout
    command = [str(tmp_path / "venv" / "bin" / "autonoma-ci")]
    version = run([*command, "--version"])
    assert version.stdout == f"autonoma-ci {__version__}\n"
    demo = run([*command, "demo", "--output", "demo"], timeout=90)
    assert "That was the demo" in demo.stdout
    assert (tmp_path / "demo" / "results" / "report.html").exists()


def test_what_builds_the_packages_is_locked_at_what_the_tests_have() -> None:
    locks = [(ROOT / folder / "requirements.lock").read_text("utf-8") for folder in ("release", "tests")]
    release, tests = (dict(re.findall(r"^([\w-]+)==(\S+)", lock, re.MULTILINE)) for lock in locks)
    assert {"build", "hatchling"} <= set(release)
    assert release == {name: tests.get(name) for name in release}
