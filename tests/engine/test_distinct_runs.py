"""Test whole jobs against an API that mixes its runs up.

Two runs with one id, or a status and details that contradict each other, are never a pass, and the job says so.
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
from tests.support.faults import answer, close
from tests.support.job import BRIEF, Ended, environment, left_behind, run_job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.fault_server import Wire

T = TypeVar("T")

# In seconds. Long, because no test here waits for them: a machine that is slow must not change a result.
PATIENT = Timeouts(connect=60.0, read=60.0, total=120.0)
WAIT = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "10m", "INPUT_CONCURRENCY": "1"}
OWN = "the title of its own test"
OTHERS = "the title of another test"
OTHER_STEP = {"instruction": "a step of another test", "output": "what another test saw", "status": "failed"}


@dataclass
class Api:
    """An API that responds to each request from a list.

    The last item of a list stays.

    Attributes:
        starts: The run ids of each start, by the first two parts of its path.
        words: The status words of each run, by its id.
        details: The details of each run, by its id. Each is an HTTP status or the fields.
        asked: The paths of the requests that came.
    """

    starts: Mapping[str, list[str]]
    words: Mapping[str, list[str]] = field(default_factory=dict)
    details: Mapping[str, list[int | dict[str, object]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def act(self, wire: Wire) -> bool:
        """Respond to one request."""
        path, _, query = wire.request.path.removeprefix("/api/").partition("?")
        self.asked.append(path)
        if wire.request.method == "POST":
            kind = path.partition("/")[0]
            run = _next(self.starts[path.removesuffix("/run")])
            name = {"test": "run_id", "folder": "folder_run_id", "tag": "tag_run_id"}[kind]
            return answer(200, json.dumps({name: run, "url": f"https://autonoma.app/run/{run}"}))(wire)
        if query:
            found = _next(self.details[path.removeprefix("run/")])
            status, fields = (200, found) if isinstance(found, dict) else (found, {})
            return answer(status, json.dumps(fields))(wire)
        run = path.removesuffix("/status").rpartition("/")[2]
        return answer(200, json.dumps({"status": _next(self.words[run])}))(wire)


def _next(values: list[T]) -> T:
    return values.pop(0) if len(values) > 1 else values[0]


def run(folder: Path, api: Api, ids: list[str], more: Mapping[str, str]) -> Ended:
    """Run a job that waits, with short pauses between its requests."""
    with pytest.MonkeyPatch.context() as patch, FaultServer(api.act) as server:
        patch.setattr("autonoma_ci.engine.details._RETRY_DELAY_SECONDS", 0.05)
        return run_job(folder, server.url, ids, more={**WAIT, **more}, timeouts=PATIENT)


def warnings_of(job: Ended) -> str:
    return "\n".join(line for line in job.log.splitlines() if line.startswith("::warning"))


def test_status_that_names_another_run_is_not_believed(tmp_path: Path) -> None:
    """A gateway gives each poll the response that belongs to the poll before it; all runs but one pass."""
    last = ["run-of-a"]

    def act(wire: Wire) -> bool:
        path = wire.request.path
        if wire.request.method == "POST":
            run = f"run-of-{wire.request.subject}"
            return answer(200, json.dumps({"run_id": run, "url": f"https://autonoma.app/run/{run}"}))(wire)
        run, last[0] = last[0], path.split("/")[3]
        word = "failed" if run == "run-of-bad" else "passed"
        return answer(200, json.dumps({"status": word, "url": f"https://autonoma.app/run/{run}"}))(wire)

    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ["a=a", "bad=bad", "c=c"], more={**WAIT, "INPUT_TIMEOUT": "3s"})
    assert job.code != 0
    assert job.states["bad"] != "passed"
    assert "failed" not in {job.states["a"], job.states["c"]}


@pytest.mark.parametrize("name", ["nobody", "b"])
def test_status_of_a_run_that_nobody_started_is_no_pass(name: str, tmp_path: Path) -> None:
    """The link names another run, whether this job knows it or not."""

    def act(wire: Wire) -> bool:
        path, subject = wire.request.path, wire.request.subject
        if wire.request.method == "POST":
            return answer(200, json.dumps({"run_id": f"run-of-{subject}"}))(wire)
        named = f"run-of-{name}" if "run-of-a" in path else "run-of-b"
        return answer(200, json.dumps({"status": "passed", "url": f"https://autonoma.app/run/{named}/steps"}))(wire)

    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ["a", "b"], more={**WAIT, "INPUT_TIMEOUT": "3s"}, timeouts=PATIENT)
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
def test_start_that_hides_the_run_of_another_is_unknown(second: dict[str, object], tmp_path: Path) -> None:
    """A second test never gets the run of the first one under another spelling."""

    def act(wire: Wire) -> bool:
        first = {"run_id": "r", "url": "https://autonoma.app/run/r"}
        return answer(200, json.dumps(first if wire.request.subject == "a" else second))(wire)

    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ["a", "b"], more={"INPUT_CONCURRENCY": "1"}, timeouts=PATIENT)
        assert server.posts == {"a": 1, "b": 1}
    assert (job.code, job.states) == (7, {"a": "started", "b": "unknown"})


def test_folder_start_with_the_answer_of_a_test_is_unknown(tmp_path: Path) -> None:
    """A response that names the run of a test names no folder run."""
    with FaultServer(answer(200, '{"run_id": "r", "url": "https://autonoma.app/run/r"}')) as server:
        job = run_job(tmp_path, server.url, ["a"], more={"INPUT_FOLDER-IDS": "f"}, timeouts=PATIENT)
    assert (job.code, job.states) == (7, {"a": "started", "f": "unknown"})


def test_start_that_was_lost_after_a_429_says_so(tmp_path: Path) -> None:
    """It was sent twice, so the hint says only that it is not sent again."""
    with FaultServer(close, {"a": [answer(429, "{}", "Retry-After: 0"), close]}) as server:
        job = run_job(tmp_path, server.url, ["a"], timeouts=PATIENT)
        assert server.posts == {"a": 2}
    assert job.states == {"a": "unknown"}
    assert "It is not sent again." in job.log
    assert "second time" not in job.everything


def test_one_id_for_two_tests_leaves_the_second_unknown(tmp_path: Path) -> None:
    """The second start got the response of the first one."""
    api = Api({"test/a": ["r"], "test/b": ["r"]}, {"r": ["passed"]}, {"r": [{"name": OWN}]})
    job = run(tmp_path, api, ["a", "b"], {})
    assert job.states == {"a": "passed", "b": "unknown"}
    assert (job.code, job.outputs["conclusion"], job.outputs["reason"]) == (7, "error", "unknown")
    assert [found["run_id"] for found in job.record["runs"]] == ["r", ""]
    assert "b: the API named run r, which is another one" in warnings_of(job)
    assert "which is another one" in job.summary
    assert api.asked.count("test/b/run") == 1


def test_one_id_for_two_tests_without_wait_is_exit_code_7(tmp_path: Path) -> None:
    """A step that only starts runs says it too."""
    with FaultServer(Api({"test/a": ["r"], "test/b": ["r"], "test/c": ["r-of-c"]}).act) as server:
        job = run_job(tmp_path, server.url, ["a", "b", "c"], more={"INPUT_CONCURRENCY": "1"}, timeouts=PATIENT)
    assert (job.code, job.states) == (7, {"a": "started", "b": "unknown", "c": "started"})
    assert "run r," in warnings_of(job)


def test_one_link_without_an_id_for_two_tests_is_unknown(tmp_path: Path) -> None:
    """Where the API gives links alone, the id is the end of the link."""

    def links(wire: Wire) -> bool:
        return answer(200, '{"url": "https://autonoma.app/run/r"}')(wire)

    with FaultServer(links) as server:
        job = run_job(tmp_path, server.url, ["a", "b"], more={"INPUT_CONCURRENCY": "1"}, timeouts=PATIENT)
    assert (job.code, job.states) == (7, {"a": "started", "b": "unknown"})


def test_id_that_is_taken_is_not_shown_for_an_error(tmp_path: Path) -> None:
    """An error does not give another test's run to this test."""

    def act(wire: Wire) -> bool:
        status = 500 if wire.request.subject == "b" else 200
        return answer(status, '{"run_id": "r", "url": "https://autonoma.app/run/r"}')(wire)

    with FaultServer(act) as server:
        job = run_job(tmp_path, server.url, ["a", "b"], more={"INPUT_CONCURRENCY": "1"}, timeouts=PATIENT)
    assert (job.code, job.states) == (7, {"a": "started", "b": "unknown"})
    assert [found["run_id"] for found in job.record["runs"]] == ["r", ""]


