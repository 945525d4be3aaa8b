"""Real load: the command in a process of its own, the sandbox in another one, and the layer in between."""

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

from tests.soak.judge import Found, judge, of_record, states
from tests.soak.layer import Layer
from tests.support.job import Ended, environment, left_behind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.soak.ledger import Ledger

RETRIES = 1
_SANDBOX = """
import sys, threading
from autonoma_ci.sandbox import Sandbox
with Sandbox(pace=float(sys.argv[1])) as sandbox:
    print(sandbox.url, flush=True)
    threading.Event().wait()
"""
# In percent. Those that do not pass take three times the pace, so that many are started again when all have been once.
_KINDS = {"takes-0": 30, "takes-1": 45, "takes-2": 5, "takes-4": 5, "takes-8": 5, "flaky": 6, "fails": 3, "stopped": 1}
# So that memory which is free is not counted as held only because the C library keeps it for later.
_GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
_PAGE = resource.getpagesize()
_MIB = 1024 * 1024
# While runs are started, what is known of each makes memory grow, and the reports with it: by 3 KiB for each run.
# (It was 7 to 12 when garbage was never collected.) Once all have been started, memory has to stay: from the second
# fifth of that time to the last, what is told of ends comes to less than this. A leaked KiB for each request would come
# to 10 MiB more.
KEPT = 5.0
GROWTH, SLACK = 1.1, 5.0
# Anything that takes so many times as long as was planned will never end.
_TOO_LONG = 3.0


class Load(NamedTuple):
    """What came of a job: `memory` is what the command held resident in MiB, second by second."""

    planned: list[str]
    job: Ended
    found: list[Found]
    ledger: Ledger
    memory: list[float]
    seconds: float
    outages: int
    refused: float


def plan(seed: int, runs: int) -> dict[str, str]:
    """Return the name, or none, of each test by its id; most pass, after 0 to 8 times the sandbox's pace."""
    random = Random(seed)
    planned = {}
    for number, kind in enumerate(random.choices([*_KINDS], [*_KINDS.values()], k=runs)):
        planned[f"sandbox-{kind}-{number}"] = f"Run {number}" if random.random() < 0.8 else ""
    return planned


def load(folder: Path, seed: int, runs: int, seconds: float) -> Load:
    """Let the command start so many runs in half of so many seconds, and wait for them in the other half."""
    planned = plan(seed, runs)
    entries = [f"  - id: {test}\n" + (f"    name: {name}\n" if name else "") for test, name in planned.items()]
    (folder / "autonoma.yml").write_text("version: 1\ntests:\n" + "".join(entries), encoding="utf-8")
    # The rate leaves room for the times in which the command is told not to start anything. What hangs may do so for
    # longer than the command waits.
    with _sandbox(seconds / 14) as port, Layer(port, seed, 2.2 * runs / seconds, min(70.0, seconds / 4)) as layer:
        environ = environment(folder, layer.url, []) | {"PATH": os.environ["PATH"], "INPUT_WAIT": "true"}
        environ |= {"INPUT_RETRIES": str(RETRIES), "INPUT_CONCURRENCY": "64"} | _GIVES_BACK
        command = [str(Path(sys.executable).with_name("autonoma-ci"))]
        began = time.monotonic()
        with (
            (folder / "log").open("w") as log,
            (folder / "errors").open("w") as errors,
            subprocess.Popen(command, env=environ, cwd=folder, stdout=log, stderr=errors) as process,
        ):
            memory = list(_resident(process, _TOO_LONG * seconds + 60.0))
        took = time.monotonic() - began
    log_text, errors_text = ((folder / name).read_text("utf-8") for name in ("log", "errors"))
    job = left_behind(folder, process.returncode, log_text, errors_text)
    found = [of_record(run) for run in job.record["runs"]]
    return Load(list(planned), job, found, layer.ledger, memory, took, layer.outages, layer.refused)


