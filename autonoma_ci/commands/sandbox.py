"""`autonoma-ci sandbox`: serve a local stand-in for the API until a signal ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
from autonoma_ci.ci.log import JobLog
from autonoma_ci.config.arguments import ArgumentParser
from autonoma_ci.config.parsers import parse_choice, parse_int
from autonoma_ci.errors import Cancelled, InputError
from autonoma_ci.sandbox import SCENARIO_IDS, Sandbox
from autonoma_ci.sandbox.contract import DEFAULT_REVISION, REVISIONS
from autonoma_ci.sandbox.fixtures import known_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Serve on loopback and print what is received, until a signal stops it.

    Returns 128 plus the number of the signal.

    Raises InputError if the command line is wrong or the port is taken.
    """
    parser = ArgumentParser("sandbox", "Serve a local stand-in for the Autonoma API; any credentials do.", runtime.out)
    parser.add_argument("--port", default="8787", metavar="N", help="Port on 127.0.0.1; 0 for any. Default: 8787.")
    parser.add_argument(
        "--contract", default=DEFAULT_REVISION, metavar="REVISION",
        help=f"Revision of the API: {' or '.join(REVISIONS)}. Default: {DEFAULT_REVISION}.",
    )  # fmt: skip
    found = parser.parse(argv)
    try:
        port = parse_int(0, 65535, found.port)
    except InputError as error:
        raise InputError([f"--port: {error}"]) from None
    try:
        contract = parse_choice(tuple(REVISIONS), found.contract)
    except InputError as error:
        raise InputError([f"--contract: {error}"]) from None
    console = JobLog(runtime.out, PLAIN_LOG_FORMATTER, is_product=True)
    sandbox = Sandbox(port=port, contract=contract, log=JobLog(runtime.out, PLAIN_LOG_FORMATTER).progress)
    try:
        sandbox.start()
    except OSError as error:
        raise InputError([f"port {port} can't be used ({error.strerror}): give another with --port"]) from None
    try:
        console.info(f"Sandbox at {sandbox.url}, contract {contract}; it listens on this machine only.")
        console.info("Try it from another terminal:")
        console.info(
            f"  autonoma-ci run --api-url {sandbox.url} --client-id sandbox --client-secret sandbox "
            "--test-ids my-first-test"
        )
        console.info("Ids that ask for something else than a run that passes:")
        for test_id, what in SCENARIO_IDS.items():
            console.info(f"  {test_id:<20} {what}")
        console.info("Ids of the sandbox's account, which another kind does not take:")
        for known_id, kind in known_ids().items():
            console.info(f"  {known_id:<26} {kind}")
        while True:  # on Windows no signal would end the wait for an event
            runtime.clock.sleep(3600)
    except Cancelled as error:
        console.info("The sandbox was stopped.")
        return 128 + error.signal
