"""A simulated release from a version on main to its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.system.release.release_simulator import JOB_ORDER, RELEASE_KEY, ReleaseSimulator, StepError

if TYPE_CHECKING:
    from pathlib import Path

# The tests need jq, which GitHub's runners have.
pytestmark = pytest.mark.linters
IMAGE = "ghcr.io/owner/autonoma-ci"


@pytest.fixture
def simulator(tmp_path: Path) -> ReleaseSimulator:
    return ReleaseSimulator(tmp_path)


def read_image(simulator: ReleaseSimulator, reference: str) -> str:
    """Return the image of the action at a tag or commit on origin."""
    [line] = [
        line
        for line in simulator.git(simulator.origin, "show", f"{reference}:action.yml").splitlines()
        if "image:" in line
    ]
    return line.removeprefix("  image: ")


def test_release_gives_one_image_everywhere(simulator: ReleaseSimulator) -> None:
    """Tags, images and the release all refer to one signed digest."""
    main = simulator.commit("1.2.3")
    simulator.start().run()
    state = simulator.state
    digest = state["tags"][f"{IMAGE}:1.2.3"]
    assert state["tags"][f"{IMAGE}:1"] == digest
    assert state["signed"] == [digest]
    assert {read_image(simulator, reference) for reference in ("v1", "v1.2.3")} == {f"docker://{IMAGE}@{digest}"}
    assert simulator.git(simulator.origin, "rev-parse", "v1^", "main").split() == [main, main]
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


def test_tags_are_pushed_with_key(simulator: ReleaseSimulator) -> None:
    """Tags are pushed by SSH to a host whose key GitHub's API confirms."""
    simulator.commit("1.2.3")
    simulator.start().run()
    push = {
        "key": f"{RELEASE_KEY}\n",
        "mode": "0o600",
        "hosts": ["github.com ssh-ed25519 AAAAhost1", "github.com ecdsa-sha2-nistp256 AAAAhost2"],
        "strict": True,
        "to": ["git@github.com", "git-receive-pack 'OWNER/autonoma-ci.git'"],
    }
    assert simulator.state["pushed"] == [push, push]


def test_key_is_removed_after_push(simulator: ReleaseSimulator) -> None:
    """No file has the release key after the job that pushes the tag."""
    simulator.commit("1.2.3")
    simulator.start().run(*JOB_ORDER[: JOB_ORDER.index("tag") + 1])
    files_with_key = [
        path
        for path in (simulator.folder / "work").rglob("*")
        if path.is_file() and "b3Bl" in path.read_text("utf-8", "replace")
    ]
    assert files_with_key == []


def test_nothing_is_tagged_before_approval(simulator: ReleaseSimulator) -> None:
    """Before the approval, only a candidate tag exists in the registry."""
    main = simulator.commit("1.2.3")
    simulator.start().run(*JOB_ORDER[: JOB_ORDER.index("attest")])
    assert list(simulator.state["tags"]) == [f"{IMAGE}:candidate-{main}"]
    assert simulator.git(simulator.origin, "tag", "--list") == ""
    assert simulator.state["releases"] == {}


@pytest.mark.parametrize(
    ("command", "jobs"),
    [
        (
            "docker buildx build",
            ("images", "index", "smoke", "sbom-image", "attest", "tag", "action", "pypi", "publish", "tag-image"),
        ),
        ("cosign sign --yes", ("attest", "action", "pypi", "publish", "tag-image")),
        ("gh release create", ("publish", "tag-image")),
        ("gh release upload", ("publish", "tag-image")),
        ("gh release edit", ("publish", "tag-image")),
    ],
)
def test_failed_release_can_resume(simulator: ReleaseSimulator, command: str, jobs: tuple[str, ...]) -> None:
    """A failed release continues at its failed job."""
    simulator.commit("1.2.3")
    simulator.change_state(commands_to_fail=[command])
    with pytest.raises(StepError, match="fails on purpose"):
        simulator.start().run()
    # GitHub runs failed jobs and the jobs after them again, and keeps the outputs of the others.
    simulator.run(*(("tag",) if "attest" in jobs and "tag" not in jobs else ()), *jobs)
    digest = simulator.state["tags"][f"{IMAGE}:1.2.3"]
    assert read_image(simulator, "v1.2.3") == f"docker://{IMAGE}@{digest}"
    assert simulator.state["releases"]["v1.2.3"]["isDraft"] is False
    assert len(simulator.state["releases"]["v1.2.3"]["assets"]) == 11


