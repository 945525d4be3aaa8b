"""What must hold of every job, whatever went wrong in it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.faults.scene import IDS, SECRETS, SENTINELS, VICTIM
from tests.support.job import read_outputs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.scene import Scene

_STATES = {"started", "not-started", "unknown", "passed", "failed", "timed-out"}


def assert_silent(scene: Scene, log: str) -> None:
    """Fail if anything secret is in the log or in a file, in any form."""
    shown = [line for line in log.split("\n") if not line.startswith("::add-mask::")]
    files = [path for name in ("work", "output", "summary") for path in _files(scene.folder / name)]
    everything = b"\n".join([*(line.encode() for line in shown), *(path.read_bytes() for path in files)])
    for secret in SENTINELS:
        for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
            assert form.encode() not in everything, secret


def _files(path: Path) -> list[Path]:
    return [found for found in (path, *path.rglob("*")) if found.is_file() and not found.is_symlink()]


def assert_told_apart(scene: Scene) -> None:
    """Fail if a server got what another one is given."""
    for request in scene.api.received:
        assert SECRETS["INPUT_GITHUB-TOKEN"] not in str(request.headers)
    for request in [*scene.media.received, *scene.forge.received]:
        assert not {"autonoma-client-id", "autonoma-client-secret"} & set(request.headers)
        assert SECRETS["INPUT_CLIENT-SECRET"] not in str(request)
    for request in scene.media.received:
        assert "authorization" not in request.headers


def assert_nothing_sent(scene: Scene, code: int) -> None:
    """Fail if the API was asked for anything, or if the outputs say that it was."""
    assert not [*scene.api.received, *scene.media.received]
    outputs = read_outputs((scene.folder / "output").read_text("utf-8"))
    told = {0: ("skipped", "ok"), 2: ("error", "input")}[code]
    assert (outputs["conclusion"], outputs["reason"]) == told


def assert_accounted_for(scene: Scene, code: int, log: str) -> None:
    """Fail unless every run is in all that can hold it, with one state, and none was started twice."""
    texts = _texts(scene, log)
    states = _states(texts, code)
    for name in IDS:
        posts = scene.api.posts[name]
        assert posts <= (scene.kind.posts if name == VICTIM else 1), f"{posts} POSTs for {name}"
        assert all(name in text for text in texts.values()), f"{name} is not everywhere"
        if posts and states and not (name == VICTIM and scene.kind.declines):
            assert states[name] != "not-started", f"{name} may have started"
    for name in scene.handed_out:
        link = f"https://autonoma.app/run/run-of-{name}"
        told = [what for what, text in texts.items() if link in text]
        assert told in ([], list(texts)), f"the link of {name} is in {told} alone"
        # An answer that got lost has no link; a proxy that dies takes all answers with it.
        assert told or states.get(name, "unknown") == "unknown", f"the link of {name} is nowhere"
        assert told or name == VICTIM or scene.kind.proxied, f"the link of {name} is nowhere"
    comments = [request for request in scene.forge.received if request.method == "POST"]
    assert len(comments) <= scene.kind.posts


def _texts(scene: Scene, log: str) -> dict[str, str]:
    """Return what tells of the runs; what could not be written any more must be whole, if it is there."""
    paths = {"outputs": "output", "summary": "summary", "record": "work/results/results.json"}
    texts = {"log": log}
    for what, name in paths.items():
        path = scene.folder / name
        if what not in scene.kind.lost or path.is_file():
            text = path.read_text("utf-8")
            if what != "summary":
                _parsed(what, text)
            texts[what] = text.replace("\\", "") if what == "summary" else text
    return {what: text for what, text in texts.items() if what not in scene.kind.lost}


def _parsed(what: str, text: str) -> object:
    return read_outputs(text) if what == "outputs" and text else json.loads(text) if what == "record" else {}


def _states(texts: dict[str, str], code: int) -> dict[str, str]:
    """Return the states of the runs, the same in the record and in the outputs, where there are any."""
    found = []
    if "record" in texts:
        record = json.loads(texts["record"])
        assert record["exit_code"] == code
        found.append({run["id"]: run["state"] for run in record["runs"]})
    if "outputs" in texts:
        results = json.loads(read_outputs(texts["outputs"])["results"])
        found.append({result["id"]: result["state"] for result in results})
    for states in found:
        assert list(states) == list(IDS)
        assert set(states.values()) <= _STATES
        assert states == found[0]
    return found[0] if found else {}
