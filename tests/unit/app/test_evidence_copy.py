"""Tests of evidence that a later step copies."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.evidence_copy import EvidenceCopier, copy_evidence
from autonoma_ci.config.settings import Settings
from autonoma_ci.fs.files import Directory
from autonoma_ci.models import Evidence, PreviousAttempt, RunResult, RunStep
from autonoma_ci.reports.results_dir import resolve_results_dir
from tests.support.reports import make_failed_run, make_passed_run

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE, OTHER_IMAGE, VIDEO = "evidence/r/step-001.png", "evidence/r/step-002.png", "evidence/r/video.webm"
MISSING = "not found beside results.json"
TOO_LARGE = "larger than evidence-file-limit"
OVER_LIMIT = "evidence-limit reached"


def write_file(folder: Path, path: str, data: bytes = b"pixels") -> Path:
    """Write a file of the earlier step."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
    return folder / path


def make_evidence(*images: str, video: str = "", reason: str = "") -> Evidence:
    """Return evidence with one step for each image."""
    steps = tuple(RunStep(number, f"Step {number}", screenshot=path) for number, path in enumerate(images, 1))
    return Evidence(steps, video, reason)


def make_run(*images: str, video: str = "", reason: str = "") -> RunResult:
    """Return a failed run with these files."""
    return make_failed_run("a")._replace(evidence=make_evidence(*images, video=video, reason=reason), step=None)


def copy_files(
    root: Path, *runs: RunResult, target: str = "new", settings: Settings | None = None
) -> tuple[list[RunResult], Settings]:
    """Copy the evidence in `old` to the target folder."""
    return copy_evidence(runs, Path("old"), settings or Settings(), resolve_results_dir(target, str(root)))


