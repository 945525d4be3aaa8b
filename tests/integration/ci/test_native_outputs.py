"""Outputs of one job step in each CI system."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import example, given, settings

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.publishers.env_file import SHELL_EXPORT_FORMAT
from autonoma_ci.ci.systems import bitbucket
from autonoma_ci.reports.outputs import (
    MAX_DOTENV_BYTES,
    dotenv_variables,
    omitted_variables,
    output_variables,
    render_dotenv,
)
from tests.support import grammars
from tests.support.agent_program import write_program
from tests.support.github_job import POLL_POLICY, START_POLICY
from tests.support.hostile import REPORTS
from tests.support.reports import create_report, make_started_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.models import Report
    from autonoma_ci.sandbox import Sandbox

SHA = "c0ffee" + "0123456789" * 3 + "abcd"


def run_waiting_step(
    folder: Path, sandbox: Sandbox, environ: Mapping[str, str], ids: str = "sandbox-one"
) -> tuple[int, str]:
    """Run a step that waits for these tests; return exit code and log."""
    out = io.StringIO()
    base_environ = {
        "AUTONOMA_CLIENT_ID": "sandbox-id",
        "AUTONOMA_CLIENT_SECRET": "sandbox-secret",
        "AUTONOMA_API_URL": sandbox.url,
        "AUTONOMA_TEST_IDS": ids,
        "AUTONOMA_WAIT": "true",
        "AUTONOMA_RESULTS_DIR": "results",
    }
    job_runtime = Runtime(
        {**base_environ, **environ}, out, out, str(folder), poll_policy=POLL_POLICY, start_policy=START_POLICY
    )
    code = cli.run_command([], job_runtime)
    assert "Traceback" not in out.getvalue()
    return code, out.getvalue()


def source_in_bash(path: Path) -> dict[str, str]:
    """Return the variables of bash after it sources the file."""
    bash = shutil.which("bash")
    assert bash
    script = 'set -eu; . "$1"; for n in ${!AUTONOMA_*}; do printf "%s=%s\\0" "$n" "${!n}"; done'
    completed = subprocess.run([bash, "--norc", "-c", script, "bash", path], capture_output=True, env={}, check=True)
    assert completed.stderr == b""
    return dict(pair.decode().split("=", 1) for pair in completed.stdout.split(b"\0") if pair)


# --- variables of a shell


def test_circleci_exports_variables(tmp_path: Path, sandbox: Sandbox) -> None:
    """Later steps on CircleCI read the variables, except the results folder."""
    env = tmp_path / "bash.env"
    env.write_text("export EARLIER=1", "utf-8")
    assert run_waiting_step(tmp_path, sandbox, {"CIRCLECI": "true", "BASH_ENV": str(env)})[0] == 0
    variables = source_in_bash(env)
    assert variables["AUTONOMA_CONCLUSION"] == "passed"
    assert variables["AUTONOMA_RUN_URL"].startswith("http://127.0.0.1")
    assert "AUTONOMA_RESULTS_DIR" not in variables, "a later step of ours would take it for its option"


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(REPORTS)
@example(create_report([make_started_run("a")._replace(run_id="\0", url="\0\0")], None))
def test_shell_exports_quote_any_text(job_report: Report) -> None:
    """Bash reads each exported value back unchanged and runs none of it."""
    path = Path(tempfile.gettempdir(), f"autonoma-{os.getpid()}.sh")
    path.write_text(
        SHELL_EXPORT_FORMAT.format_lines(SHELL_EXPORT_FORMAT.select_variables(job_report)), "utf-8", errors="replace"
    )
    try:
        # A shell variable cannot contain a NUL byte.
        expected = {
            k: v.encode("utf-8", "replace").decode().replace("\0", "") for k, v in output_variables(job_report).items()
        }
        assert source_in_bash(path) == expected
    finally:
        path.unlink()


# --- files of variables


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"BITBUCKET_BUILD_NUMBER": "1", "BITBUCKET_PIPELINES_VARIABLES_PATH": "{}/v"}, "v"),
        ({"HARNESS_BUILD_ID": "1", "DRONE_OUTPUT": "{}/v"}, "v"),
        ({"BUILDER_OUTPUT": "{}"}, "output"),
    ],
    ids=["bitbucket", "harness", "cloudbuild"],
)
def test_variable_file_is_appended(environ: dict[str, str], name: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """The variables are added at the end of the CI system's file."""
    (tmp_path / name).write_text("EARLIER=1\n", "utf-8")
    assert run_waiting_step(tmp_path, sandbox, {key: value.format(tmp_path) for key, value in environ.items()})[0] == 0
    lines = (tmp_path / name).read_text("utf-8").splitlines()
    assert lines[0] == "EARLIER=1"
    # If a name occurs twice, the CI system uses the last value.
    assert dict(line.split("=", 1) for line in lines)["AUTONOMA_CONCLUSION"] == "passed"
    assert all(line.isprintable() and " " not in line for line in lines)


