"""Symbolic links that lead out of the checkout."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.reports.evidence_store import EvidenceDownloader
from autonoma_ci.reports.results_dir import ResultsDirPublisher
from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import POLL_POLICY, START_POLICY
from tests.support.invoke_command import CREDENTIALS, CommandResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from autonoma_ci.api.models import DownloadResult, EvidenceFile
    from autonoma_ci.models import Report

# Each file of the results folder with a fixed name.
RESULT_FILES = (
    "results.json",
    "outputs.env",
    "summary.md",
    "junit.xml",
    "report.html",
    "gitlab-annotations.json",
    "evidence/report.css",
    "evidence/report.svg",
)
OUTSIDE_TEXT = "precious"


class Checkout:
    """A job in a checkout, and a folder outside of it."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder, self.outside = folder / "checkout", folder / "outside"
        self.results = self.folder / "results"
        self.folder.mkdir()
        self.outside.mkdir()
        self._sandbox = sandbox

    def run(self, *argv: str, **more_environ: str) -> CommandResult:
        """Run a command with options to wait and to download all evidence."""
        environ = {
            **CREDENTIALS,
            "GITLAB_CI": "true",
            "AUTONOMA_API_URL": self._sandbox.url,
            "AUTONOMA_TEST_IDS": "sandbox-fails",
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_RESULTS_DIR": "results",
            "AUTONOMA_EVIDENCE": "all",
        }
        out, err = io.StringIO(), io.StringIO()
        job_runtime = Runtime(
            {**environ, **more_environ}, out, err, str(self.folder), poll_policy=POLL_POLICY, start_policy=START_POLICY
        )
        return CommandResult(cli.run_command(argv, job_runtime), out.getvalue(), err.getvalue())

    def create_links(self, create_link: Callable[[Path, Path], None], names: tuple[str, ...] = RESULT_FILES) -> None:
        """Create a file outside and a link to it for each name."""
        for number, name in enumerate(names):
            target = self.outside / f"file-{number}"
            target.write_text(OUTSIDE_TEXT, "utf-8")
            link = self.results / name
            link.parent.mkdir(parents=True, exist_ok=True)
            create_link(link, target)

    def assert_outside_unchanged(self) -> None:
        """Fail if a file outside has changed."""
        assert {path.read_text("utf-8") for path in self.outside.iterdir()} <= {OUTSIDE_TEXT}


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    with Sandbox(pace=0) as sandbox:
        yield Checkout(tmp_path, sandbox)


def create_dangling_link(link: Path, target: Path) -> None:
    target.unlink()
    link.symlink_to(target)


def create_hard_link(link: Path, target: Path) -> None:
    link.hardlink_to(target)


def create_symlink(link: Path, target: Path) -> None:
    link.symlink_to(target)


@pytest.mark.parametrize(
    "create_link",
    [create_symlink, create_hard_link, create_dangling_link],
    ids=["a link", "a hard link", "a link to nowhere"],
)
def test_result_file_is_not_written_through_link(create_link: Callable[[Path, Path], None], checkout: Checkout) -> None:
    """A link is replaced or reported, and its target stays unchanged."""
    checkout.create_links(create_link)
    result = checkout.run("run")
    assert result.code == 1
    for name in RESULT_FILES:
        path = checkout.results / name
        is_reported = (
            f"{name} could not be written to results-dir (symbolic link in place of a directory)" in result.output
        )
        assert path.is_symlink() == is_reported
        assert is_reported or path.read_bytes() != OUTSIDE_TEXT.encode()
        assert not is_reported or "/" in name
    checkout.assert_outside_unchanged()
    names = {path.name for path in checkout.results.iterdir()}
    renamed_files = {f"{name}.orig" for name in RESULT_FILES}
    assert names - renamed_files == {name.partition("/")[0] for name in RESULT_FILES}, "no draft is left behind"


@pytest.mark.parametrize("name", [".", "deeper/results", "evidence"])
def test_results_folder_link_is_refused(name: str, checkout: Checkout) -> None:
    """A results folder behind a link that leads outside is refused."""
    link = checkout.folder / "results" / name if name == "evidence" else checkout.folder / "results"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(checkout.outside)
    result = checkout.run("run", AUTONOMA_RESULTS_DIR="results/deeper" if "/" in name else "results")
    assert result.code == (1 if name == "evidence" else 2)
    assert "symbolic link" in result.output
    assert list(checkout.outside.iterdir()) == []


def replace_with_link(checkout: Checkout) -> None:
    """Replace the results folder by a link, like a concurrent process."""
    shutil.rmtree(checkout.results)
    checkout.results.symlink_to(checkout.outside)


def test_late_results_link_is_not_followed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that replaces the results folder during the runs is not followed."""
    publish = ResultsDirPublisher.publish

    def publish_behind_link(self: ResultsDirPublisher, report: Report) -> list[str]:
        # The results.json is written twice.
        if report.verdict and not checkout.results.is_symlink():
            replace_with_link(checkout)
        return publish(self, report)

    monkeypatch.setattr(ResultsDirPublisher, "publish", publish_behind_link)
    result = checkout.run("run")
    assert result.code == 1, "the verdict is that of the tests"
    assert (
        "results.json could not be written to results-dir (symbolic link leads outside of the directory)"
        in result.output
    )
    assert list(checkout.outside.iterdir()) == []


def test_late_evidence_link_is_not_followed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that replaces the folder before a download is not followed."""
    fetch = EvidenceDownloader.fetch

    def fetch_behind_link(self: EvidenceDownloader, item: EvidenceFile) -> DownloadResult:
        if not checkout.results.is_symlink():
            replace_with_link(checkout)
        return fetch(self, item)

    monkeypatch.setattr(EvidenceDownloader, "fetch", fetch_behind_link)
    result = checkout.run("run")
    assert result.code == 1
    assert "symbolic link leads outside of the directory" in result.output
    assert list(checkout.outside.iterdir()) == []


@pytest.mark.parametrize("name", ["results", "results/results.json"])
@pytest.mark.parametrize("argv", [("wait",), ("report", "--output", "-")])
def test_results_link_outside_is_not_read(argv: tuple[str, ...], name: str, checkout: Checkout) -> None:
    """`wait` and `report` refuse a results.json behind a link that leads outside."""
    checkout.run("run", AUTONOMA_RESULTS_DIR=str(checkout.outside), AUTONOMA_EVIDENCE="none")
    (checkout.folder / name).parent.mkdir(exist_ok=True)
    target = checkout.outside if name == "results" else checkout.outside / "results.json"
    (checkout.folder / name).symlink_to(target)
    modified_at = target.stat().st_mtime_ns
    result = checkout.run(*argv, "results/results.json", AUTONOMA_RESULTS_DIR="")
    assert result.code == 2
    assert ": symbolic link leads outside of the working directory" in result.err
    assert result.out == ""
    assert target.stat().st_mtime_ns == modified_at


@pytest.mark.parametrize("name", ["demo", "demo/results"])
def test_demo_link_outside_is_refused(name: str, checkout: Checkout) -> None:
    """`demo` writes nothing through a link that leads outside."""
    (checkout.folder / name).parent.mkdir(exist_ok=True)
    (checkout.folder / name).symlink_to(checkout.outside)
    result = checkout.run("demo", "--output", "demo")
    assert result.code == 2
    assert "symbolic link" in result.err or "through a link" in result.err
    assert list(checkout.outside.iterdir()) == []
