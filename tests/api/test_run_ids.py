"""Test how a run is named in responses and links.

A start that names no run, two runs or an invalid id may have started. A status that names another run is not used.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import Attempt, Delivery, Details, Said, Status
from autonoma_ci.api.responses import details, read, status
from autonoma_ci.api.run_ids import find_linked_run, find_page_run
from autonoma_ci.api.transport import Answer
from autonoma_ci.models import Kind, Reason, RunRequest
from autonoma_ci.redaction.redactor import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

SITE = "https://autonoma.app"
NO_SECRETS = Redactor(())
CREDENTIAL = "client-secret-of-the-test"


def started(fields: Mapping[str, object], kind: Kind = Kind.TEST) -> Attempt:
    answer = Answer(200, {}, json.dumps(fields).encode(), complete=True)
    return read(answer, RunRequest(kind, "abc"), NO_SECRETS, NO_SECRETS)


def polled(fields: Mapping[str, object] | str, kind: Kind = Kind.TEST, run_id: str = "x") -> Status:
    body = fields if isinstance(fields, str) else json.dumps({"status": "passed", **fields})
    credentials = Redactor([Secret(CREDENTIAL)])
    return status(Answer(200, {}, body.encode(), complete=True), lambda: credentials, credentials, "", kind, run_id)


def detailed(fields: Mapping[str, object] | str) -> Details:
    body = fields if isinstance(fields, str) else json.dumps(fields)
    return details(Answer(200, {}, body.encode(), complete=True), lambda: NO_SECRETS, "7", "8")


@pytest.mark.parametrize(
    ("path", "kind", "within", "alone"),
    [
        ("/run/x", Kind.TEST, "x", "x"),
        ("/run/x/", Kind.TEST, "x", "x"),
        ("/run/x?tab=/run/y#/run/z", Kind.TEST, "x", "x"),
        ("/run/x/steps", Kind.TEST, "x", ""),
        ("/app/run/x", Kind.TEST, "x", "x"),
        ("/run/x%79", Kind.TEST, "xy", "xy"),
        ("/run/folder", Kind.TEST, "folder", "folder"),
        ("/run/", Kind.TEST, "", ""),
        ("/runs/x", Kind.TEST, "", ""),
        ("/now/x", Kind.TEST, "", ""),
        ("/login", Kind.TEST, "", ""),
        ("", Kind.TEST, "", ""),
        ("/run/folder/x", Kind.TEST, "", ""),
        ("/run/tag/x", Kind.TEST, "", ""),
        ("/run/group/x", Kind.TEST, "", ""),
        ("/run/folder/x", Kind.FOLDER, "x", "x"),
        ("/run/folder/x/runs", Kind.FOLDER, "x", ""),
        ("/run/x", Kind.FOLDER, "", ""),
        ("/run/tag/x", Kind.FOLDER, "", ""),
        ("/run/tag/x", Kind.TAG, "x", "x"),
        ("/run/x", Kind.TAG, "", ""),
        # The vendor's CI scripts get a `folderRunID` for tags.
        ("/run/folder/x", Kind.TAG, "", "x"),
    ],
)
def test_link_names_its_run(path: str, kind: Kind, within: str, alone: str) -> None:
    """The id stands behind `/run/`, and is the page's own if nothing follows it."""
    assert (find_linked_run(SITE + path, kind), find_page_run(SITE + path, kind)) == (within, alone)


@pytest.mark.parametrize(
    ("fields", "kind", "run_id"),
    [
        ({"run_id": "x"}, Kind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/run/x"}, Kind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/run/x/steps"}, Kind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/login"}, Kind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/run/group/g"}, Kind.TEST, "x"),
        ({"run_id": "x", "url": f"{SITE}/run/test/t"}, Kind.TEST, "x"),
        ({"runID": "x", "runGroupID": "g"}, Kind.TEST, "x"),
        ({"runID": "x", "runGroupID": "g", "url": f"{SITE}/run/group/g"}, Kind.TEST, "x"),
        ({"run_id": "x", "url": "http://evil.example/run/y"}, Kind.TEST, "x"),
        ({"run_id": 7, "url": f"{SITE}/run/7"}, Kind.TEST, "7"),
        ({"run_id": "", "url": f"{SITE}/run/x"}, Kind.TEST, "x"),
        ({"run_id": None, "url": f"{SITE}/run/x?tab=1"}, Kind.TEST, "x"),
        ({"folder_run_id": "x", "url": f"{SITE}/run/y"}, Kind.FOLDER, "x"),
        ({"folder_run_id": "x", "folderRunID": "x"}, Kind.FOLDER, "x"),
        ({"run_id": "y", "url": f"{SITE}/run/folder/x"}, Kind.FOLDER, "x"),
        ({"url": f"{SITE}/run/tag/x"}, Kind.TAG, "x"),
        ({"url": f"{SITE}/run/folder/x"}, Kind.TAG, "x"),
    ],
)
def test_start_that_names_one_run_is_started(fields: dict[str, object], kind: Kind, run_id: str) -> None:
    """A missing field is no contradiction, and neither is a link to another page."""
    assert (started(fields, kind).delivery, started(fields, kind).run_id) == (Delivery.STARTED, run_id)


