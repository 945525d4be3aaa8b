"""Sign the runs of a record, so that a later attempt can tell its own results from anybody else's.

A record comes back from a cache or an artifact, which other jobs can write. What it says of a run counts only with a
signature (HMAC-SHA256, RFC 2104) whose key is derived from the client secret. The signature covers what was asked for
and what came of it, so a pass under other variables, of another commit or in another part of the build is no pass.
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

_PURPOSE = "autonoma-ci record 1"
_PURPOSE_OF_VARIABLES = "autonoma-ci variable 1"
# In hexadecimal digits: 128 bits. A record can have very many of them.
_VARIABLE_MAC_DIGITS = 32
# The last member of a record: the signature of all bytes, made while it is still empty.
_LAST = re.compile(rb'"mac": "([0-9a-f]{64})"\n}\n\Z')
_EMPTY = b'"mac": ""\n}\n'


class ResultsSigner:
    """Signs and verifies for one build, one part of it, and one API.

    Args:
        secret: The client secret.
        api_url: The base URL of the API.
        context: The build; only its id and its commit are signed.
        part: The part of the build.
        client_id: The client id. With another one, no signature is valid.

    """

    def __init__(
        self, secret: Secret, api_url: str, context: BuildContext, part: Part, client_id: Secret | None = None
    ) -> None:
        key = secret.derive_key(_PURPOSE)
        if client_id:
            key = hmac.digest(key, client_id.derive_key(_PURPOSE), "sha256")
        self._sign = _signing_with(key)
        self._facts = [api_url, context.build_id, context.sha, list(part)]

    def sign_request(self, request: RunRequest, body: Mapping[str, object]) -> str:
        """Return the signature of everything that is sent to start a run."""
        return self._sign(_canonical(["request", request.kind, request.id, body]))

    def sign_run(self, run: RunResult) -> str:
        """Return the signature of a run with its state; empty if it has no id, or its request has no signature."""
        if not (run.run_id and run.request_mac):
            return ""
        facts = [*self._facts, str(run.request.key), run.request_mac, run.run_id, run.state]
        return self._sign(_canonical(["run", *facts]))

    def verifies_run(self, run: RunResult, mac: str) -> bool:
        """Say whether `mac` is the signature of the run."""
        expected = self.sign_run(run)
        return bool(expected) and hmac.compare_digest(expected, mac)

    def sign_record(self, record: str) -> str:
        """Return the record, whose last member is an empty `mac`, with its signature there."""
        unsigned = record.encode("utf-8", "replace")
        head = record.removesuffix(_EMPTY.decode())
        return f'{head}"mac": "{self._sign(unsigned)}"\n}}\n' if head != record else record

    def verifies_record(self, data: bytes) -> bool:
        """Say whether no byte of the record was changed since it was signed."""
        found = _LAST.search(data)
        if not found:
            return False
        unsigned = data[: found.start()] + _EMPTY
        return hmac.compare_digest(self._sign(unsigned), found[1].decode())


class VariableSigner:
    """Signs values of variables, so that a later step can tell whether it has the value that was sent.

    Without the client secret, nobody can check a guess of a value. `report` can lack the client id, so none is needed.

    Args:
        secret: The client secret.

    """

    def __init__(self, secret: Secret) -> None:
        key = secret.derive_key(_PURPOSE_OF_VARIABLES)
        self._sign = _signing_with(key)

    def sign(self, kind: str, entry_id: str, name: str, value: str) -> str:
        """Return the short signature of one variable of a test, a folder or a tag."""
        return self._sign(_canonical(["variable", kind, entry_id, name, value]))[:_VARIABLE_MAC_DIGITS]

    def sign_all(self, request: RunRequest) -> dict[str, str]:
        """Return the short signature of each variable of a request, by name."""
        return {name: self.sign(request.kind, request.id, name, value) for name, value in request.variables.items()}


def _signing_with(key: bytes) -> Callable[[bytes], str]:
    # A closure, so that no list of a signer's fields shows the key.
    return lambda data: hmac.digest(key, data, "sha256").hex()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
