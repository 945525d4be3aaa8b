"""What runs: groups, patterns, limits and earlier results, by the command `run`."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = """\
groups: {nightly: {default: false}}
environments:
  staging: {default: true, variables: {URL: https://staging.example.com}}
  production: {variables: {URL: https://www.example.com}}
defaults: {variables: {LOCALE: en}}
tests:
  - {id: checkout, name: Checkout pays, groups: [smoke, web]}
  - {id: search, name: Search, groups: [web], matrix: {LOCALE: [en, fr]}}
  - {id: report, name: Nightly report, groups: [nightly, web]}
  - {id: sandbox-fails, name: Broken, groups: [broken]}
folders:
  - {id: listings, groups: [slow]}
"""
SHA = "a" * 40
USE_RESULTS = "Use the results.json that an earlier step wrote to its results-dir, or this directory."
SAME_COMMIT = "Use the results.json of this commit"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0) as server:
        yield server


def run(folder: Path, sandbox: Sandbox, *argv: str, **environ: str) -> CommandResult:
    (folder / "autonoma.yml").write_text(MANIFEST, "utf-8")
    return invoke(folder, "run", *argv, environ=CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url} | environ)


def list_started(sandbox: Sandbox, since: int = 0) -> list[str]:
    """Return the ids of the runs that were started after this number of requests."""
    return sorted(entry.path.split("/")[3] for entry in sandbox.received[since:] if entry.path.endswith("/run"))


def test_command_of_failure_runs_at_a_terminal(tmp_path: Path, sandbox: Sandbox) -> None:
    """The command states the build facts that the manifest uses."""
    manifest = (
        "environments: {preview: {default: true, variables: {URL: 'https://${ci.branch_slug}.example.com'}}}\n"
        "tests: [{id: sandbox-fails, variables: {CHANGE: '${ci.change}'}}]"
    )
    (tmp_path / "autonoma.yml").write_text(manifest, "utf-8")
    environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url}
    facts = {"GITLAB_CI": "true", "CI_COMMIT_REF_NAME": "feature/it's", "CI_MERGE_REQUEST_IID": "7"}
    result = invoke(tmp_path, "run", environ=environ | facts | {"AUTONOMA_WAIT": "true"})
    assert result.code == 1, result.output
    command = result.out.partition("Run again: autonoma-ci ")[2].splitlines()[0]
    again = invoke(tmp_path, *shlex.split(command), environ=environ)
    assert again.code == 1, again.output
    assert list_started(sandbox) == ["sandbox-fails", "sandbox-fails"]


def read_results(folder: Path, name: str = "results") -> Any:
    return json.loads((folder / name / "results.json").read_text("utf-8"))


def test_default_off_group_stays_off(tmp_path: Path, sandbox: Sandbox) -> None:
    """Log, summary and results.json count what is left out."""
    summary = tmp_path / "summary.md"
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "INPUT_RESULTS-DIR": "results"}
    result = run(tmp_path, sandbox, **environ)
    assert result.code == 0, result.output
    assert list_started(sandbox) == ["checkout", "listings", "sandbox-fails", "search", "search"]
    note = "1 of 5 entries left out: 1 off by default."
    assert f"::notice::{note}" in result.out
    assert note in summary.read_text("utf-8").replace("\\", "")
    assert [entry["name"] for entry in read_results(tmp_path)["runs"]][1:3] == [
        "Search [LOCALE=en]",
        "Search [LOCALE=fr]",
    ]


def test_groups_and_only_select_entries(tmp_path: Path, sandbox: Sandbox) -> None:
    """The options apply in their order, and each entry counts once."""
    result = run(
        tmp_path, sandbox, "--groups", "web,nightly", "--exclude-groups", "smoke", "--only", "NIGHTLY*\nsea?ch"
    )
    assert result.code == 0, result.output
    assert list_started(sandbox) == ["report", "search", "search"]
    assert "3 of 5 entries left out: 2 by groups, 1 excluded." in result.out


def test_dry_run_has_note_and_ceiling(tmp_path: Path, sandbox: Sandbox) -> None:
    """The plan shows what would cost money."""
    argv = ("--dry-run", "--wait", "--retries", "2", "--only", "search", "--environment", "production")
    result = run(tmp_path, sandbox, *argv)
    assert sandbox.received == []
    lines = result.out.splitlines()
    details = "environment production, up to 2 retries, variables LOCALE, URL"
    assert f"PLANNED  Search [LOCALE=en]  — test search: {details}" in lines
    assert "At most 6 runs: 2 in the plan, with up to 2 retries each." in lines
    assert "www.example.com" not in result.output


def test_log_has_ceiling(tmp_path: Path, sandbox: Sandbox) -> None:
    """A step that retries shows its ceiling before it starts the first run."""
    result = run(tmp_path, sandbox, "--wait", "--retries", "1", "--only", "checkout")
    assert result.code == 0, result.output
    assert result.out.index("At most 2 runs: 1 in the plan, and up to 1 retry.") < result.out.index("Starting 1 run")


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["--exclude-groups", "smoek"], "--exclude-groups: unknown group: 'smoek'. Did you mean 'smoke'?"),
        (
            ["--exclude-groups", "none"],
            "--exclude-groups: invalid group: 'none'. Remove it, or name a group of the manifest.",
        ),
        (["--environment", "qa"], "--environment: unknown environment: 'qa'. Known environments: production, staging."),
        (["--only", "checkuot*"], "--only: no entry matches 'checkuot*'. Did you mean 'checkout' or 'Checkout pays'?"),
        (
            ["--only", "Nightly*"],
            (
                "--only: 'Nightly*' matches only entries that are off by default. "
                "A default-off group stays off. Add to groups: nightly."
            ),
        ),
        (
            ["--exclude-groups", "smoke", "--groups", "smoke"],
            (
                "Nothing to run: all entries are left out (4 by groups, 1 excluded). "
                "Change --groups and --exclude-groups, or set allow-empty to true."
            ),
        ),
        (["--max-runs", "4"], "--max-runs: 5 runs in the plan, 4 allowed. Select fewer, or raise the limit."),
        (["--failed-from", "old.json"], f"--failed-from: old.json does not exist. {USE_RESULTS}"),
        (
            ["--failed-from", "autonoma.yml"],
            f"--failed-from: autonoma.yml is not a results.json (no JSON object). {USE_RESULTS}",
        ),
    ],
)
def test_wrong_selection_starts_nothing(argv: list[str], error: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """Each mistake is an input error with its remedy."""
    result = run(tmp_path, sandbox, *argv)
    assert (result.code, result.errors) == (2, [error])
    assert sandbox.received == []
    assert "Traceback" not in result.output


def test_all_mistakes_are_reported_at_once(tmp_path: Path, sandbox: Sandbox) -> None:
    """A user corrects all options in one go."""
    result = run(tmp_path, sandbox, "--groups", "wbe", "--environment", "x", "--only", "zzz", "--shard", "auto")
    assert [error.split(":")[0] for error in result.errors] == ["--environment", "--groups", "--only", "--shard"]


def test_allow_empty_accepts_empty_selection(tmp_path: Path, sandbox: Sandbox) -> None:
    """The note still counts what was left out."""
    result = run(tmp_path, sandbox, "--groups", "smoke", "--exclude-groups", "smoke", "--allow-empty")
    assert result.code == 0
    assert "5 of 5 entries left out: 4 by groups, 1 excluded." in result.out
    assert sandbox.received == []


# changed-files

SERVICES = """\
always: [package-lock.json]
tests:
  - {id: checkout, groups: [web], when: {changed: [services/checkout/**, "!**/*.md"]}}
  - {id: search, groups: [web], when: {changed: [services/search/**]}}
  - {id: sandbox-fails, groups: [other], when: {changed: [services/other/**]}}
"""
ALL_SERVICES = ["checkout", "sandbox-fails", "search"]


def run_services(folder: Path, sandbox: Sandbox, changed_files: str, *argv: str, text: str = SERVICES) -> CommandResult:
    (folder / "services.yml").write_text(text, "utf-8")
    return run(folder, sandbox, "--manifest", "services.yml", "--changed-files", changed_files, *argv)


@pytest.mark.parametrize(
    ("changed_files", "started", "note"),
    [
        ("services/checkout/a.ts", ["checkout"], "2 of 3 entries left out: 2 unchanged."),
        ("services/search/a.md\nREADME.md", ["search"], "2 of 3 entries left out: 2 unchanged."),
        ("all", ALL_SERVICES, "`when` left nothing out: --changed-files is all."),
        (
            "package-lock.json",
            ALL_SERVICES,
            "`when` left nothing out: the manifest or a file of `always` has changed.",
        ),
        (
            "services.yml",
            ALL_SERVICES,
            "`when` left nothing out: the manifest or a file of `always` has changed.",
        ),
    ],
)
def test_changed_files_select_entries(
    changed_files: str, started: list[str], note: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    """Only entries with a matching file start, and a note says what was left out or why nothing was."""
    result = run_services(tmp_path, sandbox, changed_files)
    assert result.code == 0, result.output
    assert (list_started(sandbox), note in result.out) == (started, True), result.out


def test_unchanged_plan_is_skipped(tmp_path: Path, sandbox: Sandbox) -> None:
    """A change of documents only starts nothing, and this is no error."""
    argv = ("--wait", "--results-dir", "results", "--verbose")
    result = run_services(tmp_path, sandbox, "services/checkout/README.md", *argv)
    assert result.code == 0, result.output
    assert "Changed files: 1 (from changed-files)" in result.out
    # The last line does not repeat the notices.
    assert result.out.count("3 of 3 entries left out: 3 unchanged.") == 1
    assert "The changed files affect no entry of this step." in result.out
    saved = read_results(tmp_path)
    assert (saved["conclusion"], saved["reason"], saved["runs"]) == ("skipped", "ok", [])
    assert saved["changed_files"] == {"source": "list", "base": "", "file_count": 1, "full_run_reason": None}
    assert sandbox.received == []


def test_unchanged_entries_excuse_no_other_rule(tmp_path: Path, sandbox: Sandbox) -> None:
    """Groups that leave nothing are an error for any change."""
    result = run_services(tmp_path, sandbox, "README.md", "--groups", "web", "--exclude-groups", "web")
    assert result.code == 2
    assert "Nothing to run: all entries are left out (1 by groups, 2 excluded)." in result.errors[0]


def test_doubt_runs_everything(tmp_path: Path, sandbox: Sandbox) -> None:
    """Without a clone, every entry runs, and the notice says why."""
    result = run_services(tmp_path, sandbox, "auto")
    assert result.code == 0, result.output
    assert list_started(sandbox) == ALL_SERVICES
    assert "Notice: `when` left nothing out: " in result.out


def test_failed_runs_need_no_changed_files(tmp_path: Path, sandbox: Sandbox) -> None:
    """A run without a pass starts again, also if no file of it has changed since."""
    assert run_services(tmp_path, sandbox, "all", "--wait", "--results-dir", "old").code == 1
    count = len(sandbox.received)
    assert run_services(tmp_path, sandbox, "README.md", "--failed-from", "old").code == 0
    assert list_started(sandbox, count) == ["sandbox-fails"]


# Quarantine


def write_quarantines(folder: Path, *days: int | None) -> None:
    """Write a manifest with one test per number of days until its quarantine ends."""
    today = datetime.now(UTC).date()
    lines = ["tests:"]
    for number, day in enumerate(days):
        until = f"{{until: {today + timedelta(day)}, reason: slow mail}}" if day is not None else ""
        lines.append(f"  - {{id: t{number}, name: Test {number}{f', quarantine: {until}' if until else ''}}}")
    (folder / "quarantine.yml").write_text("\n".join(lines), "utf-8")


def test_plan_in_quarantine_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    """Nothing is sent if no result would count, unless this is allowed."""
    write_quarantines(tmp_path, 30, 30)
    argv = ("--manifest", "quarantine.yml")
    result = run(tmp_path, sandbox, *argv)
    problem = "no result would count: all 2 selected entries are in quarantine."
    remedy = "Set ignore-quarantine or allow-empty to true."
    assert (result.code, result.errors) == (2, [f"quarantine.yml:1:1: {problem} {remedy}"])
    assert sandbox.received == []
    assert run(tmp_path, sandbox, *argv, "--ignore-quarantine").code == 0
    assert list_started(sandbox) == ["t0", "t1"]


def test_end_of_quarantine_is_announced(tmp_path: Path, sandbox: Sandbox) -> None:
    """An ended quarantine is a warning and no error. One that ends soon has a notice."""
    write_quarantines(tmp_path, -30, 3, None)
    result = run(tmp_path, sandbox, "--manifest", "quarantine.yml")
    assert result.code == 0, result.output
    assert "Warning: Quarantine ended, so each result counts again: 'Test 0' (" in result.out
    assert "Notice: Quarantine ends within 7 days: 'Test 1' (" in result.out


# failed-from


def test_failed_runs_run_again(tmp_path: Path, sandbox: Sandbox) -> None:
    """Only runs without a pass start, whatever the groups are now. The file may be in results-dir."""
    assert run(tmp_path, sandbox, "--wait", "--results-dir", "results").code == 1
    first = read_results(tmp_path)
    assert first["plan_digest"]
    count = len(sandbox.received)
    argv = ("--wait", "--results-dir", "results", "--failed-from", "results", "--groups", "smoke")
    result = run(tmp_path, sandbox, *argv)
    assert result.code == 1, result.output
    assert list_started(sandbox, count) == ["sandbox-fails"]
    assert "4 of 5 entries left out: 1 not run before, 3 passed before." in result.out
    again = read_results(tmp_path)
    assert [entry["key"] for entry in again["runs"]] == ["test/sandbox-fails//1/staging"]
    assert again["plan_digest"] != first["plan_digest"]


def test_failed_run_of_matrix_runs_alone(tmp_path: Path, sandbox: Sandbox) -> None:
    """Of an entry with two runs, only the one without a pass starts."""
    assert run(tmp_path, sandbox, "--wait", "--results-dir", "results", "--only", "search").code == 0
    saved = read_results(tmp_path)
    saved["runs"][1] |= {"state": "failed", "reason": "failed"}
    (tmp_path / "changed.json").write_text(json.dumps(saved), "utf-8")
    result = run(tmp_path, sandbox, "--failed-from", "changed.json", "--results-dir", "results")
    assert result.code == 0, result.output
    assert [entry["name"] for entry in read_results(tmp_path)["runs"]] == ["Search [LOCALE=fr]"]


def test_passed_build_has_nothing_to_run_again(tmp_path: Path, sandbox: Sandbox) -> None:
    """Nothing had failed, so nothing is selected, which is an error unless it is allowed."""
    assert run(tmp_path, sandbox, "--wait", "--results-dir", "results", "--only", "checkout").code == 0
    saved = (tmp_path / "results" / "results.json").read_bytes()
    (tmp_path / "old.json").write_bytes(saved)
    count = len(sandbox.received)
    result = run(tmp_path, sandbox, "--failed-from", "old.json")
    assert (result.code, result.errors) == (
        2,
        ["Nothing to run: all runs of old.json had passed. Remove --failed-from, or set allow-empty to true."],
    )
    assert run(tmp_path, sandbox, "--failed-from", "old.json", "--allow-empty").code == 0
    assert len(sandbox.received) == count


def test_dry_run_can_be_run_for_real(tmp_path: Path, sandbox: Sandbox) -> None:
    """No planned run has passed."""
    argv = ("--only", "checkout")
    assert run(tmp_path, sandbox, "--dry-run", "--results-dir", "plan", *argv).code == 0
    assert run(tmp_path, sandbox, "--failed-from", "plan").code == 0
    assert list_started(sandbox) == ["checkout"]


@pytest.mark.parametrize(
    ("fields", "environ", "error"),
    [
        (
            {},
            {"GITHUB_SHA": "b" * 40},
            f"failed-from: the file is of commit aaaaaaaaaaaa, and this build of bbbbbbbbbbbb. {SAME_COMMIT}.",
        ),
        ({}, {"GITHUB_SHA": ""}, "failed-from: unknown commit of this build. Set sha."),
        (
            {"api_url": "https://other.example/api"},
            {},
            f"failed-from: the file is of another or an unknown api-url. {SAME_COMMIT} and api-url.",
        ),
        (
            {},
            {"INPUT_ENVIRONMENT": "production"},
            "failed-from: 1 failed run of old.json is not in the plan. Use the same ids, manifest and environment.",
        ),
        (
            {"runs": []},
            {},
            "failed-from: old.json has no runs. Use the results.json of a step that planned runs.",
        ),
    ],
)
def test_results_of_other_build_are_refused(
    fields: dict[str, Any], environ: dict[str, str], error: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    """In CI, only a file of the same commit, API and plan is valid."""
    github = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": SHA}
    first = run(tmp_path, sandbox, "--wait", "--only", "broken", **github, **{"INPUT_RESULTS-DIR": "results"})
    assert first.code == 1, first.output
    (tmp_path / "old.json").write_text(json.dumps(read_results(tmp_path) | fields), "utf-8")
    count = len(sandbox.received)
    result = run(tmp_path, sandbox, **github | {"INPUT_FAILED-FROM": "old.json"} | environ)
    assert (result.code, result.errors) == (2, [error])
    assert len(sandbox.received) == count


def test_file_outside_of_results_dir_stays(tmp_path: Path, sandbox: Sandbox) -> None:
    """A file outside of results-dir is never changed."""
    assert run(tmp_path, sandbox, "--wait", "--results-dir", "old").code == 1
    before = (tmp_path / "old" / "results.json").read_bytes()
    assert run(tmp_path, sandbox, "--failed-from", "old", "--results-dir", "new", "--max-runs", "1").code == 0
    assert (tmp_path / "old" / "results.json").read_bytes() == before