def list_files(folder: Path) -> dict[str, bytes]:
    """Return the content of all files by their path in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def create_copier(root: Path, settings: Settings | None = None) -> EvidenceCopier:
    """Return a copier from `old` to `new`."""
    return EvidenceCopier(root / "old", resolve_results_dir("new", str(root)), settings or Settings())


def test_copy_has_all_files(tmp_path: Path) -> None:
    """Screenshots and video are copied, and the run stays as it is."""
    for path, data in ((IMAGE, b"one"), (OTHER_IMAGE, b"two"), (VIDEO, b"frames")):
        write_file(tmp_path / "old", path, data)
    run = make_run(IMAGE, OTHER_IMAGE, video=VIDEO)
    runs, _ = copy_files(tmp_path, run)
    assert runs == [run]
    assert list_files(tmp_path / "new") == {IMAGE: b"one", OTHER_IMAGE: b"two", VIDEO: b"frames"}


def test_copy_replaces_older_file(tmp_path: Path) -> None:
    """A file of an earlier build does not stay in results-dir."""
    write_file(tmp_path / "old", IMAGE, b"now")
    write_file(tmp_path / "new", IMAGE, b"earlier")
    copy_files(tmp_path, make_run(IMAGE))
    assert list_files(tmp_path / "new") == {IMAGE: b"now"}


def test_copy_without_evidence_writes_nothing(tmp_path: Path) -> None:
    """Runs without files need no folder."""
    runs = [make_passed_run("a"), make_failed_run("b")]
    assert copy_files(tmp_path, *runs) == (runs, Settings())
    assert list(tmp_path.iterdir()) == []


def test_copy_includes_failed_step(tmp_path: Path) -> None:
    """The screenshot of the failed step is a file of the run."""
    write_file(tmp_path / "old", IMAGE)
    run = make_failed_run("a")._replace(step=RunStep(1, screenshot=IMAGE))
    assert copy_files(tmp_path, run)[0] == [run]
    assert list_files(tmp_path / "new") == {IMAGE: b"pixels"}


def test_copy_includes_previous_attempts(tmp_path: Path) -> None:
    """The evidence of failed attempts is copied too."""
    write_file(tmp_path / "old", IMAGE)
    attempt = PreviousAttempt("r", step=RunStep(1, screenshot=IMAGE), evidence=make_evidence(IMAGE))
    run = make_passed_run("a")._replace(previous_attempts=(attempt,))
    assert copy_files(tmp_path, run)[0] == [run]
    assert list_files(tmp_path / "new") == {IMAGE: b"pixels"}


def test_copy_preserves_order_of_runs(tmp_path: Path) -> None:
    """Failures are copied first, and the runs stay in the order of the plan."""
    runs = [make_passed_run("a"), make_failed_run("b"), make_passed_run("c")]
    assert copy_files(tmp_path, *runs)[0] == runs


# Missing files


def test_missing_files_have_one_reason(tmp_path: Path) -> None:
    """The run has the number of missing files and no path of them."""
    [run], _ = copy_files(tmp_path, make_run(IMAGE, OTHER_IMAGE, video=VIDEO))
    assert run.evidence.missing_reason == f"3 files: {MISSING}"
    assert run.evidence.files == []
    assert [step.instruction for step in run.evidence.steps] == ["Step 1", "Step 2"]


def test_missing_file_spares_others(tmp_path: Path) -> None:
    """A run has the files that were copied."""
    write_file(tmp_path / "old", OTHER_IMAGE)
    [run], _ = copy_files(tmp_path, make_run(IMAGE, OTHER_IMAGE, video=VIDEO))
    assert run.evidence.files == [OTHER_IMAGE]
    assert run.evidence.missing_reason == f"2 files: {MISSING}"


def test_missing_file_counts_once(tmp_path: Path) -> None:
    """The same file in two places of a run is one file."""
    run = make_run(IMAGE)._replace(step=RunStep(1, screenshot=IMAGE))
    [copied_run], _ = copy_files(tmp_path, run)
    assert copied_run.evidence.missing_reason == f"1 file: {MISSING}"
    assert copied_run.step == RunStep(1)


def test_missing_reason_joins_earlier_one(tmp_path: Path) -> None:
    """The reason of the first step stays."""
    [run], _ = copy_files(tmp_path, make_run(IMAGE, reason="1 file: HTTP 500"))
    assert run.evidence.missing_reason == f"1 file: HTTP 500, 1 file: {MISSING}"


def test_missing_reason_is_truncated(tmp_path: Path) -> None:
    """A very long reason of an untrusted results.json stays readable."""
    [run], _ = copy_files(tmp_path, make_run(IMAGE, reason="x" * 9000))
    assert len(run.evidence.missing_reason) == 2000
    [run], _ = copy_files(tmp_path, make_run(IMAGE, reason="x" * 1900))
    assert run.evidence.missing_reason == f"{'x' * 1900}, 1 file: {MISSING}"


def test_missing_file_of_attempt_has_reason(tmp_path: Path) -> None:
    """Only the attempt with the missing file has a reason."""
    write_file(tmp_path / "old", IMAGE)
    attempt = PreviousAttempt("r", step=RunStep(2, screenshot=OTHER_IMAGE), evidence=make_evidence(OTHER_IMAGE))
    [run], _ = copy_files(tmp_path, make_run(IMAGE)._replace(previous_attempts=(attempt,)))
    assert run.evidence == make_evidence(IMAGE)
    assert run.previous_attempts[0].step == RunStep(2)
    assert run.previous_attempts[0].evidence.files == []
    assert run.previous_attempts[0].evidence.missing_reason == f"1 file: {MISSING}"


@pytest.mark.parametrize("data", [None, b""], ids=["absent", "empty"])
def test_empty_file_counts_as_missing(data: bytes | None, tmp_path: Path) -> None:
    """A download that was cut off leaves an empty file."""
    if data is not None:
        write_file(tmp_path / "old", IMAGE, data)
    files = create_copier(tmp_path)
    files.copy(IMAGE)
    assert files.missing == {IMAGE: MISSING}


def test_folder_in_place_of_file_is_missing(tmp_path: Path) -> None:
    """Only a regular file is copied."""
    (tmp_path / "old" / IMAGE).mkdir(parents=True)
    files = create_copier(tmp_path)
    files.copy(IMAGE)
    assert files.missing == {IMAGE: MISSING}


def test_fifo_in_place_of_file_is_missing(tmp_path: Path) -> None:
    """To open a pipe without a writer would block forever."""
    (tmp_path / "old" / IMAGE).parent.mkdir(parents=True)
    os.mkfifo(tmp_path / "old" / IMAGE)
    files = create_copier(tmp_path)
    files.copy(IMAGE)
    assert files.missing == {IMAGE: MISSING}


def test_file_replaced_during_copy_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows or vanishes after its size was read is left out."""
    write_file(tmp_path / "old", IMAGE)

    read_file = Directory.read_file

    def read_after_growth(self: Directory, name: str, limit: int) -> bytes | None:
        with (tmp_path / "old" / IMAGE).open("ab") as file:
            file.write(b"more")
        return read_file(self, name, limit)

    monkeypatch.setattr(Directory, "read_file", read_after_growth)
    files = create_copier(tmp_path)
    files.copy(IMAGE)
    assert (files.missing, files.copied_bytes) == ({IMAGE: MISSING}, 0)
    assert not (tmp_path / "new").exists()


# The same folder


@pytest.mark.parametrize("target", ["old", "./x/../old", "old/"])
def test_same_folder_needs_no_copy(target: str, tmp_path: Path) -> None:
    """Another spelling of the folder is the same one, and limits do not apply."""
    write_file(tmp_path / "old", IMAGE)
    (tmp_path / "x").mkdir()
    runs, settings = copy_files(
        tmp_path, make_run(IMAGE, video=VIDEO), target=target, settings=Settings(evidence_file_limit=1)
    )
    assert runs[0].evidence.files == [IMAGE]
    assert runs[0].evidence.missing_reason == f"1 file: {MISSING}"
    assert settings.evidence_limit == Settings().evidence_limit


