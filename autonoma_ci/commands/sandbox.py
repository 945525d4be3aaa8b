"""`autonoma-ci sandbox`: serve a local stand-in for the API until a signal ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import PLAIN
from autonoma_ci.ci.log import Console
from autonoma_ci.config.arguments import Parser
from autonoma_ci.config.parsers import choice, number
from autonoma_ci.errors import Cancelled, InputError
from autonoma_ci.sandbox import SCRIPTED, Sandbox
from autonoma_ci.sandbox.contract import DEFAULT_REVISION, REVISIONS
from autonoma_ci.sandbox.fixtures import known_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import World


def main(argv: Sequence[str], world: World) -> int:
    """Serve on loopback and print what is received, until a signal stops it.

    Returns 128 plus the number of the signal.

    Raises InputError if the command line is wrong or the port is taken.
    """
    parser = Parser("sandbox", "Serve a local stand-in for the Autonoma API; any credentials do.", world.out)
    parser.add_argument("--port", default="8787", metavar="N", help="Port on 127.0.0.1; 0 for any. Default: 8787.")
    parser.add_argument(
        "--contract", default=DEFAULT_REVISION, metavar="REVISION",
        help=f"Revision of the API: {' or '.join(REVISIONS)}. Default: {DEFAULT_REVISION}.",
    )  # fmt: skip
    found = parser.known(argv)
    try:
        port = number(0, 65535, found.port)
    except InputError as error:
        raise InputError([f"--port: {error}"]) from None
    try:
        contract = choice(tuple(REVISIONS), found.contract)
    except InputError as error:
        raise InputError([f"--contract: {error}"]) from None
    console = Console(world.out, PLAIN, is_product=True)
    sandbox = Sandbox(port=port, contract=contract, log=Console(world.out, PLAIN).progress)
    try:
        sandbox.start()
    except OSError as error:
        raise InputError([f"port {port} can't be used ({error.strerror}): give another with --port"]) from None
    try:
        console.line(f"Sandbox at {sandbox.url}, contract {contract}; it listens on this machine only.")
        console.line("Try it from another terminal:")
        console.line(
            f"  autonoma-ci run --api-url {sandbox.url} --client-id sandbox --client-secret sandbox "
            "--test-ids my-first-test"
        )
        console.line("Ids that ask for something else than a run that passes:")
        for test_id, what in SCRIPTED.items():
            console.line(f"  {test_id:<20} {what}")
        console.line("Ids of the sandbox's account, which another kind does not take:")
        for known_id, kind in known_ids().items():
            console.line(f"  {known_id:<26} {kind}")
        while True:  # on Windows no signal would end the wait for an event
            world.clock.sleep(3600)
    except Cancelled as error:
        console.line("The sandbox was stopped.")
        return 128 + error.signal
