"""Outputs read by the programs of the CI systems."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.ci.publishers.build_variables import UNSET_TEXT
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.reports.outputs import build_outputs
from tests.architecture.package import ROOT
from tests.integration.ci.test_steps_of_one_build import SEMAPHORE, AgentProgram
from tests.support import github_parser as runner
from tests.support import grammars
from tests.support.act_env_file import LostOutputsError, read_env_file
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_failed_run, make_passed_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autonoma_ci.models import Report

SYSTEMS = {row.name: load_system(row) for row in DETECTION_RULES}
LARGE_REPORT = create_report([make_failed_run(f"id-{number}", "\u6f22" * 40) for number in range(2500)], PASSED_VERDICT)


def publish(name: str, environ: Mapping[str, str], folder: Path, job_report: Report) -> list[str]:
    """Publish a report in a CI system, and return the warnings."""
    publishers = SYSTEMS[name].create_publishers(make_publish_context(environ, folder, summary=False))
    return [warning for publisher in publishers for warning in publisher.publish(job_report)]


# Gitea, Forgejo and act


@pytest.mark.parametrize(
    ("name", "more"),
    [("gitea", {}), ("forgejo", {}), ("github", {"ACT": "true"}), ("github", {"GITEA_ACTIONS": "true"})],
)
def test_act_reads_outputs_of_large_plan(name: str, more: dict[str, str], tmp_path: Path) -> None:
    """The outputs of a large plan are readable by act.

    Source: nektos/act, pkg/container/parse_env_file.go, before commit 67e332e8.
    """
    path = tmp_path / "output"
    warnings = publish(name, {"GITHUB_OUTPUT": str(path), **more}, tmp_path, LARGE_REPORT)
    outputs = read_env_file(path.read_bytes())
    assert outputs == build_outputs(LARGE_REPORT, 60_000)
    assert outputs["total"] == "2500"
    counts = {output_name: len(json.loads(outputs[output_name])) for output_name in ("run-urls", "results")}
    assert [re.findall(r"'(.+)' holds the first (\d+) runs", warning) for warning in warnings] == [
        [(output_name, str(count))] for output_name, count in counts.items()
    ]


def test_github_outputs_exceed_act_limit(tmp_path: Path) -> None:
    """Outputs on GitHub may be longer than act can read."""
    path = tmp_path / "output"
    publish("github", {"GITHUB_OUTPUT": str(path)}, tmp_path, LARGE_REPORT)
    assert len(runner.parse_outputs(path.read_text("utf-8"))["results"]) > 100_000
    with pytest.raises(LostOutputsError):
        read_env_file(path.read_bytes())


@pytest.mark.slow
@given(st.integers(1, 4000), st.integers(1, 2000))
def test_outputs_fit_line_limit_of_act(runs: int, length: int) -> None:
    """Each output line is shorter than act's line limit of 64 KiB."""
    url = f"https://a.example/{'a' * length}"
    job_report = create_report([make_failed_run(f"id-{number}")._replace(url=url) for number in range(runs)])
    lines = [f"{name}={text}" for name, text in build_outputs(job_report, 60_000).items()]
    assert all(len(line.encode()) < 65_536 for line in lines)


# Semaphore


@pytest.mark.parametrize(
    ("url", "is_stored"),
    [
        ("https://autonoma.app/run/a", True),
        ("https://autonoma.app/run/a?tab=steps", False),
        ("https://autonoma.app/" + "a" * 25_000, False),
        ("https://autonoma.app/run/a?token=YQ==", False),
    ],
    ids=["plain", "query", "long", "padding"],
)
def test_semaphore_accepts_every_value(url: str, is_stored: bool, tmp_path: Path) -> None:
    """No value is empty or has a second `=`, because sem-context rejects those.

    Source: semaphoreci/toolbox, sem-context/pkg/validators/validators.go.
    """
    checkout = tmp_path / "work"
    checkout.mkdir()
    program = AgentProgram(tmp_path, "sem-context", SEMAPHORE)
    environ = {"PATH": program.path, "SEMAPHORE_PIPELINE_ID": "p1"}
    for link in ("https://autonoma.app/run/first", url):
        job_report = create_report([make_passed_run("a")._replace(url=link)], PASSED_VERDICT)._replace(step_id="1" * 16)
        warnings = publish("semaphore", environ, checkout, job_report)
    assert len(warnings) == (not is_stored)
    assert all("AUTONOMA_RUN_URL left empty (" in warning for warning in warnings)
    assert program.data["AUTONOMA_RUN_URL"] == (url if is_stored else UNSET_TEXT)
    assert program.data["AUTONOMA_RUN_ID"] == "run-a"


# Harness


def test_docs_name_harness_version_for_outputs() -> None:
    """Older versions of the Harness engine drop the outputs of a failed step.

    Source: harness/lite-engine, pipeline/runtime/run.go.
    """
    page = " ".join((ROOT / "docs" / "reference" / "outputs.md").read_text("utf-8").split())
    assert "On Harness, later steps can rely on the outputs only if the step ends with exit code 0." in page
    assert "only after exit code 0" in (ROOT / "examples" / "harness.yml").read_text("utf-8")


# Travis


@pytest.mark.parametrize(
    "text",
    [
        "travis_fold:start:a",
        "Sign in: travis_fold:end:autonoma_1",
        "unfold:end:x",
        "downtime:start:0a1b",
        "travis_time:end:0a1b:start=1,finish=2,duration=1",
        "fold:\u200bstart:x time:\u2060end:y",
    ],
)
def test_travis_lines_never_match_fold(text: str) -> None:
    """The log viewer replaces a whole line that contains a fold command."""
    assert grammars.find_travis_folds(escape_log_line(text)) == []
    assert grammars.find_travis_folds(text.replace("\u200b", "").replace("\u2060", ""))


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("azure", "time:start:1"),
        ("teamcity", "time:start:1"),
        ("azure", "from=$(SYSTEM_ACCESSTOKEN)"),
        ("teamcity", "from=%env.SECRET%"),
        ("teamcity", "from=%20%20"),
    ],
)
def test_log_values_are_exact_or_empty(name: str, query: str, tmp_path: Path) -> None:
    """A link that contains a reference is broken or shows a secret, so it is left out.

    Source: microsoft/azure-pipelines-agent, src/Agent.Worker/Variables.cs; JetBrains's documentation, "Kotlin DSL".
    """
    lines: list[str] = []
    job_report = create_report(
        [make_passed_run("a")._replace(url=f"https://autonoma.app/run/a?{query}")], PASSED_VERDICT
    )
    environ = {"AGENT_TEMPDIRECTORY": str(tmp_path)}
    [publisher] = SYSTEMS[name].create_publishers(
        make_publish_context(environ, tmp_path, summary=False, log_lines=lines)
    )
    warnings = publisher.publish(job_report)
    assert "AUTONOMA_RUN_URL and AUTONOMA_RUN_URLS left empty (" in warnings[0]
    assert not [line for line in lines if "run/a" in line and "RUN_URL" in line]
    assert [line for line in lines if "AUTONOMA_RUN_ID" in line and "run-a" in line]
