"""Find the changed files of a build by option, clone or API.

Any doubt means that every entry runs. The reason says what to change, so that the next build can select entries.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.app.changed_file_list import ListError, read_list
from autonoma_ci.git.clone import Clone
from autonoma_ci.git.errors import COMPLETE_HISTORY, MERGE_WITH_PARENTS, CloneError, NoBaseError, report_damage
from autonoma_ci.git.layout import find_clone
from autonoma_ci.models import ChangeSummary
from autonoma_ci.planning.changed_files import ChangedFiles, run_everything
from autonoma_ci.reports.summary import describe_changed_files
from autonoma_ci.startup import DebugLogger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.app.inputs import CIEnvironment
    from autonoma_ci.clock import Clock
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import ChangeBase, ComparedFiles

_log = DebugLogger()
# Links from a manifest to another one. Linux follows at most 40.
_MAX_LINKS = 40
_GITHUB_ADVICE = {
    COMPLETE_HISTORY: "Set fetch-depth: 0 in the checkout step.",
    MERGE_WITH_PARENTS: "Set fetch-depth: 2 in the checkout step.",
}
# How to get a deeper clone, by CI system and needed depth. Source: the documentation of each system.
_DEPTH_ADVICE = {
    "github": _GITHUB_ADVICE,
    "gitea": _GITHUB_ADVICE,
    "forgejo": _GITHUB_ADVICE,
    "gitlab": {COMPLETE_HISTORY: "Set GIT_DEPTH: 0 in the variables of the job."},
    "azure": {
        COMPLETE_HISTORY: "Set fetchDepth: 0 in the checkout step.",
        MERGE_WITH_PARENTS: "Set fetchDepth: 2 in the checkout step.",
    },
    "travis": {COMPLETE_HISTORY: "Set depth: false below git."},
}
_DEFAULT_DEPTH_ADVICE = "Clone the complete history, with the branch to compare with."


def find_changed_files(
    settings: Settings,
    ci: CIEnvironment,
    environ: Mapping[str, str],
    directory: str,
    manifest_path: str | None,
    clock: Clock,
) -> ChangedFiles:
    """Return the changed files of the build, or the reason why they are unknown.

    Args:
        settings: The options. The token of `compare_support` allows a comparison through the API.
        ci: The CI system and the build, with the facts that options state.
        environ: The environment.
        directory: The working directory.
        manifest_path: The path of the manifest, relative to the working directory.
        clock: The clock of requests.

    """
    option = settings.spelling_of("changed-files")
    if settings.changed_files == "all":
        return run_everything(f"{option} is all.")
    clone_root = _find_clone_root(directory)
    root = clone_root or Path(os.path.realpath(directory))
    if settings.changed_files == "auto":
        changed = _find_since_base(settings, ci, environ, directory, clock)
    else:
        try:
            listed = read_list(settings.changed_files, option, directory, root)
        except ListError as error:
            return run_everything(f"{error}. {error.remedy}")
        changed = ChangedFiles(ChangeSummary("list", "", len(listed.paths)), listed.paths, listed.directories)
    summary = changed.summary
    _log.debug("Changed files: %s", describe_changed_files(summary, summary.base) or summary.full_run_reason)
    paths = _list_manifest_paths(Path(os.path.realpath(directory), manifest_path)) if manifest_path else []
    if changed.paths is not None and not all(path.is_relative_to(root) for path in paths):
        return run_everything(
            "changes of a manifest outside of the repository are unknown. Move it into the repository."
        )
    relative_paths = frozenset(path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root))
    if not clone_root:
        # The working directory can be below the top of the repository, such as a mounted folder.
        ends = tuple(f"/{path}" for path in relative_paths)
        relative_paths |= {path for path in changed.paths or () if path.endswith(ends)}
    return changed._replace(manifest_paths=relative_paths)


def _find_clone_root(directory: str) -> Path | None:
    """Return the top of the clone, or None without one."""
    with suppress(CloneError), report_damage():
        return find_clone(directory).root
    return None


def _find_since_base(
    settings: Settings, ci: CIEnvironment, environ: Mapping[str, str], directory: str, clock: Clock
) -> ChangedFiles:
    """Compare the commit under test with its base."""
    context = ci.build_context
    base = ci.ci_system.change_base(environ, context)
    if base.no_base_reason:
        return run_everything(f"{base.no_base_reason}.")
    try:
        with Clone(directory) as clone:
            return _to_changed_files("clone", clone.find_changes(base, context))
    except NoBaseError as error:
        return run_everything(f"{error}.")
    except CloneError as error:
        return _compare_by_api(settings, ci, environ, base, clock, error)


def _to_changed_files(source: str, compared: ComparedFiles) -> ChangedFiles:
    summary = ChangeSummary(source, compared.base, len(compared.paths))
    return ChangedFiles(summary, compared.paths, compared.submodules)


def _compare_by_api(
    settings: Settings,
    ci: CIEnvironment,
    environ: Mapping[str, str],
    base: ChangeBase,
    clock: Clock,
    clone_error: CloneError,
) -> ChangedFiles:
    """Compare through the API of the CI system, if it has one."""
    reason = f"{clone_error}. {_describe_remedy(clone_error, ci)}".rstrip()
    support = ci.ci_system.compare_support
    token = getattr(settings, support.token_option.replace("-", "_")) if support else None
    if not (support and token):
        return run_everything(reason)
    # Loaded only here, because it imports requests.
    from autonoma_ci.ci.changes.compare import CompareError

    try:
        return _to_changed_files("api", support.compare(environ, ci.build_context, base, token, clock))
    except CompareError as error:
        text = str(error)
        return run_everything(f"{reason} {text[:1].upper()}{text[1:]}. {error.remedy}")


def _describe_remedy(error: CloneError, ci: CIEnvironment) -> str:
    """Return what to do about a clone that does not tell the changed files."""
    if error.needed_depth is None:
        return error.remedy
    advice = _DEPTH_ADVICE.get(ci.build_context.ci_name, {})
    return advice.get(error.needed_depth) or advice.get(COMPLETE_HISTORY, _DEFAULT_DEPTH_ADVICE)


def _list_manifest_paths(path: Path) -> list[Path]:
    """Return the absolute path of a file and of each link on the way to it."""
    paths: list[Path] = []
    with suppress(OSError):
        for _ in range(_MAX_LINKS):
            path = Path(os.path.normpath(path))
            link = next((part for part in [*reversed(path.parents), path] if part.is_symlink()), None)
            paths.append(link or path)
            if not link:
                break
            path = link.parent / link.readlink() / path.relative_to(link)
    return paths
