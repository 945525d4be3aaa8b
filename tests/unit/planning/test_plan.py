"""Plans from settings and manifest."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config.parsers import NamedId, Shard
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import InputError
from autonoma_ci.identity import RunKey
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import AppVersion, BuildContext, ChangeSummary, Quarantine, RunRequest, TargetKind
from autonoma_ci.planning import plan
from autonoma_ci.planning.selection import ChangeFilter, FailedRuns

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 6, 15)
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
REQUESTS = st.lists(st.builds(partial(RunRequest), st.just(TargetKind.TEST), st.text("ab", max_size=3)), max_size=40)


def list_ids(requests: tuple[RunRequest, ...]) -> list[str]:
    return [request.id for request in requests]


def test_ids_precede_manifest_entries() -> None:
    """Ids come first, then tests, folders and tags in the order of the manifest."""
    built_plan = plan.build_plan(Settings(test_ids=(NamedId("x", "Label"),)), SMOKE)
    assert list_ids(built_plan.requests) == ["x", "t1", "t2", *["t3"] * 6, "f1", "g1"]
    assert [request.kind for request in built_plan.requests[-2:]] == [TargetKind.FOLDER, TargetKind.TAG]
    assert built_plan.requests[-1].application_versions == (AppVersion("a", "b"),)
    assert built_plan.requests[0].display_name == "Label"


def test_test_ids_precede_folder_and_tag_ids() -> None:
    """Ids of folders and tags follow ids of tests and precede the manifest."""
    settings = Settings(tag_ids=(NamedId("g9", "Tag"),), folder_ids=(NamedId("f9"),), test_ids=(NamedId("x"),))
    requests = plan.build_plan(settings, SMOKE).requests
    assert [(r.kind, r.id, r.name) for r in requests[:3]] == [
        (TargetKind.TEST, "x", ""),
        (TargetKind.FOLDER, "f9", ""),
        (TargetKind.TAG, "g9", "Tag"),
    ]
    assert list_ids(requests[3:]) == ["t1", "t2", *["t3"] * 6, "f1", "g1"]
    for request in requests:
        is_multi_test = request.kind is not TargetKind.TEST
        assert request.application_versions == ((AppVersion("a", "b"),) if is_multi_test else ())
        assert not request.run_on_latest
        assert not is_multi_test or (request.variables, request.application_version_id) == ({}, "")


OTHER_VERSIONS = (AppVersion("c", "d"),)
LATEST_MANIFEST = Manifest(folders=SMOKE.folders, run_on_latest="true")
version_options = {"application-versions", "run-on-latest"}


@pytest.mark.parametrize(
    ("settings", "manifest", "versions", "latest"),
    [
        (Settings(), SMOKE, (AppVersion("a", "b"),), False),
        (Settings(), LATEST_MANIFEST, (), True),
        (
            Settings(application_versions=OTHER_VERSIONS, explicitly_set=frozenset(version_options)),
            SMOKE,
            OTHER_VERSIONS,
            False,
        ),
        (
            Settings(application_versions=OTHER_VERSIONS, explicitly_set=frozenset(version_options)),
            LATEST_MANIFEST,
            OTHER_VERSIONS,
            False,
        ),
        (
            Settings(application_versions=OTHER_VERSIONS, explicitly_set=frozenset(version_options)),
            None,
            OTHER_VERSIONS,
            False,
        ),
        (Settings(run_on_latest=True, explicitly_set=frozenset({"run-on-latest"})), SMOKE, (), True),
        (Settings(run_on_latest=True, explicitly_set=frozenset({"run-on-latest"})), None, (), True),
        (Settings(explicitly_set=frozenset({"run-on-latest"})), LATEST_MANIFEST, (), False),
        (Settings(explicitly_set=frozenset({"run-on-latest"})), SMOKE, (AppVersion("a", "b"),), False),
        (Settings(explicitly_set=frozenset({"application-versions"})), SMOKE, (), False),
        (Settings(explicitly_set=frozenset({"application-versions"})), LATEST_MANIFEST, (), False),
    ],
)
def test_version_option_replaces_manifest(
    settings: Settings, manifest: Manifest | None, versions: tuple[AppVersion, ...], latest: bool
) -> None:
    """Versions and latest are a pair and never come from both sources."""
    built_plan = plan.build_plan(settings._replace(folder_ids=(NamedId("f9"),)), manifest)
    runs = [request for request in built_plan.requests if request.kind is not TargetKind.TEST]
    assert {(run.application_versions, run.run_on_latest) for run in runs} == {(versions, latest)}
    assert built_plan.notes == ()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Settings(application_versions=OTHER_VERSIONS), "application-versions"),
        (Settings(run_on_latest=True), "run-on-latest"),
    ],
)
def test_folder_option_without_folders_has_note(settings: Settings, name: str) -> None:
    """A note says that an option for folders and tags has no effect without any."""
    settings = settings._replace(test_ids=(NamedId("x"),), explicitly_set=frozenset({"test-ids", name}))
    (note,) = plan.build_plan(settings, None).notes
    assert note == f"{name} has no effect without folders and tags."
    assert plan.build_plan(settings._replace(tag_ids=(NamedId("g"),)), None).notes == ()


def test_step_overrides_test_overrides_defaults() -> None:
    """Variables and version of the step win, then those of the test."""
    first, second = plan.build_plan(Settings(), SMOKE).requests[:2]
    assert (first.variables, first.application_version_id) == ({"ENV": "staging", "URL": "u"}, "v0")
    assert (second.variables, second.application_version_id) == ({"ENV": "prod", "URL": "u"}, "v2")
    settings = Settings(test_ids=(NamedId("x"),), variables={"ENV": "mine"}, application_version_id="v9")
    for request in plan.build_plan(settings, SMOKE).requests[:3]:
        assert (request.variables, request.application_version_id) == ({"ENV": "mine", "URL": "u"}, "v9")


def test_defaults_apply_to_ids() -> None:
    """Defaults of the manifest apply to ids of the step."""
    request = plan.build_plan(Settings(test_ids=(NamedId("x"),)), SMOKE).requests[0]
    assert (request.variables, request.application_version_id) == ({"ENV": "staging", "URL": "u"}, "v0")


def test_matrix_makes_run_per_combination() -> None:
    """The names of the runs have the places of the values, not the values."""
    runs = [request for request in plan.build_plan(Settings(), SMOKE).requests if request.id == "t3"]
    values_of_runs = [(run.variables["LOCALE"], run.variables["ROLE"]) for run in runs]
    assert values_of_runs == [("en", "a"), ("en", "b"), ("en", "c"), ("fr", "a"), ("fr", "b"), ("fr", "c")]
    assert runs[0].name == "t3 [LOCALE 1/2, ROLE 1/3]"
    assert len({run.name for run in runs}) == 6
    assert not any(value in run.name for run in runs for value in ("en", "fr"))


def test_step_variable_removes_axis() -> None:
    """A variable of the step replaces the axis of the matrix."""
    runs = [r for r in plan.build_plan(Settings(variables={"LOCALE": "de"}), SMOKE).requests if r.id == "t3"]
    assert [run.variables["LOCALE"] for run in runs] == ["de"] * 3
    assert runs[0].name == "t3 [ROLE 1/3]"


def test_groups_select_manifest_entries() -> None:
    """Groups do not filter ids of the step."""
    built_plan = plan.build_plan(Settings(test_ids=(NamedId("x"),), groups=("slow",)), SMOKE)
    assert set(list_ids(built_plan.requests)) == {"x", "t3", "f1"}


@pytest.mark.parametrize(
    ("groups", "message"),
    [(("smok",), "Did you mean 'smoke'"), (("other",), "Known groups: slow, smoke"), (("smok", "other"), "other")],
)
def test_unknown_group_suggests_known(groups: tuple[str, ...], message: str) -> None:
    """The error suggests a similar group or lists all groups."""
    with pytest.raises(InputError, match=message) as error_info:
        plan.build_plan(Settings(groups=groups), SMOKE)
    assert len(error_info.value.diagnostics) == len(groups)


def test_groups_need_manifest() -> None:
    """Groups without a manifest, or without groups in it, are an input error."""
    with pytest.raises(InputError, match=r"^groups: group 'smoke' needs a manifest"):
        plan.build_plan(Settings(test_ids=(NamedId("x"),), groups=("smoke",)), None)
    with pytest.raises(InputError, match=r"^--groups: unknown group: 'smoke'. No entry of the manifest has"):
        plan.build_plan(Settings(groups=("smoke",), spellings={"groups": "--groups"}), Manifest(tags=SMOKE.tags))


@pytest.mark.parametrize("manifest", [None, SMOKE, Manifest()])
def test_groups_none_selects_nothing(manifest: Manifest | None) -> None:
    """Ids are left out too, and an empty plan is no error."""
    assert plan.build_plan(Settings(test_ids=(NamedId("x"),), groups=("none",)), manifest).requests == ()


def test_groups_none_with_others_is_refused() -> None:
    """One of the two is a mistake, and it is unknown which."""
    with pytest.raises(InputError, match=r"^groups: 'none' selects nothing"):
        plan.build_plan(Settings(groups=("none", "smoke")), SMOKE)
    with pytest.raises(InputError, match="Did you mean 'none'"):
        plan.build_plan(Settings(groups=("NONE",)), SMOKE)


def test_group_named_none_is_refused(tmp_path: Path) -> None:
    """The option `groups` could not select such a group."""
    (tmp_path / "autonoma.yml").write_text("tests:\n  - id: a\n    groups: [smoke, none]\n", "utf-8")
    with pytest.raises(InputError) as error_info:
        load_manifest("autonoma.yml", str(tmp_path), Interpolator({}, BuildContext()), TODAY)
    message = "autonoma.yml:3:21: invalid group name: 'none', which selects nothing. Use another name."
    assert str(error_info.value) == message


def test_plan_errors_name_option_as_written() -> None:
    """Each error of the plan has the option's name as the user wrote it."""
    settings = Settings(test_ids=(NamedId("x"),), shard="auto", spellings={"shard": "AUTONOMA_SHARD"})
    with pytest.raises(InputError, match=r"^AUTONOMA_SHARD: 'auto' needs a CI system"):
        plan.build_plan(settings, None)


