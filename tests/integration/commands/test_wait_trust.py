"""Runs and passes of a results.json that `wait` accepts."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.engine.engine import Engine
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.fs.files import Directory
from autonoma_ci.reports.results_schema import parse_results
from tests.integration.commands.test_wait_results import (
    BUILD,
    RE_RUN,
    WAIT,
    StatusApi,
    edit_results,
    read_files,
    run_github_step,
    run_wait,
)
from tests.support import faults
from tests.support.fault_server import Connection, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SHA = "c" * 40
OTHER_SHA = "d" * 40
# The variables that identify a job of each CI system.
CODEBUILD = {
    "CODEBUILD_BUILD_ID": "project:1",
    "CODEBUILD_BUILD_ARN": "arn",
    "CODEBUILD_RESOLVED_SOURCE_VERSION": SHA,
    "CODEBUILD_SOURCE_REPO_URL": "https://github.com/owner/name.git",
}
DRONE = {
    "DRONE": "true",
    "DRONE_BUILD_NUMBER": "17",
    "DRONE_REPO": "owner/name",
    "DRONE_COMMIT_SHA": SHA,
    "DRONE_STAGE_NAME": "e2e",
    "DRONE_STEP_NAME": "start",
}
GITHUB = {"GITHUB_ACTIONS": "true", **BUILD}
ACT = {**GITHUB, "ACT": "true", "GITHUB_RUN_ID": "1"}
BUILDKITE = {
    "BUILDKITE": "true",
    "BUILDKITE_BUILD_ID": "build-1",
    "BUILDKITE_COMMIT": SHA,
    "BUILDKITE_RETRY_COUNT": "0",
    "BUILDKITE_STEP_KEY": "e2e",
    "BUILDKITE_LABEL": "e2e",
    "BUILDKITE_PARALLEL_JOB_COUNT": "2",
}
BITBUCKET = {
    "BITBUCKET_BUILD_NUMBER": "17",
    "BITBUCKET_COMMIT": SHA,
    "BITBUCKET_REPO_FULL_NAME": "owner/name",
    "BITBUCKET_STEP_UUID": "{step}",
    "BITBUCKET_STEP_RUN_NUMBER": "1",
}
JENKINS = {
    "JENKINS_URL": "https://jenkins.example.com/",
    "BUILD_TAG": "jenkins-shop-5",
    "BUILD_NUMBER": "5",
    "JOB_NAME": "shop",
    "STAGE_NAME": "Tests",
    "GIT_COMMIT": SHA,
    "GIT_URL": "https://github.com/owner/name.git",
}
OTHER_CHECKOUT = {"GIT_COMMIT": OTHER_SHA, "GIT_URL": "https://github.com/owner/tools.git"}
GENERIC_CI = {"CI": "true"}


class JobRunner:
    """A job in any CI system, with its folder and API."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self._url = folder, url

    def __call__(self, job_environ: Mapping[str, str], *argv: str, **more: str) -> tuple[int, str]:
        """Run a command and return its exit code and log."""
        environ = {
            "AUTONOMA_CLIENT_ID": "client-id-of-the-test",
            "AUTONOMA_CLIENT_SECRET": "client-secret-of-the-test",
            "AUTONOMA_API_URL": self._url,
            "AUTONOMA_RESULTS_DIR": "results",
            **job_environ,
            **more,
        }
        out = io.StringIO()
        code = cli.run_command(
            argv, Runtime(environ, out, out, str(self.folder), poll_policy=PollPolicy(interval=0.05))
        )
        return code, out.getvalue()

    def start(self, job_environ: Mapping[str, str], *argv: str, **more: str) -> int:
        """Start a run of the test a."""
        return self(job_environ, "run", *argv, AUTONOMA_TEST_IDS="a", **more)[0]

    def wait(self, job_environ: Mapping[str, str], **more: str) -> tuple[int, str]:
        """Wait for the runs of results.json."""
        return self(job_environ, "wait", "results/results.json", **more)

    def edit_results(self, **changes: object) -> None:
        """Change fields of results.json."""
        edit_results(self.folder / "results" / "results.json", lambda document: document.update(changes))


@pytest.fixture
def api() -> StatusApi:
    return StatusApi(a="passed", b="failed", c="passed")


