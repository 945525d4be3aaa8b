"""Values of variables that `wait` and `report` read again."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from tests.architecture.package import ROOT
from tests.support import faults
from tests.support.fault_server import Connection, FaultServer
from tests.support.github_job import POLL_POLICY
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]
RESULTS_PATH = "results/results.json"
# A job of GitHub Actions.
JOB = {
    "AUTONOMA_CI": "github",
    "GITHUB_RUN_ID": "17",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_JOB": "e2e",
    "GITHUB_SHA": "c" * 40,
}
# The application under test shows all of them.
PASSWORD, LOGIN, THEME = "hunter2-Zq9", "jane.Zq8@example.com", "Zq7 dark & blue"
OTHER_GROUP_VALUE = "Zq6-of-another-group"
VALUES = (PASSWORD, LOGIN, THEME, OTHER_GROUP_VALUE)
ALL_VARIABLES = f"PASSWORD={PASSWORD}\nLOGIN={LOGIN}\nTHEME={THEME}\nOTHER={OTHER_GROUP_VALUE}"
# The values come from an environment variable, the defaults, a matrix, and an entry that was not selected.
MANIFEST = f"""\
defaults: {{ variables: {{ LOGIN: "{LOGIN}" }} }}
tests:
  - id: a
    groups: [smoke]
    variables: {{ PASSWORD: "${{WORD_OF_JANE}}" }}
    matrix: {{ THEME: ["{THEME}"] }}
  - id: b
    groups: [nightly]
    variables: {{ OTHER: "{OTHER_GROUP_VALUE}" }}
