"""The command line with real commands, help texts and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import autonoma_ci
from autonoma_ci.cli import COMMANDS
from autonoma_ci.manifest.schema import manifest_json_schema
from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.streams import read_terminal

COMMAND = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]
MANIFEST = """\
version: 1
defaults:
  application_version_id: ${APP_VERSION_ID:-cm7dbowr80042waka7thyjhkq}
  variables: {ENVIRONMENT: staging, BASE_URL: "https://pr-${ci.change}.preview.example.com"}
tests:
  - g41k688vndxzt7kh4kq5m12s
  - id: cm8d9gt6v000c9fe5glmyi33u
    name: Checkout pays by card
    groups: [smoke, checkout]
    variables: { NAME: CompanyName, RELEASE: 1.10 }
    matrix: { LOCALE: [en, fr] }
folders: [{id: cm7t223mk00154mzy2jwk2pqy, name: private-listing-hub}]
tags: [cm9r0nog10012v301qtollv01]
application_versions:
  - { application_id: cm9xyz12340567pqrs8tuvwxy, version_id: cm9abc34560789defg0hijklm }
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    """Each command prints its usage line with `--help`."""
    ended = invoke(tmp_path, command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"usage: autonoma-ci {command}")


def test_help_and_version(tmp_path: Path) -> None:
    """The help lists every command, and `--version` prints the version."""
    assert all(f"  {command} " in invoke(tmp_path, "--help").out for command in COMMANDS)
    assert invoke(tmp_path, "--version").out == f"autonoma-ci {autonoma_ci.__version__}\n"


@pytest.mark.parametrize(
    ("word", "says"),
    [("validat", "did you mean validate?"), ("wiat", "did you mean wait?"), ("frobnicate", "known are run")],
)
def test_unknown_command_suggests_known(word: str, says: str, tmp_path: Path) -> None:
    """The error suggests a similar command or lists all commands."""
    ended = invoke(tmp_path, word)
    assert ended.code == 2
    assert says in ended.err


def test_default_command_is_run(tmp_path: Path) -> None:
    """Options without a command run tests."""
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url}
        assert invoke(tmp_path, "--test-ids", "a", environ=environ).code == 0
        assert invoke(tmp_path, "run", "--test-ids", "b", environ=environ).code == 0
        assert invoke(tmp_path, environ=environ | {"AUTONOMA_TEST_IDS": "c"}).code == 0
        assert [sandbox.count_starts(test_id) for test_id in "abc"] == [1, 1, 1]


@pytest.mark.parametrize(
    "environ", [{}, {"CI": "false"}, {"AUTONOMA_CI": "cli", "CI": "true"}, {"AUTONOMA_TEST_IDS": "a"}]
)
def test_no_command_at_terminal_prints_help(environ: dict[str, str], tmp_path: Path) -> None:
    """The help ends with the commands to type next."""
    ended = invoke(tmp_path, environ=environ, typed="")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("usage: autonoma-ci [COMMAND]")
    assert "autonoma-ci demo" in ended.out.partition("What to type next:")[2]


@pytest.mark.parametrize(
    ("environ", "argv", "typed"),
    [
        ({"CI": "true"}, (), ""),
        ({"GITHUB_ACTIONS": "true"}, (), ""),
        ({"AUTONOMA_CI": "gitlab"}, (), ""),
        ({}, (), None),
        ({}, ("run",), ""),
        ({}, ("--test-ids", "a"), ""),
    ],
)
def test_no_command_in_ci_runs(
    environ: dict[str, str], argv: tuple[str, ...], typed: str | None, tmp_path: Path
) -> None:
    """A CI job or any argument selects the command `run`, even at a terminal."""
    ended = invoke(tmp_path, *argv, environ=environ, typed=typed)
    assert ended.code == 2
    assert "client-id and client-secret are missing" in ended.err


def test_module_prints_help_of_command(tmp_path: Path) -> None:
    """`python -m autonoma_ci` prints the same help, also at a real terminal."""
    command = [sys.executable, "-m", "autonoma_ci"]
    shown = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout == invoke(tmp_path, "--help").out
    ours, theirs = os.openpty()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(autonoma_ci.__file__).parent.parent)}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        printed = read_terminal(ours)
    assert (process.returncode, printed.decode().replace("\r\n", "\n")) == (0, shown.stdout)


