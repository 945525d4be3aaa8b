"""What a whole step leaves behind in each CI system: variables for later steps, summary, status, links."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
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
from autonoma_ci.ci.systems.gitlab import MAX_LINKS, render_annotations
from autonoma_ci.escaping import safe_url, sanitize_line
from autonoma_ci.reports.outputs import (
    MAX_DOTENV_BYTES,
    dotenv_variables,
    omitted_variables,
    output_variables,
    render_dotenv,
)
from autonoma_ci.sandbox import Sandbox
from tests.report.reports import failed, passed, report, started
from tests.support import grammars
from tests.support.hostile import REPORTS
from tests.support.job import BRIEF, BRISK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from autonoma_ci.models import Report

SHA = "c0ffee" + "0123456789" * 3 + "abcd"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0) as running:
        yield running


def step(folder: Path, sandbox: Sandbox, environ: Mapping[str, str], ids: str = "sandbox-one") -> tuple[int, str]:
    """Run a step that waits for these tests; return exit code and log."""
    out = io.StringIO()
    ours = {
        "AUTONOMA_CLIENT_ID": "sandbox-id",
        "AUTONOMA_CLIENT_SECRET": "sandbox-secret",
        "AUTONOMA_API_URL": sandbox.url,
        "AUTONOMA_TEST_IDS": ids,
        "AUTONOMA_WAIT": "true",
        "AUTONOMA_RESULTS_DIR": "results",
    }
    world = Runtime({**ours, **environ}, out, out, str(folder), poll_policy=BRIEF, start_policy=BRISK)
    code = cli.run_command([], world)
    assert "Traceback" not in out.getvalue()
    return code, out.getvalue()


def sourced(path: Path) -> dict[str, str]:
    """Return what bash has after it has read the file as commands."""
    bash = shutil.which("bash")
    assert bash
    script = 'set -eu; . "$1"; for n in ${!AUTONOMA_*}; do printf "%s=%s\\0" "$n" "${!n}"; done'
    ran = subprocess.run([bash, "--norc", "-c", script, "bash", path], capture_output=True, env={}, check=True)
    assert ran.stderr == b""
    return dict(pair.decode().split("=", 1) for pair in ran.stdout.split(b"\0") if pair)


def program(folder: Path, name: str, code: int = 0) -> Path:
    """Put a program on the path that writes down how it was called, and return where."""
    folder.mkdir(exist_ok=True)
    calls = folder / "calls"
    script = folder / name
    to = shlex.quote(str(calls))
    script.write_text(
        f'#!/bin/bash\nprintf "%s\\n" "$*" >> {to}\ncat >> {to}.in\nenv >> {to}.env\nexit {code}\n', "utf-8"
    )
    script.chmod(0o755)
    return calls


# --- variables of a shell


def test_on_circleci_later_steps_have_the_variables(tmp_path: Path, sandbox: Sandbox) -> None:
    env = tmp_path / "bash.env"
    env.write_text("export EARLIER=1", "utf-8")
    assert step(tmp_path, sandbox, {"CIRCLECI": "true", "BASH_ENV": str(env)})[0] == 0
    found = sourced(env)
    assert found["AUTONOMA_CONCLUSION"] == "passed"
    assert found["AUTONOMA_RUN_URL"].startswith("http://127.0.0.1")
    assert "AUTONOMA_RESULTS_DIR" not in found, "a later step of ours would take it for its option"


@settings(max_examples=25, deadline=None)
@given(REPORTS)
@example(report([started("a")._replace(run_id="\0", url="\0\0")], None))
def test_no_text_in_a_report_is_a_command_of_the_shell(made: Report) -> None:
    path = Path(tempfile.gettempdir(), f"autonoma-{os.getpid()}.sh")
    path.write_text(
        SHELL_EXPORT_FORMAT.format_lines(SHELL_EXPORT_FORMAT.select_variables(made)), "utf-8", errors="replace"
    )
    try:
        # No variable of any shell holds a zero byte.
        expected = {
            k: v.encode("utf-8", "replace").decode().replace("\0", "") for k, v in output_variables(made).items()
        }
        assert sourced(path) == expected
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
def test_a_file_of_variables_gets_ours_at_its_end(
    environ: dict[str, str], name: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    (tmp_path / name).write_text("EARLIER=1\n", "utf-8")
    assert step(tmp_path, sandbox, {key: value.format(tmp_path) for key, value in environ.items()})[0] == 0
    lines = (tmp_path / name).read_text("utf-8").splitlines()
    assert lines[0] == "EARLIER=1"
    # The reader takes the last value of a name.
    assert dict(line.split("=", 1) for line in lines)["AUTONOMA_CONCLUSION"] == "passed"
    assert all(line.isprintable() and " " not in line for line in lines)


def test_a_file_that_cant_be_written_is_a_warning_and_changes_no_verdict(tmp_path: Path, sandbox: Sandbox) -> None:
    code, log = step(tmp_path, sandbox, {"CIRCLECI": "true", "BASH_ENV": "/proc/nowhere/env"})
    assert code == 0
    assert "Warning: The variables for later steps could not be written" in log


@given(REPORTS)
def test_outputs_env_keeps_to_the_rules_of_gitlab(made: Report) -> None:
    text = render_dotenv(made)
    assert len(text.encode()) <= MAX_DOTENV_BYTES
    pairs = [line.split("=", 1) for line in text.splitlines()]
    assert len({name for name, _ in pairs}) == len(pairs) <= 20
    for name, value in pairs:
        assert name.replace("_", "A").isalnum()
        assert not any(c.isspace() or c in "\\'`$;&|<>()" for c in value)


def test_outputs_env_keeps_what_is_most_useful_and_says_what_it_left_out(tmp_path: Path) -> None:
    many = report([started("a")._replace(url="https://autonoma.app/" + "x" * 5000)])
    kept = [line.partition("=")[0] for line in render_dotenv(many).splitlines()]
    assert kept[:4] == ["AUTONOMA_CONCLUSION", "AUTONOMA_REASON", "AUTONOMA_RUN_URL", "AUTONOMA_RUN_ID"]
    assert omitted_variables(many, dotenv_variables(many)) == ["AUTONOMA_RUN_URL"]
    few = report([started("a")])
    assert omitted_variables(few, dotenv_variables(few)) == []


# --- GitLab


def test_on_gitlab_the_page_of_the_job_links_to_the_runs(tmp_path: Path, sandbox: Sandbox) -> None:
    code, log = step(tmp_path, sandbox, {"GITLAB_CI": "true"}, "Sign in=sandbox-one, Pay=sandbox-fails")
    assert code == 1
    found = json.loads((tmp_path / "results" / "gitlab-annotations.json").read_text("utf-8"))
    links = [entry["external_link"] for entry in found["Autonoma tests"]]
    assert [entry["label"] for entry in links] == ["failed: Pay", "passed: Sign in"]
    assert all(entry["url"].startswith("http://127.0.0.1") for entry in links)
    assert [order.name for order in grammars.gitlab(log)] == ["section_start", "section_end"]


def test_elsewhere_there_is_no_file_of_gitlabs(tmp_path: Path, sandbox: Sandbox) -> None:
    step(tmp_path, sandbox, {"TRAVIS": "true"})
    assert not (tmp_path / "results" / "gitlab-annotations.json").exists()


@given(REPORTS)
def test_links_are_links_and_labels_are_short_lines(made: Report) -> None:
    for title, entries in json.loads(render_annotations(made)["gitlab-annotations.json"]).items():
        assert title == sanitize_line(title)
        for entry in entries:
            assert safe_url(entry["external_link"]["url"])
            assert 0 < len(entry["external_link"]["label"]) <= 100


def test_more_links_than_fit_are_counted_and_the_worst_are_kept() -> None:
    many = report([*(passed(f"p{number}") for number in range(MAX_LINKS + 7)), failed("bad")])
    entries = json.loads(render_annotations(many)["gitlab-annotations.json"])["Autonoma tests"]
    labels = [entry["external_link"]["label"] for entry in entries]
    assert labels[0] == "failed: Checkout pays by card"
    assert labels[-1] == "and 8 more runs, from here on: passed"
    assert len(labels) == MAX_LINKS + 1


# --- Azure Pipelines


def test_on_azure_the_outputs_are_set_and_the_summary_is_uploaded(tmp_path: Path, sandbox: Sandbox) -> None:
    environ = {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(tmp_path), "AUTONOMA_SUMMARY_TITLE": "Shop; smoke]"}
    code, log = step(tmp_path, sandbox, environ, "sandbox-one, sandbox-fails")
    assert code == 1
    orders = grammars.azure(log)
    assert [order.data for order in orders if order.name == "task.setsecret"] == ["sandbox-id", "sandbox-secret"]
    assert [order.name for order in orders if order.name in {"group", "endgroup"}] == ["group", "endgroup"]
    variables = {o.values["variable"]: o for o in orders if o.name == "task.setvariable"}
    assert variables["AUTONOMA_CONCLUSION"].data == "failed"
    assert all(order.values["isOutput"] == "true" for order in variables.values())
    [issue] = [order for order in orders if order.name == "task.logissue"]
    assert issue.values["type"] == "error"
    [upload] = [order for order in orders if order.name == "task.uploadsummary"]
    assert Path(upload.data).parent == tmp_path
    assert Path(upload.data).name.startswith("Shop-smoke-")
    text = Path(upload.data).read_text("utf-8")
    assert text.startswith("### Shop; smoke\\]: ❌ Failed")
    assert "mermaid" not in text


def test_on_azure_without_a_summary_nothing_is_uploaded(tmp_path: Path, sandbox: Sandbox) -> None:
    environ = {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(tmp_path), "AUTONOMA_SUMMARY": "false"}
    assert "uploadsummary" not in step(tmp_path, sandbox, environ)[1]


def test_on_azure_a_summary_that_cant_be_written_is_a_warning(tmp_path: Path, sandbox: Sandbox) -> None:
    code, log = step(tmp_path, sandbox, {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": "/proc/nowhere"})
    assert code == 0
    assert "task.logissue type=warning]The summary could not be written" in log


# --- TeamCity


def test_on_teamcity_status_problem_parameters_and_tests_are_told(tmp_path: Path, sandbox: Sandbox) -> None:
    code, log = step(tmp_path, sandbox, {"TEAMCITY_VERSION": "2026.1"}, "sandbox-one, sandbox-fails")
    assert code == 1
    orders = grammars.teamcity(log)
    parameters = {o.values["name"]: o.values["value"] for o in orders if o.name == "setParameter"}
    assert parameters["env.AUTONOMA_CONCLUSION"] == "failed"
    [status] = [order.values for order in orders if order.name == "buildStatus"]
    assert status == {"text": "{build.status.text}; Autonoma tests: 1 of 2 runs passed, 1 failed."}
    [problem] = [order.values for order in orders if order.name == "buildProblem"]
    assert problem["description"] == "Autonoma tests: 1 of 2 runs passed, 1 failed."
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,59}", problem["identity"])
    [tests] = [order.values for order in orders if order.name == "importData"]
    assert tests == {"type": "junit", "path": "results/junit.xml"}


def test_teamcity_imports_from_the_checkout(tmp_path: Path, sandbox: Sandbox) -> None:
    """The path is relative to the checkout, whatever the working directory.

    Source: JetBrains's documentation, "Service messages", "Importing XML Reports".
    """
    (tmp_path / "shop" / "e2e").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "shop")
    properties = tmp_path / "build.properties"
    found = []
    for checkout, folder in (("shop", "results"), ("link", "results"), ("shop", str(tmp_path / "outside"))):
        properties.write_text(f"teamcity.build.checkoutDir={tmp_path / checkout}\n", "utf-8")
        environ = {"TEAMCITY_VERSION": "2026.1", "TEAMCITY_BUILD_PROPERTIES_FILE": str(properties)}
        _, log = step(tmp_path / "shop" / "e2e", sandbox, {**environ, "AUTONOMA_RESULTS_DIR": folder})
        found += [order.values["path"] for order in grammars.teamcity(log) if order.name == "importData"]
    assert found[:2] == ["e2e/results/junit.xml"] * 2
    assert found[2:] == [str(tmp_path / "outside" / "junit.xml")]


def test_on_teamcity_a_step_that_passes_is_no_problem(tmp_path: Path, sandbox: Sandbox) -> None:
    code, log = step(tmp_path, sandbox, {"TEAMCITY_VERSION": "2026.1"})
    assert code == 0
    assert "buildProblem" not in {order.name for order in grammars.teamcity(log)}


# --- programs of the agent


def test_on_buildkite_the_agent_annotates_and_keeps_the_variables(tmp_path: Path, sandbox: Sandbox) -> None:
    calls = program(tmp_path / "bin", "buildkite-agent")
    environ = {"BUILDKITE": "true", "PATH": f"{calls.parent}:/usr/bin:/bin", "BUILDKITE_STEP_ID": "one"}
    workspace = tmp_path / "work"
    workspace.mkdir()
    assert step(workspace, sandbox, environ, "sandbox-one, sandbox-fails")[0] == 1
    lines = calls.read_text("utf-8").splitlines()
    assert any(line.startswith("annotate --style error --context autonoma-ci-") for line in lines)
    assert "meta-data set AUTONOMA_CONCLUSION" in lines
    given_text = Path(f"{calls}.in").read_text("utf-8")
    assert "### Autonoma tests: ❌ Failed" in given_text
    assert "AUTONOMA_CLIENT" not in Path(f"{calls}.env").read_text("utf-8")
    assert "sandbox-secret" not in Path(f"{calls}.env").read_text("utf-8")


def test_two_steps_of_a_build_have_an_annotation_each_and_a_retried_one_keeps_its_own(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    calls = program(tmp_path / "bin", "buildkite-agent")
    workspace = tmp_path / "work"
    workspace.mkdir()
    for step_id, job in (("one", "0"), ("two", "0"), ("one", "1"), ("one", "0")):
        environ = {"BUILDKITE": "true", "PATH": f"{calls.parent}:/usr/bin:/bin", "BUILDKITE_STEP_ID": step_id}
        step(workspace, sandbox, {**environ, "BUILDKITE_PARALLEL_JOB": job, "BUILDKITE_PARALLEL_JOB_COUNT": "2"})
    contexts = [line.rpartition(" ")[2] for line in calls.read_text("utf-8").splitlines() if "annotate" in line]
    assert contexts[0] == contexts[3]
    assert len(set(contexts)) == 3


@pytest.mark.parametrize(
    ("environ", "name", "call"),
    [
        ({"SEMAPHORE": "true"}, "sem-context", "put AUTONOMA_CONCLUSION=passed --force"),
        ({"BITRISE_IO": "true"}, "envman", "add --no-expand --key AUTONOMA_CONCLUSION --value passed"),
    ],
    ids=["semaphore", "bitrise"],
)
def test_the_systems_own_program_gets_the_most_useful_variables(
    environ: dict[str, str], name: str, call: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    calls = program(tmp_path / "bin", name)
    workspace = tmp_path / "work"
    workspace.mkdir()
    assert step(workspace, sandbox, {**environ, "PATH": f"{calls.parent}:/usr/bin:/bin"})[0] == 0
    lines = [line for line in calls.read_text("utf-8").splitlines() if "AUTONOMA_WRITTEN_BY" not in line]
    assert lines[0] == call
    assert len(lines) == 4


def test_a_program_that_fails_is_a_warning_and_is_not_asked_again(tmp_path: Path, sandbox: Sandbox) -> None:
    calls = program(tmp_path / "bin", "envman", code=3)
    workspace = tmp_path / "work"
    workspace.mkdir()
    code, log = step(workspace, sandbox, {"BITRISE_IO": "true", "PATH": f"{calls.parent}:/usr/bin:/bin"})
    assert code == 0
    assert "Warning: The variables for later steps could not be set: envman failed with exit code 3." in log
    assert len(calls.read_text("utf-8").splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/nowhere/bash\n", "can't be started (No such file or directory)"),
        ("#!/bin/sh\nexec sleep 9\n", "did not end within 0 s"),
    ],
    ids=["not-a-program", "never-ends"],
)
def test_a_program_that_cant_be_started_or_does_not_end_is_a_warning(
    text: str, why: str, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autonoma_ci.ci.publishers.agent_cli._CALL_TIMEOUT_SECONDS", 0.2)
    calls = program(tmp_path / "bin", "envman")
    (calls.parent / "envman").write_text(text, "utf-8")
    workspace = tmp_path / "work"
    workspace.mkdir()
    code, log = step(workspace, sandbox, {"BITRISE_IO": "true", "PATH": f"{calls.parent}:/usr/bin:/bin"})
    assert code == 0
    assert f"Warning: The variables for later steps could not be set: envman {why}." in log


@pytest.mark.parametrize("path", ["{0}", ".", "", "bin", "../work", "{0}/bin/../bin", "{1}/link"])
def test_a_program_of_the_checkout_is_never_run(path: str, tmp_path: Path, sandbox: Sandbox) -> None:
    workspace = tmp_path / "work"
    workspace.mkdir()
    calls = program(workspace, "buildkite-agent")
    program(workspace / "bin", "buildkite-agent")
    (tmp_path / "link").symlink_to(workspace)
    environ = {"BUILDKITE": "true", "PATH": path.format(workspace, tmp_path)}
    assert step(workspace, sandbox, environ)[0] == 0
    assert not calls.exists()
    assert not (workspace / "bin" / "calls").exists()


def test_a_folder_of_the_path_that_may_not_be_looked_into_is_passed_over(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root nothing is closed, so that the refusal is put in."""
    real = os.stat

    def stat(path: Any, *args: Any, **more: Any) -> os.stat_result:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)

    monkeypatch.setattr(os, "stat", stat)
    assert step(tmp_path, sandbox, {"BUILDKITE": "true", "PATH": "/closed/bin:/usr/bin"})[0] == 0


