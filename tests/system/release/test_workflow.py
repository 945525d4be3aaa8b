"""Rules for release.yml and related workflows."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.support.generate_docs import ROOT
from tests.system.release.workflow import (
    EXPRESSION,
    JOBS,
    TRIGGERS,
    WORKFLOW,
    Origin,
    collect_needed_jobs,
    find_step,
    list_steps,
    read_workflow,
    trace_origins,
)

IMAGE = [Origin("check", "version", "image"), Origin("index", "join", "digest")]
# Write permissions of each job's token, and the environment of the job.
WRITERS = {
    "images": ("candidates", {"packages"}),
    "index": ("candidates", {"packages"}),
    "attest": ("release", {"attestations", "id-token", "packages"}),
    "pypi": ("pypi", {"id-token"}),
    "publish": ("release", {"contents"}),
    "name": ("release", {"packages"}),
}


def test_release_starts_by_hand_only() -> None:
    """The workflow has one manual trigger, and its runs are not cancelled."""
    assert TRIGGERS == {"workflow_dispatch": None}
    assert WORKFLOW["concurrency"] == {"group": "release", "cancel-in-progress": False}


def test_write_access_needs_environments() -> None:
    """The token does not depend on the environment, as SECURITY.md explains."""
    assert WORKFLOW["permissions"] == {}
    found = {}
    for name, job in JOBS.items():
        if writes := {scope for scope, access in job["permissions"].items() if access == "write"}:
            found[name] = (job.get("environment"), writes)
    assert found == WRITERS


def test_tags_are_pushed_with_release_key() -> None:
    """A token cannot push changed workflows, and no environment restricts it."""
    with_key = {job for job in JOBS for each in list_steps(job) if "secrets." in json.dumps(each)}
    pushes = {
        (job, each["run"].partition(" ")[0])
        for job in JOBS
        for each in list_steps(job)
        if "push.sh" in each.get("run", "")
    }
    assert with_key == {job for job, _ in pushes} == {"tag", "publish"}
    assert {program for _, program in pushes} == {"release/push.sh"}
    assert {JOBS[job]["environment"] for job in with_key} == {"release"}
    text = json.dumps(WORKFLOW)
    assert set(re.findall(r"secrets\.\w+", text)) == {"secrets.RELEASE_KEY"}
    assert "git push" not in text
    assert "setup-git" not in text


def test_setup_documents_key_and_tag_rules() -> None:
    """The setup page lists the key and the rule about who may change tags."""
    text = (ROOT / "docs" / "releasing.md").read_text("utf-8").partition("## What must be set up once")[2]
    rows = dict(re.findall(r"^\| (.+) \| (.+) \|$", text, re.MULTILINE))
    assert "`RELEASE_KEY`" in rows["Settings, Environments: `release`"]
    rule = rows["Settings, Rules: a ruleset for tags `v*`"]
    assert all(word in rule for word in ("creation", "update", "deletion", "deploy keys"))


def test_writing_jobs_run_no_foreign_code() -> None:
    """The exception is the Dockerfile, which BuildKit isolates from the job and its token."""
    text = json.dumps({name: JOBS[name] for name in (*WRITERS, "tag")})
    assert [word for word in ("pip install", "make ", "docker run", "npm", "anchore/") if word in text] == []


def test_package_build_runs_no_dependencies() -> None:
    """The job that builds packages installs no dependencies of them."""
    assert [each["run"].partition("\n")[0] for each in list_steps("packages") if "run" in each] == [
        "make dist",
        'echo "sha256=$(sha256sum -- * | sha256sum)" >>"$GITHUB_OUTPUT"',
    ]
    names = [each["name"] for each in list_steps("installed")]
    assert names[-2:] == ["Upload SBOM", "Run the installed program"]


def test_release_uses_no_cache() -> None:
    """Other workflows could fill a cache."""
    assert "cache" not in json.dumps(WORKFLOW)


def test_pinned_digest_is_pushed_one() -> None:
    """The digest in the action is the digest of the pushed index."""
    pin, push, join = find_step("tag", "pin"), find_step("images", "push"), find_step("index", "join")
    assert 'release/pin_image.py "$IMAGE" "$TAG"' in pin["run"]
    assert trace_origins("tag", pin["env"]["IMAGE"]) == IMAGE
    assert EXPRESSION.sub("", pin["env"]["IMAGE"]) == "@"
    # The index consists of the two pushed images, named by digest.
    assert trace_origins("index", join["env"]["AMD64"]) == [Origin("images", "push", "amd64")]
    assert trace_origins("index", join["env"]["ARM64"]) == [Origin("images", "push", "arm64")]
    assert '"$IMAGE@$AMD64" "$IMAGE@$ARM64"' in join["run"]
    architectures = [each["architecture"] for each in JOBS["images"]["strategy"]["matrix"]["include"]]
    assert architectures == list(JOBS["images"]["outputs"]) == ["amd64", "arm64"]
    assert 'echo "$ARCHITECTURE=$digest"' in push["run"]
    assert "push-by-digest=true" in push["run"]


@pytest.mark.parametrize(
    ("job", "name", "key"),
    [
        ("smoke", "Run the pushed image", "IMAGE"),
        ("attest", "Sign the image and each architecture", "IMAGE"),
        ("action", "Compare with the pushed commit", "IMAGE"),
    ],
)
def test_later_jobs_use_pushed_digest(job: str, name: str, key: str) -> None:
    """Jobs that test, list, sign and run the image use the pushed digest."""
    found = find_step(job, name)
    assert trace_origins(job, (found.get("env") or found["with"])[key]) == IMAGE


def test_attestation_has_pushed_digest() -> None:
    given = find_step("attest", "image-provenance")["with"]
    assert [*trace_origins("attest", given["subject-name"]), *trace_origins("attest", given["subject-digest"])] == IMAGE


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_sbom_has_digest_of_its_architecture(
    architecture: str,
) -> None:
    """The SBOM of an architecture is attested for the digest of its image."""
    listed = find_step("sbom", "Create SBOM")["with"]
    assert listed["image"] == "${{ needs.check.outputs.image }}@${{ matrix.digest }}"
    assert listed["output-file"] == "sboms/image-${{ matrix.architecture }}.spdx.json"
    assert (listed["registry-username"], listed["registry-password"]) == ("${{ github.actor }}", "${{ github.token }}")
    rows = [each["strategy"]["matrix"]["include"] for each in (JOBS["images"], JOBS["sbom"])]
    assert [{**row, "digest": f"${{{{ needs.images.outputs.{row['architecture']} }}}}"} for row in rows[0]] == rows[1]
    given = find_step("attest", f"{architecture}-sbom")["with"]
    assert trace_origins("attest", given["subject-name"]) == IMAGE[:1]
    assert trace_origins("attest", given["subject-digest"]) == [Origin("images", "push", architecture)]
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
def test_publishing_waits_for_all_checks(job: str, earlier: set[str]) -> None:
    """Each publishing job waits for all jobs that it relies on."""
    assert earlier <= collect_needed_jobs(job)
    assert collect_needed_jobs(job) >= {"check"}
    assert "if" not in JOBS[job]


def test_runner_executes_tagged_action() -> None:
    names = [each.get("uses") or each["name"] for each in list_steps("action")]
    assert names.index("Compare with the pushed commit") < names.index("./")
    [checkout] = [each for each in list_steps("action") if each.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"]["ref"] == "refs/tags/${{ needs.check.outputs.tag }}"


def test_published_packages_are_built_ones() -> None:
    """All jobs compare the packages with the hash of the build."""
    kept = find_step("packages", "Upload packages")["with"]["name"]
    for job in ("installed", "attest", "pypi", "publish"):
        fetch, compare = find_step(job, "Download packages"), find_step(job, "Verify checksums")
        assert list_steps(job).index(compare) == list_steps(job).index(fetch) + 1
        assert fetch["with"]["name"] == kept
        assert compare["working-directory"] == fetch["with"]["path"]
        assert trace_origins(job, compare["env"]["SHA256"]) == [Origin("packages", "sum", "sha256")]


def test_repeated_job_replaces_artifacts() -> None:
    """Otherwise the upload fails at the artifact of the first attempt."""
    kept = [each["with"] for job in JOBS for each in list_steps(job) if "upload-artifact" in each.get("uses", "")]
    assert len(kept) >= 4
    assert [each["name"] for each in kept if each.get("overwrite") is not True] == []


def test_only_major_tag_moves() -> None:
    """No command except the one for the major tag uses force."""
    forced = [
        (job, each["name"])
        for job in JOBS
        for each in list_steps(job)
        if {"--force", "-f"} & set(each.get("run", "").split())
    ]
    assert forced == [("publish", "Move the major tag")]
    move = find_step("publish", "Move the major tag")
    assert move["if"] == "${{ steps.major.outputs.major != '' }}"
    assert trace_origins("publish", move["env"]["COMMIT"]) == [Origin("tag", "pin", "commit")]


def test_readme_verifies_signer() -> None:
    """Any workflow of the repository can sign, so the repository name is not enough."""
    readme = (ROOT / "README.md").read_text("utf-8").replace("\\\n", "")
    signer = "https://github.com/OWNER/autonoma-ci/.github/workflows/release.yml@refs/heads/main"
    assert f"signer={signer}\n" in readme
    asked = re.findall(r"^(?:gh attestation|cosign) verify .+$", readme, re.MULTILINE)
    assert len(asked) == 4
    assert all(re.search(r'--cert(?:ificate)?-identity "\$signer"', command) for command in asked)
    assert [name for name, job in JOBS.items() if "id-token" in job["permissions"]] == ["attest", "pypi"]


def test_builder_image_has_digest() -> None:
    """The workflow reads it from a file that Dependabot updates."""
    text = (ROOT / "release" / "Dockerfile.buildkit").read_text("utf-8")
    found = [line for line in text.splitlines() if line.startswith("FROM ")]
    assert len(found) == 1
    assert re.fullmatch(r"FROM moby/buildkit:v[0-9.]+@sha256:[0-9a-f]{64}", found[0])
    assert "sed -n 's/^FROM //p' release/Dockerfile.buildkit" in find_step("images", "push")["run"]


def test_documented_rebuild_has_same_options() -> None:
    """The documented commands build the image with the options of the release."""
    text = (ROOT / "docs" / "releasing.md").read_text("utf-8").partition("## Building a release again")[2]
    told, run = text.replace("\\\n", ""), find_step("images", "push")["run"].replace("\\\n", "")
    created = re.compile(r"docker buildx create --name release --driver docker-container")
    assert created.search(told)
    assert created.search(run)
    ways = []
    for commands in (told, run):
        [line] = re.findall(r"docker buildx build .+", commands)
        [output] = re.findall(r'--output "(.+?)"', line)
        # Destination and label change no layer.
        ways.append(
            set(re.findall(r"--(?:builder|provenance|sbom)[ =]\S+|--build-arg SOURCE_DATE_EPOCH", line))
            | {each for each in output.split(",") if each.startswith(("oci-mediatypes=", "rewrite-timestamp="))}
        )
    assert ways[0] == ways[1]
    assert len(ways[0]) == 6
    assert "sed -n 's/^FROM //p' release/Dockerfile.buildkit" in told
    assert "SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) docker buildx build" in told
    assert f"({find_step('packages', 'Set up Python')['with']['python-version']}, from" in told


def test_ci_audits_locks_and_image() -> None:
    """CI fails on a serious vulnerability of the image that has a fix."""
    found = read_workflow("ci.yml")["jobs"]["audit"]["steps"]
    assert [each["run"] for each in found if "run" in each] == ["make audit", "make image"]
    strict = {"image": "autonoma-ci:test", "fail-build": True, "severity-cutoff": "high", "only-fixed": True}
    assert found[-1]["with"].items() >= strict.items()
    # The step before builds this image.
    assert "IMAGE ?= autonoma-ci:test\n" in (ROOT / "Makefile").read_text("utf-8")


def test_every_lock_is_audited() -> None:
    told = subprocess.check_output(["make", "-n", "audit"], cwd=ROOT, text=True)
    kept = subprocess.check_output(["git", "ls-files", "*.lock"], cwd=ROOT, text=True).split()
    assert len(kept) >= 6
    assert sorted(re.findall(r"--requirement (\S+)", told)) == sorted(kept)


def test_locked_versions_are_week_old() -> None:
    """Dependabot does not read the lock files of `make lock`."""
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


def test_ci_checks_pinned_actions_on_github() -> None:
    """The linter of actions queries GitHub with a token that can only read."""
    job = read_workflow("ci.yml")["jobs"]["lint"]
    assert job["permissions"] == {"contents": "read"}
    [asked] = [each for each in job["steps"] if each.get("run") == "make lint-actions"]
    assert asked["env"] == {"GH_TOKEN": "${{ github.token }}"}
    told = subprocess.check_output(["make", "-n", "lint-actions"], cwd=ROOT, text=True)
    assert re.search(r"zizmor .*\.github action\.yml", told)
    assert "offline" not in told


def test_scorecard_accepts_workflow() -> None:
    """The server rejects results of other workflows (https://github.com/ossf/scorecard-action)."""
    workflow = read_workflow("scorecard.yml")
    [job] = workflow["jobs"].values()
    assert not {"env", "defaults"} & {*workflow, *job}
    assert not {"container", "services"} & set(job)
    assert workflow["permissions"] == {}
    used = [each["uses"].partition("@")[0] for each in job["steps"]]
    assert used == ["actions/checkout", "ossf/scorecard-action", "github/codeql-action/upload-sarif"]
    assert job["steps"][1]["with"]["publish_results"] is True
