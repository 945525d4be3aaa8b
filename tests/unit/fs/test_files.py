"""Atomic writes, file ownership and symbolic links."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.fs import files
from autonoma_ci.fs.files import make_directory, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_is_atomic_for_readers(tmp_path: Path) -> None:
    """A concurrent reader sees only whole contents."""
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


def test_write_replaces_symlink(tmp_path: Path) -> None:
    """The link becomes a file, and its target is unchanged."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("precious", "utf-8")
    link.symlink_to(target)
    write_atomic(link, b"ours")
    assert target.read_text("utf-8") == "precious"
    assert (link.read_bytes(), link.is_symlink()) == (b"ours", False)


def test_write_to_open_file_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to replace an open file, so it is overwritten."""

    def refuse(source: object, target: object) -> None:
        raise PermissionError(errno.EACCES, "Access is denied")

    (tmp_path / "file").write_text("much that was there before", "utf-8")
    monkeypatch.setattr(os, "replace", refuse)
    write_atomic(tmp_path / "file", b"a\nb\n")
    assert (tmp_path / "file").read_bytes() == b"a\nb\n"
    with pytest.raises(PermissionError):
        write_atomic(tmp_path / "new", b"x")
    assert names_in(tmp_path) == ["file"]


def test_write_in_readonly_folder_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link stays untouched on Windows too, where `os.open` has no flag for it."""

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


def test_write_keeps_file_mode(tmp_path: Path) -> None:
    """A rewritten file has its former permissions."""
    path = tmp_path / "file"
    path.touch(0o600)
    path.chmod(0o640)
    write_atomic(path, b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_keeps_owner_of_folder(tmp_path: Path) -> None:
    """A self-hosted runner cleans up as its own user after a container that ran as root."""
    os.chown(tmp_path, 1001, 1002)
    make_directory(tmp_path / "a" / "b")
    write_atomic(tmp_path / "a" / "b" / "file", b"x")
    for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1001, 1002)


def test_write_over_folder_is_error(tmp_path: Path) -> None:
    """The error leaves no temporary file."""
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomic(tmp_path / "file", b"x")
    assert names_in(tmp_path) == ["file"]


def test_full_disk_keeps_old_content(tmp_path: Path) -> None:
    """The limit on a file's size simulates a full disk during the write."""
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
def test_interrupted_write_leaves_no_temp_file(
    error: type[BaseException], phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal or MemoryError at any step leaves the old file only."""
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
