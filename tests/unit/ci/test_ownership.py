"""Tests of owner marks on shared texts."""

from __future__ import annotations

import hmac
import re
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.ci.ownership import (
    Claim,
    OwnerMark,
    OwnershipDecision,
    build_mark,
    classify_text,
    decide_ownership,
    find_mark,
    parse_mark,
    shared_warning,
    sign_mark,
)
from autonoma_ci.identity import Part
from autonoma_ci.redaction.redactor import Secret
from tests.support.hostile import TEXTS
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run

PART, OTHER_PART = "0123456789abcdef", "fedcba9876543210"
OWN_MARK = OwnerMark("500", "2", PART, "aaaaaaaa")
REPORT = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(
    part=Part(title="Autonoma tests"), step_id="a" * 16
)
SECRET = Secret("s3cret-value")


@pytest.mark.parametrize(
    ("own_mark", "existing_mark", "claim"),
    [
        (OWN_MARK, OWN_MARK, Claim.REPLACE),
        (OWN_MARK, OwnerMark("500", "2", PART, "bbbbbbbb"), Claim.OTHER),
        (OWN_MARK, OwnerMark("500", "1", PART, "bbbbbbbb"), Claim.EARLIER),
        (OWN_MARK, OwnerMark("500", "3", PART, "bbbbbbbb"), Claim.OTHER),
        (OWN_MARK, OwnerMark("500", "10", PART, "bbbbbbbb"), Claim.OTHER),
        (OWN_MARK, OwnerMark("500", "", PART, "bbbbbbbb"), Claim.EARLIER),
        (OWN_MARK, OwnerMark("499", "9", PART, "bbbbbbbb"), Claim.REPLACE),
        (OWN_MARK, OwnerMark("99", "9", PART, "bbbbbbbb"), Claim.REPLACE),
        (OWN_MARK, OwnerMark("501", "1", PART, "bbbbbbbb"), Claim.LEAVE),
        (OWN_MARK, OwnerMark("5000", "1", PART, "bbbbbbbb"), Claim.LEAVE),
        (OWN_MARK, OwnerMark("", "2", PART, "bbbbbbbb"), Claim.REPLACE),
        (OWN_MARK, OwnerMark("an-id", "2", PART, "bbbbbbbb"), Claim.REPLACE),
        (OWN_MARK, OwnerMark("500", "2", OTHER_PART, "bbbbbbbb"), Claim.OTHER),
        (OWN_MARK, OwnerMark("500", "1", OTHER_PART, "bbbbbbbb"), Claim.OTHER),
        (OWN_MARK, OwnerMark("499", "1", OTHER_PART, "bbbbbbbb"), Claim.OTHER),
        (OWN_MARK, OwnerMark("501", "1", OTHER_PART, "bbbbbbbb"), Claim.OTHER),
        # The step continues in another job, which may be a later attempt or have another number.
        (OWN_MARK, OwnerMark("500", "7", PART, "aaaaaaaa"), Claim.REPLACE),
        (OWN_MARK, OwnerMark("500", "1", OTHER_PART, "aaaaaaaa"), Claim.REPLACE),
        # Ids that are no numbers have no order.
        (OWN_MARK._replace(build_id="an-id"), OwnerMark("other-id", "2", PART, "bbbbbbbb"), Claim.REPLACE),
        (OWN_MARK._replace(build_id="an-id"), OwnerMark("an-id", "2", PART, "bbbbbbbb"), Claim.OTHER),
        (OWN_MARK._replace(build_id="an-id"), OwnerMark("an-id", "3", PART, "bbbbbbbb"), Claim.OTHER),
        (OWN_MARK._replace(build_id="an-id"), OwnerMark("501", "1", PART, "bbbbbbbb"), Claim.REPLACE),
        # A step without an id is never the same as another one without an id.
        (OWN_MARK._replace(step=""), OwnerMark("500", "2", PART, ""), Claim.OTHER),
        (OWN_MARK._replace(step=""), OwnerMark("500", "1", PART, ""), Claim.EARLIER),
        # The build is unknown.
        (OwnerMark("", "", PART, "aaaaaaaa"), OwnerMark("", "", PART, "bbbbbbbb"), Claim.OTHER),
        (OwnerMark("", "", PART, "aaaaaaaa"), OwnerMark("500", "1", PART, "bbbbbbbb"), Claim.REPLACE),
    ],
)
def test_mark_decides_about_replacement(own_mark: OwnerMark, existing_mark: OwnerMark, claim: Claim) -> None:
    """Only text of this step, an earlier attempt or an earlier build is replaced."""
    assert own_mark.classify(existing_mark) is claim


