"""The session class of all requests: it sends nothing twice, and adds neither cookies nor logins.

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
from autonoma_ci.net.errors import configuration_error, connect_error_from, response_error_from

if TYPE_CHECKING:
    from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError


class TrackingAdapter(HTTPAdapter):
    """Never sends anything twice, and makes connections that note when they are made."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._use_tracked_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the manager of connections through a proxy, which note when they are made too."""
        return self._use_tracked_pools(super().proxy_manager_for(*args, **kwargs))

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections; raise InvalidProxyURL for each proxy URL that requests can't read."""
        try:
            return super().get_connection_with_tls_context(*args, **kwargs)
        except TypeError:
            # requests joins the login to a host that is missing, as in `http://user:password@`.
            raise InvalidProxyURL from None

    @staticmethod
    def _use_tracked_pools(manager: Any) -> Any:
        manager.pool_classes_by_scheme = TRACKED_POOLS
        return manager


class SafeSession(requests.Session):
    """Keeps no cookies, sends no login of a netrc file, and looks at no redirect."""

    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", TrackingAdapter())
        self.mount("http://", TrackingAdapter())
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Stands where requests would look up a netrc file, whose login would replace nothing but add to ours.
        self.auth = _no_auth

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        """Return requests' settings, with SSL_CERT_FILE where REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE are not set."""
        settings = super().merge_environment_settings(*args, **kwargs)
        if settings["verify"] is True:
            settings["verify"] = existing_ca_file() or True
        return settings

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return none: requests would read all of a redirect's body to prepare the next request."""


def request_error_from(
    error: Exception, host: str, *, timed_out: bool = False
) -> RequestNotSentError | ResponseLostError:
    """Return why this thread's request to the host has no response. `late`: we ended the request ourselves."""
    if connection_state.connection is None and _is_configuration_error(error):
        return configuration_error(error)
    if connection_state.nothing_sent or isinstance(error, requests.ConnectTimeout):
        return connect_error_from(error, host)
    return response_error_from(error, timed_out=timed_out)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _is_configuration_error(error: Exception) -> bool:
    """Say whether requests gave up over what it was told (a proxy's scheme, a file that is not there)."""
    if isinstance(error, requests.RequestException):
        return isinstance(error, ValueError)
    return isinstance(error, OSError)