def test_retry_with_its_own_earlier_id_stays_failed(tmp_path: Path) -> None:
    """The run that failed is not taken for a second one, and can't pass."""
    api = Api({"test/a": ["r"]}, {"r": ["failed", "passed"]}, {"r": [{"name": OWN}]})
    job = run(tmp_path, api, ["a"], {"INPUT_RETRIES": "1"})
    assert (job.code, job.states, job.outputs["passed"]) == (1, {"a": "failed"}, "0")
    assert api.asked.count("test/a/run") == 2
    assert api.asked.count("run/r/status") == 1
    for text in (job.log, job.summary, job.record["runs"][0]["message"]):
        assert "the API named the run that failed, so whether another one was started is not known" in text


def test_retry_with_the_id_of_another_test_is_unknown(tmp_path: Path) -> None:
    """A retry that gets the run of a test that passed has not passed."""
    api = Api(
        {"test/a": ["r1"], "test/b": ["r2", "r1"]},
        {"r1": ["passed"], "r2": ["failed"]},
        {"r1": [{"name": OWN}], "r2": [{"name": OWN}]},
    )
    job = run(tmp_path, api, ["a", "b"], {"INPUT_RETRIES": "1"})
    assert (job.code, job.states) == (7, {"a": "passed", "b": "unknown"})
    assert "named run r1," in warnings_of(job)


