"""Jobs with the manifest of the monorepo example, at the sandbox."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.invoke_command import invoke
from tests.support.manifests import renew_quarantines
from tests.system.examples.monorepo import (
    CHANGE_BRANCH,
    CHANGE_URL,
    EXAMPLE,
    SERVICES,
    Monorepo,
    find_ids,
    list_groups,
    read_entries,
)

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.sandbox import Sandbox

# Without the groups that are off by default.
EVERYTHING = find_ids("smoke", *SERVICES)
QUARANTINED_ID = "cms6puq80idw3706i8j76b2la"


@pytest.fixture
def monorepo(tmp_path: Path, sandbox: Sandbox) -> Monorepo:
    return Monorepo(tmp_path, sandbox)


def test_example_has_40_entries() -> None:
    """The example has 40 distinct entries, each with a group and an owner."""
    entries = read_entries()
    assert len({entry["id"] for entry in entries}) == len(entries) == 40
    assert all(list_groups(entry) and entry["owner"] for entry in entries)
    assert {group for entry in entries for group in list_groups(entry)} == {"smoke", "nightly", "release", *SERVICES}


@pytest.mark.parametrize("days", [-100, 0, 90])
def test_example_is_valid_on_each_day(days: int, tmp_path: Path) -> None:
    """The manifest is valid before and after the end of its quarantine."""
    manifest = renew_quarantines((EXAMPLE / "autonoma.yml").read_text("utf-8"), days)
    (tmp_path / "autonoma.yml").write_text(manifest, "utf-8")
    result = invoke(tmp_path, "validate", environ={"AUTONOMA_BRANCH": "main"})
    assert (result.code, "36 tests, 3 folders, 1 tag" in result.out) == (0, True), result.output


@pytest.mark.parametrize("depth", [0, 2])
def test_change_of_service_runs_its_tests(depth: int, monorepo: Monorepo) -> None:
    """A pull request runs the tests of the changed service and the smoke tests."""
    job = monorepo.run_pull_request(monorepo.change("services/search/main.js", "docs/guide.md"), depth)
    assert job.started_ids == find_ids("search", "smoke")
    assert job.verdict == (0, "passed")
    assert job.base_urls == {CHANGE_URL}
    assert (job.changed_files["source"], job.changed_files["file_count"]) == ("clone", 2)
    assert job.changed_files["full_run_reason"] is None
    assert "30 of 40 entries left out: 6 off by default, 24 unchanged." in job.log


def test_merge_commit_is_compared_with_target(monorepo: Monorepo) -> None:
    """The base of GitHub's merge commit is its parent on the target branch."""
    job = monorepo.run_pull_request(monorepo.change("services/search/main.js"))
    assert job.changed_files["base"] == monorepo.find_tip()


def test_merge_group_is_compared_with_its_base(monorepo: Monorepo) -> None:
    """A merge group runs the tests of its changes on the default environment."""
    job = monorepo.run_merge_group(monorepo.change("services/search/main.js"))
    assert job.started_ids == find_ids("search", "smoke")
    assert job.verdict == (0, "passed")
    assert job.base_urls == {"https://staging.example.com"}
    assert job.changed_files["base"] == monorepo.find_tip()


def test_merge_request_runs_tests_of_service(monorepo: Monorepo) -> None:
    """A merge request on GitLab is compared with its merge base."""
    job = monorepo.run_merge_request(monorepo.change("services/search/main.js"))
    assert job.started_ids == find_ids("search", "smoke")
    assert job.verdict == (0, "passed")
    assert job.base_urls == {CHANGE_URL}
    assert job.changed_files["base"] == monorepo.base


@pytest.mark.parametrize("names", [("docs/guide.md",), ("services/search/README.md", "packages/README.md")])
def test_change_of_documents_skips_step(names: tuple[str, ...], monorepo: Monorepo) -> None:
    """A pull request that changes documents only starts nothing."""
    job = monorepo.run_pull_request(monorepo.change(*names))
    assert job.started_ids == []
    assert job.verdict == (0, "skipped")
    assert job.changed_files["file_count"] == len(names)
    assert job.changed_files["full_run_reason"] is None
    assert "40 of 40 entries left out: 6 off by default, 34 unchanged." in job.log
    assert "The changed files affect no entry of this step." in job.log


@pytest.mark.parametrize("name", ["autonoma.yml", "package-lock.json"])
def test_change_of_manifest_runs_everything(name: str, monorepo: Monorepo) -> None:
    """A change of the manifest or of a file in `always` selects every entry."""
    job = monorepo.run_pull_request(monorepo.change(name))
    assert job.started_ids == EVERYTHING
    assert job.verdict == (0, "passed")
    assert job.changed_files["file_count"] == 1
    assert "manifest" in job.changed_files["full_run_reason"]
    assert "6 of 40 entries left out: 6 off by default." in job.log


