"""Download screenshots and videos of runs into the results folder.

The files have names that autonoma-ci chooses. A file is stored only if its content is an image or a video.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from typing import TYPE_CHECKING

from autonoma_ci.api.models import DownloadResult
from autonoma_ci.net.download import DownloadError, download_file
from autonoma_ci.startup import DebugLogger, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from autonoma_ci.api.models import EvidenceFile
    from autonoma_ci.reports.results_dir import ResultsDir

_log = DebugLogger()
EVIDENCE_DIR = "evidence"
# Signatures by extension: the offset in bytes and the bytes there. None of these formats can contain a script.
_IMAGE_SIGNATURES = {
    "png": (0, b"\x89PNG\r\n\x1a\n"),
    "jpg": (0, b"\xff\xd8\xff"),
    "gif": (0, b"GIF8"),
    "webp": (8, b"WEBP"),
    "avif": (4, b"ftypavi"),
}
_VIDEO_SIGNATURES = {"webm": (0, b"\x1a\x45\xdf\xa3"), "mp4": (4, b"ftyp")}
# Errors that all later files would get too. The disk or a quota is full, the file size has a limit in this process, or
# the file system is read-only. Windows has no error for a quota.
_UNWRITABLE_DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EFBIG, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)})
# Errors while no descriptor is free, in this process or on the machine. Others are closed soon.
_NO_DESCRIPTOR_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE})
# Object stores send these content types for a file that was uploaded without a type.
GENERIC_CONTENT_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})
SNIFF_BYTES = 16


class _PartialFile(NamedTuple):
    """A file with a temporary name."""

    folder: str  # relative to results-dir
    name: str


class _VerifiedFile(NamedTuple):
    """A complete file of the right kind that still has its temporary name."""

    partial_file: _PartialFile
    final_name: str
    size: int


class EvidenceDownloader:
    """Downloads evidence files within size limits, from any number of threads.

    Args:
        results_dir: The results folder. A symbolic link must not lead a file out of it or the working directory.
        max_file_bytes: Largest size of one file.
        max_total_bytes: Largest size of all files together. Files of passed runs have low priority. They can use
            half of it.
        allow_http_loopback: Whether http is allowed for this machine, as in `net.download.download_file`.
        timeout_seconds: Time limit of each file.
    """

    def __init__(
        self,
        results_dir: ResultsDir,
        max_file_bytes: int,
        max_total_bytes: int,
        *,
        allow_http_loopback: bool,
        timeout_seconds: float = 120.0,
    ) -> None:
        self._results_dir = results_dir
        self._max_file_bytes, self._max_total_bytes = max_file_bytes, max_total_bytes
        self._allow_http_loopback, self._timeout_seconds = allow_http_loopback, timeout_seconds
        self._used_bytes = 0
        self._lock = threading.Lock()
        # Files that `close` removes.
        self._partial_files: set[_PartialFile] = set()
        # Files that could not be renamed, by run id and name. The next call of `fetch` renames them.
        self._verified_files: dict[tuple[str, str], _VerifiedFile] = {}
        # Why no further file is downloaded; empty while downloads are possible.
        self._closed_reason = ""

    def fetch(self, item: EvidenceFile) -> DownloadResult:
        """Download one file.

        An error is part of the result. It is never raised.
        """
        name = "video" if item.step_number is None else f"step-{item.step_number:0{item.number_width}d}"
        try:
            return DownloadResult(self._fetch(item, name))
        except DownloadError as error:
            return DownloadResult(error=str(error), retryable=error.retryable)
        except (_WriteError, OSError) as error:
            reason = f"could not be written ({error.strerror or 'unknown reason'})"
            if error.errno in _UNWRITABLE_DISK_ERRNOS:
                # Because the other reports need the space that is left, further downloads are refused.
                self._closed_reason = self._closed_reason or reason
            return DownloadResult(error=reason, retryable=error.errno in _NO_DESCRIPTOR_ERRNOS)

    def close(self) -> None:
        """Refuse further downloads and remove partial files."""
        with self._lock:
            self._closed_reason = self._closed_reason or "the step has ended"
            self._verified_files.clear()
            partial_files = list(self._partial_files)
        for partial_file in partial_files:
            self._remove(partial_file)

    def _fetch(self, item: EvidenceFile, name: str) -> str:
        """Download one file and return its path in the results folder.

        Raises:
            DownloadError: The file is unavailable, of a wrong kind or too large.
            LinkError: A link leads it elsewhere.
            _WriteError: The content could not be written.
            OSError: The file could not be created or renamed.
        """
        with self._lock:
            file = self._verified_files.pop((item.run_id, name), None)
        file = file or self._download(item, name)
        folder = file.partial_file.folder
        try:
            with self._results_dir.open_directory(folder, create=False) as directory:
                directory.replace(file.partial_file.name, file.final_name)
        except BaseException as error:
            if isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR_ERRNOS:
                with self._lock:
                    self._verified_files[item.run_id, name] = file
            else:
                self._discard(file.partial_file, file.size)
            raise
        self._forget(file.partial_file)
        _log.debug("Wrote %s/%s (%d bytes)", directory.path, file.final_name, file.size)
        return f"{folder}/{file.final_name}"

    def _download(self, item: EvidenceFile, name: str) -> _VerifiedFile:
        """Download one file under a temporary name, and verify its kind.

        Raises:
            DownloadError: The file is unavailable, of a wrong kind or too large.
            LinkError: A link leads it elsewhere.
            _WriteError: The content could not be written.
            OSError: The file could not be created.
        """
        partial_file = _PartialFile(f"{EVIDENCE_DIR}/{item.run_id}", f".{name}.{secrets.token_hex(8)}")
        with self._lock:
            if self._closed_reason:
                raise DownloadError(self._closed_reason)
            self._partial_files.add(partial_file)
        size = 0
        try:
            # Closed before the download, because the number of open files can be limited.
            with self._results_dir.open_directory(partial_file.folder) as directory:
                descriptor = directory.create_file(partial_file.name, 0o666)
            with os.fdopen(descriptor, "wb") as stream:
                writer = _LimitedWriter(
                    stream, lambda count: self._reserve_quota(count, is_low_priority=item.low_priority)
                )
                try:
                    content_type = download_file(
                        item.signed_url.url,
                        writer.write,
                        self._max_file_bytes,
                        self._timeout_seconds,
                        allow_http_loopback=self._allow_http_loopback,
                    )
                finally:
                    size = writer.size
            extension = _sniff_extension(
                writer.head, content_type, _VIDEO_SIGNATURES if item.step_number is None else _IMAGE_SIGNATURES
            )
        except BaseException:
            self._discard(partial_file, size)
            raise
        return _VerifiedFile(partial_file, f"{name}.{extension}", size)

    def _discard(self, file: _PartialFile, size: int) -> None:
        """Remove a file, and return its bytes to the limit."""
        self._reserve_quota(-size, is_low_priority=False)
        self._remove(file)

    def _remove(self, file: _PartialFile) -> None:
        """Remove a file. After an error, `close` tries once more."""
        try:
            with self._results_dir.open_directory(file.folder, create=False) as directory:
                directory.unlink(file.name)
        except FileNotFoundError:
            pass  # never created, or removed by `close`
        except OSError:
            return
        self._forget(file)

    def _forget(self, file: _PartialFile) -> None:
        with self._lock:
            self._partial_files.discard(file)

    def _reserve_quota(self, count: int, *, is_low_priority: bool) -> None:
        """Add bytes to the used ones. A negative count returns bytes.

        Raises:
            DownloadError: The quota has too few bytes left, or the downloader is closed.
        """
        with self._lock:
            # Windows refuses to remove an open file. So the thread that writes it stops here and removes it.
            if count > 0 and self._closed_reason:
                raise DownloadError(self._closed_reason)
            if count > 0 and self._used_bytes + count > (
                self._max_total_bytes // 2 if is_low_priority else self._max_total_bytes
            ):
                raise DownloadError("evidence-limit reached")
            self._used_bytes += count


class _WriteError(Exception):
    """Writing to the disk failed, not the network."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.errno, self.strerror = error.errno, error.strerror


