"""Tests of Gitea's run page, credentials and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.gitea import SYSTEM
from tests.support.act_env_file import read_env_file
from tests.support.environment_names import find_secret_names
from tests.support.github_environments import GITEA, GITHUB
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_failed_run

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import BuildContext

ENVIRON = {**GITHUB, **GITEA, "GITHUB_EVENT_PATH": ""}


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**ENVIRON, **changes})


def test_secret_names_exclude_build_facts() -> None:
    """The tokens of GitHub's names and of Gitea are credentials."""
    secrets = {"GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "INPUT_PASSWORD", "GITEA_TOKEN"}
    secrets.add("GITEA_RUNNER_REGISTRATION_TOKEN")
    assert find_secret_names(SYSTEM, {*ENVIRON, *secrets}) == secrets


def test_run_page_has_run_id() -> None:
    """Since Gitea 1.26, the number of a run can lead to another run."""
    assert read_context().build_url == "https://git.example.com/gitea/acme/shop/actions/runs/272"
    assert read_context().ci_name == "gitea"


@pytest.mark.parametrize("name", ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"])
def test_run_page_needs_each_part(name: str) -> None:
    """Without a part of the URL, there is no link."""
    assert read_context(**{name: ""}).build_url == ""


def test_comments_are_not_supported() -> None:
    """The comments of GitHub have another API."""
    assert SYSTEM.comment_support is None


def test_outputs_fit_line_limit_of_runner(tmp_path: Path) -> None:
    """The runner reads lines of less than 64 KiB, and a warning has the number of the runs in the output."""
    path = tmp_path / "output"
    context = make_publish_context({"GITHUB_OUTPUT": str(path)}, tmp_path, summary=False)
    [publisher] = SYSTEM.create_publishers(context)
    warnings = publisher.publish(
        create_report([make_failed_run(f"id-{number}") for number in range(600)], PASSED_VERDICT)
    )
    assert read_env_file(path.read_bytes())["total"] == "600"
    [warning] = warnings
    assert warning.startswith("The output 'results' holds the first ")
