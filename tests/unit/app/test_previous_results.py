"""Tests of the results.json of an earlier step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.app.previous_results import (
    LoadedResults,
    build_sanitizers,
    collect_run_ids,
    has_runs,
    is_of_earlier_attempt,
    load_results,
    no_reuse_reason,
    stale_reason,
    to_build_context,
    to_run_results,
)
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import InputError
from autonoma_ci.models import (
    ENTIRE_BUILD,
    BuildContext,
    BuildIdRules,
    ChangeSummary,
    Conclusion,
    ExitReason,
    PlanFacts,
    TargetKind,
    Verdict,
)
from autonoma_ci.planning.signing import ResultsSigner
from autonoma_ci.redaction.redactor import Redactor, Secret
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import parse_results
from tests.support.reports import (
    DRY_RUN_VERDICT,
    FAILED_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_passed_run,
    make_planned_run,
    make_started_run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import RunResult
    from autonoma_ci.reports.results_schema import Results

SECRET = "s3cret-value-of-client"
API_URL = "https://autonoma.app/api"
REDACT = Redactor([Secret(SECRET)])
SETTINGS = Settings(client_secret=Secret(SECRET), api_url=API_URL)
BUILD = BuildContext(
    "github",
    "c" * 40,
    "main",
    "12",
    "owner/name",
    "https://ci.test/17",
    "https://pr-12.test",
    "17",
    "2",
    job_name="e2e",
)
RULES = BuildIdRules()
STARTED_AT = "2025-01-02T04:00:00Z"


def build_results(
    *runs: RunResult, context: BuildContext = BUILD, verdict: Verdict | None = FAILED_VERDICT, **changes: Any
) -> Results:
    """Return the parsed results.json of a step of the job `e2e`."""
    saved_report = create_report(runs, verdict)._replace(
        context=context, part=ENTIRE_BUILD._replace(job_name=context.job_name)
    )
    document = json.loads(render_results_json(saved_report)) | changes
    return parse_results(json.dumps(document).encode())


def get_load_error(folder: Path, path: str = "results.json", redact: Redactor = REDACT) -> str:
    """Return the only error of a results.json."""
    with pytest.raises(InputError) as caught:
        load_results(path, str(folder), redact)
    (diagnostic,) = caught.value.diagnostics
    return str(diagnostic)


# load_results


def test_load_results_returns_bytes(tmp_path: Path) -> None:
    """The bytes are those of the file, because its signature covers them."""
    data = render_results_json(create_report([make_passed_run("a")], FAILED_VERDICT)).encode()
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "results.json").write_bytes(data)
    loaded_results = load_results("r/results.json", str(tmp_path), REDACT)
    assert loaded_results.data == data
    assert [run.id for run in loaded_results.results.runs] == ["a"]


def test_load_missing_file_is_error(tmp_path: Path) -> None:
    """The error states which file to give."""
    advice = "Use the results.json that an earlier step wrote to its results-dir."
    problem = "could not be read (no permission, not a regular file, or too large)"
    assert get_load_error(tmp_path) == f"results.json {problem}. {advice}"
    (tmp_path / "results.json").touch()
    assert get_load_error(tmp_path) == f"results.json is empty. {advice}"
    (tmp_path / "folder").mkdir()
    assert get_load_error(tmp_path, "folder") == f"folder {problem}. {advice}"


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_load_invalid_path_is_error(path: str, tmp_path: Path) -> None:
    """A path that the system refuses is an error of the input."""
    assert "could not be read" in get_load_error(tmp_path, path)


def test_load_long_path_is_shortened(tmp_path: Path) -> None:
    """The error has at most 200 characters of the path and no control characters."""
    error = get_load_error(tmp_path, "\x1b[31m" + "x" * 5000)
    assert "\x1b" not in error
    assert error.count("x") < 200


def test_load_link_outside_is_refused(tmp_path: Path) -> None:
    """The error has no content of the file outside of the working directory."""
    (tmp_path / "secret.json").write_text('{"version": "s3cret-value"}', "utf-8")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "results.json").symlink_to(tmp_path / "secret.json")
    assert get_load_error(tmp_path / "work") == (
        "results.json: symbolic link leads outside of the working directory. Use the path without the link."
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ("{}", "missing version"),
        ('{"version": 2}', "format of another version of autonoma-ci"),
        ('{"version": 1', "invalid JSON"),
    ],
)
def test_load_other_content_is_error(content: str, reason: str, tmp_path: Path) -> None:
    """The error has the reason and the remedy."""
    (tmp_path / "results.json").write_text(content, "utf-8")
    error = get_load_error(tmp_path)
    assert error.startswith(f"results.json: invalid file ({reason}")
    assert error.endswith("Use an unchanged results.json of autonoma-ci.")


def test_load_error_is_redacted_and_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long reason is redacted before it is cut."""

    def refuse(_: bytes) -> Results:
        raise ValueError("\x1b" + "x" * 290 + SECRET + "y" * 5000)

    monkeypatch.setattr("autonoma_ci.reports.results_schema.parse_results", refuse)
    (tmp_path / "results.json").write_text("{}", "utf-8")
    error = get_load_error(tmp_path)
    assert SECRET[:4] not in error
    assert "\x1b" not in error
    assert len(error) < 500


