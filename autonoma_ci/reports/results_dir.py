"""Write the files of the results folder.

The files are the same in every CI system.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.errors import MEMORY_ERRORS, InputError
from autonoma_ci.fs.files import DirectoryTree, escapes_via_symlink, os_error_reason
from autonoma_ci.reports.foreign_files import find_foreign_files, has_own_results, rename_foreign_files
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.outputs import dotenv_variables, omitted_variables_warning, render_dotenv
from autonoma_ci.reports.results_json import render_results_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.fs.files import Directory
    from autonoma_ci.models import Report
    from autonoma_ci.reports.other_results import SharedResults
    from autonoma_ci.reports.results_json import Signer

RESULTS_FILE = "results.json"
REPORT_FILE = "report.html"


class ResultsDir(DirectoryTree):
    """The option results-dir.

    Args:
        path: The path as the user wrote it.
        folder: The directory.
        root: The working directory. No link leads what is written out of it.
    """

    def __init__(self, path: str, folder: Path, root: Path) -> None:
        super().__init__(folder, root)
        self.path, self.folder, self.root = path, folder, root

    @property
    def results_file(self) -> str:
        """The path of results.json, as the user can type it."""
        return self.path_of(RESULTS_FILE)

    def path_of(self, name: str) -> str:
        """Return the path of a file in it, as the user can type it."""
        return f"{self.path.rstrip('/')}/{name}"


def resolve_results_dir(path: str, working_directory: str) -> ResultsDir:
    """Return the results folder at a path relative to the working directory."""
    return ResultsDir(path, Path(working_directory, path), Path(working_directory))


def results_folder(results_path: Path) -> Path:
    """Return the folder for files that are rendered from a results.json.

    A file such as results.1.json was preserved for another job step. The files beside it belong to the step that
    replaced it. So the files of the other step are written into a separate folder.
    """
    if results_path.name == RESULTS_FILE:
        return results_path.parent
    return (
        results_path.with_suffix("") if results_path.suffix else results_path.with_name(f"{results_path.name}-results")
    )


def _no_extra_files(_: Report) -> Mapping[str, str]:
    return {}


class ResultsDirPublisher:
    """Writes results.json, outputs.env, summary.md and files of the CI system.

    At the end of the job step it also writes junit.xml and report.html with its stylesheet.

    Args:
        results_dir: The results folder. A symbolic link must not lead a file out of the working directory.
        extra_files: Returns the content of the CI system's files by their names.
        signer: Signs results.json.
        shared: Preserves the results of other job steps that write to the same folder.
    """

    def __init__(
        self,
        results_dir: ResultsDir,
        extra_files: Callable[[Report], Mapping[str, str]] = _no_extra_files,
        signer: Signer | None = None,
        shared: SharedResults | None = None,
    ) -> None:
        self._results_dir = results_dir
        self._extra_files, self._signer, self._shared = extra_files, signer, shared
        # Whether the last write of results.json succeeded.
        self.has_latest_results = False
        # The path of report.html, or an empty text if the last `publish` did not write it.
        self.report_path = ""
        # The results.json that `begin` writes, without runs.
        self._initial_results = b""
        # The warnings about files of other programs, or None before the search for such files.
        self._foreign_file_warnings: list[str] | None = None

    def begin(self, report: Report) -> list[str]:
        """Replace the files of an earlier job step by an initial results.json.

        This step may be killed before it writes the other files. Then the files of the earlier step must not look like
        files of this step. Files of other programs are renamed.

        Returns:
            Warnings for the log.
        """
        warnings = self._rename_foreign_files(report)
        for path in self._list_report_names(report):
            parent, name = os.path.split(path)
            with suppress(OSError), self._results_dir.open_directory(parent, create=False) as directory:
                directory.unlink(name)
        self._initial_results = render_results_json(report, self._signer).encode("utf-8", "replace")
        warnings += self._write_all({RESULTS_FILE: self._initial_results})
        return [*warnings, *(self._shared.pop_warnings() if self._shared else ())]

    def publish(self, report: Report) -> list[str]:
        """Write all files.

        Returns:
            Warnings about files that could not be written, and about renamed files of other programs.
        """
        self.has_latest_results, self.report_path = False, ""
        rename_warnings = self._rename_foreign_files(report)
        # While the job step runs, returned warnings may not be shown. So they are returned at its end.
        warnings = rename_warnings if report.verdict else []
        if report.verdict:
            warnings += omitted_variables_warning(report, dotenv_variables(report), "outputs.env")
        texts = {
            RESULTS_FILE: render_results_json(report, self._signer),
            "outputs.env": render_dotenv(report),
            "summary.md": render_summary(report),
        }
        texts |= self._extra_files(report)
        warnings += self._write_all(texts)
        try:
            final_reports = _render_final_reports(report)
        except (OSError, *MEMORY_ERRORS) as error:
            reason = os_error_reason(error) if isinstance(error, OSError) else "out of memory"
            return [*warnings, f"junit.xml and report.html could not be written ({reason})."]
        warnings += self._write_all(final_reports)
        return [*warnings, *self._shared.pop_warnings()] if self._shared and report.verdict else warnings

    def remove_empty(self) -> None:
        """Remove the results.json of `begin` if it could not be replaced.

        Otherwise a later job step would conclude that this step has no runs.
        """
        if self.has_latest_results or not self._initial_results:
            return
        with suppress(OSError, *MEMORY_ERRORS), self._results_dir.open_directory(create=False) as directory:
            if self._shared:
                self._shared.lock(directory)
            # Another step may have replaced the file. Because of the step id, its content is different.
            if directory.read_file(RESULTS_FILE, len(self._initial_results)) == self._initial_results:
                directory.unlink(RESULTS_FILE)

    def _list_report_names(self, report: Report) -> list[str]:
        """Return the names of the files beside results.json."""
        return ["outputs.env", "summary.md", "junit.xml", REPORT_FILE, *self._extra_files(report)]

    def _rename_foreign_files(self, report: Report) -> list[str]:
        """Rename files of other programs that have names of report files.

        They are searched for once, because later all such files are written by this step. If results.json is a file of
        autonoma-ci, so are all files beside it.

        Returns:
            Warnings for the log.
        """
        if self._foreign_file_warnings is None:
            self._foreign_file_warnings = []
            with suppress(OSError), self._results_dir.open_directory(create=False) as directory:
                self._foreign_file_warnings += self._rename_foreign_files_in(directory, report)
        return list(self._foreign_file_warnings)

    def _rename_foreign_files_in(self, directory: Directory, report: Report) -> list[str]:
        if has_own_results(directory, RESULTS_FILE):
            return []
        paths = find_foreign_files(directory, [RESULTS_FILE, *self._list_report_names(report)])
        if paths and self._shared:
            self._shared.lock(directory)
        warning = rename_foreign_files(directory, paths)
        return [warning] if warning else []

    def _write_all(self, files: Mapping[str, str | bytes]) -> list[str]:
        warnings = []
        for name, data in files.items():
            self.has_latest_results = self.has_latest_results and name != RESULTS_FILE
            try:
                self._write(name, data.encode("utf-8", "replace") if isinstance(data, str) else data)
                self.has_latest_results = self.has_latest_results or name == RESULTS_FILE
                if name == REPORT_FILE:
                    self.report_path = self._results_dir.path_of(name)
            except OSError as error:
                warnings.append(f"{name} could not be written to results-dir ({error.strerror or error}).")
        return warnings

    def _write(self, path: str, data: bytes) -> None:
        """Write one file.

        Raises:
            OSError: The file can't be written, or a symbolic link leads it elsewhere.
        """
        parent, name = os.path.split(path)
        with self._results_dir.open_directory(parent) as directory:
            if path != RESULTS_FILE or not self._shared:
                directory.write_atomic(name, data)
                return
            # Locked, because another step must not write between the check of the present file and its replacement.
            self._shared.lock(directory)
            self._shared.preserve_other_results(directory)
            directory.write_atomic(name, data)
            self._shared.remember_written_file(directory)


def _render_final_reports(report: Report) -> Mapping[str, str | bytes]:
    """Return the files that only the end of a job step writes.

    Raises:
        OSError: A module or resource that renders them can't be loaded.
    """
    if not report.verdict:
        return {}
    from autonoma_ci.reports.html import asset_files, render_html
    from autonoma_ci.reports.junit import render_junit

    return {"junit.xml": render_junit(report), REPORT_FILE: render_html(report), **asset_files(report)}


def open_results_dir(
    results_dir: ResultsDir,
    extra_files: Callable[[Report], Mapping[str, str]] = _no_extra_files,
    signer: Signer | None = None,
    shared: SharedResults | None = None,
    option_name: str = "results-dir",
) -> ResultsDirPublisher:
    """Create the results folder and return its publisher.

    Args:
        results_dir: The option `results-dir`, resolved.
        extra_files: Returns the content of the CI system's files by their names.
        signer: Signs results.json.
        shared: Preserves the results of other job steps that write to the same folder.
        option_name: The option `results-dir` as the user wrote it.

    Raises:
        InputError: The folder can't be created, or a symbolic link leads it out of the working directory.
    """
    if escapes_via_symlink(results_dir.path, str(results_dir.root)):
        raise InputError(
            [f"{option_name}: symbolic link leads outside of the working directory. Use a directory without the link."]
        )
    try:
        results_dir.open_directory().close()
    except (OSError, ValueError) as error:
        reason = os_error_reason(error)
        raise InputError(
            [f"{option_name}: directory could not be created ({reason}). Use a writable directory."]
        ) from None
    return ResultsDirPublisher(results_dir, extra_files, signer, shared)
