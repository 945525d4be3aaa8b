"""Select folders and tests of the account for a new manifest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TextIO

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.errors import InputError
from autonoma_ci.net.threads import run_in_background
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.api.account import Account, ListedFolder, ListedTest

_NOTHING_SELECTED = "Nothing was selected, so nothing was written."


class Selection(NamedTuple):
    """The selected folders and tests."""

    # Each folder is one run.

    folders: tuple[ListedFolder, ...] = ()
    tests: tuple[ListedTest, ...] = ()

    def expand_folders(self) -> Selection:
        """Return the selection with tests instead of folders.

        Each test occurs once.
        """
        all_tests = [*(test for folder in self.folders for test in folder.tests), *self.tests]
        return Selection((), tuple({test.id: test for test in all_tests}.values()))


def select_by_id(
    account: Account, folder_ids: Mapping[str, str], test_ids: Mapping[str, str], *, everything: bool
) -> Selection:
    """Return the folders and tests with these ids.

    A folder without tests can be selected by its id.

    Args:
        account: The folders and tests of the account.
        folder_ids: Labels by folder ids. A label that is not empty replaces the name of the folder.
        test_ids: The same for tests.
        everything: Whether to select all folders that have tests.

    Raises:
        InputError: The account does not have an id, or the selection has no tests.

    """
    folders = {folder.id: folder for folder in account.folders}
    tests = {test.id: test for folder in account.folders for test in folder.tests}
    errors = [
        _unknown_id_error("folder", text, list(folders), text in tests) for text in folder_ids if text not in folders
    ]
    errors += [_unknown_id_error("test", text, list(tests), text in folders) for text in test_ids if text not in tests]
    if errors:
        raise InputError(errors)
    selected = {folder.id: folder for folder in account.folders if folder.tests} if everything else {}
    selected |= {text: folders[text]._replace(name=label or folders[text].name) for text, label in folder_ids.items()}
    selected_tests = (tests[text]._replace(name=label or tests[text].name) for text, label in test_ids.items())
    selection = Selection(tuple(selected.values()), tuple(selected_tests))
    if not selection.expand_folders().tests:
        raise InputError(["The selection has no tests, so nothing was written. Select a folder with tests."])
    return selection


def _unknown_id_error(kind: str, text: str, known: list[str], is_other_kind: bool) -> str:  # noqa: FBT001
    if is_other_kind:
        other = "test" if kind == "folder" else "folder"
        return f"{text} is the id of a {other}, not of a {kind}. Use --{other}-ids."
    from autonoma_ci.config.suggestions import find_closest_match

    suggestion = find_closest_match(text, known)
    hint = f"Did you mean '{suggestion}'?" if suggestion else "The command autonoma-ci list shows all ids."
    return f"Unknown {kind} id: '{text}'. {hint}"


def select_interactively(account: Account, stdin: TextIO, out: TextIO) -> Selection:
    """Return the selection of a user at a terminal.

    Raises:
        InputError: The input ended.

    """
    log = JobLog(out, PLAIN_LOG_FORMATTER)
    folders = [folder for folder in account.folders if folder.tests]
    log.info("Folders of the account:")
    for number, folder in enumerate(folders, 1):
        log.info(f"{number:>5}  {folder.name} ({pluralize(len(folder.tests), 'test')})")
    selected = [
        folders[index]
        for index in _select_indexes("Which folders? For example 1,3-5 or all:", len(folders), stdin, out)
    ]
    log.info("A folder is one run. Single tests have their own results, retries and evidence.")
    if _select_word("Start folders or single tests? (folders/tests):", ("folders", "tests"), stdin, out) == "folders":
        return Selection(tuple(selected))
    tests = Selection(tuple(selected)).expand_folders().tests
    for number, test in enumerate(tests, 1):
        log.info(f"{number:>5}  {test.name}")
    indexes = _select_indexes("Which tests? For example 1,3-5 or all:", len(tests), stdin, out)
    return Selection((), tuple(tests[index] for index in indexes))


def _read_answer(question: str, stdin: TextIO, out: TextIO) -> str:
    write_product(out, f"{question} ")
    try:
        # A signal that arrives just before a blocking C call is handled only after that call.
        line = run_in_background(stdin.readline)
    except (OSError, ValueError):
        # The terminal is gone (EIO, termios(3)), or the stream is closed. So the input is empty.
        line = ""
    if not line:
        out.write("\n")
        raise InputError([_NOTHING_SELECTED])
    return line.strip().lower()


def _select_word(question: str, words: tuple[str, ...], stdin: TextIO, out: TextIO) -> str:
    while True:
        text = _read_answer(question, stdin, out)
        matches = [word for word in words if text and word.startswith(text)]
        if len(matches) == 1:
            return matches[0]


def _select_indexes(question: str, count: int, stdin: TextIO, out: TextIO) -> list[int]:
    """Return the selected indexes from 0, sorted and without duplicates."""
    while True:
        text = _read_answer(question, stdin, out)
        indexes = range(count) if text == "all" else _parse_indexes(text, count)
        if indexes:
            return sorted(set(indexes))
        JobLog(out, PLAIN_LOG_FORMATTER).info(f"Invalid selection. Choose numbers from 1 to {count}, or all.")


def _parse_indexes(text: str, count: int) -> list[int]:
    """Return the indexes of a text such as `1,3-5`.

    The result is empty if a number is out of range.
    """
    indexes: list[int] = []
    for part in re.split(r"[,\s]+", text.strip(", ")):
        numbers = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part)
        first = int(numbers[1]) if numbers else 0
        last = int(numbers[2] or first) if numbers else 0
        if not 1 <= first <= last <= count:
            return []
        indexes += range(first - 1, last)
    return indexes
