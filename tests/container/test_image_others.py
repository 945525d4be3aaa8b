"""The image as GitLab and Jenkins run it: through a shell, and as a user that the image does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from autonoma_ci.sandbox import Sandbox
    from tests.container.image import Image, Job

pytestmark = pytest.mark.image
# GitLab's runner looks for a shell with the command that it gives the image, and sends the job as its input.
_DETECT = """
for shell in /usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh; do
  if [ -x "$shell" ]; then exec "$shell"; fi
done
echo shell not found; exit 1
"""


def test_gitlab_finds_a_shell_and_runs_the_script_it_sends(image: Image, job: Job) -> None:
    script = "set -eo pipefail\ntype -P autonoma-ci\npwd\nexit 5\n"
    result = image.run(job.as_gitlab(), "sh", "-c", _DETECT, stdin=script)
    assert result.stdout.splitlines() == ["/usr/local/bin/autonoma-ci", "/builds/octo/shop"], result.stderr
    assert result.returncode == 5


def test_a_login_shell_finds_the_command_too(image: Image, job: Job) -> None:
    """/etc/profile sets PATH anew, so a folder of our own on it would be lost."""
    result = image.run(job.as_gitlab(), "bash", "--login", "-c", "type -P autonoma-ci")
    assert result.stdout == "/usr/local/bin/autonoma-ci\n", result.stderr


def test_gitlab_starts_tests_from_a_script(image: Image, job: Job, sandbox: Sandbox, account: dict[str, str]) -> None:
    options = job.as_gitlab(**account, test_ids="sandbox-one", results_dir="out")
    result = image.run(options, "sh", "-c", "autonoma-ci run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [request.source for request in sandbox.received] == ["gitlab"]
    assert "AUTONOMA_CONCLUSION=" in (job.workspace / "out" / "outputs.env").read_text()


def test_jenkins_holds_the_container_open_with_cat(image: Image, job: Job) -> None:
    result = image.run(job.as_jenkins(), "cat", stdin="held open\n")
    assert (result.stdout, result.returncode) == ("held open\n", 0), result.stderr


def test_a_step_of_an_unknown_user_without_a_home_starts_tests(
    image: Image, job: Job, sandbox: Sandbox, account: dict[str, str]
) -> None:
    options = job.as_jenkins(**account, test_ids="sandbox-one", results_dir="out")
    result = image.run(options, "sh", "-c", "unset HOME; autonoma-ci run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [request.source for request in sandbox.received] == ["jenkins"]
    assert (job.workspace / "out" / "results.json").stat().st_uid == job.workspace.stat().st_uid


@pytest.mark.parametrize(
    "command",
    [("sleep", "0"), ("tail", "-n", "1", "/dev/null"), ("env",), ("/usr/bin/env",), ("bash", "-c", "sleep 0")],
    ids=lambda command: command[0],
)
def test_programs_of_the_image_start(command: tuple[str, ...], image: Image, job: Job) -> None:
    result = image.run(job.as_gitlab(), *command)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("CI_PROJECT_DIR=/builds/octo/shop" in result.stdout) is command[0].endswith("env")


def test_azure_starts_its_own_node(image: Image, job: Job) -> None:
    """The agent mounts its folder, and starts the container by node or bash.

    Source: microsoft/azure-pipelines-agent, src/Agent.Worker/ContainerOperationProvider.cs.
    """
    node = job.folder / "agent" / "externals" / "node20_1" / "bin" / "node"
    node.parent.mkdir(parents=True)
    node.write_text('#!/bin/sh\necho "node $1 $2"\n')
    node.chmod(0o755)
    mounted, script = "/__a/externals/node20_1/bin/node", "setInterval(function(){}, 24 * 60 * 60 * 1000);"
    options = ["-v", f"{job.folder / 'agent'}:/__a:ro"]
    for command in ((mounted, "-e", script), ("bash", "-c", f"'{mounted}' -e '{script}'")):
        result = image.run(options, *command)
        assert (result.stdout, result.returncode) == (f"node -e {script}\n", 0), result.stderr


@pytest.mark.parametrize("arguments", ["test x", "true", "/bin/true"])
def test_script_is_not_green_without_a_run(arguments: str, image: Image, job: Job) -> None:
    result = image.run(job.as_gitlab(), "sh", "-c", f"autonoma-ci {arguments}")
    assert result.returncode == 2, result.stdout + result.stderr


@pytest.mark.parametrize("command", ["rnu", "test"])
def test_an_unknown_command_is_bad_input(command: str, image: Image, job: Job) -> None:
    result = image.run(job.as_gitlab(), command, "sandbox-one")
    assert result.returncode == 2, result.stdout + result.stderr
