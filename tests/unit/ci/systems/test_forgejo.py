"""Tests of Forgejo's run page and credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.forgejo import SYSTEM
from tests.support.environment_names import find_secret_names
from tests.support.github_environments import GITEA, GITHUB

if TYPE_CHECKING:
    from autonoma_ci.models import BuildContext

ENVIRON = {**GITHUB, **GITEA, "FORGEJO_ACTIONS": "true", "GITHUB_EVENT_PATH": ""}


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**ENVIRON, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """The tokens of GitHub's names, of Gitea and of Forgejo are credentials."""
    secrets = {"GITHUB_TOKEN", "INPUT_PASSWORD", "GITEA_TOKEN", "FORGEJO_TOKEN", "FORGEJO_RUNNER_REGISTRATION_TOKEN"}
    assert find_secret_names(SYSTEM, {*ENVIRON, *secrets}) == secrets


def test_run_page_has_run_number() -> None:
    """The run page of Forgejo has the number of the run, not its id."""
    assert read_context().build_url == "https://git.example.com/gitea/acme/shop/actions/runs/43"
    assert read_context().ci_name == "forgejo"


@pytest.mark.parametrize("name", ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_NUMBER"])
def test_run_page_needs_each_part(name: str) -> None:
    """Without a part of the URL, there is no link."""
    assert read_context(**{name: ""}).build_url == ""


def test_comments_are_not_supported() -> None:
    """The comments of GitHub have another API."""
    assert SYSTEM.comment_support is None
