"""A checkout with planted modules, programs and settings."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import autonoma_ci
from tests.support.invoke_command import CREDENTIALS

if TYPE_CHECKING:
    from autonoma_ci.sandbox import Sandbox

SCRIPT = Path(sys.executable).with_name("autonoma-ci")
# Modules of Python, of our libraries and of the package. Each one records its name when it runs.
MODULES = (
    "autonoma_ci/__init__", "autonoma_ci/cli", "sitecustomize", "usercustomize", "json", "os", "re", "ssl", "socket",
    "typing", "requests", "urllib3/__init__", "certifi", "yaml", "pydantic", "jinja2", "rich", "resource", "site",
)  # fmt: skip
# Files that interpreters, installers, shells and clients read in the working directory or at home.
FILES = {
    "pyvenv.cfg": "home = {folder}\ninclude-system-site-packages = true\n",
    "python311._pth": "{folder}\nimport site\n",
    "hostile.pth": "import json\n",
    ".netrc": "machine 127.0.0.1 login planted password planted\ndefault login planted password planted\n",
    "_netrc": "default login planted password planted\n",
    "pip.conf": "[global]\nindex-url = http://127.0.0.1:9/\n",
    ".config/pip/pip.conf": "[global]\nindex-url = http://127.0.0.1:9/\n",
    ".pydistutils.cfg": "[easy_install]\nindex_url = http://127.0.0.1:9/\n",
    "setup.cfg": "[global]\nindex-url = http://127.0.0.1:9/\n",
    "pyproject.toml": "[tool.autonoma-ci]\napi-url = 'http://127.0.0.1:9/'\n",
    ".env": "AUTONOMA_API_URL=http://127.0.0.1:9/\nHTTPS_PROXY=http://127.0.0.1:9/\nPYTHONSTARTUP=json.py\n",
    ".envrc": "export AUTONOMA_API_URL=http://127.0.0.1:9/\n",
    ".curlrc": "proxy = 127.0.0.1:9\n",
    ".gitconfig": "[core]\n\tfsmonitor = ./program\n\tpager = ./program\n",
    ".git/config": "[core]\n\tfsmonitor = ./program\n\tsshCommand = ./program\n\thooksPath = .\n",
    "openssl.cnf": "openssl_conf = planted\n",
    "cacert.pem": "planted\n",
    "mime.types": "text/planted png\n",
    "results.json": "{}",
}
PROGRAMS = (
    ".git/hooks/post-checkout",
    "bin/git",
    "bin/buildkite-agent",
    "bin/python",
    "bin/python3",
    "bin/env",
    "program",
)
# Python, the libraries, the package, and the files of the system.
_SYSTEM_FOLDERS = (*map(Path, (sys.prefix, sys.base_prefix, autonoma_ci.__path__[0], "/etc", "/usr", "/proc", "/dev")),)
MANIFEST = "tests: [{id: sandbox-fails, name: Pay}]\n"
# Logs audit events of files, processes and the network.
AUDIT_SCRIPT = """
import json, os, sys, threading
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND)
real_open, thread = os.open, threading.local()
# An audit event does not have the directory to which a path is relative.
def open_with_directory(path, flags, mode=0o777, *, dir_fd=None):
    thread.directory = "" if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
    try:
        return real_open(path, flags, mode, dir_fd=dir_fd)
    finally:
        thread.directory = ""
os.open = open_with_directory
os.supports_dir_fd.add(open_with_directory)
events = {"open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.exec",
          "os.posix_spawn", "os.system", "os.fork", "subprocess.Popen", "socket.connect"}
def hook(event, arguments):
    if event in events:
        if event == "open" and getattr(thread, "directory", ""):
            arguments = (os.path.join(thread.directory, arguments[0]), *arguments[1:])
        os.write(log, (json.dumps([event, *map(str, arguments)]) + "\\n").encode())
sys.addaudithook(hook)
from autonoma_ci.cli import main
main()
"""


class HostileCheckout(NamedTuple):
    """A checkout, the folder of the job's own files, and the environment."""

    folder: Path
    job_folder: Path
    environ: dict[str, str]

    @property
    def executed_names(self) -> list[str]:
        """The names of planted code that has run."""
        marker = self.job_folder / "taken"
        return marker.read_text("utf-8").split() if marker.exists() else []


