"""Travis CI. Source: Travis CI's documentation, "Default environment variables".

Travis CI's folds, which its log viewer draws. Source: what Travis CI's own build scripts print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import Plain, System
from autonoma_ci.ci.env import branch, change, commit, fork, job_path, reader, repository, web_url
from autonoma_ci.escaping import log_line
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import Section


class Folds(Plain):
    """A fold is between two lines with its key; the escape sequence clears them from the screen."""

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the lines that open a fold."""
        return (f"travis_fold:start:{section.key}\r\x1b[0K{log_line(section.title)}",)

    def end_group(self, section: Section) -> tuple[str, ...]:
        """Return the line that closes it."""
        return (f"travis_fold:end:{section.key}\r\x1b[0K",)


FOLDS = Folds()


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job; of a pull request, `TRAVIS_BRANCH` is the target and `TRAVIS_COMMIT` a merge."""
    get = reader(environ)
    number = change(get("TRAVIS_PULL_REQUEST"))
    return Context(
        ci="travis",
        sha=commit(get("TRAVIS_PULL_REQUEST_SHA" if number else "TRAVIS_COMMIT")),
        branch=branch(get("TRAVIS_PULL_REQUEST_BRANCH" if number else "TRAVIS_BRANCH")),
        change=number,
        repository=repository(get("TRAVIS_REPO_SLUG")),
        build_url=web_url(get("TRAVIS_BUILD_WEB_URL")),
        withheld=fork(get("TRAVIS_REPO_SLUG"), get("TRAVIS_PULL_REQUEST_SLUG")),
        # A restarted job keeps the build's id. TRAVIS_JOB_RESTARTED is a flag: nothing counts the attempts.
        build=get("TRAVIS_BUILD_ID"),
        job=_job(get),
    )


def _job(get: Callable[[str], str]) -> str:
    # A job without a name has a number such as 4.1: the build's, and its own place in the build. The place
    # is the same in the next build, unless the jobs in the YAML file change.
    name = get("TRAVIS_JOB_NAME") or change(get("TRAVIS_JOB_NUMBER").rpartition(".")[2])
    return job_path(get("TRAVIS_BUILD_STAGE_NAME"), name)


# Encrypted files get their key and vector in variables that are named after a part of a hash.
SYSTEM = System(context=context, tokens=("TRAVIS_*TOKEN*", "encrypted_*_key", "encrypted_*_iv"), dialect=FOLDS)