def test_link_to_same_folder_needs_no_copy(tmp_path: Path) -> None:
    """A link to the folder of results.json is the same folder."""
    write_file(tmp_path / "old", IMAGE)
    (tmp_path / "new").symlink_to(tmp_path / "old")
    assert copy_files(tmp_path, make_run(IMAGE))[0] == [make_run(IMAGE)]


# Limits


@pytest.mark.parametrize(("limit", "is_copied"), [(5, False), (6, True), (7, True)])
def test_file_limit_includes_exact_size(limit: int, is_copied: bool, tmp_path: Path) -> None:
    """A file of exactly the limit is copied."""
    write_file(tmp_path / "old", IMAGE)
    files = create_copier(tmp_path, Settings(evidence_file_limit=limit))
    files.copy(IMAGE)
    assert files.missing == ({} if is_copied else {IMAGE: TOO_LARGE})
    assert (tmp_path / "new" / IMAGE).exists() == is_copied


@pytest.mark.parametrize(("limit", "missing"), [(11, {OTHER_IMAGE: OVER_LIMIT}), (12, {})])
def test_total_limit_includes_exact_size(limit: int, missing: dict[str, str], tmp_path: Path) -> None:
    """The limit is for all files together."""
    for path in (IMAGE, OTHER_IMAGE):
        write_file(tmp_path / "old", path)
    files = create_copier(tmp_path, Settings(evidence_limit=limit))
    for path in (IMAGE, OTHER_IMAGE):
        files.copy(path)
    assert files.missing == missing
    assert files.copied_bytes == 12 - 6 * len(missing)


def test_small_file_fits_after_large_one(tmp_path: Path) -> None:
    """A file that does not fit leaves its share to smaller ones."""
    write_file(tmp_path / "old", IMAGE, b"x" * 20)
    write_file(tmp_path / "old", OTHER_IMAGE)
    [run], settings = copy_files(tmp_path, make_run(IMAGE, OTHER_IMAGE), settings=Settings(evidence_limit=10))
    assert run.evidence.files == [OTHER_IMAGE]
    assert run.evidence.missing_reason == f"1 file: {OVER_LIMIT}"
    assert settings.evidence_limit == 4


def test_copy_returns_remaining_limit(tmp_path: Path) -> None:
    """New evidence of this step has the rest of the limit."""
    write_file(tmp_path / "old", IMAGE)
    settings = Settings(evidence_limit=100, evidence_file_limit=50, timeout=7.0)
    assert copy_files(tmp_path, make_run(IMAGE), settings=settings)[1] == settings._replace(evidence_limit=94)


def test_repeated_file_counts_once(tmp_path: Path) -> None:
    """Several runs with one file use its size once."""
    write_file(tmp_path / "old", IMAGE)
    _, settings = copy_files(tmp_path, make_run(IMAGE), make_run(IMAGE), settings=Settings(evidence_limit=10))
    assert settings.evidence_limit == 4


def test_failures_precede_passes(tmp_path: Path) -> None:
    """Within the limit, evidence of a failed run is more useful."""
    for path in (IMAGE, OTHER_IMAGE):
        write_file(tmp_path / "old", path)
    runs = [make_passed_run("a")._replace(evidence=make_evidence(IMAGE)), make_run(OTHER_IMAGE)]
    copied_runs, _ = copy_files(tmp_path, *runs, settings=Settings(evidence_limit=6))
    assert [run.evidence.files for run in copied_runs] == [[], [OTHER_IMAGE]]


def test_screenshots_precede_videos(tmp_path: Path) -> None:
    """Screenshots of each run and attempt are copied before the first video."""
    for path in (VIDEO, IMAGE, OTHER_IMAGE):
        write_file(tmp_path / "old", path)
    attempt = PreviousAttempt("r", evidence=make_evidence(OTHER_IMAGE))
    run = make_run(IMAGE, video=VIDEO)._replace(previous_attempts=(attempt,))
    copy_files(tmp_path, run, settings=Settings(evidence_limit=12))
    assert set(list_files(tmp_path / "new")) == {IMAGE, OTHER_IMAGE}


# Links


@pytest.mark.parametrize("name", [IMAGE, "evidence/r", "evidence"])
def test_source_link_is_reported(name: str, tmp_path: Path) -> None:
    """No link is followed, whether it leads outside or stays inside."""
    write_file(tmp_path / "old", IMAGE)
    target_path = tmp_path / "old" / "moved"
    (tmp_path / "old" / name).rename(target_path)
    (tmp_path / "old" / name).symlink_to(target_path)
    [run], _ = copy_files(tmp_path, make_run(IMAGE))
    assert run.evidence.missing_reason == "1 file: symbolic link beside results.json"
    assert not (tmp_path / "new").exists()


