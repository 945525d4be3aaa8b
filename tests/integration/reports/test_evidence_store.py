"""Downloads of screenshots and videos from a media host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

import pytest

from autonoma_ci.api.models import EvidenceFile, SignedUrl
from autonoma_ci.reports.evidence_store import EvidenceDownloader
from autonoma_ci.sandbox import Sandbox
from tests.support.fault_server import FaultServer, Wire
from tests.support.faults import answer, close, hang, reset, send_raw, started
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.run_step import JobResult, run_job

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.api.models import DownloadResult
    from tests.support.fault_server import Act

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 100
JPEG = b"\xff\xd8\xff\xe0" + b"pixels" * 100
WEBP = b"RIFF\x00\x00\x00\x00WEBP" + b"pixels" * 100
WEBM = b"\x1a\x45\xdf\xa3" + b"frames" * 100
MP4 = b"\x00\x00\x00\x18ftypmp42" + b"frames" * 100
HTML = b"<html><script>alert(1)</script></html>"


def picture(content: bytes = PNG, kind: str = "image/png", *headers: str) -> Act:
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers]
    return send_raw("\r\n".join([*lines, "Connection: close", "", ""]).encode() + content)


def in_turn(*acts: Act) -> Act:
    left = iter(acts)
    return lambda wire: next(left)(wire)  # noqa: PLW0108 - the next one each time


def moved(to: str, status: int = 302) -> Act:
    return answer(status, b"", f"Location: {to}")


def endless(wire: Wire) -> bool:
    """Say nothing of the length, and never end."""
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n" + PNG)
    while wire.send(b"x" * 65536):
        pass
    return False


def dripping(wire: Wire) -> bool:
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 600\r\n\r\n")
    wire.drip(PNG, 0.05)
    return False


def head(length: int, body: bytes = PNG) -> Act:
    return send_raw(f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n\r\n".encode() + body)


def fetch(folder: Path, act: Act, number: int = 1, *, seconds: float = 60.0) -> DownloadResult:
    """Fetch one file from a server that does this, and return what came of it."""
    with FaultServer(act) as server:
        store = EvidenceDownloader(folder, 100_000, 1_000_000, allow_http_loopback=True, timeout_seconds=seconds)
        return store.fetch(
            EvidenceFile("run-1", number, SignedUrl(f"http://127.0.0.1:{server.port}/some/../name.exe?x=1"))
        )


def left_in(folder: Path) -> list[str]:
    """Return the files there, without the style of the page that shows them."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.endswith(("report.css", "report.svg")))


@pytest.mark.parametrize(
    ("content", "said_kind", "number", "name"),
    [
        (PNG, "image/png", 7, "step-007.png"),
        (JPEG, "image/jpeg; charset=x", 1, "step-001.jpg"),
        (WEBP, "image/webp", 1234, "step-1234.webp"),
        (JPEG, "image/png", 1, "step-001.jpg"),
        (PNG, "application/octet-stream", 1, "step-001.png"),
        (WEBM, "video/webm", 0, "video.webm"),
        (MP4, "binary/octet-stream", 0, "video.mp4"),
    ],
)
def test_file_name_from_step_and_content(
    content: bytes, said_kind: str, number: int, name: str, tmp_path: Path
) -> None:
    """The step number and the first bytes of the content decide the file name."""
    kept = fetch(tmp_path, picture(content, said_kind), number)
    assert (kept.path, kept.error) == (f"evidence/run-1/{name}", "")
    assert (tmp_path / kept.path).read_bytes() == content
    assert left_in(tmp_path) == [kept.path]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "why", "again"),
    [
        (answer(404), "HTTP 404", True),
        (answer(403), "HTTP 403", True),
        (answer(500), "HTTP 500", True),
        (close, "ended before an answer came", True),
        (reset, "ended before an answer came", True),
        (hang, "too long", True),
        (dripping, "too long", True),
        (head(5000), "ended before an answer came", True),
        (head(2**30), "larger than it may be (1,073.7 MB)", False),
        (endless, "larger than it may be", False),
        (picture(b"y" * 200_000), "larger than it may be", False),
        (picture(HTML, "image/jpeg"), "it is no picture", True),
        (picture(HTML, "text/html"), "it is no picture", True),
        (picture(PNG, "text/html"), "it is no picture", True),
        (picture(b"<svg onload='alert(1)'/>", "image/svg+xml"), "it is no picture", True),
        (picture(WEBM, "video/webm"), "it is no picture", True),
        (picture(b"", "image/png"), "it is no picture", True),
        (answer(204), "HTTP 204", True),
        (picture(PNG, "image/png", "Content-Encoding: gzip"), "an encoding", False),
        (moved("http://media.test/1.png"), "address is not https", False),
        (moved("file:///etc/passwd"), "its address is none", False),
        (moved("ftp://media.test/1.png"), "address is not https", False),
        (moved("//user:pw@127.0.0.1/x"), "its address is none", False),
        (moved("/again"), "redirects more than 5 times", False),
        (send_raw(b"rubbish\r\n\r\n"), "ended before an answer came", True),
    ],
)
def test_failed_download_leaves_no_file(act: Act, why: str, again: bool, tmp_path: Path) -> None:
    """The error states the reason, and the folder stays empty."""
    # Those two never end in time.
    kept = fetch(tmp_path, act, seconds=0.6 if act in {hang, dripping} else 60.0)
    assert why in kept.error
    assert (kept.path, kept.retryable) == ("", again)
    assert left_in(tmp_path) == []


