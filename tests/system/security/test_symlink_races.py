"""Symbolic links that another process creates during an operation."""

from __future__ import annotations

import os
import shutil
import threading
from base64 import b64encode
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.api.models import EvidenceFile, SignedUrl
from autonoma_ci.app.evidence_copy import EvidenceCopier
from autonoma_ci.commands.report import _AssetResolver, _write_file
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import InputError
from autonoma_ci.models import BuildContext, BuildIdRules
from autonoma_ci.reports import evidence_store
from autonoma_ci.reports.evidence_store import EvidenceDownloader
from autonoma_ci.reports.other_results import SharedResults
from autonoma_ci.reports.results_dir import ResultsDirPublisher, resolve_results_dir
from autonoma_ci.reports.results_json import render_results_json
from tests.support.fake_clock import FakeClock
from tests.support.reports import create_report, make_started_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.models import Report
    from autonoma_ci.reports.results_dir import ResultsDir

    # Prepares a workspace, and returns the operation.
    Preparation = Callable[["Workspace"], Callable[[], object]]

# The functions that see the file system. Those of pathlib and os.path use them too.
OS_FUNCTIONS = ("open", "mkdir", "replace", "rename", "unlink", "stat", "lstat", "readlink", "scandir", "chown", "dup")
IMAGE = "evidence/run-1/step-001.png"
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
PRECIOUS = b"precious"
CONTEXT = BuildContext("github", build_id="17")
BEGUN_REPORT = create_report([], None)._replace(step_id="this", context=CONTEXT)
OTHER_RESULTS = render_results_json(
    create_report([make_started_run("a")], None)._replace(step_id="other", context=CONTEXT)
).encode()


class Workspace:
    """A working directory with results-dir, and a directory outside with the same files."""

    def __init__(self, folder: Path) -> None:
        self.outside, self.work, self.aside = folder / "outside", folder / "work", folder / "aside"
        self.results = self.work / "results"
        for root, content in ((self.results, b"theirs"), (self.work / "old", PNG)):
            (root / "evidence" / "run-1").mkdir(parents=True)
            for path in ("results.json", "evidence/extra.txt", IMAGE):
                (root / path).write_bytes(content)
        (self.results / "results.json").write_bytes(OTHER_RESULTS)
        # Each directory of results-dir can become a link to this one.
        for path in ("", "evidence", "run-1", "evidence/run-1"):
            parent = self.outside / path
            parent.mkdir()
            for name in ("results.json", "extra.txt", "step-001.png"):
                (parent / name).write_bytes(PRECIOUS)
        self.results_dir: ResultsDir = resolve_results_dir("results", str(self.work))

    def swap(self, path: str) -> None:
        """Replace a directory below the working directory by a link."""
        with suppress(FileNotFoundError):  # the operation creates it later
            (self.work / path).rename(self.aside)
        with suppress(FileNotFoundError):  # its parent is missing too
            (self.work / path).symlink_to(self.outside)

    def read_outside(self) -> dict[str, bytes]:
        """Return the content of all files and directories outside by their path."""
        paths = sorted(self.outside.rglob("*"))
        return {str(path.relative_to(self.outside)): path.read_bytes() if path.is_file() else b"" for path in paths}

    def read_inside(self) -> list[bytes]:
        """Return the content of all files below the working directory."""
        files = [Path(folder, name) for folder, _, names in os.walk(self.work) for name in names]
        return [path.read_bytes() for path in files if not path.is_symlink()]


def list_extra_files(_: Report) -> Mapping[str, str]:
    """Return a file of the CI system in a subdirectory."""
    return {"evidence/extra.txt": "ours"}


def create_publisher(workspace: Workspace) -> ResultsDirPublisher:
    """Return a publisher that shares results-dir with another job step."""
    shared = SharedResults("this", CONTEXT, BuildIdRules(), "2025-01-02T03:04:05Z", FakeClock())
    return ResultsDirPublisher(workspace.results_dir, list_extra_files, shared=shared)


def begin_publishing(workspace: Workspace) -> Callable[[], object]:
    """Replace the files of the other step."""
    publisher = create_publisher(workspace)
    return lambda: publisher.begin(BEGUN_REPORT)


def begin_in_foreign_folder(workspace: Workspace) -> Callable[[], object]:
    """Rename the files of another program."""
    (workspace.results / "results.json").write_bytes(b"theirs")
    return begin_publishing(workspace)


def publish_running_step(workspace: Workspace) -> Callable[[], object]:
    """Write the files of a step in progress."""
    publisher = create_publisher(workspace)
    return lambda: publisher.publish(BEGUN_REPORT)


def remove_empty_results(workspace: Workspace) -> Callable[[], object]:
    """Remove the results.json that could not be replaced."""
    publisher = create_publisher(workspace)
    publisher._initial_results = PRECIOUS
    (workspace.results / "results.json").write_bytes(PRECIOUS)
    return publisher.remove_empty


def download_image(workspace: Workspace) -> Callable[[], object]:
    """Download a screenshot."""
    downloader = EvidenceDownloader(workspace.results_dir, 1000, 1000, allow_http_loopback=False)
    return lambda: downloader.fetch(EvidenceFile("run-1", 1, SignedUrl("https://media.test/1.png")))


