"""Pages, images and videos that the sandbox serves to browsers."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from autonoma_ci.sandbox.pages import run_page
from autonoma_ci.sandbox.run_store import Run

if TYPE_CHECKING:
    from tests.support.sandbox_client import SandboxClient, SettableClock

HOSTILE_TEXT = "<script>alert('x')</script>\"&"
ESCAPED_TEXT = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;"


def test_run_page_needs_no_credentials(client: SandboxClient, clock: SettableClock) -> None:
    """The link of a run opens a page without credentials."""
    response = client.request_start("cm8d9gt6v000c9fe5glmyi33u", runtime_metadata={"LOCALE": "en"}).json()
    client.session.headers.clear()
    assert response["url"] == f"{client.origin}/run/{response['run_id']}"
    first_page = client.session.get(response["url"], timeout=60)
    clock.now += 3
    last_page = client.session.get(response["url"], timeout=60)
    assert first_page.headers["Content-Type"] == "text/html; charset=utf-8"
    for text in (response["run_id"], "cm8d9gt6v000c9fe5glmyi33u", "Checkout pays by card", "LOCALE", "pending"):
        assert text in first_page.text
    assert "passed" in last_page.text


def test_page_reloads_until_run_ends(client: SandboxClient, clock: SettableClock) -> None:
    """The page of an ended run does not reload."""
    url = client.request_start("abc", kind="tag").json()["url"]
    refresh_states = []
    for _ in range(4):
        refresh_states.append('http-equiv="refresh"' in client.session.get(url, timeout=60).text)
        clock.now += 1
    assert refresh_states == [True, True, True, False]


def test_hostile_request_fields_are_escaped(client: SandboxClient) -> None:
    """The page escapes the fields of a start request, and its headers forbid scripts."""
    url = client.request_start("abc", source=HOSTILE_TEXT, runtime_metadata={HOSTILE_TEXT: "x", "\ud800": "x"}).json()[
        "url"
    ]
    page = client.session.get(url, timeout=60)
    assert "<script" not in page.text
    assert page.text.count(ESCAPED_TEXT) == 2
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_hostile_run_fields_are_escaped() -> None:
    """The page escapes each field of a run."""
    run = Run(HOSTILE_TEXT, HOSTILE_TEXT, HOSTILE_TEXT, "passed", 3.0, 0.0, HOSTILE_TEXT, "", (HOSTILE_TEXT,))
    page = run_page(run, HOSTILE_TEXT).content.decode()
    assert "<script" not in page.lower()
    assert page.count(ESCAPED_TEXT) == 8  # title, heading, status, run, kind, subject, source, variables


def test_unknown_path_is_404_and_escaped(client: SandboxClient) -> None:
    """The page for an unknown path has no markup of the path."""
    for path in (
        "/",
        "/run/nothing",
        "/run/folder/nothing",
        "/media/nothing/1-passed.png",
        "/%3Cscript%3E",
        "/run/%3Cscript%3E",
    ):
        response = client.session.get(client.origin + path, timeout=60)
        assert response.status_code == 404
        assert "<script" not in response.text


def test_each_step_has_valid_png(client: SandboxClient, clock: SettableClock) -> None:
    """Each step has a different image, which is a complete PNG."""
    run_id = client.start_test("sandbox-fails")
    clock.now += 3
    steps = client.get(f"/run/{run_id}", steps="true", media="true").json()["steps"]
    client.session.headers.clear()
    responses = [client.session.get(step["image"], timeout=60) for step in steps]
    assert {response.headers["Content-Type"] for response in responses} == {"image/png"}
    checksums = {zlib.crc32(decode_png(response.content)) for response in responses}
    assert len(checksums) == 4, "each step shows something else"


def test_passed_and_failed_images_differ(client: SandboxClient, clock: SettableClock) -> None:
    """The last steps of a passed and a failed run have different images."""
    runs = [client.start_test("sandbox-fails"), client.start_test("any")]
    clock.now += 3
    image_urls = [client.get(f"/run/{run}", steps="true", media="true").json()["steps"][-1]["image"] for run in runs]
    client.session.headers.clear()
    failed, passed = (zlib.crc32(client.session.get(url, timeout=60).content) for url in image_urls)
    assert failed != passed


def test_finished_run_has_video(client: SandboxClient, clock: SettableClock) -> None:
    """An ended run has a video, for requests that ask for media."""
    run_id = client.start_test("any")
    details = client.get(f"/run/{run_id}", media="true").json()
    assert details["video_url"] is None
    clock.now += 3
    assert client.get(f"/run/{run_id}").json()["video_url"] is None, "it is for those who ask for media"
    url = client.get(f"/run/{run_id}", media="true").json()["video_url"]
    client.session.headers.clear()
    response = client.session.get(url, timeout=60)
    assert response.headers["Content-Type"] == "video/webm"
    assert response.content.startswith(b"\x1a\x45\xdf\xa3")


def decode_png(content: bytes) -> bytes:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    offset = 8
    while offset < len(content):
        (length,) = struct.unpack_from(">I", content, offset)
        chunk_type, data = content[offset + 4 : offset + 8], content[offset + 8 : offset + 8 + length]
        assert struct.unpack_from(">I", content, offset + 8 + length)[0] == zlib.crc32(chunk_type + data)
        chunks[chunk_type] = data
        offset += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colours = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert (depth, colours) == (8, 2)
    assert len(pixels) == height * (1 + 3 * width)
    return pixels