def test_download_ends_at_content_length(tmp_path: Path) -> None:
    """A file has as many bytes as its Content-Length, even if more follow."""
    kept = fetch(tmp_path, head(100))
    assert (tmp_path / kept.path).read_bytes() == PNG[:100]


def test_file_names_sort_by_step(tmp_path: Path) -> None:
    """The step numbers in the names have the same number of digits."""
    with FaultServer(picture()) as server:
        store, media = (
            EvidenceDownloader(tmp_path, 10_000, 10_000, allow_http_loopback=True),
            SignedUrl(f"http://127.0.0.1:{server.port}/"),
        )
        names = [store.fetch(EvidenceFile("r", number, media, number_width=4)).path for number in (1, 20, 999, 1000)]
    assert names == sorted(names)
    assert names[0] == "evidence/r/step-0001.png"


def test_redirects_are_followed(tmp_path: Path) -> None:
    """A download follows several redirects."""
    assert fetch(tmp_path, in_turn(moved("/b", 301), moved("/c", 307), picture())).path


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
    kept = EvidenceDownloader(tmp_path, 1000, 1000, allow_http_loopback=False).fetch(
        EvidenceFile("r", 1, SignedUrl(url))
    )
    assert "address is n" in kept.error
    assert not kept.retryable


def test_total_limit_and_half_for_passes(tmp_path: Path) -> None:
    """Evidence of passed runs gets at most half of `evidence-limit`."""
    with FaultServer(picture(PNG)) as server:
        media = SignedUrl(f"http://127.0.0.1:{server.port}/")
        store = EvidenceDownloader(tmp_path, 10_000, 4 * len(PNG), allow_http_loopback=True)
        kept = [store.fetch(EvidenceFile("r", number, media, low_priority=True)) for number in range(1, 4)]
        assert [bool(one.path) for one in kept] == [True, True, False]
        assert "no room left within evidence-limit" in kept[2].error
        assert [bool(store.fetch(EvidenceFile("r", number, media)).path) for number in range(4, 7)] == [
            True,
            True,
            False,
        ]


def test_discarded_file_uses_no_limit(tmp_path: Path) -> None:
    """A file that is discarded does not count towards the limit."""
    with FaultServer(in_turn(picture(HTML + bytes(1000)), picture())) as server:
        store = EvidenceDownloader(tmp_path, 10_000, 1200, allow_http_loopback=True)
        media = SignedUrl(f"http://127.0.0.1:{server.port}/")
        assert store.fetch(EvidenceFile("r", 1, media)).error
        assert store.fetch(EvidenceFile("r", 1, media)).path


