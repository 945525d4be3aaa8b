"""report.html of the demo in a real browser: from a disk, from a strict server, narrow, dark, on paper, by keyboard."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import keep_screenshot, strict_server
from tests.commands.invoke import invoke

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.browser.conftest import Opened

AXE = Path(__file__).parents[1] / "linters" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[str]:
    """Return what axe-core finds, with everything of the page open."""
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")
    page.evaluate(AXE.read_text("utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


def rows(page: Page) -> list[str]:
    """Return the states in the table that are to be seen."""
    states = page.locator("tbody tr:visible td:first-child")
    return [text.split("\xa0")[-1].strip() for text in states.all_inner_texts()]


def test_it_opens_from_a_disk_without_a_network(demo: Path, opened: Callable[..., Opened]) -> None:
    report = opened(demo / "report.html")
    assert report.pictures_are_there() >= 28
    assert report.said == []
    assert all(url.startswith("file:") for url in report.asked)
    assert report.page.title() == "Failed: Demo"
    assert "6 of 7 runs passed (1 flaky), 1 failed." in report.page.inner_text("h1")


def test_it_opens_under_jenkins_policy_with_its_style_and_its_pictures(
    demo: Path, opened: Callable[..., Opened]
) -> None:
    with strict_server(demo) as origin:
        report = opened(f"{origin}/report.html")
        assert report.pictures_are_there() >= 28
        assert report.said == []
        assert all(url.startswith(f"{origin}/") for url in report.asked)
        locator = report.page.locator(".state.bad").first
        assert locator.evaluate("one => getComputedStyle(one).color") == "rgb(179, 38, 30)"


def test_it_asks_for_nothing_from_elsewhere_and_has_no_script(demo: Path) -> None:
    text = (demo / "report.html").read_text("utf-8")
    assert "<script" not in text
    assert " on" not in "".join(part.split(">")[0].lower() for part in text.split("<") if "=" in part.split(">")[0])
    assert " style=" not in text


def test_failures_come_first_then_what_is_flaky(demo: Path, opened: Callable[..., Opened]) -> None:
    assert rows(opened(demo / "report.html").page) == ["failed", "passed, flaky", *["passed"] * 5]


def test_the_failing_step_is_to_be_seen_at_once(demo: Path, opened: Callable[..., Opened]) -> None:
    page = opened(demo / "report.html").page
    failing = page.locator("article.bad").first.locator(".step.bad").first
    assert failing.is_visible()
    assert "Expected a confirmation" in failing.inner_text()
    assert failing.locator("img").is_visible()
    href = failing.locator("a.shot").get_attribute("href")
    assert href
    assert (demo / href).is_file()
    video = page.locator("article.bad a", has_text="Video").first.get_attribute("href")
    assert video
    assert (demo / video).is_file()


def test_the_table_is_filtered_by_keyboard_alone(demo: Path, opened: Callable[..., Opened]) -> None:
    page = opened(demo / "report.html").page
    page.focus("#show-all")
    page.keyboard.press("ArrowRight")
    assert rows(page) == ["failed"]
    assert page.locator("article:visible").count() == 1
    page.keyboard.press("ArrowRight")
    assert rows(page) == ["passed, flaky"]


def test_each_link_of_the_table_leads_to_its_run(demo: Path, opened: Callable[..., Opened]) -> None:
    page = opened(demo / "report.html").page
    for link in page.locator("tbody th a[href^='#']").all():
        target = page.locator(f"{link.get_attribute('href')} h3")
        assert link.inner_text() in target.inner_text()


def test_without_scripts_it_says_the_same(demo: Path, opened: Callable[..., Opened]) -> None:
    with_script, without = (opened(demo / "report.html", script=script).page.content() for script in (True, False))
    assert with_script == without


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (1100, "dark"), (320, "light"), (320, "dark")])
def test_axe_finds_nothing(width: int, scheme: str, demo: Path, opened: Callable[..., Opened]) -> None:
    assert violations(opened(demo / "report.html", width, scheme).page) == []


def test_axe_would_find_something() -> None:
    """The rules are there: a check that can't fail proves nothing."""
    assert AXE.stat().st_size > 100_000


def test_axe_finds_what_is_wrong(demo: Path, opened: Callable[..., Opened]) -> None:
    page = opened(demo / "report.html").page
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    assert any(found.startswith("image-alt") for found in violations(page))


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("wide", 1100, "light"), ("dark", 1100, "dark"), ("narrow", 320, "light")]
)
def test_it_fits_and_has_its_colours(
    name: str, width: int, scheme: str, demo: Path, opened: Callable[..., Opened], tmp_path: Path
) -> None:
    report = opened(demo / "report.html", width, scheme)
    report.pictures_are_there()
    assert report.fits()
    ground = report.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 28)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert keep_screenshot(report.page, f"report-{name}", tmp_path).stat().st_size > 10_000


def test_on_paper_all_steps_are_there(demo: Path, opened: Callable[..., Opened], tmp_path: Path) -> None:
    page = opened(demo / "report.html", scheme="dark").page
    closed = page.locator("details:not([open]) .step").first
    assert not closed.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert closed.is_visible()
    assert not page.locator(".filter").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(path=tmp_path / "report.pdf").startswith(b"%PDF")


def test_the_report_command_makes_the_same_page_again(demo: Path) -> None:
    before = (demo / "report.html").read_text("utf-8")
    assert invoke(demo, "report", "results.json", "--output", "again.html").code == 0
    again = (demo / "again.html").read_text("utf-8")
    # But for the icon of the verdict: two pages in a folder may have two verdicts.
    assert again.replace("evidence/again.svg", "evidence/report.svg") == before
    assert (demo / "evidence/again.svg").read_bytes() == (demo / "evidence/report.svg").read_bytes()


def test_a_single_file_shows_all_of_it_wherever_it_is(
    demo: Path, opened: Callable[..., Opened], tmp_path: Path
) -> None:
    assert invoke(demo, "report", "results.json", "--single-file", "--output", str(tmp_path / "mail.html")).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mail.html"]
    report = opened(tmp_path / "mail.html")
    assert report.pictures_are_there() >= 28
    assert report.said == []
    assert len([url for url in report.asked if url.startswith("file:")]) == 1


def test_evidence_that_was_lost_leaves_no_broken_picture(
    demo: Path, opened: Callable[..., Opened], tmp_path: Path
) -> None:
    shutil.copy(demo / "results.json", tmp_path / "results.json")
    assert invoke(tmp_path, "report", "results.json").code == 0
    report = opened(tmp_path / "report.html")
    assert report.pictures_are_there() == 0
    assert report.said == []
    assert "Expected a confirmation" in report.page.inner_text("article.bad")
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))["runs"]
