"""The built image, started as CI systems start it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

# User id of GitHub's hosted runner, which owns the workspace.
RUNNER = 1001
LAUNCHER = "/opt/autonoma-ci/bin/python"


@dataclass(frozen=True)
class Image:
    """An image and the docker command that runs it."""

    docker: tuple[str, ...]
    tag: str

    @classmethod
    def from_environment(cls) -> Image:
        """Return the image that `make test-image` names in DOCKER and IMAGE."""
        return cls(tuple(shlex.split(os.environ["DOCKER"])), os.environ["IMAGE"])

    def build_command(self, options: list[str], *arguments: str) -> list[str]:
        """Return a `docker run` command with the host's network, for the sandbox."""
        return [*self.docker, "run", "--rm", "--network", "host", *options, self.tag, *arguments]

    def run(self, options: list[str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a container and wait for it."""
        command = self.build_command(["-i", *options], *arguments)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=90)

    def terminate(self, name: str) -> None:
        """Send SIGTERM to the first process of a container.

        A docker command without `kill` has no engine, so its containers are processes of this machine.
        They are found by the variable CONTAINER_NAME.
        """
        kill = [*self.docker, "kill", "--signal", "TERM", name]
        if subprocess.run(kill, capture_output=True, check=False).returncode:
            for process_id in _find_processes(f"CONTAINER_NAME={name}"):
                os.kill(process_id, signal.SIGTERM)


def _find_processes(variable: str) -> list[int]:
    process_ids = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                executable = (folder / "cmdline").read_bytes().split(b"\0")[0]
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # the process ended, or belongs to another user
                continue
            if executable == LAUNCHER.encode() and variable.encode() in variables:
                process_ids.append(int(folder.name))
    return process_ids


@dataclass(frozen=True)
class JobFolders:
    """The folders of one job and the `docker run` options of each CI system."""

    root: Path

    @property
    def workspace(self) -> Path:
        return self._create_folder("workspace")

    @property
    def output(self) -> Path:
        return self._create_folder("file_commands") / "set_output_1"

    @property
    def summary(self) -> Path:
        return self._create_folder("file_commands") / "step_summary_1"

    def github_options(self, **inputs: str) -> list[str]:
        """Return the options of GitHub's runner, with hyphens in input names."""
        self.output.touch()
        self.summary.touch()
        event = self._create_folder("workflow") / "event.json"
        event.write_text("{}")
        variables = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": "/github/workflow/event.json",
            "GITHUB_OUTPUT": "/github/file_commands/set_output_1",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REPOSITORY": "octo/shop",
            "GITHUB_RUN_ID": "1",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": "a" * 40,
            "GITHUB_STEP_SUMMARY": "/github/file_commands/step_summary_1",
            "GITHUB_WORKSPACE": "/github/workspace",
            "HOME": "/github/home",
            **{f"INPUT_{name.upper().replace('_', '-')}": value for name, value in inputs.items()},
        }
        mounts = {
            self.workspace: "/github/workspace",
            self._create_folder("home"): "/github/home",
            self._create_folder("file_commands"): "/github/file_commands",
            self._create_folder("workflow"): "/github/workflow",
        }
        return [*_docker_options(variables, mounts), "--workdir", "/github/workspace"]

    def gitlab_options(self, **options: str) -> list[str]:
        """Return the options of GitLab's Docker executor."""
        variables = {"CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": "/builds/octo/shop", **_name_options(options)}
        return [*_docker_options(variables, {self.workspace: "/builds/octo/shop"}), "-w", "/builds/octo/shop"]

    def jenkins_options(self, **options: str) -> list[str]:
        """Return the options of Jenkins, with a user id that the image lacks."""
        if os.geteuid() == 0:
            os.chown(self.workspace, 1000, 1000)
        path = str(self.workspace)
        variables = {"JENKINS_URL": "https://ci.example.com/", "WORKSPACE": path, **_name_options(options)}
        uid = "1000:1000" if os.geteuid() == 0 else f"{os.getuid()}:{os.getgid()}"
        return ["-u", uid, *_docker_options(variables, {self.workspace: path}), "-w", path]

    def _create_folder(self, name: str) -> Path:
        folder = self.root / name
        if not folder.exists():
            folder.mkdir()
            if os.geteuid() == 0:
                os.chown(folder, RUNNER, RUNNER)
        return folder


def _name_options(options: dict[str, str]) -> dict[str, str]:
    return {f"AUTONOMA_{name.upper()}": value for name, value in options.items()}


def _docker_options(variables: dict[str, str], mounts: dict[Path, str]) -> list[str]:
    options = []
    for name, value in variables.items():
        options += ["-e", f"{name}={value}"]
    for source, target in mounts.items():
        options += ["-v", f"{source}:{target}"]
    return options
