"""The changed files of a build, from the option, the clone or the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.changed_files import find_changed_files
from autonoma_ci.ci.base import CompareSupport
from autonoma_ci.ci.changes.compare import CompareError
from autonoma_ci.clock import Clock
from autonoma_ci.config.parsers import PathList
from autonoma_ci.config.settings import Settings
from autonoma_ci.git.clone import Clone
from autonoma_ci.git.errors import MERGE_WITH_PARENTS, CloneError
from autonoma_ci.models import ChangeBase, ChangeSummary, ComparedFiles
from autonoma_ci.planning.changed_files import run_everything
from autonoma_ci.redaction.redactor import Secret
from tests.support.fixed_base import MAIN, System, create_ci
from tests.support.git_repository import GitRepository, needs_git

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.planning.changed_files import ChangedFiles

pytestmark = needs_git
TOKEN = Secret("token-of-the-job")


def find(
    folder: Path,
    settings: Settings | None = None,
    ci: CIEnvironment | None = None,
    manifest_path: str | None = "autonoma.yml",
) -> ChangedFiles:
    """Return the changed files of a build in this folder."""
    return find_changed_files(settings or Settings(), ci or create_ci(), {}, str(folder), manifest_path, Clock())


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """Return a repository whose branch `feature` changed `own`."""
    repository = GitRepository.create(tmp_path.resolve() / "repository")
    repository.commit({"shared": "1", "autonoma.yml": "version: 1\n"})
    repository.checkout("feature", start="main")
    repository.commit({"own": "1"})
    return repository


def test_clone_has_priority(repository: GitRepository) -> None:
    """The API is not used if the clone has the base."""
    support = CompareSupport("github-token", lambda *_: pytest.fail("no request is needed"))
    changed = find(repository.folder, Settings(github_token=TOKEN), create_ci(System(MAIN, support)))
    assert changed.paths == frozenset({"own"})
    assert changed.summary == ChangeSummary("clone", repository.git("rev-parse", "main"), 1)


def test_build_without_base_runs_everything(repository: GitRepository) -> None:
    """The reason of the CI system is a fact, so nothing is compared."""
    ci = create_ci(System(ChangeBase("the build is of a tag")))
    assert find(repository.folder, ci=ci).summary == ChangeSummary(full_run_reason="the build is of a tag.")


def test_part_of_target_branch_runs_everything(repository: GitRepository) -> None:
    """A commit of the target branch is compared with nothing."""
    repository.checkout("main")
    summary = find(repository.folder).summary
    assert summary.full_run_reason == "the commit is a part of its target branch."


@pytest.mark.parametrize(
    ("ci_name", "advice"),
    [
        ("github", "Set fetch-depth: 0 in the checkout step."),
        ("gitlab", "Set GIT_DEPTH: 0 in the variables of the job."),
        ("ci", "Clone the complete history, with the branch to compare with."),
    ],
)
def test_shallow_clone_names_remedy(ci_name: str, advice: str, repository: GitRepository, tmp_path: Path) -> None:
    """The reason says how to get a deeper clone in this CI system."""
    clone = repository.clone(tmp_path / "clone", "--depth=1", "--no-single-branch")
    changed = find(clone.folder, ci=create_ci(ci_name=ci_name))
    assert changed.paths is None
    assert changed.summary.full_run_reason == f"the clone is too shallow to find the base. {advice}"


@pytest.mark.parametrize(
    ("ci_name", "advice"),
    [
        ("github", "Set fetch-depth: 2 in the checkout step."),
        ("azure", "Set fetchDepth: 2 in the checkout step."),
        ("gitlab", "Set GIT_DEPTH: 0 in the variables of the job."),
        ("ci", "Clone the complete history, with the branch to compare with."),
    ],
)
def test_merge_without_parents_names_remedy(
    ci_name: str, advice: str, monkeypatch: pytest.MonkeyPatch, repository: GitRepository
) -> None:
    """Two commits are enough for the server's merge of a change, where the depth can be set so."""

    def fail(*_: object) -> None:
        raise CloneError("the clone lacks the parents", needed_depth=MERGE_WITH_PARENTS)

    monkeypatch.setattr(Clone, "find_changes", fail)
    changed = find(repository.folder, ci=create_ci(ci_name=ci_name))
    assert changed.summary.full_run_reason == f"the clone lacks the parents. {advice}"


def test_directory_without_clone_runs_everything(tmp_path: Path) -> None:
    """Without a clone, nothing can be compared."""
    reason = find(tmp_path).summary.full_run_reason
    assert reason == "the working directory is not in a clone of git. Check out the repository before this step."


