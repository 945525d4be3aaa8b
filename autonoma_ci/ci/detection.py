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

from autonoma_ci.ci.env import first_set, is_truthy
from autonoma_ci.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import CISystem

OVERRIDE_ENV_VAR = "AUTONOMA_CI"
# The systems whose runners know GitHub's actions: they pass each input on as a variable, known or not.
# Source: github.com/actions/runner, src/Runner.Worker/ActionRunner.cs; act_runner and forgejo-runner use nektos/act.
WITH_ACTIONS = frozenset({"github", "gitea", "forgejo"})
_NO = frozenset({"0", "false", "no", "off"})
# What people write for a system whose name has none of these words.
_OTHER_WORDS = {"aws": "codebuild", "google": "cloudbuild", "gcp": "cloudbuild", "none": "cli", "generic": "ci"}
# The words of the systems' own long names, such as azure-pipelines.
_WORDS_OF_NAMES = frozenset({"actions", "aws", "build", "cd", "cloud", "code", "google", "pipeline", "pipelines"})


class DetectionRule(NamedTuple):
    """How one CI system is called and recognised, and which module of this package knows it.

    The name is also the default of the API's field `source`, which takes at most 10 characters.
    """

    name: str
    module: str
    matches: Callable[[Mapping[str, str]], bool]


def _is_true(name: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda environ: is_truthy(environ, name)


def _is_set(*names: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda environ: bool(first_set(environ, *names))


def _travis(environ: Mapping[str, str]) -> bool:
    # Shippable, a system of the past, said that it was Travis as well.
    return is_truthy(environ, "TRAVIS") and not is_truthy(environ, "SHIPPABLE")


def _woodpecker(environ: Mapping[str, str]) -> bool:
    return "woodpecker" in {first_set(environ, "CI").lower(), first_set(environ, "CI_SYSTEM_NAME").lower()}


def _jenkins(environ: Mapping[str, str]) -> bool:
    # The URL is there only if the administrator has told Jenkins its own address.
    tagged = first_set(environ, "BUILD_TAG").startswith("jenkins-")
    return bool(first_set(environ, "JENKINS_URL") or (first_set(environ, "JENKINS_HOME") and tagged))


def _cloud_build(environ: Mapping[str, str]) -> bool:
    mapped = ("LOCATION", "PROJECT_NUMBER", "PROJECT_ID", "BUILD_ID")
    return bool(first_set(environ, "BUILDER_OUTPUT")) or all(first_set(environ, name) for name in mapped)


def _generic(environ: Mapping[str, str]) -> bool:
    if said := first_set(environ, "CI"):
        # `CI=false` is the convention for "behave as if this were no CI".
        return said.lower() not in _NO
    return is_truthy(environ, "CONTINUOUS_INTEGRATION") or bool(first_set(environ, "BUILD_NUMBER"))


# In the order in which they are asked; why, is said at the top.
DETECTION_RULES: tuple[DetectionRule, ...] = (
    DetectionRule("forgejo", "forgejo", _is_true("FORGEJO_ACTIONS")),
    DetectionRule("gitea", "gitea", _is_true("GITEA_ACTIONS")),
    DetectionRule("github", "github", _is_true("GITHUB_ACTIONS")),
    DetectionRule("gitlab", "gitlab", _is_true("GITLAB_CI")),
    DetectionRule("circleci", "circleci", _is_true("CIRCLECI")),
    DetectionRule("azure", "azure", _is_true("TF_BUILD")),
    DetectionRule("bitbucket", "bitbucket", _is_set("BITBUCKET_BUILD_NUMBER")),
    DetectionRule("buildkite", "buildkite", _is_true("BUILDKITE")),
    DetectionRule("travis", "travis", _travis),
    DetectionRule("appveyor", "appveyor", _is_true("APPVEYOR")),
    DetectionRule("woodpecker", "woodpecker", _woodpecker),
    DetectionRule("harness", "harness", _is_set("HARNESS_BUILD_ID")),
    DetectionRule("drone", "drone", _is_true("DRONE")),
    DetectionRule("semaphore", "semaphore", _is_true("SEMAPHORE")),
    DetectionRule("bitrise", "bitrise", _is_true("BITRISE_IO")),
    DetectionRule("codefresh", "codefresh", _is_set("CF_BUILD_ID")),
    DetectionRule("codebuild", "codebuild", _is_set("CODEBUILD_BUILD_ARN", "CODEBUILD_BUILD_ID")),
    DetectionRule("teamcity", "teamcity", _is_set("TEAMCITY_VERSION")),
    DetectionRule("jenkins", "jenkins", _jenkins),
    DetectionRule("cloudbuild", "cloudbuild", _cloud_build),
    DetectionRule("ci", "unknown", _generic),
    DetectionRule("cli", "local", lambda environ: True),  # noqa: ARG005 - outside of CI, whatever is set
)


def detect(environ: Mapping[str, str]) -> DetectionRule:
    """Return the row of the CI system that this environment belongs to, or that `AUTONOMA_CI` names.

    Raises InputError for a name that is not in the table.
    """
    named = environ.get(OVERRIDE_ENV_VAR, "").strip().lower()
    if named:
        return next((row for row in DETECTION_RULES if row.name == named), None) or _unknown(named)
    return next(row for row in DETECTION_RULES if row.matches(environ))


def load_system(row: DetectionRule) -> CISystem:
    """Import the module of a row, and only that, and return its system."""
    system: CISystem = import_module(f"autonoma_ci.ci.systems.{row.module}").SYSTEM
    return system


def all_secret_variables() -> tuple[str, ...]:
    """Return the names and patterns of the credentials of every system; for manifests, as it imports them all."""
    return tuple(dict.fromkeys(token for row in DETECTION_RULES for token in load_system(row).secret_variables))


def _unknown(named: str) -> DetectionRule:
    from difflib import get_close_matches

    names = [row.name for row in DETECTION_RULES]
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
    raise InputError([f"{OVERRIDE_ENV_VAR}: {shown} is not a CI system.{meant} Known are: {', '.join(names)}."])
