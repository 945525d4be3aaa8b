"""Text from outside made safe: one function per place where it is written.

The API, the manifest, the environment and the event file may say anything. Runners take some log lines
for commands, terminals take escape sequences for actions, Markdown takes characters for structure. Each
function here returns text that its sink takes for nothing but text. A `limit` is in characters.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from autonoma_ci.lazy_regex import lazy_pattern

# How many results of a function are kept: the names and links of a plan are written again and again while its runs
# go on.
_CACHE_SIZE = 8192
_BREAKS_RE = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_CONTROLS_RE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Zero-width, blank and direction-changing characters: what is read would not be what is there.
# Source: Unicode's Default_Ignorable_Code_Point, without U+FE0E and U+FE0F, which emoji need.
_INVISIBLE_RE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Azure and GitHub's older form find a command anywhere in a line, TeamCity at its start.
_INLINE_COMMAND_RE = re.compile(r"##(?=\w*\[)")
# Travis' log viewer finds a fold or a timer anywhere in a line, and shows no more of that line.
# Source: travis-ci/travis-web, app/utils/log.js; travis-ci/travis-logs, lib/travis/logs/services/timing_info.rb.
_TRAVIS_FOLD_RE = re.compile(r"(?<=fold:|time:)(?=start|end)")
# GitHub's commands and Buildkite's group headings open a line, after any white space.
_LINE_START_COMMAND_RE = re.compile(r"^(?=\s*(?:::|-{3}|\+{3}|~{3}|\^{3}))")
_MARKUP_RE = lazy_pattern(r"[\\`*_{}\[\]|~$]")
# What GitHub makes links and pictures of without any markup: https://…, www.…, :smile:
_AUTOLINK_RE = lazy_pattern(r":(?=\S|$)|(?<=www)\.", re.IGNORECASE)
# A heading, a rule or a list, where the text opens a line; on GitLab a slash opens an order like /close.
_LINE_START_MARKUP_RE = lazy_pattern(r"^(\s*\d*)([-+=#.)/])")
# References that GitHub and GitLab find in the rendered text, where a backslash before them is gone: people, issues
# (also `GH-1`, `GL-1`), on GitLab merge requests, milestones, snippets, labels, epics, `[vulnerability:1]`,
# `*iteration:"name"` and `group/project>`.
# Source: both documentations, "Autolinked references and URLs" and "GitLab-specific references".
_REFERENCE_RE = lazy_pattern(
    r"""[@#!%$~&](?=[\w"*])|\bG[HL]-(?=\d)|[\[*](?=\w+:)|(?<=\w)/[\w.-]+(?=>)""", re.IGNORECASE
)
_COMMIT_RE = lazy_pattern(r"(?<![0-9a-z_])[0-9a-f]{7,}(?![0-9a-z_])", re.IGNORECASE)
# One digit less than the shortest commit hash that is made a link.
_COMMIT_PREFIX_RE = lazy_pattern(r"[0-9a-f]{6}(?=.)", re.IGNORECASE)
_URL_RE = lazy_pattern(r"[A-Za-z0-9._~:/?#@!$&'()*+,;=%\[\]-]{1,2000}")
_ZERO_WIDTH_SPACE = "\u200b"
LOOPBACK_HOST_RE = lazy_pattern(r"localhost|127(?:\.\d{1,3}){3}|::1", re.IGNORECASE)


def sanitize_line(text: str, limit: int = 4000) -> str:
    """Return the text on one line, without control, invisible and direction-changing characters.

    Line breaks become spaces, other controls U+FFFD; at most `limit` characters are kept.
    """
    head = text[: 4 * limit]
    head = _INVISIBLE_RE.sub("", _CONTROLS_RE.sub("\ufffd", _BREAKS_RE.sub(" ", head)))
    return truncate(head, limit) if len(text) <= 4 * limit else truncate(head + "…", limit)


