"""`autonoma-ci report RESULTS` renders a report from results.json."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autonoma_ci.app.inputs import detect_ci, select_options
from autonoma_ci.app.known_values import VALUE_OPTIONS, VALUE_OPTIONS_HELP, collect_known_values
from autonoma_ci.app.previous_results import build_sanitizers, load_results, to_build_context, to_run_results
from autonoma_ci.app.report_builder import ReportBuilder, StepFacts, describe_source
from autonoma_ci.app.results_path import find_results_file
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.detection import find_system
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.arguments import add_var_flag, build_parser, provided_options
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import load_settings
from autonoma_ci.engine.verdict import EXIT_CODES, compute_verdict
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import DirectoryTree, escapes_via_symlink, os_error_reason
from autonoma_ci.identity import Part
from autonoma_ci.models import PULL_REQUEST, Conclusion, ExitReason, Verdict
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.foreign_files import is_results_file
from autonoma_ci.reports.results_dir import results_folder
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.config.arguments import ParsedArguments
    from autonoma_ci.models import Report, RunResult
    from autonoma_ci.reports.results_schema import Results, ResultsSanitizers

# The names of these files in results-dir.
FORMATS = {"html": "report.html", "junit": "junit.xml", "markdown": "summary.md"}
_MEDIA_TYPES = {"jpg": "image/jpeg", "webm": "video/webm", "mp4": "video/mp4"}
_OPTIONS = tuple(option for option in OPTIONS if option.name in VALUE_OPTIONS | {"verbose"})
# Options of the environment that are used. Credentials are removed from texts, and no request is sent.
_READ_OPTIONS = VALUE_OPTIONS | {"client-id", "client-secret", "github-token", "gitlab-token", "api-url", "verbose"}
# A larger file makes a page too slow in a browser. Such a file is not embedded.
MAX_INLINE_BYTES = 20_000_000


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Write the report, log its path, and return 0.

    Raises:
        InputError: The command line is wrong, results.json is unreadable, or the report could not be written.
        OutputError: The report could not be printed.

    """
    purpose = "Make a report from the results.json of a step. Values from variables and manifest are hidden."
    parser = build_parser("report", purpose, _OPTIONS, runtime.out, VALUE_OPTIONS_HELP)
    add_var_flag(parser)
    parser.hint = "The command report accepts one results.json. Run the command once for each."
    parser.example = "autonoma-ci report autonoma-results --format junit --output junit.xml"
    parser.add_argument(
        "results",
        metavar="RESULTS",
        help="A results-dir, or the results.json in it. Screenshots are read from the same directory.",
    )
    parser.add_argument("--format", choices=FORMATS, default="html", help="Format of the report. Default: html.")
    parser.add_argument(
        "--output", metavar="PATH", default="",
        help="File to write, or - for standard output. Default: report.html, junit.xml or summary.md beside "
        "results.json. For another name, such as results.1.json, the directory is results.1.",
    )  # fmt: skip
    parser.add_argument(
        "--single-file", action="store_true", help="Embed screenshots, videos and style in report.html."
    )
    arguments = parser.parse(argv)
    arguments.results = find_results_file(arguments.results, runtime.working_directory, "report")
    results_path = Path(runtime.working_directory, arguments.results)
    is_printed = arguments.output == "-"
    log = JobLog(runtime.err if is_printed else runtime.out, PLAIN_LOG_FORMATTER)
    report = _load_report(arguments, runtime, log)
    default = results_folder(results_path) / FORMATS[arguments.format]
    target = Path(runtime.working_directory, arguments.output) if arguments.output and not is_printed else default
    files = _render_files(
        report,
        arguments.format,
        _AssetResolver(results_path.parent, target, Path(runtime.working_directory)),
        single=arguments.single_file or is_printed,
    )
    if is_printed:
        write_product(runtime.out, files[""].decode("utf-8", "replace"))
        return 0
    written = {target.parent / name if name else target: data for name, data in files.items()}
    for path in written:
        _check_not_results_file(path, results_path)
    for path, data in written.items():
        _write_file(path, data, runtime.working_directory)
    log.info(f"Wrote {arguments.output or _relative_to(runtime.working_directory, target)}")
    return 0


def _load_report(arguments: ParsedArguments, runtime: Runtime, log: JobLog) -> Report:
    """Return the report of results.json without values and credentials.

    A notice names the variables whose values are unknown.

    Raises:
        InputError: An option is invalid, or results.json can't be read.
    """
    settings, errors = load_settings(
        provided_options(arguments, _OPTIONS), arguments.var, select_options(runtime.environ, _READ_OPTIONS)
    )
    if errors:
        raise InputError(errors)
    credentials = settings.redactors.of_all
    options = Redactor([*settings.secrets, *settings.variables.values()])
    saved = load_results(arguments.results, runtime.working_directory, options).results
    ci = detect_ci(runtime.environ)
    runtime.open_debug_log(settings, ci, runtime.err, ci.ci_system.log_formatter)
    event = ci.build_context.trigger_event
    known = collect_known_values(settings, saved, runtime.working_directory, runtime.environ, event)
    if runtime.debug_log:
        runtime.debug_log.redact_values(known.secrets, are_complete=not known.unknown_names)
    log.redact_with(credentials)
    if known.notice:
        log.annotate("notice", Diagnostic(known.notice))
    return report_from_results(saved, build_sanitizers(settings, known.secrets), credentials)


