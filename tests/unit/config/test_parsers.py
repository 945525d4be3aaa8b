"""Parsing of option values and errors about invalid values."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config import parsers
from autonoma_ci.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


def get_problems(parse: Callable[[str], object], text: str) -> list[str]:
    """Return the messages of a parser about an invalid text."""
    with pytest.raises(InputError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.diagnostics]


@pytest.mark.parametrize("text", ["true", "TRUE", "yes", "on", "1", "True"])
def test_boolean_accepts_true_words(text: str) -> None:
    """A boolean option accepts the usual words for yes."""
    assert parsers.parse_bool(text) is True


@pytest.mark.parametrize("text", ["false", "FALSE", "no", "off", "0"])
def test_boolean_accepts_false_words(text: str) -> None:
    """A boolean option accepts the usual words for no."""
    assert parsers.parse_bool(text) is False


@pytest.mark.parametrize("text", ["maybe", "2", "", "tru", "ja", "0x1", "true\nfalse"])
def test_boolean_refuses_other_words(text: str) -> None:
    """Any other word is an error and does not count as no."""
    assert get_problems(parsers.parse_bool, text)[0].endswith("'. Use true or false.")


@pytest.mark.parametrize("text", ["0", "65", "-1", "1.5", "1e1", "", "eight", "٣", "1_0", "+8", "9" * 5000, "0x8"])
def test_number_out_of_range_is_refused(text: str) -> None:
    """The short error names both limits."""
    (problem,) = get_problems(lambda t: parsers.parse_int(1, 64, t), text)
    assert problem.endswith("'. Use a whole number from 1 to 64.")
    assert len(problem) < 100


def test_number_at_limit_is_accepted() -> None:
    """Both limits are included, and leading zeros are ignored."""
    assert [parsers.parse_int(1, 64, text) for text in ("1", "64", "008")] == [1, 64, 8]


def test_credential_is_secret() -> None:
    """A credential is printable ASCII and hidden after parsing."""
    secret = parsers.parse_secret("Az09~!$%^&*()\"'=+/")
    assert secret.reveal() == "Az09~!$%^&*()\"'=+/"
    assert "Az09" not in f"{secret} {secret!r}"


@pytest.mark.parametrize(
    ("text", "character_kind"),
    [
        ("top\nsecret", "a line break, a space or a control character"),
        ("top\rsecret", "a line break, a space or a control character"),
        ("top\x00secret", "a line break, a space or a control character"),
        ("top secret", "a line break, a space or a control character"),
        ("top\x7fsecret", "a line break, a space or a control character"),
        ("topsécret", "a character that is not ASCII"),
        ("\ufefftopsecret", "a character that is not ASCII"),
        ("topsecret\u00a0", "a character that is not ASCII"),
    ],
)
def test_invalid_credential_is_not_repeated(text: str, character_kind: str) -> None:
    """The error names the kind of the invalid character and nothing of the text."""
    (problem,) = get_problems(parsers.parse_secret, text)
    assert character_kind in problem
    assert "top" not in problem
    assert "cret" not in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1", {"A": "1"}),
        ("A=1\nB=2\r\nC=", {"A": "1", "B": "2", "C": ""}),
        ("A=b=c", {"A": "b=c"}),
        ("A= spaced \t", {"A": "spaced"}),
        ("  A = x y  ", {"A": "x y"}),
        ("export A=1\n- B=2\n-\texport C=3", {"A": "1", "B": "2", "C": "3"}),
        ("  A =x", {"A": "x"}),
        ("\n# a comment\n  # another\nA=#no comment", {"A": "#no comment"}),
        ("URL=https://x.example:8080/?q=1", {"URL": "https://x.example:8080/?q=1"}),
        ("A=key: value", {"A": "key: value"}),
        ("A=\u2028x\x0b", {"A": "\u2028x"}),
        (
            "with-hyphen=1\nwith.dot=2\n3rd=3\n\u00dcber_1=4",
            {"with-hyphen": "1", "with.dot": "2", "3rd": "3", "\u00dcber_1": "4"},
        ),
    ],
)
def test_variables_as_lines(text: str, expected: dict[str, str]) -> None:
    """The value is the text after the first `=`, without white space around it."""
    assert parsers.parse_variables(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A: 1.10\nB: no\nC: 007", {"A": "1.10", "B": "no", "C": "007"}),
        ("# first\nA: x=y", {"A": "x=y"}),
        ('{"A": "1", "B": 2.50, "C": true}', {"A": "1", "B": "2.50", "C": "true"}),
        ('{\n\t"A": "a\\/b",\n\t"B": ""\n}', {"A": "a/b", "B": ""}),
        ("{A: 1, B: 'x: y'}", {"A": "1", "B": "x: y"}),
        ("A: |\n  two\n  lines\n", {"A": "two\nlines\n"}),
        ('"A": "x"', {"A": "x"}),
        ("with space: x", {"with space": "x"}),
        ("A:\n  folded\n  text", {"A": "folded text"}),
        ("{}", {}),
    ],
)
def test_variables_as_mapping(text: str, expected: dict[str, str]) -> None:
    """A YAML or JSON mapping is equivalent, and its scalars stay text as written."""
    assert parsers.parse_variables(text) == expected


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True), st.text(), max_size=5), st.booleans())
def test_variables_in_json_round_trip(mapping: dict[str, str], ascii_only: bool) -> None:
    """Any text that a JSON writer escapes is sent to the API unchanged."""
    text = json.dumps(mapping, ensure_ascii=ascii_only)
    assert parsers.parse_variables(text) == mapping


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True), st.text(), max_size=5))
def test_variables_in_lines_round_trip(mapping: dict[str, str]) -> None:
    """Any text without a line break is unchanged except for white space around it."""
    mapping = {
        name: value.replace("\n", "").replace("\r", "").strip(parsers.ASCII_WHITESPACE)
        for name, value in mapping.items()
    }
    assert parsers.parse_variables("\n".join(f"{name}={value}" for name, value in mapping.items())) == mapping


NOT_A_VARIABLE = "expected NAME=value. For special names or several lines, use a YAML or JSON mapping."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nsentinel\nB=2", [f"line 2: {NOT_A_VARIABLE}"]),
        ("=sentinel", [f"line 1: {NOT_A_VARIABLE}"]),
        ("A=sentinel\nA=sentinel", ["line 2: 'A' is set twice. Remove one."]),
        (
            "x\ny\nA=1\nA=2",
            [f"line 1: {NOT_A_VARIABLE}", f"line 2: {NOT_A_VARIABLE}", "line 4: 'A' is set twice. Remove one."],
        ),
        ("A: [sentinel]", ["line 1: 'A' is a list. Use a string."]),
        ("A: {b: sentinel}", ["line 1: 'A' is a mapping. Use a string."]),
        ("B: x\nA: null", ["line 2: 'A' has no value. Write \"\" for an empty string."]),
        ("A: sentinel\nA: sentinel", ["line 2: duplicate key: 'A', first on line 1. Remove one."]),
        (
            "A: x\n---\nB: sentinel",
            ["line 2: a second document starts here. Use one document, and remove the line ---."],
        ),
        (f"{'N' * 129}=sentinel", [f"line 1: {NOT_A_VARIABLE}"]),
        ("A\x07=sentinel", [f"line 1: {NOT_A_VARIABLE}"]),
        (f"{'N' * 129}: sentinel", [f"'{'N' * 59}…': invalid name. Use 1 to 128 printable characters without '='."]),
        ("A=" + "sentinel" * 10_000, ["'A': the value is longer than 64 KiB. Shorten it."]),
        ("A=sentinel\udcff", ["'A': invalid UTF-8 in the value. Save the value as UTF-8."]),
    ],
)
def test_invalid_variables_hide_values(text: str, expected: list[str]) -> None:
    """One error lists all mistakes with line or name, and no value."""
    assert get_problems(parsers.parse_variables, text) == expected


@pytest.mark.parametrize(
    "line",
    [
        "sentinel/x=", "sentinel+x==", "sentinel x", '"sentinel"=x', "-sentinel=x",
        "sentinel\u200b=", "sentinel" * 17 + "=", "-----BEGIN sentinel=",
    ],
)  # fmt: skip
def test_line_without_name_is_not_repeated(line: str) -> None:
    """It can be one line of a secret with several lines."""
    assert get_problems(parsers.parse_variables, f"A=1\n{line}\n{line}") == [
        f"line {line_number}: {NOT_A_VARIABLE}" for line_number in (2, 3)
    ]


@pytest.mark.parametrize(
    ("width", "size"), [(60, 46), (60, 113), (64, 49), (64, 80), (64, 113), (72, 55), (76, 58), (76, 113)]
)
def test_multiline_base64_is_no_variable(width: int, size: int) -> None:
    """Its last line can end with `=`, like a name with an empty value."""
    text = base64.b64encode(bytes(number * 7 % 251 for number in range(size))).decode()
    lines = [text[place : place + width] for place in range(0, len(text), width)]
    assert (len(lines) > 1, lines[-1][-1]) == (True, "=")
    expected = [f"line {place}: {NOT_A_VARIABLE}" for place in range(2, len(lines) + 1)]
    for indent in ("", "  "):
        assert get_problems(parsers.parse_variables, "KEY=" + f"\n{indent}".join(lines)) == expected
    assert parsers.parse_variables(f"KEY: {text}") == {"KEY": text}


SPACE_IN_NAME = "white space in the name before '='. Write NAME=value, or a YAML or JSON mapping."


@pytest.mark.parametrize("line", ["sentinel words=x", "exported sentinel = x", "sentinel\u00a0b=x", "a sentinel c=1"])
def test_variable_name_with_space_is_refused(line: str) -> None:
    """The name can be part of a secret, so it is not repeated."""
    assert get_problems(parsers.parse_variables, f"A=1\n{line}") == [f"line 2: {SPACE_IN_NAME}"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('URL="sentinel"', "has quotes around its value"),
        ("URL = 'sentinel' ", "has quotes around its value"),
        ("export URL=sentinel", "has 'export ' before its name"),
        ("- URL=sentinel", "has '- ' before its name"),
        ("- export URL=sentinel", "has 'export ' before its name"),
        ("URL=sentinel # why", "has ' #' in its value"),
        ("URL= # sentinel", "has ' #' in its value"),
        ("URL=$(sentinel)", "has an unresolved $(…) in its value"),
        ("URL=https://$(sentinel.host)/x", "has an unresolved $(…) in its value"),
    ],
)
def test_doubtful_variable_has_warning(line: str, message: str) -> None:
    """The warning names the variable and the mapping form, and the value is sent as written."""
    warnings: list[str] = []
    variables = parsers.parse_variables(line, warnings.append)
    assert variables == {"URL": line.partition("=")[2].strip()}
    (warning,) = warnings
    assert warning.startswith(f"'URL' {message}")
    assert "mapping form `URL: …`" in warning
    assert "sentinel" not in warning


@pytest.mark.parametrize("line", ["URL=x#y", "URL=#x", "URL='", 'URL="a', "exported=1", "URL=$HOME", "URL=(x)"])
def test_ordinary_variable_has_no_warning(line: str) -> None:
    """Only likely mistakes have a warning."""
    warnings: list[str] = []
    parsers.parse_variables(line, warnings.append)
    assert warnings == []


def test_unresolved_value_in_mapping_has_warning() -> None:
    """A mapping has YAML quotes and comments, but `$(NAME)` is unresolved there too."""
    warnings: list[str] = []
    text = 'A: $(sentinel)\nB: "quoted"\nC: x # comment'
    assert parsers.parse_variables(text, warnings.append) == {"A": "$(sentinel)", "B": "quoted", "C": "x"}
    (warning,) = warnings
    assert warning.startswith("'A' has an unresolved $(…) in its value")
    assert "sentinel" not in warning


@pytest.mark.parametrize("text", ["ture", "fail", ""])
def test_choice_error_lists_allowed_words(text: str) -> None:
    """The error lists the allowed words."""
    assert get_problems(lambda t: parsers.parse_choice(("fail2", "skip"), t), text) == [
        f"invalid value: '{text}'. Use fail2 or skip."
    ]


def test_empty_values_after_long_one_are_variables() -> None:
    """A name in another form than the end of base64 is a separate variable."""
    text = "\n".join([f"HASH={'0a' * 32}", "PASSWORD=", f"TOKEN={'x' * 20}", "KEY=", f"ID={'y' * 63}", "KEY2="])
    assert list(parsers.parse_variables(text)) == ["HASH", "PASSWORD", "TOKEN", "KEY", "ID", "KEY2"]


@pytest.mark.parametrize("name", ["API_KEY", "API_URL", "user_id", "KEY", "ABCDEFG"])
@pytest.mark.parametrize("value", ["0a" * 32, "A" * 63 + "z"], ids=["hash", "base64"])
def test_empty_variable_is_no_base64_end(name: str, value: str) -> None:
    """An unavailable secret is empty, and its line can be as long as the end of base64."""
    assert parsers.parse_variables(f"DIGEST={value}\n{name}=") == {"DIGEST": value, name: ""}


@pytest.mark.parametrize(
    "text", ["A: !!str sentinel", "A: *sentinel", 'A: "sentinel', "{A: sentinel", "A: x\n\tsentinel"]
)
def test_broken_mapping_is_not_repeated(text: str) -> None:
    """The message of the YAML parser does not repeat the mapping."""
    assert "sentinel" not in "".join(get_problems(parsers.parse_variables, text))


@pytest.mark.parametrize(
    "text",
    [
        "https://autonoma.app/api",
        "https://autonoma.app:8443",
        "http://localhost:8787/api",
        "http://127.0.0.1",
        "http://127.8.9.1:1/x",
        "http://[::1]:80/api",
        "HTTPS://autonoma.app/api",
    ],
)
def test_api_url_is_accepted(text: str) -> None:
    """Https to any host and http to this machine are valid, and a trailing slash is ignored."""
    assert parsers.parse_api_base_url(text) == text
    assert parsers.parse_api_base_url(text + "/") == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://autonoma.app/api", "URL without https: "),
        ("http://localhost.evil.example", "URL without https: "),
        ("http://127.0.0.1.evil.example", "URL without https: "),
        ("http://128.0.0.1", "URL without https: "),
        ("http://0.0.0.0", "URL without https: "),
        ("ftp://autonoma.app", "URL without https: "),
        ("javascript://autonoma.app/%0aalert(1)", "URL without https: "),
        ("autonoma.app/api", "Use a base URL such as https://autonoma.app/api."),
        ("//autonoma.app/api", "URL without https: "),
        ("https://", "Use a base URL such as https://autonoma.app/api."),
        ("https:///api", "Use a base URL such as https://autonoma.app/api."),
        ("https://autonoma.app/api?x=1", "Use a base URL such as https://autonoma.app/api."),
        ("https://autonoma.app/api#x", "Use a base URL such as https://autonoma.app/api."),
        ("https://autonoma.app/a b", "Use a base URL such as https://autonoma.app/api."),
        ("https://autonoma.app\n.evil.example", "Use a base URL such as https://autonoma.app/api."),
        ("https://autonoma.app:99999", "Use a base URL such as https://autonoma.app/api."),
        ("https://[::1", "Use a base URL such as https://autonoma.app/api."),
        ("https://äutonoma.app", "Use a base URL such as https://autonoma.app/api."),
    ],
)
def test_other_api_urls_are_refused(text: str, message: str) -> None:
    """Credentials go over https or stay on this machine."""
    assert message in get_problems(parsers.parse_api_base_url, text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "https://user:sentinel@autonoma.app/api",
        "https://sentinel@autonoma.app",
        "https://:sentinel@",
        "https://autonoma.app:sentinel@evil.example/",
        "https://autonoma.app/api?token=sentinel",
        "https://autonoma.app/api#sentinel",
    ],
)
def test_api_url_error_hides_credentials(text: str) -> None:
    """A URL with credentials is refused without showing them."""
    assert "sentinel" not in get_problems(parsers.parse_api_base_url, text)[0]


@pytest.mark.parametrize("text", ["nightly", "my nightly", "a/b:ci_1-a", "x" * 10])
def test_source_is_accepted(text: str) -> None:
    """A source is a short plain word or path."""
    assert parsers.parse_source(text) == text


@pytest.mark.parametrize("text", ["x" * 11, "github-actions", "ä", "a\nb", "<b>", "a;b", ""])
def test_invalid_source_is_refused(text: str) -> None:
    """A text that would need escapes is no source."""
    assert get_problems(parsers.parse_source, text)


def test_word_list_drops_duplicates() -> None:
    """A list of names has commas or lines, and keeps its order."""
    assert parsers.parse_list(" smoke, checkout\nsmoke,,\n sign in ") == ("smoke", "checkout", "sign in")


def test_title_is_one_short_line() -> None:
    """A title cannot break out of its line or be longer than a heading."""
    assert parsers.parse_title(" A\ntitle ") == "A title"
    assert len(parsers.parse_title("x" * 1000)) <= 100
    assert parsers.parse_title("x" * 100) == "x" * 100


def test_long_titles_stay_distinct() -> None:
    """The title is part of a step's identity."""
    first_title, second_title = (parsers.parse_title("x" * 200 + end) for end in "ab")
    assert first_title != second_title
    assert first_title.startswith("x" * 80)


