"""Codefresh. Source: Codefresh's documentation, "Variables in pipelines" and "Retrying a step".

Variables that a step writes into a file are exported to all later steps of the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.ci.env import branch, change, commit, count, reader, repository, web_url
from autonoma_ci.ci.publishers.build_variables import UNSET, publish_build_data
from autonoma_ci.ci.publishers.shared_file import SharedFile
from autonoma_ci.fs.files import read_regular, reason_of
from autonoma_ci.models import Context
from autonoma_ci.reports.outputs import DOTENV_VALUE, dotenv_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.base import Target
    from autonoma_ci.clock import Clock
    from autonoma_ci.models import Report

# In the folder that all steps of a build share. Codefresh reads it after each step.
_EXPORTS = "env_vars_to_export"
# In bytes.
_LARGEST = 4 * 1024 * 1024


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a step."""
    get = reader(environ)
    return Context(
        ci="codefresh",
        sha=commit(get("CF_REVISION")),
        branch=branch(get("CF_BRANCH")),
        change=change(get("CF_PULL_REQUEST_NUMBER")),
        repository=repository(f"{get('CF_REPO_OWNER')}/{get('CF_REPO_NAME')}"),
        build_url=web_url(get("CF_BUILD_URL")),
        build=get("CF_BUILD_ID"),
        # Counts the attempts at a step with `retry`. The documentation names no first number: 0 is taken too.
        attempt=count(get("CF_CURRENT_ATTEMPT")),
        job=get("CF_STEP_NAME"),
    )


class SharedVariables:
    """Sets variables that all steps of the build share, once the step ends.

    A later step has them in its environment. A step that runs at the same time finds them in the file.
    """

    def __init__(self, path: Path, environ: Mapping[str, str], clock: Clock) -> None:
        self._path, self._environ, self._file = path, environ, SharedFile(path, clock)

    def publish(self, report: Report) -> list[str]:
        """Set the variables; return what the log should warn of."""
        if not report.verdict:
            return []
        return publish_build_data(report, report.context.build, self._get, self._put, dotenv_variables)

    def _get(self, name: str) -> str:
        lines = read_regular(str(self._path), _LARGEST).decode("utf-8", "replace").splitlines()
        found = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
        return found[-1] if found else reader(self._environ)(name)

    def _put(self, name: str, text: str) -> str:
        # The last value of a name counts.
        line = f"{name}={text if DOTENV_VALUE.fullmatch(text) else UNSET}\n"
        try:
            self._file.append(line.encode())
        except (OSError, ValueError) as error:
            return f"The variables for later steps could not be written ({reason_of(error)}); the log has the links."
        return ""


def variables(target: Target) -> tuple[SharedVariables, ...]:
    """Return the publisher of the variables, where the folder of the build is known."""
    folder = target.environ.get("CF_VOLUME_PATH", "")
    return (SharedVariables(Path(folder, _EXPORTS), target.environ, target.clock),) if folder and target.shared else ()


SYSTEM = System(
    context=context,
    tokens=("CF_API_KEY", "CODEFRESH_API_KEY", "CF_OIDC_TOKEN", "CF_*_TOKEN"),
    publishers=variables,
)