def download_first_image(workspace: Workspace) -> Callable[[], object]:
    """Create results-dir for a screenshot."""
    shutil.rmtree(workspace.results)
    return download_image(workspace)


def fail_download(workspace: Workspace) -> Callable[[], object]:
    """Remove the partial file of a download that is no video."""
    downloader = EvidenceDownloader(workspace.results_dir, 1000, 1000, allow_http_loopback=False)
    return lambda: downloader.fetch(EvidenceFile("run-1", None, SignedUrl("https://media.test/1.png")))


def copy_image(workspace: Workspace) -> Callable[[], object]:
    """Copy a screenshot of an earlier step."""
    copier = EvidenceCopier(workspace.work / "old", workspace.results_dir, Settings())
    return lambda: copier.copy(IMAGE)


def write_report(workspace: Workspace) -> Callable[[], object]:
    """Write a report of the command `report`."""

    def write() -> None:
        with suppress(InputError):
            _write_file(workspace.results / "evidence" / "extra.txt", b"ours", str(workspace.work))

    return write


def embed_image(workspace: Workspace) -> Callable[[], object]:
    """Read a screenshot for a report in a single file."""
    assets = _AssetResolver(workspace.results, workspace.work / "report.html", workspace.work)
    return lambda: assets.data_url(IMAGE)


RESULTS_FOLDERS = ("results", "results/evidence", "results/evidence/run-1")
OPERATIONS: list[tuple[Preparation, str]] = [
    *((begin_publishing, path) for path in RESULTS_FOLDERS[:2]),
    *((begin_in_foreign_folder, path) for path in RESULTS_FOLDERS[:2]),
    *((publish_running_step, path) for path in RESULTS_FOLDERS[:2]),
    (remove_empty_results, "results"),
    *((download_image, path) for path in RESULTS_FOLDERS),
    *((download_first_image, path) for path in RESULTS_FOLDERS),
    *((fail_download, path) for path in RESULTS_FOLDERS),
    *((copy_image, path) for path in RESULTS_FOLDERS),
    *((write_report, path) for path in RESULTS_FOLDERS[:2]),
    *((embed_image, path) for path in RESULTS_FOLDERS),
    *((copy_image, path.replace("results", "old")) for path in RESULTS_FOLDERS),
]


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def download_file(_: str, write: Callable[[bytes], None], *__: object, **___: object) -> str:
        write(PNG)
        return "image/png"

    monkeypatch.setattr(evidence_store, "download_file", download_file)


def swap_before_call(number: int, workspace: Workspace, path: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Swap a directory for a link before the call of a system function with this number.

    Returns:
        The names of the called functions. The list grows during the operation.
    """
    calls: list[str] = []

    def wrap(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) == number:
                with monkeypatch.context() as patch:
                    for other_name, other in originals.items():
                        patch.setattr(os, other_name, other)
                    workspace.swap(path)
            return original(*args, **options)

        return call

    originals = {name: getattr(os, name) for name in OS_FUNCTIONS}
    for name, original in originals.items():
        monkeypatch.setattr(os, name, wrap(name, original))
    return calls


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(("operation", "path"), OPERATIONS, ids=lambda value: getattr(value, "__name__", value))
def test_link_at_any_moment_is_not_followed(
    operation: Preparation, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory becomes a link before each call in turn, and nothing outside changes or is read."""
    for number in count(1):
        workspace = Workspace(tmp_path / str(number))
        run_operation = operation(workspace)
        outside, inside = workspace.read_outside(), workspace.read_inside()
        with monkeypatch.context() as patch:
            calls = swap_before_call(number, workspace, path, patch)
            result = run_operation()
        assert workspace.read_outside() == outside, calls[number - 1 :]
        assert workspace.read_inside().count(PRECIOUS) <= inside.count(PRECIOUS)
        assert b64encode(PRECIOUS).decode() not in str(result)
        if len(calls) < number:
            break
    assert number > 1
    # Without a link, only a failed download and a read change nothing.
    assert (workspace.read_inside() == inside) == (operation in {fail_download, embed_image})


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("operation", [publish_running_step, download_image, copy_image])
def test_links_of_busy_process_are_not_followed(operation: Preparation, tmp_path: Path) -> None:
    """Another thread replaces results-dir by a link during all operations."""
    workspace = Workspace(tmp_path)
    expected = workspace.read_outside()
    is_done = threading.Event()

    def swap_repeatedly() -> None:
        # The operation may create the directory at any moment.
        for number in count():
            with suppress(OSError):
                workspace.results.rename(tmp_path / f"aside-{number}")
            with suppress(OSError):
                workspace.results.symlink_to(workspace.outside)
                workspace.results.unlink()
            if is_done.is_set():
                return

    swapper = threading.Thread(target=swap_repeatedly)
    swapper.start()
    try:
        for _ in range(100):
            operation(workspace)()
    finally:
        is_done.set()
        swapper.join()
    assert workspace.read_outside() == expected
