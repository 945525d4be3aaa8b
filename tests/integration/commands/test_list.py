"""The command `list` as a table and as JSON."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.commands.list import NO_TAGS
from autonoma_ci.sandbox import Sandbox
from tests.support import grammars
from tests.support.account_server import build_folder, build_large_account, invoke_on_sandbox
from tests.support.fault_server import FaultServer
from tests.support.faults import close, send_half_body, send_response
from tests.support.invoke_command import CREDENTIALS, invoke

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fault_server import Connection, RequestHandler


def run_list(folder: Path, server: FaultServer, *argv: str) -> tuple[int, str, str]:
    result = invoke(folder, "list", *argv, environ={**CREDENTIALS, "AUTONOMA_API_URL": server.url})
    assert "of-the-test" not in result.output
    return result.code, result.out, result.err


def serve_pages(*bodies: object) -> RequestHandler:
    """Return a handler that answers with each body once, then with an empty page."""
    pages = [json.dumps(body) for body in bodies]

    def handler(connection: Connection) -> bool:
        return send_response(200, pages.pop(0) if pages else "[]")(connection)

    return handler


def test_list_shows_large_account(tmp_path: Path) -> None:
    """All 60 folders and 1,000 tests have a line."""
    with Sandbox(folders=build_large_account()) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "list")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[-2:] == ["60 folders, 1,000 tests.", NO_TAGS]
    assert sum(line.startswith("folder ") for line in lines) == 60
    assert sum(line.endswith("(empty)") for line in lines) == 6
    ids = [line.split()[1] for line in lines[1:-2]]
    assert len(set(ids)) == len(ids) == 1060


def test_list_aligns_columns(tmp_path: Path) -> None:
    """Tests stand below their folder, in aligned columns."""
    account = [build_folder("f1", "Checkout", ("t1", "Pays by card")), build_folder("f22", "Empty")]
    with Sandbox(folders=account) as sandbox:
        assert invoke_on_sandbox(tmp_path, sandbox, "list").out.splitlines() == [
            "KIND    ID   NAME",
            "folder  f1   Checkout",
            "  test  t1     Pays by card",
            "folder  f22  Empty (empty)",
            "2 folders, 1 test.",
            NO_TAGS,
        ]


def test_list_json_equals_account(tmp_path: Path) -> None:
    """`--json` prints the folders as the API lists them."""
    with Sandbox(folders=build_large_account()) as sandbox:
        result = invoke_on_sandbox(tmp_path, sandbox, "list", "--json")
    assert json.loads(result.out) == build_large_account()


def test_list_empty_account_succeeds(tmp_path: Path) -> None:
    """An empty account is no error, and the text says what to do."""
    with Sandbox(folders=[]) as sandbox:
        assert invoke_on_sandbox(tmp_path, sandbox, "list").out.splitlines() == [
            "0 folders, 0 tests.",
            "The account has no folders. Create a test in Autonoma, and list again.",
            NO_TAGS,
        ]
        assert json.loads(invoke_on_sandbox(tmp_path, sandbox, "list", "--json").out) == []


def test_list_empty_folders_give_advice(tmp_path: Path) -> None:
    """Folders without tests have advice to create a test."""
    with Sandbox(folders=[build_folder("f", "Empty")]) as sandbox:
        expected_text = "The folders have no tests. Create a test in Autonoma, and list again."
        assert expected_text in invoke_on_sandbox(tmp_path, sandbox, "list").out.splitlines()


@pytest.mark.parametrize("argv", [["tags"], ["--tags"], ["--tag"], ["--tag-ids=x"]])
def test_list_refuses_tags(argv: list[str], tmp_path: Path) -> None:
    """The API has no list of tags, and the error says so."""
    result = invoke(tmp_path, "list", *argv)
    assert result.code == 2
    assert NO_TAGS in result.err


def test_list_requests_all_pages(tmp_path: Path) -> None:
    """The requests have increasing offsets until an empty page."""
    with Sandbox(folders=[build_folder(f"f{n}", "x") for n in range(250)]) as sandbox:
        assert len(json.loads(invoke_on_sandbox(tmp_path, sandbox, "list", "--json").out)) == 250
        requested_paths = [received.path for received in sandbox.received]
    assert requested_paths == [f"/api/folder?limit=100&offset={offset}" for offset in (0, 100, 200, 250)]


def test_list_continues_after_short_pages(tmp_path: Path) -> None:
    """A page below the requested size is not the last one."""
    with FaultServer(
        serve_pages([build_folder("a", "A")], [build_folder("b", "B")], [build_folder("c", "C")])
    ) as server:
        assert [folder["id"] for folder in json.loads(run_list(tmp_path, server, "--json")[1])] == ["a", "b", "c"]


def test_list_stops_at_repeated_page(tmp_path: Path) -> None:
    """A server that ignores the offset gets two requests."""
    with FaultServer(send_response(200, json.dumps([build_folder("a", "A")]))) as server:
        assert len(json.loads(run_list(tmp_path, server, "--json")[1])) == 1
        assert len(server.received_requests) == 2


@pytest.mark.parametrize(
    "entry",
    [
        None, 7, "x", [], {}, {"id": None}, {"id": 7, "name": "x"}, {"id": "../../admin", "name": "x"}, {"id": ""},
        {"id": "a", "tests": [None]}, {"id": "a", "tests": [{"id": "a b"}]}, {"id": "a", "tests": [{"name": "x"}]},
    ],
)  # fmt: skip
def test_list_counts_entries_without_id(entry: object, tmp_path: Path) -> None:
    """Entries without a valid id are left out and counted."""
    with FaultServer(serve_pages([build_folder("ok", "Fine", ("t", "T")), entry])) as server:
        code, out, err = run_list(tmp_path, server)
    assert code == 0
    assert "ok" in out
    assert "Folders and tests without a valid id were left out: 1." in err


def test_list_continues_after_invalid_page(tmp_path: Path) -> None:
    """A page without a valid id does not end the list."""
    with FaultServer(serve_pages([build_folder("a", "A")], [{"id": None}], [build_folder("b", "B")])) as server:
        _, out, err = run_list(tmp_path, server, "--json")
    assert [folder["id"] for folder in json.loads(out)] == ["a", "b"]
    assert "left out: 1." in err


@pytest.mark.parametrize("name", [None, 7, "", "   ", []])
def test_list_shows_id_without_name(name: object, tmp_path: Path) -> None:
    """An entry without a name has its id as name."""
    with FaultServer(serve_pages([{"id": "f1", "name": name, "tests": None}])) as server:
        assert json.loads(run_list(tmp_path, server, "--json")[1]) == [{"id": "f1", "name": "f1", "tests": []}]


NAME_WITH_CI_COMMANDS = (
    "::error::x\n##[error]y\r##vso[task.complete]\x1b[31m\u202ez ##teamcity[a] travis_fold:start:a time:end:b"
)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_list_names_are_no_commands(flags: tuple[str, ...], tmp_path: Path) -> None:
    """No name is a command of a CI system or a terminal."""
    with FaultServer(serve_pages([build_folder("f", NAME_WITH_CI_COMMANDS, ("t", NAME_WITH_CI_COMMANDS))])) as server:
        out = run_list(tmp_path, server, *flags)[1]
    if flags:
        assert out.isascii()
    for line in out.splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "##vso" not in line
        assert "##team" not in line
        assert grammars.find_travis_folds(line) == []
        assert "\x1b" not in line
        assert "\u202e" not in line


def test_list_hides_credential_in_name(tmp_path: Path) -> None:
    """A credential in a name is shown as `***`."""
    with FaultServer(serve_pages([build_folder("f", f"My {CREDENTIALS['AUTONOMA_CLIENT_SECRET']}")])) as server:
        assert "My ***" in run_list(tmp_path, server)[1]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_list_hides_disguised_credentials(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Credentials as ids and with invisible characters are hidden."""
    secret = CREDENTIALS["AUTONOMA_CLIENT_SECRET"]
    with FaultServer(
        serve_pages([build_folder(secret, "x"), build_folder("f", f"{secret[:6]}\u200b{secret[6:]}")])
    ) as server:
        code, out, err = run_list(tmp_path, server, *flags)
    assert (code, "***" in out, "left out: 1." in err) == (0, True, True)


