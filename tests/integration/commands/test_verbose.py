"""The debug log of complete commands."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.commands import schema
from autonoma_ci.errors import Cancelled
from autonoma_ci.sandbox import Sandbox
from tests.support import faults
from tests.support.fault_server import FaultServer
from tests.support.github_job import LONG_TIMEOUTS, POLL_POLICY, START_POLICY
from tests.support.invoke_command import CREDENTIALS, CommandResult, FakeTerminal, invoke

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import NoReturn

    from tests.support.fault_server import Connection

TIME = r"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z "
SYSTEMS = {
    "github": {"GITHUB_ACTIONS": "true", "GITHUB_JOB": "e2e"},
    "gitlab": {"GITLAB_CI": "true", "CI_JOB_NAME": "e2e"},
    "azure": {"TF_BUILD": "True", "SYSTEM_JOBNAME": "e2e"},
    "cli": {},
}


def run_command(folder: Path, environ: Mapping[str, str], *argv: str, terminal: bool = False) -> CommandResult:
    out, err = FakeTerminal() if terminal else io.StringIO(), io.StringIO()
    runtime = Runtime(
        CREDENTIALS | dict(environ), out, err, str(folder),
        timeouts=LONG_TIMEOUTS, start_policy=START_POLICY, poll_policy=POLL_POLICY,
    )  # fmt: skip
    return CommandResult(cli.run_command(argv, runtime), out.getvalue(), err.getvalue())


def read_debug_lines(log: str, prefix: str = "") -> list[str]:
    """Return the lines of the debug log without time and durations."""
    lines = [line.removeprefix(prefix) for line in log.splitlines() if line.startswith(prefix)]
    texts = [re.sub(f"^{TIME}", "", line) for line in lines if re.match(TIME, line)]
    return [re.sub(r"[0-9]+\.[0-9]+ s\b", "N s", text) for text in texts]


@pytest.mark.parametrize("system", SYSTEMS)
def test_run_logs_requests_and_decisions(system: str, tmp_path: Path) -> None:
    """The log has requests, responses, a retry, polls, files and publishers."""
    status = faults.send_response(200, json.dumps({"status": "passed"}))
    handlers = {
        "a": [faults.send_response(429, "{}"), faults.send_started_run],
        "run-of-a": [faults.send_response(503, "{}"), faults.reset, status],
    }
    environ = SYSTEMS[system] | {"AUTONOMA_VERBOSE": "true", "AUTONOMA_RESULTS_DIR": "results"}
    with FaultServer(faults.send_response(404), handlers) as server:
        environ |= {"AUTONOMA_API_URL": server.url, "AUTONOMA_TEST_IDS": "a", "AUTONOMA_WAIT": "true"}
        result = run_command(tmp_path, environ, terminal=system == "cli")
    assert result.code == 0, result.output
    lines = read_debug_lines(result.out, "##[debug]" if system == "azure" else "")
    size = (tmp_path / "results" / "junit.xml").stat().st_size
    variables = [name for name in SYSTEMS[system] if "JOB" not in name]
    origin = f"from {', '.join(variables)}" if variables else "no variable of a CI system"
    assert lines[0] == f"CI system: {system} ({origin})"
    assert lines[1] == f"Build: ci_name={system}{', job_name=e2e' if system != 'cli' else ''}"
    assert lines[2].startswith("Options: AUTONOMA_API_URL, ")
    expected = [
        "Plan: 1 run, shard none",
        "POST /test/a/run",
        "POST /test/a/run: HTTP 429 (2 bytes, N s)",
        "POST /test/a/run",
        "GET /run/run-of-a/status",
        "GET /run/run-of-a/status: HTTP 503 (2 bytes, N s)",
        "No poll for N s (rate limit, pause factor 2.0)",
        "GET /run/run-of-a/status",
        "GET /run/run-of-a/status",
        "No further poll of a after poll 3: passed",
        "Publishing: ResultsDirPublisher",
        f"Wrote {tmp_path / 'results' / 'junit.xml'} ({size} bytes)",
    ]
    remaining = iter(lines)
    assert [text for text in expected if text not in remaining] == [], lines
    assert any(line.startswith("GET /run/run-of-a/status failed (N s): the connection") for line in lines)
    assert any(line.startswith("Retry of the start of a in N s (request 2): HTTP 429") for line in lines)
    assert any(line.startswith("Next poll of a in N s (age 0 s, ") for line in lines)


@pytest.mark.parametrize("system", SYSTEMS)
def test_log_is_off_by_default(system: str, tmp_path: Path) -> None:
    """Without the option, no line has a time."""
    with Sandbox() as sandbox:
        environ = SYSTEMS[system] | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TEST_IDS": "a"}
        result = run_command(tmp_path, environ)
    assert result.code == 0
    assert not re.search(TIME, result.output)


@pytest.mark.parametrize(
    ("environ", "is_on"),
    [
        ({"GITHUB_ACTIONS": "true", "RUNNER_DEBUG": "1"}, True),
        ({"GITHUB_ACTIONS": "true", "GITEA_ACTIONS": "true", "RUNNER_DEBUG": "1"}, True),
        ({"GITHUB_ACTIONS": "true", "FORGEJO_ACTIONS": "true", "RUNNER_DEBUG": "1"}, True),
        ({"GITHUB_ACTIONS": "true", "RUNNER_DEBUG": "1", "INPUT_VERBOSE": "false"}, True),
        ({"TF_BUILD": "True", "SYSTEM_DEBUG": "True"}, True),
        ({"TF_BUILD": "True", "SYSTEM_DEBUG": "false"}, False),
        ({"GITLAB_CI": "true", "RUNNER_DEBUG": "1"}, False),
        ({"AUTONOMA_DEBUG": "true"}, False),
    ],
)
def test_debug_run_of_system_turns_log_on(environ: dict[str, str], is_on: bool, tmp_path: Path) -> None:
    """AUTONOMA_DEBUG belongs to other programs of the vendor."""
    result = run_command(tmp_path, environ, "run", "--test-ids", "a", "--dry-run")
    assert result.code == 0
    assert bool(re.search(TIME, result.out)) == is_on
    assert "unknown variable" not in result.output


def test_list_logs_to_standard_error(tmp_path: Path) -> None:
    """Standard output is only for the product of the command."""
    with Sandbox() as sandbox:
        result = run_command(tmp_path, {"AUTONOMA_API_URL": sandbox.url}, "list", "--json", "--verbose")
    assert json.loads(result.out)
    lines = read_debug_lines(result.err)
    assert "GET /folder?limit=100&offset=0" in lines
    # The command has no variables, so its first lines are complete.
    assert [line.partition(":")[0] for line in lines[:3]] == ["CI system", "Build", "Options"]


def test_init_logs_written_manifest(tmp_path: Path) -> None:
    """The log has the path and the size of the manifest."""
    with Sandbox() as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_VERBOSE": "true"}
        result = run_command(tmp_path, environ, "init", "--all")
    path = tmp_path / "autonoma.yml"
    assert f"Wrote {path} ({path.stat().st_size} bytes)" in read_debug_lines(result.err)


def test_wait_and_report_log_their_files(tmp_path: Path) -> None:
    """Both commands read the same option."""
    with Sandbox(pace=0) as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_VERBOSE": "true"}
        run_command(tmp_path, environ, "run", "--test-ids", "a", "--results-dir", "results")
        wait = run_command(tmp_path, environ, "wait", "results")
        report = run_command(tmp_path, environ, "report", "results", "--format", "markdown")
    assert (wait.code, report.code) == (0, 0)
    assert any(re.fullmatch("GET /run/[^/]+/status", line) for line in read_debug_lines(wait.out))
    path = tmp_path / "results" / "summary.md"
    assert f"Wrote {path} ({path.stat().st_size} bytes)" in read_debug_lines(report.err)


def test_download_logs_host_only(tmp_path: Path) -> None:
    """A signed URL gives access to its file, and the path of the file is absolute."""
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    with Sandbox(pace=0) as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_VERBOSE": "true", "AUTONOMA_WAIT": "true"}
        environ |= {"AUTONOMA_TEST_IDS": "a", "AUTONOMA_EVIDENCE": "all", "AUTONOMA_RESULTS_DIR": "results"}
        result = run_command(link, environ)
    lines = read_debug_lines(result.out)
    downloads = [line for line in lines if "a file" in line]
    assert set(downloads) == {"GET a file from 127.0.0.1", "GET a file from 127.0.0.1: HTTP 200 (N s)"}
    evidence = re.escape(str(folder / "results" / "evidence"))
    assert any(re.fullmatch(rf"Wrote {evidence}/[^/]+/video\.webm \([0-9]+ bytes\)", line) for line in lines)


def test_wait_for_url_logs_attempts(tmp_path: Path) -> None:
    """Login and query of the URL are left out."""
    handlers = {"ready": [faults.send_response(503), faults.send_response(200)]}
    with FaultServer(faults.send_response(404), handlers) as server, Sandbox() as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_VERBOSE": "true", "AUTONOMA_TEST_IDS": "a"}
        host = f"http://127.0.0.1:{server.port}"
        result = run_command(tmp_path, environ | {"AUTONOMA_WAIT_FOR_URL": f"{host}/test/ready/run?key=sentinel"})
    lines = read_debug_lines(result.out)
    url = f"{host}/test/ready/run"
    assert [line for line in lines if url in line] == [
        f"GET {url}",
        f"GET {url}: not ready (N s): HTTP 503",
        f"Retry of GET {url} in N s",
        f"GET {url}",
        f"GET {url}: ready (N s)",
    ]


def test_publishers_log_requests_and_files(tmp_path: Path) -> None:
    """Requests to a CI system have its host, and a retry has its delay."""
    responses = [faults.send_response(429, "", "Retry-After: 0"), faults.send_response(200, "{}")]

    def respond(connection: Connection) -> bool:
        return (responses.pop(0) if len(responses) > 1 else responses[0])(connection)

    with FaultServer(respond) as server, Sandbox() as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_VERBOSE": "true", "AUTONOMA_TEST_IDS": "a"}
        environ |= {"APPVEYOR": "True", "APPVEYOR_API_URL": f"http://127.0.0.1:{server.port}/"}
        appveyor = read_debug_lines(run_command(tmp_path, environ).out)
        environ |= {"APPVEYOR": "", "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "output")}
        github = read_debug_lines(run_command(tmp_path, environ).out)
    assert "POST 127.0.0.1/api/build/variables" in appveyor
    assert "POST 127.0.0.1/api/build/variables: HTTP 200 (2 bytes, N s)" in appveyor
    assert any(line.startswith("Retry of POST in N s: ") for line in appveyor)
    assert any(line.startswith("POST 127.0.0.1/api/build/variables failed (N s): ") for line in appveyor)
    assert any(re.fullmatch(rf"Appended to {tmp_path / 'output'} \([0-9]+ bytes\)", line) for line in github)


def test_list_logs_retry(tmp_path: Path) -> None:
    """The log has the delay and the reason."""
    responses = iter([faults.send_response(503, "", "Retry-After: 0"), faults.send_response(200, "[]")])

    def respond(connection: Connection) -> bool:
        return next(responses)(connection)

    with FaultServer(respond) as server:
        result = run_command(tmp_path, {"AUTONOMA_API_URL": server.url}, "list", "--verbose")
    assert result.code == 0
    assert "Retry of the folder list in N s: HTTP 503" in read_debug_lines(result.err)


def test_manifest_and_its_values_are_logged_safely(tmp_path: Path) -> None:
    """The values of a manifest are redacted as soon as they are known."""
    text = "tests: [{id: a, name: the sentinel-value of shop, variables: {A: sentinel-value, B: '${DB}'}}]"
    (tmp_path / "autonoma.yml").write_text(text, "utf-8")
    echo = faults.send_response(429, json.dumps({"message": "sentinel-value sentinel-database"}), "Retry-After: 0")
    with FaultServer(faults.send_started_run, {"a": [echo, faults.send_started_run]}) as server:
        environ = {"AUTONOMA_API_URL": server.url, "AUTONOMA_VERBOSE": "true", "DB": "sentinel-database"}
        result = run_command(tmp_path, environ)
    assert result.code == 0
    lines = read_debug_lines(result.out)
    assert "Manifest: autonoma.yml" in lines
    assert any(line.startswith("Retry of the start of the *** of shop in N s (request 2): HTTP 429") for line in lines)
    assert "sentinel" not in "".join(lines)


@pytest.mark.parametrize(
    ("key", "code"),
    # With an unknown key, the manifest is invalid. Then early lines are left out.
    [("tests", 0), ("test", 2)],
)
def test_early_lines_hide_values(key: str, code: int, tmp_path: Path) -> None:
    """The build and the first files are logged before the manifest is read."""
    folder = tmp_path / "sentinel-of-manifest"
    folder.mkdir()
    value = "sentinel-of-manifest" if code == 0 else "of-manifest"
    text = f"{key}: [{{id: a, variables: {{A: {value}}}}}]"
    (folder / "autonoma.yml").write_text(text, "utf-8")
    with FaultServer(faults.send_started_run) as server:
        environ = {"AUTONOMA_API_URL": server.url, "AUTONOMA_VERBOSE": "true", "AUTONOMA_RESULTS_DIR": "results"}
        environ |= {"AUTONOMA_VARIABLES": "B=sentinel", "TF_BUILD": "True", "SYSTEM_JOBNAME": value}
        result = run_command(folder, environ)
    assert result.code == code, result.output
    lines = read_debug_lines(result.out, "##[debug]")
    if code == 0:
        assert lines[1] == "Build: ci_name=azure, job_name=***"
        assert [line.partition(" ")[0] for line in lines[:2]] == ["CI", "Build:"]
        assert "Manifest: autonoma.yml" in lines
    else:
        assert re.fullmatch(r"\d+ debug lines left out: values of variables are unknown\.", lines[0])
        assert not [line for line in lines if line.startswith("Build:")]
    assert any(line.startswith(f"Wrote {tmp_path / '***'}") for line in lines)
    times = re.findall(f"^##\\[debug\\]({TIME})", result.out, re.MULTILINE)
    assert times == sorted(times)
    assert "sentinel" not in "".join(lines)


def test_signal_before_manifest_hides_early_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest can contain a value that an early line shows."""

    def cancel(*_: object) -> NoReturn:
        raise Cancelled(15)

    monkeypatch.setattr("autonoma_ci.commands.run.add_plan", cancel)
    environ = {"AUTONOMA_VERBOSE": "true", "GITLAB_CI": "true", "CI_JOB_NAME": "sentinel"}
    result = run_command(tmp_path, environ, "run", "--test-ids", "a")
    assert result.code == 143
    lines = read_debug_lines(result.out)
    assert [line for line in lines if re.fullmatch("[0-9]+ debug lines? left out: .*", line)] == lines != []
    assert "sentinel" not in "".join(lines)


