"""Preserve the results.json of another job step before it is replaced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.ci.detection import find_system
from autonoma_ci.models import BuildContext, BuildIdRules, RunState
from autonoma_ci.reports.other_results import SharedResults, has_open_runs, is_same_build, other_build_reason
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import parse_results
from tests.support.fake_clock import FakeClock
from tests.support.files import open_directory
from tests.support.reports import (
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    PASSED_VERDICT,
    STARTED_VERDICT,
    create_report,
    make_passed_run,
    make_planned_run,
    make_started_run,
)
from tests.unit.reports.test_evidence_store import limit_file_size

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import RunResult, Verdict
    from autonoma_ci.reports.results_schema import Results

START = datetime.fromisoformat("2025-01-02T03:04:05Z")
BUILD = BuildContext("github", "a" * 40, repository="owner/name", build_id="17", build_attempt="1")
BUILD_WITHOUT_ID = BUILD._replace(build_id="")
ADVICE = "Use a separate results-dir for each step."
PRESERVED_WARNING = f"results-dir: results.json of another step has open runs and is saved as results.1.json. {ADVICE}"


def make_results_json(
    *runs: RunResult,
    step_id: str = "other",
    context: BuildContext = BUILD,
    verdict: Verdict | None = STARTED_VERDICT,
    started_at: str = "2025-01-02T03:04:05Z",
) -> bytes:
    """Return the results.json of a job step."""
    run_report = create_report(runs, verdict)._replace(step_id=step_id, context=context, started_at=started_at)
    return render_results_json(run_report).encode()


def make_results(context: BuildContext, started_at: str = "2025-01-02T03:04:05Z") -> Results:
    return parse_results(make_results_json(context=context, started_at=started_at))


def get_rules(context: BuildContext) -> BuildIdRules:
    """Return the rules of the CI system of this build."""
    system = find_system(context.ci_name)
    assert system
    return system.build_id_rules


def build_shared_results(step_id: str = "this", context: BuildContext = BUILD) -> SharedResults:
    return SharedResults(step_id, context, get_rules(context), START.isoformat(), FakeClock())


def preserve(folder: Path, data: bytes, step: SharedResults | None = None) -> list[str]:
    """Write results.json, let a job step preserve it, and return the warnings."""
    (folder / "results.json").write_bytes(data)
    step = step or build_shared_results()
    with open_directory(folder) as directory:
        step.preserve_other_results(directory)
    return step.pop_warnings()


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("other_build", "own_build", "reason"),
    [
        (BUILD, BUILD, None),
        (BUILD, BUILD._replace(build_attempt="2"), None),
        (BUILD, BUILD._replace(ci_name="gitlab"), "written on another CI system"),
        (BUILD, BUILD._replace(repository="owner/other"), "written for another repository"),
        (BUILD, BUILD._replace(repository=""), None),
        (BUILD._replace(repository=""), BUILD, None),
        (BUILD, BUILD._replace(sha="b" * 40), "written for another commit"),
        (BUILD, BUILD._replace(sha=""), None),
        (BUILD, BUILD._replace(build_id="18"), "written by another build"),
        (BUILD_WITHOUT_ID, BUILD, "written by another build"),
        (BUILD, BUILD_WITHOUT_ID, None),
        (BUILD_WITHOUT_ID, BUILD_WITHOUT_ID._replace(sha="b" * 40), "written for another commit"),
        (BUILD_WITHOUT_ID, BUILD_WITHOUT_ID._replace(repository="owner/other"), "written for another repository"),
    ],
)
def test_build_decides_by_id_and_commit(other_build: BuildContext, own_build: BuildContext, reason: str | None) -> None:
    """Results belong to a build of the same system, repository, commit and id."""
    assert other_build_reason(make_results(other_build), own_build, get_rules(own_build), START) == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"repository": "owner/other", "sha": "b" * 40}, None),
        ({"build_id": "job/18"}, "written by another build"),
        ({"build_id": "job/18", "repository": "owner/other"}, "written for another repository"),
    ],
)
def test_jenkins_build_has_several_repositories(change: dict[str, Any], reason: str | None) -> None:
    """On Jenkins, the build id alone decides if it is the same."""
    context = BUILD._replace(ci_name="jenkins", build_id="job/17")
    assert other_build_reason(make_results(context._replace(**change)), context, get_rules(context), START) == reason


@pytest.mark.parametrize(
    "context",
    [BUILD_WITHOUT_ID, BUILD._replace(build_id="1"), BUILD._replace(ci_name="codebuild")],
    ids=["no id", "act", "codebuild"],
)
@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (timedelta(), None),
        (timedelta(hours=23, minutes=59, seconds=59), None),
        (timedelta(days=1), "older than a day"),
        (timedelta(seconds=-86_399), None),
        (timedelta(days=-1), "older than a day"),
    ],
)
def test_age_decides_without_build_id(context: BuildContext, age: timedelta, reason: str | None) -> None:
    """Without an id that all jobs share, results of the last day belong to the build."""
    other_id = "arn:2" if context.ci_name == "codebuild" else context.build_id
    results = make_results(context._replace(build_id=other_id), (START - age).isoformat())
    assert other_build_reason(results, context, get_rules(context), START) == reason


@pytest.mark.parametrize(
    ("started_at", "reason"),
    [("2025-01-02T03:04:05", None), ("2025-01-01T03:04:05", "older than a day")],
)
def test_time_without_zone_is_utc(started_at: str, reason: str | None) -> None:
    """A start without a time zone counts as UTC."""
    results = make_results(BUILD_WITHOUT_ID, started_at)
    assert other_build_reason(results, BUILD_WITHOUT_ID, get_rules(BUILD), START) == reason


@pytest.mark.parametrize(
    ("other_build", "own_build", "is_same"),
    [
        (BUILD, BUILD, True),
        (BUILD, BUILD._replace(build_id="18"), False),
        (BUILD_WITHOUT_ID, BUILD_WITHOUT_ID, False),
        (BUILD._replace(build_id="1"), BUILD._replace(build_id="1"), False),
        (BUILD._replace(ci_name="gitlab", build_id="1"), BUILD._replace(ci_name="gitlab", build_id="1"), True),
    ],
)
def test_same_build_needs_real_build_id(other_build: BuildContext, own_build: BuildContext, is_same: bool) -> None:
    """An empty build id and that of act name no build."""
    assert is_same_build(make_results(other_build), own_build, get_rules(own_build)) is is_same


@pytest.mark.parametrize("state", RunState)
def test_open_runs_have_no_end(state: RunState) -> None:
    """Runs that may still be running are open, unlike those with a result."""
    results = parse_results(
        make_results_json(make_passed_run("a"), make_started_run("b")._replace(state=state), verdict=None)
    )
    result = {RunState.PASSED, RunState.FAILED, RunState.STOPPED, RunState.NOT_STARTED}
    assert has_open_runs(results) is (state not in result)


@pytest.mark.parametrize(("verdict", "is_open"), [(None, True), (FAILED_VERDICT, True), (DRY_RUN_VERDICT, False)])
def test_planned_run_of_dry_run_is_not_open(verdict: Verdict | None, is_open: bool) -> None:
    """The planned runs of a dry run were never meant to start."""
    assert has_open_runs(parse_results(make_results_json(make_planned_run("a"), verdict=verdict))) is is_open


def test_results_without_runs_are_not_open() -> None:
    """A results.json without runs has no open runs."""
    assert not has_open_runs(parse_results(make_results_json()))


def test_open_runs_of_other_step_are_saved(tmp_path: Path) -> None:
    """The copy has the same bytes, and the warning is returned once."""
    data, step = make_results_json(make_started_run("a")), build_shared_results()
    assert preserve(tmp_path, data, step) == [PRESERVED_WARNING]
    assert read_files(tmp_path) == {"results.json": data, "results.1.json": data}
    assert preserve(tmp_path, data, step) == []


def test_warning_names_option_of_user(tmp_path: Path) -> None:
    """The warning has the name of the option as the user wrote it."""
    step = SharedResults("this", BUILD, get_rules(BUILD), START.isoformat(), FakeClock(), "--results-dir")
    [warning] = preserve(tmp_path, make_results_json(make_started_run("a")), step)
    assert "--results-dir: results.json of another step has open runs" in warning


@pytest.mark.parametrize(
    ("data", "warnings"),
    [
        (make_results_json(make_started_run("a"), step_id="this"), []),
        (make_results_json(make_started_run("a"), context=BUILD._replace(build_id="16")), []),
        (
            make_results_json(make_passed_run("a"), context=BUILD._replace(build_attempt="2"), verdict=PASSED_VERDICT),
            [],
        ),
        (make_results_json(make_passed_run("a"), context=BUILD_WITHOUT_ID, verdict=PASSED_VERDICT), []),
        (make_results_json(make_started_run("a"))[:200], []),
        (b"", []),
        (
            make_results_json(make_passed_run("a"), verdict=PASSED_VERDICT),
            [f"results-dir: files of another step of this build are replaced. {ADVICE}"],
        ),
    ],
    ids=["same step", "other build", "other attempt", "no build id", "truncated", "empty", "ended step"],
)
def test_results_without_open_runs_stay(data: bytes, warnings: list[str], tmp_path: Path) -> None:
    """Only open runs of another step of this build are saved under another name."""
    assert preserve(tmp_path, data) == warnings
    assert read_files(tmp_path) == {"results.json": data}


def test_other_attempt_has_own_warning(tmp_path: Path) -> None:
    """A rebuild has the same steps, so the warning gives no advice."""
    data = make_results_json(make_started_run("a"), context=BUILD._replace(build_attempt="0"))
    assert preserve(tmp_path, data) == [
        "results.json of an earlier attempt has open runs and is saved as results.1.json."
    ]
    assert read_files(tmp_path)["results.1.json"] == data


def test_missing_results_json_is_ignored(tmp_path: Path) -> None:
    """A folder without results.json needs no copy."""
    step = build_shared_results()
    with open_directory(tmp_path) as directory:
        step.preserve_other_results(directory)
    assert step.pop_warnings() == []
    assert read_files(tmp_path) == {}


def test_symlink_is_not_read(tmp_path: Path) -> None:
    """A link must not copy a file from outside into the results folder."""
    (tmp_path / "outside.json").write_bytes(make_results_json(make_started_run("a")))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "results.json").symlink_to(tmp_path / "outside.json")
    step = build_shared_results()
    with open_directory(tmp_path / "results") as directory:
        step.preserve_other_results(directory)
    assert step.pop_warnings() == []
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["results.json"]


def test_written_file_is_not_read_again(tmp_path: Path) -> None:
    """The file that this step wrote last needs no copy, whatever it contains."""
    step = build_shared_results()
    (tmp_path / "results.json").write_bytes(make_results_json(make_started_run("a")))
    with open_directory(tmp_path) as directory:
        step.remember_written_file(directory)
        step.preserve_other_results(directory)
    assert list(read_files(tmp_path)) == ["results.json"]
    assert preserve(tmp_path, make_results_json(make_started_run("longer-id")), step) == [PRESERVED_WARNING]


def test_foreign_results_json_is_renamed(tmp_path: Path) -> None:
    """The results.json of another program gets another name."""
    [warning] = preserve(tmp_path, b'{"suites": "playwright"}')
    assert warning.startswith("results-dir has files of another program: results.json is renamed to results.json.orig.")
    assert read_files(tmp_path) == {"results.json.orig": b'{"suites": "playwright"}'}


def test_copy_never_replaces_same_build(tmp_path: Path) -> None:
    """A copy gets the first number without a file of this build or of another program."""
    existing_results = make_results_json(make_started_run("c"), step_id="third")
    (tmp_path / "results.1.json").write_bytes(existing_results)
    (tmp_path / "results.2.json").write_text("of another program", "utf-8")
    (tmp_path / "results.3.json").symlink_to(tmp_path / "gone")
    (tmp_path / "results.4.json").mkdir()
    data = make_results_json(make_started_run("a"))
    assert preserve(tmp_path, data) == [PRESERVED_WARNING.replace("results.1.json", "results.5.json")]
    assert (tmp_path / "results.1.json").read_bytes() == existing_results
    assert (tmp_path / "results.2.json").read_text("utf-8") == "of another program"
    assert (tmp_path / "results.5.json").read_bytes() == data


def test_copy_replaces_older_build(tmp_path: Path) -> None:
    """A copy of another build is no longer needed."""
    (tmp_path / "results.1.json").write_bytes(
        make_results_json(make_started_run("z"), context=BUILD._replace(build_id="16"))
    )
    data = make_results_json(make_started_run("a"))
    assert preserve(tmp_path, data) == [PRESERVED_WARNING]
    assert read_files(tmp_path) == {"results.json": data, "results.1.json": data}


def test_each_step_has_one_copy(tmp_path: Path) -> None:
    """A later state of the same step replaces its copy."""
    step = build_shared_results()
    later_results = make_results_json(make_started_run("a"), make_started_run("b"))
    second_results = make_results_json(make_started_run("c"), step_id="third")
    for data in (make_results_json(make_started_run("a")), second_results, later_results):
        preserve(tmp_path, data, step)
    assert read_files(tmp_path) == {
        "results.json": later_results,
        "results.1.json": later_results,
        "results.2.json": second_results,
    }


def test_failed_copy_is_warning(tmp_path: Path) -> None:
    """If the disk is full, the warning has the reason and the advice."""
    data = make_results_json(make_started_run("a"))
    (tmp_path / "results.json").write_bytes(data)
    step = build_shared_results()
    with limit_file_size(300), open_directory(tmp_path) as directory:
        step.preserve_other_results(directory)
    assert step.pop_warnings() == [
        f"results-dir: results.json of another step could not be saved as results.1.json (File too large). {ADVICE}"
    ]
    assert read_files(tmp_path) == {"results.json": data}
