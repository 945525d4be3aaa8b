"""From the command line and the environment to settings, CI context and plan, with every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci import plan
from autonoma_ci.ci import detect
from autonoma_ci.context import PRIVILEGED
from autonoma_ci.errors import InputError, Problem
from autonoma_ci.identity import Part, redact_part
from autonoma_ci.secret import Redactor
from autonoma_ci.settings import Settings, read
from autonoma_ci.spans import AUTO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.system import System
    from autonoma_ci.context import Context
    from autonoma_ci.manifest.schema import Manifest

_WITHHELD = {
    "fork": "this change comes from a fork, and such a job gets no secrets",
    "dependabot": "this change is Dependabot's, and such a job gets only the secrets that Dependabot has",
    "": "a secret that is not set arrives empty",
}
_PART_PURPOSE = "autonoma-ci part 1"
# Looked for in the working directory, in this order.
DEFAULT_MANIFESTS = ("autonoma.yml", "autonoma.yaml")


class Place(NamedTuple):
    """Where the job runs: the CI system, what it says of the build, and the word that the API is told."""

    system: System
    context: Context
    source: str


def find_place(environ: Mapping[str, str]) -> Place:
    """Recognise the CI system; raise InputError if AUTONOMA_CI names none."""
    row = detect.detect(environ)
    system = detect.load(row)
    return Place(system, system.context(environ), detect.source(row))


def default_manifest(folder: str) -> str:
    """Return the name of the manifest that lies in the folder, or an empty text."""
    return next((name for name in DEFAULT_MANIFESTS if Path(folder, name).exists()), "")


def load_manifest(
    path: str, folder: str, environ: Mapping[str, str], context: Context, *, checking: bool = False
) -> Manifest:
    """Read a manifest; what checks it is loaded only now, since most steps need none."""
    from autonoma_ci.manifest.interpolate import Interpolation
    from autonoma_ci.manifest.load import load

    return load(path, folder, Interpolation(environ, context, detect.all_tokens(), checking))


def part_of(settings: Settings, place: Place, environ: Mapping[str, str], title: str) -> Part:
    """Return which part of the build this step is, by its options and by what the CI system says of the job."""
    parallel = place.system.parallel(environ) if place.system.parallel else None
    shard = parallel if settings.shard == AUTO else settings.shard
    share = str(shard) if shard and shard.total > 1 else ""
    several = str(parallel) if parallel and parallel.total > 1 else ""
    return Part(place.context.job, settings.part or (several if several != share else ""), share, title)


def shown_part(part: Part, settings: Settings) -> Part:
    """Return the part as it may be shown: a matrix may hold a credential."""
    secret = settings.client_secret
    return redact_part(part, Redactor(settings.secrets), secret.derive_key(_PART_PURPOSE) if secret else b"")


class Input:
    """Collects settings, manifest and plan; `problems` are what is wrong with all of them.

    `warnings` are for the log; `skipped` says why there is nothing to be done, if that is so.
    """

    def __init__(self, environ: Mapping[str, str], folder: str) -> None:
        self._environ, self._folder = environ, folder
        self.settings = Settings()
        self.plan = plan.Plan(())
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.skipped = ""

    def read_settings(self, flags: Mapping[str, str], variables: Sequence[str], place: Place) -> None:
        """Read the options; nothing is raised."""
        self.settings, problems = read(flags, variables, self._environ)
        self.problems += problems
        missing = [] if self.settings.dry_run else missing_credentials(self.settings, place.context)
        if missing and self.settings.on_missing_credentials == "skip":
            self.skipped = f"the credentials are missing: {_WITHHELD[place.context.withheld]}"
        else:
            self.problems += missing

    def read_plan(self, place: Place) -> None:
        """Read the manifest and make the plan, which takes seconds where it is large; nothing is raised."""
        path = self.settings.manifest or self._default_manifest(place.context)
        manifest = None
        try:
            manifest = load_manifest(path, self._folder, self._environ, place.context) if path else None
            # With something wrong or missing already, an empty plan may just follow from that: it is not told as well.
            excused = self.settings.allow_empty or bool(self.problems or self.skipped)
            forgiving = self.settings._replace(allow_empty=excused)
            parallel = place.system.parallel
            self.plan = plan.make(forgiving, manifest, parallel(self._environ) if parallel else None)
        except InputError as error:
            self.problems += error.problems

    def _default_manifest(self, context: Context) -> str:
        if {"manifest", "test-ids", "folder-ids", "tag-ids"} & self.settings.given:
            return ""
        found = default_manifest(self._folder)
        if found and context.event in PRIVILEGED:
            self.warnings.append(
                f"{found} is not read: a job of the event {context.event} has all secrets, and its checkout may be "
                f"anybody's. If it is not, say manifest: {found}"
            )
            return ""
        return found


def missing_credentials(settings: Settings, context: Context) -> list[Problem]:
    """Return what to do about the credentials that are not there."""
    why = _WITHHELD[context.withheld]
    hint = "; with on-missing-credentials: skip such a job is skipped" if context.withheld else ""
    return [
        Problem(
            f"{name} is missing: {why}. Create it in the CI system's secrets and pass it as the input {name}, or set "
            f"AUTONOMA_{name.upper().replace('-', '_')}{hint}"
        )
        for name in ("client-id", "client-secret")
        if name not in settings.given
    ]
