"""`autonoma-ci report RESULTS`: make a report from a record, and from the evidence beside it; sends nothing."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.app.inputs import find_place, keep_options
from autonoma_ci.app.known_values import OF_VALUES, known_values
from autonoma_ci.app.previous_results import checks_of_answers, context_of, outcomes_of, read_record
from autonoma_ci.app.results_path import find_record
from autonoma_ci.ci.base import PLAIN
from autonoma_ci.ci.log import Console
from autonoma_ci.config.arguments import add_variables, given, parser_of
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import read
from autonoma_ci.engine.verdict import EXIT_CODES, decide
from autonoma_ci.errors import InputError, Problem
from autonoma_ci.escaping import one_line
from autonoma_ci.fs.files import make_folder, read_regular, reason_of, write_whole
from autonoma_ci.fs.paths import leads_out
from autonoma_ci.identity import Part
from autonoma_ci.models import Conclusion, Context, Reason, Report, Verdict
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.foreign_files import is_record
from autonoma_ci.reports.results_dir import folder_of
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import World
    from autonoma_ci.config.arguments import Found
    from autonoma_ci.models import Outcome
    from autonoma_ci.reports.results_schema import Checks, Saved

# The names that these files have in results-dir.
FORMATS = {"html": "report.html", "junit": "junit.xml", "markdown": "summary.md"}
_KINDS = {"jpg": "image/jpeg", "webm": "video/webm", "mp4": "video/mp4"}
_FLAGS = tuple(option for option in OPTIONS if option.name in OF_VALUES)
# What a step's environment can hold. Credentials are removed from the record's texts, and nothing is sent.
_READ = OF_VALUES | {"client-id", "client-secret", "github-token", "gitlab-token", "api-url"}
# Above this, a browser takes too long over a page that has it within; such a file stays beside it.
_WITHIN = 20_000_000


def main(argv: Sequence[str], world: World) -> int:
    """Write the report and say where; raise InputError if the record can't be read or the report not be written."""
    purpose = "Make a report from the record of a step. Variables and manifest say which values to hide."
    parser = parser_of("report", purpose, _FLAGS, world.out)
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
    found = parser.known(argv)
    found.record = find_record(found.record, world.folder, "report")
    record = Path(world.folder, found.record)
    printed = found.output == "-"
    console = Console(world.err if printed else world.out, PLAIN)
    report = _read(found, world, console)
    default = folder_of(record) / FORMATS[found.format]
    target = Path(world.folder, found.output) if found.output and not printed else default
    files = _rendered(report, found.format, _Beside(record.parent, target), single=found.single_file or printed)
    if printed:
        write_product(world.out, files[""].decode("utf-8", "replace"))
        return 0
    written = {target.parent / name if name else target: data for name, data in files.items()}
    for path in written:
        _check_no_record(path, record)
    for path, data in written.items():
        _write(path, data, world.folder)
    console.line(f"Wrote {found.output or _from(world.folder, target)}")
    return 0


def _read(found: Found, world: World, console: Console) -> Report:
    """Return the report of the record without values and credentials. Those that are not known have a notice."""
    settings, problems = read(given(found, _FLAGS), found.var, keep_options(world.environ, _READ))
    if problems:
        raise InputError(problems)
    credentials = Redactor(settings.secrets)
    options = Redactor([*settings.secrets, *settings.variables.values()])
    saved = read_record(found.record, world.folder, options).saved
    event = find_place(world.environ).context.event
    known = known_values(settings, saved, world.folder, world.environ, event)
    console.hide(settings.secrets)
    if known.notice:
        console.issue("notice", Problem(known.notice))
    redact = Redactor([*settings.secrets, *known.secrets])
    return _report_of(saved, checks_of_answers(redact, credentials, settings.api_url), credentials)


def _report_of(saved: Saved, checks: Checks, credentials: Redactor) -> Report:
    """Return the report of a record, as the step that left it would have had it."""
    started_at = saved.started_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    outcomes = tuple(outcomes_of(saved, saved.started_at.isoformat(), checks))
    title = credentials(saved.title)
    return Report(
        title=title,
        context=Context(*map(credentials, context_of(saved))),
        source=credentials(saved.source),
        outcomes=outcomes,
        verdict=_verdict(saved, outcomes),
        started_at=started_at,
        waited=saved.waited,
        seconds=saved.duration_seconds,
        part=Part(*map(credentials, (saved.job, saved.part, saved.shard, title))),
        step_id=saved.step_id,
    )