def test_symlinks_are_not_followed(tmp_path: Path) -> None:
    """No download is written outside of the results folder."""
    outside, folder = tmp_path / "outside", tmp_path / "results"
    (outside / "run-1").mkdir(parents=True)
    folder.mkdir()
    (folder / "evidence").symlink_to(outside)
    assert "symbolic link" in fetch(folder, picture()).error
    (folder / "evidence").unlink()
    (folder / "evidence" / "run-1").mkdir(parents=True)
    (outside / "file").write_text("mine", "utf-8")
    (folder / "evidence" / "run-1" / "step-001.png").symlink_to(outside / "file")
    assert fetch(folder, picture()).path
    assert left_in(outside) == ["file"]
    assert (outside / "file").read_text("utf-8") == "mine"


def test_closed_store_removes_partial_file(tmp_path: Path) -> None:
    """Closing the store removes a partial file and refuses more downloads."""
    with FaultServer(dripping) as server:
        store = EvidenceDownloader(tmp_path, 10_000, 10_000, allow_http_loopback=True, timeout_seconds=60)
        item = EvidenceFile("r", 1, SignedUrl(f"http://127.0.0.1:{server.port}/"))
        thread = threading.Thread(target=store.fetch, args=(item,), daemon=True)
        thread.start()
        while not left_in(tmp_path):
            assert thread.is_alive()
        store.close()
        assert left_in(tmp_path) == []
        assert store.fetch(item).error == "the step has ended"


# --- whole steps


class Service:
    """An API whose runs of tests end by their names, and a media host on a port of its own."""

    def __init__(self, media: Act) -> None:
        self.host = FaultServer(media)
        self.api = FaultServer(self._answer)

    def __enter__(self) -> Self:
        self.host.__enter__()
        self.api.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.api.__exit__(*exc)
        self.host.__exit__(*exc)

    def _answer(self, wire: Wire) -> bool:
        path = wire.request.path
        if wire.request.method == "POST":
            return started(wire)
        word = "failed" if "fails" in path else "passed"
        if path.endswith("/status"):
            return answer(200, json.dumps({"status": word}))(wire)
        address = f"http://127.0.0.1:{self.host.port}/{path.split('/')[-1].partition('?')[0]}"
        steps = [{"instruction": "Open", "status": word, "image": f"{address}/1.exe?signature=of-the-address"}]
        shown = {"steps": steps, "video_url": f"{address}/v"} if "media=true" in path else {"steps": []}
        return answer(200, json.dumps({"name": "A title", "status": word} | shown))(wire)


def wait(folder: Path, service: Service, ids: list[str], **more: str) -> JobResult:
    given = {"INPUT_WAIT": "true", "INPUT_TIMEOUT": "10m", "INPUT_EVIDENCE": "failed"}
    return run_job(folder, service.api.url, ids, more=given | {f"INPUT_{k}": v for k, v in more.items()})


def media(wire: Wire) -> bool:
    return (picture(WEBM, "video/webm") if wire.request.path.endswith("/v") else picture())(wire)


def test_failed_run_has_evidence(tmp_path: Path) -> None:
    """The results folder and the record have the screenshots and the video of a failed run."""
    with Service(media) as service:
        job = wait(tmp_path, service, ["fails", "fine"])
    assert job.code == 1
    kept = left_in(tmp_path / "results" / "evidence")
    assert kept == ["run-of-fails/step-001.png", "run-of-fails/video.webm"]
    assert "of-the-address" not in job.everything + (tmp_path / "results" / "report.html").read_text("utf-8")
    run = job.record["runs"][0]
    assert run["evidence"]["steps"][0]["screenshot"] == "evidence/run-of-fails/step-001.png"
    assert run["evidence"]["video"] == "evidence/run-of-fails/video.webm"


def test_evidence_all_includes_passes(tmp_path: Path) -> None:
    """With `evidence` set to all, passed runs have files too."""
    with Service(media) as service:
        job = wait(tmp_path, service, ["fine"], EVIDENCE="all")
    assert job.code == 0
    assert len(left_in(tmp_path / "results" / "evidence")) == 2


