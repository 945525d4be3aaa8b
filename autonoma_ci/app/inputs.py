"""From the command line and the environment to settings, CI context and plan, with every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.app.credentials import (
    describe_missing_credentials,
    find_credential_errors,
    may_skip_without_credentials,
)
from autonoma_ci.app.unknown_names import find_unknown_names
from autonoma_ci.ci import detection
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.parsers import AUTO_SHARD
from autonoma_ci.config.settings import (
    CREDENTIAL_IN_FIELD,
    NO_GROUPS,
    Settings,
    build_credential_redactor,
    load_settings,
)
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.identity import Part, redact_part
from autonoma_ci.models import EVENTS_WITH_SECRETS
from autonoma_ci.planning import plan
from autonoma_ci.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from autonoma_ci.ci.base import CISystem
    from autonoma_ci.manifest.interpolation import Interpolator
    from autonoma_ci.manifest.schema import Manifest
    from autonoma_ci.models import BuildContext, RunRequest

_PART_PURPOSE = "autonoma-ci part 1"
# Characters of a credential that no ordinary text has by accident.
_RECOGNIZABLE = 8
# Looked for in the working directory, in this order.
DEFAULT_MANIFESTS = ("autonoma.yml", "autonoma.yaml")


class CIEnvironment(NamedTuple):
    """Where the job runs: the CI system, what it says of the build, and the word that the API is told."""

    ci_system: CISystem
    build_context: BuildContext
    source: str

    def with_facts(self, settings: Settings) -> CIEnvironment:
        """Return the place with the facts of the build that options state."""
        return self._replace(build_context=self.build_context._replace(**settings.stated_facts))


def detect_ci(environ: Mapping[str, str]) -> CIEnvironment:
    """Recognise the CI system; raise InputError if AUTONOMA_CI names none."""
    row = detection.detect(environ)
    system = detection.load_system(row)
    return CIEnvironment(system, system.build_context(environ), row.name)


def select_options(environ: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the environment without the options that have other names."""
    others = {name for option in OPTIONS if option.name not in names for name in option.all_env_names}
    return {name: value for name, value in environ.items() if name not in others}


def find_default_manifest(folder: str) -> str:
    """Return the name of the manifest that lies in the folder, or an empty text."""
    return next((name for name in DEFAULT_MANIFESTS if Path(folder, name).exists()), "")


def find_manifest(settings: Settings, folder: str, event: str) -> tuple[str, str]:
    """Return the path of the manifest, and a warning if the default one must not be read; both can be empty."""
    if settings.manifest:
        return settings.manifest, ""
    found = "" if {"test-ids", "folder-ids", "tag-ids"} & settings.explicitly_set else find_default_manifest(folder)
    if found and event in EVENTS_WITH_SECRETS:
        why = f"a job of the event {event} has all secrets, and its checkout may be anybody's"
        return "", f"{found} is not read: {why}. If it is not, say manifest: {found}"
    return found, ""


def load_manifest(
    path: str,
    folder: str,
    environ: Mapping[str, str],
    context: BuildContext,
    settings: Settings,
    *,
    checking: bool = False,
) -> Manifest:
    """Return the manifest at `path`, relative to `folder`.

    Args:
        path: The path of the file.
        folder: The working directory.
        environ: The environment, which `${NAME}` reads.
        context: The build, which `${ci.…}` reads.
        settings: Its `allow_env` says which names may be read. Values with its credentials never are, and no id may
            have a value of its `variables`.
        checking: As in `Interpolation`.

    Raises:
        InputError: With every problem of the manifest.

    """
    # Loaded only now, since most steps have no manifest.
    from autonoma_ci.manifest.loader import load_manifest

    return load_manifest(path, folder, build_interpolator(environ, context, settings, checking=checking))


def build_interpolator(
    environ: Mapping[str, str], context: BuildContext, settings: Settings, *, checking: bool = False
) -> Interpolator:
    """Return what `${...}` in a manifest can read; the arguments are those of `load_manifest`."""
    from autonoma_ci.manifest.interpolation import HiddenValues, Interpolator

    # A shorter one, such as `sandbox`, occurs in ordinary values.
    credentials = Redactor(secret for secret in settings.secrets if len(secret.reveal()) >= _RECOGNIZABLE)
    variables = HiddenValues(settings.variables.values())
    return Interpolator(
        environ, context, detection.all_secret_variables(), checking, settings.allow_env, credentials, variables
    )


