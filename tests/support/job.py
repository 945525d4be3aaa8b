"""One whole job in this process, as on GitHub, and everything that it left behind."""

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

# For a server that answers: on a machine that is busy with others, what is sent at once may come seconds later.
PATIENT = Timeouts(connect=60.0, read=60.0, total=120.0)
# For a server that says nothing, or never comes to an end. Where others answer beside it, they have this time.
QUICK = Timeouts(connect=10.0, read=3.0, total=4.0)
BRIEF = PollPolicy(interval=0.1, give_up_after=1.0, not_found_grace=0.3, late_response_grace=10.0, hung_after=300.0)
# The patience is longer than all tries of a run that makes no connection, on any machine.
BRISK = StartPolicy(
    give_up_after=300.0,
    max_connect_attempts=3,
    first_retry_pause=0.02,
    max_retry_pause=0.05,
    shutdown_grace=0.3,
    hung_after=300.0,
)


@dataclass(frozen=True)
class Ended:
    """What a job left behind; `log` is standard output, `record` is results.json."""

    code: int
    log: str
    errors: str
    outputs: Mapping[str, str]
    summary: str
    record: Any

    @property
    def states(self) -> dict[str, str]:
        """The state of each run by its id, from results.json."""
        return {run["id"]: run["state"] for run in self.record["runs"]}

    @property
    def everything(self) -> str:
        """All texts that anybody could read."""
        return "\n".join([self.log, self.errors, self.summary, json.dumps(self.record), *self.outputs.values()])


def environment(folder: Path, url: str, ids: Sequence[str]) -> dict[str, str]:
    """Return what a job on GitHub is given; the files that the runner names are in `folder`."""
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
    timeouts: Timeouts = PATIENT,
    policy: StartPolicy = BRISK,
    more: Mapping[str, str] | None = None,
) -> Ended:
    """Run a job that starts these tests; `more` is what else its environment holds."""
    out, err = io.StringIO(), io.StringIO()
    environ = environment(folder, url, ids) | dict(more or {})
    world = Runtime(environ, out, err, str(folder), timeouts=timeouts, start_policy=policy, poll_policy=BRIEF)
    code = cli.run_command(argv, world)
    return left_behind(folder, code, out.getvalue(), err.getvalue())


def left_behind(folder: Path, code: int, log: str, errors: str) -> Ended:
    """Read what a job wrote; raises where a file is missing or not whole."""
    outputs = read_outputs((folder / "output").read_text("utf-8"))
    summary = (folder / "summary").read_text("utf-8")
    record = json.loads((folder / "results" / "results.json").read_text("utf-8"))
    return Ended(code, log, errors, outputs, summary, record)


def read_outputs(text: str) -> dict[str, str]:
    """Return the outputs of a file of heredocs; raises where one does not end."""
    found: dict[str, str] = {}
    lines = text.split("\n")
    assert lines.pop() == "", "the file must end with a line end"
    while lines:
        name, mark, delimiter = lines.pop(0).partition("<<")
        assert mark, f"{name!r} is no output"
        end = lines.index(delimiter)
        found[name] = "\n".join(lines[:end])
        del lines[: end + 1]
    return found


def assert_accounted_for(job: Ended, ids: Sequence[str]) -> None:
    """Fail unless every planned run has one final state, the same in all that was written."""
    assert job.code != 70, job.errors
    assert "Traceback" not in job.log + job.errors
    runs = job.record["runs"]
    results = json.loads(job.outputs["results"])
    assert [run["id"] for run in runs] == [result["id"] for result in results] == list(ids)
    assert [run["state"] for run in runs] == [result["state"] for result in results]
    states = [run["state"] for run in runs]
    assert set(states) <= {"started", "not-started", "unknown"}
    for name in ("started", "not-started", "unknown"):
        assert job.outputs[name] == str(states.count(name))
    assert job.outputs["total"] == str(len(ids))
    assert job.record["exit_code"] == job.code
    assert job.outputs["reason"] == job.record["reason"]
    assert job.outputs["conclusion"] == job.record["conclusion"]
    for run in runs:
        assert run["id"] in job.log
        assert run["id"] in job.summary.replace("\\", "")
