"""Jobs, dependencies and value origins of release.yml."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

from tests.support.generate_docs import ROOT


def read_workflow(name: str) -> dict[Any, Any]:
    """Read a workflow of this project."""
    found: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))
    return found


WORKFLOW = read_workflow("release.yml")
TRIGGERS = WORKFLOW[True]  # YAML 1.1 reads `on` as a boolean
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
EXPRESSION = re.compile(r"\$\{\{ (.+?) \}\}")
_OUTPUT = re.compile(r"(?:needs\.([\w-]+)|steps\.([\w-]+))\.outputs\.([\w-]+)")


class Origin(NamedTuple):
    """The output of a step, in a job."""

    job: str
    step: str
    output: str


def list_steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = JOBS[job]["steps"]
    return found


def find_step(job: str, name: str) -> dict[str, Any]:
    """Return the step of a job with this id or name."""
    [found] = [each for each in list_steps(job) if name in {each.get("id"), each["name"]}]
    return found


def collect_needed_jobs(job: str) -> set[str]:
    """Return all jobs that must succeed before this job."""
    needs = JOBS[job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*map(collect_needed_jobs, direct))


def trace_origins(job: str, text: str) -> list[Origin]:
    """Return the step outputs that the expressions of a text refer to."""
    found = []
    for other, own, output in _OUTPUT.findall(" ".join(EXPRESSION.findall(text))):
        if own:
            assert find_step(job, own)
            found.append(Origin(job, own, output))
        else:
            assert other in collect_needed_jobs(job)
            found += trace_origins(other, JOBS[other]["outputs"][output])
    return found
