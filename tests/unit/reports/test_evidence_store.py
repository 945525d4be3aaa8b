"""Tests of downloads of screenshots and videos into the results folder."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import DownloadResult, EvidenceFile, SignedUrl
from autonoma_ci.reports import evidence_store
from autonoma_ci.reports.evidence_store import EvidenceDownloader
from tests.support.fault_server import Connection, FaultServer
from tests.support.faults import close, hang, reset, send_raw, send_response
from tests.support.reports import make_results_dir
from tests.support.threads import run_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.fault_server import RequestHandler

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 100
JPEG = b"\xff\xd8\xff\xe0" + b"pixels" * 100
WEBP = b"RIFF\x00\x00\x00\x00WEBP" + b"pixels" * 100
GIF = b"GIF89a" + b"pixels" * 100
AVIF = b"\x00\x00\x00\x1cftypavif" + b"pixels" * 100
WEBM = b"\x1a\x45\xdf\xa3" + b"frames" * 100
MP4 = b"\x00\x00\x00\x18ftypmp42" + b"frames" * 100
HTML = b"<html><script>alert(1)</script></html>"


def serve_picture(content: bytes = PNG, kind: str = "image/png", *headers: str) -> RequestHandler:
    """Return a handler that answers with a file."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers]
    return send_raw("\r\n".join([*lines, "Connection: close", "", ""]).encode() + content)


def handle_in_turn(*handlers: RequestHandler) -> RequestHandler:
    """Return a handler that uses the next of these handlers for each request."""
    remaining = iter(handlers)
    return lambda connection: next(remaining)(connection)  # noqa: PLW0108 - the next one each time


def redirect_to(url: str, status: int = 302) -> RequestHandler:
    """Return a handler that redirects to another URL."""
    return send_response(status, b"", f"Location: {url}")


def send_endless(connection: Connection) -> bool:
    """Send a body without a length and without an end."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n" + PNG)
    while connection.send(b"x" * 65536):
        pass
    return False


def send_slowly(connection: Connection) -> bool:
    """Send one byte at a time."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 600\r\n\r\n")
    connection.send_slowly(PNG, 0.05)
    return False