def test_retry_with_a_new_id_passes(tmp_path: Path) -> None:
    """A run of its own makes the retry count."""
    api = Api(
        {"test/a": ["r1", "r2"]}, {"r1": ["failed"], "r2": ["passed"]}, {"r1": [{"name": OWN}], "r2": [{"name": OWN}]}
    )
    job = run(tmp_path, api, ["a"], {"INPUT_RETRIES": "1"})
    assert (job.code, job.states) == (0, {"a": "passed"})
    assert "another one" not in job.everything


def test_kinds_may_share_an_id(tmp_path: Path) -> None:
    """Tests, folders and tags have ids of their own."""
    api = Api({"test/x": ["r"], "folder/x": ["r"], "tag/x": ["r"]}, {"r": ["passed"]}, {"r": [{"name": OWN}]})
    job = run(tmp_path, api, ["x"], {"INPUT_FOLDER-IDS": "x", "INPUT_TAG-IDS": "x"})
    assert (job.code, [found["state"] for found in job.record["runs"]]) == (0, ["passed"] * 3)
    assert [found["run_id"] for found in job.record["runs"]] == ["r"] * 3


PAGE = "https://autonoma.app/run/folder/r"


@pytest.mark.parametrize(
    "kinds",
    [(TargetKind.FOLDER, TargetKind.TAG), (TargetKind.TAG, TargetKind.FOLDER), (TargetKind.TAG, TargetKind.TAG)],
)
def test_tag_run_on_the_page_of_a_folder_run_is_that_run(kinds: tuple[TargetKind, TargetKind]) -> None:
    """The page of a tag run may be that of a folder run, and one run is never the result of two starts."""
    board = RunTable((), 0.0)
    assert [board.claim_start(kind, "r", PAGE) for kind in kinds] == [True, False]


def test_tag_run_is_not_the_folder_run_of_an_earlier_attempt() -> None:
    board = RunTable((), 0.0, frozenset({(TargetKind.FOLDER, "r")}))
    assert not board.claim_start(TargetKind.TAG, "r", PAGE)
    assert board.claim_start(TargetKind.TAG, "r", "https://autonoma.app/run/tag/r")


# Records


def take_up(folder: Path, url: str) -> Ended:
    """Run `wait` on the record that a job left in this folder."""
    out, err = io.StringIO(), io.StringIO()
    environ = {**environment(folder, url, []), "INPUT_TIMEOUT": "10m"}
    code = cli.run_command(["wait", "results/results.json"], Runtime(environ, out, err, str(folder), poll_policy=BRIEF))
    return left_behind(folder, code, out.getvalue(), err.getvalue())


@pytest.mark.parametrize("state", ["started", "passed", "failed", "timed-out", "unknown"])
def test_record_with_one_id_twice_leaves_the_second_unknown(state: str, tmp_path: Path) -> None:
    """One run is not the run of two tests, whatever the record says."""
    api = Api(
        {"test/a": ["r1"], "test/b": ["r2"]},
        {"r1": ["failed" if state == "failed" else "passed"], "r2": ["passed"]},
        {"r1": [{"name": OWN}], "r2": [{"name": OTHERS}]},
    )
    with FaultServer(api.act) as server:
        run_job(tmp_path, server.url, ["a", "b"], timeouts=PATIENT)
        path = tmp_path / "results" / "results.json"
        record = json.loads(path.read_text("utf-8"))
        record["runs"][0].update(state=state)
        record["runs"][1].update(run_id="r1", url=record["runs"][0]["url"])
        path.write_text(json.dumps(record), "utf-8")
        job = take_up(tmp_path, server.url)
    assert job.states == {"a": "failed" if state == "failed" else "passed", "b": "unknown"}
    assert job.code == 7
    assert "run/r2/status" not in api.asked
    assert "b: the record gives two runs the same id, r1" in warnings_of(job)
    assert "the record gives two runs the same id" in job.summary


