"""From what the user asked for to the runs to start, in order; pure, and printable as a dry run shows it."""

from __future__ import annotations

from itertools import chain, product
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.config.parsers import AUTO_SHARD, quote_name
from autonoma_ci.config.settings import NO_GROUPS, closest_match
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.models import AppVersion, RunRequest, TargetKind
from autonoma_ci.redaction.redactor import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.manifest.schema import Manifest, Test

# Far beyond any suite: what is larger is a matrix that got out of hand, and every run costs.
MAX_RUNS = 20_000
# In all runs together, since each has those of the defaults as well.
MAX_VARIABLES = 1_000_000
_NO_PARALLEL = (
    "'auto' needs a CI system that numbers its parallel jobs, and this one does not: give a part such as 1/3, on "
    "GitHub `shard: ${{ matrix.shard }}` with the values 1/3, 2/3 and 3/3"
)
# The options that say what to run, in the order of the documents.
_IDS = ("test-ids", "folder-ids", "tag-ids")
_MEANT = "or set allow-empty to true if that is meant"


class Plan(NamedTuple):
    """The runs to start, in the order of every report, and what the user should know of the choice.

    `parts` are texts of the environment that the manifest has in values, names and groups: nothing may show them.
    `facts` are values that consist of facts of the build alone: they are no secrets.
    """

    requests: tuple[RunRequest, ...]
    notes: tuple[str, ...] = ()
    parts: tuple[Secret, ...] = ()
    facts: frozenset[str] = frozenset()

    def format_lines(self) -> list[str]:
        """Return the plan in words: a line for each run, with names of variables, never values."""
        return [describe_request(request) for request in self.requests]


def describe_request(request: RunRequest) -> str:
    """Return one run in words."""
    name = f"{request.name} ({request.id})" if request.name else request.id
    details = []
    if request.variables:
        details.append(f"variables {', '.join(request.variables)}")
    if request.application_version_id:
        details.append(f"application version {request.application_version_id}")
    if request.run_on_latest:
        details.append("on the latest versions")
    if request.application_versions:
        details.append(f"{len(request.application_versions)} application version(s)")
    return f"{request.kind} {name}" + (f": {'; '.join(details)}" if details else "")


def build_plan(settings: Settings, manifest: Manifest | None, parallel: Shard | None = None) -> Plan:
    """Return the plan; raise InputError if a group is unknown or there is nothing to run.

    With `groups: none` the plan is empty, which is no error.

    `parallel` is what the CI system says of this job, for `shard: auto`: which of how many parallel
    jobs it is, 1/1 if it is no such job, None if the system does not tell.
    """
    groups = set(settings.groups)
    problems: list[str | Diagnostic] = [*_wrong_groups(settings, manifest)]
    runs = chain(_from_ids(settings, manifest), _from_manifest(settings, manifest, groups) if manifest else ())
    requests, too_much = _enforce_limits(() if settings.selects_nothing else runs)
    problems += too_much
    if not requests and not problems and not settings.allow_empty and not settings.selects_nothing:
        problems.append(_empty_plan_error(settings, manifest))
    shard = parallel if settings.shard == AUTO_SHARD else settings.shard
    if settings.shard == AUTO_SHARD and not parallel:
        problems.append(f"{settings.spelling_of('shard')}: {_NO_PARALLEL}")
    if problems:
        raise InputError(problems)
    kept, notes = _deduplicate(requests)
    kept = _number_occurrences(kept)
    notes += _ineffective_option_notes(settings, kept)
    if shard and not settings.selects_nothing:
        kept, note = shard.select(kept)
        notes.append(note)
    parts = tuple(map(Secret, sorted(manifest.parts))) if manifest else ()
    facts = manifest.facts.difference(settings.variables.values()) if manifest else frozenset[str]()
    return Plan(tuple(kept), tuple(notes), parts, facts)


def _ineffective_option_notes(settings: Settings, requests: list[RunRequest]) -> list[str]:
    if any(request.kind is not TargetKind.TEST for request in requests):
        return []
    useless = {"application-versions": settings.application_versions, "run-on-latest": settings.run_on_latest}
    names = [name for name, value in useless.items() if value]
    why = "has no effect: it is for folders and tags, and there are none."
    return [f"{settings.spelling_of(name)} {why}" for name in names]


