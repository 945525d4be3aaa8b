"""Keep the files of other programs that have names of ours in results-dir: they are renamed, never replaced.

A folder such as `reports` is often shared with unit tests, which write a junit.xml of their own.
"""

from __future__ import annotations

import os
import re
import stat
from itertools import count
from typing import TYPE_CHECKING

from autonoma_ci.errors import MEMORY_ERRORS
from autonoma_ci.fs.files import read_regular_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# In bytes: the largest file that is looked at. A larger one is not ours.
_SIZE_LIMIT = 100 * 1024 * 1024
# A record's first members, in every version of it. One that is damaged further down is ours as well.
_RECORD = re.compile(rb'\s*\{\s*"version"\s*:\s*[0-9]+\s*,\s*"tool"\s*:\s*\{\s*"name"\s*:\s*"autonoma-ci"')
# What only our own files hold, for those of a step that left no record. A name that is not here is of another program.
_OURS = {
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
    """Return whether the file begins as a record of ours does."""
    return bool(_RECORD.match(_content(path)))


def _content(path: Path) -> bytes:
    try:
        return read_regular_file(str(path), _SIZE_LIMIT)
    except MEMORY_ERRORS:
        # Much larger than what we write.
        return b""


def find_foreign_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Return those of the names that are regular files of other programs; an empty file holds nothing to keep."""
    return [name for name in names if _is_of_others(folder / name)]


def _is_of_others(path: Path) -> bool:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    # A link is replaced without harm to what it leads to, and a folder is not replaced at all.
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    data = _content(path)
    ours = _OURS.get(path.name)
    return not (_RECORD.match(data) or (ours and ours.search(data)))


def rename_foreign_files(folder: Path, names: Iterable[str]) -> str:
    """Rename these files, never over another one, and return what the log should warn of; empty without any name."""
    told = []
    for name in names:
        path = folder / name
        free = (path.with_name(f"{path.name}.orig{f'.{number}' if number else ''}") for number in count())
        try:
            new = next(found for found in free if not os.path.lexists(found))
            path.rename(new)
            told.append(f"{name} is now {new.name}")
        except OSError as error:
            told.append(f"{name} could not be renamed ({error.strerror or error}), and is replaced")
    if not told:
        return ""
    return f"results-dir has files of another program: {', '.join(told)}. Give autonoma-ci a results-dir of its own."