def test_api_replaces_missing_base(tmp_path: Path) -> None:
    """With a token, the API tells the changed files of a shallow clone."""
    calls = []

    def compare(*arguments: object) -> ComparedFiles:
        calls.append(arguments)
        return ComparedFiles(frozenset({"own", "libs/sub"}), "1" * 40, frozenset({"libs/sub"}))

    clock, ci = Clock(), create_ci(System(MAIN, CompareSupport("github-token", compare)))
    environ = {"NAME": "value"}
    changed = find_changed_files(Settings(github_token=TOKEN), ci, environ, str(tmp_path), "autonoma.yml", clock)
    assert calls == [(environ, ci.build_context, MAIN, TOKEN, clock)]
    assert (changed.paths, changed.submodules) == (frozenset({"own", "libs/sub"}), frozenset({"libs/sub"}))
    assert changed.summary == ChangeSummary("api", "1" * 40, 2)
    assert changed.manifest_paths == {"autonoma.yml"}


def test_api_without_token_is_not_used(tmp_path: Path) -> None:
    """Without a token, no request is sent."""
    support = CompareSupport("github-token", lambda *_: pytest.fail("no token"))
    assert find(tmp_path, ci=create_ci(System(MAIN, support))).paths is None


def test_failed_api_runs_everything(tmp_path: Path) -> None:
    """The reason has both problems and both remedies."""

    def compare(*_: object) -> ComparedFiles:
        raise CompareError("gitHub's API lists only the first 300 changed files", "Check out the commits.")

    changed = find(
        tmp_path, Settings(github_token=TOKEN), create_ci(System(MAIN, CompareSupport("github-token", compare)))
    )
    assert changed.paths is None
    assert changed.summary.full_run_reason == (
        "the working directory is not in a clone of git. Check out the repository before this step. "
        "GitHub's API lists only the first 300 changed files. Check out the commits."
    )


def test_option_replaces_comparison(repository: GitRepository) -> None:
    """A list of paths is used instead of the clone."""
    settings = Settings(changed_files=PathList(("docs/a.md", "libs/")))
    changed = find(repository.folder, settings)
    assert (changed.paths, changed.submodules) == (frozenset({"docs/a.md", "libs"}), frozenset({"libs"}))
    assert changed.summary == ChangeSummary("list", "", 2)
    assert changed.manifest_paths == {"autonoma.yml"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("all", "--changed-files is all."),
        (PathList(()), "--changed-files lists no files. To compare with the base, set it to auto."),
        ("@missing", "the file of --changed-files could not be read. Check the path, and that the file was written."),
    ],
)
def test_doubtful_option_runs_everything(value: str | PathList, reason: str, repository: GitRepository) -> None:
    """The reason names the option as the user wrote it."""
    settings = Settings(changed_files=value, spellings={"changed-files": "--changed-files"})
    changed = find(repository.folder, settings)
    assert (changed.paths, changed.summary) == (None, ChangeSummary(full_run_reason=reason))


def test_manifest_has_path_from_top(repository: GitRepository) -> None:
    """Paths are relative to the repository, and not to the working directory."""
    repository.write({"services/web/autonoma.yml": "version: 1\n"})
    assert find(repository.folder / "services/web").manifest_paths == {"services/web/autonoma.yml"}
    assert find(repository.folder / "services/web", manifest_path="../../autonoma.yml").manifest_paths == {
        "autonoma.yml"
    }
    assert find(repository.folder, manifest_path=str(repository.folder / "autonoma.yml")).manifest_paths == {
        "autonoma.yml"
    }
    assert find(repository.folder, manifest_path=None).manifest_paths == frozenset()


def test_manifest_outside_of_repository_runs_everything(repository: GitRepository) -> None:
    """A change of this manifest is in no comparison."""
    changed = find(repository.folder, manifest_path="../autonoma.yml")
    assert changed == run_everything(
        "changes of a manifest outside of the repository are unknown. Move it into the repository."
    )


def test_manifest_without_clone_can_be_below_top(tmp_path: Path) -> None:
    """A mounted folder does not tell its path in the repository."""
    settings = Settings(changed_files=PathList(("web/autonoma.yml", "api/other.yml"), is_exact=True))
    assert find(tmp_path, settings=settings).manifest_paths == {"autonoma.yml", "web/autonoma.yml"}


def test_links_to_manifest_are_its_paths(repository: GitRepository) -> None:
    """A change of a link on the way to the manifest changes the manifest."""
    repository.write({"real/folder/manifest.yml": "version: 1\n"})
    folder = repository.folder
    (folder / "ci").symlink_to("real/folder")
    (folder / "first.yml").symlink_to("second.yml")
    (folder / "second.yml").symlink_to("ci/manifest.yml")
    (folder / "loop.yml").symlink_to("loop.yml")
    changed = find(folder, manifest_path="first.yml")
    assert changed.manifest_paths == {"first.yml", "second.yml", "ci", "real/folder/manifest.yml"}
    assert find(folder, manifest_path="ci/manifest.yml").manifest_paths == {"ci", "real/folder/manifest.yml"}
    assert find(folder, manifest_path="loop.yml").manifest_paths == {"loop.yml"}


def test_working_directory_can_be_link(repository: GitRepository, tmp_path: Path) -> None:
    """CI systems can reach the checkout through a link."""
    (tmp_path / "link").symlink_to(repository.folder)
    changed = find(tmp_path / "link")
    assert (changed.paths, changed.manifest_paths) == (frozenset({"own"}), frozenset({"autonoma.yml"}))
