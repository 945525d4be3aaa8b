"""Build the plan of runs from the options and the manifest.

`build_plan` has the steps in their order: candidates, selection, runs, duplicates, shard, limit and digest. The plan
has the runs to start, in order. A dry run prints it.
"""

from __future__ import annotations

from datetime import date
from itertools import chain
from typing import TYPE_CHECKING

from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import format_duration
from autonoma_ci.identity import short_digest
from autonoma_ci.models import NO_PLAN_FACTS, PlanFacts, RunRequest, RunResult, TargetKind
from autonoma_ci.planning.expansion import RequestBuilder
from autonoma_ci.planning.quarantine import find_ended_quarantines, find_ending_quarantines, find_uncounted_error
from autonoma_ci.planning.rerun import RerunCommands
from autonoma_ci.planning.selection import (
    Rule,
    collect_candidates,
    select_by_groups,
    select_changed,
    select_failed,
    select_only,
    start_selection,
)
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.reports.log import format_run
from autonoma_ci.reports.summary import describe_full_run, pluralize
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from autonoma_ci.config.parsers import Shard
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.manifest.schema import Manifest
    from autonoma_ci.planning.selection import Candidate, ChangeFilter, FailedRuns, Selection

# A larger plan is probably an error in a matrix, and every run costs money.
MAX_RUNS = 20_000
# Limit on the variables of all runs together. Default variables count once per run.
MAX_VARIABLES = 1_000_000
# All digits of a SHA-256 hash.
_DIGEST_DIGITS = 64
_NOTHING_CHANGED_NOTE = "The changed files affect no entry of this step."
_URL_ADVICE = "Set wait-for-url, or wait_for_url of the environment."
_NO_CI_SHARD_MESSAGE = "'auto' needs a CI system that numbers its parallel jobs. Use a part such as 1/3."
_GITHUB_SHARD_HINT = "On GitHub: `shard: ${{ matrix.shard }}` with the matrix values 1/3, 2/3 and 3/3."


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
        """Notes about the selection of runs, for the log."""
        full_run = describe_full_run(self.facts.change) if self.facts.change else ""
        return (*self.facts.plan_notes, *filter(None, [full_run]))

    def format_lines(self) -> list[str]:
        """Return one line for each run, without values of variables.

        The last line has the ceiling if there is one.
        """
        return [*map(describe_request, self.requests), *filter(None, [self.ceiling])]

    @property
    def ceiling(self) -> str:
        """How many runs are started at most, retries included.

        It is empty without runs, and without retries and the option `max-runs`.
        """
        count, retry_count = len(self.requests), sum(request.retries for request in self.requests)
        if not count or (not retry_count and self.retry_budget is None):
            return ""
        planned = f"{count:,} in the plan"
        if not retry_count:
            return f"At most {pluralize(count, 'run')}: {planned}, without retries."
        if self.retry_budget is not None and self.retry_budget < retry_count:
            limit = f"up to {_count_retries(self.retry_budget)}" if self.retry_budget else "no retries"
            return f"At most {pluralize(count + self.retry_budget, 'run')}: {planned}, and {limit} because of max-runs."
        per_run = {request.retries for request in self.requests}
        number = per_run.pop() if len(per_run) == 1 else retry_count
        retries = _count_retries(number)
        retries = f"with up to {retries} each" if number != retry_count else f"and up to {retries}"
        return f"At most {pluralize(count + retry_count, 'run')}: {planned}, {retries}."


def describe_request(request: RunRequest) -> str:
    """Return the log line of one planned run, without values of variables."""
    details = []
    if request.environment:
        details.append(f"environment {request.environment}")
    if request.application_version_id:
        details.append(f"application version {request.application_version_id}")
    if request.run_on_latest:
        details.append("on the latest versions")
    if request.application_versions:
        details.append(pluralize(len(request.application_versions), "application version"))
    if request.owner:
        details.append(f"owner {request.owner}")
    if request.quarantine:
        details.append(f"in quarantine until {request.quarantine.until}")
    if request.retries:
        details.append(f"up to {_count_retries(request.retries)}")
    if request.run_timeout_seconds is not None:
        details.append(f"run_timeout {format_duration(request.run_timeout_seconds)}")
    # Last, because this list has the same separator.
    if request.variables:
        details.append(f"variables {', '.join(request.variables)}")
    return format_run(RunResult(request), ", ".join(details))


def _count_retries(number: int) -> str:
    return pluralize(number, "retry", "retries")


class PlanContext(NamedTuple):
    """The facts of the build and of earlier builds that a plan depends on."""

    # The path of the manifest as the user wrote it, or empty.
    manifest_path: str = ""
    # The shard for `shard: auto`. It is 1/1 if the job is not parallel, and None if the CI system does not number its
    # parallel jobs.
    ci_shard: Shard | None = None
    # The current date in UTC. With the default, no quarantine has ended.
    today: date = date.min
    # Finds the changed files. It can need the network, so it is called only for entries with `when`. None selects all.
    find_changes: Callable[[], ChangeFilter] | None = None
    # The runs of the option `failed-from`, or None without it.
    failed_runs: FailedRuns | None = None


