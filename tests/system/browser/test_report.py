"""The report.html of the demo in a browser."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.invoke_command import invoke
from tests.system.browser.conftest import save_screenshot, serve_like_jenkins

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.system.browser.conftest import OpenedPage

AXE = Path(__file__).parents[1] / "linters" / "node_modules" / "axe-core" / "axe.min.js"


def find_violations(page: Page) -> list[str]:
    """Return the violations that axe-core finds with all sections open."""
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")
    page.evaluate(AXE.read_text("utf-8"))
    results: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{violation['id']}: {violation['nodes'][0]['html'][:200]}" for violation in results["violations"]]


def read_visible_states(page: Page) -> list[str]:
    """Return the states in the visible rows of the table."""
    states = page.locator("tbody tr:visible td:first-child")
    return [text.split("\xa0")[-1].strip() for text in states.all_inner_texts()]


def test_page_opens_offline_from_disk(demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """All images load from the disk without a network."""
    report = open_page(demo / "report.html")
    assert report.count_loaded_images() >= 28
    assert report.messages == []
    assert all(url.startswith("file:") for url in report.requested_urls)
    assert report.page.title() == "Failed: Demo"
    assert "6 of 7 runs passed (1 flaky), 1 failed." in report.page.inner_text("h1")


def test_page_opens_under_jenkins_policy(demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """Style and images load under the Content-Security-Policy of Jenkins."""
    with serve_like_jenkins(demo) as origin:
        report = open_page(f"{origin}/report.html")
        assert report.count_loaded_images() >= 28
        assert report.messages == []
        assert all(url.startswith(f"{origin}/") for url in report.requested_urls)
        locator = report.page.locator(".state.bad").first
        assert locator.evaluate("one => getComputedStyle(one).color") == "rgb(179, 38, 30)"


def test_page_has_no_script_or_inline_style(demo: Path) -> None:
    """The page has no script, event handler or style attribute."""
    text = (demo / "report.html").read_text("utf-8")
    assert "<script" not in text
    assert " on" not in "".join(part.split(">")[0].lower() for part in text.split("<") if "=" in part.split(">")[0])
    assert " style=" not in text


def test_failures_come_first_then_flaky(demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """Other passed runs come last."""
    assert read_visible_states(open_page(demo / "report.html").page) == ["failed", "passed, flaky", *["passed"] * 5]


def test_failing_step_is_visible_at_once(demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """The failing step has its reason and screenshot, and the linked files exist."""
    page = open_page(demo / "report.html").page
    failing_step = page.locator("article.bad").first.locator(".step.bad").first
    assert failing_step.is_visible()
    assert "Expected a confirmation" in failing_step.inner_text()
    assert failing_step.locator("img").is_visible()
    href = failing_step.locator("a.shot").get_attribute("href")
    assert href
    assert (demo / href).is_file()
    video = page.locator("article.bad a", has_text="Video").first.get_attribute("href")
    assert video
    assert (demo / video).is_file()


def test_table_is_filtered_by_keyboard(demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """The arrow keys select the state of the visible runs."""
    page = open_page(demo / "report.html").page
    page.focus("#show-all")
    page.keyboard.press("ArrowRight")
    assert read_visible_states(page) == ["failed"]
    assert page.locator("article:visible").count() == 1
    page.keyboard.press("ArrowRight")
    assert read_visible_states(page) == ["passed, flaky"]


def test_table_links_lead_to_runs(demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """Each link of the table leads to the run with the same name."""
    page = open_page(demo / "report.html").page
    for link in page.locator("tbody th a[href^='#']").all():
        target = page.locator(f"{link.get_attribute('href')} h3")
        assert link.inner_text() in target.inner_text()


def test_page_is_equal_without_scripts(demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """The page has the same content whether or not the browser runs scripts."""
    with_scripts, without_scripts = (
        open_page(demo / "report.html", script=script).page.content() for script in (True, False)
    )
    assert with_scripts == without_scripts


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (1100, "dark"), (320, "light"), (320, "dark")])
def test_page_has_no_axe_violation(width: int, scheme: str, demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """The page is accessible in both widths and color schemes."""
    assert find_violations(open_page(demo / "report.html", width, scheme).page) == []


def test_axe_script_is_present() -> None:
    """A missing script would let the check pass."""
    assert AXE.stat().st_size > 100_000


def test_axe_finds_missing_alt_text(demo: Path, open_page: Callable[..., OpenedPage]) -> None:
    """The check with axe finds an image without alternative text."""
    page = open_page(demo / "report.html").page
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    assert any(violation.startswith("image-alt") for violation in find_violations(page))


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("wide", 1100, "light"), ("dark", 1100, "dark"), ("narrow", 320, "light")]
)
def test_page_fits_and_has_its_colors(
    name: str, width: int, scheme: str, demo: Path, open_page: Callable[..., OpenedPage], tmp_path: Path
) -> None:
    """Nothing has to be scrolled sideways, and the background has the color of its scheme."""
    report = open_page(demo / "report.html", width, scheme)
    report.count_loaded_images()
    assert report.fits_width()
    background = report.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 23, 28)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert save_screenshot(report.page, f"report-{name}", tmp_path).stat().st_size > 10_000


def test_print_shows_all_steps(demo: Path, open_page: Callable[..., OpenedPage], tmp_path: Path) -> None:
    """The printed page shows closed steps, has no filter and has light colors."""
    page = open_page(demo / "report.html", scheme="dark").page
    closed_step = page.locator("details:not([open]) .step").first
    assert not closed_step.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert closed_step.is_visible()
    assert not page.locator(".filter").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(path=tmp_path / "report.pdf").startswith(b"%PDF")


def test_report_command_creates_same_page(demo: Path) -> None:
    """The command report creates the page of the step again, without the commands that results.json lacks."""
    first_page = (demo / "report.html").read_text("utf-8")
    assert first_page.count("Run again: ") == 1
    first_page = re.sub('<p class="again">.*</p>\n', "", first_page)
    assert invoke(demo, "report", "results.json", "--output", "again.html").code == 0
    second_page = (demo / "again.html").read_text("utf-8")
    # Only the icon has another name, because two pages in a folder can have two verdicts.
    assert second_page.replace("evidence/again.svg", "evidence/report.svg") == first_page
    assert (demo / "evidence/again.svg").read_bytes() == (demo / "evidence/report.svg").read_bytes()


def test_single_file_is_complete(demo: Path, open_page: Callable[..., OpenedPage], tmp_path: Path) -> None:
    """A single file shows all images without other files."""
    assert invoke(demo, "report", "results.json", "--single-file", "--output", str(tmp_path / "mail.html")).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mail.html"]
    report = open_page(tmp_path / "mail.html")
    assert report.count_loaded_images() >= 28
    assert report.messages == []
    assert len([url for url in report.requested_urls if url.startswith("file:")]) == 1


def test_lost_evidence_shows_no_broken_image(demo: Path, open_page: Callable[..., OpenedPage], tmp_path: Path) -> None:
    """Without the evidence folder, the page has all texts and no broken image."""
    shutil.copy(demo / "results.json", tmp_path / "results.json")
    assert invoke(tmp_path, "report", "results.json").code == 0
    report = open_page(tmp_path / "report.html")
    assert report.count_loaded_images() == 0
    assert report.messages == []
    assert "Expected a confirmation" in report.page.inner_text("article.bad")
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))["runs"]
