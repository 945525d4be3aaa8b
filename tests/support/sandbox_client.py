"""A fake clock, and an HTTP client of the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import requests

if TYPE_CHECKING:
    from autonoma_ci.sandbox import Sandbox

CREDENTIALS = {"autonoma-client-id": "some-client-id", "autonoma-client-secret": "some-client-secret"}


@dataclass
class SettableClock:
    """A clock that tests set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class SandboxClient:
    """Sends requests to one sandbox over one persistent connection."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url = sandbox.url
        self.origin = sandbox.url.removesuffix("/api")
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(CREDENTIALS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.close()

    def request_start(self, subject: str, kind: str = "test", **fields: object) -> requests.Response:
        """Send a start request with `fields` in the body."""
        body = {"id": subject, **fields} if kind == "test" else fields
        return self.session.post(f"{self.url}/{kind}/{subject}/run", json=body, timeout=60)

    def start_test(self, subject: str, **fields: object) -> str:
        """Start a test and return the run id."""
        run_id = self.request_start(subject, "test", **fields).json()["run_id"]
        assert isinstance(run_id, str)
        return run_id

    def get(self, path: str, **query: object) -> requests.Response:
        """Send a GET request to the API."""
        return self.session.get(self.url + path, params={name: str(value) for name, value in query.items()}, timeout=60)

    def read_status(self, run_id: str) -> str:
        """Return the status of a test run."""
        status = self.get(f"/run/{run_id}/status").json()["status"]
        assert isinstance(status, str)
        return status
