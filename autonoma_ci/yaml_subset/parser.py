"""Parse a strict subset of YAML into mappings, lists and strings.

A YAML loader turns `1.10` into 1.1 and `no` into False, lets the last of two equal keys win, and can build gigabytes
from a few lines. This parser reads the events of PyYAML instead. Every scalar stays a string exactly as written.
Everything outside the subset is an error with its position. All sizes have limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from autonoma_ci.escaping import sanitize_line
from autonoma_ci.models import MAX_VALUE_CHARS
from autonoma_ci.yaml_subset.document import Document, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.yaml_subset.document import KeyPath, YamlValue

# Limits far beyond any real manifest. Nodes count after every alias is expanded.
MAX_YAML_BYTES = 4 * 1024 * 1024
MAX_YAML_DEPTH = 20
MAX_YAML_NODES = 100_000

# Errors with an excerpt. More excerpts fill a log, and each takes time in a large file.
_MAX_EXCERPTS = 10
_NULL_TEXTS = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE_BREAK_REASON = "editors and YAML disagree about a line break here"
_ORDER_REASON = "changes the order of displayed text"
# Characters that editors and YAML interpret differently: the name of each, its escape in double quotes, and the reason
# against it. YAML 1.1 ends a line, and so a comment, at U+0085, U+2028, U+2029 and a single carriage return (section
# 4.1.4 of https://yaml.org/spec/1.1/). Editors and code hosts show no new line there. Form feed and vertical tab are
# line ends in other programs. Bidirectional controls show text in another order (https://trojansource.codes).
_MISLEADING_CHARACTERS = {
    "\v": ("vertical tab", r"\v", _LINE_BREAK_REASON),
    "\f": ("form feed", r"\f", _LINE_BREAK_REASON),
    "\r": ("carriage return without line feed", r"\r", _LINE_BREAK_REASON),
    "\x85": ("next line", r"\u0085", _LINE_BREAK_REASON),
    "\u2028": ("line separator", r"\u2028", _LINE_BREAK_REASON),
    "\u2029": ("paragraph separator", r"\u2029", _LINE_BREAK_REASON),
    "\u202a": ("left-to-right embedding", r"\u202a", _ORDER_REASON),
    "\u202b": ("right-to-left embedding", r"\u202b", _ORDER_REASON),
    "\u202c": ("pop directional formatting", r"\u202c", _ORDER_REASON),
    "\u202d": ("left-to-right override", r"\u202d", _ORDER_REASON),
    "\u202e": ("right-to-left override", r"\u202e", _ORDER_REASON),
    "\u2066": ("left-to-right isolate", r"\u2066", _ORDER_REASON),
    "\u2067": ("right-to-left isolate", r"\u2067", _ORDER_REASON),
    "\u2068": ("first strong isolate", r"\u2068", _ORDER_REASON),
    "\u2069": ("pop directional isolate", r"\u2069", _ORDER_REASON),
}
_MISLEADING_RE = re.compile("\r(?!\n)|[\v\f\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass
class _Anchored:
    """A value with an anchor, for its aliases."""

    value: YamlValue
    nodes: int  # number of nodes after expansion of aliases
    height: int  # number of levels


def parse_yaml(text: str, file: str) -> Document:
    """Parse a YAML text into a document.

    Args:
        text: The YAML text.
        file: The file's name as messages show it. It is empty for the text of an option, which is never shown.

    Returns:
        The document with its errors. Its tree is None after a syntax error or a passed limit, and for an empty text.
    """
    document = Document(file)
    try:
        for message, position in _find_misleading_characters(text):
            document.add_error_at(message, position)
        if not document.errors:
            _Builder(document, text, yaml.parse(text, Loader=_LOADER)).build()
    except yaml.MarkedYAMLError as error:
        # Imported late here and below, because most manifests are valid.
        from autonoma_ci.yaml_subset.errors import explain_error

        document.errors.append(explain_error(text, error, file))
        document.tree = None
    except (yaml.YAMLError, ValueError):
        from autonoma_ci.yaml_subset.errors import explain_forbidden_character

        document.errors.append(explain_forbidden_character(text, file))
        document.tree = None
    except LimitExceededError:
        document.tree = None
    _add_excerpts(document, text)
    return document


def _find_misleading_characters(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the message and position of each misleading character.

    Line and column count from 1, as in editors.
    """
    line, line_begin = 1, 0
    index = 0
    for match in _MISLEADING_RE.finditer(text):
        line += text.count("\n", index, match.start())
        index = match.start()
        line_begin = text.rfind("\n", line_begin, index) + 1 or line_begin
        name, escape, reason = _MISLEADING_CHARACTERS[match[0]]
        remedy = f'Remove it, or write "{escape}" in double quotes.'
        yield f"{name} (U+{ord(match[0]):04X}): {reason}. {remedy}", (line, index - line_begin + 1)


