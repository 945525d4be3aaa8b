"""Options that state facts of the build."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from tests.integration.ci.test_native_outputs import Recorder
from tests.support.github_job import POLL_POLICY, START_POLICY
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.rest_stubs import TOKEN, GitHub, GitLab

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autonoma_ci.sandbox import Sandbox

SHA, OTHER_SHA = "c0ffee" * 6 + "abcd", "decade" * 6 + "abcd"
FACTS = {
    "AUTONOMA_SHA": SHA.upper(),
    "AUTONOMA_BRANCH": "refs/heads/feature/login",
    "AUTONOMA_CHANGE": "12",
    "AUTONOMA_BUILD_URL": "https://ci.example.com/builds/7",
}
EXPECTED_FACTS = {
    "sha": SHA,
    "branch": "feature/login",
    "change": "12",
    "build_url": "https://ci.example.com/builds/7",
}
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": OTHER_SHA,
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_RUN_ID": "1",
}
MANIFEST = """\
version: 1
tests:
  - { id: sandbox-one, name: "${ci.branch} ${ci.change}", variables: { COMMIT: "${ci.sha}", BUILD: "${ci.build_url}" } }
"""


def run_command(folder: Path, sandbox: Sandbox, environ: Mapping[str, str], *argv: str) -> tuple[int, str]:
    """Run a step, by default of an unknown CI system."""
    out = io.StringIO()
    base_environ = {
        "CI": "true",
        "AUTONOMA_CLIENT_ID": "sandbox-id",
        "AUTONOMA_CLIENT_SECRET": "sandbox-secret",
        "AUTONOMA_API_URL": sandbox.url,
        "AUTONOMA_RESULTS_DIR": "results",
    }
    job_runtime = Runtime(
        {**base_environ, **environ}, out, out, str(folder), poll_policy=POLL_POLICY, start_policy=START_POLICY
    )
    return cli.run_command(argv, job_runtime), out.getvalue()


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of the build in results.json."""
    build_facts: dict[str, Any] = json.loads((folder / "results" / "results.json").read_text("utf-8"))["ci"]
    return {name: build_facts[name] for name in EXPECTED_FACTS}


def test_facts_apply_to_unknown_system(tmp_path: Path, sandbox: Sandbox) -> None:
    """`CI=true` alone states no fact."""
    assert run_command(tmp_path, sandbox, {"AUTONOMA_TEST_IDS": "sandbox-one"})[0] == 0
    assert set(read_facts(tmp_path).values()) == {""}
    assert run_command(tmp_path, sandbox, {"AUTONOMA_TEST_IDS": "sandbox-one", **FACTS})[0] == 0
    assert read_facts(tmp_path) == EXPECTED_FACTS
    report = (tmp_path / "results" / "summary.md").read_text("utf-8")
    assert "feature/login" in report
    assert SHA[:12] in report
    assert EXPECTED_FACTS["build_url"] in (tmp_path / "results" / "report.html").read_text("utf-8")


def test_facts_reach_manifest(tmp_path: Path, sandbox: Sandbox) -> None:
    """`${ci.*}` in the manifest has the values from the options."""
    (tmp_path / "autonoma.yml").write_text(MANIFEST, "utf-8")
    code, log = run_command(tmp_path, sandbox, {})
    assert code == 2
    assert "${ci.change} is unknown in this job. Set the option change, or write ${ci.change:-default}" in log
    assert "${ci.build_url} is unknown in this job. Set the option build-url, or write" in log
    assert sandbox.received == []
    code, log = run_command(tmp_path, sandbox, FACTS)
    assert code == 0
    assert "feature/login 12" in log
    [request] = sandbox.received
    assert isinstance(request.body, dict)
    assert request.body["runtime_metadata"] == {"COMMIT": SHA, "BUILD": EXPECTED_FACTS["build_url"]}


def test_facts_override_detected_values(tmp_path: Path, sandbox: Sandbox) -> None:
    """An option has priority over the value of the CI system."""
    environ = {**GITHUB, "AUTONOMA_TEST_IDS": "sandbox-one"}
    assert run_command(tmp_path, sandbox, environ)[0] == 0
    detected_facts = read_facts(tmp_path)
    assert (detected_facts["sha"], detected_facts["branch"]) == (OTHER_SHA, "main")
    inputs = {name.replace("AUTONOMA_", "INPUT_").replace("_URL", "-URL"): text for name, text in FACTS.items()}
    assert run_command(tmp_path, sandbox, {**environ, **inputs})[0] == 0
    assert read_facts(tmp_path) == EXPECTED_FACTS
    assert run_command(tmp_path, sandbox, environ, "run", "--branch", "v1.2")[0] == 0
    assert read_facts(tmp_path) == {**detected_facts, "branch": "v1.2"}


def test_wait_needs_same_facts(tmp_path: Path, sandbox: Sandbox) -> None:
    """A results.json of other facts belongs to another build."""
    environ = {**GITHUB, "AUTONOMA_TEST_IDS": "sandbox-one"}
    assert run_command(tmp_path, sandbox, {**environ, **FACTS})[0] == 0
    code, log = run_command(tmp_path, sandbox, environ, "wait", "results")
    assert code == 2
    assert "is not the results.json of this step" in log
    assert run_command(tmp_path, sandbox, environ, "wait", "results", "--sha", SHA)[0] == 0
    assert read_facts(tmp_path)["sha"] == SHA


