"""The subset of YAML that a manifest is written in: mappings, lists, and text exactly as written.

A YAML loader turns `1.10` into 1.1 and `no` into False, lets the last of two equal keys win, and can be
made to build gigabytes from a few lines. This reader walks the parser's events instead: every scalar
stays text, what is not part of the subset is a problem with its place, and everything is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from autonoma_ci.escaping import sanitize_line
from autonoma_ci.models import MAX_VALUE_CHARS
from autonoma_ci.yaml_subset.document import Document, LimitExceededError
from autonoma_ci.yaml_subset.misleading import find_misleading_character

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.yaml_subset.document import KeyPath, Tree

# Bytes of a file, levels, and nodes once every alias is expanded: far beyond any manifest.
MAX_YAML_BYTES = 4 * 1024 * 1024
MAX_YAML_DEPTH = 20
MAX_YAML_NODES = 100_000

# Problems that are shown with their line: more fill a log, and each takes time in a large file.
_EXCERPTS = 10
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _Anchored:
    value: Tree
    nodes: int
    height: int


def parse_yaml(text: str, file: str) -> Document:
    """Return the document in `text`; problems are in it, and a tree of None goes with at least one of them.

    `file` is empty for the text of an option, of which no message shows anything.
    """
    document = Document(file)
    try:
        for problem, place in find_misleading_character(text):
            document.add_error_at(problem, place)
        if not document.errors:
            _Builder(document, text, yaml.parse(text, Loader=_LOADER)).build()
    except yaml.MarkedYAMLError as error:
        # Loaded only now, since most manifests are valid. The same holds below.
        from autonoma_ci.yaml_subset.errors import explain_error

        document.errors.append(explain_error(text, error, file))
        document.tree = None
    except (yaml.YAMLError, ValueError):
        from autonoma_ci.yaml_subset.errors import explain_character

        document.errors.append(explain_character(text, file))
        document.tree = None
    except LimitExceededError:
        document.tree = None
    _add_excerpts(document, text)
    return document


def _add_excerpts(document: Document, text: str) -> None:
    """Give the first problems the line of the text with a caret."""
    if not document.errors:
        return
    # Loaded only now, since most manifests are valid.
    from autonoma_ci.yaml_subset.excerpt import build_excerpt

    lines = text.split("\n")
    for index, problem in enumerate(document.errors[:_EXCERPTS]):
        if problem.line and not problem.excerpt:
            excerpt = build_excerpt(lines, problem.line - 1, problem.column - 1, is_secret=not document.file)
            document.errors[index] = problem._replace(excerpt=excerpt)


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


class _Builder:
    """Builds the tree from the events; recursion is bounded by DEPTH_LIMIT."""

    def __init__(self, document: Document, text: str, events: Iterator[yaml.Event]) -> None:
        self.document = document
        self.text = text
        self.events = events
        self.anchors: dict[str, _Anchored | None] = {}
        self.nodes = 0

    def build(self) -> None:
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document starts here: keep one, and remove the line ---")
            elif isinstance(event, yaml.NodeEvent):
                self.document.positions[()] = _place(event)
                self.document.tree, _ = self._node(event, (), 1)

    def _stop(self, event: yaml.Event, text: str) -> None:
        self._tell(event, text)
        raise LimitExceededError

    def _tell(self, event: yaml.Event, text: str) -> None:
        self.document.add_error_at(text, _place(event))

    def _count(self, event: yaml.Event, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_YAML_NODES:
            self._stop(event, f"more than {MAX_YAML_NODES:,} entries once aliases are expanded: split the file")
        if depth > MAX_YAML_DEPTH:
            self._stop(event, f"nested more than {MAX_YAML_DEPTH} levels deep: flatten it")

    def _node(self, event: Any, path: KeyPath, depth: int) -> tuple[Tree, int]:
        """Return the value that starts with this event, and how many levels it has. The caller has kept its place."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        # All others have a tag and an anchor, but no type says so.
        self._count(event, 1, depth)
        if event.tag is not None:
            self._tell(
                event,
                "a tag (a word after `!`) is not allowed: put the value in quotes; every value is text as written",
            )
        if not event.anchor:
            return self._content(event, path, depth)
        self.anchors[event.anchor] = None
        before = self.nodes
        value, height = self._content(event, path, depth)
        self.anchors[event.anchor] = _Anchored(value, self.nodes - before + 1, height)
        return value, height

    def _content(self, event: yaml.Event, path: KeyPath, depth: int) -> tuple[Tree, int]:
        if isinstance(event, yaml.ScalarEvent):
            return self._text(event), 1
        return self._list(path, depth) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(path, depth)

    def _text(self, event: yaml.ScalarEvent) -> str | None:
        if not event.style and event.value in _NULLS and event.tag is None:
            return None
        if len(event.value) > MAX_VALUE_CHARS:
            self._tell(event, f"a text of more than {MAX_VALUE_CHARS // 1024} KiB: nothing here may be as long")
            return "x"  # so that one mistake is told once
        text: str = event.value
        return text

    def _alias(self, event: yaml.AliasEvent, depth: int) -> tuple[Tree, int]:
        target = self.anchors.get(event.anchor or "")
        if target is None:
            self._stop(
                event, "an alias (a word after `*`) names no anchor that is complete before it: quote what is text"
            )
            raise LimitExceededError
        self._count(event, target.nodes, depth + target.height - 1)
        return target.value, target.height

    def _list(self, path: KeyPath, depth: int) -> tuple[Tree, int]:
        items: list[Tree] = []
        height = 1
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            at = (*path, len(items))
            self.document.positions.setdefault(at, _place(event))
            item, levels = self._node(event, at, depth + 1)
            items.append(item)
            if levels >= height:
                height = levels + 1
        return items, height

    def _mapping(self, path: KeyPath, depth: int) -> tuple[Tree, int]:
        found: dict[str, Tree] = {}
        merged: dict[str, Tree] = {}
        lines: dict[str, int] = {}
        height = 1
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event)
            at, place = (*path, key), _place(event)
            self.document.positions.setdefault(at, place)
            after = next(self.events)
            value, levels = self._node(after, at, depth + 1)
            if levels >= height:
                height = levels + 1
            if value is None and not self._has_colon(event, after):
                # Not named: it can be what follows the comma of a value, as in {A: b, c}.
                self._tell(event, "a word without a colon: put a value with a comma in quotes, or write `key: value`")
                continue
            if key in lines:
                self._tell(event, f"'{sanitize_line(key, 60)}' is given twice, first on line {lines[key]}: remove one")
            lines.setdefault(key, place[0])
            if key == "<<" and not getattr(event, "style", None):
                self._merge(event, value, merged)
            else:
                found[key] = value
        # Keys that stand in the mapping itself win over merged ones, wherever they stand.
        return {**merged, **found}, height

    def _has_colon(self, key: yaml.Event, value: yaml.Event) -> bool:
        """Return whether the empty value of a key stands behind a colon."""
        if not isinstance(value, yaml.ScalarEvent) or value.value:
            return True
        # An empty value has the place of what follows it.
        begin, end = key.end_mark, value.start_mark
        return not begin or not end or ":" in self.text[begin.index : end.index]

    def _key(self, event: yaml.Event) -> str:
        if isinstance(event, yaml.ScalarEvent):
            if event.tag is not None:
                self._tell(event, "a tag on a key is not allowed: remove it")
            return event.value
        if isinstance(event, yaml.AliasEvent):
            target = self.anchors.get(event.anchor or "")
            if target and isinstance(target.value, str):
                return target.value
        self._stop(event, "a key must be plain text: put a value that begins with {, [ or ? in quotes")
        return ""

    def _merge(self, event: yaml.Event, value: Tree, merged: dict[str, Tree]) -> None:
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                self._tell(event, "<< merges mappings: give it an alias of a mapping, or a list of them")
                continue
            self._count(event, len(source), 1)
            for key, item in source.items():
                merged.setdefault(key, item)
