"""Parsers for options and manifest texts, with their error messages.

Most parsers raise InputError for invalid text. The error lists every problem of the text at once. It never repeats
text that can be a secret.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line, strip_query
from autonoma_ci.identity import short_digest
from autonoma_ci.models import (
    CHANGE_NUMBER_RE,
    COMMIT_HASH_RE,
    MAX_FACT_CHARS,
    MAX_VALUE_CHARS,
    NOT_A_BRANCH_RE,
    REF_PREFIX_RE,
    AppVersion,
)
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.startup import NamedTuple, lazy_pattern
from autonoma_ci.urls import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.urls import Url


# Texts, choices and numbers.

# Texts are trimmed of these characters only, because other Unicode white space can be a part of a name.
ASCII_WHITESPACE = " \t\r\n\v\f"
# The values of a boolean option, in lower case.
BOOLEAN_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def parse_text(text: str) -> str:
    """Return the text itself."""
    return text


def parse_bool(text: str) -> bool:
    """Return the value of a boolean option.

    Raises:
        InputError: The text is not in BOOLEAN_WORDS.

    """
    if (value := BOOLEAN_WORDS.get(text.lower())) is not None:
        return value
    raise InputError([f"invalid value: '{sanitize_line(text, 40)}'. Use true or false."])


def parse_choice(choices: tuple[str, ...], text: str) -> str:
    """Return one of the choices in lower case.

    Raises:
        InputError: The text is another value.

    """
    if text.lower() in choices:
        return text.lower()
    raise InputError([f"invalid value: '{sanitize_line(text, 40)}'. Use {', '.join(choices[:-1])} or {choices[-1]}."])


def parse_int(low: int, high: int, text: str) -> int:
    """Return an integer between the bounds, both included.

    Raises:
        InputError: The text is another number or no number.

    """
    if re.fullmatch(r"[0-9]{1,9}", text) and low <= int(text) <= high:
        return int(text)
    raise InputError([f"invalid number: '{sanitize_line(text, 40)}'. Use a whole number from {low} to {high}."])


def _normalize_for_hint(text: str) -> str:
    """Return the text in lower case, without surrounding white space and quotes.

    An error message uses it to recognize what a user meant.
    """
    return text.strip().strip("\"'`").strip().lower()


def is_quoted(text: str) -> bool:
    """Return whether a text is in quotes, as in a shell script."""
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`"


def split_lines(text: str) -> list[str]:
    r"""Return the lines of a text as editors show them.

    Lines end at `\n` or `\r\n` only, so a comment ends where the user sees its end.
    """
    return [line.removesuffix("\r") for line in text.split("\n")]


# Lists of names.

_ENV_PATTERN_RE = lazy_pattern(r"(?:[A-Za-z0-9_*?]|\[!?[A-Za-z0-9_-]+\])+")


def parse_list(text: str) -> tuple[str, ...]:
    """Return the distinct names of a list with commas or line breaks."""
    parts = (part.strip(ASCII_WHITESPACE) for part in re.split(r"[,\n]", text))
    return tuple(dict.fromkeys(part for part in parts if part))


def parse_groups(text: str) -> tuple[str, ...]:
    """Return the distinct names of a list of groups.

    Raises:
        InputError: The text has only separators.

    """
    if groups := parse_list(text):
        return groups
    raise InputError(["missing group. Write the names of groups, or none."])


def parse_patterns(text: str) -> tuple[str, ...]:
    """Return the distinct patterns of a text, one per line.

    Raises:
        InputError: The text has only line breaks and white space.

    """
    if patterns := tuple(dict.fromkeys(filter(None, (line.strip(ASCII_WHITESPACE) for line in split_lines(text))))):
        return patterns
    raise InputError(["missing pattern. Write one name, id or pattern per line."])


class PathList(NamedTuple):
    """The paths of the option `changed-files`."""

    paths: tuple[str, ...]
    # Whether each text is exactly one path, as in a JSON array. A line can list several paths by mistake.
    is_exact: bool = False


def parse_changed_files(text: str) -> str | PathList:
    """Return `auto`, `all`, `@` with the path of a file, or a list of paths.

    A list has one path per line, or it is a JSON array of strings.

    Raises:
        InputError: The path of the file is missing, or the JSON array has other values than strings.

    """
    if text.lower() in {"auto", "all"}:
        return text.lower()
    if text == "@":
        raise InputError(["missing path: '@'. Write @ and the path of a file that lists the changed files."])
    if text.startswith("@"):
        return text
    if array := parse_path_array(text):
        return array
    lines = (line.strip(ASCII_WHITESPACE) for line in split_lines(text))
    return PathList(tuple(filter(None, lines)))


def parse_path_array(text: str) -> PathList | None:
    """Return the paths of a JSON array, or None for another text.

    Raises:
        InputError: The array has other values than strings.

    """
    # The name of a file can begin with a bracket too, such as [id].tsx.
    if not (text.startswith("[") and text.endswith("]")):
        return None
    import json

    with suppress(ValueError, RecursionError):
        members = json.loads(text)
        if all(isinstance(member, str) for member in members):
            return PathList(tuple(members), is_exact=True)
        raise InputError(['invalid JSON array: a member is no string. Write each path as a string, ["PATH", "PATH"].'])
    return None


def parse_environment_patterns(text: str) -> tuple[str, ...]:
    """Return names and shell patterns of environment variables.

    The list has commas or line breaks.

    Raises:
        InputError: Entries are invalid or missing. The message never repeats the text after a `=`.

    """
    entries = parse_list(text)
    invalid = [quote_name(re.sub("(?s)=.*", "=…", entry)) for entry in entries if not _ENV_PATTERN_RE.fullmatch(entry)]
    problems = [f"invalid name or pattern: {name}. Write BASE_URL or PREVIEW_*." for name in invalid]
    if problems or not entries:
        raise InputError(problems or ["missing name. Write BASE_URL or PREVIEW_*."])
    return entries


# URLs.

# The vendor's newer product has another API, at this host and below /v1. Its planner reads AUTONOMA_API_URL too.
# Source: documentation of that product.
_OTHER_PRODUCT_HOST = "api.autonoma.app"
_OTHER_PRODUCT_MESSAGE = "URL of another product of Autonoma. Use https://autonoma.app/api."
_OTHER_PRODUCT_HINTS = (
    "The host api.autonoma.app and paths that end in /v1 belong to Autonoma's planner, which accepts bearer keys.",
    "The planner also reads AUTONOMA_API_URL. For a job with both, set --api-url or the input api-url instead.",
)
# Printable ASCII characters without spaces.
_URL_RE = lazy_pattern("[!-~]+")
# How many layers of percent encoding are removed from a path. Deeper layers stay.
_MAX_DECODINGS = 5


def parse_api_base_url(text: str) -> str:
    """Return the API's base URL without a slash at its end.

    The URL is https, or http to a loopback host.

    Raises:
        InputError: The URL is invalid, is not encrypted, or belongs to the vendor's other product. The message never
            repeats credentials.

    """
    url = _parse_url_without_login(text, "Remove them, and set client-id and client-secret.")
    if not url or url.query or url.fragment:
        raise InputError(
            [
                f"invalid URL: '{sanitize_line(strip_query(text), 100)}'. Use a base URL such as https://autonoma.app/api."
            ]
        )
    if unquote(url.host).lower().rstrip(".") == _OTHER_PRODUCT_HOST or _last_segment(url.path) == "v1":
        # The message leaves out the URL, because its path may hold a key of that product.
        raise InputError([" ".join((_OTHER_PRODUCT_MESSAGE, *_OTHER_PRODUCT_HINTS))])
    if url.is_encrypted_or_local:
        return text.rstrip("/")
    raise InputError([f"URL without https: '{sanitize_line(text, 100)}'. Use https to protect the credentials."])


def parse_build_url(text: str) -> str:
    """Return the link to a build.

    Raises:
        InputError: The text is not an http or https URL, or it has more than MAX_FACT_CHARS characters.

    """
    if len(text) > MAX_FACT_CHARS:
        raise InputError([f"the URL is longer than {MAX_FACT_CHARS:,} characters. Use a shorter URL of the build."])
    return parse_http_url("https://ci.example.com/builds/12", text)


def parse_http_url(example: str, text: str) -> str:
    """Return the http or https URL of a page.

    Args:
        example: A valid URL for the error message.
        text: The URL.

    Raises:
        InputError: The text is another URL or no URL. The message leaves out the parts that can be secret.

    """
    url = _parse_url_without_login(text, "Remove them, because logs and reports show the URL.")
    if not url or not url.is_http_or_https:
        raise InputError([f"invalid URL: '{sanitize_line(strip_query(text), 100)}'. Use a URL such as {example}."])
    return text


def _parse_url_without_login(text: str, advice: str) -> Url | None:
    """Return the parts of a URL, or None if the text is another one.

    Raises:
        InputError: The URL holds credentials. `advice` is the end of the message.

    """
    url = parse_url(text)
    # An invalid URL can hold credentials too.
    if url.has_login if url else "@" in text:
        raise InputError([f"the URL holds credentials. {advice}"])
    return url if _URL_RE.fullmatch(text) else None


def _last_segment(path: str) -> str:
    """Return the last path segment as a server may read it.

    The segment is decoded, in lower case, and free of dot segments.
    """
    for _ in range(_MAX_DECODINGS):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    segments: list[str] = []
    for segment in re.split(r"[/\\]", path):
        # Parameters of the segment follow a semicolon (RFC 3986 §3.3).
        name = segment.partition(";")[0].strip()
        if name == "..":
            del segments[-1:]
        elif name not in {"", "."}:
            segments.append(name)
    return segments[-1].lower() if segments else ""


def strip_link_secrets(text: str) -> str:
    """Remove user names, passwords, queries and fragments from links in a text."""
    if "//" not in text:
        return text
    return "".join(map(_strip_one_link, re.split(r"(\s+)", text)))


def _strip_one_link(text: str) -> str:
    before, slashes, rest = text.partition("//")
    # A password can hold `/`, `?` and `#`, which end the host of a valid link. So all before the last `@` is removed.
    _, at, after = rest.rpartition("@")
    return before + slashes + (f"…@{after}" if at else re.split("[?#]", rest, maxsplit=1)[0])


# Durations and sizes.

MAX_DURATION_SECONDS = 24 * 3600.0
_DURATION_RE = re.compile(r"(?:([0-9]{1,6})h)? ?(?:([0-9]{1,6})m)? ?(?:([0-9]{1,6})s)?")
_INVALID_DURATION = "invalid duration"
# Other ways to write a duration, in lower case: 5 minutes, 1.5h, PT10M, 00:10:00. The patterns stay texts, because
# compiling them takes 1 ms and most steps do not need them.
_CLOCK_TIME_PATTERN = r"([0-9]{1,3}):([0-5]?[0-9]):([0-5]?[0-9])"
_AMOUNT_PATTERN = r"([0-9]{1,9}(?:[.,][0-9]{1,9})?)\s*([a-z]*)\s*"
_SECONDS_BY_UNIT = {
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
}
# Seconds of the unit that a number without a unit has after a number with this unit, as in 1h30.
_NEXT_SMALLER_UNIT = {3600.0: 60.0, 60.0: 1.0}
# Other ways to write a size: 30M, 1.5MB, 30 MiB, 20 megabytes.
_OTHER_SIZE_PATTERN = r"([0-9]{1,9}(?:[.,][0-9]{1,9})?)\s*([kmgt])(?:ib?|b|(?:ilo|ega|iga|era)?bytes?)?"
_BYTES_BY_UNIT = {"k": 1000, "m": 1000**2, "g": 1000**3}
MAX_SIZE_BYTES = 100 * 1000**3
# The longest text for which an error message suggests another way to write it.
_MAX_GUESSED_CHARS = 40


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as `90s` or `1h30m`.

    Raises:
        InputError: The text has no unit, has another form, or is outside of 1 second to 24 hours.

    """
    match = _DURATION_RE.fullmatch(text.lower())
    if not match or not any(match.groups()):
        raise InputError([_explain_invalid_duration(text)])
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    duration = hours * 3600 + minutes * 60 + seconds
    if not 1 <= duration <= MAX_DURATION_SECONDS:
        raise InputError([f"out of range: '{sanitize_line(text, 40)}'. Use 1s to 24h."])
    return duration