# to_run_results, to_build_context and build_sanitizers


@pytest.mark.parametrize(
    ("written_at", "seconds"),
    [("2025-01-02T03:59:00Z", -60.0), ("2025-01-02T03:59:00", -60.0), ("2025-01-02T05:00:00+01:00", 0.0)],
)
def test_run_times_count_from_new_step(written_at: str, seconds: float) -> None:
    """A time without a zone has the zone of the new step."""
    saved = build_results(make_passed_run("a"), make_flaky_run("b"), started_at=written_at)
    runs = to_run_results(saved, STARTED_AT, build_sanitizers(SETTINGS, ()))
    assert [run.start_offset_seconds for run in runs] == [seconds, seconds + 31.0]
    assert runs[1].previous_attempts[0].start_offset_seconds == seconds


def test_sanitizers_hide_credentials_everywhere() -> None:
    """A credential in any text of results.json is removed."""
    run = make_passed_run("a", f"label {SECRET}")._replace(
        run_id=SECRET, message=f"message {SECRET}", title=f"title {SECRET}", suggestion=f"hint {SECRET}",
        url=f"https://autonoma.app/run/{SECRET}",
    )  # fmt: skip
    (result,) = to_run_results(build_results(run), STARTED_AT, build_sanitizers(SETTINGS, ()))
    assert SECRET not in repr(result)
    assert (result.run_id, result.message, result.request.name) == ("", "message ***", "label ***")


def test_plan_facts_are_those_of_results() -> None:
    """A credential in them is removed."""
    facts = PlanFacts(
        (), "ab" * 32, ChangeSummary("clone", f"base {SECRET}", 3, f"shallow clone {SECRET}"), ("Pay", f"name {SECRET}")
    )
    saved = parse_results(render_results_json(create_report([])._replace(**facts._asdict())).encode())
    cleaned = facts._replace(
        change=ChangeSummary("clone", "base ***", 3, "shallow clone ***"), quarantined_by_change=("Pay", "name ***")
    )
    assert saved.to_plan_facts(build_sanitizers(SETTINGS, ()).label) == cleaned


@pytest.mark.parametrize("change", [None, ChangeSummary("", "", None, None)])
def test_plan_facts_can_be_missing(change: ChangeSummary | None) -> None:
    """A step without changed files has no such fact."""
    saved = parse_results(render_results_json(create_report([])._replace(change=change)).encode())
    assert saved.to_plan_facts(build_sanitizers(SETTINGS, ()).label) == PlanFacts(change=change)


