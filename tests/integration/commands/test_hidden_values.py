"""Commands show references such as `${NAME}` in place of their values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import run_job
from tests.support.invoke_command import invoke

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_job_output_hides_values(tmp_path: Path) -> None:
    """Log, outputs, summary, results.json, JUnit and page show the reference."""
    (tmp_path / "autonoma.yml").write_text(
        "tests:\n- {id: one, name: 'Pays on ${BRANCH}', groups: ['${TEAM}'], variables: {V: '${BRANCH}'}}\n"
        "- {id: sandbox-fails, name: 'Fails on ${BRANCH:-x}', groups: ['${TEAM}'], matrix: {M: ['${BRANCH}', b]}}\n",
        "utf-8",
    )
    with Sandbox(pace=0) as sandbox:
        environ = {"BRANCH": "sentinel-branch", "TEAM": "sentinel-team", "INPUT_GROUPS": "sentinel-team"}
        environ |= {"INPUT_MANIFEST": "autonoma.yml", "INPUT_WAIT": "true", "INPUT_POLL-INTERVAL": "1s"}
        job = run_job(tmp_path, sandbox.url, [], extra_environ=environ)
        sent_bodies = [json.dumps(run.body) for run in sandbox.received if run.path.endswith("/one/run")]
    assert sent_bodies
    assert all("sentinel-branch" in body for body in sent_bodies)
    assert job.code == 1, job.errors
    assert "sentinel" not in job.visible_text
    files = {
        path.name: path.read_text("utf-8", "replace") for path in (tmp_path / "results").rglob("*") if path.is_file()
    }
    assert not [name for name, text in files.items() if "sentinel" in text]
    assert "Pays on ${BRANCH}" in files["junit.xml"]
    assert [run["label"] for run in job.results_json["runs"]] == [
        "Pays on ${BRANCH}", "Fails on ${BRANCH} [M 1/2]", "Fails on ${BRANCH} [M=b]"
    ]  # fmt: skip


def test_validate_and_dry_run_hide_values(tmp_path: Path) -> None:
    """Neither `validate` nor a dry run prints a value."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, name: 'On ${A}', groups: ['${A}']}]", "utf-8")
    for argv in (
        ("validate",),
        ("--dry-run",),
        ("--dry-run", "--groups", "sentine"),
        ("--dry-run", "--groups", "sentinel"),
    ):
        result = invoke(tmp_path, *argv, environ={"A": "sentinel"})
        assert "sentinel" not in result.output, argv
    assert "PLANNED  On ${A}  — test a\n" in invoke(tmp_path, "--dry-run", environ={"A": "sentinel"}).out
