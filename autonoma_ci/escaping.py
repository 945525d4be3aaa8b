"""Make untrusted text safe for each sink, one function per sink.

The API, the manifest, the environment and the event file can contain any text. Runners interpret some log lines as
commands, terminals interpret escape sequences, and Markdown interprets characters as structure. Each function returns
text that its sink shows as plain text. A `limit` is in characters.
"""

from __future__ import annotations

import re
from functools import lru_cache

from autonoma_ci.startup import lazy_pattern
from autonoma_ci.urls import check_url

# How many results of a function are cached, because names and links of a plan are written repeatedly.
_CACHE_SIZE = 8192
_BREAKS_RE = lazy_pattern(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_CONTROLS_RE = lazy_pattern(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Zero-width, blank and direction-changing characters. With them, a reader sees another text than the real one.
# Source: Unicode's Default_Ignorable_Code_Point, without U+FE0E and U+FE0F, which emoji need.
_INVISIBLE_RE = lazy_pattern(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Azure, and GitHub in its older form, find a command anywhere in a line. TeamCity finds it at the start of a line.
_INLINE_COMMAND_RE = lazy_pattern(r"##(?=\w*\[)")
# Travis' log viewer finds a fold or a timer anywhere in a line, and hides the rest of that line.
# Source: travis-ci/travis-web, app/utils/log.js; travis-ci/travis-logs, lib/travis/logs/services/timing_info.rb.
_TRAVIS_FOLD_RE = lazy_pattern(r"(?<=fold:|time:)(?=start|end)")
# GitHub's commands and Buildkite's group headings are at the start of a line, after any white space.
_LINE_START_COMMANDS = ("::", "---", "+++", "~~~", "^^^")
_MARKUP_RE = lazy_pattern(r"[\\`*_{}\[\]|~$]")
# Characters that a code span in a table does not show unchanged.
_CODE_SPAN_RE = lazy_pattern(r"[|`\\<>&]")
# All ASCII characters that can have a meaning in Markdown or HTML.
_NOT_PLAIN_RE = lazy_pattern(r"[!-,./:-@\[-`{-~]")
# Text that GitHub turns into links and images without markup: https://…, www.…, :smile:
_AUTOLINK_RE = lazy_pattern(r":(?=\S|$)|(?<=www)\.", re.IGNORECASE)
# A heading, a rule or a list at the start of a line. On GitLab, a slash there starts a quick action such as /close.
_LINE_START_MARKUP_RE = lazy_pattern(r"^(\s*\d*)([-+=#.)/])")
# References that GitHub and GitLab find in the rendered text, where backslashes are gone already: people and issues
# (also `GH-1`, `GL-1`). On GitLab also merge requests, milestones, snippets, labels, epics, `[vulnerability:1]`,
# `*iteration:"name"` and `group/project>`.
# Source: both documentations, "Autolinked references and URLs" and "GitLab-specific references".
_REFERENCE_RE = lazy_pattern(
    r"""[@#!%$~&](?=[\w"*])|\bG[HL]-(?=\d)|[\[*](?=\w+:)|(?<=\w)/[\w.-]+(?=>)""", re.IGNORECASE
)
_COMMIT_RE = lazy_pattern(r"(?<![0-9a-z_])[0-9a-f]{7,}(?![0-9a-z_])", re.IGNORECASE)
# One digit less than the shortest commit hash that becomes a link.
_COMMIT_PREFIX_RE = lazy_pattern(r"[0-9a-f]{6}(?=.)", re.IGNORECASE)
_URL_RE = lazy_pattern(r"[A-Za-z0-9._~:/?#@!$&'()*+,;=%\[\]-]{1,2000}")
_URL_HOST_RE = lazy_pattern(r"[\w.:-]+", re.ASCII)
_ZERO_WIDTH_SPACE = "\u200b"


def is_printable_ascii(text: str) -> bool:
    """Return whether a text has only printable ASCII characters and spaces."""
    return text.isascii() and text.isprintable()


def sanitize_line(text: str, limit: int = 4000) -> str:
    """Return the text on one line, without invisible and control characters.

    Line breaks become spaces, other controls become U+FFFD. Characters that change the direction of text are removed.
    The result has at most `limit` characters.
    """
    head = text[: 4 * limit]
    # Most texts need no change, and then the patterns are not compiled either.
    if not is_printable_ascii(head):
        head = _INVISIBLE_RE.sub("", _CONTROLS_RE.sub("\ufffd", _BREAKS_RE.sub(" ", head)))
    return truncate(head, limit) if len(text) <= 4 * limit else truncate(head + "…", limit)


def truncate(text: str, limit: int) -> str:
    """Return at most `limit` characters, with an ellipsis after a cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def truncate_bytes(text: str, limit: int) -> str:
    """Return at most `limit` UTF-8 bytes, with an ellipsis after a cut."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    # The ellipsis has three bytes. A character that would be cut apart is left out.
    return data[: limit - 3].decode("utf-8", "ignore") + "…"


def escape_log_line(text: str, limit: int = 4000) -> str:
    """Return the text as one log line without CI commands."""
    line = sanitize_line(text, limit)
    # Most lines have no commands, and then the patterns are not compiled either.
    if "##" in line:
        line = _INLINE_COMMAND_RE.sub(f"#{_ZERO_WIDTH_SPACE}#", line)
    if "fold:" in line or "time:" in line:
        line = _TRAVIS_FOLD_RE.sub(_ZERO_WIDTH_SPACE, line)
    if line.lstrip().startswith(_LINE_START_COMMANDS):
        line = _ZERO_WIDTH_SPACE + line
    return line


def escape_json(text: str) -> str:
    """Return JSON in which escapes hide commands of CI systems."""
    return re.sub(r"(fold|time):(?=start|end)", r"\1\\u003a", text.replace("##", "#\\u0023"))


def escape_github_data(text: str, limit: int = 4000) -> str:
    """Return the text as the message of a GitHub workflow command.

    The text is escaped as GitHub's runner unescapes it.
    """
    lines = "\n".join(escape_log_line(line) for line in text.splitlines())
    # `escape_log_line` leaves no carriage return.
    return truncate(lines, limit).replace("%", "%25").replace("\n", "%0A")


def escape_github_property(text: str, limit: int = 500) -> str:
    """Return the text as a property value of a GitHub workflow command."""
    return escape_github_data(sanitize_line(text, limit), limit).replace(":", "%3A").replace(",", "%2C")


def escape_azure(text: str, limit: int = 4000) -> str:
    """Return the text for a message or property of Azure logging commands."""
    lines = truncate("\n".join(escape_log_line(line, limit) for line in text.splitlines()), limit)
    # `escape_log_line` leaves no carriage return.
    for character, escape in (("%", "%AZP25"), ("\n", "%0A"), (";", "%3B"), ("]", "%5D")):
        lines = lines.replace(character, escape)
    return lines


def escape_teamcity(text: str, limit: int = 4000) -> str:
    """Return the text as a quoted value of a TeamCity service message."""
    return re.sub(r"[|'\[\]]", r"|\g<0>", truncate(escape_log_line(text, limit), limit))


@lru_cache(_CACHE_SIZE)
def escape_markdown(text: str, limit: int = 500) -> str:
    """Return the text for GitHub Markdown, without markup and mentions.

    The result fits into a table cell or a line.
    """
    # Four spaces at the start of a line would turn it into a code block.
    plain = _break_references(sanitize_line(text, limit).lstrip(" "))
    escaped = _MARKUP_RE.sub(r"\\\g<0>", plain)
    escaped = _LINE_START_MARKUP_RE.sub(r"\1\\\2", _AUTOLINK_RE.sub(r"\\\g<0>", escaped))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _break_references(text: str) -> str:
    """Return the text with a zero-width space in each reference.

    The space turns the reference into plain text.
    """
    text = _REFERENCE_RE.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", text)
    return _COMMIT_RE.sub(lambda match: _COMMIT_PREFIX_RE.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", match[0]), text)


def markdown_code_span(text: str, limit: int = 500) -> str:
    """Return the text as a Markdown code span, outside of tables."""
    plain = sanitize_line(text, limit).replace("`", "'").strip()
    return f"`{plain}`" if plain else ""


def markdown_command(command: str) -> str:
    """Return a command in one line as Markdown code, for any place.

    In a code span, a table would end at `|` and the span at a backtick. With such characters, the code is HTML with
    entities, which every reader of Markdown shows unchanged.
    """
    if not command or not _CODE_SPAN_RE.search(command):
        return f"`{command}`" if command else ""
    return f"<code>{_NOT_PLAIN_RE.sub(lambda match: f'&#{ord(match[0])};', command)}</code>"


def markdown_link(label: str, url: str) -> str:
    """Return a Markdown link, or only the label for an unsafe URL."""
    target = safe_url(url).replace("(", "%28").replace(")", "%29")
    return f"[{escape_markdown(label)}]({target})" if target else escape_markdown(label)


@lru_cache(_CACHE_SIZE)
def strip_query(url: str) -> str:
    """Return the URL without query and fragment."""
    return re.split(r"[?#]", url)[0]


def safe_url(url: str) -> str:
    """Return the URL, or an empty text if it is unsafe.

    A safe URL is https, or http to a loopback host, and has no user name and no other text.
    """
    parts = check_url(url, _URL_RE, _URL_HOST_RE)
    return url if parts and parts.is_encrypted_or_local else ""


def format_duration(seconds: float) -> str:
    """Return `0.4 s`, `42 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min" + (f" {rounded % 60} s" if rounded % 60 else "")
    return f"{rounded // 3600} h" + (f" {rounded % 3600 // 60} min" if rounded % 3600 // 60 else "")
