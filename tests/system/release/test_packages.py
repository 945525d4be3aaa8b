"""The packages for PyPI and their contents."""

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
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import __version__
from autonoma_ci.errors import EXIT_INPUT
from tests.support.generate_docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = ("LICENSE", "README.md", "pyproject.toml", ".gitignore", "autonoma_ci")
NAME = f"autonoma_ci-{__version__}"
PACKAGE_FILES = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "autonoma_ci").rglob("*")
    if path.is_file() and path.parent.name != "__pycache__"
}


def read_build_command() -> list[str]:
    """Return the Python command of `make dist`."""
    output = subprocess.check_output(["make", "-n", "dist"], cwd=ROOT, text=True)
    [line] = re.findall(r'^SOURCE_DATE_EPOCH="\$\(git log -1 --format=%ct\)" \S+/python (.+)$', output, re.MULTILINE)
    return shlex.split(line)


def build_packages(folder: Path, *, umask: int, modified_at: int, **environ: str) -> dict[str, bytes]:
    """Build both packages from a checkout with this umask and time."""
    folder.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, folder / name)
    # Files of a checkout that must not be in a package.
    (folder / "tests").mkdir()
    (folder / "autonoma_ci" / "__pycache__").mkdir(exist_ok=True)
    for name in ("tests/test_it.py", "notes.txt", ".env", "autonoma_ci/__pycache__/cli.cpython-311.pyc"):
        (folder / name).write_text("SECRET = 1\n")
    for path in [folder, *folder.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (modified_at, modified_at))
    env = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1700000000", **environ}
    command = [sys.executable, *read_build_command()]
    subprocess.run(command, cwd=folder, env=env, umask=umask, check=True, capture_output=True, timeout=120)
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def package_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both packages, and return their folder."""
    folder = tmp_path_factory.mktemp("packages") / "ours"
    build_packages(folder, umask=0o022, modified_at=1_700_000_000, TZ="UTC", LC_ALL="C.UTF-8")
    return folder / "dist"


def test_other_checkout_gives_same_packages(package_folder: Path, tmp_path: Path) -> None:
    """Another folder, umask, time zone and hash seed give the same files."""
    other_packages = build_packages(
        tmp_path / "theirs-elsewhere",
        umask=0o077,
        modified_at=981_173_106,
        TZ="Asia/Tokyo",
        LC_ALL="C",
        PYTHONHASHSEED="7",
    )
    assert sorted(other_packages) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]
    assert other_packages == {path.name: path.read_bytes() for path in package_folder.iterdir()}


def test_wheel_has_program_and_metadata_only(package_folder: Path) -> None:
    """The wheel has the package, its license and its metadata."""
    with zipfile.ZipFile(package_folder / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        metadata = message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
    metadata_files = {
        f"{NAME}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }
    assert names == PACKAGE_FILES | metadata_files
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == (
        "autonoma-ci",
        __version__,
        "MIT",
    )
    # Developers get the dependency groups from a checkout. A package publishes extras only.
    assert metadata.get_all("Provides-Extra") == ["terminal"]
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Documentation", "Source", "Issues", "Changelog"}
    assert all(url.startswith("https://github.com/OWNER/autonoma-ci") for url in urls.values())


def test_source_package_has_build_inputs(package_folder: Path) -> None:
    """The source package has only the files that build the wheel."""
    with tarfile.open(package_folder / f"{NAME}.tar.gz") as source:
        names = {member.name.removeprefix(f"{NAME}/") for member in source.getmembers() if member.isfile()}
    assert names == PACKAGE_FILES | {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}


@pytest.fixture(scope="module")
def program_folder(package_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel beside the libraries of the tests, and return the folder of its programs."""
    folder = tmp_path_factory.mktemp("installed")
    # Without pip, because its installation takes 10 s.
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    wheel = str(package_folder / f"{NAME}-py3-none-any.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    run_installed([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], folder, timeout=120)
    [site_packages] = (folder / "venv" / "lib").glob("python3*/site-packages")
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    location_command = [str(python), "-c", "import autonoma_ci; print(autonoma_ci.__file__)"]
    assert str(site_packages) in run_installed(location_command, folder)
    return python.parent


def run_installed(command: list[str], folder: Path, timeout: float = 60) -> str:
    """Run a program of the environment, and return its output."""
    # Without variables that change Python, such as PYTHONPATH.
    env = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        command, cwd=folder, env=env, check=True, capture_output=True, encoding="utf-8", timeout=timeout
    ).stdout


def test_installed_wheel_runs_demo(program_folder: Path, tmp_path: Path) -> None:
    """The program is from the wheel, and the libraries are from the test environment."""
    program = str(program_folder / "autonoma-ci")
    assert run_installed([program, "--version"], tmp_path) == f"autonoma-ci {__version__}\n"
    assert "The demo sent nothing outside of this machine." in run_installed(
        [program, "demo", "--output", "demo"], tmp_path, timeout=90
    )
    assert (tmp_path / "demo" / "results" / "report.html").exists()


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["run", "--help"], ["validate", "--help"]], ids=" ".join)
def test_python_module_is_same_program(argv: list[str], program_folder: Path, tmp_path: Path) -> None:
    """`python -m autonoma_ci` prints the same texts, with the same program name."""
    module_output = run_installed([str(program_folder / "python"), "-m", "autonoma_ci", *argv], tmp_path)
    assert module_output == run_installed([str(program_folder / "autonoma-ci"), *argv], tmp_path)
    assert "autonoma-ci" in module_output
    assert "__main__" not in module_output


def test_python_module_has_exit_codes(program_folder: Path, tmp_path: Path) -> None:
    """`python -m autonoma_ci` exits with the code of an input error."""
    command = [str(program_folder / "python"), "-m", "autonoma_ci", "validate", "missing.yml"]
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run_installed(command, tmp_path)
    assert raised.value.returncode == EXIT_INPUT


def test_build_tools_are_locked_as_in_tests() -> None:
    """The release builds with the same versions of tools as the tests."""
    locks = [(ROOT / folder / "requirements.lock").read_text("utf-8") for folder in ("release", "tests")]
    release, tests = (dict(re.findall(r"^([\w-]+)==(\S+)", lock, re.MULTILINE)) for lock in locks)
    assert {"build", "hatchling"} <= set(release)
    assert release == {name: tests.get(name) for name in release}
