"""GitHub's REST API, as comments and comparisons of commits use it.

Source: GitHub's REST documentation, "Getting started with the REST API", "Troubleshooting the REST API" and
"Authenticating with SAML SSO".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.rest.http import RestClient
from autonoma_ci.escaping import format_duration

if TYPE_CHECKING:
    from autonoma_ci.ci.rest.http import RestError, RestLimits
    from autonoma_ci.clock import Clock
    from autonoma_ci.redaction.redactor import Secret

# From a part of GitHub's error message, in lower case, to the hint. The first match counts.
_HINT_BY_MESSAGE = {
    "not accessible by integration": "The job needs the permission `{permission}`.{fork_note}",
    "not accessible by personal access token": (
        "Grant the token access to this repository and the permission `{token_permission}`."
    ),
    "saml": (
        "Authorize github-token for the organization's single sign-on, or pass the job's own ${{{{ github.token }}}}."
    ),
    "ip allow list": "Add the IP address of the runner to the organization's IP allow list.",
}
_HINT_BY_STATUS = {
    401: "github-token is invalid, expired, or of another server. Pass ${{{{ github.token }}}} or a new token.",
    404: "github-token may lack access to this repository. Pass ${{{{ github.token }}}} with `{permission}`.",
}
_FORK_NOTE = " Pull requests from forks and by Dependabot never have it."
_NO_REASON_HINT = (
    "GitHub gave no reason, so a proxy or a firewall may have responded. Check HTTPS_PROXY and GITHUB_API_URL."
)


def create_github_client(base_url: str, token: Secret, clock: Clock, limits: RestLimits | None = None) -> RestClient:
    """Create a client for the API of github.com or of an Enterprise Server.

    Args:
        base_url: The base URL of the API.
        token: The token, which is sent only to this API.
        clock: The clock of timeouts and delays.
        limits: The limits of time and requests, None for the default ones.
    """
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token.reveal()}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    return RestClient(base_url, headers, clock, secrets=[token], limits=limits)


def find_github_hint(error: RestError, permission: str, rate_limit_hint: str) -> str | None:
    """Return a hint for an error of GitHub, or None.

    Args:
        error: The error.
        permission: The permission that the request needs, as in a workflow: `contents: read`.
        rate_limit_hint: What to do about a rate limit, as one sentence.
    """
    message = error.server_message.lower()
    hint = next((text for part, text in _HINT_BY_MESSAGE.items() if part in message), None)
    if not hint and error.is_rate_limit:
        return f"{_format_retry_time(error)}{rate_limit_hint}"
    if not hint:
        hint = _NO_REASON_HINT if error.status == 403 and not message else _HINT_BY_STATUS.get(error.status)
    # The form of a personal access token's settings, such as `Pull requests: write`.
    token_permission = permission.replace("-", " ").capitalize()
    fork_note = _FORK_NOTE if permission.endswith("write") else ""
    return hint and hint.format(permission=permission, token_permission=token_permission, fork_note=fork_note)


def _format_retry_time(error: RestError) -> str:
    return f"GitHub accepts requests again in {format_duration(error.wait_seconds)}. " if error.wait_seconds else ""
