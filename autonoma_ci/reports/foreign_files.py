"""Rename files of other programs that have the names of report files.

A folder such as `reports` is often shared with unit tests, which also write a junit.xml. Such files are renamed, never
replaced.
"""

from __future__ import annotations

import os
import re
import stat
from itertools import count
from typing import TYPE_CHECKING

from autonoma_ci.errors import MEMORY_ERRORS
from autonoma_ci.fs.files import read_whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

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
    data = _read_file(path)
    return data is not None and _RESULTS_RE.match(data) is not None


def _read_file(path: Path) -> bytes | None:
    try:
        return read_whole_file(str(path), _MAX_FILE_BYTES)
    except MEMORY_ERRORS:
        # The file is much larger than any that autonoma-ci writes.
        return None


def find_foreign_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the names of regular files that other programs wrote.

    Empty files are ignored, because they have no content to preserve.
    """
    return [name for name in names if _is_foreign(folder / name)]


def _is_foreign(path: Path) -> bool:
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    # The replacement of a link does not change its target, and a folder is never replaced.
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return False
    data = _read_file(path)
    if data is None:
        return True
    own_file_re = _OWN_FILE_RES.get(path.name)
    return not (_RESULTS_RE.match(data) or (own_file_re and own_file_re.search(data)))


def rename_foreign_files(folder: Path, names: Iterable[str]) -> str | None:
    """Rename the files and return a warning for the log, or None without names.

    An existing file is never replaced.
    """
    changes = []
    for name in names:
        path = folder / name
        candidates = (path.with_name(f"{path.name}.orig{f'.{number}' if number else ''}") for number in count())
        try:
            new_path = next(candidate for candidate in candidates if not os.path.lexists(candidate))
            path.rename(new_path)
            changes.append(f"{name} is now {new_path.name}")
        except OSError as error:
            changes.append(f"{name} could not be renamed ({error.strerror or error}), and is replaced")
    if not changes:
        return None
    return f"results-dir has files of another program: {', '.join(changes)}. Give autonoma-ci a results-dir of its own."