def test_duplicates_start_once_with_note() -> None:
    """A test that is listed several times starts once, and a note says so."""
    built_plan = plan.build_plan(
        Settings(test_ids=(NamedId("x"), NamedId("y"), NamedId("x", "again"), NamedId("x"))), None
    )
    assert list_ids(built_plan.requests) == ["x", "y"]
    assert built_plan.notes == ("Test x is listed 3 times with the same variables and started once.",)


def test_duplicates_start_once_per_kind() -> None:
    """A test, a folder and a tag with the same id are different runs."""
    settings = Settings(test_ids=(NamedId("f1"),), folder_ids=(NamedId("f1"),), tag_ids=(NamedId("g1"), NamedId("g1")))
    built_plan = plan.build_plan(settings, Manifest(folders=SMOKE.folders, tags=SMOKE.tags))
    assert [(r.kind, r.id) for r in built_plan.requests] == [
        (TargetKind.TEST, "f1"),
        (TargetKind.FOLDER, "f1"),
        (TargetKind.TAG, "g1"),
    ]
    assert built_plan.notes == (
        "Tag g1 is listed 3 times and started once.",
        "Folder f1 is listed 2 times and started once.",
    )


def test_other_variables_make_another_run() -> None:
    """Entries of one test with different variables are different runs."""
    entries = [{"id": "t", "variables": {"A": "1"}}, {"id": "t", "variables": {"A": "2"}}]
    assert len(plan.build_plan(Settings(), Manifest.model_validate({"tests": entries})).requests) == 2


