"""The text of the manifest that `init` writes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from autonoma_ci.escaping import escape_json, sanitize_line
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.app.test_picker import Selection

_PLAIN_SCALAR_RE = re.compile(r"[A-Za-z](?:[A-Za-z0-9 _/()-]*[A-Za-z0-9_)])?")
# YAML parsers do not read these as text. Ours does not read the first three as text.
_RESERVED_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_HEAD = """\
# Runs that autonoma-ci starts. Written by autonoma-ci init. Change as needed.
# For completion in an editor: autonoma-ci schema > autonoma.schema.json
# yaml-language-server: $schema=autonoma.schema.json
version: 1

# defaults:
#   variables: # values of variables that are saved in Autonoma, for these runs only
#     BASE_URL: https://pr-${ci.change:-main}.preview.example.com
"""
_VERSIONS = """\
# Application versions of the folders, if your account needs them. Alternative: run_on_latest: true
# application_versions:
#   - { application_id: ID, version_id: ID }
"""


def render_manifest(selection: Selection) -> str:
    """Return the manifest of selected folders and tests.

    Each name is written so that the loader reads the same text.
    """
    return "\n".join([_HEAD, *_render_entries(selection), _VERSIONS if selection.folders else ""])


def _render_entries(selection: Selection) -> Iterator[str]:
    if selection.folders:
        yield "folders: # one run for each folder, with all tests in it and below it"
    for folder in selection.folders:
        yield f"  - id: {_render_text(folder.id)} # {pluralize(len(folder.tests), 'test')}"
        yield f"    name: {_render_text(folder.name)}"
    if selection.tests:
        yield "tests:"
    for index, test in enumerate(selection.tests):
        yield f"  - id: {_render_text(test.id)}"
        yield f"    name: {_render_text(test.name)}"
        if index == 0:
            yield "    # groups: [smoke] # then: autonoma-ci run --groups smoke"


def _render_text(text: str) -> str:
    # In a manifest, one dollar sign begins an interpolation, and two are a dollar sign.
    escaped = sanitize_line(text, 500).strip().replace("$", "$$")
    is_plain = _PLAIN_SCALAR_RE.fullmatch(escaped) and escaped.lower() not in _RESERVED_WORDS
    # A terminal can show the manifest, so control characters are escaped.
    return escaped if is_plain else escape_json(json.dumps(escaped, ensure_ascii=False))
