"""The image compares the commits of a clone without the program git."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.git_repository import GitRepository, needs_git

if TYPE_CHECKING:
    from tests.system.container.image import Image, JobFolders

pytestmark = [pytest.mark.image, needs_git]

MANIFEST = "tests:\n  - {id: shop, when: {changed: 'shop/**'}}\n  - {id: search, when: {changed: 'search/**'}}\n"


@pytest.mark.parametrize("is_packed", [False, True])
def test_image_reads_changed_files(is_packed: bool, image: Image, folders: JobFolders) -> None:
    """The dry run has only the entry of the changed directory."""
    repository = GitRepository.create(folders.root / "repository")
    repository.commit({"autonoma.yml": MANIFEST, "shop/a.py": "1\n" * 500, "search/a.py": "1\n"})
    repository.checkout("feature", start="main")
    commit = repository.commit({"shop/a.py": "1\n" * 500 + "2\n"})
    if is_packed:
        # With deltas, as in the pack that a server sends.
        repository.git("gc", "--quiet", "--aggressive")
    # The workspace is of another user, for whom git refuses to commit.
    shutil.copytree(repository.folder, folders.workspace, dirs_exist_ok=True)
    build = {"CI_COMMIT_SHA": commit, "CI_COMMIT_BRANCH": "feature", "CI_COMMIT_REF_NAME": "feature"}
    build |= {"CI_DEFAULT_BRANCH": "main", "CI_PIPELINE_SOURCE": "push"}
    options = [option for name, text in build.items() for option in ("-e", f"{name}={text}")]
    result = image.run([*folders.gitlab_options(), *options], "run", "--dry-run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "PLANNED  shop" in result.stdout
    assert "PLANNED  search" not in result.stdout
    assert "1 of 2 entries left out: 1 unchanged." in result.stdout
