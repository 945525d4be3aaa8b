"""Read the list of changed files from the option `changed-files`.

Other tools write such lists in many forms. A doubt about a list is an error, because a list that is read wrong can
leave out tests.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from autonoma_ci.config.parsers import PathList, parse_path_array, split_lines
from autonoma_ci.errors import InputError
from autonoma_ci.fs.files import UTF_16_BOMS, escapes_via_symlink, read_whole_file
from autonoma_ci.startup import NamedTuple, lazy_pattern

# In bytes. A list of 100,000 paths has about 5 MB.
MAX_LIST_BYTES = 16 * 1024**2
MAX_PATHS = 100_000
# git writes such a path if it has control characters, quotes or bytes above 0x7f. Source: core.quotePath in git config.
_QUOTED_PATH_RE = lazy_pattern(r'"((?:[^"\\]|\\[abtnvfr"\\]|\\[0-3][0-7]{2})*)"', re.DOTALL)
_ESCAPE_RE = lazy_pattern(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_ESCAPED_BYTES = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
# Several paths on one line, a form of another tool, a wildcard, a path of Windows, or a word such as `null`.
_DOUBTFUL_RE = lazy_pattern(r"""[\s,;:|"'*?<>{}\\]|\A\[.*\]\Z|\A[^./]+\Z""")
_FROM_THE_TOP = "List paths from the top of the repository."
_ONE_PER_LINE = "Write one path per line, or a JSON array of strings."


class ListError(Exception):
    """A list of changed files can be wrong.

    Args:
        reason: Why, as the end of a sentence without a period.
        remedy: What to do, as a complete sentence.

    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


class ListedFiles(NamedTuple):
    """The paths of a list, relative to the top of the repository."""

    paths: frozenset[str]
    # The paths of directories. Which of their files changed is unknown.
    directories: frozenset[str]


def read_list(value: str | PathList, option: str, directory: str, root: Path) -> ListedFiles:
    """Return the paths of the option.

    Args:
        value: The paths, or `@` with the path of a file.
        option: The name of the option in messages.
        directory: The working directory.
        root: The top of the repository, without links.

    Raises:
        ListError: The list is empty, unreadable or ambiguous, or it has a path outside of the repository.

    """
    listed = value if isinstance(value, PathList) else _read_file(value.removeprefix("@"), option, directory)
    if not listed.paths:
        # A path filter without a match and a filter that did not run look alike.
        raise ListError(f"{option} lists no files", "To compare with the base, set it to auto.")
    if len(listed.paths) > MAX_PATHS:
        raise ListError(f"{option} lists more than {MAX_PATHS:,} files", "To run everything, set it to all.")
    working_directory = Path(os.path.realpath(directory))
    paths, directories = set(), set()
    for number, text in enumerate(listed.paths, 1):
        path = _parse_path(text, f"{option}: line {number}", root, is_exact=listed.is_exact)
        if working_directory != root and not _exists(root, path) and _exists(working_directory, path):
            raise ListError(f"{option}: line {number} has a path from the working directory", _FROM_THE_TOP)
        paths.add(path)
        if text.endswith("/") or _is_directory(root / path):
            directories.add(path)
    return ListedFiles(frozenset(paths), frozenset(directories))


def _read_file(path: str, option: str, directory: str) -> PathList:
    """Return the paths in a file, one per line, separated by NUL, or in a JSON array.

    Raises:
        ListError: The file is unreadable.

    """
    if escapes_via_symlink(path, directory):
        raise ListError(f"the file of {option} is behind a link", "Use the path without the link.")
    data = read_whole_file(str(Path(directory, path)), MAX_LIST_BYTES)
    if data is None:
        raise ListError(f"the file of {option} could not be read", "Check the path, and that the file was written.")
    if data.startswith(UTF_16_BOMS):
        raise ListError(f"the file of {option} is UTF-16", "Save it as UTF-8.")
    text = data.decode("utf-8-sig", "surrogateescape")
    try:
        if array := parse_path_array(text.strip()):
            return array
    except InputError as error:
        raise ListError(f"the file of {option} has an invalid JSON array", _ONE_PER_LINE) from error
    is_exact = "\0" in text
    lines = text.split("\0") if is_exact else split_lines(text)
    return PathList(tuple(filter(None, lines)), is_exact)


def _parse_path(text: str, where: str, root: Path, *, is_exact: bool) -> str:
    """Return one path relative to the top of the repository.

    Raises:
        ListError: The text can be several paths, or the path is outside of the repository.

    """
    path = text
    if not is_exact:
        if text.startswith('"'):
            path = _unquote(text, where)
        elif _DOUBTFUL_RE.search(text) and not _exists(root, text):
            # Also a deleted file with a space in its name. Then everything runs.
            raise ListError(f"{where} has no existing file, or several paths", _ONE_PER_LINE)
    if os.name == "nt":
        path = path.replace("\\", "/")
    if Path(path).is_absolute():
        path = _make_relative(path, where, root)
    normalized = posixpath.normpath(path)
    if ".." in path.split("/") or normalized == "." or "\0" in path:
        raise ListError(f"{where} has no path of a file in the repository", _ONE_PER_LINE)
    return normalized


def _make_relative(path: str, where: str, root: Path) -> str:
    """Return an absolute path relative to the top of the repository.

    Raises:
        ListError: It is outside of the repository.

    """
    # The top itself can be behind a link, so the links of the directories are resolved, and that of a file is not.
    parent, name = os.path.split(path.rstrip("/"))
    for candidate in (Path(path), Path(os.path.realpath(parent), name)):
        if candidate.is_relative_to(root) and candidate != root:
            return candidate.relative_to(root).as_posix()
    raise ListError(f"{where} has a path outside of the repository", "List paths of the repository.")


def _unquote(text: str, where: str) -> str:
    """Return a path without the quotes and escapes of git.

    Raises:
        ListError: The quotes or escapes are invalid.

    """
    match = _QUOTED_PATH_RE.fullmatch(text)
    if not match:
        raise ListError(f"{where} has invalid quotes", _ONE_PER_LINE)
    data = match[1].encode("utf-8", "surrogateescape")
    return _ESCAPE_RE.sub(lambda escape: _unescape(escape[1]), data).decode("utf-8", "surrogateescape")


def _unescape(escape: bytes) -> bytes:
    return bytes([int(escape, 8)]) if len(escape) == 3 else _ESCAPED_BYTES.get(escape, escape)


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # the name is too long, for example


def _exists(root: Path, text: str) -> bool:
    return "\0" not in text and os.path.lexists(root / text)
