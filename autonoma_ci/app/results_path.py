"""Find the results.json that a path on the command line means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import escapes_via_symlink, os_error_reason, quote_for_shell, read_head
from autonoma_ci.reports.foreign_files import is_results_file
from autonoma_ci.reports.results_dir import RESULTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

# Entries of a folder. A results-dir has about ten, and one folder for each part of a build.
_MAX_ENTRIES = 200
_MAX_SHOWN = 3
# In characters: longer than any name. The redactor does not recognize a credential that is cut after a few
# characters.
_MAX_PATH_CHARS = 2000
# Usual paths, as in the documentation and the examples.
_USUAL_PATHS = (RESULTS_FILE, f"autonoma-results/{RESULTS_FILE}", f"results/{RESULTS_FILE}")
# Bytes at the beginning of a file that show its kind.
_SNIFF_BYTES = 1000
_ADVICE = f"Use the {RESULTS_FILE} that an earlier step wrote to its results-dir, or this directory."


def find_results_file(path: str, folder: str, command: str) -> str:
    """Return the path of results.json, relative to `folder`.

    Args:
        path: A file, or a folder with results.json.
        folder: The working directory.
        command: The name of the command, for the suggested command line.

    Raises:
        InputError: The file is missing, the folder has no results.json, or the file is of another kind.

    """
    if not path:
        raise InputError([f"The path of results.json is empty. {_ADVICE}"])
    if escapes_via_symlink(path, folder):
        problem = "symbolic link leads outside of the working directory. Use the path without the link."
        raise InputError([f"{_format_path(path)}: {problem}"])
    target = Path(folder, path)
    try:
        if target.is_dir():
            if not (target / RESULTS_FILE).is_file():
                if os.path.lexists(target / RESULTS_FILE):
                    named = _format_path(str(Path(path, RESULTS_FILE)))
                    raise InputError([f"{named} is not a regular file, or is a broken link. {_ADVICE}"])
                raise InputError([_describe_folder(path, target, command)])
            return str(Path(path, RESULTS_FILE))
        is_there = os.path.lexists(target)
    except (OSError, ValueError) as error:
        raise InputError([f"{_format_path(path)} could not be read ({os_error_reason(error)}). {_ADVICE}"]) from None
    if not is_there:
        raise InputError([_describe_missing_path(path, folder, command)])
    if kind := _detect_other_kind(target):
        raise InputError([f"{_format_path(path)} is {kind}. {_suggest_neighbor(path, target, command)}"])
    return path


def _format_path(path: str) -> str:
    return sanitize_line(path, 200)


def _suggest_command(command: str, path: str) -> str:
    return sanitize_line(f"autonoma-ci {command} {quote_for_shell(Path(path).as_posix())}", _MAX_PATH_CHARS)


def _describe_missing_path(path: str, folder: str, command: str) -> str:
    text = f"{_format_path(path)} does not exist."
    parent = Path(folder, path).parent
    candidates = [str(Path(path).parent / RESULTS_FILE)] if parent.is_dir() else []
    matches = [name for name in (*candidates, *_USUAL_PATHS) if _is_file_within(name, folder)]
    return f"{text} Did you mean: {_suggest_command(command, matches[0])}" if matches else f"{text} {_ADVICE}"


def _is_file_within(name: str, folder: str) -> bool:
    return not escapes_via_symlink(name, folder) and Path(folder, name).is_file()


def _describe_folder(path: str, target: Path, command: str) -> str:
    """Return the content of a folder without results.json, and a suggestion."""
    text = f"The directory {_format_path(path)} has no {RESULTS_FILE}."
    results_files = sorted(_find_results_files(target, target))
    if results_files:
        names = [(Path(path) / name).as_posix() for name in results_files]
        more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
        listed = ", ".join(sanitize_line(name, _MAX_PATH_CHARS) for name in names[:_MAX_SHOWN])
        return f"{text} Results files in it: {listed}{more}. Name one: {_suggest_command(command, names[0])}"
    entries = sorted(name for name, _ in _list_entries(target))
    if not entries:
        return f"{text} The directory is empty. {_ADVICE}"
    more = f" and {len(entries) - _MAX_SHOWN} more" if len(entries) > _MAX_SHOWN else ""
    listed = ", ".join(sanitize_line(name, _MAX_PATH_CHARS) for name in entries[:_MAX_SHOWN])
    return f"{text} Files in it: {listed}{more}. {_ADVICE}"


def _find_results_files(target: Path, root: Path, depth: int = 2) -> Iterator[str]:
    """Yield the paths of results files below a folder, relative to `root`.

    Symbolic links are not followed.
    """
    for name, is_folder in _list_entries(target):
        entry_path = target / name
        if is_folder and depth:
            yield from _find_results_files(entry_path, root, depth - 1)
        elif not is_folder and name.startswith("results") and name.endswith(".json") and is_results_file(entry_path):
            yield entry_path.relative_to(root).as_posix()


def _list_entries(target: Path) -> list[tuple[str, bool]]:
    """Return the names in a folder, and whether each is a folder."""
    matches = []
    try:
        with os.scandir(target) as entries:
            for entry in entries:
                matches.append((entry.name, entry.is_dir(follow_symlinks=False)))
                if len(matches) >= _MAX_ENTRIES:
                    break
    except OSError:
        return []
    return matches


def _detect_other_kind(target: Path) -> str | None:
    """Return the kind of a file that is no JSON, or None."""
    try:
        start = read_head(target, _SNIFF_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")
    except (OSError, ValueError):
        return None
    if start.startswith((b"{", b"[")) or not start:
        return None
    lower = start.lower()
    if b"<testsuite" in lower:
        return f"a JUnit report, not {RESULTS_FILE}"
    if lower.startswith((b"<!doctype html", b"<html")):
        return f"a web page, not {RESULTS_FILE}"
    return f"not a {RESULTS_FILE} (no JSON object)"


def _suggest_neighbor(path: str, target: Path, command: str) -> str:
    """Return a suggestion instead of a file of another kind."""
    if (target.parent / RESULTS_FILE).is_file():
        return f"Use: {_suggest_command(command, str(Path(path).parent / RESULTS_FILE))}"
    return _ADVICE
