"""The command as a user has it: each command, its help, and the ways out."""

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
from tests.commands.invoke import CREDENTIALS, invoke
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
    ended = invoke(tmp_path, command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"usage: autonoma-ci {command}")


def test_the_help_lists_the_commands_and_version_tells_the_version(tmp_path: Path) -> None:
    assert all(f"  {command} " in invoke(tmp_path, "--help").out for command in COMMANDS)
    assert invoke(tmp_path, "--version").out == f"autonoma-ci {autonoma_ci.__version__}\n"


@pytest.mark.parametrize(
    ("word", "says"),
    [("validat", "did you mean validate?"), ("wiat", "did you mean wait?"), ("frobnicate", "known are run")],
)
def test_an_unknown_command_is_an_error_that_helps(word: str, says: str, tmp_path: Path) -> None:
    ended = invoke(tmp_path, word)
    assert ended.code == 2
    assert says in ended.err


def test_the_default_command_is_run(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url}
        assert invoke(tmp_path, "--test-ids", "a", environ=environ).code == 0
        assert invoke(tmp_path, "run", "--test-ids", "b", environ=environ).code == 0
        assert invoke(tmp_path, environ=environ | {"AUTONOMA_TEST_IDS": "c"}).code == 0
        assert [sandbox.count_starts(test_id) for test_id in "abc"] == [1, 1, 1]


@pytest.mark.parametrize(
    "environ", [{}, {"CI": "false"}, {"AUTONOMA_CI": "cli", "CI": "true"}, {"AUTONOMA_TEST_IDS": "a"}]
)
def test_command_alone_at_a_terminal_prints_help(environ: dict[str, str], tmp_path: Path) -> None:
    """It ends with what to type next."""
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
def test_command_in_ci_or_with_arguments_runs(
    environ: dict[str, str], argv: tuple[str, ...], typed: str | None, tmp_path: Path
) -> None:
    """A job has no terminal, or says that it is one; whoever gives an argument wants a run."""
    ended = invoke(tmp_path, *argv, environ=environ, typed=typed)
    assert ended.code == 2
    assert "client-id and client-secret are missing" in ended.err


def test_module_and_command_are_the_same_program(tmp_path: Path) -> None:
    """`python -m autonoma_ci` has the same help, at a real terminal too."""
    command = [sys.executable, "-m", "autonoma_ci"]
    shown = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout == invoke(tmp_path, "--help").out
    ours, theirs = os.openpty()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(autonoma_ci.__file__).parent.parent)}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        printed = read_terminal(ours)
    assert (process.returncode, printed.decode().replace("\r\n", "\n")) == (0, shown.stdout)


def test_a_manifest_starts_tests_folders_and_tags(tmp_path: Path) -> None:
    """The default manifest is found, facts of the build are filled in, and text arrives as written."""
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
def test_the_api_is_told_who_asks(environ: dict[str, str], source: str, tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        environ = CREDENTIALS | environ | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TEST_IDS": "a"}
        invoke(tmp_path, environ=environ)
        invoke(tmp_path, "--source", "mine", environ=environ)
        assert [entry.source for entry in sandbox.received] == [source, "mine"]


def test_a_dry_run_prints_the_plan_and_sends_nothing(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        ended = invoke(tmp_path, "--dry-run", "--test-ids", "L=a,b", "--var", "KEY=hidden", "--api-url", sandbox.url)
        assert sandbox.received == []
    assert ended.code == 0
    assert "test L (a): variables KEY" in ended.out
    assert "Dry run: 2 runs planned, nothing was sent." in ended.out
    assert "hidden" not in ended.printed


def test_nothing_selected_passes_only_if_that_is_allowed(tmp_path: Path) -> None:
    assert invoke(tmp_path, environ=CREDENTIALS).code == 2
    ended = invoke(tmp_path, "--allow-empty", environ=CREDENTIALS)
    assert (ended.code, ended.out.strip()) == (0, "Nothing was selected, so nothing was started.")


def test_validate_needs_neither_credentials_nor_a_ci_system(tmp_path: Path) -> None:
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
def test_validate_says_what_is_wrong(argv: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("test: [a]\n", "utf-8")
    ended = invoke(tmp_path, "validate", *argv)
    assert ended.code == 2
    assert says in ended.err


def test_problems_of_a_manifest_are_annotations_on_github(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("tests:\n  - a/b\n", "utf-8")
    ended = invoke(tmp_path, "validate", "bad.yml", environ={"GITHUB_ACTIONS": "true"})
    assert ended.err.startswith("::error file=bad.yml,line=2,col=5::bad.yml:2:5: 'a/b' is not an id")


def test_ten_thousand_tests_in_one_file_are_checked(tmp_path: Path) -> None:
    entries = [
        f"  - {{id: t{n}, name: Test {n}, groups: [g{n % 9}], variables: {{USER: u{n}}}}}" for n in range(10_000)
    ]
    (tmp_path / "big.yml").write_text("\n".join(["tests:", *entries]), "utf-8")
    assert "10,000 tests" in invoke(tmp_path, "validate", "big.yml").out


def test_the_schema_is_one_and_takes_what_the_reader_takes(tmp_path: Path) -> None:
    schema = json.loads(invoke(tmp_path, "schema").out)
    assert schema == manifest_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(MANIFEST), schema)


def test_the_schema_of_the_record_is_asked_for_by_its_name(tmp_path: Path) -> None:
    assert "runs" in json.loads(invoke(tmp_path, "schema", "results").out)["required"]
    refused = invoke(tmp_path, "schema", "reports")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "Error: there is no schema of that: give manifest or results\n"


@pytest.mark.parametrize(
    "text", ["test: [a]", "tests: [{name: x}]", "tests: [a/b]", "tests: [{id: a, variables: {A: [1]}}]", "tests: a",
             "version: 2", "tests: [{id: a, matrix: {A: []}}]", "tests: [{id: a, nam: b}]"]
)  # fmt: skip
def test_the_schema_refuses_what_the_reader_refuses(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(text, "utf-8")
    assert invoke(tmp_path, "validate", "bad.yml").code == 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), manifest_json_schema())


def test_the_demo_needs_nothing_and_shows_links_and_summary(tmp_path: Path) -> None:
    """It stays out of the outputs of a job around it, and ends with a report to open."""
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


def test_the_demo_leaves_the_users_manifest_alone(tmp_path: Path) -> None:
    (tmp_path / "autonoma.yml").write_text("version: 1", "utf-8")
    ended = invoke(tmp_path, "demo", "--output", ".")
    assert ended.code == 2
    assert (tmp_path / "autonoma.yml").read_text("utf-8") == "version: 1"


def test_the_sandbox_serves_until_a_signal(tmp_path: Path) -> None:
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
def test_a_port_that_is_none_is_an_error(port: str, tmp_path: Path) -> None:
    ended = invoke(tmp_path, "sandbox", f"--port={port}")
    assert ended.code == 2
    assert "--port" in ended.err


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        ended = invoke(tmp_path, "sandbox", "--port", sandbox.url.split(":")[2].removesuffix("/api"))
    assert ended.code == 2
    assert "give another with --port" in ended.err


def test_a_log_that_nobody_reads_does_not_stop_the_job(tmp_path: Path) -> None:
    """A closed pipe costs the log, not the runs."""
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


def test_a_long_job_gives_back_what_its_requests_leave_behind() -> None:
    """Exceptions, answers and timers that name each other are freed only by the collector of garbage."""
    assert subprocess.run([sys.executable, "-c", LITTER], check=False, timeout=60).returncode == 0
