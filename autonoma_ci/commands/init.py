"""`autonoma-ci init` writes a manifest with folders or tests of the account."""

from __future__ import annotations

import os
from contextlib import suppress
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
from autonoma_ci.fs.files import DirectoryTree, escapes_via_symlink, os_error_reason, quote_for_shell
from autonoma_ci.planning.plan import MAX_RUNS
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.config.arguments import ArgumentParser, ParsedArguments
    from autonoma_ci.fs.files import Directory

# The value of `--output` for standard output, as in `report`.
STDOUT = "-"
_NO_SELECTION = (
    "Missing selection. Add --all, --folder-ids LIST or --test-ids LIST, or run init at a terminal to select from a "
    "list."
)


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Write or print the manifest, and return the exit code.

    Raises:
        InputError: The command line, the credentials or the selection is wrong, or the file could not be written.
        ApiError: The account could not be read.
        OutputError: The manifest could not be printed.

    """
    arguments = _build_parser(runtime).parse(argv)
    is_printed = arguments.output == STDOUT
    if not arguments.output:
        raise InputError([f"--output is empty. Use a path such as {DEFAULT_MANIFESTS[0]}."])
    target = Path(runtime.working_directory, arguments.output)
    if not is_printed:
        _check_target(target, arguments, runtime.working_directory)
    # Then standard output is only for the manifest.
    terminal_out = runtime.err if is_printed else runtime.out
    is_interactive = not (arguments.all or arguments.folder_ids or arguments.test_ids)
    has_terminal = runtime.stdin and runtime.stdin.isatty() and terminal_out.isatty()
    if is_interactive and not has_terminal:
        raise InputError([_NO_SELECTION])
    try:
        selection = _select(arguments, runtime, terminal_out if is_interactive else None)
    except Cancelled as error:
        JobLog(runtime.err, PLAIN_LOG_FORMATTER).info("Nothing was written.")
        return 128 + error.signal
    if is_printed:
        write_product(runtime.out, render_manifest(selection))
        _log_result(arguments, selection, runtime)
        return 0
    # Checked again, because an interactive selection can be slow.
    _check_target(target, arguments, runtime.working_directory)
    try:
        data = render_manifest(selection).encode()
        with DirectoryTree(target.parent, Path(runtime.working_directory)).open_directory(create=False) as directory:
            _write_manifest(directory, target.name, data, force=arguments.force)
    except (OSError, ValueError) as error:
        raise InputError([_format_write_error(arguments.output, error)]) from None
    _log_result(arguments, selection, runtime)
    return 0


def _select(arguments: ParsedArguments, runtime: Runtime, terminal_out: TextIO | None) -> Selection:
    """Return the selection of the flags or of a user.

    Args:
        arguments: The command line.
        runtime: The runtime.
        terminal_out: The terminal of the user, or None to use the flags.

    Raises:
        InputError: The selection is empty, too large or unknown.
        ApiError: The account could not be read.

    """
    account = fetch_account(arguments, runtime)
    if not any(folder.tests for folder in account.folders):
        raise InputError(["The account has no tests, so nothing was written. Create a test in Autonoma first."])
    if terminal_out and runtime.stdin:
        selection = select_interactively(account, runtime.stdin, terminal_out)
    else:
        ids = _parse_id_list("--folder-ids", arguments.folder_ids), _parse_id_list("--test-ids", arguments.test_ids)
        selection = select_by_id(account, *ids, everything=arguments.all)
    selection = selection.expand_folders() if arguments.each else selection
    if len(selection.folders) + len(selection.tests) > MAX_RUNS:
        raise InputError([f"More than {MAX_RUNS:,} runs are selected. Select fewer, or folders without --each."])
    return selection


def _write_manifest(directory: Directory, name: str, data: bytes, *, force: bool) -> None:
    if force:
        directory.write_atomic(name, data)
        return
    # Reserve the name first, so that a file of another program is not replaced.
    os.close(directory.create_file(name))
    try:
        directory.write_atomic(name, data)
    except BaseException:
        with suppress(FileNotFoundError):
            directory.unlink(name)
        raise


def _build_parser(runtime: Runtime) -> ArgumentParser:
    parser = build_account_parser("init", "Write a manifest with folders or tests of the account.", runtime.out)
    parser.hint = "Set the file with --output PATH, and the selection with --all, --folder-ids or --test-ids."
    parser.example = "autonoma-ci init --all"
    parser.add_argument("--all", action="store_true", help="Select every folder that has tests.")
    parser.add_argument("--folder-ids", metavar="LIST", default="", help="Select these folders.")
    parser.add_argument("--test-ids", metavar="LIST", default="", help="Select these tests.")
    parser.add_argument(
        "--each", action="store_true",
        help="List the folders' tests one by one. Each test then has its own result, retries and evidence.",
    )  # fmt: skip
    parser.add_argument(
        "--output",
        metavar="PATH",
        default=DEFAULT_MANIFESTS[0],
        help="File to write, or - for standard output. Default: autonoma.yml.",
    )
    parser.add_argument("--force", action="store_true", help="Replace an existing file.")
    return parser


def _check_target(target: Path, arguments: ParsedArguments, folder: str) -> None:
    """Check that the file may be written.

    Raises:
        InputError: It exists, or its directory is missing or outside of the working directory.
    """
    path_text = _format_path(arguments.output)
    if escapes_via_symlink(arguments.output, folder):
        raise InputError([f"{path_text}: symbolic link leads outside of the working directory. Use another --output."])
    try:
        # A broken symbolic link counts as an existing file.
        if os.path.lexists(target) and not arguments.force:
            raise InputError([f"{path_text} exists. Use another --output, or replace the file with --force."])
        if not target.parent.is_dir():
            raise InputError([f"The directory of {path_text} is missing. Create it, or use another --output."])
    except (OSError, ValueError) as error:
        raise InputError([_format_write_error(arguments.output, error)]) from None


def _format_write_error(path: str, error: OSError | ValueError) -> str:
    return f"{_format_path(path)} could not be written ({os_error_reason(error)}). Use another --output."


def _format_path(path: str) -> str:
    return sanitize_line(path, 200)


def _parse_id_list(flag: str, text: str) -> dict[str, str]:
    """Return the labels by ids.

    Raises:
        InputError: An id is invalid.
    """
    try:
        return {entry.id: entry.name for entry in parse_ids(text, flag.removeprefix("--"))}
    except InputError as error:
        raise InputError([f"{flag}: {problem}" for problem in error.diagnostics]) from None


def _log_result(arguments: ParsedArguments, selection: Selection, runtime: Runtime) -> None:
    is_printed, path = arguments.output == STDOUT, arguments.output
    log = JobLog(runtime.err if is_printed else runtime.out, PLAIN_LOG_FORMATTER)
    settings, _ = load_options(ACCOUNT_OPTIONS, provided_options(arguments, ACCOUNT_OPTIONS), runtime.environ)
    log.redact_with(settings.redactors.of_all)
    counts = [pluralize(len(selection.folders), "folder")] if selection.folders else []
    counts += [pluralize(len(selection.tests), "test")] if selection.tests else []
    # If files with both default names exist, `run` reads the other one.
    is_default = find_default_manifest(runtime.working_directory) == os.path.normpath(path)
    option = "" if is_default else f" --manifest {quote_for_shell(path)}"
    if is_printed:
        log.info(f"Printed a manifest with {' and '.join(counts)}. Save it as autonoma.yml, the default manifest.")
        return
    log.info(f"Wrote {path}: {' and '.join(counts)}.")
    log.info("Next, print the plan, then start the runs:")
    command = f"{runtime.find_program()} run{option}"
    log.info(f"  {command} --dry-run")
    log.info(f"  {command} --wait")