@pytest.fixture
def job(tmp_path: Path, api: StatusApi) -> Any:
    with FaultServer(api) as server:
        yield JobRunner(tmp_path, server.url)


def hours_ago(number: int) -> str:
    return (datetime.now(UTC) - timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


# A pass counts only if the API confirms it


def test_wait_confirms_signed_pass(tmp_path: Path) -> None:
    """A passed run is polled again, and the log says that it is confirmed."""
    api = StatusApi(a="passed", b="passed")
    with FaultServer(api) as server:
        assert run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT).code == 0
        api.polled_ids.clear()
        wait_result = run_wait(tmp_path, server.url)
        assert (wait_result.code, wait_result.states) == (0, {"a": "passed", "b": "passed"})
        assert sorted(api.polled_ids) == ["a", "b"]
        assert server.post_counts == {"a": 1, "b": 1}
    assert "Confirming 2 passed runs" in wait_result.log
    assert "2 of 2 runs passed." in wait_result.log
    for wrong_text in ("Waiting for", "started"):
        assert wrong_text not in wait_result.log


@pytest.mark.slow
@pytest.mark.parametrize("status", ["failed", "stopped", "pending?"])
def test_wait_rejects_denied_pass(status: str, tmp_path: Path) -> None:
    """The response of the API counts, whatever the signature says."""
    statuses = {"a": "passed", "b": "passed"}

    def handler(connection: Connection) -> bool:
        return StatusApi(**statuses)(connection)

    with FaultServer(handler) as server:
        assert run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT).code == 0
        statuses["a"] = status
        wait_result = run_wait(tmp_path, server.url, INPUT_TIMEOUT="1s")
    assert wait_result.code in {1, 7}
    assert wait_result.states["a"] in {"failed", "stopped", "unknown"}
    assert wait_result.states["b"] == "passed"


def test_wait_trusts_signed_failure(tmp_path: Path) -> None:
    """A failed run is not polled again, and the log counts the confirmed run only."""
    api = StatusApi(a="passed", b="failed")
    with FaultServer(api) as server:
        assert run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT).code == 1
        api.polled_ids.clear()
        wait_result = run_wait(tmp_path, server.url)
    assert (wait_result.code, wait_result.states, api.polled_ids) == (1, {"a": "passed", "b": "failed"}, ["a"])
    assert "Confirming 1 passed run" in wait_result.log


def test_wait_title_counts_open_and_confirmed(tmp_path: Path, api: StatusApi) -> None:
    """The title of the log group has both counts."""
    with FaultServer(api) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT)
        path = tmp_path / "results" / "results.json"
        edit_results(path, lambda results_json: results_json["runs"][1].update(state="started", step=None))
        wait_result = run_wait(tmp_path, server.url)
    assert "Waiting for 1 run and confirming 1 passed run" in wait_result.log


def test_wait_preserves_duration_of_pass(tmp_path: Path, api: StatusApi) -> None:
    """The time until a later step confirmed the run is no duration of it."""
    with FaultServer(api) as server:
        first = run_github_step(tmp_path, server.url, ids=["a"], more=WAIT)
        path = tmp_path / "results" / "results.json"
        edit_results(path, lambda results_json: results_json.update(started_at=hours_ago(2)))
        wait_result = run_wait(tmp_path, server.url)
    [before], [after] = first.results_json["runs"], wait_result.results_json["runs"]
    assert after["duration_seconds"] == before["duration_seconds"]
    assert after["start_offset_seconds"] < -7000
    assert re.search(r"PASSED  A title  \([0-9.]+ s\)  https:", wait_result.log)


