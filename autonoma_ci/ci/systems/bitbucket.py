"""Bitbucket Pipelines. Source: Atlassian's documentation, "Variables and secrets".

A Code Insights report on the commit, which Bitbucket shows with the pull request.

Source: Atlassian's documentation, "Code Insights" and "Reports" of the REST interface. A step of a pipeline needs
no credentials for it: a proxy on its own machine adds them.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autonoma_ci.ci.base import CISystem, RemotePublisher
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
from autonoma_ci.ci.publishers.env_file import env_file
from autonoma_ci.escaping import safe_url, sanitize_line, truncate
from autonoma_ci.models import BuildContext, Conclusion
from autonoma_ci.reports.summary import (
    NEEDS_ATTENTION,
    count_states,
    describe_step,
    format_headline,
    pluralize,
    sort_by_severity,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.ci.comments.http import RestClient
    from autonoma_ci.ci.ownership import OwnerMark
    from autonoma_ci.models import Report, RunResult


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a step; some pull request builds have a short commit hash, which is left out."""
    get = env_reader(environ)
    name, number = first_repository(get("BITBUCKET_REPO_FULL_NAME")), first_number(get("BITBUCKET_BUILD_NUMBER"))
    return BuildContext(
        ci_name="bitbucket",
        sha=first_commit(get("BITBUCKET_COMMIT")),
        branch=first_branch(get("BITBUCKET_BRANCH"), get("BITBUCKET_TAG")),
        change_number=first_number(get("BITBUCKET_PR_ID")),
        repository=name,
        build_url=first_web_url(f"https://bitbucket.org/{name}/pipelines/results/{number}" if name and number else ""),
        # To run failed steps again keeps the pipeline and counts the step's runs from 1
        # (github.com/cypress-io/cypress/issues/9309).
        build_id=first_set(environ, "BITBUCKET_PIPELINE_UUID", "BITBUCKET_BUILD_NUMBER"),
        build_attempt=first_number(get("BITBUCKET_STEP_RUN_NUMBER")),
        # No variable holds the step's name. BITBUCKET_STEP_UUID is another one in each build, and
        # BITBUCKET_PARALLEL_STEP is unique within its group of steps only. So `job` stays empty.
    )


# The documentation does not say which value counts if the file has a name twice.
_variables = env_file("BITBUCKET_PIPELINES_VARIABLES_PATH", write_early=False)


def create_publishers(target: PublishContext) -> Sequence[ReportPublisher]:
    """Return what writes variables and report."""
    return (*_variables(target), *code_insights_publishers(target))


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=(
        "BITBUCKET_STEP_OIDC_TOKEN",
        "BITBUCKET_ACCESS_TOKEN",
        "BITBUCKET_TOKEN",
        "BITBUCKET_APP_PASSWORD",
    ),
    create_publishers=create_publishers,
    detect_shard=shard_from_env("BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT", first=0),
)


# The proxy takes plain http alone, and speaks https with the server itself.
API_URL, PROXY_URL = "http://api.bitbucket.org/2.0", "http://localhost:29418"
# Of one request; a report may have ten times as many.
MAX_ANNOTATIONS = 100
# Of a report's random id, in hexadecimal digits.
_ID_DIGITS = 8
# 400 reports of one commit, at ten a page. Of the 50 requests in all, 10 are left to write the report.
_PAGES = 40
_TITLE, _SUMMARY, _DETAILS = 100, 450, 2000
# The report has at most ten entries of data. This one tells later steps which step wrote it.
_WRITTEN_BY = "Written by"
_RESULTS = {Conclusion.PASSED: "PASSED", Conclusion.FAILED: "FAILED", Conclusion.ERROR: "FAILED"}


