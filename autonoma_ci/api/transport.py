"""One request, one answer, within a bounded time; the only importer of requests.

The one thing that matters for a request that must not be repeated is whether it may have arrived. The
connection classes below note when a connection is being made: a failure then means that nothing of the
request was sent (`NotSentError`); any later failure leaves that open (`LostError`).
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from autonoma_ci import __version__
from autonoma_ci.model import Timeouts
from autonoma_ci.text import LOOPBACK, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from autonoma_ci.secret import Secret

BODY_LIMIT = 1024 * 1024
# A pooled connection that was idle for longer may be closed by the server just as it is used again.
IDLE_SECONDS = 1.0
_LOCAL = "localhost,127.0.0.0/8,127.0.0.1,::1"


class Answer(NamedTuple):
    """What came back. `complete` is False if the body was cut short, too long or too slow."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool


class NotSentError(Exception):
    """No connection was made, so nothing arrived; `passing` says whether trying again may help."""

    def __init__(self, text: str, *, passing: bool) -> None:
        self.passing = passing
        super().__init__(text)


class LostError(Exception):
    """A connection was made and no usable answer came: the request may have arrived."""


class _Line(threading.local):
    """The thread's own connection, and whether it is still being made."""

    connecting = False
    connection: HTTPConnection | None = None


_line = _Line()


class _Plain(HTTPConnection):
    def connect(self) -> None:
        _line.connection, _line.connecting = self, True
        super().connect()
        _line.connecting = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        _line.connection = self
        super().request(*args, **kwargs)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        _line.connection, _line.connecting = self, True
        super().connect()
        _line.connecting = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        _line.connection = self
        super().request(*args, **kwargs)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Adapter(HTTPAdapter):
    """Never sends anything twice, and makes connections that note when they are made."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return self._watch(super().proxy_manager_for(*args, **kwargs))

    @staticmethod
    def _watch(manager: Any) -> Any:
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
        return manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Look at no redirect: requests would read all of its body to prepare the next request."""


class Transport:
    """Sends requests, each at most once, from any number of threads; `credentials` are client id and secret."""

    def __init__(
        self,
        base_url: str,
        credentials: Sequence[Secret],
        monotonic: Callable[[], float],
        timeouts: Timeouts | None = None,
    ) -> None:
        self.base_url = base_url
        self.timeouts = timeouts or Timeouts()
        self._monotonic = monotonic
        self._credentials = tuple(credentials)
        self._local = threading.local()
        # A proxy that the environment names is for the world outside, never for this very machine.
        self._proxies = {"no_proxy": _LOCAL} if LOOPBACK.fullmatch(urlsplit(base_url).hostname or "") else {}

    def post(self, path: str, payload: Mapping[str, object]) -> Answer:
        """Send one POST; raise NotSentError or LostError where no answer came."""
        return self._send("POST", path, json.dumps(payload).encode())

    def _session(self) -> requests.Session:
        now = self._monotonic()
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._new_session()
        elif now - self._local.used > IDLE_SECONDS:
            session.close()
        return session

    def _new_session(self) -> requests.Session:
        session = _Session()
        session.mount("https://", _Adapter())
        session.mount("http://", _Adapter())
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Stands where requests would look up a netrc file, whose login would replace nothing but add to ours.
        session.auth = _as_it_is
        client_id, client_secret = self._credentials
        session.headers.update(
            {
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "User-Agent": f"autonoma-ci/{__version__}",
                "autonoma-client-id": client_id.reveal(),
                "autonoma-client-secret": client_secret.reveal(),
            }
        )
        return session

    def _send(self, method: str, path: str, body: bytes) -> Answer:
        session, limits = self._session(), self.timeouts
        _line.connecting, _line.connection = False, None
        line = _line.__dict__
        guard = threading.Timer(limits.total, _hang_up, [line])
        guard.daemon = True
        guard.start()
        try:
            with session.request(
                method,
                self.base_url + path,
                data=body,
                timeout=(limits.connect, limits.read),
                allow_redirects=False,  # a redirect would take the credentials to another host
                stream=True,
                proxies=self._proxies,
            ) as response:
                content, complete = _body(response)
                return Answer(response.status_code, response.headers, content, complete)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            if _line.connecting or isinstance(error, requests.ConnectTimeout):
                raise _not_sent(error, self.base_url) from None
            raise LostError(_how_lost(error)) from None
        finally:
            guard.cancel()
            self._local.used = self._monotonic()


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _hang_up(line: dict[str, Any]) -> None:
    """End a request that takes too long as a whole; a timeout of requests is only for each wait."""
    connection: HTTPConnection | None = line.get("connection")
    with suppress(OSError, AttributeError):
        if connection and connection.sock:
            connection.sock.shutdown(socket.SHUT_RDWR)


def _body(response: requests.Response) -> tuple[bytes, bool]:
    chunks, size = [], 0
    try:
        for chunk in response.iter_content(16 * 1024):
            size += len(chunk)
            if size > BODY_LIMIT:
                return b"", False
            chunks.append(chunk)
    except (requests.RequestException, OSError, ValueError):
        return b"".join(chunks), False
    return b"".join(chunks), True


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Walk down to what really happened: requests and urllib3 wrap it several times over."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        cause = todo.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            todo += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def _not_sent(error: Exception, base_url: str) -> NotSentError:
    host = one_line(urlsplit(base_url).netloc, 200)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = one_line(cause.verify_message, 200)
            return NotSentError(f"the certificate of {host} can't be trusted ({why})", passing=False)
        if isinstance(cause, ssl.SSLError):
            return NotSentError(f"no secure connection to {host} could be made", passing=False)
        if isinstance(cause, socket.gaierror):
            return NotSentError(f"the name {host} could not be resolved", passing=True)
        if isinstance(cause, ConnectionRefusedError):
            return NotSentError(f"{host} refused the connection", passing=True)
        if isinstance(cause, OSError) and "Tunnel connection failed" in str(cause):
            why = one_line(str(cause).partition(": ")[2], 80)
            return NotSentError(f"the proxy did not connect to {host} ({why})", passing=False)
    if isinstance(error, requests.ConnectTimeout):
        return NotSentError(f"{host} did not answer the connection in time", passing=True)
    return NotSentError(f"no connection to {host} could be made", passing=True)


def _how_lost(error: Exception) -> str:
    for cause in _causes(error):
        if isinstance(cause, (TimeoutError, requests.Timeout)):
            return "no answer came in time"
    return "the connection ended before an answer came"
