"""Find the id of a run in the fields and the link of a response.

The link of a test's run is `/run/<id>`, that of a folder run `/run/folder/<id>`, that of a tag run `/run/tag/<id>`. A
link of another shape names no run.

Source: the vendor's published OpenAPI description, its public API pages, and for `runID` and `folderRunID` its own CI
scripts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from autonoma_ci.lazy_regex import lazy_pattern
from autonoma_ci.models import TargetKind

if TYPE_CHECKING:
    from collections.abc import Mapping

# The fields in which the response to a start may name the run.
START_FIELDS = {
    TargetKind.TEST: ("run_id", "runID"),
    # A later revision of the contract runs tags like folders.
    TargetKind.TAG: ("tag_run_id", "folderRunID"),
    TargetKind.FOLDER: ("folder_run_id", "folderRunID"),
}
# The fields in which a status response may name the run that it is about.
_STATUS_FIELDS = {
    TargetKind.TEST: ("run_id", "runID", "id"),
    TargetKind.TAG: ("tag_run_id", "folderRunID", "run_id", "runID"),
    TargetKind.FOLDER: ("folder_run_id", "folderRunID", "run_id", "runID"),
}
# The id, and what follows it. `group` because the vendor's CI scripts know groups of runs, with ids of their own.
_RUN_PATH_RE = {
    TargetKind.TEST: lazy_pattern(r"/run/(?!(?:folder|tag|group|test)/[^/])([^/]+)(.*)"),
    TargetKind.TAG: lazy_pattern(r"/run/tag/([^/]+)(.*)"),
    TargetKind.FOLDER: lazy_pattern(r"/run/folder/([^/]+)(.*)"),
}


def parse_run_id(value: object) -> str:
    """Return an id as text; an empty text if it is neither text nor a whole number."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, str) else ""


def find_linked_run(url: str, kind: TargetKind) -> str:
    """Return the id of the run that a link names, or an empty text."""
    match = _RUN_PATH_RE[kind].search(_extract_path(url))
    return unquote(match[1]) if match else ""


def find_page_run(url: str, kind: TargetKind) -> str:
    """Return the id of the run whose page a link is, or an empty text.

    Nothing but a slash may follow the id. The link of a tag run may be that of a folder run.
    """
    for path_kind in (kind, TargetKind.FOLDER) if kind is TargetKind.TAG else (kind,):
        match = _RUN_PATH_RE[path_kind].search(_extract_path(url))
        if match and not match[2].strip("/"):
            return unquote(match[1])
    return ""


def is_about_other_run(fields: Mapping[str, object], kind: TargetKind, run_id: str) -> bool:
    """Return whether a field of a status response names another run than this one."""
    field_ids = {parse_run_id(fields.get(name)) for name in _STATUS_FIELDS[kind]}
    return bool(field_ids - {"", run_id})


def _extract_path(url: str) -> str:
    return "/" + re.split("[?#]", url)[0].partition("://")[2].partition("/")[2]
