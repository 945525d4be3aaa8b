"""The steps of docs/contributing/adding-a-ci-system.md add a CI system."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.architecture.package import ROOT
from tests.support.ci_environments import HEAD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "contributing" / "adding-a-ci-system.md").read_text("utf-8")
# The code of the page, in the order of its steps.
MODULE, RULE, CASES, BASES, PROOF = re.findall(r"^```(?:python|markdown)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
URL = "https://quarry.example.com/builds/5"
PUSH = {
    "QUARRY": "true",
    "QUARRY_SHA": HEAD,
    "QUARRY_BRANCH": "main",
    "QUARRY_REPOSITORY": "acme/shop",
    "QUARRY_BUILD_URL": URL,
}
CHANGE_VARIABLES = {"QUARRY_BRANCH": "feature/cart", "QUARRY_CHANGE": "7"}
CHANGED_FILES = (
    *("autonoma_ci/ci/systems/quarry.py", "autonoma_ci/ci/detection.py"),
    *("tests/support/ci_environments.py", "tests/support/base_cases.py"),
)
# The tests that read the tables, and those of the architecture.
TESTS = (
    *(
        "tests/unit/ci/test_detection.py",
        "tests/integration/ci/test_build_context.py",
        "tests/integration/ci/test_change_base.py",
        "tests/integration/ci/test_shards.py",
        "tests/integration/ci/test_log_formatters.py",
    ),
    *(
        "tests/architecture/test_source_rules.py",
        "tests/architecture/test_frozen_values.py",
        "tests/architecture/test_docs.py",
    ),
    *(
        "tests/architecture/test_generated_docs.py",
        "tests/architecture/test_tested_systems.py",
        "tests/unit/reports/test_junit_attachments.py",
        "tests/system/examples/test_examples.py",
    ),
)


def run_command(folder: Path, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)


def run_git(folder: Path, *arguments: str) -> str:
    git_environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    result = run_command(
        folder, "git", "-c", "user.name=x", "-c", "user.email=x@x.example", *arguments, env=git_environ
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def extract_row(code: str) -> str:
    """Return the row of a table, without the lines around it."""
    return "".join(code.splitlines(keepends=True)[2:-1])


def insert_before(path: Path, line: str, row: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(line) == 1
    path.write_text(text.replace(line, row + line), "utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with the new system."""
    folder = tmp_path_factory.mktemp("newcomer") / "project"
    filenames = run_git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, filenames):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run_git(folder, "init", "--quiet")
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message", "before")
    (folder / "autonoma_ci" / "ci" / "systems" / "quarry.py").write_text(MODULE, "utf-8")
    insert_before(folder / "autonoma_ci" / "ci" / "detection.py", '    DetectionRule("ci", ', extract_row(RULE))
    insert_before(
        folder / "tests" / "support" / "ci_environments.py", '    JobCase("unknown-system", ', extract_row(CASES)
    )
    insert_before(folder / "tests" / "support" / "base_cases.py", '    *_make_cases("ci", ', extract_row(BASES))
    insert_before(folder / "docs" / "ci" / "others.md", "| `ci` | ", PROOF)
    for module in (("ruff", "format", *CHANGED_FILES), ("tests.support.generate_docs",)):
        result = run_command(folder, sys.executable, "-m", *module)
        assert result.returncode == 0, result.stderr
    return folder


def run_quarry_job(
    project: Path, folder: Path, url: str, more_environ: Mapping[str, str], argv: Sequence[str] = ()
) -> tuple[int, str]:
    """Run the copy's command in a job of the new system, and return exit code and log."""
    environ = {
        **PUSH,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(project),
        "AUTONOMA_CLIENT_ID": "quarry-id",
        "AUTONOMA_CLIENT_SECRET": "quarry-secret",
        "AUTONOMA_API_URL": url,
        "AUTONOMA_RESULTS_DIR": "results",
        "QUARRY_VARIABLES": str(folder / "variables"),
        "QUARRY_SUMMARY": str(folder / "page.md"),
    }
    code = "from autonoma_ci.cli import main; main()"
    result = run_command(folder, sys.executable, "-P", "-c", code, *argv, env={**environ, **more_environ})
    return result.returncode, result.stdout + result.stderr


def test_change_is_one_file_and_four_rows(project: Path) -> None:
    """Git shows one new file, four new rows and one generated row."""
    assert set(run_git(project, "status", "--porcelain", "--untracked-files=all").splitlines()) == {
        *(
            "?? autonoma_ci/ci/systems/quarry.py",
            " M autonoma_ci/ci/detection.py",
            " M tests/support/base_cases.py",
            " M tests/support/ci_environments.py",
        ),
        " M docs/ci/others.md",
        " M docs/reference/environment-variables.md",
    }
    changes = [line.split("\t") for line in run_git(project, "diff", "--numstat").splitlines()]
    assert [(added == "1", removed, name) for added, removed, name in changes] == [
        (True, "0", "autonoma_ci/ci/detection.py"),
        (True, "0", "docs/ci/others.md"),
        (True, "0", "docs/reference/environment-variables.md"),
        (False, "0", "tests/support/base_cases.py"),
        (False, "0", "tests/support/ci_environments.py"),
    ]


