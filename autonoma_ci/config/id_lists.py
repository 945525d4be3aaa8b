"""Parse lists of ids.

An option holds a list as lines, as words, as links of the app, or as a JSON array.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from autonoma_ci.config.parsers import (
    ASCII_WHITESPACE,
    NamedId,
    explain_invalid_id,
    id_error,
    split_lines,
    strip_link_secrets,
)
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.startup import NamedTuple
from autonoma_ci.urls import parse_url

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# The origin of the app, unless `api-url` names another server.
APP_ORIGIN = "https://autonoma.app"
# The option for links of each kind, by the first segment of the link's path.
_OPTION_BY_KIND = {"test": "test-ids", "folder": "folder-ids", "tag": "tag-ids"}
# The parts of a line. Quotes count only at the start of a label or an id, so an apostrophe is an ordinary character.
# A link can follow a bracket. A comma ends a link, except in its query, where the comma becomes an error.
_LINE_PART_PATTERN = r"""(?xis)
      (?P<quoted> (?<![^\s,=]) (?: "[^"]*" | '[^']*' ) (?= \s* (?: [=,] | $ ) | \s+ \# ) )
    | (?P<link>   (?<![^\s,=<("']) https?:// [^\s,?#]* (?: [?#] (?: (?! , (?: https?:// | \s | $ ) ) \S )* )? )
    | (?P<comment> (?<!\S) \# .* )
    | (?P<comma>  , )
    | (?P<text>   [^\s,#"'hH]+ | \s+ | . )
    """
# Characters that make a line more than an id. The patterns below stay texts, because compiling them takes
# milliseconds and most lists do not need them.
_SPECIAL_CHARS = frozenset("#\"',=:")
_LINK_PATTERN = "(?i)https?://"
_LINK_WITHOUT_SCHEME_PATTERN = r"[\w-]+(?:\.[\w-]+)+(?::\d+)?/\w"
_PATH_PATTERN = r"/(test|folder|tag)/([A-Za-z0-9_-]{1,128})"
# At least 16 characters with a digit. Other words can be a part of a label. Ids of Autonoma have 24 or 25 characters.
_UNMISTAKABLE_ID_PATTERN = r"(?=.*[0-9]).{16,}"
# A label such as `[smoke] Checkout`. It looks like the start of a JSON array.
_LABEL_IN_BRACKETS_PATTERN = r"""\[[^\]\n"']*\][^\n,=]*="""
_WORD_PATTERN = f"[^{ASCII_WHITESPACE}]+"
_LABEL_PATTERN = r"[\w .'#:-]{0,60}[^\W\d_][\w .'#:-]{0,60}"
# An id of Autonoma in a comment before another comment. YAML's `>` joins lines so.
_ID_IN_COMMENT_PATTERN = r"\s(?=[a-z]*[0-9])[a-z0-9]{24,25}\s+#"
_YAML_PAIR_PATTERN = r"[\w .-]{1,60}:\s+\S.*"
_UNREPLACED_VARIABLE_PATTERN = r"\$[({]|\{\{|\$[A-Z_]+$|%[A-Z_]+%"
_JSON_TYPE_NAMES = {bool: "true or false", int: "a number", float: "a number", list: "an array", dict: "an object"}


class _Entry(NamedTuple):
    """One entry of a line."""

    text: str
    # Index of the last `=` outside of quotes and links, or -1.
    equals_index: int

    @property
    def label(self) -> str:
        return _unquote(self.text[: max(self.equals_index, 0)])

    @property
    def is_label_quoted(self) -> bool:
        return self.label != self.text[: max(self.equals_index, 0)].strip(ASCII_WHITESPACE)

    @property
    def value(self) -> str:
        return self.text[self.equals_index + 1 :].strip(ASCII_WHITESPACE)


def _split_line(line: str, *, is_single_entry: bool = False) -> tuple[list[_Entry], str]:
    """Return the non-empty entries of a line and its comment.

    With `is_single_entry`, commas and `#` are ordinary characters of one entry.
    """
    if _SPECIAL_CHARS.isdisjoint(line):
        return [_Entry(line, -1)] if line.strip(ASCII_WHITESPACE) else [], ""
    entries: list[_Entry] = []
    start, equals, comment, end = 0, -1, "", len(line)
    for token in re.finditer(_LINE_PART_PATTERN, line):
        kind = token.lastgroup
        if kind == "comment" and not is_single_entry:
            comment, end = token[0], token.start()
            break
        if kind == "comma" and not is_single_entry:
            entries.append(_Entry(line[start : token.start()], equals))
            start, equals = token.end(), -1
        elif kind not in {"quoted", "link"} and "=" in token[0]:
            equals = token.start() + token[0].rindex("=") - start
    entries.append(_Entry(line[start:end], equals))
    return [entry for entry in entries if entry.text.strip(ASCII_WHITESPACE)], comment


class _InvalidIdError(Exception):
    """An entry has no valid id. Its text is the reason."""


class _ListParser:
    """Collects the entries and problems of one list."""

    def __init__(self, option: str, origins: Collection[str]) -> None:
        self._option, self._origins = option, origins
        self.entries: list[NamedId] = []
        self.problems: list[str] = []

    def parse_array(self, text: str) -> None:
        """Parse a JSON array of strings."""
        # Imported here, because most lists are not arrays.
        import json

        try:
            # Numbers are not ids, and converting a long number takes time.
            members = json.loads(text, parse_int=lambda _: 0, parse_float=lambda _: 0.0)
        except RecursionError:
            self.problems.append('invalid JSON array: nested too deeply. Write ["ID", "ID"].')
            return
        except ValueError as error:
            location = (
                f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            )
            advice = 'Write ["ID", "ID"] with double quotes, or the ids without brackets, one per line.'
            self.problems.append(f"invalid JSON array{location}. {advice}")
            return
        for number, member in enumerate(members, 1):
            where = f"member {number}: "
            if isinstance(member, str):
                self._parse_member(member, where)
            else:
                kind = _JSON_TYPE_NAMES.get(type(member), "null")
                self.problems.append(f'{where}invalid id: {kind}. Write each id as a string, such as ["ID", "ID"].')

    def _parse_member(self, text: str, where: str) -> None:
        entries, _ = _split_line(text, is_single_entry=True)
        if not entries:
            self.problems.append(where + explain_invalid_id(""))
        for entry in entries:
            self._add_entry(entry.label, entry.value, where)

    def parse_lines(self, text: str) -> None:
        r"""Parse lines of entries.

        Lines end as in editors, at `\n` or `\r\n` only.
        """
        lines = split_lines(text)
        for number, line in enumerate(lines, 1):
            self._parse_line(line, f"line {number}: " if len(lines) > 1 else "")

    def _parse_line(self, line: str, where: str) -> None:
        stripped = line.strip(ASCII_WHITESPACE)
        if stripped == "-":
            self.problems.append(where + explain_invalid_id(""))
            return
        if stripped.startswith(("- ", "-\t")):
            # An entry of a YAML list.
            line = stripped[1:]
        entries, comment = _split_line(line)
        if problem := _explain_ambiguity(entries, comment):
            self.problems.append(f"{where}{_quote(line, 30)}: {problem}")
            return
        for entry in entries:
            if entry.equals_index < 0:
                self._parse_unlabeled(entry.value, where)
            else:
                self._add_entry(entry.label, entry.value, where)

    def _parse_unlabeled(self, text: str, where: str) -> None:
        """Parse an entry without a label as one or several ids.

        White space separates several ids.
        """
        words = _split_words(text) if text[:1] not in {'"', "'"} else [text]
        if len(words) > 1 and all(map(_is_unmistakable_id, words)):
            for word in words:
                self._add_entry("", word, where)
        else:
            self._add_entry("", text, where)

    def _add_entry(self, label: str, text: str, where: str) -> None:
        text = _unquote(text)
        try:
            text_id = self._parse_link(text) if re.match(_LINK_PATTERN, text) else _parse_id(text, label)
        except _InvalidIdError as error:
            self.problems.append(f"{where}{error}")
        else:
            self.entries.append(NamedId(text_id, label))

    def _parse_link(self, text: str) -> str:
        """Return the id in a link of the app.

        Raises:
            _InvalidIdError: The link has no valid id. The message leaves out the parts of the link that can be secret.

        """
        shown = _quote(text)
        url = parse_url(text)
        if len(_split_words(text)) > 1:
            raise _InvalidIdError(f"text after a link: {shown}. Write each link on its own line.")
        if not url or url.origin not in self._origins:
            origins = " or ".join(sorted(self._origins))
            raise _InvalidIdError(f"link of another site: {shown}. Write the id alone, or a link of {origins}.")
        if "," in text:
            raise _InvalidIdError(f"comma after the '?' or '#' of a link: {shown}. Remove the part from '?' or '#' on.")
        path = url.path.rstrip("/")
        if path == "/run" or path.startswith("/run/"):
            raise _InvalidIdError(f"link of a run: {shown}. Write the link or the id of its test, folder or tag.")
        match = re.fullmatch(_PATH_PATTERN, path)
        if not match:
            raise _InvalidIdError(f"link of another page: {shown}. Write a link with /test/ID, /folder/ID or /tag/ID.")
        if _OPTION_BY_KIND[match[1]] != self._option:
            raise _InvalidIdError(f"link of a {match[1]}: {shown}. Put it into {_OPTION_BY_KIND[match[1]]}.")
        return match[2]


def parse_ids(text: str, option: str = "test-ids", origins: Collection[str] = (APP_ORIGIN,)) -> tuple[NamedId, ...]:
    """Return the entries of a list of ids, duplicates included.

    An empty JSON array and a list of comments give no entries.

    Args:
        text: Entries on lines or between commas, several ids on a line, or a JSON array of strings.
        option: The option that holds the list. It decides which links are valid.
        origins: The origins of the app, as `urls.parse_origin` returns them.

    Raises:
        InputError: With each invalid entry.

    """
    parser = _ListParser(option, origins)
    stripped = text.strip(ASCII_WHITESPACE)
    if stripped.startswith("[") and not re.match(_LABEL_IN_BRACKETS_PATTERN, stripped):
        parser.parse_array(stripped)
    elif stripped.startswith("{") and not stripped.startswith("{{"):
        parser.problems.append('invalid list: a JSON object. Write a JSON array, such as ["ID", "ID"].')
    else:
        parser.parse_lines(text)
    if parser.problems:
        raise InputError(parser.problems)
    return tuple(parser.entries)


def _explain_ambiguity(entries: Sequence[_Entry], comment: str) -> str | None:
    """Return why a line is ambiguous and how to fix it, or None if it is clear."""
    if not entries:
        advice = "Put the label in quotes (\"#5 Pay\" = ID), or a space after the '#' of a comment."
        return f"'#' starts a comment here. {advice}" if _is_commented_entry(comment) else None
    if "=" in comment:
        advice = 'Put the label in quotes ("Checkout #2" = ID), or the comment on its own line.'
        return f"the comment after ' #' contains '='. {advice}"
    if any("#" in entry.label and not entry.is_label_quoted for entry in entries):
        return "the label contains '#'. Put the label in quotes (\"Issue#2\" = ID)."
    if comment and re.search(_ID_IN_COMMENT_PATTERN, comment):
        advice = "Write each entry on its own line (in YAML below '|', not '>')."
        return f"the comment after ' #' contains an id. {advice}"
    labeled_indexes = [index for index, part in enumerate(entries) if part.equals_index >= 0]
    unlabeled_before = entries[: labeled_indexes[-1]] if labeled_indexes else []
    if any(
        part.equals_index < 0 and not all(map(_is_unmistakable_id, _split_words(part.value)))
        for part in unlabeled_before
    ):
        advice = 'Put the label in quotes ("Pay, fast" = ID), or each entry on its own line.'
        return f"the comma before '=' separates two entries. {advice}"
    if any(map(_has_hidden_entry, entries)):
        advice = "Write each entry on its own line (in YAML below '|', not '>'), or the label in quotes."
        return f"the text before the last '=' contains an id. {advice}"
    return None


def _has_hidden_entry(entry: _Entry) -> bool:
    """Return whether an unquoted label holds an id after a `=`.

    Lines that YAML has joined look like this.
    """
    label_text = entry.text[: max(entry.equals_index, 0)]
    if "=" not in label_text or _unquote(label_text) != label_text.strip(ASCII_WHITESPACE):
        return False
    first_words = [_split_words(text)[:1] for text in label_text.split("=")[1:]]
    return any(map(_is_unmistakable_id, chain.from_iterable(first_words)))


def _is_commented_entry(comment: str) -> bool:
    """Return whether a comment is probably an entry.

    The label of such an entry starts with `#` and a number.
    """
    words = _split_words(comment.rpartition("=")[2])
    return bool(re.match(r"#\d", comment)) and "=" in comment and len(words) == 1 and _is_unmistakable_id(words[0])


def _is_unmistakable_id(word: str) -> bool:
    """Return whether a word is a link or looks like an id."""
    return bool(re.match(_LINK_PATTERN, word) or re.fullmatch(_UNMISTAKABLE_ID_PATTERN, word))


def _parse_id(text: str, label: str) -> str:
    """Return an id that is not in a link.

    Raises:
        _InvalidIdError: The id is invalid. The message has advice for the list notations of other tools.

    """
    problem = id_error(text)
    if not problem:
        return text
    if label and not text:
        raise _InvalidIdError(f"missing id: {_quote(label)}. Write an id after '=', or remove the entry.")
    advice = _suggest_fix(text, label) if text else None
    raise _InvalidIdError(f"invalid id: {_quote(text)}. {advice}" if advice else problem)


def _suggest_fix(text: str, label: str) -> str | None:
    """Return advice for an invalid id, or None."""
    head, words = text[:1000], _split_words(text)
    if re.search(_UNREPLACED_VARIABLE_PATTERN, head):
        return "A variable was not replaced. Check how this CI system writes variables."
    if re.fullmatch(_YAML_PAIR_PATTERN, head):
        return "Write the id alone, or label = id, instead of YAML."
    if len(words) > 1 and label:
        return "Spaces are not allowed. Write one id after '=', and each entry on its own line."
    if len(words) > 1:
        is_label = re.fullmatch(_LABEL_PATTERN, " ".join(words[:-1])) and not id_error(words[-1])
        is_label = is_label and "#" not in words and not any(map(_is_unmistakable_id, words[:-1]))
        example = f"{' '.join(words[:-1])} = {words[-1]}" if is_label else "label = id"
        return f"Spaces are not allowed. Write {_quote(example)}, or each id on its own line."
    if re.match(_LINK_WITHOUT_SCHEME_PATTERN, head):
        return "Write a link with https://, or the id alone."
    if "\\n" in head:
        return "Separate ids by commas or line breaks, instead of the two characters '\\n'."
    return "Separate ids by commas or line breaks, instead of ';'." if ";" in head else None


def _split_words(text: str) -> list[str]:
    return re.findall(_WORD_PATTERN, text)


def _quote(text: str, limit: int = 60) -> str:
    return f"'{sanitize_line(strip_link_secrets(text.strip(ASCII_WHITESPACE)), limit)}'"


def _unquote(text: str) -> str:
    text = text.strip(ASCII_WHITESPACE)
    is_quoted = len(text) > 1 and text[0] in "\"'" and text[0] == text[-1] and text.count(text[0]) == 2
    return text[1:-1].strip(ASCII_WHITESPACE) if is_quoted else text
