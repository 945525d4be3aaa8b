"""Quarantines in effect, and those that end."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from autonoma_ci.config.parsers import NamedId
from autonoma_ci.config.settings import Settings
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import Quarantine
from autonoma_ci.planning.quarantine import (
    find_active_quarantine,
    find_ended_quarantines,
    find_ending_quarantines,
    find_uncounted_error,
)
from autonoma_ci.planning.selection import Candidate, collect_candidates

TODAY = date(2026, 6, 15)


def build_manifest(*until: date | None) -> Manifest:
    """Return a manifest with one test per date, in quarantine until then."""
    tests = [
        {"id": f"t{number}", "name": f"Test {number}"}
        | ({"quarantine": {"until": day, "reason": "slow mail", "issue": "#7"}} if day else {})
        for number, day in enumerate(until, 1)
    ]
    return Manifest.model_validate({"tests": tests})


def list_candidates(*days: int) -> tuple[Candidate, ...]:
    """Return candidates whose quarantine ends this many days after today."""
    return collect_candidates(Settings(), build_manifest(*(TODAY + timedelta(day) for day in days)))


@pytest.mark.parametrize(("days", "is_active"), [(-1, False), (0, True), (1, True)])
def test_last_day_belongs_to_quarantine(days: int, *, is_active: bool) -> None:
    """On the day after, the result counts again."""
    (candidate,) = list_candidates(days)
    until = TODAY + timedelta(days)
    expected = Quarantine(until.isoformat(), "slow mail", "#7") if is_active else None
    assert find_active_quarantine(candidate.entry, Settings(), TODAY) == expected


def test_ignored_quarantine_has_no_effect() -> None:
    """The option also turns off all notices."""
    settings, candidates = Settings(ignore_quarantine=True), list_candidates(-1, 0, 3)
    assert [find_active_quarantine(item.entry, settings, TODAY) for item in candidates] == [None] * 3
    assert find_ended_quarantines(candidates, settings, TODAY) == []
    assert find_ending_quarantines(candidates, settings, TODAY) == []


def test_entry_without_quarantine_has_none() -> None:
    """Ids of options are never in quarantine."""
    assert find_active_quarantine(None, Settings(), TODAY) is None
    assert find_active_quarantine(build_manifest(None).tests[0], Settings(), TODAY) is None


def test_ended_quarantine_has_warning() -> None:
    """The warning names the entry and its last day."""
    assert find_ended_quarantines(list_candidates(-1, 0, -40), Settings(), TODAY) == [
        (
            "Quarantine ended, so each result counts again: 'Test 1' (2026-06-14), 'Test 3' (2026-05-06). "
            "Fix the test, or extend `until`."
        )
    ]
    assert find_ended_quarantines(list_candidates(0, 90), Settings(), TODAY) == []


def test_last_week_has_notice() -> None:
    """The week before the end includes the last day."""
    assert find_ending_quarantines(list_candidates(-1, 0, 7, 8), Settings(), TODAY) == [
        "Quarantine ends within 7 days: 'Test 2' (2026-06-15), 'Test 3' (2026-06-22). A result counts after its date."
    ]


def test_many_names_are_counted() -> None:
    """The notice stays short."""
    (notice,) = find_ending_quarantines(list_candidates(*[1] * 8), Settings(), TODAY)
    assert "'Test 5' (2026-06-16) and 3 more. A result" in notice


def test_notice_escapes_name() -> None:
    """A name can't write a line of its own."""
    manifest = build_manifest(TODAY)
    candidates = collect_candidates(Settings(), Manifest(tests=[manifest.tests[0].model_copy(update={"name": "a\nb"})]))
    (notice,) = find_ending_quarantines(candidates, Settings(), TODAY)
    assert "\n" not in notice


def test_plan_of_quarantined_entries_is_error() -> None:
    """A step whose results can't count tests nothing."""
    manifest = build_manifest(TODAY, TODAY)
    candidates = collect_candidates(Settings(), manifest)
    manifest.set_location("autonoma.yml", 3)
    remedy = "Set ignore-quarantine or allow-empty to true."
    error = find_uncounted_error(candidates, Settings(), manifest, TODAY)
    assert str(error) == f"autonoma.yml:3:1: no result would count: all 2 selected entries are in quarantine. {remedy}"
    error = find_uncounted_error(candidates[:1], Settings(), manifest, TODAY)
    assert "no result would count: the only selected entry is in quarantine." in str(error)


@pytest.mark.parametrize(
    ("settings", "until"),
    [
        (Settings(allow_empty=True), [TODAY]),
        (Settings(ignore_quarantine=True), [TODAY]),
        (Settings(test_ids=(NamedId("x"),)), [TODAY]),
        (Settings(), [TODAY, None]),
        (Settings(), [TODAY, TODAY - timedelta(1)]),
        (Settings(), []),
    ],
)
def test_result_that_counts_is_no_error(settings: Settings, until: list[date | None]) -> None:
    """Any id of an option, and any entry without an active quarantine, counts."""
    manifest = build_manifest(*until)
    assert find_uncounted_error(collect_candidates(settings, manifest), settings, manifest, TODAY) is None