def _enforce_limits(runs: Iterable[RunRequest]) -> tuple[list[RunRequest], list[str]]:
    # Cut off before they fill the memory: a short manifest can ask for millions.
    requests: list[RunRequest] = []
    variables = 0
    for request in runs:
        requests.append(request)
        variables += len(request.variables)
        if len(requests) > MAX_RUNS:
            return requests, [f"the plan has more than {MAX_RUNS:,} runs: split it over several steps"]
        if variables > MAX_VARIABLES:
            return requests, [f"the runs have more than {MAX_VARIABLES:,} variables in all: split the plan"]
    return requests, []


def _wrong_groups(settings: Settings, manifest: Manifest | None) -> list[str]:
    """Return what is wrong with the option `groups`: unknown names, and `none` beside others."""
    option = settings.spelling_of("groups")
    entries = manifest.entries if manifest else []
    known = {group for _, values in manifest.with_group_values(entries) for group in values} if manifest else set()
    # A hint must show no value, nor that one is near.
    named = {group for entry in entries for group in entry.groups}
    problems = []
    if NO_GROUPS in settings.groups and not settings.selects_nothing:
        problems.append(f"{option}: '{NO_GROUPS}' stands alone and selects nothing: remove it, or the other groups")
    for group in settings.groups:
        if group == NO_GROUPS or group in known:
            continue
        near = NO_GROUPS if group.lower().strip("\"'`") == NO_GROUPS else closest_match(group, named)
        if near:
            hint = f"the manifest has no group {quote_name(group)}; did you mean '{sanitize_line(near, 60)}'?"
        elif not manifest:
            hint = f"{quote_name(group)} needs a manifest, and there is none: give manifest, or remove the group"
        elif not named:
            hint = f"the manifest has no group {quote_name(group)}: none of its entries has `groups`"
        else:
            hint = f"the manifest has no group {quote_name(group)}; known are: {_listed(named)}"
        problems.append(f"{option}: {hint}")
    return problems


def _listed(names: set[str]) -> str:
    return ", ".join(sanitize_line(name, 60) for name in sorted(names)[:20])


def _empty_plan_error(settings: Settings, manifest: Manifest | None) -> Diagnostic:
    """Return why there is nothing to run: the option or the manifest that has no entries, and what to do."""
    given = [settings.spelling_of(name) for name in _IDS if name in settings.explicitly_set]
    if given:
        text = f"nothing to run: {_and(given)} {'has' if len(given) == 1 else 'have'} no ids"
        text += f", and {manifest.file or 'the manifest'} has no entries" if manifest else ""
        return Diagnostic(f"{text}. Add an id, {_MEANT}")
    if manifest:
        text = f"nothing to run: the manifest has no entries. Add an id below `tests:`, {_MEANT}"
        return Diagnostic(text, manifest.file, manifest.line, 1 if manifest.line else 0)
    here = "and there is no autonoma.yml to read in the working directory"
    if blank := [settings.blank_options[name] for name in (*_IDS, "manifest") if name in settings.blank_options]:
        verb = "is" if len(blank) == 1 else "are"
        text = f"nothing to run: {_and(blank)} {verb} empty, {here}. Give ids, or check the variable they come from"
        return Diagnostic(f"{text}, {_MEANT}")
    return Diagnostic(f"nothing to run: there are no ids, {here}. Give {', '.join(_IDS)} or manifest, {_MEANT}")


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _from_ids(settings: Settings, manifest: Manifest | None) -> Iterator[RunRequest]:
    defaults = manifest.defaults if manifest else None
    variables = {**(defaults.variables if defaults else {}), **settings.variables}
    version = settings.application_version_id or (defaults.application_version_id if defaults else "")
    for entry in settings.test_ids:
        yield RunRequest(TargetKind.TEST, entry.id, entry.name, variables, version)
    versions, latest = _versions(settings, manifest)
    for kind, entries in ((TargetKind.FOLDER, settings.folder_ids), (TargetKind.TAG, settings.tag_ids)):
        for entry in entries:
            yield _folder_or_tag_request(kind, entry.id, entry.name, versions, latest=latest)