def test_wait_counts_reused_pass_as_reused(tmp_path: Path) -> None:
    """After a re-run without `wait`, the reused pass is confirmed and does not count as started."""
    statuses = {"a": "passed", "b": "failed"}

    def handler(connection: Connection) -> bool:
        if connection.request.method == "POST" and connection.request.target_id == "b":
            run = f"run-{len(server.received_requests)}-of-b"
            return faults.send_response(200, json.dumps({"run_id": run, "url": f"https://autonoma.app/run/{run}"}))(
                connection
            )
        if "-of-b" in connection.request.path and connection.request.path.endswith("/status"):
            return faults.send_response(200, json.dumps({"status": statuses["b"]}))(connection)
        return StatusApi(**statuses)(connection)

    with FaultServer(handler) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT)
        rerun = run_github_step(tmp_path, server.url, ids=["a", "b"], more=RE_RUN)
        statuses["b"] = "passed"
        wait_result = run_wait(tmp_path, server.url, **RE_RUN)
    assert "1 of 2 runs started, 1 passed in an earlier attempt." in rerun.log
    assert (rerun.outputs["started"], rerun.outputs["passed"], rerun.outputs["total"]) == ("1", "1", "2")
    assert (wait_result.code, wait_result.outputs["conclusion"]) == (0, "passed")
    assert "2 of 2 runs passed (1 in an earlier attempt)." in wait_result.log
    assert [run["reused"] for run in wait_result.results_json["runs"]] == [True, False]


# The results.json of another build


@pytest.mark.parametrize(
    ("job_environ", "more", "reason"),
    [
        (DRONE, {"DRONE_REPO": "owner/other"}, "written for another repository"),
        (DRONE, {"DRONE_COMMIT_SHA": OTHER_SHA}, "written for another commit"),
        (DRONE, {"DRONE_BUILD_NUMBER": "18"}, "written by another build"),
        (DRONE, {**dict.fromkeys(DRONE, ""), **GITHUB}, "written on another CI system"),
        (CODEBUILD, {"CODEBUILD_RESOLVED_SOURCE_VERSION": OTHER_SHA}, "written for another commit"),
        (ACT, {"GITHUB_SHA": OTHER_SHA}, "written for another commit"),
    ],
    ids=["repository", "commit", "build", "CI system", "CodeBuild commit", "act commit"],
)
@pytest.mark.parametrize("has_waited", [True, False], ids=["ended", "open runs"])
def test_wait_refuses_results_of_other_build(
    has_waited: bool, job_environ: Mapping[str, str], more: Mapping[str, str], reason: str, job: JobRunner
) -> None:
    """CI systems number builds per repository or not at all."""
    assert job.start(job_environ, AUTONOMA_WAIT=str(has_waited).lower()) == 0
    before = read_files(job.folder)
    code, log = job.wait(job_environ, **more)
    assert code == 2
    assert f"is not the results.json of this step: {reason}. Other files in its directory" in log
    assert read_files(job.folder) == before


@pytest.mark.parametrize(
    ("job_environ", "more"),
    [(CODEBUILD, {"CODEBUILD_BUILD_ID": "project:2"}), (GENERIC_CI, {}), (ACT, {})],
    ids=["CodeBuild", "unknown system", "act"],
)
class TestWithoutABuildId:
    """CI systems whose jobs share no build id.

    `more` are the variables that differ in the next job.
    """

    def test_wait_accepts_open_runs(
        self, job_environ: Mapping[str, str], more: Mapping[str, str], job: JobRunner
    ) -> None:
        """The job that started them has ended."""
        assert job.start(job_environ) == 0
        assert job.wait(job_environ, **more)[0] == 0

    def test_wait_refuses_ended_results(
        self, job_environ: Mapping[str, str], more: Mapping[str, str], job: JobRunner
    ) -> None:
        """The results.json can be that of an earlier build."""
        assert job.start(job_environ, AUTONOMA_WAIT="true") == 0
        job.edit_results(started_at=hours_ago(20))
        code, log = job.wait(job_environ, **more)
        assert code == 2
        assert "all runs have ended" in log

    def test_wait_refuses_old_results(
        self, job_environ: Mapping[str, str], more: Mapping[str, str], job: JobRunner
    ) -> None:
        """Open runs of last week are of another build."""
        assert job.start(job_environ) == 0
        job.edit_results(started_at="2020-01-02T03:04:05Z")
        code, log = job.wait(job_environ, **more)
        assert code == 2
        assert "older than a day" in log

    def test_wait_after_skipped_step_is_skipped(
        self, job_environ: Mapping[str, str], more: Mapping[str, str], job: JobRunner
    ) -> None:
        """A change from a fork has no credentials in any job."""
        skip_environ = {"AUTONOMA_CLIENT_SECRET": "", "AUTONOMA_ON_MISSING_CREDENTIALS": "skip"}
        assert job.start(job_environ, **skip_environ) == 0
        assert job.wait({**job_environ, **skip_environ}, **more)[0] == 0

    def test_step_preserves_open_runs_of_other_job(
        self, job_environ: Mapping[str, str], more: Mapping[str, str], job: JobRunner
    ) -> None:
        """Both jobs can be of one build and share the folder."""
        assert job.start(job_environ) == 0
        log = job({**job_environ, **more}, "run", AUTONOMA_TEST_IDS="b")[1]
        assert "results.json of another step has open runs and is saved as results.1.json" in log