def report_from_results(saved: Results, sanitizers: ResultsSanitizers, credentials: Redactor) -> Report:
    """Return the report of the job step that wrote results.json."""
    started_at = saved.started_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    results = tuple(to_run_results(saved, saved.started_at.isoformat(), sanitizers))
    title, source = credentials(saved.title), credentials(saved.source)
    saved_context = to_build_context(saved)
    redacted_facts: dict[str, Any] = {
        name: credentials(fact) for name, fact in saved_context._asdict().items() if isinstance(fact, str)
    }
    context = saved_context._replace(**redacted_facts)
    system = find_system(context.ci_name)
    facts = StepFacts(
        title,
        context,
        source,
        started_at,
        saved.step_id,
        part=Part(*map(credentials, (saved.job, saved.part, saved.shard, title))),
        source_label=describe_source(source),
        change_noun=system.change_noun if system else PULL_REQUEST,
        api_url=credentials(saved.api_url),
    )
    reports = ReportBuilder(facts)
    reports.add_plan(saved.to_plan_facts(sanitizers.label))
    if saved.waits_for_results:
        reports.expect_results()
    return reports.build(results, _verdict(saved, results), duration_seconds=saved.duration_seconds)


def _verdict(saved: Results, results: Sequence[RunResult]) -> Verdict | None:
    """Return the verdict of results.json.

    If it is `passed` and the runs disagree, the result is an error.
    """
    if saved.conclusion is None or saved.reason is None or saved.exit_code is None:
        return None
    computed = compute_verdict(results, waits_for_results=saved.waits_for_results)
    agrees = computed.conclusion is Conclusion.PASSED and not any(run.has_contradiction for run in results)
    if saved.conclusion is Conclusion.PASSED and not agrees:
        return Verdict(Conclusion.ERROR, ExitReason.UNKNOWN, EXIT_CODES[ExitReason.UNKNOWN])
    return Verdict(saved.conclusion, saved.reason, saved.exit_code)


class _AssetResolver:
    """Resolves files of the results directory from the page."""

    def __init__(self, folder: Path, page: Path, working_directory: Path) -> None:
        self._folder, self._page_folder = folder, page.parent
        self._tree = DirectoryTree(folder, working_directory)
        # Pages in one directory can have different verdicts, so each has its own icon.
        self.icon = f"evidence/{page.stem}.svg"

    def url(self, path: str) -> str:
        """Return the URL of a file, or an empty text if it is missing."""
        file = _relative_to(self._page_folder, self._folder / path) if self._is_available(path) else Path()
        return file.as_uri() if file.is_absolute() else quote(file.as_posix()) if file.name else ""

    def data_url(self, path: str) -> str:
        """Return a file as a data URL, or an empty text.

        The text is empty if the file is missing or too large.
        """
        parent, name = os.path.split(path)
        try:
            with self._tree.open_directory(parent, create=False) as directory:
                data = directory.read_file(name, MAX_INLINE_BYTES)
        except (OSError, ValueError):
            return ""
        extension = path.rpartition(".")[2]
        media_type = _MEDIA_TYPES.get(extension, f"image/{extension}")
        return f"data:{media_type};base64,{base64.b64encode(data).decode()}" if data else ""

    def _is_available(self, path: str) -> bool:
        # results.json is untrusted, so its paths must not show other files of this machine.
        return not escapes_via_symlink(path, str(self._folder)) and (self._folder / path).is_file()


def _render_files(report: Report, name: str, assets: _AssetResolver, *, single: bool) -> dict[str, bytes]:
    """Return the files of the report by name.

    The report itself has an empty name.
    """
    # Each renderer is loaded only if it is used.
    if name == "junit":
        from autonoma_ci.reports.junit import render_junit

        return {"": render_junit(report)}
    if name == "markdown":
        from autonoma_ci.reports.markdown import render_summary

        return {"": render_summary(report).encode("utf-8", "replace")}
    from autonoma_ci.reports.html import ICON, AssetLinks, asset_files, load_stylesheet, render_html

    if single:
        return {"": render_html(report, AssetLinks(assets.data_url, load_stylesheet()))}
    page = render_html(report, AssetLinks(assets.url, icon=_quote_path(assets.icon)))
    assets_by_name = {
        assets.icon if name == ICON else name: text.encode() for name, text in asset_files(report).items()
    }
    return {"": page, **assets_by_name}


def _quote_path(path: str) -> str:
    return quote(os.fsencode(path))


def _relative_to(folder: str | Path, path: Path) -> Path:
    """Return the path relative to a directory, or else the absolute path.

    A path on another drive, or in a removed working directory, has no relative form.
    """
    try:
        return Path(os.path.relpath(path, folder))
    except (FileNotFoundError, ValueError):
        return path.absolute()


def _check_not_results_file(path: Path, results_path: Path) -> None:
    """Check that the report replaces no results.json.

    Raises:
        InputError: The path is that of a results.json.
    """
    path_text = sanitize_line(str(path), 200)
    try:
        is_same = path.samefile(results_path)
    except (OSError, ValueError):
        is_same = False
    if is_same or is_results_file(path):
        content = "the input of this report" if is_same else "the results.json of a step"
        raise InputError([f"{path_text} is {content}, which the report would replace. Use another --output."])


def _write_file(path: Path, data: bytes, folder: str) -> None:
    if escapes_via_symlink(str(path), folder):
        name = sanitize_line(path.name)
        raise InputError([f"{name}: symbolic link leads outside of the working directory. Use another --output."])
    try:
        with DirectoryTree(path.parent, Path(folder)).open_directory() as directory:
            directory.write_atomic(path.name, data)
    except (OSError, ValueError) as error:
        reason = os_error_reason(error)
        raise InputError(
            [f"{sanitize_line(str(path), 200)} could not be written ({reason}). Use another --output."]
        ) from None
