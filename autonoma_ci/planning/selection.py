"""Select the entries of a plan by the options and the manifest.

No function here reads a file or the network. Each rule can only remove entries, and their order stays.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from autonoma_ci.models import TargetKind
from autonoma_ci.planning.name_patterns import NamePattern, has_wildcard
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from autonoma_ci.config.parsers import NamedId
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.identity import RunKey
    from autonoma_ci.manifest.schema import Folder, Manifest, Tag, Test
    from autonoma_ci.models import ChangeSummary, RunRequest

NO_GROUP_VALUES: frozenset[str] = frozenset()


class Rule(StrEnum):
    """Why an entry is left out, in the words of the plan's note.

    The order is that of the selection.
    """

    GROUPS = "by groups"
    OFF_BY_DEFAULT = "off by default"
    EXCLUDED = "excluded"
    UNCHANGED = "unchanged"
    ONLY = "by only"
    NOT_RUN_BEFORE = "not run before"
    PASSED_BEFORE = "passed before"


class Candidate(NamedTuple):
    """An entry of the manifest or an id of an option, before the selection."""

    kind: TargetKind
    id: str
    # The user's name, or empty.
    name: str
    # The number among candidates of the same kind and id, from 1. It does not depend on the selection.
    occurrence: int
    # The entry of the manifest. None for an id of an option.
    entry: Test | Folder | Tag | None = None
    # The groups with the values of `${NAME}`. They must not be shown.
    groups: frozenset[str] = NO_GROUP_VALUES

    @property
    def display_name(self) -> str:
        """The name of the entry in reports, or else its id."""
        return self.name or self.id

    @property
    def change_patterns(self) -> list[str] | None:
        """The patterns of `when.changed`, or None without them."""
        return self.entry.when.changed if self.entry and self.entry.when else None


class FailedRuns(NamedTuple):
    """The runs of the results.json that the option `failed-from` names."""

    # The path as messages show it.
    path: str
    # The keys of the runs that had passed, and of all others.
    passed: frozenset[RunKey]
    failed: frozenset[RunKey]
    # The shard of the step that wrote the file, such as `2/5`, or empty.
    shard: str = ""

    def find_missing(
        self, candidates: Iterable[Candidate], expand: Callable[[Candidate], Iterable[RunRequest]]
    ) -> frozenset[RunKey]:
        """Return the keys of the runs that had not passed, and that no candidate has.

        Args:
            candidates: The entries.
            expand: Returns the runs of an entry.

        """
        # Other entries are not expanded, because they can have thousands of runs.
        failed = _identify_keys(self.failed)
        return self.failed.difference(
            request.key for item in candidates if _identify(item) in failed for request in expand(item)
        )


class ChangeFilter(NamedTuple):
    """Selects the entries that depend on changed files."""

    summary: ChangeSummary
    # Returns whether these patterns match a changed file. None selects all entries.
    is_affected: Callable[[list[str]], bool] | None = None


class Selection(NamedTuple):
    """The selected candidates, with the number of those left out."""

    candidates: tuple[Candidate, ...]
    # The number of candidates before the first rule.
    total: int
    left_out: Mapping[Rule, int]

    def keep(self, rule: Rule, is_kept: Callable[[Candidate], bool]) -> Selection:
        """Return the selection after one more rule."""
        candidates = tuple(filter(is_kept, self.candidates))
        removed = len(self.candidates) - len(candidates)
        left_out = {**self.left_out, rule: removed} if removed else self.left_out
        return self._replace(candidates=candidates, left_out=left_out)

    @property
    def note(self) -> str | None:
        """One sentence about the candidates that are left out, or None."""
        if not self.left_out:
            return None
        total = pluralize(self.total, "entry", "entries")
        return f"{sum(self.left_out.values()):,} of {total} left out: {self.format_counts()}."

    def format_counts(self) -> str:
        """Return how many candidates each rule left out."""
        return ", ".join(f"{self.left_out[rule]:,} {rule}" for rule in Rule if rule in self.left_out)


def collect_candidates(settings: Settings, manifest: Manifest | None) -> tuple[Candidate, ...]:
    """Return the ids of the options, then the entries of the manifest."""
    counts: dict[tuple[TargetKind, str], int] = {}
    candidates = []
    for candidate in (*_list_ids(settings), *(_list_entries(manifest) if manifest else ())):
        key = candidate.kind, candidate.id
        counts[key] = occurrence = counts.get(key, 0) + 1
        candidates.append(candidate._replace(occurrence=occurrence) if occurrence > 1 else candidate)
    return tuple(candidates)


def _list_ids(settings: Settings) -> Iterator[Candidate]:
    options: tuple[tuple[TargetKind, tuple[NamedId, ...]], ...] = (
        (TargetKind.TEST, settings.test_ids),
        (TargetKind.FOLDER, settings.folder_ids),
        (TargetKind.TAG, settings.tag_ids),
    )
    for kind, ids in options:
        for named_id in ids:
            yield Candidate(kind, named_id.id, named_id.name, 1)


def _list_entries(manifest: Manifest) -> Iterator[Candidate]:
    lists: tuple[tuple[TargetKind, Sequence[Test | Folder | Tag]], ...] = (
        (TargetKind.TEST, manifest.tests),
        (TargetKind.FOLDER, manifest.folders),
        (TargetKind.TAG, manifest.tags),
    )
    for kind, entries in lists:
        for entry, groups in manifest.with_group_values(entries):
            yield Candidate(kind, entry.id, entry.name, 1, entry, frozenset(groups) if groups else NO_GROUP_VALUES)


def start_selection(candidates: tuple[Candidate, ...]) -> Selection:
    """Return the selection of all candidates."""
    return Selection(candidates, len(candidates), {})


def select_by_groups(candidates: tuple[Candidate, ...], settings: Settings, manifest: Manifest | None) -> Selection:
    """Apply `groups`, the groups that are off by default, and `exclude-groups`.

    They select entries of the manifest. Ids of options are always selected.
    """
    selection = start_selection(candidates)
    groups, excluded = frozenset(settings.groups), frozenset(settings.exclude_groups)
    off_by_default = find_groups_off_by_default(manifest)
    if groups:
        selection = selection.keep(Rule.GROUPS, lambda item: not item.entry or not groups.isdisjoint(item.groups))
    if off_by_default:
        selection = selection.keep(Rule.OFF_BY_DEFAULT, lambda item: not is_off(item, off_by_default, groups))
    if excluded:
        selection = selection.keep(Rule.EXCLUDED, lambda item: excluded.isdisjoint(item.groups))
    return selection


def find_groups_off_by_default(manifest: Manifest | None) -> frozenset[str]:
    """Return the names of the groups with `default: false`."""
    groups = manifest.groups if manifest else {}
    return frozenset(name for name, group in groups.items() if group.default == "false")


def is_off(candidate: Candidate, off_by_default: frozenset[str], groups: Collection[str]) -> bool:
    """Return whether the entry runs only with another value of `groups`.

    Args:
        candidate: The entry.
        off_by_default: The names of the groups that are off by default.
        groups: The value of the option `groups`.

    """
    own = candidate.groups & off_by_default
    return bool(own) and own.isdisjoint(groups)


def select_changed(selection: Selection, is_affected: Callable[[list[str]], bool]) -> Selection:
    """Apply `when.changed`. Entries without it are always selected.

    Args:
        selection: The selection.
        is_affected: Returns whether these patterns match a changed file.

    """
    return selection.keep(
        Rule.UNCHANGED, lambda item: (patterns := item.change_patterns) is None or is_affected(patterns)
    )


def fold_texts(candidate: Candidate) -> tuple[str, ...]:
    """Return the texts that patterns match: the shown name and the id."""
    folded = candidate.id.casefold()
    return (candidate.name.casefold(), folded) if candidate.name else (folded,)


def select_only(selection: Selection, texts: Sequence[str]) -> Selection:
    """Apply the patterns of the option `only`."""
    if not texts:
        return selection
    # Generated lists can have thousands of names.
    literals, patterns = _parse_patterns(texts)

    def is_kept(candidate: Candidate) -> bool:
        folded = fold_texts(candidate)
        return not literals.keys().isdisjoint(folded) or any(pattern.matches(folded) for pattern in patterns)

    return selection.keep(Rule.ONLY, is_kept)


def find_unmatched_patterns(texts: Sequence[str], candidates: Iterable[Candidate]) -> list[str]:
    """Return the patterns of the option `only` that match no candidate."""
    literals, patterns = _parse_patterns(texts)
    for candidate in candidates:
        folded = fold_texts(candidate)
        for text in folded:
            literals.pop(text, None)
        if patterns:
            patterns = [pattern for pattern in patterns if not pattern.matches(folded)]
        elif not literals:
            break
    unmatched = {text for group in literals.values() for text in group} | {pattern.text for pattern in patterns}
    return [text for text in dict.fromkeys(texts) if text in unmatched]


def _parse_patterns(texts: Iterable[str]) -> tuple[dict[str, list[str]], list[NamePattern]]:
    """Return the texts without wildcards by their casefolded form, and the patterns of the others."""
    literals: dict[str, list[str]] = {}
    patterns = []
    for text in dict.fromkeys(texts):
        if has_wildcard(text):
            patterns.append(NamePattern(text))
        else:
            literals.setdefault(text.casefold(), []).append(text)
    return literals, patterns


def select_failed(
    selection: Selection, failed_runs: FailedRuns, expand: Callable[[Candidate], Iterable[RunRequest]]
) -> tuple[Selection, list[RunRequest]]:
    """Apply the option `failed-from`.

    Args:
        selection: The selection.
        failed_runs: The runs of an earlier step.
        expand: Returns the runs of an entry.

    Returns:
        The selection, and the runs that had not passed.

    """
    known, failed = _identify_keys(failed_runs.passed | failed_runs.failed), _identify_keys(failed_runs.failed)
    selection = selection.keep(Rule.NOT_RUN_BEFORE, lambda item: _identify(item) in known)
    selection = selection.keep(Rule.PASSED_BEFORE, lambda item: _identify(item) in failed)
    requests = [request for item in selection.candidates for request in expand(item)]
    return selection, [request for request in requests if request.key in failed_runs.failed]


def _identify(candidate: Candidate) -> tuple[str, str, int]:
    return candidate.kind, candidate.id, candidate.occurrence


def _identify_keys(keys: Iterable[RunKey]) -> set[tuple[str, str, int]]:
    return {(key.kind, key.id, key.occurrence) for key in keys}
