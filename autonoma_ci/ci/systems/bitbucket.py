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

from autonoma_ci.ci.base import Remote, System
from autonoma_ci.ci.env import branch, change, commit, first, parallel, reader, repository, web_url
from autonoma_ci.ci.ownership import Claim, choose, mark_of, parse_mark, shared_warning
from autonoma_ci.ci.publishers.env_file import variable_file
from autonoma_ci.escaping import cut, link, one_line
from autonoma_ci.models import Conclusion, Context
from autonoma_ci.reports.summary import AMISS, counts, headline, plural, state_words, told_step, worst_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import Publisher, Target
    from autonoma_ci.ci.comments.http import Web
    from autonoma_ci.ci.ownership import Mark
    from autonoma_ci.models import Outcome, Report


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step; some pull request builds have a short commit hash, which is left out."""
    get = reader(environ)
    name, number = repository(get("BITBUCKET_REPO_FULL_NAME")), change(get("BITBUCKET_BUILD_NUMBER"))
    return Context(
        ci="bitbucket",
        sha=commit(get("BITBUCKET_COMMIT")),
        branch=branch(get("BITBUCKET_BRANCH"), get("BITBUCKET_TAG")),
        change=change(get("BITBUCKET_PR_ID")),
        repository=name,
        build_url=web_url(f"https://bitbucket.org/{name}/pipelines/results/{number}" if name and number else ""),
        # To run failed steps again keeps the pipeline and counts the step's runs from 1
        # (github.com/cypress-io/cypress/issues/9309).
        build=first(environ, "BITBUCKET_PIPELINE_UUID", "BITBUCKET_BUILD_NUMBER"),
        attempt=change(get("BITBUCKET_STEP_RUN_NUMBER")),
        # No variable holds the step's name. BITBUCKET_STEP_UUID is another one in each build, and
        # BITBUCKET_PARALLEL_STEP is unique within its group of steps only. So `job` stays empty.
    )


# The documentation does not say which value counts if the file has a name twice.
_variables = variable_file("BITBUCKET_PIPELINES_VARIABLES_PATH", early=False)


def publishers(target: Target) -> Sequence[Publisher]:
    """Return what writes variables and report."""
    return (*_variables(target), *insights(target))


SYSTEM = System(
    context=context,
    tokens=("BITBUCKET_STEP_OIDC_TOKEN", "BITBUCKET_ACCESS_TOKEN", "BITBUCKET_TOKEN", "BITBUCKET_APP_PASSWORD"),
    publishers=publishers,
    parallel=parallel("BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT", first=0),
)


# The proxy takes plain http alone, and speaks https with the server itself.
API, PROXY = "http://api.bitbucket.org/2.0", "http://localhost:29418"
# Of one request; a report may have ten times as many.
ANNOTATIONS = 100
# Of a report's random id, in hexadecimal digits.
_ID_DIGITS = 8
# 400 reports of one commit, at ten a page. Of the 50 requests in all, 10 are left to write the report.
_PAGES = 40
_TITLE, _SUMMARY, _DETAILS = 100, 450, 2000
# The report has at most ten entries of data. This one tells later steps which step wrote it.
_WRITTEN_BY = "Written by"
_RESULTS = {Conclusion.PASSED: "PASSED", Conclusion.FAILED: "FAILED", Conclusion.ERROR: "FAILED"}


class Insights(Remote):
    """Writes the report and an annotation for each run that needs a look, once the step ends.

    `build` is the number of the pipeline. `origin` is what it was started for: a push to a branch starts two pipelines
    of one commit if the branch has a pull request, and each has a report of its own.
    """

    def __init__(self, web: Web, path: str, build: str, origin: str) -> None:
        self._web, self._path, self._build, self._origin = web, f"{path}/reports", build, origin

    def publish(self, report: Report) -> list[str]:
        """Write the report and its annotations; return what the log should warn of."""
        from autonoma_ci.ci.comments.http import WebError

        if not report.verdict or report.verdict.conclusion is Conclusion.SKIPPED:
            return []
        mark = mark_of(report, self._build)
        runs = [run for run in worst_first(report.outcomes) if run.state in AMISS]
        try:
            shared = self._put(report, mark, runs)
        except WebError as error:
            return [f"The Code Insights report could not be written: {error}."]
        warnings = [shared_warning("a Code Insights report")] if shared else []
        if len(runs) > ANNOTATIONS:
            warnings.append(f"The Code Insights report shows the first {plural(ANNOTATIONS, 'run')} of {len(runs)}.")
        return warnings

    def _put(self, report: Report, mark: Mark, runs: Sequence[Outcome]) -> bool:
        """Write report and annotations; return whether another step of this build has a report of the same name."""
        key = hashlib.sha256(f"{report.part.digest}\n{self._origin}".encode("utf-8", "replace")).hexdigest()
        prefix = f"autonoma-ci-{key[:12]}"
        # An id that no report ever had, so that two new ones never replace each other.
        own = f"{self._path}/{prefix}-{secrets.token_hex(_ID_DIGITS // 2)}"
        choice = choose(mark, self._marked(prefix))
        if choice.outdated:
            return False
        path, body, shared = choice.replaced or own, _report(report, mark), choice.shared
        if choice.replaced:
            self._clear(path)
        self._web.ask("PUT", path, body)
        if path != own and self._is_taken(path, mark):
            # Another step has replaced the same report at the same moment.
            path, shared = own, True
            self._web.ask("PUT", path, body)
        if runs:
            notes = [_annotation(number, run) for number, run in enumerate(runs[:ANNOTATIONS])]
            self._web.ask("POST", f"{path}/annotations", notes)
        return shared

    def _marked(self, prefix: str) -> list[tuple[str, Mark]]:
        """Return the paths of the reports of this name with their marks, the oldest first."""
        found: list[dict[str, Any]] = []
        for page in range(1, _PAGES + 1):
            data = self._web.ask("GET", f"{self._path}?page={page}").data
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

    def _is_taken(self, path: str, mark: Mark) -> bool:
        """Say whether the report that is there is that of another step, which is of no later build."""
        from autonoma_ci.ci.comments.http import WebError

        try:
            theirs = _mark_in(self._web.ask("GET", path).data)
        except WebError as error:
            if error.status == 404:
                # The other step has removed this report, and has not yet written its own.
                return True
            raise
        return theirs is not None and not theirs.is_of(mark) and mark.claim(theirs) is not Claim.LEAVE

    def _clear(self, path: str) -> None:
        """Begin anew: what an earlier attempt had annotated would stay."""
        from autonoma_ci.ci.comments.http import WebError

        try:
            self._web.ask("DELETE", path)
        except WebError as error:
            if error.status != 404:
                raise


def _mark_in(found: object) -> Mark | None:
    data = found.get("data") if isinstance(found, dict) else None
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    values = [entry.get("value") for entry in entries if entry.get("title") == _WRITTEN_BY]
    return next((mark for value in values if isinstance(value, str) and (mark := parse_mark(value))), None)


def _report(report: Report, mark: Mark) -> dict[str, Any]:
    data = [
        {"title": name.replace("-", " ").capitalize(), "type": "NUMBER", "value": count}
        for name, count in counts(report.outcomes).items()
    ]
    if report.waited:
        data.append({"title": "Took", "type": "DURATION", "value": round(report.seconds * 1000)})
    data.append({"title": _WRITTEN_BY, "type": "TEXT", "value": str(mark)})
    fields = {
        "title": _title(report),
        "details": cut("\n".join([headline(report), *report.problems]), _DETAILS),
        "report_type": "TEST",
        "reporter": "autonoma-ci",
        "data": data,
    }
    # Of runs that nobody waits for there is no result, and a pending one would be pending for ever.
    if report.verdict and (result := _RESULTS.get(report.verdict.conclusion)):
        fields["result"] = result
    if first := next((url for run in report.outcomes if (url := link(run.url))), ""):
        fields["link"] = first
    return fields


def _title(report: Report) -> str:
    """Return the heading; a long title is cut before the part of the build, which tells two reports apart."""
    part = one_line(f" ({report.part.shown})", _TITLE) if report.part.shown else ""
    return f"{cut(one_line(report.title), max(1, _TITLE - len(part)))}{part}"


def _annotation(number: int, run: Outcome) -> dict[str, str]:
    told = ": ".join(filter(None, [run.message, told_step(run.step)]))
    fields = {
        "external_id": f"run-{number}",
        "annotation_type": "BUG",
        "summary": cut(f"{one_line(run.label)}: {state_words(run)}", _SUMMARY),
        "details": cut(one_line(f"{told} {run.hint}".strip()), _DETAILS),
        "result": "FAILED",
        "severity": "HIGH",
    }
    return {name: text for name, text in {**fields, "link": link(run.url)}.items() if text}


def insights(target: Target) -> tuple[Insights, ...]:
    """Return the publisher of the report, if the commit is known."""
    # Loads requests, which other systems and other commands do not need.
    from autonoma_ci.ci.comments.http import Web

    names = ("BITBUCKET_WORKSPACE", "BITBUCKET_REPO_SLUG", "BITBUCKET_BUILD_NUMBER")
    get = reader(target.environ)
    workspace, slug, build = map(get, names)
    if not (target.summary and target.shared and workspace and slug and target.context.sha):
        return ()
    path = f"/repositories/{quote(workspace, safe='')}/{quote(slug, safe='')}/commit/{target.context.sha}"
    origins = {name: get(name) for name in ("BITBUCKET_PR_ID", "BITBUCKET_TAG", "BITBUCKET_BRANCH")}
    origin = next((f"{name} {value}" for name, value in origins.items() if value), "")
    return (Insights(Web(API, {"Accept": "application/json"}, target.clock, PROXY), path, build, origin),)