def send_partial(length: int, body: bytes = PNG) -> RequestHandler:
    """Return a handler that sends a body of another length than its Content-Length."""
    return send_raw(f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n\r\n".encode() + body)


def make_store(
    folder: Path, max_total_bytes: int = 1_000_000, *, working_directory: Path | None = None
) -> EvidenceDownloader:
    return EvidenceDownloader(
        make_results_dir(folder, working_directory),
        100_000,
        max_total_bytes,
        allow_http_loopback=True,
        timeout_seconds=60,
    )


def make_media_url(server: FaultServer) -> SignedUrl:
    return SignedUrl(f"http://127.0.0.1:{server.port}/some/../name.exe?signature=s3cret-value")


def fetch(folder: Path, handler: RequestHandler, number: int | None = 1, *, seconds: float = 60.0) -> DownloadResult:
    """Fetch one file from a server that handles each request with this handler."""
    with FaultServer(handler) as server:
        store = EvidenceDownloader(
            make_results_dir(folder), 100_000, 1_000_000, allow_http_loopback=True, timeout_seconds=seconds
        )
        return store.fetch(EvidenceFile("run-1", number, make_media_url(server)))


def list_stored_paths(folder: Path) -> list[str]:
    """Return the paths of the files in the folder, without the assets of the report."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.endswith(("report.css", "report.svg")))


@pytest.mark.parametrize(
    ("content", "content_type", "number", "name"),
    [
        (PNG, "image/png", 7, "step-007.png"),
        (JPEG, "image/jpeg; charset=x", 1, "step-001.jpg"),
        (WEBP, "image/webp", 1234, "step-1234.webp"),
        (GIF, "IMAGE/GIF", 1, "step-001.gif"),
        (AVIF, "image/avif", 1, "step-001.avif"),
        (JPEG, "image/png", 1, "step-001.jpg"),
        (PNG, "application/octet-stream", 1, "step-001.png"),
        (PNG, "", 1, "step-001.png"),
        (WEBM, "video/webm", None, "video.webm"),
        (MP4, "binary/octet-stream", None, "video.mp4"),
    ],
)
def test_file_name_from_step_and_content(
    content: bytes, content_type: str, number: int | None, name: str, tmp_path: Path
) -> None:
    """The step number and the first bytes of the content decide the file name."""
    result = fetch(tmp_path, serve_picture(content, content_type), number)
    assert (result.path, result.error) == (f"evidence/run-1/{name}", None)
    assert (tmp_path / result.path).read_bytes() == content
    assert list_stored_paths(tmp_path) == [result.path]


@pytest.mark.parametrize(
    ("handler", "reason", "retryable"),
    [
        (send_response(404), "HTTP 404", True),
        (send_response(403), "HTTP 403", True),
        (send_response(500), "HTTP 500", True),
        (close, "ended before the response", True),
        (reset, "ended before the response", True),
        pytest.param(hang, "timed out", True, marks=pytest.mark.slow),
        pytest.param(send_slowly, "timed out", True, marks=pytest.mark.slow),
        (send_partial(5000), "ended before the response", True),
        (send_partial(2**30), "larger than the limit (file size 1,073.7 MB)", False),
        (send_endless, "larger than the limit", False),
        (serve_picture(b"y" * 200_000), "larger than the limit", False),
        (serve_picture(HTML, "image/jpeg"), "not an image", True),
        (serve_picture(HTML, "text/html"), "not an image", True),
        (serve_picture(PNG, "text/html"), "not an image", True),
        (serve_picture(b"<svg onload='alert(1)'/>", "image/svg+xml"), "not an image", True),
        (serve_picture(WEBM, "video/webm"), "not an image", True),
        (serve_picture(b"", "image/png"), "not an image", True),
        (send_response(204), "HTTP 204", True),
        (serve_picture(PNG, "image/png", "Content-Encoding: gzip"), "unexpected Content-Encoding", False),
        (redirect_to("http://media.test/1.png"), "the scheme is not https", False),
        (redirect_to("file:///etc/passwd"), "invalid media URL", False),
        (redirect_to("ftp://media.test/1.png"), "the scheme is not https", False),
        (redirect_to("//user:pw@127.0.0.1/x"), "invalid media URL", False),
        (redirect_to("/again"), "more than 5 redirects", False),
        (send_raw(b"rubbish\r\n\r\n"), "ended before the response", True),
    ],
)
def test_failed_download_leaves_no_file(handler: RequestHandler, reason: str, retryable: bool, tmp_path: Path) -> None:
    """The error states the reason, and the folder stays empty."""
    # Those two never end in time.
    result = fetch(tmp_path, handler, seconds=0.6 if handler in {hang, send_slowly} else 60.0)
    assert result.error is not None
    assert reason in result.error
    assert "s3cret-value" not in result.error
    assert (result.path, result.retryable) == ("", retryable)
    assert list_stored_paths(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "content_type"),
    [(PNG, "video/mp4"), (PNG, ""), (MP4, "image/png"), (HTML, "video/webm"), (b"ftyp" + MP4, "video/mp4"), (b"", "")],
)
def test_video_of_other_kind_is_refused(content: bytes, content_type: str, tmp_path: Path) -> None:
    """A file is a video only by its signature and its content type."""
    result = fetch(tmp_path, serve_picture(content, content_type), None)
    assert (result.path, result.error, result.retryable) == ("", "not a video", True)
    assert list_stored_paths(tmp_path) == []


@pytest.mark.parametrize(("size", "is_stored"), [(100_000, True), (100_001, False)])
def test_file_limit_is_inclusive(size: int, is_stored: bool, tmp_path: Path) -> None:
    """A file of exactly the largest size is stored."""
    result = fetch(tmp_path, serve_picture(PNG.ljust(size, b"x")))
    assert bool(result.path) is is_stored
    assert ("larger than the limit" in (result.error or "")) is not is_stored


def test_download_ends_at_content_length(tmp_path: Path) -> None:
    """A file has as many bytes as its Content-Length, even if more follow."""
    result = fetch(tmp_path, send_partial(100))
    assert (tmp_path / result.path).read_bytes() == PNG[:100]


def test_file_names_sort_by_step(tmp_path: Path) -> None:
    """The step numbers in the names have the same number of digits."""
    with FaultServer(serve_picture()) as server:
        store, media = make_store(tmp_path, 10_000), make_media_url(server)
        names = [store.fetch(EvidenceFile("r", number, media, number_width=4)).path for number in (1, 20, 999, 1000)]
    assert names == sorted(names)
    assert names[0] == "evidence/r/step-0001.png"


def test_redirects_are_followed(tmp_path: Path) -> None:
    """A download follows several redirects."""
    assert fetch(tmp_path, handle_in_turn(redirect_to("/b", 301), redirect_to("/c", 307), serve_picture())).path


def test_repeated_download_replaces_file(tmp_path: Path) -> None:
    """A second download of the same file replaces the first one."""
    for content in (PNG, PNG + b"new"):
        result = fetch(tmp_path, serve_picture(content))
        assert (tmp_path / result.path).read_bytes() == content
    assert list_stored_paths(tmp_path) == ["evidence/run-1/step-001.png"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/x", "http://media.test/x", "ftp://media.test/x", "file:///etc/passwd", "//media.test/x",
        "https://", "https://user@media.test/x", "https://media.test/\nx", "https://media.test/é", "", "https://[::1",
        "data:image/png;base64,AAAA", "javascript:alert(1)", "https://media.test:99999/",
        "https://media.test/" + "x" * 20_000,
    ],
)  # fmt: skip
def test_http_url_is_not_requested(url: str, tmp_path: Path) -> None:
    """Plain http is refused even for this machine, unless the API is there too."""
    result = EvidenceDownloader(make_results_dir(tmp_path), 1000, 1000, allow_http_loopback=False).fetch(
        EvidenceFile("r", 1, SignedUrl(url))
    )
    assert result.error is not None
    assert "invalid media URL" in result.error
    assert not result.retryable
    assert list_stored_paths(tmp_path) == []


def test_total_limit_and_half_for_passes(tmp_path: Path) -> None:
    """Evidence of passed runs gets at most half of `evidence-limit`."""
    with FaultServer(serve_picture(PNG)) as server:
        media = make_media_url(server)
        store = make_store(tmp_path, 4 * len(PNG))
        results = [store.fetch(EvidenceFile("r", number, media, low_priority=True)) for number in range(1, 4)]
        assert [bool(result.path) for result in results] == [True, True, False]
        assert "evidence-limit reached" in (results[2].error or "")
        assert [bool(store.fetch(EvidenceFile("r", number, media)).path) for number in range(4, 7)] == [
            True,
            True,
            False,
        ]


def test_discarded_file_uses_no_limit(tmp_path: Path) -> None:
    """A file that is discarded does not count towards the limit."""
    with FaultServer(handle_in_turn(serve_picture(HTML + bytes(1000)), serve_picture())) as server:
        store, media = make_store(tmp_path, 1200), make_media_url(server)
        assert store.fetch(EvidenceFile("r", 1, media)).error
        assert store.fetch(EvidenceFile("r", 1, media)).path


def test_threads_share_total_limit(tmp_path: Path) -> None:
    """Downloads of several threads together stay within the limit."""
    with FaultServer(serve_picture(PNG)) as server:
        store, media = make_store(tmp_path, 3 * len(PNG)), make_media_url(server)
        results: list[DownloadResult] = []

        def fetch(number: int) -> None:
            results.append(store.fetch(EvidenceFile("r", number, media)))

        run_at_once([partial(fetch, number) for number in range(1, 9)])
    stored_paths = sorted(result.path for result in results if result.path)
    assert 1 <= len(stored_paths) <= 3
    assert list_stored_paths(tmp_path) == stored_paths
    assert {result.error for result in results} == {None, "evidence-limit reached"}


def test_symlinks_are_not_followed(tmp_path: Path) -> None:
    """No download is written outside of the results folder."""
    outside, folder = tmp_path / "outside", tmp_path / "results"
    (outside / "run-1").mkdir(parents=True)
    folder.mkdir()
    (folder / "evidence").symlink_to(outside)
    assert "symbolic link" in (fetch(folder, serve_picture()).error or "")
    (folder / "evidence").unlink()
    (folder / "evidence" / "run-1").mkdir(parents=True)
    (outside / "file").write_text("mine", "utf-8")
    (folder / "evidence" / "run-1" / "step-001.png").symlink_to(outside / "file")
    assert fetch(folder, serve_picture()).path
    assert list_stored_paths(outside) == ["file"]
    assert (outside / "file").read_text("utf-8") == "mine"


def test_link_message_fits_inside_link(tmp_path: Path) -> None:
    """A link below results-dir is refused, even if it stays inside."""
    (tmp_path / "evidence" / "real").mkdir(parents=True)
    (tmp_path / "evidence" / "run-1").symlink_to("real")
    result = fetch(tmp_path, serve_picture())
    assert result.error == "could not be written (symbolic link in place of a directory)"
    assert not result.retryable
    assert list_stored_paths(tmp_path) == []


def test_symlinked_results_dir_is_refused(tmp_path: Path) -> None:
    """A link in place of the results folder must not lead out of the working directory."""
    outside, working_directory = tmp_path / "outside", tmp_path / "work"
    outside.mkdir()
    working_directory.mkdir()
    (working_directory / "results").symlink_to(outside)
    with FaultServer(serve_picture()) as server:
        result = make_store(working_directory / "results", working_directory=working_directory).fetch(
            EvidenceFile("r", 1, make_media_url(server))
        )
        assert result.error == "could not be written (symbolic link leads outside of the directory)"
        assert not result.retryable
        assert server.received_requests == []
    assert list_stored_paths(outside) == []


def test_closed_store_removes_partial_file(tmp_path: Path) -> None:
    """Closing the store removes a partial file and refuses more downloads."""
    is_requested, is_closed = threading.Event(), threading.Event()

    def respond_after_close(connection: Connection) -> bool:
        is_requested.set()
        is_closed.wait(60)
        return serve_picture()(connection)

    results: list[DownloadResult] = []
    with FaultServer(respond_after_close) as server:
        store = make_store(tmp_path, 10_000)
        item = EvidenceFile("r", 1, make_media_url(server))
        thread = threading.Thread(target=lambda: results.append(store.fetch(item)), daemon=True)
        thread.start()
        assert is_requested.wait(60)
        assert len(list_stored_paths(tmp_path)) == 1
        store.close()
        assert list_stored_paths(tmp_path) == []
        assert store.fetch(item).error == "the step has ended"
        is_closed.set()
        thread.join(60)
        assert len(server.received_requests) == 1
    assert [(result.path, result.error) for result in results] == [("", "the step has ended")]
    assert list_stored_paths(tmp_path) == []


def test_blocked_path_leaves_other_runs(tmp_path: Path) -> None:
    """Only an error that concerns all files ends the downloads."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "run-1").write_text("not a folder", "utf-8")
    with FaultServer(serve_picture(PNG, "image/png")) as server:
        store, media = make_store(tmp_path), make_media_url(server)
        first_result, second_result = (store.fetch(EvidenceFile(run, 1, media)) for run in ("run-1", "run-2"))
    assert first_result.error == "could not be written (File exists)"
    assert (second_result.error, list_stored_paths(tmp_path / "evidence" / "run-2")) == (None, ["step-001.png"])


@contextmanager
def limit_file_size(max_bytes: int) -> Iterator[None]:
    """Limit the size of the files that this process writes, as a full disk does."""
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard_limit))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft_limit, hard_limit))