def test_sanitizers_show_values_in_ids() -> None:
    """A value of a variable such as `run` is hidden in messages but not in names and ids."""
    run = make_passed_run("a", "run name")._replace(run_id="run-1", message="run ended")
    (result,) = to_run_results(build_results(run), STARTED_AT, build_sanitizers(SETTINGS, [Secret("run")]))
    assert (result.run_id, result.request.name) == ("run-1", "run name")
    assert result.message == "*** ended"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://autonoma.app/run/1", "https://autonoma.app/run/1"),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("", ""),
    ],
)
def test_sanitizer_accepts_web_links_only(url: str, expected: str) -> None:
    """A link in results.json passes the same checks as a link of the API."""
    assert build_sanitizers(SETTINGS, ()).link(url) == expected


def test_build_context_has_all_facts() -> None:
    """Each fact of results.json is in its own field."""
    context = to_build_context(build_results(make_passed_run("a")))
    # results.json has the job as a part of the step, and the event nowhere.
    assert context == BUILD._replace(job_name="")


# stale_reason


def test_own_results_are_not_stale() -> None:
    """Results of the same attempt at the same build are valid."""
    assert stale_reason(build_results(make_passed_run("a")), BUILD, RULES, STARTED_AT) is None


def test_stale_results_are_valid_at_terminal() -> None:
    """At a terminal, any results.json can be given."""
    saved = build_results(make_passed_run("a"), context=BUILD._replace(ci_name="gitlab"))
    assert stale_reason(saved, BuildContext("cli"), RULES, STARTED_AT) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ci_name": "gitlab"}, "written on another CI system"),
        ({"repository": "owner/other"}, "written for another repository"),
        ({"sha": "d" * 40}, "written for another commit"),
        ({"build_id": "18"}, "written by another build"),
    ],
)
def test_results_of_other_build_are_stale(changes: dict[str, Any], reason: str) -> None:
    """The reason names the first fact that differs."""
    assert stale_reason(build_results(make_started_run("a")), BUILD._replace(**changes), RULES, STARTED_AT) == reason


def test_ended_results_without_build_id_are_stale() -> None:
    """Without a build id, ended runs can be of any build."""
    context = BUILD._replace(build_id="", build_attempt="")
    reason = "all runs have ended, and no build id matches this build"
    assert stale_reason(build_results(make_passed_run("a"), context=context), context, RULES, STARTED_AT) == reason
    assert stale_reason(build_results(make_started_run("a"), context=context), context, RULES, STARTED_AT) is None
    skipped = build_results(make_planned_run("a"), context=context, verdict=DRY_RUN_VERDICT)
    assert stale_reason(skipped, context, RULES, STARTED_AT) is None


@pytest.mark.parametrize(
    ("saved_job", "own_job", "runs", "is_stale"),
    [
        ("e2e", "e2e", [make_started_run("a")], True),
        ("e2e", "wait", [make_started_run("a")], False),
        ("", "wait", [make_passed_run("a")], False),
        ("", "", [make_started_run("a")], False),
        ("", "", [make_passed_run("a")], True),
    ],
)
def test_results_of_earlier_attempt(saved_job: str, own_job: str, runs: list[RunResult], is_stale: bool) -> None:
    """A job does not wait for the runs that its own earlier attempt started."""
    saved = build_results(*runs, context=BUILD._replace(build_attempt="1", job_name=saved_job))
    reason = stale_reason(saved, BUILD._replace(job_name=own_job), RULES, STARTED_AT)
    assert reason == ("written by an earlier attempt at this job" if is_stale else None)


# has_runs, is_of_earlier_attempt and collect_run_ids


