"""From settings and manifest to the runs, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci import plan
from autonoma_ci.errors import InputError
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.model import AppVersion, Kind, RunRequest
from autonoma_ci.settings import Settings
from autonoma_ci.values import Entry

SMOKE = Manifest.model_validate(
    {
        "defaults": {"application_version_id": "v0", "variables": {"ENV": "staging", "URL": "u"}},
        "tests": [
            "t1",
            {
                "id": "t2",
                "name": "Two",
                "groups": ["smoke"],
                "variables": {"ENV": "prod"},
                "application_version_id": "v2",
            },
            {"id": "t3", "groups": ["smoke", "slow"], "matrix": {"LOCALE": ["en", "fr"], "ROLE": ["a", "b", "c"]}},
        ],
        "folders": [{"id": "f1", "name": "Folder", "groups": ["slow"]}],
        "tags": ["g1"],
        "application_versions": [{"application_id": "a", "version_id": "b"}],
    }
)


def ids(requests: tuple[RunRequest, ...]) -> list[str]:
    return [request.id for request in requests]


def test_ids_come_first_then_tests_folders_and_tags_in_the_manifests_order() -> None:
    made = plan.make(Settings(test_ids=(Entry("x", "Label"),)), SMOKE)
    assert ids(made.requests) == ["x", "t1", "t2", *["t3"] * 6, "f1", "g1"]
    assert [request.kind for request in made.requests[-2:]] == [Kind.FOLDER, Kind.TAG]
    assert made.requests[-1].application_versions == (AppVersion("a", "b"),)
    assert made.requests[0].label == "Label"


def test_the_step_wins_over_the_test_and_the_test_over_the_defaults() -> None:
    one, two = plan.make(Settings(), SMOKE).requests[:2]
    assert (one.variables, one.application_version_id) == ({"ENV": "staging", "URL": "u"}, "v0")
    assert (two.variables, two.application_version_id) == ({"ENV": "prod", "URL": "u"}, "v2")
    settings = Settings(test_ids=(Entry("x"),), variables={"ENV": "mine"}, application_version_id="v9")
    for request in plan.make(settings, SMOKE).requests[:3]:
        assert (request.variables, request.application_version_id) == ({"ENV": "mine", "URL": "u"}, "v9")


def test_defaults_hold_for_ids_that_the_step_gives() -> None:
    request = plan.make(Settings(test_ids=(Entry("x"),)), SMOKE).requests[0]
    assert (request.variables, request.application_version_id) == ({"ENV": "staging", "URL": "u"}, "v0")


def test_a_matrix_gives_one_run_per_combination_told_apart_without_values() -> None:
    runs = [request for request in plan.make(Settings(), SMOKE).requests if request.id == "t3"]
    chosen = [(run.variables["LOCALE"], run.variables["ROLE"]) for run in runs]
    assert chosen == [("en", "a"), ("en", "b"), ("en", "c"), ("fr", "a"), ("fr", "b"), ("fr", "c")]
    assert runs[0].name == "t3 [LOCALE 1/2, ROLE 1/3]"
    assert len({run.name for run in runs}) == 6
    assert not any(value in run.name for run in runs for value in ("en", "fr"))


def test_a_variable_of_the_step_is_no_longer_an_axis() -> None:
    runs = [r for r in plan.make(Settings(variables={"LOCALE": "de"}), SMOKE).requests if r.id == "t3"]
    assert [run.variables["LOCALE"] for run in runs] == ["de"] * 3
    assert runs[0].name == "t3 [ROLE 1/3]"


def test_groups_select_entries_and_not_ids() -> None:
    made = plan.make(Settings(test_ids=(Entry("x"),), groups=("slow",)), SMOKE)
    assert set(ids(made.requests)) == {"x", "t3", "f1"}


@pytest.mark.parametrize(
    ("groups", "says"),
    [(("smok",), "did you mean 'smoke'"), (("other",), "known are: slow, smoke"), (("smok", "other"), "other")],
)
def test_an_unknown_group_is_an_error_that_helps(groups: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        plan.make(Settings(groups=groups), SMOKE)
    assert len(caught.value.problems) == len(groups)


def test_groups_without_a_manifest_are_unknown() -> None:
    with pytest.raises(InputError, match="known are: none"):
        plan.make(Settings(test_ids=(Entry("x"),), groups=("smoke",)), None)


def test_a_run_that_is_listed_twice_is_started_once_and_said() -> None:
    made = plan.make(Settings(test_ids=(Entry("x"), Entry("y"), Entry("x", "again"), Entry("x"))), None)
    assert ids(made.requests) == ["x", "y"]
    assert made.notes == ("test x is listed 3 times with the same variables; it is started once.",)


def test_one_test_with_other_variables_is_another_run() -> None:
    entries = [{"id": "t", "variables": {"A": "1"}}, {"id": "t", "variables": {"A": "2"}}]
    assert len(plan.make(Settings(), Manifest.model_validate({"tests": entries})).requests) == 2


@pytest.mark.parametrize("manifest", [None, Manifest()])
def test_nothing_to_run_is_an_error_unless_it_is_allowed(manifest: Manifest | None) -> None:
    with pytest.raises(InputError, match="allow-empty"):
        plan.make(Settings(), manifest)
    assert plan.make(Settings(allow_empty=True), manifest).requests == ()


def test_a_matrix_that_got_out_of_hand_is_an_error_and_not_a_bill() -> None:
    axes = {name: [str(n) for n in range(100)] for name in "ABC"}
    with pytest.raises(InputError, match="more than 20,000 runs"):
        plan.make(Settings(), Manifest.model_validate({"tests": [{"id": "t", "matrix": axes}]}))


def test_a_plan_in_words_has_names_of_variables_and_never_values() -> None:
    lines = plan.make(Settings(), SMOKE).lines()
    assert lines[1] == "test Two (t2): variables ENV, URL; application version v2"
    assert lines[-1] == "tag g1: 1 application version(s)"
    assert not any("staging" in line or "prod" in line for line in lines)


names = st.text("ABC", min_size=1, max_size=2)
values = st.text(max_size=3)
tests = st.fixed_dictionaries(
    {"id": st.text("xyz", min_size=1, max_size=2)},
    optional={
        "variables": st.dictionaries(names.map(lambda n: "V" + n), values, max_size=2),
        "matrix": st.dictionaries(names, st.lists(values, min_size=1, max_size=3), max_size=2),
        "groups": st.lists(st.sampled_from(["one", "two"]), max_size=2),
    },
)


@given(st.lists(tests, min_size=1, max_size=6), st.dictionaries(names, values, max_size=2))
def test_a_plan_has_each_run_once_and_the_groups_together_are_the_whole(
    entries: list[dict[str, object]], variables: dict[str, str]
) -> None:
    entries = [{**entry, "groups": [*entry.get("groups", []), "all"]} for entry in entries]  # type: ignore[misc]
    manifest = Manifest.model_validate({"tests": entries})
    whole = plan.make(Settings(variables=variables), manifest).requests
    keys = [(r.id, tuple(sorted(r.variables.items()))) for r in whole]
    assert len(set(keys)) == len(keys)
    assert all(variables.items() <= r.variables.items() for r in whole)
    assert plan.make(Settings(variables=variables, groups=("all",)), manifest).requests == whole
