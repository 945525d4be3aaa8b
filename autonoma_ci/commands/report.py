"""`autonoma-ci report RESULTS`: make a report from a record, and from the evidence beside it; sends nothing."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.app.inputs import detect_ci, select_options
from autonoma_ci.app.known_values import VALUE_OPTIONS, collect_known_values
from autonoma_ci.app.previous_results import build_sanitizers, load_results, to_build_context, to_run_results
from autonoma_ci.app.results_path import find_results_file
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.arguments import add_variables, build_parser, provided_options
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import load_settings
from autonoma_ci.engine.verdict import EXIT_CODES, compute_verdict
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import make_directory, os_error_reason, read_regular_file, write_atomic
from autonoma_ci.fs.paths import escapes_via_symlink
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext, Conclusion, ExitReason, Report, Verdict
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.foreign_files import is_results_file
from autonoma_ci.reports.results_dir import results_folder
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.config.arguments import ParsedArguments
    from autonoma_ci.models import RunResult
    from autonoma_ci.reports.results_schema import Results, ResultsSanitizers

# The names that these files have in results-dir.
FORMATS = {"html": "report.html", "junit": "junit.xml", "markdown": "summary.md"}
_KINDS = {"jpg": "image/jpeg", "webm": "video/webm", "mp4": "video/mp4"}
_FLAGS = tuple(option for option in OPTIONS if option.name in VALUE_OPTIONS)
# What a step's environment can hold. Credentials are removed from the record's texts, and nothing is sent.
_READ = VALUE_OPTIONS | {"client-id", "client-secret", "github-token", "gitlab-token", "api-url"}
# Above this, a browser takes too long over a page that has it within; such a file stays beside it.
MAX_INLINE_BYTES = 20_000_000


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Write the report and say where; raise InputError if the record can't be read or the report not be written."""
    purpose = "Make a report from the record of a step. Variables and manifest say which values to hide."
    parser = build_parser("report", purpose, _FLAGS, runtime.out)
    add_variables(parser)
    parser.hint = "report takes one record; for several, run it once for each"
    parser.add_argument(
        "record", metavar="RESULTS", help="A results-dir, or the results.json in it. Screenshots are read from there."
    )
    parser.add_argument("--format", choices=FORMATS, default="html", help="Default: html.")
    parser.add_argument(
        "--output", metavar="PATH", default="",
        help="Where to write it; - prints it. Default: report.html, junit.xml or summary.md beside results.json; of "
        "a record of another name, such as results.1.json, in results.1.",
    )  # fmt: skip
    parser.add_argument(
        "--single-file", action="store_true", help="Put screenshots, videos and style into report.html itself."
    )
    found = parser.parse(argv)
    found.record = find_results_file(found.record, runtime.working_directory, "report")
    record = Path(runtime.working_directory, found.record)
    printed = found.output == "-"
    console = JobLog(runtime.err if printed else runtime.out, PLAIN_LOG_FORMATTER)
    report = _read(found, runtime, console)
    default = results_folder(record) / FORMATS[found.format]
    target = Path(runtime.working_directory, found.output) if found.output and not printed else default
    files = _rendered(report, found.format, _AssetResolver(record.parent, target), single=found.single_file or printed)
    if printed:
        write_product(runtime.out, files[""].decode("utf-8", "replace"))
        return 0
    written = {target.parent / name if name else target: data for name, data in files.items()}
    for path in written:
        _check_no_record(path, record)
    for path, data in written.items():
        _write(path, data, runtime.working_directory)
    console.info(f"Wrote {found.output or _relative_to(runtime.working_directory, target)}")
    return 0


def _read(found: ParsedArguments, runtime: Runtime, console: JobLog) -> Report:
    """Return the report of the record without values and credentials. Those that are not known have a notice."""
    settings, problems = load_settings(
        provided_options(found, _FLAGS), found.var, select_options(runtime.environ, _READ)
    )
    if problems:
        raise InputError(problems)
    credentials = Redactor(settings.secrets)
    options = Redactor([*settings.secrets, *settings.variables.values()])
    saved = load_results(found.record, runtime.working_directory, options).results
    event = detect_ci(runtime.environ).build_context.trigger_event
    known = collect_known_values(settings, saved, runtime.working_directory, runtime.environ, event)
    console.redact_with(credentials)
    if known.notice:
        console.annotate("notice", Diagnostic(known.notice))
    redact = Redactor([*settings.secrets, *known.secrets])
    return report_from_results(saved, build_sanitizers(redact, credentials, settings.api_url), credentials)


