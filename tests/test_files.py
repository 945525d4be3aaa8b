"""Files that nobody sees half-written, that belong to the folder's owner, and that no link leads astray."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import InputError
from autonoma_ci.fs import files
from autonoma_ci.fs.files import make_directory, write_atomic
from autonoma_ci.reports.results_dir import ResultsDirPublisher, open_results_dir, resolve_results_dir
from tests.report.reports import report, started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = {letter.encode() * 200_000 for letter in "abcd"}
    path.write_bytes(b"a" * 200_000)
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        for text in texts:
            write_atomic(path, text)
    done.set()
    reader.join()
    assert seen <= texts
    assert names_in(tmp_path) == ["file"]


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("precious", "utf-8")
    link.symlink_to(target)
    write_atomic(link, b"ours")
    assert target.read_text("utf-8") == "precious"
    assert (link.read_bytes(), link.is_symlink()) == (b"ours", False)


def test_a_file_that_somebody_has_open_on_windows_is_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to put another one in its place."""

    def refuse(source: object, target: object) -> None:
        raise PermissionError(errno.EACCES, "Access is denied")

    (tmp_path / "file").write_text("much that was there before", "utf-8")
    monkeypatch.setattr(os, "replace", refuse)
    write_atomic(tmp_path / "file", b"a\nb\n")
    assert (tmp_path / "file").read_bytes() == b"a\nb\n"
    with pytest.raises(PermissionError):
        write_atomic(tmp_path / "new", b"x")
    assert names_in(tmp_path) == ["file"]


def test_no_link_is_followed_where_the_folder_takes_no_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not on Windows, which has no flag to say so."""

    def closed(path: Path, flags: int, mode: int = 0o777, open_it: Callable[..., int] = os.open) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Access is denied")
        return open_it(path, flags, mode)

    (tmp_path / "target").write_text("precious", "utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    monkeypatch.setattr(files, "O_NOFOLLOW", 0)
    monkeypatch.setattr(os, "open", closed)
    with pytest.raises(PermissionError):
        write_atomic(tmp_path / "link", b"ours")
    write_atomic(tmp_path / "target", b"ours")
    assert (tmp_path / "target").read_bytes() == b"ours"


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(0o600)
    path.chmod(0o640)
    write_atomic(path, b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_as_root_files_and_folders_take_the_owner_of_their_folder(tmp_path: Path) -> None:
    """A self-hosted runner cleans up as its own user, after a container that ran as root."""
    os.chown(tmp_path, 1001, 1002)
    make_directory(tmp_path / "a" / "b")
    write_atomic(tmp_path / "a" / "b" / "file", b"x")
    for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1001, 1002)


def test_a_folder_in_the_way_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomic(tmp_path / "file", b"x")
    assert names_in(tmp_path) == ["file"]


def test_a_full_disk_costs_the_new_text_and_not_the_old(tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk: writing fails half-way."""
    path = tmp_path / "file"
    path.write_text("old", "utf-8")
    code = (
        "import resource, signal, sys, pathlib\nfrom autonoma_ci.fs.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomic(pathlib.Path(sys.argv[1]), b'x' * 5000)\nexcept OSError as error: print(error.strerror)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "File too large\n"
    assert path.read_text("utf-8") == "old"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("phase", ["open", "write", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_signal_or_no_memory_leaves_no_draft(
    error: type[BaseException], phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    really_open = os.open

    def fail(*_: object) -> None:
        raise error

    def open_and_fail(name: Path, flags: int, mode: int) -> int:
        """Do as the system does with a signal that comes within a call: make the file, then raise."""
        os.close(really_open(name, flags, mode))
        raise error

    if phase == "open":
        monkeypatch.setattr(os, "open", open_and_fail)
    elif phase == "write":
        monkeypatch.setattr(files, "_copy_mode_and_owner", fail)
    else:
        monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(error):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert (names_in(tmp_path), path.read_bytes()) == (["file"], b"old")


def test_results_dir_has_its_files_and_makes_its_folders(tmp_path: Path) -> None:
    place = open_results_dir(resolve_results_dir("a/b", str(tmp_path)))
    assert place.publish(report([started("x")])) == []
    files = ["evidence", "junit.xml", "outputs.env", "report.html", "results.json", "summary.md"]
    assert names_in(tmp_path / "a" / "b") == files
    assert names_in(tmp_path / "a" / "b" / "evidence") == ["report.css", "report.svg"]


def test_a_link_in_place_of_a_folder_of_ours_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "evidence").symlink_to(tmp_path / "outside")
    warnings = open_results_dir(resolve_results_dir("results", str(tmp_path))).publish(report([started("x")]))
    why = "could not be written to results-dir (a symbolic link leads elsewhere)."
    assert warnings == [f"evidence/report.css {why}", f"evidence/report.svg {why}"]
    assert names_in(tmp_path / "outside") == []


def test_results_dir_may_be_anywhere_if_the_user_says_so(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    assert open_results_dir(resolve_results_dir(str(tmp_path / "elsewhere"), str(tmp_path / "work"))).folder.is_dir()


@pytest.mark.parametrize("path", ["link", "link/deeper", "./x/../link"])
def test_a_link_out_of_the_checkout_is_refused(path: str, tmp_path: Path) -> None:
    """A pull request can bring a link along; writing must not follow it."""
    (tmp_path / "work" / "x").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "work" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="leads out of the working directory"):
        open_results_dir(resolve_results_dir(path, str(tmp_path / "work")))
    assert names_in(tmp_path / "outside") == []


@pytest.mark.parametrize("path", ["file", "file/deeper", "loop", "a\0b"])
def test_a_results_dir_that_is_none_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="results-dir"):
        open_results_dir(resolve_results_dir(path, str(tmp_path)))


def test_a_file_that_cant_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "results.json").mkdir()
    warnings = ResultsDirPublisher(tmp_path).publish(report([started("x")]))
    assert len(warnings) == 1
    assert "results.json could not be written" in warnings[0]
    assert (tmp_path / "summary.md").exists()
