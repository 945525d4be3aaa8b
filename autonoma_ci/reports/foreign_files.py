"""Rename files of other programs that have the names of report files.

A folder such as `reports` is often shared with unit tests, which also write a junit.xml. Such files are renamed, never
replaced.
"""

from __future__ import annotations

import os
import re
from itertools import count
from typing import TYPE_CHECKING

from autonoma_ci.errors import MEMORY_ERRORS
from autonoma_ci.fs.files import read_whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from autonoma_ci.fs.files import Directory

# The largest file that is read: as `MAX_RESULTS_BYTES`. autonoma-ci does not write a larger one.
_MAX_FILE_BYTES = 100 * 1024 * 1024
# The first members of results.json, in every version of the schema. A file that is damaged further down matches too.
_RESULTS_RE = re.compile(rb'\s*\{\s*"version"\s*:\s*[0-9]+\s*,\s*"tool"\s*:\s*\{\s*"name"\s*:\s*"autonoma-ci"')
# Patterns that only files of autonoma-ci match, for a job step that left no results.json. A file whose name is not here
# belongs to another program.
_OWN_FILE_RES = {
    "outputs.env": re.compile(rb"\AAUTONOMA_CONCLUSION="),
    "summary.md": re.compile(
        rb"\A### [^\n]*: \S+ (?:Running|Starting|Started|Passed|Failed|Timed out|Error|Skipped|Cancelled)\n\n"
        rb"(?:[0-9,]+ of [0-9,]+ runs? (?:started|passed)|[0-9,]+ problems? with the input|Cancelled before anything"
        rb"|Nothing was selected|Dry run: |Skipped, nothing was started|The step that was to start the runs)"
    ),
    "junit.xml": re.compile(
        rb'<testcase name="[^"]*" classname="autonoma(?:\.[a-z]+)?" time="[^"]*" file="autonoma/'
        rb'|\A[^\n]*\n<testsuites tests="0" [^>]*><testsuite [^>]*/></testsuites>\s*\Z'
    ),
    "report.html": re.compile(rb"<footer><p>autonoma-ci [^<\n]*</p></footer>\s*</body>\s*</html>\s*\Z"),
    "gitlab-annotations.json": re.compile(
        rb'\A\{(?:\}\n\Z|\n  "[^\n]*": \[\n    \{\n      "external_link": \{\n        "label": "[a-z][^\n:]*: )'
    ),
}


def is_results_file(path: Path) -> bool:
    """Return whether the file begins like a results.json of autonoma-ci."""
    try:
        data = read_whole_file(str(path), _MAX_FILE_BYTES)
    except MEMORY_ERRORS:
        return False
    return data is not None and _RESULTS_RE.match(data) is not None


def has_own_results(directory: Directory, name: str) -> bool:
    """Return whether the directory has a results.json of autonoma-ci."""
    data = _read_file(directory, name)
    return data is not None and _RESULTS_RE.match(data) is not None


def _read_file(directory: Directory, name: str) -> bytes | None:
    try:
        return directory.read_file(name, _MAX_FILE_BYTES)
    except MEMORY_ERRORS:
        # The file is much larger than any that autonoma-ci writes.
        return None


def find_foreign_files(directory: Directory, paths: Iterable[str]) -> list[str]:
    """Return the paths of regular files that other programs wrote.

    Empty files are ignored, because they have no content to preserve.
    """
    return [path for path in paths if _is_foreign(directory, path)]


def _is_foreign(directory: Directory, path: str) -> bool:
    parent, name = os.path.split(path)
    try:
        with directory.open_directory(parent, create=False) as folder:
            # The replacement of a link does not change its target, and a folder is never replaced.
            if not folder.is_regular(name) or not folder.lstat(name).st_size:
                return False
            data = _read_file(folder, name)
    except (OSError, ValueError):
        return False
    if data is None:
        return True
    own_file_re = _OWN_FILE_RES.get(name)
    return not (_RESULTS_RE.match(data) or (own_file_re and own_file_re.search(data)))


def rename_foreign_files(directory: Directory, paths: Iterable[str]) -> str | None:
    """Rename the files and return a warning for the log, or None without paths.

    An existing file is never replaced.
    """
    changes = []
    for path in paths:
        try:
            changes.append(f"{path} is renamed to {_rename_file(directory, path)}")
        except OSError as error:
            changes.append(f"{path} could not be renamed ({error.strerror or error}) and is replaced")
    if not changes:
        return None
    return (
        f"results-dir has files of another program: {', '.join(changes)}. Use a separate results-dir for autonoma-ci."
    )


def _rename_file(directory: Directory, path: str) -> str:
    """Rename a file, and return its new name.

    Raises:
        OSError: The file can't be renamed.

    """
    parent, name = os.path.split(path)
    with directory.open_directory(parent, create=False) as folder:
        candidates = (f"{name}.orig{f'.{number}' if number else ''}" for number in count())
        new_name = next(candidate for candidate in candidates if not folder.exists(candidate))
        folder.rename(name, new_name)
    return new_name
