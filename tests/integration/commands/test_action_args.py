"""The input `args` of the GitHub action."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.integration.commands.test_report import write_results
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from pathlib import Path

SYSTEMS = {"github": "GITHUB_ACTIONS", "gitea": "GITEA_ACTIONS", "forgejo": "FORGEJO_ACTIONS"}
for_each_system = pytest.mark.parametrize("system", SYSTEMS)


def run_action(folder: Path, args: str, *argv: str, system: str = "github", **more: str) -> CommandResult:
    """Run the action with this input, as its runner does."""
    return invoke(folder, *argv, environ={SYSTEMS[system]: "true", "INPUT_ARGS": args, **more})


@for_each_system
def test_args_select_command(system: str, tmp_path: Path) -> None:
    """The first word of `args` is the command."""
    write_results(tmp_path / "my results")
    result = run_action(tmp_path, "report 'my results' --format junit", system=system)
    assert (result.code, result.output) == (0, "Wrote my results/junit.xml\n")


@pytest.mark.slow
def test_args_wait_uses_other_inputs(tmp_path: Path) -> None:
    """Credentials and `api-url` come from the other inputs of the action."""
    with Sandbox() as sandbox:
        environ = {**CREDENTIALS, "INPUT_API-URL": sandbox.url}
        first = run_action(tmp_path, "", **environ, **{"INPUT_TEST-IDS": "sandbox-one", "INPUT_RESULTS-DIR": "r"})
        assert first.code == 0, first.output
        result = run_action(tmp_path, "wait r", **environ)
        assert sandbox.count_starts("sandbox-one") == 1
    assert result.code == 0, result.output
    assert "1 of 1 run passed" in result.out


def test_args_lose_to_command_line(tmp_path: Path) -> None:
    """A runner that splits `args` itself passes both, and the command runs once."""
    result = run_action(tmp_path, "init --all --output other.yml", "--version")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("autonoma-ci ")
    assert list(tmp_path.iterdir()) == []


def test_args_without_command_mean_run(tmp_path: Path) -> None:
    """Options alone are options of `run`."""
    result = run_action(tmp_path, "--dry-run --test-ids sandbox-one")
    assert result.code == 0, result.output
    assert "sandbox-one" in result.out


@pytest.mark.parametrize("environ", [{}, {"GITLAB_CI": "true"}, {"JENKINS_URL": "http://x"}, {"CI": "true"}])
def test_args_outside_actions_are_ignored(environ: dict[str, str], tmp_path: Path) -> None:
    """On other CI systems, `INPUT_ARGS` belongs to another program."""
    result = invoke(tmp_path, environ={**environ, "INPUT_ARGS": "--version", **CREDENTIALS})
    assert result.code == 2
    assert "Nothing to run" in result.err


@pytest.mark.parametrize("text", ["wait 'results", 'wait "results', "wait results\\"])
def test_args_with_open_quote_are_refused(text: str, tmp_path: Path) -> None:
    """The error quotes nothing of the text."""
    result = run_action(tmp_path, f"--client-secret=hunter2-sentinel {text}")
    assert (result.code, result.out) == (2, "")
    assert result.errors == [
        "args: missing closing quote, or a backslash at the end. Quote a word as 'a b', or write \\' for a quote."
    ]


def test_args_with_program_name_are_refused(tmp_path: Path) -> None:
    """The error asks to remove `autonoma-ci` at the beginning."""
    result = run_action(tmp_path, "autonoma-ci wait results --client-secret=hunter2-sentinel")
    error = "args: remove autonoma-ci at the beginning. Begin with a command, such as wait RESULTS."
    assert (result.code, result.out, result.errors) == (2, "", [error])


def test_args_over_limit_are_refused(tmp_path: Path) -> None:
    """Splitting one word of a megabyte takes 20 s."""
    result = run_action(tmp_path, "wait " + "x" * 1_000_000)
    assert (result.code, result.errors) == (
        2,
        ["args: longer than 100,000 characters. Put long values into a manifest."],
    )


@pytest.mark.parametrize(
    "text",
    [
        "run --client-secret=hunter2-sentinel --client-id=id-of-the-test --test-ids a/hunter2-sentinel",
        "--client-secret hunter2-sentinel\n--test-ids\nhunter2-sentinel/..",
        "hunter2-sentinel",
        "run hunter2-sentinel",
        "wait hunter2-sentinel --client-secret=hunter2-sentinel",
        "list --client-secret=hunter2-sentinel --client-id=",
    ],
)
def test_args_error_hides_credentials(text: str, tmp_path: Path) -> None:
    """No error repeats a credential that `args` holds."""
    result = run_action(tmp_path, text)
    assert result.code == 2
    visible_lines = [line for line in result.output.splitlines() if not line.startswith("::add-mask::")]
    assert "hunter2-sentinel" not in "\n".join(visible_lines)


@for_each_system
@pytest.mark.parametrize("args", ["wiat results", "wait 'results", "wait results/none.json", "list --x"])
def test_args_errors_become_annotations(args: str, system: str, tmp_path: Path) -> None:
    """Each line on standard error is an error command of the runner."""
    result = run_action(tmp_path, args, system=system)
    assert result.code == 2
    assert result.errors
    assert all(line.startswith("::error::") for line in result.err.splitlines()), result.err


@pytest.mark.parametrize("text", ["sh -c 'touch made'", "bash -c 'touch made'", "run; touch made", "$(touch made)"])
def test_args_run_no_shell(text: str, tmp_path: Path) -> None:
    """A shell command in `args` has no effect."""
    assert run_action(tmp_path, text).code == 2
    assert not (tmp_path / "made").exists()