@pytest.mark.parametrize("manifest", [None, Manifest()])
def test_empty_plan_needs_allow_empty(manifest: Manifest | None) -> None:
    """An empty plan is an input error unless `allow-empty` is set."""
    with pytest.raises(InputError, match="allow-empty"):
        plan.build_plan(Settings(), manifest)
    assert plan.build_plan(Settings(allow_empty=True), manifest).requests == ()


IDS = ("test-ids", "folder-ids", "tag-ids")


def get_empty_plan_error(settings: Settings, manifest: Manifest | None = None) -> str:
    """Return the message of the error about an empty plan."""
    with pytest.raises(InputError) as error_info:
        plan.build_plan(settings, manifest)
    return str(error_info.value)


@pytest.mark.parametrize("name", IDS)
def test_empty_id_list_is_named(name: str) -> None:
    """The option was given, so the error does not ask for a manifest."""
    spelling = f"AUTONOMA_{name.upper().replace('-', '_')}"
    error_message = get_empty_plan_error(Settings(explicitly_set=frozenset({name}), spellings={name: spelling}))
    assert error_message.startswith(f"Nothing to run: {spelling} has no ids. Add an id")


def test_blank_option_is_named() -> None:
    """An unset CI variable leaves an empty text."""
    error_message = get_empty_plan_error(Settings(blank_options={"test-ids": "AUTONOMA_TEST_IDS"}))
    assert error_message.startswith(
        "Nothing to run: AUTONOMA_TEST_IDS is empty, and the working directory has no autonoma.yml"
    )
    error_message = get_empty_plan_error(Settings(blank_options={name: name for name in (*IDS, "manifest")}))
    assert error_message.startswith(
        "Nothing to run: test-ids, folder-ids, tag-ids and manifest are empty, and the working directory has no"
    )


def test_error_names_ids_and_manifest() -> None:
    """A new user has given neither."""
    assert get_empty_plan_error(Settings()).startswith(
        "Nothing to run: no ids are given, and the working directory has no autonoma.yml"
    )