@given(st.text())
def test_any_text_is_value_or_error(text: str) -> None:
    """No parser of an option raises any other error."""
    from autonoma_ci.config.options import OPTIONS

    for option in OPTIONS:
        try:
            option.parse(text)
        except InputError as error:
            assert error.diagnostics  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("\ufeffNAME=x", "line 1: byte order mark before the name. Save the source file"),
        ("NAME\u00a0=x", "line 1: white space in the name before '='"),
    ],
)
def test_invisible_characters_in_name_are_named(line: str, expected: str) -> None:
    """Such a line looks correct in an editor."""
    with pytest.raises(InputError, match=expected):
        parsers.parse_variables(line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", "auto"),
        ("ALL", "all"),
        ("@changed files.txt", "@changed files.txt"),
        ("a.py", parsers.PathList(("a.py",))),
        (" a.py \r\n\n\tb c.py", parsers.PathList(("a.py", "b c.py"))),
        ("[]", parsers.PathList((), is_exact=True)),
        ('["a.py", " b "]', parsers.PathList(("a.py", " b "), is_exact=True)),
        ("[id].tsx", parsers.PathList(("[id].tsx",))),
        ("[id]", parsers.PathList(("[id]",))),
        ("[id]\n[slug]", parsers.PathList(("[id]", "[slug]"))),
        ("[" * 100_000 + "]", parsers.PathList(("[" * 100_000 + "]",))),
    ],
)
def test_changed_files_are_parsed(text: str, expected: str | parsers.PathList) -> None:
    """The option is a word, the path of a file, lines or a JSON array."""
    assert parsers.parse_changed_files(text) == expected


@pytest.mark.parametrize(
    ("text", "message"), [("@", "missing path"), ("[1]", "invalid JSON array"), ('["a", null]', "no string")]
)
def test_invalid_changed_files_are_rejected(text: str, message: str) -> None:
    """A reference without a path and a JSON array of other values are errors."""
    with pytest.raises(InputError, match=message):
        parsers.parse_changed_files(text)
