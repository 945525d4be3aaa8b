"""Directories that are opened without following links."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from autonoma_ci.fs import files
from autonoma_ci.fs.files import Directory, DirectoryTree, LinkError
from autonoma_ci.fs.locks import try_lock_for
from tests.support.fake_clock import FakeClock
from tests.support.files import list_names, open_directory

OUTSIDE_REASON = "symbolic link leads outside of the directory"
LINK_REASON = "symbolic link in place of a directory"


@pytest.fixture(params=[True, False], ids=["descriptors", "paths"])
def _mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use descriptors, and then paths as on Windows."""
    monkeypatch.setattr(files, "HAS_DIRECTORY_DESCRIPTORS", request.param)
    if not request.param:
        monkeypatch.setattr(files, "O_NOFOLLOW", 0)


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.usefixtures("_mode")
def test_tree_creates_directories(tmp_path: Path) -> None:
    """Missing directories are created, also the folder itself and the root."""
    root = tmp_path / "a" / "root"
    for _ in range(2):
        with DirectoryTree(root / "b" / "folder", root).open_directory("c/d") as directory:
            directory.write_atomic("file", b"x")
        assert (root / "b" / "folder" / "c" / "d" / "file").read_bytes() == b"x"


@pytest.mark.usefixtures("_mode")
def test_missing_directory_is_not_created(tmp_path: Path) -> None:
    """Without `create`, a missing directory is an error and stays missing."""
    tree = DirectoryTree(tmp_path / "folder", tmp_path)
    with pytest.raises(FileNotFoundError), tree.open_directory("evidence", create=False) as directory:
        directory.unlink("file")
    assert list_names(tmp_path) == []


@pytest.mark.usefixtures("_mode")
def test_folder_link_within_root_is_followed(tmp_path: Path) -> None:
    """The folder of the user can be a link that stays in the root."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with DirectoryTree(tmp_path / "link" / "x", tmp_path).open_directory() as directory:
        directory.write_atomic("file", b"x")
    assert list_names(tmp_path / "real" / "x") == ["file"]


@pytest.mark.usefixtures("_mode")
@pytest.mark.parametrize("path", ["link", "link/deeper", "inside/../link"])
def test_folder_link_out_of_root_is_error(path: str, tmp_path: Path) -> None:
    """A folder behind a link that leads out of the root is not opened."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "inside").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    with pytest.raises(LinkError) as error_info:
        DirectoryTree(root / path, root).open_directory()
    assert (error_info.value.errno, error_info.value.strerror) == (errno.ELOOP, OUTSIDE_REASON)
    assert list_names(outside) == []


@pytest.mark.usefixtures("_mode")
@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("name", ["out", "out/deeper", "within", "dangling"])
def test_link_below_folder_is_error(name: str, create: bool, tmp_path: Path) -> None:
    """No link below the folder is followed, even if it stays inside."""
    (tmp_path / "outside" / "deeper").mkdir(parents=True)
    (tmp_path / "folder" / "real").mkdir(parents=True)
    for link, target in (("out", "../outside"), ("within", "real"), ("dangling", "missing")):
        (tmp_path / "folder" / link).symlink_to(target)
    with pytest.raises(LinkError) as error_info:
        DirectoryTree(tmp_path / "folder", tmp_path).open_directory(name, create=create)
    assert (error_info.value.errno, error_info.value.strerror) == (errno.ELOOP, LINK_REASON)
    assert list_names(tmp_path / "folder") == ["dangling", "out", "real", "within"]


@pytest.mark.usefixtures("_mode")
@pytest.mark.parametrize("path", ["file", "file/deeper"])
def test_file_in_place_of_directory_is_error(path: str, tmp_path: Path) -> None:
    """The error is that of the creation of a directory."""
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as error_info:
        DirectoryTree(tmp_path, tmp_path).open_directory(path)
    assert error_info.value.strerror == os.strerror(errno.EEXIST)


@pytest.mark.usefixtures("_mode")
def test_folder_outside_root_is_own_root(tmp_path: Path) -> None:
    """The root is resolved once, so a later link in its place is an error."""
    (tmp_path / "outside").mkdir()
    tree = DirectoryTree(tmp_path / "folder", tmp_path / "root")
    tree.open_directory().close()
    (tmp_path / "folder").rmdir()
    (tmp_path / "folder").symlink_to("outside")
    with pytest.raises(LinkError):
        tree.open_directory("evidence")
    assert list_names(tmp_path / "outside") == []