def report_from_results(saved: Results, checks: ResultsSanitizers, credentials: Redactor) -> Report:
    """Return the report of a record, as the step that left it would have had it."""
    started_at = saved.started_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    outcomes = tuple(to_run_results(saved, saved.started_at.isoformat(), checks))
    title = credentials(saved.title)
    return Report(
        title=title,
        context=BuildContext(*map(credentials, to_build_context(saved))),
        source=credentials(saved.source),
        results=outcomes,
        verdict=_verdict(saved, outcomes),
        started_at=started_at,
        waits_for_results=saved.waits_for_results,
        duration_seconds=saved.duration_seconds,
        part=Part(*map(credentials, (saved.job, saved.part, saved.shard, title))),
        step_id=saved.step_id,
    )


def _verdict(saved: Results, outcomes: Sequence[RunResult]) -> Verdict | None:
    """Return the verdict of the record. A pass that its runs do not show is an error."""
    if saved.conclusion is None or saved.reason is None or saved.exit_code is None:
        return None
    by_runs = compute_verdict(outcomes, waited=saved.waits_for_results)
    agrees = by_runs.conclusion is Conclusion.PASSED and not any(run.has_contradiction for run in outcomes)
    if saved.conclusion is Conclusion.PASSED and not agrees:
        return Verdict(Conclusion.ERROR, ExitReason.UNKNOWN, EXIT_CODES[ExitReason.UNKNOWN])
    return Verdict(saved.conclusion, saved.reason, saved.exit_code)


class _AssetResolver:
    """Where a `page` finds the files of `folder`: those that are there."""

    def __init__(self, folder: Path, page: Path) -> None:
        self._folder, self._place = folder, page.parent
        # Several pages in a folder may have different verdicts, so each has an icon of its own.
        self.icon = f"evidence/{page.stem}.svg"

    def address(self, path: str) -> str:
        """Return the file's address from the page, or nothing if it is not there."""
        file = _relative_to(self._place, self._folder / path) if self._is_there(path) else Path()
        return file.as_uri() if file.is_absolute() else quote(file.as_posix()) if file.name else ""

    def content(self, path: str) -> str:
        """Return the file itself as an address, if it is not too large for that."""
        data = read_regular_file(str(self._folder / path), MAX_INLINE_BYTES) if self._is_there(path) else b""
        kind = path.rpartition(".")[2]
        return f"data:{_KINDS.get(kind, f'image/{kind}')};base64,{base64.b64encode(data).decode()}" if data else ""

    def _is_there(self, path: str) -> bool:
        # A record may come from anywhere; what it names must not show other files of this machine.
        return not escapes_via_symlink(path, str(self._folder)) and (self._folder / path).is_file()


def _rendered(report: Report, name: str, beside: _AssetResolver, *, single: bool) -> dict[str, bytes]:
    """Return the report under no name, and by their names the files that it needs beside it."""
    # Each is loaded only where it is wanted.
    if name == "junit":
        from autonoma_ci.reports.junit import render_junit

        return {"": render_junit(report)}
    if name == "markdown":
        from autonoma_ci.reports.markdown import render_summary

        return {"": render_summary(report).encode("utf-8", "replace")}
    from autonoma_ci.reports.html import ICON, AssetLinks, asset_files, load_stylesheet, render_html

    if single:
        return {"": render_html(report, AssetLinks(beside.content, load_stylesheet()))}
    page = render_html(report, AssetLinks(beside.address, icon=_quoted(beside.icon)))
    others = {beside.icon if name == ICON else name: text.encode() for name, text in asset_files(report).items()}
    return {"": page, **others}


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))


def _relative_to(folder: str | Path, path: Path) -> Path:
    """Return the path as seen from the folder, or the whole path from another drive or a removed working directory."""
    try:
        return Path(os.path.relpath(path, folder))
    except (FileNotFoundError, ValueError):
        return path.absolute()


def _check_no_record(path: Path, record: Path) -> None:
    """Raise InputError if the file to be written is the record, by whatever name, or a record of another step."""
    shown = sanitize_line(str(path), 200)
    try:
        is_same = path.samefile(record)
    except (OSError, ValueError):
        is_same = False
    if is_same or is_results_file(path):
        whose = "the record itself" if is_same else "the record of a step"
        raise InputError([f"{shown} is {whose}, which the report would replace: give another --output"])


def _write(path: Path, data: bytes, folder: str) -> None:
    if escapes_via_symlink(str(path), folder):
        raise InputError([f"{sanitize_line(path.name)} leads elsewhere through a symbolic link: give another --output"])
    try:
        make_directory(path.parent)
        write_atomic(path, data)
    except (OSError, ValueError) as error:
        why = os_error_reason(error)
        raise InputError(
            [f"{sanitize_line(str(path), 200)} could not be written ({why}): give another --output"]
        ) from None
