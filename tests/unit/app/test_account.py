"""Tests of the account that commands read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import Timeouts
from autonoma_ci.app.account import ACCOUNT_OPTIONS, build_account_parser, fetch_account
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.errors import ApiError, HelpPrinted, InputError
from autonoma_ci.sandbox import Sandbox
from tests.support.account_server import build_folder
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response
from tests.support.invoke_command import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autonoma_ci.api.account import Account

ID, SECRET = "AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET"
VALUE = CREDENTIALS[SECRET]
FOLDERS = [build_folder("f1", "Checkout", ("t1", "Pays by card")), build_folder("f2", "Empty")]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Share one server, because no test changes the account."""
    with Sandbox(folders=FOLDERS, client_id=CREDENTIALS[ID], client_secret=VALUE) as sandbox:
        yield sandbox


class Command:
    """A command that reads the account."""

    def __init__(self, url: str, **environ: str) -> None:
        self.out, self.err, self.clock = io.StringIO(), io.StringIO(), FakeClock()
        environ = {"AUTONOMA_API_URL": url, **environ}
        timeouts = Timeouts(connect=60.0, read=60.0, total=120.0)
        self.runtime = Runtime(environ, self.out, self.err, clock=self.clock, timeouts=timeouts)

    def fetch(self, *argv: str) -> Account:
        """Return the account for a command line."""
        return fetch_account(build_account_parser("list", "Help.", self.out).parse(argv), self.runtime)

    def read_error(self, *argv: str) -> str:
        """Return the text of the input error."""
        with pytest.raises(InputError) as caught:
            self.fetch(*argv)
        return str(caught.value)


def test_account_has_folders_and_tests(sandbox: Sandbox) -> None:
    """All folders are returned in order, and nothing is printed."""
    command = Command(sandbox.url, **CREDENTIALS)
    account = command.fetch()
    assert [(folder.id, folder.name) for folder in account.folders] == [("f1", "Checkout"), ("f2", "Empty")]
    assert [(test.id, test.name) for folder in account.folders for test in folder.tests] == [("t1", "Pays by card")]
    assert account.skipped_count == 0
    assert command.out.getvalue() + command.err.getvalue() == ""


def test_account_flags_have_priority(sandbox: Sandbox) -> None:
    """The command line wins over the environment."""
    command = Command("http://127.0.0.1:9/api", **{ID: "another-id", SECRET: "another-s3cret"})
    argv = ["--api-url", sandbox.url, "--client-id", CREDENTIALS[ID], "--client-secret", VALUE]
    assert len(command.fetch(*argv).folders) == 2


def test_account_reads_action_inputs(sandbox: Sandbox) -> None:
    """The inputs of an action are other names of the options."""
    environ = {"INPUT_CLIENT-ID": CREDENTIALS[ID], "INPUT_CLIENT-SECRET": VALUE}
    assert len(Command(sandbox.url, **environ).fetch().folders) == 2


def test_account_ignores_options_of_runs(sandbox: Sandbox) -> None:
    """An invalid option of a run in the environment is no error here."""
    command = Command(sandbox.url, **CREDENTIALS, AUTONOMA_TIMEOUT="soon", AUTONOMA_TEST_IDS="a/b")
    assert len(command.fetch().folders) == 2
    assert command.err.getvalue() == ""


@pytest.mark.parametrize("argv", [("--timeout", "10m"), ("--test-ids", "a")])
def test_account_parser_has_own_flags_only(argv: tuple[str, ...]) -> None:
    """A flag of a run is unknown."""
    assert Command("").read_error(*argv).startswith(f"Unknown option: '{argv[0]}'")


def test_account_options_are_complete() -> None:
    """The account needs credentials and URL."""
    assert {option.name for option in ACCOUNT_OPTIONS} == {"client-id", "client-secret", "api-url", "verbose"}


def test_account_help_names_variables() -> None:
    """The help has purpose, flags and variables."""
    out = io.StringIO()
    with pytest.raises(HelpPrinted):
        build_account_parser("list", "Show the account.", out).parse(["--help"])
    text = " ".join(out.getvalue().split())
    assert "usage: autonoma-ci list" in text
    assert "Show the account." in text
    assert "--client-secret" in text
    assert "AUTONOMA_CLIENT_ID, AUTONOMA_CLIENT_SECRET, AUTONOMA_API_URL. Flags have priority." in text
    assert "--timeout" not in text