def truncate(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text, ending in an ellipsis where some are missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def truncate_bytes(text: str, limit: int) -> str:
    """Return at most `limit` bytes of the text in UTF-8, with an ellipsis for the rest."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    # The ellipsis has three bytes. A character that is cut apart is left out.
    return data[: limit - 3].decode("utf-8", "ignore") + "…"


def escape_log_line(text: str, limit: int = 4000) -> str:
    """Return the text as one line of a log that no CI system takes for a command."""
    return _LINE_START_COMMAND_RE.sub(
        _ZERO_WIDTH_SPACE,
        _TRAVIS_FOLD_RE.sub(
            _ZERO_WIDTH_SPACE, _INLINE_COMMAND_RE.sub(f"#{_ZERO_WIDTH_SPACE}#", sanitize_line(text, limit))
        ),
    )


def escape_json(text: str) -> str:
    """Return JSON in which no CI system finds a command, by escapes."""
    return re.sub(r"(fold|time):(?=start|end)", r"\1\\u003a", text.replace("##", "#\\u0023"))


def escape_github_data(text: str, limit: int = 4000) -> str:
    """Return the text as the message of a GitHub workflow command, escaped as the runner unescapes it."""
    lines = "\n".join(escape_log_line(line) for line in text.splitlines())
    return truncate(lines, limit).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_github_property(text: str, limit: int = 500) -> str:
    """Return the text as the value of a property of a GitHub workflow command."""
    return escape_github_data(sanitize_line(text, limit), limit).replace(":", "%3A").replace(",", "%2C")


def escape_azure(text: str, limit: int = 4000) -> str:
    """Return the text as the message, or the value of a property, of an Azure Pipelines logging command."""
    lines = truncate("\n".join(escape_log_line(line, limit) for line in text.splitlines()), limit)
    for character, escape in (("%", "%AZP25"), ("\r", "%0D"), ("\n", "%0A"), (";", "%3B"), ("]", "%5D")):
        lines = lines.replace(character, escape)
    return lines


def escape_teamcity(text: str, limit: int = 4000) -> str:
    """Return the text as a value in a TeamCity service message, within the quotes."""
    return re.sub(r"[|'\[\]]", r"|\g<0>", truncate(escape_log_line(text, limit), limit))


@lru_cache(_CACHE_SIZE)
def escape_markdown(text: str, limit: int = 500) -> str:
    """Return the text as the content of a table cell or a line of GitHub Markdown: no markup, no mention."""
    # Four spaces before a line's first word would make a block of code of it.
    plain = _break_references(sanitize_line(text, limit).lstrip(" "))
    escaped = _MARKUP_RE.sub(r"\\\g<0>", plain)
    escaped = _LINE_START_MARKUP_RE.sub(r"\1\\\2", _AUTOLINK_RE.sub(r"\\\g<0>", escaped))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _break_references(text: str) -> str:
    """Return the text with a zero-width space inside each reference, which makes it plain text."""
    text = _REFERENCE_RE.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", text)
    return _COMMIT_RE.sub(lambda found: _COMMIT_PREFIX_RE.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", found[0]), text)


def markdown_code_span(text: str, limit: int = 500) -> str:
    """Return the text as a code span of GitHub Markdown, outside of tables."""
    plain = sanitize_line(text, limit).replace("`", "'").strip()
    return f"`{plain}`" if plain else ""


def markdown_link(label: str, url: str) -> str:
    """Return a Markdown link, or the label alone if the URL is not one to follow."""
    target = safe_url(url).replace("(", "%28").replace(")", "%29")
    return f"[{escape_markdown(label)}]({target})" if target else escape_markdown(label)


@lru_cache(_CACHE_SIZE)
def strip_query(url: str) -> str:
    """Return the URL without query and fragment."""
    return re.split(r"[?#]", url)[0]


def safe_url(url: str) -> str:
    """Return the URL if it is https (or http to this very machine) and nothing but a URL, else an empty text."""
    if not _URL_RE.fullmatch(url):
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if "@" in parts.netloc or not host or not re.fullmatch(r"[\w.:-]+", host, re.ASCII):
        return ""
    if parts.scheme == "https" or (parts.scheme == "http" and LOOPBACK_HOST_RE.fullmatch(host)):
        return url
    return ""


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
