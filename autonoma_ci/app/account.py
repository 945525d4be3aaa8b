"""What `list` and `init` share: the account behind the credentials."""

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

# The other options are of runs.
ACCOUNT_OPTIONS = tuple(option for option in OPTIONS if option.name in {"client-id", "client-secret", "api-url"})


def build_account_parser(command: str, help_text: str, out: TextIO) -> ArgumentParser:
    """Return the parser of a command that asks for the account; of its flags only those can be variables too."""
    parser = build_parser(command, help_text, ACCOUNT_OPTIONS, out)
    parser.epilog = (
        "The credentials and the API's URL can also be given in the environment, as AUTONOMA_CLIENT_ID, "
        "AUTONOMA_CLIENT_SECRET and AUTONOMA_API_URL. The command line wins."
    )
    return parser


def fetch_account(found: ParsedArguments, runtime: Runtime) -> Account:
    """Ask for all folders with the flags' and the environment's credentials.

    Raises InputError if those are missing, ApiError if the API does not answer as it should.
    """
    settings, problems = load_options(ACCOUNT_OPTIONS, provided_options(found, ACCOUNT_OPTIONS), runtime.environ)
    problems += find_credential_errors(settings, detect_ci(runtime.environ).build_context)
    if problems:
        raise InputError(problems)
    # Loaded only now: all that can be wrong before anything is sent has been told by then.
    from autonoma_ci.api.account import list_folders
    from autonoma_ci.api.transport import Transport
    from autonoma_ci.net.background import run_in_background

    credentials = [secret for secret in (settings.client_id, settings.client_secret) if secret]
    transport = Transport(settings.api_url, credentials, runtime.timeouts)
    errors = JobLog(runtime.err, PLAIN_LOG_FORMATTER)
    redact = Redactor(credentials)
    errors.redact_with(redact)
    for warning in settings.warnings:
        errors.annotate("warning", Diagnostic(warning))
    account = run_in_background(lambda: list_folders(transport, redact, runtime.clock.sleep))
    if account.skipped_count:
        text = f"Folders and tests without an id that can be used were left out: {account.skipped_count:,}."
        errors.annotate("warning", Diagnostic(text))
    return account