# Input errors


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "client-id and client-secret are missing: no value is set. Run `export AUTONOMA_CLIENT_ID="),
        ({ID: "an-id"}, f"client-secret is missing: only {ID} is set."),
        ({ID: VALUE, SECRET: VALUE}, f"{ID} and {SECRET} have the same value"),
        ({"CI": "true"}, "Add AUTONOMA_CLIENT_ID and AUTONOMA_CLIENT_SECRET to the secrets of the CI system"),
    ],
)
def test_account_needs_credentials(environ: dict[str, str], expected: str, sandbox: Sandbox) -> None:
    """Nothing is sent without credentials, and the error has the fix of this CI system."""
    request_count = len(sandbox.received)
    error = Command(sandbox.url, **environ).read_error()
    assert expected in error
    assert VALUE not in error
    assert len(sandbox.received) == request_count


def test_account_errors_come_together() -> None:
    """Wrong URL and missing credentials are reported at once."""
    with pytest.raises(InputError) as caught:
        Command("ftp://a.test", **{ID: "an-id"}).fetch()
    assert len(caught.value.diagnostics) == 2
    assert str(caught.value.diagnostics[0]).startswith("AUTONOMA_API_URL: ")


def test_account_unknown_system_is_error(sandbox: Sandbox) -> None:
    """A wrong AUTONOMA_CI is an input error of each command."""
    assert "AUTONOMA_CI" in Command(sandbox.url, **CREDENTIALS, AUTONOMA_CI="githup").read_error()


# Warnings


def test_account_warns_on_stderr(sandbox: Sandbox) -> None:
    """Standard output is only for the product of the command."""
    command = Command(sandbox.url, **{ID: f" {CREDENTIALS[ID]}", SECRET: VALUE})
    assert len(command.fetch().folders) == 2
    assert command.err.getvalue() == "Warning: AUTONOMA_CLIENT_ID: white space around the value was removed.\n"
    assert command.out.getvalue() == ""


@pytest.mark.parametrize(("count", "count_text"), [(1, "1"), (1234, "1,234")])
def test_account_counts_unusable_entries(count: int, count_text: str) -> None:
    """Entries without a valid id are left out with a warning."""
    folders = [*FOLDERS, *(build_folder("a/b", f"Odd {number}") for number in range(count))]
    with Sandbox(folders=folders) as sandbox:
        command = Command(sandbox.url, **CREDENTIALS)
        account = command.fetch()
    assert (len(account.folders), account.skipped_count) == (2, count)
    text = f"Warning: Folders and tests without a valid id were left out: {count_text}.\n"
    assert command.err.getvalue() == text


# Responses


def test_account_names_hide_credentials() -> None:
    """A name of the account can hold a credential or control characters."""
    with Sandbox(folders=[build_folder("f1", f"A {VALUE}\x1b[2J", ("t1", "<b>\n::error::x"))]) as sandbox:
        [folder] = Command(sandbox.url, **CREDENTIALS).fetch().folders
    assert VALUE not in folder.name
    assert folder.name.startswith("A ***")
    assert not {"\x1b", "\n"} & set(folder.name + folder.tests[0].name)


def test_account_wrong_secret_is_unauthorized(sandbox: Sandbox) -> None:
    """The error has exit code 3 and the fix."""
    command = Command(sandbox.url, **{ID: CREDENTIALS[ID], SECRET: "another-s3cret"})
    with pytest.raises(ApiError, match="Check client-id and client-secret") as caught:
        command.fetch()
    assert caught.value.exit_code == 3
    assert "another-s3cret" not in str(caught.value)


def test_account_retries_use_clock() -> None:
    """Pauses between attempts are those of the clock."""
    with FaultServer(send_response(503, f"down {VALUE}")) as server:
        command = Command(server.url, **CREDENTIALS)
        with pytest.raises(ApiError, match="HTTP 503") as caught:
            command.fetch()
    assert caught.value.exit_code == 5
    assert command.clock.time == 1003.0
    assert VALUE not in str(caught.value)
