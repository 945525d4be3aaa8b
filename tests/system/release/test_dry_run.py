"""A rehearsed release from a version on main to its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.system.release.dry_run import KEY, ORDER, Rehearsal, StepError

if TYPE_CHECKING:
    from pathlib import Path

# The tests need jq, which GitHub's runners have.
pytestmark = pytest.mark.linters
IMAGE = "ghcr.io/owner/autonoma-ci"


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    return Rehearsal(tmp_path)


def image_of(rehearsal: Rehearsal, reference: str) -> str:
    """Return the image of the action at a tag or commit on origin."""
    [line] = [
        line
        for line in rehearsal.git(rehearsal.origin, "show", f"{reference}:action.yml").splitlines()
        if "image:" in line
    ]
    return line.removeprefix("  image: ")


def test_release_gives_one_image_everywhere(rehearsal: Rehearsal) -> None:
    """Tags, images and the release all refer to one signed digest."""
    main = rehearsal.commit("1.2.3")
    rehearsal.start().run()
    state = rehearsal.state
    digest = state["tags"][f"{IMAGE}:1.2.3"]
    assert state["tags"][f"{IMAGE}:1"] == digest
    assert state["signed"] == [digest]
    assert {image_of(rehearsal, reference) for reference in ("v1", "v1.2.3")} == {f"docker://{IMAGE}@{digest}"}
    assert rehearsal.git(rehearsal.origin, "rev-parse", "v1^", "main").split() == [main, main]
    assert state["releases"]["v1.2.3"] == {
        "isDraft": False,
        "immutable": True,
        "latest": True,
        "assets": [
            "SHA256SUMS",
            "autonoma_ci.tar.gz",
            "autonoma_ci.whl",
            "image-amd64.sbom.sigstore.json",
            "image-amd64.spdx.json",
            "image-arm64.sbom.sigstore.json",
            "image-arm64.spdx.json",
            "image.provenance.sigstore.json",
            "packages.provenance.sigstore.json",
            "packages.sbom.sigstore.json",
            "packages.spdx.json",
        ],
    }
    assert sorted(state["pypi"]) == ["autonoma_ci.tar.gz", "autonoma_ci.whl"]


def test_tags_are_pushed_with_key(rehearsal: Rehearsal) -> None:
    """Tags are pushed by SSH to a host whose key GitHub's API confirms."""
    rehearsal.commit("1.2.3")
    rehearsal.start().run()
    push = {
        "key": f"{KEY}\n",
        "mode": "0o600",
        "hosts": ["github.com ssh-ed25519 AAAAhost1", "github.com ecdsa-sha2-nistp256 AAAAhost2"],
        "strict": True,
        "to": ["git@github.com", "git-receive-pack 'OWNER/autonoma-ci.git'"],
    }
    assert rehearsal.state["pushed"] == [push, push]