def test_manifest_starts_all_kinds(tmp_path: Path) -> None:
    """The default manifest is found and interpolated, and its text is sent as written."""
    (tmp_path / "autonoma.yml").write_text(MANIFEST, "utf-8")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": "a" * 40}}}), "utf-8")
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url, "GITHUB_ACTIONS": "true"}
        environ |= {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)}
        ended = invoke(tmp_path, environ=environ)
        received: dict[str, Any] = {entry.path: entry.body for entry in sandbox.received}
    assert ended.code == 0, ended.printed
    assert "5 of 5 runs started." in ended.out
    body = received["/api/test/cm8d9gt6v000c9fe5glmyi33u/run"]
    assert body["source"] == "github"
    assert body["application_version_id"] == "cm7dbowr80042waka7thyjhkq"
    assert body["runtime_metadata"] | {"LOCALE": ""} == {
        "ENVIRONMENT": "staging", "BASE_URL": "https://pr-7.preview.example.com",
        "NAME": "CompanyName", "RELEASE": "1.10", "LOCALE": "",
    }  # fmt: skip
    assert received["/api/folder/cm7t223mk00154mzy2jwk2pqy/run"]["recursive"] is True


@pytest.mark.parametrize(("environ", "source"), [({}, "cli"), ({"GITLAB_CI": "true"}, "gitlab")])
def test_source_is_sent_to_api(environ: dict[str, str], source: str, tmp_path: Path) -> None:
    """The source is the CI system's name unless an option sets it."""
    with Sandbox() as sandbox:
        environ = CREDENTIALS | environ | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TEST_IDS": "a"}
        invoke(tmp_path, environ=environ)
        invoke(tmp_path, "--source", "mine", environ=environ)
        assert [entry.source for entry in sandbox.received] == [source, "mine"]


def test_dry_run_prints_plan_only(tmp_path: Path) -> None:
    """A dry run prints the plan without values and sends no request."""
    with Sandbox() as sandbox:
        ended = invoke(tmp_path, "--dry-run", "--test-ids", "L=a,b", "--var", "KEY=hidden", "--api-url", sandbox.url)
        assert sandbox.received == []
    assert ended.code == 0
    assert "test L (a): variables KEY" in ended.out
    assert "Dry run: 2 runs planned, nothing was sent." in ended.out
    assert "hidden" not in ended.printed


def test_empty_plan_needs_allow_empty(tmp_path: Path) -> None:
    """An empty plan is an error unless `allow-empty` is set."""
    assert invoke(tmp_path, environ=CREDENTIALS).code == 2
    ended = invoke(tmp_path, "--allow-empty", environ=CREDENTIALS)
    assert (ended.code, ended.out.strip()) == (0, "Nothing was selected, so nothing was started.")


def test_validate_needs_no_credentials(tmp_path: Path) -> None:
    """The command works without credentials and without a CI system."""
    (tmp_path / "autonoma.yaml").write_text(MANIFEST, "utf-8")
    ended = invoke(tmp_path, "validate")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "autonoma.yaml is valid: 2 tests, 1 folder, 1 tag; 5 runs in all.\n"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "there is no autonoma.yml or autonoma.yaml here"),
        (["nowhere.yml"], "nowhere.yml: there is no such file"),
        (["bad.yml"], "bad.yml:1:1: unknown key 'test': did you mean 'tests'?"),
        (["bad.yml", "more"], "an argument too many"),
    ],
)
def test_validate_prints_errors(argv: list[str], says: str, tmp_path: Path) -> None:
    """Each problem of the manifest has its position and a suggestion."""
    (tmp_path / "bad.yml").write_text("test: [a]\n", "utf-8")
    ended = invoke(tmp_path, "validate", *argv)
    assert ended.code == 2
    assert says in ended.err


def test_validate_annotates_on_github(tmp_path: Path) -> None:
    """Problems of a manifest are annotations of its lines."""
    (tmp_path / "bad.yml").write_text("tests:\n  - a/b\n", "utf-8")
    ended = invoke(tmp_path, "validate", "bad.yml", environ={"GITHUB_ACTIONS": "true"})
    assert ended.err.startswith("::error file=bad.yml,line=2,col=5::bad.yml:2:5: 'a/b' is not an id")


@pytest.mark.slow
def test_validate_reads_10000_tests(tmp_path: Path) -> None:
    """A manifest can list 10,000 tests."""
    entries = [
        f"  - {{id: t{n}, name: Test {n}, groups: [g{n % 9}], variables: {{USER: u{n}}}}}" for n in range(10_000)
    ]
    (tmp_path / "big.yml").write_text("\n".join(["tests:", *entries]), "utf-8")
    assert "10,000 tests" in invoke(tmp_path, "validate", "big.yml").out


def test_schema_accepts_valid_manifest(tmp_path: Path) -> None:
    """The printed JSON schema is valid and accepts what the loader accepts."""
    schema = json.loads(invoke(tmp_path, "schema").out)
    assert schema == manifest_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(MANIFEST), schema)