def _explain_invalid_duration(text: str) -> str:
    """Return the problem of a duration and a valid notation."""
    quoted, cleaned = f"'{sanitize_line(text, 40)}'", _normalize_for_hint(text)
    if re.fullmatch(r"[0-9]{1,9}", cleaned):
        number = int(cleaned)
        suggestions = [f"{number}m for minutes"] if 1 <= number * 60 <= MAX_DURATION_SECONDS else []
        suggestions += [f"{number}s for seconds"] if 1 <= number <= MAX_DURATION_SECONDS else []
        return f"missing unit: {quoted}. {'Write ' + ' or '.join(suggestions) if suggestions else 'Use 1s to 24h'}."
    if re.match(r"[-\u2212]\s*[0-9]", cleaned):
        return f"negative duration: {quoted}. Use 1s to 24h, such as 10m."
    intended = _guess_seconds(cleaned) if len(cleaned) <= _MAX_GUESSED_CHARS and "\n" not in cleaned else None
    if intended is None:
        return f"{_INVALID_DURATION}: {quoted}. Write a number and a unit, such as 90s, 30m, 2h or 1h30m."
    if not 1 <= intended <= MAX_DURATION_SECONDS:
        return f"out of range: {quoted}. Use 1s to 24h."
    if intended != int(intended):
        return f"fraction of a second: {quoted}. Write {_format_as_option(int(intended))}."
    return f"invalid notation: {quoted}. Write {_format_as_option(int(intended))}."


