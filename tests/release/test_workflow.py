"""What must be true of release.yml, whatever else is changed in it."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.release.workflow import EXPRESSION, JOBS, TRIGGERS, WORKFLOW, Origin, origins, read, step, steps, waited_for
from tests.support.tables import ROOT

IMAGE = [Origin("check", "version", "image"), Origin("index", "join", "digest")]
# What the token of a job may write, and the environment that the job waits for.
WRITERS = {
    "images": ("candidates", {"packages"}),
    "index": ("candidates", {"packages"}),
    "attest": ("release", {"attestations", "id-token", "packages"}),
    "pypi": ("pypi", {"id-token"}),
    "publish": ("release", {"contents"}),
    "name": ("release", {"packages"}),
}


def test_it_is_started_by_hand_alone_and_never_cut_short() -> None:
    assert TRIGGERS == {"workflow_dispatch": None}
    assert WORKFLOW["concurrency"] == {"group": "release", "cancel-in-progress": False}


def test_each_job_may_write_one_kind_of_thing_and_names_the_environment_that_it_waits_for() -> None:
    """The workflow's token does not depend on the environment: SECURITY.md says what that means for the registry."""
    assert WORKFLOW["permissions"] == {}
    found = {}
    for name, job in JOBS.items():
        if writes := {scope for scope, access in job["permissions"].items() if access == "write"}:
            found[name] = (job.get("environment"), writes)
    assert found == WRITERS


def test_tags_are_pushed_with_the_key_of_the_environment_that_waits_for_a_person_and_with_nothing_else() -> None:
    """A token may not push what differs from every branch in its workflows, and no environment holds it back."""
    with_key = {job for job in JOBS for each in steps(job) if "secrets." in json.dumps(each)}
    pushes = {
        (job, each["run"].partition(" ")[0]) for job in JOBS for each in steps(job) if "push.sh" in each.get("run", "")
    }
    assert with_key == {job for job, _ in pushes} == {"tag", "publish"}
    assert {program for _, program in pushes} == {"release/push.sh"}
    assert {JOBS[job]["environment"] for job in with_key} == {"release"}
    text = json.dumps(WORKFLOW)
    assert set(re.findall(r"secrets\.\w+", text)) == {"secrets.RELEASE_KEY"}
    assert "git push" not in text
    assert "setup-git" not in text


def test_what_must_be_set_up_tells_of_the_key_and_of_who_may_change_tags() -> None:
    text = (ROOT / "docs" / "releasing.md").read_text("utf-8").partition("## What must be set up once")[2]
    rows = dict(re.findall(r"^\| (.+) \| (.+) \|$", text, re.MULTILINE))
    assert "`RELEASE_KEY`" in rows["Settings, Environments: `release`"]
    rule = rows["Settings, Rules: a ruleset for tags `v*`"]
    assert all(word in rule for word in ("creation", "update", "deletion", "deploy keys"))


def test_a_job_that_writes_neither_installs_nor_scans_nor_starts_what_comes_from_elsewhere() -> None:
    """But for the Dockerfile's build in `images`, which BuildKit keeps apart from the job and its token."""
    text = json.dumps({name: JOBS[name] for name in (*WRITERS, "tag")})
    assert [word for word in ("pip install", "make ", "docker run", "npm", "anchore/") if word in text] == []


def test_what_builds_the_packages_runs_nothing_that_they_depend_on() -> None:
    assert [each["run"].partition("\n")[0] for each in steps("packages") if "run" in each] == [
        "make dist",
        'echo "sha256=$(sha256sum -- * | sha256sum)" >>"$GITHUB_OUTPUT"',
    ]
    names = [each["name"] for each in steps("installed")]
    assert names[-2:] == ["Keep the list", "Try what was installed"]


def test_nothing_comes_out_of_a_cache_that_another_workflow_could_fill() -> None:
    assert "cache" not in json.dumps(WORKFLOW)


def test_what_is_pinned_is_the_digest_of_what_was_pushed() -> None:
    pin, push, join = step("tag", "pin"), step("images", "push"), step("index", "join")
    assert 'release/pin_image.py "$IMAGE" "$TAG"' in pin["run"]
    assert origins("tag", pin["env"]["IMAGE"]) == IMAGE
    assert EXPRESSION.sub("", pin["env"]["IMAGE"]) == "@"
    # The index consists of the two images that the steps before have pushed, named by their digests.
    assert origins("index", join["env"]["AMD64"]) == [Origin("images", "push", "amd64")]
    assert origins("index", join["env"]["ARM64"]) == [Origin("images", "push", "arm64")]
    assert '"$IMAGE@$AMD64" "$IMAGE@$ARM64"' in join["run"]
    architectures = [each["architecture"] for each in JOBS["images"]["strategy"]["matrix"]["include"]]
    assert architectures == list(JOBS["images"]["outputs"]) == ["amd64", "arm64"]
    assert 'echo "$ARCHITECTURE=$digest"' in push["run"]
    assert "push-by-digest=true" in push["run"]


