"""`autonoma-ci report RESULTS.json`: make a report from a record, and from the evidence beside it; sends nothing."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from autonoma_ci.ci.console import Console
from autonoma_ci.ci.environment import read_regular
from autonoma_ci.ci.plain import PLAIN
from autonoma_ci.commandline import Parser
from autonoma_ci.commands.record import outcomes_of, read_record
from autonoma_ci.context import Context
from autonoma_ci.engine.verdict import EXIT_CODES, decide
from autonoma_ci.errors import InputError
from autonoma_ci.files import make_folder, reason_of, write_whole
from autonoma_ci.identity import Part
from autonoma_ci.model import Conclusion, Reason, Report, Verdict
from autonoma_ci.paths import leads_out
from autonoma_ci.report.saved_runs import Checks
from autonoma_ci.secret import Redactor
from autonoma_ci.text import link, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.commands.world import World
    from autonoma_ci.model import Outcome
    from autonoma_ci.report.saved import Saved

# The names that these files have in results-dir.
FORMATS = {"html": "report.html", "junit": "junit.xml", "markdown": "summary.md"}
_KINDS = {"jpg": "image/jpeg", "webm": "video/webm", "mp4": "video/mp4"}
# Above this, a browser takes too long over a page that has it within; such a file stays beside it.
_WITHIN = 20_000_000


def main(argv: Sequence[str], world: World) -> int:
    """Write the report and say where; raise InputError if the record can't be read or the report not be written."""
    parser = Parser("report", "Make a report from the record that a step left in its results-dir.", world.out)
    parser.add_argument("record", metavar="RESULTS.json", help="The record; screenshots are looked for beside it.")
    parser.add_argument("--format", choices=FORMATS, default="html", help="Default: html.")
    parser.add_argument(
        "--output", metavar="PATH", default="",
        help="Where to write it; - prints it. Default: report.html, junit.xml or summary.md beside the record.",
    )  # fmt: skip
    parser.add_argument(
        "--single-file", action="store_true", help="Put screenshots, videos and style into report.html itself."
    )
    found = parser.known(argv)
    folder = Path(world.folder, found.record).parent
    report = report_of(read_record(found.record, world.folder, Redactor(())).saved)
    printed = found.output == "-"
    target = Path(world.folder, found.output) if found.output and not printed else folder / FORMATS[found.format]
    beside = _Beside(folder, target.parent)
    files = _rendered(report, found.format, beside, single=found.single_file or printed)
    if printed:
        world.out.write(files[""].decode("utf-8", "replace"))
        return 0
    for name, data in files.items():
        _write(target.parent / name if name else target, data, world.folder)
    Console(world.out, PLAIN).line(f"Wrote {found.output or _from(world.folder, target)}")
    return 0


def report_of(saved: Saved) -> Report:
    """Return the report of a record, as the step that left it would have had it."""
    started_at = saved.started_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    checks = Checks(Redactor(()), link, str)
    outcomes = tuple(outcomes_of(saved, saved.started_at.isoformat(), checks))
    build = saved.ci
    return Report(
        title=saved.title,
        context=Context(
            ci=build.name, sha=build.sha, branch=build.branch, change=build.change, repository=build.repository,
            build_url=build.build_url, deployment_url=build.deployment_url, build=build.build, attempt=build.attempt,
        ),
        source=saved.source,
        outcomes=outcomes,
        verdict=_verdict(saved, outcomes),
        started_at=started_at,
        waited=saved.waited,
        seconds=saved.duration_seconds,
        part=Part(saved.job, saved.part, saved.shard, saved.title),
        step_id=saved.step_id,
    )  # fmt: skip


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
    """Where a page in `place` finds the files of `folder`: those that are there."""

    def __init__(self, folder: Path, place: Path) -> None:
        self._folder, self._place = folder, place

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
        from autonoma_ci.report.junit import junit

        return {"": junit(report)}
    if name == "markdown":
        from autonoma_ci.report.markdown import summary

        return {"": summary(report).encode("utf-8", "replace")}
    from autonoma_ci.report.html import Page, beside_of, html, stylesheet

    if single:
        return {"": html(report, Page(beside.content, stylesheet())).encode()}
    files = {"": html(report, Page(beside.address))} | beside_of(report)
    return {name: text.encode() for name, text in files.items()}


def _from(folder: str | Path, path: Path) -> Path:
    """Return the path as seen from the folder; on Windows, another drive can't be."""
    try:
        return Path(os.path.relpath(path, folder))
    except ValueError:
        return path.absolute()


def _write(path: Path, data: bytes, folder: str) -> None:
    if leads_out(str(path), folder):
        raise InputError([f"{one_line(path.name)} leads elsewhere through a symbolic link: give another --output"])
    try:
        make_folder(path.parent)
        write_whole(path, data)
    except (OSError, ValueError) as error:
        why = reason_of(error)
        raise InputError([f"{one_line(str(path), 200)} could not be written ({why}): give another --output"]) from None
