"""Check what must hold for every job after any fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.github_job import read_outputs
from tests.support.proxy import PASSWORD
from tests.system.faults.fault_case import Phase
from tests.system.faults.harness import AFFECTED_ID, IDS, SIGNATURE
from tests.system.security.redaction import secret_markers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.faults.harness import FaultScenario
    from tests.system.faults.job_runner import ProcessResult

_STATES = {"starting", "started", "not-started", "unknown", "passed", "failed", "timed-out"}
# Seconds by the job's own clock until results.json is written for the last time.
_MAX_RESULTS_SECONDS = 120.0
# In MiB. A job with one screenshot and all reports uses about 55. An endless response must not be stored.
_MAX_MEGABYTES = 150.0


def assert_job_is_correct(scenario: FaultScenario, result: ProcessResult) -> None:
    """Check that the fault occurred and that the job handled it correctly."""
    case = scenario.case
    assert "Traceback" not in result.log
    assert result.seconds < case.max_seconds, f"it took {result.seconds:.0f} s"
    assert result.megabytes < _MAX_MEGABYTES, f"it took {result.megabytes:.0f} MiB"
    assert_fault_occurred(scenario, result.log)
    assert_no_secret_shown(scenario, result.log)
    assert_credentials_separated(scenario)
    assert not list(scenario.outside_dir.iterdir()), "something was written outside"
    if case.is_input_error:
        assert_no_api_request(scenario, result.code)
        return
    assert_started_once(scenario)
    if case.is_single:
        assert_results_are_complete(scenario)
    if case.kills_job:
        assert_killed_job_is_consistent(scenario)
    else:
        assert_all_runs_reported(scenario, result)


def assert_fault_occurred(scenario: FaultScenario, log: str) -> None:
    """Check that the fault occurred in its phase."""
    case = scenario.case
    if (case.request_fault or case.connection_fault or case.tunnel_fault) and not case.log_text:
        assert scenario.fault_count, "the fault did not occur"
    elif scenario.phase is not Phase.WHOLE_JOB:
        assert scenario.has_begun, "the job did not reach the phase of the fault"
    # A short fault is not logged.
    assert case.log_text in log or scenario.phase is Phase.SHORT_WAIT, f"the log does not say {case.log_text!r}"
    if scenario.phase is Phase.PLAN:
        notices = [line for line in log.splitlines() if line.startswith("::notice")]
        assert len(notices) == 1, f"{len(notices)} notices"
        assert case.log_text in notices[0]
    if "log" in case.lost_reports:
        assert "of 3 runs passed" not in log


def assert_no_secret_shown(scenario: FaultScenario, log: str) -> None:
    """Check that neither the log nor a file contains a secret."""
    visible_log = "\n".join(line for line in log.split("\n") if not line.startswith("::add-mask::"))
    texts = {"log": visible_log}
    for path in scenario.folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and scenario.faults_dir not in path.parents:
            texts[str(path.relative_to(scenario.folder))] = path.read_bytes().decode("utf-8", "replace")
    assert not secret_markers.find_leaks(texts)
    for source, text in texts.items():
        assert SIGNATURE not in text, source
        assert PASSWORD not in text, source


def assert_credentials_separated(scenario: FaultScenario) -> None:
    """Check that no server receives the credentials of another one."""
    for request in scenario.api.received_requests:
        assert secret_markers.TOKEN not in str(request.headers)
    for request in [*scenario.media.received_requests, *scenario.code_host.received_requests]:
        assert not {"autonoma-client-id", "autonoma-client-secret"} & set(request.headers)
        assert not secret_markers.find_leaks({"request": f"{request.path} {request.headers}"}, "token")
    for request in scenario.media.received_requests:
        assert "authorization" not in request.headers


def assert_no_api_request(scenario: FaultScenario, code: int) -> None:
    """Check that the API received nothing and that the outputs agree."""
    assert scenario.api.connection_count == scenario.media.connection_count == 0
    outputs = read_outputs((scenario.folder / "output").read_text("utf-8"))
    expected = {0: ("skipped", "ok"), 2: ("error", "input")}[code]
    assert (outputs["conclusion"], outputs["reason"]) == expected


def assert_started_once(scenario: FaultScenario) -> None:
    """Check that no start and no comment was repeated."""
    for name in IDS:
        posts = scenario.api.post_counts[name]
        assert posts <= (scenario.case.max_posts if name == AFFECTED_ID else 1), f"{posts} POSTs for {name}"
    # The server cannot count requests on connections that end before it reads, so the connections are counted.
    if scenario.phase is Phase.START and scenario.case.codes.get(Phase.START) == 7 and scenario.case.connection_fault:
        assert scenario.api.connection_count == len(IDS), (
            f"{scenario.api.connection_count} connections for {len(IDS)} starts"
        )
    assert sum(request.method == "POST" for request in scenario.code_host.received_requests) <= scenario.case.max_posts


def assert_results_are_complete(scenario: FaultScenario) -> None:
    """Check that all runs have their usual results, evidence and comment."""
    runs = json.loads((scenario.work_dir / "results" / "results.json").read_text("utf-8"))["runs"]
    states = {run["id"]: run["state"] for run in runs}
    assert states == {name: "failed" if name == AFFECTED_ID else "passed" for name in IDS}, states
    assert all(run["title"] == f"The title of {run['id']}" for run in runs)
    evidence_names = {
        path.name for path in (scenario.work_dir / "results" / "evidence").glob("run-of-*/*") if path.is_file()
    }
    assert evidence_names == {"step-001.png", "video.webm"}, evidence_names
    methods = [request.method for request in scenario.code_host.received_requests]
    assert methods.count("POST") == 1, "there is no comment"


def assert_killed_job_is_consistent(scenario: FaultScenario) -> None:
    """Check that the files are whole and list each run started earlier."""
    files = _read_reports(scenario)
    states = _read_states(files)
    # In the report phase, the last states may be missing in the files.
    has_states = scenario.phase is not Phase.REPORT
    for name, started_at in dict(scenario.start_times).items():
        assert states[name] != "not-started", f"{name} has started"
        # The response to the current start may arrive after the end of the process.
        if has_states and started_at <= scenario.killed_at - scenario.lag_seconds:
            assert all(f"/run/run-of-{name}" in text for text in files.values()), f"the link of {name} is lost"
    # The outputs are written after the last start.
    if (
        has_states
        and set(IDS) == set(scenario.start_times)
        and max(scenario.start_times.values()) <= scenario.killed_at - scenario.lag_seconds
    ):
        outputs = read_outputs((scenario.folder / "output").read_text("utf-8"))
        assert all(f"/run/run-of-{name}" in outputs["run-urls"] for name in IDS), "a link is lost in the outputs"


def assert_all_runs_reported(scenario: FaultScenario, result: ProcessResult) -> None:
    """Check that all reports contain each run, its state and link."""
    texts = (
        _read_reports(scenario)
        if "log" in scenario.case.lost_reports
        else {"log": result.log, **_read_reports(scenario)}
    )
    states = _read_states(texts)
    is_start_phase = scenario.phase is Phase.START
    for name in IDS:
        assert all(name in text for text in texts.values()), f"{name} is not everywhere"
        is_proven_not_started = is_start_phase and name == AFFECTED_ID and scenario.case.proves_not_started
        if scenario.api.post_counts[name] and states and not is_proven_not_started:
            assert states[name] != "not-started", f"{name} may have started"
    for name in list(scenario.start_times):
        link = f"https://autonoma.app/run/run-of-{name}"
        reports_with_link = [report_name for report_name, text in texts.items() if link in text]
        # A lost response has no link.
        is_link_lost = (
            is_start_phase
            and (name == AFFECTED_ID or scenario.case.affects_all_starts)
            and states.get(name, "unknown") == "unknown"
        )
        assert reports_with_link == list(texts) or (is_link_lost and not reports_with_link), (
            f"the link of {name} is in {reports_with_link} alone"
        )
    assert "starting" not in states.values()
    if "results_json" in texts:
        seconds = json.loads(texts["results_json"])["duration_seconds"]
        assert seconds < _MAX_RESULTS_SECONDS, f"it took {seconds:.0f} s until results.json was whole"
    for code in _read_exit_codes(texts):
        assert code == result.code


def _read_reports(scenario: FaultScenario) -> dict[str, str]:
    """Return the reports of the runs.

    A report that could not be written again must be whole if it exists.
    """
    paths = {"outputs": "output", "summary": "summary", "results_json": "work/results/results.json"}
    texts = {}
    for report_name, name in paths.items():
        path = scenario.folder / name
        if report_name not in scenario.case.lost_reports or (path.is_file() and path.stat().st_size):
            texts[report_name] = _read_whole_report(report_name, path)
    return {report_name: text for report_name, text in texts.items() if report_name not in scenario.case.lost_reports}


def _read_whole_report(report_name: str, path: Path) -> str:
    text = path.read_text("utf-8")
    if report_name == "outputs":
        read_outputs(text)
    if report_name == "results_json":
        json.loads(text)
    return text.replace("\\", "") if report_name == "summary" else text


def _read_exit_codes(texts: dict[str, str]) -> list[int]:
    return [json.loads(texts["results_json"])["exit_code"]] if "results_json" in texts else []


def _read_states(texts: dict[str, str]) -> dict[str, str]:
    """Return the states of the runs, equal in results.json and outputs."""
    state_maps = []
    if "results_json" in texts:
        state_maps.append({run["id"]: run["state"] for run in json.loads(texts["results_json"])["runs"]})
    if "outputs" in texts:
        outputs = read_outputs(texts["outputs"])
        state_maps.append({result["id"]: result["state"] for result in json.loads(outputs["results"])})
        assert outputs["total"] == str(len(IDS))
    for states in state_maps:
        assert list(states) == list(IDS)
        assert set(states.values()) <= _STATES, states
        assert states == state_maps[0], state_maps
    return state_maps[0] if state_maps else {}
