"""What a command is given of the world outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from autonoma_ci.api.transport import Timeouts
from autonoma_ci.engine.clock import Clock
from autonoma_ci.engine.fire import Policy
from autonoma_ci.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class World:
    """Environment, streams, folder, time and signals: arguments, so that nothing below reads a global."""

    environ: Mapping[str, str] = field(repr=False)
    out: TextIO
    err: TextIO
    folder: str = "."
    takes_signals: bool = False
    clock: Clock = field(default_factory=Clock)
    interrupts: Interrupts = field(default_factory=Interrupts)
    timeouts: Timeouts = field(default_factory=Timeouts)
    policy: Policy = field(default_factory=Policy)
