"""A job on GitHub without a clone selects its entries through the API."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from tests.support.ci_environments import HEAD, TARGET, write_job_files
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response
from tests.support.github_environments import GITHUB, PULL_EVENT, PULL_REQUEST
from tests.support.github_job import POLL_POLICY, START_POLICY

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.sandbox import Sandbox

TOKEN = "s3cret-token-of-the-test"
MANIFEST = """\
version: 1
tests:
  - { id: sandbox-checkout, when: { changed: ["services/checkout/**", "!**/*.md"] } }
  - { id: sandbox-search, when: { changed: ["services/search/**"] } }
  - { id: sandbox-libs, when: { changed: ["libs/sub/**"] } }
"""
SUBMODULE_PATCH = f"-Subproject commit {HEAD}\n+Subproject commit {TARGET}"
IDS = ("sandbox-checkout", "sandbox-search", "sandbox-libs")


class ComparingJob:
    """The result of a job on a pull request, with the requests to GitHub."""

    def __init__(self, folder: Path, sandbox: Sandbox, files: list[dict[str, Any]], **changes: str) -> None:
        body = {
            "status": "ahead",
            "base_commit": {"sha": TARGET},
            "merge_base_commit": {"sha": TARGET},
            "files": [{"status": "modified", "patch": "@@", **file} for file in files],
        }
        (folder / "work").mkdir()
        (folder / "work" / "autonoma.yml").write_text(MANIFEST, "utf-8")
        event = {"event.json": json.dumps(PULL_EVENT)}
        out = io.StringIO()
        with FaultServer(send_response(200, json.dumps(body))) as server:
            environ = {
                **write_job_files(folder, {**GITHUB, **PULL_REQUEST}, event),
                "GITHUB_API_URL": server.url,
                "INPUT_API-URL": sandbox.url,
                "INPUT_CLIENT-ID": "sandbox-id",
                "INPUT_CLIENT-SECRET": "sandbox-secret",
                "INPUT_GITHUB-TOKEN": TOKEN,
                "INPUT_RESULTS-DIR": "results",
                **changes,
            }
            runtime = Runtime(
                environ, out, out, str(folder / "work"), poll_policy=POLL_POLICY, start_policy=START_POLICY
            )
            self.code = cli.run_command(["run"], runtime)
        self.requests, self.log = server.received_requests, out.getvalue()
        self.started_ids = {name for name in IDS if sandbox.count_starts(name)}
        self.change = json.loads((folder / "work" / "results" / "results.json").read_text("utf-8"))["changed_files"]


@pytest.mark.parametrize(
    ("files", "started_ids"),
    [
        ([{"filename": "services/checkout/pay.ts"}], {"sandbox-checkout"}),
        ([{"filename": "services/checkout/README.md"}, {"filename": "docs/x.md"}], set()),
        (
            [{"filename": "services/search/a.ts", "status": "renamed", "previous_filename": "services/checkout/a.ts"}],
            {"sandbox-checkout", "sandbox-search"},
        ),
        (
            [{"filename": "libs/sub", "patch": f"-Subproject commit {HEAD}\n+Subproject commit {TARGET}"}],
            {"sandbox-libs"},
        ),
        ([{"filename": "autonoma.yml"}], set(IDS)),
    ],
    ids=["service", "docs only", "rename", "submodule", "manifest"],
)
def test_entries_follow_compared_files(
    files: list[dict[str, Any]], started_ids: set[str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Only the entries whose files changed are started, and the record has the base."""
    job = ComparingJob(tmp_path, sandbox, files)
    assert job.code == 0, job.log
    assert job.started_ids == started_ids
    assert (job.change["source"], job.change["base"]) == ("api", TARGET)
    [request] = job.requests
    assert request.path == f"/api/repos/acme/shop/compare/{TARGET}...{HEAD}?per_page=1&page=1"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert not {name for name in request.headers if name.startswith("autonoma")}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"INPUT_GITHUB-TOKEN": ""}, "not in a clone of git"),
        ({"GITHUB_EVENT_NAME": "schedule"}, "the build was started by a schedule"),
        (
            {"GITHUB_EVENT_NAME": "pull_request_target", "INPUT_MANIFEST": "autonoma.yml"},
            "the event pull_request_target has secrets",
        ),
        ({"INPUT_CHANGE": "9"}, "the target branch of the pull request is unknown"),
        ({"INPUT_CHANGED-FILES": "all"}, "changed-files"),
    ],
    ids=["no token", "schedule", "event with secrets", "stated change", "option"],
)
def test_build_without_base_sends_nothing(
    changes: dict[str, str], reason: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    """All entries run, and the API is not used."""
    job = ComparingJob(tmp_path, sandbox, [{"filename": "docs/x.md"}], **changes)
    assert job.code == 0, job.log
    assert job.started_ids == set(IDS)
    assert job.requests == []
    assert reason in job.log
