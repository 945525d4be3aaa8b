"""Readers of facts in the environment of a CI job.

CI systems, runners, users and pull requests write to this environment, so no value is trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlunsplit

from autonoma_ci.config.parsers import Shard
from autonoma_ci.models import (
    CHANGE_NUMBER_RE,
    COMMIT_HASH_RE,
    MAX_FACT_CHARS,
    NOT_A_BRANCH_RE,
    REF_PREFIX_RE,
    UntrustedSource,
)
from autonoma_ci.startup import lazy_pattern
from autonoma_ci.urls import check_url, join_host_and_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_TRUE_VALUES = frozenset({"true", "1", "yes", "on"})
_COUNT_RE = lazy_pattern(r"[0-9]{1,18}")
# Browsers read a backslash as a slash, so the host that they open could differ from the one that we parse.
_WEB_URL_RE = lazy_pattern(r"[^\\ ]+")
_HOST_RE = lazy_pattern(r"[\w.-]+|[0-9a-f:.]+")
_REPOSITORY_RE = lazy_pattern(r"[\w.~+-][\w.~+ -]*(?:/[\w.~+ -]+)+")
_CLONE_URL_PREFIX_RE = lazy_pattern(r"^(?:[\w.+-]+://(?:[^@/]*@)?[^/]+/|[^@/:]+@[^:/]+:/?)")


def sanitize(value: object) -> str:
    """Strip a text, and replace an invalid one by an empty text.

    Invalid as a name or a link are: values that are not text, text longer than 2,000 characters, and text with a
    control or formatting character, a lone surrogate or a line break inside.
    """
    if not isinstance(value, str) or len(value) > 2 * MAX_FACT_CHARS:
        return ""
    text = value.strip()
    # Because half a URL is a wrong URL, a longer text is dropped, not cut.
    return text if len(text) <= MAX_FACT_CHARS and text.isprintable() else ""


def env_reader(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that reads and sanitizes one variable of `environ`.

    The function returns an empty text for a variable that is not set.
    """
    return lambda name: sanitize(environ.get(name, ""))


def is_truthy(environ: Mapping[str, str], name: str) -> bool:
    """Return whether a variable is `true`, `1`, `yes` or `on`.

    Upper and lower case are equal. Other texts and unset variables count as false.
    """
    return sanitize(environ.get(name, "")).lower() in _TRUE_VALUES


def first_set(environ: Mapping[str, str], *names: str) -> str:
    """Return the first of these variables that is not empty, sanitized.

    Returns an empty text if all of them are empty.
    """
    return next((value for name in names if (value := sanitize(environ.get(name, "")))), "")


def first_commit(*candidates: str) -> str:
    """Return the first full commit hash of the candidates.

    The hash is in lower case. Short, zero and symbolic hashes do not count. Returns an empty text if there is none.
    """
    return next((c.lower() for c in candidates if COMMIT_HASH_RE.fullmatch(c.lower())), "")


def first_branch(*candidates: str) -> str:
    """Return the first branch or tag of the candidates.

    Returns its name without `refs/heads/` or `refs/tags/`, or an empty text if no candidate is a name.
    """
    names = (REF_PREFIX_RE.sub("", sanitize(c), count=1) if c.startswith("refs/") else sanitize(c) for c in candidates)
    return next((name for name in names if name and not NOT_A_BRANCH_RE.fullmatch(name)), "")


def first_number(*candidates: str) -> str:
    """Return the first valid number of a pull or merge request.

    Such a number has digits only and is greater than 0. Returns an empty text if there is none.
    """
    return next((c for c in candidates if CHANGE_NUMBER_RE.fullmatch(c)), "")


def parse_count(text: str, increment: int = 0) -> str:
    """Return a decimal count plus `increment`.

    Returns an empty text for an invalid count. Unlike `first_number`, this accepts zero.
    """
    return str(int(text) + increment) if _COUNT_RE.fullmatch(text) else ""


