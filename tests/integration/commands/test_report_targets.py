"""The files that `report` may replace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.integration.commands.test_report import REPORT, SCREENSHOT, write_results
from tests.support.invoke_command import invoke
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make_hard_link(link: Path, results_json: Path) -> None:
    link.hardlink_to(results_json)


def make_soft_link(link: Path, results_json: Path) -> None:
    link.symlink_to(results_json)


def make_no_link(link: Path, results_json: Path) -> None:
    del link, results_json


@pytest.mark.parametrize("flags", [(), ("--single-file",)])
@pytest.mark.parametrize(
    ("output", "make_link"),
    [
        ("out/results.json", make_no_link),
        ("out/../out/./results.json", make_no_link),
        ("x.html", make_hard_link),
        ("x.html", make_soft_link),
    ],
)
def test_report_spares_its_results(
    output: str, make_link: Callable[[Path, Path], None], flags: tuple[str, ...], tmp_path: Path
) -> None:
    """The output may be no name or link of results.json."""
    results_json = write_results(tmp_path / "out") / "results.json"
    make_link(tmp_path / "x.html", results_json)
    before = results_json.read_bytes()
    result = invoke(tmp_path, "report", "out/results.json", "--output", output, *flags)
    assert result.code == 2
    assert "is the input of this report, which the report would replace. Use another --output." in result.err
    assert results_json.read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["evidence", "results.json"]


def test_report_spares_other_results(tmp_path: Path) -> None:
    """The output may be no results.json of another step."""
    write_results(tmp_path / "out")
    other_results = (tmp_path / "out" / "results.json").rename(tmp_path / "out" / "results.1.json")
    write_results(tmp_path / "other")
    before = other_results.read_bytes()
    result = invoke(tmp_path, "report", "other/results.json", "--output", "out/results.1.json")
    assert result.code == 2
    assert "is the results.json of a step, which the report would replace" in result.err
    assert other_results.read_bytes() == before


def test_report_spares_results_with_report_name(tmp_path: Path) -> None:
    """A results file can have any name, so its report goes to a folder of its own."""
    results_json = write_results(tmp_path) / "report.html"
    (tmp_path / "results.json").rename(results_json)
    before = results_json.read_bytes()
    assert invoke(tmp_path, "report", "report.html").output == "Wrote report/report.html\n"
    assert results_json.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "file"), [("html", "report.html"), ("junit", "junit.xml"), ("markdown", "summary.md")]
)
def test_report_of_numbered_results_has_own_folder(name: str, file: str, tmp_path: Path) -> None:
    """As in `wait`, the files beside it belong to the step that replaced it."""
    results = write_results(tmp_path / "out")
    (results / "results.json").rename(results / "results.1.json")
    (results / file).write_text("of the other step", "utf-8")
    result = invoke(tmp_path, "report", "out/results.1.json", "--format", name)
    assert result.output == f"Wrote out/results.1/{file}\n"
    assert (results / file).read_text("utf-8") == "of the other step"
    assert "Checkout" in (results / "results.1" / file).read_text("utf-8")
    assert name != "html" or f'src="../{SCREENSHOT}"' in (results / "results.1" / file).read_text("utf-8")


def test_report_pages_have_own_icons(tmp_path: Path) -> None:
    """Two pages in one folder have different icons."""
    results = write_results(tmp_path / "out", REPORT)
    invoke(tmp_path, "report", "out/results.json")
    failed_icon = (results / "evidence" / "report.svg").read_bytes()
    write_results(
        tmp_path / "other", create_report([make_passed_run("b")], PASSED_VERDICT)._replace(waits_for_results=True)
    )
    invoke(tmp_path, "report", "other/results.json", "--output", "out/a b.html")
    assert (results / "evidence" / "report.svg").read_bytes() == failed_icon
    icon = re.search('<link rel="icon" href="(.*)">', (results / "a b.html").read_text("utf-8"))
    assert icon
    assert icon[1] == "evidence/a%20b.svg"
    assert (results / "evidence" / "a b.svg").read_bytes() != failed_icon
    page = (results / "report.html").read_text("utf-8")
    assert '<link rel="icon" href="evidence/report.svg">' in page