def test_descriptors_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two descriptors are open at most, and none after an error."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to("b")
    before = count_descriptors()
    counts: list[int] = []
    original_open = os.open

    def open_and_count(*args: object, **options: object) -> int:
        descriptor: int = original_open(*args, **options)  # type: ignore[arg-type]
        counts.append(count_descriptors() - before)
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_and_count)
        with DirectoryTree(tmp_path, tmp_path).open_directory("a/b/c/d") as directory, directory.open_directory("e"):
            pass
        directory.close()
        for path in ("a/link/c", "a/b/file/c"):
            (tmp_path / "a" / "b" / "file").touch()
            with pytest.raises(OSError, match=r"link|exists"):
                DirectoryTree(tmp_path, tmp_path).open_directory(path)
    # The directory that is opened in another one is the third.
    assert max(counts) == 3
    assert counts[:5] == [1, 2, 2, 2, 2]
    assert count_descriptors() == before


def test_moved_directory_is_still_used(tmp_path: Path) -> None:
    """All operations use the open directory, although a link has replaced it."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    for path in (outside, folder):
        path.mkdir()
        (path / "old").write_text(path.name, "utf-8")
    with open_directory(folder) as directory:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(outside)
        assert directory.read_file("old", 10) == b"folder"
        directory.write_atomic("new", b"x")
        os.close(directory.create_file("empty"))
        directory.replace("empty", "old")
        directory.rename("old", "older")
        directory.open_directory("deeper").close()
        assert directory.exists("older")
        directory.unlink("older")
    assert list_names(tmp_path / "moved") == ["deeper", "new"]
    assert (outside / "old").read_text("utf-8") == "outside"
    assert list_names(outside) == ["old"]


@pytest.mark.usefixtures("_mode")
def test_file_link_is_not_followed(tmp_path: Path) -> None:
    """A link is neither read nor written through, and its kind is known."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "outside").write_text("precious", "utf-8")
    (folder / "link").symlink_to("../outside")
    with DirectoryTree(folder, tmp_path).open_directory() as directory:
        assert directory.read_file("link", 100) is None
        assert (directory.is_symlink("link"), directory.is_regular("link"), directory.exists("link")) == (
            True,
            False,
            True,
        )
        with pytest.raises(FileExistsError):
            directory.create_file("link")
        directory.write_atomic("link", b"ours")
        assert directory.is_regular("link")
    assert (tmp_path / "outside").read_text("utf-8") == "precious"


@pytest.mark.parametrize(("max_bytes", "content"), [(3, None), (4, b"0123"), (5, b"0123")])
def test_read_file_has_limit(max_bytes: int, content: bytes | None, tmp_path: Path) -> None:
    """A longer file counts as unreadable, like a missing one and a pipe."""
    (tmp_path / "file").write_bytes(b"0123")
    os.mkfifo(tmp_path / "pipe")
    with open_directory(tmp_path) as directory:
        assert directory.read_file("file", max_bytes) == content
        for name in ("pipe", "missing", "a\0b"):
            assert directory.read_file(name, max_bytes) is None
            assert directory.exists(name) is (name == "pipe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.usefixtures("_mode")
def test_root_keeps_owner_of_parent_directory(tmp_path: Path) -> None:
    """New directories and files get the owner of the folder."""
    os.chown(tmp_path, 1001, 1002)
    with DirectoryTree(tmp_path, tmp_path).open_directory("a/b") as directory:
        directory.write_atomic("file", b"x")
    for name in ("a", "a/b", "a/b/file"):
        status = (tmp_path / name).stat()
        assert (status.st_uid, status.st_gid) == (1001, 1002)


def test_directory_of_other_process_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process can create the directory at the same time."""
    original_mkdir = os.mkdir

    def mkdir_late(name: str, *, dir_fd: int) -> None:
        original_mkdir(name, dir_fd=dir_fd)
        original_mkdir(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", mkdir_late)
    DirectoryTree(tmp_path, tmp_path).open_directory("a").close()
    assert list_names(tmp_path) == ["a"]


def test_unreadable_directory_is_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors other than a link or a file have their own reason."""
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def refuse(*_: object, **__: object) -> int:
        raise error

    tree = DirectoryTree(tmp_path, tmp_path)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        tree.open_directory()


def test_lock_uses_directory_or_file(tmp_path: Path) -> None:
    """A directory without a descriptor has a lock file, which is closed with it."""
    before = count_descriptors()
    with open_directory(tmp_path) as directory:
        assert os.path.samestat(os.fstat(directory.open_lock()), tmp_path.stat())
    with Directory(tmp_path) as directory:
        assert os.path.samestat(os.fstat(directory.open_lock()), (tmp_path / "results.lock").stat())
    assert count_descriptors() == before


@pytest.fixture
def _no_read_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to open directories for reading, as without the `r` permission."""
    original_open = os.open

    def open_unless_read(path: str, flags: int, mode: int = 0o777, **options: int) -> int:
        if flags & os.O_DIRECTORY and not flags & os.O_PATH:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return original_open(path, flags, mode, **options)

    monkeypatch.setattr(os, "open", open_unless_read)


@pytest.mark.usefixtures("_no_read_permission")
def test_unreadable_directory_is_used(tmp_path: Path) -> None:
    """All operations need only the `x` and `w` permissions of a directory."""
    before = count_descriptors()
    with DirectoryTree(tmp_path / "folder", tmp_path).open_directory("a") as directory:
        directory.write_atomic("old", b"x")
        directory.rename("old", "new")
        directory.open_directory("deeper").close()
        assert directory.read_file("new", 10) == b"x"
        directory.unlink("new")
    assert list_names(tmp_path / "folder" / "a") == ["deeper"]
    assert count_descriptors() == before


@pytest.mark.usefixtures("_no_read_permission")
def test_link_in_unreadable_directory_is_error(tmp_path: Path) -> None:
    """No link is followed without the `r` permission."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").touch()
    tree = DirectoryTree(tmp_path, tmp_path)
    for path, error in (("link", LinkError), ("link/a", LinkError), ("file", FileExistsError)):
        with pytest.raises(error):
            tree.open_directory(path)
    assert list_names(tmp_path / "real") == []


