"""Internal errors whose exception holds a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from autonoma_ci.ci import detection
from tests.system.security.redaction.echo_server import EchoResponse, EchoServer, run_echo_job

if TYPE_CHECKING:
    from pathlib import Path

SYSTEMS = {
    "github": {"GITHUB_ACTIONS": "true"},
    "gitlab": {"GITLAB_CI": "true"},
    "jenkins": {"JENKINS_URL": "x"},
    "": {},
}


def _raise_error(*args: object, **kwargs: object) -> NoReturn:
    raise RuntimeError("sentinel-secret", {"PASSWORD": "sentinel-value"}) from ValueError("sentinel-cause")


def _build_environ(folder: Path, url: str, system: str) -> dict[str, str]:
    return SYSTEMS[system] | {
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "AUTONOMA_CLIENT_ID": "sentinel-client",
        "AUTONOMA_CLIENT_SECRET": "sentinel-secret",
        "AUTONOMA_API_URL": url,
        "AUTONOMA_TEST_IDS": "one",
        "AUTONOMA_VARIABLES": "PASSWORD=sentinel-value",
        "AUTONOMA_RESULTS_DIR": "results",
        "AUTONOMA_WAIT": "true",
    }


@pytest.mark.parametrize("verbose", ["false", "true"])
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "function_path",
    [
        "autonoma_ci.commands.run.detect_ci",
        "autonoma_ci.app.inputs.load_settings",
        "autonoma_ci.planning.plan.build_plan",
        "autonoma_ci.engine.engine.Engine.run",
        "autonoma_ci.engine.starter.RunStarter.handle_result",
        "autonoma_ci.engine.poller.Poller.handle_status",
        "autonoma_ci.api.transport.Transport.__init__",
        "autonoma_ci.app.job_step.compute_verdict",
        "autonoma_ci.app.job_step.format_summary_lines",
        "autonoma_ci.reports.results_dir.render_results_json",
    ],
)
def test_bug_hides_values(
    function_path: str,
    system: str,
    verbose: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The exit code is 70, and the report has no secret."""
    monkeypatch.setattr(function_path, _raise_error)
    with EchoServer(lambda *_: EchoResponse(200, {"run_id": "r1", "status": "passed"})) as server:
        environ = _build_environ(tmp_path, server.url, system) | {"AUTONOMA_VERBOSE": verbose}
        result = run_echo_job(tmp_path, environ)
    assert result.code == 70
    assert "RuntimeError" in result.log
    assert "test_internal_errors.py" in result.log
    # The hint about commands that run a failure again has the name.
    assert "PASSWORD" not in result.log.replace("Add --var for PASSWORD.", "") or verbose == "true"
    assert "sentinel" not in result.all_text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("function_path", "code"),
    # Without a connection, nothing was sent. Later, the run may have started.
    [("autonoma_ci.api.client.build_start_body", 5), ("autonoma_ci.api.responses.parse_start_response", 7)],
)
def test_bug_in_thread_hides_values(
    function_path: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The exit code says whether the run may have started."""
    monkeypatch.setattr(function_path, _raise_error)
    with EchoServer(lambda *_: EchoResponse(200, {"run_id": "r1", "status": "passed"})) as server:
        result = run_echo_job(tmp_path, _build_environ(tmp_path, server.url, "github"))
    assert result.code == code
    assert "unexpected RuntimeError" in result.log
    assert "sentinel" not in result.all_text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_manifest_cannot_read_ci_credentials(command: str, system: str, tmp_path: Path) -> None:
    """Each credential of each CI system is refused in a manifest."""
    names = {name.replace("*", "X") for name in detection.all_secret_variables()}
    names |= {"AUTONOMA_CLIENT_SECRET", "INPUT_CLIENT_SECRET", "AUTONOMA_CLIENT_ID"}
    text = "tests:\n" + "".join(f"  - {{id: a, variables: {{V: '${{{name}}}'}}}}\n" for name in sorted(names))
    (tmp_path / "autonoma.yml").write_text(text + "  - {id: '${ID}', name: '${DB_PASSWORD}'}\n", "utf-8")
    environ = _build_environ(tmp_path, "http://127.0.0.1:9", system) | dict.fromkeys(names, "sentinel-of-the-job")
    del environ["AUTONOMA_TEST_IDS"]
    result = run_echo_job(tmp_path, environ | {"ID": "sentinel/id", "DB_PASSWORD": "sentinel-database"}, command)
    assert result.code == 2
    assert "sentinel" not in result.all_text
    assert result.log.count("contains a credential of this job") == len(names)
