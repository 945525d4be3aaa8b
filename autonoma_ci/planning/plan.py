"""Build the plan of runs from the options and the manifest.

The plan has the runs to start, in order. A dry run prints it.
"""

from __future__ import annotations

from itertools import chain, product
from typing import TYPE_CHECKING

from autonoma_ci.config.parsers import quote_name
from autonoma_ci.config.settings import NO_GROUPS
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.models import NO_PLAN_FACTS, AppVersion, PlanFacts, RunRequest, RunResult, TargetKind
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.reports.log import format_run
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.manifest.schema import Manifest, Test

# A larger plan is probably an error in a matrix, and every run costs money.
MAX_RUNS = 20_000
# Limit on the variables of all runs together. Default variables count once per run.
MAX_VARIABLES = 1_000_000
_NO_CI_SHARD_MESSAGE = "'auto' needs a CI system that numbers its parallel jobs. Use a part such as 1/3."
_GITHUB_SHARD_HINT = "On GitHub: `shard: ${{ matrix.shard }}` with the matrix values 1/3, 2/3 and 3/3."
# The options that select runs, in the order of the documentation.
_ID_OPTIONS = ("test-ids", "folder-ids", "tag-ids")
_ALLOW_EMPTY_HINT = "or set allow-empty to true."


class Plan(NamedTuple):
    """The runs to start, in the order that every report has."""

    requests: tuple[RunRequest, ...]
    # Notes and other facts for reports.
    facts: PlanFacts = NO_PLAN_FACTS
    # Texts of the environment in values, names and groups of the manifest. No output may contain them.
    environment_texts: tuple[Secret, ...] = ()
    # Variable values that consist of `${ci.*}` alone. They are not secret.
    fact_values: frozenset[str] = frozenset()
    # Warnings about the plan, for the user.
    warnings: tuple[str, ...] = ()
    # How many runs may be started again, or None without the option `max-runs`.
    retry_budget: int | None = None
    # The URL to wait for before the first run, or empty.
    wait_for_url: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about the selection of runs, for the user."""
        return self.facts.plan_notes

    def format_lines(self) -> list[str]:
        """Return one line for each run, without values of variables."""
        return [describe_request(request) for request in self.requests]


def describe_request(request: RunRequest) -> str:
    """Return the log line of one planned run, without values of variables."""
    details = []
    if request.variables:
        details.append(f"variables {', '.join(request.variables)}")
    if request.application_version_id:
        details.append(f"application version {request.application_version_id}")
    if request.run_on_latest:
        details.append("on the latest versions")
    if request.application_versions:
        details.append(pluralize(len(request.application_versions), "application version"))
    return format_run(RunResult(request), ", ".join(details))


def build_plan(settings: Settings, manifest: Manifest | None, ci_shard: Shard | None = None) -> Plan:
    """Return the plan of a job step.

    With `groups: none` the plan is empty, and this is not an error.

    Args:
        settings: The settings of the job step.
        manifest: The manifest, or None without one.
        ci_shard: The shard for `shard: auto`, from the CI system. It is 1/1 if the job is not parallel, and None if the
            CI system does not number its parallel jobs.

    Raises:
        InputError: If a group is unknown, a limit is exceeded, the shard is unknown, or there is nothing to run.

    """
    groups = set(settings.groups)
    errors: list[str | Diagnostic] = [*_find_group_errors(settings, manifest)]
    runs = chain(
        _requests_from_ids(settings, manifest), _requests_from_manifest(settings, manifest, groups) if manifest else ()
    )
    requests, limit_errors = _enforce_limits(() if settings.selects_nothing else runs)
    errors += limit_errors
    if not requests and not errors and not settings.allow_empty and not settings.selects_nothing:
        errors.append(_empty_plan_error(settings, manifest))
    shard = settings.resolve_shard(ci_shard)
    if settings.shard == "auto" and not ci_shard:
        errors.append(f"{settings.spelling_of('shard')}: {_NO_CI_SHARD_MESSAGE} {_GITHUB_SHARD_HINT}")
    if errors:
        raise InputError(errors)
    selected, notes = _deduplicate(requests)
    selected = [request._replace(retries=settings.retries) for request in _number_occurrences(selected)]
    notes += _ineffective_option_notes(settings, selected)
    if shard and not settings.selects_nothing:
        selected, note = select_shard(selected, shard)
        notes.append(note)
    environment_texts = tuple(map(Secret, sorted(manifest.environment_texts))) if manifest else ()
    fact_values = manifest.fact_values.difference(settings.variables.values()) if manifest else frozenset[str]()
    return Plan(tuple(selected), PlanFacts(tuple(notes)), environment_texts, fact_values)


def select_shard(requests: list[RunRequest], shard: Shard) -> tuple[list[RunRequest], str]:
    """Return the runs of one part of the plan, and a sentence for the log."""
    # Shard 2/5 has the runs 2, 7, 12 and so on. So the sizes of shards differ by one run at most, and neighbours in the
    # plan are in different shards.
    part, run_count = requests[shard.number - 1 :: shard.total], len(requests)
    if shard.total == 1:
        return part, f"Shard {shard} has the whole plan: this job has no parallel jobs."
    if run_count and not part:
        return part, f"Shard {shard} has no runs: the whole plan has only {pluralize(run_count, 'run')}."
    return part, f"Shard {shard}: {len(part)} of the plan's {pluralize(run_count, 'run')}."


def _ineffective_option_notes(settings: Settings, requests: list[RunRequest]) -> list[str]:
    if any(request.kind is not TargetKind.TEST for request in requests):
        return []
    ineffective = {"application-versions": settings.application_versions, "run-on-latest": settings.run_on_latest}
    names = [name for name, value in ineffective.items() if value]
    return [f"{settings.spelling_of(name)} has no effect without folders and tags." for name in names]


def _enforce_limits(runs: Iterable[RunRequest]) -> tuple[list[RunRequest], list[str]]:
    # We stop at the limit before the runs fill the memory, because a short manifest can expand to millions of runs.
    requests: list[RunRequest] = []
    variable_count = 0
    for request in runs:
        requests.append(request)
        variable_count += len(request.variables)
        if len(requests) > MAX_RUNS:
            return requests, [f"More than {MAX_RUNS:,} runs in the plan. Split the plan into several steps."]
        if variable_count > MAX_VARIABLES:
            return requests, [f"More than {MAX_VARIABLES:,} variables in all runs. Split the plan into several steps."]
    return requests, []


def _find_group_errors(settings: Settings, manifest: Manifest | None) -> list[str]:
    """Return the errors of the option `groups`.

    Errors are unknown names, and `none` if it is combined with other groups.
    """
    option = settings.spelling_of("groups")
    entries = manifest.entries if manifest else []
    known_groups = (
        {group for _, values in manifest.with_group_values(entries) for group in values} if manifest else set()
    )
    # Groups without interpolation. A suggestion must not show a value of the environment, or that one is similar.
    public_groups = {group for entry in entries for group in entry.groups}
    errors = []
    if NO_GROUPS in settings.groups and not settings.selects_nothing:
        errors.append(f"{option}: '{NO_GROUPS}' selects nothing. Remove '{NO_GROUPS}' or the other groups.")
    for group in settings.groups:
        if group == NO_GROUPS or group in known_groups:
            continue
        suggestion = _suggest_group(group, public_groups)
        if suggestion is not None:
            message = f"unknown group: {quote_name(group)}. Did you mean '{sanitize_line(suggestion, 60)}'?"
        elif not manifest:
            message = f"group {quote_name(group)} needs a manifest. Set manifest, or remove the group."
        elif not public_groups:
            message = f"unknown group: {quote_name(group)}. No entry of the manifest has `groups`."
        else:
            message = f"unknown group: {quote_name(group)}. Known groups: {_format_names(public_groups)}."
        errors.append(f"{option}: {message}")
    return errors


def _suggest_group(group: str, known: set[str]) -> str | None:
    """Return the group that is probably meant, or None."""
    if group.lower().strip("\"'`") == NO_GROUPS:
        return NO_GROUPS
    from autonoma_ci.config.suggestions import find_closest_match

    return find_closest_match(group, known)


def _format_names(names: set[str]) -> str:
    return ", ".join(sanitize_line(name, 60) for name in sorted(names)[:20])


def _empty_plan_error(settings: Settings, manifest: Manifest | None) -> Diagnostic:
    """Return the error for an empty plan.

    It names the options or the manifest without entries, and the fix.
    """
    set_options = [settings.spelling_of(name) for name in _ID_OPTIONS if name in settings.explicitly_set]
    if set_options:
        text = f"Nothing to run: {_join_with_and(set_options)} {'has' if len(set_options) == 1 else 'have'} no ids"
        text += f", and {manifest.file or 'the manifest'} has no entries" if manifest else ""
        return Diagnostic(f"{text}. Add an id, {_ALLOW_EMPTY_HINT}")
    if manifest:
        text = f"nothing to run: the manifest has no entries. Add an id below `tests:`, {_ALLOW_EMPTY_HINT}"
        return Diagnostic(text, manifest.file, manifest.line, 1 if manifest.line else 0)
    no_manifest = "and the working directory has no autonoma.yml"
    if blank_options := [
        settings.blank_options[name] for name in (*_ID_OPTIONS, "manifest") if name in settings.blank_options
    ]:
        verb = "is" if len(blank_options) == 1 else "are"
        text = f"Nothing to run: {_join_with_and(blank_options)} {verb} empty, {no_manifest}"
        return Diagnostic(f"{text}. Add ids, check the variable in the option, {_ALLOW_EMPTY_HINT}")
    text = f"Nothing to run: no ids are given, {no_manifest}. Set {', '.join(_ID_OPTIONS)} or manifest"
    return Diagnostic(f"{text}, {_ALLOW_EMPTY_HINT}")


def _join_with_and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _requests_from_ids(settings: Settings, manifest: Manifest | None) -> Iterator[RunRequest]:
    defaults = manifest.defaults if manifest else None
    variables = {**(defaults.variables if defaults else {}), **settings.variables}
    version = settings.application_version_id or (defaults.application_version_id if defaults else "")
    for entry in settings.test_ids:
        yield RunRequest(TargetKind.TEST, entry.id, entry.name, variables, version)
    versions, run_on_latest = _select_versions(settings, manifest)
    for kind, entries in ((TargetKind.FOLDER, settings.folder_ids), (TargetKind.TAG, settings.tag_ids)):
        for entry in entries:
            yield _folder_or_tag_request(kind, entry.id, entry.name, versions, run_on_latest=run_on_latest)


def _select_versions(settings: Settings, manifest: Manifest | None) -> tuple[tuple[AppVersion, ...], bool]:
    """Return the application versions of folders and tags.

    The options have priority over the manifest.

    Returns:
        The application versions, and whether to run on the latest versions.

    """
    if not manifest or settings.run_on_latest or "application-versions" in settings.explicitly_set:
        return settings.application_versions, settings.run_on_latest
    versions = tuple(AppVersion(v.application_id, v.version_id) for v in manifest.application_versions)
    # With the option `run-on-latest: false`, the versions of the manifest stay valid.
    return versions, manifest.run_on_latest == "true" and "run-on-latest" not in settings.explicitly_set


def _folder_or_tag_request(
    kind: TargetKind, target_id: str, name: str, versions: tuple[AppVersion, ...], *, run_on_latest: bool
) -> RunRequest:
    return RunRequest(kind, target_id, name, application_versions=versions, run_on_latest=run_on_latest)


def _requests_from_manifest(settings: Settings, manifest: Manifest, groups: set[str]) -> Iterator[RunRequest]:
    versions, run_on_latest = _select_versions(settings, manifest)
    for test, values in manifest.with_group_values(manifest.tests):
        if not groups or groups.intersection(values):
            yield from _expand_matrix(settings, manifest, test)
    for kind, entries in ((TargetKind.FOLDER, manifest.folders), (TargetKind.TAG, manifest.tags)):
        for entry, values in manifest.with_group_values(entries):
            if not groups or groups.intersection(values):
                yield _folder_or_tag_request(kind, entry.id, entry.name, versions, run_on_latest=run_on_latest)


def _expand_matrix(settings: Settings, manifest: Manifest, test: Test) -> Iterator[RunRequest]:
    defaults = manifest.defaults
    variables = {**defaults.variables, **test.variables}
    version = settings.application_version_id or test.application_version_id or defaults.application_version_id
    # A variable of the settings replaces an axis of the matrix. Otherwise several runs would be equal.
    axes = {name: values for name, values in test.matrix.items() if name not in settings.variables}
    if not axes:
        yield RunRequest(TargetKind.TEST, test.id, test.name, {**variables, **settings.variables}, version)
        return
    sizes = [len(values) for values in axes.values()]
    for positions in product(*map(range, sizes)):
        matrix_variables = {axis: axes[axis][position] for axis, position in zip(axes, positions, strict=True)}
        request = RunRequest(
            TargetKind.TEST, test.id, test.name, {**variables, **matrix_variables, **settings.variables}, version
        )
        # Reports never show values, so a combination is named by its position on each axis.
        labels = [
            f"{axis} {position + 1}/{size}"
            for axis, position, size in zip(axes, positions, sizes, strict=True)
            if size > 1
        ]
        matrix_place = ",".join(f"{axis}={position + 1}" for axis, position in zip(axes, positions, strict=True))
        name = f"{request.display_name} [{', '.join(labels)}]" if labels else request.name
        yield request._replace(name=name, matrix_place=matrix_place)


def _number_occurrences(requests: list[RunRequest]) -> list[RunRequest]:
    """Return the requests with numbers for those of the same key.

    Such requests differ only in their variables.
    """
    counts: dict[object, int] = {}
    numbered = []
    for request in requests:
        key = request.key
        counts[key] = occurrence = counts.get(key, 0) + 1
        numbered.append(request._replace(occurrence=occurrence) if occurrence > 1 else request)
    return numbered


def _deduplicate(requests: list[RunRequest]) -> tuple[list[RunRequest], list[str]]:
    unique: dict[object, RunRequest] = {}
    duplicate_counts: dict[tuple[TargetKind, str], int] = {}
    for request in requests:
        key = (
            *(request.kind, request.id, tuple(sorted(request.variables.items())), request.application_version_id),
            *(request.application_versions, request.run_on_latest),
        )
        if key in unique:
            duplicate_counts[request[:2]] = duplicate_counts.get(request[:2], 1) + 1
        else:
            unique[key] = request
    notes = [
        f"{kind.capitalize()} {target_id} is listed {count} times"
        f"{' with the same variables' if kind is TargetKind.TEST else ''} and started once."
        for (kind, target_id), count in duplicate_counts.items()
    ]
    return list(unique.values()), notes