class _LimitedWriter:
    """Writes a file within the limits and counts its bytes."""

    def __init__(self, stream: BinaryIO, reserve: Callable[[int], None]) -> None:
        self._stream, self._reserve = stream, reserve
        # The first `SNIFF_BYTES` bytes.
        self.head = b""
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Write one chunk.

        Raises:
            DownloadError: The quota has too few bytes left.
            _WriteError: Writing to the disk failed.
        """
        self._reserve(len(chunk))
        self.size += len(chunk)
        self.head += chunk[: max(0, SNIFF_BYTES - len(self.head))]
        try:
            self._stream.write(chunk)
        except OSError as error:
            raise _WriteError(error) from None


def _sniff_extension(head: bytes, content_type: str, signatures: dict[str, tuple[int, bytes]]) -> str:
    """Return the file extension that matches the first bytes.

    Args:
        head: The first `SNIFF_BYTES` bytes of the file.
        content_type: The content type of the response.
        signatures: The signatures of the expected kind of file.

    Raises:
        DownloadError: The file has no such signature, or a content type of another kind.
    """
    media_type = "image" if signatures is _IMAGE_SIGNATURES else "video"
    extension = next(
        (name for name, (offset, signature) in signatures.items() if head[offset:].startswith(signature)), ""
    )
    if not extension or not (content_type in GENERIC_CONTENT_TYPES or content_type.startswith(f"{media_type}/")):
        raise DownloadError(f"not {'an image' if media_type == 'image' else 'a video'}", retryable=True)
    return extension
