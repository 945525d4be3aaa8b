"""GitLab's log sections and job annotations. Source: GitLab's documentation, "Job logs" and "Reports"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.ci.plain import Plain
from autonoma_ci.report.words import STATE_WORDS, plural, state_words, worst_first
from autonoma_ci.text import cut, link, log_line, one_line

if TYPE_CHECKING:
    from autonoma_ci.ci.system import Section
    from autonoma_ci.model import Report

# No limit is documented; the page of a job lists every link in a narrow column.
LINKS, _LABEL, _SECTION = 50, 100, 60


class Sections(Plain):
    """A section is between two lines with its key; the escape sequence hides that part of the line."""

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the line that opens a section."""
        return (f"\x1b[0Ksection_start:{section.began}:{section.key}\r\x1b[0K{log_line(section.title)}",)

    def end_group(self, section: Section) -> tuple[str, ...]:
        """Return the line that closes it."""
        return (f"\x1b[0Ksection_end:{section.ended}:{section.key}\r\x1b[0K",)


def job_links(report: Report) -> dict[str, str]:
    """Return gitlab-annotations.json: links to the runs on the page of the job, what needs a look first."""
    runs = [outcome for outcome in worst_first(report.outcomes) if link(outcome.url)]
    links = [
        {"external_link": {"label": cut(f"{state_words(run)}: {one_line(run.label)}", _LABEL), "url": run.url}}
        for run in runs[:LINKS]
    ]
    if len(runs) > LINKS:
        rest = f"and {plural(len(runs) - LINKS, 'more run')}, from here on: {STATE_WORDS[runs[LINKS].state]}"
        links.append({"external_link": {"label": rest, "url": runs[LINKS].url}})
    title = cut(one_line(report.heading), _SECTION) or "Autonoma tests"
    return {"gitlab-annotations.json": json.dumps({title: links} if links else {}, indent=2) + "\n"}


SECTIONS = Sections()