LETTERS = "abcXYZ0123456789_.-"
ATTEMPTS = st.one_of(st.just(""), st.integers(0, 12).map(str), st.integers(0, 10**18 - 1).map(str))
BUILDS = st.one_of(ATTEMPTS, st.text(LETTERS, max_size=60))
MARKS = st.builds(OwnerMark, BUILDS, ATTEMPTS, st.text(LETTERS, max_size=16), st.text(LETTERS, max_size=32))


@given(MARKS)
def test_mark_round_trips_as_text(mark: OwnerMark) -> None:
    """The text of a mark is parsed to the same mark, with or without spaces."""
    assert parse_mark(str(mark)) == mark
    assert parse_mark(str(mark).replace(" ", ":").replace(":", " ")) == mark


@given(MARKS, MARKS)
def test_marks_of_one_attempt_never_replace(one: OwnerMark, other: OwnerMark) -> None:
    """Two steps that look the same never replace each other's text."""
    other = other._replace(build_id=one.build_id, attempt=one.attempt, part=one.part)
    expected = Claim.REPLACE if one.step and one.step == other.step else Claim.OTHER
    assert one.classify(other) is expected
    assert other.classify(one) is expected


@given(MARKS, MARKS)
def test_marks_of_two_attempts_replace_one_way(one: OwnerMark, other: OwnerMark) -> None:
    """Of two attempts at most one replaces the other, and nothing of one build is lost."""
    other = other._replace(build_id=one.build_id, part=one.part)
    claims = [one.classify(other), other.classify(one)]
    if not one.is_same_step(other):
        assert sorted(claims) in ([Claim.EARLIER, Claim.OTHER], [Claim.OTHER, Claim.OTHER])


EARLIER_MARK, SAME_ATTEMPT_MARK, OLDER_MARK, NEWER_MARK = (
    OWN_MARK._replace(attempt="1", step="bbbbbbbb"),
    OWN_MARK._replace(step="cccccccc"),
    OWN_MARK._replace(build_id="499", step="dddddddd"),
    OWN_MARK._replace(build_id="501", step="eeeeeeee"),
)


@pytest.mark.parametrize(
    ("existing_marks", "decision"),
    [
        ([], OwnershipDecision(None, False, False)),
        ([OWN_MARK], OwnershipDecision(0, False, False)),
        ([SAME_ATTEMPT_MARK, OWN_MARK], OwnershipDecision(1, False, True)),
        ([EARLIER_MARK, EARLIER_MARK, OWN_MARK], OwnershipDecision(2, False, False)),
        ([EARLIER_MARK], OwnershipDecision(0, False, False)),
        ([SAME_ATTEMPT_MARK, EARLIER_MARK], OwnershipDecision(1, False, True)),
        ([EARLIER_MARK, EARLIER_MARK], OwnershipDecision(None, False, True)),
        ([OLDER_MARK], OwnershipDecision(0, False, False)),
        ([OLDER_MARK, OLDER_MARK], OwnershipDecision(0, False, False)),
        ([EARLIER_MARK, OLDER_MARK], OwnershipDecision(1, False, True)),
        ([NEWER_MARK], OwnershipDecision(None, True, False)),
        ([NEWER_MARK, OLDER_MARK], OwnershipDecision(1, False, False)),
        ([SAME_ATTEMPT_MARK], OwnershipDecision(None, False, True)),
        ([OWN_MARK._replace(part=OTHER_PART, step="ffffffff")], OwnershipDecision(None, False, True)),
    ],
)
def test_ownership_replaces_at_most_one_text(existing_marks: list[OwnerMark], decision: OwnershipDecision[int]) -> None:
    """A text that may be another step's result of this build stays and is reported."""
    assert decide_ownership(OWN_MARK, list(enumerate(existing_marks))) == decision


