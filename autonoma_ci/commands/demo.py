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
# Tests, folders and tags to run, with their ids in Autonoma.
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
  - sandbox-flaky                       # short form (in the sandbox, its first run fails)
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
    "AUTONOMA_SUMMARY_TITLE": "Demo",
    "AUTONOMA_WAIT": "true",
    "AUTONOMA_RETRIES": "1",
    "AUTONOMA_EVIDENCE": "all",
}
_CLOSING_LINES = (
    "One test fails on purpose. A CI step with this result ends with exit code 1.",
    "The demo sent nothing outside of this machine. With an account, continue with: {program} init",
    "Open the report with screenshots and videos in a browser. Its links to runs worked only during the demo:",
)


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Run the demo, and return 0 if one test failed as planned.

    Raises:
        InputError: The command line is wrong, or the directory could not be created.

    """
    parser = ArgumentParser("demo", "Run a sample manifest against a simulated API on this machine.", runtime.out)
    parser.hint = "To set the directory of the demo's files, add --output PATH."
    parser.example = "autonoma-ci demo --output autonoma-demo"
    parser.add_argument(
        "--output",
        metavar="PATH",
        default="",
        help="Directory for the demo's files. Default: a new temporary directory.",
    )
    arguments = parser.parse(argv)
    log = JobLog(runtime.out, PLAIN_LOG_FORMATTER)
    folder = _create_folder(arguments.output, runtime.working_directory)
    log.info("The manifest, autonoma.yml:")
    log.info()
    for line in DEMO_MANIFEST.splitlines():
        log.info(f"  {line}" if line else "")
    results_dir = Path(folder, "results")
    with Sandbox() as sandbox:
        environ = {**_ENVIRON, "AUTONOMA_API_URL": sandbox.url, "AUTONOMA_RESULTS_DIR": str(results_dir)}
        code = run.main((), runtime.with_environment(environ, folder))
    if runtime.signals.received:
        log.info("The demo was cancelled. Ignore the advice above, because the demo's runs have ended.")
        return code
    if code != EXIT_CODES[ExitReason.FAILED]:
        log.info(f"The demo failed: exit code {code} instead of {EXIT_CODES[ExitReason.FAILED]}. See the lines above.")
        return code or EXIT_INTERNAL_ERROR
    log.info()
    for line in _CLOSING_LINES:
        log.info(line.format(program=runtime.find_program()))
    log.info(f"  {results_dir / 'report.html'}")
    return 0


def _create_folder(path: str, folder: str) -> str:
    """Create the directory with the manifest, and return its path.

    The directory is not removed, so that the report can be opened.

    Raises:
        InputError: The directory or its manifest could not be written.
    """
    if escapes_via_symlink(path, folder):
        raise InputError(["--output: symbolic link leads outside of the working directory. Use another --output."])
    try:
        folder_path = Path(folder, path).absolute() if path else Path(tempfile.mkdtemp(prefix="autonoma-demo-"))
        with DirectoryTree(folder_path, Path(folder)).open_directory() as directory:
            manifest = DEMO_MANIFEST.encode()
            if directory.exists("autonoma.yml") and directory.read_file("autonoma.yml", 100_000) != manifest:
                raise InputError(["autonoma.yml exists and has other content than the demo's. Use another --output."])
            directory.write_atomic("autonoma.yml", manifest)
    except (OSError, ValueError) as error:
        reason = os_error_reason(error)
        raise InputError([f"The demo's files could not be written ({reason}). Use another --output."]) from None
    return str(folder_path)
