"""A whole job in a process of its own, with the patience of a test; run by `scene`, never imported."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import Any

from autonoma_ci import cli, evidence
from autonoma_ci.ci import web
from autonoma_ci.commands import world
from autonoma_ci.engine import explain
from autonoma_ci.engine.fire import Policy
from autonoma_ci.engine.watch import Waiting
from autonoma_ci.exchange import Timeouts
from autonoma_ci.report import html

# A machine that is busy with others answers within these.
_SECONDS = 1.5
_resolve = socket.getaddrinfo
_page = html.html


def resolve(host: Any, port: Any, *more: Any, **named: Any) -> Any:
    """Know the names of the tests' servers, but those of which there is a file; the system answers for all others."""
    if not str(host).endswith("autonoma.test"):
        return _resolve(host, port, *more, **named)
    if Path(os.environ["JOB_FAULTS"], str(host)).exists():
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    found = []
    for address in os.environ["JOB_ADDRESSES"].split():
        found += _resolve(address, port, *more, **named)
    return found


def page(*arguments: Any, **named: Any) -> Any:
    """Make the report, and bring a signal upon this process meanwhile if that is asked for."""
    if number := int(os.environ.get("JOB_SIGNAL", "0")):
        os.kill(os.getpid(), number)
    return _page(*arguments, **named)


socket.getaddrinfo = resolve
html.html = page
web._SECONDS, web._PAUSE, explain._PAUSE = _SECONDS, 0.05, 0.1
evidence.Store = partial(evidence.Store, seconds=_SECONDS)  # type: ignore[misc, assignment]
world.World = partial(  # type: ignore[misc, assignment]
    world.World,
    timeouts=Timeouts(connect=_SECONDS, read=1.0, total=_SECONDS),
    policy=Policy(patience=4.0, attempts=3, first_pause=0.02, longest_pause=0.05, grace=0.3, overdue=5.0),
    waiting=Waiting(interval=0.1, patience=2.0, missing=1.5, closing=1.0, overdue=5.0),
)
cli.run()
