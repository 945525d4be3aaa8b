"""`autonoma-ci validate [MANIFEST]`: check a manifest without sending anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from autonoma_ci.app.inputs import DEFAULT_MANIFESTS, detect_ci, find_default_manifest, load_manifest
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.arguments import build_parser, provided_options
from autonoma_ci.config.options import BUILD_FACT_OPTIONS, OPTIONS
from autonoma_ci.config.parsers import parse_secret
from autonoma_ci.config.settings import Settings, load_options
from autonoma_ci.errors import EXIT_INPUT, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.planning import plan
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.manifest.schema import Manifest

_OPTIONS = tuple(option for option in OPTIONS if option.name in {"allow-env", *BUILD_FACT_OPTIONS.values()})
_HIDDEN = tuple(option for option in OPTIONS if option.parse is parse_secret or option.name == "variables")


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Return 0 if the manifest is valid, 2 with every problem if it is not; raise InputError if there is none."""
    help_text = "Check a manifest. Facts of the build that only a CI system knows may be missing."
    parser = build_parser("validate", help_text, _OPTIONS, runtime.out)
    parser.add_argument("manifest", nargs="?", default="", help=f"Default: {' or '.join(DEFAULT_MANIFESTS)}.")
    found = parser.parse(argv)
    path = found.manifest or find_default_manifest(runtime.working_directory)
    if not path:
        raise InputError([f"there is no {' or '.join(DEFAULT_MANIFESTS)} here: give the manifest's path"])
    place = detect_ci(runtime.environ)
    settings, problems = load_options(_OPTIONS, provided_options(found, _OPTIONS), runtime.environ)
    if problems:
        raise InputError(problems)
    # No credentials are needed. Where there are some, no value may hold them, and no id a value of `variables`.
    known, _ = load_options(_HIDDEN, {}, runtime.environ)
    place = place.with_facts(settings)
    settings = known._replace(allow_env=settings.allow_env)
    try:
        manifest = load_manifest(
            path, runtime.working_directory, runtime.environ, place.build_context, settings, checking=True
        )
        requests = plan.build_plan(Settings(), manifest).requests
    except InputError as error:
        in_checkout = partial(place.ci_system.path_in_checkout, runtime.environ, runtime.working_directory)
        errors = JobLog(runtime.err, place.ci_system.log_formatter, in_checkout=in_checkout)
        errors.redact_with(Redactor(settings.secrets))
        for problem in error.diagnostics:
            errors.annotate("error", problem._replace(file=problem.file or sanitize_line(path)))
        return EXIT_INPUT
    kinds = (pluralize(len(entries), noun) for noun, entries in _kinds(manifest))
    console = JobLog(runtime.out, place.ci_system.log_formatter, is_product=True)
    console.redact_with(Redactor(settings.secrets))
    console.info(f"{path} is valid: {', '.join(kinds)}; {pluralize(len(requests), 'run')} in all.")
    return 0


def _kinds(manifest: Manifest) -> list[tuple[str, Sequence[object]]]:
    return [("test", manifest.tests), ("folder", manifest.folders), ("tag", manifest.tags)]
