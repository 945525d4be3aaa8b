"""The files in results-dir: the same in every CI system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.files import make_folder, write_whole
from autonoma_ci.errors import InputError
from autonoma_ci.paths import leads_out
from autonoma_ci.report.markdown import summary
from autonoma_ci.report.outputs import dotenv
from autonoma_ci.report.record import record

if TYPE_CHECKING:
    from autonoma_ci.model import Report


class ResultsDir:
    """Writes results.json, outputs.env and summary.md, and at the end of the step junit.xml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, report: Report) -> list[str]:
        """Write all files anew; return what could not be written."""
        texts = {"results.json": record(report), "outputs.env": dotenv(report), "summary.md": summary(report)}
        files = {name: text.encode("utf-8", "replace") for name, text in texts.items()}
        if report.verdict:
            from autonoma_ci.report.junit import junit

            files["junit.xml"] = junit(report)
        warnings = []
        for name, data in files.items():
            try:
                write_whole(self.folder / name, data)
            except OSError as error:
                warnings.append(f"{name} could not be written to results-dir ({error.strerror or error}).")
        return warnings


def prepare(path: str, working_directory: str) -> ResultsDir:
    """Make the folder; raise InputError if that can't be done, or if a link leads out of the working directory."""
    folder = Path(working_directory, path)
    if leads_out(path, working_directory):
        raise InputError(
            ["results-dir leads out of the working directory through a symbolic link: give a folder of your own"]
        )
    try:
        make_folder(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InputError([f"results-dir can't be made ({reason}): give a folder that can be written to"]) from None
    return ResultsDir(folder)
