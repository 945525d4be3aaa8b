"""Tests of outputs as variables of the build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.ownership import Claim, OwnerMark, build_mark, parse_mark
from autonoma_ci.ci.publishers.build_variables import UNSET_TEXT, NameClaims, publish_build_variables
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext
from tests.support.reports import FAILED_VERDICT, PASSED_VERDICT, create_report, make_failed_run, make_passed_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autonoma_ci.models import Report

TITLE = "Autonoma tests"
MARK = "AUTONOMA_WRITTEN_BY"
UNREAD = "could not be read"


class BuildData:
    """The data of a build.

    Args:
        unreadable: The numbers of the reads that fail, from 0.
        unwritable: The start of the names that can't be set.
    """

    def __init__(self, unreadable: Iterable[int] = (), unwritable: str = "-") -> None:
        self.texts: dict[str, str] = {}
        self._unreadable, self._unwritable, self._read_count = set(unreadable), unwritable, 0

    def get(self, name: str) -> str | None:
        self._read_count += 1
        return None if self._read_count - 1 in self._unreadable else self.texts.get(name, "none")

    def put(self, name: str, text: str) -> str | None:
        if name.startswith(self._unwritable):
            return "the agent failed with exit code 1"
        self.texts[name] = text
        return None

    def set_mark(self, name: str, mark: OwnerMark) -> None:
        """Set a mark in the form without spaces."""
        self.texts[name] = str(mark).replace(" ", ":")

    def list_conclusions(self) -> dict[str, str]:
        """Return the conclusions by the suffix of their names."""
        name = "AUTONOMA_CONCLUSION"
        return {key.removeprefix(name): text for key, text in self.texts.items() if key.startswith(name)}


def build_step_report(
    *, is_failed: bool = False, step: str = "a", part: Part | None = None, build: str = "500", attempt: str = "1"
) -> Report:
    """Make the report of a job step whose id repeats one character."""
    context = BuildContext("github", build_id=build, build_attempt=attempt)
    part = part or Part(title=TITLE)
    return create_report(
        [make_failed_run("a") if is_failed else make_passed_run("a")], FAILED_VERDICT if is_failed else PASSED_VERDICT
    )._replace(context=context, part=part, title=part.title, step_id=step * 16, waits_for_results=True)


def publish(data: BuildData, step_report: Report) -> list[str]:
    return publish_build_variables(step_report, step_report.context.build_id, data.get, data.put)


def test_data_with_foreign_marks_is_replaced() -> None:
    """A text of others under our variable name is no owner mark."""
    data, step_report = BuildData(), build_step_report(is_failed=True)
    data.texts[MARK] = "build::attempt::<script>"
    assert publish(data, step_report) == []
    assert data.texts["AUTONOMA_CONCLUSION"] == "failed"
    assert parse_mark(data.texts[MARK].replace(":", " ")) == build_mark(step_report, "500")


def test_data_of_older_build_replaces_nothing() -> None:
    """In a store that outlives a build, the newest build counts."""
    data = BuildData()
    publish(data, build_step_report(is_failed=True, build="501"))
    earlier_texts = dict(data.texts)
    assert publish(data, build_step_report(step="b")) == []
    assert data.texts == earlier_texts


def test_data_replaced_by_other_has_two_names() -> None:
    """The other step writes its mark during our values, and its values after them."""
    data, other_report = BuildData(), build_step_report(step="b")

    def put(name: str, text: str) -> str | None:
        data.put(name, text)
        if name == "AUTONOMA_CONCLUSION":
            data.texts[MARK] = str(build_mark(other_report, "500"))
        return None

    [warning] = publish_build_variables(build_step_report(is_failed=True), "500", data.get, put)
    assert data.texts["AUTONOMA_CONCLUSION_AUTONOMA_TESTS"] == "failed"
    assert "summary-title" in warning


def test_data_of_two_long_parts_has_two_names() -> None:
    """Long names are cut, but the part behind the cut still distinguishes them."""
    data = BuildData()
    for step, part in (("a", "x" * 70 + "linux"), ("b", "x" * 70 + "mac")):
        assert publish(data, build_step_report(step=step, part=Part(part=part, title=TITLE))) == []
    names = [name for name in data.texts if name.startswith("AUTONOMA_CONCLUSION")]
    assert len(names) == 2
    assert all(len(name) <= len("AUTONOMA_CONCLUSION_") + 60 for name in names)


@pytest.mark.parametrize("unreadable", [[0], [0, 1], range(100)], ids=["once", "twice", "always"])
def test_variables_unread_warn_without_blame(unreadable: Iterable[int]) -> None:
    """Variables that could not be read give a warning that blames no other step."""
    data = BuildData(unreadable)
    warning = publish(data, build_step_report())[0]
    assert UNREAD in warning
    assert "Another step" not in warning
    [suffix] = data.list_conclusions()
    assert f"The variables of this step end in {suffix}" in warning


def test_first_step_sets_plain_names() -> None:
    """The only step of a build sets each output without a suffix."""
    data = BuildData()
    assert publish(data, build_step_report()) == []
    assert data.list_conclusions() == {"": "passed"}
    assert data.texts["AUTONOMA_RUN_URL"] == "https://autonoma.app/run/run-a"
    assert data.texts[MARK] == str(build_mark(build_step_report(), "500")).replace(" ", ":")


@pytest.mark.parametrize(
    ("part", "suffix"),
    [
        (Part(part="linux", title=TITLE), "_LINUX"),
        (Part(part="node 22 / é", title=TITLE), "_NODE_22"),
        (Part(shard="1/2", title=TITLE), "_SHARD_1_2"),
        (Part(part="é", title=TITLE), ""),
        (Part(part="a\x1b]0;b\n<c>", title=TITLE), "_A_0_B_C"),
        (Part(part="x" * 60, title=TITLE), "_" + "X" * 60),
    ],
)
def test_part_is_in_names(part: Part, suffix: str) -> None:
    """The suffix has only capital letters, digits and underscores."""
    data = BuildData()
    assert publish(data, build_step_report(part=part)) == []
    assert data.list_conclusions() == {suffix: "passed"}


def test_part_above_60_characters_has_digest() -> None:
    """A suffix of more than 60 characters ends in a digest of the name."""
    data = BuildData()
    publish(data, build_step_report(part=Part(part="x" * 61, title=TITLE)))
    [suffix] = data.list_conclusions()
    assert len(suffix) == 61
    assert suffix.startswith("_" + "X" * 51 + "_")
    assert not set(suffix[53:]) - set("0123456789ABCDEF")


def test_steps_of_same_name_have_three_names() -> None:
    """The second step uses its title and each further step its id."""
    data = BuildData()
    assert publish(data, build_step_report(is_failed=True, step="a")) == []
    [second_warning] = publish(data, build_step_report(step="b"))
    [third_warning] = publish(data, build_step_report(step="c"))
    assert data.list_conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed", "_CCCCCCCC": "passed"}
    assert second_warning == (
        "Another step of this build has set the variables AUTONOMA_…. The variables of this step end in "
        "_AUTONOMA_TESTS. Use a separate part or summary-title for each step."
    )
    assert "The variables of this step end in _CCCCCCCC." in third_warning


def test_empty_value_replaces_earlier_one() -> None:
    """A value of an earlier attempt never stays beside the new values."""
    data = BuildData()
    publish(data, build_step_report())
    retry_report = build_step_report(step="b", attempt="2")
    publish(data, retry_report._replace(results=(make_passed_run("a")._replace(run_id="", url=""),)))
    assert data.texts["AUTONOMA_RUN_URL"] == UNSET_TEXT
    assert data.texts["AUTONOMA_CONCLUSION"] == "passed"


def test_empty_value_without_earlier_is_unset() -> None:
    """A name without a value is not created."""
    data = BuildData()
    publish(data, build_step_report()._replace(results=()))
    assert "AUTONOMA_RUN_URL" not in data.texts
    assert data.texts["AUTONOMA_TOTAL"] == "0"


def test_unwritable_mark_sets_no_variable() -> None:
    """Without its mark, a step sets no variable and returns the reason."""
    data = BuildData(unwritable=MARK)
    assert publish(data, build_step_report()) == ["the agent failed with exit code 1"]
    assert data.texts == {}


def test_unwritable_variable_is_reported() -> None:
    """The first variable that can't be set ends the writes."""
    data = BuildData(unwritable="AUTONOMA_RUN_URL")
    assert publish(data, build_step_report()) == ["the agent failed with exit code 1"]
    assert "AUTONOMA_CONCLUSION" in data.texts
    assert "AUTONOMA_RUN_ID" not in data.texts


