"""Take the screenshots of the README (`make screenshots`).

It runs the demo's manifest, and renders the reports with Chromium. On Linux, it needs a font with emoji (Debian:
fonts-noto-color-emoji).
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.commands.demo import DEMO_MANIFEST
from autonoma_ci.sandbox import Sandbox
from tests.support.browser import start_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
MERMAID = ROOT / "tests" / "system" / "linters" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
# The parts of GitHub's style that change the look of a summary.
_STYLE = """
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1f2328; margin: 24px; width: 980px }
table { border-collapse: collapse } th, td { border: 1px solid #d1d9e0; padding: 6px 13px; text-align: left }
tr:nth-child(2n) { background: #f6f8fa } a { color: #0969da } h3 { font-size: 20px; margin: 0 0 16px }
pre { margin: 16px 0 0 }
"""
_SHA = "4f1c2d9a7be04e6f8d21c35a90b7e6d1f3a2c4b8"


def main() -> None:
    """Write the pictures to docs/images."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        start_chromium(playwright) as browser,
    ):
        _run_demo(Path(folder))
        _save_summary(browser, Path(folder, "results", "summary.md").read_text("utf-8"))
        page = browser.new_page(viewport={"width": 1000, "height": 1900}, color_scheme="light")
        page.goto(Path(folder, "results", "report.html").as_uri())
        page.screenshot(path=IMAGES / "report.png")


def _run_demo(folder: Path) -> None:
    """Run the demo's manifest like a job of a pull request on GitHub."""
    (folder / "autonoma.yml").write_text(DEMO_MANIFEST, "utf-8")
    event = {"number": 42, "pull_request": {"number": 42, "head": {"sha": _SHA, "ref": "card-payments"}}}
    (folder / "event.json").write_text(json.dumps(event), "utf-8")
    out = io.StringIO()
    with Sandbox() as sandbox:
        environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "OWNER/shop",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "17",
            "GITHUB_SHA": _SHA,
            "GITHUB_HEAD_REF": "card-payments",
            "GITHUB_REF": "refs/pull/42/merge",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "INPUT_API-URL": sandbox.url,
            "INPUT_CLIENT-ID": "demo-client",
            "INPUT_CLIENT-SECRET": "demo-secret",
            "INPUT_WAIT": "true",
            "INPUT_RETRIES": "1",
            "INPUT_EVIDENCE": "all",
            "INPUT_RESULTS-DIR": "results",
        }
        assert cli.run_command([], Runtime(environ, out, out, str(folder))) == 1, out.getvalue()


def _save_summary(browser: Browser, text: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    page = browser.new_page(viewport={"width": 1028, "height": 600})
    page.set_content(f"<style>{_STYLE}</style>{html}")
    page.add_script_tag(path=MERMAID)
    page.evaluate("""async () => {
      for (const code of document.querySelectorAll('code.language-mermaid')) {
        const { svg } = await mermaid.render('chart', code.textContent)
        code.parentElement.outerHTML = svg
      }
    }""")
    page.screenshot(path=IMAGES / "summary.png", full_page=True)


if __name__ == "__main__":
    main()
