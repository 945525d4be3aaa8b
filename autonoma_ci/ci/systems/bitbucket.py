"""Bitbucket Pipelines with its output variables and Code Insights report.

Source: Atlassian's documentation, "Variables and secrets" (facts of the build), "Code Insights" and "Reports" of the
REST API (a report on the commit, which Bitbucket shows with the pull request). A step of a pipeline needs no
credentials for the report: a proxy on its own machine adds them. "Use artifacts in steps" (files in artifacts).
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autonoma_ci.ci.base import CISystem, RemotePublisher, Workspace
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    shard_from_env,
)
from autonoma_ci.ci.ownership import Claim, build_mark, decide_ownership, parse_mark, shared_warning
from autonoma_ci.ci.publishers.env_file import create_env_file_publishers
from autonoma_ci.escaping import safe_url, sanitize_line, truncate
from autonoma_ci.identity import short_digest
from autonoma_ci.models import BuildContext, Conclusion
from autonoma_ci.reports.summary import (
    RunCategory,
    categorize_run,
    count_states,
    counts_flaky_as_failed,
    describe_quarantine,
    describe_step,
    format_headline,
    pluralize,
    sort_by_severity,
    state_label,
    was_any_run_sent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.ci.ownership import OwnerMark
    from autonoma_ci.ci.rest.http import RestClient
    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.models import Report, RunResult

# The proxy accepts plain HTTP only, and uses HTTPS to the server itself.
API_URL, PROXY_URL = "http://api.bitbucket.org/2.0", "http://localhost:29418"
# Bitbucket's limit of one request. A report can have ten times as many.
MAX_ANNOTATIONS = 100
# The length of a report's random id, in hexadecimal digits.
_ID_DIGITS = 8
# 40 pages have 400 reports of one commit, at ten a page. Of the 50 requests in all, 10 are left to write the report.
_MAX_PAGES = 40
_MAX_TITLE_CHARS, _MAX_SUMMARY_CHARS, _MAX_DETAILS_CHARS = 100, 450, 2000
# The title of the entry with the owner mark, which later steps read. A report has at most ten entries of data.
_OWNER_TITLE = "Written by"
_RESULTS = {Conclusion.PASSED: "PASSED", Conclusion.FAILED: "FAILED", Conclusion.ERROR: "FAILED"}


class Bitbucket(CISystem):
    """Bitbucket Pipelines, with output variables, Code Insights and parallel steps."""

    display_name = "Bitbucket"
    secrets_help = "Add {names} under Repository settings > Repository variables, secured"
    secret_variables = (
        "BITBUCKET_STEP_OIDC_TOKEN",
        "BITBUCKET_ACCESS_TOKEN",
        "BITBUCKET_TOKEN",
        "BITBUCKET_APP_PASSWORD",
    )

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build.

        Some builds of pull requests have a short commit hash, which is not used.
        """
        get = env_reader(environ)
        repository, number = (
            first_repository(get("BITBUCKET_REPO_FULL_NAME")),
            first_number(get("BITBUCKET_BUILD_NUMBER")),
        )
        url = f"https://bitbucket.org/{repository}/pipelines/results/{number}" if repository and number else ""
        return BuildContext(
            ci_name="bitbucket",
            sha=first_commit(get("BITBUCKET_COMMIT")),
            branch=first_branch(get("BITBUCKET_BRANCH"), get("BITBUCKET_TAG")),
            change_number=first_number(get("BITBUCKET_PR_ID")),
            repository=repository,
            build_url=first_web_url(url),
            # A re-run of failed steps has the same pipeline, and the runs of the step are counted from 1
            # (github.com/cypress-io/cypress/issues/9309).
            build_id=first_set(environ, "BITBUCKET_PIPELINE_UUID", "BITBUCKET_BUILD_NUMBER"),
            build_attempt=first_number(get("BITBUCKET_STEP_RUN_NUMBER")),
            # No variable has the step's name. BITBUCKET_STEP_UUID changes with each build, and
            # BITBUCKET_PARALLEL_STEP is unique only within its group of steps. So `job_name` stays empty.
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the destination of a pull request.

        No variable has the default branch or the trigger. So a custom or scheduled pipeline of a branch is compared
        with the default branch, like a push.
        """
        get = env_reader(environ)
        if get("BITBUCKET_TAG"):
            return BaseFacts(NoBaseReason.TAG)
        return BaseFacts(
            is_change=bool(get("BITBUCKET_PR_ID")),
            target_branch=first_branch(get("BITBUCKET_PR_DESTINATION_BRANCH")),
            target_sha=first_commit(get("BITBUCKET_PR_DESTINATION_COMMIT")),
        )

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publishers of the variables and of the Code Insights report.

        The file of variables is written only once, at the end. If a name is in it twice, it is undocumented which value
        counts.
        """
        variables = create_env_file_publishers(context, "BITBUCKET_PIPELINES_VARIABLES_PATH", write_early=False)
        return (*variables, *_create_code_insights_publishers(context))

    def find_workspace(self, environ: Mapping[str, str]) -> Workspace:
        """Return the clone of the repository, which has all artifacts."""
        return Workspace(environ.get("BITBUCKET_CLONE_DIR", ""), "artifacts cannot have the files")

    def detect_shard(self, environ: Mapping[str, str]) -> Shard | None:
        """Return the shard of this parallel step, which Bitbucket counts from 0."""
        return shard_from_env("BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT", first=0)(environ)


def _create_code_insights_publishers(context: PublishContext) -> Sequence[ReportPublisher]:
    """Return the publisher of the report, if the commit is known."""
    # Imports requests, which other systems and other commands do not need.
    from autonoma_ci.ci.rest.http import RestClient

    get = env_reader(context.environ)
    workspace, slug, build = map(get, ("BITBUCKET_WORKSPACE", "BITBUCKET_REPO_SLUG", "BITBUCKET_BUILD_NUMBER"))
    sha = context.build_context.sha
    if not (context.wants_summary and context.publishes_shared_data and workspace and slug and sha):
        return ()
    path = f"/repositories/{quote(workspace, safe='')}/{quote(slug, safe='')}/commit/{sha}"
    origins = {name: get(name) for name in ("BITBUCKET_PR_ID", "BITBUCKET_TAG", "BITBUCKET_BRANCH")}
    origin = next((f"{name} {value}" for name, value in origins.items() if value), "")
    client = RestClient(API_URL, {"Accept": "application/json"}, context.clock, PROXY_URL)
    return (CodeInsightsPublisher(client, path, build, origin),)


class CodeInsightsPublisher(RemotePublisher):
    """Writes a Code Insights report on the commit.

    It does so once, at the end of the step. Each run that failed has an annotation.

    Args:
        client: The client for Bitbucket's API.
        path: The path of the commit in the API.
        build: The number of the pipeline.
        origin: The variable and value that started the pipeline. If a branch has a pull request, a push to it starts
            two pipelines of one commit, and each has its own report.

    """

    def __init__(self, client: RestClient, path: str, build: str, origin: str) -> None:
        self._client, self._reports_path, self._build, self._origin = client, f"{path}/reports", build, origin

    def publish(self, report: Report) -> list[str]:
        """Write the report and its annotations, and return warnings."""
        from autonoma_ci.ci.rest.http import RestError

        if not report.verdict or (report.verdict.conclusion is Conclusion.SKIPPED and not was_any_run_sent(report)):
            return []
        mark = build_mark(report, self._build)
        categories = {RunCategory.PROBLEM, RunCategory.QUARANTINED}
        if counts_flaky_as_failed(report):
            categories.add(RunCategory.FLAKY)
        runs = [run for run in sort_by_severity(report.results) if categorize_run(run) in categories]
        try:
            is_shared = self._write(report, mark, runs)
        except RestError as error:
            return [f"The Code Insights report could not be written: {error}."]
        warnings = [shared_warning("a Code Insights report")] if is_shared else []
        if len(runs) > MAX_ANNOTATIONS:
            warnings.append(
                f"The Code Insights report shows the first {pluralize(MAX_ANNOTATIONS, 'run')} of {len(runs)}."
            )
        return warnings

    def _write(self, report: Report, mark: OwnerMark, runs: Sequence[RunResult]) -> bool:
        """Write report and annotations.

        Returns:
            Whether another step of this build has a report of the same name.

        Raises:
            RestError: A request failed.

        """
        prefix = "autonoma-ci-" + short_digest(f"{report.part.digest}\n{self._origin}", 12)
        # A random id, so that two new reports never replace each other.
        new_path = f"{self._reports_path}/{prefix}-{secrets.token_hex(_ID_DIGITS // 2)}"
        decision = decide_ownership(mark, self._list_marked_reports(prefix))
        if decision.is_outdated:
            return False
        path, body, is_shared = decision.replaceable or new_path, _build_report(report, mark), decision.is_shared
        if decision.replaceable:
            self._delete(path)
        self._client.request("PUT", path, body)
        if path != new_path and self._is_taken(path, mark):
            # Another step has replaced the same report at the same time.
            path, is_shared = new_path, True
            self._client.request("PUT", path, body)
        if runs:
            annotations = [_build_annotation(number, run) for number, run in enumerate(runs[:MAX_ANNOTATIONS])]
            self._client.request("POST", f"{path}/annotations", annotations)
        return is_shared

    def _list_marked_reports(self, prefix: str) -> list[tuple[str, OwnerMark]]:
        """Return paths and owner marks of reports with this prefix, oldest first."""
        reports: list[dict[str, Any]] = []
        for page in range(1, _MAX_PAGES + 1):
            data = self._client.request("GET", f"{self._reports_path}?page={page}").data
            values = data.get("values") if isinstance(data, dict) else None
            if not isinstance(values, list):
                # An unreadable report is not replaced.
                break
            reports += [value for value in values if isinstance(value, dict)]
            # The link to the next page is not used, because it has HTTPS and the proxy accepts HTTP only.
            if not data.get("next"):
                break
        reports.sort(key=lambda report: str(report.get("created_on")))
        marks = [
            (report["external_id"], _find_owner_mark(report))
            for report in reports
            if isinstance(report.get("external_id"), str)
        ]
        pattern = re.compile(rf"{prefix}-[0-9a-f]{{{_ID_DIGITS}}}")
        return [(f"{self._reports_path}/{name}", mark) for name, mark in marks if mark and pattern.fullmatch(name)]

    def _is_taken(self, path: str, mark: OwnerMark) -> bool:
        """Return whether another job step owns the report now.

        A step of a later build does not count.

        Raises:
            RestError: The request failed with another status than 404.

        """
        from autonoma_ci.ci.rest.http import RestError

        try:
            owner = _find_owner_mark(self._client.request("GET", path).data)
        except RestError as error:
            if error.status == 404:
                # The other step has removed this report, and has not yet written its own.
                return True
            raise
        return owner is not None and not owner.is_same_step(mark) and mark.classify(owner) is not Claim.LEAVE

    def _delete(self, path: str) -> None:
        """Delete the report, because annotations of an earlier attempt would stay.

        Raises:
            RestError: The request failed with another status than 404.

        """
        from autonoma_ci.ci.rest.http import RestError

        try:
            self._client.request("DELETE", path)
        except RestError as error:
            if error.status != 404:
                raise


def _find_owner_mark(report: object) -> OwnerMark | None:
    data = report.get("data") if isinstance(report, dict) else None
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    values = [entry.get("value") for entry in entries if entry.get("title") == _OWNER_TITLE]
    return next((mark for value in values if isinstance(value, str) and (mark := parse_mark(value))), None)


def _build_report(report: Report, mark: OwnerMark) -> dict[str, Any]:
    data = [
        {"title": name.replace("-", " ").capitalize(), "type": "NUMBER", "value": count}
        for name, count in count_states(report.results).items()
    ]
    if report.waits_for_results:
        data.append({"title": "Duration", "type": "DURATION", "value": round(report.duration_seconds * 1000)})
    data.append({"title": _OWNER_TITLE, "type": "TEXT", "value": str(mark)})
    fields = {
        "title": _format_title(report),
        "details": truncate("\n".join([format_headline(report), *report.input_errors]), _MAX_DETAILS_CHARS),
        "report_type": "TEST",
        "reporter": "autonoma-ci",
        "data": data,
    }
    # Without a wait for the runs there is no result. A report with the result PENDING would stay pending.
    if report.verdict and (result := _RESULTS.get(report.verdict.conclusion)):
        fields["result"] = result
    if link := next((url for run in report.results if (url := safe_url(run.url))), ""):
        fields["link"] = link
    return fields


def _format_title(report: Report) -> str:
    """Return the heading with at most 100 characters.

    A long title is truncated before the part of the build, because the part distinguishes two reports.
    """
    part = sanitize_line(f" ({report.part.display_name})", _MAX_TITLE_CHARS) if report.part.display_name else ""
    return f"{truncate(sanitize_line(report.title), max(1, _MAX_TITLE_CHARS - len(part)))}{part}"


def _build_annotation(number: int, run: RunResult) -> dict[str, str]:
    # A failure in quarantine is shown, but does not count.
    is_counted = categorize_run(run) is not RunCategory.QUARANTINED
    quarantine = "" if is_counted else f"quarantined {describe_quarantine(run)}"
    message = ": ".join(filter(None, [quarantine, run.message, describe_step(run.step)]))
    fields = {
        "external_id": f"run-{number}",
        "annotation_type": "BUG",
        "summary": truncate(sanitize_line(f"{run.display_name}: {state_label(run)}"), _MAX_SUMMARY_CHARS),
        "details": truncate(sanitize_line(f"{message} {run.suggestion}".strip()), _MAX_DETAILS_CHARS),
        "result": "FAILED" if is_counted else "IGNORED",
        "severity": "HIGH" if is_counted else "LOW",
        "link": safe_url(run.url),
    }
    return {name: text for name, text in fields.items() if text}


SYSTEM = Bitbucket()
