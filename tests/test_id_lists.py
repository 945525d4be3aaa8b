"""Lists of ids as people write them, and what is said of a list that is invalid."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config import id_lists, parsers
from autonoma_ci.errors import InputError

A, B = "cm8d9gt6v000c9fe5glmyi33u", "g41k688vndxzt7kh4kq5m12s"
APP = "https://autonoma.app"


def entries(text: str, option: str = "test-ids", sites: tuple[str, ...] = (APP,)) -> list[tuple[str, str]]:
    """Return the ids and labels of a list."""
    return [(entry.id, entry.name) for entry in id_lists.parse_ids(text, option, sites)]


def problems(text: str, option: str = "test-ids", sites: tuple[str, ...] = (APP,)) -> list[str]:
    """Return what is said of an invalid list."""
    with pytest.raises(InputError) as refused:
        id_lists.parse_ids(text, option, sites)
    return [str(problem) for problem in refused.value.diagnostics]


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
def test_ids_are_separated_by_commas_or_lines(text: str, expected: list[tuple[str, str]]) -> None:
    """A list of ids takes commas, lines of editors, comments, labels and repetitions."""
    assert entries(text) == expected


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
    """A word of 16 characters with a digit is no part of a label."""
    assert entries(text) == expected


@pytest.mark.parametrize("text", [f"Checkout {A}", f"{A} short", f"{A} abcdefghijklmnopqrst", f"{A} 0123456789abcde"])
def test_other_words_on_one_line_are_refused(text: str) -> None:
    """The answer shows how a label is written."""
    (problem,) = problems(text)
    assert "it holds a space; write '" in problem
    assert " = " in problem


def test_several_words_behind_a_label_are_refused() -> None:
    """It is unknown which of them the label is of."""
    (problem,) = problems(f"Both = {A} {B}")
    assert problem.endswith("write one id after '=', and each entry on its own line")


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
def test_quotes_keep_a_label_whole(text: str, expected: list[tuple[str, str]]) -> None:
    """An apostrophe is an ordinary character, and quotes around an id are not a part of it."""
    assert entries(text) == expected


@pytest.mark.parametrize(
    "text", [f"Checkout #2 = {A}", f"Pay = {A} # was Pay = {B}", f"{A} # owner=web", f"Checkout # = {A}"]
)
def test_comment_that_cuts_off_an_equals_sign_is_refused(text: str) -> None:
    """A label with `#` would make another list of it."""
    (problem,) = problems(f"{B}\n{text}")
    assert problem.startswith(f"line 2: '{text[:20]}")
    assert "' #' starts a comment, which cuts off '='; put the label in quotes (\"Checkout #2\" = ID)" in problem


@pytest.mark.parametrize(
    "text", [f"C# tests = {A}", f"Issue#5 = {A}", f"Pay (#2) = {A}", f"{B}, C# = {A}", f"- C# = {A}"]
)
def test_sign_in_a_label_without_quotes_is_refused(text: str) -> None:
    """Behind white space, the same sign would begin a comment."""
    (problem,) = problems(f"{B}\n{text}")
    assert problem.startswith("line 2: '")
    assert "a label may hold '#' only in quotes; put the label in quotes (\"Issue#2\" = ID)" in problem


@pytest.mark.parametrize("text", [f"#5 Checkout = {A}", f" #12\tPay = {A}", f"#5={A}", f"#5: Pay, fast = {A}"])
def test_line_that_begins_with_a_number_is_no_comment(text: str) -> None:
    """Else its test would not be started."""
    (problem,) = problems(f"{B}\n{text}")
    assert "'#' starts a comment here; put the label in quotes (\"#5 Pay\" = ID), or a space after the '#'" in problem


@pytest.mark.parametrize(
    "text",
    ["#5", "#5 of them", f"#Pay = {A}", f"# 5 Pay = {A}", "#123 flaky, see retries=2", "#7 see https://x.test/?a=b"],
)
def test_comment_that_begins_with_a_number_is_one(text: str) -> None:
    assert entries(f"{B}\n{text}") == [(B, "")]


@pytest.mark.parametrize("text", [f"Pay, fast = {A}", f"Pay, by card, fast = {A}", f"x = {B}, Pay, fast = {A}"])
def test_comma_that_splits_a_label_is_refused(text: str) -> None:
    """Else the first half of the label would be started as a test."""
    (problem,) = problems(text)
    assert "the comma separates entries before '='; put the label in quotes (\"Pay, fast\" = ID)" in problem


def test_id_before_a_label_is_no_part_of_it() -> None:
    """What can only be an id is one."""
    assert entries(f"{A}, Pay = {B}") == [(A, ""), (B, "Pay")]


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
def test_json_array_is_a_list(text: str, expected: list[tuple[str, str]]) -> None:
    """A member is one entry, so `#` and `,` need no quotes within it."""
    assert entries(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "member 1: a number is not an id"),
        ("[1.5]", "member 1: a number is not an id"),
        (f'["{A}", null]', "member 2: null is not an id"),
        ("[true]", "member 1: true or false is not an id"),
        ('[{"id": "a"}]', "member 1: an object is not an id"),
        ('[["a"]]', "member 1: an array is not an id"),
        ('[""]', "member 1: an id is missing"),
        ('["a,b"]', "member 1: 'a,b' is not an id: it holds ,"),
        ('["a\\nb"]', "member 1: 'a b' is not an id"),
        (f"[{A}, {B}]", "invalid JSON array at line 1, column 2"),
        (f"['{A}']", "invalid JSON array at line 1, column 2"),
        ('["a"', "invalid JSON array at line 1, column 5"),
        ('["a",]', "invalid JSON array at line 1, column"),
        ('["a"] # all', "invalid JSON array at line 1, column 7"),
        ("[" * 100_000, "invalid JSON array: it is nested too deeply"),
        ("[" + "1" * 100_000 + "]", "member 1: a number is not an id"),
        ("[NaN]", "member 1: a number is not an id"),
    ],
)
def test_json_array_says_what_is_wrong(text: str, says: str) -> None:
    """Broken JSON has its place, and a member that is no text its number."""
    assert problems(text)[0].startswith(says)


@pytest.mark.parametrize(
    "link",
    [
        f"{APP}/test/{A}", f"{APP}/test/{A}/", f"{APP}/test/{A}?tab=a=b&c#x=1", f"{APP}/test/{A}#steps",
        f"HTTPS://AUTONOMA.APP:443/test/{A}", f"{APP}./test/{A}",
    ],
)  # fmt: skip
def test_link_of_the_app_is_its_id(link: str) -> None:
    """Query, fragment and the slash at the end are no part of the id."""
    assert entries(link) == [(A, "")]
    assert entries(f"Pay = {link}, {B}") == [(A, "Pay"), (B, "")]


def test_links_of_each_kind_are_taken_where_they_belong() -> None:
    """A link says which kind it is of, and the option takes that kind only."""
    for kind, option in (("test", "test-ids"), ("folder", "folder-ids"), ("tag", "tag-ids")):
        assert entries(f"{APP}/{kind}/{A}", option) == [(A, "")]
        for other in {"test-ids", "folder-ids", "tag-ids"} - {option}:
            assert problems(f"{APP}/{kind}/{A}", other) == [
                f"'{APP}/{kind}/{A}' is the link of a {kind}: put it into {option}"
            ]


def test_links_between_commas_are_all_read() -> None:
    """A comma ends a link, but one in its query would drop what follows."""
    assert entries(f"{APP}/test/{A},{APP}/test/{B}?x=1,{APP}/test/{A},{B}") == [(A, ""), (B, ""), (A, ""), (B, "")]
    assert "a comma follows the '?' or '#'" in problems(f"{APP}/test/{A}?x=1,{B}")[0]


@pytest.mark.parametrize(
    ("link", "says"),
    [
        (f"{APP}/run/{A}", "is the link of a run"),
        (f"{APP}/run/folder/{A}", "is the link of a run"),
        (f"{APP}/settings", "is the link of another page"),
        (f"{APP}/test/{A}/steps", "is the link of another page"),
        (f"{APP}/test/..%2frun", "is the link of another page"),
        (f"{APP}/test/", "is the link of another page"),
        (f"http://autonoma.app/test/{A}", "is not a link of https://autonoma.app"),
        (f"https://autonoma.app.evil.example/test/{A}", "is not a link of https://autonoma.app"),
        (f"https://autonoma.app:8443/test/{A}", "is not a link of https://autonoma.app"),
        (f"https://evil.example\\@autonoma.app/test/{A}", "is not a link of https://autonoma.app"),
        (f"https://me:sentinel@autonoma.app/test/{A}", "is not a link of https://autonoma.app"),
        (f"https://evil.example/test/{A}?sentinel", "is not a link of https://autonoma.app"),
        ("https://[::1/test/x", "is not a link of https://autonoma.app"),
        (f"{APP}/test/{A} fast", "is followed by more words"),
        (f"autonoma.app/test/{A}", "write a link with its https://"),
    ],
)
def test_other_links_are_refused(link: str, says: str) -> None:
    """Only a link of the app leads to an id, and what may be secret in a link is not shown."""
    (problem,) = problems(link)
    assert says in problem
    assert "sentinel" not in problem


def test_links_of_the_api_s_own_host_are_taken() -> None:
    """An app that is hosted elsewhere has links of its own."""
    own = id_lists.parse_origin("https://tests.example.com:8443/api")
    assert entries(f"https://tests.example.com:8443/test/{A}", sites=(APP, own)) == [(A, "")]
    assert entries(f"{APP}/test/{A}", sites=(APP, own)) == [(A, "")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(f"- {A}\n- {B}", [(A, ""), (B, "")]), (f"-\t{A}", [(A, "")]), (f'- "Pay #2" = {A}', [(A, "Pay #2")])],
)
def test_dashes_of_a_yaml_list_are_understood(text: str, expected: list[tuple[str, str]]) -> None:
    """Nothing else can be meant by them."""
    assert entries(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"id: {A}", "it looks like YAML; write the id alone, or label = id"),
        (f"- id: {A}", "it looks like YAML; write the id alone, or label = id"),
        ("-", "an id is missing"),
        (f"{A};{B}", "separate ids by commas or lines"),
        ("${{ vars.IDS }}", "a variable in it was not replaced"),
        ("$(IDS)", "a variable in it was not replaced"),
        ("$IDS", "a variable in it was not replaced"),
        ("%IDS%", "a variable in it was not replaced"),
        ("{{ ids }}", "a variable in it was not replaced"),
        ("Pay =", "'Pay' has no id: write an id after '='"),
        ("= ", "an id is missing"),
        ('{"ids": ["a"]}', "a JSON object is not a list of ids"),
        (f"{A} | {B}", "it holds a space; write 'label = id'"),
        ('""', "an id is missing"),
    ],
)
def test_habits_of_other_lists_are_answered(text: str, says: str) -> None:
    """Who writes a list as elsewhere is told how it is written here."""
    assert says in problems(text)[0]


def test_a_hash_inside_a_word_is_no_comment() -> None:
    """Only a `#` after white space starts a comment; one inside an id is told as a mistake."""
    assert problems("a#b") == ["'a#b' is not an id: it holds #; ids are letters, digits, - and _"]


@pytest.mark.parametrize(
    "bad",
    [
        *("a/b", "..", "a?b", "a b", "a\tb", "a\rb", "a\x00b", "a\x0bb", "a\x1cb", "a\x85b", "a\u2028b", "a\x7fb"),
        *("é", "a\u200bb", "a.b", "%61", "a;b", "x=", "[a", "x" * 129),
    ],
)
def test_what_is_not_an_id_is_refused(bad: str) -> None:
    """An id is letters, digits, - and _, up to 128 of them; nothing else ever becomes part of a path."""
    assert problems(bad)
    assert parsers.id_error(bad.rpartition("=")[2])


def test_every_bad_id_is_told_with_its_line() -> None:
    """All mistakes of a list are told at once, and where they are."""
    assert problems("ok\na/b, c d\nlabel=") == [
        "line 2: 'a/b' is not an id: it holds /; ids are letters, digits, - and _",
        "line 2: 'c d' is not an id: it holds a space; write 'c = d', or several ids on lines of their own",
        "line 3: 'label' has no id: write an id after '=', or remove the entry",
    ]


@given(st.text() | st.text(f"""ab1 ,#="'[]\n\t-:/?{A}""") | st.lists(st.text()).map(json.dumps))
def test_any_list_is_ids_or_problems_of_one_line(text: str) -> None:
    """Whatever the text is, an id is an id, and a problem is one line."""
    try:
        found = id_lists.parse_ids(text)
    except InputError as error:
        assert all(len(str(problem).splitlines()) == 1 for problem in error.diagnostics)  # noqa: PT017 - either is right
    else:
        assert all(parsers.ID_RE.fullmatch(entry.id) for entry in found)


