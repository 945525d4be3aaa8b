"""Load what the plan depends on, and build the plan.

It depends on the manifest, the date, the changed files of the build, and the results of an earlier step.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from autonoma_ci.app.inputs import find_manifest, load_manifest
from autonoma_ci.config.settings import CREDENTIAL_IN_FIELD
from autonoma_ci.errors import InputError
from autonoma_ci.models import Quarantine
from autonoma_ci.planning import plan
from autonoma_ci.planning.selection import ChangeFilter
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.startup import DebugLogger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.app.inputs import CIEnvironment, Inputs
    from autonoma_ci.clock import Clock
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.manifest.schema import Manifest

_log = DebugLogger()
_ALWAYS_CHANGED = "the manifest or a file of `always` has changed."


def add_failed_runs(inputs: Inputs, directory: str, ci: CIEnvironment) -> Inputs:
    """Return the inputs with the runs of the option `failed-from`, and print nothing.

    The file can be in results-dir, so it is read before the job step replaces the files there.
    """
    settings = inputs.settings
    if not settings.failed_from:
        return inputs
    # Loaded only where the option is set.
    from autonoma_ci.app.failed_runs import load_failed_runs

    try:
        return inputs._replace(failed_runs=load_failed_runs(settings, directory, ci.build_context))
    except InputError as error:
        return inputs._replace(errors=(*inputs.errors, *error.diagnostics))


def add_plan(inputs: Inputs, environ: Mapping[str, str], directory: str, ci: CIEnvironment, clock: Clock) -> Inputs:
    """Return the inputs with the plan, and print nothing.

    A large manifest needs seconds, and the comparison with another commit can need the network.

    Args:
        inputs: The inputs without a plan.
        environ: The environment.
        directory: The working directory.
        ci: The CI system, with the build facts that options state.
        clock: The clock, which ends quarantines.

    """
    settings, today = inputs.settings, clock.utc_date()
    path, warning = find_manifest(settings, directory, ci.build_context.trigger_event)
    if warning:
        inputs = inputs._replace(warnings=(*inputs.warnings, warning))
    # A step that starts nothing needs no comparison.
    is_ended = bool(inputs.errors or inputs.skip_reason)
    try:
        manifest = load_manifest(path, directory, environ, ci.build_context, settings, today) if path else None
        shard = ci.ci_system.detect_shard(environ)
        context = plan.PlanContext(path or "", shard, today, failed_runs=inputs.failed_runs)
        if manifest and path and not is_ended:
            find_changes = partial(_find_changes, settings, manifest, path, environ, directory, ci, clock)
            context = context._replace(find_changes=find_changes)
        # After another error, an empty plan can follow from it. So it is no error of its own.
        allow_empty = settings.allow_empty or is_ended
        planned = plan.build_plan(settings._replace(allow_empty=allow_empty), manifest, context)
        if manifest and path and not is_ended:
            names = _find_quarantined_by_change(manifest, path, environ, directory, ci)
            planned = planned._replace(facts=planned.facts._replace(quarantined_by_change=names))
        count = pluralize(len(planned.requests), "run")
        _log.debug("Plan: %s, shard %s", count, settings.resolve_shard(shard) or "none")
        # The inputs of an error have the plan too, because its values must be redacted.
        inputs = inputs._replace(plan=planned)
        return inputs._replace(plan=_without_credentials(planned, settings))
    except InputError as error:
        return inputs._replace(errors=(*inputs.errors, *error.diagnostics))


def _find_changes(
    settings: Settings,
    manifest: Manifest,
    manifest_path: str,
    environ: Mapping[str, str],
    directory: str,
    ci: CIEnvironment,
    clock: Clock,
) -> ChangeFilter:
    """Compare the build with its base, in the clone or through the network."""
    # Loaded only here, because most steps have no entry that depends on changed files.
    from autonoma_ci.app.changed_files import find_changed_files
    from autonoma_ci.planning.changed_files import ChangeSelector

    changed = find_changed_files(settings, ci, environ, directory, manifest_path, clock)
    selector = ChangeSelector(changed, manifest.always)
    if not selector.selects_everything:
        return ChangeFilter(changed.summary, selector.selects)
    if changed.paths is None:
        return ChangeFilter(changed.summary)
    return ChangeFilter(changed.summary._replace(full_run_reason=_ALWAYS_CHANGED))


def _find_quarantined_by_change(
    manifest: Manifest, manifest_path: str, environ: Mapping[str, str], directory: str, ci: CIEnvironment
) -> tuple[str, ...]:
    """Return the names of the entries that this change put in quarantine."""
    if all(entry.quarantine is None for entry in manifest.entries):
        return ()
    # Loaded only here, because most manifests have no quarantine.
    from autonoma_ci.app.quarantined_by_change import find_quarantined_by_change

    return find_quarantined_by_change(manifest, manifest_path, ci, environ, directory)


def _without_credentials(planned: plan.Plan, settings: Settings) -> plan.Plan:
    """Return the plan without credentials in names and other shown texts.

    Raises:
        InputError: A credential is in another text that is sent to the API.

    """
    # A source has at most 10 characters, so it can only contain a short credential.
    if settings.redactors.of_recognizable.contains_secret(settings.source):
        raise InputError([f"{settings.spelling_of('source')} {CREDENTIAL_IN_FIELD}"])
    redact, requests = settings.redactors.of_long, planned.requests
    texts = [(request.id, request.application_version_id, *request.variables) for request in requests]
    # All in one text, because there can be thousands.
    if redact.contains_secret("|".join(text for texts_of_run in texts for text in texts_of_run)):
        raise InputError([f"An id or the name of a variable {CREDENTIAL_IN_FIELD}"])
    change = planned.facts.change
    if change and change.full_run_reason:
        change = change._replace(full_run_reason=redact(change.full_run_reason))
    facts = planned.facts._replace(
        plan_notes=tuple(map(redact, planned.facts.plan_notes)),
        change=change,
        quarantined_by_change=tuple(map(redact, planned.facts.quarantined_by_change)),
    )
    shown = "|".join(
        text for request in requests for text in (request.name, request.owner, *(request.quarantine or ()))
    )
    if redact.contains_secret(shown):
        requests = tuple(
            request._replace(
                name=redact(request.name),
                owner=redact(request.owner),
                quarantine=request.quarantine and Quarantine(*map(redact, request.quarantine)),
            )
            for request in requests
        )
    return planned._replace(requests=requests, facts=facts)