def test_linked_source_folder_is_read(tmp_path: Path) -> None:
    """The folder of results.json itself can be a link, because the user named it."""
    write_file(tmp_path / "elsewhere", IMAGE)
    (tmp_path / "old").symlink_to(tmp_path / "elsewhere")
    assert copy_files(tmp_path, make_run(IMAGE))[0] == [make_run(IMAGE)]


@pytest.mark.parametrize("name", ["evidence", "evidence/r"])
def test_target_link_is_not_followed(name: str, tmp_path: Path) -> None:
    """No copy leaves results-dir through a link."""
    root, outside = tmp_path / "work", tmp_path / "outside"
    write_file(root / "old", IMAGE)
    outside.mkdir()
    (root / "new" / name).parent.mkdir(parents=True)
    (root / "new" / name).symlink_to(outside)
    [run], _ = copy_files(root, make_run(IMAGE))
    reason = "could not be written (symbolic link in place of a directory)"
    assert run.evidence.missing_reason == f"1 file: {reason}"
    assert list(outside.iterdir()) == []


def test_results_dir_link_stays_in_root(tmp_path: Path) -> None:
    """A results-dir that is a link out of the working directory gets no file."""
    root, outside = tmp_path / "work", tmp_path / "outside"
    write_file(root / "old", IMAGE)
    outside.mkdir()
    (root / "new").symlink_to(outside)
    [run], _ = copy_files(root, make_run(IMAGE))
    assert "symbolic link leads outside of the directory" in run.evidence.missing_reason
    assert list(outside.iterdir()) == []


# Errors


def fail_with(error: BaseException) -> Callable[..., None]:
    """Return a function that raises the error."""

    def fail(*_: object) -> None:
        raise error

    return fail


def test_write_error_ends_all_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, the reports need the rest."""
    for path in (IMAGE, OTHER_IMAGE):
        write_file(tmp_path / "old", path)
    files = create_copier(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Directory, "write_atomic", fail_with(OSError(errno.ENOSPC, "No space left on device")))
        files.copy(IMAGE)
    files.copy(OTHER_IMAGE)
    reason = "could not be written (No space left on device)"
    assert files.missing == {IMAGE: reason, OTHER_IMAGE: reason}
    assert files.copied_bytes == 0


def test_read_only_target_has_reason(tmp_path: Path) -> None:
    """A file in place of the folder is an error of the system."""
    write_file(tmp_path / "old", IMAGE)
    (tmp_path / "new").write_bytes(b"")
    files = create_copier(tmp_path)
    files.copy(IMAGE)
    assert files.missing[IMAGE].startswith("could not be written (")
    assert str(tmp_path) not in files.missing[IMAGE]


@pytest.mark.parametrize("error", [MemoryError(), SystemError()], ids=repr)
def test_memory_error_is_reason(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller file can still be copied after a lack of memory."""
    for path in (IMAGE, OTHER_IMAGE):
        write_file(tmp_path / "old", path)
    files = create_copier(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Directory, "write_atomic", fail_with(error))
        files.copy(IMAGE)
    files.copy(OTHER_IMAGE)
    assert files.missing == {IMAGE: "out of memory"}
    assert files.copied_bytes == 6


def test_internal_error_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug must not look like a missing file."""
    write_file(tmp_path / "old", IMAGE)
    monkeypatch.setattr(Directory, "write_atomic", fail_with(RuntimeError("bug")))
    with pytest.raises(RuntimeError, match="bug"):
        create_copier(tmp_path).copy(IMAGE)


def test_reasons_of_run_are_counted(tmp_path: Path) -> None:
    """Different reasons of one run are joined with their counts."""
    write_file(tmp_path / "old", IMAGE, b"x" * 20)
    [run], _ = copy_files(
        tmp_path, make_run(IMAGE, OTHER_IMAGE, video=VIDEO), settings=Settings(evidence_file_limit=10)
    )
    assert run.evidence.missing_reason == f"1 file: {TOO_LARGE}, 2 files: {MISSING}"


def test_link_removed_during_check_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolution of a link that another process removes fails, and files are copied."""
    write_file(tmp_path / "old", IMAGE)

    def fail(path: object) -> str:
        raise FileNotFoundError(path)

    with monkeypatch.context() as patch:
        patch.setattr(os.path, "realpath", fail)
        copier = create_copier(tmp_path)
    copier.copy(IMAGE)
    assert copier.missing == {}
    assert list_files(tmp_path / "new") == {IMAGE: b"pixels"}