"""
# The environment and arguments of `run` and of the later step.
SOURCES = {
    "environment": ({"AUTONOMA_VARIABLES": ALL_VARIABLES}, []),
    "input": ({"INPUT_VARIABLES": ALL_VARIABLES}, []),
    "flag": ({}, ["--variables", ALL_VARIABLES]),
    "several flags": ({}, [argument for line in ALL_VARIABLES.splitlines() for argument in ("--var", line)]),
    "default manifest": ({"WORD_OF_JANE": PASSWORD, "AUTONOMA_GROUPS": "smoke"}, []),
    "manifest": ({"WORD_OF_JANE": PASSWORD, "AUTONOMA_GROUPS": "smoke", "AUTONOMA_MANIFEST": "other.yml"}, []),
    "manifest flag": ({"WORD_OF_JANE": PASSWORD, "INPUT_GROUPS": "smoke"}, ["--manifest", "other.yml"]),
}


def respond_with_values(connection: Connection) -> bool:
    """Start each run, and repeat the values in all texts about it.

    The first responses have an unknown status.
    """
    all_values = " / ".join(VALUES)
    if connection.request.method == "POST":
        return faults.send_started_run(connection)
    if "steps=" in connection.request.path:
        step = {
            "instruction": f"Type {all_values}",
            "output": f"Seen {all_values}",
            "status": "failed",
            "url": f"https://a.test/{all_values}",
        }
        return faults.send_response(200, json.dumps({"name": f"Title {all_values}", "steps": [step]}))(connection)
    status = "failed" if connection.request.connection_number > 2 else f"typing {all_values}"
    return faults.close_after(faults.send_response(200, json.dumps({"status": status})))(connection)


@pytest.fixture
def url() -> Iterator[str]:
    with FaultServer(respond_with_values) as server:
        yield server.url


class JobSteps:
    """Steps of one job at a terminal, with one environment."""

    def __init__(self, folder: Path, url: str, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._environ = {"AUTONOMA_CI": "cli", "AUTONOMA_API_URL": url, "AUTONOMA_RESULTS_DIR": "results"}
        self._environ |= {**CREDENTIALS, **environ}

    def start(self, *argv: str, ids: str = "a", **more: str) -> None:
        """Start the run of the test a without waiting."""
        result = invoke(self.folder, "run", *argv, environ={"AUTONOMA_TEST_IDS": ids, **self._environ, **more})
        assert result.code == 0, result.output

    def __call__(self, *argv: str, **more: str) -> CommandResult:
        """Run a command."""
        out, err = io.StringIO(), io.StringIO()
        code = cli.run_command(
            argv, Runtime({**self._environ, **more}, out, err, str(self.folder), poll_policy=POLL_POLICY)
        )
        return CommandResult(code, out.getvalue(), err.getvalue())

    def run_process(self, *argv: str, **more: str) -> CommandResult:
        """Run a command in another process."""
        completed = subprocess.run(
            [*COMMAND, *argv],
            env={"PYTHONPATH": str(ROOT), **self._environ, "AUTONOMA_POLL_INTERVAL": "1s", **more},
            cwd=self.folder,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=60,
        )
        return CommandResult(completed.returncode, completed.stdout, completed.stderr)

    def edit_results(self, **changes: Any) -> None:
        """Change fields of the first run in results.json."""
        path = self.folder / RESULTS_PATH
        document = json.loads(path.read_text("utf-8"))
        document["runs"][0].update(changes)
        path.write_text(json.dumps(document), "utf-8")

    def collect_output(self, result: CommandResult) -> str:
        """Return the output and all written files, without escapes."""
        file_texts = [path.read_text("utf-8") for path in (self.folder / "results").rglob("*") if path.is_file()]
        return "\n".join([result.output, *file_texts]).replace("\\", "").replace("&amp;", "&")


def add_manifest(folder: Path, source: str) -> None:
    """Write the manifest with the name that this source of values needs."""
    if "manifest" in source:
        (folder / ("autonoma.yml" if source == "default manifest" else "other.yml")).write_text(MANIFEST, "utf-8")


# `wait`


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_wait_hides_values(source: str, tmp_path: Path, url: str) -> None:
    """No value is in the log or in a file, in any response of the API."""
    environ, argv = SOURCES[source]
    add_manifest(tmp_path, source)
    step = JobSteps(tmp_path, url, environ)
    step.start(*argv, ids="" if "manifest" in source else "a")
    result = step("wait", RESULTS_PATH, *argv, AUTONOMA_EVIDENCE="failed")
    output = step.collect_output(result)
    assert (result.code, "Type ***" in output, "unknown here" in output) == (1, True, False), result.output
    assert [value for value in VALUES if value in output] == []
    assert {path.name for path in (tmp_path / "results").iterdir()} >= {"report.html", "junit.xml", "summary.md"}


@pytest.mark.slow
def test_wait_process_hides_values(tmp_path: Path, url: str) -> None:
    """Another process has only results.json, manifest and environment of the first step."""
    add_manifest(tmp_path, "default manifest")
    step = JobSteps(tmp_path, url, {"WORD_OF_JANE": PASSWORD, "AUTONOMA_GROUPS": "smoke"})
    step.start(ids="")
    result = step.run_process("wait", RESULTS_PATH)
    output = step.collect_output(result)
    assert (result.code, "Type ***" in output, result.err) == (1, True, "")
    assert [value for value in VALUES if value in output] == []


def test_wait_warns_of_unknown_values(tmp_path: Path, url: str) -> None:
    """One notice names the variables, because step texts may show their values."""
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES=ALL_VARIABLES)
    result = step("wait", RESULTS_PATH)
    assert result.out.count("unknown here") == 1
    assert (
        "Notice: The values of PASSWORD, LOGIN, THEME and OTHER are unknown here and may appear in texts of test steps."
        " Set variables and manifest as in the step that started the runs.\n" in result.out
    )


def test_notice_names_five_variables(tmp_path: Path, url: str) -> None:
    """The others are counted, and a name in results.json is no command of the log."""
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES="A=1", **JOB)
    step.edit_results(variables=["::error::A\n::error::B", *"CDEFG"], variable_macs={})
    result = step("wait", RESULTS_PATH, "--var", "E=2", **JOB)
    assert "::notice::The values of ::error::A ::error::B, C, D, F and G are unknown" in result.out
    assert not re.search(r"^\s*::error::[AB]", result.out, re.MULTILINE)
    step.edit_results(variables=[*"ABCDEFGH"])
    assert "values of A, B, C, D, F and 2 more variables are" in step("wait", RESULTS_PATH, "--var", "E=2").out
    step.edit_results(variables=[*"ABCDEF"])
    assert "values of A, B, C, D, E and 1 more variable are" in step("wait", RESULTS_PATH).out
    step.edit_results(variables=["A"])
    assert "The value of A is unknown" in step("wait", RESULTS_PATH).out


def test_wait_reads_incomplete_manifest(tmp_path: Path, url: str) -> None:
    """A missing environment variable leaves one value unknown and is no error."""
    add_manifest(tmp_path, "default manifest")
    step = JobSteps(tmp_path, url, {})
    step.start(ids="", WORD_OF_JANE=PASSWORD, AUTONOMA_GROUPS="smoke")
    result = step("wait", RESULTS_PATH)
    assert (result.code, result.err) == (1, "")
    assert "The value of PASSWORD is unknown here" in result.out
    assert [value for value in VALUES if value in step.collect_output(result)] == [PASSWORD]


@pytest.mark.slow
@pytest.mark.parametrize("content", ["tests: [", "tests: 3", "- a", "", "\0", None], ids=repr)
def test_wait_needs_no_manifest(content: str | None, tmp_path: Path, url: str) -> None:
    """Without a readable manifest, the runs end and the values are unknown."""
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES=ALL_VARIABLES)
    if content is not None:
        (tmp_path / "other.yml").write_text(content, "utf-8")
    result = step("wait", RESULTS_PATH, "--manifest", "other.yml", "--var", f"PASSWORD={PASSWORD}")
    assert (result.code, result.err) == (1, "")
    assert "The values of LOGIN, THEME and OTHER are unknown here" in result.out
    assert PASSWORD not in step.collect_output(result)


def test_value_of_other_entry_is_unknown(tmp_path: Path, url: str) -> None:
    """The value of a run is known only from its own entry of the manifest."""
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES="LOGIN=1\nTHEME=2\nPASSWORD=3")
    text = (
        "defaults: {variables: {THEME: blue, PASSWORD: x1}}\n"
        "tests: [{id: b, variables: {LOGIN: y}}, {id: a, variables: {PASSWORD: '${MISSING_HERE}'}}]"
    )
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    # Without signatures, names count.
    step.edit_results(variable_macs={})
    assert "The values of LOGIN and PASSWORD are unknown here" in step("wait", RESULTS_PATH).out


def test_privileged_wait_ignores_default_manifest(tmp_path: Path, url: str) -> None:
    """The checkout can be untrusted there, so only a named manifest is read."""
    step = JobSteps(tmp_path, url, {**JOB, "GITHUB_EVENT_NAME": "pull_request_target"})
    step.start(AUTONOMA_VARIABLES=f"LOGIN={LOGIN}")
    (tmp_path / "autonoma.yml").write_text(MANIFEST, "utf-8")
    assert "The value of LOGIN is unknown here" in step("wait", RESULTS_PATH).out
    result = step("wait", RESULTS_PATH, "--manifest", "autonoma.yml")
    assert "unknown here" not in result.output
    assert LOGIN not in result.out


def test_no_variables_give_no_notice(tmp_path: Path, url: str) -> None:
    """A results.json without variables needs no values."""
    step = JobSteps(tmp_path, url, {})
    step.start()
    assert "unknown here" not in step("wait", RESULTS_PATH).output


def test_wait_refuses_invalid_variables(tmp_path: Path, url: str) -> None:
    """As in `run`, nothing is sent, and results.json stays unchanged."""
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES=ALL_VARIABLES)
    before = (tmp_path / RESULTS_PATH).read_bytes()
    result = step("wait", RESULTS_PATH, AUTONOMA_VARIABLES=f"PASSWORD {PASSWORD}")
    assert (result.code, "AUTONOMA_VARIABLES: line 1: expected NAME=value" in result.err) == (2, True)
    assert PASSWORD not in result.output
    assert (tmp_path / RESULTS_PATH).read_bytes() == before


def test_wait_shows_ids_with_values(tmp_path: Path, url: str) -> None:
    """A value such as `run` occurs there by chance, and a run without id would be lost."""
    step = JobSteps(tmp_path, url, {"AUTONOMA_VARIABLES": "WORD=run\nOTHER=of-a\nLOCALE=en"})
    step.start(ids="Checkout en=a")
    step.edit_results(url="https://autonoma.app/run/run-of-a?locale=en")
    result = step("wait", RESULTS_PATH)
    assert result.code == 1
    [run] = json.loads((tmp_path / RESULTS_PATH).read_text("utf-8"))["runs"]
    assert (run["run_id"], run["url"], run["label"]) == (
        "run-of-a",
        "https://autonoma.app/run/run-of-a",
        "Checkout en",
    )


def test_wait_hides_values_in_results(tmp_path: Path, url: str) -> None:
    """An earlier step without the values may have written results.json."""
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES=ALL_VARIABLES)
    step("wait", RESULTS_PATH)
    assert PASSWORD in (tmp_path / RESULTS_PATH).read_text("utf-8")
    result = step("wait", RESULTS_PATH, AUTONOMA_VARIABLES=ALL_VARIABLES)
    assert (result.code, [value for value in VALUES if value in step.collect_output(result)]) == (1, [])


def test_wait_hides_credential_as_title(tmp_path: Path, url: str) -> None:
    """The results.json is untrusted, and each file shows its title and source."""
    secret = CREDENTIALS["AUTONOMA_CLIENT_SECRET"]
    step = JobSteps(tmp_path, url, {})
    step.start()
    path = tmp_path / RESULTS_PATH
    document = json.loads(path.read_text("utf-8")) | {"title": f"Tests {secret}", "source": secret}
    path.write_text(json.dumps(document), "utf-8")
    assert secret not in step.collect_output(step("wait", RESULTS_PATH))


# `report`


@pytest.fixture
def step(tmp_path: Path, url: str) -> JobSteps:
    """Return a job whose results.json shows the values in all its texts.

    Its second step did not know the variables.
    """
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES=ALL_VARIABLES)
    result = step("wait", RESULTS_PATH)
    output = step.collect_output(result)
    assert [value for value in VALUES if value not in output] == []
    for name in ("report.html", "junit.xml", "summary.md"):
        (tmp_path / "results" / name).unlink()
    return step


def render_reports(step: JobSteps, *argv: str, **environ: str) -> str:
    """Return all reports of results.json and the output."""
    outputs = []
    for name in ("html", "junit", "markdown"):
        for more in ([], ["--output", "-"]):
            result = invoke(step.folder, "report", RESULTS_PATH, "--format", name, *more, *argv, environ=environ)
            assert result.code == 0, result.err
            outputs.append(result.output)
    files = [step.folder / "results" / name for name in ("report.html", "junit.xml", "summary.md")]
    texts = [*outputs, *(path.read_text("utf-8") for path in files)]
    return "\n".join(texts).replace("\\", "").replace("&amp;", "&")


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_report_hides_values(source: str, step: JobSteps) -> None:
    """`report` reads options, manifest and environment like `wait`."""
    add_manifest(step.folder, source)
    environ, argv = SOURCES[source]
    output = render_reports(step, *argv, **environ)
    assert [value for value in VALUES if value in output] == []
    assert "Type ***" in output


def test_report_warns_of_unknown_values(tmp_path: Path, url: str) -> None:
    """The notice is no part of a printed report."""
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES=ALL_VARIABLES)
    notice = "Notice: The values of PASSWORD, LOGIN, THEME and OTHER are unknown here"
    result = invoke(tmp_path, "report", RESULTS_PATH, "--format", "junit")
    assert (result.out.startswith(notice), result.err) == (True, "")
    result = invoke(tmp_path, "report", RESULTS_PATH, "--format", "junit", "--output", "-")
    assert (result.out.startswith("<?xml"), result.err.startswith(notice)) == (True, True)
    result = invoke(tmp_path, "report", RESULTS_PATH, environ={"AUTONOMA_VARIABLES": ALL_VARIABLES})
    assert (result.out, result.err) == ("Wrote results/report.html\n", "")


SECRETS = {
    "AUTONOMA_CLIENT_ID": "Zq1-client-id",
    "INPUT_CLIENT-SECRET": "Zq2-client-secret",
    "AUTONOMA_GITHUB_TOKEN": "Zq3-github-token",
    "INPUT_GITLAB_TOKEN": "Zq4-gitlab-token",
}


def test_report_hides_credentials(tmp_path: Path, url: str) -> None:
    """A foreign results.json can hold credentials of this environment in texts, ids and links."""
    step = JobSteps(tmp_path, url, {})
    step.start()
    all_values = " ".join(SECRETS.values())
    step.edit_results(
        state="failed", message=all_values, suggestion=all_values, title=all_values, label=all_values,
        run_id="Zq1-client-id", url=f"https://a.test/{SECRETS['INPUT_CLIENT-SECRET']}",
        step={"number": 1, "instruction": all_values,
              "output": all_values, "url": f"https://a.test/{all_values}", "status": all_values},
    )  # fmt: skip
    path = tmp_path / RESULTS_PATH
    document = json.loads(path.read_text("utf-8"))
    document |= dict.fromkeys(("title", "job", "part", "source"), all_values) | {"conclusion": "failed"}
    document["ci"] |= dict.fromkeys(("sha", "branch", "change", "repository", "build"), all_values)
    path.write_text(json.dumps(document), "utf-8")
    output = render_reports(step, **SECRETS)
    assert [secret for secret in SECRETS.values() if secret in output] == []
    assert "***" in output


def test_report_uses_facts_of_results(tmp_path: Path, url: str) -> None:
    """On another machine, `${ci.branch}` is the branch of the step that started the runs."""
    text = "tests: [{id: a, variables: {PASSWORD: 'hunter2-${ci.branch}'}}]"
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    build = {"AUTONOMA_CI": "github", "GITHUB_REF": "refs/heads/Zq9", "GITHUB_REF_NAME": "Zq9"}
    step = JobSteps(tmp_path, url, {})
    step.start(ids="", **build)
    step.edit_results(state="failed", message=f"Typed {PASSWORD}")
    output = render_reports(step)
    assert (PASSWORD in output, "Typed ***" in output, "unknown here" in output) == (False, True, False)


@pytest.mark.parametrize("command", ["wait", "report"])
def test_results_error_quotes_no_secret(command: str, tmp_path: Path, url: str) -> None:
    """Errors name the position in results.json, because its names are untrusted."""
    step = JobSteps(tmp_path, url, {})
    step.start(AUTONOMA_VARIABLES=ALL_VARIABLES)
    path = tmp_path / RESULTS_PATH
    document = json.loads(path.read_text("utf-8"))
    for change in ({"tool": {PASSWORD: 1}}, {"totals": {f"{'x' * 90}{CREDENTIALS['AUTONOMA_CLIENT_SECRET']}": ""}}):
        path.write_text(json.dumps(document | change), "utf-8")
        result = step(command, RESULTS_PATH, AUTONOMA_VARIABLES=ALL_VARIABLES)
        assert (result.code, ": invalid file (" in result.err) == (2, True)
        assert not re.search("hunter2|client-s", result.output)
    document["runs"][0]["key"] = f"test/a//{PASSWORD}/"
    path.write_text(json.dumps(document), "utf-8")
    assert "runs.0.key: not a run key" in step(command, RESULTS_PATH).err


@pytest.mark.parametrize("command", ["run", "wait"])
def test_comment_token_is_removed(command: str, tmp_path: Path, url: str) -> None:
    """A variable can hold the token, too, and `wait` does not know that value."""
    step = JobSteps(
        tmp_path, url, {"AUTONOMA_GITHUB_TOKEN": PASSWORD, "AUTONOMA_WAIT": "true", "AUTONOMA_TEST_IDS": "a"}
    )
    if command == "wait":
        step.start(AUTONOMA_WAIT="false")
    result = step(command, *([RESULTS_PATH] if command == "wait" else []))
    assert result.code == 1
    assert PASSWORD not in step.collect_output(result)


@pytest.mark.parametrize("is_shared", [True, False], ids=["few values", "very many values"])
def test_run_hides_values_of_other_runs(
    is_shared: bool, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test can show text that another test typed."""
    monkeypatch.setattr("autonoma_ci.app.job_step.MAX_SHARED_VALUES", 2 if is_shared else 1)
    text = f"tests: [{{id: a, variables: {{A: '{PASSWORD}'}}}}, {{id: b, variables: {{B: '{LOGIN}'}}}}]"
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    step = JobSteps(tmp_path, url, {"AUTONOMA_WAIT": "true"})
    assert step("run").code == 1
    texts = [json.dumps(run) for run in json.loads((tmp_path / RESULTS_PATH).read_text("utf-8"))["runs"]]
    assert [PASSWORD in texts[0], LOGIN in texts[1]] == [False, False]
    assert [LOGIN in texts[0], PASSWORD in texts[1]] == [not is_shared, not is_shared]