@contextmanager
def _sandbox(pace: float) -> Iterator[int]:
    command = [sys.executable, "-c", _SANDBOX, str(pace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline().rpartition(":")[2].partition("/")[0])
        finally:
            code = process.poll()
            process.kill()
        assert code is None, f"the sandbox ended by itself, with {code}: this says nothing of the command"


def _resident(process: subprocess.Popen[bytes], limit: float) -> Iterator[float]:
    """Yield the memory that a process holds, each second until its end; one that does not end is killed."""
    until = time.monotonic() + limit
    while process.poll() is None:
        if time.monotonic() > until:
            process.kill()
        pages = (Path(f"/proc/{process.pid}/statm").read_text("ascii").split() or ["0", "0"])[1]
        yield int(pages) * _PAGE / _MIB
        time.sleep(1.0)


def complaints(load: Load) -> list[str]:
    """Return what should not be, a line each."""
    judged = judge(load.ledger, load.planned, load.found, RETRIES)
    told = judged.complaints
    # What waits to be accepted when an outage begins is lost before anybody has seen it.
    if judged.unseen > load.outages:
        told.append(f"{judged.unseen} runs may have started, whose POST nobody saw, in {load.outages} outages")
    # The sandbox answers within the two minutes for which the command is patient, and all runs end.
    told += [f"{run.subject}: how it ended is not known" for run in load.found if run.state in {"timed-out", "started"}]
    told += [f"{run.subject}: how it ended is not known" for run in load.found if run.state == "unknown" and run.run_id]
    return [*_told_differently(load), *told]


def _told_differently(load: Load) -> Iterator[str]:
    """Say where the log, the outputs, the exit code and the files say something else than the record."""
    job, record = load.job, load.job.record
    if "Traceback" in job.log + job.errors or job.errors:
        yield f"standard error says: {job.errors[:500]}"
    if job.code != record["exit_code"]:
        yield f"the exit code is {job.code}, and the record says {record['exit_code']}"
    for name, count in record["totals"].items():
        if job.outputs[name.replace("_", "-")] != str(count):
            yield f"the output {name} is {job.outputs[name.replace('_', '-')]}, and the record says {count}"
    listed = [(run["id"], run["state"], run["run_id"]) for run in json.loads(job.outputs["results"])]
    if not listed or listed != [(run.subject, run.state, run.run_id) for run in load.found[: len(listed)]]:
        yield "the output results says something else than the record"
    words = set(re.findall(r"[\w-]+", job.log))
    if left_out := [run.subject for run in load.found if not {run.subject, run.run_id or run.subject} <= words]:
        yield f"the log does not tell of {len(left_out)} runs: {left_out[:3]}"
    said, whole = states(load.found), f"{len(load.planned):,} runs passed"
    wanted = [f"{said['passed']} of {whole}"]
    wanted += [f"{said['may have started']} may have started"] if said["may have started"] else []
    if missing := [text for text in wanted if text not in job.summary]:
        yield f"the summary does not say: {missing}"


def window(load: Load) -> list[float]:
    """Return the memory from when all runs had been started once until the last reports are made."""
    begun = max([*run["previous_attempts"], run][0]["start_offset_seconds"] for run in load.job.record["runs"])
    return load.memory[int(begun) + 1 : int(load.job.record["duration_seconds"])]


def grown(load: Load) -> list[str]:
    """Say whether a process held more memory than what it knows of runs: while they are started, and after that."""
    flat = window(load)
    if len(flat) < 5:
        return [f"{len(flat)} s are too short a time to see whether memory grows"]
    early, late = fifths(flat)
    told = [f"memory grew from {early:.0f} to {late:.0f} MiB"] if late > GROWTH * early + SLACK else []
    if kept(load) > KEPT + 1024 * SLACK / len(load.planned):
        told.append(f"each run made memory grow by {kept(load):.1f} KiB until all had been started")
    return told


def kept(load: Load) -> float:
    """Return by how many KiB each run made memory grow, from the first seconds until all had been started."""
    return 1024 * (fifths(window(load))[0] - median(load.memory[3:8])) / len(load.planned)


def fifths(memory: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the second fifth and of the last one."""
    fifth = len(memory) // 5
    return median(memory[fifth : 2 * fifth]), median(memory[-fifth:])