def join_job_path(*names: str) -> str:
    """Join the names of a job and of its stages with `/`.

    Stages without a name are left out. A `/` inside a name is escaped as in a URL. So job `b/c` of stage `a` differs
    from job `c` of stage `a/b`.

    Args:
        names: The outermost stage first, the job last.

    Returns:
        The path, or an empty text if the job itself has no name.
    """
    escaped = (name.replace("%", "%25").replace("/", "%2F") for name in names if name)
    return sanitize("/".join(escaped)) if names[-1] else ""


def number_job(name: str, shard: Shard | None) -> str:
    """Add the shard of a parallel job to its name.

    Parallel copies of a job share a name in most systems. GitLab writes `test 2/4`, and so does this function.

    Args:
        name: The job's name, or an empty text.
        shard: The job's shard, or None if its variables are invalid.

    Returns:
        The name, or an empty text if the job or its shard is unknown.
    """
    if not (name and shard):
        return ""
    return name if shard.total == 1 else sanitize(f"{name} {shard.number}/{shard.total}")


def find_untrusted_fork(repository: str, source_repository: str) -> UntrustedSource | None:
    """Return `UntrustedSource.FORK` if a change comes from another repository.

    Returns None if one repository is unknown.
    """
    if repository and source_repository and repository.lower() != source_repository.lower():
        return UntrustedSource.FORK
    return None


def first_repository(*candidates: str) -> str:
    """Return the first repository of the candidates as `owner/name`.

    A candidate is `owner/name` or a clone URL in its https, ssh or scp form. Returns an empty text if no candidate
    names a repository.
    """
    paths = (_CLONE_URL_PREFIX_RE.sub("", sanitize(c), count=1).rstrip("/").removesuffix(".git") for c in candidates)
    return next((path for path in paths if _REPOSITORY_RE.fullmatch(path) and "/.." not in f"/{path}"), "")


def first_web_url(*candidates: str) -> str:
    """Return the first http or https URL without its credentials.

    Returns an empty text if no candidate is such a URL.
    """
    return next((url for c in candidates if (url := _parse_web_url(sanitize(c)))), "")


def _parse_web_url(text: str) -> str:
    url = check_url(text, _WEB_URL_RE, _HOST_RE, allow_login=True)
    if not url or not url.is_http_or_https:
        return ""
    # Port 0 is reserved, so it is left out.
    host_and_port = join_host_and_port(url.host, url.port or None)
    return urlunsplit((url.scheme, host_and_port, url.path, url.query, url.fragment))


SINGLE_SHARD = Shard(1, 1)


def shard_from_env(index: str, total: str, first: int) -> Callable[[Mapping[str, str]], Shard | None]:
    """Return a function that reads a job's shard from its environment.

    Args:
        index: The variable with the number of the job among its parallel copies.
        total: The variable with the number of copies.
        first: The number of the first job. Systems count from 0 or from 1.

    Returns:
        A function that returns the shard, or None if the variables are invalid (see `shard_from_index`).
    """

    def read_shard(environ: Mapping[str, str]) -> Shard | None:
        get = env_reader(environ)
        return shard_from_index(get(index), get(total), first)

    return read_shard


def shard_from_index(index: str, total: str, first: int) -> Shard | None:
    """Return the shard of a job with this index.

    An invalid index must not become 1/1: then this job and each of its copies would start the complete plan.

    Args:
        index: The number of the job, in digits.
        total: The number of jobs, in digits. Empty or `1` for a job without parallel copies.
        first: The number of the first job, 0 or 1.

    Returns:
        The shard, counted from 1, `SINGLE_SHARD` for a job without parallel copies, or None.
    """
    if not total or total == "1":
        return SINGLE_SHARD
    if not (index.isascii() and index.isdigit() and total.isascii() and total.isdigit() and len(index + total) < 12):
        return None
    shard = Shard(int(index) - first + 1, int(total))
    return shard if 1 <= shard.number <= shard.total else None
