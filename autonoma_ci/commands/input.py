"""From the command line and the environment to settings, CI context and plan, with every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci import plan
from autonoma_ci.ci import detect
from autonoma_ci.errors import InputError, Problem
from autonoma_ci.settings import Settings, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.ci.system import System
    from autonoma_ci.manifest.schema import Manifest
    from autonoma_ci.model import Context

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


class Input:
    """Collects settings, manifest and plan; `problems` are what is wrong with all of them."""

    def __init__(self, environ: Mapping[str, str], folder: str) -> None:
        self._environ, self._folder = environ, folder
        self.settings = Settings()
        self.plan = plan.Plan(())
        self.problems: list[Problem] = []

    def read(self, flags: Mapping[str, str], variables: Sequence[str], place: Place) -> None:
        """Read everything; nothing is raised."""
        self.settings, problems = read(flags, variables, self._environ)
        self.problems += problems
        if not self.settings.dry_run:
            self.problems += missing_credentials(self.settings)
        path = self.settings.manifest
        if not {"manifest", "test-ids", "folder-ids", "tag-ids"} & self.settings.given:
            path = default_manifest(self._folder)
        manifest = None
        try:
            manifest = load_manifest(path, self._folder, self._environ, place.context) if path else None
            # With something wrong already, an empty plan may just follow from that: it is not told as well.
            forgiving = self.settings._replace(allow_empty=self.settings.allow_empty or bool(self.problems))
            parallel = place.system.parallel
            self.plan = plan.make(forgiving, manifest, parallel(self._environ) if parallel else None)
        except InputError as error:
            self.problems += error.problems


def missing_credentials(settings: Settings) -> list[Problem]:
    """Return what to do about the credentials that are not there."""
    return [
        Problem(
            f"{name} is missing: a secret that is not set arrives empty. Create it in the CI system's secrets and "
            f"pass it as the input {name}, or set AUTONOMA_{name.upper().replace('-', '_')}"
        )
        for name in ("client-id", "client-secret")
        if name not in settings.given
    ]
