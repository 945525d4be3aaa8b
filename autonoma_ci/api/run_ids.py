"""Find the run id in the fields and link of a response.

The link of a test's run has the path `/run/<id>`, of a folder run `/run/folder/<id>`, and of a tag run `/run/tag/<id>`.
A link of another form contains no run id.

Source: the vendor's published OpenAPI description, its public API pages, and for `runID` and `folderRunID` its own CI
scripts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from autonoma_ci.models import TargetKind
from autonoma_ci.startup import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

# Fields of a start response that can contain the run id.
START_FIELDS = {
    TargetKind.TEST: ("run_id", "runID"),
    # A later revision of the contract runs tags like folders.
    TargetKind.TAG: ("tag_run_id", "folderRunID"),
    TargetKind.FOLDER: ("folder_run_id", "folderRunID"),
}
# Fields of a status response that can contain the id of its run.
_STATUS_FIELDS = {
    TargetKind.TEST: ("run_id", "runID", "id"),
    TargetKind.TAG: ("tag_run_id", "folderRunID", "run_id", "runID"),
    TargetKind.FOLDER: ("folder_run_id", "folderRunID", "run_id", "runID"),
}
# The id, and the rest of the path. A test's path excludes `group`, because the vendor's CI scripts have groups of runs
# with their own ids.
_RUN_PATH_RE = {
    TargetKind.TEST: lazy_pattern(r"/run/(?!(?:folder|tag|group|test)/[^/])([^/]+)(.*)"),
    TargetKind.TAG: lazy_pattern(r"/run/tag/([^/]+)(.*)"),
    TargetKind.FOLDER: lazy_pattern(r"/run/folder/([^/]+)(.*)"),
}


def parse_run_id(value: object) -> str:
    """Return a text or integer id as text, otherwise an empty text."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, str) else ""


def find_linked_run(url: str, kind: TargetKind) -> str:
    """Return the run id in a link, or an empty text."""
    match = _RUN_PATH_RE[kind].search(_extract_path(url))
    return unquote(match[1]) if match else ""


def find_page_run(url: str, kind: TargetKind) -> str:
    """Return the run id in the link of a run's page.

    Only a slash may follow the id, otherwise the result is an empty text. The link of a tag run can have the form of a
    folder run.
    """
    for path_kind in (kind, TargetKind.FOLDER) if kind is TargetKind.TAG else (kind,):
        match = _RUN_PATH_RE[path_kind].search(_extract_path(url))
        if match and not match[2].strip("/"):
            return unquote(match[1])
    return ""


def is_about_other_run(fields: Mapping[str, object], kind: TargetKind, run_id: str) -> bool:
    """Return whether a field of a status response contains another run id."""
    field_ids = {parse_run_id(fields.get(name)) for name in _STATUS_FIELDS[kind]}
    return bool(field_ids - {"", run_id})


def _extract_path(url: str) -> str:
    return "/" + re.split("[?#]", url)[0].partition("://")[2].partition("/")[2]