@pytest.mark.parametrize("command", ["wait", "report"])
def test_later_commands_hide_values_of_manifest(command: str, tmp_path: Path) -> None:
    """The paths of files and the build can contain a value of the manifest."""
    folder = tmp_path / "sentinel-of-manifest"
    folder.mkdir()
    (folder / "autonoma.yml").write_text("tests: [{id: a, variables: {A: sentinel-of-manifest}}]", "utf-8")
    with Sandbox(pace=0) as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "GITLAB_CI": "true", "CI_JOB_NAME": "sentinel-of-manifest"}
        assert run_command(folder, environ, "run", "--results-dir", "results").code == 0
        format_flag = ("--format", "markdown") if command == "report" else ()
        result = run_command(folder, environ, command, "results", "--verbose", *format_flag)
    assert result.code == 0, result.output
    lines = read_debug_lines(result.err if command == "report" else result.out)
    assert lines[1] == "Build: ci_name=gitlab, job_name=***"
    assert any(line.startswith(f"Wrote {tmp_path / '***' / 'results' / 'summary.md'} (") for line in lines)
    assert "sentinel" not in "".join(lines)


@pytest.mark.parametrize(
    ("command", "function"),
    [("wait", "autonoma_ci.engine.engine.Engine.run"), ("report", "autonoma_ci.commands.report.report_from_results")],
)
def test_later_bug_reports_hide_values_of_manifest(
    command: str, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of an internal error can contain a value of the manifest."""

    def fail(*_: object) -> NoReturn:
        raise RuntimeError("no place for sentinel-value on shelves")

    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, variables: {A: sentinel-value}}]", "utf-8")
    with Sandbox(pace=0) as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url}
        assert run_command(tmp_path, environ, "run", "--results-dir", "results").code == 0
        monkeypatch.setattr(function, fail)
        format_flag = ("--format", "markdown") if command == "report" else ()
        result = run_command(tmp_path, environ, command, "results", "--verbose", *format_flag)
    assert result.code == 70
    assert "  no place for *** on shelves" in result.err.splitlines()
    assert "sentinel" not in result.output


def test_next_poll_names_last_status(tmp_path: Path) -> None:
    """The line has the status as the server names it, or the error."""
    statuses = [faults.send_response(200, json.dumps({"status": name})) for name in ("queued", "passed")]
    responses = [faults.send_response(500, "{}"), *statuses]
    with FaultServer(faults.send_started_run, {"run-of-a": responses}) as server:
        result = run_command(tmp_path, {"AUTONOMA_API_URL": server.url}, "run", "--test-ids=a", "--wait", "--verbose")
    assert result.code == 0, result.output
    matches = [re.fullmatch(r"Next poll of a in N s \(age 0 s, (.*)\)", line) for line in read_debug_lines(result.out)]
    assert [match[1] for match in matches if match] == ["no poll yet", "HTTP 500", "status queued"]


def test_live_table_is_off(tmp_path: Path) -> None:
    """Lines of the debug log would break the table of a terminal."""
    with Sandbox(pace=0) as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TEST_IDS": "a", "TERM": "xterm"}
        result = run_command(tmp_path, environ, "run", "--wait", "--verbose", terminal=True)
    assert result.code == 0
    assert "\x1b" not in result.out


def _raise_import_error(*_: object) -> NoReturn:
    raise ModuleNotFoundError("No module named 'missing.part' (sentinel)", name="missing.part")


def test_bug_report_names_missing_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name shows which package is damaged or not installed."""
    monkeypatch.setattr(schema, "main", _raise_import_error)
    result = invoke(tmp_path, "schema")
    assert result.code == 70
    assert result.err.splitlines()[2:4] == ["  builtins.ModuleNotFoundError", "  module: missing.part"]
    assert "sentinel" not in result.err


@pytest.mark.parametrize("name", ["", "a b", "::error::x", "a\nb", "x" * 100, "a." * 20 + "b"])
def test_bug_report_hides_invalid_module(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any code can raise an ImportError with any name."""

    def fail(*_: object) -> NoReturn:
        raise ImportError("text", name=name)

    monkeypatch.setattr(schema, "main", fail)
    assert "module: " not in invoke(tmp_path, "schema").err


@pytest.mark.parametrize(
    ("variables", "has_message"), [({}, False), ({"AUTONOMA_VARIABLES": "A=sentinel-value"}, True)]
)
def test_wait_hides_message_with_unknown_value(
    variables: dict[str, str], has_message: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the variables, a value in the message would not be recognized."""

    def fail(*_: object) -> NoReturn:
        raise RuntimeError("no place for sentinel-value on shelves")

    with Sandbox(pace=0) as sandbox:
        environ = {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_VERBOSE": "true"}
        argv = ("--test-ids", "a", "--results-dir", "results", "--var", "A=sentinel-value")
        assert run_command(tmp_path, environ, "run", *argv).code == 0
        monkeypatch.setattr("autonoma_ci.engine.engine.Engine.run", fail)
        result = run_command(tmp_path, environ | variables, "wait", "results")
    assert result.code == 70
    assert ("  no place for *** on shelves" in result.err.splitlines()) == has_message
    assert "sentinel" not in result.output


@pytest.mark.parametrize(
    ("function", "message"),
    [
        # The values of a manifest are not known yet.
        ("autonoma_ci.commands.run.add_plan", None),
        ("autonoma_ci.engine.engine.Engine.run", "  no place for *** and *** and *** on 3 shelves"),
    ],
)
def test_verbose_bug_report_has_message(
    function: str, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has no credential, no value and no variable of the job."""

    def fail(*_: object) -> NoReturn:
        secrets = f"{CREDENTIALS['AUTONOMA_CLIENT_SECRET']} and sentinel-value and sentinel-of-the-job"
        raise RuntimeError(f"no place for {secrets} on 3 shelves")

    monkeypatch.setattr(function, fail)
    environ = {
        "AUTONOMA_API_URL": "http://127.0.0.1:9",
        "AUTONOMA_TEST_IDS": "a",
        "CI_JOB_TOKEN": "sentinel-of-the-job",
    }
    for verbose in ("false", "true"):
        result = run_command(tmp_path, environ | {"AUTONOMA_VERBOSE": verbose}, "run", "--var", "A=sentinel-value")
        assert result.code == 70
        lines = result.err.splitlines()
        assert (message in lines) == (verbose == "true" and message is not None)
        assert "sentinel" not in result.output
        assert "shelves" not in result.output.replace(message or "-", "")