def _guess_seconds(text: str) -> float | None:
    """Return the seconds of a duration in another notation.

    Returns:
        Seconds rounded to milliseconds, or None if the text is not a duration.

    """
    if clock := re.fullmatch(_CLOCK_TIME_PATTERN, text):
        hours, minutes, seconds = clock.groups()
        return int(hours) * 3600.0 + int(minutes) * 60 + int(seconds)
    # The prefix of an ISO 8601 duration.
    text = re.sub("^pt?(?=[0-9])", "", text)
    total, end = 0.0, 0
    unit: float | None = None
    for match in re.finditer(_AMOUNT_PATTERN, text):
        unit = _SECONDS_BY_UNIT.get(match[2]) if match[2] else _NEXT_SMALLER_UNIT.get(unit or 0.0)
        if match.start() != end or unit is None:
            return None
        total += float(match[1].replace(",", ".")) * unit
        end = match.end()
    # Round to milliseconds, because 1.1 * 3600 is 3960.0000000000005.
    return round(total, 3) if end == len(text) > 0 else None


def _format_as_option(seconds: int) -> str:
    """Return seconds in the notation of the option, such as `1h30m`."""
    amounts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in amounts if amount)


def parse_poll_interval(text: str) -> float | None:
    """Return a duration in seconds, or None for `auto`.

    Raises:
        InputError: The text is neither `auto` nor a duration from 1 second to 24 hours.

    """
    if text.lower() == "auto":
        return None
    try:
        return parse_duration(text)
    except InputError as error:
        if _INVALID_DURATION not in str(error):
            raise
        raise InputError([f"{str(error).removesuffix('.')}, or auto."]) from None


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `500KB`, `30MB` or `1GB`.

    One KB has 1000 bytes.

    Raises:
        InputError: The text has another form, or is outside of 1 KB to 100 GB.

    """
    match = re.fullmatch(r"([0-9]{1,9}) ?([kmg])b", text.lower())
    if not match:
        raise InputError([_explain_invalid_size(text)])
    number = int(match[1]) * _BYTES_BY_UNIT[match[2]]
    if not 1000 <= number <= MAX_SIZE_BYTES:
        raise InputError([f"out of range: '{sanitize_line(text, 40)}'. Use 1KB to 100GB."])
    return number


def _explain_invalid_size(text: str) -> str:
    """Return the problem of a size and a valid notation."""
    quoted, cleaned = f"'{sanitize_line(text, 40)}'", _normalize_for_hint(text)
    if re.fullmatch(r"[0-9]{1,9}", cleaned):
        number = int(cleaned)
        suggestions = [
            f"{number}{unit}"
            for unit in ("MB", "KB")
            if 1000 <= number * _BYTES_BY_UNIT[unit[0].lower()] <= MAX_SIZE_BYTES
        ]
        return f"missing unit: {quoted}. {'Write ' + ' or '.join(suggestions) if suggestions else 'Use 1KB to 100GB'}."
    if re.match(r"[-\u2212]\s*[0-9]", cleaned):
        return f"negative size: {quoted}. Use 1KB to 100GB, such as 30MB."
    match = re.fullmatch(_OTHER_SIZE_PATTERN, cleaned) if len(cleaned) <= _MAX_GUESSED_CHARS else None
    if not match:
        return f"invalid size: {quoted}. Write a number and a unit, such as 500KB, 30MB or 1GB."
    intended = float(match[1].replace(",", ".")) * 1000 ** ("kmgt".index(match[2]) + 1)
    if not 1000 <= intended <= MAX_SIZE_BYTES:
        return f"out of range: {quoted}. Use 1KB to 100GB."
    # The largest unit that needs no fraction, rounded down to whole KB.
    number = round(intended) // 1000
    unit = next(unit for unit, size in (("GB", 1000**2), ("MB", 1000), ("KB", 1)) if number % size == 0)
    return f"invalid notation: {quoted}. Write {number // (_BYTES_BY_UNIT[unit[0].lower()] // 1000)}{unit}."


# Shards.

MAX_SHARDS = 1000


class Shard(NamedTuple):
    """One of `total` equal parts of a plan."""

    # 1 for the first part.
    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def parse_shard(text: str) -> Shard | Literal["auto"]:
    """Return a shard such as `2/5`, or the word `auto` in lower case.

    Raises:
        InputError: The text has another form, or the numbers are out of range.

    """
    if text.lower() == "auto":
        return "auto"
    quoted = f"'{sanitize_line(text, 40)}'"
    match = re.fullmatch(r"([0-9]{1,4}) ?/ ?([0-9]{1,4})", text)
    if not match:
        advice = "Write the number of this job and of all jobs, such as 2/5, or auto."
        raise InputError([f"invalid shard: {quoted}. {advice}"])
    number, total = int(match[1]), int(match[2])
    if total == 0 or total > MAX_SHARDS:
        raise InputError([f"number of shards out of range: {quoted}. Use 1 to {MAX_SHARDS}."])
    if not 1 <= number <= total:
        raise InputError([f"unknown shard: {quoted}. Use 1/{total} to {total}/{total}."])
    return Shard(number, total)


# Ids.

ID_RE = re.compile(r"[A-Za-z0-9_-]{1,128}")
# Stands for an id that is unknown here. Valid ids never have this form.
UNKNOWN_ID = "?"
# How messages name invisible characters.
_CHARACTER_NAMES = {
    " ": "a space",
    "\xa0": "a no-break space",
    "\ufeff": "a byte order mark",
    "\u200b": "a zero-width space",
}
_VERSION_KEYS = ["application-id", "version-id"]


class NamedId(NamedTuple):
    """One entry of a list of ids."""

    id: str
    # The label of `label=id`, or empty.
    name: str = ""


def id_error(text: str) -> str | None:
    """Return the problem of an id, or None if it is valid."""
    return None if ID_RE.fullmatch(text) else explain_invalid_id(text)


def explain_invalid_id(text: str) -> str:
    """Return the problem of a text that is not a valid id.

    The message quotes at most 60 characters of the text, without the secrets of links.
    """
    safe_text, head = sanitize_line(strip_link_secrets(text), 60), text[:1000]
    if not text:
        return "missing id. Write an id, or remove the entry."
    if "://" in head:
        return f"invalid id: the URL '{safe_text}'. Write the id alone, the part after /test/, /folder/ or /tag/."
    bad_characters = sorted({_describe_character(c) for c in set(head) if not ID_RE.fullmatch(c)})
    if bad_characters:
        characters = " ".join(bad_characters[:5])
        return f"invalid id: '{safe_text}' contains {characters}. Use only letters, digits, - and _."
    return f"invalid id: '{safe_text}' is longer than 128 characters. Use the id from Autonoma."


def _describe_character(character: str) -> str:
    """Return the text that stands for a character in a message."""
    if name := _CHARACTER_NAMES.get(character):
        return name
    return f"'{character}'" if character.isprintable() else repr(character)[1:-1]


def parse_id(text: str) -> str:
    """Return one id.

    Raises:
        InputError: The text is not a valid id.

    """
    if error := id_error(text):
        raise InputError([error])
    return text


def parse_application_versions(text: str) -> tuple[AppVersion, ...]:
    """Return the pairs of a YAML or JSON list of application versions.

    Each entry has the keys `application-id` and `version-id`.

    Raises:
        InputError: With each problem of the list.

    """
    from autonoma_ci.yaml_subset.inline import parse_option_yaml

    document = parse_option_yaml(text)
    problems = document.errors
    if not isinstance(document.tree, list):
        raise InputError(problems or ["invalid list. Write `- {application-id: ID, version-id: ID}`."])
    versions = []
    for number, entry in enumerate(document.tree):
        line, _ = document.find_position((number,))
        # A list of pairs keeps both spellings of a key (with `_` and with `-`), so that both are an error. A value that
        # is not text counts as an invalid id.
        pairs = entry.items() if isinstance(entry, dict) else ()
        fields = sorted((key.replace("_", "-"), value if isinstance(value, str) else "") for key, value in pairs)
        if [name for name, _ in fields] != _VERSION_KEYS:
            problems.append(Diagnostic(f"line {line}: invalid keys. Use application-id and version-id only."))
        ids = [value for name, value in fields if name in _VERSION_KEYS]
        problems += [Diagnostic(f"line {line}: {error}") for text_id in ids if (error := id_error(text_id))]
        if not problems:
            versions.append(AppVersion(*ids))
    if problems:
        raise InputError(problems)
    return tuple(versions)


# Variables.

MAX_NAME_CHARS = 128
_MAPPING_START_RE = lazy_pattern(r"[^=:]+:(?:\s|$)")
# A variable's name in `NAME=value` lines. Other names need a mapping.
_PLAIN_NAME_RE = lazy_pattern(rf"\w[\w.-]{{0,{MAX_NAME_CHARS - 1}}}")
# The lines of a Base64 value, which is invalid in `NAME=value` lines. Encoders wrap at 60 to 76 characters (RFC 2045
# §6.8: 76, RFC 7468 §2: 64). The last line can end with `=`, so it looks like `NAME=`. The first pattern excludes
# hexadecimal hashes, and the second excludes names in capitals.
_BASE64_LINE_RE = lazy_pattern(r"(?![0-9a-fA-F]+\Z)[A-Za-z0-9+/]{60,}")
_BASE64_END_RE = lazy_pattern(r"(?![A-Z][A-Z0-9]*=\Z)[A-Za-z0-9+/]+={1,2}")
_NOT_A_VARIABLE = "expected NAME=value. For special names or several lines, use a YAML or JSON mapping."
_SPACE_IN_NAME = "white space in the name before '='. Write NAME=value, or a YAML or JSON mapping."
_BYTE_ORDER_MARK = "byte order mark before the name. Save the source file as UTF-8 without a byte order mark."
_SPACED_NAME_PATTERN = r"\w[\w.-]*(?:\s+\w[\w.-]*)+"
# Text before the name in a shell script (`export`) or a YAML list (`-`).
_LINE_PREFIX_PATTERN = r"(?:-[ \t]+(?:export[ \t]+)?|export[ \t]+)(?=\S)"
# Azure Pipelines leaves `$(NAME)` for an unset variable, such as a secret in a pull request from a fork.
UNRESOLVED_PATTERN = r"\$\([\w.-]+\)"
_UNRESOLVED_WARNING = (
    "has an unresolved $(…) in its value, which is sent as written. Check the variable's name in the pipeline"
)


class VariableLine(NamedTuple):
    """The parsed text of one `NAME=value`."""

    name: str = ""
    value: str = ""
    # Error and warnings never repeat the value.
    error: str | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "VariableLine(…)"


def _ignore_warning(_: str) -> None:
    """Drop a warning."""


def parse_variables(text: str, warn: Callable[[str], object] = _ignore_warning) -> dict[str, str]:
    """Return variables from `NAME=value` lines or a YAML or JSON mapping.

    Args:
        text: The lines or the mapping.
        warn: Called with each warning about a value that probably has a typing error. Warnings never repeat a value.

    Raises:
        InputError: With each problem. Problems never repeat a value.

    """
    lines = [
        line
        for line in split_lines(text)
        if line.strip(ASCII_WHITESPACE) and not line.lstrip(ASCII_WHITESPACE).startswith("#")
    ]
    if lines and (
        lines[0].lstrip(ASCII_WHITESPACE).startswith("{") or _MAPPING_START_RE.match(lines[0].lstrip(ASCII_WHITESPACE))
    ):
        from autonoma_ci.yaml_subset.inline import parse_yaml_mapping

        variables, problems = parse_yaml_mapping(text)
        for name in (name for name, value in variables.items() if _is_unresolved(value)):
            warn(f"{quote_name(name)} {_UNRESOLVED_WARNING}.")
    else:
        variables, problems = _parse_variable_lines(text, warn)
    problems += [
        Diagnostic(f"{quote_name(name)}: {error}")
        for name, value in variables.items()
        if (error := find_variable_error(name, value)) is not None
    ]
    if problems:
        raise InputError(problems)
    return variables


def _parse_variable_lines(text: str, warn: Callable[[str], object]) -> tuple[dict[str, str], list[Diagnostic]]:
    """Return the variables of `NAME=value` lines, and the problems of the lines."""
    variables: dict[str, str] = {}
    problems = []
    previous_value = ""
    for line_number, line in enumerate(split_lines(text), 1):
        if not line.strip(ASCII_WHITESPACE) or line.lstrip(ASCII_WHITESPACE).startswith("#"):
            continue
        parsed = parse_variable_line(line)
        is_continued = _is_base64_end(line.strip(ASCII_WHITESPACE), previous_value)
        previous_value = (line.partition("=")[2] if "=" in line else line).strip(ASCII_WHITESPACE)
        if is_continued or parsed.error is not None:
            # The line can be a part of a secret, so the message never repeats it.
            problems.append(Diagnostic(f"line {line_number}: {_NOT_A_VARIABLE if is_continued else parsed.error}"))
        elif parsed.name in variables:
            problems.append(Diagnostic(f"line {line_number}: {quote_name(parsed.name)} is set twice. Remove one."))
        else:
            variables[parsed.name] = parsed.value
            for warning in parsed.warnings:
                warn(warning)
    return variables, problems


def parse_variable_line(text: str) -> VariableLine:
    """Parse `NAME=value` without white space around both parts.

    The value is not changed otherwise. Env files, shells and YAML lists give some characters a meaning, such as
    quotes. Here they are a part of the value, so a warning names them.
    """
    left_side, equals, value = text.strip(ASCII_WHITESPACE).partition("=")
    prefix = re.match(_LINE_PREFIX_PATTERN, left_side) if left_side.startswith(("-", "export")) else None
    name = left_side[prefix.end() if prefix else 0 :].strip(ASCII_WHITESPACE)
    if not equals:
        return VariableLine(error=_NOT_A_VARIABLE)
    if not is_plain_name(name):
        if name.startswith("\ufeff"):
            return VariableLine(error=_BYTE_ORDER_MARK)
        # The first condition finds Unicode white space at an end, such as a no-break space.
        has_space = name != name.strip() or re.fullmatch(_SPACED_NAME_PATTERN, name)
        return VariableLine(error=_SPACE_IN_NAME if has_space else _NOT_A_VARIABLE)
    warnings = []
    if prefix:
        prefix_text = "'export '" if "export" in prefix[0] else "'- '"
        warnings.append(f"has {prefix_text} before its name, which was removed. Write NAME=value")
    stripped = value.strip(ASCII_WHITESPACE)
    if is_quoted(stripped):
        warnings.append("has quotes around its value, which are sent as written. Remove them")
    if " #" in value or "\t#" in value:
        warnings.append("has ' #' in its value, which is sent as written. Remove the comment")
    if _is_unresolved(value):
        warnings.append(_UNRESOLVED_WARNING)
    mapping = f"or use the mapping form `{sanitize_line(name, 60)}: …`"
    sentences = tuple(f"{quote_name(name)} {warning}, {mapping}." for warning in warnings)
    return VariableLine(name, stripped, warnings=sentences)


def _is_unresolved(value: str) -> bool:
    """Return whether a value holds a reference such as `$(NAME)`."""
    return "$(" in value and bool(re.search(UNRESOLVED_PATTERN, value))


def _is_base64_end(line: str, previous_value: str) -> bool:
    """Return whether a line completes the Base64 value of the line before."""
    has_full_groups = len(previous_value) % 4 == 0 and len(line) % 4 == 0 and len(line) <= len(previous_value)
    return has_full_groups and bool(_BASE64_LINE_RE.fullmatch(previous_value) and _BASE64_END_RE.fullmatch(line))


def is_plain_name(name: str) -> bool:
    """Return whether lines and error messages may hold a variable's name."""
    return bool(_PLAIN_NAME_RE.fullmatch(name))


