"""TeamCity. Source: JetBrains's documentation, "List of predefined build parameters".

Branch and pull request are configuration parameters, which are no variables: they are in a file that
is named in the file that a variable names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autonoma_ci.ci.environment import branch, change, clean, commit, reader, repository, web_url
from autonoma_ci.ci.parallel import place
from autonoma_ci.ci.properties import parse
from autonoma_ci.ci.system import System
from autonoma_ci.ci.teamcity_messages import MESSAGES, Build
from autonoma_ci.context import Context
from autonoma_ci.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.ci.system import Target
    from autonoma_ci.spans import Shard

_LARGEST = 4 * 1024 * 1024
_CONFIGURATION = "teamcity.configuration.properties.file"
_BATCHES = "teamcity.build.parallelTests"
_CHECKOUT = "teamcity.build.checkoutDir"
_PULL = re.compile(r"(?:refs/)?(?:pull|pull-requests|merge-requests)/([0-9]+)(?:/.*)?")


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a build out of its variables and its files of parameters."""
    properties = _properties(environ)
    get, parameter = reader(environ), reader(_parameters(properties))
    built = parameter("teamcity.build.branch")
    pull = _PULL.fullmatch(built)
    number = change(parameter("teamcity.pullRequest.number"), pull[1] if pull else "")
    # The main branch is called that wherever the branches of a build configuration are not named in full.
    named = parameter("vcsroot.branch") if built in {"", "<default>"} else built
    return Context(
        ci="teamcity",
        sha=commit(get("BUILD_VCS_NUMBER"), _only_root(environ)),
        branch=branch(parameter("teamcity.pullRequest.source.branch") if number else named),
        change=number,
        repository=repository(parameter("vcsroot.url")),
        build_url=web_url(get("BUILD_URL")),
        # BUILD_NUMBER is free text, and unique in no more than one build configuration.
        build=reader(properties)("teamcity.build.id"),
        # Each build configuration of a build chain has builds of its own, and so has each rerun. So there are
        # no attempts.
        job=get("TEAMCITY_BUILDCONF_NAME"),
    )


def _properties(environ: Mapping[str, str]) -> dict[str, str]:
    path = environ.get("TEAMCITY_BUILD_PROPERTIES_FILE", "")
    return parse(read_regular(path, _LARGEST)) if path else {}


def _parameters(properties: Mapping[str, str]) -> dict[str, str]:
    path = properties.get(_CONFIGURATION, "")
    return parse(read_regular(path, _LARGEST)) if path else {}


def _only_root(environ: Mapping[str, str]) -> str:
    # With several repositories there is one variable for each, and no saying which is under test.
    revisions = {clean(value) for name, value in environ.items() if name.startswith("BUILD_VCS_NUMBER_")}
    return revisions.pop() if len(revisions) == 1 else ""


def parallel(environ: Mapping[str, str]) -> Shard | None:
    """Return which batch of TeamCity's parallel tests this build is."""
    get = reader(_parameters(_properties(environ)))
    return place(get(f"{_BATCHES}.currentBatch"), get(f"{_BATCHES}.totalBatches"), first=1)


def build(target: Target) -> tuple[Build]:
    """Return the publisher of parameters, status and problem."""
    return (Build(target, _properties(target.environ).get(_CHECKOUT, "")),)


SYSTEM = System(
    context=context,
    tokens=("TEAMCITY_*TOKEN*", "TEAMCITY_*PASSWORD*", "TEAMCITY_AUTH_*"),
    dialect=MESSAGES,
    publishers=build,
    parallel=parallel,
)
