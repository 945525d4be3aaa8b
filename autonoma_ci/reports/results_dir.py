"""The files in results-dir: the same in every CI system."""

from __future__ import annotations

import errno
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.errors import MEMORY_ERRORS, InputError
from autonoma_ci.fs.files import make_directory, os_error_reason, read_regular_file, write_atomic
from autonoma_ci.fs.paths import escapes_via_symlink
from autonoma_ci.reports.foreign_files import find_foreign_files, is_results_file, rename_foreign_files
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.outputs import dotenv_variables, omitted_variables_warning, render_dotenv
from autonoma_ci.reports.results_json import render_results_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.models import Report
    from autonoma_ci.reports.other_results import SharedResults
    from autonoma_ci.reports.results_json import ResultsSigner

RESULTS_FILE = "results.json"


class ResultsDir(NamedTuple):
    """The option results-dir."""

    # As the user wrote it.
    path: str
    folder: Path
    # The working directory. No link leads what is written out of it.
    root: Path

    @property
    def results_file(self) -> str:
        """The path of results.json, as the user can type it."""
        return f"{self.path.rstrip('/')}/{RESULTS_FILE}"


def resolve_results_dir(path: str, working_directory: str) -> ResultsDir:
    """Return the results folder at a path relative to the working directory."""
    return ResultsDir(path, Path(working_directory, path), Path(working_directory))


def results_folder(record: Path) -> Path:
    """Return the folder for the files that are made of a record.

    Beside a record that was kept for another step are the files of the step that replaced it, so those of the other get
    a folder of their own.
    """
    if record.name == RESULTS_FILE:
        return record.parent
    return record.with_suffix("") if record.suffix else record.with_name(f"{record.name}-results")


def _nothing(_: Report) -> Mapping[str, str]:
    return {}