def test_repeated_jobs_change_nothing(simulator: ReleaseSimulator) -> None:
    """All jobs after the check can run again without a change."""
    simulator.commit("1.2.3")
    simulator.start().run()
    tags, state = simulator.git(simulator.origin, "show-ref"), simulator.state
    simulator.run("attest", "tag", "action", "publish", "tag-image")
    assert simulator.git(simulator.origin, "show-ref") == tags
    assert (simulator.state["tags"], simulator.state["releases"]) == (state["tags"], state["releases"])


def test_image_tag_is_never_replaced(simulator: ReleaseSimulator) -> None:
    """A run with another commit of the same version is rejected."""
    simulator.commit("1.2.3")
    simulator.start().run()
    tagged_commit = simulator.git(simulator.origin, "rev-parse", "v1.2.3")
    # Like "Re-run all jobs" without the check: another commit of the same version gives another image.
    simulator.commit("1.2.4")
    simulator.commit("1.2.3")
    with pytest.raises(StepError, match="rejected"):
        simulator.run("images", "index", "tag")
    assert simulator.git(simulator.origin, "rev-parse", "v1.2.3") == tagged_commit


def test_existing_version_is_rejected(simulator: ReleaseSimulator) -> None:
    """The check fails if the tag of the version exists."""
    simulator.commit("1.2.3")
    simulator.start().run()
    with pytest.raises(StepError, match=r"tag exists: v1\.2\.3\. Raise __version__"):
        simulator.start().run("check")


def test_version_prefix_is_not_rejected(simulator: ReleaseSimulator) -> None:
    """Version 1.2.3 can be released after 1.2.30."""
    simulator.commit("1.2.30")
    simulator.start().run()
    simulator.commit("1.2.3")
    simulator.start().run("check")


def test_commit_without_ci_is_rejected(simulator: ReleaseSimulator) -> None:
    """The check fails if CI has not passed for the commit."""
    simulator.commit("1.2.3")
    simulator.change_state(passed=[])
    with pytest.raises(StepError, match="CI has not passed"):
        simulator.start().run("check")


def test_other_branch_is_rejected(simulator: ReleaseSimulator) -> None:
    """The check fails on a branch other than main."""
    simulator.commit("1.2.3")
    simulator.reference = "refs/heads/mine"
    with pytest.raises(StepError, match="release from another branch: refs/heads/mine"):
        simulator.start().run("check")


@pytest.mark.parametrize("version", ["1.2", "1.2.3rc1", "1.2.3.dev0"])
def test_unfinished_version_is_rejected(simulator: ReleaseSimulator, version: str) -> None:
    """The check fails for a version of another form than three numbers."""
    simulator.commit(version)
    with pytest.raises(StepError):
        simulator.start().run("check")


def test_fix_of_old_version_moves_no_tag(simulator: ReleaseSimulator) -> None:
    """A fix of an older version changes neither the major tag nor the latest release."""
    simulator.commit("1.3.0")
    simulator.start().run()
    newest_digest = simulator.state["tags"][f"{IMAGE}:1"]
    simulator.commit("1.2.4")
    simulator.start().run()
    assert f"{IMAGE}:1.2.4" in simulator.state["tags"]
    assert simulator.state["tags"][f"{IMAGE}:1"] == newest_digest != simulator.state["tags"][f"{IMAGE}:1.2.4"]
    assert read_image(simulator, "v1") == f"docker://{IMAGE}@{newest_digest}"
    assert {tag: release["latest"] for tag, release in simulator.state["releases"].items()} == {
        "v1.3.0": True,
        "v1.2.4": False,
    }


