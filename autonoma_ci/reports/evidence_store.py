"""Screenshots and videos in results-dir/evidence: under names of our own, and only if they are what they should be."""

from __future__ import annotations

import errno
import secrets
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from autonoma_ci.api.models import DownloadResult
from autonoma_ci.fs.files import make_directory, match_parent_owner
from autonoma_ci.fs.paths import escapes_via_symlink
from autonoma_ci.net.download import DownloadError, FileTooLargeError, download

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from autonoma_ci.api.models import EvidenceFile

EVIDENCE_DIR = "evidence"
# How each kind of file begins: where, and with what. Neither can hold a script.
_IMAGES = {
    "png": (0, b"\x89PNG\r\n\x1a\n"),
    "jpg": (0, b"\xff\xd8\xff"),
    "gif": (0, b"GIF8"),
    "webp": (8, b"WEBP"),
    "avif": (4, b"ftypavi"),
}
_VIDEOS = {"webm": (0, b"\x1a\x45\xdf\xa3"), "mp4": (4, b"ftyp")}
# What holds for all files: no room on the disk, in a quota (which Windows does not know) or within the limit of the
# process, or a disk that can't be written to.
_FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)})
# What object stores say of a file whose kind nobody told them.
GENERIC_CONTENT_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})
SNIFF_BYTES = 16


class EvidenceDownloader:
    """Fetches files from any number of threads; `limit` bytes in all, and `file_limit` for each.

    What is spare takes at most half of it. `local` as for `api.media.download`; `seconds` is for each file. No link
    leads a file out of `folder`, nor out of `root`.
    """

    def __init__(
        self,
        folder: Path,
        file_limit: int,
        limit: int,
        *,
        local: bool,
        seconds: float = 120.0,
        root: Path | None = None,
    ) -> None:
        self._folder, self._file_limit, self._limit = folder, file_limit, limit
        self._root = root or folder
        self._local, self._seconds = local, seconds
        self._used = 0
        self._lock = threading.Lock()
        self._drafts: set[Path] = set()
        self._closed = ""

    def fetch(self, item: EvidenceFile) -> DownloadResult:
        """Download one file into its place; what goes wrong is told and never raised."""
        name = f"step-{item.step_number:0{item.number_width}d}" if item.step_number else "video"
        try:
            return DownloadResult(self._fetch(item, name))
        except DownloadError as error:
            return DownloadResult(error=str(error), retryable=error.retryable)
        except (_WriteError, OSError) as error:
            why = f"it could not be written ({error.strerror or 'unknown reason'})"
            if error.errno in _FULL:
                # The rest of the reports needs what is left.
                self._closed = self._closed or why
            return DownloadResult(error=why)

    def close(self) -> None:
        """Fetch nothing more, and leave nothing half-written behind."""
        with self._lock:
            self._closed = self._closed or "the step has ended"
            drafts = list(self._drafts)
        for draft in drafts:
            with suppress(OSError):
                draft.unlink()

    def _fetch(self, item: EvidenceFile, name: str) -> str:
        folder = self._folder / EVIDENCE_DIR / item.run_id
        # Each time anew: a link may have come since.
        if any(escapes_via_symlink(str(folder.absolute()), str(place)) for place in (self._folder, self._root)):
            raise DownloadError("a symbolic link in results-dir leads elsewhere")
        make_directory(folder)
        draft = folder / f".{name}.{secrets.token_hex(8)}"
        with self._lock:
            if self._closed:
                raise DownloadError(self._closed)
            self._drafts.add(draft)
        size = 0
        try:
            # "x" makes a new file, or none: a link that somebody put there is not followed.
            with draft.open("xb") as stream:
                match_parent_owner(folder, stream.fileno())
                body = _LimitedWriter(
                    stream, self._file_limit, lambda count: self._reserve_quota(count, spare=item.low_priority)
                )
                try:
                    said = download(
                        item.signed_url.url,
                        body.write,
                        self._file_limit,
                        self._seconds,
                        allow_http_loopback=self._local,
                    )
                finally:
                    size = body.size
            kind = _sniff_extension(body.head, said, _IMAGES if item.step_number else _VIDEOS)
            draft.replace(folder / f"{name}.{kind}")
        except BaseException:
            self._reserve_quota(-size, spare=False)
            with suppress(OSError):
                draft.unlink()
            raise
        finally:
            with self._lock:
                self._drafts.discard(draft)
        return f"{EVIDENCE_DIR}/{item.run_id}/{name}.{kind}"

    def _reserve_quota(self, count: int, *, spare: bool) -> None:
        with self._lock:
            # Windows lets nobody remove a draft that is open: who writes it stops, and removes it.
            if count > 0 and self._closed:
                raise DownloadError(self._closed)
            if count > 0 and self._used + count > (self._limit // 2 if spare else self._limit):
                raise DownloadError("there is no room left within evidence-limit")
            self._used += count


class _WriteError(Exception):
    """The disk said no: told apart from what the network says, which has the same type."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.errno, self.strerror = error.errno, error.strerror


class _LimitedWriter:
    """What has come of a file so far: its first bytes, and how many in all."""

    def __init__(self, stream: BinaryIO, limit: int, take: Callable[[int], None]) -> None:
        self._stream, self._limit, self._reserve = stream, limit, take
        self.head = b""
        self.size = 0

    def write(self, piece: bytes) -> None:
        if self.size + len(piece) > self._limit:
            raise FileTooLargeError
        self._reserve(len(piece))
        self.size += len(piece)
        self.head += piece[: max(0, SNIFF_BYTES - len(self.head))]
        try:
            self._stream.write(piece)
        except OSError as error:
            raise _WriteError(error) from None


def _sniff_extension(head: bytes, said: str, kinds: dict[str, tuple[int, bytes]]) -> str:
    """Return the file's extension by its first bytes; raise MediaError if it is not of these kinds."""
    family = "image" if kinds is _IMAGES else "video"
    found = next((kind for kind, (place, mark) in kinds.items() if head[place:].startswith(mark)), "")
    if not found or not (said in GENERIC_CONTENT_TYPES or said.startswith(f"{family}/")):
        raise DownloadError(f"it is no {'picture' if family == 'image' else 'video'}", retryable=True)
    return found
