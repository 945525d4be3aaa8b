"""Messages about options that select nothing."""

from __future__ import annotations

from typing import Any

import pytest

from autonoma_ci.config.parsers import NamedId
from autonoma_ci.config.settings import Settings
from autonoma_ci.identity import RunKey
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import RunRequest
from autonoma_ci.planning.selection import (
    Candidate,
    FailedRuns,
    Rule,
    Selection,
    collect_candidates,
)
from autonoma_ci.planning.selection_errors import (
    explain_empty_plan,
    find_missing_runs_error,
    find_selection_errors,
)
from tests.support.processor_time import measure_processor_seconds

TEAM = Manifest.model_validate(
    {
        "groups": {"nightly": {"default": "false"}, "unused": {}},
        "environments": {"staging": {}, "production": {}},
        "tests": [
            {"id": "t1", "name": "Checkout pays", "groups": ["smoke"]},
            {"id": "t2", "name": "Nightly report", "groups": ["nightly"]},
        ],
    }
)
ALLOW = "or set allow-empty to true."


def list_errors(manifest: Manifest | None = TEAM, *, ignores_groups: bool = False, **options: Any) -> list[str]:
    settings = Settings(**options)
    candidates = collect_candidates(settings, manifest)
    return list(map(str, find_selection_errors(settings, manifest, candidates, ignores_groups=ignores_groups)))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"environment": "stagin"}, "environment: unknown environment: 'stagin'. Did you mean 'staging'?"),
        (
            {"environment": "qa", "spellings": {"environment": "--environment"}},
            "--environment: unknown environment: 'qa'. Known environments: production, staging.",
        ),
        ({"exclude_groups": ("smok",)}, "exclude-groups: unknown group: 'smok'. Did you mean 'smoke'?"),
        (
            {"exclude_groups": ("none",)},
            "exclude-groups: invalid group: 'none'. Remove it, or name a group of the manifest.",
        ),
        ({"groups": ("late",)}, "groups: unknown group: 'late'. Known groups: nightly, smoke, unused."),
        ({"only": ("chekout*",)}, "only: no entry matches 'chekout*'. Did you mean 'Checkout pays'?"),
        (
            {"only": ("zebra",)},
            "only: no entry matches 'zebra'. Use the name or the id of an entry, with `*` for any text.",
        ),
        ({"only": ("zebra, lion",)}, "only: no entry matches 'zebra, lion'. Write one pattern per line."),
        (
            {"only": ("nightly*",)},
            (
                "only: 'nightly*' matches only entries that are off by default. A default-off group stays off. "
                "Add to groups: nightly."
            ),
        ),
    ],
)
def test_unknown_name_has_suggestion(options: dict[str, Any], error: str) -> None:
    """The message names the option, the text and the remedy."""
    assert list_errors(**options) == [error]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"environment": "qa"},
            "environment: environment 'qa' needs a manifest. Set manifest, or remove the environment.",
        ),
        (
            {"exclude_groups": ("slow",)},
            "exclude-groups: group 'slow' needs a manifest. Set manifest, or remove the group.",
        ),
    ],
)
def test_option_of_manifest_needs_one(options: dict[str, Any], error: str) -> None:
    """Without a manifest the option has no meaning."""
    assert list_errors(None, **options) == [error]


def test_known_names_have_no_error() -> None:
    """A declared group is known without entries, and a selected group turns its entries on."""
    assert list_errors(groups=("unused", "nightly"), exclude_groups=("smoke",), environment="staging") == []
    assert list_errors(only=("T2",), groups=("nightly",)) == []
    assert list_errors(only=("T2",), ignores_groups=True) == []
    assert list_errors(Manifest(), only=("x",)) == []


def test_every_problem_is_reported_at_once() -> None:
    """Each option and each of its values has an error of its own."""
    errors = list_errors(environment="qa", groups=("a1", "b1"), exclude_groups=("c1",), only=("d1", "e1"))
    assert [error.split(":")[0] for error in errors] == [
        "environment",
        *["groups"] * 2,
        "exclude-groups",
        *["only"] * 2,
    ]