def test_variable_file_unwritable_warns(tmp_path: Path, sandbox: Sandbox) -> None:
    """An unwritable variable file gives a warning and leaves the exit code unchanged."""
    code, log = run_waiting_step(tmp_path, sandbox, {"CIRCLECI": "true", "BASH_ENV": "/proc/nowhere/env"})
    assert code == 0
    assert "Warning: The variables for later steps could not be written" in log


@pytest.mark.slow
@given(REPORTS)
def test_outputs_env_follows_gitlab_rules(job_report: Report) -> None:
    """outputs.env follows GitLab's rules for size, count, names and characters."""
    text = render_dotenv(job_report)
    assert len(text.encode()) <= MAX_DOTENV_BYTES
    pairs = [line.split("=", 1) for line in text.splitlines()]
    assert len({name for name, _ in pairs}) == len(pairs) <= 20
    for name, value in pairs:
        assert name.replace("_", "A").isalnum()
        assert not any(c.isspace() or c in "\\'`$;&|<>()" for c in value)


def test_outputs_env_reports_omitted_variables(tmp_path: Path) -> None:
    """Important variables come first, and the omitted ones are listed."""
    long_report = create_report([make_started_run("a")._replace(url="https://autonoma.app/" + "x" * 5000)])
    names = [line.partition("=")[0] for line in render_dotenv(long_report).splitlines()]
    assert names[:4] == ["AUTONOMA_CONCLUSION", "AUTONOMA_REASON", "AUTONOMA_RUN_URL", "AUTONOMA_RUN_ID"]
    assert omitted_variables(long_report, dotenv_variables(long_report)) == ["AUTONOMA_RUN_URL"]
    short_report = create_report([make_started_run("a")])
    assert omitted_variables(short_report, dotenv_variables(short_report)) == []


# --- GitLab


def test_gitlab_annotations_link_to_runs(tmp_path: Path, sandbox: Sandbox) -> None:
    """The annotations on GitLab's job page link to each run."""
    code, log = run_waiting_step(tmp_path, sandbox, {"GITLAB_CI": "true"}, "Sign in=sandbox-one, Pay=sandbox-fails")
    assert code == 1
    annotations = json.loads((tmp_path / "results" / "gitlab-annotations.json").read_text("utf-8"))
    links = [entry["external_link"] for entry in annotations["Autonoma tests"]]
    assert [entry["label"] for entry in links] == ["failed: Pay", "passed: Sign in"]
    assert all(entry["url"].startswith("http://127.0.0.1") for entry in links)
    assert [command.name for command in grammars.find_gitlab_sections(log)] == ["section_start", "section_end"]


def test_gitlab_annotations_only_on_gitlab(tmp_path: Path, sandbox: Sandbox) -> None:
    """Other CI systems get no gitlab-annotations.json."""
    run_waiting_step(tmp_path, sandbox, {"TRAVIS": "true"})
    assert not (tmp_path / "results" / "gitlab-annotations.json").exists()


# --- Azure Pipelines


def test_azure_sets_outputs_and_summary(tmp_path: Path, sandbox: Sandbox) -> None:
    """A job step on Azure sets output variables and uploads its summary."""
    environ = {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(tmp_path), "AUTONOMA_SUMMARY_TITLE": "Shop; smoke]"}
    code, log = run_waiting_step(tmp_path, sandbox, environ, "sandbox-one, sandbox-fails")
    assert code == 1
    commands = grammars.find_azure_commands(log)
    assert [command.data for command in commands if command.name == "task.setsecret"] == [
        "sandbox-id",
        "sandbox-secret",
    ]
    assert [command.name for command in commands if command.name in {"group", "endgroup"}] == ["group", "endgroup"]
    variables = {command.values["variable"]: command for command in commands if command.name == "task.setvariable"}
    assert variables["AUTONOMA_CONCLUSION"].data == "failed"
    assert all(command.values["isOutput"] == "true" for command in variables.values())
    [issue] = [command for command in commands if command.name == "task.logissue"]
    assert issue.values["type"] == "error"
    [upload] = [command for command in commands if command.name == "task.uploadsummary"]
    assert Path(upload.data).parent == tmp_path
    assert Path(upload.data).name.startswith("Shop-smoke-")
    text = Path(upload.data).read_text("utf-8")
    assert text.startswith("### Shop; smoke\\]: ❌ Failed")
    assert "mermaid" not in text