class CodeInsightsPublisher(RemotePublisher):
    """Writes the report and an annotation for each run that needs a look, once the step ends.

    `build` is the number of the pipeline. `origin` is what it was started for: a push to a branch starts two pipelines
    of one commit if the branch has a pull request, and each has a report of its own.
    """

    def __init__(self, web: RestClient, path: str, build: str, origin: str) -> None:
        self._web, self._path, self._build, self._origin = web, f"{path}/reports", build, origin

    def publish(self, report: Report) -> list[str]:
        """Write the report and its annotations; return what the log should warn of."""
        from autonoma_ci.ci.comments.http import RestError

        if not report.verdict or report.verdict.conclusion is Conclusion.SKIPPED:
            return []
        mark = build_mark(report, self._build)
        runs = [run for run in sort_by_severity(report.results) if run.state in NEEDS_ATTENTION]
        try:
            shared = self._put(report, mark, runs)
        except RestError as error:
            return [f"The Code Insights report could not be written: {error}."]
        warnings = [shared_warning("a Code Insights report")] if shared else []
        if len(runs) > MAX_ANNOTATIONS:
            warnings.append(
                f"The Code Insights report shows the first {pluralize(MAX_ANNOTATIONS, 'run')} of {len(runs)}."
            )
        return warnings

    def _put(self, report: Report, mark: OwnerMark, runs: Sequence[RunResult]) -> bool:
        """Write report and annotations; return whether another step of this build has a report of the same name."""
        key = hashlib.sha256(f"{report.part.digest}\n{self._origin}".encode("utf-8", "replace")).hexdigest()
        prefix = f"autonoma-ci-{key[:12]}"
        # An id that no report ever had, so that two new ones never replace each other.
        own = f"{self._path}/{prefix}-{secrets.token_hex(_ID_DIGITS // 2)}"
        choice = decide_ownership(mark, self._marked(prefix))
        if choice.is_outdated:
            return False
        path, body, shared = choice.replaceable or own, _report(report, mark), choice.is_shared
        if choice.replaceable:
            self._clear(path)
        self._web.request("PUT", path, body)
        if path != own and self._is_taken(path, mark):
            # Another step has replaced the same report at the same moment.
            path, shared = own, True
            self._web.request("PUT", path, body)
        if runs:
            notes = [_annotation(number, run) for number, run in enumerate(runs[:MAX_ANNOTATIONS])]
            self._web.request("POST", f"{path}/annotations", notes)
        return shared

    def _marked(self, prefix: str) -> list[tuple[str, OwnerMark]]:
        """Return the paths of the reports of this name with their marks, the oldest first."""
        found: list[dict[str, Any]] = []
        for page in range(1, _PAGES + 1):
            data = self._web.request("GET", f"{self._path}?page={page}").data
            values = data.get("values") if isinstance(data, dict) else None
            if not isinstance(values, list):
                # What can't be read is not replaced.
                break
            found += [each for each in values if isinstance(each, dict)]
            # The link itself has https, and the proxy takes http alone.
            if not data.get("next"):
                break
        found.sort(key=lambda each: str(each.get("created_on")))
        named = [(each["external_id"], _mark_in(each)) for each in found if isinstance(each.get("external_id"), str)]
        pattern = re.compile(rf"{prefix}-[0-9a-f]{{{_ID_DIGITS}}}")
        return [(f"{self._path}/{name}", mark) for name, mark in named if mark and pattern.fullmatch(name)]

    def _is_taken(self, path: str, mark: OwnerMark) -> bool:
        """Say whether the report that is there is that of another step, which is of no later build."""
        from autonoma_ci.ci.comments.http import RestError

        try:
            theirs = _mark_in(self._web.request("GET", path).data)
        except RestError as error:
            if error.status == 404:
                # The other step has removed this report, and has not yet written its own.
                return True
            raise
        return theirs is not None and not theirs.is_same_step(mark) and mark.classify(theirs) is not Claim.LEAVE

    def _clear(self, path: str) -> None:
        """Begin anew: what an earlier attempt had annotated would stay."""
        from autonoma_ci.ci.comments.http import RestError

        try:
            self._web.request("DELETE", path)
        except RestError as error:
            if error.status != 404:
                raise


def _mark_in(found: object) -> OwnerMark | None:
    data = found.get("data") if isinstance(found, dict) else None
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    values = [entry.get("value") for entry in entries if entry.get("title") == _WRITTEN_BY]
    return next((mark for value in values if isinstance(value, str) and (mark := parse_mark(value))), None)


def _report(report: Report, mark: OwnerMark) -> dict[str, Any]:
    data = [
        {"title": name.replace("-", " ").capitalize(), "type": "NUMBER", "value": count}
        for name, count in count_states(report.results).items()
    ]
    if report.waits_for_results:
        data.append({"title": "Took", "type": "DURATION", "value": round(report.duration_seconds * 1000)})
    data.append({"title": _WRITTEN_BY, "type": "TEXT", "value": str(mark)})
    fields = {
        "title": _title(report),
        "details": truncate("\n".join([format_headline(report), *report.input_errors]), _DETAILS),
        "report_type": "TEST",
        "reporter": "autonoma-ci",
        "data": data,
    }
    # Of runs that nobody waits for there is no result, and a pending one would be pending for ever.
    if report.verdict and (result := _RESULTS.get(report.verdict.conclusion)):
        fields["result"] = result
    if first := next((url for run in report.results if (url := safe_url(run.url))), ""):
        fields["link"] = first
    return fields


def _title(report: Report) -> str:
    """Return the heading; a long title is cut before the part of the build, which tells two reports apart."""
    part = sanitize_line(f" ({report.part.display_name})", _TITLE) if report.part.display_name else ""
    return f"{truncate(sanitize_line(report.title), max(1, _TITLE - len(part)))}{part}"


def _annotation(number: int, run: RunResult) -> dict[str, str]:
    told = ": ".join(filter(None, [run.message, describe_step(run.step)]))
    fields = {
        "external_id": f"run-{number}",
        "annotation_type": "BUG",
        "summary": truncate(f"{sanitize_line(run.display_name)}: {state_label(run)}", _SUMMARY),
        "details": truncate(sanitize_line(f"{told} {run.suggestion}".strip()), _DETAILS),
        "result": "FAILED",
        "severity": "HIGH",
    }
    return {name: text for name, text in {**fields, "link": safe_url(run.url)}.items() if text}


def code_insights_publishers(target: PublishContext) -> tuple[CodeInsightsPublisher, ...]:
    """Return the publisher of the report, if the commit is known."""
    # Loads requests, which other systems and other commands do not need.
    from autonoma_ci.ci.comments.http import RestClient

    names = ("BITBUCKET_WORKSPACE", "BITBUCKET_REPO_SLUG", "BITBUCKET_BUILD_NUMBER")
    get = env_reader(target.environ)
    workspace, slug, build = map(get, names)
    if not (target.wants_summary and target.publishes_shared_data and workspace and slug and target.build_context.sha):
        return ()
    path = f"/repositories/{quote(workspace, safe='')}/{quote(slug, safe='')}/commit/{target.build_context.sha}"
    origins = {name: get(name) for name in ("BITBUCKET_PR_ID", "BITBUCKET_TAG", "BITBUCKET_BRANCH")}
    origin = next((f"{name} {value}" for name, value in origins.items() if value), "")
    return (
        CodeInsightsPublisher(
            RestClient(API_URL, {"Accept": "application/json"}, target.clock, PROXY_URL), path, build, origin
        ),
    )
