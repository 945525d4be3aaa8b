"""Comments without enough memory for the response."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.rest import http
from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import POLL_POLICY, START_POLICY
from tests.support.invoke_command import CREDENTIALS
from tests.support.rest_stubs import TOKEN, GitLab

if TYPE_CHECKING:
    from pathlib import Path

WARNING = "Warning: The comment could not be written: out of memory."


@pytest.mark.slow
@pytest.mark.parametrize("error", [MemoryError, SystemError])
@pytest.mark.parametrize("name", ["read_body", "_parse_json"])
@pytest.mark.parametrize(("ids", "code"), [("sandbox-one", 0), ("sandbox-fails", 1)])
def test_comment_memory_error_is_warning(
    ids: str, code: int, name: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is that of the runs."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(http, name, fail)
    out = io.StringIO()
    with Sandbox(pace=0) as sandbox, GitLab() as host:
        environ = {
            **CREDENTIALS,
            "GITLAB_CI": "true",
            "CI_MERGE_REQUEST_IID": "17",
            "CI_MERGE_REQUEST_PROJECT_ID": "42",
            "CI_PROJECT_ID": "43",
            "CI_PIPELINE_ID": "500",
            "CI_API_V4_URL": host.url,
            "AUTONOMA_API_URL": sandbox.url,
            "AUTONOMA_GITLAB_TOKEN": TOKEN,
            "AUTONOMA_TEST_IDS": ids,
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_COMMENT": "true",
        }
        job_runtime = Runtime(environ, out, out, str(tmp_path), poll_policy=POLL_POLICY, start_policy=START_POLICY)
        result = cli.run_command([], job_runtime)
    lines = out.getvalue().splitlines()
    assert result == code
    assert sum(line.endswith(WARNING) for line in lines) == 1
    assert "bug in autonoma-ci" not in out.getvalue()
