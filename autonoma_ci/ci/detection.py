"""Which CI system this is: a table, read from the top; the first row that recognises the environment wins.

What a short-lived runner sets for each step comes before what an agent of a long-lived host may have
inherited: a job of GitHub Actions may run on CodeBuild, and a Jenkins agent leaks its variables into
everything that it starts. Look-alikes come before what they look like. To add a system, add a file
that has a `SYSTEM`, and a row, whose name `AUTONOMA_CI` takes too. Detection imports the one file that it
found, so that a job starts fast.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.env import first, truthy
from autonoma_ci.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import System

OVERRIDE = "AUTONOMA_CI"
# The systems whose runners know GitHub's actions: they pass each input on as a variable, known or not.
# Source: github.com/actions/runner, src/Runner.Worker/ActionRunner.cs; act_runner and forgejo-runner use nektos/act.
WITH_ACTIONS = frozenset({"github", "gitea", "forgejo"})
_NO = frozenset({"0", "false", "no", "off"})
# What people write for a system whose name has none of these words.
_OTHER_WORDS = {"aws": "codebuild", "google": "cloudbuild", "gcp": "cloudbuild", "none": "cli", "generic": "ci"}
# The words of the systems' own long names, such as azure-pipelines.
_WORDS_OF_NAMES = frozenset({"actions", "aws", "build", "cd", "cloud", "code", "google", "pipeline", "pipelines"})


class Row(NamedTuple):
    """How one CI system is called and recognised, and which module of this package knows it.

    The name is also the default of the API's field `source`, which takes at most 10 characters.
    """

    name: str
    module: str
    found: Callable[[Mapping[str, str]], bool]


def _flag(name: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda environ: truthy(environ, name)


def _any(*names: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda environ: bool(first(environ, *names))


def _travis(environ: Mapping[str, str]) -> bool:
    # Shippable, a system of the past, said that it was Travis as well.
    return truthy(environ, "TRAVIS") and not truthy(environ, "SHIPPABLE")


def _woodpecker(environ: Mapping[str, str]) -> bool:
    return "woodpecker" in {first(environ, "CI").lower(), first(environ, "CI_SYSTEM_NAME").lower()}


def _jenkins(environ: Mapping[str, str]) -> bool:
    # The URL is there only if the administrator has told Jenkins its own address.
    tagged = first(environ, "BUILD_TAG").startswith("jenkins-")
    return bool(first(environ, "JENKINS_URL") or (first(environ, "JENKINS_HOME") and tagged))


def _cloud_build(environ: Mapping[str, str]) -> bool:
    mapped = ("LOCATION", "PROJECT_NUMBER", "PROJECT_ID", "BUILD_ID")
    return bool(first(environ, "BUILDER_OUTPUT")) or all(first(environ, name) for name in mapped)


def _generic(environ: Mapping[str, str]) -> bool:
    if said := first(environ, "CI"):
        # `CI=false` is the convention for "behave as if this were no CI".
        return said.lower() not in _NO
    return truthy(environ, "CONTINUOUS_INTEGRATION") or bool(first(environ, "BUILD_NUMBER"))


# In the order in which they are asked; why, is said at the top.
ROWS: tuple[Row, ...] = (
    Row("forgejo", "forgejo", _flag("FORGEJO_ACTIONS")),
    Row("gitea", "gitea", _flag("GITEA_ACTIONS")),
    Row("github", "github", _flag("GITHUB_ACTIONS")),
    Row("gitlab", "gitlab", _flag("GITLAB_CI")),
    Row("circleci", "circleci", _flag("CIRCLECI")),
    Row("azure", "azure", _flag("TF_BUILD")),
    Row("bitbucket", "bitbucket", _any("BITBUCKET_BUILD_NUMBER")),
    Row("buildkite", "buildkite", _flag("BUILDKITE")),
    Row("travis", "travis", _travis),
    Row("appveyor", "appveyor", _flag("APPVEYOR")),
    Row("woodpecker", "woodpecker", _woodpecker),
    Row("harness", "harness", _any("HARNESS_BUILD_ID")),
    Row("drone", "drone", _flag("DRONE")),
    Row("semaphore", "semaphore", _flag("SEMAPHORE")),
    Row("bitrise", "bitrise", _flag("BITRISE_IO")),
    Row("codefresh", "codefresh", _any("CF_BUILD_ID")),
    Row("codebuild", "codebuild", _any("CODEBUILD_BUILD_ARN", "CODEBUILD_BUILD_ID")),
    Row("teamcity", "teamcity", _any("TEAMCITY_VERSION")),
    Row("jenkins", "jenkins", _jenkins),
    Row("cloudbuild", "cloudbuild", _cloud_build),
    Row("ci", "unknown", _generic),
    Row("cli", "local", lambda environ: True),  # noqa: ARG005 - outside of CI, whatever is set
)


def detect(environ: Mapping[str, str]) -> Row:
    """Return the row of the CI system that this environment belongs to, or that `AUTONOMA_CI` names.

    Raises InputError for a name that is not in the table.
    """
    named = environ.get(OVERRIDE, "").strip().lower()
    if named:
        return next((row for row in ROWS if row.name == named), None) or _unknown(named)
    return next(row for row in ROWS if row.found(environ))


def load(row: Row) -> System:
    """Import the module of a row, and only that, and return its system."""
    system: System = import_module(f"autonoma_ci.ci.systems.{row.module}").SYSTEM
    return system


def all_tokens() -> tuple[str, ...]:
    """Return the names and patterns of the credentials of every system; for manifests, as it imports them all."""
    return tuple(dict.fromkeys(token for row in ROWS for token in load(row).tokens))


def _unknown(named: str) -> Row:
    from difflib import get_close_matches

    names = [row.name for row in ROWS]
    # A name inside a longer one is meant more surely than one that looks alike: azure in azure-pipelines.
    words = re.split("[^a-z0-9]+", named[:40])
    parts = [name for name in names if name in words or (len(name) > 3 and name in "".join(words))]
    if named in _OTHER_WORDS:
        parts = [_OTHER_WORDS[named]]
    close = parts or get_close_matches(named[:40], names, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    # Anything else may be a secret, of which nothing is known yet.
    is_known = named in _OTHER_WORDS or not parts or set(words) <= {*names, *_WORDS_OF_NAMES}
    shown = repr(named) if close and is_known and len(named) <= 40 else "the value"
    raise InputError([f"{OVERRIDE}: {shown} is not a CI system.{meant} Known are: {', '.join(names)}."])
