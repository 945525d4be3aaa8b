"""`autonoma-ci list` prints folders and tests of the account with their ids."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.app.account import build_account_parser, fetch_account
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.escaping import escape_json
from autonoma_ci.reports.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autonoma_ci.api.account import ListedFolder
    from autonoma_ci.app.runtime import Runtime


# The API has no request for tags. Source: docs.autonoma.app, "API Overview".
NO_TAGS = "The API has no list of tags. Copy a tag's id from Autonoma into tag-ids."
_NO_FOLDERS = "The account has no folders. Create a test in Autonoma, and list again."
_NO_TESTS = "The folders have no tests. Create a test in Autonoma, and list again."


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Print a table or JSON, and return 0.

    Raises:
        InputError: The command line or the credentials are wrong.
        ApiError: The account could not be read.
        OutputError: The list could not be printed.

    """
    parser = build_account_parser("list", "List the account's folders and tests with their ids.", runtime.out)
    parser.hint, parser.hint_flags = NO_TAGS, ("--tags", "--tag", "--tag-ids")
    parser.add_argument("--json", action="store_true", help="Print a JSON array of folders with their tests.")
    parser.example = "autonoma-ci list --json"
    arguments = parser.parse(argv)
    folders = fetch_account(arguments, runtime).folders
    log = JobLog(runtime.out, PLAIN_LOG_FORMATTER, is_product=True)
    if arguments.json:
        documents = [{**folder._asdict(), "tests": [test._asdict() for test in folder.tests]} for folder in folders]
        log.write_lines([escape_json(json.dumps(documents, indent=2))])
        return 0
    for line in _format_table(folders):
        log.info(line)
    return 0


def _format_table(folders: Sequence[ListedFolder]) -> Iterator[str]:
    ids = [folder.id for folder in folders] + [test.id for folder in folders for test in folder.tests]
    width = max(map(len, ids), default=2)
    if folders:
        yield f"{'KIND':<8}{'ID':<{width}}  NAME"
    for folder in folders:
        yield f"{'folder':<8}{folder.id:<{width}}  {folder.name}{'' if folder.tests else ' (empty)'}"
        for test in folder.tests:
            yield f"{'  test':<8}{test.id:<{width}}    {test.name}"
    tests = sum(len(folder.tests) for folder in folders)
    yield f"{pluralize(len(folders), 'folder')}, {pluralize(tests, 'test')}."
    if not tests:
        yield _NO_TESTS if folders else _NO_FOLDERS
    yield NO_TAGS
