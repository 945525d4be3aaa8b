"""Check what must hold for every job after any failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.faults.kind import Phase
from tests.faults.scene import IDS, SIGNATURE, VICTIM
from tests.leaks import sentinels
from tests.support.job import read_outputs
from tests.support.proxy import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.job import Ended
    from tests.faults.scene import Scene

_STATES = {"starting", "started", "not-started", "unknown", "passed", "failed", "timed-out"}
# Seconds that the job's own clock counts until the record is written for the last time.
_LATEST = 120.0
# MiB of a job that keeps a picture and makes all reports: about 55. What a server sends without an end is not kept.
_LARGEST = 150.0


def assert_sound(scene: Scene, ended: Ended) -> None:
    """Fail unless the job met what goes wrong, and ended as it should, in time, silent, and with every run told."""
    kind = scene.kind
    assert "Traceback" not in ended.log
    assert ended.seconds < kind.longest, f"it took {ended.seconds:.0f} s"
    assert ended.megabytes < _LARGEST, f"it took {ended.megabytes:.0f} MiB"
    assert_met(scene, ended.log)
    assert_silent(scene, ended.log)
    assert_told_apart(scene)
    assert not list(scene.outside.iterdir()), "something was written outside"
    if kind.refused:
        assert_nothing_asked(scene, ended.code)
        return
    assert_started_once(scene)
    if kind.once:
        assert_nothing_missing(scene)
    if kind.kills:
        assert_nothing_broken(scene)
    else:
        assert_accounted_for(scene, ended)


def assert_met(scene: Scene, log: str) -> None:
    """Fail unless what goes wrong in this phase was met in it."""
    kind = scene.kind
    if (kind.exchange or kind.greeting or kind.tunnel) and not kind.says:
        assert scene.met, "the job did not meet what goes wrong"
    elif scene.phase is not Phase.THROUGHOUT:
        assert scene.armed, "it never came to what goes wrong"
    # What is over after a moment is not told.
    assert kind.says in log or scene.phase is Phase.BRIEFLY, f"the log does not say {kind.says!r}"
    if "log" in kind.lost:
        assert "of 3 runs passed" not in log


def assert_silent(scene: Scene, log: str) -> None:
    """Fail if anything secret is in the log or in a file, in any form."""
    shown = "\n".join(line for line in log.split("\n") if not line.startswith("::add-mask::"))
    texts = {"log": shown}
    for path in scene.folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and scene.faults not in path.parents:
            texts[str(path.relative_to(scene.folder))] = path.read_bytes().decode("utf-8", "replace")
    assert not sentinels.find_leaks(texts)
    for place, text in texts.items():
        assert SIGNATURE not in text, place
        assert PASSWORD not in text, place


def assert_told_apart(scene: Scene) -> None:
    """Fail if a server got what another one is given."""
    for request in scene.api.received:
        assert sentinels.TOKEN not in str(request.headers)
    for request in [*scene.media.received, *scene.forge.received]:
        assert not {"autonoma-client-id", "autonoma-client-secret"} & set(request.headers)
        assert not sentinels.find_leaks({"request": f"{request.path} {request.headers}"}, "token")
    for request in scene.media.received:
        assert "authorization" not in request.headers


def assert_nothing_asked(scene: Scene, code: int) -> None:
    """Fail if the API was asked for anything, or if the outputs say that it was."""
    assert scene.api.connections == scene.media.connections == 0
    outputs = read_outputs((scene.folder / "output").read_text("utf-8"))
    told = {0: ("skipped", "ok"), 2: ("error", "input")}[code]
    assert (outputs["conclusion"], outputs["reason"]) == told


def assert_started_once(scene: Scene) -> None:
    """Fail if a start that may have been taken was sent again, or a comment."""
    for name in IDS:
        posts = scene.api.posts[name]
        assert posts <= (scene.kind.posts if name == VICTIM else 1), f"{posts} POSTs for {name}"
    # Of what was sent over a connection that ended before it was read, nobody but the sender knows.
    if scene.phase is Phase.START and scene.kind.codes.get(Phase.START) == 7 and scene.kind.greeting:
        assert scene.api.connections == len(IDS), f"{scene.api.connections} connections for {len(IDS)} starts"
    assert sum(request.method == "POST" for request in scene.forge.received) <= scene.kind.posts


def assert_nothing_missing(scene: Scene) -> None:
    """Fail unless all runs have ended as usual, with their details and files, and with a comment."""
    runs = json.loads((scene.work / "results" / "results.json").read_text("utf-8"))["runs"]
    states = {run["id"]: run["state"] for run in runs}
    assert states == {name: "failed" if name == VICTIM else "passed" for name in IDS}, states
    assert all(run["title"] == f"The title of {run['id']}" for run in runs)
    kept = {path.name for path in (scene.work / "results" / "evidence").glob("run-of-*/*") if path.is_file()}
    assert kept == {"step-001.png", "video.webm"}, kept
    assert [request.method for request in scene.forge.received].count("POST") == 1, "there is no comment"


def assert_nothing_broken(scene: Scene) -> None:
    """Fail unless all files are whole, and tell of every run that had started some time before."""
    files = _files(scene)
    states = _states(files)
    # What a run has been for a short time when the report is about to be made may be told by it alone.
    told = scene.phase is not Phase.REPORT
    for name, at in dict(scene.handed_out).items():
        assert states[name] != "not-started", f"{name} has started"
        # The one that is being started is answered when nobody is there any more.
        if told and at <= scene.killed - scene.behind:
            assert all(f"/run/run-of-{name}" in text for text in files.values()), f"the link of {name} is lost"
    # The outputs are appended once all runs are started.
    if told and set(IDS) == set(scene.handed_out) and max(scene.handed_out.values()) <= scene.killed - scene.behind:
        found = read_outputs((scene.folder / "output").read_text("utf-8"))
        assert all(f"/run/run-of-{name}" in found["run-urls"] for name in IDS), "a link is lost in the outputs"


def assert_accounted_for(scene: Scene, ended: Ended) -> None:
    """Fail unless every run is in all that can hold it, with one state, and with its link if one was handed out."""
    texts = _files(scene) if "log" in scene.kind.lost else {"log": ended.log, **_files(scene)}
    states = _states(texts)
    starting = scene.phase is Phase.START
    for name in IDS:
        assert all(name in text for text in texts.values()), f"{name} is not everywhere"
        declined = starting and name == VICTIM and scene.kind.declines
        if scene.api.posts[name] and states and not declined:
            assert states[name] != "not-started", f"{name} may have started"
    for name in list(scene.handed_out):
        link = f"https://autonoma.app/run/run-of-{name}"
        told = [what for what, text in texts.items() if link in text]
        # An answer that got lost has no link.
        lost = starting and (name == VICTIM or scene.kind.takes_all) and states.get(name, "unknown") == "unknown"
        assert told == list(texts) or (lost and not told), f"the link of {name} is in {told} alone"
    assert "starting" not in states.values()
    if "record" in texts:
        seconds = json.loads(texts["record"])["duration_seconds"]
        assert seconds < _LATEST, f"it took {seconds:.0f} s until the record was whole"
    for code in _codes(texts):
        assert code == ended.code


def _files(scene: Scene) -> dict[str, str]:
    """Return what tells of the runs; what could not be written any more must be whole, if it is there."""
    paths = {"outputs": "output", "summary": "summary", "record": "work/results/results.json"}
    texts = {}
    for what, name in paths.items():
        path = scene.folder / name
        if what not in scene.kind.lost or (path.is_file() and path.stat().st_size):
            texts[what] = _whole(what, path)
    return {what: text for what, text in texts.items() if what not in scene.kind.lost}


def _whole(what: str, path: Path) -> str:
    text = path.read_text("utf-8")
    if what == "outputs":
        read_outputs(text)
    if what == "record":
        json.loads(text)
    return text.replace("\\", "") if what == "summary" else text


def _codes(texts: dict[str, str]) -> list[int]:
    return [json.loads(texts["record"])["exit_code"]] if "record" in texts else []


def _states(texts: dict[str, str]) -> dict[str, str]:
    """Return the states of the runs, the same in the record and in the outputs, where there are any."""
    found = []
    if "record" in texts:
        found.append({run["id"]: run["state"] for run in json.loads(texts["record"])["runs"]})
    if "outputs" in texts:
        outputs = read_outputs(texts["outputs"])
        found.append({result["id"]: result["state"] for result in json.loads(outputs["results"])})
        assert outputs["total"] == str(len(IDS))
    for states in found:
        assert list(states) == list(IDS)
        assert set(states.values()) <= _STATES, states
        assert states == found[0], found
    return found[0] if found else {}
