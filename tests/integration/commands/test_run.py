"""Tests of the command `run`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.manifests import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path


def test_manifest_starts_all_kinds(tmp_path: Path) -> None:
    """The default manifest is found and interpolated, and its text is sent as written."""
    (tmp_path / "autonoma.yml").write_text(MANIFEST, "utf-8")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": "a" * 40}}}), "utf-8")
    with Sandbox() as sandbox:
        environ = CREDENTIALS | {"AUTONOMA_API_URL": sandbox.url, "GITHUB_ACTIONS": "true"}
        environ |= {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)}
        ended = invoke(tmp_path, environ=environ)
        received: dict[str, Any] = {entry.path: entry.body for entry in sandbox.received}
    assert ended.code == 0, ended.printed
    assert "5 of 5 runs started." in ended.out
    body = received["/api/test/cm8d9gt6v000c9fe5glmyi33u/run"]
    assert body["source"] == "github"
    assert body["application_version_id"] == "cm7dbowr80042waka7thyjhkq"
    assert body["runtime_metadata"] | {"LOCALE": ""} == {
        "ENVIRONMENT": "staging", "BASE_URL": "https://pr-7.preview.example.com",
        "NAME": "CompanyName", "RELEASE": "1.10", "LOCALE": "",
    }  # fmt: skip
    assert received["/api/folder/cm7t223mk00154mzy2jwk2pqy/run"]["recursive"] is True


@pytest.mark.parametrize(("environ", "source"), [({}, "cli"), ({"GITLAB_CI": "true"}, "gitlab")])
def test_source_is_sent_to_api(environ: dict[str, str], source: str, tmp_path: Path) -> None:
    """The source is the CI system's name unless an option sets it."""
    with Sandbox() as sandbox:
        environ = CREDENTIALS | environ | {"AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TEST_IDS": "a"}
        invoke(tmp_path, environ=environ)
        invoke(tmp_path, "--source", "mine", environ=environ)
        assert [entry.source for entry in sandbox.received] == [source, "mine"]


def test_dry_run_prints_plan_only(tmp_path: Path) -> None:
    """A dry run prints the plan without values and sends no request."""
    with Sandbox() as sandbox:
        ended = invoke(tmp_path, "--dry-run", "--test-ids", "L=a,b", "--var", "KEY=hidden", "--api-url", sandbox.url)
        assert sandbox.received == []
    assert ended.code == 0
    assert "test L (a): variables KEY" in ended.out
    assert "Dry run: 2 runs planned, nothing was sent." in ended.out
    assert "hidden" not in ended.printed


def test_empty_plan_needs_allow_empty(tmp_path: Path) -> None:
    """An empty plan is an error unless `allow-empty` is set."""
    assert invoke(tmp_path, environ=CREDENTIALS).code == 2
    ended = invoke(tmp_path, "--allow-empty", environ=CREDENTIALS)
    assert (ended.code, ended.out.strip()) == (0, "Nothing was selected, so nothing was started.")
