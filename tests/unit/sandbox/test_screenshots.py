"""Tests of the screenshots as PNG files."""

from __future__ import annotations

import itertools
import struct

import pytest

from autonoma_ci.sandbox.screenshots import draw_screenshot
from tests.unit.sandbox.test_pages import decode_png

WIDTH, HEIGHT = 640, 400
STATES = [*itertools.product((1, 2, 3, 4), (False, True))]
WHITE, RED, GREEN = b"\xff\xff\xff", b"\xc6\x2f\x26", b"\x1c\x7c\x47"


def read_rows(image: bytes) -> list[bytes]:
    """Return the rows of an image without their filter bytes."""
    pixels = decode_png(image)
    size = 1 + 3 * WIDTH
    rows = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    assert {row[0] for row in rows} == {0}
    return [row[1:] for row in rows]


def read_pixel(image: bytes, left: int, top: int) -> bytes:
    return read_rows(image)[top][3 * left : 3 * left + 3]


@pytest.mark.parametrize(("step", "is_failed"), STATES)
def test_screenshot_is_complete_png(step: int, is_failed: bool) -> None:
    """Each screenshot is a PNG file of 640 by 400 pixels."""
    image = draw_screenshot(step, is_failed)
    assert struct.unpack_from(">II", image, 16) == (WIDTH, HEIGHT)
    assert [len(row) for row in read_rows(image)] == [3 * WIDTH] * HEIGHT


def test_all_screenshots_differ() -> None:
    """Each step has its own screenshot in both states."""
    assert len({decode_png(draw_screenshot(*state)) for state in STATES}) == 8


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_failed_step_differs_below_header(step: int) -> None:
    """A failure changes the page and not the frame of the browser."""
    passed, failed = (read_rows(draw_screenshot(step, is_failed)) for is_failed in (False, True))
    assert passed[:80] == failed[:80]
    assert passed[80:] != failed[80:]


@pytest.mark.parametrize(("step", "is_failed"), STATES)
def test_screenshot_has_browser_frame(step: int, is_failed: bool) -> None:
    """Each screenshot has the same three buttons and a white corner at the end."""
    image = draw_screenshot(step, is_failed)
    assert [read_pixel(image, left, 17) for left in (19, 55)] == [RED, GREEN]
    assert read_pixel(image, WIDTH - 1, HEIGHT - 1) == WHITE


def test_result_symbol_has_colour_of_state() -> None:
    """The symbol of the last step is green after a pass and red after a failure."""
    passed, failed = (b"".join(read_rows(draw_screenshot(4, is_failed))[140:220]) for is_failed in (False, True))
    assert (GREEN in passed, RED in passed) == (True, False)
    assert (GREEN in failed, RED in failed) == (False, True)


def test_same_screenshot_is_drawn_once() -> None:
    """A repeated screenshot is the same object."""
    assert draw_screenshot(1, False) is draw_screenshot(1, False)