def quote_name(name: str) -> str:
    """Return a name in quotes for an error message."""
    return f"'{sanitize_line(name, 60)}'"


def find_variable_error(name: str, value: str) -> str | None:
    """Return the problem of a variable, or None if it is valid."""
    if not name.strip() or not name.isprintable() or "=" in name or len(name) > MAX_NAME_CHARS:
        return f"invalid name. Use 1 to {MAX_NAME_CHARS} printable characters without '='."
    if len(value) > MAX_VALUE_CHARS:
        return f"the value is longer than {MAX_VALUE_CHARS // 1024} KiB. Shorten it."
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return "invalid UTF-8 in the value. Save the value as UTF-8."
    return None


# Facts of the build, titles and credentials.

# First characters of references such as `${NAME}`, `%NAME%`, `{{ name }}` and `<+name>`. Branch names never start so.
_REFERENCE_STARTS = tuple("$%{<")
# A longer part or title becomes a prefix and a hash.
MAX_PART_CHARS, PART_PREFIX_CHARS = 4000, 40
MAX_TITLE_CHARS, TITLE_PREFIX_CHARS = 100, 80


def parse_commit_hash(text: str) -> str:
    """Return a full commit hash in lower case.

    Raises:
        InputError: The text is not a full hash.

    """
    if COMMIT_HASH_RE.fullmatch(text.lower()):
        return text.lower()
    raise InputError([f"invalid commit hash: '{sanitize_line(text, 40)}'. Use the output of git rev-parse HEAD."])