@pytest.fixture
def checkout(tmp_path: Path, sandbox: Sandbox) -> HostileCheckout:
    folder, job_folder = tmp_path / "checkout", tmp_path / "ours"
    job_folder.mkdir()
    marker = job_folder / "taken"
    for name in MODULES:
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(marker)!r}, 'a').write({name!r} + ' ')\n", "utf-8")
    for name in PROGRAMS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {name} >> {shlex.quote(str(marker))}\n", "utf-8")
        path.chmod(0o755)
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("{folder}", str(folder)), "utf-8")
    (folder / "autonoma.yml").write_text(MANIFEST, "utf-8")
    environ = {
        **CREDENTIALS,
        # A pull request cannot set the home folder. This is a stricter test.
        "HOME": str(folder),
        "PATH": os.pathsep.join([str(folder / "bin"), ".", "bin", os.environ["PATH"]]),
        "BUILDKITE": "true",
        "AUTONOMA_API_URL": sandbox.url,
        "AUTONOMA_WAIT": "true",
        "AUTONOMA_RESULTS_DIR": "results",
        "AUTONOMA_EVIDENCE": "all",
    }
    return HostileCheckout(folder, job_folder, environ)


def run_process(checkout: HostileCheckout, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=checkout.folder, env=checkout.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("run", "--wait", "false"), 0),
        *(
            pytest.param(argv, code, marks=pytest.mark.slow)
            for argv, code in (
                (("run",), 1), (("list",), 0), (("init", "--all", "--output", "made.yml"), 0), (("validate",), 0),
                (("schema",), 0), (("wait", "results.json"), 2), (("report", "results.json"), 2),
                (("demo", "--output", "demo"), 0), (("sandbox", "--port", "none"), 2),
            )
        ),
    ],
    ids=lambda argv: argv[0] if isinstance(argv, tuple) else "",
)  # fmt: skip
def test_checkout_code_is_not_run(argv: tuple[str, ...], code: int, checkout: HostileCheckout) -> None:
    """No planted module or program runs with any command."""
    result = run_process(checkout, SCRIPT, *argv)
    assert result.returncode == code, result.stdout + result.stderr
    assert "planted" not in result.stdout + result.stderr
    assert checkout.executed_names == []


def test_checkout_code_runs_in_plain_python(checkout: HostileCheckout) -> None:
    """Without this control, the test above could pass for files that do nothing."""
    run_process(checkout, sys.executable, "-c", "import requests")
    assert "requests" in checkout.executed_names
    checkout.environ["PYTHONPATH"] = "."
    run_process(checkout, sys.executable, "-c", "")
    assert "sitecustomize" in checkout.executed_names


def run_audited(checkout: HostileCheckout, *argv: str) -> list[list[str]]:
    """Run a command and return its audit events as `[event, argument, ...]`."""
    log = checkout.job_folder / "events"
    log.touch()
    result = run_process(checkout, sys.executable, "-I", "-B", "-c", AUDIT_SCRIPT, str(log), *argv)
    assert result.returncode in {0, 1}, result.stdout + result.stderr
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("wait", ["false", pytest.param("true", marks=pytest.mark.slow)])
def test_only_expected_files_are_opened(wait: str, checkout: HostileCheckout, sandbox: Sandbox) -> None:
    """Audit events show the manifest, the results folder and the API only."""
    events = run_audited(checkout, "run", "--wait", wait)
    read_files, written_files, directories = split_opened_files(events, checkout.folder)
    results = checkout.folder / "results"
    assert all(path == checkout.folder or path.is_relative_to(results) for path in directories), directories
    other_files = {
        path for path in read_files if not any(path.is_relative_to(folder) for folder in (*_SYSTEM_FOLDERS, results))
    }
    assert other_files == {checkout.folder / "autonoma.yml"}
    assert all(path.is_relative_to(results) for path in written_files), written_files
    assert not [event for event in events if event[0] in {"subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"}]
    port = sandbox.url.rpartition(":")[2].partition("/")[0]
    addresses = [event[2] for event in events if event[0] == "socket.connect"]
    assert addresses
    assert all(address == f"('127.0.0.1', {port})" for address in addresses)
    assert checkout.executed_names == []


def split_opened_files(events: list[list[str]], folder: Path) -> tuple[set[Path], set[Path], set[Path]]:
    """Return the files opened for reading, those for writing, and the directories."""
    read_files: set[Path] = set()
    written_files: set[Path] = set()
    directories: set[Path] = set()
    for event, path, *arguments in events:
        if event == "open" and not path.isdigit():
            flags = int(arguments[1])
            if flags & os.O_DIRECTORY:
                directories.add(folder / path)
                continue
            (written_files if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else read_files).add(folder / path)
    return read_files, written_files, directories
