"""The runs of the option `failed-from`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.app.failed_runs import load_failed_runs
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import InputError
from autonoma_ci.models import BuildContext, RunState
from autonoma_ci.reports.results_json import render_results_json
from tests.support.reports import (
    FAILED_VERDICT,
    RUNS_OF_ALL_KINDS,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_passed_run,
    make_planned_run,
    make_quarantined_run,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from autonoma_ci.models import RunResult
    from autonoma_ci.planning.selection import FailedRuns

API_URL = "https://autonoma.app/api"
SHA, OTHER_SHA = "a" * 40, "b" * 40
NO_BUILD = dict.fromkeys(
    ("name", "sha", "branch", "change", "repository", "build_url", "deployment_url", "build", "attempt"), ""
)
SETTINGS = Settings(api_url=API_URL, failed_from="results.json")
TERMINAL, GITHUB = BuildContext(), BuildContext("github", SHA)


def write_results(folder: Path, results: Sequence[RunResult] = RUNS_OF_ALL_KINDS, **fields: Any) -> None:
    """Write a results.json of commit `SHA` on GitHub."""
    report = create_report(results, FAILED_VERDICT)._replace(context=GITHUB, api_url=API_URL)
    saved = json.loads(render_results_json(report))
    (folder / "results.json").write_text(json.dumps(saved | fields), "utf-8")


def load(folder: Path, context: BuildContext = TERMINAL, **options: Any) -> FailedRuns:
    return load_failed_runs(SETTINGS._replace(**options), str(folder), context)


def read_error(folder: Path, context: BuildContext = GITHUB, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, context, **options)
    return str(caught.value)


def test_every_run_without_pass_is_selected(tmp_path: Path) -> None:
    """Runs that were not started, or are unknown, have not passed either."""
    write_results(tmp_path)
    failed_runs = load(tmp_path)
    assert {key.id for key in failed_runs.passed} == {"b", "d"}
    assert {key.id for key in failed_runs.failed} == {"a", "c", "e", "f", "g", "h", "i"}
    assert (failed_runs.path, failed_runs.shard) == ("results.json", "")


@pytest.mark.parametrize(
    ("reason", "on_flaky", "failed"),
    [("failed", "pass", set()), ("failed", "fail", {"a"}), ("flaky", "pass", {"a"})],
)
def test_flaky_run_that_failed_step_is_selected(reason: str, on_flaky: str, failed: set[str], tmp_path: Path) -> None:
    """With `on-flaky: fail`, a pass after a failure fails the step, but not in quarantine."""
    flaky, quarantine = make_flaky_run("q"), make_quarantined_run("q").request.quarantine
    quarantined = flaky._replace(request=flaky.request._replace(quarantine=quarantine))
    write_results(tmp_path, [make_flaky_run("a"), quarantined, make_passed_run("c")], reason=reason)
    failed_runs = load(tmp_path, on_flaky=on_flaky)
    assert {key.id for key in failed_runs.failed} == failed
    assert {key.id for key in failed_runs.passed} == {"a", "q", "c"} - failed


def test_key_of_run_is_complete(tmp_path: Path) -> None:
    """The place in the matrix, the occurrence and the environment distinguish runs."""
    run = make_failed_run("t")
    request = run.request._replace(matrix_place="L=2", occurrence=2, environment="staging")
    write_results(tmp_path, [run._replace(request=request), make_passed_run("t")])
    failed_runs = load(tmp_path)
    assert list(map(str, failed_runs.failed)) == ["test/t/L=2/2/staging"]
    assert list(map(str, failed_runs.passed)) == ["test/t//1/"]


def test_folder_of_results_is_valid(tmp_path: Path) -> None:
    """The path can be a results-dir, and its shard is known."""
    (tmp_path / "old").mkdir()
    write_results(tmp_path / "old", shard="2/3")
    failed_runs = load(tmp_path, failed_from="old")
    assert (failed_runs.path, failed_runs.shard) == ("old/results.json", "2/3")


def test_unfinished_step_has_no_passes(tmp_path: Path) -> None:
    """A dry run or a step that was killed has only runs without a pass."""
    runs = [make_planned_run("a"), make_planned_run("b")._replace(state=RunState.STARTING)]
    write_results(tmp_path, runs, conclusion=None, exit_code=None, reason=None)
    failed_runs = load(tmp_path)
    assert (len(failed_runs.failed), len(failed_runs.passed)) == (2, 0)


def test_run_without_key_has_kind_and_id(tmp_path: Path) -> None:
    """A file of an older version has no keys."""
    write_results(tmp_path)
    saved = json.loads((tmp_path / "results.json").read_text("utf-8"))
    for run in saved["runs"]:
        del run["key"]
    write_results(tmp_path, runs=saved["runs"])
    assert "test/c//1/" in map(str, load(tmp_path).failed)


def test_same_commit_is_valid_in_ci(tmp_path: Path) -> None:
    """In CI, commit and API are equal."""
    write_results(tmp_path)
    assert load(tmp_path, GITHUB) == load(tmp_path, TERMINAL)
    assert load(tmp_path, BuildContext("gitlab", SHA)).failed


def test_any_file_is_valid_at_terminal(tmp_path: Path) -> None:
    """A developer runs failures of CI again after a change."""
    write_results(tmp_path, api_url="https://other.example/api")
    assert load(tmp_path, BuildContext("cli", OTHER_SHA)).failed


@pytest.mark.parametrize(
    ("context", "fields", "error"),
    [
        (BuildContext("github"), {}, "unknown commit of this build. Set sha."),
        (
            BuildContext("github", OTHER_SHA),
            {},
            (
                f"the file is of commit {SHA[:12]}, and this build of {OTHER_SHA[:12]}. "
                "Use the results.json of this commit."
            ),
        ),
        (
            GITHUB,
            {"ci": NO_BUILD},
            f"the file is of an unknown commit, and this build of {SHA[:12]}. Use the results.json of this commit.",
        ),
        (
            GITHUB,
            {"api_url": "https://other.example/api"},
            "the file is of another or an unknown api-url. Use the results.json of this commit and api-url.",
        ),
        (
            GITHUB,
            {"api_url": ""},
            "the file is of another or an unknown api-url. Use the results.json of this commit and api-url.",
        ),
        (GITHUB, {"runs": []}, "results.json has no runs. Use the results.json of a step that planned runs."),
    ],
)
def test_file_of_other_build_is_refused(
    context: BuildContext, fields: dict[str, Any], error: str, tmp_path: Path
) -> None:
    """In CI, a run of another commit says nothing about this one."""
    write_results(tmp_path, **fields)
    assert read_error(tmp_path, context) == f"failed-from: {error}"


def test_commit_of_file_is_escaped(tmp_path: Path) -> None:
    """The texts of the file are untrusted."""
    write_results(tmp_path, ci={**NO_BUILD, "sha": "a\n::set x"})
    assert "\n" not in read_error(tmp_path)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is empty"),
        ("{}", "invalid file (missing version)"),
        ("[1]", "invalid file"),
        ("not json", "is not a results.json (no JSON object)"),
        ('{"version": 99}', "invalid file (format of another version of autonoma-ci)"),
    ],
)
def test_other_file_is_refused(text: str, error: str, tmp_path: Path) -> None:
    """The message names the option and the file."""
    (tmp_path / "results.json").write_text(text, "utf-8")
    message = read_error(tmp_path, spellings={"failed-from": "--failed-from"})
    assert message.startswith("--failed-from: ")
    assert error in message


def test_missing_file_suggests_command(tmp_path: Path) -> None:
    """A results.json at a usual path is suggested."""
    (tmp_path / "results").mkdir()
    write_results(tmp_path / "results")
    assert read_error(tmp_path, failed_from="old.json") == (
        "failed-from: old.json does not exist. Did you mean: autonoma-ci run --failed-from results/results.json"
    )


def test_link_out_of_folder_is_refused(tmp_path: Path) -> None:
    """The checkout is untrusted."""
    (tmp_path / "work").mkdir()
    write_results(tmp_path)
    (tmp_path / "work" / "results.json").symlink_to(tmp_path / "results.json")
    assert "symbolic link leads outside" in read_error(tmp_path / "work")
