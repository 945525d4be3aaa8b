"""The image as GitLab, Jenkins and Azure Pipelines run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from autonoma_ci.sandbox import Sandbox
    from tests.system.container.image import Image, JobFolders

pytestmark = pytest.mark.image
# GitLab's runner starts the image with this script, which finds a shell. The shell reads the job's script from stdin.
_FIND_SHELL_SCRIPT = """
for shell in /usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh; do
  if [ -x "$shell" ]; then exec "$shell"; fi
done
echo shell not found; exit 1
"""


def test_gitlab_runs_script_in_shell(image: Image, folders: JobFolders) -> None:
    """GitLab finds a shell and sends the script to its stdin."""
    script = "set -eo pipefail\ntype -P autonoma-ci\npwd\nexit 5\n"
    result = image.run(folders.gitlab_options(), "sh", "-c", _FIND_SHELL_SCRIPT, stdin=script)
    assert result.stdout.splitlines() == ["/usr/local/bin/autonoma-ci", "/builds/octo/shop"], result.stderr
    assert result.returncode == 5


def test_login_shell_finds_command(image: Image, folders: JobFolders) -> None:
    """A login shell finds the command, although /etc/profile sets PATH again."""
    result = image.run(folders.gitlab_options(), "bash", "--login", "-c", "type -P autonoma-ci")
    assert result.stdout == "/usr/local/bin/autonoma-ci\n", result.stderr


def test_gitlab_script_starts_tests(
    image: Image, folders: JobFolders, sandbox: Sandbox, credentials: dict[str, str]
) -> None:
    """A GitLab job starts a test with its own source, and writes outputs.env."""
    options = folders.gitlab_options(**credentials, test_ids="sandbox-one", results_dir="out")
    result = image.run(options, "sh", "-c", "autonoma-ci run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [request.source for request in sandbox.received] == ["gitlab"]
    assert "AUTONOMA_CONCLUSION=" in (folders.workspace / "out" / "outputs.env").read_text()


def test_jenkins_runs_cat_until_stdin_ends(image: Image, folders: JobFolders) -> None:
    """The program `cat` of Jenkins runs until its stdin ends."""
    result = image.run(folders.jenkins_options(), "cat", stdin="held open\n")
    assert (result.stdout, result.returncode) == ("held open\n", 0), result.stderr


def test_unknown_user_starts_tests(
    image: Image, folders: JobFolders, sandbox: Sandbox, credentials: dict[str, str]
) -> None:
    """A step of an unknown user without HOME starts tests and owns its files."""
    options = folders.jenkins_options(**credentials, test_ids="sandbox-one", results_dir="out")
    result = image.run(options, "sh", "-c", "unset HOME; autonoma-ci run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [request.source for request in sandbox.received] == ["jenkins"]
    assert (folders.workspace / "out" / "results.json").stat().st_uid == folders.workspace.stat().st_uid


@pytest.mark.parametrize(
    "command",
    [("sleep", "0"), ("tail", "-n", "1", "/dev/null"), ("env",), ("/usr/bin/env",), ("bash", "-c", "sleep 0")],
    ids=lambda command: command[0],
)
def test_image_programs_start(command: tuple[str, ...], image: Image, folders: JobFolders) -> None:
    """Programs that runners start in an image work, and see the variables of the job."""
    result = image.run(folders.gitlab_options(), *command)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("CI_PROJECT_DIR=/builds/octo/shop" in result.stdout) is command[0].endswith("env")


def test_azure_starts_its_own_nodejs(image: Image, folders: JobFolders) -> None:
    """The agent can mount its Node.js, and start the container with it or with bash.

    Source: microsoft/azure-pipelines-agent, src/Agent.Worker/ContainerOperationProvider.cs.
    """
    nodejs = folders.root / "agent" / "externals" / "node20_1" / "bin" / "node"
    nodejs.parent.mkdir(parents=True)
    nodejs.write_text('#!/bin/sh\necho "node $1 $2"\n')
    nodejs.chmod(0o755)
    mounted, script = "/__a/externals/node20_1/bin/node", "setInterval(function(){}, 24 * 60 * 60 * 1000);"
    options = ["-v", f"{folders.root / 'agent'}:/__a:ro"]
    for command in ((mounted, "-e", script), ("bash", "-c", f"'{mounted}' -e '{script}'")):
        result = image.run(options, *command)
        assert (result.stdout, result.returncode) == (f"node -e {script}\n", 0), result.stderr


@pytest.mark.parametrize("arguments", ["test x", "true", "/bin/true"])
def test_unknown_command_in_script_exits_2(arguments: str, image: Image, folders: JobFolders) -> None:
    """A script with an unknown command of autonoma-ci exits with code 2."""
    result = image.run(folders.gitlab_options(), "sh", "-c", f"autonoma-ci {arguments}")
    assert result.returncode == 2, result.stdout + result.stderr


@pytest.mark.parametrize("command", ["rnu", "test"])
def test_unknown_command_is_invalid_input(command: str, image: Image, folders: JobFolders) -> None:
    """An unknown command as argument of the image is invalid input."""
    result = image.run(folders.gitlab_options(), command, "sandbox-one")
    assert result.returncode == 2, result.stdout + result.stderr