# The system writes a small file when it is closed, and a large one chunk by chunk.
@pytest.mark.parametrize("size", [len(PNG), 90_000])
def test_full_disk_refuses_all_downloads(size: int, tmp_path: Path) -> None:
    """After a write error of the disk, no other file is requested."""
    with FaultServer(serve_picture(PNG.ljust(size, b"x"))) as server:
        store, media = make_store(tmp_path), make_media_url(server)
        with limit_file_size(300):
            first_result = store.fetch(EvidenceFile("r", 1, media))
        second_result = store.fetch(EvidenceFile("r", 2, media))
        assert len(server.received_requests) == 1
    assert first_result.error == second_result.error == "could not be written (File too large)"
    assert not first_result.retryable
    assert list_stored_paths(tmp_path) == []
    store.close()
    assert store.fetch(EvidenceFile("r", 3, media)).error == first_result.error


@pytest.mark.parametrize("umask", [0, 0o002, 0o022])
def test_file_mode_depends_on_umask(umask: int, tmp_path: Path) -> None:
    """A group that shares the directory can also write, if the umask allows it."""
    old_umask = os.umask(umask)
    try:
        result = fetch(tmp_path, serve_picture())
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE((tmp_path / result.path).stat().st_mode) == 0o666 & ~umask


class DescriptorLimit:
    """Uses up all descriptors of this process, as other threads do."""

    def __init__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def reach(self) -> None:
        """Refuse new descriptors."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, self._limits[1]))

    def lift(self) -> None:
        """Allow new descriptors."""
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)


@pytest.fixture
def descriptor_limit() -> Iterator[DescriptorLimit]:
    """Return a limit that is lifted after the test."""
    limit = DescriptorLimit()
    yield limit
    limit.lift()


def replace_download(content: bytes, on_written: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the network, and return the list of the requested URLs."""
    urls: list[str] = []

    def download_file(url: str, write: Callable[[bytes], None], *_: object, **__: object) -> str:
        urls.append(url)
        write(content)
        on_written()
        return "image/png"

    monkeypatch.setattr(evidence_store, "download_file", download_file)
    return urls


