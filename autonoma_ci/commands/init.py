"""`autonoma-ci init`: write a manifest with the account's folders or tests; starts nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.app.account import OF_ACCOUNT, account_of, account_parser
from autonoma_ci.app.inputs import DEFAULT_MANIFESTS, default_manifest
from autonoma_ci.app.manifest_template import skeleton
from autonoma_ci.app.test_picker import Choice, ask, choose
from autonoma_ci.ci.base import PLAIN
from autonoma_ci.ci.log import Console
from autonoma_ci.config.arguments import given
from autonoma_ci.config.id_lists import ids
from autonoma_ci.config.settings import read_some
from autonoma_ci.errors import Cancelled, InputError
from autonoma_ci.escaping import one_line
from autonoma_ci.fs.files import reason_of, write_whole
from autonoma_ci.fs.paths import as_argument, leads_out
from autonoma_ci.planning.plan import RUNS_LIMIT
from autonoma_ci.reports.summary import plural
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from autonoma_ci.app.runtime import World
    from autonoma_ci.config.arguments import Found, Parser

# As `--output` of `report`: standard output instead of a file.
PRINTED = "-"
_SAY_WHAT = (
    "nothing says what to write. Add --all, --folder-ids LIST or --test-ids LIST; at a terminal, init shows a list to "
    "choose from"
)


def main(argv: Sequence[str], world: World) -> int:
    """Write the file, or print it, and name the next command; raise InputError, ApiError or OutputError."""
    found = _parser(world).known(argv)
    is_printed = found.output == PRINTED
    if not found.output:
        raise InputError([f"--output is empty: give a path, such as {DEFAULT_MANIFESTS[0]}"])
    target = Path(world.folder, found.output)
    if not is_printed:
        _check(target, found, world.folder)
    # Standard output is for the manifest alone then.
    talk = world.err if is_printed else world.out
    asks = not (found.all or found.folder_ids or found.test_ids)
    terminal = world.stdin and world.stdin.isatty() and talk.isatty()
    if asks and not terminal:
        raise InputError([_SAY_WHAT])
    try:
        choice = _choice(found, world, talk if asks else None)
    except Cancelled as error:
        Console(world.err, PLAIN).line("Nothing was written.")
        return 128 + error.signal
    if is_printed:
        write_product(world.out, skeleton(choice))
        _tell(found, choice, world)
        return 0
    # Once more: somebody may have taken their time to choose.
    _check(target, found, world.folder)
    try:
        _write(target, skeleton(choice).encode(), force=found.force)
    except (OSError, ValueError) as error:
        raise InputError(
            [f"{_shown(found.output)} could not be written ({reason_of(error)}): give another --output"]
        ) from None
    _tell(found, choice, world)
    return 0


def _choice(found: Found, world: World, talk: TextIO | None) -> Choice:
    """Return what the flags name; with `talk`, let somebody at a terminal choose there."""
    account = account_of(found, world)
    if not any(folder.tests for folder in account.folders):
        raise InputError(["the account has no tests: create one in Autonoma first; nothing was written"])
    if talk and world.stdin:
        choice = ask(account, world.stdin, talk)
    else:
        wanted = _ids("--folder-ids", found.folder_ids), _ids("--test-ids", found.test_ids)
        choice = choose(account, *wanted, everything=found.all)
    choice = choice.one_by_one() if found.each else choice
    if len(choice.folders) + len(choice.tests) > RUNS_LIMIT:
        raise InputError([f"that is more than {RUNS_LIMIT:,} runs: choose fewer, or folders without --each"])
    return choice


def _write(target: Path, data: bytes, *, force: bool) -> None:
    if force:
        write_whole(target, data)
        return
    # Takes the name first: what somebody else has put there meanwhile stays.
    target.touch(0o644, exist_ok=False)
    try:
        write_whole(target, data)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _parser(world: World) -> Parser:
    parser = account_parser("init", "Write a manifest with folders or tests of the account.", world.out)
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


def _check(target: Path, found: Found, folder: str) -> None:
    """Raise InputError if the file may not be written."""
    shown = _shown(found.output)
    if leads_out(found.output, folder):
        raise InputError([f"{shown} leads out of the working directory through a symbolic link: give another --output"])
    try:
        # A link that leads nowhere counts: something is there.
        if os.path.lexists(target) and not found.force:
            raise InputError([f"{shown} is there already: give another --output, or replace it with --force"])
        if not target.parent.is_dir():
            raise InputError([f"the folder of {shown} is not there: create it, or give another --output"])
    except (OSError, ValueError) as error:
        raise InputError([f"{shown} can't be written ({reason_of(error)}): give another --output"]) from None


def _shown(path: str) -> str:
    return one_line(path, 200)


def _ids(flag: str, text: str) -> dict[str, str]:
    """Return the labels by their ids."""
    try:
        return {entry.id: entry.label for entry in ids(text, flag.removeprefix("--"))}
    except InputError as error:
        raise InputError([f"{flag}: {problem}" for problem in error.problems]) from None


def _tell(found: Found, choice: Choice, world: World) -> None:
    is_printed, path = found.output == PRINTED, found.output
    console = Console(world.err if is_printed else world.out, PLAIN)
    settings, _ = read_some(OF_ACCOUNT, given(found, OF_ACCOUNT), world.environ)
    console.hide(settings.secrets)
    counted = [plural(len(choice.folders), "folder")] if choice.folders else []
    counted += [plural(len(choice.tests), "test")] if choice.tests else []
    # With both default names there, a run without the option reads the other one.
    is_default = default_manifest(world.folder) == os.path.normpath(path)
    named = "" if is_default else f" --manifest {as_argument(path)}"
    if is_printed:
        console.line(f"Printed a manifest with {' and '.join(counted)}. As autonoma.yml, a run finds it by itself.")
        return
    console.line(f"Wrote {path}: {' and '.join(counted)}.")
    console.line("Next, see what would be started, then start it:")
    console.line(f"  autonoma-ci run{named} --dry-run")
    console.line(f"  autonoma-ci run{named} --wait")
