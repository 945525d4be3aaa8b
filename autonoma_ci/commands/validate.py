"""`autonoma-ci validate` checks a manifest without sending requests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from autonoma_ci.app.inputs import DEFAULT_MANIFESTS, detect_ci, find_default_manifest, load_manifest
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.arguments import build_parser, provided_options
from autonoma_ci.config.options import BUILD_FACT_OPTIONS, OPTIONS
from autonoma_ci.config.parsers import parse_secret
from autonoma_ci.config.settings import load_options
from autonoma_ci.errors import EXIT_INPUT, Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.planning.plan import count_runs
from autonoma_ci.planning.quarantine import find_ended_quarantines
from autonoma_ci.planning.selection import collect_candidates
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.manifest.schema import Manifest

_VALIDATE_OPTIONS = tuple(option for option in OPTIONS if option.name in {"allow-env", *BUILD_FACT_OPTIONS.values()})
_SECRET_OPTIONS = tuple(option for option in OPTIONS if option.parse is parse_secret or option.name == "variables")


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Check the manifest, and return exit code 0 or 2.

    Raises:
        InputError: The command line is wrong, or the manifest is missing.
        OutputError: The result could not be printed.

    """
    help_text = "Check a manifest without sending requests. Facts from a CI system may be missing."
    parser = build_parser("validate", help_text, _VALIDATE_OPTIONS, runtime.out)
    help_text = f"Path of the manifest. Default: {' or '.join(DEFAULT_MANIFESTS)}."
    parser.add_argument("manifest", nargs="?", default="", metavar="MANIFEST", help=help_text)
    parser.example = "autonoma-ci validate autonoma.yml"
    arguments = parser.parse(argv)
    path = arguments.manifest or find_default_manifest(runtime.working_directory)
    if not path:
        raise InputError([f"Missing manifest: {' or '.join(DEFAULT_MANIFESTS)}. Use the manifest's path."])
    ci = detect_ci(runtime.environ)
    option_settings, errors = load_options(
        _VALIDATE_OPTIONS, provided_options(arguments, _VALIDATE_OPTIONS), runtime.environ
    )
    if errors:
        raise InputError(errors)
    ci = ci.with_facts(option_settings)
    # Credentials are optional. If they are set, no value of the manifest may contain one. No id may contain a value of
    # `variables`. An invalid credential is no error here, because no request is sent.
    secret_settings, _ = load_options(_SECRET_OPTIONS, {}, runtime.environ)
    settings = secret_settings._replace(allow_env=option_settings.allow_env)
    today = runtime.clock.utc_date()
    try:
        manifest = load_manifest(
            path,
            runtime.working_directory,
            runtime.environ,
            ci.build_context,
            settings,
            today,
            validate_only=True,
        )
        run_count, off_count = count_runs(manifest)
    except InputError as error:
        path_in_checkout = partial(ci.ci_system.path_in_checkout, runtime.environ, runtime.working_directory)
        error_log = JobLog(runtime.err, ci.ci_system.log_formatter, in_checkout=path_in_checkout)
        error_log.redact_with(settings.redactors.of_all)
        for diagnostic in error.diagnostics:
            error_log.annotate("error", diagnostic._replace(file=diagnostic.file or sanitize_line(path)))
        return EXIT_INPUT
    counts = (pluralize(len(entries), noun) for noun, entries in _entries_by_kind(manifest))
    log = JobLog(runtime.out, ci.ci_system.log_formatter, is_product=True)
    log.redact_with(settings.redactors.of_all)
    for warning in find_ended_quarantines(collect_candidates(settings, manifest), settings, today):
        log.annotate("warning", Diagnostic(warning))
    off_by_default = f", {off_count:,} of them off by default" if off_count else ""
    log.info(f"{path} is valid: {', '.join(counts)} ({pluralize(run_count, 'run')} in total{off_by_default}).")
    return 0


def _entries_by_kind(manifest: Manifest) -> list[tuple[str, Sequence[object]]]:
    return [("test", manifest.tests), ("folder", manifest.folders), ("tag", manifest.tags)]
