"""The changed files of a build, from GitHub's API.

Source: GitHub's REST documentation, "Compare two commits". With paging, only page 1 has files, and it has all files of
the comparison, up to 300. Names of branches: git's documentation, "git check-ref-format".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autonoma_ci.ci.env import env_reader
from autonoma_ci.ci.rest.github_api import create_github_client, find_github_hint
from autonoma_ci.ci.rest.http import RestError, RestLimits, api_base_url
from autonoma_ci.errors import InputError
from autonoma_ci.models import COMMIT_HASH_RE, ComparedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.clock import Clock
    from autonoma_ci.models import BuildContext, ChangeBase
    from autonoma_ci.redaction.redactor import Secret

# GitHub lists at most this number of files. So a list of this length can be incomplete.
MAX_FILES = 300
# The plan waits for the response, and everything runs without it.
LIMITS = RestLimits(total_seconds=10.0, request_seconds=6.0, total_requests=2, attempts=2)
_PERMISSION = "contents: read"
# With the commits in the clone, no API is needed.
_CHECKOUT_HINT = "Check out the commits of the change, as with `fetch-depth: 0`."
_NO_ACCESS_HINT = "Check GITHUB_API_URL, or run the step again later."
# The commits of a comparison are not needed, and their texts can be long.
_QUERY = "per_page=1&page=1"
# The head has commits that the base does not have.
_CHANGE_STATUSES = frozenset({"ahead", "diverged"})
# The status of a file with two names.
_RENAME_STATUSES = frozenset({"renamed", "copied"})
_INVALID_BRANCH_RE = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\A[./-]|[./]\Z|\.lock(?:/|\Z)|\A@\Z|\A[0-9a-f]{40,64}\Z|\Arefs/"
)
# The commit of a submodule, in the patch of its path.
_SUBMODULE_RE = re.compile(r"^[-+]Subproject commit [0-9a-f]{40}", re.MULTILINE)


class CompareError(Exception):
    """The changed files are not known for certain.

    Args:
        reason: Why, as the end of a sentence without a period.
        remedy: What to do about it, as complete sentences.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


def compare_changes(
    environ: Mapping[str, str], context: BuildContext, base: ChangeBase, token: Secret, clock: Clock
) -> ComparedFiles:
    """Compare the head of a change with its base through GitHub's API.

    The head is the commit under test, and not a merge commit of it.

    Args:
        environ: The environment of the job.
        context: The build, with its commit and its repository.
        base: What the build is compared with.
        token: A token that may read the contents of the repository. It is sent only to the API.
        clock: The clock of timeouts and delays.

    Raises:
        CompareError: The changed files are not known for certain.
    """
    try:
        base_url = api_base_url(env_reader(environ), "GITHUB_API_URL", "check out the commits of the change")
    except InputError as error:
        problem, _, advice = str(error).partition(". ")
        raise CompareError(problem, f"{advice}.") from None
    if not base_url:
        raise CompareError("GITHUB_API_URL is missing or invalid", _NO_ACCESS_HINT)
    path = _build_path(context, base)
    try:
        data = create_github_client(base_url, token, clock, LIMITS).request("GET", path).data
    except RestError as error:
        remedy = error.hint or find_github_hint(error, _PERMISSION, _CHECKOUT_HINT) or _NO_ACCESS_HINT
        raise CompareError(f"GitHub's API could not compare the commits ({error})", remedy) from None
    return _parse_comparison(data, base)


def _build_path(context: BuildContext, base: ChangeBase) -> str:
    """Return path and query of the request.

    Raises:
        CompareError: A commit or the repository is unknown, or the branch has an invalid name.
    """
    if not (context.repository and COMMIT_HASH_RE.fullmatch(context.sha)):
        raise CompareError("the commit or the repository of the build is unknown", _CHECKOUT_HINT)
    if not (base.sha or base.branch):
        raise CompareError("the default branch is unknown", _CHECKOUT_HINT)
    if not base.sha and _INVALID_BRANCH_RE.search(base.branch):
        raise CompareError("the target branch has an invalid name", _CHECKOUT_HINT)
    base_text = quote(base.sha or base.branch, safe="")
    return f"/repos/{quote(context.repository)}/compare/{base_text}...{context.sha}?{_QUERY}"


def _parse_comparison(data: Any, base: ChangeBase) -> ComparedFiles:
    """Parse a response, which is untrusted.

    Raises:
        CompareError: The response is invalid, or it does not have all changed files.
    """
    data = data if isinstance(data, dict) else {}
    files, merge_base = data.get("files"), _read_commit(data, "merge_base_commit")
    status = _read_text(data, "status")
    if status in {"identical", "behind"}:
        raise CompareError("the base already has the commit of the build", "No action is needed.")
    if not (isinstance(files, list) and merge_base and status in _CHANGE_STATUSES):
        raise CompareError("GitHub's API sent an unexpected response", _NO_ACCESS_HINT)
    if base.sha and _read_commit(data, "base_commit") != base.sha:
        raise CompareError("GitHub's API compared another commit", _CHECKOUT_HINT)
    if base.is_exact and merge_base != base.sha:
        raise CompareError("the commit of the build does not contain its base", _CHECKOUT_HINT)
    if len(files) >= MAX_FILES:
        raise CompareError(f"GitHub's API lists only the first {MAX_FILES} changed files", _CHECKOUT_HINT)
    if not files:
        raise CompareError("GitHub's API lists no changed file", _CHECKOUT_HINT)
    entries = [file if isinstance(file, dict) else {} for file in files]
    paths = frozenset(path for entry in entries for path in _read_paths(entry))
    submodules = frozenset(path for entry in entries if _can_be_submodule(entry) for path in _read_paths(entry))
    return ComparedFiles(paths, merge_base, submodules)


def _read_text(data: Mapping[str, Any], name: str) -> str:
    text = data.get(name)
    return text if isinstance(text, str) else ""


def _read_commit(data: Mapping[str, Any], name: str) -> str:
    commit = data.get(name)
    sha = _read_text(commit, "sha") if isinstance(commit, dict) else ""
    return sha if COMMIT_HASH_RE.fullmatch(sha) else ""


def _read_paths(file: Mapping[str, Any]) -> list[str]:
    """Return the paths of one entry of a comparison.

    Raises:
        CompareError: The entry is invalid.
    """
    paths = [_read_text(file, "filename")]
    if _read_text(file, "status") in _RENAME_STATUSES or file.get("previous_filename") is not None:
        paths.append(_read_text(file, "previous_filename"))
    if not all(map(_is_path, paths)):
        raise CompareError("GitHub's API sent an unexpected file name", _CHECKOUT_HINT)
    return paths


def _can_be_submodule(file: Mapping[str, Any]) -> bool:
    """Return whether an entry is a submodule, or looks like one.

    A submodule has one line of text, its commit. GitHub omits the text if the comparison is large.
    """
    if file.get("patch") is not None:
        return bool(_SUBMODULE_RE.search(_read_text(file, "patch")))
    # A binary file has no changed lines.
    return file.get("changes") != 0 and all(file.get(name) in (0, 1) for name in ("additions", "deletions"))


def _is_path(text: str) -> bool:
    # GitHub replaces the bytes of a name that is not UTF-8.
    return bool(text) and not text.startswith("/") and not set("\0\ufffd") & set(text)