@pytest.mark.parametrize("text", ['"' * 200_000, "a " * 100_000, "' = " * 50_000, "https://a?" * 20_000, "," * 200_000])
def test_long_list_ends_soon(text: str) -> None:
    """No text makes the reader go over the same characters again and again."""
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
    (problem,) = problems(line)
    assert "an id stands before the last '='; write each entry on a line of its own" in problem


def test_id_between_two_comments_is_refused() -> None:
    """YAML's `>` joins lines, so that the first comment takes the second id away."""
    (problem,) = problems(f"{A} # first {B} # second")
    assert "' #' starts a comment, which cuts off an id; write each entry on a line of its own" in problem
    assert entries(f"{A} # was {B}") == [(A, "")]


def test_label_with_equals_sign_is_kept() -> None:
    """A `=` in a label is no fault where no id follows it."""
    assert entries(f"x = y = {A}\n'a = {B} b' = {A}") == [(A, "x = y"), (A, f"a = {B} b")]


@pytest.mark.parametrize("text", [f'["{A} {B}"]', f'["{A} # x"]', f"{A} - {B}"])
def test_no_id_is_proposed_as_a_label(text: str) -> None:
    """The example would start one test, with the id of another as its label."""
    (problem,) = problems(text)
    assert "write 'label = id'" in problem


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
def test_secret_parts_of_links_are_not_shown(text: str) -> None:
    """A password or a query can be secret, wherever the link stands and whatever is wrong with the entry."""
    (problem,) = problems(text)
    assert "TINEL" not in problem
    assert "SEN" not in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A}\u00a0", "it holds a no-break space;"),
        (f"\ufeff{A}", "it holds a byte order mark;"),
        (f"{A}\u200b", "it holds a zero-width space;"),
        (f"{A}\\n{B}", "it holds '\\n' as two characters; separate ids by commas or lines"),
    ],
)
def test_characters_that_are_not_seen_are_named(text: str, expected: str) -> None:
    """A code point says nothing to most readers."""
    (problem,) = problems(text)
    assert expected in problem