def test_change_of_package_matches_each_service(monorepo: Monorepo) -> None:
    """A shared package matches the patterns of every service."""
    job = monorepo.run_pull_request(monorepo.change("packages/ui/button.js"))
    assert job.started_ids == EVERYTHING
    assert job.changed_files["full_run_reason"] is None


def test_schedule_runs_nightly_group(monorepo: Monorepo) -> None:
    """A schedule has no base, and runs the entries of its group alone."""
    job = monorepo.run_on_main("schedule", groups="nightly")
    assert job.started_ids == find_ids("nightly")
    assert job.verdict == (0, "passed")
    assert job.base_urls == {"https://staging.example.com"}
    assert job.results["changed_files"] is None
    assert "36 of 40 entries left out: 36 by groups." in job.log


def test_scheduled_pipeline_runs_nightly_group(monorepo: Monorepo) -> None:
    """A schedule on GitLab runs the same entries as one on GitHub."""
    job = monorepo.run_scheduled_pipeline()
    assert job.started_ids == find_ids("nightly")
    assert job.verdict == (0, "passed")


def test_shallow_clone_runs_everything(monorepo: Monorepo) -> None:
    """Without the base, everything runs, and a notice states the cure."""
    job = monorepo.run_pull_request(monorepo.change("docs/guide.md"), depth=1)
    assert job.started_ids == EVERYTHING
    assert job.verdict == (0, "passed")
    assert re.search(r"^::notice::.*Set fetch-depth: 2 in the checkout step\.$", job.log, re.MULTILINE)
    assert (job.changed_files["source"], job.changed_files["file_count"]) == ("", None)
    assert job.changed_files["full_run_reason"]


def test_push_after_cancelled_push_runs_both(monorepo: Monorepo) -> None:
    """The base is the merge base, because a cancelled build tested nothing."""
    monorepo.create_branch("release/2.1")
    monorepo.push("services/search/main.js")
    push = monorepo.push("docs/guide.md")
    monorepo.advance_main()
    job = monorepo.run_push(push)
    assert job.started_ids == find_ids("search", "smoke")
    assert job.verdict == (0, "passed")
    assert job.changed_files["base"] == monorepo.base != push.before
    assert job.changed_files["file_count"] == 2


def test_second_push_to_change_runs_both(monorepo: Monorepo) -> None:
    """A pull request is compared with its target, not with its last push."""
    monorepo.change("services/checkout/main.js")
    job = monorepo.run_pull_request(monorepo.push("docs/guide.md"))
    assert job.started_ids == find_ids("checkout", "smoke")
    assert job.changed_files["file_count"] == 2


@pytest.mark.parametrize("value", ["@changed.txt", "[]"])
def test_empty_list_of_filter_runs_everything(value: str, monorepo: Monorepo) -> None:
    """An empty list of files is doubt, not a reason to run nothing."""
    job = monorepo.run_pull_request(monorepo.change("docs/guide.md"), changed_files=value)
    assert job.started_ids == EVERYTHING
    assert job.verdict == (0, "passed")
    assert (job.changed_files["source"], job.changed_files["file_count"]) == ("", None)
    assert "changed-files" in job.changed_files["full_run_reason"]


def test_empty_input_compares_commits(monorepo: Monorepo) -> None:
    """An empty `changed-files`, as of a filter step without output, is unset."""
    job = monorepo.run_pull_request(monorepo.change("services/search/main.js"), changed_files="")
    assert job.started_ids == find_ids("search", "smoke")
    assert job.changed_files["source"] == "clone"


@pytest.mark.parametrize(("days", "verdict"), [(0, (0, "passed")), (-1, (1, "failed"))])
def test_quarantine_counts_after_last_day(days: int, verdict: tuple[int, str], monorepo: Monorepo) -> None:
    """A failure does not count up to the last day, and counts after it."""
    monorepo.edit_manifest(lambda text: renew_quarantines(text.replace(QUARANTINED_ID, "sandbox-fails"), days))
    job = monorepo.run_pull_request(monorepo.change("services/search/main.js"))
    # The entry has one retry.
    assert job.started_ids.count("sandbox-fails") == 2
    assert job.verdict == verdict
    assert job.outputs["AUTONOMA_QUARANTINED"] == str(int(days == 0))
    assert ("Quarantine ended" in job.log) == (days < 0)


def test_change_that_extends_quarantine_is_named(monorepo: Monorepo) -> None:
    """Reports name the entry whose quarantine a pull request extends."""
    monorepo.create_branch(CHANGE_BRANCH)
    job = monorepo.run_pull_request(monorepo.edit_manifest(lambda text: renew_quarantines(text, 60)))
    assert job.results["quarantined_by_change"] == ["Search corrects a typing error"]
    assert "Quarantined by this change" in job.summary


def test_release_runs_in_production(monorepo: Monorepo) -> None:
    """A manual run selects the release group and the environment."""
    job = monorepo.run_on_main("workflow_dispatch", groups="release", environment="production")
    assert job.started_ids == find_ids("release")
    assert job.verdict == (0, "passed")
