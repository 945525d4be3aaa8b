"""Record the video of the sandbox (`python -m tests.support.sandbox_video`)."""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import sync_playwright

from autonoma_ci.sandbox.screenshots import draw_screenshot
from tests.support.browser import start_chromium

_RECORD = """async (pictures) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 400 })
  const images = await Promise.all(pictures.map(async (data) => {
    const image = new Image()
    image.src = 'data:image/png;base64,' + data
    await image.decode()
    return image
  }))
  const context = canvas.getContext('2d')
  const kind = { mimeType: 'video/webm;codecs=vp8', videoBitsPerSecond: 60000 }
  const recorder = new MediaRecorder(canvas.captureStream(10), kind)
  const parts = []
  recorder.ondataavailable = (event) => parts.push(event.data)
  const stopped = new Promise((resolve) => { recorder.onstop = resolve })
  recorder.start()
  for (let frame = 0; frame < 40; frame += 1) {
    context.drawImage(images[Math.min(3, Math.floor(frame / 10))], 0, 0)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  recorder.stop()
  await stopped
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer())
  return btoa(String.fromCharCode(...bytes))
}"""


def main() -> None:
    """Write the video of a run that fails at its last step."""
    pictures = [base64.b64encode(draw_screenshot(step, failed=step == 4)).decode() for step in range(1, 5)]
    with sync_playwright() as playwright, start_chromium(playwright) as browser:
        recorded = browser.new_page().evaluate(_RECORD, pictures)
    Path("autonoma_ci/sandbox/run.webm").write_bytes(base64.b64decode(recorded))


if __name__ == "__main__":
    main()