ITEM = EvidenceFile("r", 1, SignedUrl("https://media.test/1.png"))


def test_close_removes_file_that_stayed(
    descriptor_limit: DescriptorLimit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content of another kind is removed later if no descriptor was free."""
    replace_download(HTML, descriptor_limit.reach, monkeypatch)
    store = make_store(tmp_path)
    assert store.fetch(ITEM).error == "not an image"
    descriptor_limit.lift()
    assert [path.name.startswith(".step-001.") for path in (tmp_path / "evidence" / "r").iterdir()] == [True]
    store.close()
    assert list_stored_paths(tmp_path) == []


def test_verified_file_is_renamed_later(
    descriptor_limit: DescriptorLimit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that could not be renamed is renamed without a second download."""
    urls = replace_download(PNG, descriptor_limit.reach, monkeypatch)
    store = make_store(tmp_path, len(PNG))
    results = [store.fetch(ITEM)]
    descriptor_limit.lift()
    results.append(store.fetch(ITEM))
    assert results == [
        DownloadResult(error="could not be written (Too many open files)", retryable=True),
        DownloadResult("evidence/r/step-001.png"),
    ]
    assert len(urls) == 1
    store.close()
    assert list_stored_paths(tmp_path) == ["evidence/r/step-001.png"]
    assert (tmp_path / "evidence/r/step-001.png").read_bytes() == PNG


def test_verified_file_without_rename_is_removed(
    descriptor_limit: DescriptorLimit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was never renamed is removed, and a closed store renames no file."""
    replace_download(PNG, descriptor_limit.reach, monkeypatch)
    store = make_store(tmp_path)
    assert [store.fetch(ITEM).retryable for _ in range(2)] == [True, True]
    descriptor_limit.lift()
    store.close()
    assert store.fetch(ITEM).error == "the step has ended"
    assert list_stored_paths(tmp_path) == []


def test_removed_file_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store forgets each file that was renamed or removed."""
    store = make_store(tmp_path)
    for content in (PNG, HTML):
        replace_download(content, lambda: None, monkeypatch)
        store.fetch(ITEM)
    # Another process removes the directory.
    replace_download(PNG, lambda: shutil.rmtree(tmp_path / "evidence"), monkeypatch)
    assert store.fetch(ITEM).error == "could not be written (No such file or directory)"
    assert store._partial_files == set()
    assert store._verified_files == {}


def test_failed_rename_returns_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be renamed is removed, and does not count towards the limit."""
    store = make_store(tmp_path, len(PNG))
    target = tmp_path / "evidence" / "r" / "step-001.png"
    replace_download(PNG, lambda: target.mkdir(exist_ok=True), monkeypatch)
    assert store.fetch(ITEM).error == "could not be written (Is a directory)"
    target.rmdir()
    replace_download(PNG, lambda: None, monkeypatch)
    assert store.fetch(ITEM).path
    assert list_stored_paths(tmp_path) == ["evidence/r/step-001.png"]


def test_verified_file_is_renamed_on_full_disk(
    descriptor_limit: DescriptorLimit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename needs no space, so a full disk loses no verified file."""
    replace_download(PNG, descriptor_limit.reach, monkeypatch)
    store = make_store(tmp_path)
    assert store.fetch(ITEM).retryable
    descriptor_limit.lift()

    def fail_write() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    replace_download(PNG, fail_write, monkeypatch)
    assert store.fetch(ITEM._replace(step_number=2)).error == "could not be written (No space left on device)"
    assert store.fetch(ITEM).path == "evidence/r/step-001.png"
    assert list_stored_paths(tmp_path) == ["evidence/r/step-001.png"]
