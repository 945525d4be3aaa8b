"""Tests of the selection of folders and tests."""

from __future__ import annotations

import errno
import io

import pytest

from autonoma_ci.api.account import Account, ListedFolder, ListedTest
from autonoma_ci.app.test_picker import Selection, select_by_id, select_interactively
from autonoma_ci.errors import InputError

CARD_TEST, LATER_TEST, SIGN_IN_TEST = (
    ListedTest("t1", "Pays by card"),
    ListedTest("t2", "Pays later"),
    ListedTest("t3", "Sign in"),
)
CHECKOUT = ListedFolder("f1", "Checkout", (CARD_TEST, LATER_TEST))
EMPTY = ListedFolder("f2", "Empty", ())
LOGIN = ListedFolder("f3", "Login", (SIGN_IN_TEST, CARD_TEST))
ACCOUNT = Account((CHECKOUT, EMPTY, LOGIN), 0)
NOTHING_SELECTED = "Nothing was selected, so nothing was written."
NO_TESTS = "The selection has no tests, so nothing was written. Select a folder with tests."


class BrokenInput(io.StringIO):
    """A standard input that fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        raise self._error


def select_ids(*folder_ids: str, tests: tuple[str, ...] = (), everything: bool = False) -> Selection:
    """Select ids without labels."""
    return select_by_id(ACCOUNT, dict.fromkeys(folder_ids, ""), dict.fromkeys(tests, ""), everything=everything)


def get_errors(*folder_ids: str, tests: tuple[str, ...] = (), everything: bool = False) -> list[str]:
    """Return the errors of a selection."""
    with pytest.raises(InputError) as caught:
        select_ids(*folder_ids, tests=tests, everything=everything)
    return [str(diagnostic) for diagnostic in caught.value.diagnostics]


def answer_prompts(input_text: str, account: Account = ACCOUNT) -> tuple[Selection, str]:
    """Return the selection of typed lines and the output."""
    out = io.StringIO()
    return select_interactively(account, io.StringIO(input_text), out), out.getvalue()


# Selection and select_by_id


def test_expanded_selection_has_each_test_once() -> None:
    """Tests of folders precede selected tests, and a test in two folders counts once."""
    selection = Selection((CHECKOUT, EMPTY, LOGIN), (SIGN_IN_TEST,)).expand_folders()
    assert selection == Selection((), (CARD_TEST, LATER_TEST, SIGN_IN_TEST))


def test_everything_selects_folders_with_tests() -> None:
    """An empty folder is left out."""
    assert select_ids(everything=True) == Selection((CHECKOUT, LOGIN))


def test_ids_select_in_given_order() -> None:
    """The order is that of the ids, and each selected folder is one run."""
    assert select_ids("f3", "f1", tests=("t3", "t1")) == Selection((LOGIN, CHECKOUT), (SIGN_IN_TEST, CARD_TEST))


def test_empty_folder_joins_others() -> None:
    """A folder without tests can be selected with other entries."""
    assert select_ids("f2", tests=("t1",)) == Selection((EMPTY,), (CARD_TEST,))
    assert select_ids("f2", everything=True) == Selection((CHECKOUT, LOGIN, EMPTY))


def test_label_replaces_name() -> None:
    """A label that is not empty replaces the name of the account."""
    selection = select_by_id(ACCOUNT, {"f1": "Payments", "f3": ""}, {"t3": "Enter"}, everything=False)
    assert [folder.name for folder in selection.folders] == ["Payments", "Login"]
    assert [test.name for test in selection.tests] == ["Enter"]


def test_label_replaces_name_with_everything() -> None:
    """With all folders, a label still applies to its folder."""
    selection = select_by_id(ACCOUNT, {"f1": "Payments"}, {}, everything=True)
    assert [folder.name for folder in selection.folders] == ["Payments", "Login"]


@pytest.mark.parametrize(
    ("folder_ids", "tests", "error"),
    [
        (("f9",), (), "Unknown folder id: 'f9'. The command autonoma-ci list shows all ids."),
        (("f1x",), (), "Unknown folder id: 'f1x'. Did you mean 'f1'?"),
        ((), ("t9",), "Unknown test id: 't9'. The command autonoma-ci list shows all ids."),
        ((), ("t1x",), "Unknown test id: 't1x'. Did you mean 't1'?"),
        (("t1",), (), "t1 is the id of a test, not of a folder. Use --test-ids."),
        ((), ("f1",), "f1 is the id of a folder, not of a test. Use --folder-ids."),
    ],
)
def test_unknown_id_suggests_fix(folder_ids: tuple[str, ...], tests: tuple[str, ...], error: str) -> None:
    """The error names a similar id, the right option or the command for all ids."""
    assert get_errors(*folder_ids, tests=tests) == [error]


def test_all_unknown_ids_are_reported() -> None:
    """Errors of folders precede errors of tests."""
    errors = get_errors("f8", "f1", "f9", tests=("t9",))
    assert [error.partition(". ")[0] for error in errors] == [
        "Unknown folder id: 'f8'",
        "Unknown folder id: 'f9'",
        "Unknown test id: 't9'",
    ]


def test_selection_without_tests_is_error() -> None:
    """A manifest without tests would start nothing."""
    assert get_errors("f2") == [NO_TESTS]
    with pytest.raises(InputError, match="The selection has no tests"):
        select_by_id(Account((EMPTY,), 0), {}, {}, everything=True)


# select_interactively


def test_prompt_lists_folders_with_tests() -> None:
    """Folders are numbered from 1, without empty ones."""
    selection, output = answer_prompts("1\nfolders\n")
    assert selection == Selection((CHECKOUT,))
    assert output.startswith(
        "Folders of the account:\n    1  Checkout (2 tests)\n    2  Login (2 tests)\n"
        "Which folders? For example 1,3-5 or all: "
    )


def test_prompt_lists_tests_of_folders() -> None:
    """The tests of the selected folders are numbered, and each occurs once."""
    selection, output = answer_prompts("all\ntests\n2\n")
    assert selection == Selection((), (LATER_TEST,))
    assert "    1  Pays by card\n    2  Pays later\n    3  Sign in\nWhich tests? For example 1,3-5 or all: " in output


@pytest.mark.parametrize(
    ("input_text", "folders"),
    [
        ("all", (CHECKOUT, LOGIN)),
        ("ALL ", (CHECKOUT, LOGIN)),
        ("2", (LOGIN,)),
        ("2,1", (CHECKOUT, LOGIN)),
        ("1-2", (CHECKOUT, LOGIN)),
        ("2-2", (LOGIN,)),
        (" 1 , 2 ", (CHECKOUT, LOGIN)),
        ("1 2", (CHECKOUT, LOGIN)),
        ("1,1,1", (CHECKOUT,)),
        (",2,", (LOGIN,)),
        ("000002", (LOGIN,)),
    ],
)
def test_numbers_select_folders(input_text: str, folders: tuple[ListedFolder, ...]) -> None:
    """Numbers and ranges select in the order of the list, each folder once."""
    assert answer_prompts(f"{input_text}\nf\n")[0] == Selection(folders)


@pytest.mark.parametrize(
    "input_text", ["", "0", "3", "1-3", "2-1", "x", "1,x", "-1", "1-", "1.5", "0000001", "9" * 5000, "１", "1--2", "al"]
)
def test_invalid_numbers_repeat_prompt(input_text: str) -> None:
    """An answer out of range selects nothing, and the question follows once more."""
    selection, output = answer_prompts(f"{input_text}\n1\nf\n")
    assert selection == Selection((CHECKOUT,))
    assert output.count("Invalid selection. Choose numbers from 1 to 2, or all.\n") == 1
    assert output.count("Which folders?") == 2


@pytest.mark.parametrize(("input_text", "has_folders"), [("f", True), ("FOLD", True), ("t", False), (" tests ", False)])
def test_prefix_selects_word(input_text: str, has_folders: bool) -> None:
    """The beginning of a word suffices."""
    selection, _ = answer_prompts(f"1\n{input_text}\nall\n")
    assert selection == (Selection((CHECKOUT,)) if has_folders else Selection((), (CARD_TEST, LATER_TEST)))


@pytest.mark.parametrize("input_text", ["", "x", "folders and tests", "1"])
def test_unknown_word_repeats_prompt(input_text: str) -> None:
    """Any other answer repeats the question."""
    selection, output = answer_prompts(f"1\n{input_text}\nf\n")
    assert selection == Selection((CHECKOUT,))
    assert output.count("Start folders or single tests?") == 2


@pytest.mark.parametrize("input_text", ["", "1\n", "x\n", "1\nt\n", "1\nx\n"])
def test_end_of_input_selects_nothing(input_text: str) -> None:
    """The end of the input before the last answer is an error."""
    out = io.StringIO()
    with pytest.raises(InputError, match=NOTHING_SELECTED):
        select_interactively(ACCOUNT, io.StringIO(input_text), out)
    assert out.getvalue().endswith("\n")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ValueError("closed file")], ids=repr)
def test_broken_input_selects_nothing(error: Exception) -> None:
    """A terminal that fails counts as the end of the input."""
    with pytest.raises(InputError, match=NOTHING_SELECTED):
        select_interactively(ACCOUNT, BrokenInput(error), io.StringIO())


def test_prompt_escapes_names() -> None:
    """No name is a command of a terminal or a CI system."""
    tests = (ListedTest("t", "\x1b[2J\n::error::x"),)
    _, output = answer_prompts("1\nt\n1\n", Account((ListedFolder("f", "a\x1b[31m\n::error::b", tests),), 0))
    assert "\x1b" not in output
    assert not [line for line in output.splitlines() if line.startswith("::")]
