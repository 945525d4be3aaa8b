"""The ids that ask for something other than a run that passes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSED, FAILED, RUNNING = "passed", "failed", "running"


@dataclass(frozen=True)
class Scenario:
    """What an id asks for.

    `does` says it in words, `status` is the answer, `retry_after` its header in seconds (0 for none),
    `delay` the wait before the answer and `lasts` how long the run takes, both in seconds at pace 1, and
    `ends` the state in which the run stays. With `once` it holds for the first request of its kind for
    an id and for no later one. `start` names a special answer to a start; no other request gets it.
    """

    description: str
    status: int = 200
    retry_after: int = 0
    delay: float = 0.0
    final_state: str = PASSED
    duration: float = 3.0
    once: bool = False
    start: str = ""


QUOTA, DEVICE_FARM, WEB_PAGE = "quota", "device-farm", "web-page"
PLAIN = Scenario("the run passes")

_SCRIPTS: Mapping[str, Scenario] = {
    "sandbox-401": Scenario("answers 401", status=401),
    "sandbox-403": Scenario("answers 403", status=403),
    "sandbox-404": Scenario("answers 404", status=404),
    "sandbox-429": Scenario("answers 429 with Retry-After: 1 once, then starts", status=429, retry_after=1, once=True),
    "sandbox-429-always": Scenario("answers 429 with Retry-After: 1 every time", status=429, retry_after=1),
    "sandbox-500": Scenario("answers 500", status=500),
    "sandbox-503": Scenario("answers 503 with Retry-After: 1 once, then starts", status=503, retry_after=1, once=True),
    "sandbox-quota": Scenario("the account's quota is used up: 402, or 403 with --contract 2026-01", start=QUOTA),
    "sandbox-device-farm": Scenario("answers 500: the account has no device farm", start=DEVICE_FARM),
    "sandbox-web-page": Scenario("answers 200 with a web page, as another host would", start=WEB_PAGE),
    "sandbox-slow": Scenario("answers after three seconds times the pace", delay=3.0),
    "sandbox-fails": Scenario("the run fails", final_state=FAILED),
    "sandbox-flaky": Scenario("the first run fails, the next ones pass", final_state=FAILED, once=True),
    "sandbox-stays": Scenario("the run never ends", final_state=RUNNING),
    "sandbox-stopped": Scenario("the run is cancelled on the server", final_state="cancelled"),
    "sandbox-takes-30": Scenario("the run takes 30 seconds, or any other number"),
}
_TAKES = re.compile(r"sandbox-takes-([0-9]{1,5})(?:-.*)?")

# Every scripted id and what it does, for people to read.
SCENARIO_IDS: Mapping[str, str] = {name: script.description for name, script in _SCRIPTS.items()}


def is_scenario(subject: str) -> bool:
    """Return whether the id asks for something else than a run that passes."""
    return find_scenario(subject, 1) is not PLAIN


def find_scenario(subject: str, visits: int) -> Scenario:
    """Return what the id `subject` asks for; `visits` counts the requests for it, this one included."""
    if takes := _TAKES.fullmatch(subject):
        return Scenario("", duration=float(takes[1]))
    # Longest first: sandbox-429-always is no sandbox-429.
    for name in sorted(_SCRIPTS, key=len, reverse=True):
        if subject == name or subject.startswith(f"{name}-"):
            script = _SCRIPTS[name]
            return PLAIN if script.once and visits > 1 else script
    return PLAIN
