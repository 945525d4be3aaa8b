"""The package without the parts of Python that Windows lacks."""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import autonoma_ci
from autonoma_ci.sandbox import Sandbox
from tests.support.github_parser import parse_outputs

if TYPE_CHECKING:
    from pathlib import Path

# Removes names that CPython's documentation calls Unix-only, as far as such a tool could use them. Parts of the
# standard library that need them are imported before.
_NO_UNIX_CODE = """
import _signal, argparse, asyncio, http.server, importlib.resources, logging, multiprocessing, pathlib, shutil, signal
import os, select, selectors, socket, ssl, subprocess, sys, tempfile, threading, time, urllib.request
import jinja2, junitparser, pydantic.main, requests, yaml

UNIX_SIGNALS = (
    "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 SIGWINCH alarm pause "
    "pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait"
)
LACKS = {
    os: "O_CLOEXEC O_DIRECTORY O_DSYNC O_NDELAY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC chown chroot confstr fchdir "
    "fchmod fchown fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getpgrp getpriority getsid getuid "
    "getxattr initgroups killpg lchown lockf major mkfifo mknod nice openpty pathconf pread pwrite "
    "sched_getaffinity sendfile set_blocking setsid setuid statvfs sync sysconf ttyname uname wait",
    signal: UNIX_SIGNALS,
    _signal: UNIX_SIGNALS,
    select: "epoll kqueue poll",
    socket: "AF_UNIX MSG_DONTWAIT SO_REUSEPORT sethostname",
    time: "clock_gettime pthread_getcpuclockid tzset",
}
for module, names in LACKS.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
os.supports_dir_fd.clear()
for name in ("fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
"""
_RUN_CODE = "from autonoma_ci.cli import main\nmain()\n"
# Windows cannot replace a file that a process has open.
_OPEN_TARGET_CODE = """
def replace(source, target, put=os.replace, **options):
    if os.path.exists(target):
        raise PermissionError(13, "Access is denied")
    put(source, target, **options)
os.replace = replace
"""
_GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "step-summary"}


def run_without_unix(folder: Path, code: str, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    # Text files need an explicit encoding, because the default of Windows is not UTF-8.
    flags = ["-X", "warn_default_encoding", "-W", "error::EncodingWarning"]
    # As on Windows, where the streams have the old code page of the system.
    env = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0", **environ}
    command = [sys.executable, *flags, "-c", _NO_UNIX_CODE + code, *argv]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=60, check=False)


def test_every_module_imports(tmp_path: Path) -> None:
    """All modules import without Unix modules."""
    names = [module.name for module in pkgutil.walk_packages(autonoma_ci.__path__, "autonoma_ci.")]
    assert len(names) > 100
    result = run_without_unix(tmp_path, f"import importlib\nfor name in {names!r}: importlib.import_module(name)")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("ci", [_GITHUB, {}], ids=["github", "none"])
@pytest.mark.parametrize("target_code", ["", _OPEN_TARGET_CODE], ids=["free", "held"])
def test_job_and_later_wait_work(ci: dict[str, str], target_code: str, tmp_path: Path) -> None:
    """A job starts runs, and a later `wait` reports them with evidence."""
    (tmp_path / "autonoma.yml").write_bytes(
        "version: 1\r\ntests:\r\n- {id: sandbox-one, name: Zoë → ✓}\r\n- sandbox-fails\r\n".encode()
    )
    with Sandbox(pace=0.1) as sandbox:
        environ = ci | {
            "AUTONOMA_API_URL": sandbox.url, "AUTONOMA_CLIENT_ID": "some-client",
            "AUTONOMA_CLIENT_SECRET": "some-secret", "AUTONOMA_RESULTS_DIR": "results",
        }  # fmt: skip
        run_result = run_without_unix(tmp_path, target_code + _RUN_CODE, "run", **environ)
        wait_result = run_without_unix(
            tmp_path, target_code + _RUN_CODE, "wait", "results/results.json", "--evidence", "all", **environ
        )
    assert (run_result.returncode, wait_result.returncode) == (0, 1), run_result.stderr + wait_result.stderr
    assert "Zoë → ✓" in wait_result.stdout
    results = tmp_path / "results"
    results_json = json.loads((results / "results.json").read_text("utf-8"))
    assert [run["state"] for run in results_json["runs"]] == ["passed", "failed"]
    assert len(list(results.glob("evidence/*/*.png"))) == 8
    assert not [path for path in results.rglob("*") if path.name.startswith(".")]
    assert b"\r" not in (results / "outputs.env").read_bytes()
    assert "Zoë → ✓" in (results / "report.html").read_text("utf-8")
    if ci:
        assert parse_outputs((tmp_path / "output").read_text("utf-8"))["conclusion"] == "failed"
        assert "Zoë → ✓" in (tmp_path / "step-summary").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "missing_code", ["os.geteuid", "os.O_NONBLOCK", "signal.SIGKILL", "import fcntl", "open('x', 'w')"]
)
def test_missing_modules_are_noticed(missing_code: str, tmp_path: Path) -> None:
    """A check that cannot fail proves nothing."""
    assert run_without_unix(tmp_path, missing_code).returncode == 1


def test_sigbreak_ends_job_with_all_files(tmp_path: Path) -> None:
    """SIGUSR1 stands for SIGBREAK, which only Windows has."""
    code = f"_signal.SIGBREAK = {int(signal.SIGUSR1)}\n"
    with Sandbox(pace=0.1) as sandbox:
        process = subprocess.Popen(
            [sys.executable, "-c", _NO_UNIX_CODE + code + _RUN_CODE, "run", "--wait", "--test-ids", "sandbox-stays"],
            cwd=tmp_path, stdout=subprocess.PIPE, text=True,
            env={
                "AUTONOMA_API_URL": sandbox.url, "AUTONOMA_CLIENT_ID": "some-client", "AUTONOMA_RESULTS_DIR": "results",
                "AUTONOMA_CLIENT_SECRET": "some-secret", "PYTHONUNBUFFERED": "1",
            },
        )  # fmt: skip
        assert process.stdout
        while "sandbox-stays" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGUSR1
    assert json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))["conclusion"] == "cancelled"
