"""Screenshots of an invented shop for the steps of each run.

Each run has four steps. The pages consist of rectangles.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache

_WIDTH, _HEIGHT = 640, 400
_WHITE, _PALE, _LINE, _TEXT = b"\xff\xff\xff", b"\xf2\xf4\xf7", b"\xd5\xd9\xe0", b"\x8b\x94\xa3"
_DARK, _BLUE, _GREEN, _RED = b"\x24\x2b\x38", b"\x2f\x6f\xd0", b"\x1c\x7c\x47", b"\xc6\x2f\x26"
_GREEN_PALE, _RED_PALE = b"\xe3\xf3\xe9", b"\xfb\xe7\xe5"


class _Canvas:
    def __init__(self) -> None:
        self.rows = [bytearray(_WHITE * _WIDTH) for _ in range(_HEIGHT)]

    def draw_box(self, left: int, top: int, width: int, height: int, colour: bytes) -> None:
        for row in self.rows[top : top + height]:
            row[3 * left : 3 * (left + width)] = colour * width

    def draw_frame(self, left: int, top: int, width: int, height: int, colour: bytes) -> None:
        self.draw_box(left, top, width, height, _LINE)
        self.draw_box(left + 1, top + 1, width - 2, height - 2, colour)

    def draw_text_lines(self, left: int, top: int, widths: tuple[int, ...]) -> None:
        for number, width in enumerate(widths):
            self.draw_box(left, top + 16 * number, width, 7, _TEXT)

    def draw_stroke(self, left: int, top: int, steps: int, slope: int, colour: bytes) -> None:
        for step in range(steps):
            self.draw_box(left + step, top + slope * step, 6, 6, colour)


@cache
def draw_screenshot(step: int, is_failed: bool) -> bytes:  # noqa: FBT001
    """Return the screenshot of step 1 to 4 as PNG."""
    canvas = _Canvas()
    # The browser's frame, then the header of the shop.
    canvas.draw_box(0, 0, _WIDTH, 34, _PALE)
    for index, colour in enumerate((_RED, _TEXT, _GREEN)):
        canvas.draw_box(14 + 18 * index, 12, 10, 10, colour)
    canvas.draw_frame(84, 7, 540, 20, _WHITE)
    canvas.draw_text_lines(94, 14, (120 + 30 * step,))
    canvas.draw_box(0, 34, _WIDTH, 46, _DARK)
    canvas.draw_box(24, 48, 90, 18, _BLUE)
    for index in range(3):
        canvas.draw_box(440 + 62 * index, 54, 44, 7, _TEXT)
    (_draw_start_page, _draw_sign_in_page, _draw_list_page, _draw_result_page)[step - 1](canvas, is_failed)
    return _encode_png(canvas)


def _draw_start_page(canvas: _Canvas, is_failed: bool) -> None:  # noqa: FBT001
    canvas.draw_box(0, 80, _WIDTH, 130, _RED_PALE if is_failed else _PALE)
    canvas.draw_text_lines(48, 112, (260, 220, 180))
    canvas.draw_box(48, 168, 110, 26, _BLUE)
    for index in range(3):
        canvas.draw_frame(48 + 190 * index, 232, 164, 140, _WHITE)
        canvas.draw_box(58 + 190 * index, 242, 144, 76, _PALE)
        canvas.draw_text_lines(58 + 190 * index, 330, (120, 70))


def _draw_sign_in_page(canvas: _Canvas, is_failed: bool) -> None:  # noqa: FBT001
    canvas.draw_frame(190, 110, 260, 240, _RED_PALE if is_failed else _WHITE)
    canvas.draw_text_lines(214, 134, (110,))
    for index in range(2):
        canvas.draw_text_lines(214, 170 + 62 * index, (60,))
        canvas.draw_frame(214, 184 + 62 * index, 212, 28, _PALE)
        canvas.draw_text_lines(224, 194 + 62 * index, (110,))
    canvas.draw_box(214, 302, 212, 30, _BLUE)


def _draw_list_page(canvas: _Canvas, is_failed: bool) -> None:  # noqa: FBT001
    for index in range(4):
        canvas.draw_frame(48, 104 + 68 * index, 380, 56, _RED_PALE if is_failed and index == 0 else _WHITE)
        canvas.draw_box(58, 112 + 68 * index, 56, 40, _PALE)
        canvas.draw_text_lines(128, 122 + 68 * index, (180, 110))
    canvas.draw_frame(452, 104, 140, 180, _PALE)
    canvas.draw_text_lines(468, 124, (80, 100, 60))
    canvas.draw_box(468, 236, 108, 30, _BLUE)


def _draw_result_page(canvas: _Canvas, is_failed: bool) -> None:  # noqa: FBT001
    symbol_colour, background = (_RED, _RED_PALE) if is_failed else (_GREEN, _GREEN_PALE)
    canvas.draw_frame(120, 120, 400, 190, background)
    if is_failed:
        canvas.draw_stroke(296, 146, 44, 1, symbol_colour)
        canvas.draw_stroke(296, 189, 44, -1, symbol_colour)
    else:
        canvas.draw_stroke(290, 172, 20, 1, symbol_colour)
        canvas.draw_stroke(310, 191, 42, -1, symbol_colour)
    canvas.draw_text_lines(210, 226, (220, 180, 120))


def _encode_png(canvas: _Canvas) -> bytes:
    rows = b"".join(b"\0" + row for row in canvas.rows)  # zero means that the row is not filtered
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)  # 8 bits per channel, RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_encode_chunk(kind, data) for kind, data in chunks)


def _encode_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