# --- interfaces on the build's own machine


class Recorder(HTTPServer):
    """Keeps what it is asked, as (method, path, body); `status` and `body` are what it answers."""

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = status, body
        self.asked: list[tuple[str, str, Any]] = []
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

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, json.loads(body) if body else None))
        assert not any(name.lower().startswith("autonoma") for name in self.headers)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass


def test_on_appveyor_the_agent_gets_variables_and_one_message(tmp_path: Path, sandbox: Sandbox) -> None:
    with Recorder() as agent:
        environ = {"APPVEYOR": "True", "APPVEYOR_API_URL": f"{agent.url}/"}
        assert step(tmp_path, sandbox, environ, "sandbox-one, sandbox-fails")[0] == 1
    paths = [path for _, path, _ in agent.asked]
    assert set(paths) == {"/api/build/variables", "/api/build/messages"}
    assert ("POST", "/api/build/variables", {"name": "AUTONOMA_CONCLUSION", "value": "failed"}) in agent.asked
    [message] = [body for _, path, body in agent.asked if path.endswith("messages")]
    assert message["category"] == "error"
    assert message["message"] == "Autonoma tests: 1 of 2 runs passed, 1 failed."
    assert ": failed http" in message["details"].splitlines()[0]


BITBUCKET = {
    "BITBUCKET_BUILD_NUMBER": "12",
    "BITBUCKET_COMMIT": SHA,
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
}


