"""Tests of GitLab's facts, sections, annotations, attachments and comments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from autonoma_ci.ci.base import LogGroup
from autonoma_ci.ci.systems.gitlab import MAX_JOB_LINKS_BYTES, MAX_LINKS, SYSTEM, render_job_links
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import safe_url, sanitize_line
from autonoma_ci.identity import Part
from autonoma_ci.redaction.redactor import Secret
from tests.support import grammars
from tests.support.ci_environments import GITLAB, GITLAB_CHANGE, HEAD, MERGE
from tests.support.environment_names import find_secret_names
from tests.support.fake_clock import FakeClock
from tests.support.hostile import REPORTS
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import (
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_flaky_run,
    make_passed_run,
    make_planned_run,
    make_quarantined_run,
)

if TYPE_CHECKING:
    from autonoma_ci.ci.comments.sticky import CommentThread
    from autonoma_ci.models import BuildContext, Report

# GitLab's limit of a name in the database.
MAX_NAME_CHARS = 255
API = {"CI_API_V4_URL": "https://gitlab.example.com/api/v4", "CI_MERGE_REQUEST_PROJECT_ID": "42"}


def read_context(**changes: str) -> BuildContext:
    """Return the facts of the documented job with some variables changed."""
    return SYSTEM.build_context({**GITLAB, **changes})


def read_annotations(step_report: Report) -> tuple[str, dict[str, list[dict[str, dict[str, str]]]]]:
    """Return the text of the annotations and their parsed content."""
    text = render_job_links(step_report)["gitlab-annotations.json"]
    return text, json.loads(text)


def read_labels(step_report: Report) -> list[str]:
    """Return the labels of the only section."""
    [entries] = read_annotations(step_report)[1].values()
    return [entry["external_link"]["label"] for entry in entries]


def open_thread(**changes: str) -> CommentThread | None:
    """Return the comments of the documented merge request with some variables changed."""
    environ = {**GITLAB_CHANGE, **API, **changes}
    assert SYSTEM.comment_support
    return SYSTEM.comment_support.open_thread(
        environ, SYSTEM.build_context(environ), Secret("s3cret-value"), FakeClock()
    )


# Facts


def test_secret_names_exclude_build_facts() -> None:
    """The URL of the repository contains the token of the job."""
    secrets = {
        "CI_JOB_TOKEN",
        "CI_JOB_JWT_V2",
        "CI_REGISTRY_PASSWORD",
        "CI_REPOSITORY_URL",
        "GITLAB_TOKEN",
        "SIGSTORE_ID_TOKEN",
    }
    assert find_secret_names(SYSTEM, {*GITLAB, *GITLAB_CHANGE, *API, *secrets}) == secrets


@pytest.mark.parametrize("source", ["CI_MERGE_REQUEST_SOURCE_BRANCH", "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH"])
def test_commit_of_merged_results_is_head(source: str) -> None:
    """The commit of a merged results pipeline is a merge commit."""
    context = read_context(**{"CI_COMMIT_SHA": MERGE, f"{source}_SHA": HEAD, f"{source}_NAME": "feature/cart"})
    assert (context.sha, context.branch) == (HEAD, "feature/cart")


def test_change_of_pipeline_is_preferred() -> None:
    """The merge request of the pipeline comes before an open one of the branch."""
    requests = f"{GITLAB['CI_PROJECT_PATH']}!9"
    assert read_context(CI_MERGE_REQUEST_IID="17", CI_OPEN_MERGE_REQUESTS=requests).change_number == "17"
    assert read_context(CI_OPEN_MERGE_REQUESTS=requests).change_number == "9"


def test_open_change_needs_project() -> None:
    """Without the path of the project, an open merge request can be of any project."""
    assert read_context(CI_PROJECT_PATH="", CI_OPEN_MERGE_REQUESTS="!9").change_number == "9"
    assert read_context(CI_PROJECT_PATH="", CI_OPEN_MERGE_REQUESTS="acme/shop!9").change_number == ""


def test_link_without_pipeline_is_job() -> None:
    """An older server has no link to the pipeline."""
    assert read_context(CI_PIPELINE_URL="").build_url == GITLAB["CI_JOB_URL"]


# Sections of the log


def test_section_has_times_and_key() -> None:
    """A section has its times in seconds, and both lines clear themselves."""
    group = LogGroup("Starting 2 runs", "autonoma_1", 1700000000, 1700000042)
    assert SYSTEM.log_formatter.group(group) == ("\x1b[0Ksection_start:1700000000:autonoma_1\r\x1b[0KStarting 2 runs",)
    assert SYSTEM.log_formatter.end_group(group) == ("\x1b[0Ksection_end:1700000042:autonoma_1\r\x1b[0K",)


def test_section_title_is_one_line() -> None:
    """A title cannot open another section."""
    [line] = SYSTEM.log_formatter.group(LogGroup("a\r\x1b[0Ksection_end:1:autonoma_1\r\x1b[0K", "autonoma_1", 1))
    assert [command.name for command in grammars.find_gitlab_sections(line)] == ["section_start"]


# Annotations


def test_annotations_link_to_runs() -> None:
    """Each run with a link has an entry, the failed ones first."""
    runs = [make_passed_run("a", "Sign in"), make_failed_run("b", "Pay"), make_flaky_run("c", "Search")]
    text, sections = read_annotations(create_report(runs, FAILED_VERDICT))
    assert sections == {
        "Autonoma tests": [
            {"external_link": {"label": "failed: Pay", "url": "https://autonoma.app/run/run-b"}},
            {"external_link": {"label": "passed, flaky: Search", "url": "https://autonoma.app/run/run-c"}},
            {"external_link": {"label": "passed: Sign in", "url": "https://autonoma.app/run/run-a"}},
        ]
    }
    assert text.endswith("}\n")
    assert SYSTEM.extra_result_files(create_report(runs, FAILED_VERDICT)) == {"gitlab-annotations.json": text}


def test_annotations_name_quarantine() -> None:
    """A failure in quarantine follows the real failures, and its label says that it does not count."""
    runs = [make_quarantined_run("a", "Sign up"), make_failed_run("b", "Pay")]
    assert read_labels(create_report(runs, FAILED_VERDICT)) == [
        "failed: Pay",
        "failed, quarantined until 2026-12-31: Sign up",
    ]
    many = [make_quarantined_run(f"id-{number}") for number in range(MAX_LINKS + 1)]
    last = read_labels(create_report(many, PASSED_VERDICT))[-1]
    assert last == "1 more run, beginning with: failed, quarantined until 2026-12-31"


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "https://user:s3cret-value@autonoma.app/run/a"])
def test_annotations_leave_out_unsafe_links(url: str) -> None:
    """A run without a safe link has no entry, and a section without entries is left out."""
    assert (
        read_annotations(
            create_report([make_passed_run("a")._replace(url=url), make_planned_run("b")], PASSED_VERDICT)
        )[1]
        == {}
    )


@pytest.mark.parametrize(
    ("count", "length", "last"),
    [
        (MAX_LINKS - 1, MAX_LINKS - 1, "passed: p"),
        (MAX_LINKS, MAX_LINKS, "passed: p"),
        (MAX_LINKS + 1, MAX_LINKS + 1, "1 more run, beginning with: passed"),
        (MAX_LINKS + 8, MAX_LINKS + 1, "8 more runs, beginning with: passed"),
    ],
)
def test_annotations_count_overflow(count: int, length: int, last: str) -> None:
    """Failed runs come first, and runs beyond the limit are counted."""
    labels = read_labels(
        create_report([*(make_passed_run(f"id-{n}", "p") for n in range(count - 1)), make_failed_run("bad")])
    )
    assert labels[0] == "failed: Checkout pays by card"
    assert labels[-1] == last
    assert len(labels) == length


@pytest.mark.parametrize("size", [10, 1000, 1900])
def test_annotations_fit_size_limit(size: int) -> None:
    """GitLab refuses a larger file, and a job that passed can fail by that.

    Source: gitlabhq/gitlabhq, app/services/ci/parse_annotations_artifact_service.rb and db/structure.sql
    (`ci_job_annotations_size`); gitlab-runner, common/build.go, `pickPriorityError`.
    """
    runs = [
        make_failed_run(f"id-{number}", "\u6f22" * 200)._replace(url=f"https://autonoma.app/{'a' * size}")
        for number in range(90)
    ]
    text, sections = read_annotations(create_report(runs))
    assert len(text.encode()) <= MAX_JOB_LINKS_BYTES == 81_920
    [links] = sections.values()
    assert links[-1]["external_link"]["label"] == f"{90 - len(links) + 1} more runs, beginning with: failed"
    assert len(links) == MAX_LINKS + 1 or len(text.encode()) > MAX_JOB_LINKS_BYTES - 3000
    # As text, not as escapes of six bytes.
    assert "\u6f22" in text


@pytest.mark.parametrize(
    ("title", "part", "expected"),
    [
        ("Shop", "linux", "Shop (linux)"),
        ("", "", "Autonoma tests"),
        ("\u202e", "", "Autonoma tests"),
        ("t" * 60, "", "t" * 60),
        ("t" * 61, "", "t" * 59 + "…"),
        ("a\r\nb\x00", "", "a b\ufffd"),
    ],
    ids=["part", "empty", "invisible", "limit", "long", "hostile"],
)
def test_annotations_title_is_short_line(title: str, part: str, expected: str) -> None:
    """The title of the section is one line of at most 60 characters."""
    step_report = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(title=title, part=Part(part=part))
    assert list(read_annotations(step_report)[1]) == [expected]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("x" * 92, "passed: " + "x" * 92),
        ("x" * 93, "passed: " + "x" * 91 + "…"),
        ("a\n\x1b[31mb\u202e", "passed: a \ufffd[31mb"),
    ],
    ids=["limit", "long", "hostile"],
)
def test_annotations_label_is_short_line(name: str, label: str) -> None:
    """A label is one line of at most 100 characters."""
    assert read_labels(create_report([make_passed_run("a", name)], PASSED_VERDICT)) == [label]


@pytest.mark.slow
@given(REPORTS)
def test_annotations_of_any_report_are_safe(step_report: Report) -> None:
    """Each link is a safe URL, and each label is one short line."""
    for title, entries in read_annotations(step_report)[1].items():
        assert title == sanitize_line(title)
        for entry in entries:
            assert safe_url(entry["external_link"]["url"])
            assert 0 < len(entry["external_link"]["label"]) <= 100


@pytest.mark.slow
@given(REPORTS)
def test_annotations_match_schema(step_report: Report) -> None:
    """The annotations match GitLab's schema.

    Source: gitlabhq/gitlabhq, app/models/ci/job_annotation.rb, app/validators/json_schemas.
    """
    text, sections = read_annotations(step_report)
    assert len(text.encode()) <= MAX_JOB_LINKS_BYTES
    assert len(sections) <= 20
    assert all(0 < len(name) <= MAX_NAME_CHARS for name in sections)
    links = [link for entries in sections.values() for link in entries]
    assert all(set(link) == {"external_link"} and set(link["external_link"]) == {"label", "url"} for link in links)
    assert len(links) <= 1000


# Attachments


def test_attachments_are_from_project(tmp_path: Path) -> None:
    """GitLab finds a file by its path from the project."""
    environ = {"CI_PROJECT_DIR": str(tmp_path)}
    assert SYSTEM.attachments_root(environ, tmp_path / "a" / "b") == "a/b"
    assert SYSTEM.attachments_root(environ, Path("/elsewhere")) == ""
    assert SYSTEM.attachments_root({}, tmp_path) == ""


@pytest.mark.parametrize(
    ("folder", "root"),
    [
        ("/builds/acme/shop", "."),
        ("/builds/acme/shop/a/../b", "b"),
        ("/builds/acme/shop/../out", ""),
        ("/builds/acme/shop/../shop/out", "out"),
        ("/builds/acme/shopping/out", ""),
    ],
)
def test_attachments_outside_project_are_absent(folder: str, root: str) -> None:
    """A path with dots can lead out of the project, and GitLab shows no file there."""
    assert SYSTEM.attachments_root({"CI_PROJECT_DIR": "/builds/acme/shop"}, Path(folder)) == root


# Comments


def test_comments_are_of_merge_request() -> None:
    """A job of a merge request can write comments with the option gitlab-token."""
    assert SYSTEM.comment_support
    assert SYSTEM.comment_support.token_option == "gitlab-token"
    assert open_thread() is not None


@pytest.mark.parametrize(
    ("name", "value"), [("CI_MERGE_REQUEST_IID", ""), ("CI_API_V4_URL", ""), ("CI_MERGE_REQUEST_PROJECT_ID", "x")]
)
def test_comments_need_merge_request(name: str, value: str) -> None:
    """A job without a merge request, a project or an API has no comments."""
    assert open_thread(**{name: value}) is None


def test_comments_need_encrypted_api() -> None:
    """The token is not sent in the clear, and is not in the error."""
    with pytest.raises(InputError) as caught:
        open_thread(CI_API_V4_URL="http://gitlab.example.com/api/v4")
    assert "https" in str(caught.value)
    assert "s3cret-value" not in str(caught.value)


def test_publishers_are_absent() -> None:
    """GitLab reads files of the results folder, so nothing else is written."""
    assert SYSTEM.create_publishers(make_publish_context(GITLAB)) == ()