# Parts of values


@pytest.mark.slow
@pytest.mark.parametrize("exceeds_limit", [False, True], ids=["few values", "very many values"])
@pytest.mark.parametrize(
    "text",
    [
        "tests: [{id: a, variables: {LOGIN: 'joe:${WORD}'}}]",
        "tests: [{id: a, matrix: {LOGIN: ['joe:${WORD}']}}]",
        "defaults: {variables: {LOGIN: '${WORD:-none}@example.com'}}\ntests: [a]",
        "tests: [{id: a, name: 'Signs in as ${WORD}'}]",
        "tests: [{id: a, groups: ['of-${WORD}']}]",
    ],
)
@pytest.mark.parametrize("command", ["run", "wait", "report"])
def test_value_part_is_hidden(
    command: str, text: str, exceeds_limit: bool, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of the environment is hidden, also within a longer value of the manifest."""
    monkeypatch.setattr("autonoma_ci.app.job_step.MAX_SHARED_VALUES", 0 if exceeds_limit else 2000)
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    step = JobSteps(tmp_path, url, {"WORD": PASSWORD})
    if command == "run":
        result = step("run", AUTONOMA_WAIT="true")
    else:
        step.start(ids="")
        step.edit_results(state="failed", reason="failed", message=f"Typed {PASSWORD}")
        result = step(command, RESULTS_PATH)
    assert (result.code, "unknown here" in result.output) == (int(command != "report"), False), result.output
    output = step.collect_output(result) if command != "report" else render_reports(step, WORD=PASSWORD)
    assert "***" in output
    assert PASSWORD not in output


def test_parts_in_many_runs_are_hidden(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit, the texts of a run lose only the parts in its own values."""
    monkeypatch.setattr("autonoma_ci.app.job_step.MAX_SHARED_VALUES", 0)
    monkeypatch.setattr("autonoma_ci.api.client._MAX_UNFILTERED_TEXTS", 1)
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, variables: {A: 'x${ONE}', B: 'x${TWO}'}}]", "utf-8")
    step = JobSteps(tmp_path, url, {"AUTONOMA_WAIT": "true", "ONE": PASSWORD, "TWO": LOGIN})
    output = step.collect_output(step("run"))
    assert [value for value in (PASSWORD, LOGIN) if value in output] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "wait", "report"])