@pytest.mark.parametrize(
    ("handler", "code", "expected_text"),
    [
        (
            send_response(401, '{"error": "Unauthorized", "message": "Invalid"}'),
            3,
            "HTTP 401: Unauthorized: Invalid. Check",
        ),
        (send_response(403), 3, "HTTP 403. Check client-id"),
        (send_response(404), 5, "HTTP 404. Check api-url"),
        (send_response(302, "", "Location: https://evil.test/"), 5, "HTTP 302"),
        (send_response(402), 5, "the account's quota is used up (HTTP 402). Add quota"),
        (send_response(403, '{"error": "No plan"}'), 5, "quota is used up (HTTP 403: No plan). Add quota"),
        (send_response(403, "<p>No plan</p>"), 3, "HTTP 403. Check client-id"),
        (send_response(200, "<html>"), 5, "the response is a web page, not JSON. Check api-url"),
        (
            send_response(200, "Hi", "Content-Type: text/html"),
            5,
            "the response is a web page, not JSON. Check api-url",
        ),
        (send_response(200, "[{"), 5, "the response is invalid"),
        (send_response(200, '{"folders": []}'), 5, "the response is invalid"),
    ],
)
def test_list_error_has_exit_code(handler: RequestHandler, code: int, expected_text: str, tmp_path: Path) -> None:
    """Each invalid response has its error and exit code after one request."""
    with FaultServer(handler) as server:
        result = run_list(tmp_path, server)
        assert len(server.received_requests) == 1
    assert result[:2] == (code, "")
    assert "List of folders unavailable" in result[2]
    assert expected_text in result[2]


