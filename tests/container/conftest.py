"""What the image's tests share: the image, a sandbox on loopback and the folders of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.container.image import Image, Job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def image() -> Image:
    return Image.named_by_make()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0) as running:
        yield running


@pytest.fixture
def account(sandbox: Sandbox) -> dict[str, str]:
    return {"api_url": sandbox.url, "client_id": "sandbox-id", "client_secret": "sandbox-secret"}
