"""Keys of the manifest that select, limit and wait, by the command `run`."""

from __future__ import annotations

import io
import json
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.clock import Clock
from autonoma_ci.sandbox import Sandbox
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response
from tests.support.invoke_command import CREDENTIALS, CommandResult, invoke

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CREDENTIALS_ERROR = "'wait_for_url' holds credentials before the host. Remove them, because logs show this URL."
SLUG_ERROR = "${ci.branch} is not one label of a host name in this job. Use ${ci.branch_slug} in a host."


class WrongManifest(NamedTuple):
    """A manifest with the first line of its error."""

    text: str
    line: str


# The date of the clock is 2025-01-07.
CASES = (
    WrongManifest(
        'tests: [{id: a, when: {changed: ["[z-a]"]}}]',
        "1:34: invalid brackets or backslash: '[z-a]'. Write a range such as [a-z].",
    ),
    WrongManifest(
        "tests:\n  - id: a\n    when:\n      changed:\n        - !**/*.md",
        "5:11: a tag (`!` and a word) is not supported, because all values are strings. Put the value in quotes.",
    ),
    WrongManifest(
        "always: *.lock\ntests: [a]",
        "1:9: invalid YAML: value begins with '*', which marks an alias or anchor. Put the value in quotes.",
    ),
    WrongManifest(
        "tests: [{id: a, quarantine: {until: soon, reason: late}}]",
        "1:30: 'until': invalid date: 'soon'. Write it as YYYY-MM-DD, such as 2025-02-06.",
    ),
    WrongManifest(
        "tests: [{id: a, quarantine: {until: 2025-07-26, reason: late}}]",
        "1:30: 'until': more than 90 days ahead: 2025-07-26. Use 2025-04-07 or earlier.",
    ),
    WrongManifest("tests: [{id: a, quarantine: {until: 2025-02-01}}]", "1:17: missing key: 'reason'. Add it."),
    WrongManifest(
        "tests: [{id: a, quarantine: true}]",
        "1:17: 'quarantine' must be a mapping. Write `quarantine: { until: YYYY-MM-DD, reason: TEXT }`.",
    ),
    WrongManifest(
        "environments:\n  a: {default: true}\n  b: {default: true}\ntests: [a]",
        "3:3: second default environment: 'b', after 'a' on line 2. Keep one `default: true`.",
    ),
    WrongManifest(
        "environments: {a: {wait_for_url: 'https://${HOST}/'}}\ntests: [a]",
        "1:20: ${HOST} is not allowed in 'wait_for_url'. Use facts such as ${ci.change}.",
    ),
    WrongManifest(
        "environments: {a: {wait_for_url: 'https://user:sentinel@x.example'}}\ntests: [a]", f"1:20: {CREDENTIALS_ERROR}"
    ),
    WrongManifest(
        "environments: {a: {default: true, wait_for_url: 'https://${ci.branch}.example.com'}}\ntests: [a]",
        f"1:35: {SLUG_ERROR}",
    ),
    WrongManifest("tests: [{id: a, variables: {URL: 'https://${ci.branch}.example.com'}}]", f"1:29: {SLUG_ERROR}"),
    WrongManifest(
        "groups: {nightli: {default: false}}\ntests: [{id: a, groups: nightly}]",
        "1:10: no entry is in the group 'nightli'. Did you mean 'nightly'?",
    ),
    WrongManifest(
        "tests: [{id: a, skip: true}]", "1:17: unknown key: 'skip'. Use `quarantine`, or a group with `default: false`."
    ),
    WrongManifest(
        "tests: [{id: a, retries: many}]",
        "1:17: 'retries': invalid number: 'many'. Use a whole number from 0 to 10.",
    ),
    WrongManifest(
        "defaults: {run_timeout: 10}\ntests: [a]",
        "1:12: 'run_timeout': missing unit: '10'. Write 10m for minutes or 10s for seconds.",
    ),
)


class DatedClock(Clock):
    """The real clock at a fixed date."""

    def utc_date(self) -> date:
        return date(2025, 1, 7)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0) as server:
        yield server


