"""Atomic writes, file ownership, symbolic links and paths in an untrusted checkout."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.fs import files
from autonoma_ci.fs.files import (
    Directory,
    NotRegularFileError,
    escapes_via_symlink,
    make_directory,
    match_parent_owner,
    open_for_append,
    open_or_create,
    os_error_reason,
    quote_for_shell,
    read_head,
    read_whole_file,
    write_atomic,
)
from tests.support.files import list_names

if TYPE_CHECKING:
    from collections.abc import Callable


def test_write_is_atomic_for_readers(tmp_path: Path) -> None:
    """A concurrent reader sees only complete contents."""
    path = tmp_path / "file"
    texts = {letter.encode() * 200_000 for letter in "abcd"}
    path.write_bytes(b"a" * 200_000)
    contents: set[bytes] = set()
    is_done = threading.Event()

    def read_until_done() -> None:
        while not is_done.is_set():
            contents.add(path.read_bytes())

    reader = threading.Thread(target=read_until_done)
    reader.start()
    for _ in range(50):
        for text in texts:
            write_atomic(path, text)
    is_done.set()
    reader.join()
    assert contents <= texts
    assert list_names(tmp_path) == ["file"]


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

    def refuse_replace(source: object, target: object, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Access is denied")

    (tmp_path / "file").write_text("much that was there before", "utf-8")
    monkeypatch.setattr(os, "replace", refuse_replace)
    write_atomic(tmp_path / "file", b"a\nb\n")
    assert (tmp_path / "file").read_bytes() == b"a\nb\n"
    with pytest.raises(PermissionError):
        write_atomic(tmp_path / "new", b"x")
    assert list_names(tmp_path) == ["file"]


def test_write_in_readonly_folder_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link stays untouched on Windows too, where `os.open` has no flag for it."""
    original_open = os.open

    def refuse_creation(path: Path, flags: int, mode: int = 0o777, **options: int) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Access is denied")
        return original_open(path, flags, mode, **options)

    (tmp_path / "target").write_text("precious", "utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    monkeypatch.setattr(files, "O_NOFOLLOW", 0)
    monkeypatch.setattr(os, "open", refuse_creation)
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
    assert list_names(tmp_path) == ["file"]


def test_full_disk_keeps_old_content(tmp_path: Path) -> None:
    """The limit on a file's size simulates a full disk during the write."""
    path = tmp_path / "file"
    path.write_text("old", "utf-8")
    code = (
        "import resource, signal, sys, pathlib\nfrom autonoma_ci.fs.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomic(pathlib.Path(sys.argv[1]), b'x' * 5000)\nexcept OSError as error: print(error.strerror)"
    )
    process = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert process.stdout == "File too large\n"
    assert path.read_text("utf-8") == "old"
    assert list_names(tmp_path) == ["file"]


@pytest.mark.parametrize("phase", ["open", "write", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_interrupted_write_leaves_no_temp_file(
    error: type[BaseException], phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal or MemoryError at any step leaves the old file only."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    original_open = os.open

    def fail(*_: object, **__: object) -> None:
        raise error

    def open_and_fail(name: Path, flags: int, mode: int, **options: int) -> int:
        """Create the file and raise, as the system does for a signal within the call."""
        os.close(original_open(name, flags, mode, **options))
        raise error

    if phase == "open":
        monkeypatch.setattr(os, "open", open_and_fail)
    elif phase == "write":
        monkeypatch.setattr(Directory, "_apply_old_mode", fail)
    else:
        monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(error):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert (list_names(tmp_path), path.read_bytes()) == (["file"], b"old")


def test_write_to_file_without_folder_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer file that is mounted on its own is overwritten in place."""
    original_open = os.open

    def open_without_creation(path: Path, flags: int, mode: int = 0o777, **options: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return original_open(path, flags, mode, **options)

    path = tmp_path / "file"
    path.write_bytes(b"long old content")
    inode = path.stat().st_ino
    monkeypatch.setattr(os, "open", open_without_creation)
    write_atomic(path, b"new")
    assert (path.read_bytes(), path.stat().st_ino) == (b"new", inode)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127])
def test_write_accepts_longest_name(name: str, tmp_path: Path) -> None:
    """The name of the temporary file does not exceed the limit of the file system."""
    write_atomic(tmp_path / name, b"x")
    assert list_names(tmp_path) == [name]


# Files of other processes

OPENERS = [open_or_create, open_for_append]


def create_special_files(folder: Path) -> dict[str, Path]:
    """Make a folder, a pipe and a socket, and return them with a device."""
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    os.mknod(folder / "socket", stat.S_IFSOCK | 0o600)
    return {name: folder / name for name in ("folder", "pipe", "socket")} | {"device": Path(os.devnull)}


@pytest.mark.parametrize("open_file", OPENERS)
@pytest.mark.parametrize(
    ("kind", "error"), [("folder", IsADirectoryError), ("pipe", NotRegularFileError), ("device", NotRegularFileError)]
)
def test_open_refuses_special_file(
    kind: str, error: type[OSError], open_file: Callable[[Path], int], tmp_path: Path
) -> None:
    """A folder, a pipe and a device are errors, without a wait for the other end of a pipe."""
    with pytest.raises(error):
        open_file(create_special_files(tmp_path)[kind])


def test_refused_file_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor of a special file does not stay open."""
    opened_descriptors: list[int] = []
    closed_descriptors: list[int] = []

    def open_and_record(path: str, flags: int) -> int:
        opened_descriptors.append(os.open(path, flags))
        return opened_descriptors[-1]

    def close_and_record(descriptor: int) -> None:
        closed_descriptors.append(descriptor)
        os.close(descriptor)

    os.mkfifo(tmp_path / "pipe")
    replacements = {"open": open_and_record, "close": close_and_record}
    monkeypatch.setattr(files, "os", SimpleNamespace(**vars(os) | replacements))
    with pytest.raises(NotRegularFileError, match="not a regular file"):
        open_or_create(tmp_path / "pipe")
    assert len(opened_descriptors) == 1
    assert closed_descriptors == opened_descriptors


def test_shared_file_is_created(tmp_path: Path) -> None:
    """A missing file is created for reading and writing."""
    descriptor = open_or_create(tmp_path / "file")
    os.write(descriptor, b"text")
    os.lseek(descriptor, 0, os.SEEK_SET)
    assert os.read(descriptor, 10) == b"text"
    os.close(descriptor)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) & 0o133 == 0


def test_shared_file_is_not_truncated(tmp_path: Path) -> None:
    """The content of other processes remains, and links of the runner are followed."""
    (tmp_path / "file").write_bytes(b"theirs")
    (tmp_path / "link").symlink_to("file")
    descriptor = open_or_create(tmp_path / "link")
    assert os.read(descriptor, 10) == b"theirs"
    os.close(descriptor)
    assert (tmp_path / "link").is_symlink()


def test_dangling_link_creates_its_target(tmp_path: Path) -> None:
    """A link of the runner can lead to a file that does not exist yet."""
    (tmp_path / "link").symlink_to("file")
    os.close(open_or_create(tmp_path / "link"))
    assert list_names(tmp_path) == ["file", "link"]


def test_concurrently_created_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process can create the file between both attempts."""
    path = tmp_path / "file"

    def create_and_open(name: Path, flags: int, mode: int = 0o777, original_open: Callable[..., int] = os.open) -> int:
        if flags & os.O_CREAT:
            path.write_bytes(b"theirs")
        return original_open(name, flags, mode)

    monkeypatch.setattr(os, "open", create_and_open)
    descriptor = open_or_create(path)
    assert os.read(descriptor, 10) == b"theirs"
    os.close(descriptor)


def test_append_follows_other_writes(tmp_path: Path) -> None:
    """Each write goes to the end of the file, although another process wrote meanwhile."""
    path = tmp_path / "file"
    path.write_bytes(b"a\n")
    descriptor = open_for_append(path)
    os.write(descriptor, b"b\n")
    with path.open("ab") as other_file:
        other_file.write(b"c\n")
    os.write(descriptor, b"d\n")
    os.close(descriptor)
    assert path.read_bytes() == b"a\nb\nc\nd\n"


def test_append_to_missing_file_is_error(tmp_path: Path) -> None:
    """Only a shared file is created."""
    with pytest.raises(FileNotFoundError):
        open_for_append(tmp_path / "file")


@pytest.mark.parametrize("open_file", OPENERS)
def test_open_refuses_zero_byte(open_file: Callable[[Path], int], tmp_path: Path) -> None:
    """Python rejects the path before the operating system sees it."""
    with pytest.raises(ValueError, match="null"):
        open_file(tmp_path / "a\0b")


# Reads


@pytest.mark.parametrize(
    ("max_bytes", "head", "content"),
    [(0, b"", None), (3, b"012", None), (4, b"0123", b"0123"), (5, b"0123", b"0123")],
)
def test_read_has_limit(max_bytes: int, head: bytes, content: bytes | None, tmp_path: Path) -> None:
    """The head ends at the limit, and a longer file counts as unreadable."""
    path = tmp_path / "file"
    path.write_bytes(b"0123")
    assert read_head(path, max_bytes) == head
    assert read_whole_file(str(path), max_bytes) == content


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("folder", IsADirectoryError),
        ("pipe", NotRegularFileError),
        ("socket", OSError),
        ("device", NotRegularFileError),
    ],
)
def test_read_refuses_special_file(kind: str, error: type[OSError], tmp_path: Path) -> None:
    """A special file is an error or counts as unreadable, and a read of it never waits."""
    path = create_special_files(tmp_path)[kind]
    with pytest.raises(error):
        read_head(path, 10)
    assert read_whole_file(str(path), 10) is None


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("missing", FileNotFoundError, "No such file or directory"),
        ("a\0b", ValueError, "invalid path"),
        ("loop", OSError, "Too many levels of symbolic links"),
        ("x" * 256, OSError, "File name too long"),
        ("folder", IsADirectoryError, "not a regular file"),
        ("file/a", NotADirectoryError, "Not a directory"),
    ],
)
def test_unreadable_file_has_reason(name: str, error: type[Exception], reason: str, tmp_path: Path) -> None:
    """The reason has a few words and no path."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(error) as error_info:
        read_head(tmp_path / name, 10)
    assert isinstance(error_info.value, OSError | ValueError)
    assert os_error_reason(error_info.value) == reason
    assert read_whole_file(str(tmp_path / name), 10) is None


def test_error_without_reason_is_no_path() -> None:
    """An error of the operating system without a text has the same reason as an invalid path."""
    assert os_error_reason(OSError()) == "invalid path"


# Folders and owners


def test_folder_is_created_with_parents(tmp_path: Path) -> None:
    """An existing folder is no error, and a file in its place is one."""
    for _ in range(2):
        make_directory(tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(OSError, match=r"exists|Not a directory"):
            make_directory(path)


def test_link_to_folder_is_folder(tmp_path: Path) -> None:
    """A link to a folder needs no new folder, and a link without a target is an error."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("nowhere")
    make_directory(tmp_path / "link")
    with pytest.raises(FileExistsError):
        make_directory(tmp_path / "dangling")
    assert list_names(tmp_path) == ["dangling", "folder", "link"]


def test_missing_root_is_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for an existing parent ends at the root, such as a missing drive of Windows."""
    monkeypatch.setattr(Path, "is_dir", lambda self: False)
    with pytest.raises(FileExistsError):
        make_directory(Path("/"))


class OwnerRecorder:
    """Record changes of owners, which fail on request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, user: int, error: OSError | None = None) -> None:
        self.calls: list[tuple[object, int, int]] = []
        self._error = error
        monkeypatch.setattr(os, "geteuid", lambda: user)
        monkeypatch.setattr(os, "chown", self._chown)

    def _chown(self, target: object, user: int, group: int) -> None:
        self.calls.append((target, user, group))
        if self._error:
            raise self._error


def test_root_gives_owner_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, a new file and a new folder get the owner of their folder."""
    owner = tmp_path.stat()
    recorder = OwnerRecorder(monkeypatch, user=0)
    make_directory(tmp_path / "folder")
    match_parent_owner(tmp_path, 7)
    assert recorder.calls == [(target, owner.st_uid, owner.st_gid) for target in (tmp_path / "folder", 7)]


def test_other_user_changes_no_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can give a file to another user."""
    recorder = OwnerRecorder(monkeypatch, user=1000)
    write_atomic(tmp_path / "file", b"x")
    make_directory(tmp_path / "folder")
    assert recorder.calls == []


def test_failed_owner_change_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have no other owners."""
    recorder = OwnerRecorder(monkeypatch, 0, PermissionError(errno.EPERM, "Operation not permitted"))
    write_atomic(tmp_path / "file", b"x")
    os.close(open_or_create(tmp_path / "shared"))
    assert len(recorder.calls) == 2
    assert list_names(tmp_path) == ["file", "shared"]


def test_owner_of_missing_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that another process has removed has no owner."""
    recorder = OwnerRecorder(monkeypatch, user=0)
    match_parent_owner(tmp_path / "missing", 7)
    assert recorder.calls == []


@pytest.mark.parametrize("name", ["chown", "geteuid"])
def test_system_without_owners_is_supported(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has neither function."""
    monkeypatch.delattr(os, name)
    make_directory(tmp_path / "a" / "b")
    write_atomic(tmp_path / "a" / "b" / "file", b"x")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"x"


# Paths in an untrusted checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a folder with links of many kinds, and a file beside it."""
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("")
    (tmp_path / "outside").write_text("")
    links = {
        "to-file": "file",
        "to-outside": "../outside",
        "to-absolute-parent": str(tmp_path),
        "to-parent": "..",
        "to-missing-outside": "../nowhere",
        "to-itself": "to-itself",
        "to-outside-by-link": "to-parent/outside",
        "sub/to-outside": "../../outside",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "to-outside",
        "to-absolute-parent/outside",
        "to-parent/outside",
        "to-missing-outside",
        "to-outside-by-link",
        "sub/to-outside",
        "./sub/../to-outside",
    ],
)
def test_symlink_to_outside_is_found(checkout: Path, path: str) -> None:
    """The check finds each link that leads out of the checkout."""
    assert escapes_via_symlink(path, str(checkout))


@pytest.mark.parametrize("path", ["file", "to-file", "sub/none.yml", "none/none", ".", "to-itself", "sub/../file"])
def test_path_inside_is_accepted(checkout: Path, path: str) -> None:
    """A path that ends inside is accepted, and so is a loop."""
    assert not escapes_via_symlink(path, str(checkout))


@pytest.mark.parametrize("path", ["../outside", "{}/outside", "sub/../../outside"])
def test_explicit_outside_path_is_accepted(checkout: Path, path: str) -> None:
    """A path whose own text leads outside is the user's decision."""
    assert not escapes_via_symlink(path.format(checkout.parent), str(checkout))


def test_checkout_can_be_symlink(checkout: Path) -> None:
    """The workspace itself can be a symbolic link."""
    (checkout.parent / "workspace").symlink_to(checkout)
    assert not escapes_via_symlink("to-file", str(checkout.parent / "workspace"))
    assert escapes_via_symlink("to-outside", str(checkout.parent / "workspace"))


def test_zero_byte_is_no_escape(checkout: Path) -> None:
    """A path with a zero byte can't be opened, so its own error is reported."""
    assert not escapes_via_symlink("to-outside\0", str(checkout))


def test_removed_folder_is_no_escape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a removed working directory can be opened."""
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert not escapes_via_symlink("file", ".")


def test_relative_folder_is_checked(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder begins at the working directory."""
    monkeypatch.chdir(checkout.parent)
    assert escapes_via_symlink("to-outside", "checkout")
    assert not escapes_via_symlink("to-file", "checkout")


@pytest.mark.parametrize("path", ["a\nb", "$(id)", "`id`", "a;b", "it's", "-", "", "é", '"'])
def test_quoted_path_is_one_argument(path: str) -> None:
    """A Unix shell reads the quoted path as one argument without changes."""
    assert shlex.split(quote_for_shell(path, "posix")) == [path]


@pytest.mark.parametrize(
    ("path", "posix", "windows"),
    [
        ("results/results.json", "results/results.json", "results/results.json"),
        ("my results/r.json", "'my results/r.json'", '"my results/r.json"'),
        ("out\\r.json", "'out\\r.json'", "out/r.json"),
        ("D:\\a b\\r.json", "'D:\\a b\\r.json'", '"D:/a b/r.json"'),
    ],
)
def test_path_quoting_for_windows_shells(path: str, posix: str, windows: str) -> None:
    """Neither cmd nor PowerShell reads Unix quotes."""
    assert (quote_for_shell(path, "posix"), quote_for_shell(path, "nt")) == (posix, windows)