def test_unwritable_variable_of_renamed_warns() -> None:
    """The warning about other names precedes the reason of the failure."""
    data = BuildData(unwritable="AUTONOMA_RUN_URL_")
    publish(data, build_step_report(is_failed=True))
    name_warning, failure = publish(data, build_step_report(step="b"))
    assert "The variables of this step end in _AUTONOMA_TESTS" in name_warning
    assert failure == "the agent failed with exit code 1"


def test_omitted_variable_warns_with_suffix() -> None:
    """A value that is too long for a variable gives a warning with the suffix."""
    data = BuildData()
    run = make_passed_run("a")._replace(url="https://autonoma.app/" + "x" * 30_000)
    [warning] = publish(data, build_step_report(part=Part(part="linux", title=TITLE))._replace(results=(run,)))
    assert warning.startswith("The variables AUTONOMA_…_LINUX: AUTONOMA_RUN_URL")
    assert "AUTONOMA_RUN_URL_LINUX" not in data.texts


def test_selected_variables_only_are_set() -> None:
    """The caller can select the variables of a report."""
    data = BuildData()
    step_report = build_step_report()
    publish_build_variables(step_report, "500", data.get, data.put, lambda _: {"AUTONOMA_REASON": "ok"})
    assert set(data.texts) == {MARK, "AUTONOMA_REASON"}


