"""GitLab component, compared with the options and run in a pipeline."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from autonoma_ci.config.options import OPTIONS
from tests.support.generate_docs import ROOT
from tests.support.gitlab_component import SECRET_OPTIONS, render_component

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from autonoma_ci.sandbox import Sandbox

RUNNER = ROOT / "tests" / "system" / "linters" / "node_modules" / ".bin" / "gitlab-ci-local"
COMPONENT_FILE = ROOT / "templates" / "autonoma.yml"
SPEC, JOBS = yaml.safe_load_all(COMPONENT_FILE.read_text("utf-8"))
INPUTS: dict[str, Any] = SPEC["spec"]["inputs"]
[JOB] = JOBS.values()
OPTION_BY_NAME = {option.name: option for option in OPTIONS}
TEST_IDS = """\
Sign in = sandbox-one # a comment
Pay     = sandbox-two
"""
# Variables of pipelines, as GitLab sets them. A merge request pipeline has no CI_COMMIT_BRANCH.
# Source: GitLab's documentation, "Predefined CI/CD variables".
MERGE_REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_COMMIT_BRANCH": "",
    "CI_MERGE_REQUEST_IID": "17",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature/cart",
    "CI_OPEN_MERGE_REQUESTS": "acme/shop!17",
}
CHILD_PIPELINE = {**MERGE_REQUEST, "CI_PIPELINE_SOURCE": "parent_pipeline"}
DEFAULT_BRANCH = {"CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}
BRANCH = {
    "CI_COMMIT_BRANCH": "feature/cart",
    "CI_COMMIT_REF_NAME": "feature/cart",
    "CI_DEFAULT_BRANCH": "main",
    "CI_OPEN_MERGE_REQUESTS": "acme/shop!17,acme/fork!3",
}
LATER_JOB = """
later:
  stage: deploy
  needs: [{ job: autonoma, optional: true }]
  script:
    - printf '%s\\n' "$AUTONOMA_CONCLUSION" "$AUTONOMA_RUN_URL" "$AUTONOMA_PASSED" > later.txt
