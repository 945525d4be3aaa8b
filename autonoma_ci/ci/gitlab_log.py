"""GitLab's log sections and job annotations.

Source: GitLab's documentation, "Job logs" and "Reports"; gitlabhq/gitlabhq,
app/services/ci/parse_annotations_artifact_service.rb and app/models/ci/job_annotation.rb: a larger file is refused,
and a job that passed can fail by that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.ci.plain import Plain
from autonoma_ci.report.words import STATE_WORDS, plural, state_words, worst_first
from autonoma_ci.text import cut, link, log_line, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.ci.system import Section
    from autonoma_ci.model import Outcome, Report

# The page of a job lists every link in a narrow column. Lengths are in characters.
LINKS, _LABEL, _SECTION = 50, 100, 60
# In bytes: the default of `ci_job_annotations_size`.
MAX_ANNOTATIONS_BYTES = 81_920


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
    title = cut(one_line(report.heading), _SECTION) or "Autonoma tests"
    count = min(len(runs), LINKS)
    while len((text := _annotations(title, runs, count)).encode()) > MAX_ANNOTATIONS_BYTES:
        count -= 1
    return {"gitlab-annotations.json": text}


def _annotations(title: str, runs: Sequence[Outcome], count: int) -> str:
    """Return links to the first runs, and one that counts the others."""
    links = [(f"{state_words(run)}: {one_line(run.label)}", run.url) for run in runs[:count]]
    if rest := runs[count:]:
        more = f"and {plural(len(rest), 'more run')}, from here on: {STATE_WORDS[rest[0].state]}"
        links.append((more, rest[0].url))
    entries = [{"external_link": {"label": cut(label, _LABEL), "url": url}} for label, url in links]
    return json.dumps({title: entries} if entries else {}, indent=2, ensure_ascii=False) + "\n"


SECTIONS = Sections()
