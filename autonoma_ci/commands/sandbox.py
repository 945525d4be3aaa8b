"""`autonoma-ci sandbox` serves a fake API on this machine."""

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
    """Serve on loopback until a signal, and log each request.

    Returns:
        128 plus the number of the signal.

    Raises:
        InputError: The command line is wrong, or the port is in use.
        OutputError: The instructions could not be printed.

    """
    parser = ArgumentParser(
        "sandbox", "Serve a simulated Autonoma API on this machine. Any credentials are valid.", runtime.out
    )
    parser.add_argument(
        "--port", default="8787", metavar="N", help="Port on 127.0.0.1, or 0 for a free port. Default: 8787."
    )
    parser.add_argument(
        "--contract", default=DEFAULT_REVISION, metavar="REVISION",
        help=f"Revision of the API: {' or '.join(REVISIONS)}. Default: {DEFAULT_REVISION}.",
    )  # fmt: skip
    parser.example = "autonoma-ci sandbox --port 0"
    arguments = parser.parse(argv)
    try:
        port = parse_int(0, 65535, arguments.port)
    except InputError as error:
        raise InputError([f"--port: {error}"]) from None
    try:
        contract = parse_choice(tuple(REVISIONS), arguments.contract)
    except InputError as error:
        raise InputError([f"--contract: {error}"]) from None
    log = JobLog(runtime.out, PLAIN_LOG_FORMATTER, is_product=True)
    sandbox = Sandbox(port=port, contract=contract, log=JobLog(runtime.out, PLAIN_LOG_FORMATTER).progress)
    try:
        sandbox.start()
    except OSError as error:
        raise InputError([f"Port {port} is unavailable ({error.strerror}). Use another --port."]) from None
    try:
        log.info(f"Sandbox at {sandbox.url}, contract {contract}, for this machine only.")
        log.info("Try this command in another terminal:")
        log.info(
            f"  {runtime.find_program()} run --api-url {sandbox.url} --client-id sandbox-id "
            "--client-secret sandbox-secret --test-ids my-first-test --wait"
        )
        log.info("Special ids and their effects (runs of any other id pass):")
        for test_id, description in SCENARIO_IDS.items():
            log.info(f"  {test_id:<20} {description}")
        log.info("Ids of the sandbox's account, each valid for one kind only:")
        for known_id, kind in known_ids().items():
            log.info(f"  {known_id:<26} {kind}")
        while True:  # on Windows, no signal ends the wait for an event
            runtime.clock.sleep(3600)
    except Cancelled as error:
        log.info("The sandbox was stopped.")
        return 128 + error.signal