class ResultsDirPublisher:
    """Writes results.json, outputs.env, summary.md and the CI system's own files.

    At the end come junit.xml and report.html, with its style. No link leads what is written out of `root`.
    `signer` signs the record. `shared` keeps the records of other steps that write to the same folder.
    """

    def __init__(
        self,
        folder: Path,
        more: Callable[[Report], Mapping[str, str]] = _nothing,
        root: Path | None = None,
        signer: ResultsSigner | None = None,
        shared: SharedResults | None = None,
    ) -> None:
        self.folder, self._root = folder, root or folder
        self._more, self._signer, self._shared = more, signer, shared
        # Whether the record in the folder is the one that was to be written last.
        self.has_latest_results = False
        # The record of `begin`, which has no runs.
        self._empty = b""
        # What to warn of the files of other programs; None until they were looked for.
        self._set_aside: list[str] | None = None

    def begin(self, report: Report) -> list[str]:
        """Replace the files of an earlier step by the record of this one, which has no runs yet.

        If this step is killed before it can write the others, nobody may take those of an earlier step for its own.
        Files of other programs are renamed. Returns what the log should warn of.
        """
        warnings = self._set_aside_others(report)
        for name in self._names(report):
            try:
                self._check_links(self.folder / name)
                (self.folder / name).unlink()
            except OSError:
                continue
        self._empty = render_results_json(report, self._signer).encode("utf-8", "replace")
        warnings += self._write_all({RESULTS_FILE: self._empty})
        return [*warnings, *(self._shared.pop_warnings() if self._shared else ())]

    def publish(self, report: Report) -> list[str]:
        """Write all files anew; return what could not be written, and which files of other programs were renamed."""
        self.has_latest_results = False
        told = self._set_aside_others(report)
        # What is returned while the step goes on may not be told.
        warnings = told if report.verdict else []
        if report.verdict:
            warnings += omitted_variables_warning(report, dotenv_variables(report), "outputs.env")
        texts = {
            RESULTS_FILE: render_results_json(report, self._signer),
            "outputs.env": render_dotenv(report),
            "summary.md": render_summary(report),
        }
        texts |= self._more(report)
        warnings += self._write_all(texts)
        try:
            last = _final_reports(report)
        except (OSError, *MEMORY_ERRORS) as error:
            reason = os_error_reason(error) if isinstance(error, OSError) else "no memory is left"
            return [*warnings, f"junit.xml and report.html could not be made ({reason})."]
        warnings += self._write_all(last)
        return [*warnings, *self._shared.pop_warnings()] if self._shared and report.verdict else warnings

    def remove_empty(self) -> None:
        """Remove the record of `begin` if it could not be replaced: a later step would read that there are no runs."""
        if self.has_latest_results or not self._empty:
            return
        path = self.folder / RESULTS_FILE
        try:
            self._check_links(path)
            with self._shared.locked() if self._shared else nullcontext():
                # Another step may have replaced it. The id of the step makes each record unlike all others.
                if read_regular_file(str(path), len(self._empty)) == self._empty:
                    path.unlink()
        except (OSError, *MEMORY_ERRORS):
            return

    def _names(self, report: Report) -> list[str]:
        """Return the names of the files beside the record."""
        return ["outputs.env", "summary.md", "junit.xml", "report.html", *self._more(report)]

    def _set_aside_others(self, report: Report) -> list[str]:
        """Rename what other programs have left under names of ours; return what the log should warn of.

        Once is enough: from then on the files are ours, and so are all beside a record of ours.
        """
        if self._set_aside is None:
            names = [] if is_results_file(self.folder / RESULTS_FILE) else [RESULTS_FILE, *self._names(report)]
            found = find_foreign_files(self.folder, filter(self._is_within, names))
            if found:
                with self._shared.locked() if self._shared else nullcontext():
                    self._set_aside = [rename_foreign_files(self.folder, found)]
            else:
                self._set_aside = []
        return list(self._set_aside)

    def _is_within(self, name: str) -> bool:
        try:
            self._check_links(self.folder / name)
        except OSError:
            return False
        return True

    def _write_all(self, files: Mapping[str, str | bytes]) -> list[str]:
        warnings = []
        for name, data in files.items():
            self.has_latest_results = self.has_latest_results and name != RESULTS_FILE
            try:
                self._write(name, data.encode("utf-8", "replace") if isinstance(data, str) else data)
                self.has_latest_results = self.has_latest_results or name == RESULTS_FILE
            except OSError as error:
                warnings.append(f"{name} could not be written to results-dir ({error.strerror or error}).")
        return warnings

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        self._check_links(path)
        make_directory(path.parent)
        if name != RESULTS_FILE or not self._shared:
            write_atomic(path, data)
            return
        # Another step must not write between the look at what is there and its replacement.
        with self._shared.locked():
            self._shared.preserve_other_results()
            write_atomic(path, data)
            self._shared.remember_written_file()

    def _check_links(self, path: Path) -> None:
        """Raise OSError if a symbolic link leads the path elsewhere; checked each time, as a link may have come."""
        name = str(path.relative_to(self.folder))
        astray = path.parent != self.folder and escapes_via_symlink(name, str(self.folder))
        if astray or escapes_via_symlink(str(path.parent.absolute()), str(self._root)):
            raise OSError(errno.ELOOP, "a symbolic link leads elsewhere")


def _final_reports(report: Report) -> Mapping[str, str | bytes]:
    """Return the files that are made of a step that has ended; raises OSError if what makes them can't be loaded."""
    if not report.verdict:
        return {}
    from autonoma_ci.reports.html import asset_files, render_html
    from autonoma_ci.reports.junit import render_junit

    return {"junit.xml": render_junit(report), "report.html": render_html(report), **asset_files(report)}


def open_results_dir(
    results_dir: ResultsDir,
    more: Callable[[Report], Mapping[str, str]] = _nothing,
    signer: ResultsSigner | None = None,
    shared: Callable[[Path], SharedResults] | None = None,
    option_name: str = "results-dir",
) -> ResultsDirPublisher:
    """Make the folder; `more` returns files of the CI system's own, `shared` watches the record at a path.

    `named` is the option as the user wrote it.

    Raises InputError if that can't be done, or if a link leads out of the working directory.
    """
    folder, root = results_dir.folder, results_dir.root
    if escapes_via_symlink(results_dir.path, str(root)):
        raise InputError(
            [f"{option_name} leads out of the working directory through a symbolic link: give a folder of your own"]
        )
    try:
        make_directory(folder)
    except (OSError, ValueError) as error:
        reason = os_error_reason(error)
        raise InputError([f"{option_name} can't be made ({reason}): give a folder that can be written to"]) from None
    watched = shared(folder / RESULTS_FILE) if shared else None
    return ResultsDirPublisher(folder, more, root, signer, watched)
