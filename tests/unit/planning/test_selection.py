"""Selection of entries by the options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config.parsers import NamedId
from autonoma_ci.config.settings import Settings
from autonoma_ci.identity import RunKey
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.planning.selection import (
    Candidate,
    FailedRuns,
    Rule,
    Selection,
    collect_candidates,
    find_unmatched_patterns,
    select_by_groups,
    select_changed,
    select_failed,
    select_only,
    start_selection,
)
from tests.support.processor_time import measure_processor_seconds

TEAM = Manifest.model_validate(
    {
        "groups": {"nightly": {"default": "false"}, "smoke": {}},
        "tests": [
            {"id": "t1", "name": "Checkout", "groups": ["smoke"], "when": {"changed": ["checkout/**"]}},
            {"id": "t2", "groups": ["nightly", "smoke"]},
            {"id": "t1", "name": "Checkout again", "when": {"changed": ["docs/**"]}},
        ],
        "folders": [{"id": "f1", "groups": ["slow"]}],
        "tags": ["g1"],
    }
)


def list_names(selection: Selection) -> list[str]:
    return [candidate.display_name for candidate in selection.candidates]


def select(**options: Any) -> Selection:
    settings = Settings(**options)
    return select_by_groups(collect_candidates(settings, TEAM), settings, TEAM)


def test_candidates_are_numbered_before_selection() -> None:
    """Ids precede the manifest, and equal ids of one kind have different numbers."""
    settings = Settings(test_ids=(NamedId("t1", "Label"),), tag_ids=(NamedId("t1"),))
    candidates = collect_candidates(settings, TEAM)
    assert [(item.kind.value, item.id, item.occurrence) for item in candidates] == [
        ("test", "t1", 1),
        ("tag", "t1", 1),
        ("test", "t1", 2),
        ("test", "t2", 1),
        ("test", "t1", 3),
        ("folder", "f1", 1),
        ("tag", "g1", 1),
    ]
    assert [item.entry is None for item in candidates] == [True, True, False, False, False, False, False]


def test_default_selection_has_no_default_off_group() -> None:
    """An entry of a default-off group stays off even if it is in other groups too."""
    selection = select()
    assert list_names(selection) == ["Checkout", "Checkout again", "f1", "g1"]
    assert selection.note == "1 of 5 entries left out: 1 off by default."


@pytest.mark.parametrize(
    ("options", "names", "left_out"),
    [
        ({"groups": ("smoke",)}, ["Checkout"], {Rule.GROUPS: 3, Rule.OFF_BY_DEFAULT: 1}),
        ({"groups": ("nightly",)}, ["t2"], {Rule.GROUPS: 4}),
        ({"groups": ("nightly", "smoke")}, ["Checkout", "t2"], {Rule.GROUPS: 3}),
        (
            {"exclude_groups": ("slow",)},
            ["Checkout", "Checkout again", "g1"],
            {Rule.OFF_BY_DEFAULT: 1, Rule.EXCLUDED: 1},
        ),
        ({"groups": ("nightly",), "exclude_groups": ("smoke",)}, [], {Rule.GROUPS: 4, Rule.EXCLUDED: 1}),
    ],
)
def test_groups_filter_entries(options: dict[str, Any], names: list[str], left_out: dict[Rule, int]) -> None:
    """Each entry that is left out counts for the first rule that left it out."""
    selection = select(**options)
    assert (list_names(selection), selection.left_out) == (names, left_out)


def test_one_named_group_switches_entry_on() -> None:
    """An entry of two default-off groups needs only one of them."""
    groups = {"nightly": {"default": "false"}, "weekly": {"default": "false"}}
    manifest = Manifest.model_validate({"groups": groups, "tests": [{"id": "t", "groups": ["nightly", "weekly"]}]})
    for names, count in (((), 0), (("weekly",), 1), (("nightly", "weekly"), 1)):
        settings = Settings(groups=names)
        assert len(select_by_groups(collect_candidates(settings, manifest), settings, manifest).candidates) == count


def test_groups_never_filter_ids() -> None:
    """Ids of options are selected with any groups."""
    ids = (NamedId("x"),)
    assert list_names(select(test_ids=ids, groups=("nightly",), exclude_groups=("nightly",))) == ["x"]


def test_changed_files_filter_entries_with_when() -> None:
    """Entries without `when` always run."""
    selection = select_changed(select(), lambda patterns: patterns == ["docs/**"])
    assert list_names(selection) == ["Checkout again", "f1", "g1"]
    assert selection.note == "2 of 5 entries left out: 1 off by default, 1 unchanged."


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ((), ["Checkout", "Checkout again", "f1", "g1"]),
        (("check*again",), ["Checkout again"]),
        (("T1",), ["Checkout", "Checkout again"]),
        (("g1", "CHECKOUT"), ["Checkout", "g1"]),
        (("t2",), []),
    ],
)
def test_only_matches_name_or_id(patterns: tuple[str, ...], names: list[str]) -> None:
    """The order of the plan stays."""
    assert list_names(select_only(select(), patterns)) == names


def test_only_accepts_many_names() -> None:
    """A generated list of names is not compared with each entry."""
    ids = tuple(NamedId(f"t{number}") for number in range(4000))
    candidates = collect_candidates(Settings(test_ids=ids), None)
    texts = [f"T{number}" for number in range(3999, 8000)]

    def select_names() -> None:
        assert list_names(select_only(start_selection(candidates), texts)) == ["t3999"]
        assert find_unmatched_patterns(texts, candidates) == texts[1:]

    assert measure_processor_seconds(select_names, 0.5) < 0.5


def test_only_matches_label_of_id() -> None:
    """An id of an option has its label as name."""
    candidates = collect_candidates(Settings(test_ids=(NamedId("x", "Label"), NamedId("y"))), None)
    assert list_names(select_only(start_selection(candidates), ["label"])) == ["Label"]
    assert find_unmatched_patterns(["label", "z*", "Y"], candidates) == ["z*"]


def test_note_has_each_rule_in_order() -> None:
    """The note is empty if nothing is left out."""
    left_out = dict.fromkeys(reversed(Rule), 1)
    assert Selection((), 2000, left_out).note == (
        "7 of 2,000 entries left out: 1 by groups, 1 off by default, 1 excluded, 1 unchanged, 1 by only, "
        "1 not run before, 1 passed before."
    )
    assert Selection((), 1, {Rule.ONLY: 1}).note == "1 of 1 entry left out: 1 by only."
    assert start_selection(()).note is None


def test_failed_runs_select_by_key() -> None:
    """Of an entry with several runs, only those without a pass are selected."""
    selection = start_selection(collect_candidates(Settings(), TEAM))
    passed = frozenset({RunKey("test", "t1", "L=1"), RunKey("test", "t2"), RunKey("folder", "f1")})
    failed = frozenset({RunKey("test", "t1", "L=2"), RunKey("tag", "g1", environment="staging")})
    selection, requests = select_failed(selection, FailedRuns("r.json", passed, failed), expand)
    assert [str(request.key) for request in requests] == ["test/t1/L=2/1/", "tag/g1//1/staging"]
    assert selection.note == "3 of 5 entries left out: 1 not run before, 2 passed before."


def expand(candidate: Candidate) -> list[RunRequest]:
    request = RunRequest(candidate.kind, candidate.id, candidate.name, occurrence=candidate.occurrence)
    if candidate.kind is TargetKind.TEST:
        return [request._replace(matrix_place=place) for place in ("L=1", "L=2")]
    return [request._replace(environment="staging")]


GROUPS = st.lists(st.sampled_from(["on", "off", "late", "other"]), max_size=3, unique=True)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["a", "b", "c"]), "groups": GROUPS},
        optional={"when": st.fixed_dictionaries({"changed": st.lists(st.sampled_from("xyz"), min_size=1, max_size=2)})},
    ),
    max_size=8,
)


@given(
    ENTRIES,
    GROUPS,
    GROUPS,
    st.lists(st.sampled_from(["a", "?", "b*", "z"]), max_size=2),
    st.sets(st.sampled_from("xyz")),
)
def test_selection_is_subset_in_plan_order(
    entries: list[object], groups: list[str], excluded: list[str], patterns: list[str], files: set[str]
) -> None:
    """Every rule only removes entries, and the note accounts for each of them."""
    off = {"off": {"default": "false"}, "late": {"default": "false"}}
    manifest = Manifest.model_validate({"groups": off, "tests": entries})
    settings = Settings(groups=tuple(groups), exclude_groups=tuple(excluded))
    candidates = collect_candidates(settings, manifest)
    selection = select_by_groups(candidates, settings, manifest)
    selection = select_only(select_changed(selection, lambda texts: not files.isdisjoint(texts)), patterns)
    positions = [candidates.index(candidate) for candidate in selection.candidates]
    assert positions == sorted(set(positions))
    assert len(selection.candidates) + sum(selection.left_out.values()) == len(candidates)
    for candidate in selection.candidates:
        off_by_default = candidate.groups & {"off", "late"}
        assert not off_by_default or not off_by_default.isdisjoint(groups)
        assert candidate.groups.isdisjoint(excluded)
        assert not groups or not candidate.groups.isdisjoint(groups)