@pytest.mark.parametrize(
    ("runs", "verdict", "expected"),
    [
        ([], FAILED_VERDICT, False),
        ([make_planned_run("a")], None, True),
        ([make_planned_run("a")], DRY_RUN_VERDICT, False),
        ([make_planned_run("a"), make_started_run("b")], DRY_RUN_VERDICT, True),
        ([make_planned_run("a")], Verdict(Conclusion.SKIPPED, ExitReason.INPUT, 2), True),
        ([make_planned_run("a")], FAILED_VERDICT, True),
    ],
)
def test_planned_runs_of_dry_run_do_not_count(runs: list[RunResult], verdict: Verdict | None, expected: bool) -> None:
    """A dry run planned runs and was not to start them."""
    assert has_runs(build_results(*runs, verdict=verdict)) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"build_attempt": "3"}, True),
        ({"build_attempt": "2"}, False),
        ({"build_attempt": "1"}, False),
        ({"build_attempt": ""}, False),
        ({"build_attempt": "9" * 19}, True),
        ({"build_attempt": "9" * 20}, False),
        ({"build_attempt": "٣"}, False),
        ({"build_attempt": "3", "build_id": "18"}, False),
        ({"build_attempt": "3", "build_id": ""}, False),
    ],
)
def test_earlier_attempt_needs_lower_number(changes: dict[str, Any], expected: bool) -> None:
    """Both attempts are counted with decimal digits, and the build is the same."""
    assert is_of_earlier_attempt(build_results(), BUILD._replace(**changes), RULES) is expected


def test_run_ids_include_previous_attempts() -> None:
    """Retried runs count, and a run without an id does not."""
    folder = make_started_run("c")._replace(request=make_started_run("c").request._replace(kind=TargetKind.FOLDER))
    saved = build_results(make_flaky_run("a"), make_planned_run("b"), folder)
    assert collect_run_ids(saved) == {
        (TargetKind.TEST, "run-a"),
        (TargetKind.TEST, "first-of-a"),
        (TargetKind.FOLDER, "run-c"),
    }


# no_reuse_reason


def make_signed_results(*runs: RunResult, secret: str = SECRET) -> LoadedResults:
    """Return a results.json with the signature of a client secret."""
    signer = ResultsSigner(Secret(secret), API_URL, BUILD, ENTIRE_BUILD)
    data = render_results_json(create_report(runs, FAILED_VERDICT)._replace(context=BUILD), signer).encode()
    return LoadedResults(parse_results(data), data)


@pytest.mark.parametrize(
    ("results_json", "sha", "reason"),
    [
        (make_signed_results(make_failed_run("a")), "c" * 40, None),
        (
            make_signed_results(make_failed_run("a"), secret="other-s3cret-value"),
            "c" * 40,
            "missing signature, or invalid for this file and these credentials",
        ),
        (
            make_signed_results(make_failed_run("a")),
            "",
            "unknown commit of this build",
        ),
        (make_signed_results(make_failed_run("b")), "c" * 40, "runs differ from the plan of this step"),
        (
            make_signed_results(make_failed_run("a"), make_failed_run("b")),
            "c" * 40,
            "runs differ from the plan of this step",
        ),
    ],
    ids=["reusable", "other secret", "no commit", "other run", "more runs"],
)
def test_nothing_reused_has_reason(results_json: LoadedResults, sha: str, reason: str | None) -> None:
    """The reason states what differs from results.json."""
    signer = ResultsSigner(Secret(SECRET), API_URL, BUILD, ENTIRE_BUILD)
    assert no_reuse_reason([make_planned_run("a")], results_json, BUILD._replace(sha=sha), signer) == reason


def test_old_results_without_build_id_are_stale() -> None:
    """Without a build id, open runs of the last day are of this build."""
    context = BUILD._replace(build_id="", sha="", repository="")
    saved = build_results(make_started_run("a"), context=context, started_at="2025-01-01T04:00:01Z")
    assert stale_reason(saved, context, RULES, STARTED_AT) is None
    saved = build_results(make_started_run("a"), context=context, started_at="2025-01-01T04:00:00Z")
    assert stale_reason(saved, context, RULES, STARTED_AT) == "older than a day"