NO_PLAN_CONTEXT = PlanContext()


def build_plan(settings: Settings, manifest: Manifest | None, context: PlanContext = NO_PLAN_CONTEXT) -> Plan:
    """Return the plan of a job step.

    With `groups: none` the plan is empty, and this is not an error.

    Args:
        settings: The settings of the job step.
        manifest: The manifest, or None without one.
        context: The facts of the build and of earlier builds.

    Raises:
        InputError: If a name or pattern is unknown, a limit is exceeded, the shard is unknown, or there is nothing to
            run.

    """
    # The entries of the options and of the manifest.
    candidates = () if settings.selects_nothing else collect_candidates(settings, manifest)
    failed_runs = None if settings.selects_nothing else context.failed_runs
    errors = _find_selection_errors(settings, manifest, candidates, ignores_groups=bool(failed_runs))
    shard = settings.resolve_shard(context.ci_shard)
    errors += _find_shard_errors(settings, shard, failed_runs)
    if errors:
        raise InputError(errors)

    # The selection by options and manifest.
    by_groups = start_selection(candidates) if failed_runs else select_by_groups(candidates, settings, manifest)
    if error := find_uncounted_error(by_groups.candidates, settings, manifest, context.today):
        raise InputError([error])

    # The selection by changed files, which are read from the clone or the network.
    # Without `when`, these entries would run.
    wanted = select_only(by_groups, settings.only).candidates
    changes = _find_changes(wanted, context)
    selection = select_changed(by_groups, changes.is_affected) if changes and changes.is_affected else by_groups
    selection = select_only(selection, settings.only)

    # The runs of the selected entries.
    commands = RerunCommands(settings, manifest, context.manifest_path)
    builder = RequestBuilder(settings, manifest, context.today, commands)
    if failed_runs:
        from autonoma_ci.planning.selection_errors import find_missing_runs_error

        if missing := find_missing_runs_error(candidates, failed_runs, builder.build, settings):
            raise InputError([missing])
        selection, requests = select_failed(selection, failed_runs, builder.build)
    else:
        requests = _enforce_limits(chain.from_iterable(map(builder.build, selection.candidates)))
    is_unchanged = Rule.UNCHANGED in selection.left_out and bool(wanted)
    if not (requests or settings.allow_empty or settings.selects_nothing or is_unchanged):
        raise InputError([_explain_empty_plan(settings, manifest, selection, failed_runs)])
    requests, duplicate_notes = _deduplicate(requests)
    digest = short_digest("\n".join(str(request.key) for request in requests), _DIGEST_DIGITS)
    notes = [
        *filter(None, [selection.note]),
        *([_NOTHING_CHANGED_NOTE] if is_unchanged and not requests else []),
        *duplicate_notes,
        *_ineffective_option_notes(settings, requests),
        *(_ineffective_group_notes(settings) if failed_runs else ()),
        *find_ending_quarantines(selection.candidates, settings, context.today),
    ]

    # The shard and the limit of this job step.
    if shard and not settings.selects_nothing:
        if failed_runs and failed_runs.shard == str(shard):
            notes.append(f"Shard {shard}: {failed_runs.path} has only runs of this shard, so all of them are selected.")
        else:
            requests, note = select_shard(requests, shard)
            notes.append(note)
    if settings.max_runs is not None and len(requests) > settings.max_runs:
        raise InputError([_explain_exceeded_limit(settings, settings.max_runs, len(requests))])

    url = _find_url(settings, manifest)
    return Plan(
        tuple(requests),
        PlanFacts(tuple(notes), digest, changes.summary if changes else None),
        environment_texts=tuple(map(Secret, sorted(manifest.environment_texts))) if manifest else (),
        fact_values=manifest.fact_values.difference(settings.variables.values()) if manifest else frozenset(),
        warnings=(
            *find_ended_quarantines(selection.candidates, settings, context.today),
            *_ineffective_timeout_warnings(settings, url),
        ),
        retry_budget=None if settings.max_runs is None else settings.max_runs - len(requests),
        wait_for_url=url,
    )


def count_runs(manifest: Manifest) -> tuple[int, int]:
    """Return the number of all runs of a manifest, and of those off by default.

    Raises:
        InputError: The manifest has too many runs, or no entry.

    """
    settings = Settings()
    candidates = collect_candidates(settings, manifest)
    if not candidates:
        raise InputError([_explain_empty_plan(settings, manifest, start_selection(candidates), None)])
    builder = RequestBuilder(settings, manifest, date.min, RerunCommands(settings, manifest, ""))
    selected = select_by_groups(candidates, settings, manifest).candidates

    def count(items: Iterable[Candidate]) -> int:
        return len(_deduplicate(_enforce_limits(chain.from_iterable(map(builder.build, items))))[0])

    total = count(candidates)
    return total, total - count(selected) if len(selected) < len(candidates) else 0


