"""Fixtures for the report of the demo, a browser and a strict server."""

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

from tests.support.browser import start_chromium
from tests.support.invoke_command import invoke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Dialog, Page

# The Content-Security-Policy of Jenkins for files of a build.
JENKINS_POLICY = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the demo and return its results folder."""
    folder = tmp_path_factory.mktemp("demo")
    assert invoke(folder, "demo", "--output", str(folder)).code == 0
    return folder / "results"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, start_chromium(playwright) as chromium:
        yield chromium


class OpenedPage:
    """An open page with its messages, errors and requests."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.messages: list[str] = []
        self.requested_urls: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("dialog", self._on_dialog)
        page.on("requestfailed", lambda request: self.messages.append(f"{request.url} could not be had"))
        page.on("request", lambda request: self.requested_urls.append(request.url))

    def _on_dialog(self, dialog: Dialog) -> None:
        self.messages.append(dialog.message)
        dialog.dismiss()

    def count_loaded_images(self) -> int:
        """Return the number of images, and fail if one is not loaded."""
        # Images in closed sections load lazily.
        self.page.eval_on_selector_all("img", "all => all.forEach(one => { one.loading = 'eager' })")
        self.page.wait_for_function("[...document.images].every(one => one.complete)")
        widths: list[int] = self.page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
        assert all(widths), "a picture is broken"
        return len(widths)

    def fits_width(self) -> bool:
        """Check that the page needs no horizontal scrolling."""
        fits: bool = self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        return fits


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., OpenedPage]]:
    """Open pages in separate contexts, offline if they are files."""
    contexts = []

    def open_in_context(
        url_or_path: str | Path, width: int = 1100, scheme: str = "light", *, script: bool = True
    ) -> OpenedPage:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            offline=isinstance(url_or_path, Path),
            java_script_enabled=script,
        )
        contexts.append(context)
        opened_page = OpenedPage(context.new_page())
        opened_page.page.goto(url_or_path.as_uri() if isinstance(url_or_path, Path) else url_or_path)
        return opened_page

    yield open_in_context
    for context in contexts:
        context.close()


class _StrictHandler(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", JENKINS_POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@contextmanager
def serve_like_jenkins(folder: Path) -> Iterator[str]:
    """Serve a folder with the policy of Jenkins, and yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_StrictHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def save_screenshot(page: Page, name: str, folder: Path) -> Path:
    """Save a screenshot to the folder SCREENSHOTS or to the given folder."""
    path = Path(os.environ.get("SCREENSHOTS") or folder) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
    return path