@pytest.mark.parametrize(
    "text",
    [
        "",
        "build 500",
        "build 500 attempt 1 part p",
        "build 500 attempt 1 part p step s -->",
        " build 500 attempt 1 part p step s",
        "build 500 attempt 1 part p step s\n",
        "build 500 attempt one part p step s",
        "build 500 attempt -1 part p step s",
        "build 500 attempt １ part p step s",
        "build 5 00 attempt 1 part p step s",
        "build <b> attempt 1 part p step s",
        "build é attempt 1 part p step s",
        f"build {'9' * 61} attempt 1 part p step s",
        f"build 500 attempt {'9' * 19} part p step s",
        f"build 500 attempt 1 part {'p' * 17} step s",
        f"build 500 attempt 1 part p step {'s' * 33}",
        "x" * 100_000,
        "build " * 20_000,
    ],
)
def test_mark_with_invalid_form_is_none(text: str) -> None:
    """A mark of another author has our form or is ignored."""
    assert parse_mark(text) is None


@pytest.mark.parametrize("build", ["5 00", "<b>", "5\n00", "-->", "é", "9" * 61, "500 attempt 9", "../..", "\ud800"])
def test_mark_omits_hostile_build_id(build: str) -> None:
    """A build id that could end the mark is left out."""
    mark = build_mark(REPORT, build)
    assert parse_mark(str(mark)) == mark
    assert mark.build_id in {"", build}
    assert not re.search(r"[^A-Za-z0-9_. -]", str(mark))


@given(TEXTS, TEXTS, TEXTS)
def test_mark_of_any_report_is_parsed(step_id: str, attempt: str, build: str) -> None:
    """The step id may come from a results.json, and so from anybody."""
    context = REPORT.context._replace(build_attempt=attempt)
    mark = build_mark(REPORT._replace(step_id=step_id, context=context), build)
    assert parse_mark(str(mark)) == mark


CHILD_MARK = OwnerMark("900.500", "1", PART, "aaaaaaaa")


@pytest.mark.parametrize(
    ("existing_mark", "claim"),
    [
        (OwnerMark("901.500", "1", PART, "bbbbbbbb"), Claim.OTHER),
        (OwnerMark("899.500", "1", PART, "bbbbbbbb"), Claim.OTHER),
        (OwnerMark("901.501", "1", PART, "bbbbbbbb"), Claim.LEAVE),
        (OwnerMark("899.499", "1", PART, "bbbbbbbb"), Claim.REPLACE),
        (OwnerMark("901", "1", PART, "bbbbbbbb"), Claim.LEAVE),
        (OwnerMark("899", "1", PART, "bbbbbbbb"), Claim.REPLACE),
    ],
)
def test_mark_of_child_leaves_sibling(existing_mark: OwnerMark, claim: Claim) -> None:
    """Child pipelines of one parent never replace each other's texts."""
    assert CHILD_MARK.classify(existing_mark) is claim


def test_mark_with_empty_parent_is_no_child() -> None:
    """Two ids that end in a dot are builds in order and no siblings."""
    older, newer = OwnerMark("1.", "1", PART, "aaaaaaaa"), OwnerMark("2.", "1", PART, "bbbbbbbb")
    assert (older.classify(newer), newer.classify(older)) == (Claim.LEAVE, Claim.REPLACE)


@pytest.mark.parametrize(("one", "other", "is_same"), [("a", "a", True), ("a", "b", False), ("", "", False)])
def test_same_step_needs_known_id(one: str, other: str, is_same: bool) -> None:
    """Two marks without a step id belong to two steps."""
    assert OwnerMark("1", "1", PART, one).is_same_step(OwnerMark("2", "2", OTHER_PART, other)) is is_same


