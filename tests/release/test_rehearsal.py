"""A release, from the version on main to the tags that people use, with GitHub and the registry stood in for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.release.rehearsal import KEY, ORDER, Rehearsal, StepError

if TYPE_CHECKING:
    from pathlib import Path

# They need jq, as GitHub's runners have it.
pytestmark = pytest.mark.linters
IMAGE = "ghcr.io/owner/autonoma-ci"


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    return Rehearsal(tmp_path)


def image_of(rehearsal: Rehearsal, reference: str) -> str:
    """Return what the action of a tag or commit runs, as it is in the repository that people use."""
    [line] = [
        line
        for line in rehearsal.git(rehearsal.origin, "show", f"{reference}:action.yml").splitlines()
        if "image:" in line
    ]
    return line.removeprefix("  image: ")


def test_a_release_gives_one_image_to_all_that_people_use(rehearsal: Rehearsal) -> None:
    main = rehearsal.commit("1.2.3")
    rehearsal.started().run()
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


def test_tags_are_pushed_with_the_key_to_who_is_known_to_be_github(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run()
    push = {
        "key": f"{KEY}\n",
        "mode": "0o600",
        "hosts": ["github.com ssh-ed25519 AAAAhost1", "github.com ecdsa-sha2-nistp256 AAAAhost2"],
        "strict": True,
        "to": ["git@github.com", "git-receive-pack 'OWNER/autonoma-ci.git'"],
    }
    assert rehearsal.state["pushed"] == [push, push]


def test_the_key_is_gone_once_the_tag_is_pushed(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run(*ORDER[: ORDER.index("tag") + 1])
    left = [
        path
        for path in (rehearsal.folder / "work").rglob("*")
        if path.is_file() and "b3Bl" in path.read_text("utf-8", "replace")
    ]
    assert left == []


def test_nothing_has_a_name_before_a_person_has_agreed(rehearsal: Rehearsal) -> None:
    main = rehearsal.commit("1.2.3")
    rehearsal.started().run(*ORDER[: ORDER.index("attest")])
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
def test_a_release_that_failed_is_taken_up_where_it_failed(
    rehearsal: Rehearsal, broken: str, jobs: tuple[str, ...]
) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.change(broken=[broken])
    with pytest.raises(StepError, match="broken"):
        rehearsal.started().run()
    # GitHub runs what failed and what waited for it again; the outputs of the other jobs are kept.
    rehearsal.run(*(("tag",) if "attest" in jobs and "tag" not in jobs else ()), *jobs)
    digest = rehearsal.state["tags"][f"{IMAGE}:1.2.3"]
    assert image_of(rehearsal, "v1.2.3") == f"docker://{IMAGE}@{digest}"
    assert rehearsal.state["releases"]["v1.2.3"]["isDraft"] is False
    assert len(rehearsal.state["releases"]["v1.2.3"]["assets"]) == 11


def test_all_jobs_after_the_check_can_be_run_again_and_change_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run()
    tags, state = rehearsal.git(rehearsal.origin, "show-ref"), rehearsal.state
    rehearsal.run("attest", "tag", "action", "publish", "name")
    assert rehearsal.git(rehearsal.origin, "show-ref") == tags
    assert (rehearsal.state["tags"], rehearsal.state["releases"]) == (state["tags"], state["releases"])


def test_another_image_never_takes_the_tag_of_a_version(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run()
    before = rehearsal.git(rehearsal.origin, "rev-parse", "v1.2.3")
    # As after "re-run all jobs" if the check were not there: a commit of the same version, and so another image.
    rehearsal.commit("1.2.4")
    rehearsal.commit("1.2.3")
    with pytest.raises(StepError, match="rejected"):
        rehearsal.run("images", "index", "tag")
    assert rehearsal.git(rehearsal.origin, "rev-parse", "v1.2.3") == before


def test_a_version_that_is_there_is_refused(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run()
    with pytest.raises(StepError, match=r"v1\.2\.3 is there: a version is never released twice"):
        rehearsal.started().run("check")


def test_a_version_that_another_begins_with_is_not_refused(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.30")
    rehearsal.started().run()
    rehearsal.commit("1.2.3")
    rehearsal.started().run("check")


def test_a_commit_whose_ci_has_not_passed_is_refused(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.change(passed=[])
    with pytest.raises(StepError, match="CI has not passed"):
        rehearsal.started().run("check")


def test_another_branch_is_refused(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.reference = "refs/heads/mine"
    with pytest.raises(StepError, match="only main is released, not refs/heads/mine"):
        rehearsal.started().run("check")


@pytest.mark.parametrize("version", ["1.2", "1.2.3rc1", "1.2.3.dev0"])
def test_what_is_no_finished_version_is_refused(rehearsal: Rehearsal, version: str) -> None:
    rehearsal.commit(version)
    with pytest.raises(StepError):
        rehearsal.started().run("check")


def test_a_fix_of_an_older_version_moves_nothing_that_a_newer_one_has(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.3.0")
    rehearsal.started().run()
    newest = rehearsal.state["tags"][f"{IMAGE}:1"]
    rehearsal.commit("1.2.4")
    rehearsal.started().run()
    assert f"{IMAGE}:1.2.4" in rehearsal.state["tags"]
    assert rehearsal.state["tags"][f"{IMAGE}:1"] == newest != rehearsal.state["tags"][f"{IMAGE}:1.2.4"]
    assert image_of(rehearsal, "v1") == f"docker://{IMAGE}@{newest}"
    assert {tag: each["latest"] for tag, each in rehearsal.state["releases"].items()} == {
        "v1.3.0": True,
        "v1.2.4": False,
    }


def test_the_newest_of_an_older_major_version_is_not_the_latest_release(rehearsal: Rehearsal) -> None:
    rehearsal.commit("2.0.0")
    rehearsal.started().run()
    rehearsal.commit("1.10.0")
    rehearsal.started().run()
    assert rehearsal.state["releases"]["v1.10.0"]["latest"] is False
    assert f"{IMAGE}:1" in rehearsal.state["tags"]


def test_a_release_that_can_be_changed_fails_and_says_what_to_switch_on(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.change(immutable=False)
    with pytest.raises(StepError, match=r"v1\.2\.3 can be changed: switch on immutable releases"):
        rehearsal.started().run()
    assert "v1" not in rehearsal.git(rehearsal.origin, "tag", "--list").split()
    # As that says: turned back into a draft, and published again.
    rehearsal.change(immutable=True, releases={"v1.2.3": {**rehearsal.state["releases"]["v1.2.3"], "isDraft": True}})
    rehearsal.run("publish", "name")
    assert rehearsal.state["releases"]["v1.2.3"]["immutable"] is True


def test_the_name_of_a_version_is_not_given_to_another_image(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run(*ORDER[:-1])
    [candidate] = rehearsal.state["tags"]
    other: dict[str, Any] = {"sha256:other": {"parts": []}}
    rehearsal.change(
        manifests={**rehearsal.state["manifests"], **other},
        tags={**rehearsal.state["tags"], f"{IMAGE}:1.2.3": "sha256:other"},
    )
    with pytest.raises(StepError, match=r":1\.2\.3 is there already, with sha256:other"):
        rehearsal.run("name")
    assert rehearsal.state["tags"].keys() == {candidate, f"{IMAGE}:1.2.3"}
    assert rehearsal.state["tags"][f"{IMAGE}:1.2.3"] == "sha256:other"


def test_a_registry_that_does_not_say_whether_a_version_is_there_is_not_believed(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run(*ORDER[:-1])
    rehearsal.change(broken=["docker buildx imagetools"])
    with pytest.raises(StepError, match="broken"):
        rehearsal.run("name")
    assert f"{IMAGE}:1.2.3" not in rehearsal.state["tags"]


@pytest.mark.parametrize("job", ["installed", "attest", "pypi", "publish"])
def test_packages_that_another_job_has_put_in_the_place_of_those_that_were_built_go_nowhere(
    rehearsal: Rehearsal, job: str
) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run(*ORDER[: ORDER.index(job)])
    (rehearsal.folder / "artifacts" / "packages" / "autonoma_ci.whl").write_text("another wheel")
    with pytest.raises(StepError, match=f"{job}: Compare them with what was built"):
        rehearsal.run(job)


def test_an_index_of_other_images_than_those_that_were_pushed_is_refused(rehearsal: Rehearsal) -> None:
    rehearsal.commit("1.2.3")
    rehearsal.started().run("check", "images")
    # What the registry answers with has somebody's image too.
    rehearsal.change(planted=[{"digest": "sha256:other", "platform": {"architecture": "arm64"}}])
    with pytest.raises(StepError, match="index: Join the images"):
        rehearsal.run("index")
