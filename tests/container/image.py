"""The built image as CI systems start it: through the docker command, with what each of them mounts and sets."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The first steps of GitHub's runner on a hosted machine belong to this user, and so does the workspace.
RUNNER = 1001
LAUNCHER = "/opt/autonoma-ci/bin/python"


@dataclass(frozen=True)
class Image:
    """An image and the docker command that runs it."""

    docker: tuple[str, ...]
    tag: str

    @classmethod
    def named_by_make(cls) -> Image:
        """Return the image that `make test-image` built, from DOCKER and IMAGE."""
        return cls(tuple(shlex.split(os.environ["DOCKER"])), os.environ["IMAGE"])

    def command(self, options: list[str], *arguments: str) -> list[str]:
        """Return the command line of `docker run`; loopback is shared, since that is where the sandbox listens."""
        return [*self.docker, "run", "--rm", "--network", "host", *options, self.tag, *arguments]

    def run(self, options: list[str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a container to its end, with `stdin` as its input."""
        command = self.command(["-i", *options], *arguments)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=90)

    def terminate(self, name: str) -> None:
        """Send SIGTERM to the first process of the container `name`, whose CONTAINER_NAME says so too.

        A docker command without `kill` has no engine: its containers are processes of this machine.
        """
        kill = [*self.docker, "kill", "--signal", "TERM", name]
        if subprocess.run(kill, capture_output=True, check=False).returncode:
            for process in _processes(f"CONTAINER_NAME={name}"):
                os.kill(process, signal.SIGTERM)


def _processes(variable: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                first = (folder / "cmdline").read_bytes().split(b"\0")[0]
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # it ended meanwhile, or is not ours to read
                continue
            if first == LAUNCHER.encode() and variable.encode() in variables:
                found.append(int(folder.name))
    return found


@dataclass(frozen=True)
class Job:
    """The folders of one job, and the options that a CI system gives to `docker run` for them."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self._made("workspace")

    @property
    def output(self) -> Path:
        return self._made("file_commands") / "set_output_1"

    @property
    def summary(self) -> Path:
        return self._made("file_commands") / "step_summary_1"

    def as_github(self, **inputs: str) -> list[str]:
        """Return options as GitHub's runner gives them; the names of inputs keep their hyphens."""
        self.output.touch()
        self.summary.touch()
        event = self._made("workflow") / "event.json"
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
            self._made("home"): "/github/home",
            self._made("file_commands"): "/github/file_commands",
            self._made("workflow"): "/github/workflow",
        }
        return [*_options(variables, mounts), "--workdir", "/github/workspace"]

    def as_gitlab(self, **options: str) -> list[str]:
        """Return options as GitLab's Docker executor gives them."""
        variables = {"CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": "/builds/octo/shop", **_named(options)}
        return [*_options(variables, {self.workspace: "/builds/octo/shop"}), "-w", "/builds/octo/shop"]

    def as_jenkins(self, **options: str) -> list[str]:
        """Return options as Jenkins gives them: its own user's id, which the image does not know."""
        if os.geteuid() == 0:
            os.chown(self.workspace, 1000, 1000)
        place = str(self.workspace)
        variables = {"JENKINS_URL": "https://ci.example.com/", "WORKSPACE": place, **_named(options)}
        uid = "1000:1000" if os.geteuid() == 0 else f"{os.getuid()}:{os.getgid()}"
        return ["-u", uid, *_options(variables, {self.workspace: place}), "-w", place]

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir()
            if os.geteuid() == 0:
                os.chown(folder, RUNNER, RUNNER)
        return folder


def _named(options: dict[str, str]) -> dict[str, str]:
    return {f"AUTONOMA_{name.upper()}": value for name, value in options.items()}


def _options(variables: dict[str, str], mounts: dict[Path, str]) -> list[str]:
    options = []
    for name, value in variables.items():
        options += ["-e", f"{name}={value}"]
    for source, target in mounts.items():
        options += ["-v", f"{source}:{target}"]
    return options
