"""release.yml as data: its jobs, what they wait for, and where a value that a job is given was first written."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

from tests.support.tables import ROOT


def read(name: str) -> dict[Any, Any]:
    """Return a workflow of this project."""
    found: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))
    return found


WORKFLOW = read("release.yml")
TRIGGERS = WORKFLOW[True]  # YAML 1.1 reads `on` as a truth value
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
EXPRESSION = re.compile(r"\$\{\{ (.+?) \}\}")
_OUTPUT = re.compile(r"(?:needs\.([\w-]+)|steps\.([\w-]+))\.outputs\.([\w-]+)")


class Origin(NamedTuple):
    """The output of a step, in a job."""

    job: str
    step: str
    output: str


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = JOBS[job]["steps"]
    return found


def step(job: str, name: str) -> dict[str, Any]:
    """Return the one step of a job with this id, or with this name."""
    [found] = [each for each in steps(job) if name in {each.get("id"), each["name"]}]
    return found


def waited_for(job: str) -> set[str]:
    """Return all jobs that must have succeeded before this one begins."""
    needs = JOBS[job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*map(waited_for, direct))


def origins(job: str, text: str) -> list[Origin]:
    """Return where the values of a text's expressions were written, through the outputs of the jobs between."""
    found = []
    for other, own, output in _OUTPUT.findall(" ".join(EXPRESSION.findall(text))):
        if own:
            assert step(job, own)
            found.append(Origin(job, own, output))
        else:
            assert other in waited_for(job)
            found += origins(other, JOBS[other]["outputs"][output])
    return found
