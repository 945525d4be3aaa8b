"""What users get wrong: all of it is told before anything is sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.faults.kind import Kind, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.faults.scene import Scene

_INPUT = "input"
# A thousand million entries, once all aliases are followed.
_BOMB = "version: 1\na: &a [x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


def _given(name: str, changes: Mapping[str, str], *, code: int = 2, lost: tuple[str, ...] = ()) -> Kind:
    """Return a kind of inputs; what is empty is not given."""
    return Kind(
        _INPUT,
        name,
        {Phase.THROUGHOUT: code},
        (Phase.THROUGHOUT,),
        prepare=lambda scene: changes,
        refused=True,
        lost=lost,
    )


def _manifest(name: str, make: Callable[[Path], object]) -> Kind:
    def prepare(scene: Scene) -> dict[str, str]:
        make(scene.work / "autonoma.yml")
        return {"INPUT_MANIFEST": "autonoma.yml", "INPUT_TEST-IDS": ""}

    return Kind(_INPUT, f"manifest: {name}", {Phase.THROUGHOUT: 2}, (Phase.THROUGHOUT,), prepare=prepare, refused=True)


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, "utf-8")


def _results_dir_is_a_file(scene: Scene) -> dict[str, str]:
    (scene.work / "results").touch()
    return {}


def _results_dir_leads_out(scene: Scene) -> dict[str, str]:
    (scene.work / "results").symlink_to(scene.outside)
    return {}


KINDS = [
    _given("no client secret", {"INPUT_CLIENT-SECRET": ""}),
    _given("a credential of two lines", {"INPUT_CLIENT-SECRET": "sentinel-of-the-client-secret\nx"}),
    _given("a credential that is no ASCII", {"INPUT_CLIENT-SECRET": "sentinel-of-the-client-secret-ü"}),
    _given("no credentials, and `on-missing-credentials: skip`", code=0, changes={
        "INPUT_CLIENT-ID": "", "INPUT_CLIENT-SECRET": "", "INPUT_ON-MISSING-CREDENTIALS": "skip"}),
    _given("plain HTTP to another host", {"INPUT_API-URL": "http://192.0.2.1/api"}),
    _given("an id that is a path", {"INPUT_TEST-IDS": "before, ../../admin"}),
    _given("nothing is selected", {"INPUT_TEST-IDS": ""}),
    _given("a variable without a value", {"INPUT_VARIABLES": "sentinel-of-a-variable"}),
    _given("a shard that is not there", {"INPUT_SHARD": "4/3"}),
    _given("a timeout that is no time", {"INPUT_TIMEOUT": "soon"}),
    _manifest("missing", lambda path: None),
    _manifest("not YAML", _text("tests: [")),
    _manifest("unknown and repeated keys", _text("version: 1\ntest: [a]\ntests: [b]\ntests: [c]\n")),
    _manifest("not UTF-8", lambda path: path.write_bytes(b"version: 1\ntests: [\xff]\n")),
    _manifest("names a credential", _text("tests: [{id: a, variables: {X: '${AUTONOMA_CLIENT_SECRET}'}}]\n")),
    _manifest("aliases of aliases of aliases", _text(_BOMB)),
    _manifest("a pipe that nobody fills", os.mkfifo),
    _manifest("without an end", lambda path: path.symlink_to("/dev/zero")),
    _manifest("a link that leads out", lambda path: path.symlink_to("/etc/hostname")),
    Kind(_INPUT, "results-dir is a file", {Phase.THROUGHOUT: 2}, (Phase.THROUGHOUT,), prepare=_results_dir_is_a_file,
         refused=True),
    Kind(_INPUT, "results-dir is a link that leads out", {Phase.THROUGHOUT: 2}, (Phase.THROUGHOUT,),
         prepare=_results_dir_leads_out, refused=True),
]  # fmt: skip
