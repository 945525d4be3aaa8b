"""`autonoma-ci list`: the account's folders and tests with their ids."""

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


# The API has no request for it. Source: docs.autonoma.app, "API Overview".
NO_TAGS = "list shows folders and tests; the API has no list of tags. Copy a tag's id from Autonoma into tag-ids"
_NO_FOLDERS = "The account has no folders. Create a test in Autonoma, then list shows its id."
_NO_TESTS = "The folders have no tests. Create a test in Autonoma, then list shows its id."


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Print the table, or JSON; raise InputError, ApiError or OutputError."""
    parser = build_account_parser("list", "Show the account's folders and tests with their ids.", runtime.out)
    parser.hint, parser.hint_flags = NO_TAGS, ("--tags", "--tag", "--tag-ids")
    parser.add_argument("--json", action="store_true", help="Print a JSON array of folders with their tests.")
    found = parser.parse(argv)
    folders = fetch_account(found, runtime).folders
    console = JobLog(runtime.out, PLAIN_LOG_FORMATTER, is_product=True)
    if found.json:
        listed = [{**folder._asdict(), "tests": [test._asdict() for test in folder.tests]} for folder in folders]
        console.write_lines([escape_json(json.dumps(listed, indent=2))])
        return 0
    for line in _table(folders):
        console.info(line)
    return 0


def _table(folders: Sequence[ListedFolder]) -> Iterator[str]:
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
    yield f"{NO_TAGS}."
