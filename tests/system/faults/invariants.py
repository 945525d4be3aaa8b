"""Check what must hold for every job after any failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.proxy import PASSWORD
from tests.support.run_step import read_outputs
from tests.system.faults.fault_case import Phase
from tests.system.faults.harness import IDS, SIGNATURE, VICTIM
from tests.system.security.redaction import secret_markers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.faults.harness import Scene
    from tests.system.faults.job_runner import JobResult

_STATES = {"starting", "started", "not-started", "unknown", "passed", "failed", "timed-out"}
# Seconds by the job's own clock until the record is written for the last time.
_MAX_RECORD_SECONDS = 120.0
# In MiB. A job with one screenshot and all reports uses about 55. An endless response must not be stored.
_MAX_MEGABYTES = 150.0


def assert_job_is_correct(scene: Scene, result: JobResult) -> None:
    """Check that the fault occurred and that the job handled it correctly."""
    kind = scene.kind
    assert "Traceback" not in result.log
    assert result.seconds < kind.max_seconds, f"it took {result.seconds:.0f} s"
    assert result.megabytes < _MAX_MEGABYTES, f"it took {result.megabytes:.0f} MiB"
    assert_fault_occurred(scene, result.log)
    assert_no_secret_shown(scene, result.log)
    assert_credentials_separated(scene)
    assert not list(scene.outside.iterdir()), "something was written outside"
    if kind.is_input_error:
        assert_no_api_request(scene, result.code)
        return
    assert_started_once(scene)
    if kind.is_single:
        assert_results_are_complete(scene)
    if kind.kills_job:
        assert_killed_job_is_consistent(scene)
    else:
        assert_all_runs_reported(scene, result)


def assert_fault_occurred(scene: Scene, log: str) -> None:
    """Check that the fault occurred in its phase."""
    kind = scene.kind
    if (kind.request_fault or kind.connection_fault or kind.tunnel_fault) and not kind.log_text:
        assert scene.fault_count, "the job did not meet what goes wrong"
    elif scene.phase is not Phase.THROUGHOUT:
        assert scene.has_begun, "it never came to what goes wrong"
    # A short fault is not logged.
    assert kind.log_text in log or scene.phase is Phase.BRIEFLY, f"the log does not say {kind.log_text!r}"
    if "log" in kind.lost_reports:
        assert "of 3 runs passed" not in log


def assert_no_secret_shown(scene: Scene, log: str) -> None:
    """Check that neither the log nor a file contains a secret."""
    shown = "\n".join(line for line in log.split("\n") if not line.startswith("::add-mask::"))
    texts = {"log": shown}
    for path in scene.folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and scene.faults not in path.parents:
            texts[str(path.relative_to(scene.folder))] = path.read_bytes().decode("utf-8", "replace")
    assert not secret_markers.find_leaks(texts)
    for place, text in texts.items():
        assert SIGNATURE not in text, place
        assert PASSWORD not in text, place


def assert_credentials_separated(scene: Scene) -> None:
    """Check that no server receives the credentials of another one."""
    for request in scene.api.received:
        assert secret_markers.TOKEN not in str(request.headers)
    for request in [*scene.media.received, *scene.forge.received]:
        assert not {"autonoma-client-id", "autonoma-client-secret"} & set(request.headers)
        assert not secret_markers.find_leaks({"request": f"{request.path} {request.headers}"}, "token")
    for request in scene.media.received:
        assert "authorization" not in request.headers


def assert_no_api_request(scene: Scene, code: int) -> None:
    """Check that the API received nothing and that the outputs agree."""
    assert scene.api.connections == scene.media.connections == 0
    outputs = read_outputs((scene.folder / "output").read_text("utf-8"))
    expected = {0: ("skipped", "ok"), 2: ("error", "input")}[code]
    assert (outputs["conclusion"], outputs["reason"]) == expected


def assert_started_once(scene: Scene) -> None:
    """Check that no start and no comment was repeated."""
    for name in IDS:
        posts = scene.api.posts[name]
        assert posts <= (scene.kind.max_posts if name == VICTIM else 1), f"{posts} POSTs for {name}"
    # The server cannot count requests on connections that end before it reads, so the connections are counted.
    if scene.phase is Phase.START and scene.kind.codes.get(Phase.START) == 7 and scene.kind.connection_fault:
        assert scene.api.connections == len(IDS), f"{scene.api.connections} connections for {len(IDS)} starts"
    assert sum(request.method == "POST" for request in scene.forge.received) <= scene.kind.max_posts


def assert_results_are_complete(scene: Scene) -> None:
    """Check that all runs have their usual results, evidence and comment."""
    runs = json.loads((scene.work / "results" / "results.json").read_text("utf-8"))["runs"]
    states = {run["id"]: run["state"] for run in runs}
    assert states == {name: "failed" if name == VICTIM else "passed" for name in IDS}, states
    assert all(run["title"] == f"The title of {run['id']}" for run in runs)
    stored = {path.name for path in (scene.work / "results" / "evidence").glob("run-of-*/*") if path.is_file()}
    assert stored == {"step-001.png", "video.webm"}, stored
    assert [request.method for request in scene.forge.received].count("POST") == 1, "there is no comment"


def assert_killed_job_is_consistent(scene: Scene) -> None:
    """Check that the files are whole and list each run started earlier."""
    files = _read_reports(scene)
    states = _read_states(files)
    # In the report phase, the last states may be missing in the files.
    has_states = scene.phase is not Phase.REPORT
    for name, at in dict(scene.start_times).items():
        assert states[name] != "not-started", f"{name} has started"
        # The response to the current start may arrive after the end of the process.
        if has_states and at <= scene.killed_at - scene.lag_seconds:
            assert all(f"/run/run-of-{name}" in text for text in files.values()), f"the link of {name} is lost"
    # The outputs are written after the last start.
    if (
        has_states
        and set(IDS) == set(scene.start_times)
        and max(scene.start_times.values()) <= scene.killed_at - scene.lag_seconds
    ):
        found = read_outputs((scene.folder / "output").read_text("utf-8"))
        assert all(f"/run/run-of-{name}" in found["run-urls"] for name in IDS), "a link is lost in the outputs"


def assert_all_runs_reported(scene: Scene, ended: JobResult) -> None:
    """Check that all reports contain each run, its state and link."""
    texts = _read_reports(scene) if "log" in scene.kind.lost_reports else {"log": ended.log, **_read_reports(scene)}
    states = _read_states(texts)
    starting = scene.phase is Phase.START
    for name in IDS:
        assert all(name in text for text in texts.values()), f"{name} is not everywhere"
        declined = starting and name == VICTIM and scene.kind.proves_not_started
        if scene.api.posts[name] and states and not declined:
            assert states[name] != "not-started", f"{name} may have started"
    for name in list(scene.start_times):
        link = f"https://autonoma.app/run/run-of-{name}"
        found_in = [what for what, text in texts.items() if link in text]
        # A lost response has no link.
        lost = (
            starting and (name == VICTIM or scene.kind.affects_all_starts) and states.get(name, "unknown") == "unknown"
        )
        assert found_in == list(texts) or (lost and not found_in), f"the link of {name} is in {found_in} alone"
    assert "starting" not in states.values()
    if "record" in texts:
        seconds = json.loads(texts["record"])["duration_seconds"]
        assert seconds < _MAX_RECORD_SECONDS, f"it took {seconds:.0f} s until the record was whole"
    for code in _read_exit_codes(texts):
        assert code == ended.code


def _read_reports(scene: Scene) -> dict[str, str]:
    """Return the reports of the runs.

    A report that could not be written again must be whole if it exists.
    """
    paths = {"outputs": "output", "summary": "summary", "record": "work/results/results.json"}
    texts = {}
    for what, name in paths.items():
        path = scene.folder / name
        if what not in scene.kind.lost_reports or (path.is_file() and path.stat().st_size):
            texts[what] = _read_whole_report(what, path)
    return {what: text for what, text in texts.items() if what not in scene.kind.lost_reports}


def _read_whole_report(what: str, path: Path) -> str:
    text = path.read_text("utf-8")
    if what == "outputs":
        read_outputs(text)
    if what == "record":
        json.loads(text)
    return text.replace("\\", "") if what == "summary" else text


def _read_exit_codes(texts: dict[str, str]) -> list[int]:
    return [json.loads(texts["record"])["exit_code"]] if "record" in texts else []


def _read_states(texts: dict[str, str]) -> dict[str, str]:
    """Return the states of the runs, equal in record and outputs."""
    found = []
    if "record" in texts:
        found.append({run["id"]: run["state"] for run in json.loads(texts["record"])["runs"]})
    if "outputs" in texts:
        outputs = read_outputs(texts["outputs"])
        found.append({result["id"]: result["state"] for result in json.loads(outputs["results"])})
        assert outputs["total"] == str(len(IDS))
    for states in found:
        assert list(states) == list(IDS)
        assert set(states.values()) <= _STATES, states
        assert states == found[0], found
    return found[0] if found else {}