def test_older_major_is_not_latest_release(simulator: ReleaseSimulator) -> None:
    """The newest version of an older major version is not the latest release."""
    simulator.commit("2.0.0")
    simulator.start().run()
    simulator.commit("1.10.0")
    simulator.start().run()
    assert simulator.state["releases"]["v1.10.0"]["latest"] is False
    assert f"{IMAGE}:1" in simulator.state["tags"]


def test_mutable_release_fails_with_hint(simulator: ReleaseSimulator) -> None:
    """The release fails and says which setting makes releases immutable."""
    simulator.commit("1.2.3")
    simulator.change_state(immutable=False)
    with pytest.raises(StepError, match=r"release is mutable: v1\.2\.3\. Enable immutable releases"):
        simulator.start().run()
    assert "v1" not in simulator.git(simulator.origin, "tag", "--list").split()
    # As the message says, the release becomes a draft and is published again.
    simulator.change_state(
        immutable=True, releases={"v1.2.3": {**simulator.state["releases"]["v1.2.3"], "isDraft": True}}
    )
    simulator.run("publish", "tag-image")
    assert simulator.state["releases"]["v1.2.3"]["immutable"] is True


def test_version_name_stays_with_its_image(simulator: ReleaseSimulator) -> None:
    """A version in the registry is never moved to another image."""
    simulator.commit("1.2.3")
    simulator.start().run(*JOB_ORDER[:-1])
    [candidate] = simulator.state["tags"]
    other_manifest: dict[str, Any] = {"sha256:other": {"parts": []}}
    simulator.change_state(
        manifests={**simulator.state["manifests"], **other_manifest},
        tags={**simulator.state["tags"], f"{IMAGE}:1.2.3": "sha256:other"},
    )
    with pytest.raises(StepError, match=r"tag has another digest: \S+:1\.2\.3, sha256:other"):
        simulator.run("tag-image")
    assert simulator.state["tags"].keys() == {candidate, f"{IMAGE}:1.2.3"}
    assert simulator.state["tags"][f"{IMAGE}:1.2.3"] == "sha256:other"


def test_registry_error_stops_naming(simulator: ReleaseSimulator) -> None:
    """After an error of the registry, the version is not assumed to be free."""
    simulator.commit("1.2.3")
    simulator.start().run(*JOB_ORDER[:-1])
    simulator.change_state(commands_to_fail=["docker buildx imagetools"])
    with pytest.raises(StepError, match="fails on purpose"):
        simulator.run("tag-image")
    assert f"{IMAGE}:1.2.3" not in simulator.state["tags"]


@pytest.mark.parametrize("job", ["sbom-packages", "attest", "pypi", "publish"])
def test_replaced_packages_are_rejected(simulator: ReleaseSimulator, job: str) -> None:
    """Packages that differ from the build are neither attested nor published."""
    simulator.commit("1.2.3")
    simulator.start().run(*JOB_ORDER[: JOB_ORDER.index(job)])
    (simulator.folder / "artifacts" / "packages" / "autonoma_ci.whl").write_text("another wheel")
    with pytest.raises(StepError, match=f"{job}: Verify checksums"):
        simulator.run(job)


def test_index_of_other_images_is_rejected(simulator: ReleaseSimulator) -> None:
    """An index must consist of exactly the images that were pushed."""
    simulator.commit("1.2.3")
    simulator.start().run("check", "images")
    # The registry's response has a foreign image too.
    simulator.change_state(extra_manifests=[{"digest": "sha256:other", "platform": {"architecture": "arm64"}}])
    with pytest.raises(StepError, match="index: Create the image index"):
        simulator.run("index")
