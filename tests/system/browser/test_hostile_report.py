"""Reports with hostile texts and many runs in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.responses import parse_details_response
from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.models import (
    BuildContext,
    ChangeSummary,
    Conclusion,
    Evidence,
    ExitReason,
    PreviousAttempt,
    Quarantine,
    Report,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
    Verdict,
)
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.html import asset_files, render_html
from tests.system.browser.conftest import serve_like_jenkins
from tests.system.browser.test_report import find_violations, read_visible_states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.browser.conftest import OpenedPage

HOSTILE_TEXTS = {
    "script": "<script>alert('script')</script>",
    "handler": "\"><img src=x onerror=alert('handler')>",
    "attribute": "' onmouseover=alert(1) autofocus onfocus=alert(2) x='",
    "address": "javascript:alert('address')",
    "data": "data:text/html,<script>alert('data')</script>",
    "style": "</style><style>body{display:none}</style><link rel=stylesheet href=https://evil.test/x.css>",
    "end": "</title></svg></table></details><h1>All passed</h1>",
    "template": "{{ 7 * 7 }}{% raw %}${7*7}",
    "bidi": "abc\u202edessap\u2066\u200f\u061c",
    "rtl": "נכשל بدون زر",
    "word": "w" * 5000,
    "entity": "&lt;script&gt; &amp; &#60;b&#62;",
    "controls": "a\x00b\x1b[31mc\r\nd\ud800e",
    "comment": "<!-- --> <![CDATA[ ]]>",
}


def build_hostile_report(text: str) -> Report:
    """Return a report with this text in every field that comes from outside."""
    step = RunStep(2, text, text, text, text)
    evidence = Evidence((RunStep(1, text, text, text, text), step), "", text)
    request = RunRequest(
        TargetKind.TEST, "id-1", text, {text: "a value"}, environment=text, owner=text, rerun_command=text
    )
    quarantined_request = request._replace(quarantine=Quarantine("2026-12-31", text, text))
    failed_run = RunResult(
        request, RunState.FAILED, ExitReason.FAILED, text, text, text, text, 200, 1, 5.0, 0.0, text, step,
        (PreviousAttempt(text, text, text, step, 0.0, 3.0, evidence),), evidence=evidence,
    )  # fmt: skip
    runs = [failed_run, *(failed_run._replace(state=state, previous_attempts=()) for state in RunState)]
    runs += [run._replace(request=quarantined_request) for run in runs[1:]]
    context = BuildContext(text, text, text, text, text, text, text, text, text)
    verdict = Verdict(Conclusion.FAILED, ExitReason.FAILED, 1)
    return Report(
        text, context, text, tuple(runs), verdict, text, "2025-01-07T09:30:00Z", web_base_url=text,
        waits_for_results=True, resume_command=text, plan_notes=(text,), duration_seconds=9.0,
        source_label=text, option_variables=(text,), quarantined_by_change=(text,),
        change=ChangeSummary("clone", text, 3, text),
    )  # fmt: skip


def write_report(report: Report, folder: Path) -> Path:
    (folder / "evidence").mkdir()
    for name, content in asset_files(report).items():
        (folder / name).write_text(content, "utf-8")
    (folder / "report.html").write_bytes(render_html(report))
    return folder / "report.html"


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text_is_shown_as_text(text: str, open_page: Callable[..., OpenedPage], tmp_path: Path) -> None:
    """Hostile text adds no elements and no foreign links or requests, and fits the width."""
    report = open_page(write_report(build_hostile_report(text), tmp_path), 320)
    page = report.page
    page.wait_for_timeout(50)
    assert report.messages == []
    assert all(url.startswith(tmp_path.as_uri()) for url in report.requested_urls)
    assert page.locator("script, img, iframe, object, style, link:not([href^='evidence/'])").count() == 0
    assert page.locator("h1").count() == 1
    assert len(read_visible_states(page)) == 1 + 2 * len(RunState)
    hrefs = page.eval_on_selector_all("a", "all => all.map(one => one.getAttribute('href'))")
    assert all(href.startswith("#") for href in hrefs)
    visible_name = page.locator("article h3 bdi").first.inner_text()
    assert (
        visible_name.replace(" ", "")[:20]
        == "".join(character for character in text if character.isprintable() and character != " ")[:20]
        or "\x00" in text
    )
    assert report.fits_width(), "nothing has to be scrolled sideways"
    page.set_viewport_size({"width": 1100, "height": 900})
    assert report.fits_width()


@pytest.mark.parametrize("text", [HOSTILE_TEXTS["handler"], HOSTILE_TEXTS["word"], HOSTILE_TEXTS["rtl"]])
def test_hostile_text_is_accessible(text: str, open_page: Callable[..., OpenedPage], tmp_path: Path) -> None:
    """Hostile text causes no violation of the rules of axe."""
    assert find_violations(open_page(write_report(build_hostile_report(text), tmp_path), 320).page) == []


def test_hostile_text_passes_jenkins_policy(open_page: Callable[..., OpenedPage], tmp_path: Path) -> None:
    """The browser logs no message and requests nothing from other hosts."""
    write_report(build_hostile_report("".join(HOSTILE_TEXTS.values())), tmp_path)
    with serve_like_jenkins(tmp_path) as origin:
        report = open_page(f"{origin}/report.html")
        assert report.messages == []
        assert all(url.startswith(f"{origin}/") for url in report.requested_urls)


def test_10_000_steps_fit_page(open_page: Callable[..., OpenedPage], tmp_path: Path) -> None:
    """Most of 10,000 steps are left out, and the last one, which failed, is shown."""
    steps = ",".join(f'{{"instruction": "Step {n}", "status": "passed"}}' for n in range(1, 10_000))
    body = f'{{"name": "Long", "steps": [{steps}, {{"instruction": "The end", "status": "failed", "output": "No"}}]}}'
    details = parse_details_response(HttpResponse(200, {}, body.encode(), is_complete=True), lambda: Redactor(()))
    request = RunRequest(TargetKind.TEST, "id-1")
    run = RunResult(
        request, RunState.FAILED, ExitReason.FAILED, "r1", step=details.step, evidence=Evidence(details.steps)
    )
    report = open_page(write_report(build_hostile_report("x")._replace(results=(run,)), tmp_path), 320)
    assert report.page.locator("summary").first.inner_text().startswith("10,000 test steps")
    assert report.page.locator(".gap").inner_text() == "9,800 more test steps not shown."
    assert "The end" in report.page.locator(".step.bad").inner_text()
    assert report.fits_width()


def test_1200_runs_fit_page(open_page: Callable[..., OpenedPage], tmp_path: Path) -> None:
    """All 1,200 runs are in the table, and 1,000 of them in the chart."""
    runs = tuple(
        RunResult(
            RunRequest(TargetKind.TEST, f"id-{n}", f"Test number {n}"), RunState.PASSED if n % 10 else RunState.FAILED,
            run_id=f"r-{n}", url=f"https://autonoma.app/run/r-{n}",
            duration_seconds=5.0 + n % 60, start_offset_seconds=n / 10,
        )
        for n in range(1, 1201)
    )  # fmt: skip
    report = open_page(write_report(build_hostile_report("x")._replace(results=runs), tmp_path), 320)
    assert len(read_visible_states(report.page)) == 1200
    assert read_visible_states(report.page)[:121] == ["failed"] * 120 + ["passed"]
    assert report.page.locator("svg rect").count() == 1000
    assert "200 more not shown." in report.page.inner_text("main")
    assert report.fits_width()
