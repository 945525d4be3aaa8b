"""Simulate release.yml with real bash and git, and fake other programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.generate_docs import ROOT, render_action
from tests.system.release.workflow import JOBS, WORKFLOW, collect_needed_jobs, list_steps

FAKE_PROGRAMS = ("docker", "gh", "cosign", "ssh", "make", "python")
EXPRESSION_RE = re.compile(r"\$\{\{ (.+?) \}\}")
RELEASE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n"
# The jobs of a release in the order of the runner.
JOB_ORDER = (
    "check",
    "packages",
    "sbom-packages",
    "images",
    "index",
    "smoke",
    "sbom-image",
    "attest",
    "tag",
    "action",
    "pypi",
    "publish",
    "tag-image",
)
# Time of every commit, in the past so that it differs from the time of the build.
COMMIT_TIME = "1700000000"
_EMPTY_STATE: dict[str, Any] = {
    "manifests": {},
    "extra_manifests": [],
    "tags": {},
    "releases": {},
    "immutable": True,
    "signed": [],
    "passed": [],
    "commands_to_fail": [],
    "pypi": [],
    "pushed": [],
    "replaced_digests": {},
    "total": "1",
    "used": [],
    "called": [],
}


class StepError(Exception):
    """A step failed. The text is its output."""


class ReleaseSimulator:
    """A repository with a registry and releases, in which the jobs of release.yml run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin, self.main = folder / "origin.git", folder / "main"
        self._state, self._programs = folder / "state.json", folder / "programs"
        self.reference = "refs/heads/main"
        self._outputs: dict[tuple[str, str], dict[str, str]] = {}
        self._state.write_text(json.dumps({**_EMPTY_STATE, "origin": str(self.origin)}))
        self._programs.mkdir()
        for program in FAKE_PROGRAMS:
            wrapper = self._programs / program
            script = Path(__file__).with_name("fake_programs.py")
            wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{script}" {program} "$@"\n')
            wrapper.chmod(0o755)
        self.git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        self.git(folder, "clone", "--quiet", str(self.origin), str(self.main))
        shutil.copytree(ROOT / "release", self.main / "release")
        (self.main / "action.yml").write_text(render_action(), "utf-8")
        (self.main / "autonoma_ci").mkdir()

    def git(self, folder: Path, *arguments: str) -> str:
        command = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments]
        # The user's configuration can have hooks or sign commits.
        no_configuration = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        env = {**os.environ, **no_configuration, "GIT_COMMITTER_DATE": f"{COMMIT_TIME} +0000"}
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, version: str) -> str:
        """Commit a version to main with passed CI, and return the commit."""
        (self.main / "autonoma_ci" / "__init__.py").write_text(f'__version__ = "{version}"\n')
        self.git(self.main, "add", ".")
        self.git(self.main, "commit", "--quiet", "-m", version)
        self.git(self.main, "push", "--quiet", "origin", "HEAD:main")
        commit = self.git(self.main, "rev-parse", "HEAD")
        self.change_state(passed=[*self.state["passed"], commit])
        return commit

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._state.read_text())
        return state

    def change_state(self, **changes: Any) -> None:
        self._state.write_text(json.dumps({**self.state, **changes}))

    def list_calls(self, job: str, program: str) -> list[dict[str, Any]]:
        """Return the calls of a program from the shell of a job."""
        return [
            call
            for call in self.state["called"]
            if call["where"].startswith(f"{job} on ") and call["program"] == program
        ]

    def list_action_inputs(self, job: str, name: str) -> list[dict[str, str]]:
        """Return the inputs of each step of a job that uses this action."""
        return [use["with"] for use in self.state["used"] if (use["job"], use["action"]) == (job, name)]

    def replace_outputs(self, job: str, step: str, **outputs: str) -> None:
        """Replace outputs of a step."""
        self._outputs[job, step].update(outputs)

    def start(self) -> ReleaseSimulator:
        """Start a run of the workflow without earlier outputs and artifacts."""
        self._outputs = {}
        shutil.rmtree(self.folder / "artifacts", ignore_errors=True)
        return self

    def run(self, *jobs: str) -> None:
        """Run jobs on each row of their matrix.

        Raises:
            StepError: A step failed.
        """
        for job in jobs or JOB_ORDER:
            assert collect_needed_jobs(job) <= set(JOB_ORDER)
            matrix = JOBS[job].get("strategy", {}).get("matrix", {})
            for row in matrix.get("include") or [
                {"runner": runner} for runner in matrix.get("runner", ["ubuntu-latest"])
            ]:
                self._run_workflow_job(job, row)

    def _run_workflow_job(self, job: str, row: dict[str, str]) -> None:
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        (self.folder / "work" / "temp").mkdir(parents=True)
        workspace = self.folder / "work" / "workspace"
        workspace.mkdir()
        for step in list_steps(job):
            if "if" in step:
                # The simulator knows only this condition.
                assert step["if"] == "${{ steps.major.outputs.major != '' }}"
                if self._resolve(job, row, "${{ steps.major.outputs.major }}") == "":
                    continue
            inputs = {key: self._resolve(job, row, str(value)) for key, value in step.get("with", {}).items()}
            name = step.get("uses", "").partition("@")[0]
            if name:
                self.change_state(used=[*self.state["used"], {"job": job, "action": name, "with": inputs}])
            outputs = self._run_action(name, inputs, workspace) if name else self._run_shell(job, row, step, workspace)
            if "id" in step:
                # Each row of a matrix adds its outputs to those of the job.
                self._outputs.setdefault((job, step["id"]), {}).update(outputs)

    def _resolve(self, job: str, row: dict[str, str], text: str) -> str:
        def evaluate(expression: re.Match[str]) -> str:
            match expression[1].split("."):
                case ["needs", other, "outputs", name]:
                    return self._resolve(other, row, JOBS[other]["outputs"][name])
                case ["steps", step, "outputs", name]:
                    return self._outputs.get((job, step), {}).get(name, "")
                case ["matrix", name]:
                    return self._resolve(job, row, row[name])
                case ["github", name]:
                    return f"the-{name}"
                # Only jobs with the environment can read its secret.
                case ["secrets", "RELEASE_KEY"] if JOBS[job].get("environment") == "release":
                    return RELEASE_KEY
            raise AssertionError(expression[0])

        return EXPRESSION_RE.sub(evaluate, text)

    def _run_action(self, name: str, inputs: dict[str, str], workspace: Path) -> dict[str, str]:
        artifacts = self.folder / "artifacts"
        match name:
            case "actions/checkout":
                depth = [] if inputs.get("fetch-depth") == "0" else ["--depth", "1", "--no-tags"]
                branch = inputs.get("ref", "main").removeprefix("refs/tags/")
                self.git(
                    self.folder, "clone", "--quiet", *depth, "--branch", branch, f"file://{self.origin}", str(workspace)
                )
            case "actions/download-artifact":
                assert inputs.keys() == {"name", "path"} or inputs["merge-multiple"] == "True"
                for artifact in artifacts.glob(inputs.get("name") or inputs["pattern"]):
                    shutil.copytree(artifact, workspace / inputs["path"], dirs_exist_ok=True)
            case "actions/upload-artifact":
                shutil.copytree(
                    workspace / inputs["path"], artifacts / inputs["name"], dirs_exist_ok="overwrite" in inputs
                )
            case "anchore/sbom-action":
                (workspace / inputs["output-file"]).parent.mkdir(exist_ok=True)
                (workspace / inputs["output-file"]).write_text(inputs.get("image") or inputs["path"])
            case "actions/attest":
                bundle = (
                    self.folder
                    / "work"
                    / "temp"
                    / f"bundle-{len(inputs)}-{inputs.get('sbom-path', '').replace('/', '-')}"
                )
                bundle.write_text(json.dumps(inputs))
                return {"bundle-path": str(bundle)}
            case "pypa/gh-action-pypi-publish":
                self.change_state(
                    pypi=[*self.state["pypi"], *(path.name for path in (workspace / inputs["packages-dir"]).iterdir())]
                )
            case "./":
                return {"total": self.state["total"]}
        return {}

    def _run_shell(self, job: str, row: dict[str, str], step: dict[str, Any], workspace: Path) -> dict[str, str]:
        output_file = self.folder / "work" / "output"
        output_file.write_text("")
        environ = {
            "PATH": f"{self._programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "SIMULATOR_STATE": str(self._state),
            "SIMULATED_JOB": f"{job} on {row['runner']}",
            "GITHUB_ACTOR": "octocat",
            "GITHUB_OUTPUT": str(output_file),
            "GITHUB_REF": self.reference,
            "GITHUB_REPOSITORY": "OWNER/autonoma-ci",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": self.git(self.main, "rev-parse", "HEAD"),
            "RUNNER_TEMP": str(self.folder / "work" / "temp"),
            **{name: self._resolve(job, row, text) for name, text in step.get("env", {}).items()},
        }
        # The runner starts a named shell with pipefail, and the default shell without it.
        assert WORKFLOW["defaults"] == {"run": {"shell": "bash"}}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        working_directory = workspace / step.get("working-directory", "")
        result = subprocess.run(
            command, cwd=working_directory, env=environ, capture_output=True, text=True, check=False, timeout=60
        )
        if result.returncode:
            raise StepError(f"{job}: {step['name']}\n{result.stdout}{result.stderr}")
        return dict(line.split("=", 1) for line in output_file.read_text().splitlines())
