"""`autonoma-ci demo` runs a sample manifest in the sandbox."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.commands import run
from autonoma_ci.config.arguments import ArgumentParser
from autonoma_ci.engine.verdict import EXIT_CODES
from autonoma_ci.errors import EXIT_INTERNAL_ERROR, InputError
from autonoma_ci.fs.files import DirectoryTree, escapes_via_symlink, os_error_reason
from autonoma_ci.models import ExitReason
from autonoma_ci.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime

DEMO_MANIFEST = """\
# What to run. Ids are those of tests, folders and tags in Autonoma.
version: 1
defaults:
  variables:
    ENVIRONMENT: staging
    BASE_URL: https://${PREVIEW:-main}.preview.example.com
tests:
  - id: cm8d9gt6v000c9fe5glmyi33u
    name: Checkout pays by card
    groups: [smoke, checkout]
    matrix: { LOCALE: [en, fr] }        # one run for each
  - id: g41k688vndxzt7kh4kq5m12s
    name: Sign in
    groups: [smoke]
  - sandbox-flaky                       # the short form; in the sandbox, its first run fails
  - sandbox-fails                       # in the sandbox, all its runs fail
folders:
  - id: cm7t223mk00154mzy2jwk2pqy
    name: Listings
tags:
  - id: cm9r0nog10012v301qtollv01
    name: Nightly
"""


# The environment of the demo. So the demo writes no outputs and no summary of a surrounding job.
_ENVIRON = {
    "AUTONOMA_CI": "cli",
    "AUTONOMA_CLIENT_ID": "demo-client",
    "AUTONOMA_CLIENT_SECRET": "demo-secret",
    "AUTONOMA_RESULTS_DIR": "results",
    "AUTONOMA_SUMMARY_TITLE": "Demo",
    "AUTONOMA_WAIT": "true",
    "AUTONOMA_RETRIES": "1",
    "AUTONOMA_EVIDENCE": "all",
}
_CLOSING_LINES = (
    "The red is on purpose: one test fails, so that this step would have ended with exit code 1.",
    "That was the demo: nothing left this machine. With an account, go on with: autonoma-ci init",
    "The report to open in a browser, with screenshots and videos; its links to the runs ended with the demo:",
)


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Run the demo, and return 0 if one test failed as planned.

    Raises:
        InputError: The command line is wrong, or the folder could not be created.

    """
    parser = ArgumentParser("demo", "Run a sample manifest against a local stand-in for the API.", runtime.out)
    parser.hint = "the folder for its files is --output PATH"
    parser.add_argument(
        "--output", metavar="PATH", default="", help="Folder for the demo's files. Default: a new temporary one."
    )
    arguments = parser.parse(argv)
    log = JobLog(runtime.out, PLAIN_LOG_FORMATTER)
    folder = _create_folder(arguments.output, runtime.working_directory)
    log.info("The manifest, autonoma.yml:")
    log.info()
    for line in DEMO_MANIFEST.splitlines():
        log.info(f"  {line}" if line else "")
    with Sandbox() as sandbox:
        code = run.main((), runtime.with_environment({**_ENVIRON, "AUTONOMA_API_URL": sandbox.url}, folder))
    if runtime.signals.received:
        log.info("The demo was cancelled. Ignore the advice above: the demo's runs have ended with it.")
        return code
    if code != EXIT_CODES[ExitReason.FAILED]:
        log.info(f"The demo failed: exit code {code}, not {EXIT_CODES[ExitReason.FAILED]}. The lines above say why.")
        return code or EXIT_INTERNAL_ERROR
    log.info()
    log.info("The job summary, as a CI system that renders Markdown shows it:")
    log.info()
    for line in Path(folder, "results", "summary.md").read_text(encoding="utf-8").splitlines():
        log.info(line)
    log.info()
    for line in _CLOSING_LINES:
        log.info(line)
    log.info(f"  {Path(folder, 'results', 'report.html')}")
    return 0


def _create_folder(path: str, folder: str) -> str:
    """Create the folder with the manifest, and return its path.

    The folder is not removed, so that the report can be opened.

    Raises:
        InputError: The folder or its manifest can't be written.
    """
    if escapes_via_symlink(path, folder):
        raise InputError(["the demo's folder leads out of the working directory through a link: give another --output"])
    try:
        folder_path = Path(folder, path).absolute() if path else Path(tempfile.mkdtemp(prefix="autonoma-demo-"))
        with DirectoryTree(folder_path, Path(folder)).open_directory() as directory:
            manifest = DEMO_MANIFEST.encode()
            if directory.exists("autonoma.yml") and directory.read_file("autonoma.yml", 100_000) != manifest:
                raise InputError(["there is an autonoma.yml already that is not the demo's: give another --output"])
            directory.write_atomic("autonoma.yml", manifest)
    except (OSError, ValueError) as error:
        reason = os_error_reason(error)
        raise InputError([f"the demo has no folder for its files ({reason}): give another --output"]) from None
    return str(folder_path)
