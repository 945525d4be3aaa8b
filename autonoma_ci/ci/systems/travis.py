"""Travis CI. Source: Travis CI's documentation, "Default environment variables".

Travis CI's folds, which its log viewer draws. Source: what Travis CI's own build scripts print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, PlainLogFormatter
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    fork_marker,
    join_job_path,
)
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import LogGroup


class TravisLogFormatter(PlainLogFormatter):
    """A fold is between two lines with its key; the escape sequence clears them from the screen."""

    def group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the lines that open a fold."""
        return (f"travis_fold:start:{section.key}\r\x1b[0K{escape_log_line(section.title)}",)

    def end_group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the line that closes it."""
        return (f"travis_fold:end:{section.key}\r\x1b[0K",)


LOG_FORMATTER = TravisLogFormatter()


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job; of a pull request, `TRAVIS_BRANCH` is the target and `TRAVIS_COMMIT` a merge."""
    get = env_reader(environ)
    number = first_number(get("TRAVIS_PULL_REQUEST"))
    return BuildContext(
        ci_name="travis",
        sha=first_commit(get("TRAVIS_PULL_REQUEST_SHA" if number else "TRAVIS_COMMIT")),
        branch=first_branch(get("TRAVIS_PULL_REQUEST_BRANCH" if number else "TRAVIS_BRANCH")),
        change_number=number,
        repository=first_repository(get("TRAVIS_REPO_SLUG")),
        build_url=first_web_url(get("TRAVIS_BUILD_WEB_URL")),
        secrets_withheld_from=fork_marker(get("TRAVIS_REPO_SLUG"), get("TRAVIS_PULL_REQUEST_SLUG")),
        # A restarted job keeps the build's id. TRAVIS_JOB_RESTARTED is a flag: nothing counts the attempts.
        build_id=get("TRAVIS_BUILD_ID"),
        job_name=_job(get),
    )


def _job(get: Callable[[str], str]) -> str:
    # A job without a name has a number such as 4.1: the build's, and its own place in the build. The place
    # is the same in the next build, unless the jobs in the YAML file change.
    name = get("TRAVIS_JOB_NAME") or first_number(get("TRAVIS_JOB_NUMBER").rpartition(".")[2])
    return join_job_path(get("TRAVIS_BUILD_STAGE_NAME"), name)


# Encrypted files get their key and vector in variables that are named after a part of a hash.
SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=("TRAVIS_*TOKEN*", "encrypted_*_key", "encrypted_*_iv"),
    log_formatter=LOG_FORMATTER,
)