def test_record_with_the_id_of_an_earlier_attempt_is_unknown(tmp_path: Path) -> None:
    """The run of a test's first attempt is not that of another test."""
    api = Api(
        {"test/a": ["r1", "r2"], "test/b": ["r3"]},
        {"r1": ["failed"], "r2": ["passed"], "r3": ["running", "passed"]},
        {name: [{"name": OWN}] for name in ("r1", "r2", "r3")},
    )
    with FaultServer(api.act) as server:
        run_job(tmp_path, server.url, ["a", "b"], more={**WAIT, "INPUT_RETRIES": "1"}, timeouts=PATIENT)
        path = tmp_path / "results" / "results.json"
        record = json.loads(path.read_text("utf-8"))
        record["runs"][1].update(state="started", run_id="r1", url="https://autonoma.app/run/r1")
        path.write_text(json.dumps(record), "utf-8")
        job = take_up(tmp_path, server.url)
    assert (job.code, job.states["b"]) == (7, "unknown")


def test_record_in_which_kinds_share_an_id_is_waited_for(tmp_path: Path) -> None:
    """One id for a test and a folder is two runs in a record too."""
    api = Api({"test/x": ["r"], "folder/x": ["r"]}, {"r": ["passed"]}, {"r": [{"name": OWN}]})
    with FaultServer(api.act) as server:
        run_job(tmp_path, server.url, ["x"], more={"INPUT_FOLDER-IDS": "x"}, timeouts=PATIENT)
        job = take_up(tmp_path, server.url)
    assert (job.code, [found["state"] for found in job.record["runs"]]) == (0, ["passed"] * 2)


# Status and details


def details(**fields: object) -> dict[str, object]:
    return {"id": "r", "test_id": "a", "name": OWN, "status": "passed", **fields}


def contradicted(folder: Path, word: str, *found: int | dict[str, object], label: str = "") -> Ended:
    """Run a job with one test that has this status and these details."""
    return run(folder, Api({"test/a": ["r"]}, {"r": [word]}, {"r": list(found)}), [f"{label}a"], {})


CONTRADICTIONS = {
    "another test": (details(test_id="b", name=OTHERS, steps=[OTHER_STEP]), "the details are of another test"),
    "another run": (details(id="r-of-b", name=OTHERS, steps=[OTHER_STEP]), "the details are of another run"),
    "failed": (details(status="failed"), "the details say failed"),
    "error": (details(status="Error"), "the details say failed"),
    "stopped": (details(status="cancelled"), "the details say stopped"),
    "running for ever": (details(status="running"), "the details say running"),
    "a number": (details(test_id=7), "the details are of another test"),
    "another test inside": (details(test_id=None, test={"id": "b"}), "the details are of another test"),
}


@pytest.mark.parametrize("label", ["", "Checkout = "], ids=["without a label", "with a label"])
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_pass_that_details_contradict_is_unknown(name: str, label: str, tmp_path: Path) -> None:
    """A pass that the details deny is no pass, and all reports say why."""
    found, why = CONTRADICTIONS[name]
    job = contradicted(tmp_path, "passed", found, label=label)
    assert (job.code, job.states) == (7, {"a": "unknown"})
    assert (job.outputs["conclusion"], job.outputs["reason"]) == ("error", "unknown")
    assert job.outputs["passed"] == "0"
    for text in (job.log, job.summary, job.record["runs"][0]["message"]):
        assert f"the API contradicts itself: the status is passed, but {why}" in text
    assert job.record["runs"][0]["run_id"] == "r"


@pytest.mark.parametrize("name", ["another test", "another run"])
def test_details_of_another_test_are_not_shown(name: str, tmp_path: Path) -> None:
    """Neither the title nor the steps of another test are shown for this one."""
    for word in ("passed", "failed"):
        folder = tmp_path / word
        folder.mkdir()
        job = contradicted(folder, word, CONTRADICTIONS[name][0])
        assert job.code == {"passed": 7, "failed": 1}[word]
        for text in (OTHERS, "a step of another test", "what another test saw"):
            assert text not in job.everything
        assert why_of(job).endswith(CONTRADICTIONS[name][1])


def why_of(job: Ended) -> str:
    return str(job.record["runs"][0]["message"])


def test_failure_that_details_deny_stays_failed(tmp_path: Path) -> None:
    """The status decides, and the job says that the details deny it."""
    job = contradicted(tmp_path, "failed", details())
    assert (job.code, job.states) == (1, {"a": "failed"})
    for text in (job.log, job.summary, why_of(job)):
        assert "the API contradicts itself: the status is failed, but the details say passed" in text


