"""Permissions, order and pinning in the workflows of releases and CI."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.support.generate_docs import ROOT
from tests.system.release.workflow import (
    JOBS,
    TRIGGERS,
    WORKFLOW,
    collect_needed_jobs,
    find_step,
    list_steps,
    read_workflow,
)

# The environment of each job with write access, and the write permissions of its token.
WRITE_PERMISSIONS_BY_JOB = {
    "images": ("candidates", {"packages"}),
    "index": ("candidates", {"packages"}),
    "attest": ("release", {"attestations", "id-token", "packages"}),
    "pypi": ("pypi", {"id-token"}),
    "publish": ("release", {"contents"}),
    "tag-image": ("release", {"packages"}),
}


def test_release_starts_by_hand_only() -> None:
    """The workflow has one manual trigger, and its runs are not cancelled."""
    assert TRIGGERS == {"workflow_dispatch": None}
    assert WORKFLOW["concurrency"] == {"group": "release", "cancel-in-progress": False}


def test_write_access_needs_environments() -> None:
    """Each job with write access waits for the approval of its environment."""
    assert WORKFLOW["permissions"] == {}
    write_permissions = {}
    for name, job in JOBS.items():
        if scopes := {scope for scope, access in job["permissions"].items() if access == "write"}:
            write_permissions[name] = (job.get("environment"), scopes)
    assert write_permissions == WRITE_PERMISSIONS_BY_JOB


def test_tags_are_pushed_with_release_key() -> None:
    """Only the jobs that push tags have the release key, in the environment release."""
    jobs_with_key = {job for job in JOBS for step in list_steps(job) if "secrets." in json.dumps(step)}
    pushing_jobs = {job for job in JOBS for step in list_steps(job) if "release/push.sh" in step.get("run", "")}
    assert jobs_with_key == pushing_jobs == {"tag", "publish"}
    assert {JOBS[job]["environment"] for job in jobs_with_key} == {"release"}
    text = json.dumps(WORKFLOW)
    assert set(re.findall(r"secrets\.\w+", text)) == {"secrets.RELEASE_KEY"}
    # The token of a job can't push changed workflows, and no environment restricts it.
    assert "git push" not in text


def test_writing_jobs_run_no_foreign_code() -> None:
    """Jobs with write access run no code of others, except the Dockerfile, which BuildKit isolates."""
    text = json.dumps({name: JOBS[name] for name in (*WRITE_PERMISSIONS_BY_JOB, "tag")})
    commands = ("pip install", "make ", "docker run", "npm", "anchore/")
    assert [command for command in commands if command in text] == []


def test_release_uses_no_cache() -> None:
    """The release uses no cache, because other workflows could fill it."""
    assert "cache" not in json.dumps(WORKFLOW)


@pytest.mark.parametrize(
    ("job", "required_jobs"),
    [
        ("attest", {"smoke", "sbom-image", "sbom-packages", "packages"}),
        ("tag", {"smoke", "sbom-image", "sbom-packages", "packages"}),
        ("action", {"tag", "attest"}),
        ("pypi", {"action"}),
        ("publish", {"pypi", "attest"}),
        ("tag-image", {"publish"}),
    ],
)
def test_publishing_waits_for_all_checks(job: str, required_jobs: set[str]) -> None:
    """Each publishing job waits for all jobs that it relies on."""
    assert required_jobs | {"check"} <= collect_needed_jobs(job)
    assert "if" not in JOBS[job]


def test_action_runs_after_comparison() -> None:
    """The runner executes the tagged action only after its commit was compared."""
    names = [step.get("uses") or step["name"] for step in list_steps("action")]
    assert names.index("Compare with the pushed commit") < names.index("./")
    [checkout] = [step for step in list_steps("action") if step.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"]["ref"] == "refs/tags/${{ needs.check.outputs.tag }}"


def test_packages_are_verified_after_download() -> None:
    """Each job verifies the checksums of packages in the step after their download."""
    jobs = [job for job in JOBS if any(step["name"] == "Download packages" for step in list_steps(job))]
    assert {"sbom-packages", "attest", "pypi", "publish"} <= set(jobs)
    for job in jobs:
        names = [step["name"] for step in list_steps(job)]
        assert names[names.index("Download packages") + 1] == "Verify checksums"


def test_repeated_job_replaces_artifacts() -> None:
    """Each upload overwrites the artifact of an earlier attempt, because it would fail otherwise."""
    uploads = [step["with"] for job in JOBS for step in list_steps(job) if "upload-artifact" in step.get("uses", "")]
    assert uploads
    assert [upload["name"] for upload in uploads if upload.get("overwrite") is not True] == []


def test_only_major_tag_moves() -> None:
    """No command except the one for the major tag uses force."""
    forced_steps = [
        step["name"] for job in JOBS for step in list_steps(job) if {"--force", "-f"} & set(step.get("run", "").split())
    ]
    assert forced_steps == ["Move the major tag"]


def test_documentation_verifies_signer() -> None:
    """The commands in docs/security.md check the workflow that signed, not only the repository."""
    page = (ROOT / "docs" / "security.md").read_text("utf-8").replace("\\\n", "")
    signer = "https://github.com/OWNER/autonoma-ci/.github/workflows/release.yml@refs/heads/main"
    assert f"signer={signer}\n" in page
    commands = re.findall(r"^(?:gh attestation|cosign) verify .+$", page, re.MULTILINE)
    assert commands
    assert all(re.search(r'--cert(?:ificate)?-identity "\$signer"', command) for command in commands)
    assert [name for name, job in JOBS.items() if "id-token" in job["permissions"]] == ["attest", "pypi"]


def test_builder_image_has_digest() -> None:
    """The image of the builder is pinned by digest in a file that Dependabot updates."""
    text = (ROOT / "release" / "Dockerfile.buildkit").read_text("utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("FROM ")]
    assert re.fullmatch(r"FROM moby/buildkit:v[0-9.]+@sha256:[0-9a-f]{64}", line)
    assert "release/Dockerfile.buildkit" in find_step("images", "push")["run"]


def test_ci_audits_image() -> None:
    """CI fails on a serious vulnerability of the image that has a fix."""
    steps = read_workflow("ci.yml")["jobs"]["audit"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["make audit", "make image"]
    required_inputs = {"image": "autonoma-ci:test", "fail-build": True, "severity-cutoff": "high", "only-fixed": True}
    assert steps[-1]["with"].items() >= required_inputs.items()
    # `make image` builds this image.
    assert "IMAGE ?= autonoma-ci:test\n" in (ROOT / "Makefile").read_text("utf-8")


def test_every_lock_is_audited() -> None:
    """`make audit` reads each lock file of the repository."""
    commands = subprocess.check_output(["make", "-n", "audit"], cwd=ROOT, text=True)
    lock_files = subprocess.check_output(["git", "ls-files", "*.lock"], cwd=ROOT, text=True).split()
    assert lock_files
    assert sorted(re.findall(r"--requirement (\S+)", commands)) == sorted(lock_files)


def test_locked_versions_are_week_old() -> None:
    """`make lock` and Dependabot take only versions that are a week old."""
    commands = subprocess.check_output(["make", "-n", "lock"], cwd=ROOT, text=True).replace("\\\n", "")
    resolutions = re.findall(r"(?:uv pip compile|npm install) .+", commands)
    assert resolutions
    for resolution in resolutions:
        [cutoff] = re.findall(r"(?:--exclude-newer|--before) (\d{4}-\d\d-\d\dT\S+Z)", resolution)
        age = datetime.now(UTC) - datetime.fromisoformat(cutoff)
        assert timedelta(days=7) <= age < timedelta(days=7, hours=1)
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))["updates"]
    assert {update["package-ecosystem"]: update["cooldown"] for update in updates} == {
        name: {"default-days": 7} for name in ("github-actions", "docker", "npm")
    }


def test_ci_checks_pinned_actions_on_github() -> None:
    """The linter of actions queries GitHub with a token that can only read."""
    job = read_workflow("ci.yml")["jobs"]["lint"]
    assert job["permissions"] == {"contents": "read"}
    [step] = [step for step in job["steps"] if step.get("run") == "make lint-actions"]
    assert step["env"] == {"GH_TOKEN": "${{ github.token }}"}
    commands = subprocess.check_output(["make", "-n", "lint-actions"], cwd=ROOT, text=True)
    assert re.search(r"zizmor .*\.github action\.yml", commands)
    assert "offline" not in commands


def test_classifiers_list_tested_versions() -> None:
    """The package lists exactly the Python versions that CI tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    classifiers = [text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert classifiers == read_workflow("ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={classifiers[0]}"


def test_lock_command_reads_every_group() -> None:
    """`make lock` locks each dependency group of the project."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    commands = subprocess.check_output(["make", "-n", "lock"], cwd=ROOT, text=True)
    assert set(re.findall(r"-group (?:\S+:)?(\S+)", commands)) == set(groups)


def test_scorecard_accepts_workflow() -> None:
    """The workflow has none of the keys for which the Scorecard server rejects results.

    Source: https://github.com/ossf/scorecard-action
    """
    workflow = read_workflow("scorecard.yml")
    [job] = workflow["jobs"].values()
    assert not {"env", "defaults"} & {*workflow, *job}
    assert not {"container", "services"} & set(job)
    assert workflow["permissions"] == {}