def test_empty_manifest_has_its_line(tmp_path: Path) -> None:
    """The position is where the entries belong."""
    (tmp_path / "autonoma.yml").write_text("# all of it\nversion: 1\ntests: []\n", "utf-8")
    manifest = load_manifest("autonoma.yml", str(tmp_path), Interpolator({}, BuildContext()), TODAY)
    error_message = get_empty_plan_error(Settings(), manifest)
    assert error_message.startswith(
        "autonoma.yml:3:1: nothing to run: the manifest has no entries. Add an id below `tests:`"
    )


def test_huge_matrix_is_refused() -> None:
    """More than 20,000 runs are an input error."""
    axes = {name: [str(n) for n in range(100)] for name in "ABC"}
    with pytest.raises(InputError, match="More than 20,000 runs"):
        plan.build_plan(Settings(), Manifest.model_validate({"tests": [{"id": "t", "matrix": axes}]}))


def test_plan_text_has_no_values() -> None:
    """The text of a plan has names of variables without their values."""
    lines = plan.build_plan(Settings(), SMOKE).format_lines()
    assert lines[1] == "PLANNED  Two  — test t2: application version v2, variables ENV, URL"
    assert lines[-1] == "PLANNED  g1  — tag: 1 application version"
    lines_of_folder = plan.build_plan(Settings(), LATEST_MANIFEST).format_lines()
    assert lines_of_folder == ["PLANNED  Folder  — folder f1: on the latest versions"]
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
def test_plan_runs_are_unique_for_any_manifest(entries: list[dict[str, object]], variables: dict[str, str]) -> None:
    """A group with all entries selects the whole plan."""
    entries = [{**entry, "groups": [*entry.get("groups", []), "all"]} for entry in entries]  # type: ignore[misc]
    manifest = Manifest.model_validate({"tests": entries})
    requests = plan.build_plan(Settings(variables=variables), manifest).requests
    keys = [(r.id, tuple(sorted(r.variables.items()))) for r in requests]
    assert len(set(keys)) == len(keys)
    assert all(variables.items() <= r.variables.items() for r in requests)
    assert plan.build_plan(Settings(variables=variables, groups=("all",)), manifest).requests == requests


@pytest.mark.slow
@given(st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=30))
@pytest.mark.parametrize("total", range(1, 13))
def test_shards_cover_plan_once(total: int, values_of_runs: list[str]) -> None:
    """Duplicates are removed first, so no two shards start the same run."""
    settings = Settings(test_ids=tuple(map(NamedId, values_of_runs)))
    requests = plan.build_plan(settings, SMOKE).requests
    shards = [plan.build_plan(settings._replace(shard=Shard(n, total)), SMOKE).requests for n in range(1, total + 1)]
    sharded_requests = [request for shard in shards for request in shard]
    assert len(sharded_requests) == len(requests)
    assert sorted(sharded_requests, key=requests.index) == list(requests)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    for shard in shards:
        assert list(shard) == sorted(shard, key=requests.index)


@pytest.mark.slow
@given(REQUESTS)
@pytest.mark.parametrize("total", range(1, 13))
def test_shards_partition_the_plan(total: int, requests: list[RunRequest]) -> None:
    """Shards are disjoint, differ by at most one run and keep the order of the plan."""
    numbered_requests = [request._replace(name=str(index)) for index, request in enumerate(requests)]
    shards = [plan.select_shard(numbered_requests, Shard(number, total))[0] for number in range(1, total + 1)]
    assert (
        sorted((run for shard_runs in shards for run in shard_runs), key=lambda run: int(run.name)) == numbered_requests
    )
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    for shard_runs in shards:
        assert [int(run.name) for run in shard_runs] == sorted(int(run.name) for run in shard_runs)


@pytest.mark.parametrize(
    ("shard", "size", "message"),
    [
        (Shard(2, 5), 20, "Shard 2/5: 4 of the plan's 20 runs."),
        (Shard(2, 2), 1, "Shard 2/2 has no runs: the whole plan has only 1 run."),
        (Shard(1, 2), 1, "Shard 1/2: 1 of the plan's 1 run."),
        (Shard(5, 5), 3, "Shard 5/5 has no runs: the whole plan has only 3 runs."),
        (Shard(1, 2), 0, "Shard 1/2: 0 of the plan's 0 runs."),
        (Shard(1, 1), 3, "Shard 1/1 has the whole plan: this job has no parallel jobs."),
    ],
)
def test_shard_note_is_one_sentence(shard: Shard, size: int, message: str) -> None:
    """The note states the number of runs of the shard and of the plan."""
    assert plan.select_shard([RunRequest(TargetKind.TEST, "a")] * size, shard)[1] == message