def test_wait_in_same_codebuild_accepts_results(job: JobRunner) -> None:
    """With equal build ids, results.json is of this build, with or without open runs."""
    assert job.start(CODEBUILD, AUTONOMA_WAIT="true") == 0
    assert job.wait(CODEBUILD)[0] == 0


def test_other_checkout_is_same_jenkins_build(job: JobRunner) -> None:
    """On Jenkins, a stage can check out another repository and change the variables."""
    assert job.start(JENKINS) == 0
    log = job({**JENKINS, **OTHER_CHECKOUT}, "run", AUTONOMA_TEST_IDS="c")[1]
    assert "results.json of another step has open runs and is saved as results.1.json" in log
    assert job({**JENKINS, **OTHER_CHECKOUT, "STAGE_NAME": "Wait"}, "wait", "results/results.1.json")[0] == 0


def test_other_gitlab_job_has_no_note(job: JobRunner) -> None:
    """GitLab counts jobs, so each earlier job looks like an earlier attempt."""
    gitlab = {
        "GITLAB_CI": "true",
        "CI_PIPELINE_ID": "7",
        "CI_COMMIT_SHA": SHA,
        "CI_JOB_ID": "1",
        "CI_JOB_NAME": "smoke",
    }
    assert job.start(gitlab, AUTONOMA_WAIT="true") == 0
    code, log = job({**gitlab, "CI_JOB_ID": "2", "CI_JOB_NAME": "full"}, "run", AUTONOMA_TEST_IDS="c")
    assert (code, "The results.json of the earlier attempt is not used" in log) == (0, False)
    log = job({**gitlab, "CI_JOB_ID": "3", "CI_JOB_NAME": "full"}, "run", AUTONOMA_TEST_IDS="a")[1]
    assert "The results.json of the earlier attempt is not used" in log


def test_other_repository_copies_no_results(job: JobRunner) -> None:
    """Its open runs belong to another build, although the numbers are equal."""
    assert job.start(DRONE) == 0
    assert job.start({**DRONE, "DRONE_REPO": "owner/other"}) == 0
    assert not (job.folder / "results" / "results.1.json").exists()


# The results.json of another part