def run_at(folder: Path, sandbox: Sandbox, manifest: str, *argv: str) -> CommandResult:
    """Run a manifest at a fixed date."""
    (folder / "autonoma.yml").write_text(manifest, "utf-8")
    environ = CREDENTIALS | {
        "AUTONOMA_CI": "ci",
        "AUTONOMA_API_URL": sandbox.url,
        "AUTONOMA_BRANCH": "a.evil.com/",
        "HOST": "h.example",
        "AUTONOMA_RESULTS_DIR": "r",
    }
    out, err = io.StringIO(), io.StringIO()
    code = cli.run_command(["run", *argv], Runtime(environ, out, err, str(folder), clock=DatedClock()))
    return CommandResult(code, out.getvalue(), err.getvalue())


@pytest.mark.parametrize("case", CASES, ids=[case.line for case in CASES])
def test_wrong_key_has_message(case: WrongManifest, sandbox: Sandbox, tmp_path: Path) -> None:
    """The error has its position, nothing is sent, and the exit code is 2."""
    result = run_at(tmp_path, sandbox, case.text)
    assert (result.code, result.err.splitlines()[0]) == (2, f"Error: autonoma.yml:{case.line}")
    assert result.err.count("Error: ") == 1
    assert "sentinel" not in result.output
    assert sandbox.received == []


def test_all_problems_are_reported_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """Each key of an entry has its own error, in the order of the file."""
    manifest = (
        "always: ['#x']\ntests:\n  - id: a\n    retries: 11\n    run_timeout: 0s\n    owner: [a]\n"
        "    when: {changed: ['${A}']}\n    quarantine: {until: never, reason: ' '}\n"
    )
    result = run_at(tmp_path, sandbox, manifest)
    assert [error.split(":")[1] for error in result.errors] == ["1", "4", "5", "6", "7", "8", "8"]


def test_ended_quarantine_is_no_error(sandbox: Sandbox, tmp_path: Path) -> None:
    """After its last day, the run counts again."""
    result = run_at(tmp_path, sandbox, "tests: [{id: a, quarantine: {until: 2024-01-01, reason: late}}]")
    assert (result.code, sandbox.count_starts("a")) == (0, 1)


# The URL of an environment


def read_runs(folder: Path) -> list[Any]:
    runs: list[Any] = json.loads((folder / "r" / "results.json").read_text("utf-8"))["runs"]
    return runs


def write_environment(url: str) -> str:
    return f"environments: {{staging: {{default: true, wait_for_url: '{url}/a/${{ci.branch}}'}}}}\ntests: [a]"


def test_starts_wait_for_url_of_environment(sandbox: Sandbox, tmp_path: Path) -> None:
    """The runs start after the URL responds, and facts of the build are inserted in its path."""
    with FaultServer(send_response(200), {"x": []}) as page:
        result = run_at(tmp_path, sandbox, write_environment(page.url))
        assert [request.path for request in page.received_requests] == ["/api/a/a.evil.com/"]
    assert (result.code, sandbox.count_starts("a")) == (0, 1)


def test_redirect_to_other_host_starts_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """The page redirects to a host of its own choice, and the run tells the reason."""
    with FaultServer(send_response(302, "", "Location: http://evil.test/")) as page:
        flags = ("--wait-for-url-timeout", "1s")
        result = run_at(tmp_path, sandbox, write_environment(page.url), *flags)
    assert (result.code, sandbox.count_starts("a")) == (5, 0)
    (run,) = read_runs(tmp_path)
    assert run["message"].endswith("HTTP 302: redirect to another host, http://evil.test")
    assert run["suggestion"] == (
        "Check wait_for_url of the environment 'staging' and its deployment, or increase --wait-for-url-timeout."
    )


def test_option_wins_over_url_of_environment(sandbox: Sandbox, tmp_path: Path) -> None:
    """The URL of the manifest is not requested."""
    with FaultServer(send_response(200)) as page, FaultServer(send_response(503)) as other_page:
        result = run_at(tmp_path, sandbox, write_environment(other_page.url), "--wait-for-url", f"{page.url}/ready")
        assert other_page.connection_count == 0
    assert (result.code, sandbox.count_starts("a")) == (0, 1)


def test_validate_checks_new_keys(tmp_path: Path) -> None:
    """The command `validate` reports the same errors."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, when: docs/**}]", "utf-8")
    result = invoke(tmp_path, "validate")
    assert result.code == 2
    assert result.errors == ["autonoma.yml:1:17: 'when' must be a mapping. Write `when: { changed: [PATTERN] }`."]