def test_shard_auto_uses_ci_index() -> None:
    """With `shard` set to auto, the CI system's parallel index selects the runs."""
    settings = Settings(test_ids=(NamedId("x"), NamedId("y"), NamedId("z")), shard="auto")
    built_plan = plan.build_plan(settings, None, plan.PlanContext(ci_shard=Shard(2, 2)))
    assert (list_ids(built_plan.requests), built_plan.notes) == (["y"], ("Shard 2/2: 1 of the plan's 3 runs.",))
    single_shard_plan = plan.build_plan(settings, None, plan.PlanContext(ci_shard=Shard(1, 1)))
    assert list_ids(single_shard_plan.requests) == ["x", "y", "z"]
    assert single_shard_plan.notes == ("Shard 1/1 has the whole plan: this job has no parallel jobs.",)


def test_shard_option_overrides_ci_index() -> None:
    """An explicit shard wins, and without a shard the job starts all runs."""
    settings = Settings(test_ids=(NamedId("x"), NamedId("y")))
    assert list_ids(
        plan.build_plan(settings._replace(shard=Shard(1, 2)), None, plan.PlanContext(ci_shard=Shard(2, 2))).requests
    ) == ["x"]
    full_plan = plan.build_plan(settings, None, plan.PlanContext(ci_shard=Shard(2, 2)))
    assert (list_ids(full_plan.requests), full_plan.notes) == (["x", "y"], ())


def test_shard_auto_without_index_is_refused() -> None:
    """Starting all runs in every job would multiply the price."""
    with pytest.raises(InputError, match=r"Use a part such as 1/3. On GitHub: `shard: \$\{\{ matrix.shard \}\}`"):
        plan.build_plan(Settings(test_ids=(NamedId("x"),), shard="auto"), None)


def test_empty_shard_has_note() -> None:
    """A shard without runs is valid if the plan has runs."""
    built_plan = plan.build_plan(Settings(test_ids=(NamedId("x"), NamedId("y"), NamedId("z")), shard=Shard(5, 5)), None)
    assert (built_plan.requests, built_plan.notes) == ((), ("Shard 5/5 has no runs: the whole plan has only 3 runs.",))
    with pytest.raises(InputError, match="allow-empty"):
        plan.build_plan(Settings(shard=Shard(1, 5)), None)


def test_groups_none_has_no_shard_note() -> None:
    """The shard of an empty plan is of no interest."""
    settings = Settings(groups=("none",), shard=Shard(1, 2))
    assert plan.build_plan(settings, None).notes == ()


# Selection, limit and digest

TEAM = Manifest.model_validate(
    {
        "groups": {"nightly": {"default": "false"}},
        "tests": [
            {"id": "a", "name": "Alpha", "when": {"changed": ["a/**"]}},
            {"id": "b", "name": "Beta", "groups": ["smoke"]},
            {"id": "c", "name": "Gamma", "groups": ["nightly"], "matrix": {"L": ["1", "2"]}},
        ],
    }
)
SUMMARY = ChangeSummary("clone", "f" * 40, 3)


def change_nothing() -> ChangeFilter:
    return ChangeFilter(SUMMARY, lambda _: False)


def forbid_changes() -> ChangeFilter:
    pytest.fail("the changed files are not needed")


def test_note_says_what_is_left_out() -> None:
    """The plan is the rest, and the summary of the changed files is a fact of it."""
    built_plan = plan.build_plan(Settings(), TEAM, plan.PlanContext(find_changes=change_nothing))
    assert list_ids(built_plan.requests) == ["b"]
    assert built_plan.notes == ("2 of 3 entries left out: 1 off by default, 1 unchanged.",)
    assert built_plan.facts.change == SUMMARY


def test_timeout_without_url_has_warning() -> None:
    """The option applies to the URL of the environment as well."""
    settings = Settings(explicitly_set=frozenset({"wait-for-url-timeout"}))
    manifest = Manifest.model_validate({"tests": ["t"], "environments": {"e": {"wait_for_url": "https://e.example"}}})
    assert plan.build_plan(settings, manifest).warnings == (
        "wait-for-url-timeout has no effect without a URL. Set wait-for-url, or wait_for_url of the environment.",
    )
    assert plan.build_plan(settings._replace(wait_for_url="https://a.example"), manifest).warnings == ()
    manifest.select_environment("e")
    assert plan.build_plan(settings, manifest).warnings == ()


def test_line_has_facts_of_the_entry() -> None:
    """A dry run shows what the manifest states for an entry, and the names of variables last."""
    quarantine = Quarantine("2026-12-31", "The mail is late")
    request = RunRequest(TargetKind.TEST, "a", "Sign in", {"A": "1", "B": "2"}, owner="@web", retries=1,
                         run_timeout_seconds=600.0, quarantine=quarantine, environment="staging")  # fmt: skip
    assert plan.describe_request(request) == (
        "PLANNED  Sign in  — test a: environment staging, owner @web, in quarantine until 2026-12-31, up to 1 retry, "
        "run_timeout 10 min, variables A, B"
    )


