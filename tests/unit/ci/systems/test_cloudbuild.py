"""Tests of Google Cloud Build's facts and output file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.systems.cloudbuild import SYSTEM
from tests.support.ci_environments import CLOUD_BUILD, HEAD, MERGE
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run, make_started_run

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import BuildContext


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented step with some substitutions changed."""
    return SYSTEM.build_context({**CLOUD_BUILD, **changes})


@pytest.mark.parametrize("name", ["LOCATION", "BUILD_ID", "PROJECT_ID"])
def test_context_without_url_part_has_no_link(name: str) -> None:
    """A build configuration may map only some substitutions."""
    assert read_context(**{name: ""}).build_url == ""


def test_link_accepts_project_of_domain() -> None:
    """The id of an old project has the domain before a colon."""
    url = read_context(PROJECT_ID="example.com:acme").build_url
    assert url.endswith("/builds;region=europe-west1/9c7d?project=example.com:acme")


@pytest.mark.parametrize("name", ["LOCATION", "BUILD_ID", "PROJECT_ID"])
def test_link_escapes_substitution(name: str) -> None:
    """A substitution cannot add a path or a query to the link."""
    url = read_context(**{name: "a/b?c#d&e"}).build_url
    assert "a%2Fb%3Fc%23d%26e" in url
    assert url.startswith("https://console.cloud.google.com/cloud-build/builds;region=")


def test_commit_without_sha_is_revision() -> None:
    """A build of a trigger can have only the revision."""
    assert read_context(COMMIT_SHA="", REVISION_ID=HEAD).sha == HEAD
    assert read_context(COMMIT_SHA=MERGE, REVISION_ID=HEAD).sha == MERGE


@pytest.mark.parametrize(
    ("names", "branch"),
    [
        ({"_HEAD_BRANCH": "head", "REF_NAME": "ref", "TAG_NAME": "tag"}, "head"),
        ({"REF_NAME": "ref", "TAG_NAME": "tag"}, "main"),
        ({"BRANCH_NAME": "", "REF_NAME": "ref", "TAG_NAME": "tag"}, "ref"),
        ({"BRANCH_NAME": "", "TAG_NAME": "tag"}, "tag"),
    ],
)
def test_branch_is_first_substitution(names: dict[str, str], branch: str) -> None:
    """The head of a pull request comes before the branch, and the tag comes last."""
    assert read_context(**names).branch == branch


def test_publishers_need_folder() -> None:
    """Without the folder of the step's output, nothing is written."""
    assert SYSTEM.create_publishers(make_publish_context({"BUILDER_OUTPUT": ""})) == ()


def test_output_is_written_once(tmp_path: Path) -> None:
    """Cloud Build shows the file as it is, so it has each variable only once."""
    [publisher] = SYSTEM.create_publishers(make_publish_context({"BUILDER_OUTPUT": str(tmp_path)}))
    early_report = create_report([make_started_run("a")], None)._replace(waits_for_results=True)
    assert publisher.publish(early_report) == []
    assert list(tmp_path.iterdir()) == []
    assert publisher.publish(create_report([make_passed_run("a")], PASSED_VERDICT)) == []
    lines = (tmp_path / "output").read_text("utf-8").splitlines()
    names = [line.partition("=")[0] for line in lines]
    assert len(names) == len(set(names))
    assert lines[0] == "AUTONOMA_CONCLUSION=passed"
