"""A Code Insights report on the commit, which Bitbucket shows with the pull request.

Source: Atlassian's documentation, "Code Insights" and "Reports" of the REST interface. A step of a pipeline needs
no credentials for it: a proxy on its own machine adds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autonoma_ci.ci.environment import reader
from autonoma_ci.ci.mark import Claim, Mark, mark_of, parse_mark, shared_warning
from autonoma_ci.ci.web import Web, WebError
from autonoma_ci.model import Conclusion
from autonoma_ci.report.words import AMISS, counts, headline, plural, state_words, told_step, worst_first
from autonoma_ci.text import cut, link, one_line

if TYPE_CHECKING:
    from autonoma_ci.ci.system import Target
    from autonoma_ci.context import Context
    from autonoma_ci.model import Outcome, Report

# The proxy takes plain http alone, and speaks https with the server itself.
API, PROXY = "http://api.bitbucket.org/2.0", "http://localhost:29418"
# Of one request; a report may have ten times as many.
ANNOTATIONS = 100
_TITLE, _SUMMARY, _DETAILS = 100, 450, 2000
# The report has at most ten entries of data. This one tells later steps which step wrote it.
_WRITTEN_BY = "Written by"
_RESULTS = {Conclusion.PASSED: "PASSED", Conclusion.FAILED: "FAILED", Conclusion.ERROR: "FAILED"}


class Insights:
    """Writes the report and an annotation for each run that needs a look, once the step ends.

    `build` is the number of the pipeline.
    """

    def __init__(self, web: Web, path: str, build: str) -> None:
        self._web, self._path, self._build = web, path, build

    def publish(self, report: Report) -> list[str]:
        """Write both; return what the log should warn of."""
        if not report.verdict or report.verdict.conclusion is Conclusion.SKIPPED:
            return []
        mark = mark_of(report, self._build)
        path = f"{self._path}/reports/autonoma-ci-{report.part.digest[:12]}"
        runs = [run for run in worst_first(report.outcomes) if run.state in AMISS]
        warnings = []
        try:
            claim = self._claim(path, mark)
            if claim is Claim.LEAVE:
                return []
            if claim is Claim.OTHER:
                path = f"{path}-{mark.step}"
                warnings.append(shared_warning("a Code Insights report"))
            self._clear(path)
            self._web.ask("PUT", path, _report(report, mark))
            if runs:
                notes = [_annotation(number, run) for number, run in enumerate(runs[:ANNOTATIONS])]
                self._web.ask("POST", f"{path}/annotations", notes)
        except WebError as error:
            return [f"The Code Insights report could not be written: {error}."]
        if len(runs) > ANNOTATIONS:
            warnings.append(f"The Code Insights report shows the first {plural(ANNOTATIONS, 'run')} of {len(runs)}.")
        return warnings

    def _claim(self, path: str, mark: Mark) -> Claim:
        """Say what may be done about the report that is there."""
        try:
            found = self._web.ask("GET", path).data
        except WebError as error:
            if error.status == 404:
                return Claim.REPLACE
            raise
        written_by = _mark_in(found)
        return mark.claim(written_by) if written_by else Claim.REPLACE

    def _clear(self, path: str) -> None:
        """Begin anew: what an earlier attempt had annotated would stay."""
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
        "title": cut(one_line(report.heading), _TITLE),
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


def insights(target: Target, context: Context) -> tuple[Insights, ...]:
    """Return the publisher of the report, if the commit is known."""
    names = ("BITBUCKET_WORKSPACE", "BITBUCKET_REPO_SLUG", "BITBUCKET_BUILD_NUMBER")
    workspace, slug, build = map(reader(target.environ), names)
    if not (target.summary and target.shared and workspace and slug and context.sha):
        return ()
    path = f"/repositories/{quote(workspace, safe='')}/{quote(slug, safe='')}/commit/{context.sha}"
    return (Insights(Web(API, {"Accept": "application/json"}, target.clock, PROXY), path, build),)
