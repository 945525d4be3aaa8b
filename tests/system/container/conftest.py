"""Fixtures for the image, a sandbox and the folders of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.container.image import Image, JobFolders

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.sandbox import Sandbox


@pytest.fixture(scope="session")
def image() -> Image:
    return Image.from_environment()


@pytest.fixture
def folders(tmp_path: Path) -> JobFolders:
    return JobFolders(tmp_path)


@pytest.fixture
def credentials(sandbox: Sandbox) -> dict[str, str]:
    return {"api_url": sandbox.url, "client_id": "sandbox-id", "client_secret": "sandbox-secret"}
