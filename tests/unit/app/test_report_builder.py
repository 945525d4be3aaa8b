"""Tests of the facts and reports of a job step."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.app.inputs import CIEnvironment, detect_ci
from autonoma_ci.app.report_builder import DEFAULT_TITLE, ReportBuilder, StepFacts, collect_facts, create_initial_facts
from autonoma_ci.clock import Clock
from autonoma_ci.config.parsers import MAX_TITLE_CHARS
from autonoma_ci.config.settings import load_settings
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext, ChangeSummary, PlanFacts
from autonoma_ci.reports.results_dir import ResultsDir
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import Results, parse_results
from tests.support.fake_clock import FakeClock
from tests.support.reports import FAILED_VERDICT, PASSED_VERDICT, create_report, make_failed_run, make_passed_run

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret-value-of-client"
INITIAL = StepFacts(DEFAULT_TITLE, BuildContext("gitlab"), "gitlab", "2025-01-02T03:04:05Z", "0123456789abcdef")
JOB = {"GITLAB_CI": "true", "CI_JOB_NAME": "e2e", "CI_COMMIT_SHA": "c" * 40, "CI_COMMIT_REF_NAME": "main"}


def collect(
    flags: dict[str, str] | None = None,
    environ: dict[str, str] | None = None,
    saved: Results | None = None,
    context: BuildContext | None = None,
) -> StepFacts:
    """Return the facts of a step on GitLab with a client secret."""
    settings, _ = load_settings({"client-secret": SECRET, **(flags or {})}, (), {})
    job = {**JOB, **(environ or {})}
    detected_ci = detect_ci(job)
    ci = CIEnvironment(detected_ci.ci_system, context or detected_ci.build_context, detected_ci.source)
    return collect_facts(INITIAL, settings, ci, job, saved)


def make_saved(**changes: Any) -> Results:
    """Return the results.json of an earlier step, with changes."""
    saved_report = create_report([make_passed_run("a")])._replace(
        step_id="fedcba9876543210", part=Part("start", "linux", "1/2")
    )
    document = json.loads(render_results_json(saved_report)) | changes
    return parse_results(json.dumps(document).encode())


# StepFacts


def test_initial_facts_need_no_options() -> None:
    """The facts before the options are those of the CI system and the clock."""
    ci = detect_ci(JOB)
    facts = create_initial_facts(ci, FakeClock())
    assert (facts.title, facts.source, facts.started_at) == ("Autonoma tests", "gitlab", "2025-01-07T09:30:00Z")
    assert facts.context is ci.build_context
    assert (facts.source_label, facts.change_noun) == ("GitLab", "merge request")
    assert facts.part == Part()


def test_step_ids_are_random() -> None:
    """Each step has another id of 16 hexadecimal digits."""
    ids = {create_initial_facts(detect_ci(JOB), FakeClock()).step_id for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch("[0-9a-f]{16}", step_id) for step_id in ids)


def test_start_time_is_utc() -> None:
    """The real clock gives ISO 8601 with the zone Z."""
    facts = create_initial_facts(detect_ci({}), Clock())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", facts.started_at)


def test_facts_have_options_of_step() -> None:
    """Options replace title, source, part and shard."""
    facts = collect({"summary-title": "Nightly", "source": "mine", "part": "mac", "shard": "2/3"})
    assert (facts.title, facts.source) == ("Nightly", "mine")
    assert facts.part == Part("e2e", "mac", "2/3", "Nightly")
    assert (facts.started_at, facts.step_id) == (INITIAL.started_at, INITIAL.step_id)
    assert facts.started_in_attempt == ""


def test_facts_have_defaults_of_job() -> None:
    """Without options, title and source have their defaults."""
    facts = collect()
    assert (facts.title, facts.source, facts.part.job_name) == (DEFAULT_TITLE, "gitlab", "e2e")
    assert (facts.context.sha, facts.context.branch) == ("c" * 40, "main")


@pytest.mark.parametrize(
    ("source", "label"),
    [("", "GitLab"), ("gitlab", "GitLab"), ("jenkins", "Jenkins"), ("cli", "the command line"), ("mine", "mine")],
)
def test_facts_have_names_of_systems(source: str, label: str) -> None:
    """The source has the name of its system, and a change request that of the job's system."""
    facts = collect({"source": source})
    assert (facts.source_label, facts.change_noun) == (label, "merge request")
    report = ReportBuilder(facts).build()
    assert (report.source_label, report.change_noun) == (label, "merge request")


