"""Explain options that select unknown entries, and an empty selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.config.parsers import quote_name
from autonoma_ci.config.settings import NO_GROUPS
from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.planning.selection import Rule, find_groups_off_by_default, find_unmatched_patterns, is_off
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from autonoma_ci.config.settings import Settings
    from autonoma_ci.manifest.schema import Manifest
    from autonoma_ci.models import RunRequest
    from autonoma_ci.planning.selection import Candidate, FailedRuns, Selection

# The options that select runs, in the order of the documentation.
_ID_OPTIONS = ("test-ids", "folder-ids", "tag-ids")
_SELECTING_OPTIONS = ("groups", "exclude-groups", "only")
_ALLOW_EMPTY_HINT = "or set allow-empty to true."
# Patterns and groups for which similar names are searched. The search in 10,000 names needs 0.1 s.
_MAX_EXPLAINED_NAMES = 5
_MAX_SHOWN_NAMES = 20
_CHECK_SPELLING = "Check its spelling."


def find_selection_errors(
    settings: Settings, manifest: Manifest | None, candidates: Sequence[Candidate], *, ignores_groups: bool
) -> list[str | Diagnostic]:
    """Return the errors of the options that select entries.

    Args:
        settings: The options.
        manifest: The manifest, or None without one.
        candidates: All entries.
        ignores_groups: Whether entries of groups that are off by default are selected too.

    """
    return [
        *_find_environment_errors(settings, manifest),
        *_find_group_errors(settings, manifest, "groups", settings.groups),
        *_find_group_errors(settings, manifest, "exclude-groups", settings.exclude_groups),
        *_find_pattern_errors(settings, manifest, candidates, ignores_groups=ignores_groups),
    ]


def _find_environment_errors(settings: Settings, manifest: Manifest | None) -> list[str]:
    name = settings.environment
    if not name or (manifest and name in manifest.environments):
        return []
    option, shown = settings.spelling_of("environment"), quote_name(name)
    if not manifest:
        return [f"{option}: environment {shown} needs a manifest. Set manifest, or remove the environment."]
    if not manifest.environments:
        return [f"{option}: unknown environment: {shown}. The manifest has no `environments`."]
    return [
        f"{option}: unknown environment: {shown}. {_suggest_name(name, set(manifest.environments), 'environments')}"
    ]


def _find_group_errors(
    settings: Settings, manifest: Manifest | None, option_name: str, groups: Sequence[str]
) -> list[str]:
    """Return the errors of an option with groups.

    Errors are unknown names, and `none` in another place than alone in the option `groups`.
    """
    if not groups:
        return []
    option = settings.spelling_of(option_name)
    entries = manifest.entries if manifest else []
    known_groups = (
        {group for _, values in manifest.with_group_values(entries) for group in values} if manifest else set()
    )
    # Groups without interpolation. A suggestion must not show a value of the environment, or that one is similar.
    public_groups = {group for entry in entries for group in entry.groups}
    if manifest:
        known_groups |= manifest.groups.keys()
        public_groups |= manifest.groups.keys()
    errors = []
    if NO_GROUPS in groups and option_name != "groups":
        errors.append(f"{option}: invalid group: '{NO_GROUPS}'. Remove it, or name a group of the manifest.")
    elif NO_GROUPS in groups and not settings.selects_nothing:
        errors.append(f"{option}: '{NO_GROUPS}' selects nothing. Remove '{NO_GROUPS}' or the other groups.")
    unknown = [group for group in groups if group != NO_GROUPS and group not in known_groups]
    for number, group in enumerate(unknown[:_MAX_SHOWN_NAMES]):
        if option_name == "groups" and group.lower().strip("\"'`") == NO_GROUPS:
            advice = f"Did you mean '{NO_GROUPS}'?"
        elif not manifest:
            errors.append(f"{option}: group {quote_name(group)} needs a manifest. Set manifest, or remove the group.")
            continue
        elif not public_groups:
            advice = "No entry of the manifest has `groups`."
        else:
            advice = _suggest_name(group, public_groups, "groups") if number < _MAX_EXPLAINED_NAMES else _CHECK_SPELLING
        errors.append(f"{option}: unknown group: {quote_name(group)}. {advice}")
    if (more := len(unknown) - _MAX_SHOWN_NAMES) > 0:
        errors.append(f"{option}: {pluralize(more, 'more unknown group')}. Correct or remove them.")
    return errors


def _suggest_name(name: str, known: set[str], noun: str) -> str:
    """Return the known name that is probably meant, or all known names."""
    from autonoma_ci.config.suggestions import find_closest_match

    if suggestion := find_closest_match(name, known):
        return f"Did you mean '{sanitize_line(suggestion, 60)}'?"
    return f"Known {noun}: {_format_names(known)}."


def _format_names(names: set[str]) -> str:
    return ", ".join(sanitize_line(name, 60) for name in sorted(names)[:20])


def _find_pattern_errors(
    settings: Settings, manifest: Manifest | None, candidates: Sequence[Candidate], *, ignores_groups: bool
) -> list[str]:
    """Return an error for each pattern of `only` that selects no entry."""
    if not settings.only or not candidates:
        # Without entries, the error about the empty plan says more.
        return []
    option = settings.spelling_of("only")
    off_by_default = frozenset[str]() if ignores_groups else find_groups_off_by_default(manifest)
    selectable = [item for item in candidates if not is_off(item, off_by_default, settings.groups)]
    errors = []
    unmatched = find_unmatched_patterns(settings.only, selectable)
    unmatched_by_all = set(find_unmatched_patterns(unmatched, candidates))
    for number, pattern in enumerate(unmatched[:_MAX_SHOWN_NAMES]):
        if pattern in unmatched_by_all:
            advice = _suggest_names(pattern, selectable) if number < _MAX_EXPLAINED_NAMES else _CHECK_SPELLING
            errors.append(f"{option}: no entry matches {quote_name(pattern)}. {advice}")
        else:
            advice = _explain_off_groups(pattern, candidates, off_by_default)
            errors.append(f"{option}: {quote_name(pattern)} matches only entries that are off by default. {advice}")
    if (more := len(unmatched) - _MAX_SHOWN_NAMES) > 0:
        errors.append(f"{option}: {pluralize(more, 'more pattern')} without an entry. Correct or remove them.")
    return errors


def _suggest_names(pattern: str, candidates: Iterable[Candidate]) -> str:
    from autonoma_ci.config.suggestions import find_similar_names

    names = dict.fromkeys(text for item in candidates for text in (item.name, item.id) if text)
    if similar := find_similar_names(pattern.strip("*?"), names):
        return f"Did you mean {' or '.join(map(quote_name, similar))}?"
    if "," in pattern:
        return "Write one pattern per line."
    return "Use the name or the id of an entry, with `*` for any text."


def _explain_off_groups(pattern: str, candidates: Iterable[Candidate], off_by_default: frozenset[str]) -> str:
    """Return how to select the entries of groups that are off by default."""
    # The shown groups, because the value of `${NAME}` must not be shown.
    groups = dict.fromkeys(
        group
        for item in candidates
        if item.entry and not find_unmatched_patterns([pattern], [item])
        for group in item.entry.groups
        if group in off_by_default
    )
    if not groups:
        return "A default-off group stays off. Add it to groups."
    return f"A default-off group stays off. Add to groups: {_format_names(set(groups))}."


def find_missing_runs_error(
    candidates: Iterable[Candidate],
    failed_runs: FailedRuns,
    expand: Callable[[Candidate], Iterable[RunRequest]],
    settings: Settings,
) -> str | None:
    """Return the error that failed runs of an earlier step are not in the plan, or None.

    Args:
        candidates: All entries.
        failed_runs: The runs of the earlier step.
        expand: Returns the runs of an entry.
        settings: The options.

    """
    missing = len(failed_runs.find_missing(candidates, expand))
    if not missing:
        return None
    problem = (
        f"{pluralize(missing, 'failed run')} of {failed_runs.path} {'is' if missing == 1 else 'are'} not in the plan"
    )
    return f"{settings.spelling_of('failed-from')}: {problem}. Use the same ids, manifest and environment."


def explain_empty_plan(
    settings: Settings, manifest: Manifest | None, selection: Selection, failed_runs: FailedRuns | None
) -> Diagnostic:
    """Return the error for an empty plan.

    It names what leaves out all entries, or the options or the manifest without entries. It also names the fix.
    """
    if not selection.total:
        return _explain_missing_entries(settings, manifest)
    if failed_runs and not failed_runs.failed:
        option = settings.spelling_of("failed-from")
        text = f"Nothing to run: all runs of {failed_runs.path} had passed. Remove {option}, {_ALLOW_EMPTY_HINT}"
        return Diagnostic(text)
    names = ["failed-from"] if failed_runs else []
    names += [name for name in _SELECTING_OPTIONS if name in settings.explicitly_set]
    if Rule.OFF_BY_DEFAULT in selection.left_out and "groups" not in names:
        names.insert(0, "groups")
    change = f"Change {_join_with_and(list(map(settings.spelling_of, names)))}"
    counts = selection.format_counts()
    return Diagnostic(f"Nothing to run: all entries are left out ({counts}). {change}, {_ALLOW_EMPTY_HINT}")


def _explain_missing_entries(settings: Settings, manifest: Manifest | None) -> Diagnostic:
    """Return the error that neither options nor manifest have entries."""
    set_options = [settings.spelling_of(name) for name in _ID_OPTIONS if name in settings.explicitly_set]
    if set_options:
        text = f"Nothing to run: {_join_with_and(set_options)} {'has' if len(set_options) == 1 else 'have'} no ids"
        text += f", and {manifest.file or 'the manifest'} has no entries" if manifest else ""
        return Diagnostic(f"{text}. Add an id, {_ALLOW_EMPTY_HINT}")
    if manifest:
        text = f"nothing to run: the manifest has no entries. Add an id below `tests:`, {_ALLOW_EMPTY_HINT}"
        return Diagnostic(text, manifest.file, manifest.line, 1 if manifest.line else 0)
    no_manifest = "and the working directory has no autonoma.yml"
    if blank_options := [
        settings.blank_options[name] for name in (*_ID_OPTIONS, "manifest") if name in settings.blank_options
    ]:
        verb = "is" if len(blank_options) == 1 else "are"
        text = f"Nothing to run: {_join_with_and(blank_options)} {verb} empty, {no_manifest}"
        return Diagnostic(f"{text}. Add ids, check the variable in the option, {_ALLOW_EMPTY_HINT}")
    text = f"Nothing to run: no ids are given, {no_manifest}. Set {', '.join(_ID_OPTIONS)} or manifest"
    return Diagnostic(f"{text}, {_ALLOW_EMPTY_HINT}")


def _join_with_and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
