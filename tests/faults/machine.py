"""Define the failures of the disk and the CI system."""

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

from tests.faults.kind import ALONG, WRITING, Kind, Phase, given
from tests.support.faults import close
from tests.support.streams import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.faults.scene import Scene

_DISK, _CI = "disk", "CI"
# Files that hold the news of the runs.
_FILES = ("outputs", "summary", "record")


def _limited(what: int, number: int) -> Callable[[Scene], None]:
    """Return what sets a limit of the process while it runs."""

    def arm(scene: Scene) -> None:
        pid = scene.process.pid
        with suppress(ProcessLookupError):  # it may have ended by then, which shows in its exit code
            resource.prlimit(pid, what, (number, resource.prlimit(pid, what)[1]))

    return arm


def _results(scene: Scene) -> Path:
    return scene.work / "results"


def _gone(scene: Scene) -> None:
    # The job may be writing into it at this very moment.
    shutil.rmtree(_results(scene), ignore_errors=True)


def _put(scene: Scene, path: Path, make: Callable[[], object]) -> None:
    """Move what is at a path aside and make something else there, until the job has not been faster."""
    for number in itertools.count():
        with suppress(FileNotFoundError):
            path.rename(scene.folder / f"aside-{number}")
        with suppress(FileExistsError):
            make()
            return


def _a_file(scene: Scene) -> None:
    path = _results(scene)
    _put(scene, path, partial(path.touch, exist_ok=False))


def _leads_out(scene: Scene) -> None:
    path = _results(scene)
    _put(scene, path, partial(path.symlink_to, scene.outside))


def _record_leads_out(scene: Scene) -> None:
    record = _results(scene) / "results.json"
    _put(scene, record, partial(record.symlink_to, scene.outside / "results.json"))


def _a_folder_for_the_record(scene: Scene) -> None:
    record = _results(scene) / "results.json"
    _put(scene, record, record.mkdir)


def _disk(name: str, arm: Callable[[Scene], None], says: str = "", *lost: str) -> Kind:
    return Kind(_DISK, name, {}, WRITING, arm=arm, says=says, lost=lost)


def _variables(name: str, group: str, changes: Mapping[str, str], says: str = "", *lost: str) -> Kind:
    """Return a kind of wrong environment."""
    return Kind(group, name, {}, (Phase.THROUGHOUT,), prepare=given(changes), says=says, lost=lost)


def _event(name: str, make: Callable[[Path], object]) -> Kind:
    def prepare(scene: Scene) -> dict[str, str]:
        path = scene.folder / "event.json"
        path.unlink()
        make(path)
        return {}

    # Its number is in the ref too, so that the comment finds its place all the same.
    return Kind(_CI, f"event file: {name}", {}, (Phase.THROUGHOUT,), prepare=prepare)


def _signals(*numbers: signal.Signals, pause: float = 0.2) -> Callable[[Scene], None]:
    def arm(scene: Scene) -> None:
        for number in numbers:
            scene.process.send_signal(number)
            time.sleep(pause)
        if scene.phase is Phase.EVIDENCE:
            # With this last answer everything is found out, and a signal that is taken after it changes nothing.
            scene.process.wait(scene.kind.longest)

    return arm


def _cancelled(name: str, code: int, *numbers: signal.Signals, pause: float = 0.2) -> Kind:
    # What was found out is the verdict, whatever happens while it is told.
    codes = dict.fromkeys((Phase.START, Phase.WAIT, Phase.DETAILS, Phase.EVIDENCE), code)
    return Kind(_CI, name, codes, ALONG, arm=_signals(*numbers, pause=pause))


def _killed(scene: Scene) -> None:
    # A second is what it may be behind with what it has written, and more on a machine that is slow just now: the
    # pause between two writes is four times as long as a write takes. It must end before the job gives its wait up.
    scene.behind = min(8.0, max(1.0, 2 * scene.loading))
    time.sleep(1.5 * scene.behind)
    scene.killed = time.monotonic()
    scene.process.kill()


def _leaves(scene: Scene) -> None:
    scene.deaf.set()
    # While the report is about to be made, the reader itself is here, and leaves before it goes on.
    if scene.phase is not Phase.REPORT:
        scene.left.wait(10)


def _stalls(scene: Scene) -> None:
    scene.stalled.set()
    # Nothing more fits into the pipe, as after 64 KiB of a log that nobody reads.
    assert scene.process.stdout
    with suppress(FileNotFoundError):  # the job has ended, and so has the pipe
        writer = os.open(f"/proc/self/fd/{scene.process.stdout.fileno()}", os.O_WRONLY)
        fill(writer)
        os.close(writer)


