"""Jobs against an API that confuses runs.

Two runs with one id, or a status that contradicts the details, never pass. The job reports the reason.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import pytest

from autonoma_ci import cli
from autonoma_ci.api.models import Timeouts
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.engine.run_table import RunTable
from autonoma_ci.models import TargetKind
from tests.support.fault_server import FaultServer
from tests.support.faults import close, send_response
from tests.support.github_job import POLL_POLICY, JobResult, github_environ, read_job_result, run_job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.fault_server import Connection

T = TypeVar("T")

# In seconds. Long because no test waits for them and a slow machine must not change a result.
LONG_TIMEOUTS = Timeouts(connect=60.0, read=60.0, total=120.0)
WAIT = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "10m", "INPUT_CONCURRENCY": "1"}
OWN_TITLE = "the title of its own test"
OTHER_TITLE = "the title of another test"
OTHER_STEP = {"instruction": "a step of another test", "output": "what another test saw", "status": "failed"}


@dataclass
class ScriptedApi:
    """Respond to each request from a list whose last item repeats.

    Attributes:
        run_ids: The run ids of each start, by the first two parts of its path.
        statuses: The statuses of each run, by its id.
        details: The details of each run, by its id. Each is an HTTP status or the fields.
        paths: The paths of the received requests.
    """

    run_ids: Mapping[str, list[str]]
    statuses: Mapping[str, list[str]] = field(default_factory=dict)
    details: Mapping[str, list[int | dict[str, object]]] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    def handler(self, connection: Connection) -> bool:
        """Respond to one request."""
        path, _, query = connection.request.path.removeprefix("/api/").partition("?")
        self.paths.append(path)
        if connection.request.method == "POST":
            kind = path.partition("/")[0]
            run_id = _take_next(self.run_ids[path.removesuffix("/run")])
            name = {"test": "run_id", "folder": "folder_run_id", "tag": "tag_run_id"}[kind]
            return send_response(200, json.dumps({name: run_id, "url": f"https://autonoma.app/run/{run_id}"}))(
                connection
            )
        if query:
            details = _take_next(self.details[path.removeprefix("run/")])
            status, fields = (200, details) if isinstance(details, dict) else (details, {})
            return send_response(status, json.dumps(fields))(connection)
        run_id = path.removesuffix("/status").rpartition("/")[2]
        return send_response(200, json.dumps({"status": _take_next(self.statuses[run_id])}))(connection)


def _take_next(values: list[T]) -> T:
    return values.pop(0) if len(values) > 1 else values[0]


def run_waiting_job(folder: Path, api: ScriptedApi, ids: list[str], more: Mapping[str, str]) -> JobResult:
    """Run a job that waits, with short pauses between its requests."""
    with pytest.MonkeyPatch.context() as patch, FaultServer(api.handler) as server:
        patch.setattr("autonoma_ci.engine.details._RETRY_DELAY_SECONDS", 0.05)
        return run_job(folder, server.url, ids, extra_environ={**WAIT, **more}, timeouts=LONG_TIMEOUTS)


def get_warnings(job: JobResult) -> str:
    return "\n".join(line for line in job.log.splitlines() if line.startswith("::warning"))


@pytest.mark.slow
def test_status_of_other_run_is_ignored(tmp_path: Path) -> None:
    """A gateway returns to each poll the response of the previous poll."""
    last_run_ids = ["run-of-a"]

    def handler(connection: Connection) -> bool:
        path = connection.request.path
        if connection.request.method == "POST":
            run_id = f"run-of-{connection.request.target_id}"
            return send_response(200, json.dumps({"run_id": run_id, "url": f"https://autonoma.app/run/{run_id}"}))(
                connection
            )
        run_id, last_run_ids[0] = last_run_ids[0], path.split("/")[3]
        status = "failed" if run_id == "run-of-bad" else "passed"
        return send_response(200, json.dumps({"status": status, "url": f"https://autonoma.app/run/{run_id}"}))(
            connection
        )

    with FaultServer(handler) as server:
        job = run_job(tmp_path, server.url, ["a=a", "bad=bad", "c=c"], extra_environ={**WAIT, "INPUT_TIMEOUT": "3s"})
    assert job.code != 0
    assert job.states["bad"] != "passed"
    assert "failed" not in {job.states["a"], job.states["c"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nobody", "b"])
def test_status_link_to_other_run_is_unknown(name: str, tmp_path: Path) -> None:
    """A status whose link names another run is no pass."""

    def handler(connection: Connection) -> bool:
        path, subject = connection.request.path, connection.request.target_id
        if connection.request.method == "POST":
            return send_response(200, json.dumps({"run_id": f"run-of-{subject}"}))(connection)
        linked_run = f"run-of-{name}" if "run-of-a" in path else "run-of-b"
        return send_response(
            200, json.dumps({"status": "passed", "url": f"https://autonoma.app/run/{linked_run}/steps"})
        )(connection)

    with FaultServer(handler) as server:
        job = run_job(
            tmp_path, server.url, ["a", "b"], extra_environ={**WAIT, "INPUT_TIMEOUT": "3s"}, timeouts=LONG_TIMEOUTS
        )
    assert (job.code, job.states) == (7, {"a": "unknown", "b": "passed"})
    assert "the response is about another run" in job.log


# Ids


@pytest.mark.parametrize(
    "second",
    [
        {"run_id": "r ", "url": "https://autonoma.app/run/r"},
        {"run_id": "r\u200b", "url": "https://autonoma.app/run/r"},
        {"run_id": "s", "url": "https://autonoma.app/run/r"},
        {"run_id": ["r"], "url": "https://autonoma.app/run/r"},
        {"url": "https://autonoma.app/run/r?tab=1"},
        {"url": "https://sso.example.com/login"},
    ],
    ids=["a space", "an invisible character", "another id", "a list", "a link alone", "a login page"],
)
def test_disguised_run_id_is_unknown(second: dict[str, object], tmp_path: Path) -> None:
    """A second test never gets the run of the first test under another spelling."""

    def handler(connection: Connection) -> bool:
        first = {"run_id": "r", "url": "https://autonoma.app/run/r"}
        return send_response(200, json.dumps(first if connection.request.target_id == "a" else second))(connection)

    with FaultServer(handler) as server:
        job = run_job(
            tmp_path, server.url, ["a", "b"], extra_environ={"INPUT_CONCURRENCY": "1"}, timeouts=LONG_TIMEOUTS
        )
        assert server.post_counts == {"a": 1, "b": 1}
    assert (job.code, job.states) == (7, {"a": "started", "b": "unknown"})


def test_folder_start_with_test_id_is_unknown(tmp_path: Path) -> None:
    """A response with the run id of a test starts no folder."""
    with FaultServer(send_response(200, '{"run_id": "r", "url": "https://autonoma.app/run/r"}')) as server:
        job = run_job(tmp_path, server.url, ["a"], extra_environ={"INPUT_FOLDER-IDS": "f"}, timeouts=LONG_TIMEOUTS)
    assert (job.code, job.states) == (7, {"a": "started", "f": "unknown"})


def test_lost_start_after_429_has_other_hint(tmp_path: Path) -> None:
    """After two requests, the hint states only that the run may have started."""
    with FaultServer(close, {"a": [send_response(429, "{}", "Retry-After: 0"), close]}) as server:
        job = run_job(tmp_path, server.url, ["a"], timeouts=LONG_TIMEOUTS)
        assert server.post_counts == {"a": 2}
    assert job.states == {"a": "unknown"}
    assert "The run may have started: look for it in Autonoma before starting it again." in job.log
    assert "second time" not in job.visible_text


def test_duplicate_run_id_is_unknown(tmp_path: Path) -> None:
    """A second start that returns the run id of the first is unknown."""
    api = ScriptedApi({"test/a": ["r"], "test/b": ["r"]}, {"r": ["passed"]}, {"r": [{"name": OWN_TITLE}]})
    job = run_waiting_job(tmp_path, api, ["a", "b"], {})
    assert job.states == {"a": "passed", "b": "unknown"}
    assert (job.code, job.outputs["conclusion"], job.outputs["reason"]) == (7, "error", "unknown")
    assert [run["run_id"] for run in job.results_json["runs"]] == ["r", ""]
    assert "b: the API returned another run of this step: r" in get_warnings(job)
    assert "another run of this step" in job.summary
    assert api.paths.count("test/b/run") == 1


def test_duplicate_run_id_without_wait(tmp_path: Path) -> None:
    """A step without `wait` reports a duplicate run id too."""
    with FaultServer(ScriptedApi({"test/a": ["r"], "test/b": ["r"], "test/c": ["r-of-c"]}).handler) as server:
        job = run_job(
            tmp_path, server.url, ["a", "b", "c"], extra_environ={"INPUT_CONCURRENCY": "1"}, timeouts=LONG_TIMEOUTS
        )
    assert (job.code, job.states) == (7, {"a": "started", "b": "unknown", "c": "started"})
    assert ": r." in get_warnings(job)


def test_duplicate_link_is_unknown(tmp_path: Path) -> None:
    """The link ends with the run id if the API returns links alone."""

    def serve_link(connection: Connection) -> bool:
        return send_response(200, '{"url": "https://autonoma.app/run/r"}')(connection)

    with FaultServer(serve_link) as server:
        job = run_job(
            tmp_path, server.url, ["a", "b"], extra_environ={"INPUT_CONCURRENCY": "1"}, timeouts=LONG_TIMEOUTS
        )
    assert (job.code, job.states) == (7, {"a": "started", "b": "unknown"})


def test_error_with_taken_id_shows_no_id(tmp_path: Path) -> None:
    """An error response does not assign the run of another test."""

    def handler(connection: Connection) -> bool:
        status = 500 if connection.request.target_id == "b" else 200
        return send_response(status, '{"run_id": "r", "url": "https://autonoma.app/run/r"}')(connection)

    with FaultServer(handler) as server:
        job = run_job(
            tmp_path, server.url, ["a", "b"], extra_environ={"INPUT_CONCURRENCY": "1"}, timeouts=LONG_TIMEOUTS
        )
    assert (job.code, job.states) == (7, {"a": "started", "b": "unknown"})
    assert [run["run_id"] for run in job.results_json["runs"]] == ["r", ""]


def test_retry_with_old_id_stays_failed(tmp_path: Path) -> None:
    """A retry that returns the id of the failed run cannot pass."""
    api = ScriptedApi({"test/a": ["r"]}, {"r": ["failed", "passed"]}, {"r": [{"name": OWN_TITLE}]})
    job = run_waiting_job(tmp_path, api, ["a"], {"INPUT_RETRIES": "1"})
    assert (job.code, job.states, job.outputs["passed"]) == (1, {"a": "failed"}, "0")
    assert api.paths.count("test/a/run") == 2
    assert api.paths.count("run/r/status") == 1
    for text in (job.log, job.summary, job.results_json["runs"][0]["message"]):
        assert "the API returned the id of the failed attempt, so a retry may not have started" in text


def test_retry_with_taken_id_is_unknown(tmp_path: Path) -> None:
    """A retry that returns the passed run of another test has not passed."""
    api = ScriptedApi(
        {"test/a": ["r1"], "test/b": ["r2", "r1"]},
        {"r1": ["passed"], "r2": ["failed"]},
        {"r1": [{"name": OWN_TITLE}], "r2": [{"name": OWN_TITLE}]},
    )
    job = run_waiting_job(tmp_path, api, ["a", "b"], {"INPUT_RETRIES": "1"})
    assert (job.code, job.states) == (7, {"a": "passed", "b": "unknown"})
    assert ": r1." in get_warnings(job)


def test_retry_with_new_id_passes(tmp_path: Path) -> None:
    """A retry with a new run id counts."""
    api = ScriptedApi(
        {"test/a": ["r1", "r2"]},
        {"r1": ["failed"], "r2": ["passed"]},
        {"r1": [{"name": OWN_TITLE}], "r2": [{"name": OWN_TITLE}]},
    )
    job = run_waiting_job(tmp_path, api, ["a"], {"INPUT_RETRIES": "1"})
    assert (job.code, job.states) == (0, {"a": "passed"})
    assert "retry not started" not in job.visible_text


def test_kinds_may_share_run_id(tmp_path: Path) -> None:
    """Tests, folders and tags have separate ids."""
    api = ScriptedApi(
        {"test/x": ["r"], "folder/x": ["r"], "tag/x": ["r"]}, {"r": ["passed"]}, {"r": [{"name": OWN_TITLE}]}
    )
    job = run_waiting_job(tmp_path, api, ["x"], {"INPUT_FOLDER-IDS": "x", "INPUT_TAG-IDS": "x"})
    assert (job.code, [run["state"] for run in job.results_json["runs"]]) == (0, ["passed"] * 3)
    assert [run["run_id"] for run in job.results_json["runs"]] == ["r"] * 3


FOLDER_PAGE_URL = "https://autonoma.app/run/folder/r"


@pytest.mark.parametrize(
    "kinds",
    [(TargetKind.FOLDER, TargetKind.TAG), (TargetKind.TAG, TargetKind.FOLDER), (TargetKind.TAG, TargetKind.TAG)],
)
def test_tag_run_on_folder_page_is_duplicate(kinds: tuple[TargetKind, TargetKind]) -> None:
    """A tag run on the page of a folder run is the same run."""
    run_table = RunTable((), 0.0)
    assert [run_table.claim_start(kind, "r", FOLDER_PAGE_URL) for kind in kinds] == [True, False]


def test_tag_start_rejects_old_folder_run() -> None:
    """A tag start cannot claim the folder run of an earlier attempt."""
    run_table = RunTable((), 0.0, frozenset({(TargetKind.FOLDER, "r")}))
    assert not run_table.claim_start(TargetKind.TAG, "r", FOLDER_PAGE_URL)
    assert run_table.claim_start(TargetKind.TAG, "r", "https://autonoma.app/run/tag/r")


# Saved results


def run_wait(folder: Path, url: str) -> JobResult:
    """Run `wait` on the results.json of a job in this folder."""
    out, err = io.StringIO(), io.StringIO()
    environ = {**github_environ(folder, url, []), "INPUT_TIMEOUT": "10m"}
    code = cli.run_command(
        ["wait", "results/results.json"], Runtime(environ, out, err, str(folder), poll_policy=POLL_POLICY)
    )
    return read_job_result(folder, code, out.getvalue(), err.getvalue())


@pytest.mark.parametrize("state", ["started", "passed", "failed", "timed-out", "unknown"])
def test_saved_duplicate_id_is_unknown(state: str, tmp_path: Path) -> None:
    """The second of two saved runs with one id is unknown."""
    api = ScriptedApi(
        {"test/a": ["r1"], "test/b": ["r2"]},
        {"r1": ["failed" if state == "failed" else "passed"], "r2": ["passed"]},
        {"r1": [{"name": OWN_TITLE}], "r2": [{"name": OTHER_TITLE}]},
    )
    with FaultServer(api.handler) as server:
        run_job(tmp_path, server.url, ["a", "b"], timeouts=LONG_TIMEOUTS)
        path = tmp_path / "results" / "results.json"
        results_json = json.loads(path.read_text("utf-8"))
        results_json["runs"][0].update(state=state)
        results_json["runs"][1].update(run_id="r1", url=results_json["runs"][0]["url"])
        path.write_text(json.dumps(results_json), "utf-8")
        job = run_wait(tmp_path, server.url)
    assert job.states == {"a": "failed" if state == "failed" else "passed", "b": "unknown"}
    assert job.code == 7
    assert "run/r2/status" not in api.paths
    assert "b: two runs in results.json have the same id: r1" in get_warnings(job)
    assert "two runs in results.json have the same id" in job.summary


def test_saved_id_of_other_attempt_is_unknown(tmp_path: Path) -> None:
    """A saved id that belongs to the first attempt of another test is unknown."""
    api = ScriptedApi(
        {"test/a": ["r1", "r2"], "test/b": ["r3"]},
        {"r1": ["failed"], "r2": ["passed"], "r3": ["running", "passed"]},
        {name: [{"name": OWN_TITLE}] for name in ("r1", "r2", "r3")},
    )
    with FaultServer(api.handler) as server:
        run_job(tmp_path, server.url, ["a", "b"], extra_environ={**WAIT, "INPUT_RETRIES": "1"}, timeouts=LONG_TIMEOUTS)
        path = tmp_path / "results" / "results.json"
        results_json = json.loads(path.read_text("utf-8"))
        results_json["runs"][1].update(state="started", run_id="r1", url="https://autonoma.app/run/r1")
        path.write_text(json.dumps(results_json), "utf-8")
        job = run_wait(tmp_path, server.url)
    assert (job.code, job.states["b"]) == (7, "unknown")


def test_saved_kinds_may_share_run_id(tmp_path: Path) -> None:
    """A test and a folder with one id are two runs in results.json too."""
    api = ScriptedApi({"test/x": ["r"], "folder/x": ["r"]}, {"r": ["passed"]}, {"r": [{"name": OWN_TITLE}]})
    with FaultServer(api.handler) as server:
        run_job(tmp_path, server.url, ["x"], extra_environ={"INPUT_FOLDER-IDS": "x"}, timeouts=LONG_TIMEOUTS)
        job = run_wait(tmp_path, server.url)
    assert (job.code, [run["state"] for run in job.results_json["runs"]]) == (0, ["passed"] * 2)


# Status and details


def make_details(**fields: object) -> dict[str, object]:
    return {"id": "r", "test_id": "a", "name": OWN_TITLE, "status": "passed", **fields}


def run_with_details(folder: Path, status: str, *details: int | dict[str, object], label: str = "") -> JobResult:
    """Run a job with one test of this status and these details."""
    return run_waiting_job(
        folder, ScriptedApi({"test/a": ["r"]}, {"r": [status]}, {"r": list(details)}), [f"{label}a"], {}
    )


CONTRADICTIONS = {
    "another test": (
        make_details(test_id="b", name=OTHER_TITLE, steps=[OTHER_STEP]),
        "the details are about another test",
    ),
    "another run": (
        make_details(id="r-of-b", name=OTHER_TITLE, steps=[OTHER_STEP]),
        "the details are about another run",
    ),
    "failed": (make_details(status="failed"), "failed in the details"),
    "error": (make_details(status="Error"), "failed in the details"),
    "stopped": (make_details(status="cancelled"), "stopped in the details"),
    "running for ever": (make_details(status="running"), "running in the details"),
    "a number": (make_details(test_id=7), "the details are about another test"),
    "another test inside": (make_details(test_id=None, test={"id": "b"}), "the details are about another test"),
}


@pytest.mark.slow
@pytest.mark.parametrize("label", ["", "Checkout = "], ids=["without a label", "with a label"])
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradicted_pass_is_unknown(name: str, label: str, tmp_path: Path) -> None:
    """All reports explain why a contradicted pass does not count."""
    details, reason = CONTRADICTIONS[name]
    job = run_with_details(tmp_path, "passed", details, label=label)
    assert (job.code, job.states) == (7, {"a": "unknown"})
    assert (job.outputs["conclusion"], job.outputs["reason"]) == ("error", "unknown")
    assert job.outputs["passed"] == "0"
    for text in (job.log, job.summary, job.results_json["runs"][0]["message"]):
        assert f"contradictory responses from the API: status passed, but {reason}" in text
    assert job.results_json["runs"][0]["run_id"] == "r"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["another test", "another run"])
def test_details_of_other_test_are_hidden(name: str, tmp_path: Path) -> None:
    """Neither the title nor the steps of another test are shown."""
    for status in ("passed", "failed"):
        folder = tmp_path / status
        folder.mkdir()
        job = run_with_details(folder, status, CONTRADICTIONS[name][0])
        assert job.code == {"passed": 7, "failed": 1}[status]
        for text in (OTHER_TITLE, "a step of another test", "what another test saw"):
            assert text not in job.visible_text
        assert get_message(job).endswith(CONTRADICTIONS[name][1])


def get_message(job: JobResult) -> str:
    return str(job.results_json["runs"][0]["message"])


def test_contradicted_failure_stays_failed(tmp_path: Path) -> None:
    """The status decides, and the job reports the contradiction."""
    job = run_with_details(tmp_path, "failed", make_details())
    assert (job.code, job.states) == (1, {"a": "failed"})
    for text in (job.log, job.summary, get_message(job)):
        assert "contradictory responses from the API: status failed, but passed in the details" in text


@pytest.mark.parametrize("status", ["running", "pending"])
def test_pass_with_late_details_passes(status: str, tmp_path: Path) -> None:
    """The details may lag behind the status for a moment."""
    job = run_with_details(tmp_path, "passed", make_details(status=status), make_details(status=status), make_details())
    assert (job.code, job.states) == (0, {"a": "passed"})
    assert OWN_TITLE in job.log
    assert "contradicts" not in job.visible_text


@pytest.mark.parametrize("name", ["another test", "another run"])
def test_pass_with_corrected_details_passes(name: str, tmp_path: Path) -> None:
    """Details of another test are requested again."""
    job = run_with_details(tmp_path, "passed", CONTRADICTIONS[name][0], make_details())
    assert (job.code, job.states) == (0, {"a": "passed"})
    assert OTHER_TITLE not in job.visible_text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["another test", "another run"])
@pytest.mark.parametrize("later_details", [500, {}], ids=["an error", "empty"])
def test_contradiction_remains_after_error(name: str, later_details: int | dict[str, object], tmp_path: Path) -> None:
    """Only details that fit the run resolve a contradiction."""
    details, reason = CONTRADICTIONS[name]
    job = run_with_details(tmp_path, "passed", details, later_details)
    assert (job.code, job.states) == (7, {"a": "unknown"})
    assert reason in get_message(job)


def test_contradiction_resolved_after_error(tmp_path: Path) -> None:
    """An error between wrong and right details changes nothing."""
    job = run_with_details(tmp_path, "passed", CONTRADICTIONS["another test"][0], 500, make_details())
    assert (job.code, job.states) == (0, {"a": "passed"})


@pytest.mark.slow
@pytest.mark.parametrize("first", [500, 429, 404])
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradiction_after_error_counts(name: str, first: int, tmp_path: Path) -> None:
    """A failed request before the contradicting details changes nothing."""
    details, reason = CONTRADICTIONS[name]
    job = run_with_details(tmp_path, "passed", first, *[details] * 20)
    assert (job.code, job.states) == (7, {"a": "unknown"})
    assert reason in get_message(job)


@pytest.mark.slow
@pytest.mark.parametrize(
    "details",
    [
        make_details(),
        make_details(id=None, test_id=None, status=None),
        {"name": OWN_TITLE},
        make_details(status=5),
        make_details(status="archived"),
        {},
        500,
    ],
    ids=["all fields", "null", "none", "a number", "an unknown word", "empty", "an error"],
)
def test_uncontradicted_pass_passes(details: int | dict[str, object], tmp_path: Path) -> None:
    """Missing details or missing fields contradict nothing."""
    job = run_with_details(tmp_path, "passed", details)
    assert (job.code, job.states) == (0, {"a": "passed"})


def test_contradicted_pass_fails_job(tmp_path: Path) -> None:
    """A contradicted pass leaves the results of the other tests unchanged."""
    api = ScriptedApi(
        {"test/a": ["r"], "test/b": ["r2"]},
        {"r": ["passed"], "r2": ["passed"]},
        {
            "r": [make_details(status="failed")],
            "r2": [{"id": "r2", "test_id": "b", "status": "passed", "name": OTHER_TITLE}],
        },
    )
    job = run_waiting_job(tmp_path, api, ["a", "b"], {})
    assert (job.code, job.states) == (7, {"a": "unknown", "b": "passed"})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "Login="])
@pytest.mark.parametrize(
    ("later_details", "code"),
    [
        (make_details(status="failed"), 7),
        (500, 7),
        (make_details(id="r1", test_id="other"), 7),
        (make_details(id="r1"), 0),
    ],
    ids=["failed", "no details", "other test", "fits"],
)
def test_wait_rechecks_contradicted_pass(
    later_details: int | dict[str, object], code: int, name: str, tmp_path: Path
) -> None:
    """The command `wait` requires details that fit, not only the status."""
    api = ScriptedApi({"test/a": ["r1"]}, {"r1": ["passed"]}, {"r1": [make_details(status="failed")]})
    with pytest.MonkeyPatch.context() as patch, FaultServer(api.handler) as server:
        patch.setattr("autonoma_ci.engine.details._RETRY_DELAY_SECONDS", 0.05)
        assert run_job(tmp_path, server.url, ["a"], extra_environ=WAIT, timeouts=LONG_TIMEOUTS).code == 7
        results_json = tmp_path / "results" / "results.json"
        document = json.loads(results_json.read_text("utf-8"))
        document["runs"][0]["label"] = name.rstrip("=")
        results_json.write_text(json.dumps(document), "utf-8")
        api.details["r1"][:] = [later_details]
        assert run_wait(tmp_path, server.url).code == code
