"""Jobs and steps of release.yml."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.generate_docs import ROOT


def read_workflow(name: str) -> dict[Any, Any]:
    """Read a workflow of this project."""
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))
    return workflow


WORKFLOW = read_workflow("release.yml")
TRIGGERS = WORKFLOW[True]  # YAML 1.1 reads `on` as a boolean
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


def list_steps(job: str) -> list[dict[str, Any]]:
    """Return the steps of a job."""
    steps: list[dict[str, Any]] = JOBS[job]["steps"]
    return steps


def find_step(job: str, name: str) -> dict[str, Any]:
    """Return the step of a job with this id or name."""
    [step] = [step for step in list_steps(job) if name in {step.get("id"), step["name"]}]
    return step


def collect_needed_jobs(job: str) -> set[str]:
    """Return all jobs that must succeed before this job."""
    needs = JOBS[job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*map(collect_needed_jobs, direct))