def test_full_run_has_reason() -> None:
    """A doubt about the changed files selects every entry, and a note has the reason."""
    changes = ChangeFilter(ChangeSummary(full_run_reason="shallow clone. Set fetch-depth: 0."))
    built_plan = plan.build_plan(Settings(), TEAM, plan.PlanContext(find_changes=lambda: changes))
    assert list_ids(built_plan.requests) == ["a", "b"]
    assert built_plan.notes[1:] == ("`when` left nothing out: shallow clone. Set fetch-depth: 0.",)
    # Reports have the reason as a fact of the change, so it is no note for them.
    assert built_plan.facts.plan_notes == ("1 of 3 entries left out: 1 off by default.",)


@pytest.mark.parametrize(
    "settings", [Settings(only=("beta",)), Settings(groups=("smoke",)), Settings(groups=("none",))]
)
def test_changes_are_found_only_for_when(settings: Settings) -> None:
    """Without a selected entry with `when`, the clone is not read."""
    built_plan = plan.build_plan(settings, TEAM, plan.PlanContext(find_changes=forbid_changes))
    assert built_plan.facts.change is None


def test_unchanged_plan_is_no_error() -> None:
    """If only `when` leaves nothing, the plan is empty with a note."""
    built_plan = plan.build_plan(Settings(only=("alpha",)), TEAM, plan.PlanContext(find_changes=change_nothing))
    assert built_plan.requests == ()
    assert built_plan.notes == (
        "3 of 3 entries left out: 1 off by default, 1 unchanged, 1 by only.",
        "The changed files affect no entry of this step.",
    )


def test_plan_empty_without_when_is_error() -> None:
    """Another rule that leaves nothing is an error, also beside unchanged entries."""
    settings = Settings(exclude_groups=("smoke",), groups=("smoke",), explicitly_set=frozenset({"groups"}))
    with pytest.raises(InputError, match=r"all entries are left out \(2 by groups, 1 excluded\)"):
        plan.build_plan(settings, TEAM, plan.PlanContext(find_changes=change_nothing))
    settings = Settings(exclude_groups=("smoke",), only=("beta",), explicitly_set=frozenset({"only"}))
    with pytest.raises(InputError, match=r"\(1 off by default, 1 excluded, 1 by only\)"):
        plan.build_plan(settings, TEAM, plan.PlanContext(find_changes=change_nothing))


def fail_runs(*keys: RunKey, passed: tuple[RunKey, ...] = (), shard: str = "") -> plan.PlanContext:
    failed_runs = FailedRuns("r.json", frozenset(passed), frozenset(keys), shard)
    return plan.PlanContext(find_changes=forbid_changes, failed_runs=failed_runs)


ALPHA, BETA, GAMMA_1, GAMMA_2 = (
    *(RunKey("test", "a"), RunKey("test", "b")),
    *(RunKey("test", "c", "L=1"), RunKey("test", "c", "L=2")),
)


def test_failed_runs_ignore_groups_and_changes() -> None:
    """Every run without a pass is selected, and no other one."""
    context = fail_runs(ALPHA, GAMMA_2, passed=(BETA, GAMMA_1))
    built_plan = plan.build_plan(Settings(groups=("smoke",), exclude_groups=("nightly",)), TEAM, context)
    assert [request.key for request in built_plan.requests] == [ALPHA, GAMMA_2]
    assert built_plan.notes == (
        "1 of 3 entries left out: 1 passed before.",
        "groups has no effect with failed-from.",
        "exclude-groups has no effect with failed-from.",
    )


def test_no_groups_select_no_failed_runs() -> None:
    """The group `none` selects nothing, whatever failed."""
    assert plan.build_plan(Settings(groups=("none",)), TEAM, fail_runs(ALPHA)).requests == ()


def test_only_filters_failed_runs() -> None:
    """Entries of default-off groups can be named."""
    context = fail_runs(ALPHA, GAMMA_2, passed=(BETA, GAMMA_1))
    (request,) = plan.build_plan(Settings(only=("gamma",)), TEAM, context).requests
    assert request.key == GAMMA_2


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (fail_runs(ALPHA, RunKey("test", "z")), "failed-from: 1 failed run of r.json is not in the plan."),
        (fail_runs(ALPHA._replace(environment="staging")), "failed-from: 1 failed run of r.json is not in the plan."),
        (fail_runs(passed=(ALPHA,)), r"Nothing to run: all runs of r.json had passed\. Remove failed-from"),
    ],
)
def test_failed_runs_of_other_plan_are_refused(context: plan.PlanContext, message: str) -> None:
    """A run that is not in the plan can't run again, and nothing may pass for nothing."""
    with pytest.raises(InputError, match=message):
        plan.build_plan(Settings(), TEAM, context)