def parse_ref_name(text: str) -> str:
    """Return the name of a branch or tag without `refs/heads/` or `refs/tags/`.

    Raises:
        InputError: The text is not a name, or it is a reference that the CI system has not replaced.

    """
    name = REF_PREFIX_RE.sub("", text, count=1) if text.startswith("refs/") else text
    is_text = 0 < len(name) <= MAX_FACT_CHARS and name.isprintable()
    if is_text and name[0] not in _REFERENCE_STARTS and not NOT_A_BRANCH_RE.fullmatch(name):
        return name
    raise InputError([f"invalid branch or tag: '{sanitize_line(text, 40)}'. Use a name such as main."])


def parse_change_number(text: str) -> str:
    """Return the number of a pull or merge request.

    Raises:
        InputError: The text is not such a number.

    """
    if CHANGE_NUMBER_RE.fullmatch(text):
        return text
    advice = "Use the number of a pull or merge request, such as 12, or an empty value."
    raise InputError([f"invalid number: '{sanitize_line(text, 40)}'. {advice}"])


def parse_source(text: str) -> str:
    """Return the name of the client for the API's field `source`.

    Raises:
        InputError: The text is longer than 10 characters, or has other characters than the API allows.

    """
    # The limit of the API. Source: the API's description, "max 10 chars".
    if re.fullmatch(r"[\w.:/ -]{1,10}", text, re.ASCII):
        return text
    advice = "Use at most 10 letters, digits, spaces and characters of '._:/-'."
    raise InputError([f"invalid source: '{sanitize_line(text, 60)}'. {advice}"])


def parse_title(text: str) -> str:
    """Return a title on one line, shortened to MAX_TITLE_CHARS.

    A shortened title ends with a hash, so that two titles with the same start stay different.
    """
    title = sanitize_line(text, len(text) + 1).strip()
    if len(title) <= MAX_TITLE_CHARS:
        return title
    return f"{title[:TITLE_PREFIX_CHARS]}… {short_digest(title, 16)}"


def parse_part_name(text: str) -> str:
    """Return the name of a part of the build, shortened to MAX_PART_CHARS.

    The name can be the values of a matrix as JSON. A shortened name ends with a hash, so that two names with the same
    start stay different.
    """
    if len(text) <= MAX_PART_CHARS:
        return text
    return f"{text[:PART_PREFIX_CHARS]}… {short_digest(text, 16)}"


def parse_secret(text: str) -> Secret:
    """Return a credential for an HTTP header.

    Raises:
        InputError: The text is not printable ASCII without spaces. The message never repeats it.

    """
    if all(" " < c < "\x7f" for c in text):
        return Secret(text)
    problem = "a line break, a space or a control character" if text.isascii() else "a character that is not ASCII"
    raise InputError([f"the value contains {problem}. Copy it again, without quotes or line breaks."])
