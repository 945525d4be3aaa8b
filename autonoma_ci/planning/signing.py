"""Sign runs in results.json, so that later build attempts trust them.

results.json comes back from a cache or an artifact, and other jobs can write there. A run in it counts only with a
signature (HMAC-SHA256, RFC 2104) whose key is derived from the client secret. The signature covers the request and the
result. So a pass with other variables, of another commit or in another part of the build does not count.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.identity import Part
    from autonoma_ci.models import BuildContext, RunRequest, RunResult
    from autonoma_ci.redaction.redactor import Secret

_RESULTS_KEY_PURPOSE = "autonoma-ci record 1"
_VARIABLE_KEY_PURPOSE = "autonoma-ci variable 1"
# Hexadecimal digits, so 128 bits. They are short because results.json can have very many of them.
_VARIABLE_MAC_DIGITS = 32
# The last member of results.json is the signature of all its bytes. It is computed while this member is empty.
_RESULTS_MAC_RE = re.compile(rb'"mac": "([0-9a-f]{64})"\n}\n\Z')
_EMPTY_MAC = b'"mac": ""\n}\n'


class ResultsSigner:
    """Signs and verifies the runs of one part of a build.

    Args:
        secret: The client secret.
        api_url: The base URL of the API.
        context: The build. Only its id and its commit are signed.
        part: The part of the build.
        client_id: The client id. With another id, no signature is valid.

    """

    def __init__(
        self, secret: Secret, api_url: str, context: BuildContext, part: Part, client_id: Secret | None = None
    ) -> None:
        key = secret.derive_key(_RESULTS_KEY_PURPOSE)
        if client_id:
            key = hmac.digest(key, client_id.derive_key(_RESULTS_KEY_PURPOSE), "sha256")
        self._sign = _build_sign_function(key)
        self._build_fields = [api_url, context.build_id, context.sha, list(part)]

    def sign_request(self, request: RunRequest, body: Mapping[str, object]) -> str:
        """Return the signature of all data that a start request sends."""
        return self._sign(_canonical_json(["request", request.kind, request.id, body]))

    def sign_run(self, run: RunResult) -> str:
        """Return the signature of a run with its state.

        It is empty if the run has no id, or if its request has no signature.
        """
        if not (run.run_id and run.request_mac):
            return ""
        fields = [*self._build_fields, str(run.request.key), run.request_mac, run.run_id, run.state]
        return self._sign(_canonical_json(["run", *fields]))

    def verifies_run(self, run: RunResult, mac: str) -> bool:
        """Return whether `mac` is the signature of the run."""
        expected = self.sign_run(run)
        return bool(expected) and hmac.compare_digest(expected, mac)

    def sign_results(self, text: str) -> str:
        """Return the text of results.json with its signature.

        Args:
            text: The text of results.json. Its last member is an empty `mac`, or it is returned unchanged.

        """
        unsigned = text.encode("utf-8", "replace")
        head = text.removesuffix(_EMPTY_MAC.decode())
        return f'{head}"mac": "{self._sign(unsigned)}"\n}}\n' if head != text else text

    def verifies_results(self, data: bytes) -> bool:
        """Return whether the bytes of results.json fit their signature."""
        match = _RESULTS_MAC_RE.search(data)
        if not match:
            return False
        unsigned = data[: match.start()] + _EMPTY_MAC
        return hmac.compare_digest(self._sign(unsigned), match[1].decode())


class VariableSigner:
    """Signs values of variables, so that later job steps recognize them.

    Without the client secret, nobody can check a guess of a value. The command `report` can run without the client id,
    so the key does not depend on it.

    Args:
        secret: The client secret.

    """

    def __init__(self, secret: Secret) -> None:
        key = secret.derive_key(_VARIABLE_KEY_PURPOSE)
        self._sign = _build_sign_function(key)

    def sign(self, kind: str, entry_id: str, name: str, value: str) -> str:
        """Return the short signature of one variable of a target."""
        return self._sign(_canonical_json(["variable", kind, entry_id, name, value]))[:_VARIABLE_MAC_DIGITS]

    def sign_all(self, request: RunRequest) -> dict[str, str]:
        """Return the short signature of each variable of a request, by name."""
        return {name: self.sign(request.kind, request.id, name, value) for name, value in request.variables.items()}


def _build_sign_function(key: bytes) -> Callable[[bytes], str]:
    # A closure, because a list of the signer's fields must not show the key.
    return lambda data: hmac.digest(key, data, "sha256").hex()


def _canonical_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