def test_step_without_id_and_part_has_last_name() -> None:
    """The names of a step with an unknown id end in an underscore."""
    data = BuildData()
    publish(data, build_step_report(is_failed=True, step="a"))
    publish(data, build_step_report(step="b"))
    publish(data, build_step_report(step=""))
    assert data.list_conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed", "_": "passed"}


OWN_MARK = build_mark(build_step_report(attempt="2"), "500")
OTHER_MARK = OWN_MARK._replace(step="bbbbbbbb")
CONFLICT = f"AUTONOMA_SEVERAL_{OWN_MARK.part.upper()}"


@pytest.mark.parametrize(
    ("existing_mark", "claim"),
    [
        (None, Claim.REPLACE),
        (OWN_MARK, Claim.REPLACE),
        (OTHER_MARK, Claim.OTHER),
        (OTHER_MARK._replace(attempt="1"), Claim.REPLACE),
        (OTHER_MARK._replace(build_id="499"), Claim.REPLACE),
        (OTHER_MARK._replace(build_id="501"), Claim.LEAVE),
        (OTHER_MARK._replace(part="0" * 16), Claim.OTHER),
    ],
)
def test_claim_depends_on_existing_mark(existing_mark: OwnerMark | None, claim: Claim) -> None:
    """Only a name of this step, an earlier attempt or an earlier build is claimed."""
    data = BuildData()
    if existing_mark:
        data.set_mark("N", existing_mark)
    earlier_text = data.texts.get("N")
    names = NameClaims(OWN_MARK, data.get, data.put)
    assert names.claim("N") is claim
    assert data.texts["N"] == (str(OWN_MARK).replace(" ", ":") if claim is Claim.REPLACE else earlier_text)
    assert (names.failure, names.is_unread) == (None, False)


def test_claim_of_same_part_notes_conflict() -> None:
    """A later attempt reads that several steps share the name."""
    data = BuildData()
    data.set_mark("N", OTHER_MARK)
    NameClaims(OWN_MARK, data.get, data.put).claim("N")
    assert data.texts[CONFLICT] == str(OWN_MARK).replace(" ", ":")


def test_claim_of_other_part_notes_no_conflict() -> None:
    """Another part has names of its own in each attempt."""
    data = BuildData()
    data.set_mark("N", OTHER_MARK._replace(part="0" * 16))
    NameClaims(OWN_MARK, data.get, data.put).claim("N")
    assert CONFLICT not in data.texts


@pytest.mark.parametrize(
    ("conflict", "claim"),
    [
        (OTHER_MARK._replace(attempt="1", step="cccccccc"), Claim.OTHER),
        (OWN_MARK, Claim.REPLACE),
        (OTHER_MARK._replace(build_id="499", step="cccccccc"), Claim.REPLACE),
    ],
)
def test_retry_after_conflict_claims_nothing(conflict: OwnerMark, claim: Claim) -> None:
    """A retry replaces no text if two steps of the build claimed the name."""
    data = BuildData()
    data.set_mark("N", OTHER_MARK._replace(attempt="1"))
    data.set_mark(CONFLICT, conflict)
    assert NameClaims(OWN_MARK, data.get, data.put).check("N") is claim


def test_retry_with_unread_note_claims_nothing() -> None:
    """An unreadable note about a conflict counts as a conflict."""
    data = BuildData(unreadable=[1])
    data.set_mark("N", OTHER_MARK._replace(attempt="1"))
    names = NameClaims(OWN_MARK, data.get, data.put)
    assert names.claim("N") is Claim.OTHER
    assert names.is_unread


def test_claim_with_unread_name_fails() -> None:
    """An unreadable name counts as the name of another step."""
    data = BuildData(unreadable=[0])
    names = NameClaims(OWN_MARK, data.get, data.put)
    assert names.claim("N") is Claim.OTHER
    assert (names.is_unread, names.failure, data.texts) == (True, None, {})


def test_claim_without_write_has_failure() -> None:
    """A mark that could not be written claims no name."""
    data = BuildData(unwritable="N")
    names = NameClaims(OWN_MARK, data.get, data.put)
    assert names.claim("N") is Claim.OTHER
    assert names.failure == "the agent failed with exit code 1"
    assert not names.is_unread


def test_claim_replaced_at_once_is_other() -> None:
    """Another step may write its mark at the same moment."""
    data = BuildData()

    def put(name: str, text: str) -> str | None:
        data.set_mark(name, OTHER_MARK)
        return None

    assert NameClaims(OWN_MARK, data.get, put).claim("N") is Claim.OTHER