@pytest.mark.parametrize(
    ("api_url", "origin"),
    [("http://127.0.0.1:8787/api", "http://127.0.0.1:8787"), ("https://autonoma.app/api/v2", "https://autonoma.app")],
)
def test_facts_have_origin_of_api(api_url: str, origin: str) -> None:
    """The base of links has no path."""
    assert collect({"api-url": api_url}).web_base_url == origin


def test_facts_without_api_have_no_origin() -> None:
    """An invalid URL of the API gives no base of links."""
    settings, _ = load_settings({}, (), {})
    facts = collect_facts(INITIAL, settings._replace(api_url=""), detect_ci({}), {}, None)
    assert facts.web_base_url == ""


def test_resumed_facts_are_of_earlier_step() -> None:
    """A step that resumes runs has the id, the source and the part of the step that started them."""
    facts = collect(saved=make_saved(source="mine"))
    assert (facts.step_id, facts.source, facts.source_label) == ("fedcba9876543210", "mine", "mine")
    assert facts.part == Part("start", "linux", "1/2", "Autonoma tests")


def test_resumed_facts_have_attempt() -> None:
    """The attempt is that in which the runs were started."""
    build = json.loads(render_results_json(create_report()))["ci"] | {"attempt": "3"}
    assert collect(saved=make_saved(ci=build)).started_in_attempt == "3"


@pytest.mark.parametrize(
    ("option_title", "saved_title", "title"),
    [("", "Nightly", "Nightly"), ("Mine", "Nightly", "Mine"), ("", "", DEFAULT_TITLE)],
)
def test_resumed_title_can_be_replaced(option_title: str, saved_title: str, title: str) -> None:
    """The own title precedes that of the earlier step."""
    facts = collect({"summary-title": option_title}, saved=make_saved(title=saved_title))
    assert (facts.title, facts.part.title) == (title, title)


# Credentials


@pytest.mark.parametrize("field", ["sha", "change_number", "build_url", "deployment_url"])
def test_fact_with_credential_is_empty(field: str) -> None:
    """A part of a URL or a hash is useless, so nothing of it is shown."""
    facts_with_credential: dict[str, Any] = {field: f"https://ci.test/{SECRET}/x"}
    facts = collect(context=BuildContext("gitlab", branch="main", **facts_with_credential))
    assert getattr(facts.context, field) == ""
    assert facts.context.branch == "main"


def test_fact_without_credential_is_shown() -> None:
    """The other facts of the build stay as they are."""
    context = BuildContext("gitlab", "c" * 40, "main", "17", "a/b", "https://ci.test/1", "https://pr.test", "5", "2")
    assert collect(context=context).context == context


def test_branch_hides_credential() -> None:
    """The other text of a branch is shown."""
    assert collect(context=BuildContext("gitlab", branch=f"fix-{SECRET}-x")).context.branch == "fix-***-x"


def test_resumed_title_is_one_short_line() -> None:
    """The title of a results.json that another program wrote has the form of the option."""
    title = collect(saved=make_saved(title="Nightly\n# x\x1b[31m " + "t" * 5000)).title
    assert title.startswith("Nightly # x")
    assert title.isprintable()
    assert len(title) <= MAX_TITLE_CHARS


@pytest.mark.parametrize("option", ["summary-title", "part"])
def test_part_hides_credential(option: str) -> None:
    """Title and part show asterisks, and two secret parts stay different."""
    facts = collect({option: f"a {SECRET}"})
    assert SECRET not in repr(facts)
    assert "a ***" in (facts.title if option == "summary-title" else facts.part.part)
    assert facts.part != collect({option: f"b {SECRET}"}).part


def test_resumed_facts_hide_credentials() -> None:
    """A results.json can have credentials in any text."""
    facts = collect(saved=make_saved(title=SECRET, job=SECRET, part=SECRET, shard=SECRET, source=SECRET))
    assert SECRET not in repr(facts)
    assert facts.source == "***"