def test_explained_groups_are_limited() -> None:
    """A list of many groups with errors has a short log."""
    errors = list_errors(groups=tuple(f"x{number}" for number in range(22)))
    assert len([error for error in errors if "Known groups" in error]) == 5
    assert errors[19:] == [
        "groups: unknown group: 'x19'. Check its spelling.",
        "groups: 2 more unknown groups. Correct or remove them.",
    ]


def test_manifest_without_environments_is_named() -> None:
    """A suggestion would have nothing to list."""
    assert list_errors(Manifest(tests=TEAM.tests), environment="qa") == [
        "environment: unknown environment: 'qa'. The manifest has no `environments`."
    ]


def test_hidden_default_off_group_is_not_named() -> None:
    """A group that comes from the environment is a value."""
    manifest = Manifest.model_validate(
        {"groups": {"nightly": {"default": "false"}}, "tests": [{"id": "t", "groups": ["${GROUP}"]}]}
    )
    manifest.set_group_values(manifest.tests[0], ["nightly"])
    assert list_errors(manifest, only=("t",)) == [
        "only: 't' matches only entries that are off by default. A default-off group stays off. Add it to groups."
    ]


def test_many_unmatched_patterns_are_counted() -> None:
    """A long list has no message for each pattern, and the search for names stays fast."""
    manifest = Manifest.model_validate({"tests": [{"id": f"t{n}", "name": f"Entry {n:05}"} for n in range(10_000)]})
    patterns = tuple(f"Entri {n:05}" for n in range(500))
    errors: list[str] = []
    seconds = measure_processor_seconds(lambda: errors.extend(list_errors(manifest, only=patterns)), 5)
    assert seconds < 5
    assert "Did you mean 'Entry 00000'" in errors[0]
    assert errors[20] == "only: 480 more patterns without an entry. Correct or remove them."


@pytest.mark.parametrize(
    ("options", "left_out", "advice"),
    [
        ({}, {Rule.OFF_BY_DEFAULT: 2}, "(2 off by default). Change groups"),
        ({"groups": ("a",)}, {Rule.GROUPS: 2}, "(2 by groups). Change groups"),
        (
            {"groups": ("a",), "only": ("b",), "exclude_groups": ("c",)},
            {Rule.GROUPS: 1, Rule.EXCLUDED: 1},
            "(1 by groups, 1 excluded). Change groups, exclude-groups and only",
        ),
    ],
)
def test_empty_selection_names_rules(options: dict[str, Any], left_out: dict[Rule, int], advice: str) -> None:
    """The options that were set are the remedy."""
    names = frozenset(name.replace("_", "-") for name in options)
    error = explain_empty_plan(Settings(**options, explicitly_set=names), TEAM, Selection((), 2, left_out), None)
    assert str(error) == f"Nothing to run: all entries are left out {advice}, {ALLOW}"


def test_empty_selection_after_pass_names_file() -> None:
    """A build without failures has nothing to run again."""
    passed = FailedRuns("results/results.json", frozenset({RunKey("test", "t1")}), frozenset())
    error = explain_empty_plan(
        Settings(), TEAM, Selection((), 2, {Rule.PASSED_BEFORE: 1, Rule.NOT_RUN_BEFORE: 1}), passed
    )
    assert str(error) == f"Nothing to run: all runs of results/results.json had passed. Remove failed-from, {ALLOW}"


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (["t1"], None),
        (["t1", "x"], "1 failed run of r.json is not in the plan"),
        (["t1", "x", "y"], "2 failed runs of r.json are not in the plan"),
    ],
)
def test_missing_failed_runs_are_counted(ids: list[str], problem: str | None) -> None:
    """A run of another manifest cannot be run again."""
    failed_runs = FailedRuns("r.json", frozenset(), frozenset(RunKey("test", run_id) for run_id in ids))

    def expand(candidate: Candidate) -> list[RunRequest]:
        return [RunRequest(candidate.kind, candidate.id)]

    settings = Settings(test_ids=(NamedId("t1"),))
    error = find_missing_runs_error(collect_candidates(settings, None), failed_runs, expand, settings)
    assert error == (problem and f"failed-from: {problem}. Use the same ids, manifest and environment.")
