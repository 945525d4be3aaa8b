"""Which of the account's folders and tests a manifest gets: by their ids, or by asking at a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TextIO

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.settings import closest_match
from autonoma_ci.errors import InputError
from autonoma_ci.net.background import run_in_background
from autonoma_ci.reports.summary import pluralize
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autonoma_ci.api.account import Account, ListedFolder, ListedTest

_NOTHING = "nothing was chosen, so nothing was written"


class Selection(NamedTuple):
    """What was chosen: folders to run as a whole, and single tests."""

    folders: tuple[ListedFolder, ...] = ()
    tests: tuple[ListedTest, ...] = ()

    def expand_folders(self) -> Selection:
        """Return the same with the folders' tests in the folders' place, each once."""
        every = [*(test for folder in self.folders for test in folder.tests), *self.tests]
        return Selection((), tuple({test.id: test for test in every}.values()))


def select_by_id(
    account: Account, folder_ids: Mapping[str, str], test_ids: Mapping[str, str], *, everything: bool
) -> Selection:
    """Return what has these ids, or every folder with tests; a label beside an id is its name from then on.

    A folder without tests may be chosen by its id. Raises InputError for ids that the account does not have.
    """
    folders = {folder.id: folder for folder in account.folders}
    tests = {test.id: test for folder in account.folders for test in folder.tests}
    problems = [_unknown("folder", text, list(folders), text in tests) for text in folder_ids if text not in folders]
    problems += [_unknown("test", text, list(tests), text in folders) for text in test_ids if text not in tests]
    if problems:
        raise InputError(problems)
    wanted = {folder.id: folder for folder in account.folders if folder.tests} if everything else {}
    wanted |= {text: folders[text]._replace(name=label or folders[text].name) for text, label in folder_ids.items()}
    named = (tests[text]._replace(name=label or tests[text].name) for text, label in test_ids.items())
    choice = Selection(tuple(wanted.values()), tuple(named))
    if not choice.expand_folders().tests:
        raise InputError(["what was chosen has no tests, so nothing was written: choose a folder that has some"])
    return choice


def _unknown(kind: str, text: str, known: list[str], of_the_other_kind: bool) -> str:  # noqa: FBT001
    if of_the_other_kind:
        other = "test" if kind == "folder" else "folder"
        return f"{text} is the id of a {other}, not of a {kind}: give it by --{other}-ids"
    near = closest_match(text, known)
    hint = f"did you mean {near}?" if near else "autonoma-ci list shows them all"
    return f"the account has no {kind} with the id {text}: {hint}"


def select_interactively(account: Account, stdin: TextIO, out: TextIO) -> Selection:
    """Let somebody at a terminal choose; raise InputError if they leave without an answer."""
    console = JobLog(out, PLAIN_LOG_FORMATTER)
    folders = [folder for folder in account.folders if folder.tests]
    console.info("Folders of the account:")
    for number, folder in enumerate(folders, 1):
        console.info(f"{number:>5}  {folder.name} ({pluralize(len(folder.tests), 'test')})")
    chosen = [folders[place] for place in _numbers("Which folders? Such as 1,3-5, or all:", len(folders), stdin, out)]
    console.info("A folder as a whole is one run. Its tests one by one have their own results, retries and evidence.")
    if _answer("Folders as a whole, or their tests? (folders/tests):", ("folders", "tests"), stdin, out) == "folders":
        return Selection(tuple(chosen))
    tests = Selection(tuple(chosen)).expand_folders().tests
    for number, test in enumerate(tests, 1):
        console.info(f"{number:>5}  {test.name}")
    places = _numbers("Which tests? Such as 1,3-5, or all:", len(tests), stdin, out)
    return Selection((), tuple(tests[place] for place in places))


def _read(question: str, stdin: TextIO, out: TextIO) -> str:
    write_product(out, f"{question} ")
    try:
        # A signal that comes just before a call into C that waits is heard only after it.
        line = run_in_background(stdin.readline)
    except (OSError, ValueError):
        # The terminal is gone (EIO, termios(3)), or the stream is closed: no answer will come.
        line = ""
    if not line:
        out.write("\n")
        raise InputError([_NOTHING])
    return line.strip().lower()


def _answer(question: str, words: tuple[str, ...], stdin: TextIO, out: TextIO) -> str:
    while True:
        text = _read(question, stdin, out)
        found = [word for word in words if text and word.startswith(text)]
        if len(found) == 1:
            return found[0]


def _numbers(question: str, count: int, stdin: TextIO, out: TextIO) -> list[int]:
    """Return places from 0, in their order and each once."""
    while True:
        text = _read(question, stdin, out)
        places = range(count) if text == "all" else _places(text, count)
        if places:
            return sorted(set(places))
        JobLog(out, PLAIN_LOG_FORMATTER).info(f"That is not a choice of 1 to {count}.")


def _places(text: str, count: int) -> list[int]:
    found: list[int] = []
    for part in re.split(r"[,\s]+", text.strip(", ")):
        numbers = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part)
        first = int(numbers[1]) if numbers else 0
        last = int(numbers[2] or first) if numbers else 0
        if not 1 <= first <= last <= count:
            return []
        found += range(first - 1, last)
    return found
