"""The session class of all requests: it sends nothing twice, and adds neither cookies nor logins.

Source: requests' documentation, "Advanced Usage", and its `Session.send`.
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL

from autonoma_ci.net.certificates import existing_file
from autonoma_ci.net.connection import POOLS
from autonoma_ci.net.connection_state import line
from autonoma_ci.net.errors import lost, not_sent, unsendable

if TYPE_CHECKING:
    from autonoma_ci.net.errors import LostError, NotSentError


class Adapter(HTTPAdapter):
    """Never sends anything twice, and makes connections that note when they are made."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the manager of connections through a proxy, which note when they are made too."""
        return self._watch(super().proxy_manager_for(*args, **kwargs))

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections; raise InvalidProxyURL for each proxy URL that requests can't read."""
        try:
            return super().get_connection_with_tls_context(*args, **kwargs)
        except TypeError:
            # requests joins the login to a host that is missing, as in `http://user:password@`.
            raise InvalidProxyURL from None

    @staticmethod
    def _watch(manager: Any) -> Any:
        manager.pool_classes_by_scheme = POOLS
        return manager


class Session(requests.Session):
    """Keeps no cookies, sends no login of a netrc file, and looks at no redirect."""

    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", Adapter())
        self.mount("http://", Adapter())
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Stands where requests would look up a netrc file, whose login would replace nothing but add to ours.
        self.auth = _as_it_is

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        """Return requests' settings, with SSL_CERT_FILE where REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE are not set."""
        settings = super().merge_environment_settings(*args, **kwargs)
        if settings["verify"] is True:
            settings["verify"] = existing_file() or True
        return settings

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return none: requests would read all of a redirect's body to prepare the next request."""


def failure_of(error: Exception, host: str, *, late: bool = False) -> NotSentError | LostError:
    """Return why this thread's request to the host has no response. `late`: we ended the request ourselves."""
    if line.connection is None and _is_about_settings(error):
        return unsendable(error)
    if line.nothing_sent or isinstance(error, requests.ConnectTimeout):
        return not_sent(error, host)
    return lost(error, late=late)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _is_about_settings(error: Exception) -> bool:
    """Say whether requests gave up over what it was told (a proxy's scheme, a file that is not there)."""
    if isinstance(error, requests.RequestException):
        return isinstance(error, ValueError)
    return isinstance(error, OSError)
