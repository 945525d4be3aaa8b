"""Pages, images and videos that the sandbox serves to browsers."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from autonoma_ci.sandbox.pages import run_page
from autonoma_ci.sandbox.run_store import Run

if TYPE_CHECKING:
    from tests.support.sandbox_client import FakeClock, SandboxClient

HOSTILE = "<script>alert('x')</script>\"&"
ESCAPED = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;"


def test_run_page_needs_no_credentials(client: SandboxClient, clock: FakeClock) -> None:
    """The link of a run opens a page without credentials."""
    answer = client.request_start("cm8d9gt6v000c9fe5glmyi33u", runtime_metadata={"LOCALE": "en"}).json()
    client.session.headers.clear()
    assert answer["url"] == f"{client.origin}/run/{answer['run_id']}"
    first = client.session.get(answer["url"], timeout=60)
    clock.now += 3
    last = client.session.get(answer["url"], timeout=60)
    assert first.headers["Content-Type"] == "text/html; charset=utf-8"
    for text in (answer["run_id"], "cm8d9gt6v000c9fe5glmyi33u", "Checkout pays by card", "LOCALE", "pending"):
        assert text in first.text
    assert "passed" in last.text


def test_page_reloads_until_run_ends(client: SandboxClient, clock: FakeClock) -> None:
    url = client.request_start("abc", kind="tag").json()["url"]
    seen = []
    for _ in range(4):
        seen.append('http-equiv="refresh"' in client.session.get(url, timeout=60).text)
        clock.now += 1
    assert seen == [True, True, True, False]


def test_hostile_request_fields_are_escaped(client: SandboxClient) -> None:
    url = client.request_start("abc", source=HOSTILE, runtime_metadata={HOSTILE: "x", "\ud800": "x"}).json()["url"]
    page = client.session.get(url, timeout=60)
    assert "<script" not in page.text
    assert page.text.count(ESCAPED) == 2
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_hostile_run_fields_are_escaped() -> None:
    run = Run(HOSTILE, HOSTILE, HOSTILE, "passed", 3.0, 0.0, HOSTILE, "", (HOSTILE,))
    page = run_page(run, HOSTILE).content.decode()
    assert "<script" not in page.lower()
    assert page.count(ESCAPED) == 8  # title, heading, status, run, kind, subject, source, variables


def test_unknown_path_is_404_and_escaped(client: SandboxClient) -> None:
    for path in (
        "/",
        "/run/nothing",
        "/run/folder/nothing",
        "/media/nothing/1-passed.png",
        "/%3Cscript%3E",
        "/run/%3Cscript%3E",
    ):
        answer = client.session.get(client.origin + path, timeout=60)
        assert answer.status_code == 404
        assert "<script" not in answer.text


def test_each_step_has_valid_png(client: SandboxClient, clock: FakeClock) -> None:
    """Each step has a different image, which is a complete PNG."""
    run_id = client.start_test("sandbox-fails")
    clock.now += 3
    steps = client.get(f"/run/{run_id}", steps="true", media="true").json()["steps"]
    client.session.headers.clear()
    answers = [client.session.get(step["image"], timeout=60) for step in steps]
    assert {answer.headers["Content-Type"] for answer in answers} == {"image/png"}
    shown = {zlib.crc32(png_pixels(answer.content)) for answer in answers}
    assert len(shown) == 4, "each step shows something else"


def test_passed_and_failed_images_differ(client: SandboxClient, clock: FakeClock) -> None:
    runs = [client.start_test("sandbox-fails"), client.start_test("any")]
    clock.now += 3
    last = [client.get(f"/run/{run}", steps="true", media="true").json()["steps"][-1]["image"] for run in runs]
    client.session.headers.clear()
    failed, passed = (zlib.crc32(client.session.get(url, timeout=60).content) for url in last)
    assert failed != passed


def test_finished_run_has_video(client: SandboxClient, clock: FakeClock) -> None:
    run_id = client.start_test("any")
    details = client.get(f"/run/{run_id}", media="true").json()
    assert details["video_url"] is None
    clock.now += 3
    assert client.get(f"/run/{run_id}").json()["video_url"] is None, "it is for those who ask for media"
    url = client.get(f"/run/{run_id}", media="true").json()["video_url"]
    client.session.headers.clear()
    answer = client.session.get(url, timeout=60)
    assert answer.headers["Content-Type"] == "video/webm"
    assert answer.content.startswith(b"\x1a\x45\xdf\xa3")


def png_pixels(content: bytes) -> bytes:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", content, at + 8 + length)[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colours = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert (depth, colours) == (8, 2)
    assert len(pixels) == height * (1 + 3 * width)
    return pixels
