"""Runs of the selected entries."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from autonoma_ci.config.parsers import NamedId
from autonoma_ci.config.settings import Settings
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import Quarantine, RunRequest
from autonoma_ci.planning.expansion import RequestBuilder
from autonoma_ci.planning.rerun import RerunCommands
from autonoma_ci.planning.selection import collect_candidates

TODAY = date(2026, 6, 15)


def build(manifest: dict[str, Any], environment: str = "", **options: Any) -> list[RunRequest]:
    """Return the runs of all entries in an environment."""
    settings, parsed = Settings(**options), Manifest.model_validate(manifest)
    if environment:
        parsed.select_environment(environment)
    builder = RequestBuilder(settings, parsed, TODAY, RerunCommands(settings, parsed, "m.yml"))
    return [run for candidate in collect_candidates(settings, parsed) for run in builder.build(candidate)]


ENVIRONMENTS = {
    "staging": {"default": "true", "variables": {"URL": "staging", "B": "environment", "C": "environment"}},
    "production": {"variables": {"URL": "production"}},
}


def test_variables_have_precedence() -> None:
    """Option, matrix, entry, environment, defaults."""
    names = "ABCDE"
    manifest = {
        "defaults": {"variables": dict.fromkeys(names, "defaults")},
        "environments": {"e": {"default": "true", "variables": dict.fromkeys(names[1:], "environment")}},
        "tests": [{"id": "t", "variables": {"C": "entry", "E": "entry"}, "matrix": {"D": ["matrix"], "F": ["matrix"]}}],
    }
    (run,) = build(manifest, "e", variables={"E": "option", "F": "option"})
    assert run.variables == {
        "A": "defaults", "B": "environment", "C": "entry", "D": "matrix", "E": "option", "F": "option"
    }  # fmt: skip
    assert run.matrix_place == "D=1"


def test_environment_applies_to_ids() -> None:
    """Ids of options get the variables of defaults and environment too."""
    manifest = {"defaults": {"variables": {"A": "1", "B": "1"}}, "environments": ENVIRONMENTS}
    (run,) = build(manifest, "staging", test_ids=(NamedId("t"),), variables={"C": "option"})
    assert run.variables == {"A": "1", "URL": "staging", "B": "environment", "C": "option"}
    assert (run.environment, str(run.key)) == ("staging", "test/t//1/staging")


def test_plan_without_environment_has_no_name() -> None:
    """No environment is the default, or the manifest has none."""
    (run,) = build({"environments": {"staging": {"variables": {"A": "1"}}}, "tests": ["t"]})
    assert (run.environment, run.variables) == ("", {})
    assert build({"tests": ["t"]})[0].environment == ""


RETRIES = {
    "defaults": {"retries": 3},
    "tests": ["a", {"id": "b", "retries": 1}, {"id": "c", "retries": 0}],
    "tags": ["g"],
}


@pytest.mark.parametrize(
    ("options", "retries"),
    [
        ({"wait": True}, [3, 1, 0, 3]),
        ({"wait": True, "retries": 2, "explicitly_set": frozenset({"retries"})}, [2, 1, 0, 2]),
        ({"wait": True, "retries": 0, "explicitly_set": frozenset({"retries"})}, [0, 0, 0, 0]),
        ({"wait": False}, [0, 0, 0, 0]),
        ({"retries": 2, "explicitly_set": frozenset({"retries"})}, [0, 0, 0, 0]),
    ],
)
def test_retries_of_entry_win(options: dict[str, Any], retries: list[int]) -> None:
    """The entry wins, then the option, then the defaults. The option 0 turns all off."""
    assert [run.retries for run in build(RETRIES, **options)] == retries


def test_retries_apply_to_ids() -> None:
    """Ids of options have the option or the defaults."""
    ids = (NamedId("x"),)
    assert build({"defaults": {"retries": 3}}, test_ids=ids, wait=True)[0].retries == 3
    assert build({}, test_ids=ids, wait=True)[0].retries == 0


def test_run_timeout_of_entry_wins() -> None:
    """Each kind of entry has the default, also ids of options."""
    manifest = {
        "defaults": {"run_timeout": "20m"},
        "tests": ["a", {"id": "b", "run_timeout": "90s"}],
        "folders": ["f"],
    }
    runs = build(manifest, test_ids=(NamedId("x"),), wait=True)
    assert [run.run_timeout_seconds for run in runs] == [1200.0, 1200.0, 90.0, 1200.0]
    assert build({"tests": ["a"]}, wait=True)[0].run_timeout_seconds is None
    # Without waiting, it has no effect, and a dry run must not show it.
    assert build(manifest)[0].run_timeout_seconds is None


def test_run_has_facts_of_entry() -> None:
    """Owner, quarantine and command are the same for each combination."""
    quarantine = {"until": TODAY, "reason": "slow mail", "issue": "#7"}
    entry = {"id": "t", "owner": "@web", "quarantine": quarantine, "matrix": {"A": ["1", "2"]}}
    runs = build({"tests": [entry], "folders": [{"id": "f", "owner": "@ops"}]})
    assert {(run.owner, run.quarantine, run.rerun_command) for run in runs[:2]} == {
        ("@web", Quarantine("2026-06-15", "slow mail", "#7"), "autonoma-ci run --manifest m.yml --only t")
    }
    assert (runs[2].owner, runs[2].quarantine) == ("@ops", None)


def test_ended_quarantine_is_not_in_effect() -> None:
    """The result counts from the day after."""
    entry = {"id": "t", "quarantine": {"until": date(2026, 6, 14), "reason": "slow mail"}}
    assert build({"tests": [entry]})[0].quarantine is None


def test_combinations_show_literal_values() -> None:
    """A value of the option `variables` is hidden in the names of all runs."""
    matrix = {"LOCALE": ["en", "fr"], "MODE": ["dark", "light"]}
    settings, manifest = (
        Settings(variables={"X": "dark"}),
        Manifest.model_validate({"tests": [{"id": "t", "matrix": matrix}]}),
    )
    stated = frozenset((name, position) for name in matrix for position in range(2))
    manifest.set_literal_values(manifest.tests[0], stated)
    builder = RequestBuilder(settings, manifest, TODAY, RerunCommands(settings, manifest, ""))
    (candidate,) = collect_candidates(settings, manifest)
    assert [run.name for run in builder.build(candidate)] == [
        "t [LOCALE=en, MODE 1/2]",
        "t [LOCALE=en, MODE=light]",
        "t [LOCALE=fr, MODE 1/2]",
        "t [LOCALE=fr, MODE=light]",
    ]
