"""Detects the CI system of a job.

`DETECTION_RULES` is a table. The first row that matches the environment wins:

- Variables that a short-lived runner sets for each step come first. A long-lived host can add the variables of another
  system: a job of GitHub Actions can run on CodeBuild, and a Jenkins agent passes its variables to every process that
  it starts.
- A system that imitates another one comes before it.

Only the module of the detected system is imported, so that a job starts fast.
docs/contributing/adding-a-ci-system.md has the steps to add a system.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from autonoma_ci.ci.env import first_set, is_truthy
from autonoma_ci.errors import InputError
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.ci.base import CISystem

# The user can name the CI system in this variable.
OVERRIDE_ENV_VAR = "AUTONOMA_CI"
# Systems that run GitHub's actions. Their runners pass each input on as a variable, also one with an unknown name.
# Source: github.com/actions/runner, src/Runner.Worker/ActionRunner.cs; act_runner and forgejo-runner use nektos/act.
WITH_ACTIONS = frozenset({"github", "gitea", "forgejo"})
_FALSE_VALUES = frozenset({"0", "false", "no", "off"})
# Other names of systems.
_ALIASES = {"aws": "codebuild", "google": "cloudbuild", "gcp": "cloudbuild", "none": "cli", "generic": "ci"}
# Parts of the systems' long names, such as azure-pipelines.
_NAME_PARTS = frozenset({"actions", "aws", "build", "cd", "cloud", "code", "google", "pipeline", "pipelines"})
# In characters. A longer value is not a name, and is not shown.
_MAX_NAME_LENGTH = 40


class DetectionRule(NamedTuple):
    """Name and module of a CI system, and the test of its environment."""

    # Also the default of the API's field `source`, which accepts at most 10 characters.
    name: str
    # In autonoma_ci/ci/systems.
    module: str
    matches: Callable[[Mapping[str, str]], bool]


def _is_true(name: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda environ: is_truthy(environ, name)


def _is_set(*names: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda environ: bool(first_set(environ, *names))


def _is_travis(environ: Mapping[str, str]) -> bool:
    # Shippable, which no longer exists, set `TRAVIS` too.
    return is_truthy(environ, "TRAVIS") and not is_truthy(environ, "SHIPPABLE")


def _is_woodpecker(environ: Mapping[str, str]) -> bool:
    return "woodpecker" in {first_set(environ, "CI").lower(), first_set(environ, "CI_SYSTEM_NAME").lower()}


def _is_jenkins(environ: Mapping[str, str]) -> bool:
    # JENKINS_URL is set only if the administrator has configured the URL of Jenkins.
    has_tag = first_set(environ, "BUILD_TAG").startswith("jenkins-")
    return bool(first_set(environ, "JENKINS_URL") or (first_set(environ, "JENKINS_HOME") and has_tag))


def _is_cloud_build(environ: Mapping[str, str]) -> bool:
    mapped = ("LOCATION", "PROJECT_NUMBER", "PROJECT_ID", "BUILD_ID")
    return bool(first_set(environ, "BUILDER_OUTPUT")) or all(first_set(environ, name) for name in mapped)


def _is_unnamed_ci(environ: Mapping[str, str]) -> bool:
    if value := first_set(environ, "CI"):
        # By convention, programs with `CI=false` behave as outside of CI.
        return value.lower() not in _FALSE_VALUES
    return is_truthy(environ, "CONTINUOUS_INTEGRATION") or bool(first_set(environ, "BUILD_NUMBER"))


# The order matters: see the top of this file.
DETECTION_RULES: tuple[DetectionRule, ...] = (
    DetectionRule("forgejo", "forgejo", _is_true("FORGEJO_ACTIONS")),
    DetectionRule("gitea", "gitea", _is_true("GITEA_ACTIONS")),
    DetectionRule("github", "github", _is_true("GITHUB_ACTIONS")),
    DetectionRule("gitlab", "gitlab", _is_true("GITLAB_CI")),
    DetectionRule("circleci", "circleci", _is_true("CIRCLECI")),
    DetectionRule("azure", "azure", _is_true("TF_BUILD")),
    DetectionRule("bitbucket", "bitbucket", _is_set("BITBUCKET_BUILD_NUMBER")),
    DetectionRule("buildkite", "buildkite", _is_true("BUILDKITE")),
    DetectionRule("travis", "travis", _is_travis),
    DetectionRule("appveyor", "appveyor", _is_true("APPVEYOR")),
    DetectionRule("woodpecker", "woodpecker", _is_woodpecker),
    DetectionRule("harness", "harness", _is_set("HARNESS_BUILD_ID")),
    DetectionRule("drone", "drone", _is_true("DRONE")),
    DetectionRule("semaphore", "semaphore", _is_true("SEMAPHORE")),
    DetectionRule("bitrise", "bitrise", _is_true("BITRISE_IO")),
    DetectionRule("codefresh", "codefresh", _is_set("CF_BUILD_ID")),
    DetectionRule("codebuild", "codebuild", _is_set("CODEBUILD_BUILD_ARN", "CODEBUILD_BUILD_ID")),
    DetectionRule("teamcity", "teamcity", _is_set("TEAMCITY_VERSION")),
    DetectionRule("jenkins", "jenkins", _is_jenkins),
    DetectionRule("cloudbuild", "cloudbuild", _is_cloud_build),
    DetectionRule("ci", "unknown", _is_unnamed_ci),
    DetectionRule("cli", "local", lambda environ: True),  # noqa: ARG005 - outside of CI, whatever is set
)


def detect(environ: Mapping[str, str]) -> DetectionRule:
    """Return the row of the CI system that made this environment.

    `AUTONOMA_CI` overrides the detection.

    Raises:
        InputError: `AUTONOMA_CI` has a name that is not in the table.
    """  # noqa: DOC501 - a function builds the raised error
    name = environ.get(OVERRIDE_ENV_VAR, "").strip().lower()
    if not name:
        return next(rule for rule in DETECTION_RULES if rule.matches(environ))
    rule = _find_rule(name)
    if not rule:
        raise _unknown_name_error(name)
    return rule


def list_detection_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the variables by which `detect` found the CI system."""
    if environ.get(OVERRIDE_ENV_VAR, "").strip():
        return [OVERRIDE_ENV_VAR]
    recorder = _ReadRecorder(environ)
    detect(environ).matches(recorder)
    return recorder.names