@pytest.mark.parametrize(
    ("job_environ", "start_environ", "wait_environ"),
    [
        (GITHUB, {"INPUT_PART": '{"os":"linux"}'}, {"INPUT_PART": '{"os":"mac"}'}),
        (GITHUB, {}, {"INPUT_PART": '{"os":"mac"}'}),
        (GITHUB, {"INPUT_PART": "linux"}, {"INPUT_PART": "mac"}),
        (GITHUB, {"INPUT_PART": '{"os":"linux"}'}, {"INPUT_PART": "mac"}),
        (GITHUB, {"INPUT_SHARD": "1/2"}, {"INPUT_SHARD": "2/2"}),
        (GITHUB, {"INPUT_SHARD": "1/2"}, {"INPUT_SHARD": "1/3"}),
        (BUILDKITE, {"BUILDKITE_PARALLEL_JOB": "0"}, {"BUILDKITE_PARALLEL_JOB": "1"}),
        (
            {**BUILDKITE, "AUTONOMA_SHARD": "auto"},
            {"BUILDKITE_PARALLEL_JOB": "0"},
            {"BUILDKITE_PARALLEL_JOB": "1"},
        ),
    ],
    ids=["part", "no part", "name", "no matrix", "shard", "another total", "parallel job", "parallel job with shard"],
)
def test_wait_refuses_other_part(
    job_environ: Mapping[str, str], start_environ: dict[str, str], wait_environ: dict[str, str], job: JobRunner
) -> None:
    """The step of this part was killed, and the results.json of another part is still there."""
    assert job(job_environ, "run", AUTONOMA_TEST_IDS="a\nb", **start_environ)[0] == 0
    code, log = job.wait(job_environ, **wait_environ)
    assert code == 2
    assert "the runs are of another part of this job" in log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job_environ", "start_environ", "wait_environ"),
    [
        (GITHUB, {"INPUT_PART": '{"os":"linux"}'}, {"INPUT_PART": '{"os":"linux"}'}),
        (GITHUB, {"INPUT_PART": '{"os":"linux"}'}, {}),
        (GITHUB, {"INPUT_PART": '{"os":"linux"}'}, {"GITHUB_JOB": "verdict"}),
        (GITHUB, {"INPUT_PART": '{"os":"linux"}'}, {"GITHUB_JOB": "verdict", "INPUT_PART": '{"os":"mac"}'}),
        # action.yml passes the matrix values, also where the starting step has the option `part`.
        (GITHUB, {"INPUT_PART": "linux"}, {"INPUT_PART": '{"os":"linux"}'}),
        (GITHUB, {"INPUT_SHARD": "1/2"}, {}),
        (GITHUB, {"INPUT_SHARD": "1/2"}, {"INPUT_SHARD": "1/2"}),
        (GITHUB, {"INPUT_PART": "client-secret-of-the-test"}, {"INPUT_PART": "client-secret-of-the-test"}),
        (BUILDKITE, {"BUILDKITE_PARALLEL_JOB": "1"}, {"BUILDKITE_PARALLEL_JOB": "1"}),
        (
            {**BUILDKITE, "AUTONOMA_SHARD": "auto"},
            {"BUILDKITE_PARALLEL_JOB": "1"},
            {"BUILDKITE_PARALLEL_JOB": "1", "AUTONOMA_SHARD": ""},
        ),
        (
            BUILDKITE,
            {"BUILDKITE_PARALLEL_JOB": "1"},
            {"BUILDKITE_STEP_KEY": "verdict", "BUILDKITE_PARALLEL_JOB_COUNT": ""},
        ),
        (
            {**BITBUCKET, "AUTONOMA_SHARD": "auto"},
            {"BITBUCKET_PARALLEL_STEP": "0", "BITBUCKET_PARALLEL_STEP_COUNT": "2"},
            {},
        ),
        (
            BUILDKITE,
            {"BUILDKITE_PARALLEL_JOB": "0"},
            {"BUILDKITE_PARALLEL_JOB": "1", "AUTONOMA_CI": "cli"},
        ),
    ],
    ids=[
        "the same part", "part unset", "another job", "another job's part", "a matrix beside a name", "shard unset",
        "the same shard",
        "a credential", "parallel job", "parallel job, shard unset", "a job that waits for all",
        "a step without a name", "a terminal",
    ],
)  # fmt: skip
def test_wait_accepts_own_part(
    job_environ: Mapping[str, str], start_environ: dict[str, str], wait_environ: dict[str, str], job: JobRunner
) -> None:
    """Missing facts identify no part, and a job of another name may wait for any part."""
    assert job(job_environ, "run", AUTONOMA_TEST_IDS="a\nc", **start_environ)[0] == 0
    assert job.wait(job_environ, **wait_environ)[0] == 0


# A results.json of a step that was cancelled


def _run_with_signal(engine_run: Callable[..., None], engine: Engine, workers: Any) -> None:
    engine._events.put(SignalReceived(15))
    engine_run(engine, workers)


