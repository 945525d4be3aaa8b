"""Real load on the command, with processes for command and sandbox."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from tests.support.github_job import JobResult, github_environ, read_job_result
from tests.system.soak.check_results import ReportedRun, check_runs, count_states, read_results_run
from tests.system.soak.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.system.soak.ground_truth import GroundTruth

RETRIES = 1
_SANDBOX_SCRIPT = """
import sys, threading
from autonoma_ci.sandbox import Sandbox
with Sandbox(pace=float(sys.argv[1])) as sandbox:
    print(sandbox.url, flush=True)
    threading.Event().wait()
"""
# In percent. Failing runs take three times the pace, so most retries start after all first attempts.
_TEST_KINDS = {
    "takes-0": 30,
    "takes-1": 45,
    "takes-2": 5,
    "takes-4": 5,
    "takes-8": 5,
    "flaky": 6,
    "fails": 3,
    "stopped": 1,
}
# These make the C library return free memory at once, so that it does not count.
_MALLOC_ENVIRON = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
_PAGE_BYTES = resource.getpagesize()
_MIB = 1024 * 1024
# Memory grows by about 3 KiB for each started run, and must stay flat after the last start. (Without garbage
# collection it grew by 7 to 12 KiB.) The states of ended runs need less than SLACK_MIB. A leak of 1 KiB for each
# request would add 10 MiB.
MAX_KIB_PER_RUN = 5.0
MAX_GROWTH_FACTOR, SLACK_MIB = 1.1, 5.0
# A step that takes longer than this multiple of the planned time counts as hanging.
_TIME_LIMIT_FACTOR = 3.0


class LoadResult(NamedTuple):
    """The result of a job under load."""

    planned_ids: list[str]
    job: JobResult
    runs: list[ReportedRun]
    ground_truth: GroundTruth
    memory: list[float]  # resident memory of the command in MiB, once a second
    seconds: float
    outages: int
    outage_seconds: float


def make_plan(seed: int, runs: int) -> dict[str, str]:
    """Return the tests of a plan as a mapping of id to name.

    Some names are empty. Most tests pass after 0 to 8 times the pace of the sandbox.
    """
    random = Random(seed)
    plan = {}
    for number, kind in enumerate(random.choices([*_TEST_KINDS], [*_TEST_KINDS.values()], k=runs)):
        plan[f"sandbox-{kind}-{number}"] = f"Run {number}" if random.random() < 0.8 else ""
    return plan


def run_load(folder: Path, seed: int, runs: int, seconds: float) -> LoadResult:
    """Run the command, which starts runs in one half of the time and waits in the other."""
    plan = make_plan(seed, runs)
    entries = [f"  - id: {test}\n" + (f"    name: {name}\n" if name else "") for test, name in plan.items()]
    (folder / "autonoma.yml").write_text("version: 1\ntests:\n" + "".join(entries), encoding="utf-8")
    # The rate allows for the pauses after HTTP 429. A hanging exchange can outlast all timeouts.
    with (
        _run_sandbox(seconds / 14) as port,
        FaultProxy(port, seed, 2.2 * runs / seconds, min(70.0, seconds / 4)) as proxy,
    ):
        environ = github_environ(folder, proxy.url, []) | {"PATH": os.environ["PATH"], "INPUT_WAIT": "true"}
        environ |= {"INPUT_RETRIES": str(RETRIES), "INPUT_CONCURRENCY": "64"} | _MALLOC_ENVIRON
        command = [str(Path(sys.executable).with_name("autonoma-ci"))]
        started_at = time.monotonic()
        with (
            (folder / "log").open("w") as log,
            (folder / "errors").open("w") as errors,
            subprocess.Popen(command, env=environ, cwd=folder, stdout=log, stderr=errors) as process,
        ):
            memory = list(_measure_memory(process, _TIME_LIMIT_FACTOR * seconds + 60.0))
        elapsed_seconds = time.monotonic() - started_at
    log_text, errors_text = ((folder / name).read_text("utf-8") for name in ("log", "errors"))
    job = read_job_result(folder, process.returncode, log_text, errors_text)
    reported_runs = [read_results_run(run) for run in job.results_json["runs"]]
    return LoadResult(
        list(plan), job, reported_runs, proxy.ground_truth, memory, elapsed_seconds, proxy.outages, proxy.outage_seconds
    )


@contextmanager
def _run_sandbox(pace: float) -> Iterator[int]:
    command = [sys.executable, "-c", _SANDBOX_SCRIPT, str(pace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline().rpartition(":")[2].partition("/")[0])
        finally:
            code = process.poll()
            process.kill()
        assert code is None, f"the sandbox ended by itself, with {code}: this says nothing of the command"


def _measure_memory(process: subprocess.Popen[bytes], limit: float) -> Iterator[float]:
    """Yield the resident memory of a process once a second, and kill it at the limit."""
    deadline = time.monotonic() + limit
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
        pages = (Path(f"/proc/{process.pid}/statm").read_text("ascii").split() or ["0", "0"])[1]
        yield int(pages) * _PAGE_BYTES / _MIB
        time.sleep(1.0)


def find_errors(load: LoadResult) -> list[str]:
    """Return all errors, one line each."""
    check = check_runs(load.ground_truth, load.planned_ids, load.runs, RETRIES)
    errors = check.errors
    # A connection that waits to be accepted when an outage begins is lost without an entry in the ground truth.
    if check.unseen_count > load.outages:
        errors.append(f"{check.unseen_count} runs may have started, whose POST nobody saw, in {load.outages} outages")
    # All runs end within the two minutes for which the command polls without a response.
    errors += [
        f"{run.target_id}: how it ended is not known" for run in load.runs if run.state in {"timed-out", "started"}
    ]
    errors += [
        f"{run.target_id}: how it ended is not known" for run in load.runs if run.state == "unknown" and run.run_id
    ]
    return [*_find_contradictions(load), *errors]


def _find_contradictions(load: LoadResult) -> Iterator[str]:
    """Yield each contradiction between results.json and log, outputs, exit code or summary."""
    job, results_json = load.job, load.job.results_json
    if "Traceback" in job.log + job.errors or job.errors:
        yield f"standard error says: {job.errors[:500]}"
    if job.code != results_json["exit_code"]:
        yield f"the exit code is {job.code}, and results.json says {results_json['exit_code']}"
    for name, count in results_json["totals"].items():
        if job.outputs[name.replace("_", "-")] != str(count):
            yield f"the output {name} is {job.outputs[name.replace('_', '-')]}, and results.json says {count}"
    listed_runs = [(run["id"], run["state"], run["run_id"]) for run in json.loads(job.outputs["results"])]
    if not listed_runs or listed_runs != [
        (run.target_id, run.state, run.run_id) for run in load.runs[: len(listed_runs)]
    ]:
        yield "the output results says something else than results.json"
    log_words = set(re.findall(r"[\w-]+", job.log))
    if missing_runs := [
        run.target_id for run in load.runs if not {run.target_id, run.run_id or run.target_id} <= log_words
    ]:
        yield f"the log does not tell of {len(missing_runs)} runs: {missing_runs[:3]}"
    counts, total_text = count_states(load.runs), f"{len(load.planned_ids):,} runs passed"
    expected_texts = [f"{counts['passed']} of {total_text}"]
    expected_texts += [f"{counts['may have started']} may have started"] if counts["may have started"] else []
    if missing_texts := [text for text in expected_texts if text not in job.summary]:
        yield f"the summary does not say: {missing_texts}"


def select_memory_after_starts(load: LoadResult) -> list[float]:
    """Return the memory from the last first start until the last reports."""
    last_start_seconds = max(
        [*run["previous_attempts"], run][0]["start_offset_seconds"] for run in load.job.results_json["runs"]
    )
    return load.memory[int(last_start_seconds) + 1 : int(load.job.results_json["duration_seconds"])]


def find_memory_growth(load: LoadResult) -> list[str]:
    """Return an error if memory grew too much during or after the starts."""
    memory_after = select_memory_after_starts(load)
    if len(memory_after) < 5:
        return [f"{len(memory_after)} s are too short a time to see whether memory grows"]
    early_mib, late_mib = compute_fifth_medians(memory_after)
    errors = (
        [f"memory grew from {early_mib:.0f} to {late_mib:.0f} MiB"]
        if late_mib > MAX_GROWTH_FACTOR * early_mib + SLACK_MIB
        else []
    )
    if compute_memory_per_run(load) > MAX_KIB_PER_RUN + 1024 * SLACK_MIB / len(load.planned_ids):
        errors.append(f"each run made memory grow by {compute_memory_per_run(load):.1f} KiB until all had been started")
    return errors


def compute_memory_per_run(load: LoadResult) -> float:
    """Return the growth of memory per run in KiB, until all runs had been started."""
    return (
        1024
        * (compute_fifth_medians(select_memory_after_starts(load))[0] - median(load.memory[3:8]))
        / len(load.planned_ids)
    )


def compute_fifth_medians(memory: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the second and the last fifth."""
    fifth = len(memory) // 5
    return median(memory[fifth : 2 * fifth]), median(memory[-fifth:])