def build_part(settings: Settings, place: CIEnvironment, environ: Mapping[str, str], title: str) -> Part:
    """Return which part of the build this step is, by its options and by what the CI system says of the job."""
    parallel = place.ci_system.detect_shard(environ) if place.ci_system.detect_shard else None
    shard = parallel if settings.shard == AUTO_SHARD else settings.shard
    share = str(shard) if shard and shard.total > 1 else ""
    several = str(parallel) if parallel and parallel.total > 1 else ""
    return Part(place.build_context.job_name, settings.part or (several if several != share else ""), share, title)


def redact_shown_part(part: Part, settings: Settings) -> Part:
    """Return the part as it may be shown: a matrix may hold a credential."""
    secret = settings.client_secret
    return redact_part(part, Redactor(settings.secrets), secret.derive_key(_PART_PURPOSE) if secret else b"")


def _without_credentials(requests: Sequence[RunRequest], settings: Settings) -> tuple[RunRequest, ...]:
    """Return the runs without credentials in their names; raise InputError for one in what the API gets."""
    # A source has at most 10 characters, so that it can hold a shorter credential only.
    if Redactor(secret for secret in settings.secrets if len(secret.reveal()) >= _RECOGNIZABLE).contains_secret(
        settings.source
    ):
        raise InputError([f"{settings.spelling_of('source')} {CREDENTIAL_IN_FIELD}"])
    redact = build_credential_redactor(settings)
    texts = [(request.id, request.application_version_id, *request.variables) for request in requests]
    # All at once, as there may be thousands.
    if redact.contains_secret("|".join(text for of_run in texts for text in of_run)):
        raise InputError([f"an id or the name of a variable {CREDENTIAL_IN_FIELD}"])
    if not redact.contains_secret("|".join(request.name for request in requests)):
        return tuple(requests)
    return tuple(request._replace(name=redact(request.name)) for request in requests)


class InputLoader:
    """Collects settings, manifest and plan; `problems` are what is wrong with all of them.

    `warnings` are for the log; `skipped` says why there is nothing to be done, if that is so.
    """

    def __init__(self, environ: Mapping[str, str], folder: str) -> None:
        self._environ, self._folder = environ, folder
        self.settings = Settings()
        self.plan = plan.Plan(())
        self.errors: list[Diagnostic] = []
        self.warnings: list[str] = []
        self.skip_reason = ""

    def read_settings(self, flags: Mapping[str, str], variables: Sequence[str], place: CIEnvironment) -> None:
        """Read the options; nothing is raised."""
        self.settings, problems = load_settings(flags, variables, self._environ)
        self.errors += problems
        self.warnings += find_unknown_names(self._environ, place.build_context.ci_name)
        if self.settings.selects_nothing:
            self.skip_reason = f"{self.settings.spelling_of('groups')} is '{NO_GROUPS}'"
        elif self.settings.dry_run:
            return
        elif self.settings.on_missing_credentials == "skip" and may_skip_without_credentials(
            self.settings, place.build_context
        ):
            self.skip_reason = (
                f"the credentials are missing: {describe_missing_credentials(self.settings, place.build_context)}"
            )
        else:
            self.errors += find_credential_errors(self.settings, place.build_context)

    def read_plan(self, place: CIEnvironment) -> None:
        """Read the manifest and make the plan, which takes seconds where it is large; nothing is raised."""
        path, warning = find_manifest(self.settings, self._folder, place.build_context.trigger_event)
        self.warnings += [warning] if warning else []
        manifest = None
        try:
            if path:
                manifest = load_manifest(path, self._folder, self._environ, place.build_context, self.settings)
            # With something wrong or missing already, an empty plan may just follow from that: it is not told as well.
            excused = self.settings.allow_empty or bool(self.errors or self.skip_reason)
            forgiving = self.settings._replace(allow_empty=excused)
            parallel = place.ci_system.detect_shard
            self.plan = plan.build_plan(forgiving, manifest, parallel(self._environ) if parallel else None)
            requests = _without_credentials(self.plan.requests, self.settings)
            self.plan = self.plan._replace(requests=requests)
        except InputError as error:
            self.errors += error.diagnostics
