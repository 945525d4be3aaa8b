"""Lists of ids as options give them: lines, words, links of the app, or a JSON array."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from autonoma_ci.config.parsers import ASCII_WHITESPACE, NamedId, id_error, strip_link_secrets
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# Where the app is, unless `api-url` names another server.
APP_SITE = "https://autonoma.app"
# The option that takes links of each kind, by the first part of their path.
_OPTIONS = {"test": "test-ids", "folder": "folder-ids", "tag": "tag-ids"}
_PORTS = {"http": 80, "https": 443}
# What a line is made of. Quotes count at the begin of a label or an id only, so that an apostrophe is an ordinary
# character. A link can follow a bracket. It ends before a comma, but its query may hold one, which is told as a
# mistake.
_PIECE = r"""(?xis)
      (?P<quoted> (?<![^\s,=]) (?: "[^"]*" | '[^']*' ) (?= \s* (?: [=,] | $ ) | \s+ \# ) )
    | (?P<link>   (?<![^\s,=<("']) https?:// [^\s,?#]* (?: [?#] (?: (?! , (?: https?:// | \s | $ ) ) \S )* )? )
    | (?P<comment> (?<!\S) \# .* )
    | (?P<comma>  , )
    | (?P<text>   [^\s,#"'hH]+ | \s+ | . )
    """
# What a line has where it is more than an id. The patterns are texts, since most lists do not need them, and to compile
# them takes milliseconds.
_SPECIAL = frozenset("#\"',=:")
_LINK = "(?i)https?://"
_LINK_WITHOUT_SCHEME = r"[\w-]+(?:\.[\w-]+)+(?::\d+)?/\w"
_PATH = r"/(test|folder|tag)/([A-Za-z0-9_-]{1,128})"
# A shorter word, or one without a digit, can be a part of a label. The ids of Autonoma have 24 or 25 characters.
_UNMISTAKABLE = r"(?=.*[0-9]).{16,}"
# A label such as `[smoke] Checkout`, which is not the begin of a JSON array.
_LABEL_IN_BRACKETS = r"""\[[^\]\n"']*\][^\n,=]*="""
_WORD = f"[^{ASCII_WHITESPACE}]+"
_LABEL = r"[\w .'#:-]{0,60}[^\W\d_][\w .'#:-]{0,60}"
# An id of Autonoma in a comment, and one more comment: lines that YAML's `>` has joined.
_ID_IN_COMMENT = r"\s(?=[a-z]*[0-9])[a-z0-9]{24,25}\s+#"
_YAML_PAIR = r"[\w .-]{1,60}:\s+\S.*"
_NOT_REPLACED = r"\$[({]|\{\{|\$[A-Z_]+$|%[A-Z_]+%"
_JSON_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "an array", dict: "an object"}


class _Part(NamedTuple):
    """One entry of a line: its text, and where the last `=` outside of quotes and links is, or -1."""

    text: str
    equals: int

    @property
    def label(self) -> str:
        return _unquoted(self.text[: max(self.equals, 0)])

    @property
    def is_label_quoted(self) -> bool:
        return self.label != self.text[: max(self.equals, 0)].strip(ASCII_WHITESPACE)

    @property
    def value(self) -> str:
        return self.text[self.equals + 1 :].strip(ASCII_WHITESPACE)


def _split(line: str, *, is_whole: bool = False) -> tuple[list[_Part], str]:
    """Return the entries of a line that are not empty, and its comment.

    With `is_whole`, the line is one entry: a comma and a `#` are ordinary characters.
    """
    if _SPECIAL.isdisjoint(line):
        return [_Part(line, -1)] if line.strip(ASCII_WHITESPACE) else [], ""
    parts: list[_Part] = []
    begin, equals, comment, end = 0, -1, "", len(line)
    for found in re.finditer(_PIECE, line):
        kind = found.lastgroup
        if kind == "comment" and not is_whole:
            comment, end = found[0], found.start()
            break
        if kind == "comma" and not is_whole:
            parts.append(_Part(line[begin : found.start()], equals))
            begin, equals = found.end(), -1
        elif kind not in {"quoted", "link"} and "=" in found[0]:
            equals = found.start() + found[0].rindex("=") - begin
    parts.append(_Part(line[begin:end], equals))
    return [part for part in parts if part.text.strip(ASCII_WHITESPACE)], comment


class _Reader:
    """Collects entries and problems."""

    def __init__(self, option: str, sites: Collection[str]) -> None:
        self._option, self._sites = option, sites
        self.entries: list[NamedId] = []
        self.problems: list[str] = []

    def read_array(self, text: str) -> None:
        """Read a JSON array of texts."""
        # Loaded only where there is an array.
        import json

        try:
            # No number is an id, and a long one takes time.
            members = json.loads(text, parse_int=lambda _: 0, parse_float=lambda _: 0.0)
        except RecursionError:
            self.problems.append('invalid JSON array: it is nested too deeply: write ["ID", "ID"]')
            return
        except ValueError as error:
            place = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            cure = 'write ["ID", "ID"] with double quotes, or the ids without brackets, one per line'
            self.problems.append(f"invalid JSON array{place}: {cure}")
            return
        for number, member in enumerate(members, 1):
            where = f"member {number}: "
            if isinstance(member, str):
                self._read_member(member, where)
            else:
                kind = _JSON_KINDS.get(type(member), "null")
                self.problems.append(f'{where}{kind} is not an id: write each id as a text, such as ["ID", "ID"]')

    def _read_member(self, text: str, where: str) -> None:
        parts, _ = _split(text, is_whole=True)
        if not parts:
            self.problems.append(where + id_error(""))
        for part in parts:
            self._add(part.label, part.value, where)

    def read_lines(self, text: str) -> None:
        """Read lines of entries, each line as editors show it."""
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        for number, line in enumerate(lines, 1):
            self._read_line(line, f"line {number}: " if len(lines) > 1 else "")

    def _read_line(self, line: str, where: str) -> None:
        stripped = line.strip(ASCII_WHITESPACE)
        if stripped == "-":
            self.problems.append(where + id_error(""))
            return
        if stripped.startswith(("- ", "-\t")):
            # An entry of a YAML list.
            line = stripped[1:]
        parts, comment = _split(line)
        if why := _why_ambiguous(parts, comment):
            self.problems.append(f"{where}{_shown(line, 30)}: {why}")
            return
        for part in parts:
            if part.equals < 0:
                self._read_words(part.value, where)
            else:
                self._add(part.label, part.value, where)

    def _read_words(self, text: str, where: str) -> None:
        """Read an entry without a label: one id, or several between spaces."""
        words = _words(text) if text[:1] not in {'"', "'"} else [text]
        if len(words) > 1 and all(map(_is_unmistakable, words)):
            for word in words:
                self._add("", word, where)
        else:
            self._add("", text, where)

    def _add(self, label: str, text: str, where: str) -> None:
        text = _unquoted(text)
        text_id, why = self._of_link(text) if re.match(_LINK, text) else (text, _why_no_id(text, label))
        if why:
            self.problems.append(where + why)
        self.entries.append(NamedId(text_id, label))

    def _of_link(self, text: str) -> tuple[str, str]:
        """Return the id in a link of the app, and why there is none; what may be secret in the link is not shown."""
        shown = _shown(text)
        site = parse_site(text)
        if len(_words(text)) > 1:
            return "", f"{shown} is followed by more words: write each link on a line of its own"
        if not site or site not in self._sites:
            return "", f"{shown} is not a link of {' or '.join(sorted(self._sites))}: give the id alone"
        if "," in text:
            return "", f"{shown}: a comma follows the '?' or '#' of the link: remove all from there on"
        path = urlsplit(text).path.rstrip("/")
        if path == "/run" or path.startswith("/run/"):
            return "", f"{shown} is the link of a run: give the link or the id of its test, folder or tag"
        found = re.fullmatch(_PATH, path)
        if not found:
            return "", f"{shown} is the link of another page: give a link with /test/ID, /folder/ID or /tag/ID"
        if _OPTIONS[found[1]] != self._option:
            return "", f"{shown} is the link of a {found[1]}: put it into {_OPTIONS[found[1]]}"
        return found[2], ""


def parse_ids(text: str, option: str = "test-ids", sites: Collection[str] = (APP_SITE,)) -> tuple[NamedId, ...]:
    """Return the entries of a list of ids, duplicates included.

    An empty JSON array gives no entries, as does a list of comments.

    Args:
        text: Entries on lines or between commas, several ids on a line, or a JSON array of texts.
        option: The option that has the list. It decides which links are taken.
        sites: The origins of the app, as `site_of` returns them.

    Raises:
        InputError: With each entry that is invalid.

    """
    reader = _Reader(option, sites)
    stripped = text.strip(ASCII_WHITESPACE)
    if stripped.startswith("[") and not re.match(_LABEL_IN_BRACKETS, stripped):
        reader.read_array(stripped)
    elif stripped.startswith("{") and not stripped.startswith("{{"):
        reader.problems.append('a JSON object is not a list of ids: write a JSON array, such as ["ID", "ID"]')
    else:
        reader.read_lines(text)
    if reader.problems:
        raise InputError(reader.problems)
    return tuple(reader.entries)


def parse_site(url: str) -> str:
    """Return scheme, host and port of a URL in one spelling; empty if it has none, or a user name."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return ""
    if not host or "@" in parts.netloc:
        return ""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}" + (f":{port}" if port not in {None, _PORTS.get(parts.scheme)} else "")


def _why_ambiguous(parts: Sequence[_Part], comment: str) -> str:
    """Return why a line may mean something else than it says, with the cure; empty if it is clear."""
    if not parts:
        cure = "put the label in quotes (\"#5 Pay\" = ID), or a space after the '#' of a comment"
        return f"'#' starts a comment here; {cure}" if _is_entry(comment) else ""
    if "=" in comment:
        cure = 'put the label in quotes ("Checkout #2" = ID), or the comment on its own line'
        return f"' #' starts a comment, which cuts off '='; {cure}"
    if any("#" in part.label and not part.is_label_quoted for part in parts):
        return "a label may hold '#' only in quotes; put the label in quotes (\"Issue#2\" = ID)"
    if re.search(_ID_IN_COMMENT, comment):
        cure = "write each entry on a line of its own (in YAML below '|', not '>')"
        return f"' #' starts a comment, which cuts off an id; {cure}"
    labelled = [place for place, part in enumerate(parts) if part.equals >= 0]
    before = parts[: labelled[-1]] if labelled else []
    if any(part.equals < 0 and not all(map(_is_unmistakable, _words(part.value))) for part in before):
        cure = 'put the label in quotes ("Pay, fast" = ID), or each entry on its own line'
        return f"the comma separates entries before '='; {cure}"
    if any(map(_holds_entries, parts)):
        cure = "write each entry on a line of its own (in YAML below '|', not '>'), or the label in quotes"
        return f"an id stands before the last '='; {cure}"
    return ""


def _holds_entries(part: _Part) -> bool:
    """Return whether a label that is not in quotes has an id behind a `=`, as lines have that YAML has joined."""
    before = part.text[: max(part.equals, 0)]
    if "=" not in before or _unquoted(before) != before.strip(ASCII_WHITESPACE):
        return False
    firsts = [_words(text)[:1] for text in before.split("=")[1:]]
    return any(map(_is_unmistakable, chain.from_iterable(firsts)))


def _is_entry(comment: str) -> bool:
    """Return whether a comment is more likely an entry, whose label begins with `#` and a number."""
    words = _words(comment.rpartition("=")[2])
    return bool(re.match(r"#\d", comment)) and "=" in comment and len(words) == 1 and _is_unmistakable(words[0])


def _is_unmistakable(word: str) -> bool:
    return bool(re.match(_LINK, word) or re.fullmatch(_UNMISTAKABLE, word))


def _why_no_id(text: str, label: str) -> str:
    """Return why a text is not an id, with the cure for how people write lists elsewhere; empty if it is one."""
    why = id_error(text)
    if label and not text:
        return f"{_shown(label)} has no id: write an id after '=', or remove the entry"
    cure = _cure(text, label) if why and text else ""
    return f"{_shown(text)} is not an id: {cure}" if cure else why


def _cure(text: str, label: str) -> str:
    """Return what to do about a text that is not an id; empty if nothing special is to be said."""
    head, words = text[:1000], _words(text)
    if re.search(_NOT_REPLACED, head):
        return "a variable in it was not replaced; check how this CI system writes variables"
    if re.fullmatch(_YAML_PAIR, head):
        return "it looks like YAML; write the id alone, or label = id"
    if len(words) > 1 and label:
        return "it holds a space; write one id after '=', and each entry on its own line"
    if len(words) > 1:
        is_label = re.fullmatch(_LABEL, " ".join(words[:-1])) and not id_error(words[-1])
        is_label = is_label and "#" not in words and not any(map(_is_unmistakable, words[:-1]))
        example = f"{' '.join(words[:-1])} = {words[-1]}" if is_label else "label = id"
        return f"it holds a space; write {_shown(example)}, or several ids on lines of their own"
    if re.match(_LINK_WITHOUT_SCHEME, head):
        return "write a link with its https://, or the id alone"
    if "\\n" in head:
        return "it holds '\\n' as two characters; separate ids by commas or lines"
    return "it holds ';'; separate ids by commas or lines" if ";" in head else ""


def _words(text: str) -> list[str]:
    return re.findall(_WORD, text)


def _shown(text: str, limit: int = 60) -> str:
    return f"'{sanitize_line(strip_link_secrets(text.strip(ASCII_WHITESPACE)), limit)}'"


def _unquoted(text: str) -> str:
    text = text.strip(ASCII_WHITESPACE)
    is_quoted = len(text) > 1 and text[0] in "\"'" and text[0] == text[-1] and text.count(text[0]) == 2
    return text[1:-1].strip(ASCII_WHITESPACE) if is_quoted else text
