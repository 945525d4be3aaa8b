"""Environments, files and programs of a job in each CI system."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from autonoma_ci.ci import detection
from tests.support import ci_environments as environments
from tests.system.security.redaction.secret_markers import JOB_TOKEN, TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHA = environments.HEAD
_EVENT = {"pull_request": {"number": 7, "head": {"sha": SHA}}}
_GITHUB_COMPATIBLE = {
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_EVENT_PATH": "{ci}/event.json",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_SHA": SHA,
    "GITHUB_RUN_ID": "500",
    "GITHUB_SERVER_URL": "https://git.example.com",
    "GITHUB_API_URL": "{others}/api/v3",
    "GITHUB_OUTPUT": "{ci}/output",
    "GITHUB_STEP_SUMMARY": "{ci}/summary",
}
_GITLAB = {
    "CI_REPOSITORY_URL": f"https://gitlab-ci-token:{JOB_TOKEN}@gitlab.example.com/gitlab-org/charts/shop.git",
    "CI_API_V4_URL": "{others}/api/v4",
    "CI_MERGE_REQUEST_PROJECT_ID": "42",
    "CI_PROJECT_ID": "42",
    "CI_PIPELINE_ID": "500",
    "CI_PROJECT_DIR": "{workspace}",
}
_BITBUCKET = {
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
    "BITBUCKET_COMMIT": SHA,
    "BITBUCKET_PIPELINES_VARIABLES_PATH": "{ci}/variables",
}
# Variables with the channels of a job, in addition to the table of CI systems.
_CHANNEL_VARIABLES: Mapping[str, Mapping[str, str]] = {
    "forgejo": {**_GITHUB_COMPATIBLE, "FORGEJO_ACTIONS": "true", "GITHUB_ACTIONS": "true"},
    "gitea": {**_GITHUB_COMPATIBLE, "GITEA_ACTIONS": "true", "GITHUB_ACTIONS": "true"},
    "github": {**_GITHUB_COMPATIBLE, "GITHUB_ACTIONS": "true"},
    "gitlab": _GITLAB,
    "circleci": {"BASH_ENV": "{ci}/bash.env"},
    "azure": {"AGENT_TEMPDIRECTORY": "{ci}"},
    "bitbucket": _BITBUCKET,
    "appveyor": {"APPVEYOR_API_URL": "{others}/"},
    "harness": {"DRONE_OUTPUT": "{ci}/variables"},
    "codefresh": {"CF_VOLUME_PATH": "{ci}"},
    "cloudbuild": {"BUILDER_OUTPUT": "{ci}"},
}


def _get_job_environ(name: str) -> Mapping[str, str]:
    """Return the environment of a job, for a change request if possible."""
    cases = [case for case in environments.JOB_CASES if case.expected.ci_name == name]
    cases.sort(key=lambda case: not case.expected.change_number or bool(case.files))
    return {**(cases[0].environ if cases else {}), **_CHANNEL_VARIABLES.get(name, {})}


ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    row.name: _get_job_environ(row.name) for row in detection.DETECTION_RULES
}
PROGRAMS = ("buildkite-agent", "envman", "sem-context")


def prepare_job(name: str, folder: Path, other_hosts_url: str) -> dict[str, str]:
    """Write the files of a CI system and return the environment of its job.

    Args:
        name: The name of the CI system.
        folder: The folder for its files and programs.
        other_hosts_url: The URL of the server of the CI system.
    """
    for folder_name in ("ci", "workspace", "bin"):
        (folder / folder_name).mkdir(exist_ok=True)
    (folder / "ci" / "event.json").write_text(json.dumps(_EVENT), "utf-8")
    for program in PROGRAMS:
        script = folder / "bin" / program
        calls = shlex.quote(str(folder / "bin" / f"{program}.calls"))
        arguments = shlex.quote(str(folder / "bin" / f"{program}.arguments"))
        script.write_text(
            f'#!/bin/sh\necho "$*" >> {arguments}\n{{ echo "$*"; cat; env; }} >> {calls} < /dev/stdin\n', "utf-8"
        )
        script.chmod(0o755)
    system = detection.load_system(next(row for row in detection.DETECTION_RULES if row.name == name))
    tokens = {token.replace("*", "X"): JOB_TOKEN for token in system.secret_variables}
    placeholders = {"{others}": other_hosts_url, "{ci}": str(folder / "ci"), "{workspace}": str(folder / "workspace")}
    environ = dict(ENVIRONMENTS[name])
    for placeholder, path in placeholders.items():
        environ = {key: value.replace(placeholder, path) for key, value in environ.items()}
    tokens |= {f"AUTONOMA_{option}_TOKEN": TOKEN for option in ("GITHUB", "GITLAB")}
    return {**tokens, **environ, "PATH": f"{folder / 'bin'}:/usr/bin:/bin"}
