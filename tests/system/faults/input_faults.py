"""Define input errors that are reported before any API request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.system.faults.fault_case import FaultCase, Phase, set_variables
from tests.system.security.redaction.secret_markers import CLIENT_SECRET, VARIABLE_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.system.faults.harness import FaultScenario

_INPUT = "input"
# With all aliases resolved, the document has 10 to the power of 9 entries.
_ALIAS_BOMB = "version: 1\na: &a [x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


def _make_variable_error(name: str, log_text: str, changes: Mapping[str, str], *, code: int = 2) -> FaultCase:
    """Return an error of environment variables. Empty ones are removed."""
    return _make_input_error(name, log_text, set_variables(changes), code)


def _make_input_error(
    name: str, log_text: str, prepare: Callable[[FaultScenario], Mapping[str, str]], code: int = 2
) -> FaultCase:
    codes = {Phase.WHOLE_JOB: code}
    return FaultCase(_INPUT, name, codes, (Phase.WHOLE_JOB,), prepare=prepare, is_input_error=True, log_text=log_text)


def _make_manifest_error(name: str, log_text: str, create_file: Callable[[Path], object]) -> FaultCase:
    def prepare(scenario: FaultScenario) -> dict[str, str]:
        create_file(scenario.work_dir / "autonoma.yml")
        return {"INPUT_MANIFEST": "autonoma.yml", "INPUT_TEST-IDS": ""}

    return _make_input_error(f"manifest: {name}", log_text, prepare)


def _write_text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, "utf-8")


def _create_results_file(scenario: FaultScenario) -> dict[str, str]:
    (scenario.work_dir / "results").touch()
    return {}


def _link_results_dir_outside(scenario: FaultScenario) -> dict[str, str]:
    (scenario.work_dir / "results").symlink_to(scenario.outside_dir)
    return {}


FAULT_CASES = [
    _make_variable_error("no client secret", "client-secret is missing", {"INPUT_CLIENT-SECRET": ""}),
    _make_variable_error(
        "a credential of two lines", "contains a line break", {"INPUT_CLIENT-SECRET": f"{CLIENT_SECRET}\nx"}
    ),
    _make_variable_error("a credential that is no ASCII", "is not ASCII", {"INPUT_CLIENT-SECRET": f"{CLIENT_SECRET}ü"}),
    _make_variable_error(
        "no credentials, and `on-missing-credentials: skip`",
        "Skipped, nothing was started",
        code=0,
        changes={"INPUT_CLIENT-ID": "", "INPUT_CLIENT-SECRET": "", "INPUT_ON-MISSING-CREDENTIALS": "skip"},
    ),
    _make_variable_error(
        "plain HTTP to another host", "URL without https", {"INPUT_API-URL": "http://api.autonoma.test:{api}/api"}
    ),
    _make_variable_error("an id that is a path", "invalid id", {"INPUT_TEST-IDS": "a, ../../admin"}),
    _make_variable_error("nothing is selected", "Nothing to run", {"INPUT_TEST-IDS": ""}),
    _make_variable_error(
        "a variable without a value", "expected NAME=value", {"INPUT_VARIABLES": VARIABLE_VALUES["FOREIGN"]}
    ),
    _make_variable_error("a shard that is not there", "unknown shard: '4/3'", {"INPUT_SHARD": "4/3"}),
    _make_variable_error("a timeout that is no time", "invalid duration", {"INPUT_TIMEOUT": "soon"}),
    _make_manifest_error("missing", "the file is missing", lambda path: None),
    _make_manifest_error("not YAML", "invalid YAML", _write_text("tests: [")),
    _make_manifest_error(
        "unknown and repeated keys", "Did you mean", _write_text("version: 1\ntest: [a]\ntests: [b]\ntests: [c]\n")
    ),
    _make_manifest_error("not UTF-8", "UTF-8", lambda path: path.write_bytes(b"version: 1\ntests: [\xff]\n")),
    _make_manifest_error(
        "names a credential", "credential", _write_text("tests: [{id: a, name: '${AUTONOMA_CLIENT_SECRET}'}]\n")
    ),
    _make_manifest_error("aliases of aliases of aliases", "aliases", _write_text(_ALIAS_BOMB)),
    _make_manifest_error("a pipe that nobody fills", "autonoma.yml", os.mkfifo),
    _make_manifest_error("without an end", "autonoma.yml", lambda path: path.symlink_to("/dev/zero")),
    _make_manifest_error("a link that leads out", "autonoma.yml", lambda path: path.symlink_to("/etc/hostname")),
    _make_input_error("results-dir is a file", "results-dir: directory could not be created", _create_results_file),
    _make_input_error(
        "results-dir is a link that leads out", "results-dir: symbolic link leads outside", _link_results_dir_outside
    ),
]