"""


def test_component_matches_generator() -> None:
    """The file is the output of the generator."""
    assert COMPONENT_FILE.read_text("utf-8") == render_component()


def test_inputs_are_options_without_secrets() -> None:
    """Every option except a secret one is an input."""
    assert set(INPUTS) == {option.name for option in OPTIONS} - SECRET_OPTIONS | {"job-name", "stage", "image", "rules"}
    assert {"client-id", "client-secret", "github-token", "gitlab-token"} == SECRET_OPTIONS


def test_inputs_have_help_and_type_of_option() -> None:
    """Each input has the help, type and default of its option."""
    for name in set(INPUTS) & set(OPTION_BY_NAME):
        option, input_spec = OPTION_BY_NAME[name], INPUTS[name]
        assert option.help in input_spec["description"]
        assert input_spec["type"] == ("boolean" if not option.metavar and name != "run-on-latest" else "string")
        if input_spec["type"] == "boolean":
            assert input_spec["default"] is (option.default == "true")
        elif option.metavar == "WORD":
            assert option.parse(input_spec["default"]) == option.default
            assert [option.parse(word) for word in input_spec["options"]] == input_spec["options"]
        elif name != "results-dir":
            # Another default would count as an explicit value. It would win over the manifest and cause warnings.
            assert input_spec["default"] == ""


def test_inputs_set_their_options() -> None:
    """Each input sets the variable of its option."""
    names = {OPTION_BY_NAME[name].env_var: f"$[[ inputs.{name} ]]" for name in INPUTS if name in OPTION_BY_NAME}
    assert {name: value.rstrip() for name, value in JOB["variables"].items()} == names


def test_job_variables_are_text() -> None:
    """A value that is only an input keeps the type of the input."""
    boolean_variables = {OPTION_BY_NAME[name].env_var for name in INPUTS if INPUTS[name].get("type") == "boolean"}
    assert {name for name, value in JOB["variables"].items() if value.endswith("]] ")} == boolean_variables


def test_artifact_reports_name_result_files() -> None:
    """The artifact reports name the files in the results folder."""
    reports = {kind: path.rpartition("/")[2] for kind, path in JOB["artifacts"]["reports"].items()}
    assert reports == {"dotenv": "outputs.env", "junit": "junit.xml", "annotations": "gitlab-annotations.json"}


class Project:
    """A repository whose pipeline includes the component, and the runs of that pipeline."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        (folder / "templates").mkdir()
        (folder / "templates" / "autonoma.yml").write_text(render_component(), "utf-8")

    def run(
        self, include: dict[str, Any], inputs: Mapping[str, object], pipeline: Mapping[str, str] = MERGE_REQUEST
    ) -> subprocess.CompletedProcess[str]:
        """Run a pipeline that has these variables on shells of this machine."""
        entry = {**include, "inputs": {"api-url": self.url, **inputs}}
        text = yaml.safe_dump({"include": [entry]}, sort_keys=False) + LATER_JOB
        (self.folder / ".gitlab-ci.yml").write_text(text, "utf-8")
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
        for command in (
            [*git, "init", "--quiet", "--initial-branch=main"],
            [*git, "remote", "add", "origin", "https://gitlab.example.com/acme/shop.git"],
            [*git, "add", "--all"],
            [*git, "commit", "--quiet", "--message", "x"],
        ):
            # The user's configuration can have hooks or sign commits.
            env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
            subprocess.run(command, cwd=self.folder, env=env, check=True, capture_output=True)
        variables = {
            "GITLAB_CI": "true",  # gitlab-ci-local sets it to false
            "AUTONOMA_CLIENT_ID": "sandbox-client",
            "AUTONOMA_CLIENT_SECRET": "sandbox-secret",
            **pipeline,
        }
        arguments = [f"--variable={name}={value}" for name, value in variables.items()]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [str(RUNNER), "--force-shell-executor", *arguments],
            cwd=self.folder,
            env={"PATH": path, "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def file_server_url() -> Iterator[str]:
    """Serve the files of this repository, and yield the URL."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(ROOT))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path, sandbox: Sandbox) -> Project:
    return Project(tmp_path, sandbox.url)


@pytest.mark.linters
@pytest.mark.parametrize(
    "include",
    [
        {"local": "templates/autonoma.yml"},
        {"component": "gitlab.example.com/acme/shop/autonoma@$CI_COMMIT_SHA"},
        {"remote": "{server}/templates/autonoma.yml"},
    ],
    ids=["local", "component", "remote"],
)
def test_pipeline_passes_variables_to_later_job(
    include: dict[str, str], project: Project, sandbox: Sandbox, file_server_url: str
) -> None:
    """A pipeline runs the component, and a later job reads its variables."""
    include = {kind: location.format(server=file_server_url) for kind, location in include.items()}
    result = project.run(include, {"wait": True, "test-ids": TEST_IDS})
    assert result.returncode == 0, result.stdout + result.stderr
    assert [request.source for request in sandbox.received if request.method == "POST"] == ["gitlab"] * 2
    assert "PASSED  Pay  (" in result.stdout.replace("***", "sandbox")
    conclusion, url, count = (project.folder / "later.txt").read_text("utf-8").split()
    assert (conclusion, count) == ("passed", "2")
    assert url.startswith(sandbox.url.removesuffix("/api"))
    names = {path.name for path in (project.folder / "autonoma-results").iterdir()}
    assert {"outputs.env", "junit.xml", "gitlab-annotations.json", "results.json"} <= names


@pytest.mark.linters
@pytest.mark.parametrize(
    ("pipeline", "rules", "change"),
    [
        (MERGE_REQUEST, None, "17"),
        (CHILD_PIPELINE, None, "17"),
        (DEFAULT_BRANCH, None, ""),
        (BRANCH, None, None),
        (BRANCH, [{"if": "$CI_COMMIT_BRANCH"}], "17"),
        (MERGE_REQUEST, [{"if": "$CI_COMMIT_BRANCH"}], None),
        (DEFAULT_BRANCH, [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}], None),
    ],
    ids=["change", "child", "default", "branch", "branch-wanted", "change-unwanted", "schedule"],
)
def test_rules_select_pipelines(
    pipeline: dict[str, str], rules: list[dict[str, str]] | None, change: str | None, project: Project, sandbox: Sandbox
) -> None:
    """The default is merge request pipelines and the default branch."""
    inputs = {"wait": True, "test-ids": "sandbox-one", **({"rules": rules} if rules else {})}
    result = project.run({"local": "templates/autonoma.yml"}, inputs, pipeline)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len([request for request in sandbox.received if request.method == "POST"]) == (change is not None)
    results_json = project.folder / "autonoma-results" / "results.json"
    assert results_json.exists() is (change is not None)
    if change is not None:
        ci_context = json.loads(results_json.read_text("utf-8"))["ci"]
        assert ci_context["change"] == change
        assert ci_context["branch"] == ("main" if pipeline is DEFAULT_BRANCH else "feature/cart")


def test_header_shows_valid_include() -> None:
    """The form `component` needs a project on the same server."""
    text = COMPONENT_FILE.read_text("utf-8")
    header = "\n".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#   "))
    [entry] = yaml.safe_load(header)["include"]
    assert entry["remote"].endswith("/OWNER/autonoma-ci/v1/templates/autonoma.yml")
    assert set(entry["inputs"]) <= set(INPUTS)
    for path in (COMPONENT_FILE, ROOT / "README.md", ROOT / "docs" / "ci" / "gitlab.md"):
        assert not re.search(r"component: \S*OWNER", path.read_text("utf-8"))


@pytest.mark.linters
def test_failed_test_fails_pipeline_with_reports(project: Project) -> None:
    """A failed test fails the pipeline, and its reports are stored."""
    result = project.run({"local": "templates/autonoma.yml"}, {"wait": True, "test-ids": "sandbox-fails"})
    assert result.returncode != 0
    assert "0 of 1 run passed, 1 failed." in result.stdout
    assert not (project.folder / "later.txt").exists()
    assert "<failure" in (project.folder / "autonoma-results" / "junit.xml").read_text("utf-8")