def test_schema_of_results_by_name(tmp_path: Path) -> None:
    """The command prints the schema of results.json and refuses unknown names."""
    assert "runs" in json.loads(invoke(tmp_path, "schema", "results").out)["required"]
    refused = invoke(tmp_path, "schema", "reports")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "Error: there is no schema of that: give manifest or results\n"


@pytest.mark.parametrize(
    "text", ["test: [a]", "tests: [{name: x}]", "tests: [a/b]", "tests: [{id: a, variables: {A: [1]}}]", "tests: a",
             "version: 2", "tests: [{id: a, matrix: {A: []}}]", "tests: [{id: a, nam: b}]"]
)  # fmt: skip
def test_schema_refuses_invalid_manifest(text: str, tmp_path: Path) -> None:
    """The JSON schema refuses what the loader refuses."""
    (tmp_path / "bad.yml").write_text(text, "utf-8")
    assert invoke(tmp_path, "validate", "bad.yml").code == 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), manifest_json_schema())


@pytest.mark.slow
def test_demo_shows_links_and_report(tmp_path: Path) -> None:
    """The demo ends with the path of a report and writes no outputs of the surrounding job."""
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "output")}
    ended = invoke(tmp_path, "demo", "--output", "demo", environ=environ)
    assert (ended.code, ended.err) == (0, "")
    assert "6 of 7 runs passed (1 flaky), 1 failed." in ended.out
    assert ended.out.count("Expected a confirmation") >= 4
    assert "The red is on purpose" in ended.out
    assert "http://127.0.0.1" in ended.out
    assert "| What | State | Time | Link |" in ended.out
    assert "    - id: cm8d9gt6v000c9fe5glmyi33u" in ended.out
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    report = Path(ended.out.splitlines()[-1].strip())
    assert report == tmp_path / "demo" / "results" / "report.html"
    assert "6 of 7 runs passed" in report.read_text("utf-8")
    assert len(list((report.parent / "evidence").glob("*/video.webm"))) == 7


def test_demo_keeps_existing_manifest(tmp_path: Path) -> None:
    """The demo refuses a folder that has a manifest."""
    (tmp_path / "autonoma.yml").write_text("version: 1", "utf-8")
    ended = invoke(tmp_path, "demo", "--output", ".")
    assert ended.code == 2
    assert (tmp_path / "autonoma.yml").read_text("utf-8") == "version: 1"


def test_sandbox_serves_until_signal(tmp_path: Path) -> None:
    """The sandbox answers requests of another process until SIGTERM."""
    environ = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout
        url = process.stdout.readline().split()[2].rstrip(";,")
        ended = invoke(tmp_path, "--test-ids", "a,sandbox-404", environ=CREDENTIALS | {"AUTONOMA_API_URL": url})
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, ended.code) == (143, 4)
    assert "sandbox-404" in out
    assert "POST /api/test/a/run 200 source=cli" in out


@pytest.mark.parametrize("port", ["x", "70000", "-1"])
def test_sandbox_refuses_invalid_port(port: str, tmp_path: Path) -> None:
    """An invalid port is an input error."""
    ended = invoke(tmp_path, "sandbox", f"--port={port}")
    assert ended.code == 2
    assert "--port" in ended.err


def test_sandbox_refuses_used_port(tmp_path: Path) -> None:
    """A port that is in use is an input error."""
    with Sandbox() as sandbox:
        ended = invoke(tmp_path, "sandbox", "--port", sandbox.url.split(":")[2].removesuffix("/api"))
    assert ended.code == 2
    assert "give another with --port" in ended.err


def test_closed_log_pipe_keeps_runs(tmp_path: Path) -> None:
    """A closed pipe loses the log, but the runs start."""
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": "a,b",
            "PATH": os.environ["PATH"],
        }
        reader, writer = os.pipe()
        os.close(reader)
        ran = subprocess.run(COMMAND, env=environ, cwd=tmp_path, stdout=writer, stderr=writer, check=False, timeout=60)
        os.close(writer)
        assert ran.returncode == 0
        assert len(sandbox.received) == 2


LITTER = """
import weakref
from autonoma_ci import cli

class Circle:
    def __init__(self):
        self.own = self

def main(argv, world):
    first = weakref.ref(Circle())
    for _ in range(100_000):
        Circle()
    return 0 if first() is None else 1

cli.run_command = main
cli.main()
"""


def test_reference_cycles_are_collected() -> None:
    """Garbage collection stays on, because it alone frees reference cycles of requests."""
    assert subprocess.run([sys.executable, "-c", LITTER], check=False, timeout=60).returncode == 0