@pytest.mark.parametrize(
    ("job", "name", "key"),
    [
        ("smoke", "Run what was pushed", "IMAGE"),
        ("attest", "Sign the image, and its part for each architecture", "IMAGE"),
        ("action", "Compare it with what was pushed", "IMAGE"),
    ],
)
def test_what_is_tried_listed_signed_and_run_is_that_digest_too(job: str, name: str, key: str) -> None:
    found = step(job, name)
    assert origins(job, (found.get("env") or found["with"])[key]) == IMAGE


def test_what_is_attested_to_come_from_here_is_that_digest_too() -> None:
    given = step("attest", "image-provenance")["with"]
    assert [*origins("attest", given["subject-name"]), *origins("attest", given["subject-digest"])] == IMAGE


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_what_the_image_of_an_architecture_consists_of_is_listed_there_and_attested_of_its_digest(
    architecture: str,
) -> None:
    listed = step("sbom", "List what the image consists of")["with"]
    assert listed["image"] == "${{ needs.check.outputs.image }}@${{ matrix.digest }}"
    assert listed["output-file"] == "sboms/image-${{ matrix.architecture }}.spdx.json"
    assert (listed["registry-username"], listed["registry-password"]) == ("${{ github.actor }}", "${{ github.token }}")
    rows = [each["strategy"]["matrix"]["include"] for each in (JOBS["images"], JOBS["sbom"])]
    assert [{**row, "digest": f"${{{{ needs.images.outputs.{row['architecture']} }}}}"} for row in rows[0]] == rows[1]
    given = step("attest", f"{architecture}-sbom")["with"]
    assert origins("attest", given["subject-name"]) == IMAGE[:1]
    assert origins("attest", given["subject-digest"]) == [Origin("images", "push", architecture)]
    assert given["sbom-path"] == f"sboms/image-{architecture}.spdx.json"


@pytest.mark.parametrize(
    ("job", "earlier"),
    [
        ("attest", {"smoke", "sbom", "installed", "packages"}),
        ("tag", {"smoke", "sbom", "installed", "packages"}),
        ("action", {"tag", "attest"}),
        ("pypi", {"action"}),
        ("publish", {"pypi", "attest"}),
        ("name", {"publish"}),
    ],
)
def test_nothing_is_published_before_what_it_rests_on(job: str, earlier: set[str]) -> None:
    assert earlier <= waited_for(job)
    assert waited_for(job) >= {"check"}
    assert "if" not in JOBS[job]


