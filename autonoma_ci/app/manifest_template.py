"""The text of a new manifest: what was chosen, and in comments what else there is to say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from autonoma_ci.escaping import escape_json, sanitize_line
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.app.test_picker import Selection

_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9 _/()-]*[A-Za-z0-9_)])?")
# A YAML reader takes these for something other than text, ours the first of them.
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_HEAD = """\
# What autonoma-ci starts. Made by autonoma-ci init; yours to change.
# For completion in an editor: autonoma-ci schema > autonoma.schema.json
# yaml-language-server: $schema=autonoma.schema.json
version: 1

# defaults:
#   variables: # values for saved variables, in these runs alone
#     BASE_URL: https://pr-${ci.change:-main}.preview.example.com
"""
_VERSIONS = """\
# What the folders run against, if your account asks for it; or instead: run_on_latest: true
# application_versions:
#   - { application_id: ID, version_id: ID }
"""


def render_manifest(choice: Selection) -> str:
    """Return the manifest; each name in it reads back as it is."""
    return "\n".join([_HEAD, *_entries(choice), _VERSIONS if choice.folders else ""])


def _entries(choice: Selection) -> Iterator[str]:
    if choice.folders:
        yield "folders: # each is one run, with all tests in it and below it"
    for folder in choice.folders:
        yield f"  - id: {_text(folder.id)} # {pluralize(len(folder.tests), 'test')}"
        yield f"    name: {_text(folder.name)}"
    if choice.tests:
        yield "tests:"
    for number, test in enumerate(choice.tests):
        yield f"  - id: {_text(test.id)}"
        yield f"    name: {_text(test.name)}"
        if number == 0:
            yield "    # groups: [smoke] # then: autonoma-ci run --groups smoke"


def _text(name: str) -> str:
    # In a manifest, a dollar sign begins what is filled in, unless there are two.
    doubled = sanitize_line(name, 500).strip().replace("$", "$$")
    plain = _PLAIN.fullmatch(doubled) and doubled.lower() not in _WORDS
    # The manifest may be printed.
    return doubled if plain else escape_json(json.dumps(doubled, ensure_ascii=False))
