"""A sandbox whose time stands still until a test moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.sandbox.caller import Caller, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def sandbox(clock: Clock, log: list[str]) -> Iterator[Sandbox]:
    with Sandbox(clock=clock, log=log.append) as running:
        yield running


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Caller(sandbox) as calling:
        yield calling
