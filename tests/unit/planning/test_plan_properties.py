"""Properties of all plans: what any selection keeps and leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.config.parsers import Shard
from autonoma_ci.config.settings import Settings
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import ChangeSummary
from autonoma_ci.planning.changed_files import ChangedFiles, ChangeSelector
from autonoma_ci.planning.plan import PlanContext, build_plan
from autonoma_ci.planning.selection import ChangeFilter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from autonoma_ci.models import RunRequest

FILES = ("a/x.py", "a/y.md", "b", "c/c", "libs/sub", "lock", "ci/autonoma.yml")
PATTERNS = ("a/**", "!a/*.md", "*.md", "/b", "!c", "**/c", "libs/sub/src/*", "!libs", "!lock", "lock", "**")
PATTERN_LISTS = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4).filter(
    lambda patterns: not all(pattern.startswith("!") for pattern in patterns)
)
GROUPS = st.lists(st.sampled_from(["on", "off", "late"]), max_size=2, unique=True)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"groups": GROUPS},
        optional={
            "when": st.fixed_dictionaries({"changed": PATTERN_LISTS}),
            "matrix": st.just({"L": ["1", "2"]}),
        },
    ),
    min_size=1,
    max_size=6,
)
CHANGES = st.sets(st.sampled_from(FILES))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Return a manifest in which each entry has its own id."""
    tests: list[dict[str, Any]] = [{"id": f"t{number}", **entry} for number, entry in enumerate(draw(ENTRIES))]
    # Otherwise the patterns of `only` could match only entries that are off, which is an error.
    tests[0]["groups"] = ["on"]
    groups = {"on": {}, "off": {"default": "false"}, "late": {"default": "false"}}
    always = draw(st.one_of(st.just([]), PATTERN_LISTS))
    return Manifest.model_validate({"groups": groups, "always": always, "tests": tests})


SETTINGS = st.fixed_dictionaries(
    {"groups": GROUPS.map(tuple), "exclude_groups": GROUPS.map(tuple), "only": st.sampled_from([(), ("t*",), ("t0",)])}
)


def plan_runs(manifest: Manifest, options: dict[str, Any], files: AbstractSet[str] | None) -> list[RunRequest]:
    """Return the runs of a build that changed these files, or of one with unknown changes."""
    paths = None if files is None else frozenset(files)
    submodules = (paths or frozenset()) & {"libs/sub"}
    changed = ChangedFiles(ChangeSummary(), paths, submodules, frozenset({"ci/autonoma.yml"}))
    selector = ChangeSelector(changed, manifest.always)
    changes = ChangeFilter(changed.summary, None if selector.selects_everything else selector.selects)
    built_plan = build_plan(Settings(allow_empty=True, **options), manifest, PlanContext(find_changes=lambda: changes))
    return list(built_plan.requests)


def is_subsequence(part: Iterable[object], whole: Iterable[object]) -> bool:
    rest = iter(whole)
    return all(item in rest for item in part)


@settings(deadline=None)
@given(manifests(), SETTINGS, CHANGES)
def test_selection_is_subsequence_of_plan(manifest: Manifest, options: dict[str, Any], files: set[str]) -> None:
    """Each option and the changed files only leave out runs, and their order stays."""
    whole = plan_runs(manifest, {"groups": ("on", "off", "late")}, None)
    ungrouped = plan_runs(manifest, {}, None)
    selected = plan_runs(manifest, options, files)
    assert is_subsequence(selected, whole if options["groups"] else ungrouped)
    assert is_subsequence(selected, plan_runs(manifest, options, None))


@settings(deadline=None)
@given(manifests(), SETTINGS, CHANGES, st.data())
def test_fewer_changed_files_add_no_run(
    manifest: Manifest, options: dict[str, Any], files: set[str], data: st.DataObject
) -> None:
    """Files of `always`, submodules, the manifest and excluded files are no exceptions."""
    fewer = data.draw(st.sets(st.sampled_from(sorted(files)))) if files else set()
    assert is_subsequence(plan_runs(manifest, options, fewer), plan_runs(manifest, options, files))


@settings(deadline=None)
@given(manifests(), CHANGES)
def test_entries_without_when_always_run(manifest: Manifest, files: set[str]) -> None:
    """An entry with `when` runs for some change, and any other one for all."""
    unconditional = {test.id for test in manifest.tests if not test.when}
    runs_without_change = {request.id for request in plan_runs(manifest, {}, frozenset())}
    all_ids = {request.id for request in plan_runs(manifest, {}, None)}
    assert runs_without_change == all_ids & unconditional
    assert all_ids & unconditional <= {request.id for request in plan_runs(manifest, {}, files)}


@settings(deadline=None)
@given(manifests(), SETTINGS, CHANGES, st.integers(1, 4))
def test_shards_of_selection_cover_it_once(
    manifest: Manifest, options: dict[str, Any], files: set[str], total: int
) -> None:
    """The union of all shards is the plan, and no run is in two of them."""
    shards = [plan_runs(manifest, {**options, "shard": Shard(number, total)}, files) for number in range(1, total + 1)]
    selected = plan_runs(manifest, options, files)
    assert sorted((run for shard in shards for run in shard), key=selected.index) == selected
