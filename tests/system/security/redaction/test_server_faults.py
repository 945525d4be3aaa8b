"""Search for secrets in all output after every fault of a server.

`run` and `wait` write to the channels of a CI system, so they run in every CI system with every fault. Other commands
write to the log and the checkout only, so they run in one CI system with every fault that concerns them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from tests.system.security.redaction import secret_markers
from tests.system.security.redaction.ci_environments import ENVIRONMENTS
from tests.system.security.redaction.job_runner import FAULTS, list_test_ids, run_faulty_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[4]
# A secret in the wrong place.
MISPLACED_SECRET = secret_markers.VARIABLE_VALUES["WORDS"]


@pytest.mark.parametrize("name", secret_markers.SECRETS)
def test_search_finds_secret_in_every_form(name: str) -> None:
    """Without this control, the other tests could pass without a search."""
    secret = secret_markers.SECRETS[name]
    for form in secret_markers.ENCODINGS:
        assert secret_markers.find_leaks({"": f"before {secret_markers.encode_texts(form, [secret])} after"}), form
    if len(secret) > 6:
        assert secret_markers.find_leaks({"": secret[::-1]})
        assert secret_markers.find_leaks({"": "…" + (secret[30:38] if "BEGIN" in secret else secret[-8:])})


def test_search_accepts_digests() -> None:
    """One results.json in 20,000 holds these six hexadecimal digits by chance."""
    digits = secret_markers.VARIABLE_VALUES["SHORT"].encode().hex()
    assert not secret_markers.find_leaks({"": f'{{"mac": "0f{digits}a2"}}'})


def test_search_accepts_ids_beside_words() -> None:
    """The end of a random id and the next word are such a part in one line of 1,296."""
    sources = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "autonoma_ci").rglob("*.py")]
    words = {word for path in sources for word in re.findall("[a-z]{3,}", path.read_text("utf-8").lower())}
    pieces = {piece for word in words for size in range(3, 7) for piece in (word[:size], word[-size:])}
    parts = {part for needles in secret_markers.SECRET_PARTS.values() for part in needles}
    matches = [re.fullmatch("[0-9a-z_-]{1,2}([a-z]+)|([a-z]+)[0-9a-z_-]{1,2}", part) for part in parts]
    assert not [match[0] for match in matches if match and (match[1] or match[2]) in pieces]


# Rejected credentials end the step, so each such fault has its own step. All other faults share one.
DENIED_FAULTS = [name for name in FAULTS if name.startswith("401")]
FAULT_GROUPS = [*([name] for name in DENIED_FAULTS), [name for name in FAULTS if name not in DENIED_FAULTS]]
SYSTEMS_AND_FAULTS = [
    pytest.param(
        system, group, marks=() if group == DENIED_FAULTS[:1] and system == "github" else pytest.mark.slow,
        id=f"{system}, {group[0] if len(group) == 1 else 'all others'}",
    )
    for system in ENVIRONMENTS
    for group in FAULT_GROUPS
]  # fmt: skip


# A text of the debug log, which each CI system has.
DEBUG_TEXT = "POST /test/good-0/run: HTTP 200 ("
# Texts that show that the channels of each CI system were searched.
CHANNELS = {
    "forgejo": ("ci/output", "ci/summary"),
    "gitea": ("ci/output", "ci/summary"),
    "github": ("ci/output", "ci/summary", "/issues/7/comments"),
    "gitlab": ("workspace/results/gitlab-annotations.json", "/merge_requests/17/notes"),
    "circleci": ("ci/bash.env",),
    "azure": ("ci/Autonoma-tests-", "##vso[task.setvariable"),
    "bitbucket": ("ci/variables", "/annotations"),
    "buildkite": ("bin/buildkite-agent.calls", "bin/buildkite-agent.arguments", "meta-data set"),
    "appveyor": ("/api/build/messages",),
    "harness": ("ci/variables",),
    "semaphore": (
        "bin/sem-context.calls",
        "bin/sem-context.arguments",
    ),
    "bitrise": (
        "bin/envman.calls",
        "bin/envman.arguments",
    ),
    "codefresh": ("ci/env_vars_to_export",),
    "teamcity": ("##teamcity[setParameter",),
    "cloudbuild": ("ci/output",),
}


@pytest.mark.parametrize(("system", "fault_names"), SYSTEMS_AND_FAULTS)
def test_run_fault_leaks_no_secret(system: str, fault_names: list[str], tmp_path: Path) -> None:
    """No fault during a run leaks a secret into any channel of any CI system."""
    job = run_faulty_job(tmp_path, system, fault_names, "run")
    assert job.code == (3 if len(fault_names) == 1 else 4)
    runs = json.loads(job.texts["workspace/results/results.json"].partition(" ")[2])["runs"]
    all_texts = "\n".join([*job.texts, *job.texts.values()])
    assert not [channel for channel in (DEBUG_TEXT, *CHANNELS.get(system, ())) if channel not in all_texts]
    assert [run["id"] for run in runs] == ["good-0", *list_test_ids(fault_names), "start-folder-0", "wait-tag-0"]
    job.assert_no_leaks()


@pytest.mark.slow
@pytest.mark.parametrize(("system", "fault_names"), SYSTEMS_AND_FAULTS)
def test_wait_fault_leaks_no_secret(system: str, fault_names: list[str], tmp_path: Path) -> None:
    """No fault during `wait` leaks a secret into any channel of any CI system."""
    # The test above covers faults of start requests.
    ids = [run for run in list_test_ids(fault_names) if not run.startswith("start-")]
    run_faulty_job(
        tmp_path, system, fault_names, "run", "--wait", "false", "--test-ids", ",".join(ids)
    ).assert_no_leaks()
    job = run_faulty_job(tmp_path, system, fault_names, "wait", "results/results.json")
    assert job.code == (3 if len(fault_names) == 1 else 4)
    all_texts = "\n".join([*job.texts, *job.texts.values()])
    assert not [channel for channel in CHANNELS.get(system, ()) if channel not in all_texts]
    runs = json.loads(job.texts["workspace/results/results.json"].partition(" ")[2])["runs"]
    assert [run["id"] for run in runs if run["kind"] == "test"] == ids
    assert "unknown" in {run["state"] for run in runs}
    job.assert_no_leaks()


# The second manifest has errors beside secret values.
MANIFESTS = {
    "autonoma.yml": "tests: [{id: start-0, name: '${WORDS}', variables: {A: 'Zq5pa7s w0rd & more', B: '${WORDS}'}}]",
    "bad.yml": "tests: [{id: 'Zq5/${WORDS}', nmae: Zq5pa7s w0rd, variables: {B: [Zq5pa7s w0rd], 'a=': Zq5pa7s}}]",
}
# Valid and invalid arguments of each command.
COMMANDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "run": (
        ("--manifest", "autonoma.yml", "--dry-run"),
        ("--manifest", "bad.yml"),
        ("--clent-secret", MISPLACED_SECRET),
        (MISPLACED_SECRET,),
    ),
    "wait": (("results/results.json",), ("bad.yml",), ("results/results.json", "--clent-secret", MISPLACED_SECRET)),
    "list": ((), ("--json",), (f"--clent-secret={MISPLACED_SECRET}",)),
    "init": (
        ("--all", "--force"),
        ("--all", "--each", "--output", "made.yml"),
        ("--test-ids", "t-1", "--output", "x.yml"),
    ),
    "report": (
        ("results/results.json", "--single-file"),
        ("bad.yml",),
        ("results/results.json", "--format", MISPLACED_SECRET),
    ),
    "validate": ((), ("bad.yml",), ("autonoma.yml", MISPLACED_SECRET)),
    "schema": (("manifest",), ("results",), (MISPLACED_SECRET,)),
    "sandbox": (("--port", "none"), (MISPLACED_SECRET,), (f"--prot={MISPLACED_SECRET}",)),
    "demo": (("--output", "demo"), (MISPLACED_SECRET,)),
}


def test_all_commands_are_covered() -> None:
    """The table has an entry for each command."""
    assert list(COMMANDS) == list(cli.COMMANDS)


def list_calls() -> Iterator[object]:
    """Yield each call of each command with each fault that concerns it."""
    for command, lines in COMMANDS.items():
        for number, line in enumerate(lines):
            sends_requests = command in {"wait", "list", "init"} and MISPLACED_SECRET not in " ".join(line)
            for fault in FAULTS if sends_requests else ["a list"]:
                is_quick = fault == "a list" and command not in {"demo", "wait"}
                marks = () if is_quick else pytest.mark.slow
                yield pytest.param(command, line, fault, marks=marks, id=f"{command} {number}, {fault}")


@pytest.mark.parametrize(("command", "line", "fault"), [*list_calls()])
def test_command_leaks_no_secret(command: str, line: tuple[str, ...], fault: str, tmp_path: Path) -> None:
    """No command leaks a secret under any fault that concerns it."""
    if "results/results.json" in line:
        run_faulty_job(tmp_path, "github", ["404 with JSON"], "run", "--wait", "false")
    job = run_faulty_job(tmp_path, "github", [fault], command, *line, files=MANIFESTS)
    assert job.code != 70
    assert job.texts["stdout"] + job.texts["stderr"]
    job.assert_no_leaks()
