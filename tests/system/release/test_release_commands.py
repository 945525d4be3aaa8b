"""Test the docker, gh and cosign calls of a simulated release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.system.release.release_simulator import COMMIT_TIME, JOB_ORDER, ReleaseSimulator, StepError

if TYPE_CHECKING:
    from pathlib import Path

# The tests need jq, which GitHub's runners have.
pytestmark = pytest.mark.linters
IMAGE = "ghcr.io/owner/autonoma-ci"
RUNNERS = {"amd64": "ubuntu-latest", "arm64": "ubuntu-24.04-arm"}


@pytest.fixture(scope="module")
def finished_release(tmp_path_factory: pytest.TempPathFactory) -> ReleaseSimulator:
    """Release 1.2.3 for tests that only read it."""
    simulator = ReleaseSimulator(tmp_path_factory.mktemp("release"))
    simulator.commit("1.2.3")
    simulator.start().run()
    return simulator


@pytest.fixture
def tagged_release(tmp_path: Path) -> ReleaseSimulator:
    """Run the release of 1.2.3 up to its tag."""
    simulator = ReleaseSimulator(tmp_path)
    simulator.commit("1.2.3")
    simulator.start().run(*JOB_ORDER[: JOB_ORDER.index("action")])
    return simulator


def get_digest(finished_release: ReleaseSimulator) -> str:
    return str(finished_release.state["tags"][f"{IMAGE}:1.2.3"])


def get_option(call: dict[str, Any], name: str) -> str:
    return str(call["arguments"][call["arguments"].index(name) + 1])


def list_builds(finished_release: ReleaseSimulator) -> list[dict[str, Any]]:
    return [
        call for call in finished_release.list_calls("images", "docker") if call["arguments"][:2] == ["buildx", "build"]
    ]


def test_ci_passed_on_push_to_main(finished_release: ReleaseSimulator) -> None:
    """The check asks only for successful runs of CI after a push to main."""
    [query] = [call for call in finished_release.list_calls("check", "gh") if call["arguments"][0] == "run"]
    expected = {"--workflow": "ci.yml", "--branch": "main", "--event": "push", "--status": "success"}
    assert {name: get_option(query, name) for name in expected} == expected


def test_image_is_built_on_its_architecture(finished_release: ReleaseSimulator) -> None:
    """Each image is built on a runner of its architecture."""
    runners = {get_option(call, "--platform"): call["where"] for call in list_builds(finished_release)}
    assert runners == {f"linux/{name}": f"images on {runner}" for name, runner in RUNNERS.items()}


def test_image_build_uses_pinned_builder(finished_release: ReleaseSimulator) -> None:
    """The builder is pinned, and an image is pushed by digest with the time of the commit."""
    builders = [
        call["arguments"] for call in finished_release.list_calls("images", "docker") if "create" in call["arguments"]
    ]
    assert builders
    assert all("image=moby/buildkit:" in arguments[-1] for arguments in builders)
    names = {get_option({"arguments": arguments}, "--name") for arguments in builders}
    assert {get_option(call, "--builder") for call in list_builds(finished_release)} == names
    assert {call["epoch"] for call in list_builds(finished_release)} == {COMMIT_TIME}
    outputs = [get_option(call, "--output").split(",") for call in list_builds(finished_release)]
    assert all({"push-by-digest=true", "rewrite-timestamp=true"} <= set(output) for output in outputs)


def test_image_is_tested_on_each_architecture(finished_release: ReleaseSimulator) -> None:
    """Three commands of the joined image run on each architecture."""
    runs = [(call["where"], *call["arguments"][2:]) for call in finished_release.list_calls("smoke", "docker")]
    image = f"{IMAGE}@{get_digest(finished_release)}"
    for runner in RUNNERS.values():
        assert [run for run in runs if run[0] == f"smoke on {runner}" and run[1] == image] == [
            (f"smoke on {runner}", image, "--version"),
            (f"smoke on {runner}", image, "run", "--dry-run", "--test-ids", "sandbox-one"),
            (f"smoke on {runner}", image, "demo"),
        ]


def test_attestations_match_their_images(finished_release: ReleaseSimulator) -> None:
    """Image, architectures and packages have attestations of their own digests."""
    parts = finished_release.state["manifests"][get_digest(finished_release)]["parts"]
    image_inputs = [
        inputs
        for inputs in finished_release.list_action_inputs("attest", "actions/attest")
        if "subject-digest" in inputs
    ]
    assert [(inputs["subject-digest"], inputs.get("sbom-path")) for inputs in image_inputs] == [
        (get_digest(finished_release), None),
        *((part, f"sboms/image-{name}.spdx.json") for part, name in zip(parts, RUNNERS, strict=True)),
    ]
    assert {(inputs["subject-name"], inputs["push-to-registry"]) for inputs in image_inputs} == {(IMAGE, "True")}
    package_inputs = [
        inputs
        for inputs in finished_release.list_action_inputs("attest", "actions/attest")
        if "subject-digest" not in inputs
    ]
    assert package_inputs == [
        {"subject-path": "packages/*"},
        {"subject-path": "packages/*", "sbom-path": "sboms/packages.spdx.json"},
    ]


def test_sbom_matches_its_image(finished_release: ReleaseSimulator) -> None:
    """The SBOM of an architecture lists the image of that architecture."""
    parts = finished_release.state["manifests"][get_digest(finished_release)]["parts"]
    sboms = [
        (inputs["image"], inputs["output-file"])
        for inputs in finished_release.list_action_inputs("sbom-image", "anchore/sbom-action")
    ]
    assert sboms == [
        (f"{IMAGE}@{part}", f"sboms/image-{name}.spdx.json") for part, name in zip(parts, RUNNERS, strict=True)
    ]


def test_image_is_signed_with_its_parts(finished_release: ReleaseSimulator) -> None:
    """The joined image and the images of its architectures are signed."""
    [signing_call] = finished_release.list_calls("attest", "cosign")
    assert signing_call["arguments"] == ["sign", "--yes", "--recursive", f"{IMAGE}@{get_digest(finished_release)}"]


def test_action_of_other_image_is_rejected(tagged_release: ReleaseSimulator) -> None:
    """The tagged action must have the digest of the joined image."""
    tagged_release.replace_outputs("index", "join", digest="sha256:other")
    with pytest.raises(StepError, match="action: Compare with the pushed commit"):
        tagged_release.run("action")


def test_tag_of_other_commit_is_rejected(tagged_release: ReleaseSimulator) -> None:
    """The tag must be at the commit that was pushed."""
    tagged_release.replace_outputs("tag", "pin", commit=tagged_release.git(tagged_release.main, "rev-parse", "HEAD"))
    with pytest.raises(StepError, match="action: Compare with the pushed commit"):
        tagged_release.run("action")


def test_action_without_plan_is_rejected(tagged_release: ReleaseSimulator) -> None:
    """The tagged action must plan a run."""
    tagged_release.change_state(total="0")
    with pytest.raises(StepError, match="action: Check the outputs"):
        tagged_release.run("action")


def test_changed_registry_tag_stops_release(tagged_release: ReleaseSimulator) -> None:
    """The release fails if the registry resolves a name to another image."""
    tagged_release.run("action", "pypi", "publish")
    [part, *_] = tagged_release.state["manifests"]
    tagged_release.change_state(
        manifests={**tagged_release.state["manifests"], "sha256:other": {"parts": [part]}},
        replaced_digests={f"{IMAGE}:1": "sha256:other"},
    )
    with pytest.raises(StepError, match="tag-image: Tag with version"):
        tagged_release.run("tag-image")
