"""Reading facts out of an environment that CI systems, runners, users and pull requests have all written to.

Which of several parallel jobs this one is: systems count from 0 or from 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from autonoma_ci.config.parsers import Shard
from autonoma_ci.lazy_regex import lazy_pattern
from autonoma_ci.models import CHANGE_NUMBER_RE, COMMIT_HASH_RE, MAX_FACT_CHARS, NOT_A_BRANCH_RE, REF_PREFIX_RE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_YES = frozenset({"true", "1", "yes", "on"})
_COUNT = lazy_pattern(r"[0-9]{1,18}")
_HOST = lazy_pattern(r"[\w.-]+|[0-9a-f:.]+")
_REPOSITORY = lazy_pattern(r"[\w.~+-][\w.~+ -]*(?:/[\w.~+ -]+)+")
_CLONE_URL = lazy_pattern(r"^(?:[\w.+-]+://(?:[^@/]*@)?[^/]+/|[^@/:]+@[^:/]+:/?)")


def sanitize(value: object) -> str:
    """Return a text without the white space around it, or an empty one if it can't be a name or a link.

    That is: anything but text, longer than 2,000 characters, or with a control or formatting
    character, a lone surrogate or a line break inside.
    """
    if not isinstance(value, str) or len(value) > 2 * MAX_FACT_CHARS:
        return ""
    text = value.strip()
    # A longer text is dropped, since half a URL is a wrong URL.
    return text if len(text) <= MAX_FACT_CHARS and text.isprintable() else ""


def env_reader(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that reads one variable of `environ`, cleaned; an unset one is an empty text."""
    return lambda name: sanitize(environ.get(name, ""))


def is_truthy(environ: Mapping[str, str], name: str) -> bool:
    """Say whether a flag variable is set to yes; an empty text, `0` and `false` are no."""
    return sanitize(environ.get(name, "")).lower() in _YES


def first_set(environ: Mapping[str, str], *names: str) -> str:
    """Return the first of these variables that is not empty, cleaned, or an empty text."""
    return next((value for name in names if (value := sanitize(environ.get(name, "")))), "")


def first_commit(*candidates: str) -> str:
    """Return the first candidate that is a full commit hash; short, zero and symbolic ones are passed over."""
    return next((c.lower() for c in candidates if COMMIT_HASH_RE.fullmatch(c.lower())), "")


def first_branch(*candidates: str) -> str:
    """Return the first candidate that names a branch or a tag, without `refs/heads/` or `refs/tags/`."""
    names = (REF_PREFIX_RE.sub("", sanitize(c), count=1) if c.startswith("refs/") else sanitize(c) for c in candidates)
    return next((name for name in names if name and not NOT_A_BRANCH_RE.fullmatch(name)), "")


def first_number(*candidates: str) -> str:
    """Return the first candidate that is the number of a pull or merge request: digits, and not `false` or 0."""
    return next((c for c in candidates if CHANGE_NUMBER_RE.fullmatch(c)), "")


def parse_count(text: str, add: int = 0) -> str:
    """Return a count in decimal digits plus `add`, or an empty text.

    Unlike `change`, this accepts zero.
    """
    return str(int(text) + add) if _COUNT.fullmatch(text) else ""


def join_job_path(*names: str) -> str:
    """Join the names of a job and of the stages around it with `/`.

    Stages without a name are left out. A `/` inside of a name is escaped as in a URL, so that job `b/c` of
    stage `a` differs from job `c` of stage `a/b`.

    Args:
        names: the outermost stage first, the job last.

    Returns:
        The path, or an empty text if the job itself has no name.
    """
    escaped = (name.replace("%", "%25").replace("/", "%2F") for name in names if name)
    return sanitize("/".join(escaped)) if names[-1] else ""


def number_job(name: str, place: Shard | None) -> str:
    """Add the place among its parallel copies to a job's name.

    The copies share a name in most systems. `test 2/4` is how GitLab writes it.

    Args:
        name: the job's name, or an empty text.
        place: the job's place, or None if its variables are invalid.

    Returns:
        The name, or an empty text if the job or its place is unknown.
    """
    if not (name and place):
        return ""
    return name if place.total == 1 else sanitize(f"{name} {place.number}/{place.total}")


def is_fork(ours: str, theirs: str) -> str:
    """Return `fork` if both are known and differ, as `withheld` has it: the change comes from another repository."""
    return "fork" if ours and theirs and ours.lower() != theirs.lower() else ""


def first_repository(*candidates: str) -> str:
    """Return `owner/name` of the first candidate that is one, or a clone URL (https, ssh or scp form) of one."""
    paths = (_CLONE_URL.sub("", sanitize(c), count=1).rstrip("/").removesuffix(".git") for c in candidates)
    return next((path for path in paths if _REPOSITORY.fullmatch(path) and "/.." not in f"/{path}"), "")


def first_web_url(*candidates: str) -> str:
    """Return the first http or https URL, without the credentials in it, or an empty text."""
    return next((url for c in candidates if (url := _web_url(sanitize(c)))), "")


def _web_url(text: str) -> str:
    # A browser reads a backslash as a slash, so that another host would show behind it.
    if "\\" in text or " " in text:
        return ""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        return ""
    host = f"[{host}]" if ":" in host else host
    netloc = f"{host}:{port}" if port else host
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))


SINGLE_SHARD = Shard(1, 1)


def shard_from_env(index: str, total: str, first: int) -> Callable[[Mapping[str, str]], Shard | None]:
    """Return what reads the job's place from these variables; `first` is the number of the first job."""

    def read(environ: Mapping[str, str]) -> Shard | None:
        get = env_reader(environ)
        return shard_from_index(get(index), get(total), first)

    return read


def shard_from_index(index: str, total: str, first: int) -> Shard | None:
    """Return the place that two numbers say, counted from 1: 1/1 where there is none, None where it makes no sense.

    A job that took nonsense for 1/1 would start the whole plan, and so would each of its siblings.
    """
    if not total or total == "1":
        return SINGLE_SHARD
    if not (index.isascii() and index.isdigit() and total.isascii() and total.isdigit() and len(index + total) < 12):
        return None
    found = Shard(int(index) - first + 1, int(total))
    return found if 1 <= found.number <= found.total else None
