"""Parsing of lists of ids and errors about invalid lists."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config import id_lists, parsers
from autonoma_ci.errors import InputError
from autonoma_ci.urls import parse_origin

A, B = "cm8d9gt6v000c9fe5glmyi33u", "g41k688vndxzt7kh4kq5m12s"
APP = "https://autonoma.app"


def parse_entries(text: str, option: str = "test-ids", sites: tuple[str, ...] = (APP,)) -> list[tuple[str, str]]:
    """Return the ids and labels of a list."""
    return [(entry.id, entry.name) for entry in id_lists.parse_ids(text, option, sites)]


def get_problems(text: str, option: str = "test-ids", sites: tuple[str, ...] = (APP,)) -> list[str]:
    """Return the messages about an invalid list."""
    with pytest.raises(InputError) as caught:
        id_lists.parse_ids(text, option, sites)
    return [str(problem) for problem in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [("a", "")]),
        ("a,b", [("a", ""), ("b", "")]),
        ("a\nb\r\nc", [("a", ""), ("b", ""), ("c", "")]),
        (" a , b ,, \n\n ,c,", [("a", ""), ("b", ""), ("c", "")]),
        ("# all of it\na # the first\n#b\nc", [("a", ""), ("c", "")]),
        ("# Checkout = a\nb", [("b", "")]),
        ("Checkout = a\nSign in=b", [("a", "Checkout"), ("b", "Sign in")]),
        ("L=a,b", [("a", "L"), ("b", "")]),
        ("L=a, M = b", [("a", "L"), ("b", "M")]),
        ("x=y=a", [("a", "x=y")]),
        ("Ünïcode ✓=a", [("a", "Ünïcode ✓")]),
        ("a,a", [("a", ""), ("a", "")]),
        ("#", []),
        ("A-Z_09" + "x" * 122, [("A-Z_09" + "x" * 122, "")]),
    ],
)
def test_ids_by_commas_or_lines(text: str, expected: list[tuple[str, str]]) -> None:
    """A list has commas, line breaks of any editor, comments, labels and duplicates."""
    assert parse_entries(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A} {B}", [(A, ""), (B, "")]),
        (f"  {A}\t{B}  # both", [(A, ""), (B, "")]),
        (f"{A} {B}, c\nd", [(A, ""), (B, ""), ("c", ""), ("d", "")]),
        (f"{APP}/test/{A} {B}", [(A, ""), (B, "")]),
    ],
)
def test_long_words_on_one_line_are_ids(text: str, expected: list[tuple[str, str]]) -> None:
    """A word of 16 characters with a digit is an id, not part of a label."""
    assert parse_entries(text) == expected


@pytest.mark.parametrize("text", [f"Checkout {A}", f"{A} short", f"{A} abcdefghijklmnopqrst", f"{A} 0123456789abcde"])
def test_short_words_on_one_line_are_refused(text: str) -> None:
    """The error shows how to write a label."""
    (problem,) = get_problems(text)
    assert "Spaces are not allowed. Write '" in problem
    assert " = " in problem


def test_two_ids_for_one_label_are_refused() -> None:
    """The label can belong to either id."""
    (problem,) = get_problems(f"Both = {A} {B}")
    assert problem.endswith("Write one id after '=', and each entry on its own line.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'"Checkout #2, fast" = {A}', [(A, "Checkout #2, fast")]),
        (f"'Pay, x = 1'={A}, {B}", [(A, "Pay, x = 1"), (B, "")]),
        (f'"Bob\'s #1" = {A} # a comment', [(A, "Bob's #1")]),
        (f"Bob's shop = {A}\nAnn's shop = {B}", [(A, "Bob's shop"), (B, "Ann's shop")]),
        (f"\"{A}\", '{B}'", [(A, ""), (B, "")]),
        (f'Pay = "{A}"', [(A, "Pay")]),
        (f"[smoke] Checkout = {A}", [(A, "[smoke] Checkout")]),
    ],
)
def test_quotes_delimit_label(text: str, expected: list[tuple[str, str]]) -> None:
    """An apostrophe is an ordinary character, and quotes around an id are removed."""
    assert parse_entries(text) == expected


@pytest.mark.parametrize(
    "text", [f"Checkout #2 = {A}", f"Pay = {A} # was Pay = {B}", f"{A} # owner=web", f"Checkout # = {A}"]
)
def test_comment_before_equals_is_refused(text: str) -> None:
    """A label with `#` would otherwise start another list of ids."""
    (problem,) = get_problems(f"{B}\n{text}")
    assert problem.startswith(f"line 2: '{text[:20]}")
    assert "the comment after ' #' contains '='. Put the label in quotes (\"Checkout #2\" = ID)" in problem


@pytest.mark.parametrize(
    "text", [f"C# tests = {A}", f"Issue#5 = {A}", f"Pay (#2) = {A}", f"{B}, C# = {A}", f"- C# = {A}"]
)
def test_hash_in_unquoted_label_is_refused(text: str) -> None:
    """After white space, the same character would start a comment."""
    (problem,) = get_problems(f"{B}\n{text}")
    assert problem.startswith("line 2: '")
    assert "the label contains '#'. Put the label in quotes (\"Issue#2\" = ID)." in problem


@pytest.mark.parametrize("text", [f"#5 Checkout = {A}", f" #12\tPay = {A}", f"#5={A}", f"#5: Pay, fast = {A}"])
def test_hash_and_number_is_no_comment(text: str) -> None:
    """Otherwise the test would not start."""
    (problem,) = get_problems(f"{B}\n{text}")
    assert "'#' starts a comment here. Put the label in quotes (\"#5 Pay\" = ID), or a space after the '#'" in problem


@pytest.mark.parametrize(
    "text",
    ["#5", "#5 of them", f"#Pay = {A}", f"# 5 Pay = {A}", "#123 flaky, see retries=2", "#7 see https://x.test/?a=b"],
)
def test_comment_with_number_is_comment(text: str) -> None:
    """A comment can begin with a number."""
    assert parse_entries(f"{B}\n{text}") == [(B, "")]


@pytest.mark.parametrize("text", [f"Pay, fast = {A}", f"Pay, by card, fast = {A}", f"x = {B}, Pay, fast = {A}"])
def test_comma_in_label_is_refused(text: str) -> None:
    """Otherwise the first half of the label would start as a test."""
    (problem,) = get_problems(text)
    assert "the comma before '=' separates two entries. Put the label in quotes (\"Pay, fast\" = ID)" in problem


def test_id_before_label_is_separate() -> None:
    """A word that can only be an id is not part of the label."""
    assert parse_entries(f"{A}, Pay = {B}") == [(A, ""), (B, "Pay")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", []),
        (" [ ]\n", []),
        (f'["{A}"]', [(A, "")]),
        (f'[\n  "{A}",\n  "{B}"\n]', [(A, ""), (B, "")]),
        (f'["Pay = {A}", "Checkout #2, fast = {B}"]', [(A, "Pay"), (B, "Checkout #2, fast")]),
        (f'["{APP}/test/{A}?tab=x#y", " {B} "]', [(A, ""), (B, "")]),
        (f'["a = b = {A}", "{A}", "{A}"]', [(A, "a = b"), (A, ""), (A, "")]),
    ],
)
def test_json_array_is_list(text: str, expected: list[tuple[str, str]]) -> None:
    """A member is one entry, so `#` and `,` need no quotes in it."""
    assert parse_entries(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "member 1: invalid id: a number"),
        ("[1.5]", "member 1: invalid id: a number"),
        (f'["{A}", null]', "member 2: invalid id: null"),
        ("[true]", "member 1: invalid id: true or false"),
        ('[{"id": "a"}]', "member 1: invalid id: an object"),
        ('[["a"]]', "member 1: invalid id: an array"),
        ('[""]', "member 1: missing id. Write an id"),
        ('["a,b"]', "member 1: invalid id: 'a,b' contains ','."),
        ('["a\\nb"]', "member 1: invalid id: 'a b'"),
        (f"[{A}, {B}]", "invalid JSON array at line 1, column 2"),
        (f"['{A}']", "invalid JSON array at line 1, column 2"),
        ('["a"', "invalid JSON array at line 1, column 5"),
        ('["a",]', "invalid JSON array at line 1, column"),
        ('["a"] # all', "invalid JSON array at line 1, column 7"),
        ("[" * 100_000, "invalid JSON array: nested too deeply"),
        ("[" + "1" * 100_000 + "]", "member 1: invalid id: a number"),
        ("[NaN]", "member 1: invalid id: a number"),
    ],
)
def test_invalid_json_array_is_refused(text: str, message: str) -> None:
    """Broken JSON has a position, and a member of another type has its number."""
    assert get_problems(text)[0].startswith(message)


@pytest.mark.parametrize(
    "link",
    [
        f"{APP}/test/{A}", f"{APP}/test/{A}/", f"{APP}/test/{A}?tab=a=b&c#x=1", f"{APP}/test/{A}#steps",
        f"HTTPS://AUTONOMA.APP:443/test/{A}", f"{APP}./test/{A}",
    ],
)  # fmt: skip
def test_app_link_is_id(link: str) -> None:
    """Query, fragment and trailing slash are not part of the id."""
    assert parse_entries(link) == [(A, "")]
    assert parse_entries(f"Pay = {link}, {B}") == [(A, "Pay"), (B, "")]


def test_app_link_must_match_kind() -> None:
    """A link names its kind, and an option accepts only its own kind."""
    for kind, option in (("test", "test-ids"), ("folder", "folder-ids"), ("tag", "tag-ids")):
        assert parse_entries(f"{APP}/{kind}/{A}", option) == [(A, "")]
        for other_option in {"test-ids", "folder-ids", "tag-ids"} - {option}:
            assert get_problems(f"{APP}/{kind}/{A}", other_option) == [
                f"link of a {kind}: '{APP}/{kind}/{A}'. Put it into {option}."
            ]


def test_links_separated_by_commas() -> None:
    """A comma ends a link, and a comma in its query is an error."""
    assert parse_entries(f"{APP}/test/{A},{APP}/test/{B}?x=1,{APP}/test/{A},{B}") == [
        (A, ""),
        (B, ""),
        (A, ""),
        (B, ""),
    ]
    assert "comma after the '?' or '#'" in get_problems(f"{APP}/test/{A}?x=1,{B}")[0]


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (f"{APP}/run/{A}", "link of a run"),
        (f"{APP}/run/folder/{A}", "link of a run"),
        (f"{APP}/settings", "link of another page"),
        (f"{APP}/test/{A}/steps", "link of another page"),
        (f"{APP}/test/..%2frun", "link of another page"),
        (f"{APP}/test/", "link of another page"),
        (f"http://autonoma.app/test/{A}", "Write the id alone, or a link of https://autonoma.app."),
        (f"https://autonoma.app.evil.example/test/{A}", "Write the id alone, or a link of https://autonoma.app."),
        (f"https://autonoma.app:8443/test/{A}", "Write the id alone, or a link of https://autonoma.app."),
        (f"https://evil.example\\@autonoma.app/test/{A}", "Write the id alone, or a link of https://autonoma.app."),
        (f"https://me:sentinel@autonoma.app/test/{A}", "Write the id alone, or a link of https://autonoma.app."),
        (f"https://evil.example/test/{A}?sentinel", "Write the id alone, or a link of https://autonoma.app."),
        ("https://[::1/test/x", "Write the id alone, or a link of https://autonoma.app."),
        (f"{APP}/test/{A} fast", "text after a link: "),
        (f"autonoma.app/test/{A}", "Write a link with https://"),
    ],
)
def test_foreign_link_is_refused(link: str, message: str) -> None:
    """Only links of the app are valid, and the error shows no secret part of a link."""
    (problem,) = get_problems(link)
    assert message in problem
    assert "sentinel" not in problem


def test_link_of_api_host_is_accepted() -> None:
    """A self-hosted app has its own links."""
    own_origin = parse_origin("https://tests.example.com:8443/api")
    assert own_origin
    assert parse_entries(f"https://tests.example.com:8443/test/{A}", sites=(APP, own_origin)) == [(A, "")]
    assert parse_entries(f"{APP}/test/{A}", sites=(APP, own_origin)) == [(A, "")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(f"- {A}\n- {B}", [(A, ""), (B, "")]), (f"-\t{A}", [(A, "")]), (f'- "Pay #2" = {A}', [(A, "Pay #2")])],
)
def test_yaml_list_dashes_are_removed(text: str, expected: list[tuple[str, str]]) -> None:
    """A dash at the start of a line has no other meaning."""
    assert parse_entries(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"id: {A}", "Write the id alone, or label = id, instead of YAML."),
        (f"- id: {A}", "Write the id alone, or label = id, instead of YAML."),
        ("-", "missing id. Write an id"),
        (f"{A};{B}", "Separate ids by commas or line breaks"),
        ("${{ vars.IDS }}", "A variable was not replaced."),
        ("$(IDS)", "A variable was not replaced."),
        ("$IDS", "A variable was not replaced."),
        ("%IDS%", "A variable was not replaced."),
        ("{{ ids }}", "A variable was not replaced."),
        ("Pay =", "missing id: 'Pay'. Write an id after '='"),
        ("= ", "missing id. Write an id"),
        ('{"ids": ["a"]}', "invalid list: a JSON object."),
        (f"{A} | {B}", "Spaces are not allowed. Write 'label = id'"),
        ('""', "missing id. Write an id"),
    ],
)
def test_other_list_syntax_is_explained(text: str, message: str) -> None:
    """The error shows the correct syntax."""
    assert message in get_problems(text)[0]


def test_hash_inside_word_is_no_comment() -> None:
    """Only a `#` after white space starts a comment. Inside an id it is an error."""
    assert get_problems("a#b") == ["invalid id: 'a#b' contains '#'. Use only letters, digits, - and _."]


@pytest.mark.parametrize(
    "invalid_ids",
    [
        *("a/b", "..", "a?b", "a b", "a\tb", "a\rb", "a\x00b", "a\x0bb", "a\x1cb", "a\x85b", "a\u2028b", "a\x7fb"),
        *("é", "a\u200bb", "a.b", "%61", "a;b", "x=", "[a", "x" * 129),
    ],
)
def test_invalid_id_is_refused(invalid_ids: str) -> None:
    """An id has 1 to 128 letters, digits, hyphens and underscores, because it is part of a path."""
    assert get_problems(invalid_ids)
    assert parsers.id_error(invalid_ids.rpartition("=")[2])


def test_each_invalid_id_has_its_line() -> None:
    """One error lists all invalid ids with their lines."""
    assert get_problems("ok\na/b, c d\nlabel=") == [
        "line 2: invalid id: 'a/b' contains '/'. Use only letters, digits, - and _.",
        "line 2: invalid id: 'c d'. Spaces are not allowed. Write 'c = d', or each id on its own line.",
        "line 3: missing id: 'label'. Write an id after '=', or remove the entry.",
    ]


@given(st.text() | st.text(f"""ab1 ,#="'[]\n\t-:/?{A}""") | st.lists(st.text()).map(json.dumps))
def test_any_text_is_ids_or_errors(text: str) -> None:
    """For any text, the result is valid ids or errors of one line each."""
    try:
        parsed_entries = id_lists.parse_ids(text)
    except InputError as error:
        assert all(len(str(problem).splitlines()) == 1 for problem in error.diagnostics)  # noqa: PT017 - either is right
    else:
        assert all(parsers.ID_RE.fullmatch(entry.id) for entry in parsed_entries)