def test_wait_after_cancelled_start_is_cancelled(
    tmp_path: Path, api: StatusApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was started, so `wait` ends like the step."""
    with FaultServer(api) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "run", lambda self, workers, run=Engine.run: _run_with_signal(run, self, workers))
            first = run_github_step(tmp_path, server.url, ids=["a", "b"])
        assert (first.code, first.states) == (143, {"a": "not-started", "b": "not-started"})
        wait_result = run_wait(tmp_path, server.url)
        assert server.received_requests == []
    assert (wait_result.code, wait_result.outputs["conclusion"], wait_result.outputs["reason"]) == (
        143,
        "cancelled",
        "cancelled",
    )
    assert wait_result.results_json["conclusion"] == "cancelled"


def _set_cancelled(results_json: Any) -> None:
    results_json.update(conclusion="cancelled", reason="cancelled", exit_code=130)
    message = "not sent: the job was cancelled"
    results_json["runs"][1].update(state="not-started", reason="cancelled", run_id="", url="", message=message)


@pytest.mark.parametrize(("status", "code", "reason"), [("passed", 130, "cancelled"), ("failed", 1, "failed")])
def test_wait_after_partial_cancel_fails(status: str, code: int, reason: str, tmp_path: Path) -> None:
    """The started run is polled, but its pass alone is no success."""
    with FaultServer(StatusApi(a=status)) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"])
        edit_results(tmp_path / "results" / "results.json", _set_cancelled)
        wait_result = run_wait(tmp_path, server.url)
    assert (wait_result.code, wait_result.outputs["reason"]) == (code, reason)
    assert wait_result.states == {"a": status, "b": "not-started"}


def test_wait_after_bug_marks_runs_unknown(tmp_path: Path, api: StatusApi) -> None:
    """The failed step had sent some requests, and its results.json does not say which."""
    with FaultServer(api) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"])
        path = tmp_path / "results" / "results.json"
        edit_results(path, lambda results_json: results_json.update(conclusion="error", reason="unknown", exit_code=70))
        edit_results(path, lambda results_json: results_json["runs"][1].update(state="planned", run_id="", url=""))
        wait_result = run_wait(tmp_path, server.url)
    assert (wait_result.code, wait_result.states) == (7, {"a": "passed", "b": "unknown"})


# Untrusted results


@pytest.mark.parametrize("mac", [None, ""], ids=["no field", "empty"])
def test_wait_warns_of_unsigned_results(mac: str | None, tmp_path: Path, api: StatusApi) -> None:
    """To remove the signature is a change, too."""

    def remove_signature(results_json: Any) -> None:
        del results_json["runs"][1], results_json["mac"]
        results_json.update({} if mac is None else {"mac": mac})

    with FaultServer(api) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT)
        edit_results(tmp_path / "results" / "results.json", remove_signature)
        wait_result = run_wait(tmp_path, server.url)
    assert "has no valid signature: changed, or written with other credentials." in wait_result.log


def test_wait_withholds_credential_as_id(tmp_path: Path, api: StatusApi) -> None:
    """The run is unknown, and no file shows its id or its link."""
    with FaultServer(api) as server:
        run_github_step(tmp_path, server.url, ids=["a"])
        wait_result = run_wait(tmp_path, server.url, **{"INPUT_CLIENT-SECRET": "run-of-a"})
    assert (wait_result.code, wait_result.states) == (7, {"a": "unknown"})
    [run] = wait_result.results_json["runs"]
    assert (run["run_id"], run["url"]) == ("", "")
    assert "the run id holds a credential" in wait_result.log


@pytest.mark.slow
def test_wait_results_are_readable(tmp_path: Path) -> None:
    """An incorrect clock puts the start far away."""
    with FaultServer(StatusApi(a="running")) as server:
        run_github_step(tmp_path, server.url, ids=["a"])
        edit_results(
            tmp_path / "results" / "results.json",
            lambda results_json: results_json.update(started_at="1970-01-01T00:01:00Z"),
        )
        for _ in range(2):
            assert run_wait(tmp_path, server.url, INPUT_TIMEOUT="1s").code == 6


def test_wait_on_name_without_suffix_makes_folder(tmp_path: Path, api: StatusApi) -> None:
    """The results folder cannot be named results.json."""
    with FaultServer(api) as server:
        run_github_step(tmp_path, server.url, ids=["a"])
        (tmp_path / "results" / "results.json").rename(tmp_path / "my-runs")
        wait_result = run_github_step(tmp_path, server.url, "wait", "my-runs", more=WAIT | {"INPUT_RESULTS-DIR": ""})
    assert wait_result.code == 0
    results_json = parse_results((tmp_path / "my-runs-results" / "results.json").read_bytes())
    assert results_json.conclusion == "passed"


def test_second_step_preserves_unknown_run(tmp_path: Path) -> None:
    """Only results.json says that a run without id may have started."""

    def handler(connection: Connection) -> bool:
        return faults.reset(connection) if "gone" in connection.request.path else faults.send_started_run(connection)

    with FaultServer(handler) as server:
        assert run_github_step(tmp_path, server.url, ids=["gone"]).code == 7
        second = run_github_step(tmp_path, server.url, ids=["b"])
    assert "results.json of another step has open runs and is saved as results.1.json" in second.log


def test_wait_on_killed_step_writes_named_files(tmp_path: Path, api: StatusApi) -> None:
    """TeamCity gets the path of junit.xml, which a killed step has not written."""
    with FaultServer(api) as server:
        run_github_step(tmp_path, server.url, ids=["a"], more={"INPUT_TIMEOUT": "soon"})
        for name in ("junit.xml", "report.html"):
            (tmp_path / "results" / name).unlink()
        edit_results(
            tmp_path / "results" / "results.json",
            lambda results_json: results_json.update(conclusion=None, reason=None, exit_code=None),
        )
        assert run_wait(tmp_path, server.url).code == 7
        assert (tmp_path / "results" / "junit.xml").exists()
        assert run_wait(tmp_path, server.url).code == 7


# A results.json that can't be written


def test_run_warns_of_unwritable_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full disk, the log warns before the first POST and suggests no later `wait`."""
    printed: list[str] = []
    out = io.StringIO()
    fail_after_first_write(monkeypatch)

    def handler(connection: Connection) -> bool:
        printed.append(out.getvalue())
        return faults.send_started_run(connection)

    with FaultServer(handler) as server:
        environ = {
            "AUTONOMA_CLIENT_ID": "client-id-of-the-test",
            "AUTONOMA_CLIENT_SECRET": "client-secret-of-the-test",
            "AUTONOMA_API_URL": server.url,
            "AUTONOMA_RESULTS_DIR": "results",
            "AUTONOMA_TEST_IDS": "a",
            **GENERIC_CI,
        }
        assert cli.run_command(["run"], Runtime(environ, out, out, str(tmp_path))) == 7
    assert "results.json could not be written to results-dir (No space left on device)." in printed[0]
    assert "To wait for the results later" not in out.getvalue()


def fail_after_first_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all writes of files fail except the first one."""
    written_names: list[str] = []
    write_atomic = Directory.write_atomic

    def write_once(self: Directory, name: str, data: bytes) -> None:
        if written_names:
            raise OSError(28, "No space left on device")
        written_names.append(name)
        write_atomic(self, name, data)

    monkeypatch.setattr(Directory, "write_atomic", write_once)


# Reports from a results.json


@pytest.mark.parametrize(
    "change",
    [
        {"conclusion": "passed", "reason": "ok", "exit_code": 0},
        {"conclusion": "passed", "reason": "ok", "exit_code": 0, "runs": []},
        {"conclusion": "passed", "reason": "ok", "exit_code": 0, "waits_for_results": False},
    ],
    ids=["a failure", "no runs", "not waited for"],
)
def test_report_refuses_contradicting_verdict(change: dict[str, object], tmp_path: Path, api: StatusApi) -> None:
    """A verdict that contradicts the runs is an error."""
    with FaultServer(api) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"], more=WAIT)
    edit_results(tmp_path / "results" / "results.json", lambda results_json: results_json.update(change))
    out = io.StringIO()
    job_runtime = Runtime({}, out, out, str(tmp_path))
    for name in ("markdown", "html"):
        assert cli.run_command(["report", "results/results.json", "--format", name, "--output", "-"], job_runtime) == 0
    assert "Passed" not in out.getvalue()
    assert "❌ Error" in out.getvalue()
    assert 'class="verdict good"' not in out.getvalue()


# A re-run after `wait`


def test_run_reuses_pass_saved_by_wait(tmp_path: Path) -> None:
    """`wait` signs results.json again, so a re-run starts only the other runs."""
    with FaultServer(StatusApi(a="passed", b="failed")) as server:
        run_github_step(tmp_path, server.url, ids=["a", "b"])
        assert run_wait(tmp_path, server.url).code == 1
        rerun = run_github_step(tmp_path, server.url, ids=["a", "b"], more=RE_RUN)
        assert server.post_counts == {"a": 1, "b": 2}
    assert [run["reused"] for run in rerun.results_json["runs"]] == [True, False]