def _find_selection_errors(
    settings: Settings, manifest: Manifest | None, candidates: Sequence[Candidate], *, ignores_groups: bool
) -> list[str | Diagnostic]:
    """Return the errors of the options that select entries."""
    if not (settings.environment or settings.groups or settings.exclude_groups or settings.only):
        return []
    # Loaded only with such an option, because most steps have none.
    from autonoma_ci.planning.selection_errors import find_selection_errors

    return find_selection_errors(settings, manifest, candidates, ignores_groups=ignores_groups)


def _find_shard_errors(settings: Settings, shard: Shard | None, failed_runs: FailedRuns | None) -> list[str]:
    if not shard:
        unknown = f"{settings.spelling_of('shard')}: {_NO_CI_SHARD_MESSAGE} {_GITHUB_SHARD_HINT}"
        return [unknown] if settings.shard == "auto" else []
    if not failed_runs or shard.total == 1 or failed_runs.shard in {"", "1/1", str(shard)}:
        return []
    # The failed runs of this shard are in another file, and those in this file are runs of another job.
    problem = f"{failed_runs.path} is of shard {failed_runs.shard}, and this step of {shard}"
    return [f"{settings.spelling_of('failed-from')}: {problem}. Use the results.json of this shard or of all shards."]


def _explain_empty_plan(
    settings: Settings, manifest: Manifest | None, selection: Selection, failed_runs: FailedRuns | None
) -> Diagnostic:
    from autonoma_ci.planning.selection_errors import explain_empty_plan

    return explain_empty_plan(settings, manifest, selection, failed_runs)


def _find_changes(candidates: Sequence[Candidate], context: PlanContext) -> ChangeFilter | None:
    """Return the changed files, or None if no candidate depends on them."""
    if not context.find_changes or context.failed_runs:
        return None
    if all(candidate.change_patterns is None for candidate in candidates):
        return None
    return context.find_changes()


def _ineffective_group_notes(settings: Settings) -> list[str]:
    """Return notes about the options that `failed-from` replaces."""
    values = {"groups": settings.groups, "exclude-groups": settings.exclude_groups}
    other = settings.spelling_of("failed-from")
    return [f"{settings.spelling_of(name)} has no effect with {other}." for name, value in values.items() if value]


def _find_url(settings: Settings, manifest: Manifest | None) -> str:
    """Return the URL to wait for before the first run, or an empty text."""
    environment = manifest.selected_environment if manifest else None
    return settings.wait_for_url or (environment[1].wait_for_url if environment else "")


def _ineffective_timeout_warnings(settings: Settings, url: str) -> list[str]:
    if url or "wait-for-url-timeout" not in settings.explicitly_set:
        return []
    return [f"{settings.spelling_of('wait-for-url-timeout')} has no effect without a URL. {_URL_ADVICE}"]


def _explain_exceeded_limit(settings: Settings, limit: int, count: int) -> str:
    spelling = settings.spelling_of("max-runs")
    return f"{spelling}: {pluralize(count, 'run')} in the plan, {limit:,} allowed. Select fewer, or raise the limit."


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


def _enforce_limits(runs: Iterable[RunRequest]) -> list[RunRequest]:
    """Return the runs.

    Raises:
        InputError: The plan has too many runs or variables.

    """
    # We stop at the limit before the runs fill the memory, because a short manifest can expand to millions of runs.
    requests: list[RunRequest] = []
    variable_count = 0
    for request in runs:
        requests.append(request)
        variable_count += len(request.variables)
        if len(requests) > MAX_RUNS:
            raise InputError([f"More than {MAX_RUNS:,} runs in the plan. Split the plan into several steps."])
        if variable_count > MAX_VARIABLES:
            raise InputError([f"More than {MAX_VARIABLES:,} variables in all runs. Split the plan into several steps."])
    return requests


def _deduplicate(requests: Sequence[RunRequest]) -> tuple[list[RunRequest], list[str]]:
    """Return the first of equal runs, and notes about the others.

    A run stays in quarantine only if all equal ones are in quarantine.
    """
    unique: dict[object, RunRequest] = {}
    duplicate_counts: dict[tuple[TargetKind, str], int] = {}
    for request in requests:
        key = (
            *(request.kind, request.id, tuple(sorted(request.variables.items())), request.application_version_id),
            *(request.application_versions, request.run_on_latest),
        )
        if key in unique:
            duplicate_counts[request[:2]] = duplicate_counts.get(request[:2], 1) + 1
            if not request.quarantine:
                unique[key] = unique[key]._replace(quarantine=None)
        else:
            unique[key] = request
    notes = [
        f"{kind.capitalize()} {target_id} is listed {count} times"
        f"{' with the same variables' if kind is TargetKind.TEST else ''} and started once."
        for (kind, target_id), count in duplicate_counts.items()
    ]
    return list(unique.values()), notes
