"""`autonoma-ci init`: write a manifest with the account's folders or tests; starts nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.app.account import ACCOUNT_OPTIONS, build_account_parser, fetch_account
from autonoma_ci.app.inputs import DEFAULT_MANIFESTS, find_default_manifest
from autonoma_ci.app.manifest_template import render_manifest
from autonoma_ci.app.test_picker import Selection, select_by_id, select_interactively
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.arguments import provided_options
from autonoma_ci.config.id_lists import parse_ids
from autonoma_ci.config.settings import load_options
from autonoma_ci.errors import Cancelled, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import os_error_reason, write_atomic
from autonoma_ci.fs.paths import escapes_via_symlink, quote_for_shell
from autonoma_ci.planning.plan import MAX_RUNS
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.config.arguments import ArgumentParser, ParsedArguments

# As `--output` of `report`: standard output instead of a file.
STDOUT = "-"
_SAY_WHAT = (
    "nothing says what to write. Add --all, --folder-ids LIST or --test-ids LIST; at a terminal, init shows a list to "
    "choose from"
)


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Write the file, or print it, and name the next command; raise InputError, ApiError or OutputError."""
    found = _parser(runtime).parse(argv)
    is_printed = found.output == STDOUT
    if not found.output:
        raise InputError([f"--output is empty: give a path, such as {DEFAULT_MANIFESTS[0]}"])
    target = Path(runtime.working_directory, found.output)
    if not is_printed:
        _check(target, found, runtime.working_directory)
    # Standard output is for the manifest alone then.
    talk = runtime.err if is_printed else runtime.out
    asks = not (found.all or found.folder_ids or found.test_ids)
    terminal = runtime.stdin and runtime.stdin.isatty() and talk.isatty()
    if asks and not terminal:
        raise InputError([_SAY_WHAT])
    try:
        choice = _choice(found, runtime, talk if asks else None)
    except Cancelled as error:
        JobLog(runtime.err, PLAIN_LOG_FORMATTER).info("Nothing was written.")
        return 128 + error.signal
    if is_printed:
        write_product(runtime.out, render_manifest(choice))
        _tell(found, choice, runtime)
        return 0
    # Once more: somebody may have taken their time to choose.
    _check(target, found, runtime.working_directory)
    try:
        _write(target, render_manifest(choice).encode(), force=found.force)
    except (OSError, ValueError) as error:
        raise InputError(
            [f"{_shown(found.output)} could not be written ({os_error_reason(error)}): give another --output"]
        ) from None
    _tell(found, choice, runtime)
    return 0


def _choice(found: ParsedArguments, runtime: Runtime, talk: TextIO | None) -> Selection:
    """Return what the flags name; with `talk`, let somebody at a terminal choose there."""
    account = fetch_account(found, runtime)
    if not any(folder.tests for folder in account.folders):
        raise InputError(["the account has no tests: create one in Autonoma first; nothing was written"])
    if talk and runtime.stdin:
        choice = select_interactively(account, runtime.stdin, talk)
    else:
        wanted = _ids("--folder-ids", found.folder_ids), _ids("--test-ids", found.test_ids)
        choice = select_by_id(account, *wanted, everything=found.all)
    choice = choice.expand_folders() if found.each else choice
    if len(choice.folders) + len(choice.tests) > MAX_RUNS:
        raise InputError([f"that is more than {MAX_RUNS:,} runs: choose fewer, or folders without --each"])
    return choice


def _write(target: Path, data: bytes, *, force: bool) -> None:
    if force:
        write_atomic(target, data)
        return
    # Takes the name first: what somebody else has put there meanwhile stays.
    target.touch(0o644, exist_ok=False)
    try:
        write_atomic(target, data)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _parser(runtime: Runtime) -> ArgumentParser:
    parser = build_account_parser("init", "Write a manifest with folders or tests of the account.", runtime.out)
    parser.hint = "the file to write is --output PATH; what to write is --all, --folder-ids or --test-ids"
    parser.add_argument("--all", action="store_true", help="Every folder that has tests.")
    parser.add_argument("--folder-ids", metavar="LIST", default="", help="These folders.")
    parser.add_argument("--test-ids", metavar="LIST", default="", help="These tests.")
    parser.add_argument(
        "--each", action="store_true",
        help="List the folders' tests one by one: each has its own result, retries and evidence then.",
    )  # fmt: skip
    parser.add_argument(
        "--output",
        metavar="PATH",
        default=DEFAULT_MANIFESTS[0],
        help="Where to write it; - prints it. Default: autonoma.yml.",
    )
    parser.add_argument("--force", action="store_true", help="Replace a file that is there.")
    return parser


def _check(target: Path, found: ParsedArguments, folder: str) -> None:
    """Raise InputError if the file may not be written."""
    shown = _shown(found.output)
    if escapes_via_symlink(found.output, folder):
        raise InputError([f"{shown} leads out of the working directory through a symbolic link: give another --output"])
    try:
        # A link that leads nowhere counts: something is there.
        if os.path.lexists(target) and not found.force:
            raise InputError([f"{shown} is there already: give another --output, or replace it with --force"])
        if not target.parent.is_dir():
            raise InputError([f"the folder of {shown} is not there: create it, or give another --output"])
    except (OSError, ValueError) as error:
        raise InputError([f"{shown} can't be written ({os_error_reason(error)}): give another --output"]) from None


def _shown(path: str) -> str:
    return sanitize_line(path, 200)


def _ids(flag: str, text: str) -> dict[str, str]:
    """Return the labels by their ids."""
    try:
        return {entry.id: entry.name for entry in parse_ids(text, flag.removeprefix("--"))}
    except InputError as error:
        raise InputError([f"{flag}: {problem}" for problem in error.diagnostics]) from None


def _tell(found: ParsedArguments, choice: Selection, runtime: Runtime) -> None:
    is_printed, path = found.output == STDOUT, found.output
    console = JobLog(runtime.err if is_printed else runtime.out, PLAIN_LOG_FORMATTER)
    settings, _ = load_options(ACCOUNT_OPTIONS, provided_options(found, ACCOUNT_OPTIONS), runtime.environ)
    console.redact_with(Redactor(settings.secrets))
    counted = [pluralize(len(choice.folders), "folder")] if choice.folders else []
    counted += [pluralize(len(choice.tests), "test")] if choice.tests else []
    # With both default names there, a run without the option reads the other one.
    is_default = find_default_manifest(runtime.working_directory) == os.path.normpath(path)
    named = "" if is_default else f" --manifest {quote_for_shell(path)}"
    if is_printed:
        console.info(f"Printed a manifest with {' and '.join(counted)}. As autonoma.yml, a run finds it by itself.")
        return
    console.info(f"Wrote {path}: {' and '.join(counted)}.")
    console.info("Next, see what would be started, then start it:")
    console.info(f"  autonoma-ci run{named} --dry-run")
    console.info(f"  autonoma-ci run{named} --wait")