def test_validate_reads_facts(tmp_path: Path) -> None:
    """`validate` interpolates the manifest with the values from the options."""
    (tmp_path / "autonoma.yml").write_text("version: 1\ntests: [{ id: '${ci.branch}' }]\n", "utf-8")
    assert invoke(tmp_path, "validate").code == 0
    assert invoke(tmp_path, "validate", "--branch", "main").code == 0
    result = invoke(tmp_path, "validate", "--branch", "feature/login")
    assert "invalid id: the value of '${ci.branch}'" in result.err


@pytest.mark.parametrize("option", ["sha", "branch", "build-url"])
def test_credential_as_fact_is_refused(option: str, tmp_path: Path) -> None:
    """A fact is shown in the log, in reports and in comments."""
    secret = SHA
    text = {"sha": secret, "branch": secret, "build-url": f"https://ci.example.com/{secret}"}[option]
    environ = {**CREDENTIALS, "AUTONOMA_CLIENT_SECRET": secret, "AUTONOMA_TEST_IDS": "sandbox-one", "CI": "true"}
    result = invoke(tmp_path, "run", f"--{option}", text, environ=environ)
    assert result.errors == [f"--{option} holds a credential. Check which value is in which option."]
    assert secret not in result.output
    wait_result = invoke(tmp_path, "wait", "results", f"--{option}", text, environ=environ)
    assert f"--{option} holds a credential. Check which value is in which option." in wait_result.errors
    assert secret not in wait_result.output


# Jobs whose CI system states no change request.
BRANCH_JOBS: dict[str, dict[str, str]] = {
    "github": {**GITHUB, "GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/e2e.yml@main"},
    "gitlab": {"GITLAB_CI": "true", "CI_PROJECT_ID": "42", "CI_PROJECT_PATH": "acme/shop", "CI_PIPELINE_ID": "500"},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ci", "more"),
    [
        ("github", {"AUTONOMA_CHANGE": "7"}),
        ("gitlab", {"AUTONOMA_CHANGE": "17"}),
        ("gitlab", {"CI_OPEN_MERGE_REQUESTS": "acme/shop!17"}),
        ("gitlab", {"CI_OPEN_MERGE_REQUESTS": "acme/shop!3", "AUTONOMA_CHANGE": "17"}),
    ],
    ids=["github", "gitlab", "open", "override"],
)
def test_stated_change_gets_comment(ci: str, more: dict[str, str], tmp_path: Path, sandbox: Sandbox) -> None:
    """The comment goes to the change request from the option."""
    with GitHub() if ci == "github" else GitLab() as host:
        base_environ = {"AUTONOMA_TEST_IDS": "sandbox-one", "AUTONOMA_WAIT": "true", "AUTONOMA_COMMENT": "true"}
        tokens = {"AUTONOMA_GITHUB_TOKEN": TOKEN, "AUTONOMA_GITLAB_TOKEN": TOKEN}
        urls = {"GITHUB_API_URL": host.url, "CI_API_V4_URL": host.url}
        environ = {**BRANCH_JOBS[ci], **base_environ, **tokens, **urls}
        assert "No comment: this build has no" in run_command(tmp_path, sandbox, environ)[1]
        assert host.comments == []
        code, log = run_command(tmp_path, sandbox, {**environ, **more})
        assert code == 0
        assert "comment could not" not in log
        [comment] = host.comments
        assert "Passed" in comment.body


def test_foreign_pull_request_gets_no_note(tmp_path: Path, sandbox: Sandbox) -> None:
    """Its number is that of another merge request on GitLab.

    Source: GitLab's documentation, "External pull requests".
    """
    with GitLab() as host:
        base_environ = {"AUTONOMA_TEST_IDS": "sandbox-one", "AUTONOMA_COMMENT": "true", "AUTONOMA_GITLAB_TOKEN": TOKEN}
        environ = {
            **BRANCH_JOBS["gitlab"],
            **base_environ,
            "CI_API_V4_URL": host.url,
            "CI_EXTERNAL_PULL_REQUEST_IID": "17",
        }
        code, log = run_command(tmp_path, sandbox, environ)
        assert host.comments == []
    assert code == 0
    assert "The comment could not be written: the variables of the job do not identify the change." in log


def test_stated_commit_gets_code_insights(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bitbucket states a short hash in pull requests, and a report needs the full one."""
    environ = {
        "BITBUCKET_BUILD_NUMBER": "12",
        "BITBUCKET_COMMIT": SHA[:12],
        "BITBUCKET_WORKSPACE": "acme",
        "BITBUCKET_REPO_SLUG": "shop",
        "AUTONOMA_TEST_IDS": "sandbox-one",
        "AUTONOMA_WAIT": "true",
    }
    with Recorder(body=b'{"values": []}') as proxy:
        monkeypatch.setattr("autonoma_ci.ci.systems.bitbucket.PROXY_URL", proxy.url)
        assert run_command(tmp_path, sandbox, environ)[0] == 0
        assert proxy.requests == []
        assert run_command(tmp_path, sandbox, {**environ, "AUTONOMA_SHA": SHA})[0] == 0
    assert [f"/commit/{SHA}/reports" in path for _, path, _ in proxy.requests] == [True] * len(proxy.requests)
    assert [method for method, _, _ in proxy.requests] == ["GET", "PUT"]