@pytest.mark.parametrize("exceeds_limit", [False, True], ids=["few values", "very many values"])
def test_build_fact_is_shown(
    command: str, exceeds_limit: bool, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that equals the branch is no secret, because ordinary sentences hold it."""
    monkeypatch.setattr("autonoma_ci.app.job_step.MAX_SHARED_VALUES", 0 if exceeds_limit else 2000)
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, variables: {B: '${ci.branch}', C: '${WORD}'}}]", "utf-8")
    branch = {**JOB, "GITHUB_REF": "refs/heads/Seen", "GITHUB_REF_NAME": "Seen", "WORD": PASSWORD}
    step = JobSteps(tmp_path, url, branch)
    if command != "run":
        step.start(ids="")
    result = step("run", AUTONOMA_WAIT="true") if command == "run" else step("wait", RESULTS_PATH)
    output = step.collect_output(result) if command != "report" else render_reports(step, WORD=PASSWORD)
    assert "Seen ***" in output
    assert "unknown here" not in output


@pytest.mark.slow
@pytest.mark.parametrize("value", ["${WORD:-none}", "joe:${WORD:-none}", "${WORD:-}"])
@pytest.mark.parametrize("later_environ", [{}, {"WORD": ""}], ids=["unset", "empty"])
@pytest.mark.parametrize("command", ["wait", "report"])
def test_default_is_not_known_value(
    command: str, later_environ: dict[str, str], value: str, tmp_path: Path, url: str
) -> None:
    """The default is hidden, too, but the step that started the runs had another value."""
    (tmp_path / "autonoma.yml").write_text(f"tests: [{{id: a, variables: {{LOGIN: '{value}'}}}}]", "utf-8")
    step = JobSteps(tmp_path, url, {})
    step.start(ids="", WORD=LOGIN)
    if command == "report":
        step.edit_results(state="failed", message="Typed none")
    result = step(command, RESULTS_PATH, **later_environ)
    assert "The value of LOGIN is unknown here" in result.out
    if command == "report" and value == "${WORD:-none}":
        assert "Typed none" not in render_reports(step, **later_environ)


def test_unknown_id_matches_any_entry(tmp_path: Path, url: str) -> None:
    """Such an entry can be that of the run, so the value of the defaults is not known."""
    text = "defaults: {variables: {LOGIN: x}}\ntests: [{id: '${TEST:-b}', variables: {LOGIN: '${WORD}'}}]"
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    step = JobSteps(tmp_path, url, {})
    step.start(ids="", TEST="a", WORD=LOGIN)
    assert "The value of LOGIN is unknown here" in step("wait", RESULTS_PATH).out


def test_url_readiness_hides_parts(tmp_path: Path) -> None:
    """The log shows the response of `wait-for-url` before anything is started."""
    text = "tests: [{id: a, variables: {LOGIN: 'joe:${WORD}', BRANCH: '${ci.branch}'}}]"
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    redirect = faults.send_response(302, "", f"Location: ftp://a.test/main/{PASSWORD}")
    with FaultServer(redirect) as server:
        more = {"AUTONOMA_WAIT_FOR_URL": server.url, "AUTONOMA_WAIT_FOR_URL_TIMEOUT": "1s"}
        branch = {**JOB, "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}
        step = JobSteps(tmp_path, server.url, {**branch, **more, "WORD": PASSWORD})
        result = step("run")
    output = step.collect_output(result)
    assert "a.test/main/***" in output, output
    assert PASSWORD not in output