def _closed(name: str, numbers: str, *lost: str) -> Kind:
    """Return a kind of job that is started without these file descriptors."""
    return _variables(f"{name} closed", _CI, {"JOB_CLOSED": numbers}, "", *lost)


KINDS = [
    _disk("full", _limited(resource.RLIMIT_FSIZE, 0), "File too large", *_FILES),
    # Sockets count too: a run whose answer is still to come can't be asked for any more. The limit is not 0: poll(2)
    # takes no more files than that, so that open connections could not be waited for either.
    Kind(_DISK, "no more open files", {Phase.START: 7, Phase.WAIT: 7}, WRITING, arm=_limited(resource.RLIMIT_NOFILE, 3),
         exchange=lambda scene, right: close if scene.phase is Phase.WAIT else right, closing=True, lost=_FILES,
         says="Too many open files"),
    _variables("eight open files at most", _DISK, {"JOB_FILES": "8"}),
    _disk("results-dir is taken away", _gone),
    _disk("results-dir becomes a file", _a_file, "could not be written to results-dir (File exists)", "record"),
    _disk("results-dir becomes a link that leads out", _leads_out, "a symbolic link leads elsewhere", "record"),
    _disk("the record becomes a link that leads out", _record_leads_out),
    _disk("the record becomes a folder", _a_folder_for_the_record, "results.json could not be written", "record"),
    _variables("outputs on a full disk", _DISK, {"GITHUB_OUTPUT": "/dev/full"}, "OUTPUT could not be", "outputs"),
    _variables("summary on a full disk", _DISK, {"GITHUB_STEP_SUMMARY": "/dev/full"},
               "GITHUB_STEP_SUMMARY could not be written", "summary"),
    _variables("no folder for the outputs", _DISK, {"GITHUB_OUTPUT": "{folder}/nowhere/output"},
               "GITHUB_OUTPUT could not be written", "outputs"),
    _variables("a folder for the summary", _DISK, {"GITHUB_STEP_SUMMARY": "{folder}/home"},
               "GITHUB_STEP_SUMMARY could not be written", "summary"),
    _cancelled("SIGINT", 130, signal.SIGINT),
    _cancelled("SIGTERM", 143, signal.SIGTERM),
    _cancelled("SIGINT, then SIGTERM", 130, signal.SIGINT, signal.SIGTERM),
    _cancelled("SIGTERM three times at once", 143, *[signal.SIGTERM] * 3, pause=0.0),
    # The outputs are written once all runs are started, and at the end.
    Kind(_CI, "SIGKILL", dict.fromkeys(ALONG, -9), ALONG, arm=_killed, kills=True, lost=("outputs",)),
    Kind(_CI, "the reader of the log leaves", {}, WRITING, arm=_leaves, lost=("log",)),
    Kind(_CI, "the reader of the log stalls", {}, WRITING, arm=_stalls, lost=("log",)),
    _closed("standard output is", "1", "log"),
    _closed("standard error is", "2"),
    _closed("all standard streams are", "0 1 2", "log"),
    # One for the limits of time and one that sends; the others write the log, or send too.
    *(_variables(f"{most} threads at most", _CI, {"JOB_THREADS": str(most)}) for most in (3, 5)),
    _event("missing", lambda path: None),
    _event("not JSON", lambda path: path.write_text("{")),
    _event("nested 100,000 deep", lambda path: path.write_text("[" * 100_000)),
    _event("a pipe that nobody fills", os.mkfifo),
    _event("without an end", lambda path: path.symlink_to("/dev/zero")),
    _variables("no file for outputs", _CI, {"GITHUB_OUTPUT": ""}, "", "outputs"),
    _variables("no file for the summary", _CI, {"GITHUB_STEP_SUMMARY": ""}, "", "summary"),
    _variables("no token for the comment", _CI, {"INPUT_GITHUB-TOKEN": ""}, "github-token is empty"),
    _variables("GitHub's interface under plain HTTP elsewhere", _CI,
               {"GITHUB_API_URL": "http://github.autonoma.test:{forge}"}, "The comment could not be written"),
    _variables("a C locale, no home, no time zone that is known", _CI,
               {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "HOME": "", "TZ": "Nowhere/At_All"}),
    _variables("hostile names of branch and repository", _CI,
               {"GITHUB_REF": "refs/heads/x\n::error::y", "GITHUB_REPOSITORY": "a/b](https://example.com)\r::warning::z"}),
]  # fmt: skip
