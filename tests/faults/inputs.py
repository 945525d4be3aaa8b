"""Define input errors that are reported before any API request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.faults.kind import Kind, Phase, given
from tests.leaks.sentinels import CLIENT_SECRET, VALUES

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


def _given(name: str, says: str, changes: Mapping[str, str], *, code: int = 2) -> Kind:
    """Return a kind of inputs; what is empty is not given."""
    return _refused(name, says, given(changes), code)


def _refused(name: str, says: str, prepare: Callable[[Scene], Mapping[str, str]], code: int = 2) -> Kind:
    codes = {Phase.THROUGHOUT: code}
    return Kind(_INPUT, name, codes, (Phase.THROUGHOUT,), prepare=prepare, refused=True, says=says)


def _manifest(name: str, says: str, make: Callable[[Path], object]) -> Kind:
    def prepare(scene: Scene) -> dict[str, str]:
        make(scene.work / "autonoma.yml")
        return {"INPUT_MANIFEST": "autonoma.yml", "INPUT_TEST-IDS": ""}

    return _refused(f"manifest: {name}", says, prepare)


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, "utf-8")


def _results_dir_is_a_file(scene: Scene) -> dict[str, str]:
    (scene.work / "results").touch()
    return {}


def _results_dir_leads_out(scene: Scene) -> dict[str, str]:
    (scene.work / "results").symlink_to(scene.outside)
    return {}


KINDS = [
    _given("no client secret", "client-secret is missing", {"INPUT_CLIENT-SECRET": ""}),
    _given("a credential of two lines", "holds a line break", {"INPUT_CLIENT-SECRET": f"{CLIENT_SECRET}\nx"}),
    _given("a credential that is no ASCII", "is not ASCII", {"INPUT_CLIENT-SECRET": f"{CLIENT_SECRET}ü"}),
    _given("no credentials, and `on-missing-credentials: skip`", "Skipped, nothing was started", code=0, changes={
        "INPUT_CLIENT-ID": "", "INPUT_CLIENT-SECRET": "", "INPUT_ON-MISSING-CREDENTIALS": "skip"}),
    _given("plain HTTP to another host", "is not https", {"INPUT_API-URL": "http://api.autonoma.test:{api}/api"}),
    _given("an id that is a path", "is not an id", {"INPUT_TEST-IDS": "a, ../../admin"}),
    _given("nothing is selected", "nothing to run", {"INPUT_TEST-IDS": ""}),
    _given("a variable without a value", "is not NAME=value", {"INPUT_VARIABLES": VALUES["FOREIGN"]}),
    _given("a shard that is not there", "shard 4 does not exist", {"INPUT_SHARD": "4/3"}),
    _given("a timeout that is no time", "is not a duration", {"INPUT_TIMEOUT": "soon"}),
    _manifest("missing", "there is no such file", lambda path: None),
    _manifest("not YAML", "invalid YAML", _text("tests: [")),
    _manifest("unknown and repeated keys", "did you mean", _text("version: 1\ntest: [a]\ntests: [b]\ntests: [c]\n")),
    _manifest("not UTF-8", "UTF-8", lambda path: path.write_bytes(b"version: 1\ntests: [\xff]\n")),
    _manifest("names a credential", "credential", _text("tests: [{id: a, name: '${AUTONOMA_CLIENT_SECRET}'}]\n")),
    _manifest("aliases of aliases of aliases", "aliases", _text(_BOMB)),
    _manifest("a pipe that nobody fills", "autonoma.yml", os.mkfifo),
    _manifest("without an end", "autonoma.yml", lambda path: path.symlink_to("/dev/zero")),
    _manifest("a link that leads out", "autonoma.yml", lambda path: path.symlink_to("/etc/hostname")),
    _refused("results-dir is a file", "results-dir can't be made", _results_dir_is_a_file),
    _refused("results-dir is a link that leads out", "results-dir leads out", _results_dir_leads_out),
]  # fmt: skip
