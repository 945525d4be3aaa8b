"""The ids that ask for something other than a run that passes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSED, FAILED, RUNNING = "passed", "failed", "running"


@dataclass(frozen=True)
class Script:
    """What an id asks for.

    `does` says it in words, `status` is the answer, `retry_after` its header in seconds (0 for none),
    `delay` the wait before the answer and `lasts` how long the run takes, both in seconds at pace 1, and
    `ends` the state in which the run stays. With `once` it holds for the first request of its kind for
    an id and for no later one. `start` names a special answer to a start; no other request gets it.
    """

    does: str
    status: int = 200
    retry_after: int = 0
    delay: float = 0.0
    ends: str = PASSED
    lasts: float = 3.0
    once: bool = False
    start: str = ""


QUOTA, DEVICE_FARM, WEB_PAGE = "quota", "device-farm", "web-page"
PLAIN = Script("the run passes")

_SCRIPTS: Mapping[str, Script] = {
    "sandbox-401": Script("answers 401", status=401),
    "sandbox-403": Script("answers 403", status=403),
    "sandbox-404": Script("answers 404", status=404),
    "sandbox-429": Script("answers 429 with Retry-After: 1 once, then starts", status=429, retry_after=1, once=True),
    "sandbox-429-always": Script("answers 429 with Retry-After: 1 every time", status=429, retry_after=1),
    "sandbox-500": Script("answers 500", status=500),
    "sandbox-503": Script("answers 503 with Retry-After: 1 once, then starts", status=503, retry_after=1, once=True),
    "sandbox-quota": Script("the account's quota is used up: 402, or 403 with --contract 2026-01", start=QUOTA),
    "sandbox-device-farm": Script("answers 500: the account has no device farm", start=DEVICE_FARM),
    "sandbox-web-page": Script("answers 200 with a web page, as another host would", start=WEB_PAGE),
    "sandbox-slow": Script("answers after three seconds times the pace", delay=3.0),
    "sandbox-fails": Script("the run fails", ends=FAILED),
    "sandbox-flaky": Script("the first run fails, the next ones pass", ends=FAILED, once=True),
    "sandbox-stays": Script("the run never ends", ends=RUNNING),
    "sandbox-stopped": Script("the run is cancelled on the server", ends="cancelled"),
    "sandbox-takes-30": Script("the run takes 30 seconds, or any other number"),
}
_TAKES = re.compile(r"sandbox-takes-([0-9]{1,5})(?:-.*)?")

# Every scripted id and what it does, for people to read.
SCRIPTED: Mapping[str, str] = {name: script.does for name, script in _SCRIPTS.items()}


def is_scripted(subject: str) -> bool:
    """Return whether the id asks for something else than a run that passes."""
    return script_of(subject, 1) is not PLAIN


def script_of(subject: str, visits: int) -> Script:
    """Return what the id `subject` asks for; `visits` counts the requests for it, this one included."""
    if takes := _TAKES.fullmatch(subject):
        return Script("", lasts=float(takes[1]))
    # Longest first: sandbox-429-always is no sandbox-429.
    for name in sorted(_SCRIPTS, key=len, reverse=True):
        if subject == name or subject.startswith(f"{name}-"):
            script = _SCRIPTS[name]
            return PLAIN if script.once and visits > 1 else script
    return PLAIN