def _add_excerpts(document: Document, text: str) -> None:
    """Add an excerpt with a caret to the first errors."""
    if not document.errors:
        return
    # Imported late, because most manifests are valid.
    from autonoma_ci.yaml_subset.errors import build_excerpt

    lines = text.split("\n")
    for index, error in enumerate(document.errors[:_MAX_EXCERPTS]):
        if error.line and not error.excerpt:
            excerpt = build_excerpt(lines, error.line - 1, error.column - 1, is_secret=not document.file)
            document.errors[index] = error._replace(excerpt=excerpt)


def _get_position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


class _Builder:
    """Builds the tree from the events of PyYAML.

    `MAX_YAML_DEPTH` limits the recursion.
    """

    def __init__(self, document: Document, text: str, events: Iterator[yaml.Event]) -> None:
        self.document = document
        self.text = text
        self.events = events
        self.anchors: dict[str, _Anchored | None] = {}
        self.node_count = 0

    def build(self) -> None:
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._abort(event, "a second document starts here. Use one document, and remove the line ---.")
            elif isinstance(event, yaml.NodeEvent):
                self.document.positions[()] = _get_position(event)
                self.document.tree, _ = self._build_node(event, (), 1)

    def _abort(self, event: yaml.Event, message: str) -> NoReturn:
        self._add_error(event, message)
        raise LimitExceededError

    def _add_error(self, event: yaml.Event, message: str) -> None:
        self.document.add_error_at(message, _get_position(event))

    def _count_nodes(self, event: yaml.Event, added_nodes: int, depth: int) -> None:
        self.node_count += added_nodes
        if self.node_count > MAX_YAML_NODES:
            self._abort(event, f"more than {MAX_YAML_NODES:,} entries after the expansion of aliases. Split the file.")
        if depth > MAX_YAML_DEPTH:
            self._abort(event, f"nested more than {MAX_YAML_DEPTH} levels deep. Use fewer levels.")

    def _build_node(self, event: Any, path: KeyPath, depth: int) -> tuple[YamlValue, int]:
        """Build the value of an event, and count its levels.

        The caller has stored its position.
        """
        if isinstance(event, yaml.AliasEvent):
            return self._resolve_alias(event, depth)
        # All other events have a tag and an anchor, but the type of PyYAML lacks these attributes.
        self._count_nodes(event, 1, depth)
        if event.tag is not None:
            self._add_error(
                event,
                "a tag (`!` and a word) is not supported, because all values are strings. Put the value in quotes.",
            )
        if not event.anchor:
            return self._build_content(event, path, depth)
        self.anchors[event.anchor] = None
        previous_count = self.node_count
        value, height = self._build_content(event, path, depth)
        self.anchors[event.anchor] = _Anchored(value, self.node_count - previous_count + 1, height)
        return value, height

    def _build_content(self, event: yaml.Event, path: KeyPath, depth: int) -> tuple[YamlValue, int]:
        if isinstance(event, yaml.ScalarEvent):
            return self._build_text(event), 1
        return (
            self._build_list(path, depth)
            if isinstance(event, yaml.SequenceStartEvent)
            else self._build_mapping(path, depth)
        )

    def _build_text(self, event: yaml.ScalarEvent) -> str | None:
        if not event.style and event.value in _NULL_TEXTS and event.tag is None:
            return None
        if len(event.value) > MAX_VALUE_CHARS:
            self._add_error(event, f"a string is longer than {MAX_VALUE_CHARS // 1024} KiB. Shorten it.")
            return "x"  # a valid text, so that one mistake is reported once
        if event.tag is not None and not event.value:
            return "x"  # as above. The tag is the whole value, such as `!**/*.md` without quotes.
        text: str = event.value
        return text

    def _resolve_alias(self, event: yaml.AliasEvent, depth: int) -> tuple[YamlValue, int]:
        target = self.anchors.get(event.anchor or "")
        if target is None:
            self._abort(
                event,
                "unknown alias (`*` and a word). Define its anchor in an earlier value, or put a string in quotes.",
            )
        self._count_nodes(event, target.nodes, depth + target.height - 1)
        return target.value, target.height

    def _build_list(self, path: KeyPath, depth: int) -> tuple[YamlValue, int]:
        items: list[YamlValue] = []
        height = 1
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            item_path = (*path, len(items))
            self.document.positions.setdefault(item_path, _get_position(event))
            item, item_height = self._build_node(event, item_path, depth + 1)
            items.append(item)
            if item_height >= height:
                height = item_height + 1
        return items, height

    def _build_mapping(self, path: KeyPath, depth: int) -> tuple[YamlValue, int]:
        result: dict[str, YamlValue] = {}
        merged: dict[str, YamlValue] = {}
        first_lines: dict[str, int] = {}
        height = 1
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._read_key(event)
            value_path, position = (*path, key), _get_position(event)
            self.document.positions.setdefault(value_path, position)
            value_event = next(self.events)
            value, value_height = self._build_node(value_event, value_path, depth + 1)
            if value_height >= height:
                height = value_height + 1
            if value is None and not self._has_colon(event, value_event):
                # The message omits the key, because it can be a part of a value with a comma, as in {A: b, c}.
                self._add_error(
                    event, "a word without a colon. Put a value with a comma in quotes, or write `key: value`."
                )
                continue
            if key in first_lines:
                self._add_error(
                    event, f"duplicate key: '{sanitize_line(key, 60)}', first on line {first_lines[key]}. Remove one."
                )
            first_lines.setdefault(key, position[0])
            if key == "<<" and not getattr(event, "style", None):
                self._merge_into(event, value, merged)
            else:
                result[key] = value
        # Keys of the mapping itself override merged ones, in any order.
        return {**merged, **result}, height

    def _has_colon(self, key: yaml.Event, value: yaml.Event) -> bool:
        """Return whether there is a colon between a key and its value."""
        if not isinstance(value, yaml.ScalarEvent) or value.value:
            return True
        # An empty value has the position of the text after it.
        begin, end = key.end_mark, value.start_mark
        return not begin or not end or ":" in self.text[begin.index : end.index]

    def _read_key(self, event: yaml.Event) -> str:
        if isinstance(event, yaml.ScalarEvent):
            if event.tag is not None:
                self._add_error(event, "a tag on a key is not supported. Remove it.")
            return event.value
        target = self.anchors.get(event.anchor or "") if isinstance(event, yaml.AliasEvent) else None
        if not target or not isinstance(target.value, str):
            self._abort(event, "a key must be a string. Put a value that begins with {, [ or ? in quotes.")
        return target.value

    def _merge_into(self, event: yaml.Event, value: YamlValue, merged: dict[str, YamlValue]) -> None:
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                self._add_error(event, "`<<` needs a mapping. Use an alias of a mapping, or a list of such aliases.")
                continue
            self._count_nodes(event, len(source), 1)
            for key, item in source.items():
                merged.setdefault(key, item)
