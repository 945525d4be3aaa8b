"""Generator of the GitLab CI/CD component (`make generate-docs`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.config import parsers
from autonoma_ci.config.options import OPTIONS

if TYPE_CHECKING:
    from autonoma_ci.config.options import Option

IMAGE = "ghcr.io/OWNER/autonoma-ci:1"
# Inputs are part of the pipeline's definition, which many people can read.
SECRET_OPTIONS = frozenset(option.name for option in OPTIONS if option.parse is parsers.parse_secret)
INPUT_OPTIONS = tuple(option for option in OPTIONS if option.name not in SECRET_OPTIONS)
# A manifest can set it too, and an input with the value false would win.
_UNSET_BOOLEANS = frozenset({"run-on-latest"})
_HEAD = """\
# A CI/CD component: starts Autonoma tests, waits for the results with `wait: true`, and reports them in GitLab's form.
#
#   include:
#     - remote: https://raw.githubusercontent.com/OWNER/autonoma-ci/v1/templates/autonoma.yml
#       inputs: { manifest: autonoma.yml, wait: true }
#
# `component:` finds only files of your own GitLab server: see docs/ci/gitlab.md. GitLab 17.0 or newer is necessary.
#
# The credentials are masked CI/CD variables: AUTONOMA_CLIENT_ID, AUTONOMA_CLIENT_SECRET, and for `comment`
# AUTONOMA_GITLAB_TOKEN. `make generate-docs` writes this file from the table of options.
spec:
  inputs:
"""
# A child pipeline has another source than its merge request pipeline, and the same merge request.
# Source: GitLab's documentation, "Downstream pipelines" and "Predefined CI/CD variables".
_RULES = """\
    rules:
      description: "When the job runs. Default: in merge request pipelines and on the default branch."
      type: array
      default:
        - if: $CI_PIPELINE_SOURCE == "merge_request_event" || $CI_MERGE_REQUEST_IID
        - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
"""
_JOB = """\
---
# The space after some inputs makes strings of them, because older servers reject a variable that is a boolean.
"$[[ inputs.job-name ]]":
  stage: $[[ inputs.stage ]]
  image: $[[ inputs.image ]]
  rules: $[[ inputs.rules ]]
  variables:
"""
_TAIL = """\
  script:
    - autonoma-ci run
  artifacts:
    when: always
    paths:
      - $[[ inputs.results-dir ]]/
    reports:
      dotenv: $[[ inputs.results-dir ]]/outputs.env
      junit: $[[ inputs.results-dir ]]/junit.xml
      annotations: $[[ inputs.results-dir ]]/gitlab-annotations.json
"""


def render_component() -> str:
    """Return the text of templates/autonoma.yml."""
    text = _HEAD
    text += _render_input("job-name", "Name of the job.", ["default: autonoma"])
    text += _render_input("stage", "Stage of the job.", ["default: test"])
    text += _render_input(
        "image", "Image of autonoma-ci; from a registry that your runners reach.", [f"default: {IMAGE}"]
    )
    text += _RULES
    for option in INPUT_OPTIONS:
        text += _render_input(option.name, _describe_option(option), _render_type(option))
    text += _JOB
    for option in INPUT_OPTIONS:
        text += f'    {option.env_var}: "$[[ inputs.{option.name} ]]{_text_suffix(option)}"\n'
    return text + _TAIL


def _text_suffix(option: Option) -> str:
    """Return the space after a boolean input.

    The space makes the variable a text, because older servers refuse boolean variables. It is removed later.
    """
    return " " if "type: boolean" in _render_type(option) else ""


def _render_input(name: str, description: str, lines: list[str]) -> str:
    return "".join(
        f"{line}\n" for line in [f"    {name}:", *(f"      {field}" for field in _add_description(description, lines))]
    )


def _add_description(description: str, lines: list[str]) -> list[str]:
    return [f"description: {json.dumps(description)}", *lines]


def _describe_option(option: Option) -> str:
    return option.help + (f" Default: {option.default}." if option.default and option.metavar else "")


def _render_type(option: Option) -> list[str]:
    """Return type and default of an input.

    An input is empty by default where the program has its own default, so that it counts as unset.
    """
    if option.name == "results-dir":
        return ["type: string", "default: autonoma-results"]
    if option.name in _UNSET_BOOLEANS:
        return ["type: string", 'options: ["", "true", "false"]', 'default: ""']
    if not option.metavar:
        return ["type: boolean", f"default: {option.default}"]
    if option.metavar == "N":
        return ["type: string", "regex: ^[0-9]*$", 'default: ""']
    if option.metavar == "WORD":
        words = getattr(option.parse, "args")[0]  # noqa: B009 - a partial of values.choice
        return ["type: string", f"options: [{', '.join(words)}]", f"default: {option.default}"]
    return ["type: string", 'default: ""']