def _verdict(saved: Saved, outcomes: Sequence[Outcome]) -> Verdict | None:
    """Return the verdict of the record. A pass that its runs do not show is an error."""
    if saved.conclusion is None or saved.reason is None or saved.exit_code is None:
        return None
    by_runs = decide(outcomes, waited=saved.waited)
    agrees = by_runs.conclusion is Conclusion.PASSED and not any(run.doubted for run in outcomes)
    if saved.conclusion is Conclusion.PASSED and not agrees:
        return Verdict(Conclusion.ERROR, Reason.UNKNOWN, EXIT_CODES[Reason.UNKNOWN])
    return Verdict(saved.conclusion, saved.reason, saved.exit_code)


class _Beside:
    """Where a `page` finds the files of `folder`: those that are there."""

    def __init__(self, folder: Path, page: Path) -> None:
        self._folder, self._place = folder, page.parent
        # Several pages in a folder may have different verdicts, so each has an icon of its own.
        self.icon = f"evidence/{page.stem}.svg"

    def address(self, path: str) -> str:
        """Return the file's address from the page, or nothing if it is not there."""
        file = _from(self._place, self._folder / path) if self._is_there(path) else Path()
        return file.as_uri() if file.is_absolute() else quote(file.as_posix()) if file.name else ""

    def content(self, path: str) -> str:
        """Return the file itself as an address, if it is not too large for that."""
        data = read_regular(str(self._folder / path), _WITHIN) if self._is_there(path) else b""
        kind = path.rpartition(".")[2]
        return f"data:{_KINDS.get(kind, f'image/{kind}')};base64,{base64.b64encode(data).decode()}" if data else ""

    def _is_there(self, path: str) -> bool:
        # A record may come from anywhere; what it names must not show other files of this machine.
        return not leads_out(path, str(self._folder)) and (self._folder / path).is_file()


def _rendered(report: Report, name: str, beside: _Beside, *, single: bool) -> dict[str, bytes]:
    """Return the report under no name, and by their names the files that it needs beside it."""
    # Each is loaded only where it is wanted.
    if name == "junit":
        from autonoma_ci.reports.junit import junit

        return {"": junit(report)}
    if name == "markdown":
        from autonoma_ci.reports.markdown import summary

        return {"": summary(report).encode("utf-8", "replace")}
    from autonoma_ci.reports.html import ICON, Page, beside_of, html, stylesheet

    if single:
        return {"": html(report, Page(beside.content, stylesheet()))}
    page = html(report, Page(beside.address, icon=_quoted(beside.icon)))
    others = {beside.icon if name == ICON else name: text.encode() for name, text in beside_of(report).items()}
    return {"": page, **others}


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))


def _from(folder: str | Path, path: Path) -> Path:
    """Return the path as seen from the folder, or the whole path from another drive or a removed working directory."""
    try:
        return Path(os.path.relpath(path, folder))
    except (FileNotFoundError, ValueError):
        return path.absolute()


def _check_no_record(path: Path, record: Path) -> None:
    """Raise InputError if the file to be written is the record, by whatever name, or a record of another step."""
    shown = one_line(str(path), 200)
    try:
        is_same = path.samefile(record)
    except (OSError, ValueError):
        is_same = False
    if is_same or is_record(path):
        whose = "the record itself" if is_same else "the record of a step"
        raise InputError([f"{shown} is {whose}, which the report would replace: give another --output"])


def _write(path: Path, data: bytes, folder: str) -> None:
    if leads_out(str(path), folder):
        raise InputError([f"{one_line(path.name)} leads elsewhere through a symbolic link: give another --output"])
    try:
        make_folder(path.parent)
        write_whole(path, data)
    except (OSError, ValueError) as error:
        why = reason_of(error)
        raise InputError([f"{one_line(str(path), 200)} could not be written ({why}): give another --output"]) from None