def test_azure_summary_off_uploads_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    """The option `summary` turns the upload on Azure off."""
    environ = {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(tmp_path), "AUTONOMA_SUMMARY": "false"}
    assert "uploadsummary" not in run_waiting_step(tmp_path, sandbox, environ)[1]


def test_azure_summary_unwritable_warns(tmp_path: Path, sandbox: Sandbox) -> None:
    """An unwritable summary on Azure gives a warning."""
    code, log = run_waiting_step(tmp_path, sandbox, {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": "/proc/nowhere"})
    assert code == 0
    assert "task.logissue type=warning]The summary could not be written" in log


# --- TeamCity


def test_teamcity_failure_sends_messages(tmp_path: Path, sandbox: Sandbox) -> None:
    """A failed step sends its status, problem, parameters and JUnit file to TeamCity."""
    code, log = run_waiting_step(tmp_path, sandbox, {"TEAMCITY_VERSION": "2026.1"}, "sandbox-one, sandbox-fails")
    assert code == 1
    commands = grammars.find_teamcity_messages(log)
    parameters = {
        command.values["name"]: command.values["value"] for command in commands if command.name == "setParameter"
    }
    assert parameters["env.AUTONOMA_CONCLUSION"] == "failed"
    [status] = [command.values for command in commands if command.name == "buildStatus"]
    assert status == {"text": "{build.status.text}; Autonoma tests: 1 of 2 runs passed, 1 failed."}
    [problem] = [command.values for command in commands if command.name == "buildProblem"]
    assert problem["description"] == "Autonoma tests: 1 of 2 runs passed, 1 failed."
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,59}", problem["identity"])
    [tests] = [command.values for command in commands if command.name == "importData"]
    assert tests == {"type": "junit", "path": "results/junit.xml"}


def test_teamcity_junit_path_is_from_checkout(tmp_path: Path, sandbox: Sandbox) -> None:
    """The JUnit path is relative to the checkout, in any working directory.

    Source: JetBrains's documentation, "Service messages", "Importing XML Reports".
    """
    (tmp_path / "shop" / "e2e").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "shop")
    properties = tmp_path / "build.properties"
    paths = []
    for checkout, folder in (("shop", "results"), ("link", "results"), ("shop", str(tmp_path / "outside"))):
        properties.write_text(f"teamcity.build.checkoutDir={tmp_path / checkout}\n", "utf-8")
        environ = {"TEAMCITY_VERSION": "2026.1", "TEAMCITY_BUILD_PROPERTIES_FILE": str(properties)}
        _, log = run_waiting_step(tmp_path / "shop" / "e2e", sandbox, {**environ, "AUTONOMA_RESULTS_DIR": folder})
        paths += [
            command.values["path"] for command in grammars.find_teamcity_messages(log) if command.name == "importData"
        ]
    assert paths[:2] == ["e2e/results/junit.xml"] * 2
    assert paths[2:] == [str(tmp_path / "outside" / "junit.xml")]


def test_teamcity_pass_sends_no_problem(tmp_path: Path, sandbox: Sandbox) -> None:
    """A passed step sends no build problem to TeamCity."""
    code, log = run_waiting_step(tmp_path, sandbox, {"TEAMCITY_VERSION": "2026.1"})
    assert code == 0
    assert "buildProblem" not in {command.name for command in grammars.find_teamcity_messages(log)}


# --- programs of the agent


def test_buildkite_agent_gets_all_data(tmp_path: Path, sandbox: Sandbox) -> None:
    """The Buildkite agent gets an annotation and meta-data without credentials."""
    calls = write_program(tmp_path / "bin", "buildkite-agent")
    environ = {"BUILDKITE": "true", "PATH": f"{calls.parent}:/usr/bin:/bin", "BUILDKITE_STEP_ID": "one"}
    workspace = tmp_path / "work"
    workspace.mkdir()
    assert run_waiting_step(workspace, sandbox, environ, "sandbox-one, sandbox-fails")[0] == 1
    lines = calls.read_text("utf-8").splitlines()
    assert any(line.startswith("annotate --style error --context autonoma-ci-") for line in lines)
    assert "meta-data set AUTONOMA_CONCLUSION" in lines
    annotation_text = Path(f"{calls}.in").read_text("utf-8")
    assert "### Autonoma tests: ❌ Failed" in annotation_text
    assert "AUTONOMA_CLIENT" not in Path(f"{calls}.env").read_text("utf-8")
    assert "sandbox-secret" not in Path(f"{calls}.env").read_text("utf-8")