def _versions(settings: Settings, manifest: Manifest | None) -> tuple[tuple[AppVersion, ...], bool]:
    """Return what folders and tags are run against: the options say both, or else the manifest does."""
    if not manifest or settings.run_on_latest or "application-versions" in settings.explicitly_set:
        return settings.application_versions, settings.run_on_latest
    versions = tuple(AppVersion(v.application_id, v.version_id) for v in manifest.application_versions)
    # An option that says false takes nothing else away: the manifest's versions hold.
    return versions, manifest.run_on_latest == "true" and "run-on-latest" not in settings.explicitly_set


def _folder_or_tag_request(
    kind: TargetKind, text_id: str, name: str, versions: tuple[AppVersion, ...], *, latest: bool
) -> RunRequest:
    return RunRequest(kind, text_id, name, application_versions=versions, run_on_latest=latest)


def _from_manifest(settings: Settings, manifest: Manifest, groups: set[str]) -> Iterator[RunRequest]:
    versions, latest = _versions(settings, manifest)
    for test, values in manifest.with_group_values(manifest.tests):
        if not groups or groups.intersection(values):
            yield from _expand_matrix(settings, manifest, test)
    for kind, entries in ((TargetKind.FOLDER, manifest.folders), (TargetKind.TAG, manifest.tags)):
        for entry, values in manifest.with_group_values(entries):
            if not groups or groups.intersection(values):
                yield _folder_or_tag_request(kind, entry.id, entry.name, versions, latest=latest)


def _expand_matrix(settings: Settings, manifest: Manifest, test: Test) -> Iterator[RunRequest]:
    defaults = manifest.defaults
    base = {**defaults.variables, **test.variables}
    version = settings.application_version_id or test.application_version_id or defaults.application_version_id
    # A variable that the step itself sets is no longer an axis: one run instead of several equal ones.
    axes = {name: values for name, values in test.matrix.items() if name not in settings.variables}
    if not axes:
        yield RunRequest(TargetKind.TEST, test.id, test.name, {**base, **settings.variables}, version)
        return
    sizes = [len(values) for values in axes.values()]
    for places in product(*map(range, sizes)):
        chosen = {name: axes[name][place] for name, place in zip(axes, places, strict=True)}
        request = RunRequest(TargetKind.TEST, test.id, test.name, {**base, **chosen, **settings.variables}, version)
        # Values are never shown, so combinations are told apart by their place on each axis.
        marks = [f"{n} {p + 1}/{size}" for n, p, size in zip(axes, places, sizes, strict=True) if size > 1]
        place = ",".join(f"{n}={p + 1}" for n, p in zip(axes, places, strict=True))
        name = f"{request.display_name} [{', '.join(marks)}]" if marks else request.name
        yield request._replace(name=name, matrix_place=place)


def _number_occurrences(requests: list[RunRequest]) -> list[RunRequest]:
    """Return the requests with their occurrence: entries with the same key differ in their variables alone."""
    seen: dict[object, int] = {}
    numbered = []
    for request in requests:
        key = request.key
        seen[key] = occurrence = seen.get(key, 0) + 1
        numbered.append(request._replace(occurrence=occurrence) if occurrence > 1 else request)
    return numbered


def _deduplicate(requests: list[RunRequest]) -> tuple[list[RunRequest], list[str]]:
    seen: dict[object, RunRequest] = {}
    again: dict[tuple[TargetKind, str], int] = {}
    for request in requests:
        key = (
            *(request.kind, request.id, tuple(sorted(request.variables.items())), request.application_version_id),
            *(request.application_versions, request.run_on_latest),
        )
        if key in seen:
            again[request[:2]] = again.get(request[:2], 1) + 1
        else:
            seen[key] = request
    notes = [
        f"{kind} {text_id} is listed {count} times{' with the same variables' if kind is TargetKind.TEST else ''}; "
        "it is started once."
        for (kind, text_id), count in again.items()
    ]
    return list(seen.values()), notes
