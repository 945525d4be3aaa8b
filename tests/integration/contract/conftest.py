"""Provide one sandbox and one session for each test module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from autonoma_ci.sandbox import Sandbox
from tests.integration.contract.openapi import DESCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

CREDENTIALS = {"autonoma-client-id": "some-client-id", "autonoma-client-secret": "some-client-secret"}


@pytest.fixture(scope="module", params=DESCRIPTIONS)
def contract(request: pytest.FixtureRequest) -> str:
    """Return each revision of the contract."""
    name = request.param
    assert isinstance(name, str)
    return name


@pytest.fixture(scope="module")
def sandbox(contract: str) -> Iterator[Sandbox]:
    with Sandbox(pace=0.001, contract=contract) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(CREDENTIALS)
        yield session