def test_the_tagged_action_is_run_by_the_runner_itself() -> None:
    names = [each.get("uses") or each["name"] for each in steps("action")]
    assert names.index("Compare it with what was pushed") < names.index("./")
    [checkout] = [each for each in steps("action") if each.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"]["ref"] == "refs/tags/${{ needs.check.outputs.tag }}"


def test_the_packages_on_pypi_are_those_that_are_attested_and_released() -> None:
    kept = step("packages", "Keep the packages")["with"]["name"]
    for job in ("installed", "attest", "pypi", "publish"):
        fetch, compare = step(job, "Fetch the packages"), step(job, "Compare them with what was built")
        assert steps(job).index(compare) == steps(job).index(fetch) + 1
        assert fetch["with"]["name"] == kept
        assert compare["working-directory"] == fetch["with"]["path"]
        assert origins(job, compare["env"]["SHA256"]) == [Origin("packages", "sum", "sha256")]


def test_a_job_that_is_run_again_replaces_what_it_had_kept() -> None:
    """Otherwise the action fails on the artifact of the first attempt."""
    kept = [each["with"] for job in JOBS for each in steps(job) if "upload-artifact" in each.get("uses", "")]
    assert len(kept) >= 4
    assert [each["name"] for each in kept if each.get("overwrite") is not True] == []


def test_no_tag_but_that_of_the_major_version_is_ever_moved() -> None:
    forced = [
        (job, each["name"])
        for job in JOBS
        for each in steps(job)
        if {"--force", "-f"} & set(each.get("run", "").split())
    ]
    assert forced == [("publish", "Move the major tag")]
    move = step("publish", "Move the major tag")
    assert move["if"] == "${{ steps.major.outputs.major != '' }}"
    assert origins("publish", move["env"]["COMMIT"]) == [Origin("tag", "pin", "commit")]


def test_whoever_checks_a_release_is_told_to_ask_for_the_workflow_that_signs_it_on_main() -> None:
    """Any workflow of the repository can sign as itself, so the repository alone says too little."""
    readme = (ROOT / "README.md").read_text("utf-8").replace("\\\n", "")
    signer = "https://github.com/OWNER/autonoma-ci/.github/workflows/release.yml@refs/heads/main"
    assert f"signer={signer}\n" in readme
    asked = re.findall(r"^(?:gh attestation|cosign) verify .+$", readme, re.MULTILINE)
    assert len(asked) == 4
    assert all(re.search(r'--cert(?:ificate)?-identity "\$signer"', command) for command in asked)
    assert [name for name, job in JOBS.items() if "id-token" in job["permissions"]] == ["attest", "pypi"]


def test_what_builds_the_images_is_named_by_digest() -> None:
    """The workflow reads it from a file that Dependabot keeps up to date."""
    text = (ROOT / "release" / "Dockerfile.buildkit").read_text("utf-8")
    found = [line for line in text.splitlines() if line.startswith("FROM ")]
    assert len(found) == 1
    assert re.fullmatch(r"FROM moby/buildkit:v[0-9.]+@sha256:[0-9a-f]{64}", found[0])
    assert "sed -n 's/^FROM //p' release/Dockerfile.buildkit" in step("images", "push")["run"]


def test_a_release_can_be_built_again_with_the_options_that_made_it() -> None:
    text = (ROOT / "docs" / "releasing.md").read_text("utf-8").partition("## Building a release again")[2]
    told, run = text.replace("\\\n", ""), step("images", "push")["run"].replace("\\\n", "")
    created = re.compile(r"docker buildx create --name release --driver docker-container")
    assert created.search(told)
    assert created.search(run)
    ways = []
    for commands in (told, run):
        [line] = re.findall(r"docker buildx build .+", commands)
        [output] = re.findall(r'--output "(.+?)"', line)
        # Where it goes to, and what its label says, changes no layer.
        ways.append(
            set(re.findall(r"--(?:builder|provenance|sbom)[ =]\S+|--build-arg SOURCE_DATE_EPOCH", line))
            | {each for each in output.split(",") if each.startswith(("oci-mediatypes=", "rewrite-timestamp="))}
        )
    assert ways[0] == ways[1]
    assert len(ways[0]) == 6
    assert "sed -n 's/^FROM //p' release/Dockerfile.buildkit" in told
    assert "SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) docker buildx build" in told
    assert f"({step('packages', 'Set up Python')['with']['python-version']}, from" in told


def test_ci_looks_up_the_locks_and_fails_on_a_serious_weakness_of_the_image_that_has_a_cure() -> None:
    found = read("ci.yml")["jobs"]["audit"]["steps"]
    assert [each["run"] for each in found if "run" in each] == ["make audit", "make image"]
    strict = {"image": "autonoma-ci:test", "fail-build": True, "severity-cutoff": "high", "only-fixed": True}
    assert found[-1]["with"].items() >= strict.items()
    # That is the image which the step before has built.
    assert "IMAGE ?= autonoma-ci:test\n" in (ROOT / "Makefile").read_text("utf-8")


def test_every_lock_is_looked_up() -> None:
    told = subprocess.check_output(["make", "-n", "audit"], cwd=ROOT, text=True)
    kept = subprocess.check_output(["git", "ls-files", "*.lock"], cwd=ROOT, text=True).split()
    assert len(kept) >= 6
    assert sorted(re.findall(r"--requirement (\S+)", told)) == sorted(kept)


def test_nothing_is_locked_that_has_been_out_for_less_than_a_week() -> None:
    """Dependabot has a setting for it, but reads no *.lock; these are made by `make lock`."""
    told = subprocess.check_output(["make", "-n", "lock"], cwd=ROOT, text=True)
    taken = re.findall(r"(?:uv pip compile|npm install) .+", told.replace("\\\n", ""))
    days = [re.findall(r"(?:--exclude-newer|--before) (\d{4}-\d\d-\d\dT\S+Z)", line) for line in taken]
    assert len(days) == 7
    ages = [datetime.now(UTC) - datetime.fromisoformat(day) for [day] in days]
    assert all(timedelta(days=7) <= age < timedelta(days=7, hours=1) for age in ages)
    assert re.search(r"install --quiet uv==\S+\n", told)
    kept = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))["updates"]
    assert {each["package-ecosystem"]: each["cooldown"] for each in kept} == {
        name: {"default-days": 7} for name in ("github-actions", "docker", "npm")
    }


def test_ci_asks_github_about_the_pinned_actions_with_a_token_that_reads() -> None:
    job = read("ci.yml")["jobs"]["lint"]
    assert job["permissions"] == {"contents": "read"}
    [asked] = [each for each in job["steps"] if each.get("run") == "make lint-actions"]
    assert asked["env"] == {"GH_TOKEN": "${{ github.token }}"}
    told = subprocess.check_output(["make", "-n", "lint-actions"], cwd=ROOT, text=True)
    assert re.search(r"zizmor .*\.github action\.yml", told)
    assert "offline" not in told


def test_the_scorecard_s_server_takes_the_results_of_its_workflow() -> None:
    """It wants to know that nothing else can have touched them: https://github.com/ossf/scorecard-action."""
    workflow = read("scorecard.yml")
    [job] = workflow["jobs"].values()
    assert not {"env", "defaults"} & {*workflow, *job}
    assert not {"container", "services"} & set(job)
    assert workflow["permissions"] == {}
    used = [each["uses"].partition("@")[0] for each in job["steps"]]
    assert used == ["actions/checkout", "ossf/scorecard-action", "github/codeql-action/upload-sarif"]
    assert job["steps"][1]["with"]["publish_results"] is True
