"""The screenshots of the sandbox: a made-up shop, drawn as rectangles, at each of the four steps of every run."""

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

    def box(self, left: int, top: int, width: int, height: int, colour: bytes) -> None:
        for row in self.rows[top : top + height]:
            row[3 * left : 3 * (left + width)] = colour * width

    def framed(self, left: int, top: int, width: int, height: int, colour: bytes) -> None:
        self.box(left, top, width, height, _LINE)
        self.box(left + 1, top + 1, width - 2, height - 2, colour)

    def lines(self, left: int, top: int, widths: tuple[int, ...]) -> None:
        for number, width in enumerate(widths):
            self.box(left, top + 16 * number, width, 7, _TEXT)

    def stroke(self, left: int, top: int, steps: int, slope: int, colour: bytes) -> None:
        for step in range(steps):
            self.box(left + step, top + slope * step, 6, 6, colour)


@cache
def draw_screenshot(step: int, failed: bool) -> bytes:  # noqa: FBT001
    """Return the screenshot of step 1 to 4, as PNG."""
    canvas = _Canvas()
    # The browser, then the shop's own head.
    canvas.box(0, 0, _WIDTH, 34, _PALE)
    for place, colour in enumerate((_RED, _TEXT, _GREEN)):
        canvas.box(14 + 18 * place, 12, 10, 10, colour)
    canvas.framed(84, 7, 540, 20, _WHITE)
    canvas.lines(94, 14, (120 + 30 * step,))
    canvas.box(0, 34, _WIDTH, 46, _DARK)
    canvas.box(24, 48, 90, 18, _BLUE)
    for place in range(3):
        canvas.box(440 + 62 * place, 54, 44, 7, _TEXT)
    (_start, _sign_in, _list, _end)[step - 1](canvas, failed)
    return _png(canvas)


def _start(canvas: _Canvas, failed: bool) -> None:  # noqa: FBT001
    canvas.box(0, 80, _WIDTH, 130, _RED_PALE if failed else _PALE)
    canvas.lines(48, 112, (260, 220, 180))
    canvas.box(48, 168, 110, 26, _BLUE)
    for place in range(3):
        canvas.framed(48 + 190 * place, 232, 164, 140, _WHITE)
        canvas.box(58 + 190 * place, 242, 144, 76, _PALE)
        canvas.lines(58 + 190 * place, 330, (120, 70))


def _sign_in(canvas: _Canvas, failed: bool) -> None:  # noqa: FBT001
    canvas.framed(190, 110, 260, 240, _RED_PALE if failed else _WHITE)
    canvas.lines(214, 134, (110,))
    for place in range(2):
        canvas.lines(214, 170 + 62 * place, (60,))
        canvas.framed(214, 184 + 62 * place, 212, 28, _PALE)
        canvas.lines(224, 194 + 62 * place, (110,))
    canvas.box(214, 302, 212, 30, _BLUE)


def _list(canvas: _Canvas, failed: bool) -> None:  # noqa: FBT001
    for place in range(4):
        canvas.framed(48, 104 + 68 * place, 380, 56, _RED_PALE if failed and place == 0 else _WHITE)
        canvas.box(58, 112 + 68 * place, 56, 40, _PALE)
        canvas.lines(128, 122 + 68 * place, (180, 110))
    canvas.framed(452, 104, 140, 180, _PALE)
    canvas.lines(468, 124, (80, 100, 60))
    canvas.box(468, 236, 108, 30, _BLUE)


def _end(canvas: _Canvas, failed: bool) -> None:  # noqa: FBT001
    sign, ground = (_RED, _RED_PALE) if failed else (_GREEN, _GREEN_PALE)
    canvas.framed(120, 120, 400, 190, ground)
    if failed:
        canvas.stroke(296, 146, 44, 1, sign)
        canvas.stroke(296, 189, 44, -1, sign)
    else:
        canvas.stroke(290, 172, 20, 1, sign)
        canvas.stroke(310, 191, 42, -1, sign)
    canvas.lines(210, 226, (220, 180, 120))


def _png(canvas: _Canvas) -> bytes:
    rows = b"".join(b"\0" + row for row in canvas.rows)  # the zero: this row is not filtered
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)  # eight bits, red green blue
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