@pytest.mark.parametrize("run_id", [" ", "x ", "x\n", "x\u200b", "x.y", "é", [], ["x"], {}, True, 7.5, "y"])
def test_start_with_an_id_unlike_its_link_is_unknown(run_id: object) -> None:
    """An id that can't be used, or is not that of the link, is not replaced by the link's."""
    found = started({"run_id": run_id, "url": f"{SITE}/run/x"})
    assert (found.delivery, found.reason, found.run_id, found.url) == (Delivery.OPEN, Reason.UNKNOWN, "", "")
    assert "HTTP 200, but the " in found.message


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"url": f"{SITE}/login"}, Kind.TEST),
        ({"url": f"{SITE}/run/"}, Kind.TEST),
        ({"url": f"{SITE}/run/x/steps"}, Kind.TEST),
        ({"url": f"{SITE}/run/group/g"}, Kind.TEST),
        ({"url": f"{SITE}/run/folder/f"}, Kind.TEST),
        ({"run_id": "x"}, Kind.FOLDER),
        ({"run_id": "x", "url": f"{SITE}/run/x"}, Kind.FOLDER),
        ({"run_id": "x", "url": f"{SITE}/run/x"}, Kind.TAG),
        ({"url": f"{SITE}/run/tag/t"}, Kind.FOLDER),
        ({"folder_run_id": "x", "folderRunID": "y"}, Kind.FOLDER),
    ],
)
def test_start_that_names_no_run_is_unknown(fields: dict[str, object], kind: Kind) -> None:
    """The response to another request, such as the start of a test or a login, starts nothing that is known."""
    assert started(fields, kind).delivery is Delivery.OPEN


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"url": f"{SITE}/run/y"}, Kind.TEST),
        ({"url": f"{SITE}/run/y/"}, Kind.TEST),
        ({"url": f"{SITE}/run/y/steps"}, Kind.TEST),
        ({"url": f"{SITE}/run/y/x"}, Kind.TEST),
        ({"run_id": "y"}, Kind.TEST),
        ({"runID": "y"}, Kind.TEST),
        ({"id": "y"}, Kind.TEST),
        ({"id": 7}, Kind.TEST),
        ({"run_id": "x", "id": "y"}, Kind.TEST),
        ({"run_id": "x "}, Kind.TEST),
        ({"url": f"{SITE}/run/folder/y"}, Kind.FOLDER),
        ({"folder_run_id": "y"}, Kind.FOLDER),
        ({"run_id": "y"}, Kind.FOLDER),
        ({"url": f"{SITE}/run/tag/y"}, Kind.TAG),
        ({"tag_run_id": "y"}, Kind.TAG),
    ],
)
def test_status_that_names_another_run_is_trouble(fields: dict[str, object], kind: Kind) -> None:
    """Whether that run is known or not: its verdict is not that of this one."""
    found = polled(fields, kind)
    assert (found.said, found.message) == (Said.TROUBLE, "the response is about another run")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, Kind.TEST),
        ({"url": f"{SITE}/run/x", "run_id": "x", "runID": "x", "id": "x"}, Kind.TEST),
        ({"url": f"{SITE}/run/x/steps"}, Kind.TEST),
        ({"url": f"{SITE}/now/y"}, Kind.TEST),
        ({"url": f"{SITE}/run/folder/f"}, Kind.TEST),
        ({"url": "http://evil.example/run/y"}, Kind.TEST),
        ({"url": f"{SITE}/run/{CREDENTIAL}"}, Kind.TEST),
        ({"run_id": None, "id": "", "url": 7}, Kind.TEST),
        ({"url": f"{SITE}/run/y", "id": "y"}, Kind.FOLDER),
        ({"url": f"{SITE}/run/folder/y", "id": "y"}, Kind.TAG),
    ],
)
def test_status_that_names_no_other_run_is_read(fields: dict[str, object], kind: Kind) -> None:
    """Fields may be missing, and a link of another shape says nothing."""
    assert polled(fields, kind).said is Said.PASSED


def test_status_of_a_number_is_compared_as_text() -> None:
    """An API may give an id as a number here and as text there."""
    assert polled({"id": 7}, run_id="7").said is Said.PASSED


@pytest.mark.parametrize(
    ("fields", "what"),
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
def test_details_of_another_run_or_test_are_not_used(fields: dict[str, object], what: str) -> None:
    """Numbers are compared as text, and the test may be an object of its own."""
    found = detailed({"name": "A title", **fields})
    assert found.contradiction == (f"the details are of another {what}" if what else "")
    assert found.title == ("" if what else "A title")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("passed", Said.PASSED),
        ("Failed", Said.FAILED),
        ("cancelled", Said.STOPPED),
        ("pending", Said.GOING_ON),
        ("completed", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_details_have_a_status_if_they_name_a_known_word(word: object, said: Said | None) -> None:
    """The API's status decides what a run is, and a word that is not known does not contradict it."""
    assert detailed({"status": word}).said is said


TWICE = '{"status": "failed", "status": "passed", "run_id": "x", "run_id": "y"}'


def test_key_with_two_values_says_nothing() -> None:
    """Which of them counts is not known."""
    assert polled(TWICE).said is Said.TROUBLE
    assert polled('{"status": "passed", "of": [{"a": 1, "a": 2}]}').said is Said.TROUBLE
    assert detailed(TWICE).problem == "not in the form that is known"
    found = read(Answer(200, {}, TWICE.encode(), complete=True), RunRequest(Kind.TEST, "a"), NO_SECRETS, NO_SECRETS)
    assert found.delivery is Delivery.OPEN


def test_key_with_one_value_twice_is_read() -> None:
    """Nothing contradicts itself there."""
    assert polled('{"status": "passed", "status": "passed"}').said is Said.PASSED
