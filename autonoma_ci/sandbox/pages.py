"""What a browser gets: a page for each run, and its images."""

from __future__ import annotations

import struct
import zlib
from html import escape
from typing import TYPE_CHECKING

from autonoma_ci.sandbox.account import PENDING
from autonoma_ci.sandbox.answers import Answer
from autonoma_ci.sandbox.content import title_of
from autonoma_ci.sandbox.script import FAILED, RUNNING

if TYPE_CHECKING:
    from autonoma_ci.sandbox.account import Run

# Whatever a name may hold, the browser runs no script and asks no other host.
_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
)
_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
dt { font-weight: 600 } dd { margin: 0 0 .8rem; overflow-wrap: anywhere }
"""
_WIDTH, _HEIGHT = 64, 40
_GREEN, _RED = b"\x2e\x7d\x32", b"\xc6\x28\x28"


def run_page(run: Run, status: str) -> Answer:
    """Return the page that the link of a run leads to; it reloads itself until the run has ended."""
    rows = {
        "Status": status,
        "Run": run.id,
        run.kind.capitalize(): run.subject,
        "Source": run.source,
        "Variables": ", ".join(run.variables) or "none",
    }
    title = title_of(run.subject) if run.kind == "test" else run.subject
    listed = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())
    reload = '<meta http-equiv="refresh" content="2">' if status in {PENDING, RUNNING} else ""
    return _page(200, title, f"<dl>\n{listed}\n</dl>\n<p>The local sandbox made this run up.</p>", reload)


def missing_page(what: str) -> Answer:
    """Return the page for an address that leads nowhere."""
    return _page(404, "Not found", f"<p>The local sandbox has nothing at {escape(what)}.</p>")


def image(name: str) -> Answer:
    """Return a small picture: red if its name tells of a failure, or else green."""
    pixel = _RED if FAILED in name else _GREEN
    rows = (b"\0" + pixel * _WIDTH) * _HEIGHT  # the zero: this row is not filtered
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)  # eight bits, red green blue
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)
    return Answer(200, content, "image/png", _HEADERS)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _page(status: int, title: str, main: str, head: str = "") -> Answer:
    page = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}</title>{head}<style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
{main}
</body>
</html>
"""
    # A name may hold half a surrogate pair, which has no UTF-8.
    return Answer(status, page.encode("utf-8", "replace"), "text/html; charset=utf-8", _HEADERS)