@pytest.mark.slow
@pytest.mark.parametrize("text", ['"' * 200_000, "a " * 100_000, "' = " * 50_000, "https://a?" * 20_000, "," * 200_000])
def test_long_list_takes_linear_time(text: str) -> None:
    """No text makes the parser read the same characters again and again."""
    try:
        id_lists.parse_ids(text)
    except InputError as error:
        assert error.diagnostics  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    "line",
    [
        f"Checkout = {A} Sign in = {B}",
        f"Checkout = {APP}/test/{A} Sign in = {APP}/test/{B}",
        f'"Checkout" = {A} "Sign in" = {B}',
    ],
)
def test_joined_entries_are_refused(line: str) -> None:
    """YAML's `>` joins lines. Without an error, only the last of them would run."""
    (problem,) = get_problems(line)
    assert "the text before the last '=' contains an id. Write each entry on its own line" in problem


def test_id_between_comments_is_refused() -> None:
    """YAML's `>` joins lines, so the first comment would hide the second id."""
    (problem,) = get_problems(f"{A} # first {B} # second")
    assert "the comment after ' #' contains an id. Write each entry on its own line" in problem
    assert parse_entries(f"{A} # was {B}") == [(A, "")]


def test_label_with_equals_is_accepted() -> None:
    """A `=` in a label is valid where no id follows it."""
    assert parse_entries(f"x = y = {A}\n'a = {B} b' = {A}") == [(A, "x = y"), (A, f"a = {B} b")]