def test_failed_runs_of_same_shard_all_run() -> None:
    """The file has only runs of this shard, so they are not split again."""
    context, settings = fail_runs(ALPHA, GAMMA_2, shard="2/2"), Settings(shard=Shard(2, 2))
    built_plan = plan.build_plan(settings, TEAM, context)
    assert [request.key for request in built_plan.requests] == [ALPHA, GAMMA_2]
    assert built_plan.notes[-1] == "Shard 2/2: r.json has only runs of this shard, so all of them are selected."
    whole = plan.build_plan(settings, TEAM, fail_runs(ALPHA, GAMMA_2))
    assert [request.key for request in whole.requests] == [GAMMA_2]


def test_failed_runs_of_other_shard_are_refused() -> None:
    """The runs of this shard are not in the file, so they would not run again."""
    context = fail_runs(ALPHA, GAMMA_2, shard="1/2")
    with pytest.raises(InputError) as caught:
        plan.build_plan(Settings(shard=Shard(2, 2)), TEAM, context)
    problem = "failed-from: r.json is of shard 1/2, and this step of 2/2."
    assert str(caught.value) == f"{problem} Use the results.json of this shard or of all shards."
    # A job that is not parallel runs all of them.
    assert len(plan.build_plan(Settings(shard=Shard(1, 1)), TEAM, context).requests) == 2


@pytest.mark.parametrize(("max_runs", "budget"), [(2, 0), (5, 3)])
def test_max_runs_leaves_budget_for_retries(max_runs: int, budget: int) -> None:
    """The limit minus the plan is left for retries."""
    assert plan.build_plan(Settings(max_runs=max_runs), TEAM).retry_budget == budget
    assert plan.build_plan(Settings(), TEAM).retry_budget is None


def test_larger_plan_than_max_runs_is_refused() -> None:
    """The shard is counted, because each job has a limit of its own."""
    settings = Settings(groups=("nightly",), max_runs=1, spellings={"max-runs": "AUTONOMA_MAX_RUNS"})
    message = "AUTONOMA_MAX_RUNS: 2 runs in the plan, 1 allowed. Select fewer, or raise the limit."
    with pytest.raises(InputError) as caught:
        plan.build_plan(settings, TEAM)
    assert str(caught.value) == message
    assert len(plan.build_plan(settings._replace(shard=Shard(1, 2)), TEAM).requests) == 1


def build_retries(*retries: int, **options: Any) -> plan.Plan:
    tests = [{"id": f"t{number}", "retries": count} for number, count in enumerate(retries)]
    return plan.build_plan(Settings(wait=True, **options), Manifest.model_validate({"tests": tests}))


@pytest.mark.parametrize(
    ("built_plan", "ceiling"),
    [
        (build_retries(0, 0), ""),
        (build_retries(2, 2, 2, 2), "At most 12 runs: 4 in the plan, with up to 2 retries each."),
        (build_retries(1, 1), "At most 4 runs: 2 in the plan, with up to 1 retry each."),
        (build_retries(1), "At most 2 runs: 1 in the plan, and up to 1 retry."),
        (build_retries(2, 0, 1), "At most 6 runs: 3 in the plan, and up to 3 retries."),
        (build_retries(2, 2, max_runs=3), "At most 3 runs: 2 in the plan, and up to 1 retry because of max-runs."),
        (build_retries(2, 2, max_runs=2), "At most 2 runs: 2 in the plan, and no retries because of max-runs."),
        (build_retries(2, max_runs=3), "At most 3 runs: 1 in the plan, and up to 2 retries."),
        (build_retries(2, max_runs=9), "At most 3 runs: 1 in the plan, and up to 2 retries."),
        (build_retries(0, max_runs=9), "At most 1 run: 1 in the plan, without retries."),
        (plan.Plan((), retry_budget=5), ""),
    ],
)
def test_ceiling_counts_retries(built_plan: plan.Plan, ceiling: str) -> None:
    """The line is empty without retries and limit, and the last one of a dry run."""
    assert built_plan.ceiling == ceiling
    assert built_plan.format_lines()[len(built_plan.requests) :] == ([ceiling] if ceiling else [])


def test_digest_is_of_whole_plan() -> None:
    """All shards have the same digest, and names and values have no part in it."""
    digest = plan.build_plan(Settings(), SMOKE).facts.plan_digest
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert plan.build_plan(Settings(shard=Shard(2, 3)), SMOKE).facts.plan_digest == digest
    assert plan.build_plan(Settings(variables={"URL": "x"}), SMOKE).facts.plan_digest == digest
    assert plan.build_plan(Settings(groups=("slow",)), SMOKE).facts.plan_digest != digest