def fail_once(first: RequestHandler) -> RequestHandler:
    handlers = [first]
    next_handler = serve_pages([build_folder("a", "A")])

    def handler(connection: Connection) -> bool:
        return (handlers.pop() if handlers else next_handler)(connection)

    return handler


@pytest.mark.slow
@pytest.mark.parametrize(
    "handler",
    [
        send_response(500),
        send_response(429, "", "Retry-After: 0"),
        send_response(503, "", "Retry-After: 0"),
        close,
        send_half_body(),
    ],
)
def test_list_retries_temporary_errors(handler: RequestHandler, tmp_path: Path) -> None:
    """A temporary error is followed by another request."""
    with FaultServer(fail_once(handler)) as server:
        assert run_list(tmp_path, server)[0] == 0


def test_list_needs_credentials(tmp_path: Path) -> None:
    """Missing credentials are one error."""
    result = invoke(tmp_path, "list")
    assert result.code == 2
    assert [line.split(":")[0] for line in result.errors] == ["client-id and client-secret are missing"]


def test_list_ignores_unrelated_options(tmp_path: Path) -> None:
    """An invalid option of other commands has no effect."""
    with Sandbox() as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url, "AUTONOMA_TIMEOUT": "nonsense"}
        assert invoke(tmp_path, "list", environ=environ).code == 0


def test_list_warns_of_padded_credential(tmp_path: Path) -> None:
    """White space around a credential has a warning."""
    with Sandbox() as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_API_URL": sandbox.url, "AUTONOMA_CLIENT_ID": " padded "}
        assert "white space" in invoke(tmp_path, "list", environ=environ).err


def test_list_help_names_flags(tmp_path: Path) -> None:
    """The help names the flag `--json`."""
    assert "--json" in invoke(tmp_path, "list", "--help").out


def test_list_stops_at_page_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless pages of a server end with exit code 5."""
    monkeypatch.setattr("autonoma_ci.api.account._MAX_PAGES", 5)
    count = itertools.count()

    def handler(connection: Connection) -> bool:
        return send_response(200, json.dumps([build_folder(f"f{next(count)}", "More")]))(connection)

    with FaultServer(handler) as server:
        code, out, err = run_list(tmp_path, server)
    assert (code, out) == (5, "")
    assert "no end after 5 folders" in err