def test_key_is_removed_after_push(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.start().run(*ORDER[: ORDER.index("tag") + 1])
    left = [
        path
        for path in (rehearsal.folder / "work").rglob("*")
        if path.is_file() and "b3Bl" in path.read_text("utf-8", "replace")
    ]
    assert left == []


def test_nothing_is_tagged_before_approval(rehearsal: Rehearsal) -> None:
    """Before the approval, only a candidate tag exists in the registry."""
    main = rehearsal.commit("1.2.3")
    rehearsal.start().run(*ORDER[: ORDER.index("attest")])
    assert list(rehearsal.state["tags"]) == [f"{IMAGE}:candidate-{main}"]
    assert rehearsal.git(rehearsal.origin, "tag", "--list") == ""
    assert rehearsal.state["releases"] == {}


@pytest.mark.parametrize(
    ("broken", "jobs"),
    [
        (
            "docker buildx build",
            ("images", "index", "smoke", "sbom", "attest", "tag", "action", "pypi", "publish", "name"),
        ),
        ("cosign sign --yes", ("attest", "action", "pypi", "publish", "name")),
        ("gh release create", ("publish", "name")),
        ("gh release upload", ("publish", "name")),
        ("gh release edit", ("publish", "name")),
    ],
)
def test_failed_release_can_resume(rehearsal: Rehearsal, broken: str, jobs: tuple[str, ...]) -> None:
    """A failed release continues at its failed job."""
    rehearsal.commit("1.2.3")
    rehearsal.change_state(broken=[broken])
    with pytest.raises(StepError, match="broken"):
        rehearsal.start().run()
    # GitHub runs failed jobs and the jobs after them again, and keeps the outputs of the others.
    rehearsal.run(*(("tag",) if "attest" in jobs and "tag" not in jobs else ()), *jobs)
    digest = rehearsal.state["tags"][f"{IMAGE}:1.2.3"]
    assert image_of(rehearsal, "v1.2.3") == f"docker://{IMAGE}@{digest}"
    assert rehearsal.state["releases"]["v1.2.3"]["isDraft"] is False
    assert len(rehearsal.state["releases"]["v1.2.3"]["assets"]) == 11


def test_repeated_jobs_change_nothing(rehearsal: Rehearsal) -> None:
    """All jobs after the check can run again without a change."""
    rehearsal.commit("1.2.3")
    rehearsal.start().run()
    tags, state = rehearsal.git(rehearsal.origin, "show-ref"), rehearsal.state
    rehearsal.run("attest", "tag", "action", "publish", "name")
    assert rehearsal.git(rehearsal.origin, "show-ref") == tags
    assert (rehearsal.state["tags"], rehearsal.state["releases"]) == (state["tags"], state["releases"])


def test_image_tag_is_never_replaced(rehearsal: Rehearsal) -> None:
    """A run with another commit of the same version is rejected."""
    rehearsal.commit("1.2.3")
    rehearsal.start().run()
    before = rehearsal.git(rehearsal.origin, "rev-parse", "v1.2.3")
    # Like "Re-run all jobs" without the check: another commit of the same version gives another image.
    rehearsal.commit("1.2.4")
    rehearsal.commit("1.2.3")
    with pytest.raises(StepError, match="rejected"):
        rehearsal.run("images", "index", "tag")
    assert rehearsal.git(rehearsal.origin, "rev-parse", "v1.2.3") == before


def test_existing_version_is_rejected(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.start().run()
    with pytest.raises(StepError, match=r"v1\.2\.3 is there: a version is never released twice"):
        rehearsal.start().run("check")


def test_version_prefix_is_not_rejected(rehearsal: Rehearsal) -> None:
    """Version 1.2.3 can be released after 1.2.30."""
    rehearsal.commit("1.2.30")
    rehearsal.start().run()
    rehearsal.commit("1.2.3")
    rehearsal.start().run("check")


def test_commit_without_ci_is_rejected(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.change_state(passed=[])
    with pytest.raises(StepError, match="CI has not passed"):
        rehearsal.start().run("check")


def test_other_branch_is_rejected(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.reference = "refs/heads/mine"
    with pytest.raises(StepError, match="only main is released, not refs/heads/mine"):
        rehearsal.start().run("check")


@pytest.mark.parametrize("version", ["1.2", "1.2.3rc1", "1.2.3.dev0"])
def test_unfinished_version_is_rejected(rehearsal: Rehearsal, version: str) -> None:
    rehearsal.commit(version)
    with pytest.raises(StepError):
        rehearsal.start().run("check")


def test_fix_of_old_version_moves_no_tag(rehearsal: Rehearsal) -> None:
    """A fix of an older version changes neither the major tag nor the latest release."""
    rehearsal.commit("1.3.0")
    rehearsal.start().run()
    newest = rehearsal.state["tags"][f"{IMAGE}:1"]
    rehearsal.commit("1.2.4")
    rehearsal.start().run()
    assert f"{IMAGE}:1.2.4" in rehearsal.state["tags"]
    assert rehearsal.state["tags"][f"{IMAGE}:1"] == newest != rehearsal.state["tags"][f"{IMAGE}:1.2.4"]
    assert image_of(rehearsal, "v1") == f"docker://{IMAGE}@{newest}"
    assert {tag: each["latest"] for tag, each in rehearsal.state["releases"].items()} == {
        "v1.3.0": True,
        "v1.2.4": False,
    }


def test_older_major_is_not_latest_release(rehearsal: Rehearsal) -> None:
    """The newest version of an older major version is not the latest release."""
    rehearsal.commit("2.0.0")
    rehearsal.start().run()
    rehearsal.commit("1.10.0")
    rehearsal.start().run()
    assert rehearsal.state["releases"]["v1.10.0"]["latest"] is False
    assert f"{IMAGE}:1" in rehearsal.state["tags"]


def test_mutable_release_fails_with_hint(rehearsal: Rehearsal) -> None:
    """The release fails and says which setting makes releases immutable."""
    rehearsal.commit("1.2.3")
    rehearsal.change_state(immutable=False)
    with pytest.raises(StepError, match=r"v1\.2\.3 can be changed: switch on immutable releases"):
        rehearsal.start().run()
    assert "v1" not in rehearsal.git(rehearsal.origin, "tag", "--list").split()
    # As the message says, the release becomes a draft and is published again.
    rehearsal.change_state(
        immutable=True, releases={"v1.2.3": {**rehearsal.state["releases"]["v1.2.3"], "isDraft": True}}
    )
    rehearsal.run("publish", "name")
    assert rehearsal.state["releases"]["v1.2.3"]["immutable"] is True


def test_version_name_stays_with_its_image(rehearsal: Rehearsal) -> None:
    """A version in the registry is never moved to another image."""
    rehearsal.commit("1.2.3")
    rehearsal.start().run(*ORDER[:-1])
    [candidate] = rehearsal.state["tags"]
    other: dict[str, Any] = {"sha256:other": {"parts": []}}
    rehearsal.change_state(
        manifests={**rehearsal.state["manifests"], **other},
        tags={**rehearsal.state["tags"], f"{IMAGE}:1.2.3": "sha256:other"},
    )
    with pytest.raises(StepError, match=r":1\.2\.3 is there already, with sha256:other"):
        rehearsal.run("name")
    assert rehearsal.state["tags"].keys() == {candidate, f"{IMAGE}:1.2.3"}
    assert rehearsal.state["tags"][f"{IMAGE}:1.2.3"] == "sha256:other"


def test_registry_error_stops_naming(rehearsal: Rehearsal) -> None:
    """After an error of the registry, the version is not assumed to be free."""
    rehearsal.commit("1.2.3")
    rehearsal.start().run(*ORDER[:-1])
    rehearsal.change_state(broken=["docker buildx imagetools"])
    with pytest.raises(StepError, match="broken"):
        rehearsal.run("name")
    assert f"{IMAGE}:1.2.3" not in rehearsal.state["tags"]


@pytest.mark.parametrize("job", ["installed", "attest", "pypi", "publish"])
def test_replaced_packages_are_rejected(rehearsal: Rehearsal, job: str) -> None:
    """Packages that differ from the build are neither attested nor published."""
    rehearsal.commit("1.2.3")
    rehearsal.start().run(*ORDER[: ORDER.index(job)])
    (rehearsal.folder / "artifacts" / "packages" / "autonoma_ci.whl").write_text("another wheel")
    with pytest.raises(StepError, match=f"{job}: Verify checksums"):
        rehearsal.run(job)


def test_index_of_other_images_is_rejected(rehearsal: Rehearsal) -> None:
    """An index must consist of exactly the images that were pushed."""
    rehearsal.commit("1.2.3")
    rehearsal.start().run("check", "images")
    # The registry's response has a foreign image too.
    rehearsal.change_state(planted=[{"digest": "sha256:other", "platform": {"architecture": "arm64"}}])
    with pytest.raises(StepError, match="index: Create the image index"):
        rehearsal.run("index")
