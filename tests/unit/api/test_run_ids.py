"""Test how responses and links name their run.

A start that names no run, two runs or an invalid id may have started. A status that names another run is not used.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import PollResult, PollStatus, RunDetails, StartResult, StartStatus
from autonoma_ci.api.responses import parse_details_response, parse_start_response, parse_status_response
from autonoma_ci.api.run_ids import find_linked_run, find_page_run
from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.models import ExitReason, RunRequest, TargetKind
from autonoma_ci.redaction.redactor import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

SITE = "https://autonoma.app"
NO_SECRETS = Redactor(())
CREDENTIAL = "client-secret-of-the-test"


def parse_start(fields: Mapping[str, object], kind: TargetKind = TargetKind.TEST) -> StartResult:
    response = HttpResponse(200, {}, json.dumps(fields).encode(), is_complete=True)
    return parse_start_response(response, RunRequest(kind, "abc"), NO_SECRETS, NO_SECRETS)


def parse_status(
    fields: Mapping[str, object] | str, kind: TargetKind = TargetKind.TEST, run_id: str = "x"
) -> PollResult:
    body = fields if isinstance(fields, str) else json.dumps({"status": "passed", **fields})
    credentials = Redactor([Secret(CREDENTIAL)])
    return parse_status_response(
        HttpResponse(200, {}, body.encode(), is_complete=True), lambda: credentials, credentials, "", kind, run_id
    )


def parse_details(fields: Mapping[str, object] | str) -> RunDetails:
    body = fields if isinstance(fields, str) else json.dumps(fields)
    return parse_details_response(HttpResponse(200, {}, body.encode(), is_complete=True), lambda: NO_SECRETS, "7", "8")


@pytest.mark.parametrize(
    ("path", "kind", "linked_run", "page_run"),
    [
        ("/run/x", TargetKind.TEST, "x", "x"),
        ("/run/x/", TargetKind.TEST, "x", "x"),
        ("/run/x?tab=/run/y#/run/z", TargetKind.TEST, "x", "x"),
        ("/run/x/steps", TargetKind.TEST, "x", ""),
        ("/app/run/x", TargetKind.TEST, "x", "x"),
        ("/run/x%79", TargetKind.TEST, "xy", "xy"),
        ("/run/folder", TargetKind.TEST, "folder", "folder"),
        ("/run/", TargetKind.TEST, "", ""),
        ("/runs/x", TargetKind.TEST, "", ""),
        ("/now/x", TargetKind.TEST, "", ""),
        ("/login", TargetKind.TEST, "", ""),
        ("", TargetKind.TEST, "", ""),
        ("/run/folder/x", TargetKind.TEST, "", ""),
        ("/run/tag/x", TargetKind.TEST, "", ""),
        ("/run/group/x", TargetKind.TEST, "", ""),
        ("/run/folder/x", TargetKind.FOLDER, "x", "x"),
        ("/run/folder/x/runs", TargetKind.FOLDER, "x", ""),
        ("/run/x", TargetKind.FOLDER, "", ""),
        ("/run/tag/x", TargetKind.FOLDER, "", ""),
        ("/run/tag/x", TargetKind.TAG, "x", "x"),
        ("/run/x", TargetKind.TAG, "", ""),
        # The vendor's CI scripts get a `folderRunID` for tags.
        ("/run/folder/x", TargetKind.TAG, "", "x"),
    ],
)
def test_link_contains_run_id(path: str, kind: TargetKind, linked_run: str, page_run: str) -> None:
    """The run id follows `/run/` in the path of a link."""
    assert (find_linked_run(SITE + path, kind), find_page_run(SITE + path, kind)) == (linked_run, page_run)


@pytest.mark.parametrize(
    ("fields", "kind", "run_id"),
    [
        ({"run_id": "x"}, TargetKind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/run/x"}, TargetKind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/run/x/steps"}, TargetKind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/login"}, TargetKind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/run/group/g"}, TargetKind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/run/test/t"}, TargetKind.TEST, "x"),
        ({"runID": "x", "runGroupID": "g"}, TargetKind.TEST, "x"),
        ({"runID": "x", "runGroupID": "g", "url": f"{SITE}/run/group/g"}, TargetKind.TEST, "x"),
        ({"run_id": "x", "url": "http://evil.example/run/y"}, TargetKind.TEST, "x"),
        ({"run_id": 7, "url": f"{SITE}/run/7"}, TargetKind.TEST, "7"),
        ({"run_id": "", "url": f"{SITE}/run/x"}, TargetKind.TEST, "x"),
        ({"run_id": None, "url": f"{SITE}/run/x?tab=1"}, TargetKind.TEST, "x"),
        ({"folder_run_id": "x", "url": f"{SITE}/run/y"}, TargetKind.FOLDER, "x"),
        ({"folder_run_id": "x", "folderRunID": "x"}, TargetKind.FOLDER, "x"),
        ({"run_id": "y", "url": f"{SITE}/run/folder/x"}, TargetKind.FOLDER, "x"),
        ({"url": f"{SITE}/run/tag/x"}, TargetKind.TAG, "x"),
        ({"url": f"{SITE}/run/folder/x"}, TargetKind.TAG, "x"),
    ],
)
def test_start_with_one_run_is_started(fields: dict[str, object], kind: TargetKind, run_id: str) -> None:
    """A missing field or a link to another page is no contradiction."""
    assert (parse_start(fields, kind).status, parse_start(fields, kind).run_id) == (StartStatus.STARTED, run_id)


@pytest.mark.parametrize("run_id", [" ", "x ", "x\n", "x\u200b", "x.y", "é", [], ["x"], {}, True, 7.5, "y"])
def test_start_with_conflicting_id_is_indeterminate(run_id: object) -> None:
    """An unusable id is never replaced by the id of the link."""
    result = parse_start({"run_id": run_id, "url": f"{SITE}/run/x"})
    assert (result.status, result.reason, result.run_id, result.url) == (
        StartStatus.INDETERMINATE,
        ExitReason.UNKNOWN,
        "",
        "",
    )
    assert "HTTP 200, but the " in result.message


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"url": f"{SITE}/login"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/x/steps"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/group/g"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/folder/f"}, TargetKind.TEST),
        ({"run_id": "x"}, TargetKind.FOLDER),
        ({"run_id": "x", "url": f"{SITE}/run/x"}, TargetKind.FOLDER),
        ({"run_id": "x", "url": f"{SITE}/run/x"}, TargetKind.TAG),
        ({"url": f"{SITE}/run/tag/t"}, TargetKind.FOLDER),
        ({"folder_run_id": "x", "folderRunID": "y"}, TargetKind.FOLDER),
    ],
)
def test_start_without_run_is_indeterminate(fields: dict[str, object], kind: TargetKind) -> None:
    """A response for another target kind or page contains no run."""
    assert parse_start(fields, kind).status is StartStatus.INDETERMINATE


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"url": f"{SITE}/run/y"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/y/"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/y/steps"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/y/x"}, TargetKind.TEST),
        ({"run_id": "y"}, TargetKind.TEST),
        ({"runID": "y"}, TargetKind.TEST),
        ({"id": "y"}, TargetKind.TEST),
        ({"id": 7}, TargetKind.TEST),
        ({"run_id": "x", "id": "y"}, TargetKind.TEST),
        ({"run_id": "x "}, TargetKind.TEST),
        ({"url": f"{SITE}/run/folder/y"}, TargetKind.FOLDER),
        ({"folder_run_id": "y"}, TargetKind.FOLDER),
        ({"run_id": "y"}, TargetKind.FOLDER),
        ({"url": f"{SITE}/run/tag/y"}, TargetKind.TAG),
        ({"tag_run_id": "y"}, TargetKind.TAG),
    ],
)
def test_status_of_other_run_is_unavailable(fields: dict[str, object], kind: TargetKind) -> None:
    """The status of another run is not used."""
    result = parse_status(fields, kind)
    assert (result.status, result.message) == (PollStatus.UNAVAILABLE, "the response is about another run")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, TargetKind.TEST),
        ({"url": f"{SITE}/run/x", "run_id": "x", "runID": "x", "id": "x"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/x/steps"}, TargetKind.TEST),
        ({"url": f"{SITE}/now/y"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/folder/f"}, TargetKind.TEST),
        ({"url": "http://evil.example/run/y"}, TargetKind.TEST),
        ({"url": f"{SITE}/run/{CREDENTIAL}"}, TargetKind.TEST),
        ({"run_id": None, "id": "", "url": 7}, TargetKind.TEST),
        ({"url": f"{SITE}/run/y", "id": "y"}, TargetKind.FOLDER),
        ({"url": f"{SITE}/run/folder/y", "id": "y"}, TargetKind.TAG),
    ],
)
def test_status_without_other_run_is_read(fields: dict[str, object], kind: TargetKind) -> None:
    """Missing fields and unrelated links do not contradict the run id."""
    assert parse_status(fields, kind).status is PollStatus.PASSED


def test_numeric_run_id_equals_text() -> None:
    """A numeric id equals the same id as text."""
    assert parse_status({"id": 7}, run_id="7").status is PollStatus.PASSED


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({"id": 7, "test_id": 8}, ""),
        ({"id": "7", "test": {"id": 8}}, ""),
        ({"id": None, "test_id": "", "test": None}, ""),
        ({"id": [9], "test_id": True, "test": "9"}, ""),
        ({"id": 9}, "run"),
        ({"test_id": 9}, "test"),
        ({"test": {"id": "9"}}, "test"),
        ({"test_id": 8, "test": {"id": "9"}}, "test"),
    ],
)
def test_details_of_other_run_are_not_used(fields: dict[str, object], subject: str) -> None:
    """Details of another run or test are dropped with a reason."""
    details = parse_details({"name": "A title", **fields})
    assert details.contradiction == (f"the details are about another {subject}" if subject else None)
    assert details.title == ("" if subject else "A title")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("passed", PollStatus.PASSED),
        ("Failed", PollStatus.FAILED),
        ("cancelled", PollStatus.STOPPED),
        ("pending", PollStatus.RUNNING),
        ("completed", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_unknown_status_in_details_is_ignored(word: object, expected: PollStatus | None) -> None:
    """An unknown status word in the details counts as no status."""
    assert parse_details({"status": word}).status is expected


CONFLICTING_KEYS = '{"status": "failed", "status": "passed", "run_id": "x", "run_id": "y"}'


def test_key_with_two_values_is_rejected() -> None:
    """A key with two different values makes the response unusable."""
    assert parse_status(CONFLICTING_KEYS).status is PollStatus.UNAVAILABLE
    assert parse_status('{"status": "passed", "of": [{"a": 1, "a": 2}]}').status is PollStatus.UNAVAILABLE
    assert parse_details(CONFLICTING_KEYS).error == "the response is invalid"
    result = parse_start_response(
        HttpResponse(200, {}, CONFLICTING_KEYS.encode(), is_complete=True),
        RunRequest(TargetKind.TEST, "a"),
        NO_SECRETS,
        NO_SECRETS,
    )
    assert result.status is StartStatus.INDETERMINATE


def test_repeated_equal_key_is_read() -> None:
    """A repeated key with the same value is no contradiction."""
    assert parse_status('{"status": "passed", "status": "passed"}').status is PollStatus.PASSED
