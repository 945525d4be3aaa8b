"""Find the record that a path of the command line means: the file itself, or the folder that holds it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import os_error_reason, read_head
from autonoma_ci.fs.paths import escapes_via_symlink, quote_for_shell
from autonoma_ci.reports.foreign_files import is_results_file
from autonoma_ci.reports.results_dir import RESULTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

# Entries of a folder that are looked at. A results-dir has about ten, and one folder for each part of a build.
_MAX_ENTRIES = 200
_SHOWN = 3
# In characters: more than a name has. The redactor does not find the first few characters of a credential
# before a cut.
_MAX_PATH = 2000
# Folders in which people keep the files of a step, as in the documentation and the examples.
_USUAL = (RESULTS_FILE, f"autonoma-results/{RESULTS_FILE}", f"results/{RESULTS_FILE}")
# The first bytes of a file that are looked at to name its kind.
_HEAD_BYTES = 1000
_LEFT_BY = f"Give the {RESULTS_FILE} that an earlier step wrote to its results-dir, or that folder"


def find_results_file(path: str, folder: str, command: str) -> str:
    """Return the path of the record, relative to `folder`.

    Args:
        path: What the command line has: a file, or a folder with a record.
        folder: The working directory.
        command: The name of the command, for the line that the user can type.

    Raises:
        InputError: There is no such file, the folder has no record, or the file is of another kind.

    """
    if not path:
        raise InputError([f"the path of the record is empty. {_LEFT_BY}"])
    if escapes_via_symlink(path, folder):
        raise InputError(
            [f"{_shown(path)} leads out of the working directory through a symbolic link. Give its own path"]
        )
    place = Path(folder, path)
    try:
        if place.is_dir():
            if not (place / RESULTS_FILE).is_file():
                if os.path.lexists(place / RESULTS_FILE):
                    named = _shown(str(Path(path, RESULTS_FILE)))
                    raise InputError([f"{named} is not a regular file, or a link to nothing. {_LEFT_BY}"])
                raise InputError([_without_record(path, place, command)])
            return str(Path(path, RESULTS_FILE))
        is_there = os.path.lexists(place)
    except (OSError, ValueError) as error:
        raise InputError([f"{_shown(path)} can't be read ({os_error_reason(error)}). {_LEFT_BY}"]) from None
    if not is_there:
        raise InputError([_missing(path, folder, command)])
    if kind := _other_kind(place):
        raise InputError([f"{_shown(path)} is {kind}. {_beside(path, place, command)}"])
    return path


def _shown(path: str) -> str:
    return sanitize_line(path, 200)


def _typed(command: str, path: str) -> str:
    return sanitize_line(f"autonoma-ci {command} {quote_for_shell(Path(path).as_posix())}", _MAX_PATH)


def _missing(path: str, folder: str, command: str) -> str:
    text = f"{_shown(path)} does not exist."
    parent = Path(folder, path).parent
    near = [str(Path(path).parent / RESULTS_FILE)] if parent.is_dir() else []
    found = [name for name in (*near, *_USUAL) if _is_file_within(name, folder)]
    return f"{text} Did you mean: {_typed(command, found[0])}" if found else f"{text} {_LEFT_BY}"


def _is_file_within(name: str, folder: str) -> bool:
    return not escapes_via_symlink(name, folder) and Path(folder, name).is_file()


def _without_record(path: str, place: Path, command: str) -> str:
    """Return what is in a folder that has no record, and what to type."""
    text = f"The folder {_shown(path)} has no {RESULTS_FILE}."
    others = sorted(_records(place, place))
    if others:
        names = [(Path(path) / name).as_posix() for name in others]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        listed = ", ".join(sanitize_line(name, _MAX_PATH) for name in names[:_SHOWN])
        return f"{text} Records in it: {listed}{more}. Name one: {_typed(command, names[0])}"
    held = sorted(name for name, _ in _entries(place))
    if not held:
        return f"{text} It is empty. {_LEFT_BY}"
    more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    return f"{text} It has {', '.join(sanitize_line(name, _MAX_PATH) for name in held[:_SHOWN])}{more}. {_LEFT_BY}"


def _records(place: Path, root: Path, depth: int = 2) -> Iterator[str]:
    """Yield the paths of records below a folder, relative to `root`; links are not followed."""
    for name, is_folder in _entries(place):
        here = place / name
        if is_folder and depth:
            yield from _records(here, root, depth - 1)
        elif not is_folder and name.startswith("results") and name.endswith(".json") and is_results_file(here):
            yield here.relative_to(root).as_posix()


def _entries(place: Path) -> list[tuple[str, bool]]:
    """Return the names in a folder, each with whether it is a folder."""
    found = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                found.append((entry.name, entry.is_dir(follow_symlinks=False)))
                if len(found) >= _MAX_ENTRIES:
                    break
    except OSError:
        return []
    return found


def _other_kind(place: Path) -> str:
    """Return what the file is, if its first characters show that it is not JSON."""
    try:
        start = read_head(place, _HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")
    except (OSError, ValueError):
        return ""
    if start.startswith((b"{", b"[")) or not start:
        return ""
    lower = start.lower()
    if b"<testsuite" in lower:
        return "a JUnit report, not a record"
    if lower.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a record"
    return "not a record: it holds no JSON object"


def _beside(path: str, place: Path, command: str) -> str:
    """Return what to type instead of a file of another kind."""
    if (place.parent / RESULTS_FILE).is_file():
        return f"Type: {_typed(command, str(Path(path).parent / RESULTS_FILE))}"
    return _LEFT_BY
