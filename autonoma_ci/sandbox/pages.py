"""Web pages, images and video for the links of runs."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from autonoma_ci.sandbox.fixtures import title_of
from autonoma_ci.sandbox.responses import Response
from autonoma_ci.sandbox.run_store import PENDING
from autonoma_ci.sandbox.scenarios import FAILED, RUNNING
from autonoma_ci.sandbox.screenshots import draw_screenshot

if TYPE_CHECKING:
    from autonoma_ci.sandbox.run_store import Run

# For any name in a page, the browser runs no script and contacts no other host.
_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
)
_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
dt { font-weight: 600 } dd { margin: 0 0 .8rem; overflow-wrap: anywhere }
"""


def run_page(run: Run, status: str) -> Response:
    """Return the page of a run.

    The page reloads itself until the run has ended.
    """
    rows = {
        "Status": status,
        "Run": run.id,
        run.kind.capitalize(): run.target_id,
        "Source": run.source,
        "Variables": ", ".join(run.variables) or "none",
    }
    title = title_of(run.target_id) if run.kind == "test" else run.target_id
    definitions = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())
    reload = '<meta http-equiv="refresh" content="2">' if status in {PENDING, RUNNING} else ""
    return _page(200, title, f"<dl>\n{definitions}\n</dl>\n<p>The local sandbox simulated this run.</p>", reload)


def missing_page(path: str) -> Response:
    """Return the page for an unknown path."""
    return _page(404, "Not found", f"<p>The local sandbox has no page at {escape(path)}.</p>")


def other_host_page() -> Response:
    """Return the response of a host without this API to any path."""
    return _page(200, "Welcome", "<p>The local sandbox returns this web page instead of an API response.</p>")


def screenshot_response(name: str) -> Response:
    """Return a screenshot.

    Its name starts with the step's number and contains `failed` if the step failed.
    """
    return Response(200, draw_screenshot(int(name[0]), FAILED in name), "image/png", _HEADERS)


def video_response() -> Response:
    """Return the one video of all runs."""
    return Response(200, files("autonoma_ci.sandbox").joinpath("run.webm").read_bytes(), "video/webm", _HEADERS)


def _page(status: int, title: str, main: str, head: str = "") -> Response:
    page = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}</title>{head}<style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
{main}
</body>
</html>
"""
    # A name may hold half a surrogate pair, which UTF-8 can't encode.
    return Response(status, page.encode("utf-8", "replace"), "text/html; charset=utf-8", _HEADERS)
