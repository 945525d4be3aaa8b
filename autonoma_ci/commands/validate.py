"""`autonoma-ci validate [MANIFEST]`: check a manifest without sending anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from autonoma_ci.app.inputs import DEFAULT_MANIFESTS, default_manifest, find_place, load_manifest
from autonoma_ci.ci.log import Console
from autonoma_ci.config.arguments import given, parser_of
from autonoma_ci.config.options import OPTIONS, STATED_FACTS
from autonoma_ci.config.parsers import credential
from autonoma_ci.config.settings import Settings, read_some
from autonoma_ci.errors import EXIT_INPUT, InputError
from autonoma_ci.escaping import one_line
from autonoma_ci.planning import plan
from autonoma_ci.reports.summary import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import World
    from autonoma_ci.manifest.schema import Manifest

_OPTIONS = tuple(option for option in OPTIONS if option.name in {"allow-env", *STATED_FACTS.values()})
_HIDDEN = tuple(option for option in OPTIONS if option.parse is credential or option.name == "variables")


def main(argv: Sequence[str], world: World) -> int:
    """Return 0 if the manifest is valid, 2 with every problem if it is not; raise InputError if there is none."""
    help_text = "Check a manifest. Facts of the build that only a CI system knows may be missing."
    parser = parser_of("validate", help_text, _OPTIONS, world.out)
    parser.add_argument("manifest", nargs="?", default="", help=f"Default: {' or '.join(DEFAULT_MANIFESTS)}.")
    found = parser.known(argv)
    path = found.manifest or default_manifest(world.folder)
    if not path:
        raise InputError([f"there is no {' or '.join(DEFAULT_MANIFESTS)} here: give the manifest's path"])
    place = find_place(world.environ)
    settings, problems = read_some(_OPTIONS, given(found, _OPTIONS), world.environ)
    if problems:
        raise InputError(problems)
    # No credentials are needed. Where there are some, no value may hold them, and no id a value of `variables`.
    known, _ = read_some(_HIDDEN, {}, world.environ)
    place = place.with_facts(settings)
    settings = known._replace(allow_env=settings.allow_env)
    try:
        manifest = load_manifest(path, world.folder, world.environ, place.context, settings, checking=True)
        requests = plan.make(Settings(), manifest).requests
    except InputError as error:
        in_checkout = partial(place.system.path_in_checkout, world.environ, world.folder)
        errors = Console(world.err, place.system.dialect, in_checkout=in_checkout)
        errors.hide(settings.secrets)
        for problem in error.problems:
            errors.issue("error", problem._replace(file=problem.file or one_line(path)))
        return EXIT_INPUT
    kinds = (plural(len(entries), noun) for noun, entries in _kinds(manifest))
    console = Console(world.out, place.system.dialect, is_product=True)
    console.hide(settings.secrets)
    console.line(f"{path} is valid: {', '.join(kinds)}; {plural(len(requests), 'run')} in all.")
    return 0


def _kinds(manifest: Manifest) -> list[tuple[str, Sequence[object]]]:
    return [("test", manifest.tests), ("folder", manifest.folders), ("tag", manifest.tags)]