@pytest.mark.slow
def test_buildkite_annotation_is_per_step(tmp_path: Path, sandbox: Sandbox) -> None:
    """Each job step has its own annotation, and a retry replaces its own."""
    calls = write_program(tmp_path / "bin", "buildkite-agent")
    workspace = tmp_path / "work"
    workspace.mkdir()
    for step_id, job in (("one", "0"), ("two", "0"), ("one", "1"), ("one", "0")):
        environ = {"BUILDKITE": "true", "PATH": f"{calls.parent}:/usr/bin:/bin", "BUILDKITE_STEP_ID": step_id}
        run_waiting_step(
            workspace, sandbox, {**environ, "BUILDKITE_PARALLEL_JOB": job, "BUILDKITE_PARALLEL_JOB_COUNT": "2"}
        )
    contexts = [line.rpartition(" ")[2] for line in calls.read_text("utf-8").splitlines() if "annotate" in line]
    assert contexts[0] == contexts[3]
    assert len(set(contexts)) == 3


@pytest.mark.parametrize(
    ("environ", "name", "expected_call"),
    [
        ({"SEMAPHORE": "true"}, "sem-context", "put AUTONOMA_CONCLUSION=passed --force"),
        ({"BITRISE_IO": "true"}, "envman", "add --no-expand --key AUTONOMA_CONCLUSION --value passed"),
    ],
    ids=["semaphore", "bitrise"],
)
def test_agent_cli_gets_main_variables(
    environ: dict[str, str], name: str, expected_call: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    """The CI system's own program gets the four main variables."""
    calls = write_program(tmp_path / "bin", name)
    workspace = tmp_path / "work"
    workspace.mkdir()
    assert run_waiting_step(workspace, sandbox, {**environ, "PATH": f"{calls.parent}:/usr/bin:/bin"})[0] == 0
    lines = [line for line in calls.read_text("utf-8").splitlines() if "AUTONOMA_WRITTEN_BY" not in line]
    assert lines[0] == expected_call
    assert len(lines) == 4


def test_agent_cli_failure_warns_once(tmp_path: Path, sandbox: Sandbox) -> None:
    """A failing program gives one warning and is called once."""
    calls = write_program(tmp_path / "bin", "envman", code=3)
    workspace = tmp_path / "work"
    workspace.mkdir()
    code, log = run_waiting_step(workspace, sandbox, {"BITRISE_IO": "true", "PATH": f"{calls.parent}:/usr/bin:/bin"})
    assert code == 0
    assert "Warning: The variables for later steps could not be set: envman failed with exit code 3." in log
    assert len(calls.read_text("utf-8").splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/nowhere/bash\n", "could not be started (No such file or directory)"),
        ("#!/bin/sh\nexec sleep 9\n", "did not end within 0 s"),
    ],
    ids=["not-a-program", "never-ends"],
)
def test_agent_cli_unusable_warns(
    text: str, reason: str, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that can't be started or never ends gives a warning."""
    monkeypatch.setattr("autonoma_ci.ci.publishers.agent_cli._CALL_TIMEOUT_SECONDS", 0.2)
    calls = write_program(tmp_path / "bin", "envman")
    (calls.parent / "envman").write_text(text, "utf-8")
    workspace = tmp_path / "work"
    workspace.mkdir()
    code, log = run_waiting_step(workspace, sandbox, {"BITRISE_IO": "true", "PATH": f"{calls.parent}:/usr/bin:/bin"})
    assert code == 0
    assert f"Warning: The variables for later steps could not be set: envman {reason}." in log


@pytest.mark.slow
@pytest.mark.parametrize("path", ["{0}", ".", "", "bin", "../work", "{0}/bin/../bin", "{1}/link"])
def test_agent_cli_in_checkout_never_runs(path: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """A program inside the checkout is never run, whatever PATH contains."""
    workspace = tmp_path / "work"
    workspace.mkdir()
    calls = write_program(workspace, "buildkite-agent")
    write_program(workspace / "bin", "buildkite-agent")
    (tmp_path / "link").symlink_to(workspace)
    environ = {"BUILDKITE": "true", "PATH": path.format(workspace, tmp_path)}
    assert run_waiting_step(workspace, sandbox, environ)[0] == 0
    assert not calls.exists()
    assert not (workspace / "bin" / "calls").exists()


def test_agent_cli_skips_unreadable_path(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in PATH without read permission is skipped.

    The test injects the error, because root may read every folder.
    """
    original_stat = os.stat

    def deny_closed_folders(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied")
        return original_stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", deny_closed_folders)
    assert run_waiting_step(tmp_path, sandbox, {"BUILDKITE": "true", "PATH": "/closed/bin:/usr/bin"})[0] == 0


# --- local HTTP interfaces


class Recorder(HTTPServer):
    """A server that records requests and sends the same response to each.

    Attributes:
        status: The HTTP status of each response.
        body: The body of each response.
        requests: Method, path and parsed JSON body of each request.
    """

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = status, body
        self.requests: list[tuple[str, str, Any]] = []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, json.loads(body) if body else None))
        assert not any(name.lower().startswith("autonoma") for name in self.headers)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_PUT = do_POST = do_DELETE = _respond  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass


def test_appveyor_agent_gets_data_and_message(tmp_path: Path, sandbox: Sandbox) -> None:
    """The AppVeyor agent gets the variables and one message."""
    with Recorder() as agent:
        environ = {"APPVEYOR": "True", "APPVEYOR_API_URL": f"{agent.url}/"}
        assert run_waiting_step(tmp_path, sandbox, environ, "sandbox-one, sandbox-fails")[0] == 1
    paths = [path for _, path, _ in agent.requests]
    assert set(paths) == {"/api/build/variables", "/api/build/messages"}
    assert ("POST", "/api/build/variables", {"name": "AUTONOMA_CONCLUSION", "value": "failed"}) in agent.requests
    [message] = [body for _, path, body in agent.requests if path.endswith("messages")]
    assert message["category"] == "error"
    assert message["message"] == "Autonoma tests: 1 of 2 runs passed, 1 failed."
    assert message["details"].startswith("FAILED  ")


BITBUCKET = {
    "BITBUCKET_BUILD_NUMBER": "12",
    "BITBUCKET_COMMIT": SHA,
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
}


def test_bitbucket_report_uses_proxy(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bitbucket gets a commit report through the proxy of the pipeline."""
    with Recorder(body=b'{"values": []}') as proxy:
        monkeypatch.setattr(bitbucket, "PROXY_URL", proxy.url)
        assert run_waiting_step(tmp_path, sandbox, BITBUCKET, "sandbox-one\nPay=sandbox-fails")[0] == 1
    methods = [method for method, _, _ in proxy.requests]
    assert methods == ["GET", "PUT", "POST"]
    path, body = proxy.requests[1][1:]
    # A request to a proxy has an absolute URL, and this proxy needs plain http.
    assert path.startswith(f"http://api.bitbucket.org/2.0/repositories/acme/shop/commit/{SHA}/reports/autonoma-ci-")
    assert (body["report_type"], body["result"]) == ("TEST", "FAILED")
    assert {"title": "Failed", "type": "NUMBER", "value": 1} in body["data"]
    assert len(body["data"]) <= 10
    [annotation] = proxy.requests[2][2]
    assert annotation["summary"] == "Pay: failed"
    assert annotation["annotation_type"] == "BUG"
    assert "step" in annotation["details"]


@pytest.mark.slow
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"values": {}}', b'{"values": [1, {}]}'])
def test_bitbucket_bad_list_replaces_nothing(
    body: bytes, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid list of reports makes the report use a new id, so that nothing is lost."""
    paths = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        with Recorder(body=body) as proxy:
            monkeypatch.setattr(bitbucket, "PROXY_URL", proxy.url)
            assert run_waiting_step(tmp_path / str(number), sandbox, BITBUCKET)[0] == 0
        assert [method for method, _, _ in proxy.requests] == ["GET", "PUT"]
        paths.append(proxy.requests[1][1])
    assert len(set(paths)) == 2


@pytest.mark.slow
def test_bitbucket_without_proxy_warns(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing Bitbucket proxy gives a warning."""
    with Recorder() as proxy:
        url = proxy.url
    monkeypatch.setattr(bitbucket, "PROXY_URL", url)
    code, log = run_waiting_step(tmp_path, sandbox, BITBUCKET)
    assert code == 0
    assert "Warning: The Code Insights report could not be written" in log
