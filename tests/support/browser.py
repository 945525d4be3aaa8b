"""A real Chromium from the PATH or from the variable CHROMIUM."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Playwright

_NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")


@contextmanager
def start_chromium(playwright: Playwright) -> Iterator[Browser]:
    """Start a headless browser, or fail if none is installed."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    assert path, "there is no Chromium here: install it, or name it in the variable CHROMIUM"
    # Containers and CI runners do not allow its sandbox. It shows only our own pages.
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
    try:
        yield browser
    finally:
        browser.close()
