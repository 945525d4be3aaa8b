"""What the disk and the CI system do wrong around the job."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from typing import TYPE_CHECKING

from tests.faults.kind import ALONG, Kind, Phase
from tests.support.faults import close

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.faults.kind import Deed
    from tests.faults.scene import Scene
    from tests.support.fault_server import Act, Wire

_DISK, _CI = "disk", "CI"
# Files that hold the news of the runs.
_FILES = ("outputs", "summary", "record")


def _limited(what: int, number: int) -> Callable[[Scene], None]:
    """Return what sets a limit of the process while it runs."""

    def arm(scene: Scene) -> None:
        assert scene.process
        hard = resource.prlimit(scene.process.pid, what)[1]
        resource.prlimit(scene.process.pid, what, (number, hard))

    return arm


def _results(scene: Scene) -> Path:
    return scene.work / "results"


def _gone(scene: Scene) -> None:
    # The job may be writing into it at this very moment.
    shutil.rmtree(_results(scene), ignore_errors=True)


def _a_file(scene: Scene) -> None:
    _results(scene).rename(scene.folder / "away")
    _results(scene).touch()


def _leads_out(scene: Scene) -> None:
    _results(scene).rename(scene.folder / "away")
    _results(scene).symlink_to(scene.outside)


def _record_leads_out(scene: Scene) -> None:
    record = _results(scene) / "results.json"
    record.unlink(missing_ok=True)
    record.symlink_to(scene.outside / "results.json")


def _a_folder_for_the_record(scene: Scene) -> None:
    record = _results(scene) / "results.json"
    record.unlink(missing_ok=True)
    record.mkdir(exist_ok=True)


def _disk(name: str, arm: Callable[[Scene], None], *lost: str) -> Kind:
    return Kind(_DISK, name, {}, ALONG, arm=arm, lost=lost)


def _variables(name: str, group: str, changes: Mapping[str, str], *lost: str, code: int = 1) -> Kind:
    """Return a kind of wrong environment; `{folder}` in a value is the scene's."""

    def prepare(scene: Scene) -> dict[str, str]:
        return {key: text.format(folder=scene.folder) for key, text in changes.items()}

    return Kind(group, name, {Phase.THROUGHOUT: code}, (Phase.THROUGHOUT,), prepare=prepare, lost=lost)


def _event(name: str, make: Callable[[Path], object]) -> Kind:
    def prepare(scene: Scene) -> dict[str, str]:
        path = scene.folder / "event.json"
        path.unlink()
        make(path)
        return {}

    return Kind(_CI, f"event file: {name}", {}, (Phase.THROUGHOUT,), prepare=prepare)


def _signalled(*numbers: signal.Signals) -> Deed:
    def deed(scene: Scene, right: Act) -> Act:
        if scene.phase is Phase.REPORT:
            return right

        def act(wire: Wire) -> bool:
            assert scene.process
            for number in numbers:
                scene.process.send_signal(number)
                wire.pause(0.2)
            return right(wire)

        return act

    return deed


def _cancelled(name: str, code: int, *numbers: signal.Signals) -> Kind:
    # What was found out is the verdict, whatever happens while it is told.
    codes = dict.fromkeys((Phase.START, Phase.WAIT, Phase.DETAILS, Phase.EVIDENCE), code)

    def prepare(scene: Scene) -> dict[str, str]:
        return {"JOB_SIGNAL": str(int(numbers[0]))} if scene.phase is Phase.REPORT else {}

    return Kind(_CI, name, codes, ALONG, exchange=_signalled(*numbers), prepare=prepare)


def _leaves(scene: Scene) -> None:
    scene.deaf.set()


KINDS = [
    _disk("full", _limited(resource.RLIMIT_FSIZE, 0), *_FILES),
    # Sockets count too: a run whose answer is still to come can't be asked for any more.
    Kind(_DISK, "no more open files", {Phase.START: 7, Phase.WAIT: 7}, ALONG, arm=_limited(resource.RLIMIT_NOFILE, 0),
         exchange=lambda scene, right: close if scene.phase is Phase.WAIT else right, closing=True, lost=_FILES),
    _disk("results-dir is taken away", _gone, "record"),
    _disk("results-dir becomes a file", _a_file, "record"),
    _disk("results-dir becomes a link that leads out", _leads_out, "record"),
    _disk("the record becomes a link that leads out", _record_leads_out, "record"),
    _disk("the record becomes a folder", _a_folder_for_the_record, "record"),
    _variables("outputs on a full disk", _DISK, {"GITHUB_OUTPUT": "/dev/full"}, "outputs"),
    _variables("summary on a full disk", _DISK, {"GITHUB_STEP_SUMMARY": "/dev/full"}, "summary"),
    _variables("no folder for the outputs", _DISK, {"GITHUB_OUTPUT": "{folder}/nowhere/output"}, "outputs"),
    _variables("a folder for the summary", _DISK, {"GITHUB_STEP_SUMMARY": "{folder}/home"}, "summary"),
    _cancelled("SIGINT", 130, signal.SIGINT),
    _cancelled("SIGTERM", 143, signal.SIGTERM),
    _cancelled("SIGINT, then SIGTERM", 130, signal.SIGINT, signal.SIGTERM),
    Kind(_CI, "the reader of the log leaves", {}, ALONG, arm=_leaves, lost=("log",)),
    _event("missing", lambda path: None),
    _event("not JSON", lambda path: path.write_text("{")),
    _event("nested 100,000 deep", lambda path: path.write_text("[" * 100_000)),
    _event("a pipe that nobody fills", os.mkfifo),
    _event("without an end", lambda path: path.symlink_to("/dev/zero")),
    _variables("no file for outputs", _CI, {"GITHUB_OUTPUT": ""}, "outputs"),
    _variables("no file for the summary", _CI, {"GITHUB_STEP_SUMMARY": ""}, "summary"),
    _variables("no token for the comment", _CI, {"INPUT_GITHUB-TOKEN": ""}),
    _variables("GitHub's interface under plain HTTP elsewhere", _CI, {"GITHUB_API_URL": "http://192.0.2.1"}),
    _variables("a C locale, no home, no time zone that is known", _CI,
               {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "HOME": "", "TZ": "Nowhere/At_All"}),
    _variables("hostile names of branch and repository", _CI,
               {"GITHUB_REF": "refs/heads/x\n::error::y", "GITHUB_REPOSITORY": "a/b](https://example.com)\r::warning::z"}),
]  # fmt: skip