class _ReadRecorder(dict[str, str]):
    """An environment that records which of its variables are read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self.names: list[str] = []

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        """Return the value of a variable, or the default."""
        if name in self and name not in self.names:
            self.names.append(name)
        return super().get(name, default)


def load_system(rule: DetectionRule) -> CISystem:
    """Import the module of a rule, and return its `SYSTEM`."""
    system: CISystem = import_module(f"autonoma_ci.ci.systems.{rule.module}").SYSTEM
    return system


def find_system(name: str) -> CISystem | None:
    """Import the module of the CI system with this name, and return its `SYSTEM`.

    No other module is imported. None means that no system has this name.
    """
    rule = _find_rule(name)
    return load_system(rule) if rule else None


def _find_rule(name: str) -> DetectionRule | None:
    return next((rule for rule in DETECTION_RULES if rule.name == name), None)


def all_secret_variables() -> tuple[str, ...]:
    """Return the names and patterns of the credentials of all systems.

    It imports all systems, so only manifests use it.
    """
    return tuple(dict.fromkeys(name for rule in DETECTION_RULES for name in load_system(rule).secret_variables))


def _unknown_name_error(name: str) -> InputError:
    """Return the error for an unknown name, with the closest known name."""
    from autonoma_ci.config.suggestions import find_closest_match

    names = [rule.name for rule in DETECTION_RULES]
    # A name within the value is a better match than a similar one: azure in azure-pipelines.
    words = re.split("[^a-z0-9]+", name[:_MAX_NAME_LENGTH])
    matches = [known for known in names if known in words or (len(known) > 3 and known in "".join(words))]
    if name in _ALIASES:
        matches = [_ALIASES[name]]
    closest = matches[0] if matches else find_closest_match(name[:_MAX_NAME_LENGTH], names, 0.6)
    hint = f" Did you mean '{closest}'?" if closest else ""
    # Other values can be secrets that no redactor knows yet, so they are not shown.
    is_known = name in _ALIASES or not matches or set(words) <= {*names, *_NAME_PARTS}
    shown = f": {name!r}" if closest and is_known and len(name) <= _MAX_NAME_LENGTH else ""
    return InputError([f"{OVERRIDE_ENV_VAR}: unknown CI system{shown}.{hint} Known systems: {', '.join(names)}."])
