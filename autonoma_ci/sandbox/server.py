"""The sandbox's public class, with its start, log and stop."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from typing import TYPE_CHECKING, Self

from autonoma_ci.sandbox.contract import DEFAULT_REVISION, KINDS, REVISIONS
from autonoma_ci.sandbox.http_server import HttpServer
from autonoma_ci.sandbox.request_log import RecordedRequest, RequestLog
from autonoma_ci.sandbox.router import API_PATH, Router
from autonoma_ci.sandbox.run_store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

# How often the listening thread checks for a stop, so `close` waits at most this long.
_POLL_SECONDS = 0.02


class Sandbox:
    """The fake API server.

    It runs from `start` to `close`, or inside a `with` block.

    Args:
        port: The port. 0 selects a free one.
        pace: Multiplies all durations. 0 ends runs at once.
        client_id: The valid client id. Empty accepts any non-empty one.
        client_secret: The valid client secret. Empty accepts any non-empty one.
        log: Called with one line for each request.
        clock: Returns the current time in seconds.
        host: The IPv4 loopback address to listen on.
        folders: The response to `GET /folder` in place of the sandbox's own folders.
        contract: The revision of the API contract.

    Raises:
        ValueError: The host is not an IPv4 loopback address, the pace is not a finite number from 0, or the contract
            is unknown.

    """

    def __init__(  # noqa: PLR0913 - each of them is one fact of the account or the server
        self,
        port: int = 0,
        pace: float = 1.0,
        client_id: str = "",
        client_secret: str = "",
        log: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        host: str = "127.0.0.1",
        folders: Sequence[Mapping[str, object]] | None = None,
        *,
        contract: str = DEFAULT_REVISION,
    ) -> None:
        if not _is_loopback(host):
            raise ValueError(f"the host must be a loopback address such as 127.0.0.1, not {host!r}")
        if not (math.isfinite(pace) and pace >= 0):
            raise ValueError(f"the pace must be a number from 0, not {pace}")
        if contract not in REVISIONS:
            raise ValueError(f"the contract must be one of {', '.join(REVISIONS)}, not {contract!r}")
        self._address = (host, port)
        self._request_log = RequestLog(log)
        self._router = Router(RunStore(pace, clock), self._request_log, client_id, client_secret, folders, contract)
        self._server: HttpServer | None = None

    def start(self) -> None:
        """Start the server in its own thread.

        Raises:
            RuntimeError: The sandbox is running already.
            OSError: The port is in use.

        """
        if self._server:
            raise RuntimeError("the sandbox is already running")
        self._server = HttpServer(self._address, self._router, self._request_log)
        threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="sandbox", daemon=True).start()

    def close(self) -> None:
        """Stop the server and all connections.

        A second call does nothing.
        """
        server, self._server = self._server, None
        if server:
            server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base URL of the API.

        Raises:
            RuntimeError: The sandbox is not running.

        """
        if not self._server:
            raise RuntimeError("the sandbox is not running")
        return self._server.origin + API_PATH

    @property
    def received(self) -> list[RecordedRequest]:
        """All requests so far, in the order of their responses."""
        return self._request_log.all()

    def count_starts(self, target_id: str) -> int:
        """Return the number of start requests for an id, with any response."""
        return sum(self._request_log.count_posts(f"{API_PATH}/{kind}/{target_id}/run") for kind in KINDS)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
