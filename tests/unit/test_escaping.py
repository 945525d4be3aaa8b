"""Escaping of untrusted text for each sink."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import lxml.html
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autonoma_ci.escaping import (
    escape_azure,
    escape_github_data,
    escape_github_property,
    escape_json,
    escape_log_line,
    escape_markdown,
    escape_teamcity,
    format_duration,
    is_printable_ascii,
    markdown_code_span,
    markdown_command,
    markdown_link,
    safe_url,
    sanitize_line,
    truncate,
    truncate_bytes,
)
from tests.support.github_parser import (
    find_commands,
    find_foreign_commands,
    render_plain_text,
    split_cells,
    split_lines,
)
from tests.support.hostile import TEXTS, URLS

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """Make each test call the function, also for a text that an earlier test has escaped."""
    escape_markdown.cache_clear()


@given(TEXTS)
@example("\u200b::error::x")
@example("\xa0::set-output name=a::b")
@example("#\u200b#[error]x")
@example("###[error]x")
@example("##\x00[error]x")
@example("a\r::error::x")
@example("a\u2028::error::x")
@example("travis_fold:start:a")
@example("12 s: unfold:end:a fold:\u200bstart:b")
@example("downtime:end:0a1b:start=1,finish=2")
@example("##\u2060vso[task.complete]")
def test_log_line_is_no_command(text: str) -> None:
    """No text is a command of any CI system in a log line."""
    line = escape_log_line(text)
    assert find_commands(line) == []
    assert find_foreign_commands(line) == []
    assert len(split_lines(line)) == len(line.splitlines() or [""]) == 1
    assert line.isascii() or line.encode()


@given(TEXTS, TEXTS)
def test_two_log_lines_are_two_lines(first: str, second: str) -> None:
    """Two log lines together are two lines without a command."""
    log = f"{escape_log_line(first)}\n{escape_log_line(second)}\n"
    assert find_commands(log) == []
    assert len(split_lines(log)) == 3


@given(TEXTS, st.integers(1, 40))
def test_line_length_has_limit(text: str, limit: int) -> None:
    """Sanitized and truncated text is at most as long as the limit."""
    assert len(sanitize_line(text, limit)) <= limit
    assert len(truncate(text, limit)) <= limit


def test_line_drops_invisible_characters() -> None:
    """Invisible characters are removed, and control characters are replaced."""
    assert sanitize_line("a\u200bb\u202ec\n\nd\x00e\ud800f") == "abc d\ufffde\ufffdf"
    assert sanitize_line("x" * 5000) == "x" * 3999 + "…"
    assert sanitize_line("naïve 🚀 \u0639") == "naïve 🚀 \u0639"


@pytest.mark.parametrize(
    ("escape", "limit"),
    [
        *(
            (sanitize_line, 4000),
            (escape_log_line, 4000),
            (escape_github_data, 4000),
            (escape_azure, 4000),
            (escape_teamcity, 4000),
        ),
        *((escape_github_property, 500), (escape_markdown, 500), (markdown_code_span, 500)),
    ],
)
def test_text_is_cut_to_sink_limit(escape: Callable[..., str], limit: int) -> None:
    """Each sink has a limit, which an argument can replace."""
    for max_length, text in ((limit, escape("x" * limit)), (1000, escape("x" * 1000, 1000))):
        assert text.strip("`") == "x" * max_length
    for max_length, text in ((limit, escape("x" * (limit + 1))), (1000, escape("x" * 1001, 1000))):
        assert text.strip("`") == "x" * (max_length - 1) + "…"


@pytest.mark.parametrize("escape", [escape_github_data, escape_azure])
def test_multiline_text_has_one_limit(escape: Callable[[str], str]) -> None:
    """The limit applies to the whole text, even if each line is short."""
    text = "\n".join(["x" * 99] * 50)
    assert escape(text).replace("%0A", "\n") == text[:3999] + "…"


@pytest.mark.parametrize(
    "escape", [sanitize_line, escape_log_line, escape_azure, escape_teamcity, escape_markdown, markdown_code_span]
)
def test_limit_can_exceed_default(escape: Callable[..., str]) -> None:
    """An argument can raise the limit of a sink."""
    assert escape("x" * 4500, 5000).strip("`") == "x" * 4500


@pytest.mark.parametrize(
    "escape",
    [sanitize_line, escape_log_line, escape_github_property, escape_teamcity, escape_markdown, markdown_code_span],
)
def test_text_beyond_limit_is_not_read(escape: Callable[..., str]) -> None:
    """A text of gigabytes costs no more than a long line."""
    assert escape("\n" * 40 + "x", 10).strip(" `") == "…"
    assert escape("\n" * 39 + "x", 10).strip(" `") == "x"


@pytest.mark.parametrize("escape", [escape_github_data, escape_github_property, escape_azure])
def test_limit_counts_inserted_characters(escape: Callable[..., str]) -> None:
    """Characters that break commands count towards the limit."""
    assert escape("##[x", 4) == "#\u200b#…"


@pytest.mark.parametrize(
    ("escape", "text", "expected"),
    [
        (escape_github_data, "100%; a:b,c\nd%0A", "100%25; a:b,c%0Ad%250A"),
        (escape_github_property, "50%: a, b", "50%25%3A a%2C b"),
        (escape_azure, "100%; a]\nb", "100%AZP25%3B a%5D%0Ab"),
        (escape_teamcity, "it's [a|b]\nc", "it|'s |[a||b|] c"),
        (escape_markdown, "- a & b", "\\- a &amp; b"),
        (
            escape_markdown,
            "1. see https://a.example & www.b.example",
            "1\\. see https\\://a.example &amp; www\\.b.example",
        ),
        (escape_markdown, "see 0123456789abcdef", "see 012345\u200b6789ab\u200bcdef"),
        (escape_markdown, "<b>@me #1", "&lt;b&gt;@\u200bme #\u200b1"),
        (markdown_code_span, " a `b`\n", "`a 'b'`"),
        (markdown_code_span, "\u200b \n", ""),
    ],
)
def test_only_special_characters_are_escaped(escape: Callable[[str], str], text: str, expected: str) -> None:
    """Each sink escapes its special characters and no others."""
    assert escape(text) == expected


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ('["##[error]x"]', '["#\\u0023[error]x"]'),
        ('["travis_fold:start:a"]', '["travis_fold\\u003astart:a"]'),
        ('["travis_time:end:a"]', '["travis_time\\u003aend:a"]'),
        ('["fold:other # 1"]', '["fold:other # 1"]'),
    ],
)
def test_json_hides_commands_in_escapes(text: str, escaped: str) -> None:
    """A reader of the JSON gets the same text."""
    assert escape_json(text) == escaped
    assert json.loads(escaped) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "ab…"),
        ("日本語", 9, "日本語"),
        ("日本語x", 9, "日本…"),
        ("日本語xy", 8, "日…"),
        ("lone \ud800", 6, "lone \ud800"),
        ("lone \ud800", 5, "lo…"),
        ("\ud800\ud800x", 4, "\ud800\ud800x"),
    ],
)
def test_bytes_are_cut_between_characters(text: str, limit: int, expected: str) -> None:
    """The ellipsis counts, and a character is never cut apart."""
    assert truncate_bytes(text, limit) == expected


@given(TEXTS)
def test_command_data_stays_in_command(text: str) -> None:
    """The data of a command adds no command, also when the runner prints it."""
    commands = find_commands(f"::error::{escape_github_data(text)}\n")
    assert [command.name for command in commands] == ["error"]
    # The lines that the runner prints for the data contain no command either.
    assert find_commands(commands[0].data) == []
    assert find_foreign_commands(commands[0].data) == []


@given(TEXTS, TEXTS)
def test_command_property_stays_in_property(title: str, text: str) -> None:
    """A property adds no other property and does not end the command."""
    commands = find_commands(f"::error title={escape_github_property(title)},line=3::{escape_github_data(text)}")
    assert len(commands) == 1
    assert set(commands[0].properties) == {"title", "line"}
    assert commands[0].properties["line"] == "3"


def test_ordinary_text_survives_commands() -> None:
    """The runner reads ordinary text back unchanged."""
    text = "100% of a: b, c; d\nnext line"
    commands = find_commands(f"::error title={escape_github_property('50%: a, b')}::{escape_github_data(text)}")
    assert commands[0].data == text
    assert commands[0].properties == {"title": "50%: a, b"}


@given(st.lists(TEXTS, min_size=1, max_size=4))
@example(["\\|", "|\\"])
@example(["\\\\|"])
@example(["@user #1 @_user"])
@example(["# heading", "1. list", "- list", "    code"])
@example(["&#124; &lt;img&gt;"])
def test_markdown_adds_no_cell_or_markup(texts: list[str]) -> None:
    """No text adds a table cell, a line or markup."""
    row = "| " + " | ".join(f"x{escape_markdown(text)}" for text in texts) + " |"
    assert len(row.splitlines()) == 1
    assert len(split_cells(row)) == len(texts)
    for cell in split_cells(row):
        render_plain_text(cell)


@given(TEXTS)
def test_markdown_at_line_start_is_paragraph(text: str) -> None:
    """Text at the start of a line makes no heading, list or table."""
    render_plain_text(escape_markdown(text))


def test_markdown_before_space_is_no_link() -> None:
    """A heading has a colon and a space after a title."""
    assert render_plain_text(f"{escape_markdown('http')}: Starting") == "http: Starting"
    for link_text in ("http://a.test", "https:", "see www.a.test"):
        with pytest.raises(ValueError, match="markup"):
            render_plain_text(link_text)


def test_markdown_at_line_start_is_no_code() -> None:
    """Leading spaces make no code block."""
    assert escape_markdown("\t   four\tspaces ") == "four spaces "


@pytest.mark.parametrize("text", ["XX marks the spot", "\u3000two columns wide", "\u00a0bound to what follows"])
def test_markdown_keeps_uncommon_spaces(text: str) -> None:
    """Other characters at the start of a line are unchanged."""
    assert escape_markdown(text) == text


def test_markdown_shows_original_text() -> None:
    """The rendered Markdown shows the original text."""
    text = "a|b *c* _d_ `e` <f> [g](h) \\i & ~~j~~ # k"
    assert render_plain_text(escape_markdown(text)).replace("\u200b", "") == text


REFERENCES = (
    *("@user", "#12", "o/r#12", "o/r@abcdef1", "GH-12", "gl-3", "GL-12"),
    *("abcdef1", "0123456", "ABCDEF12", "0123456789abcdef0123456789abcdef01234567", "abcdef1...1234567", "(abcdef1)"),
    *("!5", "&5", "g&5", "$7", "~label", '~"two words"', "~12", "%v1.2", '%"release candidate"', "%*8.6"),
    *("[vulnerability:3]", "[feature_flag:1]", "[work_item:g/p/4]", "[contact:a]", '*iteration:"x"', "group/project>"),
)


@pytest.mark.parametrize("text", REFERENCES)
def test_markdown_references_are_plain(text: str) -> None:
    """GitHub and GitLab search for references after they remove backslash escapes."""
    with pytest.raises(ValueError, match=r"markup|mention"):
        render_plain_text(text)
    for full_text in (text, f"see {text} now", f"fixes: {text}, {text}."):
        assert render_plain_text(escape_markdown(full_text)).replace("\u200b", "") == full_text


@pytest.mark.parametrize(
    "text", ["50% of 1234 & more", "run cm8d9gt6v000c9fe5glmyi33u", "a [LOCALE 1/2]", "3 * 4", "10$"]
)
def test_markdown_adds_nothing_to_plain_text(text: str) -> None:
    """Ordinary text gets no invisible character."""
    assert "\u200b" not in escape_markdown(text)


@pytest.mark.parametrize("text", ["a|b", "`code`", "<img>", "@user", "https://x.example", "# x", "&#124;", "&copy;"])
def test_check_finds_unescaped_markdown(text: str) -> None:
    """The check finds markup in text that is not escaped."""
    with pytest.raises(ValueError, match=r"markup|mention"):
        render_plain_text(text)


@given(URLS)
@example("https://autonoma.app/run/a|b")
@example("https://autonoma.app@evil.example/")
@example("https://autonoma.app\\@evil.example/")
@example("javascript:alert(1)")
@example("data:text/html,x")
@example("http://evil.example/")
@example("//evil.example/")
@example("https://ev\u0131l.example/")
@example("https://evil.example:99999/")
@example("https://[::1/")
def test_safe_url_is_https(url: str) -> None:
    """For any text, a safe URL is https or on this machine."""
    checked_url = safe_url(url)
    assert checked_url in {"", url}
    if checked_url:
        assert (
            checked_url.startswith(("https://", "HTTPS://"))
            or "127.0.0.1" in checked_url
            or "localhost" in checked_url.lower()
        )
        assert checked_url.isascii()
        assert checked_url.isprintable()
        assert not set(checked_url) & set(" |<>\"`\\^{}'"[:-1])
        assert "@" not in checked_url.split("/")[2]


@pytest.mark.parametrize(
    "url",
    [
        "https://autonoma.app/run/cm8d9gt6v000c9fe5glmyi33u",
        "https://autonoma.app/run/a?step=1&media=true#end",
        "http://127.0.0.1:8787/run/a",
        "http://localhost:8787/run/a",
        "http://[::1]:8787/run/a",
    ],
)
def test_safe_url_keeps_valid_links(url: str) -> None:
    """Valid https links and links to this machine are unchanged."""
    assert safe_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "http://evil.example/", "https://user:pass@evil.example/", "https://", "https:///x",
        "https://a b/", "https://evil.example/|", "https://evil.example:port/", "ftp://evil.example/", "/run/a",
        "http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "https://a.example/\r\n::error::x", "",
        "https://a$b.example/",
    ],
)  # fmt: skip
def test_unsafe_url_makes_no_link(url: str) -> None:
    """An unsafe URL leaves only the label."""
    assert safe_url(url) == ""
    assert markdown_link("open", url) == "open"


@given(TEXTS | st.text(st.sampled_from("`|\\<>&*_ a")))
def test_markdown_command_is_exact_in_cell(text: str) -> None:
    """A command is one cell of a table, and readers show it unchanged."""
    command = " ".join(sanitize_line(text).split())
    row = f"| {markdown_command(command)} | end |"
    page = lxml.html.fromstring(
        MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(f"| a | b |\n| --- | --- |\n{row}\n")
    )
    cells = list(page.iter("td"))
    assert ["".join(map(str, cell.itertext())) for cell in cells] == [command, "end"]
    assert ["".join(map(str, code.itertext())) for code in page.iter("code")] == [command] * bool(command)


@given(TEXTS, URLS)
def test_markdown_link_is_one_cell(label: str, url: str) -> None:
    """A link has one target and adds no table cell."""
    row = f"| {markdown_link('x' + label, url)} | end |"
    assert len(row.splitlines()) == 1
    cell, end = split_cells(row)
    assert end == "end"
    if safe_url(url):
        text, _, target = cell.rpartition("](")
        assert text.startswith("[")
        render_plain_text(text[1:])
        assert target.endswith(")")
        assert not set(target[:-1]) & set("() <>|\\")
    else:
        render_plain_text(cell)


def test_markdown_link_escapes_parentheses() -> None:
    """Parentheses of a URL are percent-encoded."""
    assert markdown_link("a", "https://a.example/(b)") == "[a](https://a.example/%28b%29)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((-1, "0.0 s"), (0, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (10, "10 s"), (59.4, "59 s"), (60, "1 min")),
        *((80.2, "1 min 20 s"), (3599.4, "59 min 59 s"), (3600, "1 h"), (3630, "1 h"), (3660, "1 h 1 min")),
        *((7199, "1 h 59 min"), (7200, "2 h"), (360_000, "100 h")),
    ],
)
def test_duration_has_two_largest_units(seconds: float, text: str) -> None:
    """A duration is printed in its two largest units."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "is_printable"),
    [
        ("", True),
        (" !~", True),
        ("https://shop.test/a?b=c#d", True),
        ("a\nb", False),
        ("a\tb", False),
        ("a\0b", False),
        ("a\x1bb", False),
        ("a\x7fb", False),
        ("é", False),
        ("a\u200bb", False),
        ("a\xa0b", False),
        ("\udcff", False),
    ],
)
def test_printable_ascii_has_no_controls(text: str, is_printable: bool) -> None:
    """Control characters and characters beyond ASCII are not printable ASCII."""
    assert is_printable_ascii(text) == is_printable