def test_on_bitbucket_the_commit_gets_a_report_through_the_pipelines_proxy(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder(body=b'{"values": []}') as proxy:
        monkeypatch.setattr(bitbucket, "PROXY_URL", proxy.url)
        assert step(tmp_path, sandbox, BITBUCKET, "sandbox-one\nPay=sandbox-fails")[0] == 1
    methods = [method for method, _, _ in proxy.asked]
    assert methods == ["GET", "PUT", "POST"]
    path, body = proxy.asked[1][1:]
    # A proxy is asked for whole addresses; plain http is what this one takes.
    assert path.startswith(f"http://api.bitbucket.org/2.0/repositories/acme/shop/commit/{SHA}/reports/autonoma-ci-")
    assert (body["report_type"], body["result"]) == ("TEST", "FAILED")
    assert {"title": "Failed", "type": "NUMBER", "value": 1} in body["data"]
    assert len(body["data"]) <= 10
    [annotation] = proxy.asked[2][2]
    assert annotation["summary"] == "Pay: failed"
    assert annotation["annotation_type"] == "BUG"
    assert "step" in annotation["details"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"values": {}}', b'{"values": [1, {}]}'])
def test_on_bitbucket_a_list_in_another_form_replaces_no_report(
    body: bytes, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report gets an id of its own, so that nothing is lost."""
    paths = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        with Recorder(body=body) as proxy:
            monkeypatch.setattr(bitbucket, "PROXY_URL", proxy.url)
            assert step(tmp_path / str(number), sandbox, BITBUCKET)[0] == 0
        assert [method for method, _, _ in proxy.asked] == ["GET", "PUT"]
        paths.append(proxy.asked[1][1])
    assert len(set(paths)) == 2


def test_on_bitbucket_without_the_proxy_there_is_a_warning(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder() as proxy:
        url = proxy.url
    monkeypatch.setattr(bitbucket, "PROXY_URL", url)
    code, log = step(tmp_path, sandbox, BITBUCKET)
    assert code == 0
    assert "Warning: The Code Insights report could not be written" in log
