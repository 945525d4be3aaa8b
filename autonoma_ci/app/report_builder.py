"""Collect the facts of a job step, and build its `Report` values."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autonoma_ci.app.inputs import build_part, redact_shown_part
from autonoma_ci.ci.detection import find_system
from autonoma_ci.config.parsers import parse_title
from autonoma_ci.models import ENTIRE_BUILD, NO_PLAN_FACTS, PULL_REQUEST, Report
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.clock import Clock
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.identity import Part
    from autonoma_ci.models import BuildContext, PlanFacts, RunResult, Verdict
    from autonoma_ci.reports.results_dir import ResultsDir
    from autonoma_ci.reports.results_schema import Results

DEFAULT_TITLE = "Autonoma tests"
# Fields of the build context that become empty if they contain a credential, because a part of them is useless.
_FIELDS_EMPTIED_WITH_CREDENTIAL = ("sha", "change_number", "build_url", "deployment_url")


class StepFacts(NamedTuple):
    """The facts of a job step that all its reports share."""

    title: str
    context: BuildContext
    # Value of the API's `source` field.
    source: str
    # ISO 8601, UTC.
    started_at: str
    # A random id. A job step that resumes the runs of an earlier one has the id of the earlier one.
    step_id: str
    # The build attempt in which the resumed runs were started. Empty in a job step that starts runs.
    started_in_attempt: str = ""
    part: Part = ENTIRE_BUILD
    # Origin of the API. Reports show it for runs that may have started and have no link.
    web_base_url: str = ""
    # The name of the CI system in texts, and its word for a pull or merge request.
    source_label: str = ""
    change_noun: str = PULL_REQUEST
    api_url: str = ""
    # The names of the variables that options set.
    option_variables: tuple[str, ...] = ()


def describe_source(source: str) -> str:
    """Return the name of the CI system with the name `source`.

    A source that is not the name of a system is returned unchanged.
    """
    system = find_system(source)
    return system.display_name if system else source


def create_initial_facts(ci: CIEnvironment, clock: Clock) -> StepFacts:
    """Return the facts that are known before the options are read."""
    return StepFacts(
        DEFAULT_TITLE,
        ci.build_context,
        ci.source,
        clock.utc_iso(),
        secrets.token_hex(8),
        source_label=describe_source(ci.source),
        change_noun=ci.ci_system.change_noun,
    )


def collect_facts(
    initial: StepFacts,
    settings: Settings,
    ci: CIEnvironment,
    environ: Mapping[str, str],
    saved: Results | None,
) -> StepFacts:
    """Return the facts of a job step without recognizable credentials.

    Args:
        initial: The facts that `create_initial_facts` returned.
        settings: The options of this job step.
        ci: The CI system, with the build facts that options state.
        environ: The environment of the job.
        saved: The results.json whose runs this job step resumes, or None.

    """
    # Only a title that the user gave replaces the title in results.json.
    saved_title = parse_title(saved.title) if saved else ""
    given_title = settings.summary_title if "summary-title" in settings.explicitly_set else ""
    title = given_title or saved_title or settings.summary_title or DEFAULT_TITLE
    part = build_part(settings, ci, environ, title)
    source = initial.source
    if saved:
        part = part._replace(job_name=saved.job, part=saved.part, shard=saved.shard)
        source = settings.redactors.of_all(saved.source)
    part = redact_shown_part(part, settings.redactors.of_all, settings.client_secret)
    # Short credentials stay in the texts of the user and the CI system, because they can be ordinary words.
    redact_long_credentials = settings.redactors.of_long
    # A source with a credential is an input error, before the first request.
    source = redact_long_credentials(settings.source) or source
    fields = {name: getattr(ci.build_context, name) for name in _FIELDS_EMPTIED_WITH_CREDENTIAL}
    safe_fields: dict[str, Any] = {
        name: "" if redact_long_credentials.contains_secret(text) else text for name, text in fields.items() if text
    }
    return StepFacts(
        part.title,
        ci.build_context._replace(branch=redact_long_credentials(ci.build_context.branch), **safe_fields),
        source,
        initial.started_at,
        saved.step_id if saved else initial.step_id,
        saved.ci.attempt if saved else "",
        part,
        "{0.scheme}://{0.netloc}".format(urlsplit(settings.api_url)) if settings.api_url else "",
        describe_source(source),
        ci.ci_system.change_noun,
        settings.api_url,
        tuple(settings.variables),
    )


class ReportBuilder:
    """Builds the reports of one job step from its facts.

    Args:
        facts: The facts of the job step.
        results_dir: None without the option results-dir.

    """

    def __init__(self, facts: StepFacts, results_dir: ResultsDir | None = None) -> None:
        self.facts = facts
        self._results_dir = results_dir.path if results_dir else ""
        self._attachments_root = ""
        self._resume_command = ""
        self._waits_for_results = False
        self._plan_facts = NO_PLAN_FACTS

    def add_results_file(self, resume_command: str, attachments_root: str) -> None:
        """Add the facts of an open results folder.

        Args:
            resume_command: The command that waits for the open runs of results.json later.
            attachments_root: Where the CI system finds the folder, if it shows files that junit.xml names.

        """
        self._resume_command, self._attachments_root = resume_command, attachments_root

    def remove_resume_command(self) -> None:
        """Name no command that waits, because no results.json lists the runs."""
        self._resume_command = ""

    def expect_results(self) -> None:
        """Say in later reports that the job step waits for results."""
        self._waits_for_results = True

    def add_plan(self, facts: PlanFacts) -> None:
        """Add the facts of the plan."""
        self._plan_facts = facts

    @property
    def heading(self) -> str:
        """The title, with the part of the build where it has several."""
        return self.build().heading

    def build(
        self,
        results: tuple[RunResult, ...] = (),
        verdict: Verdict | None = None,
        *,
        duration_seconds: float = 0.0,
        skip_reason: str | None = None,
        input_errors: tuple[str, ...] = (),
        can_resume: bool = True,
    ) -> Report:
        """Return a report.

        Args:
            results: The runs.
            verdict: None while the step is running.
            duration_seconds: How long the step has been running, in seconds. 0 for a step without runs.
            skip_reason: Why the step does nothing. Such a report has no notes about the plan.
            input_errors: The errors in the input.
            can_resume: False if results.json is out of date. Such a report has no command that waits.

        """
        facts = self.facts
        return Report(
            title=facts.title,
            context=facts.context,
            source=facts.source,
            results=results,
            verdict=verdict,
            results_dir=self._results_dir,
            started_at=facts.started_at,
            input_errors=input_errors,
            web_base_url=facts.web_base_url,
            waits_for_results=self._waits_for_results,
            resume_command=self._resume_command if can_resume else "",
            **(NO_PLAN_FACTS if skip_reason else self._plan_facts)._asdict(),
            api_url=facts.api_url,
            duration_seconds=duration_seconds,
            skip_reason=skip_reason,
            attachments_root=self._attachments_root,
            part=facts.part,
            step_id=facts.step_id,
            started_in_attempt=facts.started_in_attempt,
            source_label=facts.source_label,
            change_noun=facts.change_noun,
            option_variables=facts.option_variables,
        )
