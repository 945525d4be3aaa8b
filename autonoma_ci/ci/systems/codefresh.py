"""Codefresh with its build facts and shared variables.

Source: Codefresh's documentation, "Variables in pipelines" and "Retrying a step". Codefresh exports the variables of a
file to all later steps of the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason, read_trigger
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    parse_count,
)
from autonoma_ci.ci.publishers.build_variables import UNSET_TEXT, publish_build_variables
from autonoma_ci.ci.publishers.shared_file import SharedFile
from autonoma_ci.fs.files import os_error_reason, read_whole_file
from autonoma_ci.models import BuildContext
from autonoma_ci.reports.outputs import DOTENV_VALUE_RE, dotenv_variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import Report

# In the folder that all steps of a build share. Codefresh reads it after each step.
_EXPORT_FILE = "env_vars_to_export"
_MAX_FILE_BYTES = 4 * 1024 * 1024

# How GitHub, GitLab and Bitbucket name the end of a change request.
_CLOSING_ACTIONS = frozenset({"closed", "close", "merge", "merged", "fulfilled", "rejected"})


class Codefresh(CISystem):
    """Codefresh, with variables that all steps of the build share."""

    display_name = "Codefresh"
    secrets_help = "Add {names} as encrypted variables of the pipeline, or in a shared configuration"
    secret_variables = ("CF_API_KEY", "CODEFRESH_API_KEY", "CF_OIDC_TOKEN", "CF_*_TOKEN")

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a build."""
        get = env_reader(environ)
        return BuildContext(
            ci_name="codefresh",
            sha=first_commit(get("CF_REVISION")),
            branch=first_branch(get("CF_BRANCH")),
            change_number=first_number(get("CF_PULL_REQUEST_NUMBER")),
            repository=first_repository(f"{get('CF_REPO_OWNER')}/{get('CF_REPO_NAME')}"),
            build_url=first_web_url(get("CF_BUILD_URL")),
            build_id=get("CF_BUILD_ID"),
            # Counts the attempts at a step with `retry`. The documentation names no first number, so 0 is valid too.
            build_attempt=parse_count(get("CF_CURRENT_ATTEMPT")),
            job_name=get("CF_STEP_NAME"),
        )

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the target of a pull request. No variable has the default branch."""
        get = env_reader(environ)
        if get("CF_BUILD_TRIGGER") != "webhook":
            return read_trigger({"build": NoBaseReason.MANUAL}, get("CF_BUILD_TRIGGER"))
        if get("CF_PULL_REQUEST_ACTION") in _CLOSING_ACTIONS:
            return BaseFacts(NoBaseReason.CLOSED_CHANGE)
        if first_set(environ, "CF_PULL_REQUEST_NUMBER", "CF_PULL_REQUEST_ID", "CF_PULL_REQUEST_TARGET"):
            return BaseFacts(is_change=True, target_branch=first_branch(get("CF_PULL_REQUEST_TARGET")))
        # Of these variables, one is for releases and the other one is for tags. The branch of a tag is its name.
        is_tag = first_set(environ, "CF_RELEASE_TAG", "CF_BASE_BRANCH")
        return BaseFacts(NoBaseReason.TAG if is_tag else None)

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publisher of the variables, if the build's folder is known."""
        folder = context.environ.get("CF_VOLUME_PATH", "")
        if not (folder and context.publishes_shared_data):
            return ()
        return (CodefreshVariablePublisher(Path(folder, _EXPORT_FILE), context.environ, context.clock),)


class CodefreshVariablePublisher:
    """Sets variables that all steps of the build share.

    It does so once, at the end of the step. A later step has them in its environment. A step that runs at the same time
    reads them from the file.
    """

    def __init__(self, path: Path, environ: Mapping[str, str], clock: Clock) -> None:
        self._path, self._environ, self._file = path, environ, SharedFile(path, clock)

    def publish(self, report: Report) -> list[str]:
        """Set the variables, and return warnings."""
        if not report.verdict:
            return []
        return publish_build_variables(report, report.context.build_id, self._get, self._put, dotenv_variables)

    def _get(self, name: str) -> str:
        # The first step of a build finds no file. An unreadable one counts as missing.
        data = read_whole_file(str(self._path), _MAX_FILE_BYTES) or b""
        lines = data.decode("utf-8", "replace").splitlines()
        values = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
        # The last value of a name counts.
        return values[-1] if values else env_reader(self._environ)(name)

    def _put(self, name: str, text: str) -> str | None:
        line = f"{name}={text if DOTENV_VALUE_RE.fullmatch(text) else UNSET_TEXT}\n"
        try:
            self._file.append(line.encode())
        except (OSError, ValueError) as error:
            return (
                f"The variables for later steps could not be written ({os_error_reason(error)}). The log has the links."
            )
        return None


SYSTEM = Codefresh()
