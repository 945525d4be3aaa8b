"""Travis CI with its build facts and log folds.

Source: Travis CI's documentation, "Default environment variables". The folds are from the output of Travis CI's own
build scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem, PlainLogFormatter
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason, read_trigger
from autonoma_ci.ci.env import (
    env_reader,
    find_untrusted_fork,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    join_job_path,
)
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import LogGroup


class TravisLogFormatter(PlainLogFormatter):
    """Formats groups as folds, which Travis CI's log viewer draws.

    A fold is between two lines with the same key. An escape sequence clears both lines from the screen.
    """

    def group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the line that opens a fold."""
        return (f"travis_fold:start:{log_group.key}\r\x1b[0K{escape_log_line(log_group.title)}",)

    def end_group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the line that closes a fold."""
        return (f"travis_fold:end:{log_group.key}\r\x1b[0K",)


class Travis(CISystem):
    """Travis CI, with folds in the log."""

    display_name = "Travis CI"
    secrets_help = "Add {names} under Settings > Environment Variables, not shown in the log"
    # Travis CI names the key and the vector of an encrypted file after a part of a hash.
    secret_variables = ("TRAVIS_*TOKEN*", "encrypted_*_key", "encrypted_*_iv")
    log_formatter = TravisLogFormatter()

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job.

        `TRAVIS_BRANCH` of a pull request is the target branch, and `TRAVIS_COMMIT` a merge commit.
        """
        get = env_reader(environ)
        change_number = first_number(get("TRAVIS_PULL_REQUEST"))
        return BuildContext(
            ci_name="travis",
            sha=first_commit(get("TRAVIS_PULL_REQUEST_SHA" if change_number else "TRAVIS_COMMIT")),
            branch=first_branch(get("TRAVIS_PULL_REQUEST_BRANCH" if change_number else "TRAVIS_BRANCH")),
            change_number=change_number,
            repository=first_repository(get("TRAVIS_REPO_SLUG")),
            build_url=first_web_url(get("TRAVIS_BUILD_WEB_URL")),
            secrets_withheld_from=find_untrusted_fork(get("TRAVIS_REPO_SLUG"), get("TRAVIS_PULL_REQUEST_SLUG")),
            # A restarted job has the same build id. TRAVIS_JOB_RESTARTED is a flag, and no variable counts attempts.
            build_id=get("TRAVIS_BUILD_ID"),
            job_name=_build_job_name(get),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request. No variable has the default branch."""
        get = env_reader(environ)
        match get("TRAVIS_EVENT_TYPE"):
            case "pull_request":
                return BaseFacts(is_change=True, target_branch=first_branch(get("TRAVIS_BRANCH")))
            case "push":
                return BaseFacts(NoBaseReason.TAG if get("TRAVIS_TAG") else None)
            case event:
                return read_trigger({"cron": NoBaseReason.SCHEDULE, "api": NoBaseReason.API}, event)


def _build_job_name(get: Callable[[str], str]) -> str:
    # A job without a name has a number such as 4.1, build and position. The position stays the same in the next build,
    # unless the jobs in the YAML file change.
    name = get("TRAVIS_JOB_NAME") or first_number(get("TRAVIS_JOB_NUMBER").rpartition(".")[2])
    return join_job_path(get("TRAVIS_BUILD_STAGE_NAME"), name)


SYSTEM = Travis()
