"""The entries that a change put in quarantine."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.quarantined_by_change import find_quarantined_by_change
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import ChangeBase
from tests.support.fixed_base import System, create_ci
from tests.support.git_repository import GitRepository, needs_git

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.app.inputs import CIEnvironment

pytestmark = needs_git
QUARANTINED = "version: 1\ntests: [a, {{ id: b, name: Second, quarantine: {{ until: {until}, reason: late }} }}]\n"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """Return a repository whose branch `feature` is checked out."""
    repository = GitRepository.create(tmp_path.resolve() / "repository")
    repository.commit({"autonoma.yml": "version: 1\n"})
    repository.checkout("feature", start="main")
    repository.commit({"own": "1"})
    return repository


def find_quarantined(
    repository: GitRepository, ci: CIEnvironment | None = None, path: str = "autonoma.yml"
) -> tuple[str, ...]:
    """Return the names of the entries that the change put in quarantine."""
    entry = {"id": "b", "name": "Second", "quarantine": {"until": "2026-12-31", "reason": "late"}}
    # The last day is checked against the current date.
    manifest = Manifest.model_validate({"tests": ["a", entry]}, context={"today": date(2026, 12, 1)})
    return find_quarantined_by_change(manifest, path, ci or create_ci(), {}, str(repository.folder))


def test_new_quarantine_is_found(repository: GitRepository) -> None:
    """The manifest is compared with that of the base."""
    repository.commit({"autonoma.yml": QUARANTINED.format(until="2026-12-31")})
    assert find_quarantined(repository) == ("Second",)


@pytest.mark.parametrize(("until", "names"), [("2026-12-31", ()), ("2026-12-01", ("Second",))])
def test_extended_quarantine_is_found(until: str, names: tuple[str, ...], repository: GitRepository) -> None:
    """A quarantine of the base counts only if it ended earlier."""
    repository.checkout("main")
    repository.commit({"autonoma.yml": QUARANTINED.format(until=until)})
    repository.checkout("feature")
    repository.merge("main")
    repository.commit({"autonoma.yml": QUARANTINED.format(until="2026-12-31")})
    assert find_quarantined(repository) == names


def test_unknown_base_has_no_new_quarantine(repository: GitRepository, tmp_path: Path) -> None:
    """Without the manifest of the base, nothing is reported."""
    repository.commit({"autonoma.yml": QUARANTINED.format(until="2026-12-31")})
    assert find_quarantined(repository, create_ci(System(ChangeBase("the build is of a tag")))) == ()
    assert find_quarantined(repository, create_ci(System(ChangeBase(branch="missing")))) == ()
    assert find_quarantined(repository, path="missing.yml") == ()
    assert find_quarantined(repository, path="/elsewhere.yml") == ()
    assert find_quarantined(GitRepository(tmp_path)) == ()


@pytest.mark.parametrize("content", [b"tests: [", b"\xff", b"version: 1\n" * 500_000])
def test_unreadable_base_has_no_new_quarantine(content: bytes, repository: GitRepository) -> None:
    """The manifest of the base can be invalid or too large."""
    repository.checkout("main")
    repository.commit({"autonoma.yml": content})
    repository.checkout("feature")
    repository.merge("main")
    repository.commit({"autonoma.yml": QUARANTINED.format(until="2026-12-31")})
    assert find_quarantined(repository) == ()