@pytest.mark.parametrize("word", ["running", "pending"])
def test_pass_with_details_that_lag_is_a_pass(word: str, tmp_path: Path) -> None:
    """Details may lag behind the status for a moment."""
    job = contradicted(tmp_path, "passed", details(status=word), details(status=word), details())
    assert (job.code, job.states) == (0, {"a": "passed"})
    assert OWN in job.log
    assert "contradicts" not in job.everything


@pytest.mark.parametrize("name", ["another test", "another run"])
def test_pass_with_details_that_were_once_wrong_is_a_pass(name: str, tmp_path: Path) -> None:
    """Details of another test are requested again."""
    job = contradicted(tmp_path, "passed", CONTRADICTIONS[name][0], details())
    assert (job.code, job.states) == (0, {"a": "passed"})
    assert OTHERS not in job.everything


@pytest.mark.parametrize("name", ["another test", "another run"])
@pytest.mark.parametrize("then", [500, {}], ids=["an error", "empty"])
def test_contradiction_is_not_cleared_up_by_an_error(name: str, then: int | dict[str, object], tmp_path: Path) -> None:
    """Only details that fit the run take the doubt about a pass away."""
    found, why = CONTRADICTIONS[name]
    job = contradicted(tmp_path, "passed", found, then)
    assert (job.code, job.states) == (7, {"a": "unknown"})
    assert why in why_of(job)


def test_contradiction_is_cleared_up_after_an_error(tmp_path: Path) -> None:
    """An error between wrong and right details changes nothing."""
    job = contradicted(tmp_path, "passed", CONTRADICTIONS["another test"][0], 500, details())
    assert (job.code, job.states) == (0, {"a": "passed"})


@pytest.mark.parametrize("first", [500, 429, 404])
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradiction_after_an_error_counts(name: str, first: int, tmp_path: Path) -> None:
    """One failed request for the details does not make a pass of what they deny."""
    found, why = CONTRADICTIONS[name]
    job = contradicted(tmp_path, "passed", first, *[found] * 20)
    assert (job.code, job.states) == (7, {"a": "unknown"})
    assert why in why_of(job)


@pytest.mark.parametrize(
    "found",
    [
        details(),
        details(id=None, test_id=None, status=None),
        {"name": OWN},
        details(status=5),
        details(status="archived"),
        {},
        500,
    ],
    ids=["all fields", "null", "none", "a number", "an unknown word", "empty", "an error"],
)
def test_pass_without_a_contradiction_is_a_pass(found: int | dict[str, object], tmp_path: Path) -> None:
    """Details that are missing, or that lack a field, deny nothing."""
    job = contradicted(tmp_path, "passed", found)
    assert (job.code, job.states) == (0, {"a": "passed"})


def test_contradicted_pass_makes_the_job_fail(tmp_path: Path) -> None:
    """The other tests keep their verdicts."""
    api = Api(
        {"test/a": ["r"], "test/b": ["r2"]},
        {"r": ["passed"], "r2": ["passed"]},
        {"r": [details(status="failed")], "r2": [{"id": "r2", "test_id": "b", "status": "passed", "name": OTHERS}]},
    )
    job = run(tmp_path, api, ["a", "b"], {})
    assert (job.code, job.states) == (7, {"a": "unknown", "b": "passed"})


@pytest.mark.parametrize("name", ["", "Login="])
@pytest.mark.parametrize(
    ("then", "code"),
    [(details(status="failed"), 7), (500, 7), (details(id="r1", test_id="other"), 7), (details(id="r1"), 0)],
    ids=["failed", "no details", "other test", "fits"],
)
def test_contradicted_pass_stays_doubted_for_wait(
    then: int | dict[str, object], code: int, name: str, tmp_path: Path
) -> None:
    """`wait` takes such a run up again, and its status alone is no proof, whether it has a name or not."""
    api = Api({"test/a": ["r1"]}, {"r1": ["passed"]}, {"r1": [details(status="failed")]})
    with pytest.MonkeyPatch.context() as patch, FaultServer(api.act) as server:
        patch.setattr("autonoma_ci.engine.details._RETRY_DELAY_SECONDS", 0.05)
        assert run_job(tmp_path, server.url, ["a"], more=WAIT, timeouts=PATIENT).code == 7
        record = tmp_path / "results" / "results.json"
        saved = json.loads(record.read_text("utf-8"))
        saved["runs"][0]["label"] = name.rstrip("=")
        record.write_text(json.dumps(saved), "utf-8")
        api.details["r1"][:] = [then]
        assert take_up(tmp_path, server.url).code == code
