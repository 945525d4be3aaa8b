"""The report of the demo, a browser to open it with, and a server as strict as Jenkins."""

from __future__ import annotations

import functools
import os
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.commands.invoke import invoke
from tests.support.browser import chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Dialog, Page

# Jenkins sends this with every file that a build has left.
STRICT = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results-dir of a demo."""
    folder = tmp_path_factory.mktemp("demo")
    assert invoke(folder, "demo", "--output", str(folder)).code == 0
    return folder / "results"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, chromium(playwright) as running:
        yield running


class Opened:
    """A page, and all that the browser had to say of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("requestfailed", lambda request: self.said.append(f"{request.url} could not be had"))
        page.on("request", lambda request: self.asked.append(request.url))

    def _dialog(self, dialog: Dialog) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    def pictures_are_there(self) -> int:
        """Return how many pictures the page has; fails if one of them does not show."""
        # What is folded away is loaded once it is unfolded.
        self.page.eval_on_selector_all("img", "all => all.forEach(one => { one.loading = 'eager' })")
        self.page.wait_for_function("[...document.images].every(one => one.complete)")
        widths: list[int] = self.page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
        assert all(widths), "a picture is broken"
        return len(widths)

    def fits(self) -> bool:
        """Say whether nothing has to be scrolled sideways."""
        found: bool = self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        return found


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Open a page in a context of its own: offline if it is a file, at a width, light or dark."""
    contexts = []

    def open_page(address: str | Path, width: int = 1100, scheme: str = "light", *, script: bool = True) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            offline=isinstance(address, Path),
            java_script_enabled=script,
        )
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.goto(address.as_uri() if isinstance(address, Path) else address)
        return found

    yield open_page
    for context in contexts:
        context.close()


class _Quiet(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", STRICT)
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        pass


@contextmanager
def strict_server(folder: Path) -> Iterator[str]:
    """Serve a folder as Jenkins does, and yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def keep_screenshot(page: Page, name: str, folder: Path) -> Path:
    """Take a picture of the whole page, where SCREENSHOTS says or else in the test's own folder."""
    path = Path(os.environ.get("SCREENSHOTS") or folder) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
    return path
