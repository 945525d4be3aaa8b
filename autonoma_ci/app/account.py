"""What `list` and `init` share: the account behind the credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.app.credentials import credential_problems
from autonoma_ci.app.inputs import find_place
from autonoma_ci.ci.base import PLAIN
from autonoma_ci.ci.log import Console
from autonoma_ci.config.arguments import given, parser_of
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import read_some
from autonoma_ci.errors import InputError, Problem
from autonoma_ci.redaction.redactor import Redactor

if TYPE_CHECKING:
    from typing import TextIO

    from autonoma_ci.api.account import Account
    from autonoma_ci.app.runtime import World
    from autonoma_ci.config.arguments import Found, Parser

# The other options are of runs.
OF_ACCOUNT = tuple(option for option in OPTIONS if option.name in {"client-id", "client-secret", "api-url"})


def account_parser(command: str, help_text: str, out: TextIO) -> Parser:
    """Return the parser of a command that asks for the account; of its flags only those can be variables too."""
    parser = parser_of(command, help_text, OF_ACCOUNT, out)
    parser.epilog = (
        "The credentials and the API's URL can also be given in the environment, as AUTONOMA_CLIENT_ID, "
        "AUTONOMA_CLIENT_SECRET and AUTONOMA_API_URL. The command line wins."
    )
    return parser


def account_of(found: Found, world: World) -> Account:
    """Ask for all folders with the flags' and the environment's credentials.

    Raises InputError if those are missing, ApiError if the API does not answer as it should.
    """
    settings, problems = read_some(OF_ACCOUNT, given(found, OF_ACCOUNT), world.environ)
    problems += credential_problems(settings, find_place(world.environ).context)
    if problems:
        raise InputError(problems)
    # Loaded only now: all that can be wrong before anything is sent has been told by then.
    from autonoma_ci.api.account import folders
    from autonoma_ci.api.transport import Transport
    from autonoma_ci.net.background import in_background

    credentials = [secret for secret in (settings.client_id, settings.client_secret) if secret]
    transport = Transport(settings.api_url, credentials, world.timeouts)
    errors = Console(world.err, PLAIN)
    errors.hide(credentials)
    for warning in settings.warnings:
        errors.issue("warning", Problem(warning))
    account = in_background(lambda: folders(transport, Redactor(credentials), world.clock.sleep))
    if account.left_out:
        text = f"Folders and tests without an id that can be used were left out: {account.left_out:,}."
        errors.issue("warning", Problem(text))
    return account
