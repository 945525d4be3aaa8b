"""Load settings, CI system and manifest with every error of the input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autonoma_ci.app.credentials import (
    can_skip_for_missing_credentials,
    describe_missing_credentials,
    find_credential_errors,
)
from autonoma_ci.app.unknown_names import find_unknown_names
from autonoma_ci.ci import detection
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import NO_GROUPS, Settings, load_settings
from autonoma_ci.identity import Part, redact_part
from autonoma_ci.models import EVENTS_WITH_SECRETS
from autonoma_ci.planning.plan import Plan
from autonoma_ci.startup import DebugLogger, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from autonoma_ci.ci.base import CISystem
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.manifest.interpolation import Interpolator
    from autonoma_ci.manifest.schema import Manifest
    from autonoma_ci.models import BuildContext
    from autonoma_ci.planning.selection import FailedRuns
    from autonoma_ci.redaction.redactor import Redactor, Secret

_log = DebugLogger()
_PART_PURPOSE = "autonoma-ci part 1"
# Names of the manifest in the working directory. The first one has priority.
DEFAULT_MANIFESTS = ("autonoma.yml", "autonoma.yaml")


class CIEnvironment(NamedTuple):
    """The CI system of the job, and the build."""

    ci_system: CISystem
    build_context: BuildContext
    # Value of the API's `source` field.
    source: str

    def with_facts(self, settings: Settings) -> CIEnvironment:
        """Return the environment with the build facts that options state."""
        facts: Mapping[str, Any] = settings.stated_facts
        return self._replace(build_context=self.build_context._replace(**facts))


def detect_ci(environ: Mapping[str, str]) -> CIEnvironment:
    """Detect the CI system. Raises InputError if AUTONOMA_CI names none."""
    rule = detection.detect(environ)
    system = detection.load_system(rule)
    return CIEnvironment(system, system.build_context(environ), rule.name)


def select_options(environ: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the environment without all other options."""
    others = {name for option in OPTIONS if option.name not in names for name in option.all_env_names}
    return {name: value for name, value in environ.items() if name not in others}


def find_default_manifest(folder: str) -> str | None:
    """Return the name of the default manifest in the folder, or None."""
    return next((name for name in DEFAULT_MANIFESTS if Path(folder, name).exists()), None)


def find_manifest(settings: Settings, folder: str, event: str) -> tuple[str | None, str | None]:
    """Return the path of the manifest and a warning, each possibly None.

    The default manifest is not read in a job that has all secrets for a change of an unknown author.
    """
    if settings.manifest:
        return settings.manifest, None
    if {"test-ids", "folder-ids", "tag-ids"} & settings.explicitly_set:
        return None, None
    found = find_default_manifest(folder)
    if found and event in EVENTS_WITH_SECRETS:
        reason = f"the event {event} exposes all secrets to files that anybody can change"
        return None, f"{found} is not read: {reason}. To read a trusted file, set manifest to {found}."
    return found, None


def load_manifest(
    path: str,
    folder: str,
    environ: Mapping[str, str],
    context: BuildContext,
    settings: Settings,
    today: date,
    *,
    validate_only: bool = False,
) -> Manifest:
    """Return the manifest at `path`, relative to `folder`.

    Args:
        path: The path of the file.
        folder: The working directory.
        environ: The environment, which `${NAME}` reads.
        context: The build, which `${ci.…}` reads.
        settings: `allow_env` lists the names that may be read. Values with credentials are never read, and no id may
            contain a value of `variables`. `environment` selects one of the manifest's environments.
        today: The current date in UTC.
        validate_only: Whether an unknown build fact is no error, and all environments are checked, as for the command
            `validate`.

    Raises:
        InputError: With every error of the manifest.

    """
    # Loaded only here, because most steps have no manifest.
    from autonoma_ci.manifest.loader import load_manifest

    _log.debug("Manifest: %s", path)
    interpolator = build_interpolator(environ, context, settings, validate_only=validate_only)
    return load_manifest(path, folder, interpolator, today)


def build_interpolator(
    environ: Mapping[str, str], context: BuildContext, settings: Settings, *, validate_only: bool = False
) -> Interpolator:
    """Return the interpolator of a manifest.

    The arguments are those of `load_manifest`.
    """
    from autonoma_ci.manifest.interpolation import HiddenValues, Interpolator

    credentials = settings.redactors.of_recognizable
    variables = HiddenValues(settings.variables.values())
    return Interpolator(
        environ,
        context,
        detection.all_secret_variables(),
        validate_only,
        settings.allow_env,
        credentials,
        variables,
        settings.environment,
    )


def build_part(settings: Settings, ci: CIEnvironment, environ: Mapping[str, str], title: str) -> Part:
    """Return the part of the build that this job step is."""
    parallel = ci.ci_system.detect_shard(environ)
    shard = settings.resolve_shard(parallel)
    shard_text = str(shard) if shard and shard.total > 1 else ""
    parallel_text = str(parallel) if parallel and parallel.total > 1 else ""
    return Part(
        ci.build_context.job_name,
        settings.part or (parallel_text if parallel_text != shard_text else ""),
        shard_text,
        title,
    )


def redact_shown_part(part: Part, redact: Redactor, client_secret: Secret | None) -> Part:
    """Return the part without credentials, since matrix values can contain one.

    Args:
        part: The part with all its texts.
        redact: Removes the credentials of the step.
        client_secret: The key that distinguishes two redacted parts. Without it, the key is empty.

    """
    return redact_part(part, redact, client_secret.derive_key(_PART_PURPOSE) if client_secret else b"")


class RunArguments(NamedTuple):
    """The command line of `run`."""

    # Texts of options by their names.
    flags: Mapping[str, str]
    # `NAME=value`, one for each `--var`.
    variables: Sequence[str]
    # Unknown arguments. The options beside them are still used.
    errors: Sequence[Diagnostic]


class Inputs(NamedTuple):
    """The settings and the plan of a job step, with all errors."""

    settings: Settings
    plan: Plan
    errors: tuple[Diagnostic, ...]
    # For the log, in addition to `settings.warnings`.
    warnings: tuple[str, ...]
    # Why the step does nothing, or None.
    skip_reason: str | None
    # The runs of the option `failed-from`, or None without it.
    failed_runs: FailedRuns | None = None


def load_inputs(arguments: RunArguments, environ: Mapping[str, str], ci: CIEnvironment) -> Inputs:
    """Return the settings with an empty plan, and print nothing."""
    settings, errors = load_settings(arguments.flags, arguments.variables, environ)
    context = ci.build_context
    skip_reason = None
    if settings.selects_nothing:
        skip_reason = f"{settings.spelling_of('groups')} is '{NO_GROUPS}'"
    elif settings.dry_run:
        pass
    elif settings.on_missing_credentials == "skip" and can_skip_for_missing_credentials(settings, ci.ci_system):
        skip_reason = f"the credentials are missing: {describe_missing_credentials(settings, context)}"
    else:
        errors += find_credential_errors(settings, ci.ci_system, context)
    warnings = find_unknown_names(environ, context.ci_name)
    return Inputs(settings, Plan(()), (*arguments.errors, *errors), tuple(warnings), skip_reason)
