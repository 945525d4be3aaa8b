"""Fixtures and settings for all tests."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.support.certificates import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from autonoma_ci.sandbox import Sandbox
    from tests.support.code_hosts import Service
    from tests.support.rest_stubs import CodeHostStub

# A shell ignores SIGINT in background jobs, and child processes inherit that. Some tests send SIGINT, so it is reset.
# Only the main thread may change it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.default_int_handler)
# Git hooks set these variables, which would direct each `git` of a test to the user's repository.
for _name in ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES", "COMMON_DIR"):
    os.environ.pop(f"GIT_{_name}", None)
# Some shells export the terminal size, which would change the help and the live table.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)
_start_new_thread = _thread.start_new_thread


def _start_measured_thread(work: Callable[..., object], arguments: tuple[object, ...]) -> int:
    """Start a thread whose lines coverage.py measures.

    Coverage.py sets its trace function with `threading.settrace`, which `_thread` ignores (documentation of threading).
    """

    def run() -> None:
        sys.settrace(threading.gettrace())
        work(*arguments)

    return _start_new_thread(run, ())


if threading.gettrace():
    setattr(_thread, "start_new_thread", _start_measured_thread)  # noqa: B010 - its overloads have other types
_PROXY_VARIABLES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
_CERTIFICATE_VARIABLES = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}
_NETWORK_VARIABLES = [name for name in os.environ if name.upper() in _PROXY_VARIABLES or name in _CERTIFICATE_VARIABLES]
# Examples have no time limit, because a busy machine can be slow. The generation of examples has none either, and some
# seeds generate large examples.
_SPEED_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
# Based on the default profile, because Hypothesis has another one where CI is set.
settings.register_profile(
    "any-speed", settings.get_profile("default"), deadline=None, suppress_health_check=_SPEED_CHECKS
)  # fmt: skip
settings.load_profile("any-speed")
# For `make mutation`: each mutant gets the same examples, and a failing example is not minimized.
settings.register_profile(
    "mutation", max_examples=50, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=_SPEED_CHECKS,
)  # fmt: skip


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collection.

    More than 10,000 tests are millions of objects that live until the end. A collection of them all takes a second or
    more, in the middle of any test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _remove_user_network_settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the user's proxy and authorities, except for tests that download images or linters."""
    if not any(map(request.node.get_closest_marker, ("image", "linters"))):
        for name in _NETWORK_VARIABLES:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted_authority(certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trust the certificate authority of the tests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority_file))
    return certificates.authority_file


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Open a sandbox whose runs end at once."""
    from autonoma_ci.sandbox import Sandbox

    with Sandbox(pace=0) as sandbox:
        yield sandbox


@pytest.fixture
def host(service: Service) -> Iterator[CodeHostStub]:
    """Open the code host of a service, and fail if a request was wrong."""
    with service.host() as code_host:
        yield code_host
    assert code_host.errors == []