@pytest.mark.usefixtures("_no_read_permission")
def test_unreadable_directory_has_no_lock(tmp_path: Path) -> None:
    """Its lock counts as unavailable, without a wait and without a lock file."""
    with open_directory(tmp_path) as directory:
        assert try_lock_for(10.0, directory.open_lock(), FakeClock())
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            fcntl.flock(directory.open_lock(), fcntl.LOCK_EX)
    assert list_names(tmp_path) == []


@pytest.mark.usefixtures("_no_read_permission")
@pytest.mark.parametrize("has_flag", [True, False])
def test_directory_without_any_access_is_error(has_flag: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without the `x` permission, or without the flag, is an error at once."""
    if not has_flag:
        monkeypatch.setattr(files, "_O_PATH", 0)
    before = count_descriptors()
    tree = DirectoryTree(tmp_path, tmp_path)
    original_stat = os.stat

    def refuse_search(path: str, **options: Any) -> os.stat_result:
        if path == ".":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return original_stat(path, **options)

    monkeypatch.setattr(os, "stat", refuse_search)
    with pytest.raises(PermissionError):
        tree.open_directory()
    monkeypatch.undo()
    assert count_descriptors() == before


@pytest.mark.usefixtures("_mode")
@pytest.mark.parametrize("umask", [0, 0o002, 0o077])
@pytest.mark.parametrize("mode", [0o644, 0o666])
def test_new_file_has_mode_without_umask(mode: int, umask: int, tmp_path: Path) -> None:
    """The umask removes permissions of the mode."""
    old_umask = os.umask(umask)
    try:
        with DirectoryTree(tmp_path, tmp_path).open_directory() as directory:
            os.close(directory.create_file("file", mode))
            directory.write_atomic("report", b"x")
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode & ~umask
    assert stat.S_IMODE((tmp_path / "report").stat().st_mode) == 0o644 & ~umask


@pytest.mark.parametrize("error_number", [errno.EACCES, errno.EROFS])
def test_overwrite_follows_no_late_link(error_number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process creates the link after the check that precedes an overwrite."""
    (tmp_path / "outside").write_text("precious", "utf-8")
    original_open, original_check = os.open, Directory.is_symlink

    def refuse_creation(path: str, flags: int, mode: int = 0o777, **options: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(error_number, os.strerror(error_number))
        return original_open(path, flags, mode, **options)

    def check_before_link(directory: Directory, name: str) -> bool:
        is_link = original_check(directory, name)
        (tmp_path / "folder" / name).symlink_to("../outside")
        return is_link

    (tmp_path / "folder").mkdir()
    with DirectoryTree(tmp_path / "folder", tmp_path).open_directory() as directory:
        monkeypatch.setattr(os, "open", refuse_creation)
        monkeypatch.setattr(Directory, "is_symlink", check_before_link)
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            directory.write_atomic("file", b"ours")
    assert (tmp_path / "folder" / "file").is_symlink()
    assert (tmp_path / "outside").read_text("utf-8") == "precious"