def test_digest_depends_on_order() -> None:
    """The same runs in another order are another plan."""
    digests = {
        plan.build_plan(Settings(test_ids=tuple(map(NamedId, ids))), None).facts.plan_digest for ids in ("ab", "ba")
    }
    assert len(digests) == 2


def quarantine(days: int) -> dict[str, object]:
    return {"until": date(2026, 6, 15) + timedelta(days), "reason": "slow mail"}


@pytest.mark.parametrize(("days", "is_quarantined"), [((9, 9), True), ((9, None), False), ((None, 9), False)])
def test_duplicate_counts_if_any_counts(days: tuple[int | None, int | None], *, is_quarantined: bool) -> None:
    """Of equal runs, one outside of quarantine counts. Retries are those of the first."""
    tests: list[dict[str, object]] = [
        {"id": "t", "retries": number} | ({"quarantine": quarantine(day)} if day else {})
        for number, day in enumerate(days, 1)
    ]
    manifest = Manifest.model_validate({"tests": [*tests, "other"]})
    run = plan.build_plan(Settings(wait=True), manifest, plan.PlanContext(today=TODAY)).requests[0]
    assert (bool(run.quarantine), run.retries) == (is_quarantined, 1)


def test_quarantine_end_is_told() -> None:
    """An ended quarantine is a warning, and one that ends soon is a note."""
    tests = [{"id": "old", "quarantine": quarantine(-1)}, {"id": "soon", "quarantine": quarantine(3)}]
    built_plan = plan.build_plan(Settings(), Manifest.model_validate({"tests": tests}), plan.PlanContext(today=TODAY))
    assert built_plan.warnings[0].startswith("Quarantine ended, so each result counts again: 'old' (2026-06-14).")
    assert built_plan.notes[0].startswith("Quarantine ends within 7 days: 'soon' (2026-06-18).")


def test_quarantine_of_other_entry_is_not_told() -> None:
    """An entry that does not run has no warning and no note."""
    tests = [{"id": "old", "quarantine": quarantine(-1)}, {"id": "soon", "quarantine": quarantine(3)}, "t"]
    manifest, context = Manifest.model_validate({"tests": tests}), plan.PlanContext(today=TODAY)
    built_plan = plan.build_plan(Settings(only=("t",)), manifest, context)
    assert (built_plan.warnings, built_plan.notes) == ((), ("2 of 3 entries left out: 2 by only.",))


def test_quarantine_alone_is_refused_after_groups() -> None:
    """The groups must leave a result that counts. Later rules may leave none."""
    tests = [{"id": "q", "groups": ["web"], "quarantine": quarantine(9)}, {"id": "t", "groups": ["app"]}]
    manifest, context = Manifest.model_validate({"tests": tests}), plan.PlanContext(today=TODAY)
    with pytest.raises(InputError, match="no result would count"):
        plan.build_plan(Settings(groups=("web",)), manifest, context)
    assert list_ids(plan.build_plan(Settings(groups=("web",), allow_empty=True), manifest, context).requests) == ["q"]
    assert list_ids(plan.build_plan(Settings(only=("q",)), manifest, context).requests) == ["q"]


def test_url_of_environment_is_awaited() -> None:
    """The option has priority."""
    url = "https://preview.example.com"
    manifest = Manifest.model_validate({"environments": {"e": {"wait_for_url": url}}, "tests": ["t"]})
    manifest.select_environment("e")
    assert plan.build_plan(Settings(), manifest).wait_for_url == url
    assert plan.build_plan(Settings(wait_for_url="https://other.example.com"), manifest).wait_for_url == (
        "https://other.example.com"
    )
    assert plan.build_plan(Settings(), TEAM).wait_for_url == ""


def test_plan_line_has_environment_and_quarantine() -> None:
    """A dry run shows which results do not count."""
    manifest = Manifest.model_validate(
        {"environments": {"e": {"default": "true"}}, "tests": [{"id": "t", "quarantine": quarantine(9)}, "u"]}
    )
    manifest.select_environment("e")
    lines = plan.build_plan(Settings(), manifest, plan.PlanContext(today=TODAY)).format_lines()
    assert lines == [
        "PLANNED  t  — test: environment e, in quarantine until 2026-06-24",
        "PLANNED  u  — test: environment e",
    ]


def test_all_runs_of_manifest_are_counted() -> None:
    """Runs of default-off groups are counted apart, and duplicates once."""
    assert plan.count_runs(TEAM) == (4, 2)
    assert plan.count_runs(Manifest(groups=TEAM.groups, tests=[*TEAM.tests, TEAM.tests[0]])) == (4, 2)
    with pytest.raises(InputError, match="the manifest has no entries"):
        plan.count_runs(Manifest())
