"""A whole job on GitHub in this process, with all its results."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autonoma_ci import cli
from autonoma_ci.api.models import Timeouts
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.starter import StartPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# For a server that responds. On a busy machine, a response can arrive seconds late.
LONG_TIMEOUTS = Timeouts(connect=60.0, read=60.0, total=120.0)
# For a server that sends nothing or never ends. Responses of other requests must arrive within this time.
SHORT_TIMEOUTS = Timeouts(connect=10.0, read=3.0, total=4.0)
POLL_POLICY = PollPolicy(
    interval=0.1, give_up_after=1.0, not_found_grace=0.3, late_response_grace=10.0, hung_after=300.0
)
# `give_up_after` is longer than all connection attempts of a run on any machine.
START_POLICY = StartPolicy(
    give_up_after=300.0,
    max_connect_attempts=3,
    first_retry_pause=0.02,
    max_retry_pause=0.05,
    shutdown_grace=0.3,
    hung_after=300.0,
)


@dataclass(frozen=True)
class JobResult:
    """The result of a job."""

    code: int
    log: str  # standard output
    errors: str  # standard error
    outputs: Mapping[str, str]
    summary: str
    results_json: Any  # the parsed results.json

    @property
    def states(self) -> dict[str, str]:
        """The state of each run by its id, from results.json."""
        return {run["id"]: run["state"] for run in self.results_json["runs"]}

    @property
    def visible_text(self) -> str:
        """All texts that a reader can see."""
        return "\n".join([self.log, self.errors, self.summary, json.dumps(self.results_json), *self.outputs.values()])


def github_environ(folder: Path, url: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the environment of a job on GitHub with its files in `folder`."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "INPUT_CLIENT-ID": "client-id-of-the-test",
        "INPUT_CLIENT-SECRET": "client-secret-of-the-test",
        "INPUT_API-URL": url,
        "INPUT_TEST-IDS": "\n".join(ids),
        "INPUT_RESULTS-DIR": "results",
    }


def run_job(
    folder: Path,
    url: str,
    ids: Sequence[str],
    *argv: str,
    timeouts: Timeouts = LONG_TIMEOUTS,
    policy: StartPolicy = START_POLICY,
    extra_environ: Mapping[str, str] | None = None,
) -> JobResult:
    """Run a job that starts these tests, with extra environment variables."""
    out, err = io.StringIO(), io.StringIO()
    environ = github_environ(folder, url, ids) | dict(extra_environ or {})
    runtime = Runtime(environ, out, err, str(folder), timeouts=timeouts, start_policy=policy, poll_policy=POLL_POLICY)
    code = cli.run_command(argv, runtime)
    return read_job_result(folder, code, out.getvalue(), err.getvalue())


def read_job_result(folder: Path, code: int, log: str, errors: str) -> JobResult:
    """Read the files of a job, and fail if one is missing or incomplete."""
    outputs = read_outputs((folder / "output").read_text("utf-8"))
    summary = (folder / "summary").read_text("utf-8")
    results_json = json.loads((folder / "results" / "results.json").read_text("utf-8"))
    return JobResult(code, log, errors, outputs, summary, results_json)


def read_outputs(text: str) -> dict[str, str]:
    """Parse a file of heredocs, and fail if one does not end."""
    outputs: dict[str, str] = {}
    lines = text.split("\n")
    assert lines.pop() == "", "the file must end with a line end"
    while lines:
        name, separator, delimiter = lines.pop(0).partition("<<")
        assert separator, f"{name!r} is no output"
        end = lines.index(delimiter)
        outputs[name] = "\n".join(lines[:end])
        del lines[: end + 1]
    return outputs


def assert_runs_reported(job: JobResult, ids: Sequence[str]) -> None:
    """Fail unless each planned run has one final state, equal in all reports."""
    assert job.code != 70, job.errors
    assert "Traceback" not in job.log + job.errors
    runs = job.results_json["runs"]
    results = json.loads(job.outputs["results"])
    assert [run["id"] for run in runs] == [result["id"] for result in results] == list(ids)
    assert [run["state"] for run in runs] == [result["state"] for result in results]
    states = [run["state"] for run in runs]
    assert set(states) <= {"started", "not-started", "unknown"}
    for name in ("started", "not-started", "unknown"):
        assert job.outputs[name] == str(states.count(name))
    assert job.outputs["total"] == str(len(ids))
    assert job.results_json["exit_code"] == job.code
    assert job.outputs["reason"] == job.results_json["reason"]
    assert job.outputs["conclusion"] == job.results_json["conclusion"]
    for run in runs:
        assert run["id"] in job.log
        assert run["id"] in job.summary.replace("\\", "")
