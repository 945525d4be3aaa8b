"""Define the faults of the disk and the CI system."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tests.support.faults import close
from tests.support.streams import fill_stream
from tests.system.faults.fault_case import JOB_PHASES, WRITE_PHASES, FaultCase, Phase, set_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.system.faults.harness import FaultScenario

_DISK, _CI = "disk", "CI"
# Files with the results of the runs.
_RESULT_FILES = ("outputs", "summary", "results_json")


def _set_limit(resource_id: int, limit: int) -> Callable[[FaultScenario], None]:
    """Return a function that sets a limit of the running process."""

    def set_limit(scenario: FaultScenario) -> None:
        pid = scenario.process.pid
        with suppress(ProcessLookupError):  # if the job has ended already, its exit code shows it
            resource.prlimit(pid, resource_id, (limit, resource.prlimit(pid, resource_id)[1]))

    return set_limit


def _results_dir(scenario: FaultScenario) -> Path:
    return scenario.work_dir / "results"


def _remove_results_dir(scenario: FaultScenario) -> None:
    # Errors are ignored, because the job may write into the folder at the same time.
    shutil.rmtree(_results_dir(scenario), ignore_errors=True)


def _replace_path(scenario: FaultScenario, path: Path, create: Callable[[], object]) -> None:
    """Replace what is at a path, and retry if the job is faster."""
    for number in itertools.count():
        with suppress(FileNotFoundError):
            path.rename(scenario.folder / f"aside-{number}")
        with suppress(FileExistsError):
            create()
            return


def _replace_with_file(scenario: FaultScenario) -> None:
    path = _results_dir(scenario)
    _replace_path(scenario, path, partial(path.touch, exist_ok=False))


def _replace_with_link(scenario: FaultScenario) -> None:
    path = _results_dir(scenario)
    _replace_path(scenario, path, partial(path.symlink_to, scenario.outside_dir))


def _replace_results_with_link(scenario: FaultScenario) -> None:
    results_json = _results_dir(scenario) / "results.json"
    _replace_path(scenario, results_json, partial(results_json.symlink_to, scenario.outside_dir / "results.json"))


def _replace_results_with_folder(scenario: FaultScenario) -> None:
    results_json = _results_dir(scenario) / "results.json"
    _replace_path(scenario, results_json, results_json.mkdir)


def _make_disk_fault(
    name: str, begin: Callable[[FaultScenario], None], log_text: str = "", *lost_reports: str
) -> FaultCase:
    return FaultCase(_DISK, name, {}, WRITE_PHASES, begin=begin, log_text=log_text, lost_reports=lost_reports)


def _make_environment_fault(
    name: str, group: str, changes: Mapping[str, str], log_text: str = "", *lost_reports: str
) -> FaultCase:
    """Return a fault of the environment."""
    return FaultCase(
        group,
        name,
        {},
        (Phase.WHOLE_JOB,),
        prepare=set_variables(changes),
        log_text=log_text,
        lost_reports=lost_reports,
    )


def _make_event_fault(name: str, create_file: Callable[[Path], object]) -> FaultCase:
    def prepare(scenario: FaultScenario) -> dict[str, str]:
        path = scenario.folder / "event.json"
        path.unlink()
        create_file(path)
        return {}

    # The ref contains the number of the pull request too, so the comment is written.
    return FaultCase(_CI, f"event file: {name}", {}, (Phase.WHOLE_JOB,), prepare=prepare)


def _send_signals(*numbers: signal.Signals, pause_seconds: float = 0.2) -> Callable[[FaultScenario], None]:
    def send_signals(scenario: FaultScenario) -> None:
        for number in numbers:
            scenario.process.send_signal(number)
            time.sleep(pause_seconds)
        if scenario.phase is Phase.EVIDENCE:
            # This response completes the results, so a later signal changes nothing.
            scenario.process.wait(scenario.case.max_seconds)

    return send_signals


def _make_cancellation(name: str, code: int, *numbers: signal.Signals, pause_seconds: float = 0.2) -> FaultCase:
    # Once the results are complete, a signal does not change the verdict.
    codes = dict.fromkeys((Phase.START, Phase.WAIT, Phase.DETAILS, Phase.EVIDENCE), code)
    return FaultCase(_CI, name, codes, JOB_PHASES, begin=_send_signals(*numbers, pause_seconds=pause_seconds))


def _kill_job(scenario: FaultScenario) -> None:
    # The files may lag by 1 s, and by more on a slow machine, because the pause between two writes is four times as
    # long as a write. The kill must come before the job's own timeout.
    scenario.lag_seconds = min(8.0, max(1.0, 2 * scenario.startup_seconds))
    time.sleep(1.5 * scenario.lag_seconds)
    scenario.killed_at = time.monotonic()
    scenario.process.kill()


def _close_log(scenario: FaultScenario) -> None:
    scenario.close_log.set()
    # In the report phase, the reader itself runs this function and closes the log afterwards.
    if scenario.phase is not Phase.REPORT:
        scenario.log_closed.wait(10)


def _stall_log(scenario: FaultScenario) -> None:
    scenario.log_stalled.set()
    # The pipe is full, as after 64 KiB of a log that is not read.
    assert scenario.process.stdout
    with suppress(FileNotFoundError):  # the pipe ends with the job
        writer = os.open(f"/proc/self/fd/{scenario.process.stdout.fileno()}", os.O_WRONLY)
        fill_stream(writer)
        os.close(writer)


def _make_closed_streams(name: str, numbers: str, *lost_reports: str) -> FaultCase:
    """Return a fault with closed file descriptors."""
    return _make_environment_fault(f"{name} closed", _CI, {"JOB_CLOSED": numbers}, "", *lost_reports)


FAULT_CASES = [
    _make_disk_fault("full", _set_limit(resource.RLIMIT_FSIZE, 0), "File too large", *_RESULT_FILES),
    # Sockets count too, so a run without a result cannot be polled any more. The limit is not 0, because poll(2) would
    # then reject open connections too.
    FaultCase(
        _DISK,
        "no free file descriptors",
        {Phase.START: 7, Phase.WAIT: 7},
        WRITE_PHASES,
        begin=_set_limit(resource.RLIMIT_NOFILE, 3),
        request_fault=lambda scenario, correct_handler: close if scenario.phase is Phase.WAIT else correct_handler,
        closes_connections=True,
        lost_reports=_RESULT_FILES,
        log_text="Too many open files",
    ),
    _make_environment_fault("eight open files at most", _DISK, {"JOB_FILES": "8"}),
    _make_disk_fault("results-dir is removed", _remove_results_dir),
    _make_disk_fault(
        "results-dir becomes a file",
        _replace_with_file,
        "could not be written to results-dir (File exists)",
        "results_json",
    ),
    _make_disk_fault(
        "results-dir becomes a link to outside",
        _replace_with_link,
        "symbolic link leads outside of the directory",
        "results_json",
    ),
    _make_disk_fault("results.json becomes a link to outside", _replace_results_with_link),
    _make_disk_fault(
        "results.json becomes a directory",
        _replace_results_with_folder,
        "results.json could not be written",
        "results_json",
    ),
    _make_environment_fault(
        "outputs on a full disk", _DISK, {"GITHUB_OUTPUT": "/dev/full"}, "OUTPUT could not be", "outputs"
    ),
    _make_environment_fault(
        "summary on a full disk",
        _DISK,
        {"GITHUB_STEP_SUMMARY": "/dev/full"},
        "GITHUB_STEP_SUMMARY could not be written",
        "summary",
    ),
    _make_environment_fault(
        "no directory for the outputs",
        _DISK,
        {"GITHUB_OUTPUT": "{folder}/nowhere/output"},
        "GITHUB_OUTPUT could not be written",
        "outputs",
    ),
    _make_environment_fault(
        "a directory in place of the summary",
        _DISK,
        {"GITHUB_STEP_SUMMARY": "{folder}/home"},
        "GITHUB_STEP_SUMMARY could not be written",
        "summary",
    ),
    _make_cancellation("SIGINT", 130, signal.SIGINT),
    _make_cancellation("SIGTERM", 143, signal.SIGTERM),
    _make_cancellation("SIGINT, then SIGTERM", 130, signal.SIGINT, signal.SIGTERM),
    _make_cancellation("SIGTERM three times at once", 143, *[signal.SIGTERM] * 3, pause_seconds=0.0),
    # The outputs are written after the last start and at the end.
    FaultCase(
        _CI,
        "SIGKILL",
        dict.fromkeys(JOB_PHASES, -9),
        JOB_PHASES,
        begin=_kill_job,
        kills_job=True,
        lost_reports=("outputs",),
    ),
    FaultCase(_CI, "the reader of the log exits", {}, WRITE_PHASES, begin=_close_log, lost_reports=("log",)),
    FaultCase(_CI, "the reader of the log stalls", {}, WRITE_PHASES, begin=_stall_log, lost_reports=("log",)),
    _make_closed_streams("standard output is", "1", "log"),
    _make_closed_streams("standard error is", "2"),
    _make_closed_streams("all standard streams are", "0 1 2", "log"),
    # One thread handles timeouts and one sends. The others write the log or send too.
    *(
        _make_environment_fault(f"{max_threads} threads at most", _CI, {"JOB_THREADS": str(max_threads)})
        for max_threads in (3, 5)
    ),
    _make_event_fault("missing", lambda path: None),
    _make_event_fault("not JSON", lambda path: path.write_text("{")),
    _make_event_fault("nested 100,000 deep", lambda path: path.write_text("[" * 100_000)),
    _make_event_fault("a pipe without a writer", os.mkfifo),
    _make_event_fault("endless", lambda path: path.symlink_to("/dev/zero")),
    _make_environment_fault("no file for outputs", _CI, {"GITHUB_OUTPUT": ""}, "", "outputs"),
    _make_environment_fault("no file for the summary", _CI, {"GITHUB_STEP_SUMMARY": ""}, "", "summary"),
    _make_environment_fault("no token for the comment", _CI, {"INPUT_GITHUB-TOKEN": ""}, "github-token is empty"),
    _make_environment_fault(
        "GitHub API over HTTP on another host",
        _CI,
        {"GITHUB_API_URL": "http://github.autonoma.test:{code_host}"},
        "The comment could not be written",
    ),
    _make_environment_fault(
        "a C locale, no home, an unknown time zone",
        _CI,
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "HOME": "", "TZ": "Nowhere/At_All"},
    ),
    _make_environment_fault(
        "hostile names of branch and repository",
        _CI,
        {"GITHUB_REF": "refs/heads/x\n::error::y", "GITHUB_REPOSITORY": "a/b](https://example.com)\r::warning::z"},
    ),
]