def test_media_host_gets_no_credentials(tmp_path: Path) -> None:
    """Requests to the media host have neither credentials nor other headers of the API."""
    with Service(media) as service:
        wait(tmp_path, service, ["fails"])
        received = service.host.received
    assert len(received) == 2
    for request in received:
        everything = repr(sorted(request.headers.items())) + request.path
        assert "of-the-test" not in everything
        assert set(request.headers) <= {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_expired_urls_are_refreshed_once(tmp_path: Path) -> None:
    """HTTP 403 leads to one request for new URLs."""
    seen: list[str] = []

    def expired(wire: Wire) -> bool:
        first = wire.request.path not in seen
        seen.append(wire.request.path)
        return answer(403)(wire) if first else media(wire)

    with Service(expired) as service:
        job = wait(tmp_path, service, ["fails"])
        assert sum("media=true" in request.path for request in service.api.received) == 2
    assert len(left_in(tmp_path / "results" / "evidence")) == 2
    assert "not whole" not in job.log


@pytest.mark.parametrize("ids", [["fine"], ["fails"]])
def test_media_host_down_keeps_verdict(ids: list[str], tmp_path: Path) -> None:
    """Missing evidence is a warning and does not change the exit code."""
    with Service(answer(500)) as service:
        job = wait(tmp_path, service, ids, EVIDENCE="all")
    assert job.code == (1 if ids == ["fails"] else 0)
    assert "::warning" in job.log
    assert "1 run with incomplete evidence: A title: 2 of its files: HTTP 500" in job.log
    assert job.record["runs"][0]["evidence"]["missing_reason"] == "2 of its files: HTTP 500"


def test_evidence_needs_results_dir(tmp_path: Path) -> None:
    """The option `evidence` without `results-dir` is an input error."""
    with Service(media) as service:
        ended = invoke(tmp_path, "run", "--test-ids", "a", "--wait", "--evidence", "all", environ=CREDENTIALS)
        assert service.api.received == []
    assert ended.code == 2
    assert ended.errors == ["--evidence needs a folder to write to: give results-dir too"]


def test_blocked_path_keeps_other_files(tmp_path: Path) -> None:
    """Only an error that concerns all files ends the downloads."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "run-1").write_text("not a folder", "utf-8")
    with FaultServer(picture(PNG, "image/png")) as server:
        store = EvidenceDownloader(tmp_path, 100_000, 1_000_000, allow_http_loopback=True, timeout_seconds=60)
        media = SignedUrl(f"http://127.0.0.1:{server.port}/a.png")
        first, second = (store.fetch(EvidenceFile(run, 1, media)) for run in ("run-1", "run-2"))
    assert "it could not be written" in first.error
    assert (second.error, left_in(tmp_path / "evidence" / "run-2")) == ("", ["step-001.png"])


JOB = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
from autonoma_ci.cli import main
main()
"""


@pytest.mark.slow
def test_full_disk_is_warning(tmp_path: Path) -> None:
    """After the first write error, no other file is requested. A file size limit simulates the disk."""
    with Sandbox(pace=0) as sandbox:
        environ = {
            "AUTONOMA_CLIENT_ID": "some-client-id",
            "AUTONOMA_CLIENT_SECRET": "some-client-secret",
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_TEST_IDS": "sandbox-one",
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_RESULTS_DIR": "results",
            "AUTONOMA_EVIDENCE": "all",
            "PATH": os.environ["PATH"],
        }
        ran = subprocess.run(
            [sys.executable, "-B", "-c", JOB], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    assert ran.returncode == 7, "no record could be written"
    assert "it could not be written (File too large)" in ran.stdout
    assert "1 of 1 run passed." in ran.stdout
    assert left_in(tmp_path / "results" / "evidence") == []


def test_wait_command_downloads_evidence(tmp_path: Path) -> None:
    """The command `wait` downloads the evidence of runs that an earlier step started."""
    with Service(media) as service:
        first = run_job(tmp_path, service.api.url, ["fails"])
        assert first.code == 0
        environ = {"INPUT_EVIDENCE": "failed", "INPUT_TEST-IDS": "", "INPUT_RESULTS-DIR": ""}
        job = run_job(tmp_path, service.api.url, [], "wait", "results/results.json", more=environ)
    assert job.code == 1
    assert len(left_in(tmp_path / "results" / "evidence")) == 2
