"""Find the entries that the change under test put in quarantine.

The manifest of the change is compared with that of its base, which is read from the clone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.errors import InputError
from autonoma_ci.git.clone import Clone
from autonoma_ci.git.errors import CloneError, NoBaseError
from autonoma_ci.manifest.loader import read_manifest_text
from autonoma_ci.planning.new_quarantine import find_new_quarantines
from autonoma_ci.yaml_subset.parser import MAX_YAML_BYTES, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.manifest.schema import Folder, Manifest, Tag, Test
    from autonoma_ci.models import ChangeBase


def find_quarantined_by_change(
    manifest: Manifest, manifest_path: str, ci: CIEnvironment, environ: Mapping[str, str], directory: str
) -> tuple[str, ...]:
    """Return the names of the entries that the change put in quarantine.

    Args:
        manifest: The manifest.
        manifest_path: Its path, relative to the working directory.
        ci: The CI system and the build, with the facts that options state.
        environ: The environment.
        directory: The working directory.

    Returns:
        The names, also of entries whose quarantine ends later than before. It is empty if the manifest of the base is
        unknown.

    """
    base = ci.ci_system.change_base(environ, ci.build_context)
    texts = None if base.no_base_reason else _read_manifests(base, ci, manifest_path, directory)
    if not texts:
        return ()
    old, new = (parse_yaml(text, "") for text in texts)
    if old.errors or new.errors:
        return ()
    found = find_new_quarantines(old.tree, new.tree)
    lists: Mapping[str, Sequence[Test | Folder | Tag]]
    lists = {"tests": manifest.tests, "folders": manifest.folders, "tags": manifest.tags}
    entries = [lists[kind][index] for kind, index in found if index < len(lists[kind])]
    return tuple(entry.name or entry.id for entry in entries)


def _read_manifests(base: ChangeBase, ci: CIEnvironment, path: str, directory: str) -> tuple[str, str] | None:
    """Return the text of the manifest at the base and that of the change."""
    with suppress(CloneError, NoBaseError, InputError, UnicodeDecodeError), Clone(directory) as clone:
        target = Path(os.path.realpath(Path(directory, path)))
        commit = clone.find_bases(base, ci.build_context)[0]
        if not target.is_relative_to(clone.root):
            return None
        data = clone.read_file(commit.decode(), target.relative_to(clone.root).as_posix(), MAX_YAML_BYTES)
        return (data.decode("utf-8-sig"), read_manifest_text(path, directory, "")) if data is not None else None
    return None
