"""Fixtures for a sandbox with a fake clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.sandbox_client import SandboxClient, SettableClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def sandbox(clock: SettableClock, log: list[str]) -> Iterator[Sandbox]:
    with Sandbox(clock=clock, log=log.append) as open_sandbox:
        yield open_sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as sandbox_client:
        yield sandbox_client
