"""From what the user asked for to the runs to start, in order; pure, and printable as a dry run shows it."""

from __future__ import annotations

from itertools import chain, product
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.errors import InputError
from autonoma_ci.model import AppVersion, Kind, RunRequest
from autonoma_ci.settings import closest
from autonoma_ci.text import one_line
from autonoma_ci.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from autonoma_ci.manifest.schema import Manifest, Test
    from autonoma_ci.settings import Settings

# Far beyond any suite: what is larger is a matrix that got out of hand, and every run costs.
RUNS_LIMIT = 20_000
# In all runs together, since each has those of the defaults as well.
VARIABLES_LIMIT = 1_000_000


class Plan(NamedTuple):
    """The runs to start, in the order of every report, and what the user should know of the choice."""

    requests: tuple[RunRequest, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the plan in words: a line for each run, with names of variables, never values."""
        return [describe(request) for request in self.requests]


def describe(request: RunRequest) -> str:
    """Return one run in words."""
    name = f"{request.name} ({request.id})" if request.name else request.id
    details = []
    if request.variables:
        details.append(f"variables {', '.join(request.variables)}")
    if request.application_version_id:
        details.append(f"application version {request.application_version_id}")
    if request.application_versions:
        details.append(f"{len(request.application_versions)} application version(s)")
    return f"{request.kind} {name}" + (f": {'; '.join(details)}" if details else "")


def make(settings: Settings, manifest: Manifest | None) -> Plan:
    """Return the plan; raise InputError if a group is unknown or there is nothing to run."""
    groups = set(settings.groups)
    problems = _unknown_groups(settings.groups, manifest)
    runs = chain(_from_ids(settings, manifest), _from_manifest(settings, manifest, groups) if manifest else ())
    requests, too_much = _within_limits(runs)
    problems += too_much
    if not requests and not problems and not settings.allow_empty:
        problems.append(_why_empty(settings, manifest))
    if problems:
        raise InputError(problems)
    kept, notes = _once_each(requests)
    return Plan(tuple(kept), tuple(notes))


def _within_limits(runs: Iterable[RunRequest]) -> tuple[list[RunRequest], list[str]]:
    # Cut off before they fill the memory: a short manifest can ask for millions.
    requests: list[RunRequest] = []
    variables = 0
    for request in runs:
        requests.append(request)
        variables += len(request.variables)
        if len(requests) > RUNS_LIMIT:
            return requests, [f"the plan has more than {RUNS_LIMIT:,} runs: split it over several steps"]
        if variables > VARIABLES_LIMIT:
            return requests, [f"the runs have more than {VARIABLES_LIMIT:,} variables in all: split the plan"]
    return requests, []


def _unknown_groups(groups: Iterable[str], manifest: Manifest | None) -> list[str]:
    known = {group for entry in manifest.entries for group in entry.groups} if manifest else set()
    problems = []
    for group in groups:
        if group not in known:
            near = closest(group, known)
            hint = f"did you mean '{one_line(near, 60)}'?" if near else f"known are: {_listed(known)}"
            problems.append(f"groups: the manifest has no group {shown(group)}; {hint}")
    return problems


def _listed(names: set[str]) -> str:
    return ", ".join(one_line(name, 60) for name in sorted(names)[:20]) or "none"


def _why_empty(settings: Settings, manifest: Manifest | None) -> str:
    if manifest or settings.test_ids or "test-ids" in settings.given:
        what = "nothing is selected: the ids and the manifest's entries come to none"
    else:
        what = "nothing to run: there are no test-ids, and there is no autonoma.yml in the working directory"
    return f"{what}. Give test-ids or a manifest, or set allow-empty to true if that is meant"


def _from_ids(settings: Settings, manifest: Manifest | None) -> Iterator[RunRequest]:
    defaults = manifest.defaults if manifest else None
    variables = {**(defaults.variables if defaults else {}), **settings.variables}
    version = settings.application_version_id or (defaults.application_version_id if defaults else "")
    for entry in settings.test_ids:
        yield RunRequest(Kind.TEST, entry.id, entry.label, variables, version)


def _from_manifest(settings: Settings, manifest: Manifest, groups: set[str]) -> Iterator[RunRequest]:
    versions = tuple(AppVersion(v.application_id, v.version_id) for v in manifest.application_versions)
    for test in manifest.tests:
        if not groups or groups.intersection(test.groups):
            yield from _combinations(settings, manifest, test)
    for kind, entries in ((Kind.FOLDER, manifest.folders), (Kind.TAG, manifest.tags)):
        for entry in entries:
            if not groups or groups.intersection(entry.groups):
                yield RunRequest(kind, entry.id, entry.name, application_versions=versions)


def _combinations(settings: Settings, manifest: Manifest, test: Test) -> Iterator[RunRequest]:
    defaults = manifest.defaults
    base = {**defaults.variables, **test.variables}
    version = settings.application_version_id or test.application_version_id or defaults.application_version_id
    # A variable that the step itself sets is no longer an axis: one run instead of several equal ones.
    axes = {name: values for name, values in test.matrix.items() if name not in settings.variables}
    sizes = [len(values) for values in axes.values()]
    for places in product(*map(range, sizes)):
        chosen = {name: axes[name][place] for name, place in zip(axes, places, strict=True)}
        request = RunRequest(Kind.TEST, test.id, test.name, {**base, **chosen, **settings.variables}, version)
        # Values are never shown, so combinations are told apart by their place on each axis.
        marks = [f"{n} {p + 1}/{size}" for n, p, size in zip(axes, places, sizes, strict=True) if size > 1]
        yield request._replace(name=f"{request.label} [{', '.join(marks)}]") if marks else request


def _once_each(requests: list[RunRequest]) -> tuple[list[RunRequest], list[str]]:
    seen: dict[object, RunRequest] = {}
    again: dict[str, int] = {}
    for request in requests:
        key = (request.kind, request.id, tuple(sorted(request.variables.items())), request.application_version_id)
        if key in seen:
            label = f"{request.kind} {request.id}"
            again[label] = again.get(label, 1) + 1
        else:
            seen[key] = request
    notes = [
        f"{label} is listed {count} times with the same variables; it is started once."
        for label, count in again.items()
    ]
    return list(seen.values()), notes