@pytest.mark.parametrize("text", [f'["{A} {B}"]', f'["{A} # x"]', f"{A} - {B}"])
def test_suggestion_never_uses_id_as_label(text: str) -> None:
    """Such an example would start one test with the id of another as its label."""
    (problem,) = get_problems(text)
    assert "Write 'label = id'" in problem


@pytest.mark.parametrize(
    "text",
    [
        "https://user:SEN/TINEL@autonoma.app/test/x",
        "https://user:SEN?TINEL@autonoma.app/test/x",
        "Checkout https://user:TINEL@host.example/x",
        "ftp://user:TINEL@host.example/x",
        "<https://autonoma.app/test/x?token=TINEL>",
        "Checkout: https://autonoma.app/test/x#TINEL",
        "https://host.example/?token=TINEL = x y",
    ],
)
def test_link_errors_hide_secrets(text: str) -> None:
    """No error repeats the password or the query of a link."""
    (problem,) = get_problems(text)
    assert "TINEL" not in problem
    assert "SEN" not in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A}\u00a0", "contains a no-break space."),
        (f"\ufeff{A}", "contains a byte order mark."),
        (f"{A}\u200b", "contains a zero-width space."),
        (f"{A}\\n{B}", "Separate ids by commas or line breaks, instead of the two characters '\\n'."),
    ],
)
def test_invisible_characters_are_named(text: str, expected: str) -> None:
    """The error has a readable name beside the code point."""
    (problem,) = get_problems(text)
    assert expected in problem
