"""Load the tests and folders of the account for `list` and `init`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.app.credentials import find_credential_errors
from autonoma_ci.app.inputs import detect_ci
from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.arguments import build_parser, provided_options
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import load_options
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.redaction.redactor import Redactor

if TYPE_CHECKING:
    from typing import TextIO

    from autonoma_ci.api.account import Account
    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.config.arguments import ArgumentParser, ParsedArguments

# The other options are for runs.
_USED_OPTIONS = frozenset({"client-id", "client-secret", "api-url", "verbose"})
ACCOUNT_OPTIONS = tuple(option for option in OPTIONS if option.name in _USED_OPTIONS)


def build_account_parser(command: str, help_text: str, out: TextIO) -> ArgumentParser:
    """Return the parser of a command that reads the account.

    Only the options of the account can also be set as variables.
    """
    parser = build_parser(command, help_text, ACCOUNT_OPTIONS, out)
    parser.epilog = (
        "Environment variables: AUTONOMA_CLIENT_ID, AUTONOMA_CLIENT_SECRET, AUTONOMA_API_URL. Flags have priority."
    )
    return parser


def fetch_account(arguments: ParsedArguments, runtime: Runtime) -> Account:
    """Return all folders and tests of the account.

    Raises:
        InputError: The credentials are missing or wrong.
        ApiError: The API returned an error or an unexpected response.

    """
    settings, errors = load_options(ACCOUNT_OPTIONS, provided_options(arguments, ACCOUNT_OPTIONS), runtime.environ)
    ci = detect_ci(runtime.environ)
    errors += find_credential_errors(settings, ci.ci_system, ci.build_context)
    if errors:
        raise InputError(errors)
    # Loaded only now, after all checks that need no request.
    from autonoma_ci.api.account import list_folders
    from autonoma_ci.api.transport import Transport
    from autonoma_ci.net.threads import run_in_background

    transport = Transport(settings.api_url, settings.api_credentials, runtime.timeouts)
    error_log = JobLog(runtime.err, PLAIN_LOG_FORMATTER)
    redact = Redactor(settings.api_credentials)
    error_log.redact_with(redact)
    for warning in settings.warnings:
        error_log.annotate("warning", Diagnostic(warning))
    # Standard output is only for the product of the command.
    runtime.open_debug_log(settings, ci, runtime.err, ci.ci_system.log_formatter)
    if runtime.debug_log:
        # This command reads no values of variables, so none is unknown.
        runtime.debug_log.redact_values((), are_complete=True)
    account = run_in_background(lambda: list_folders(transport, redact, runtime.clock.sleep))
    if account.skipped_count:
        text = f"Folders and tests without a valid id were left out: {account.skipped_count:,}."
        error_log.annotate("warning", Diagnostic(text))
    return account
