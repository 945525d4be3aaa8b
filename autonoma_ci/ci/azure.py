"""Azure Pipelines. Source: Microsoft's documentation, "Use predefined variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.azure_commands import COMMANDS, build
from autonoma_ci.ci.environment import branch, change, commit, first, job_path, reader, repository, truthy, web_url
from autonoma_ci.ci.parallel import parallel
from autonoma_ci.ci.system import System
from autonoma_ci.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job; of a pull request, `BUILD_SOURCEVERSION` is the merge commit and not used."""
    get = reader(environ)
    number = change(get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"), get("SYSTEM_PULLREQUEST_PULLREQUESTID"))
    is_change = number or get("BUILD_REASON") == "PullRequest"
    project, name = get("SYSTEM_TEAMPROJECT"), get("BUILD_REPOSITORY_NAME")
    return Context(
        ci="azure",
        sha=commit(get("SYSTEM_PULLREQUEST_SOURCECOMMITID" if is_change else "BUILD_SOURCEVERSION")),
        branch=branch(get("SYSTEM_PULLREQUEST_SOURCEBRANCH" if is_change else "BUILD_SOURCEBRANCH")),
        change=number,
        # Azure's own repositories have a bare name; the project is what owns them.
        repository=repository(name, f"{project}/{name}" if name else ""),
        build_url=web_url(_results_page(environ, get)),
        withheld="fork" if truthy(environ, "SYSTEM_PULLREQUEST_ISFORK") else "",
        # A classic release has the id of the build that it deploys, in all of its stages.
        build=change(get("BUILD_BUILDID")) if get("SYSTEM_HOSTTYPE").lower() in {"", "build"} else "",
        attempt=_attempt(get),
        # The names of the job's keys in the YAML file. Jobs of a matrix differ in the last, and so do slices.
        job=job_path(get("SYSTEM_STAGENAME"), get("SYSTEM_PHASENAME"), get("SYSTEM_JOBNAME")),
    )


def _attempt(get: Callable[[str], str]) -> str:
    """Return a number that grows with each attempt at the stage or job.

    Both are counted from 1, and a job of a stage that runs again may begin at 1 again. So the stage counts
    thousands. Azure DevOps Server 2019 has no stages.
    """
    stage, job = change(get("SYSTEM_STAGEATTEMPT")) or "0", change(get("SYSTEM_JOBATTEMPT"))
    return str(1000 * int(stage) + int(job)) if job else ""


def _results_page(environ: Mapping[str, str], get: Callable[[str], str]) -> str:
    collection = first(environ, "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")
    project, build = quote(get("SYSTEM_TEAMPROJECT"), safe=""), change(get("BUILD_BUILDID"))
    if not (collection and project and build):
        return ""
    return f"{collection.rstrip('/')}/{project}/_build/results?buildId={build}"


SYSTEM = System(
    context=context,
    tokens=(
        "SYSTEM_ACCESSTOKEN",
        "AZURE_DEVOPS_EXT_PAT",
        "ENDPOINT_AUTH_*",
        "SECUREFILE_TICKET_*",
        "VSS_NUGET_ACCESSTOKEN",
        "VSS_NUGET_EXTERNAL_FEED_ENDPOINTS",
    ),
    dialect=COMMANDS,
    publishers=build,
    parallel=parallel("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", first=1),
)
