"""Where containers don't run, the package does: it asks for nothing that Windows lacks."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import autonoma_ci
from autonoma_ci.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

# What CPython's documentation says is for Unix alone, of what a tool like this might use. The parts of the standard
# library that look for these themselves are loaded before.
_WITHOUT = """
import argparse, asyncio, http.server, importlib.resources, logging, multiprocessing, pathlib, shutil, signal, ssl
import os, socket, subprocess, tempfile, threading, urllib.request
import jinja2, junitparser, pydantic.main, requests, yaml
for name in ("geteuid", "getuid", "getgid", "chown", "lchown", "fchown", "fchmod", "O_NOFOLLOW", "O_NONBLOCK",
             "O_CLOEXEC", "O_DIRECTORY", "fork", "setsid", "killpg", "uname", "mkfifo", "getpgid", "sysconf"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGPIPE", "SIGUSR1", "setitimer", "alarm", "pthread_sigmask"):
    if hasattr(signal, name):
        delattr(signal, name)
"""
_RUN = "from autonoma_ci.cli import run\nrun()\n"


def ran(folder: Path, code: str, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command, env = [sys.executable, "-c", _WITHOUT + code, *argv], {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_every_module_loads() -> None:
    names = [module.name for module in pkgutil.walk_packages(autonoma_ci.__path__, "autonoma_ci.")]
    assert len(names) > 100
    code = (
        f"import importlib\nfor name in {[n for n in names if not n.endswith('live')]!r}: importlib.import_module(name)"
    )
    ended = subprocess.run([sys.executable, "-c", _WITHOUT + code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("ci", ["github", "none"])
def test_a_whole_job_runs(ci: str, tmp_path: Path) -> None:
    (tmp_path / "autonoma.yml").write_text("version: 1\ntests: [sandbox-one, sandbox-fails]\n", "utf-8")
    names = {"GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    with Sandbox(pace=0.1) as sandbox:
        ended = ran(
            tmp_path, _RUN, "run", "--wait", "--evidence", "all", "--results-dir", "results",
            AUTONOMA_API_URL=sandbox.url, AUTONOMA_CLIENT_ID="some-client", AUTONOMA_CLIENT_SECRET="some-secret",
            **({"GITHUB_ACTIONS": "true", **names} if ci == "github" else {}),
        )  # fmt: skip
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    record = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert [run["state"] for run in record["runs"]] == ["passed", "failed"]
    assert len(list((tmp_path / "results" / "evidence").glob("*/*.png"))) == 8
    assert (tmp_path / "results" / "report.html").is_file()
    if ci == "github":
        assert "conclusion<<" in (tmp_path / "output").read_text("utf-8")


def test_what_is_taken_away_would_be_missed(tmp_path: Path) -> None:
    """A check that can't fail proves nothing."""
    assert ran(tmp_path, "import os\nos.geteuid()").returncode == 1