@pytest.mark.parametrize(("started_in", "attempt"), [("", "7"), ("3", "3"), ("x", ""), ("9" * 19, "")])
def test_mark_has_attempt_of_runs(started_in: str, attempt: str) -> None:
    """A step that waits for earlier runs has the attempt that started them."""
    context = REPORT.context._replace(build_attempt="7")
    step_report = REPORT._replace(context=context, started_in_attempt=started_in)
    assert build_mark(step_report, "500") == OwnerMark("500", attempt, REPORT.part.digest, "aaaaaaaa")


@pytest.mark.parametrize(("length", "expected"), [(60, "9" * 60), (61, "")])
def test_mark_build_id_has_length_limit(length: int, expected: str) -> None:
    """A build id of 60 characters is valid and a longer one counts as unknown."""
    assert build_mark(REPORT, "9" * length).build_id == expected


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        (None, Claim.OTHER),
        ("", Claim.REPLACE),
        ("none", Claim.REPLACE),
        ("<script>alert(1)</script>", Claim.REPLACE),
        ("build:500:attempt:2:part:0123456789abcdef:step:bbbbbbbb", Claim.OTHER),
        ("build:500:attempt:1:part:0123456789abcdef:step:bbbbbbbb", Claim.EARLIER),
        ("build:500:attempt:2:part:0123456789abcdef:step:aaaaaaaa", Claim.REPLACE),
        ("build:501:attempt:1:part:0123456789abcdef:step:bbbbbbbb", Claim.LEAVE),
        ("build 500 attempt 2 part fedcba9876543210 step bbbbbbbb", Claim.OTHER),
    ],
)
def test_stored_text_gives_claim(text: str | None, claim: Claim) -> None:
    """An unreadable text counts as another step's and a text without a mark as free."""
    assert classify_text(OWN_MARK, text) is claim


@settings(max_examples=20)
@given(MARKS)
def test_mark_is_found_with_colons(mark: OwnerMark) -> None:
    """Some systems allow no white space in a text."""
    assert find_mark(str(mark).replace(" ", ":")) == mark


@pytest.mark.parametrize("text", ["", "none", "build:500", "build:500\tattempt:2:part:p:step:s", "x" * 100_000])
def test_text_without_mark_is_none(text: str) -> None:
    """A text of another form has no mark."""
    assert find_mark(text) is None


def test_signature_is_truncated_hmac() -> None:
    """The signature is HMAC-SHA256 over the lines of place and mark."""
    key = SECRET.derive_key("autonoma-ci mark 1")
    expected = hmac.new(key, f"key\n7\n{OWN_MARK}".encode(), sha256).hexdigest()[:32]
    signature = sign_mark(SECRET, ["key", "7"])(OWN_MARK)
    assert signature == expected
    assert "s3cret-value" not in signature


@pytest.mark.parametrize("field", OwnerMark._fields)
def test_signature_covers_each_field(field: str) -> None:
    """A changed field of the mark makes the signature invalid."""
    sign = sign_mark(SECRET, ["key", "7"])
    assert sign(OWN_MARK._replace(**{field: "1"})) != sign(OWN_MARK)


@pytest.mark.parametrize(
    ("secret", "location"),
    [("another-value", ["key", "7"]), ("s3cret-value", ["key", "8"]), ("s3cret-value", ["other", "7"])],
)
def test_signature_depends_on_key_and_place(secret: str, location: list[str]) -> None:
    """A copy in another place or of another client has an invalid signature."""
    assert sign_mark(Secret(secret), location)(OWN_MARK) != sign_mark(SECRET, ["key", "7"])(OWN_MARK)


def test_signature_accepts_lone_surrogate() -> None:
    """The name of a workflow can contain bytes that are not text."""
    assert re.fullmatch(r"[0-9a-f]{32}", sign_mark(SECRET, ["\ud800", "7"])(OWN_MARK))


def test_shared_warning_names_item_and_remedy() -> None:
    """The warning names the item and the option that separates the steps."""
    warning = shared_warning("a comment")
    assert "has a comment of the same name" in warning
    assert warning.endswith("Use a separate summary-title for each step.")
