"""Provide the session class of all requests, without cookies, logins and retries.

Source: requests' documentation, "Advanced Usage", and its `Session.send`.
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL

from autonoma_ci.net.certificates import existing_ca_file
from autonoma_ci.net.connection import TRACKED_POOLS
from autonoma_ci.net.connection_state import connection_state
from autonoma_ci.net.errors import build_configuration_error, build_connect_error, build_response_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError

_CHUNK_BYTES = 16 * 1024


class BodyTooLongError(ValueError):
    """A response body above its limit."""


class TrackingAdapter(HTTPAdapter):
    """An adapter that uses tracked connections and never sends a request twice."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._use_tracked_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool manager of a proxy, with tracked connections."""
        return self._use_tracked_pools(super().proxy_manager_for(*args, **kwargs))

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections for a request.

        Raises:
            InvalidProxyURL: requests can't parse the URL of the proxy.
        """
        try:
            return super().get_connection_with_tls_context(*args, **kwargs)
        except TypeError:
            # requests fails to join a login and a missing host, as in `http://user:password@`.
            raise InvalidProxyURL from None

    @staticmethod
    def _use_tracked_pools(manager: Any) -> Any:
        manager.pool_classes_by_scheme = TRACKED_POOLS
        return manager


class SafeSession(requests.Session):
    """A session without cookies, netrc logins and redirects."""

    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", TrackingAdapter())
        self.mount("http://", TrackingAdapter())
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Without `auth`, requests reads a netrc file and adds its login to the API's own headers.
        self.auth = _no_auth

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        """Return requests' settings with support for SSL_CERT_FILE.

        It is used if REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE are not set.
        """
        settings = super().merge_environment_settings(*args, **kwargs)
        if settings["verify"] is True:
            settings["verify"] = existing_ca_file() or True
        return settings

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None for every response.

        Otherwise, requests would read the complete body of a redirect to prepare the next request.
        """


def read_body(response: requests.Response, max_bytes: int, on_chunk: Callable[[bytes], None]) -> None:
    """Read a body in chunks, up to a limit.

    A body that is shorter than its Content-Length is an error.

    Args:
        response: A streamed response.
        max_bytes: The limit, after decoding.
        on_chunk: Receives each chunk within the limit.

    Raises:
        BodyTooLongError: The body is longer than `max_bytes`.
        requests.RequestException: The body is incomplete or can't be decoded.
        OSError: The connection failed.
        ValueError: The library rejects the body.
    """
    size = 0
    for chunk in response.iter_content(_CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            raise BodyTooLongError("too long")
        on_chunk(chunk)


def build_request_error(
    error: Exception, host: str, *, timed_out: bool = False
) -> RequestNotSentError | ResponseLostError:
    """Return the error for this thread's failed request.

    Args:
        error: The error of the library.
        host: The host of the request.
        timed_out: The total timeout ended the request.
    """
    if connection_state.connection is None and _is_configuration_error(error):
        return build_configuration_error(error)
    if connection_state.nothing_sent or isinstance(error, requests.ConnectTimeout):
        return build_connect_error(error, host)
    return build_response_error(error, timed_out=timed_out)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _is_configuration_error(error: Exception) -> bool:
    """Return whether requests failed because of its settings.

    Examples are the scheme of a proxy or a missing file.
    """
    if isinstance(error, requests.RequestException):
        return isinstance(error, ValueError)
    return isinstance(error, OSError)