def test_short_credential_is_no_secret_in_facts() -> None:
    """A short text such as `main` can be a test credential, and the branch is still shown."""
    assert collect({"client-secret": "main"}).context.branch == "main"


# ReportBuilder


def test_builder_copies_facts() -> None:
    """Each fact of the step is in its report."""
    facts = INITIAL._replace(
        part=Part("e2e", "linux"), web_base_url="https://autonoma.app", started_in_attempt="2",
        source_label="GitLab", change_noun="merge request", api_url="https://autonoma.app/api",
        option_variables=("LOCALE",),
    )  # fmt: skip
    step_report = ReportBuilder(facts).build()
    assert step_report == create_report()._replace(
        context=facts.context, source="gitlab", verdict=None, results_dir="", started_at=facts.started_at,
        web_base_url="https://autonoma.app", part=facts.part, step_id=facts.step_id, started_in_attempt="2",
        source_label="GitLab", change_noun="merge request", api_url="https://autonoma.app/api",
        option_variables=("LOCALE",),
    )  # fmt: skip


def test_facts_have_names_of_variables() -> None:
    """The facts have the names of the variables that options set, and no values."""
    facts = collect({"variables": "LOCALE=en\nBASE_URL=https://shop.example"})
    assert facts.option_variables == ("LOCALE", "BASE_URL")


def test_builder_adds_results() -> None:
    """Runs, verdict, duration and errors are those of the call."""
    runs = (make_passed_run("a"), make_failed_run("b"))
    step_report = ReportBuilder(INITIAL).build(runs, FAILED_VERDICT, duration_seconds=2.5, input_errors=("wrong",))
    assert (step_report.results, step_report.verdict, step_report.duration_seconds) == (runs, FAILED_VERDICT, 2.5)
    assert step_report.input_errors == ("wrong",)


def test_builder_adds_state_of_step(tmp_path: Path) -> None:
    """Facts that the step learns later are in its next report."""
    builder = ReportBuilder(INITIAL, ResultsDir("out", tmp_path / "out", tmp_path))
    builder.add_results_file(resume_command="autonoma-ci wait out", attachments_root="work/out")
    builder.expect_results()
    facts = PlanFacts(("shard 1/2",), "d" * 64, ChangeSummary("clone", "b" * 40, 3), ("Checkout",))
    builder.add_plan(facts)
    step_report = builder.build((), PASSED_VERDICT)
    assert (step_report.plan_digest, step_report.change, step_report.quarantined_by_change) == facts[1:]
    assert (step_report.results_dir, step_report.attachments_root, step_report.resume_command) == (
        "out", "work/out", "autonoma-ci wait out"
    )  # fmt: skip
    assert step_report.waits_for_results
    assert (step_report.plan_notes, step_report.skip_reason) == (("shard 1/2",), None)


def test_report_without_results_file_has_no_command() -> None:
    """No command waits for runs that no results.json lists."""
    builder = ReportBuilder(INITIAL)
    builder.add_results_file(resume_command="autonoma-ci wait out", attachments_root="")
    assert builder.build(can_resume=False).resume_command == ""
    builder.remove_resume_command()
    assert builder.build().resume_command == ""


def test_skipped_step_has_no_plan_notes() -> None:
    """A step that does nothing has its reason alone."""
    builder = ReportBuilder(INITIAL)
    builder.add_plan(PlanFacts(("shard 1/2",)))
    step_report = builder.build(skip_reason="groups is 'none'")
    assert (step_report.plan_notes, step_report.skip_reason) == ((), "groups is 'none'")


@pytest.mark.parametrize(
    ("part", "heading"),
    [(Part(), "Autonoma tests"), (Part("e2e", "linux"), "Autonoma tests (linux)"),
     (Part("e2e", "", "1/2"), "Autonoma tests (shard 1/2)")],
)  # fmt: skip
def test_heading_names_part(part: Part, heading: str) -> None:
    """The heading has the part only where the build has several."""
    assert ReportBuilder(INITIAL._replace(part=part)).heading == heading
