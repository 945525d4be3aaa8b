"""Secrets that are everyday words change no result, output or link."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from lxml import etree

from autonoma_ci.escaping import safe_url
from autonoma_ci.reports.results_schema import results_json_schema
from tests.support.github_job import run_job

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.sandbox import Sandbox
    from tests.support.github_job import JobResult

IDS = ["sandbox-one", "sandbox-fails", "sandbox-404"]
FAST_WORDS = ("passed", "run")
SLOW_WORDS = (
    "a", "1", "***",
    "test", "true", "failed", "started", "not-started", "error", "null", "json", "http", "https", "name",
    "system-out", "127.0.0.1", "localhost", "AUTONOMA", "api", "title", "</testcase>", "::error::", "|", "\\", "'",
)  # fmt: skip
WORDS = [*FAST_WORDS, *(pytest.param(word, marks=pytest.mark.slow) for word in SLOW_WORDS)]
WARNING = "Check that the right value was copied."


def run_with_word(folder: Path, sandbox: Sandbox, **extra_inputs: str) -> JobResult:
    inputs = {"INPUT_WAIT": "true", "GITHUB_REPOSITORY": "acme/shop"}
    return run_job(
        folder,
        sandbox.url,
        IDS,
        extra_environ=inputs | {f"INPUT_{name}": value for name, value in extra_inputs.items()},
    )


def collect_facts(job: JobResult) -> dict[str, Any]:
    """Return the results that later steps use and that two equal jobs share."""
    output_names = (
        "conclusion",
        "reason",
        "total",
        "started",
        "passed",
        "failed",
        "not-started",
        "unknown",
        "results-dir",
    )
    runs = [(run["id"], run["kind"], run["state"]) for run in job.results_json["runs"]]
    output_runs = [(run["id"], run["state"]) for run in json.loads(job.outputs["results"])]
    return {"code": job.code, "runs": runs, "told": output_runs, **{name: job.outputs[name] for name in output_names}}


def assert_correct(job: JobResult, folder: Path, sandbox: Sandbox) -> None:
    assert collect_facts(job) == {
        "code": 4, "conclusion": "error", "reason": "not-found", "total": "3", "started": "2", "passed": "1",
        "failed": "1", "not-started": "1", "unknown": "0", "results-dir": "results",
        "runs": [(name, "test", state) for name, state in zip(IDS, ("passed", "failed", "not-started"), strict=True)],
        "told": [*zip(IDS, ("passed", "failed", "not-started"), strict=True)],
    }  # fmt: skip
    jsonschema.validate(job.results_json, results_json_schema())
    suites = etree.parse(folder / "results" / "junit.xml").getroot()
    assert [suites.get(name) for name in ("tests", "failures", "errors")] == ["3", "1", "1"]
    page = etree.parse(folder / "results" / "report.html", etree.HTMLParser()).getroot()
    assert page.find(".//h1") is not None
    ids, urls = json.loads(job.outputs["run-ids"]), json.loads(job.outputs["run-urls"])
    site = sandbox.url.removesuffix("/api")
    # A link is correct or left out.
    assert all(
        not url or (safe_url(url) == url and url == f"{site}/run/{run}") for run, url in zip(ids, urls, strict=True)
    )
    assert len([run for run in ids if run]) == 2


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("option", [pytest.param("CLIENT-ID", marks=pytest.mark.slow), "CLIENT-SECRET"])
def test_credential_word_changes_no_result(option: str, word: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Results stay correct, and one warning explains the redacted text."""
    result = run_with_word(tmp_path, sandbox, **{option: word})
    assert_correct(result, tmp_path, sandbox)
    warning_count = result.log.count(WARNING)
    assert warning_count == (0 if word in {"127.0.0.1", "localhost", "system-out", "</testcase>", "::error::"} else 1)


@pytest.mark.parametrize("word", WORDS)
def test_variable_word_changes_no_result(word: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Results stay correct, and links that hold the word by chance are shown."""
    result = run_with_word(tmp_path, sandbox, VARIABLES=f"WORD={word}")
    assert_correct(result, tmp_path, sandbox)
    assert WARNING not in result.log
    if word == "run":
        assert len([url for url in json.loads(result.outputs["run-urls"]) if url]) == 2, "every link has that word"