def test_job_has_context_outputs_and_summary(project: Path, tmp_path: Path) -> None:
    """A job of the new system has its build context, log groups, outputs and summary."""
    with Sandbox(pace=0) as sandbox:
        code, log = run_quarry_job(
            project, tmp_path, sandbox.url, CHANGE_VARIABLES | {"AUTONOMA_TEST_IDS": "one", "AUTONOMA_WAIT": "1"}
        )
        assert code == 0, log
        assert {request.source for request in sandbox.received if request.method == "POST"} == {"quarry"}
    assert re.search(r"^##quarry\[open\]Starting 1 run$(?s:.*)^##quarry\[close\]$", log, re.MULTILINE)
    results_json = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert results_json["source"] == "quarry"
    assert {name: text for name, text in results_json["ci"].items() if text} == {
        "name": "quarry",
        "sha": PUSH["QUARRY_SHA"],
        "branch": "feature/cart",
        "change": "7",
        "repository": "acme/shop",
        "build_url": URL,
    }
    variables = (tmp_path / "variables").read_text("utf-8").splitlines()
    assert "AUTONOMA_CONCLUSION=passed" in variables
    assert f"AUTONOMA_RUN_ID={results_json['runs'][0]['run_id']}" in variables
    page = (tmp_path / "page.md").read_text("utf-8")
    assert "\n### Autonoma tests: ✅ Passed" in page
    assert "change 7, branch feature/cart" in page
    code, summary = run_quarry_job(
        project, tmp_path, "http://127.0.0.1:9", {}, ["report", "results", "--format", "markdown", "--output", "-"]
    )
    assert code == 0, summary
    assert "change 7, branch feature/cart" in summary
    written_page = (tmp_path / "results" / "report.html").read_text("utf-8")
    code, printed_page = run_quarry_job(
        project, tmp_path, "http://127.0.0.1:9", {}, ["report", "results", "--output", "-"]
    )
    assert code == 0, printed_page
    for html in (written_page, printed_page):
        assert "Started by</dt><dd><bdi>Quarry Cloud<" in html
        assert "Change</dt><dd><bdi>7<" in html


def test_missing_credentials_have_advice(project: Path, tmp_path: Path) -> None:
    """The error names the place for secrets, and an unset reference counts as missing."""
    more_environ = {
        "AUTONOMA_CLIENT_ID": "%QUARRY_ID%",
        "AUTONOMA_CLIENT_SECRET": "%QUARRY_SECRET%",
        "AUTONOMA_TEST_IDS": "one",
    }
    code, log = run_quarry_job(project, tmp_path, "http://127.0.0.1:9", more_environ)
    assert code == 2
    advice = "Add AUTONOMA_CLIENT_ID and AUTONOMA_CLIENT_SECRET under Vault, and list them under `vault:` of the job."
    assert advice in log
    more_environ["AUTONOMA_ON_MISSING_CREDENTIALS"] = "skip"
    code, log = run_quarry_job(project, tmp_path, "http://127.0.0.1:9", more_environ)
    assert code == 0, log


@pytest.mark.parametrize(("build", "is_known"), [("5", True), ("local", False)])
def test_wait_knows_build_ids(project: Path, build: str, is_known: bool, tmp_path: Path) -> None:
    """A step does not wait for ended runs if many builds have the id of their build."""
    with Sandbox(pace=0) as sandbox:
        more_environ = {"QUARRY_BUILD": build, "AUTONOMA_TEST_IDS": "one", "AUTONOMA_WAIT": "1"}
        code, log = run_quarry_job(project, tmp_path, sandbox.url, more_environ)
        assert code == 0, log
        code, log = run_quarry_job(project, tmp_path, sandbox.url, {"QUARRY_BUILD": build}, ["wait", "results"])
        assert code == (0 if is_known else 2), log
        assert ("no build id matches this build" in log) is not is_known


@pytest.mark.parametrize(("checkout", "is_lost"), [("", False), ("checkout", True)])
def test_folder_outside_checkout_warns(project: Path, checkout: str, is_lost: bool, tmp_path: Path) -> None:
    """A results folder outside of the new system's workspace gives a warning."""
    more_environ = {"QUARRY_CHECKOUT": str(tmp_path / checkout), "AUTONOMA_TEST_IDS": "one", "AUTONOMA_DRY_RUN": "1"}
    code, log = run_quarry_job(project, tmp_path, "http://127.0.0.1:9", more_environ)
    assert code == 0, log
    warning = "results is outside of the workspace, so the files are lost with the container."
    assert (warning in log) is is_lost


def test_parallel_jobs_share_plan(project: Path, tmp_path: Path) -> None:
    """The parallel index of the new system selects the shard."""
    with Sandbox(pace=0) as sandbox:
        more_environ = {
            "AUTONOMA_TEST_IDS": "one, two",
            "AUTONOMA_SHARD": "auto",
            "QUARRY_JOB": "2",
            "QUARRY_JOBS": "2",
        }
        code, log = run_quarry_job(project, tmp_path, sandbox.url, more_environ)
        assert code == 0, log
        assert (sandbox.count_starts("one"), sandbox.count_starts("two")) == (0, 1)


def test_manifest_cannot_name_credentials(project: Path, tmp_path: Path) -> None:
    """A manifest cannot interpolate a credential variable of the new system."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, variables: {A: '${QUARRY_TOKEN}'}}]", "utf-8")
    code, log = run_quarry_job(project, tmp_path, "http://127.0.0.1:9", {"QUARRY_TOKEN": "x"}, ["validate"])
    assert code == 2
    assert "contains a credential" in log


def test_tests_and_linters_accept_new_rows(project: Path) -> None:
    """The tests cover the new system, and all linters pass."""
    tests = run_command(project, sys.executable, "-m", "pytest", "-v", "-m", "not linters", *TESTS)
    assert tests.returncode == 0, tests.stdout[-4000:]
    system_lines = [line for line in tests.stdout.splitlines() if "quarry" in line]
    assert len(system_lines) > 40
    assert all("PASSED" in line for line in system_lines)
    for command in (("ruff", "check"), ("mypy",)):
        result = run_command(project, sys.executable, "-m", *command, *CHANGED_FILES)
        assert result.returncode == 0, result.stdout
